//! Keys and values as YAML that every reader understands alike.

/// Between brackets the commas of an encrypted value would end it, so there it is quoted.
pub(super) fn value_text(sealed: &str, flow: bool) -> String {
    if flow || sealed.is_empty() { format!("\"{sealed}\"") } else { sealed.to_owned() }
}

/// A key plain where every reader of YAML takes it for text, else in double quotes.
pub(super) fn key_text(part: &str, flow: bool) -> String {
    let plain = part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
        && !matches!(
            part.to_ascii_lowercase().as_str(),
            "y" | "n" | "yes" | "no" | "on" | "off" | "true" | "false" | "null"
        );
    if plain && !flow {
        return part.to_owned();
    }
    let mut quoted = String::from("\"");
    for c in part.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            c if c.is_control() || breaks_lines_or_is_no_yaml(c) => {
                quoted.extend(format!("\\u{:04x}", u32::from(c)).chars());
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// Line separators, the byte order mark, and what is outside of the character set of YAML.
fn breaks_lines_or_is_no_yaml(c: char) -> bool {
    matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
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
