//! The list of crates that `cargo auditable` puts into a binary: what was really linked.
//!
//! The list is as authentic as the binary that it lies in.

use std::collections::{BTreeMap, BTreeSet};

use auditable_extract::{Error as ExtractError, raw_auditable_data};
use dsops_json::{Fields, Json, JsonError, parse};

#[cfg(feature = "cargo")]
use crate::cargo::Lockfile;
use crate::model::{Document, Kind, Package, Relation, Relationship};
use crate::purl::{crate_of_purl, of_crate};
use crate::source::{Source, unique_id};

/// Binaries up to this size are looked at.
pub const LIMIT_BYTES: usize = 256 << 20;

/// The list is unpacked up to this size.
const LIMIT_LIST_BYTES: usize = 8 << 20;

/// How many crates a list may have.
const LIMIT_CRATES: usize = 100_000;

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

impl From<JsonError> for AuditableError {
    fn from(error: JsonError) -> Self {
        Self::List { path: error.path, problem: error.problem }
    }
}

/// A crate that is in a binary.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct LinkedCrate {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Whether it only took part in the build: a build script's or a macro's dependency.
    pub build_only: bool,
    /// Where it comes from: `crates.io`, `git`, `local`, `registry`, as the list says.
    pub source: Option<String>,
    /// Whether it is what was built.
    pub is_root: bool,
    /// The places in the list of those it needs.
    pub dependencies: Vec<usize>,
}

/// The crates that are in a binary, sorted by name and version.
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
        let document = parse(list)?;
        let mut fields = Fields::of(&document, "")?;
        let mut packages = fields.objects("packages", LIMIT_CRATES)?;
        let count = packages.len();
        let mut crates = Vec::new();
        for package in &mut packages {
            crates.push(linked(package, count)?);
        }
        if crates.is_empty() {
            return Err(fields.error("packages", "names no crate").into());
        }
        // In the order of names; what points to places has to follow.
        let mut order: Vec<usize> = (0..crates.len()).collect();
        order.sort_by(|one, other| crates[*one].cmp(&crates[*other]));
        let mut places = vec![0; crates.len()];
        for (place, index) in order.iter().enumerate() {
            places[*index] = place;
        }
        for one in &mut crates {
            for place in &mut one.dependencies {
                *place = places[*place];
            }
            one.dependencies.sort_unstable();
        }
        Ok(Self(order.into_iter().map(|index| crates[index].clone()).collect()))
    }

    /// All of them, by name and version.
    pub fn crates(&self) -> &[LinkedCrate] {
        &self.0
    }

    /// Holds the list against a document, both ways.
    ///
    /// What has no package URL may be a crate: it is held against the list by name and version. What has one of
    /// another kind, files, and the one thing that the document is about are not.
    pub fn compare(&self, document: &Document) -> Comparison {
        let mut listed: BTreeSet<(String, String)> = BTreeSet::new();
        let mut extra: BTreeSet<String> = BTreeSet::new();
        let own: BTreeSet<(&str, &str)> =
            self.0.iter().map(|linked| (linked.name.as_str(), linked.version.as_str())).collect();
        for package in &document.packages {
            let purl = package.purl.as_deref();
            if purl.is_none() && package.kind == Some(Kind::File) {
                continue;
            }
            let named = purl.and_then(crate_of_purl);
            // The program itself may be called by another kind of address.
            let is_own = document.described.contains(&package.id);
            let may_be_listed = named.is_some() || purl.is_none() || is_own;
            let counts = named.is_some() || (purl.is_none() && may_be_a_crate(document, package));
            let (name, version) = named.unwrap_or_else(|| {
                (package.name.clone(), package.version.clone().unwrap_or_default())
            });
            if counts && !own.contains(&(name.as_str(), version.as_str())) {
                extra.insert(format!("{name} {version}").trim_end().to_owned());
            }
            if may_be_listed {
                listed.insert((name, version));
            }
        }
        let missing = |build_only: bool| {
            let lacking = self.0.iter().filter(|linked| {
                linked.build_only == build_only
                    && !listed.contains(&(linked.name.clone(), linked.version.clone()))
            });
            lacking.map(|linked| format!("{} {}", linked.name, linked.version)).collect()
        };
        Comparison {
            missing: missing(false),
            missing_build: missing(true),
            extra: extra.into_iter().collect(),
        }
    }

    /// The list as a document, without date and creators. A list says neither checksums nor licences.
    pub fn document(&self) -> Document {
        let mut document = Document::default();
        let mut taken = BTreeMap::new();
        let ids: Vec<String> =
            self.0.iter().map(|one| unique_id(&one.name, &one.version, &mut taken)).collect();
        for (one, id) in self.0.iter().zip(&ids) {
            let source = Source::of_auditable(one.source.as_deref());
            if one.is_root {
                document.name = format!("{}-{}", one.name, one.version);
                document.described.push(id.clone());
            }
            document.packages.push(Package {
                id: id.clone(),
                name: one.name.clone(),
                version: Some(one.version.clone()),
                kind: Some(if one.is_root { Kind::Application } else { Kind::Library }),
                purl: Some(of_crate(&one.name, &one.version, None)),
                supplier: source.supplier(),
                download_location: source.download(&one.name, &one.version),
                build_only: one.build_only,
                ..Package::default()
            });
            for place in &one.dependencies {
                let first = self.0[*place].build_only && !one.build_only;
                let kind = if first { Relation::BuildDependsOn } else { Relation::DependsOn };
                let to = ids[*place].clone();
                document.relationships.push(Relationship { from: id.clone(), to, kind });
            }
        }
        document.sort();
        document
    }
}

