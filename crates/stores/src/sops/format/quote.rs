//! Keys and values as YAML that every reader understands alike.

/// Between brackets the commas of an encrypted value would end it, so there it is quoted. A list or
/// group in brackets stays as it is.
pub(super) fn value_text(sealed: &str, flow: bool) -> String {
    let collection = sealed.starts_with(['{', '[']);
    if (flow && !collection) || sealed.is_empty() {
        format!("\"{sealed}\"")
    } else {
        sealed.to_owned()
    }
}

/// A key plain where every reader of YAML takes it for text, else in double quotes.
pub(super) fn key_text(part: &str, flow: bool) -> String {
    let plain = part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
        && !is_word_of_yaml(part);
    if plain && !flow {
        return part.to_owned();
    }
    let mut quoted = String::from("\"");
    for c in part.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            c if needs_escape(c) => {
                quoted.extend(format!("\\u{:04x}", u32::from(c)).chars());
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// Whether a text needs no quotes: letters, digits and a few signs, and no other type's look.
pub(super) fn is_plain(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || c == '/')
        && text.bytes().all(|b| {
            b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'/' | b'+' | b'=' | b'@')
        })
        && !is_word_of_yaml(text)
}

fn is_word_of_yaml(text: &str) -> bool {
    const WORDS: [&str; 9] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];
    WORDS.iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// Control characters, line separators, the byte order mark, and what is outside of the character
/// set of YAML.
pub(super) fn needs_escape(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

#[cfg(test)]
mod tests {
    use dsops_resolver::yaml::{self, Scalar};
    use proptest::prelude::*;

    use super::key_text;

    /// Whether a text is a key to YAML, and not a number, a date, a boolean or null.
    fn reads_back(part: &str) -> bool {
        [false, true].into_iter().all(|flow| {
            let key = key_text(part, flow);
            let text = if flow { format!("{{{key}: x}}") } else { format!("{key}: x\n") };
            let root = yaml::parse(&text).unwrap();
            let (name, _) = &root.as_mapping().unwrap()[0];
            name.scalar() == Some(Scalar::Str(part))
        })
    }

    #[test]
    fn odd_keys_are_quoted() {
        for part in [
            "",
            "yes",
            "12",
            "1e3",
            "a: b",
            "- x",
            "#",
            "\"",
            "a\nb\u{85}\u{2028}",
            "ü 🦀",
            "null",
            "~",
        ] {
            assert!(reads_back(part), "{part:?}");
        }
    }

    proptest! {
        #[test]
        fn every_key_reads_back(part in "\\PC{1,20}") {
            prop_assert!(reads_back(&part));
        }
    }
}
