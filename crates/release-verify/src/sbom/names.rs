//! Whether a document is about an artifact.

use super::{Authority, Component, Sbom};
use crate::{Artifact, Digest, Finding, State};

const CODE: &str = "sbom/artifact";

/// How a document names an artifact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Naming<'a> {
    /// It is about it, by this one's digest.
    Described(&'a Component),
    /// It is about a whole that it gives no digest of, and this is a part of it.
    Part(&'a Component),
    /// It is about something else, by this one's digest, and lists the artifact as a part of it.
    PartOfAnother(&'a Component),
    /// It is about something else, by this one's digest.
    Another(&'a Component),
    /// It gives no digest by which that could be said.
    Unknown,
}

fn naming<'a>(sbom: &'a Sbom, artifact: &Artifact) -> Naming<'a> {
    let mut other = None;
    for component in sbom.described() {
        match component.is(artifact) {
            Some(true) => return Naming::Described(component),
            Some(false) => other = other.or(Some(component)),
            None => {}
        }
    }
    let part = sbom.components.iter().find(|component| component.is(artifact) == Some(true));
    match (part, other) {
        (Some(part), None) => Naming::Part(part),
        (Some(_), Some(other)) => Naming::PartOfAnother(other),
        (None, Some(other)) => Naming::Another(other),
        (None, None) => Naming::Unknown,
    }
}

pub(super) fn check(sbom: &Sbom, artifact: &Artifact, authority: Authority) -> Finding {
    let wanted = artifact.sha256().to_string();
    let kind = sbom.format().name();
    match naming(sbom, artifact) {
        Naming::Described(component) => Finding::passed(
            CODE,
            format!("the {kind} document is about this artifact, as `{}`", component.name()),
        )
        .compared(&wanted, digests(component)),
        Naming::Part(component) => Finding::passed(
            CODE,
            format!("the {kind} document lists this artifact as a part, as `{}`", component.name()),
        )
        .compared(&wanted, digests(component)),
        Naming::PartOfAnother(component) => {
            let message = format!(
                "the {kind} document is about `{}`, of which this artifact is only a part",
                component.name()
            );
            Finding::failed(CODE, message).compared(&wanted, digests(component))
        }
        Naming::Another(component) => {
            let message = format!("the {kind} document is about another artifact");
            Finding::failed(CODE, message)
                .compared(&wanted, format!("{} ({})", digests(component), component.name()))
        }
        Naming::Unknown if authority == Authority::Statement => {
            // The subject of the statement binds it; the document need not repeat it.
            let message = format!("the statement binds the {kind} document to its subject");
            Finding::new(CODE, State::Passed, message)
        }
        Naming::Unknown => {
            let named = sbom.described().map(Component::name).collect::<Vec<_>>().join(", ");
            let message = format!("the {kind} document names no artifact by a digest");
            Finding::undecided(CODE, message).compared(&wanted, named).help(
                "names and versions can be reused: ask the publisher for a document with the \
                 checksum of the file, or for an attestation",
            )
        }
    }
}

fn digests(component: &Component) -> String {
    component.digests.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Digests that stand in a version or a package URL instead of a field of their own: scanners
/// write `sha256:…` as the version of a file or an image, and package URLs carry `checksum=`.
pub(super) fn digests_in_names(version: Option<&str>, purl: Option<&str>) -> Vec<Digest> {
    let mut found: Vec<Digest> = version.and_then(Digest::parse).into_iter().collect();
    let Some(purl) = purl.and_then(|purl| purl.strip_prefix("pkg:")) else { return found };
    let (path, qualifiers) = purl.split_once('?').unwrap_or((purl, ""));
    let qualifiers = qualifiers.split('#').next().unwrap_or_default();
    let decode = |text: &str| text.replace("%3A", ":").replace("%3a", ":");
    if path.starts_with("oci/") || path.starts_with("docker/") {
        let version = path.rsplit_once('@').map(|(_, version)| decode(version));
        found.extend(version.as_deref().and_then(Digest::parse));
    }
    for qualifier in qualifiers.split('&') {
        if let Some(list) = qualifier.strip_prefix("checksum=") {
            let list = decode(list).replace("%2C", ",").replace("%2c", ",");
            found.extend(list.split(',').filter_map(Digest::parse));
        }
    }
    found
}
