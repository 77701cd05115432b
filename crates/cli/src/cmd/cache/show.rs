//! `dsops cache path`, `stats` and `verify`: what is there.

use std::fmt::Write as _;

use dsops_integrity_cache::{Cache, Event};
use dsops_stores::cache::{Places, Record, open_existing, read_events};
use serde_json::{Value, json};

use super::failed;
use crate::cached;
use crate::context::Context;
use crate::exit::Exit;
use crate::report::Failure;
use crate::ui;

/// The version of the JSON forms.
const JSON_VERSION: u32 = 1;

/// Where it is.
///
/// # Errors
/// Stdout cannot be written.
pub fn path(cx: &Context, places: &Places) -> Result<Exit, Failure> {
    let text = if cx.ui.json {
        format!("{:#}\n", base(places))
    } else {
        // For scripts: the one line that they want.
        format!("{}\n", places.cache_dir.display())
    };
    cx.ui.note(format!("its key is {}", places.key_file().display()));
    ui::print(text.as_bytes())?;
    Ok(Exit::Ok)
}

/// How much is in it.
///
/// # Errors
/// It cannot be used.
pub fn stats(cx: &Context, places: &Places) -> Result<Exit, Failure> {
    let Some(cache) = existing(cx, places)? else { return Ok(Exit::Ok) };
    let stats = cache.stats().map_err(|error| failed(&error.into()))?;
    let events = read_events(&places.events_file());
    let text = if cx.ui.json {
        let mut value = base(places);
        value["exists"] = true.into();
        value["entries"] = stats.usage.entries.into();
        value["bytes"] = stats.usage.bytes.into();
        value["quarantined"] = stats.quarantined.entries.into();
        value["events"] = events.iter().map(event_as_json).collect();
        format!("{value:#}\n")
    } else {
        let mut text = format!(
            "{}\n  entries      {}, {}\n  quarantined  {}\n",
            places.cache_dir.display(),
            stats.usage.entries,
            bytes(stats.usage.bytes),
            stats.quarantined.entries,
        );
        for Record { at, code, entry } in &events {
            let at = humantime::format_rfc3339_seconds(*at);
            let _ = writeln!(text, "  noticed      {at} {code} {entry}");
        }
        text
    };
    ui::print(text.as_bytes())?;
    Ok(Exit::Ok)
}

/// Whether all of it is as it was stored.
///
/// # Errors
/// It cannot be used. What is found is in the exit code.
pub fn verify(cx: &Context, places: &Places) -> Result<Exit, Failure> {
    let Some(cache) = existing(cx, places)? else { return Ok(Exit::Ok) };
    let verified = cache.verify(true).map_err(|error| failed(&error.into()))?;
    let exit = if verified.problems.is_empty() { Exit::Ok } else { Exit::Found };
    let text = if cx.ui.json {
        let problems: Vec<Value> = verified
            .problems
            .iter()
            .map(|(entry, reason)| {
                json!({ "entry": entry, "code": reason.code(), "message": reason.to_string() })
            })
            .collect();
        let mut value = base(places);
        value["exists"] = true.into();
        value["sound"] = verified.sound.into();
        value["expired"] = verified.expired.into();
        value["problems"] = problems.into();
        format!("{value:#}\n")
    } else {
        let mut text = String::new();
        for (entry, reason) in &verified.problems {
            let _ = writeln!(text, "{entry}  {reason} ({})", reason.code());
        }
        let _ = writeln!(
            text,
            "{} sound, {} expired, {}",
            verified.sound,
            verified.expired,
            ui::plural(verified.problems.len(), "problem")
        );
        text
    };
    ui::print(text.as_bytes())?;
    Ok(exit)
}

/// The cache; when there is none, that is said and is no fault.
pub fn existing(cx: &Context, places: &Places) -> Result<Option<Cache>, Failure> {
    let ui = cx.ui;
    let cache = open_existing(places, move |event: &Event| cached::tell_event(ui, event));
    let cache = cache.map_err(|error| failed(&error))?;
    if cache.is_none() {
        if cx.ui.json {
            let mut value = base(places);
            value["exists"] = false.into();
            ui::print(format!("{value:#}\n").as_bytes())?;
        } else {
            cx.ui.note(format!("there is no cache yet in {}", places.cache_dir.display()));
        }
    }
    Ok(cache)
}

/// What every JSON form starts with.
pub fn base(places: &Places) -> Value {
    json!({
        "version": JSON_VERSION,
        "cache_dir": places.cache_dir,
        "state_dir": places.state_dir,
        "key_file": places.key_file(),
    })
}

fn event_as_json(record: &Record) -> Value {
    let Record { at, code, entry } = record;
    json!({ "at": humantime::format_rfc3339_seconds(*at).to_string(), "code": code, "entry": entry })
}

/// A size as people read it.
pub fn bytes(count: u64) -> String {
    match count {
        0..=9_999 => ui::plural(usize::try_from(count).unwrap_or(usize::MAX), "byte"),
        10_000..=9_999_999 => format!("{} KiB", count / 1024),
        _ => format!("{} MiB", count / (1024 * 1024)),
    }
}