/// How the list in a binary and a document differ: names with versions, sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Crates that were linked, and are not in the document.
    pub missing: Vec<String>,
    /// Crates that only took part in the build, and are not in the document.
    pub missing_build: Vec<String>,
    /// What the document lists as a crate, or without saying what it is, and was neither.
    pub extra: Vec<String>,
}

/// Whether a package without a package URL may be a crate: neither a piece of hardware, say, nor the one thing
/// that the document is about.
fn may_be_a_crate(document: &Document, package: &Package) -> bool {
    let is_subject = document.described.as_slice() == [package.id.as_str()];
    let is_of_the_kind = matches!(
        package.kind,
        None | Some(Kind::Application | Kind::Framework | Kind::Library | Kind::Other)
    );
    is_of_the_kind && !is_subject
}

fn linked(package: &mut Fields<'_>, count: usize) -> Result<LinkedCrate, JsonError> {
    let build_only = match package.optional("kind") {
        None => false,
        Some(Json::Text(kind)) => kind == "build",
        Some(_) => return Err(package.error("kind", "is not a text")),
    };
    let mut dependencies = Vec::new();
    for place in package.list("dependencies", LIMIT_CRATES)? {
        let place = match place {
            Json::Integer(place) => usize::try_from(*place).ok().filter(|place| *place < count),
            _ => None,
        };
        let outside = || package.error("dependencies", "names a crate that is not there");
        dependencies.push(place.ok_or_else(outside)?);
    }
    Ok(LinkedCrate {
        name: package.text("name")?.to_owned(),
        version: package.text("version")?.to_owned(),
        build_only,
        source: package.optional_text("source")?.map(ToOwned::to_owned),
        is_root: matches!(package.optional("root"), Some(Json::Bool(true))),
        dependencies,
    })
}

