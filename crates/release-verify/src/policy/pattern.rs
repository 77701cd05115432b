//! Text that a policy accepts: exact, by wildcards, or by regular expression; always as a whole.

use std::collections::BTreeSet;
use std::fmt;

use regex_lite::{Regex, RegexBuilder};

/// How long a pattern may be.
const LIMIT_BYTES: usize = 4096;

/// What a policy accepts in one place. It matches whole texts only: nothing may stand before or
/// behind.
///
/// # Examples
/// ```
/// use dsops_release_verify::Pattern;
/// let pattern = Pattern::glob("https://github.com/owner/repo/.github/workflows/*.yml@refs/tags/v*")?;
/// assert!(pattern.matches("https://github.com/owner/repo/.github/workflows/ci.yml@refs/tags/v1.2"));
/// assert!(!pattern.matches("https://github.com/owner/repo/.github/workflows/ci.yml@refs/tags/v1\n"));
/// # Ok::<(), dsops_release_verify::PatternError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Pattern {
    kind: Kind,
    text: String,
}

#[derive(Clone, Debug)]
enum Kind {
    Exact,
    Glob(Vec<Piece>),
    Regex(Regex),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(char),
    /// `?`: one character that is no `/`.
    One,
    /// `*`: any number of characters that are no `/`.
    Some,
    /// `**`: any number of characters.
    Any,
}

/// A pattern that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatternError {
    /// Nothing would match but nothing.
    #[error("the pattern is empty")]
    Empty,
    /// Too long to be meant.
    #[error("the pattern is longer than {LIMIT_BYTES} bytes")]
    TooLong,
    /// It accepts every text, so it checks nothing.
    #[error("the pattern `{0}` accepts anything")]
    AcceptsAnything(String),
    /// What other tools take for a wildcard.
    #[error(
        "the pattern `{0}` has a bracket or a brace: only `*`, `**` and `?` are wildcards here"
    )]
    Wildcard(String),
    /// A `\` at the end of a glob.
    #[error("the pattern `{0}` ends in a backslash")]
    Backslash(String),
    /// Not a regular expression.
    #[error("the regular expression `{pattern}` cannot be read: {problem}")]
    Regex {
        /// It.
        pattern: String,
        /// What is wrong with it.
        problem: String,
    },
}

impl Pattern {
    /// That text and no other.
    ///
    /// # Errors
    /// When it is empty or too long.
    pub fn exact(text: impl Into<String>) -> Result<Self, PatternError> {
        Self::of(text.into(), |_| Ok(Kind::Exact))
    }

    /// Text with wildcards: `*` for anything but `/`, `**` for anything, `?` for one character but
    /// `/`; a backslash takes a wildcard's meaning away. No wildcard stands for a control
    /// character. Brackets and braces, which are wildcards elsewhere, need a backslash.
    ///
    /// # Errors
    /// When it is empty, too long, ends in a backslash, accepts anything, or has a bracket or brace.
    pub fn glob(text: impl Into<String>) -> Result<Self, PatternError> {
        Self::of(text.into(), |text| {
            let mut pieces = Vec::new();
            let mut chars = text.chars();
            while let Some(c) = chars.next() {
                match c {
                    '\\' => pieces.push(Piece::Text(
                        chars.next().ok_or_else(|| PatternError::Backslash(text.to_owned()))?,
                    )),
                    '[' | ']' | '{' | '}' => {
                        return Err(PatternError::Wildcard(text.to_owned()));
                    }
                    '?' => pieces.push(Piece::One),
                    '*' if pieces.last() == Some(&Piece::Some) => {
                        pieces.pop();
                        pieces.push(Piece::Any);
                    }
                    '*' if pieces.last() == Some(&Piece::Any) => {}
                    '*' => pieces.push(Piece::Some),
                    c => pieces.push(Piece::Text(c)),
                }
            }
            if pieces.iter().all(|piece| !matches!(piece, Piece::Text(_))) {
                return Err(PatternError::AcceptsAnything(text.to_owned()));
            }
            Ok(Kind::Glob(pieces))
        })
    }

