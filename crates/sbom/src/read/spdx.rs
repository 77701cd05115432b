//! SPDX 2.2 and 2.3 as JSON.
//!
//! Source: SPDX specification 2.3, chapters 6 to 11.

use dsops_json::{Fields, Json, JsonError};

use super::draft::{DOCUMENT, Draft};
use super::{Fault, Form, LIMIT_ENTRIES, Reading};
use crate::error::ReadError;
use crate::license::is_expression;
use crate::model::{Checksum, Creator, Identifier, Kind, License, Package, Party, PartyKind};
use crate::names;

pub(super) fn read(document: &Json) -> Result<Reading, ReadError> {
    let mut fields = Fields::of(document, "")?;
    let version = version(fields.text("spdxVersion")?)?;
    let mut draft = Draft::new(Form::SpdxJson, version);
    if fields.text("SPDXID")? != DOCUMENT {
        return Err(fields.error("SPDXID", "is not that of a document").into());
    }
    fields.optional_text("name")?.unwrap_or_default().clone_into(&mut draft.document.name);
    let namespace = fields.optional_text("documentNamespace")?;
    draft.document.namespace = namespace.map(ToOwned::to_owned);
    draft.expect(namespace, "documentNamespace");
    draft.expect(fields.optional_text("dataLicense")?, "dataLicense");
    match fields.optional_object("creationInfo")? {
        None => draft.fault(Fault::Missing("creationInfo")),
        Some(mut info) => {
            draft.document.created = info.optional_text("created")?.map(ToOwned::to_owned);
            for creator in info.list("creators", 1000)? {
                draft.document.creators.push(self::creator(creator.as_str().unwrap_or_default()));
            }
            draft.drop_rest("creationInfo.", &info);
        }
    }
    for mut package in fields.objects("packages", LIMIT_ENTRIES)? {
        let found = self::package(&mut package, &mut draft)?;
        draft.add(found).map_err(|problem| package.error("SPDXID", problem))?;
        draft.drop_rest("packages[].", &package);
    }
    for mut file in fields.objects("files", LIMIT_ENTRIES)? {
        let found = Package {
            id: file.text("SPDXID")?.to_owned(),
            name: file.text("fileName")?.to_owned(),
            kind: Some(Kind::File),
            checksums: checksums(&mut file)?,
            ..Package::default()
        };
        draft.add(found).map_err(|problem| file.error("SPDXID", problem))?;
        draft.drop_rest("files[].", &file);
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
        draft.drop_one("snippets");
    }
    for mut relationship in fields.objects("relationships", LIMIT_ENTRIES)? {
        let from = relationship.text("spdxElementId")?;
        let to = relationship.text("relatedSpdxElement")?;
        let kind = relationship.text("relationshipType")?;
        draft.relate(from, kind, to);
        draft.drop_rest("relationships[].", &relationship);
    }
    draft.drop_rest("", &fields);
    Ok(draft.finish())
}

fn package(fields: &mut Fields<'_>, draft: &mut Draft) -> Result<Package, ReadError> {
    let stated = |text: Option<&str>| text.and_then(stated);
    let mut found = Package {
        id: fields.text("SPDXID")?.to_owned(),
        name: fields.text("name")?.to_owned(),
        version: stated(fields.optional_text("versionInfo")?),
        kind: fields.optional_text("primaryPackagePurpose")?.map(Kind::from_spdx),
        file_name: stated(fields.optional_text("packageFileName")?),
        supplier: stated(fields.optional_text("supplier")?).map(|text| party(&text)),
        license: stated(fields.optional_text("licenseDeclared")?).map(license),
        copyright: stated(fields.optional_text("copyrightText")?),
        download_location: stated(fields.optional_text("downloadLocation")?),
        homepage: stated(fields.optional_text("homepage")?),
        description: stated(fields.optional_text("description")?),
        checksums: checksums(fields)?,
        ..Package::default()
    };
    // Says nothing is what is written here.
    let concluded = stated(fields.optional_text("licenseConcluded")?);
    let concluded = concluded.map(license);
    if concluded.is_some() && concluded != found.license {
        draft.drop_one("packages[].licenseConcluded");
    }
    if fields.optional("filesAnalyzed") == Some(&Json::Bool(true)) {
        draft.drop_one("packages[].filesAnalyzed");
    }
    for mut reference in fields.objects("externalRefs", LIMIT_ENTRIES)? {
        let kind = reference.optional_text("referenceType")?.unwrap_or_default();
        let locator = reference.optional_text("referenceLocator")?.unwrap_or_default();
        if !identify(&mut found, kind, locator) {
            draft.drop_one(&format!("packages[].externalRefs[{}]", kind.escape_debug()));
        }
    }
    Ok(found)
}

