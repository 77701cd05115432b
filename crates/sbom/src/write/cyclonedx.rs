//! `CycloneDX` 1.5 to 1.7 as JSON.

use std::collections::{BTreeMap, BTreeSet};

use dsops_json::Json;

use super::{Format, content_hash, hex, list, object, optional, set, tell, text};
use crate::model::{Creator, Document, Identifier, License, Package, Party, PartyKind, Relation};
use crate::names;

pub(super) fn write(document: &Document, format: Format, lost: &mut Vec<String>) -> Json {
    let version = format.name().rsplit('@').next().unwrap_or_default();
    let subject = document.described.first().and_then(|id| document.package(id));
    if document.described.len() > 1 {
        lost.push(format!(
            "a CycloneDX document is about one thing; the others of {} are only listed",
            document.described.len()
        ));
    }
    let own = |subject: &Package| match &subject.version {
        Some(version) => format!("{}-{version}", subject.name) == document.name,
        None => false,
    };
    if !document.name.is_empty()
        && subject.is_none_or(|subject| subject.name != document.name && !own(subject))
    {
        lost.push(format!("the document's own name, `{}`", document.name.escape_debug()));
    }
    let subject_id = subject.map(|subject| subject.id.as_str());
    let others = || {
        document.packages.iter().filter(|p| Some(p.id.as_str()) != subject_id || p.id.is_empty())
    };
    let parts = Parts::of(document, subject_id);
    let top = others().filter(|package| !parts.inner.contains(package.id.as_str()));
    let mut json = object([
        ("$schema", text(&format!("http://cyclonedx.org/schema/bom-{version}.schema.json"))),
        ("bomFormat", text("CycloneDX")),
        ("specVersion", text(version)),
        ("serialNumber", text("")),
        ("version", Some(Json::Integer(1))),
        (
            "metadata",
            Some(object([
                ("timestamp", optional(document.created.as_ref())),
                ("tools", tools(document)),
                ("authors", people(document)),
                ("component", subject.map(|subject| component(subject, format, &Parts::default()))),
                ("supplier", organization(document)),
            ])),
        ),
        ("components", Some(Json::List(top.map(|p| component(p, format, &parts)).collect()))),
        ("dependencies", list(dependencies(document))),
    ]);
    tell_lost(document, format, &parts, lost);
    let serial = document.namespace.clone().filter(|name| name.starts_with("urn:uuid:"));
    let serial = serial.unwrap_or_else(|| uuid(&content_hash(&json)));
    set(&mut json, "serialNumber", Json::Text(serial));
    json
}

/// How deep components are nested; readers take more.
const DEEPEST: usize = names::DEEPEST / 2;

/// A UUID of version 8 (RFC 9562 §5.8) from a hash.
fn uuid(hash: &[u8; 32]) -> String {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash[..16]);
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let digits = hex(&bytes);
    let groups = [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]];
    format!("urn:uuid:{}", groups.join("-"))
}

/// Components that lie in others.
#[derive(Default)]
struct Parts<'a> {
    of: BTreeMap<&'a str, Vec<&'a Package>>,
    inner: BTreeSet<&'a str>,
    /// Parts of several, of the subject, or of themselves.
    lost: usize,
}

