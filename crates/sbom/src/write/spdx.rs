//! SPDX 2.3 as JSON.

use std::collections::{BTreeMap, BTreeSet};

use dsops_json::Json;

use super::{content_hash, hex, list, object, optional, set, tell, text};
use crate::license::has_references;
use crate::model::{
    Checksum, Creator, Document, Identifier, License, Package, Party, PartyKind, Relation,
};
use crate::names;
use crate::purl::is_spdx_id;

const NOTHING: &str = "NOASSERTION";

pub(super) fn write(document: &Document, lost: &mut Vec<String>) -> Json {
    let ids = Ids::of(document);
    if document.created.is_none() {
        lost.push("SPDX wants a date, and the document has none".to_owned());
    }
    let nameless = document.creators.is_empty().then(|| Json::Text("Tool: unknown".to_owned()));
    let mut json = object([
        ("spdxVersion", text("SPDX-2.3")),
        ("dataLicense", text("CC0-1.0")),
        ("SPDXID", text("SPDXRef-DOCUMENT")),
        ("name", text(&document.name)),
        ("documentNamespace", text("")),
        (
            "creationInfo",
            Some(object([
                ("created", optional(document.created.as_ref())),
                ("creators", list(document.creators.iter().map(creator).chain(nameless))),
            ])),
        ),
        ("packages", list(document.packages.iter().zip(&ids.own).map(|(p, id)| package(p, id)))),
        ("relationships", list(relationships(document, &ids))),
    ]);
    let names = |package: &&Package| match &package.license {
        Some(License::Expression(expression)) => has_references(expression),
        license => license.is_some(),
    };
    let what = "licences that are no expression of listed identifiers";
    tell(lost, document.packages.iter().filter(names).count(), what);
    let sums = document.packages.iter().flat_map(|package| &package.checksums);
    let unknown = sums.filter(|one| !is_known(one)).count();
    tell(lost, unknown, "checksums by algorithms that SPDX does not know");
    let built: BTreeSet<&str> =
        document.packages.iter().filter(|p| p.build_only).map(|p| p.id.as_str()).collect();
    let linked = document.linked();
    let unclear = built.iter().filter(|id| linked.contains(**id)).count();
    tell(lost, unclear, "that a package only took part in the build, though others depend on it");
    let namespace = document.namespace.clone().filter(|name| name.contains("://"));
    let namespace = namespace.unwrap_or_else(|| {
        let name: String =
            document.name.chars().map(|c| if is_plain(c) { c } else { '-' }).collect();
        format!("https://spdx.org/spdxdocs/{name}-{}", hex(&content_hash(&json)))
    });
    set(&mut json, "documentNamespace", Json::Text(namespace));
    json
}

fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '.' || c == '-'
}

/// The identifiers that packages have in SPDX: letters, digits, `.` and `-`, each once.
struct Ids<'a> {
    /// By their place.
    own: Vec<String>,
    known: BTreeMap<&'a str, String>,
}

impl<'a> Ids<'a> {
    fn of(document: &'a Document) -> Self {
        // Those that can stay come first: nobody else takes them.
        let stay = |package: &&Package| is_spdx_id(&package.id);
        let mut taken: BTreeSet<String> =
            document.packages.iter().filter(stay).map(|package| package.id.clone()).collect();
        let mut numbers = BTreeMap::new();
        let (mut own, mut known) = (Vec::new(), BTreeMap::new());
        for package in &document.packages {
            let id = if is_spdx_id(&package.id) {
                package.id.clone()
            } else {
                let base = if package.id.is_empty() { &package.name } else { &package.id };
                let base = base.trim_start_matches("SPDXRef-");
                let base: String =
                    base.chars().map(|c| if is_plain(c) { c } else { '.' }).collect();
                let mut id = base.clone();
                while !is_spdx_id(&id) || !taken.insert(id.clone()) {
                    let number = numbers.entry(base.clone()).or_insert(1_usize);
                    *number += 1;
                    id = format!("{base}-{number}");
                }
                id
            };
            let id = format!("SPDXRef-{id}");
            known.insert(package.id.as_str(), id.clone());
            own.push(id);
        }
        Self { own, known }
    }

