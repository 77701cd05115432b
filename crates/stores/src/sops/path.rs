//! Keys of a document as text: `database/password`, `hosts/0`, `a~1b` for the key `a/b`.

use super::Error;

/// The key of the section that sops keeps for itself.
pub(super) const SOPS_SECTION: &str = "sops";

/// Splits a key into its parts.
///
/// The grammar is that of a JSON Pointer (RFC 6901) without the leading slash.
pub(super) fn parse(key: &str) -> Result<Vec<String>, Error> {
    let fail = |reason| Error::Key { key: key.to_owned(), reason };
    let parts = key.split('/').map(unescape).collect::<Option<Vec<String>>>();
    let parts = parts.ok_or_else(|| fail("has a `~` that is not followed by 0 or 1"))?;
    if parts.iter().any(String::is_empty) {
        return Err(fail("is empty or has an empty part"));
    }
    if parts[0] == SOPS_SECTION {
        return Err(fail("belongs to sops itself"));
    }
    Ok(parts)
}

/// Appends a part to a key.
pub(super) fn push(key: &mut String, part: &str) {
    if !key.is_empty() {
        key.push('/');
    } else if part.is_empty() {
        // No key can name it. This keeps what is below it apart from all that can be named.
        key.push('~');
    }
    for c in part.chars() {
        match c {
            '~' => key.push_str("~0"),
            '/' => key.push_str("~1"),
            c => key.push(c),
        }
    }
}

/// The index of a list that a part names; written in one way only.
pub(super) fn index(part: &str) -> Option<usize> {
    let canonical = part == "0" || !part.starts_with(['0', '+']);
    if canonical { part.parse().ok() } else { None }
}

fn unescape(part: &str) -> Option<String> {
    let mut text = String::with_capacity(part.len());
    let mut chars = part.chars();
    while let Some(c) = chars.next() {
        text.push(match c {
            '~' => match chars.next()? {
                '0' => '~',
                '1' => '/',
                _ => return None,
            },
            c => c,
        });
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{parse, push};

    #[test]
    fn parts_and_escapes() {
        assert_eq!(parse("a/b~1c/~0d/0").unwrap(), ["a", "b/c", "~d", "0"]);
        for bad in ["", "/a", "a//b", "a/", "~2", "a~", "sops", "sops/mac"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_pushed_is_parsed(parts in proptest::collection::vec(".{1,12}", 1..4)) {
            let mut key = String::new();
            for part in &parts {
                push(&mut key, part);
            }
            prop_assume!(parts[0] != "sops");
            prop_assert_eq!(parse(&key).unwrap(), parts);
        }
    }
}
