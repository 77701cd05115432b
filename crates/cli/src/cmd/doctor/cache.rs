//! What is kept of stores' answers: where, how much, and what was noticed.

use std::collections::BTreeMap;
#[cfg(unix)]
use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use dsops_integrity_cache::{Cache, Event, MissReason};
use dsops_resolver::Config;
use dsops_stores::cache::{CacheError, Places, is_there, open_existing, read_events};

use super::Finding;
use crate::cached;
use crate::cmd::cache::bytes;
use crate::context::Context;
use crate::report::{Report, Severity};
use crate::ui;

const SUBJECT: &str = "cache";
/// As the cache has it: a clock may be this much behind before it counts.
const CLOCK_SLACK: Duration = Duration::from_mins(5);

/// The state of the cache, if a store here uses it.
pub fn findings(cx: &Context, config: &Config) -> Vec<Finding> {
    if config.stores().all(|settings| settings.cache().is_none()) {
        return Vec::new();
    }
    let Some(places) = cached::places(&cx.environment) else {
        return vec![
            Finding::warning(SUBJECT, "there is no place for one, so nothing is kept")
                .help("set HOME, or DSOPS_CACHE_DIR and DSOPS_STATE_DIR"),
        ];
    };
    if !is_there(&places) {
        let text = format!("nothing is kept yet in {}", places.cache_dir.display());
        return vec![Finding::ok(SUBJECT, text)];
    }
    let cache = match open_existing(&places, |_: &Event| {}) {
        Ok(Some(cache)) => cache,
        // Somebody took it away in this moment.
        Ok(None) => return Vec::new(),
        Err(error) => return vec![unusable(&error)],
    };
    let mut findings = contents(&cache, &places).unwrap_or_else(|error| vec![unusable(&error)]);
    findings.extend(noticed(&places));
    findings
}

/// It is asked by nobody then: the stores are.
fn unusable(error: &CacheError) -> Finding {
    let report = Report { severity: Severity::Warning, ..Report::from_error(error) };
    let finding = Finding::from_report(SUBJECT, report);
    match error.help() {
        Some(help) => finding.help(help),
        None => finding,
    }
}

fn contents(cache: &Cache, places: &Places) -> Result<Vec<Finding>, CacheError> {
    let stats = cache.stats()?;
    let count = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
    let entries = count(stats.usage.entries);
    let size = bytes(stats.usage.bytes);
    let entries = if entries == 1 { "1 entry".to_owned() } else { format!("{entries} entries") };
    let mut findings = vec![
        Finding::ok(
            SUBJECT,
            format!("{}{}: {entries}, {size}", places.cache_dir.display(), mode(&places.cache_dir)),
        ),
        Finding::ok(
            SUBJECT,
            format!("its key is {}{}", places.key_file().display(), mode(&places.key_file())),
        ),
    ];
    let mut wrong: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, reason) in cache.verify(false)?.problems {
        // What was given up on purpose, or left by a crash, is no sign of anything.
        if !matches!(reason, MissReason::StaleEpoch | MissReason::Torn) {
            *wrong.entry(reason.code()).or_default() += 1;
        }
    }
    if !wrong.is_empty() {
        let text = format!("entries that cannot be trusted: {}", listed(&wrong));
        let help = "`dsops cache verify` names them, `dsops cache clean` removes them";
        findings.push(Finding::warning(SUBJECT, text).help(help));
    }
    if stats.quarantined.entries > 0 {
        let files = ui::plural(count(stats.quarantined.entries), "file");
        findings.push(
            Finding::warning(SUBJECT, format!("{files} in quarantine: not what was stored"))
                .help("`dsops cache rekey` starts anew"),
        );
    }
    findings.extend(clock(cache.time_floor_ms()?));
    Ok(findings)
}

/// A clock that is behind what the cache has seen was set back, or was ahead before.
fn clock(floor_ms: i64) -> Option<Finding> {
    let floor = Duration::from_millis(floor_ms.max(0).unsigned_abs());
    let behind =
        SystemTime::UNIX_EPOCH.checked_add(floor)?.duration_since(SystemTime::now()).ok()?;
    (behind > CLOCK_SLACK).then(|| {
        let behind = humantime::format_duration(Duration::from_secs(behind.as_secs()));
        Finding::warning(
            SUBJECT,
            format!("the clock is {behind} behind the latest time that the cache has seen"),
        )
        .help("compare `date -u` with another machine; if it was ahead before, `dsops cache rekey` starts anew")
    })
}

/// What earlier runs noted.
fn noticed(places: &Places) -> Option<Finding> {
    let records = read_events(&places.events_file());
    let since = records.first()?.at;
    let mut codes: BTreeMap<&str, usize> = BTreeMap::new();
    for record in &records {
        *codes.entry(&record.code).or_default() += 1;
    }
    let since = humantime::format_rfc3339_seconds(since);
    Some(
        Finding::warning(
            SUBJECT,
            format!(
                "since {since} runs found what they did not trust: {} (a hint, nothing protects this list)",
                listed(&codes)
            ),
        )
        .help("`dsops cache verify` looks at what is there now, `dsops cache rekey` starts anew"),
    )
}

fn listed(codes: &BTreeMap<&str, usize>) -> String {
    let one = |(code, count): (&&str, &usize)| format!("{code} ({count})");
    codes.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// Its access mode, in parentheses.
#[cfg(unix)]
fn mode(path: &Path) -> String {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = fs::symlink_metadata(path).map(|found| found.permissions().mode() & 0o777);
    mode.map_or_else(|_| String::new(), |mode| format!(" (mode {mode:03o})"))
}

/// There are none.
#[cfg(not(unix))]
fn mode(_: &Path) -> String {
    String::new()
}
