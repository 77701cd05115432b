//! Which values of a document are encrypted: by the names on their path, or by comments.

use regex_lite::Regex;

/// The settings that are rules; a document has one of them at most.
pub(super) const NAMES: [&str; 6] = [
    "unencrypted_suffix",
    "encrypted_suffix",
    "unencrypted_regex",
    "encrypted_regex",
    "unencrypted_comment_regex",
    "encrypted_comment_regex",
];
pub(super) const DEFAULT_SUFFIX: &str = "_unencrypted";
/// Longer than any that people write.
const PATTERN_LIMIT_BYTES: usize = 4096;

/// Which values are encrypted.
#[derive(Clone, Debug)]
pub(super) enum Rule {
    /// Those below a key that matches, or all but those.
    Names { matches: Matcher, encrypted: bool },
    /// Comments decide. Those in a document are encrypted themselves, so each value is taken as it
    /// stands: what is not in the form of an encrypted value is in the clear. The MAC covers both.
    Comments,
}

#[derive(Clone, Debug)]
pub(super) enum Matcher {
    Suffix(String),
    Regex(Regex),
}

impl Rule {
    /// The rule of files that have none.
    pub(super) fn standard() -> Self {
        let matches = Matcher::Suffix(DEFAULT_SUFFIX.to_owned());
        Self::Names { matches, encrypted: false }
    }

    /// The rule that a setting stands for; `name` is one of [`NAMES`].
    pub(super) fn of(name: &str, value: &str) -> Result<Self, String> {
        let encrypted = name.starts_with("encrypted");
        if name.ends_with("comment_regex") {
            return Ok(Self::Comments);
        }
        let matches = if name.ends_with("_suffix") {
            Matcher::Suffix(value.to_owned())
        } else {
            Matcher::Regex(regex(value)?)
        };
        Ok(Self::Names { matches, encrypted })
    }

    /// Whether values are encrypted once `part` is on their path, given what held above it.
    /// Without meaning where comments decide.
    pub(super) fn below(&self, above: bool, part: &str) -> bool {
        let Self::Names { matches, encrypted } = self else { return above };
        if above == *encrypted {
            return above;
        }
        let matched = match matches {
            Matcher::Suffix(suffix) => part.ends_with(suffix.as_str()),
            Matcher::Regex(regex) => regex.is_match(part),
        };
        above ^ matched
    }

    /// Whether a value with an empty path would be encrypted.
    pub(super) fn at_top(&self) -> bool {
        matches!(self, Self::Names { encrypted: false, .. })
    }

    pub(super) fn is_by_comment(&self) -> bool {
        matches!(self, Self::Comments)
    }
}

/// Compiles a regular expression in the syntax of Go, as far as it means the same here. What does
/// not is refused: a rule that is misread would leave a value in the clear.
pub(super) fn regex(pattern: &str) -> Result<Regex, String> {
    if pattern.len() > PATTERN_LIMIT_BYTES {
        return Err(format!("the pattern has more than {PATTERN_LIMIT_BYTES} bytes"));
    }
    check_syntax(pattern)?;
    Regex::new(pattern).map_err(|error| error.to_string())
}

