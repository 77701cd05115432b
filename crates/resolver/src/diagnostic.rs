//! A problem as data: a stable code, a message, a place, a remedy. Whoever talks to people shows it.

use std::fmt::{self, Write as _};
use std::sync::Arc;

/// How much a diagnostic weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Severity {
    /// Nothing goes on with this.
    Error,
    /// It works, but someone should know.
    Warning,
}

/// A place in a file, ready to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file as the user named it.
    pub file: Arc<str>,
    /// Lines, from 1.
    pub line: usize,
    /// Characters in the line, from 1.
    pub column: usize,
    /// Characters to underline, at least 1.
    pub width: usize,
    /// The line, with whatever may be a secret replaced by `*`, if it is not too long to show.
    pub line_text: Option<Box<str>>,
}

impl Place {
    /// The place as compilers show it: file, line and column, the line, and marks under the part
    /// that is meant, which `paint` may colour. Without a final line break.
    pub fn render(&self, paint: impl FnOnce(&str) -> String) -> String {
        let margin = self.line.to_string().len();
        // A file's name may hold anything.
        let mut text = format!("{:margin$}--> {}", "", printable_line(&self.to_string()));
        if let Some(line) = &self.line_text {
            let start = self.column.saturating_sub(1);
            // Tabs stay tabs, so that the marks stand under what they mean.
            let before: String =
                line.chars().take(start).map(|c| if c == '\t' { c } else { ' ' }).collect();
            let rest = line.chars().count().saturating_sub(start);
            let marks = paint(&"^".repeat(self.width.clamp(1, rest.max(1))));
            let (number, shown) = (self.line, printable_line(line));
            let _ = write!(
                text,
                "\n{0:margin$} |\n{number} | {shown}\n{0:margin$} | {before}{marks}",
                ""
            );
        }
        text
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// One problem with the configuration or a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Diagnostic {
    /// How much it weighs.
    pub severity: Severity,
    /// One of [`codes`]: stable, for scripts and searches.
    pub code: &'static str,
    /// What is wrong. Never holds a value that may be a secret.
    pub message: String,
    /// Where. Boxed: a diagnostic travels in `Result`s.
    pub place: Option<Box<Place>>,
    /// What to do about it.
    pub help: Option<String>,
}

impl Diagnostic {
    /// A problem that stops the work.
    pub fn error(code: &'static str, message: impl Into<String>) -> Self {
        let message = printable(message.into());
        Self { severity: Severity::Error, code, message, place: None, help: None }
    }

