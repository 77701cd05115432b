//! `${VAR}` and `${VAR:-default}` in values of the configuration.
//!
//! Only `${` starts an expansion; a text without it is taken as it stands, `$$` and `$HOME`
//! included. Before `{` a run of `$` is read in pairs, each one `$`: `$${VAR}` is the text
//! `${VAR}`, and `$$${VAR}` is `$` and the variable. What is put in is not looked at again.

use std::ffi::OsString;
use std::ops::Range;

use zeroize::{Zeroize, Zeroizing};

use crate::yaml::Text;

/// Where the values of `${VAR}` come from: usually the environment of the process.
pub type Variables<'a> = dyn Fn(&str) -> Option<OsString> + 'a;

/// Why a text cannot be expanded, and the bytes of it that are at fault.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ExpandError {
    pub(super) kind: ExpandErrorKind,
    pub(super) range: Range<usize>,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ExpandErrorKind {
    #[error("`${{{name}}}` cannot be expanded: no environment is given to this configuration")]
    NoVariables { name: String },
    #[error("the environment variable `{name}` is not set")]
    Unset { name: String },
    #[error("the environment variable `{name}` is not UTF-8")]
    NotUtf8 { name: String },
    #[error("`${{` is not closed")]
    Unclosed,
    #[error("`${{…}}` does not name a variable")]
    BadName,
    #[error("`${{{name}…}}` uses a form that is not known")]
    UnknownForm { name: String },
}

impl ExpandErrorKind {
    pub(super) fn help(&self) -> String {
        match self {
            Self::NoVariables { .. } => {
                "load it with a source of variables (`LoadOptions::variables`)".to_owned()
            }
            Self::Unset { name } => {
                format!("set it, or write `${{{name}:-DEFAULT}}`; `$${{` stands for `${{` itself")
            }
            Self::NotUtf8 { .. } => "set it to UTF-8 text".to_owned(),
            Self::Unclosed => "close it with `}`, or write `$${` for `${` itself".to_owned(),
            Self::BadName | Self::UnknownForm { .. } => {
                "the forms are `${NAME}` and `${NAME:-DEFAULT}`; write `$${` for `${` itself"
                    .to_owned()
            }
        }
    }
}

/// The text with every expansion done; `used` gets the names that were asked for. `None` when
/// there is nothing to expand.
///
/// # Errors
/// The first expansion that cannot be done.
///
/// # Security
/// The values are wiped, and the new text is of one allocation that is wiped when dropped.
pub(super) fn expand(
    text: &str,
    variables: Option<&Variables<'_>>,
    used: &mut Vec<String>,
) -> Result<Option<Text>, ExpandError> {
    let mut pieces = Vec::new();
    let mut at = 0;
    while let Some(found) = text[at..].find("${") {
        let dollar = at + found;
        let run = dollar + 1 - text[at..=dollar].trim_end_matches('$').len() - at;
        pieces.push(Piece::Text(&text[at..dollar + 1 - run]));
        // Half of them, each standing for a pair; `$` is one byte, so this slices well.
        pieces.push(Piece::Text(&text[dollar + 1 - run / 2..=dollar]));
        if run.is_multiple_of(2) {
            pieces.push(Piece::Text("{"));
            at = dollar + 2;
            continue;
        }
        let error = |kind, range| Err(ExpandError { kind, range });
        let Some(length) = text[dollar..].find('}') else {
            return error(ExpandErrorKind::Unclosed, dollar..text.len());
        };
        let range = dollar..dollar + length + 1;
        let inner = &text[dollar + 2..dollar + length];
        let is_name = |(i, c): (usize, char)| {
            c == '_' || c.is_ascii_alphabetic() || (i > 0 && c.is_ascii_digit())
        };
        let name_end =
            inner.char_indices().find(|&it| !is_name(it)).map_or(inner.len(), |(i, _)| i);
        let (name, rest) = inner.split_at(name_end);
        if name.is_empty() {
            return error(ExpandErrorKind::BadName, range);
        }
        let name = name.to_owned();
        let default = match rest.strip_prefix(":-") {
            Some(default) => Some(default),
            None if rest.is_empty() => None,
            None => return error(ExpandErrorKind::UnknownForm { name }, range),
        };
        let Some(variables) = variables else {
            return error(ExpandErrorKind::NoVariables { name }, range);
        };
        used.push(name.clone());
        // As in a shell, `:-` is for a variable that is empty too.
        match (variables(&name).filter(|value| default.is_none() || !value.is_empty()), default) {
            (Some(value), _) => match value.into_string() {
                Ok(value) => pieces.push(Piece::Value(Zeroizing::new(value))),
                Err(value) => {
                    value.into_encoded_bytes().zeroize();
                    return error(ExpandErrorKind::NotUtf8 { name }, range);
                }
            },
            (None, Some(default)) => pieces.push(Piece::Text(default)),
            (None, None) => return error(ExpandErrorKind::Unset { name }, range),
        }
        at = dollar + length + 1;
    }
    if at == 0 {
        return Ok(None);
    }
    pieces.push(Piece::Text(&text[at..]));
    let mut expanded = String::with_capacity(pieces.iter().map(|piece| piece.as_str().len()).sum());
    for piece in &pieces {
        expanded.push_str(piece.as_str());
    }
    Ok(Some(Text::from(expanded)))
}

