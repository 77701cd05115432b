//! SPDX 2.2 and 2.3 as JSON.
//!
//! Source: SPDX specification 2.3, chapters 6 to 11.

use std::collections::{HashMap, HashSet};

use super::names::digests_in_names;
use super::{Component, LIMIT_ENTRIES, Sbom, SbomError, SbomFormat};
use crate::json::{Fields, Json, JsonError};
use crate::{Algorithm, Digest};

/// The identifier of the document itself.
pub(super) const DOCUMENT: &str = "SPDXRef-DOCUMENT";

pub(super) fn read(document: &Json) -> Result<Sbom, SbomError> {
    let mut fields = Fields::of(document, "")?;
    let version = version(fields.text("spdxVersion")?)?;
    let mut draft = Draft::new(SbomFormat::SpdxJson, version);
    if fields.text("SPDXID")? != DOCUMENT {
        return Err(fields.error("SPDXID", "is not that of a document").into());
    }
    draft.sbom.name = fields.optional_text("name")?.map(ToOwned::to_owned);
    draft.expect(fields.optional_text("documentNamespace")?, "documentNamespace");
    draft.expect(fields.optional_text("dataLicense")?, "dataLicense");
    match fields.optional_object("creationInfo")? {
        None => draft.fault("no creationInfo"),
        Some(mut info) => {
            draft.sbom.created = info.optional_text("created")?.map(ToOwned::to_owned);
            draft.sbom.authors = info.list("creators", 1000)?.len();
        }
    }
    for mut package in fields.objects("packages", LIMIT_ENTRIES)? {
        let mut component = Component {
            id: package.text("SPDXID")?.to_owned(),
            name: package.text("name")?.to_owned(),
            version: package.optional_text("versionInfo")?.and_then(stated),
            supplied: package.optional_text("supplier")?.and_then(stated).is_some(),
            digests: checksums(&mut package)?,
            ..Component::default()
        };
        for mut reference in package.objects("externalRefs", LIMIT_ENTRIES)? {
            let kind = reference.optional_text("referenceType")?.unwrap_or_default();
            let locator = reference.optional_text("referenceLocator")?.unwrap_or_default();
            identify(&mut component, kind, locator);
        }
        draft.add(component).map_err(|problem| package.error("SPDXID", problem))?;
    }
    for mut file in fields.objects("files", LIMIT_ENTRIES)? {
        let component = Component {
            id: file.text("SPDXID")?.to_owned(),
            name: file.text("fileName")?.to_owned(),
            digests: checksums(&mut file)?,
            is_file: true,
            ..Component::default()
        };
        draft.add(component).map_err(|problem| file.error("SPDXID", problem))?;
    }
    for (index, id) in fields.list("documentDescribes", LIMIT_ENTRIES)?.iter().enumerate() {
        let Some(id) = id.as_str() else {
            let path = format!("documentDescribes[{index}]");
            return Err(JsonError::new(path, "is not a text").into());
        };
        draft.described.push(id.to_owned());
    }
    // Snippets may be ends of relationships too.
    for mut snippet in fields.objects("snippets", LIMIT_ENTRIES)? {
        draft.others.insert(snippet.text("SPDXID")?.to_owned());
    }
    for mut relationship in fields.objects("relationships", LIMIT_ENTRIES)? {
        let from = relationship.text("spdxElementId")?;
        let to = relationship.text("relatedSpdxElement")?;
        let kind = relationship.text("relationshipType")?;
        draft.relate(from, kind, to);
    }
    Ok(draft.finish())
}

/// `SPDX-2.3` as `2.3`, when it is a version that is read.
pub(super) fn version(text: &str) -> Result<&str, SbomError> {
    match text.strip_prefix("SPDX-") {
        Some(version @ ("2.2" | "2.3")) => Ok(version),
        _ => Err(SbomError::Unsupported { form: format!("version `{text}`") }),
    }
}

/// The text, unless it says that nothing is said.
pub(super) fn stated(text: &str) -> Option<String> {
    let nothing = text.is_empty() || text == "NOASSERTION" || text == "NONE";
    (!nothing).then(|| text.to_owned())
}

fn checksums(fields: &mut Fields<'_>) -> Result<Vec<Digest>, JsonError> {
    let mut digests = Vec::new();
    for mut checksum in fields.objects("checksums", 100)? {
        let algorithm = checksum.text("algorithm")?;
        let value = checksum.text("checksumValue")?;
        let digest = digest(algorithm, value).map_err(|p| checksum.error("checksumValue", p))?;
        digests.extend(digest);
    }
    Ok(digests)
}

