//! The list of crates that `cargo auditable` puts into a binary, held against a list of
//! ingredients: what was really linked, against what is said to be in it.
//!
//! The list in the binary is as authentic as the binary: hold them against each other only when
//! the binary itself is the artifact.

use std::collections::BTreeMap;
use std::io::{self, Read};

use auditable_extract::{Error as ExtractError, raw_auditable_data};

use crate::json::{self, Fields, Json, JsonError};
use crate::sbom::Sbom;
use crate::{Algorithm, Artifact, Digest, Finding, State};

/// Binaries up to this size are looked at.
pub const LIMIT_BYTES: usize = 256 << 20;

/// The list is unpacked up to this size.
const LIMIT_LIST_BYTES: usize = 8 << 20;

/// Why the list in a binary could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuditableError {
    /// There is more of the binary than is looked at.
    #[error("the binary has {found_bytes} bytes, more than the {LIMIT_BYTES} that are looked at")]
    TooLarge {
        /// How many bytes it has.
        found_bytes: usize,
    },
    /// The binary breaks off or contradicts itself.
    #[error("the binary is malformed: {problem}")]
    Binary {
        /// What is wrong with it.
        problem: String,
    },
    /// The list is not what `cargo auditable` writes.
    #[error("the list of crates: {}{}{problem}", .path, if .path.is_empty() { "" } else { ": " })]
    List {
        /// Where, as `packages[0].name`; may be empty.
        path: String,
        /// What is wrong there.
        problem: String,
    },
}

impl AuditableError {
    /// This as a finding, `sbom/binary`: a warning, as comparing is more than was asked for.
    pub fn finding(&self) -> Finding {
        Finding::new(CODE, State::Warning, self.to_string())
    }
}

impl From<JsonError> for AuditableError {
    fn from(error: JsonError) -> Self {
        Self::List { path: error.path, problem: error.problem }
    }
}

const CODE: &str = "sbom/binary";

/// How many names of crates a finding shows.
const SHOWN: usize = 10;

/// A crate that is in a binary.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LinkedCrate {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Whether it only took part in the build: a build script's or a macro's dependency.
    pub build_only: bool,
}

/// The crates that are in a binary, sorted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkedCrates(Vec<LinkedCrate>);

impl LinkedCrates {
    /// Finds the list in an ELF, Mach-O or PE binary; `None` when `binary` is none, or was not
    /// built with `cargo auditable`.
    ///
    /// # Errors
    /// [`AuditableError`] when the binary or the list in it is malformed.
    pub fn from_binary(binary: &[u8]) -> Result<Option<Self>, AuditableError> {
        if binary.len() > LIMIT_BYTES {
            return Err(AuditableError::TooLarge { found_bytes: binary.len() });
        }
        let packed = match raw_auditable_data(binary) {
            Ok(packed) => packed,
            Err(ExtractError::NoAuditData | ExtractError::NotAnExecutable) => return Ok(None),
            // A binary without any section has none with a list.
            Err(ExtractError::SectionIsMissing | ExtractError::SymbolsSectionIsMissing) => {
                return Ok(None);
            }
            Err(error) => return Err(AuditableError::Binary { problem: error.to_string() }),
        };
        let list =
            miniz_oxide::inflate::decompress_to_vec_zlib_with_limit(packed, LIMIT_LIST_BYTES)
                .map_err(|error| AuditableError::List {
                    path: String::new(),
                    problem: error.to_string().to_lowercase(),
                })?;
        Self::from_list(&list).map(Some)
    }

    /// Reads the list itself, unpacked.
    ///
    /// # Errors
    /// [`AuditableError::List`] when it is something else.
    pub fn from_list(list: &[u8]) -> Result<Self, AuditableError> {
        let document = json::parse(list)?;
        let mut fields = Fields::of(&document, "")?;
        let mut crates = Vec::new();
        for mut package in fields.objects("packages", 100_000)? {
            let build_only = match package.optional("kind") {
                None => false,
                Some(Json::Text(kind)) => kind == "build",
                Some(_) => return Err(package.error("kind", "is not a text").into()),
            };
            crates.push(LinkedCrate {
                name: package.text("name")?.to_owned(),
                version: package.text("version")?.to_owned(),
                build_only,
            });
        }
        if crates.is_empty() {
            return Err(fields.error("packages", "names no crate").into());
        }
        crates.sort_unstable();
        crates.dedup();
        Ok(Self(crates))
    }

    /// All of them, by name and version.
    pub fn crates(&self) -> &[LinkedCrate] {
        &self.0
    }

