//! The list of crates that `cargo auditable` puts into a binary, held against a list of
//! ingredients: what was really linked, against what is said to be in it.
//!
//! The list in the binary is as authentic as the binary: hold them against each other only when
//! the binary itself is the artifact.

use std::collections::BTreeMap;

use auditable_extract::{Error as ExtractError, raw_auditable_data};

use crate::json::{self, Fields, Json, JsonError};
use crate::sbom::Sbom;
use crate::{Finding, State};

/// Binaries up to this size are looked at.
pub const LIMIT_BYTES: usize = 512 << 20;

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
    /// This as a finding, `sbom/binary`: the list could not be compared.
    pub fn finding(&self) -> Finding {
        Finding::undecided(CODE, self.to_string())
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
        for binary in [elf(&packed(LIST)), pe(&packed(LIST))] {
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

    fn packed(list: &[u8]) -> Vec<u8> {
        miniz_oxide::deflate::compress_to_vec_zlib(list, 6)
    }

    /// A 64-bit ELF file with nothing but a table of sections, `.dep-v0` and their names.
    fn elf(content: &[u8]) -> Vec<u8> {
        const HEADER: u64 = 64;
        let names = b"\0.dep-v0\0.shstrtab\0";
        let names_at = HEADER + content.len() as u64;
        let table_at = names_at + names.len() as u64;
        let section = |name: u32, kind: u32, at: u64, size: u64| {
            let mut entry = Vec::new();
            entry.extend(name.to_le_bytes());
            entry.extend(kind.to_le_bytes());
            entry.extend([0; 16]);
            entry.extend(at.to_le_bytes());
            entry.extend(size.to_le_bytes());
            entry.extend([0; 24]);
            entry
        };
        let mut file = b"\x7fELF\x02\x01\x01".to_vec();
        file.resize(16, 0);
        file.extend([2, 0, 62, 0, 1, 0, 0, 0]);
        file.extend([0; 16]);
        file.extend(table_at.to_le_bytes());
        file.extend([0, 0, 0, 0, 64, 0, 56, 0, 0, 0, 64, 0, 3, 0, 2, 0]);
        file.extend(content);
        file.extend(names);
        file.extend(section(0, 0, 0, 0));
        file.extend(section(1, 1, HEADER, content.len() as u64));
        file.extend(section(9, 3, names_at, names.len() as u64));
        file
    }

    /// A PE file with nothing but one section, `.dep-v0`.
    fn pe(content: &[u8]) -> Vec<u8> {
        const PE_AT: u32 = 64;
        const CONTENT_AT: u32 = PE_AT + 24 + 40;
        let size = u32::try_from(content.len()).unwrap();
        let mut file = b"MZ".to_vec();
        file.resize(0x3c, 0);
        file.extend(PE_AT.to_le_bytes());
        file.extend(b"PE\0\0");
        file.extend([0x64, 0x86, 1, 0]);
        file.extend([0; 16]);
        file.extend(b".dep-v0\0");
        file.extend(size.to_le_bytes());
        file.extend([0; 4]);
        file.extend(size.to_le_bytes());
        file.extend(CONTENT_AT.to_le_bytes());
        file.extend([0; 16]);
        file.extend(content);
        file
    }
}
