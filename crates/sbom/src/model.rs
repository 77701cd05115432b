//! What a document says, whichever format it is written in.

use std::collections::{BTreeMap, BTreeSet};

/// An SBOM: what it is about, everything in it, and what depends on what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Document {
    /// Its name; for `CycloneDX` that of its subject.
    pub name: String,
    /// What makes this very document unique: SPDX's namespace, `CycloneDX`'s serial number. When it
    /// is absent, a writer makes one from the content.
    pub namespace: Option<String>,
    /// When it was made, as `2026-01-01T00:00:00Z`.
    pub created: Option<String>,
    /// Who made it.
    pub creators: Vec<Creator>,
    /// Everything it lists, what it is about too.
    pub packages: Vec<Package>,
    /// Identifiers of what the document as a whole is about.
    pub described: Vec<String>,
    /// How packages relate.
    pub relationships: Vec<Relationship>,
}

/// Who made a document.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Creator {
    /// A program.
    Tool {
        /// Its name.
        name: String,
        /// Its version.
        version: Option<String>,
    },
    /// Somebody.
    Party(Party),
}

/// A person or an organization.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Party {
    /// Which of the two.
    pub kind: PartyKind,
    /// Its name.
    pub name: String,
    /// Its mail address.
    pub email: Option<String>,
}

/// What kind of somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PartyKind {
    /// Several people under one name.
    Organization,
    /// One human.
    Person,
}

impl Party {
    /// An organization of that name.
    pub fn organization(name: impl Into<String>) -> Self {
        Self { kind: PartyKind::Organization, name: name.into(), email: None }
    }

    /// A person of that name.
    pub fn person(name: impl Into<String>) -> Self {
        Self { kind: PartyKind::Person, name: name.into(), email: None }
    }
}

/// One thing that a document lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Package {
    /// Its name within the document. A component of `CycloneDX` need not have one: then it is empty.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: Option<String>,
    /// What it is, when that is said.
    pub kind: Option<Kind>,
    /// The name of the file that it is distributed as.
    pub file_name: Option<String>,
    /// Its package URL.
    pub purl: Option<String>,
    /// Other names that are the same everywhere.
    pub identifiers: Vec<Identifier>,
    /// Its checksums.
    pub checksums: Vec<Checksum>,
    /// Who supplies it.
    pub supplier: Option<Party>,
    /// Its licence, as its authors declare it.
    pub license: Option<License>,
    /// The text of its copyright.
    pub copyright: Option<String>,
    /// Where it can be had.
    pub download_location: Option<String>,
    /// Its page.
    pub homepage: Option<String>,
    /// What it is, in a sentence.
    pub description: Option<String>,
    /// Whether it only took part in the build, and nothing of it is in what was built.
    pub build_only: bool,
}

/// What a package is. The names are those of SPDX 2.3 §7.24.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A program.
    Application,
    /// What programs are built around.
    Framework,
    /// What programs are built with.
    Library,
    /// An image of a container.
    Container,
    /// An operating system.
    OperatingSystem,
    /// A piece of hardware.
    Device,
    /// What runs in a device.
    Firmware,
    /// A collection of source files.
    Source,
    /// An archive.
    Archive,
    /// One file.
    File,
    /// What installs something.
    Install,
    /// Something else.
    Other,
}

/// A name that is the same everywhere, besides a package URL.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Identifier {
    /// As SPDX calls it: `cpe22Type`, `cpe23Type`, `swid`, `swh`, `gitoid`.
    pub kind: String,
    /// The name.
    pub locator: String,
}

/// A checksum.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Checksum {
    /// As SPDX calls it: `SHA256`.
    pub algorithm: String,
    /// In lower-case hex.
    pub value: String,
}

impl Checksum {
    /// A SHA-256.
    pub fn sha256(value: impl Into<String>) -> Self {
        Self { algorithm: "SHA256".to_owned(), value: value.into() }
    }
}

/// A licence.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum License {
    /// An expression of SPDX identifiers.
    Expression(String),
    /// Words of its own.
    Name(String),
}

/// That something relates to something.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Relationship {
    /// The identifier of the one.
    pub from: String,
    /// The identifier of the other.
    pub to: String,
    /// How the one relates to the other.
    pub kind: Relation,
}

