//! The project: its configuration, its environments, its stores and the files around them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use dsops_resolver::{
    Config, Health, OpenContext, Power, StoreFactory, StoreHealth, StoreSettings, check_stores,
    plan,
};
use dsops_stores::sops::{self, Keyring};
use dsops_stores::{CREDENTIAL_VARIABLES, Registry};

use super::{Finding, Outcome, cache, git};
use crate::context::{Context, all_powers, concerns_fetching};
use crate::embedded;
use crate::report::{Report, Severity};
use crate::trust::TrustStore;
use crate::ui;

/// A file may be this much newer than now: clocks of file servers differ a little.
const CLOCK_TOLERANCE: Duration = Duration::from_mins(2);

/// Everything about the project here, if there is one.
pub fn findings(cx: &Context) -> Vec<Finding> {
    let path = match cx.config_path() {
        Ok(path) => path,
        Err(failure) => {
            // No project here is no fault.
            let warn = |report| Report { severity: Severity::Warning, ..report };
            let reports = failure.reports.into_iter().map(warn);
            return reports.map(|report| Finding::from_report("configuration", report)).collect();
        }
    };
    let config = match cx.read_config(&path) {
        Ok(config) => config,
        Err(failure) => {
            let reports = failure.reports.into_iter();
            return reports.map(|report| Finding::from_report("configuration", report)).collect();
        }
    };
    let mut findings = vec![Finding::ok(
        "configuration",
        format!(
            "{} is sound: {}, {}",
            config.path().display(),
            ui::plural(config.environments().len(), "environment"),
            ui::plural(config.stores().len(), "store")
        ),
    )];
    findings.extend(
        config
            .warnings()
            .iter()
            .map(|warning| Finding::from_report("configuration", warning.clone().into())),
    );
    let priced = config.store_warnings(&Registry::new()).into_iter();
    findings.extend(priced.map(|warning| Finding::from_report("cache", warning.into())));
    let plaintext = config.findings().into_iter();
    findings.extend(plaintext.map(|finding| Finding::from_report("plaintext", finding.into())));
    findings.extend(config.files().iter().filter_map(|file| mode_finding(&file.path)));
    let registry = Registry::new();
    findings.extend(environments(&config, &registry));
    let (trusted, trust) = trust(cx, &config);
    findings.extend(trust);
    if trusted {
        findings.extend(stores(cx, &config, &registry));
    } else {
        findings.push(Finding::new(
            Outcome::NotChecked,
            "stores",
            "they were not asked: the configuration is not trusted",
        ));
    }
    findings.extend(credentials(cx, &config));
    findings.extend(cache::findings(cx, &config));
    findings.extend(clock(&config));
    findings.extend(git::findings(config.base_dir(), &key_files(cx, &config)));
    findings
}

fn environments(config: &Config, registry: &Registry) -> Vec<Finding> {
    let mut findings = Vec::new();
    for name in config.environments() {
        let subject = format!("environment {name}");
        match plan(config, name, registry) {
            Ok(plan) => findings.push(Finding::ok(
                subject,
                format!("can be planned: {}", ui::plural(plan.variables.len(), "variable")),
            )),
            Err(errors) => findings.extend(
                errors
                    .into_iter()
                    .map(|problem| Finding::from_report(subject.clone(), problem.into())),
            ),
        }
    }
    findings
}

/// What the configuration could do that needs trust, and whether its stores may be asked.
fn trust(cx: &Context, config: &Config) -> (bool, Vec<Finding>) {
    let powers = all_powers(config);
    if powers.is_empty() {
        return (true, Vec::new());
    }
    if TrustStore::find(&cx.environment).trusts(config) {
        let what: Vec<&str> = powers.iter().map(|power| power.what.as_str()).collect();
        let text = format!("the configuration is trusted; it {}", what.join("; it "));
        return (true, vec![Finding::ok("trust", text)]);
    }
    let untrusted = |power: &Power| {
        Finding::warning("trust", format!("not trusted: it {} ({})", power.what, power.place))
            .help("read the configuration; `dsops trust` allows exactly this content")
    };
    let by_stores = powers.iter().any(concerns_fetching);
    (!by_stores, powers.iter().map(untrusted).collect())
}

