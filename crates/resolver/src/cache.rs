//! Keeping what a store answered between runs: the settings of `cache:`, and what a cache has to do.
//!
//! This crate decides when an answer may come from a cache; where and how it is kept is the business
//! of whoever implements [`SecretCache`].

use std::path::Path;
use std::time::{Duration, SystemTime};

use dsops_secure_mem::SecretBytes;

use crate::diagnostic::{Diagnostic, Place, codes};
use crate::format::{self, CACHE};
use crate::settings::StoreSettings;
use crate::source::Source;
use crate::store::Item;
use crate::yaml::{Node, Scalar};

/// No answer is kept for longer.
pub const LONGEST_CACHED: Duration = Duration::from_hours(30 * 24);

/// What `cache:` of a store says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheSettings {
    /// So long an answer is used without asking the store.
    pub ttl: Duration,
    /// An answer that is older is never used.
    pub max_ttl: Duration,
    /// So much longer than `ttl` an answer is used when the store does not answer.
    pub stale_if_error: Duration,
    /// Whether answers may be used when the user asks that no store be opened.
    pub offline: bool,
    /// Where it stands.
    pub place: Place,
}

impl CacheSettings {
    /// How old an answer may be when the store fails.
    pub fn stale(&self) -> Duration {
        self.ttl.saturating_add(self.stale_if_error).min(self.max_ttl)
    }

