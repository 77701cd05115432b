//! Statements that an SBOM is that of a file.

use serde_json::Value;

use crate::{Error, Statement, Subject};

/// The statement that this document, SPDX 2.x or `CycloneDX` in JSON, is the SBOM of the
/// subjects. The document is taken in as it is.
///
/// # Errors
/// [`Error::Document`] when it is something else; [`Error::NoSubject`].
///
/// # Examples
/// ```
/// use dsops_attest::{Subject, sbom_statement};
/// let subject = Subject::sha256("app", &[0; 32]);
/// let statement = sbom_statement(&[subject], br#"{"bomFormat":"CycloneDX","specVersion":"1.6"}"#)?;
/// # Ok::<(), dsops_attest::Error>(())
/// ```
///
/// Source: in-toto Attestation Framework, predicates SPDX and `CycloneDX`.
pub fn sbom_statement(subjects: &[Subject], document: &[u8]) -> Result<Statement, Error> {
    let wrong = |problem: String| Error::Document { what: "the SBOM", problem };
    let text = std::str::from_utf8(document).map_err(|_| wrong("is not UTF-8".into()))?;
    let text = text.trim_start_matches('\u{feff}').trim();
    let value: Value = serde_json::from_str(text).map_err(|error| {
        wrong(format!("is not JSON: line {}, column {}", error.line(), error.column()))
    })?;
    let word = |name: &str| value[name].as_str();
    let predicate_type = match (word("spdxVersion"), word("bomFormat")) {
        (Some(version), _) => match version.strip_prefix("SPDX-") {
            Some(version @ ("2.2" | "2.3")) => format!("https://spdx.dev/Document/v{version}"),
            _ => return Err(wrong("is of an SPDX version that is not known here".into())),
        },
        (None, Some("CycloneDX")) => "https://cyclonedx.org/bom".to_owned(),
        _ => return Err(wrong("is neither SPDX 2.x nor CycloneDX in JSON".into())),
    };
    Statement::with_text(subjects, &predicate_type, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_and_what_is_none() {
        let subject = [Subject::sha256("a", &[7; 32])];
        let made = |text: &str| sbom_statement(&subject, text.as_bytes());
        let spdx = made("\u{feff} {\"spdxVersion\":\"SPDX-2.3\", \"n\": 1.50}\n").unwrap();
        let text = std::str::from_utf8(spdx.payload()).unwrap();
        assert!(text.contains("\"predicateType\":\"https://spdx.dev/Document/v2.3\""), "{text}");
        assert!(text.contains("{\"spdxVersion\":\"SPDX-2.3\", \"n\": 1.50}"), "as it was: {text}");
        for none in [
            "",
            "{}",
            "[]",
            "SPDXVersion: SPDX-2.3",
            "{\"spdxVersion\":\"SPDX-3.0\"}",
            "{\"bomFormat\":1}",
        ] {
            assert!(matches!(made(none), Err(Error::Document { .. })), "{none}");
        }
        assert!(matches!(
            sbom_statement(&[], b"{\"bomFormat\":\"CycloneDX\"}"),
            Err(Error::NoSubject)
        ));
    }
}