/// Refuses what only one of both syntaxes knows, or what they read differently.
fn check_syntax(pattern: &str) -> Result<(), String> {
    const ESCAPES: &str = "dDwWsSbBAzatnrfv.+*?()|[]{}^$\\/-_:,;!\"#%&'<=>@`~ ";
    let unknown = |what: &str| Err(format!("`{what}` is not supported in a regular expression"));
    let mut chars = pattern.chars().peekable();
    let mut class = 0usize;
    let mut previous = ' ';
    let mut repeated = false;
    while let Some(c) = chars.next() {
        let repeats = class == 0 && matches!(c, '*' | '+' | '?' | '{');
        if repeats && repeated {
            return unknown("a repetition of a repetition");
        }
        repeated = repeats;
        match c {
            '{' if class == 0 => {
                // Go takes a brace that is no repetition for itself, blanks in one included.
                let count: String = chars.by_ref().take_while(|c| *c != '}').collect();
                if !count.starts_with(|c: char| c.is_ascii_digit())
                    || !count.bytes().all(|byte| byte.is_ascii_digit() || byte == b',')
                {
                    return unknown(&format!("{{{count}}}"));
                }
                chars.next_if_eq(&'?');
            }
            '*' | '+' | '?' if class == 0 => drop(chars.next_if_eq(&'?')),
            '\\' => match chars.next() {
                Some('x') => {}
                Some('<' | '>') => return unknown("\\<"),
                Some('b' | 'B') if chars.peek() == Some(&'{') => return unknown("\\b{…}"),
                Some(escaped) if ESCAPES.contains(escaped) => {}
                Some(escaped) => return unknown(&format!("\\{escaped}")),
                None => return Err("the pattern ends with a `\\`".to_owned()),
            },
            '[' if class == 0 => {
                class = 1;
                if chars.peek() == Some(&'^') {
                    chars.next();
                }
                // A bracket in the first place is one of the characters.
                if chars.peek() == Some(&']') {
                    return unknown("[]");
                }
            }
            '[' => {
                if chars.peek() != Some(&':') {
                    return unknown("[ inside of […]");
                }
                let name: String = chars.by_ref().take_while(|c| *c != ']').collect();
                if !name.ends_with(':') {
                    return unknown(&format!("[{name}]"));
                }
            }
            ']' if class == 1 => class = 0,
            '&' | '~' | '-' if class == 1 && previous == c && chars.peek() != Some(&']') => {
                return unknown(&format!("{c}{c}"));
            }
            '(' if class == 0 && chars.peek() == Some(&'?') => {
                chars.next();
                let named = chars.peek().is_some_and(|c| matches!(c, 'P' | '<'));
                let mut folds = false;
                while let Some(flag) = chars.next_if(|c| !named && !matches!(c, ':' | ')')) {
                    folds |= flag == 'i';
                    if !matches!(flag, 'i' | 'm' | 's' | 'U' | '-') {
                        return unknown(&format!("(?{flag}"));
                    }
                }
                if folds && (!pattern.is_ascii() || pattern.contains("\\x")) {
                    return Err(
                        "upper and lower case of letters beyond ASCII are not supported".to_owned()
                    );
                }
            }
            _ => {}
        }
        previous = c;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encrypted(name: &str, value: &str, parts: &[&str]) -> bool {
        let rule = Rule::of(name, value).unwrap();
        parts.iter().fold(rule.at_top(), |above, part| rule.below(above, part))
    }

    #[test]
    fn rules_by_suffix() {
        assert!(encrypted("unencrypted_suffix", "_open", &["a"]));
        assert!(!encrypted("unencrypted_suffix", "_open", &["a_open", "b"]));
        assert!(!encrypted("encrypted_suffix", "_secret", &["a"]));
        assert!(encrypted("encrypted_suffix", "_secret", &["a_secret", "b"]));
    }

    #[test]
    fn rules_by_regular_expression() {
        assert!(encrypted("encrypted_regex", "^(data|stringData)$", &["data", "x"]));
        assert!(!encrypted("encrypted_regex", "^(data|stringData)$", &["metadata", "x"]));
        assert!(encrypted("encrypted_regex", "(?i)pass", &["a", "dbPASSword"]));
        assert!(!encrypted("unencrypted_regex", "^kind$", &["kind"]));
        assert!(encrypted("unencrypted_regex", "^kind$", &["kinds"]));
    }

    #[test]
    fn what_go_reads_otherwise_is_refused() {
        for pattern in [
            r"\pL",
            r"\p{Greek}",
            r"\Qa\E",
            r"\u0041",
            r"\<a",
            r"\b{start}",
            "(?x)a",
            "(?R)a",
            "[a[b]]",
            "[a&&b]",
            "[a--b]",
            "(?i)ä",
            "(",
            "a**",
            "a+*?b",
            "a{2}{3}",
            "a{ 2 }",
            "a{,2}",
            "a{x}",
            r"(?i)\xe4",
            "\\",
            "[]a]",
        ] {
            assert!(regex(pattern).is_err(), "{pattern}");
        }
        assert!(regex(&"a".repeat(PATTERN_LIMIT_BYTES + 1)).is_err());
    }

    #[test]
    fn what_people_write_is_understood() {
        for (pattern, yes, no) in [
            ("^(data|stringData)$", "data", "metadata"),
            ("password|.*_key$", "api_key", "api_keys"),
            (r"(?i)^secret_\d{2,4}", "SECRET_12", "secret_1"),
            (r"^[[:alpha:]_]+$", "a_b", "a1"),
            (r"\.enc\.ya?ml$", "x.enc.yml", "xencyml"),
            (r"^(?P<name>a)(?:b)$", "ab", "abc"),
            (r"[a-c-]", "-", "d"),
            (r"\x41", "A", "a"),
            ("^a{2,3}?b+?c*?d??$", "aab", "ab"),
            ("^(a*)*[*+{]$", "aa{", "aa"),
            (r"[^/]+/secrets/", "a/secrets/b", "secrets/b"),
        ] {
            let regex = regex(pattern).unwrap();
            assert!(regex.is_match(yes) && !regex.is_match(no), "{pattern}");
        }
    }
}
