//! A document while it is read: what refers to what is resolved at its end.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use dsops_json::Fields;

use super::{Fault, Form, Reading};
use crate::model::{Document, Package, Relation, Relationship};

/// The identifier of an SPDX document itself.
pub(super) const DOCUMENT: &str = "SPDXRef-DOCUMENT";

/// How many faults are told.
const FAULTS: usize = 100;

pub(super) struct Draft {
    pub(super) document: Document,
    pub(super) version: String,
    /// Identifiers of what the whole is about.
    pub(super) described: Vec<String>,
    /// What is no package, but may be the end of a relationship.
    pub(super) others: HashSet<String>,
    form: Form,
    relationships: Vec<Relationship>,
    /// Ends of what is told in another way than as a relationship.
    ends: Vec<String>,
    ids: HashMap<String, usize>,
    faults: Vec<Fault>,
    dropped: BTreeMap<String, usize>,
}

impl Draft {
    pub(super) fn new(form: Form, version: &str) -> Self {
        Self {
            document: Document::default(),
            version: version.to_owned(),
            described: Vec::new(),
            others: HashSet::new(),
            form,
            relationships: Vec::new(),
            ends: Vec::new(),
            ids: HashMap::new(),
            faults: Vec::new(),
            dropped: BTreeMap::new(),
        }
    }

    pub(super) fn fault(&mut self, fault: Fault) {
        if self.faults.len() < FAULTS {
            self.faults.push(fault);
        }
    }

    pub(super) fn expect(&mut self, value: Option<&str>, name: &'static str) {
        if value.is_none_or(str::is_empty) {
            self.fault(Fault::Missing(name));
        }
    }

    /// Notes what of an object was not asked for; `place` is where such objects lie.
    pub(super) fn drop_rest(&mut self, place: &str, fields: &Fields<'_>) {
        for name in fields.untaken() {
            self.drop_one(&format!("{place}{}", name.escape_debug()));
        }
    }

    pub(super) fn drop_one(&mut self, what: &str) {
        // Names are a stranger's: there may be as many as there are fields.
        const MOST: usize = 1000;
        if let Some(count) = self.dropped.get_mut(what) {
            *count += 1;
        } else if self.dropped.len() < MOST {
            self.dropped.insert(what.to_owned(), 1);
        }
    }

