//! `allowed_signers`: who may sign with which SSH key, for what, and when (ssh-keygen(1)).

use std::time::{Duration, SystemTime};

use super::{SshKey, SshSignature};
use crate::evidence::EvidenceError;

/// The keys that may sign, as `ssh-keygen -Y verify -f` reads them.
///
/// Lines of certificate authorities are skipped: certificates are not read here. Times without a
/// `Z` at their end are taken as UTC, so that a verdict does not depend on the time zone.
///
/// # Examples
/// ```
/// use dsops_release_verify::evidence::AllowedSigners;
/// let signers = AllowedSigners::parse(
///     "release@example.org namespaces=\"file\" \
///      ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBm/RAlphM3+hUG6wWfcO5bIUIaqMLa2ywxcOK1wMWbh\n",
/// )?;
/// assert_eq!(signers.len(), 1);
/// # Ok::<(), dsops_release_verify::evidence::EvidenceError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedSigners {
    lines: Vec<Line>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    principals: String,
    namespaces: Option<String>,
    after: Option<SystemTime>,
    before: Option<SystemTime>,
    key: SshKey,
}

impl AllowedSigners {
    /// How large such a file may be.
    pub const LIMIT_BYTES: usize = 1024 * 1024;

    /// Reads a file.
    ///
    /// # Errors
    /// [`EvidenceError`] for a line that is not in order, and when no line is left.
    pub fn parse(text: &str) -> Result<Self, EvidenceError> {
        if text.len() > Self::LIMIT_BYTES {
            return Err(EvidenceError::TooLarge {
                what: "the list of allowed signers",
                limit_bytes: Self::LIMIT_BYTES,
            });
        }
        let mut lines = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let problem = |problem| EvidenceError::Line { line: index + 1, problem };
            lines.extend(Line::parse(line).map_err(problem)?);
        }
        if lines.is_empty() {
            return Err(EvidenceError::malformed("a list of allowed signers", "it names no key"));
        }
        Ok(Self { lines })
    }

    /// A list of that one key, for every name and namespace.
    pub fn of_key(key: SshKey) -> Self {
        let principals = "*".to_owned();
        Self { lines: vec![Line { principals, namespaces: None, after: None, before: None, key }] }
    }

    /// Its keys, each once.
    pub fn keys(&self) -> impl Iterator<Item = &SshKey> {
        let first = |index: usize, line: &Line| {
            !self.lines[..index].iter().any(|earlier| earlier.key == line.key)
        };
        self.lines
            .iter()
            .enumerate()
            .filter(move |(index, line)| first(*index, line))
            .map(|(_, line)| &line.key)
    }

    /// How many keys it has.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Never: a list without a key is refused.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Whether one of these keys may have made `signature` at `time`, and as whom: the principals
    /// of its line, as written there. With `identity`, only lines for that principal count.
    ///
    /// Nothing is said about the signature itself: [`SshSignature::verify`] does that.
    ///
    /// # Errors
    /// [`EvidenceError::OtherKey`] when no line has the key; [`EvidenceError::Unsupported`] when
    /// the lines that have it do not allow this.
    pub fn principals(
        &self,
        signature: &SshSignature,
        identity: Option<&str>,
        time: SystemTime,
    ) -> Result<&str, EvidenceError> {
        let own: Vec<&Line> =
            self.lines.iter().filter(|line| line.key == *signature.key()).collect();
        if own.is_empty() {
            return Err(EvidenceError::OtherKey { found: Some(signature.key().fingerprint()) });
        }
        let refused =
            |why: &str| EvidenceError::unsupported(format!("a signature by a key that {why}"));
        let own: Vec<&Line> = own
            .into_iter()
            .filter(|line| match &line.namespaces {
                Some(patterns) => matches_list(patterns, signature.namespace()),
                None => true,
            })
            .collect();
        if own.is_empty() {
            return Err(refused("is not allowed for this namespace"));
        }
        let own: Vec<&Line> = own
            .into_iter()
            .filter(|line| identity.is_none_or(|identity| matches_list(&line.principals, identity)))
            .collect();
        if own.is_empty() {
            return Err(refused("is not that of the wanted signer"));
        }
        own.iter()
            .find(|line| {
                line.after.is_none_or(|after| time >= after)
                    && line.before.is_none_or(|before| time < before)
            })
            .map(|line| line.principals.as_str())
            .ok_or_else(|| refused("is not valid at this time"))
    }
}

impl Line {
    /// `None` for a certificate authority.
    fn parse(line: &str) -> Result<Option<Self>, &'static str> {
        let (principals, rest) = word(line)?;
        let (mut next, mut rest) = word(rest)?;
        let (mut namespaces, mut after, mut before, mut authority) = (None, None, None, false);
        let is_kind =
            |word: &str| ["ssh-", "ecdsa-", "sk-"].iter().any(|prefix| word.starts_with(prefix));
        if !is_kind(&next) {
            for option in options(&next)? {
                let (name, value) = match option.split_once('=') {
                    Some((name, value)) => (name, Some(value)),
                    None => (option.as_str(), None),
                };
                let slot = match (name.to_ascii_lowercase().as_str(), value) {
                    ("cert-authority", None) if !authority => {
                        authority = true;
                        continue;
                    }
                    ("namespaces", Some(value)) if namespaces.is_none() => {
                        namespaces = Some(value.to_owned());
                        continue;
                    }
                    ("valid-after", Some(value)) => (&mut after, value),
                    ("valid-before", Some(value)) => (&mut before, value),
                    _ => return Err("has an option that is not known, or twice"),
                };
                if slot.0.is_some() {
                    return Err("has an option that is not known, or twice");
                }
                *slot.0 = Some(timestamp(slot.1).ok_or("has a time that cannot be read")?);
            }
            (next, rest) = word(rest)?;
        }
        if authority {
            return Ok(None);
        }
        let key = SshKey::parse(&format!("{next} {rest}"))
            .map_err(|_| "has no key that can be read, or of a kind that is not accepted")?;
        Ok(Some(Self { principals, namespaces, after, before, key }))
    }
}

