//! What is different between two documents.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Document, License, Package, Relation};
use crate::purl::without_version;

/// What is different between two documents, by name. Dates, authors and identifiers do not count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diff {
    /// What only the second one lists.
    pub added: Vec<Item>,
    /// What only the first one lists.
    pub removed: Vec<Item>,
    /// What both list, and tell differently.
    pub changed: Vec<Change>,
}

/// A package, as it is named in a difference.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Item {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: Option<String>,
    /// Its package URL.
    pub purl: Option<String>,
}

/// A package that is told differently.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    /// As the first document names it.
    pub item: Item,
    /// What of it is different.
    pub aspect: Aspect,
    /// What the first document says. Of dependencies: those that only it has.
    pub from: Option<String>,
    /// What the second one says. Of dependencies: those that only it has.
    pub to: Option<String>,
}

/// What of a package can be different.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Aspect {
    /// Its version.
    Version,
    /// Its checksums.
    Checksums,
    /// Its licence.
    License,
    /// Who supplies it.
    Supplier,
    /// Whether it only took part in the build.
    BuildOnly,
    /// What it needs, whatever the versions.
    Dependencies,
}

impl Aspect {
    /// The word for people and for JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Version => "version",
            Self::Checksums => "checksums",
            Self::License => "license",
            Self::Supplier => "supplier",
            Self::BuildOnly => "build-only",
            Self::Dependencies => "dependencies",
        }
    }
}

impl Diff {
    /// Whether there is no difference.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty()
    }
}

/// Compares two documents. Packages are the same when their package URLs are, the version aside; without one, when
/// their names are.
pub fn diff(first: &Document, second: &Document) -> Diff {
    let (one, other) = (Side::of(first), Side::of(second));
    let mut diff = Diff::default();
    let keys: BTreeSet<&str> = one.groups.keys().chain(other.groups.keys()).copied().collect();
    for key in keys {
        let (mut before, mut after) = (Vec::new(), Vec::new());
        // Both are in the order of their versions.
        let mut left = one.groups.get(key).into_iter().flatten().copied().peekable();
        let mut right = other.groups.get(key).into_iter().flatten().copied().peekable();
        while let (Some(package), Some(now)) = (left.peek(), right.peek()) {
            match package.version.cmp(&now.version) {
                Ordering::Less => before.extend(left.next()),
                Ordering::Greater => after.extend(right.next()),
                Ordering::Equal => {
                    compare(&mut diff, (&one, package), (&other, now));
                    left.next();
                    right.next();
                }
            }
        }
        before.extend(left);
        after.extend(right);
        // One version went, another came.
        if let ([package], [now]) = (before.as_slice(), after.as_slice()) {
            compare(&mut diff, (&one, package), (&other, now));
        } else {
            diff.removed.extend(before.into_iter().map(item));
            diff.added.extend(after.into_iter().map(item));
        }
    }
    diff.added.sort();
    diff.removed.sort();
    diff.changed.sort();
    diff
}

/// A document, ready to be compared.
struct Side<'a> {
    groups: BTreeMap<&'a str, Vec<&'a Package>>,
    needs: BTreeMap<&'a str, BTreeSet<&'a str>>,
}

impl<'a> Side<'a> {
    fn of(document: &'a Document) -> Self {
        let mut groups: BTreeMap<&str, Vec<&Package>> = BTreeMap::new();
        let mut keys: BTreeMap<&str, &str> = BTreeMap::new();
        for package in &document.packages {
            groups.entry(key(package)).or_default().push(package);
            keys.insert(&package.id, key(package));
        }
        for group in groups.values_mut() {
            group.sort_by(|one, other| (&one.version, &one.id).cmp(&(&other.version, &other.id)));
        }
        let mut needs: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for edge in &document.relationships {
            if matches!(edge.kind, Relation::DependsOn | Relation::BuildDependsOn) {
                let to = keys.get(edge.to.as_str()).copied().unwrap_or(&edge.to);
                needs.entry(&edge.from).or_default().insert(to);
            }
        }
        Self { groups, needs }
    }

    fn needs(&self, package: &Package) -> BTreeSet<&'a str> {
        self.needs.get(package.id.as_str()).cloned().unwrap_or_default()
    }
}