impl<'a> Parts<'a> {
    fn of(document: &'a Document, subject: Option<&str>) -> Self {
        let mut parts = Self::default();
        let mut whole: BTreeMap<&str, &str> = BTreeMap::new();
        let packages: BTreeMap<&str, &Package> =
            document.packages.iter().map(|package| (package.id.as_str(), package)).collect();
        for one in document.relationships.iter().filter(|one| one.kind == Relation::Contains) {
            let (from, to) = (one.from.as_str(), one.to.as_str());
            let known = packages.contains_key(from) && !from.is_empty() && !to.is_empty();
            // Up from the whole there must be an end, and it must not be the part itself.
            let mut up = Some(from);
            for _ in 0..=DEEPEST {
                up = up.filter(|id| *id != to).map_or(up, |id| whole.get(id).copied());
            }
            let fits = up.is_none() && Some(from) != subject && Some(to) != subject;
            match packages.get(to) {
                Some(part) if known && fits && !whole.contains_key(to) => {
                    whole.insert(to, from);
                    parts.inner.insert(to);
                    parts.of.entry(from).or_default().push(part);
                }
                _ => parts.lost += 1,
            }
        }
        // What lies too deep for readers is not nested at all.
        let up = |id: &str| std::iter::successors(whole.get(id), |up| whole.get(*up));
        let deep: BTreeSet<&str> =
            parts.inner.iter().copied().filter(|id| up(id).nth(DEEPEST).is_some()).collect();
        parts.inner.retain(|id| !deep.contains(id));
        for inner in parts.of.values_mut() {
            inner.retain(|part| !deep.contains(part.id.as_str()));
        }
        parts.lost += deep.len();
        parts
    }
}

fn tools(document: &Document) -> Option<Json> {
    let tools = document.creators.iter().filter_map(|creator| match creator {
        Creator::Tool { name, version } => Some(object([
            ("type", text("application")),
            ("name", text(name)),
            ("version", optional(version.as_ref())),
        ])),
        Creator::Party(_) => None,
    });
    list(tools).map(|tools| object([("components", Some(tools))]))
}

fn parties(document: &Document, kind: PartyKind) -> impl Iterator<Item = &Party> {
    document.creators.iter().filter_map(move |creator| match creator {
        Creator::Party(party) if party.kind == kind => Some(party),
        _ => None,
    })
}

fn people(document: &Document) -> Option<Json> {
    list(parties(document, PartyKind::Person).map(contact))
}

fn organization(document: &Document) -> Option<Json> {
    parties(document, PartyKind::Organization).next().map(entity)
}

fn contact(party: &Party) -> Json {
    object([("name", text(&party.name)), ("email", optional(party.email.as_ref()))])
}

fn entity(party: &Party) -> Json {
    let contact = party.email.as_ref().map(|email| object([("email", text(email))]));
    object([("name", text(&party.name)), ("contact", list(contact))])
}

fn component(package: &Package, format: Format, parts: &Parts<'_>) -> Json {
    let hashes = package.checksums.iter().filter_map(|checksum| {
        let algorithm = names::to_cyclonedx(&checksum.algorithm)?;
        Some(object([("alg", text(&algorithm)), ("content", text(&checksum.value))]))
    });
    let license = package.license.as_ref().map(|license| match license {
        License::Expression(expression) => object([("expression", text(expression))]),
        License::Name(name) => object([("license", Some(object([("name", text(name))])))]),
    });
    let reference = |kind: &str, url: Option<&String>| {
        url.map(|url| object([("type", text(kind)), ("url", text(url))]))
    };
    let references = [
        reference("website", package.homepage.as_ref()),
        reference("distribution", package.download_location.as_ref()),
    ];
    let named = |kind: &'static str| {
        package.identifiers.iter().filter(move |one| one.kind == kind).map(|one| &one.locator)
    };
    let several = |kind: &'static str| {
        if format == Format::CycloneDx15 {
            return None;
        }
        list(named(kind).map(|locator| Json::Text(locator.clone())))
    };
    let inner = parts.of.get(package.id.as_str()).filter(|_| !package.id.is_empty());
    let inner = inner.into_iter().flatten().map(|part| component(part, format, parts));
    object([
        ("type", text(package.kind.map_or("library", names::cyclonedx_type))),
        ("bom-ref", Some(Json::Text(package.id.clone())).filter(|_| !package.id.is_empty())),
        ("supplier", package.supplier.as_ref().map(entity)),
        ("name", text(&package.name)),
        ("version", optional(package.version.as_ref())),
        ("description", optional(package.description.as_ref())),
        ("scope", if package.build_only { text("excluded") } else { None }),
        ("hashes", list(hashes)),
        ("licenses", list(license)),
        ("copyright", optional(package.copyright.as_ref())),
        ("cpe", named("cpe23Type").chain(named("cpe22Type")).next().and_then(|cpe| text(cpe))),
        ("purl", optional(package.purl.as_ref())),
        ("omniborId", several("gitoid")),
        ("swhid", several("swh")),
        ("externalReferences", list(references.into_iter().flatten())),
        ("components", list(inner)),
    ])
}