    /// A regular expression (syntax of the `regex-lite` crate). It has to match the whole text,
    /// with or without `^` and `$` in it. No text with a control character matches.
    ///
    /// # Errors
    /// When it is empty, too long, no regular expression or accepts anything.
    pub fn regex(text: impl Into<String>) -> Result<Self, PatternError> {
        Self::of(text.into(), |text| {
            let build = |pattern: &str| {
                RegexBuilder::new(pattern).size_limit(1 << 20).build().map_err(|error| {
                    PatternError::Regex { pattern: text.to_owned(), problem: error.to_string() }
                })
            };
            // Alone first: what closes a group of its own would escape from the anchors.
            build(text)?;
            let regex = build(&format!(r"\A(?:{text})\z"))?;
            // What accepts these two accepts anything that anyone would call a name.
            if regex.is_match("\u{1}nobody") && regex.is_match("https://example.invalid/*@?") {
                return Err(PatternError::AcceptsAnything(text.to_owned()));
            }
            Ok(Kind::Regex(regex))
        })
    }

    fn of(
        text: String,
        kind: impl FnOnce(&str) -> Result<Kind, PatternError>,
    ) -> Result<Self, PatternError> {
        if text.is_empty() {
            return Err(PatternError::Empty);
        }
        if text.len() > LIMIT_BYTES {
            return Err(PatternError::TooLong);
        }
        Ok(Self { kind: kind(&text)?, text })
    }

    /// Whether all of `text` is accepted.
    pub fn matches(&self, text: &str) -> bool {
        match &self.kind {
            Kind::Exact => self.text == text,
            Kind::Glob(pieces) => glob(pieces, text),
            Kind::Regex(regex) => !text.chars().any(char::is_control) && regex.is_match(text),
        }
    }

    /// Whether `text` is not accepted, and would be if the case of its letters did not count. Not
    /// found out for regular expressions.
    pub(super) fn differs_in_case(&self, text: &str) -> bool {
        let lower = |text: &str| text.to_ascii_lowercase();
        let folded = match &self.kind {
            Kind::Exact => Self::exact(lower(&self.text)),
            Kind::Glob(_) => Self::glob(lower(&self.text)),
            Kind::Regex(_) => return false,
        };
        !self.matches(text) && folded.is_ok_and(|folded| folded.matches(&lower(text)))
    }

    /// Whether every name that `other` is for is one that this is for: by all of it or, with
    /// `by_last`, by what is behind its last `/`. `false` also where that takes too long to find out,
    /// and for regular expressions.
    pub(super) fn covers(&self, other: &Self, by_last: bool) -> bool {
        const STATES: usize = 4096;
        let (Some(own), Some(other)) = (self.pieces(), other.pieces()) else { return false };
        // One character for all that neither names.
        let mut alphabet = BTreeSet::from(['/', '\u{e000}']);
        alphabet.extend(own.iter().chain(&other).filter_map(|piece| match piece {
            Piece::Text(c) => Some(*c),
            _ => None,
        }));
        let first = (start(&other), start(&own), start(&own));
        let mut seen = BTreeSet::from([first.clone()]);
        let mut open = vec![first];
        while let Some((theirs, whole, last)) = open.pop() {
            if theirs[other.len()] && !whole[own.len()] && !(by_last && last[own.len()]) {
                return false;
            }
            for &c in &alphabet {
                let theirs = step(&other, &theirs, c);
                if !theirs.contains(&true) {
                    continue;
                }
                let last = if c == '/' { start(&own) } else { step(&own, &last, c) };
                let state = (theirs, step(&own, &whole, c), last);
                if seen.insert(state.clone()) {
                    open.push(state);
                }
            }
            if seen.len() > STATES {
                return false;
            }
        }
        true
    }

    fn pieces(&self) -> Option<Vec<Piece>> {
        match &self.kind {
            Kind::Exact => Some(self.text.chars().map(Piece::Text).collect()),
            Kind::Glob(pieces) => Some(pieces.clone()),
            Kind::Regex(_) => None,
        }
    }

