//! `CycloneDX` 1.2 to 1.7 as JSON.
//!
//! Source: `CycloneDX` (ECMA-424) JSON reference.

use dsops_json::{Fields, Json, JsonError};

use super::draft::Draft;
use super::spdx::{checksum, license};
use super::{Form, LIMIT_ENTRIES, Reading};
use crate::error::ReadError;
use crate::model::{Creator, Identifier, License, Package, Party, PartyKind, Relation};
use crate::names;

pub(super) fn read(document: &Json) -> Result<Reading, ReadError> {
    let mut fields = Fields::of(document, "")?;
    if fields.text("bomFormat")? != "CycloneDX" {
        return Err(ReadError::Unknown);
    }
    let version = fields.text("specVersion")?;
    if !["1.2", "1.3", "1.4", "1.5", "1.6", "1.7"].contains(&version) {
        return Err(ReadError::Unsupported { form: format!("CycloneDX `{version}`") });
    }
    let mut draft = Draft::new(Form::CycloneDx, version);
    fields.optional("$schema");
    // What is written here is the first version of a document.
    if fields.optional("version").is_some_and(|version| *version != Json::Integer(1)) {
        draft.drop_one("version");
    }
    draft.document.namespace = fields.optional_text("serialNumber")?.map(ToOwned::to_owned);
    if let Some(mut metadata) = fields.optional_object("metadata")? {
        draft.document.created = metadata.optional_text("timestamp")?.map(ToOwned::to_owned);
        authors(&mut metadata, &mut draft)?;
        if let Some(main) = metadata.optional_object("component")? {
            // It need not have a name in the document; then this is it.
            component(&mut draft, main, 0, None)?;
            if let Some(main) = draft.document.packages.first_mut() {
                if main.id.is_empty() {
                    let free = |id: &&str| !mentions(document, id);
                    let id =
                        ["subject", "the-subject", "the-subject-itself"].into_iter().find(free);
                    id.unwrap_or_default().clone_into(&mut main.id);
                }
                draft.document.name.clone_from(&main.name);
                let id = main.id.clone();
                draft.name_first(id);
            }
        }
        draft.drop_rest("metadata.", &metadata);
    }
    for found in fields.objects("components", LIMIT_ENTRIES)? {
        component(&mut draft, found, 0, None)?;
    }
    // Services may be ends of dependencies too.
    for mut service in fields.objects("services", LIMIT_ENTRIES)? {
        draft.others.extend(service.optional_text("bom-ref")?.map(ToOwned::to_owned));
        draft.drop_one("services");
    }
    for mut dependency in fields.objects("dependencies", LIMIT_ENTRIES)? {
        let from = dependency.text("ref")?;
        draft.end(from);
        for end in dependency.list("dependsOn", LIMIT_ENTRIES)? {
            let Json::Text(end) = end else {
                return Err(dependency.error("dependsOn", "holds no text").into());
            };
            draft.relate_as(from, Relation::DependsOn, end);
        }
        draft.drop_rest("dependencies[].", &dependency);
    }
    draft.drop_rest("", &fields);
    Ok(draft.finish())
}

/// Whether a text stands anywhere in a document as the name of a component.
fn mentions(json: &Json, id: &str) -> bool {
    match json {
        Json::Object(fields) => fields.iter().any(|(name, value)| {
            (name == "bom-ref" && value.as_str() == Some(id)) || mentions(value, id)
        }),
        Json::List(values) => values.iter().any(|value| mentions(value, id)),
        _ => false,
    }
}