    /// The identifier of an end of a relationship; one of another document stays as it is.
    fn end(&self, id: &str) -> Json {
        Json::Text(self.known.get(id).cloned().unwrap_or_else(|| id.to_owned()))
    }
}

fn creator(creator: &Creator) -> Json {
    Json::Text(match creator {
        Creator::Tool { name, version: Some(version) } => format!("Tool: {name}-{version}"),
        Creator::Tool { name, version: None } => format!("Tool: {name}"),
        Creator::Party(party) => self::party(party),
    })
}

fn party(party: &Party) -> String {
    let kind = match party.kind {
        PartyKind::Organization => "Organization",
        PartyKind::Person => "Person",
    };
    match &party.email {
        Some(email) => format!("{kind}: {} ({email})", party.name),
        None => format!("{kind}: {}", party.name),
    }
}

fn package(package: &Package, id: &str) -> Json {
    let checksums = package.checksums.iter().filter(|one| is_known(one)).map(|checksum| {
        object([("algorithm", text(&checksum.algorithm)), ("checksumValue", text(&checksum.value))])
    });
    let purl = package.purl.iter().map(|purl| reference("PACKAGE-MANAGER", "purl", purl));
    let others = package.identifiers.iter().map(|Identifier { kind, locator }| {
        let category = if kind == "swh" || kind == "gitoid" { "PERSISTENT-ID" } else { "SECURITY" };
        reference(category, kind, locator)
    });
    let license = match &package.license {
        // What a reference means would have to be told, too.
        Some(License::Expression(expression)) if !has_references(expression) => expression,
        _ => NOTHING,
    };
    object([
        ("SPDXID", text(id)),
        ("name", text(&package.name)),
        ("versionInfo", optional(package.version.as_ref())),
        ("packageFileName", optional(package.file_name.as_ref())),
        ("supplier", text(&package.supplier.as_ref().map_or_else(|| NOTHING.to_owned(), party))),
        ("downloadLocation", text(package.download_location.as_deref().unwrap_or(NOTHING))),
        ("filesAnalyzed", Some(Json::Bool(false))),
        ("homepage", optional(package.homepage.as_ref())),
        ("checksums", list(checksums)),
        ("licenseConcluded", text(NOTHING)),
        ("licenseDeclared", text(license)),
        ("copyrightText", text(package.copyright.as_deref().unwrap_or(NOTHING))),
        ("description", optional(package.description.as_ref())),
        ("primaryPackagePurpose", package.kind.and_then(|kind| text(kind.spdx()))),
        ("externalRefs", list(purl.chain(others))),
    ])
}

/// Whether it is by an algorithm that SPDX lists (2.3 §7.10).
fn is_known(checksum: &Checksum) -> bool {
    let algorithm = checksum.algorithm.as_str();
    names::all_digits(algorithm).is_some() || matches!(algorithm, "MD6" | "ADLER32")
}

fn reference(category: &str, kind: &str, locator: &str) -> Json {
    object([
        ("referenceCategory", text(category)),
        ("referenceType", text(kind)),
        ("referenceLocator", text(locator)),
    ])
}

fn relationships(document: &Document, ids: &Ids<'_>) -> Vec<Json> {
    let line = |from: Json, kind: &str, to: Json| {
        object([
            ("spdxElementId", Some(from)),
            ("relationshipType", text(kind)),
            ("relatedSpdxElement", Some(to)),
        ])
    };
    let own = || Json::Text("SPDXRef-DOCUMENT".to_owned());
    let mut lines: Vec<Json> =
        document.described.iter().map(|id| line(own(), "DESCRIBES", ids.end(id))).collect();
    for one in &document.relationships {
        let (from, to) = (ids.end(&one.from), ids.end(&one.to));
        match &one.kind {
            Relation::DependsOn => lines.push(line(from, "DEPENDS_ON", to)),
            Relation::BuildDependsOn => {
                // The second line says which kind of dependency the first one is; readers that
                // follow arrows only forward need the first.
                lines.push(line(from.clone(), "DEPENDS_ON", to.clone()));
                lines.push(line(to, "BUILD_DEPENDENCY_OF", from));
            }
            Relation::Contains => lines.push(line(from, "CONTAINS", to)),
            Relation::Other(kind) => lines.push(line(from, kind, to)),
        }
    }
    lines
}