    /// Holds them against a list of ingredients, `sbom/binary`: a crate that was linked and is
    /// not listed fails; one that only took part in the build and is not listed, and one that is
    /// listed and was not linked, are warnings.
    pub fn check(&self, sbom: &Sbom) -> Vec<Finding> {
        // What is listed, and whether its package URL says that it is a crate.
        let mut listed: BTreeMap<(String, String), bool> = BTreeMap::new();
        for component in sbom.components() {
            if let Some(named) = component.purl().and_then(crate_of_purl) {
                listed.insert(named, true);
            } else if let (false, Some(version)) = (component.is_file(), component.version()) {
                listed.entry((component.name().to_owned(), version.to_owned())).or_insert(false);
            }
        }
        let is_listed = |linked: &&LinkedCrate| {
            listed.contains_key(&(linked.name.clone(), linked.version.clone()))
        };
        let missing = |build_only: bool| {
            let lacking = self
                .0
                .iter()
                .filter(|linked| linked.build_only == build_only && !is_listed(linked));
            lacking.map(|linked| format!("{} {}", linked.name, linked.version)).collect::<Vec<_>>()
        };
        let extra: Vec<String> = listed
            .iter()
            .filter(|((name, version), is_crate)| {
                let linked =
                    |linked: &LinkedCrate| linked.name == *name && linked.version == *version;
                **is_crate && !self.0.iter().any(linked)
            })
            .map(|((name, version), _)| format!("{name} {version}"))
            .collect();
        let mut findings = Vec::new();
        let mut add = |state, message: &str, names: &[String]| {
            if !names.is_empty() {
                let message = format!("{} {message}", counted(names.len()));
                findings.push(Finding::new(CODE, state, message).compared("none", shown(names)));
            }
        };
        add(State::Failed, "in the binary but not in the list of ingredients", &missing(false));
        let message = "part of the build but not in the list of ingredients";
        add(State::Warning, message, &missing(true));
        add(State::Warning, "in the list of ingredients but not in the binary", &extra);
        if findings.is_empty() {
            let message =
                format!("the list of ingredients has the binary's {}", counted(self.0.len()));
            findings.push(Finding::passed(CODE, message));
        }
        findings
    }
}

/// Holds an artifact that is read once more against a list of ingredients. Nothing when it is no
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
        Ok(Some(linked)) => linked.check(sbom),
        Err(error) => vec![error.finding()],
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

/// The name and version of `pkg:cargo/name@1.2.3?…`.
fn crate_of_purl(purl: &str) -> Option<(String, String)> {
    let path = purl.strip_prefix("pkg:cargo/")?;
    let path = path.split(['?', '#']).next()?;
    let (name, version) = path.split_once('@')?;
    let version = version.replace("%2B", "+").replace("%2b", "+");
    Some((name.to_owned(), version))
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
        linked.check(&sbom(crates)).into_iter().map(|f| (f.state, f.found)).collect()
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
    fn a_binary_without_a_list_has_none() {
        assert_eq!(LinkedCrates::from_binary(b""), Ok(None));
        assert_eq!(LinkedCrates::from_binary(b"#!/bin/sh\n"), Ok(None));
        let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert_eq!(LinkedCrates::from_binary(&own), Ok(None));
    }

    #[test]
    fn a_binary_with_a_list() {
        let linked = LinkedCrates::from_list(LIST).unwrap();
        for binary in [elf(&packed(LIST)), pe(&packed(LIST)), mach_o(&packed(LIST))] {
            assert_eq!(LinkedCrates::from_binary(&binary), Ok(Some(linked.clone())));
            for end in 0..binary.len() {
                // Cut anywhere, it is an error or nothing; never a panic, never the list.
                assert_ne!(LinkedCrates::from_binary(&binary[..end]), Ok(Some(linked.clone())));
            }
        }
        let bomb = packed(&vec![b' '; LIMIT_LIST_BYTES + 1]);
        assert!(matches!(LinkedCrates::from_binary(&elf(&bomb)), Err(AuditableError::List { .. })));
        let twice = br#"{"packages":[],"packages":[]}"#;
        assert!(LinkedCrates::from_list(twice).is_err());
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

    fn pe(content: &[u8]) -> Vec<u8> {
        binaries::pe(".dep-v0", content)
    }

    fn mach_o(content: &[u8]) -> Vec<u8> {
        binaries::mach_o("__DATA", ".dep-v0", content)
    }

    fn packed(list: &[u8]) -> Vec<u8> {
        miniz_oxide::deflate::compress_to_vec_zlib(list, 6)
    }
}