/// A digest, when the algorithm is one that is computed here.
pub(super) fn digest(algorithm: &str, value: &str) -> Result<Option<Digest>, &'static str> {
    let known = match algorithm {
        "SHA256" => Algorithm::Sha256,
        "SHA384" => Algorithm::Sha384,
        "SHA512" => Algorithm::Sha512,
        _ => return Ok(None),
    };
    Digest::from_hex(known, value).map(Some).ok_or("is not a digest of that algorithm")
}

/// Notes a reference to a name that is the same everywhere.
pub(super) fn identify(component: &mut Component, kind: &str, locator: &str) {
    if locator.is_empty() {
        return;
    }
    match kind {
        "purl" => {
            component.identified = true;
            component.purl.get_or_insert_with(|| locator.to_owned());
        }
        "cpe22Type" | "cpe23Type" | "swid" | "swh" | "gitoid" => component.identified = true,
        _ => {}
    }
}

/// A document while it is read: what refers to what is resolved at its end.
pub(super) struct Draft {
    pub(super) sbom: Sbom,
    pub(super) described: Vec<String>,
    /// What is neither component nor document, but may be the end of a relationship.
    pub(super) others: HashSet<String>,
    ends: Vec<String>,
    ids: HashMap<String, usize>,
}

impl Draft {
    pub(super) fn new(format: SbomFormat, version: &str) -> Self {
        let sbom = Sbom {
            format,
            version: version.to_owned(),
            name: None,
            created: None,
            authors: 0,
            components: Vec::new(),
            described: Vec::new(),
            relationships: 0,
            faults: Vec::new(),
        };
        let (others, ids) = (HashSet::new(), HashMap::new());
        Self { sbom, described: Vec::new(), others, ends: Vec::new(), ids }
    }

    pub(super) fn fault(&mut self, text: impl Into<String>) {
        const MOST: usize = 5;
        if self.sbom.faults.len() < MOST {
            self.sbom.faults.push(text.into());
        }
    }

    pub(super) fn expect(&mut self, value: Option<&str>, name: &str) {
        if value.is_none_or(str::is_empty) {
            self.fault(format!("no {name}"));
        }
    }

    /// Adds a component; its identifier must be new.
    pub(super) fn add(&mut self, mut component: Component) -> Result<(), &'static str> {
        component
            .digests
            .extend(digests_in_names(component.version.as_deref(), component.purl.as_deref()));
        component.digests.sort_unstable();
        component.digests.dedup();
        if component.id == DOCUMENT {
            return Err("is that of the document");
        }
        // A component of CycloneDX need not have one.
        if !component.id.is_empty()
            && self.ids.insert(component.id.clone(), self.sbom.components.len()).is_some()
        {
            return Err("occurs twice");
        }
        self.sbom.components.push(component);
        Ok(())
    }

    pub(super) fn relate(&mut self, from: &str, kind: &str, to: &str) {
        match (from, kind, to) {
            (DOCUMENT, "DESCRIBES", id) | (id, "DESCRIBED_BY", DOCUMENT) => {
                self.described.push(id.to_owned());
            }
            _ => {
                self.sbom.relationships += 1;
                self.ends.extend([from, to].map(ToOwned::to_owned));
            }
        }
    }

    /// Notes the end of a relationship, to see in the end whether it is there.
    pub(super) fn end(&mut self, id: &str) {
        self.ends.push(id.to_owned());
    }

    /// Resolves what refers to what.
    pub(super) fn finish(mut self) -> Sbom {
        let outside = |id: &str| {
            id == DOCUMENT || id == "NONE" || id == "NOASSERTION" || id.starts_with("DocumentRef-")
        };
        for id in std::mem::take(&mut self.described) {
            match self.ids.get(&id) {
                Some(index) => self.sbom.described.push(*index),
                None if outside(&id) => {}
                None => self.fault(format!("`{}` is described, but not there", id.escape_debug())),
            }
        }
        self.sbom.described.sort_unstable();
        self.sbom.described.dedup();
        if self.sbom.described.is_empty() {
            // A document with one package is about that one.
            let packages = self.sbom.components.iter().enumerate();
            let mut packages = packages.filter(|(_, component)| !component.is_file);
            if let (Some((index, _)), None) = (packages.next(), packages.next()) {
                self.sbom.described.push(index);
            }
        }
        let others = std::mem::take(&mut self.others);
        for id in std::mem::take(&mut self.ends) {
            if !outside(&id) && !self.ids.contains_key(&id) && !others.contains(&id) {
                self.fault(format!("`{}` is related, but not there", id.escape_debug()));
            }
        }
        self.sbom
    }
}
