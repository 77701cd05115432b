//! The list of crates that `cargo auditable` puts into a binary, held against a list of
//! ingredients: what was really linked, against what is said to be in it.
//!
//! The list in the binary is as authentic as the binary: hold them against each other only when
//! the binary itself is the artifact.

use std::io::{self, Read};

use crate::sbom::Sbom;
use crate::{Algorithm, Artifact, Digest, Finding, State};

pub use dsops_sbom::auditable::{AuditableError, LIMIT_BYTES, LinkedCrate, LinkedCrates};

const CODE: &str = "sbom/binary";

/// How many names of crates a finding shows.
const SHOWN: usize = 10;

/// Holds the crates of a binary against an SBOM, `sbom/binary`: a crate that was linked and is
/// not listed fails; one that only took part in the build and is not listed, and one that is
/// listed and was not linked, are warnings.
pub fn check(linked: &LinkedCrates, sbom: &Sbom) -> Vec<Finding> {
    let compared = linked.compare(sbom.document());
    let mut findings = Vec::new();
    let mut add = |state, message: &str, names: &[String]| {
        if !names.is_empty() {
            let message = format!("{} {message}", counted(names.len()));
            findings.push(Finding::new(CODE, state, message).compared("none", shown(names)));
        }
    };
    add(State::Failed, "in the binary but not in the SBOM", &compared.missing);
    let message = "part of the build but not in the SBOM";
    add(State::Warning, message, &compared.missing_build);
    add(State::Warning, "in the SBOM but not in the binary", &compared.extra);
    if findings.is_empty() {
        let count = counted(linked.crates().len());
        let message = format!("the SBOM has the binary's {count}");
        findings.push(Finding::passed(CODE, message));
    }
    findings
}

/// Holds an artifact that is read once more against an SBOM. Nothing when it is no
/// binary with a list of crates, or is not the same any more as when it was verified.
pub(crate) fn check_again(
    artifact: &Artifact,
    open: &dyn Fn() -> io::Result<Box<dyn Read>>,
    sbom: &Sbom,
) -> Vec<Finding> {
    let read = || -> io::Result<Option<Vec<u8>>> {
        let mut source = open()?;
        let mut binary = Vec::new();
        source.by_ref().take(4).read_to_end(&mut binary)?;
        // ELF, PE, Mach-O of 64 and of 32 bits: anything else is not read to its end.
        let known: [&[u8]; 4] = [b"\x7fELF", b"MZ", b"\xcf\xfa\xed\xfe", b"\xce\xfa\xed\xfe"];
        if !known.iter().any(|magic| binary.starts_with(magic)) {
            return Ok(None);
        }
        source.take(LIMIT_BYTES as u64).read_to_end(&mut binary)?;
        let own = Digest::of(Algorithm::Sha256, &binary);
        Ok(Some(binary).filter(|_| own == *artifact.sha256()))
    };
    let Ok(Some(binary)) = read() else { return Vec::new() };
    match LinkedCrates::from_binary(&binary) {
        Ok(None) => Vec::new(),
        Ok(Some(linked)) => check(&linked, sbom),
        // A warning, as comparing is more than was asked for.
        Err(error) => vec![Finding::new(CODE, State::Warning, error.to_string())],
    }
}

fn counted(count: usize) -> String {
    format!("{count} {}", if count == 1 { "crate" } else { "crates" })
}

fn shown(names: &[String]) -> String {
    let mut text = names[..names.len().min(SHOWN)].join(", ");
    if let Some(more) = names.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        text = format!("{text} and {more} more");
    }
    text
}

#[cfg(test)]
mod tests {
    use dsops_testkit::binaries;

    use super::*;

    /// A list as `cargo auditable` writes it.
    const LIST: &[u8] = br#"{"packages":[
        {"name":"demo","version":"0.1.0","source":"local","dependencies":[1,2],"root":true},
        {"name":"time","version":"0.3.1","source":"crates.io"},
        {"name":"cc","version":"1.0.0","source":"crates.io","kind":"build"}]}"#;

    fn sbom(crates: &[(&str, &str)]) -> Sbom {
        let components: Vec<String> = crates
            .iter()
            .map(|(name, version)| {
                format!(
                    r#"{{"type":"library","name":"{name}","version":"{version}","purl":"pkg:cargo/{name}@{version}?arch=x"}}"#
                )
            })
            .collect();
        let text = format!(
            r#"{{"bomFormat":"CycloneDX","specVersion":"1.6",
                "metadata":{{"component":{{"type":"application","name":"demo","version":"0.1.0"}}}},
                "components":[{}]}}"#,
            components.join(",")
        );
        Sbom::read(text.as_bytes()).unwrap()
    }

    fn states(crates: &[(&str, &str)]) -> Vec<(State, Option<String>)> {
        let linked = LinkedCrates::from_list(LIST).unwrap();
        check(&linked, &sbom(crates)).into_iter().map(|f| (f.state, f.found)).collect()
    }

    #[test]
    fn differences_have_names() {
        assert_eq!(states(&[("time", "0.3.1"), ("cc", "1.0.0")]), [(State::Passed, None)]);
        let found = |text: &str| Some(text.to_owned());
        assert_eq!(
            states(&[("time", "0.3.2")]),
            [
                (State::Failed, found("time 0.3.1")),
                (State::Warning, found("cc 1.0.0")),
                (State::Warning, found("time 0.3.2")),
            ]
        );
        assert_eq!(
            states(&[("Time", "0.3.1"), ("cc", "1.0.0")])[0],
            (State::Failed, found("time 0.3.1"))
        );
    }

    #[test]
    fn a_binary_is_read_again_only_when_it_is_one() {
        let missing = sbom(&[("cc", "1.0.0")]);
        let again = |content: &[u8], verified: &[u8]| {
            let artifact = Artifact::read("demo", verified, &[]).unwrap();
            let content = content.to_vec();
            let open =
                || -> io::Result<Box<dyn Read>> { Ok(Box::new(io::Cursor::new(content.clone()))) };
            check_again(&artifact, &open, &missing)
        };
        let binary = elf(&packed(LIST));
        let findings = again(&binary, &binary);
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].found.as_deref(), Some("time 0.3.1"));
        assert!(again(&binary, b"something else").is_empty());
        assert!(again(b"text", b"text").is_empty());
        assert!(again(b"", b"").is_empty());
        let damaged = elf(b"no list");
        assert_eq!(again(&damaged, &damaged)[0].state, State::Warning);
    }

    fn elf(content: &[u8]) -> Vec<u8> {
        binaries::elf(".dep-v0", content)
    }

    fn packed(list: &[u8]) -> Vec<u8> {
        miniz_oxide::deflate::compress_to_vec_zlib(list, 6)
    }
}