    /// The text before the first wildcard; `None` when there is none, and for regular expressions.
    pub(super) fn fixed_start(&self) -> Option<String> {
        let Kind::Glob(pieces) = &self.kind else { return None };
        let fixed = pieces.iter().map_while(|piece| match piece {
            Piece::Text(c) => Some(*c),
            _ => None,
        });
        let start: String = fixed.collect();
        (start.chars().count() < pieces.len()).then_some(start)
    }

    /// Whether it is a regular expression.
    pub(super) fn is_regex(&self) -> bool {
        matches!(self.kind, Kind::Regex(_))
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// Two patterns are the same when they are of the same kind and were written the same.
impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        std::mem::discriminant(&self.kind) == std::mem::discriminant(&other.kind)
            && self.text == other.text
    }
}

impl Eq for Pattern {}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Kind::Exact => f.write_str(&self.text),
            Kind::Glob(_) => write!(f, "{} (wildcards)", self.text),
            Kind::Regex(_) => write!(f, "{} (regular expression)", self.text),
        }
    }
}

/// Matches by keeping the set of pieces that may come next: linear in the text for each piece,
/// whatever the wildcards.
fn glob(pieces: &[Piece], text: &str) -> bool {
    let mut next = start(pieces);
    for c in text.chars() {
        next = step(pieces, &next, c);
    }
    next[pieces.len()]
}

/// Which pieces may come first; one more for the end.
fn start(pieces: &[Piece]) -> Vec<bool> {
    let mut next = vec![false; pieces.len() + 1];
    next[0] = true;
    skip(pieces, &mut next);
    next
}

/// Which pieces may come behind `c`.
fn step(pieces: &[Piece], next: &[bool], c: char) -> Vec<bool> {
    let mut after = vec![false; pieces.len() + 1];
    for (index, piece) in pieces.iter().enumerate().filter(|(index, _)| next[*index]) {
        match piece {
            Piece::Text(own) => after[index + 1] |= *own == c,
            Piece::One => after[index + 1] |= c != '/' && !c.is_control(),
            Piece::Some => after[index] |= c != '/' && !c.is_control(),
            Piece::Any => after[index] |= !c.is_control(),
        }
    }
    skip(pieces, &mut after);
    after
}

