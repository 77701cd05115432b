//! The tables of the reference, written from the description of the format.

use std::fmt::Write as _;

use super::{CACHE, ENVIRONMENT, FILE, FROM, SCOPE, STORE, Setting, TEMPLATE, VARIABLE};

/// The parts of the format that have keys of their own, with a name for each.
pub fn sections() -> [(&'static str, &'static [Setting]); 8] {
    [
        ("file", FILE),
        ("store", STORE),
        ("cache", CACHE),
        ("environment", ENVIRONMENT),
        ("variable", VARIABLE),
        ("from", FROM),
        ("scope", SCOPE),
        ("template", TEMPLATE),
    ]
}

/// A Markdown table of keys, one a line, that ends with a line break.
///
/// ```
/// use dsops_resolver::format::{Kind, Setting, table};
///
/// let settings = [Setting::new("path", Kind::Path, "The file.").required()];
/// assert_eq!(
///     table(&settings),
///     "| key | takes | meaning |\n|---|---|---|\n| `path` (required) | a path | The file. |\n"
/// );
/// ```
pub fn table(settings: &[Setting]) -> String {
    let mut text = "| key | takes | meaning |\n|---|---|---|\n".to_owned();
    for Setting { name, kind, required, doc } in settings {
        let required = if *required { " (required)" } else { "" };
        let _ = writeln!(text, "| `{name}`{required} | {} | {doc} |", kind.words());
    }
    text
}