/// `SPDX-2.3` as `2.3`, when it is a version that is read.
pub(super) fn version(text: &str) -> Result<&str, ReadError> {
    match text.strip_prefix("SPDX-") {
        Some(version @ ("2.2" | "2.3")) => Ok(version),
        _ => Err(ReadError::Unsupported { form: format!("version `{text}`") }),
    }
}

/// The text, unless it says that nothing is said.
pub(super) fn stated(text: &str) -> Option<String> {
    let nothing = text.is_empty() || text == "NOASSERTION" || text == "NONE";
    (!nothing).then(|| text.to_owned())
}

pub(super) fn license(text: String) -> License {
    if is_expression(&text) { License::Expression(text) } else { License::Name(text) }
}

/// `Tool: name-1.0.0`, `Person: name (mail)`, `Organization: name (mail)`.
pub(super) fn creator(text: &str) -> Creator {
    let Some(tool) = text.strip_prefix("Tool:") else { return Creator::Party(party(text)) };
    let tool = tool.trim();
    let version = tool
        .match_indices('-')
        .find(|(at, _)| tool[at + 1..].starts_with(|c: char| c.is_ascii_digit()));
    match version {
        Some((at, _)) if at > 0 => {
            Creator::Tool { name: tool[..at].to_owned(), version: Some(tool[at + 1..].to_owned()) }
        }
        _ => Creator::Tool { name: tool.to_owned(), version: None },
    }
}

pub(super) fn party(text: &str) -> Party {
    let (kind, rest) = match text.split_once(':') {
        Some(("Person", rest)) => (PartyKind::Person, rest),
        Some(("Organization", rest)) => (PartyKind::Organization, rest),
        _ => (PartyKind::Organization, text),
    };
    let rest = rest.trim();
    let (name, email) = match rest.strip_suffix(')').and_then(|rest| rest.rsplit_once('(')) {
        Some((name, email)) => (name.trim(), Some(email.trim()).filter(|email| !email.is_empty())),
        None => (rest, None),
    };
    Party { kind, name: name.to_owned(), email: email.map(ToOwned::to_owned) }
}

fn checksums(fields: &mut Fields<'_>) -> Result<Vec<Checksum>, JsonError> {
    let mut found = Vec::new();
    for mut checksum in fields.objects("checksums", 100)? {
        let algorithm = checksum.text("algorithm")?;
        let value = checksum.text("checksumValue")?;
        found.push(
            self::checksum(algorithm, value).map_err(|p| checksum.error("checksumValue", p))?,
        );
    }
    Ok(found)
}

/// A checksum; one that an artifact can be named by must be whole.
pub(super) fn checksum(algorithm: &str, value: &str) -> Result<Checksum, &'static str> {
    let digits = names::digits(algorithm);
    if digits.is_some_and(|digits| {
        value.len() != digits || !value.bytes().all(|byte| byte.is_ascii_hexdigit())
    }) {
        return Err("is not a digest of that algorithm");
    }
    Ok(Checksum { algorithm: algorithm.to_owned(), value: value.to_ascii_lowercase() })
}

/// Notes a reference to a name that is the same everywhere; `false` when it is something else.
pub(super) fn identify(package: &mut Package, kind: &str, locator: &str) -> bool {
    if locator.is_empty() {
        return true;
    }
    match kind {
        "purl" if package.purl.is_none() => package.purl = Some(locator.to_owned()),
        "purl" => return package.purl.as_deref() == Some(locator),
        "cpe22Type" | "cpe23Type" | "swid" | "swh" | "gitoid" => {
            let (kind, locator) = (kind.to_owned(), locator.to_owned());
            package.identifiers.push(Identifier { kind, locator });
        }
        _ => return false,
    }
    true
}
