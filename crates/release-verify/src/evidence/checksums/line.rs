//! One line of a checksum file: a digest, and mostly a name.

use crate::{Algorithm, Digest};

/// What the name of a checksum file says of its digests.
pub(super) struct Hint {
    /// Digests of another family, which have the lengths of SHA-2.
    other: Option<&'static str>,
}

impl Hint {
    pub(super) fn of(file_name: &str) -> Self {
        let name = file_name.to_ascii_lowercase();
        let families =
            [("b2", "BLAKE2b"), ("blake2", "BLAKE2"), ("b3", "BLAKE3"), ("blake3", "BLAKE3")];
        // As a word of its own (`FILE.b2`) or before `sum` (`B2SUMS`), not inside a hash of a name.
        let other = families
            .into_iter()
            .find(|(word, _)| {
                name.split(|c: char| !c.is_ascii_alphanumeric()).any(|part| {
                    part.strip_prefix(word).is_some_and(|rest| matches!(rest, "" | "sum" | "sums"))
                })
            })
            .or_else(|| name.contains("sha3").then_some(("sha3", "SHA-3")))
            .filter(|_| !name.contains("sha384"))
            .map(|(_, family)| family);
        Self { other }
    }
}

/// The digest of a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// One that proves something.
    Strong(Digest),
    /// One that does not: the name of its algorithm.
    Weak(String),
}

/// A line: the name is missing when the digest stands alone.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Listed {
    pub name: Option<String>,
    pub digest: Value,
}

/// The name of the file that `NAME.sha256` is about.
pub(super) fn without_suffix(file_name: &str) -> Option<&str> {
    let (name, suffix) = file_name.rsplit_once('.')?;
    let suffix = suffix.to_ascii_lowercase();
    let algorithm =
        suffix.strip_suffix("sums").or_else(|| suffix.strip_suffix("sum")).unwrap_or(&suffix);
    let known = Algorithm::from_name(algorithm).is_some()
        || matches!(algorithm, "sha1" | "md5" | "digest" | "checksum");
    (known && !name.is_empty()).then_some(name)
}

/// Reads a line without its end.
pub(super) fn parse(line: &str, hint: &Hint) -> Result<Listed, &'static str> {
    // GNU: a backslash in front says that the name is written with escapes.
    let (escaped, line) = match line.strip_prefix('\\') {
        Some(rest) => (true, rest),
        None => (false, line),
    };
    let listed = match tagged(line) {
        Some(listed) => listed?,
        None => plain(line, hint)?,
    };
    match listed.name {
        Some(name) if escaped => Ok(Listed { name: Some(unescape(&name)?), digest: listed.digest }),
        None if escaped => Err("has escapes but no name"),
        _ => Ok(listed),
    }
}

/// `<digits>  name`, `<digits> *name`, `<digits> name`, `<digits>`.
fn plain(line: &str, hint: &Hint) -> Result<Listed, &'static str> {
    let line = line.trim_start_matches([' ', '\t']);
    let end = line.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(line.len());
    let (digits, rest) = line.split_at(end);
    let digest = by_length(digits, hint)?;
    let name = match rest.as_bytes() {
        _ if rest.trim_matches([' ', '\t']).is_empty() => return Ok(Listed { name: None, digest }),
        [b' ', b' ' | b'*', ..] => &rest[2..],
        [b' ' | b'\t', ..] => rest.trim_start_matches([' ', '\t']),
        _ => return Err("is not a digest and a name"),
    };
    Ok(Listed { name: Some(name.to_owned()), digest })
}

/// `SHA256 (name) = <digits>` and OpenSSL's `SHA2-256(name)= <digits>`; `None` when it is neither.
fn tagged(line: &str) -> Option<Result<Listed, &'static str>> {
    let (tag, rest) = line.split_once('(')?;
    let tag = tag.strip_suffix(' ').unwrap_or(tag);
    if tag.is_empty()
        || !tag.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'/'))
    {
        return None;
    }
    // The name may itself contain what follows it; the digits cannot.
    let (name, digits) = rest.rsplit_once(')')?;
    let digits = digits.strip_prefix(" = ").or_else(|| digits.strip_prefix("= "))?;
    let digits = digits.trim_end_matches([' ', '\t']);
    let name = Some(name.to_owned());
    let algorithm = match tag.to_ascii_uppercase().as_str() {
        "SHA256" | "SHA2-256" => Algorithm::Sha256,
        "SHA384" | "SHA2-384" => Algorithm::Sha384,
        "SHA512" | "SHA2-512" => Algorithm::Sha512,
        _ => {
            let hex = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
            let weak = Value::Weak(tag.to_owned());
            return Some(if hex {
                Ok(Listed { name, digest: weak })
            } else {
                Err("is not a digest")
            });
        }
    };
    Some(match Digest::from_hex(algorithm, digits) {
        Some(digest) => Ok(Listed { name, digest: Value::Strong(digest) }),
        None => Err("has a digest of the wrong length"),
    })
}

fn by_length(digits: &str, hint: &Hint) -> Result<Value, &'static str> {
    let weak = |name: &str| Ok(Value::Weak(name.to_owned()));
    let strong = |algorithm| {
        Digest::from_hex(algorithm, digits).map(Value::Strong).ok_or("is not a digest and a name")
    };
    match (digits.len(), hint.other) {
        (32, _) => weak("MD5"),
        (40, _) => weak("SHA-1"),
        (56, _) => weak("SHA-224"),
        (64 | 96 | 128, Some(family)) => weak(family),
        (64, None) => strong(Algorithm::Sha256),
        (96, None) => strong(Algorithm::Sha384),
        (128, None) => strong(Algorithm::Sha512),
        _ => Err("is not a digest and a name"),
    }
}

/// GNU's escapes: `\\`, `\n`, `\r`.
fn unescape(name: &str) -> Result<String, &'static str> {
    let mut plain = String::with_capacity(name.len());
    let mut chars = name.chars();
    while let Some(c) = chars.next() {
        plain.push(match c {
            '\\' => match chars.next() {
                Some('\\') => '\\',
                Some('n') => '\n',
                Some('r') => '\r',
                _ => return Err("has an escape that is not known"),
            },
            other => other,
        });
    }
    Ok(plain)
}