    /// Adds a package; its identifier must be new.
    pub(super) fn add(&mut self, package: Package) -> Result<(), &'static str> {
        if package.id == DOCUMENT {
            return Err("is that of the document");
        }
        // A component of CycloneDX need not have one.
        if !package.id.is_empty()
            && self.ids.insert(package.id.clone(), self.document.packages.len()).is_some()
        {
            return Err("occurs twice");
        }
        self.document.packages.push(package);
        Ok(())
    }

    pub(super) fn relate(&mut self, from: &str, kind: &str, to: &str) {
        let (from, kind, to) = match kind {
            "DESCRIBES" if from == DOCUMENT => return self.described.push(to.to_owned()),
            "DESCRIBED_BY" if to == DOCUMENT => return self.described.push(from.to_owned()),
            "DEPENDS_ON" => (from, Relation::DependsOn, to),
            "DEPENDENCY_OF" => (to, Relation::DependsOn, from),
            "BUILD_DEPENDENCY_OF" => (to, Relation::BuildDependsOn, from),
            "CONTAINS" => (from, Relation::Contains, to),
            "CONTAINED_BY" => (to, Relation::Contains, from),
            other => (from, Relation::Other(other.to_owned()), to),
        };
        self.relate_as(from, kind, to);
    }

    pub(super) fn relate_as(&mut self, from: &str, kind: Relation, to: &str) {
        let (from, to) = (from.to_owned(), to.to_owned());
        self.relationships.push(Relationship { from, to, kind });
    }

    pub(super) fn relate_part(&mut self, whole: &str, part: &str) {
        self.relate_as(whole, Relation::Contains, part);
    }

    /// Says that the first package is what the whole is about, under that identifier.
    pub(super) fn name_first(&mut self, id: String) {
        self.ids.insert(id.clone(), 0);
        self.described.push(id);
    }

    /// Notes the end of a relationship, to see in the end whether it is there.
    pub(super) fn end(&mut self, id: &str) {
        self.ends.push(id.to_owned());
    }

    /// Resolves what refers to what.
    pub(super) fn finish(mut self) -> Reading {
        let outside = |id: &str| {
            id == DOCUMENT || id == "NONE" || id == "NOASSERTION" || id.starts_with("DocumentRef-")
        };
        let mut seen = HashSet::new();
        for id in std::mem::take(&mut self.described) {
            if !self.ids.contains_key(&id) && !outside(&id) {
                self.fault(Fault::NotDescribed(id));
            } else if self.ids.contains_key(&id) && seen.insert(id.clone()) {
                self.document.described.push(id);
            }
        }
        let relationships = std::mem::take(&mut self.relationships);
        let is_part =
            |one: &&Relationship| self.form == Form::CycloneDx && one.kind == Relation::Contains;
        let count = relationships.len() - relationships.iter().filter(is_part).count();
        let ends = std::mem::take(&mut self.ends);
        let both = relationships.iter().flat_map(|one| [&one.from, &one.to]);
        let gone: Vec<Fault> = ends
            .iter()
            .chain(both)
            .filter(|id| !outside(id) && !self.ids.contains_key(*id) && !self.others.contains(*id))
            .take(FAULTS)
            .map(|id| Fault::NotRelated(id.clone()))
            .collect();
        for fault in gone {
            self.fault(fault);
        }
        self.document.relationships = relationships;
        if self.form == Form::CycloneDx {
            self.tell_build_edges();
        } else {
            self.tell_build_packages();
            self.shorten();
        }
        Reading {
            document: self.document,
            form: self.form,
            version: self.version,
            faults: self.faults,
            dropped: self.dropped,
            relationships: count,
        }
    }

    /// In `CycloneDX` packages say that they are only built with: what leads to them from others
    /// says it, too.
    fn tell_build_edges(&mut self) {
        let built: HashSet<&str> = self
            .document
            .packages
            .iter()
            .filter(|package| package.build_only)
            .map(|package| package.id.as_str())
            .collect();
        for one in &mut self.document.relationships {
            if one.kind == Relation::DependsOn
                && built.contains(one.to.as_str())
                && !built.contains(one.from.as_str())
            {
                one.kind = Relation::BuildDependsOn;
            }
        }
    }

    /// In SPDX relationships say it: a package that only they lead to is only built with. One line
    /// says that there is a dependency, another which kind it is.
    fn tell_build_packages(&mut self) {
        let build: BTreeSet<(String, String)> = self
            .document
            .relationships
            .iter()
            .filter(|one| one.kind == Relation::BuildDependsOn)
            .map(|one| (one.from.clone(), one.to.clone()))
            .collect();
        if build.is_empty() {
            return;
        }
        self.document.relationships.retain(|one| {
            one.kind != Relation::DependsOn || !build.contains(&(one.from.clone(), one.to.clone()))
        });
        let linked: HashSet<String> =
            self.document.linked().into_iter().map(str::to_owned).collect();
        // Reached from what is only built with, and not otherwise.
        let beyond = Document {
            described: build.into_iter().map(|(_, to)| to).collect(),
            relationships: self.document.relationships.clone(),
            ..Document::default()
        };
        let reached = beyond.linked();
        for package in &mut self.document.packages {
            package.build_only =
                reached.contains(package.id.as_str()) && !linked.contains(&package.id);
        }
    }

    /// Takes the beginning off that every identifier of SPDX has, where that leaves them different.
    fn shorten(&mut self) {
        let short: HashMap<String, String> = self
            .ids
            .keys()
            .filter_map(|id| Some((id, id.strip_prefix("SPDXRef-")?)))
            .filter(|(_, rest)| !rest.is_empty() && !self.ids.contains_key(*rest))
            .map(|(id, rest)| (id.clone(), rest.to_owned()))
            .collect();
        let cut = |id: &mut String| {
            if let Some(rest) = short.get(id) {
                id.clone_from(rest);
            }
        };
        let document = &mut self.document;
        document.packages.iter_mut().for_each(|package| cut(&mut package.id));
        document.described.iter_mut().for_each(cut);
        for one in &mut document.relationships {
            cut(&mut one.from);
            cut(&mut one.to);
        }
    }
}