    /// Reads the value of `cache`.
    pub(crate) fn read(node: &Node, source: &Source) -> Result<Self, Vec<Diagnostic>> {
        let place = source.place(node.span);
        let mut problems = Vec::new();
        let Some(entries) = node.as_mapping() else {
            let message = format!("`cache` has to be a mapping, but is {}", node.kind());
            let problem = Diagnostic::error(codes::WRONG_TYPE, message).at(place);
            return Err(vec![problem.help("write `cache: { ttl: 15m }`")]);
        };
        let (mut ttl, mut max_ttl, mut stale_if_error) = (None, None, None);
        let mut offline = true;
        for (key, value) in entries {
            let mut time = |name, least| {
                duration(name, value, least, source).map_err(|problem| problems.push(problem)).ok()
            };
            match key.as_str().unwrap_or_default() {
                "ttl" => ttl = time("ttl", Duration::from_secs(1)),
                "max_ttl" => max_ttl = time("max_ttl", Duration::from_secs(1)),
                "stale_if_error" => stale_if_error = time("stale_if_error", Duration::ZERO),
                "offline" => match value.as_str() {
                    Some("allow") => offline = true,
                    Some("deny") => offline = false,
                    _ => problems.push(
                        Diagnostic::error(
                            codes::WRONG_TYPE,
                            "`offline` has to be `allow` or `deny`",
                        )
                        .at(source.place(value.span)),
                    ),
                },
                unknown => {
                    let message = format!("`cache` has no setting `{unknown}`");
                    let problem = Diagnostic::error(codes::UNKNOWN_KEY, message);
                    problems.push(
                        problem
                            .at(source.place(key.span))
                            .help(format::unknown_help(unknown, CACHE)),
                    );
                }
            }
        }
        let has = |name| entries.iter().any(|(key, _)| key.as_str() == Some(name));
        if !has("ttl") {
            let problem = Diagnostic::error(codes::MISSING_KEY, "`cache` has no `ttl`");
            problems.push(problem.at(place.clone()).help(
                "it says how long an answer is used without asking the store, as `ttl: 15m`",
            ));
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let ttl = ttl.expect("without one there is a problem");
        let stale_if_error: Duration = stale_if_error.unwrap_or_default();
        let wanted = ttl.saturating_add(stale_if_error);
        if max_ttl.is_some_and(|most| most < wanted) {
            let message = "`max_ttl` is less than `ttl` and `stale_if_error` together";
            let problem = Diagnostic::error(codes::CACHE, message).at(place);
            return Err(vec![problem.help("no answer is used that is older than `max_ttl`")]);
        }
        if wanted > LONGEST_CACHED {
            let message = "`ttl` and `stale_if_error` together are more than 30 days";
            return Err(vec![Diagnostic::error(codes::CACHE, message).at(place)]);
        }
        let max_ttl = max_ttl.unwrap_or(wanted);
        Ok(Self { ttl, max_ttl, stale_if_error, offline, place })
    }
}

/// A time as people write it, or a number of seconds.
pub(crate) fn time(node: &Node) -> Option<Duration> {
    match node.scalar()? {
        Scalar::Int(secs) => u64::try_from(secs).ok().map(Duration::from_secs),
        Scalar::Str(text) => humantime::parse_duration(text).ok(),
        _ => None,
    }
}

/// The time of a setting, within its bounds.
fn duration(
    name: &str,
    node: &Node,
    least: Duration,
    source: &Source,
) -> Result<Duration, Diagnostic> {
    let error = |code, message| Err(Diagnostic::error(code, message).at(source.place(node.span)));
    match time(node) {
        None => {
            let message = format!("`{name}` has to be a time, as `15m` or `2h 30m`");
            error(codes::WRONG_TYPE, message)
        }
        Some(time) if time < least => {
            error(codes::CACHE, format!("`{name}` has to be at least a second"))
        }
        Some(time) if time > LONGEST_CACHED => {
            error(codes::CACHE, format!("`{name}` is more than 30 days"))
        }
        Some(time) => Ok(time),
    }
}

/// Whether keeping what a store answers makes sense.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Caching {
    /// It does.
    #[default]
    Useful,
    /// It works, and has a price that the user should know: a sentence that says which.
    Doubtful(&'static str),
    /// It does not: `cache:` is an error then. A sentence that says why.
    Refused(&'static str),
}

/// What decides, beside the settings of a store, what it answers and to whom: the state of a file,
/// the credential it is asked with. An answer is only used again under the same identity.
#[derive(Debug, Default)]
pub struct Identity {
    parts: Vec<(&'static str, SecretBytes)>,
}

impl Identity {
    /// The settings alone decide.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with one more part. The label says what it is.
    ///
    /// # Errors
    /// There is no protected memory.
    pub fn with(
        mut self,
        label: &'static str,
        value: impl AsRef<[u8]>,
    ) -> Result<Self, dsops_secure_mem::Error> {
        self.parts.push((label, SecretBytes::copy_from(value.as_ref())?));
        Ok(self)
    }

    /// Whether it is the same, as far as can be told.
    pub(crate) fn is(&self, other: &Self) -> bool {
        let same = |((label, value), (other_label, other)): (_, _)| {
            let (value, other): (&SecretBytes, &SecretBytes) = (value, other);
            let values = value.try_expose().and_then(|value| Ok((value, other.try_expose()?)));
            let (label, other_label): (&str, &str) = (label, other_label);
            label == other_label && values.is_ok_and(|(value, other)| *value == *other)
        };
        self.parts.len() == other.parts.len() && self.parts().zip(other.parts()).all(same)
    }

    /// The parts, in order.
    pub fn parts(&self) -> impl ExactSizeIterator<Item = (&'static str, &SecretBytes)> {
        self.parts.iter().map(|(label, value)| (*label, value))
    }
}

/// Whose answers are looked for or kept. Everything in it tells answers apart.
#[derive(Debug)]
#[non_exhaustive]
pub struct CacheScope<'a> {
    /// The store: its name, type and options.
    pub settings: &'a StoreSettings,
    /// The folder that relative paths in the settings start from.
    pub base_dir: &'a Path,
    /// What else decides.
    pub identity: Identity,
}

impl<'a> CacheScope<'a> {
    /// The answers of a store under an identity.
    pub fn new(settings: &'a StoreSettings, base_dir: &'a Path, identity: Identity) -> Self {
        Self { settings, base_dir, identity }
    }
}

/// Keeps what stores answered, between runs.
///
/// A cache never fails: what it cannot find is missing, what it cannot keep is not kept. It tells
/// its user of that by means of its own.
///
/// # Security
/// Answers under another scope or of another item must never be given. Values stay in protected
/// memory; what is written elsewhere is encrypted and authenticated.
pub trait SecretCache: Sync {
    /// The values of items that were kept no longer ago than `oldest`: one for each, in order.
    fn get(
        &self,
        scope: &CacheScope<'_>,
        items: &[Item],
        oldest: Duration,
    ) -> Vec<Option<SecretBytes>>;

    /// When the values that [`SecretCache::get`] would give were kept, without looking at them: one
    /// for each item, in order.
    fn kept_at(
        &self,
        scope: &CacheScope<'_>,
        items: &[Item],
        oldest: Duration,
    ) -> Vec<Option<SystemTime>>;

    /// Keeps values, for no longer than `longest`.
    fn keep(&self, scope: &CacheScope<'_>, values: &[(&Item, &SecretBytes)], longest: Duration);

    /// Gives up the values of items.
    fn forget(&self, scope: &CacheScope<'_>, items: &[&Item]);
}

/// How a cache is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CacheUse {
    /// An answer that is fresh is used; otherwise the store is asked.
    #[default]
    Normal,
    /// Every store is asked, and what it says is kept.
    Refresh,
    /// No store is opened but those that answer from memory.
    Offline,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(cache: &str) -> Result<CacheSettings, String> {
        let text = format!("type: t\ncache: {cache}\n");
        let settings = StoreSettings::parse("s", &text);
        settings.map(|settings| settings.cache().expect("is there").clone()).map_err(|problem| {
            let at = problem.place.expect("has a place");
            format!("{}:{} {}", at.line, at.column, problem.message)
        })
    }

    #[test]
    fn what_is_not_said_follows_from_the_ttl() {
        let minutes = Duration::from_mins;
        let settings = read("{ ttl: 15m }").unwrap();
        assert_eq!((settings.ttl, settings.max_ttl), (minutes(15), minutes(15)));
        assert_eq!((settings.stale_if_error, settings.offline), (Duration::ZERO, true));
        let settings = read("{ ttl: 900, stale_if_error: 1h, offline: deny }").unwrap();
        assert_eq!((settings.ttl, settings.max_ttl), (minutes(15), minutes(75)));
        assert_eq!((settings.stale(), settings.offline), (minutes(75), false));
        let settings = read("{ ttl: 1m, max_ttl: 3 days }").unwrap();
        assert_eq!((settings.stale(), settings.max_ttl), (minutes(1), minutes(3 * 24 * 60)));
    }

    #[test]
    fn what_cannot_be_is_said_with_its_place() {
        for (text, problem) in [
            ("15m", "2:8 `cache` has to be a mapping, but is text"),
            ("{}", "2:8 `cache` has no `ttl`"),
            ("{ ttl: soon }", "2:15 `ttl` has to be a time, as `15m` or `2h 30m`"),
            ("{ ttl: -1 }", "2:15 `ttl` has to be a time, as `15m` or `2h 30m`"),
            ("{ ttl: 0 }", "2:15 `ttl` has to be at least a second"),
            ("{ ttl: 31days }", "2:15 `ttl` is more than 30 days"),
            ("{ ttl: 1h, tll: 2h }", "2:19 `cache` has no setting `tll`"),
            ("{ ttl: 1h, offline: yes }", "2:28 `offline` has to be `allow` or `deny`"),
            (
                "{ ttl: 1h, stale_if_error: 1h, max_ttl: 90m }",
                "2:8 `max_ttl` is less than `ttl` and `stale_if_error` together",
            ),
            (
                "{ ttl: 20days, stale_if_error: 20days }",
                "2:8 `ttl` and `stale_if_error` together are more than 30 days",
            ),
        ] {
            assert_eq!(read(text).unwrap_err(), problem, "{text}");
        }
    }
}