/// How one package relates to another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Relation {
    /// It needs it.
    DependsOn,
    /// It needs it while it is built, and nothing of it gets into what is built.
    BuildDependsOn,
    /// It is a part.
    Contains,
    /// Another one of SPDX 2.3 §11: `GENERATED_FROM`.
    Other(String),
}

impl Document {
    /// The package with that identifier.
    pub fn package(&self, id: &str) -> Option<&Package> {
        self.packages.iter().find(|package| package.id == id)
    }

    /// What the document as a whole is about.
    pub fn subjects(&self) -> impl Iterator<Item = &Package> {
        let described: BTreeSet<&str> = self.described.iter().map(String::as_str).collect();
        self.packages.iter().filter(move |package| described.contains(package.id.as_str()))
    }

    /// Says that the one thing this document is about is a file: its name and its checksum. A checksum that was
    /// there is that of something else, its source say.
    pub fn describe_file(&mut self, name: &str, sha256: &str) {
        let described = self.described.clone();
        for package in self.packages.iter_mut().filter(|package| described.contains(&package.id)) {
            package.file_name = Some(name.to_owned());
            package.checksums = vec![Checksum::sha256(sha256)];
        }
    }

    /// Puts everything in its one order: packages by name and version, the rest by identifier, nothing
    /// twice, and a package that is needed anyhow is not said to be needed for the build.
    pub fn sort(&mut self) {
        self.creators.sort();
        self.creators.dedup();
        self.described.sort();
        self.described.dedup();
        for package in &mut self.packages {
            package.checksums.sort();
            package.checksums.dedup();
            package.identifiers.sort();
            package.identifiers.dedup();
        }
        let key =
            |package: &Package| (package.name.clone(), package.version.clone(), package.id.clone());
        self.packages.sort_by_cached_key(key);
        self.relationships.sort();
        self.relationships.dedup();
        let needed: BTreeSet<(String, String)> = self
            .relationships
            .iter()
            .filter(|one| one.kind == Relation::DependsOn)
            .map(|one| (one.from.clone(), one.to.clone()))
            .collect();
        self.relationships.retain(|one| {
            one.kind != Relation::BuildDependsOn
                || !needed.contains(&(one.from.clone(), one.to.clone()))
        });
    }

    /// Identifiers of what can be reached from the subjects over dependencies and parts, but not
    /// over what is only needed for the build.
    pub(crate) fn linked(&self) -> BTreeSet<&str> {
        let mut edges: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for one in &self.relationships {
            if matches!(one.kind, Relation::DependsOn | Relation::Contains) {
                edges.entry(&one.from).or_default().push(&one.to);
            }
        }
        let mut linked: BTreeSet<&str> = BTreeSet::new();
        let mut next: Vec<&str> = self.described.iter().map(String::as_str).collect();
        while let Some(id) = next.pop() {
            if linked.insert(id) {
                next.extend(edges.get(id).into_iter().flatten());
            }
        }
        linked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edge(from: &str, to: &str, kind: Relation) -> Relationship {
        Relationship { from: from.into(), to: to.into(), kind }
    }

    #[test]
    fn there_is_one_order() {
        let mut document = Document {
            described: vec!["b".into(), "a".into(), "b".into()],
            relationships: vec![
                edge("b", "a", Relation::BuildDependsOn),
                edge("a", "b", Relation::BuildDependsOn),
                edge("a", "b", Relation::DependsOn),
                edge("a", "b", Relation::DependsOn),
            ],
            ..Document::default()
        };
        document.sort();
        assert_eq!(document.described, ["a", "b"]);
        assert_eq!(
            document.relationships,
            [edge("a", "b", Relation::DependsOn), edge("b", "a", Relation::BuildDependsOn)]
        );
    }

    #[test]
    fn what_is_only_built_with_is_not_linked() {
        let document = Document {
            described: vec!["app".into()],
            relationships: vec![
                edge("app", "lib", Relation::DependsOn),
                edge("lib", "cc", Relation::BuildDependsOn),
                edge("cc", "jobs", Relation::DependsOn),
                edge("lib", "app", Relation::DependsOn),
            ],
            ..Document::default()
        };
        assert_eq!(document.linked(), BTreeSet::from(["app", "lib"]));
    }
}