fn dependencies(document: &Document) -> Vec<Json> {
    let mut needs: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for package in document.packages.iter().filter(|package| !package.id.is_empty()) {
        needs.insert(&package.id, BTreeSet::new());
    }
    for one in &document.relationships {
        let wanted = matches!(one.kind, Relation::DependsOn | Relation::BuildDependsOn);
        // What is not listed cannot be referred to.
        if wanted
            && needs.contains_key(one.to.as_str())
            && let Some(list) = needs.get_mut(one.from.as_str())
        {
            list.insert(&one.to);
        }
    }
    let line = |(id, needs): (&str, BTreeSet<&str>)| {
        let needs = needs.into_iter().map(|id| Json::Text(id.to_owned()));
        object([("ref", text(id)), ("dependsOn", list(needs))])
    };
    needs.into_iter().map(line).collect()
}

/// Says what the format has no place for.
fn tell_lost(document: &Document, format: Format, parts: &Parts<'_>, lost: &mut Vec<String>) {
    let packages = || document.packages.iter();
    let organizations = parties(document, PartyKind::Organization).count();
    tell(lost, organizations.saturating_sub(1), "all creators but the first organization");
    let people = |p: &&Package| p.supplier.as_ref().is_some_and(|s| s.kind == PartyKind::Person);
    tell(lost, packages().filter(people).count(), "that a supplier is a person");
    tell(lost, packages().filter(|p| p.file_name.is_some()).count(), "names of files");
    let kinds = |p: &&Package| {
        p.kind.is_none_or(|kind| names::from_cyclonedx_type(names::cyclonedx_type(kind)) != kind)
    };
    tell(lost, packages().filter(kinds).count(), "kinds of packages that CycloneDX does not know");
    let hashes = packages().flat_map(|package| &package.checksums);
    let hashes = hashes.filter(|one| names::to_cyclonedx(&one.algorithm).is_none()).count();
    tell(lost, hashes, "checksums by algorithms that CycloneDX does not know");
    let written = |one: &&Identifier| match one.kind.as_str() {
        "cpe22Type" | "cpe23Type" => true,
        "swh" | "gitoid" => format != Format::CycloneDx15,
        _ => false,
    };
    let identifiers = packages().map(|p| {
        let cpes = p.identifiers.iter().filter(|one| one.kind.starts_with("cpe")).count();
        p.identifiers.iter().filter(|one| !written(one)).count() + cpes.saturating_sub(1)
    });
    tell(lost, identifiers.sum(), "names of packages that are the same everywhere");
    tell(lost, parts.lost, "that a package is a part of another");
    let is = |kind: &Relation| matches!(kind, Relation::Other(_));
    let relations = document.relationships.iter().filter(|one| is(&one.kind)).count();
    tell(lost, relations, "relationships that are no dependencies");
    let known: BTreeSet<&str> = packages().map(|p| p.id.as_str()).collect();
    let built: BTreeSet<&str> =
        packages().filter(|p| p.build_only).map(|p| p.id.as_str()).collect();
    let (mut outside, mut unclear) = (0, 0);
    for one in &document.relationships {
        let (from, to) = (one.from.as_str(), one.to.as_str());
        let is_build = one.kind == Relation::BuildDependsOn;
        outside += usize::from(!known.contains(from) || !known.contains(to));
        unclear += usize::from(
            (is_build || one.kind == Relation::DependsOn)
                && is_build != (built.contains(to) && !built.contains(from)),
        );
    }
    tell(lost, outside, "relationships with what is not listed");
    tell(lost, unclear, "whether a dependency is one of the build");
}