    /// A problem that does not.
    pub fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, message) }
    }

    /// Says where.
    #[must_use]
    pub fn at(mut self, place: Place) -> Self {
        self.place = Some(Box::new(place));
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(printable(help.into()));
        self
    }

    /// The whole diagnostic as plain text, without a final line break.
    ///
    /// ```
    /// use dsops_resolver::Config;
    ///
    /// let errors = Config::parse("dsops.yaml", "version: 1\nenvz: {}\n").unwrap_err();
    /// assert_eq!(
    ///     errors.diagnostics()[0].render(),
    ///     "error[config/unknown-key]: unknown key `envz`\n\
    ///      \x20--> dsops.yaml:2:1\n\
    ///      \x20 |\n\
    ///      2 | envz: {}\n\
    ///      \x20 | ^^^^\n\
    ///      \x20 = help: did you mean `envs`?"
    /// );
    /// ```
    pub fn render(&self) -> String {
        let word = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let mut text = format!("{word}[{}]: {}", self.code, self.message);
        let margin = self.place.as_ref().map_or(1, |place| place.line.to_string().len());
        if let Some(place) = &self.place {
            let _ = write!(text, "\n{}", place.render(str::to_owned));
        }
        if let Some(help) = &self.help {
            let _ = write!(text, "\n{:margin$} = help: {help}", "");
        }
        text
    }
}

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $name:ident = $code:literal;)+) => {
        /// Every code a diagnostic or a [`StoreError`](crate::StoreError) can have.
        ///
        /// A code never changes its meaning; new ones may come.
        pub mod codes {
            $($(#[doc = $doc])+ pub const $name: &str = $code;)+

            /// All codes with what they mean, sorted as above.
            pub const ALL: &[(&str, &str)] = &[$(($code, concat!($($doc),+))),+];
        }
    };
}

codes! {
    /// The configuration file is not there.
    NOT_FOUND = "config/not-found";
    /// The configuration file cannot be read.
    IO = "config/io";
    /// The configuration file is larger than the limit.
    TOO_LARGE = "config/too-large";
    /// The configuration file is not UTF-8.
    NOT_UTF8 = "config/not-utf8";
    /// The configuration file is not YAML we accept.
    SYNTAX = "config/syntax";
    /// A `version` that is not known.
    VERSION = "config/version";
    /// A key that means nothing where it stands.
    UNKNOWN_KEY = "config/unknown-key";
    /// A key that has to be there is not.
    MISSING_KEY = "config/missing-key";
    /// A value of the wrong kind.
    WRONG_TYPE = "config/wrong-type";
    /// A name that cannot be used.
    BAD_NAME = "config/bad-name";
    /// A store defined in `secretStores` and in `providers`.
    STORE_CLASH = "config/store-clash";
    /// A variable with no source, or with more than one.
    SOURCE = "config/source";
    /// A reference that cannot be read.
    REFERENCE = "config/reference";
    /// A reference to a service, which names no secret.
    SERVICE_REFERENCE = "config/service-reference";
    /// An environment variable of `${…}` that cannot be put in.
    EXPANSION = "config/expansion";
    /// An `include` that cannot be followed.
    INCLUDE = "config/include";
    /// An `extends` that cannot be followed.
    EXTENDS = "config/extends";
    /// A transform that is not known or cannot be read.
    TRANSFORM = "config/transform";
    /// A scope that is not defined, or cannot be followed.
    SCOPE = "config/scope";
    /// A merge (`<<`) that is not of mappings.
    MERGE = "config/merge";
    /// A section that loads but that nothing acts upon.
    NOT_ACTED_UPON = "config/not-acted-upon";
    /// A value in clear that looks like a credential.
    PLAINTEXT = "config/plaintext";
    /// A `cache` that cannot be as it is, or of a store that gains nothing by it.
    CACHE = "config/cache";
    /// Something of an older form that a migration leaves as it is.
    OLDER_FORM = "config/older-form";
    /// A file outside the folder of the configuration.
    POWER_INCLUDE = "power/include";
    /// A template that reads or writes outside the folder of the configuration.
    POWER_TEMPLATE = "power/template";
    /// A variable by which programs run code or load files.
    POWER_VARIABLE = "power/variable";
    /// A variable of the environment that is given to a store.
    POWER_EXPANSION = "power/expansion";
    /// An environment that is not defined, or none where one is needed.
    UNKNOWN_ENVIRONMENT = "plan/unknown-environment";
    /// A name or pattern that selects no variable.
    SELECTION = "plan/selection";
    /// A store that is not defined.
    UNKNOWN_STORE = "plan/unknown-store";
    /// A store type that no one knows.
    UNKNOWN_STORE_TYPE = "plan/unknown-store-type";
    /// A setting of a store that is wrong.
    STORE_SETTING = "plan/store-setting";
    /// An item that its store cannot address in this way.
    ADDRESS = "plan/address";
    /// The store has no such item.
    STORE_NOT_FOUND = "store/not-found";
    /// The store is locked.
    STORE_LOCKED = "store/locked";
    /// The store refuses.
    STORE_DENIED = "store/denied";
    /// The store does not answer.
    STORE_UNAVAILABLE = "store/unavailable";
    /// The store was asked too often.
    STORE_THROTTLED = "store/throttled";
    /// The store did not answer in time.
    STORE_TIMEOUT = "store/timeout";
    /// What the store holds cannot be read.
    STORE_MALFORMED = "store/malformed";
    /// What the store holds was changed by someone who may not.
    STORE_TAMPERED = "store/tampered";
    /// A file of the store cannot be read.
    STORE_IO = "store/io";
    /// A setting of the store turned out wrong when it was opened.
    STORE_SETTING_AT_OPEN = "store/setting";
    /// The store cannot do what was asked.
    STORE_UNSUPPORTED = "store/unsupported";
    /// Nothing that may be used is in the cache, and the store may not be asked.
    STORE_NOT_CACHED = "store/not-cached";
    /// There is no protected memory for a value.
    STORE_MEMORY = "store/memory";
    /// The store broke its contract or panicked.
    STORE_BUG = "store/bug";
    /// A transform could not be applied to a value.
    VALUE_TRANSFORM = "value/transform";
}

/// The candidate most like `wanted`, if any is like it enough to be what was meant.
///
/// ```
/// use dsops_resolver::suggest;
/// assert_eq!(suggest("DB_ULR", ["DB_URL", "PORT"]), Some("DB_URL"));
/// assert_eq!(suggest("x", ["DB_URL", "PORT"]), None);
/// ```
pub fn suggest<'a>(wanted: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Jaro-Winkler rewards a common start, as slips have; below this it is guessing.
    const ENOUGH: f64 = 0.82;
    let folded = wanted.to_lowercase();
    let mut best: Option<(f64, &str)> = None;
    for candidate in candidates {
        let other = candidate.to_lowercase();
        // Swapped letters in a short word, as `kye`.
        let edits = strsim::osa_distance(&folded, &other);
        let slip = edits <= folded.chars().count().max(other.chars().count()) / 3;
        let mut likeness = strsim::jaro_winkler(&folded, &other);
        if slip {
            likeness =
                likeness.max(strsim::normalized_damerau_levenshtein(&folded, &other) + ENOUGH);
        }
        if likeness >= ENOUGH && best.is_none_or(|(most, _)| likeness > most) {
            best = Some((likeness, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// A line of a file as it may be shown: as [`printable`], but tabs stay.
fn printable_line(line: &str) -> String {
    line.split('\t').map(|part| printable(part.to_owned())).collect::<Vec<_>>().join("\t")
}

/// Names come from files; they must not drive a terminal.
fn printable(text: String) -> String {
    if !text.contains(char::is_control) {
        return text;
    }
    text.chars()
        .map(|c| if c.is_control() { c.escape_default().to_string() } else { c.to_string() })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn codes_are_unique_and_described() {
        let unique: BTreeSet<_> = codes::ALL.iter().map(|(code, _)| code).collect();
        assert_eq!(unique.len(), codes::ALL.len());
        for (code, meaning) in codes::ALL {
            assert!(code.split('/').count() == 2, "{code}");
            assert!(
                code.bytes().all(|b| b.is_ascii_lowercase()
                    || b.is_ascii_digit()
                    || matches!(b, b'/' | b'-')),
                "{code}"
            );
            assert!(meaning.trim().ends_with('.'), "{code}: {meaning}");
        }
    }

    #[test]
    fn marks_stand_under_what_they_mean() {
        let place = Place {
            file: "f.yaml".into(),
            line: 12,
            column: 4,
            width: 2,
            line_text: Some("\té xy".into()),
        };
        let text = Diagnostic::warning(codes::MERGE, "odd").at(place).help("do so").render();
        assert_eq!(
            text,
            "warning[config/merge]: odd\n  --> f.yaml:12:4\n   |\n12 | \té xy\n   | \t  ^^\n   = help: do so"
        );
    }

    #[test]
    fn a_likely_name_is_suggested() {
        assert_eq!(suggest("trasnform", ["transform", "from"]), Some("transform"));
        assert_eq!(suggest("secretstores", ["secretStores", "services"]), Some("secretStores"));
        assert_eq!(suggest("prd", ["prod", "dev"]), Some("prod"));
        assert_eq!(suggest("kye", ["store", "key"]), Some("key"));
        assert_eq!(suggest("vlaues", ["value", "values"]), Some("values"));
        assert_eq!(suggest("ab", ["xy"]), None);
        assert_eq!(suggest("prod", ["staging", "dev"]), None);
        assert_eq!(suggest("", ["a"]), None);
    }
}