enum Piece<'a> {
    Text(&'a str),
    Value(Zeroizing<String>),
}

impl Piece<'_> {
    fn as_str(&self) -> &str {
        match self {
            Self::Text(text) => text,
            Self::Value(value) => value,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn variables(name: &str) -> Option<OsString> {
        match name {
            "A" => Some("one".into()),
            "EMPTY" => Some("".into()),
            "DOLLAR" => Some("${A}".into()),
            _ => None,
        }
    }

    fn done(text: &str) -> Result<Option<String>, ExpandError> {
        let text = expand(text, Some(&variables), &mut Vec::new())?;
        Ok(text.map(|text| text.as_ref().to_owned()))
    }

    #[test]
    fn every_form() {
        let cases = [
            ("${A}", "one"),
            ("a${A}b${A}c", "aonebonec"),
            ("${A:-x}", "one"),
            ("${B:-x y}", "x y"),
            ("${B:-}", ""),
            ("${B:-a:-$b}", "a:-$b"),
            ("${EMPTY}", ""),
            ("${EMPTY:-x}", "x"),
            ("${DOLLAR}", "${A}"),
            ("$${A}", "${A}"),
            ("$$${A}", "$one"),
            ("$$$${A}", "$${A}"),
            ("é$${${A}é", "é${oneé"),
            ("$$ ${A} $$", "$$ one $$"),
        ];
        for (text, expected) in cases {
            assert_eq!(done(text).unwrap().as_deref(), Some(expected), "{text}");
        }
        for text in ["", "$A", "$$", "pa$$word", "$(x)", "{A}", "$ {A}", "$"] {
            assert_eq!(done(text), Ok(None), "{text}");
        }
    }

    #[test]
    fn every_error() {
        let cases = [
            ("é${B}x", "the environment variable `B` is not set", 2..6),
            ("${A", "`${` is not closed", 0..3),
            ("${}", "`${…}` does not name a variable", 0..3),
            ("${1A}", "`${…}` does not name a variable", 0..5),
            ("${A:?x}", "`${A…}` uses a form that is not known", 0..7),
            ("${A-x}", "`${A…}` uses a form that is not known", 0..6),
            ("${user.name}", "`${user…}` uses a form that is not known", 0..12),
        ];
        for (text, message, range) in cases {
            let error = done(text).unwrap_err();
            assert_eq!((error.kind.to_string().as_str(), error.range), (message, range), "{text}");
            assert!(error.kind.help().contains("$${") || message.contains("UTF-8"));
        }
        let none = expand("${A}", None, &mut Vec::new()).unwrap_err();
        assert_eq!(none.kind, ExpandErrorKind::NoVariables { name: "A".into() });
    }

    #[test]
    fn names_are_recorded() {
        let mut used = Vec::new();
        expand("${A}${B:-x}$${C}", Some(&variables), &mut used).unwrap();
        assert_eq!(used, ["A", "B"]);
    }

    proptest! {
        #[test]
        fn a_text_without_an_expansion_is_untouched(text in "[a$ {}é]{0,12}") {
            prop_assume!(!text.contains("${"));
            prop_assert_eq!(done(&text), Ok(None));
        }

        #[test]
        fn an_escaped_text_comes_back(text in "[a$ {}éAB:-]{0,16}") {
            // Doubling every `$` of a run before `{` keeps the text from being expanded.
            let mut escaped = String::new();
            for (i, c) in text.char_indices() {
                escaped.push(c);
                if c == '$' && text[i..].trim_start_matches('$').starts_with('{') {
                    escaped.push('$');
                }
            }
            let back = done(&escaped).unwrap().unwrap_or_else(|| escaped.clone());
            prop_assert_eq!(back, text);
        }

        #[test]
        fn no_text_panics(text in "[\\PC]{0,9}[$]{0,3}[{][\\PC]{0,9}") {
            let _ = done(&text);
        }
    }
}