/// Some wildcards may stand for nothing.
fn skip(pieces: &[Piece], next: &mut [bool]) {
    for (index, piece) in pieces.iter().enumerate() {
        if next[index] && matches!(piece, Piece::Some | Piece::Any) {
            next[index + 1] = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORKFLOW: &str =
        "https://github.com/owner/repo/.github/workflows/release.yml@refs/tags/v1";

    #[test]
    fn look_alikes_do_not_match() {
        let patterns = [
            Pattern::exact(WORKFLOW).unwrap(),
            Pattern::glob("https://github.com/owner/repo/.github/workflows/*@refs/tags/*").unwrap(),
            Pattern::regex(r"https://github\.com/owner/repo/.*@refs/tags/v\d").unwrap(),
            Pattern::regex(r"^https://github\.com/owner/repo/.*@refs/tags/v\d$").unwrap(),
            Pattern::regex(
                r"https://github\.com/owner/repo/a|https://github\.com/owner/repo/[^a].*",
            )
            .unwrap(),
        ];
        for pattern in &patterns {
            assert!(pattern.matches(WORKFLOW), "{pattern}");
            for other in [
                WORKFLOW.to_uppercase(),
                format!("{WORKFLOW}\n"),
                format!(" {WORKFLOW}"),
                format!("x{WORKFLOW}"),
                WORKFLOW.replace("github.com", "github.com.evil"),
                WORKFLOW.replace("github.com", "githubxcom"),
                WORKFLOW.replace("owner/", "owner-evil/"),
                WORKFLOW.replace("repo/", "repo2/"),
                WORKFLOW.replace("owner/repo", "Owner/repo"),
                WORKFLOW.replace("https", "http"),
                String::new(),
            ] {
                assert!(!pattern.matches(&other), "{pattern}: {other:?}");
            }
        }
    }

    #[test]
    fn wildcards() {
        let glob = |pattern: &str, text: &str| Pattern::glob(pattern).unwrap().matches(text);
        assert!(glob("a*c", "abbc") && glob("a*c", "ac") && !glob("a*c", "a/c"));
        assert!(glob("a**c", "a/b/c") && glob("a**c", "ac") && !glob("a**c", "a/b/cd"));
        assert!(glob("a?c", "aäc") && !glob("a?c", "a/c") && !glob("a?c", "ac"));
        assert!(glob(r"a\*c", "a*c") && !glob(r"a\*c", "abc"));
        assert!(!glob("a*", "a\nb") && !glob("a**", "a\0"));
        assert!(glob("*a*a*a*a*a*a*a*b", &format!("{}b", "a".repeat(2000))));
        assert!(!glob("*a*a*a*a*a*a*a*b", &"a".repeat(2000)));
    }

    #[test]
    fn patterns_that_check_nothing() {
        for all in ["*", "**", "***", "?", "*?*"] {
            assert!(matches!(Pattern::glob(all), Err(PatternError::AcceptsAnything(_))), "{all}");
        }
        for all in [".*", "^.*$", ".+", "(?s).*", "a|.*", ""] {
            assert!(Pattern::regex(all).is_err(), "{all}");
        }
        assert_eq!(Pattern::exact("").unwrap_err(), PatternError::Empty);
        assert!(matches!(Pattern::glob("a\\"), Err(PatternError::Backslash(_))));
    }

    #[test]
    fn groups_do_not_escape_from_the_anchors() {
        for escape in ["a)|(?:b", "a)|.*(", "(?x) a #"] {
            assert!(Pattern::regex(escape).is_err(), "{escape}");
        }
        assert!(!Pattern::regex("a|b").unwrap().matches("ab"));
        assert!(!Pattern::regex("(?m)^a$").unwrap().matches("b\na"));
        for text in ["ab\rc", "ab\u{9b}c", "ab\n"] {
            assert!(!Pattern::regex("(?s)a.*").unwrap().matches(text), "{text:?}");
        }
    }

    #[test]
    fn wildcards_of_other_tools_are_none() {
        for bad in ["*.{tar.gz,zip}", "app-[0-9]", "a]", "}"] {
            assert!(matches!(Pattern::glob(bad), Err(PatternError::Wildcard(_))), "{bad}");
        }
        assert!(Pattern::glob(r"a\[1\]*").unwrap().matches("a[1].zip"));
    }

    #[test]
    fn names_that_differ_in_case_only() {
        let glob = Pattern::glob("https://github.com/Octo/*").unwrap();
        assert!(glob.differs_in_case("https://github.com/octo/x"));
        assert!(!glob.differs_in_case("https://github.com/Octo/x"));
        assert!(!glob.differs_in_case("https://github.com/octo2/x"));
        assert!(Pattern::exact("A").unwrap().differs_in_case("a"));
    }

    #[test]
    fn what_one_pattern_leaves_for_another() {
        let covers = |one: &str, other: &str| {
            Pattern::glob(one).unwrap().covers(&Pattern::glob(other).unwrap(), true)
        };
        for (one, other) in [
            ("*.gz", "*.tar.gz"),
            ("*.gz", "demo.gz"),
            ("*.gz", "dist/*.gz"),
            ("*.gz", "**.gz"),
            ("**.gz", "*.gz"),
            ("a*c", "abc"),
            ("dist/**", "dist/bin/*"),
            ("a*b*", "a*b"),
        ] {
            assert!(covers(one, other), "{one} {other}");
        }
        for (one, other) in [
            ("*.tar.gz", "*.gz"),
            ("dist/*.gz", "*.gz"),
            ("a?c", "ac"),
            ("a?c", "a*c"),
            ("*a", "*b"),
            ("dist/*", "dist/bin/*"),
        ] {
            assert!(!covers(one, other), "{one} {other}");
        }
        let regex = Pattern::regex("a.*").unwrap();
        assert!(!regex.covers(&Pattern::exact("a").unwrap(), true));
        let (file, image) = (Pattern::glob("app"), Pattern::glob("ghcr.io/octo/app").unwrap());
        assert!(!file.unwrap().covers(&image, false));
    }
}