/// The first word, in which double quotes hold white space together, and what follows it.
fn word(text: &str) -> Result<(String, &str), &'static str> {
    let text = text.trim_start();
    let mut quoted = false;
    let end = text
        .find(|c: char| {
            quoted ^= c == '"';
            !quoted && c.is_ascii_whitespace()
        })
        .unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    if quoted {
        return Err("has a quote that does not end");
    }
    if word.is_empty() {
        return Err("ends too early");
    }
    // A whole word in quotes: the principals may be written so.
    let bare = word.strip_prefix('"').and_then(|word| word.strip_suffix('"')).unwrap_or(word);
    Ok((bare.to_owned(), rest))
}

/// The options, separated by commas outside quotes; the quotes are taken off.
fn options(text: &str) -> Result<Vec<String>, &'static str> {
    let mut options = vec![String::new()];
    let mut quoted = false;
    for c in text.chars() {
        match c {
            '"' => quoted = !quoted,
            ',' if !quoted => options.push(String::new()),
            other => options.last_mut().expect("never empty").push(other),
        }
    }
    if quoted || options.iter().any(String::is_empty) {
        return Err("has an option that is empty");
    }
    Ok(options)
}

/// Whether the list of patterns (`*`, `?`, `!` in front to exclude) allows `text`.
fn matches_list(patterns: &str, text: &str) -> bool {
    let mut allowed = false;
    for pattern in patterns.split(',') {
        match pattern.strip_prefix('!') {
            Some(pattern) if matches(pattern.as_bytes(), text.as_bytes()) => return false,
            Some(_) => {}
            None => allowed |= matches(pattern.as_bytes(), text.as_bytes()),
        }
    }
    allowed
}

/// Whether `pattern` matches the whole of `text`; in time of their product.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(byte) if *byte == b'?' || *byte == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    p = at + 1;
                    t = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

/// `YYYYMMDD[HHMM[SS]]`, with or without `Z`.
fn timestamp(text: &str) -> Option<SystemTime> {
    let digits = text.strip_suffix('Z').unwrap_or(text);
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (date, time) = match digits.len() {
        8 => (digits, "000000".to_owned()),
        12 => (&digits[..8], format!("{}00", &digits[8..])),
        14 => (&digits[..8], digits[8..].to_owned()),
        _ => return None,
    };
    let (year, month, day) = (&date[..4], &date[4..6], &date[6..]);
    let (hour, minute, second) = (&time[..2], &time[2..4], &time[4..]);
    let text = format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z");
    humantime::parse_rfc3339(&text).ok().filter(|time| {
        time.duration_since(SystemTime::UNIX_EPOCH).is_ok_and(|since| since > Duration::ZERO)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBm/RAlphM3+hUG6wWfcO5bIUIaqMLa2ywxcOK1wMWbh";

    #[test]
    fn lines_that_are_read() {
        for line in [
            format!("a@example.org {KEY}"),
            format!("a@example.org,*@example.net {KEY} a comment"),
            format!("\"a@example.org\" namespaces=\"file,git\",valid-after=\"20250101Z\" {KEY}"),
            format!("* valid-before=202501011200 {KEY}"),
            format!(
                "# comment\n\n  * valid-after=\"20250101\",valid-before=\"20260101120000Z\" {KEY}"
            ),
            format!("ca cert-authority {KEY}\nb {KEY}"),
        ] {
            assert_eq!(AllowedSigners::parse(&line).map(|list| list.len()), Ok(1), "{line}");
        }
    }

    #[test]
    fn lines_that_are_refused() {
        for line in [
            String::new(),
            "# nothing".into(),
            format!("ca cert-authority {KEY}"),
            "a".into(),
            "a ssh-ed25519".into(),
            "a ssh-ed25519 AAAA".into(),
            format!("a unknown {KEY}"),
            format!("a namespaces=\"x {KEY}"),
            format!("a namespaces=x,namespaces=y {KEY}"),
            format!("a valid-after=x {KEY}"),
            format!("a valid-after=20251301 {KEY}"),
            format!("a valid-after=20250101,valid-after=20250101 {KEY}"),
            format!("a ecdsa{}", &KEY[3..]),
        ] {
            assert!(AllowedSigners::parse(&line).is_err(), "{line}");
        }
    }

    #[test]
    fn patterns() {
        for (patterns, text, allowed) in [
            ("a", "a", true),
            ("a", "A", false),
            ("a", "ab", false),
            ("*", "", true),
            ("*@example.org", "x@example.org", true),
            ("*@example.org", "x@example.org.evil", false),
            ("a?c*e", "abcdde", true),
            ("*a*b", "xaxxb", true),
            ("*a*b", "xaxx", false),
            ("x,y", "y", true),
            ("!bad,*", "bad", false),
            ("*,!bad", "bad", false),
            ("!bad", "good", false),
            ("", "a", false),
        ] {
            assert_eq!(matches_list(patterns, text), allowed, "{patterns} {text}");
        }
    }
}