/// Adds the checksums that a lock file has for the crates of a document.
#[cfg(feature = "cargo")]
pub fn add_checksums(document: &mut Document, lockfile: &Lockfile) {
    for package in &mut document.packages {
        let known = package.purl.as_deref().and_then(crate_of_purl);
        let checksum = known.and_then(|(name, version)| lockfile.checksum(&name, &version, None));
        if let (Some(checksum), true) = (checksum, package.checksums.is_empty()) {
            package.checksums.push(crate::Checksum::sha256(checksum));
        }
    }
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
    fn a_list_is_a_document() {
        let document = LinkedCrates::from_list(LIST).unwrap().document();
        let seen: Vec<_> =
            document.packages.iter().map(|p| (p.id.as_str(), p.build_only)).collect();
        let (cc, demo, time) = ("cargo-cc-1.0.0", "cargo-demo-0.1.0", "cargo-time-0.3.1");
        assert_eq!(seen, [(cc, true), (demo, false), (time, false)]);
        assert_eq!(document.described, [demo]);
        let edges: Vec<_> = document
            .relationships
            .iter()
            .map(|one| (one.from.as_str(), one.to.as_str(), &one.kind))
            .collect();
        let both = [(demo, cc, &Relation::BuildDependsOn), (demo, time, &Relation::DependsOn)];
        assert_eq!(edges, both);
    }

    #[test]
    fn differences_go_both_ways() {
        let linked = LinkedCrates::from_list(LIST).unwrap();
        let mut document = linked.document();
        assert_eq!(linked.compare(&document), Comparison::default());
        document.packages.retain(|package| package.name == "demo");
        let other = "pkg:cargo/other@1.0.0".to_owned();
        document.packages.push(Package { purl: Some(other), ..Package::default() });
        let found = linked.compare(&document);
        assert_eq!(found.missing, ["time 0.3.1"]);
        assert_eq!(found.missing_build, ["cc 1.0.0"]);
        assert_eq!(found.extra, ["other 1.0.0"]);
    }

    #[test]
    fn what_has_no_package_url_is_held_against_the_list_too() {
        let linked = LinkedCrates::from_list(LIST).unwrap();
        let mut document = linked.document();
        for package in &mut document.packages {
            package.purl = None;
        }
        assert_eq!(linked.compare(&document), Comparison::default());
        let of = |name: &str, version: Option<&str>, kind, purl: Option<&str>| Package {
            id: format!("more-{name}"),
            name: name.to_owned(),
            version: version.map(str::to_owned),
            kind,
            purl: purl.map(str::to_owned),
            ..Package::default()
        };
        document.packages.extend([
            of("time", Some("9.9.9"), Some(Kind::Library), None),
            of("nameless", None, None, None),
            of("npm", Some("1.0.0"), Some(Kind::Library), Some("pkg:npm/npm@1.0.0")),
            of("LICENSE", None, Some(Kind::File), None),
        ]);
        assert_eq!(linked.compare(&document).extra, ["nameless", "time 9.9.9"]);
        // What the document is about is no part of itself; who says that all of it is hides nothing.
        document.packages.push(of("demo.tar.gz", Some("0.1.0"), None, None));
        document.described = vec!["more-demo.tar.gz".to_owned()];
        assert_eq!(linked.compare(&document).extra, ["nameless", "time 9.9.9"]);
        document.described = document.packages.iter().map(|package| package.id.clone()).collect();
        assert_eq!(linked.compare(&document).extra.len(), 3);
    }

    #[test]
    fn a_package_of_another_kind_is_no_crate() {
        let linked = LinkedCrates::from_list(LIST).unwrap();
        let mut document = linked.document();
        let time = document.packages.iter_mut().find(|package| package.name == "time").unwrap();
        time.purl = Some("pkg:npm/time@0.3.1".to_owned());
        assert_eq!(linked.compare(&document).missing, ["time 0.3.1"]);
        let own = document.packages.iter_mut().find(|package| package.name == "demo").unwrap();
        own.purl = Some("pkg:github/octo/demo@v1".to_owned());
        assert_eq!(linked.compare(&document).missing, ["time 0.3.1"]);
    }

    #[test]
    fn places_in_a_list_must_be_there() {
        let list = |place: &str| {
            format!(r#"{{"packages":[{{"name":"a","version":"1","dependencies":[{place}]}}]}}"#)
        };
        assert!(LinkedCrates::from_list(list("0").as_bytes()).is_ok());
        for bad in ["1", "-1", "0.5", "\"0\""] {
            assert!(LinkedCrates::from_list(list(bad).as_bytes()).is_err(), "{bad}");
        }
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