/// Who made it: tools were a list, then an object of lists.
fn authors(metadata: &mut Fields<'_>, draft: &mut Draft) -> Result<(), JsonError> {
    for mut author in metadata.objects("authors", 1000)? {
        let name = author.optional_text("name")?.unwrap_or_default().to_owned();
        let email = author.optional_text("email")?.map(ToOwned::to_owned);
        let party = Party { kind: PartyKind::Person, name, email };
        draft.document.creators.push(Creator::Party(party));
        draft.drop_rest("metadata.authors[].", &author);
    }
    let tool = |tool: &mut Fields<'_>| -> Result<Creator, JsonError> {
        let name = tool.optional_text("name")?.unwrap_or_default().to_owned();
        let version = tool.optional_text("version")?.filter(|version| !version.is_empty());
        Ok(Creator::Tool { name, version: version.map(ToOwned::to_owned) })
    };
    match metadata.optional("tools") {
        Some(Json::List(_)) => {
            for mut one in metadata.objects("tools", 1000)? {
                draft.document.creators.push(tool(&mut one)?);
                draft.drop_rest("metadata.tools[].", &one);
            }
        }
        Some(Json::Object(_)) => {
            let mut kinds = metadata.object("tools")?;
            for kind in ["components", "services"] {
                for mut one in kinds.objects(kind, 1000)? {
                    draft.document.creators.push(tool(&mut one)?);
                    one.optional("type");
                    draft.drop_rest("metadata.tools.components[].", &one);
                }
            }
        }
        _ => {}
    }
    for party in ["manufacture", "manufacturer", "supplier"] {
        if let Some(mut entity) = metadata.optional_object(party)? {
            let party = self::entity(&mut entity, draft)?;
            draft.document.creators.push(Creator::Party(party));
        }
    }
    Ok(())
}

/// An organization, with the first of its mail addresses.
fn entity(fields: &mut Fields<'_>, draft: &mut Draft) -> Result<Party, JsonError> {
    let name = fields.optional_text("name")?.unwrap_or_default().to_owned();
    let mut email = None;
    for mut contact in fields.objects("contact", 1000)? {
        let own = contact.optional_text("email")?.map(ToOwned::to_owned);
        if email.is_some() && own.is_some() {
            draft.drop_one("contact[]");
        }
        email = email.or(own);
        draft.drop_rest("contact[].", &contact);
    }
    draft.drop_rest("organization.", fields);
    Ok(Party { kind: PartyKind::Organization, name, email })
}

fn component(
    draft: &mut Draft,
    mut fields: Fields<'_>,
    depth: usize,
    whole: Option<&str>,
) -> Result<(), ReadError> {
    if depth > names::DEEPEST {
        return Err(fields.error("components", "is nested too deep").into());
    }
    let said = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(ToOwned::to_owned);
    let group = said(fields.optional_text("group")?);
    let name = fields.text("name")?;
    let mut found = Package {
        id: fields.optional_text("bom-ref")?.unwrap_or_default().to_owned(),
        name: group.map_or_else(|| name.to_owned(), |group| format!("{group}/{name}")),
        version: said(fields.optional_text("version")?),
        kind: Some(names::from_cyclonedx_type(fields.text("type")?)),
        purl: said(fields.optional_text("purl")?),
        supplier: supplier(&mut fields, draft)?,
        license: licenses(&mut fields, draft)?,
        copyright: said(fields.optional_text("copyright")?),
        description: said(fields.optional_text("description")?),
        ..Package::default()
    };
    match fields.optional_text("scope")? {
        Some("excluded") => found.build_only = true,
        Some("optional") => draft.drop_one("components[].scope"),
        _ => {}
    }
    if let Some(cpe) = said(fields.optional_text("cpe")?) {
        let kind = if cpe.starts_with("cpe:2.3:") { "cpe23Type" } else { "cpe22Type" };
        found.identifiers.push(Identifier { kind: kind.to_owned(), locator: cpe });
    }
    if let Some(mut swid) = fields.optional_object("swid")? {
        let locator = swid.optional_text("tagId")?.unwrap_or_default().to_owned();
        found.identifiers.push(Identifier { kind: "swid".to_owned(), locator });
        draft.drop_rest("components[].swid.", &swid);
    }
    for (field, kind) in [("omniborId", "gitoid"), ("swhid", "swh")] {
        for locator in fields.list(field, 1000)?.iter().filter_map(Json::as_str) {
            let (kind, locator) = (kind.to_owned(), locator.to_owned());
            found.identifiers.push(Identifier { kind, locator });
        }
    }
    for mut hash in fields.objects("hashes", 100)? {
        let algorithm = names::from_cyclonedx(hash.text("alg")?);
        let value = hash.text("content")?;
        found.checksums.push(checksum(&algorithm, value).map_err(|p| hash.error("content", p))?);
    }
    for mut reference in fields.objects("externalReferences", LIMIT_ENTRIES)? {
        let url = reference.optional_text("url")?.map(ToOwned::to_owned);
        match reference.optional_text("type")? {
            Some("website") if found.homepage.is_none() => found.homepage = url,
            Some("distribution") if found.download_location.is_none() => {
                found.download_location = url;
            }
            _ => {
                draft.drop_one("components[].externalReferences");
                continue;
            }
        }
        draft.drop_rest("components[].externalReferences[].", &reference);
    }
    let id = found.id.clone();
    draft.add(found).map_err(|problem| fields.error("bom-ref", problem))?;
    if let Some(whole) = whole.filter(|whole| !whole.is_empty() && !id.is_empty()) {
        draft.relate_part(whole, &id);
    }
    for nested in fields.objects("components", LIMIT_ENTRIES)? {
        component(draft, nested, depth + 1, Some(&id))?;
    }
    draft.drop_rest("components[].", &fields);
    Ok(())
}

