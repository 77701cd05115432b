//! Licences as Cargo writes them, made expressions.

use spdx::{Expression, LicenseItem, ParseMode};

#[cfg(feature = "cargo")]
use crate::model::License;

/// The licence in a manifest: an expression as SPDX wants it, where it can be made one. Cargo
/// accepted `MIT/Apache-2.0` once.
#[cfg(feature = "cargo")]
pub(crate) fn from_manifest(text: &str) -> Option<License> {
    let text = text.trim();
    if text.is_empty() {
        return None;
    }
    let canonical = Expression::canonicalize(text).ok().flatten();
    let candidates = [Some(text.to_owned()), canonical, Some(text.replace('/', " OR "))];
    let good = candidates.into_iter().flatten().find(|text| is_expression(text));
    Some(good.map_or_else(|| License::Name(text.to_owned()), License::Expression))
}

/// Whether it is an expression of identifiers that SPDX lists (annex D), or of references.
pub(crate) fn is_expression(text: &str) -> bool {
    Expression::parse_mode(text, ParseMode::STRICT).is_ok()
}

/// The references in an expression that only the document can explain (`LicenseRef-…`).
pub(crate) fn has_references(text: &str) -> bool {
    Expression::parse_mode(text, ParseMode::STRICT).is_ok_and(|expression| {
        expression.requirements().any(|one| matches!(one.req.license, LicenseItem::Other { .. }))
    })
}

#[cfg(all(test, feature = "cargo"))]
mod tests {
    use super::*;

    #[test]
    fn manifests_say_expressions() {
        let expression = |text: &str| Some(License::Expression(text.to_owned()));
        for (text, wanted) in [
            ("MIT", expression("MIT")),
            ("MIT OR Apache-2.0", expression("MIT OR Apache-2.0")),
            ("MIT/Apache-2.0", expression("MIT OR Apache-2.0")),
            ("Unlicense/MIT", expression("Unlicense OR MIT")),
            (
                "Apache-2.0 WITH LLVM-exception OR MIT",
                expression("Apache-2.0 WITH LLVM-exception OR MIT"),
            ),
            ("(MIT OR Apache-2.0) AND ISC", expression("(MIT OR Apache-2.0) AND ISC")),
            ("my own", Some(License::Name("my own".to_owned()))),
            (" ", None),
        ] {
            assert_eq!(from_manifest(text), wanted, "{text}");
        }
        assert!(has_references("MIT AND LicenseRef-own") && !has_references("MIT AND ISC"));
    }
}