fn key(package: &Package) -> &str {
    package.purl.as_deref().map_or(&package.name, without_version)
}

fn item(package: &Package) -> Item {
    Item {
        name: package.name.clone(),
        version: package.version.clone(),
        purl: package.purl.clone(),
    }
}

fn compare(
    diff: &mut Diff,
    (one, before): (&Side<'_>, &Package),
    (other, after): (&Side<'_>, &Package),
) {
    let mut differ = |aspect, from: Option<String>, to: Option<String>| {
        if from != to {
            diff.changed.push(Change { item: item(before), aspect, from, to });
        }
    };
    differ(Aspect::Version, before.version.clone(), after.version.clone());
    differ(Aspect::Checksums, checksums(before), checksums(after));
    differ(Aspect::License, license(before), license(after));
    let supplier = |package: &Package| package.supplier.as_ref().map(|party| party.name.clone());
    differ(Aspect::Supplier, supplier(before), supplier(after));
    let build = |package: &Package| Some(package.build_only.to_string());
    differ(Aspect::BuildOnly, build(before), build(after));
    let (old, new) = (one.needs(before), other.needs(after));
    let only = |these: &BTreeSet<&str>, those: &BTreeSet<&str>| {
        let names: Vec<&str> = these.difference(those).copied().collect();
        (!names.is_empty()).then(|| names.join(", "))
    };
    differ(Aspect::Dependencies, only(&old, &new), only(&new, &old));
}

fn checksums(package: &Package) -> Option<String> {
    let mut all: Vec<String> = package
        .checksums
        .iter()
        .map(|one| format!("{}:{}", one.algorithm.to_lowercase(), one.value))
        .collect();
    all.sort();
    (!all.is_empty()).then(|| all.join(", "))
}

fn license(package: &Package) -> Option<String> {
    package.license.as_ref().map(|license| match license {
        License::Expression(text) | License::Name(text) => text.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Checksum, Relationship};

    fn document(packages: &[(&str, &str)]) -> Document {
        let packages = packages.iter().map(|(name, version)| Package {
            id: format!("{name}-{version}"),
            name: (*name).to_owned(),
            version: Some((*version).to_owned()),
            purl: Some(format!("pkg:cargo/{name}@{version}")),
            ..Package::default()
        });
        Document { packages: packages.collect(), ..Document::default() }
    }

    #[test]
    fn differences_have_names() {
        let old = document(&[("a", "1.0.0"), ("b", "1.0.0"), ("b", "2.0.0"), ("gone", "1.0.0")]);
        let mut new = document(&[("a", "1.1.0"), ("b", "2.0.0"), ("b", "3.0.0"), ("new", "1.0.0")]);
        new.packages[1].checksums.push(Checksum::sha256("00"));
        let (from, to) = ("a-1.1.0".to_owned(), "new-1.0.0".to_owned());
        new.relationships.push(Relationship { from, to, kind: Relation::DependsOn });
        assert!(diff(&old, &old).is_empty() && diff(&new, &new).is_empty());
        let found = diff(&old, &new);
        let names = |items: &[Item]| items.iter().map(|i| i.name.clone()).collect::<Vec<_>>();
        assert_eq!(names(&found.added), ["new"]);
        assert_eq!(names(&found.removed), ["gone"]);
        let changes: Vec<_> = found
            .changed
            .iter()
            .map(|c| (c.item.name.as_str(), c.aspect, c.from.as_deref(), c.to.as_deref()))
            .collect();
        assert_eq!(
            changes,
            [
                ("a", Aspect::Version, Some("1.0.0"), Some("1.1.0")),
                ("a", Aspect::Dependencies, None, Some("pkg:cargo/new")),
                ("b", Aspect::Version, Some("1.0.0"), Some("3.0.0")),
                ("b", Aspect::Checksums, None, Some("sha256:00")),
            ]
        );
        // The other way round it is the same, swapped.
        let back = diff(&new, &old);
        assert_eq!(
            (names(&back.added), names(&back.removed)),
            (vec!["gone".to_owned()], vec!["new".to_owned()])
        );
    }
}