/// The first of those who are named, who counts as the supplier; the others have no place.
fn supplier(fields: &mut Fields<'_>, draft: &mut Draft) -> Result<Option<Party>, JsonError> {
    let mut named: Vec<(&str, Party)> = Vec::new();
    for field in ["supplier", "manufacturer"] {
        if let Some(mut entity) = fields.optional_object(field)? {
            named.push((field, self::entity(&mut entity, draft)?));
        }
    }
    for field in ["publisher", "author"] {
        named.extend(fields.optional_text(field)?.map(|name| (field, Party::organization(name))));
    }
    for mut author in fields.objects("authors", 1000)? {
        let name = author.optional_text("name")?.unwrap_or_default();
        named.push(("authors[]", Party::person(name)));
        draft.drop_rest("components[].authors[].", &author);
    }
    let mut named = named.into_iter().filter(|(_, party)| !party.name.is_empty());
    let first = named.next().map(|(_, party)| party);
    for (field, party) in named {
        if first.as_ref().is_some_and(|first| first.name != party.name) {
            draft.drop_one(&format!("components[].{field}"));
        }
    }
    Ok(first)
}

/// The licences: one expression, or a list of which all hold.
fn licenses(fields: &mut Fields<'_>, draft: &mut Draft) -> Result<Option<License>, JsonError> {
    let mut found = Vec::new();
    for mut choice in fields.objects("licenses", 1000)? {
        if let Some(expression) = choice.optional_text("expression")? {
            found.push(license(expression.to_owned()));
        } else if let Some(mut one) = choice.optional_object("license")? {
            let id = one.optional_text("id")?.map(|id| license(id.to_owned()));
            let name = one.optional_text("name")?.map(|name| License::Name(name.to_owned()));
            found.extend(id.or(name));
            draft.drop_rest("components[].licenses[].license.", &one);
        }
        draft.drop_rest("components[].licenses[].", &choice);
    }
    if found.len() < 2 {
        return Ok(found.pop());
    }
    let all: Option<Vec<String>> = found
        .iter()
        .map(|one| match one {
            License::Expression(text) => {
                Some(if text.contains(' ') { format!("({text})") } else { text.clone() })
            }
            License::Name(_) => None,
        })
        .collect();
    Ok(Some(if let Some(all) = all {
        License::Expression(all.join(" AND "))
    } else {
        let names = found.into_iter().map(|one| match one {
            License::Expression(text) | License::Name(text) => text,
        });
        License::Name(names.collect::<Vec<_>>().join(", "))
    }))
}
