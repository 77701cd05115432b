//! `CycloneDX` 1.2 to 1.7 as JSON.
//!
//! Source: `CycloneDX` (ECMA-424) JSON reference.

use super::spdx::Draft;
use super::{Component, LIMIT_ENTRIES, Sbom, SbomError, SbomFormat};
use crate::json::{Fields, Json, JsonError};
use crate::{Algorithm, Digest};

/// How deep components may be nested in each other.
const DEEPEST: usize = 32;

pub(super) fn read(document: &Json) -> Result<Sbom, SbomError> {
    let mut fields = Fields::of(document, "")?;
    if fields.text("bomFormat")? != "CycloneDX" {
        return Err(SbomError::Unknown);
    }
    let version = fields.text("specVersion")?;
    if !["1.2", "1.3", "1.4", "1.5", "1.6", "1.7"].contains(&version) {
        return Err(SbomError::Unsupported { form: format!("CycloneDX `{version}`") });
    }
    let mut draft = Draft::new(SbomFormat::CycloneDx, version);
    if let Some(mut metadata) = fields.optional_object("metadata")? {
        draft.sbom.created = metadata.optional_text("timestamp")?.map(ToOwned::to_owned);
        draft.sbom.authors = authors(&mut metadata)?;
        if let Some(main) = metadata.optional_object("component")? {
            component(&mut draft, main, 0)?;
            draft.sbom.name = draft.sbom.components.first().map(|main| main.name.clone());
            draft.sbom.described.push(0);
        }
    }
    for found in fields.objects("components", LIMIT_ENTRIES)? {
        component(&mut draft, found, 0)?;
    }
    // Services may be ends of dependencies too.
    for mut service in fields.objects("services", LIMIT_ENTRIES)? {
        draft.others.extend(service.optional_text("bom-ref")?.map(ToOwned::to_owned));
    }
    for mut dependency in fields.objects("dependencies", LIMIT_ENTRIES)? {
        draft.end(dependency.text("ref")?);
        for end in dependency.list("dependsOn", LIMIT_ENTRIES)? {
            let Json::Text(end) = end else {
                return Err(dependency.error("dependsOn", "holds no text").into());
            };
            draft.sbom.relationships += 1;
            draft.end(end);
        }
    }
    Ok(draft.finish())
}

/// How many authors and tools it names: tools were a list, then an object of lists.
fn authors(metadata: &mut Fields<'_>) -> Result<usize, JsonError> {
    let mut count = metadata.list("authors", 1000)?.len();
    count += match metadata.optional("tools") {
        Some(Json::List(tools)) => tools.len(),
        Some(Json::Object(kinds)) => kinds.len(),
        _ => 0,
    };
    for party in ["manufacture", "manufacturer", "supplier"] {
        count += usize::from(metadata.optional_object(party)?.is_some());
    }
    Ok(count)
}

fn component(draft: &mut Draft, mut fields: Fields<'_>, depth: usize) -> Result<(), SbomError> {
    if depth > DEEPEST {
        return Err(fields.error("components", "is nested too deep").into());
    }
    let purl = fields.optional_text("purl")?.filter(|purl| !purl.is_empty());
    let group = fields.optional_text("group")?.filter(|group| !group.is_empty());
    let name = fields.text("name")?;
    let mut found = Component {
        id: fields.optional_text("bom-ref")?.unwrap_or_default().to_owned(),
        name: group.map_or_else(|| name.to_owned(), |group| format!("{group}/{name}")),
        version: fields.optional_text("version")?.filter(|v| !v.is_empty()).map(ToOwned::to_owned),
        purl: purl.map(ToOwned::to_owned),
        identified: purl.is_some(),
        is_file: fields.text("type")? == "file",
        ..Component::default()
    };
    found.identified |= fields.optional_text("cpe")?.is_some() | fields.optional("swid").is_some();
    for party in ["supplier", "manufacturer", "publisher", "author"] {
        found.supplied |= match fields.optional(party) {
            Some(Json::Text(text)) => !text.is_empty(),
            Some(object) => {
                object.get("name").and_then(Json::as_str).is_some_and(|n| !n.is_empty())
            }
            None => false,
        };
    }
    found.supplied |= !fields.list("authors", 1000)?.is_empty();
    for mut hash in fields.objects("hashes", 100)? {
        let known = match hash.text("alg")? {
            "SHA-256" => Algorithm::Sha256,
            "SHA-384" => Algorithm::Sha384,
            "SHA-512" => Algorithm::Sha512,
            _ => continue,
        };
        let digest = Digest::from_hex(known, hash.text("content")?)
            .ok_or_else(|| hash.error("content", "is not a digest of that algorithm"))?;
        found.digests.push(digest);
    }
    draft.add(found).map_err(|problem| fields.error("bom-ref", problem))?;
    for nested in fields.objects("components", LIMIT_ENTRIES)? {
        component(draft, nested, depth + 1)?;
    }
    Ok(())
}