/// Asks all stores whose settings are sound, at the same time.
fn stores(cx: &Context, config: &Config, registry: &Registry) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut sound: Vec<&StoreSettings> = Vec::new();
    for settings in config.stores() {
        // The plan of an environment tells the rest; here one problem says that it cannot be asked.
        match registry.validate(settings).into_iter().next() {
            Some(problem) => findings
                .push(Finding::from_report(format!("store {}", settings.name()), problem.into())),
            None => sound.push(settings),
        }
    }
    let open = OpenContext::new(config.base_dir(), &cx.environment);
    let health = check_stores(sound, registry, &open, &cx.resolve_options(None));
    findings.extend(health.into_iter().flat_map(of_store));
    findings
}

fn of_store(health: StoreHealth) -> Vec<Finding> {
    let subject = format!("store {}", health.name);
    let mut findings = match health.result {
        Ok(Health::Checked { summary, warnings }) => {
            let warn = |warning| Finding::warning(subject.clone(), warning);
            let ok = Finding::ok(subject.clone(), summary);
            std::iter::once(ok).chain(warnings.into_iter().map(warn)).collect()
        }
        Ok(Health::NotChecked) => vec![Finding::new(
            Outcome::NotChecked,
            subject,
            format!("type {} has no check", health.store_type),
        )],
        Err(error) => vec![Finding::from_report(subject, error.into())],
    };
    findings[0].latency = Some(health.latency);
    findings
}

/// Where credentials of stores come from; never what they are.
fn credentials(cx: &Context, config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    let known: BTreeSet<String> = CREDENTIAL_VARIABLES
        .iter()
        .map(|name| (*name).to_owned())
        .chain(cx.environment.credentials())
        .collect();
    for name in known.into_iter().filter(|name| cx.environment.is_set(name)) {
        findings.push(Finding::ok(
            "credentials",
            format!("{name} is set; programs do not get it unless `exec --keep {name}` says so"),
        ));
    }
    if config.stores().any(embedded::is_embedded)
        && let Ok(keyring) = Keyring::find(&cx.environment)
    {
        let found = keyring.looked().into_iter().filter(|place| !place.ends_with("(not set)"));
        findings.extend(found.map(|place| Finding::ok("identity", place)));
    }
    findings
}

/// The files that hold keys to embedded stores.
fn key_files(cx: &Context, config: &Config) -> Vec<PathBuf> {
    let own = config
        .stores()
        .filter(|settings| embedded::is_embedded(settings))
        .filter_map(|settings| settings.text("age_key_file").ok().flatten())
        .map(|path| config.base_dir().join(path));
    let files: BTreeSet<PathBuf> = own.chain(sops::default_key_file(&cx.environment)).collect();
    files.into_iter().filter(|path| path.is_file()).collect()
}

/// A file from the future says that this clock, or the one that wrote it, is wrong: certificates
/// and tokens then fail in ways that are hard to understand. Nothing else can be said offline.
fn clock(config: &Config) -> Option<Finding> {
    let now = SystemTime::now();
    let stores = config.stores().filter(|settings| embedded::is_embedded(settings));
    let secrets = stores
        .filter_map(|settings| sops::locate_without_keys(settings, config.base_dir()).ok())
        .map(|store| store.path);
    let ahead =
        config.files().iter().map(|file| file.path.clone()).chain(secrets).find_map(|path| {
            let changed = fs::metadata(&path).ok()?.modified().ok()?;
            let ahead = changed.duration_since(now).ok().filter(|by| *by > CLOCK_TOLERANCE)?;
            Some((path, ahead))
        });
    ahead.map(|(path, by)| {
        Finding::warning(
            "clock",
            format!(
                "{} was changed {} from now: the clock here, or the one it was changed by, is wrong",
                path.display(),
                humantime::format_duration(Duration::from_secs(by.as_secs()))
            ),
        )
        .help("compare `date -u` with another machine")
    })
}

/// A configuration that others may change is a way to another store.
#[cfg(unix)]
fn mode_finding(path: &Path) -> Option<Finding> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = fs::metadata(path).ok()?.permissions().mode();
    (mode & 0o022 != 0).then(|| {
        Finding::warning(
            "configuration",
            format!("{} can be changed by others (mode {:03o})", path.display(), mode & 0o777),
        )
        .help(format!("chmod go-w {}", path.display()))
    })
}

/// Who may change a file is in an access control list here, which is not read.
#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "the signature of the other systems")]
fn mode_finding(path: &Path) -> Option<Finding> {
    Some(Finding::new(
        Outcome::NotChecked,
        "configuration",
        format!("who may change {} is not checked on this system", path.display()),
    ))
}
