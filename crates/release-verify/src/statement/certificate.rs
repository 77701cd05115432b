//! Provenance that a build wrote about itself, held against the certificate that the build got.
//!
//! Such a statement could say anything. What counts is what the identity provider put into the
//! certificate, so each field has to be one of those, with the same value, or not be there.

use super::builder::{NPM_V1_BUILD, NPM_V2_BUILD};
use super::{Provenance, ProvenanceVersion, Statement};
use crate::claims::{BuildClaims, arc};
use crate::json::Json;
use crate::{Finding, State};

const CODE: &str = "provenance/certificate";

/// Every disagreement as a finding, or one that there is none.
pub(super) fn check(
    provenance: &Provenance,
    statement: &Statement,
    claims: &BuildClaims<'_>,
) -> Vec<Finding> {
    let mut held = Held { findings: Vec::new(), fields: 0 };
    let npm = [NPM_V1_BUILD, NPM_V2_BUILD].contains(&provenance.build_type.as_str());
    match provenance.version {
        ProvenanceVersion::V02 if npm => environment(provenance, statement, claims, &mut held),
        ProvenanceVersion::V1 if provenance.is_github_workflow() => {
            workflow(provenance, claims, &mut held);
        }
        _ => return vec![unknown(provenance, claims)],
    }
    for extra in &provenance.extras {
        held.unproven(extra, "given");
    }
    if provenance.materials != 1 {
        let found = provenance.materials.to_string();
        held.add("the number of materials is not one", "1", &found);
    }
    if let Some(commit) = &provenance.commit {
        held.same("commit of the source", claims.commit(), commit);
    } else {
        held.add("the source has no commit", claims.commit().unwrap_or_default(), "");
    }
    if let Some(reference) = provenance.source.as_ref().and_then(|uri| uri.reference.as_deref()) {
        held.same("reference of the source", claims.reference(), reference);
    }
    if let Some(reference) = provenance.trigger.as_ref().and_then(|uri| uri.reference.as_deref()) {
        held.same("reference of the trigger", claims.reference(), reference);
    }
    if let Some(path) = &provenance.workflow {
        held.same("workflow", claims.configuration().map(|(path, _)| path), path);
    }
    held.finish()
}

/// A build type of which it is not known which fields mean what: no field but the source, which
/// the certificate proves, is to be believed.
fn unknown(provenance: &Provenance, claims: &BuildClaims<'_>) -> Finding {
    if let (Some(said), Some(proven)) = (provenance.reference(), claims.reference())
        && said != proven
    {
        let message = "the reference of the source is not the one of the certificate";
        return Finding::failed(CODE, message).compared(proven, said);
    }
    // The first of what went into the build is its source when it is the repository.
    let source = provenance.source.as_ref().and_then(|source| source.repository.as_ref());
    let proven = claims.repository();
    if source.is_some_and(|source| proven.as_deref() == Some(source.as_str()))
        && let (Some(said), Some(proven)) = (provenance.commit(), claims.commit())
        && said != proven
    {
        let message = "the commit of the source is not the one of the certificate";
        return Finding::failed(CODE, message).compared(proven, said);
    }
    Finding::new(
        CODE,
        State::Warning,
        "the build itself says how it was made, in a form that cannot be held against its \
         certificate: only its source, its signer and its subject are proven",
    )
    .compared("a known build type", &provenance.build_type)
}

struct Held {
    findings: Vec<Finding>,
    fields: usize,
}

impl Held {
    fn add(&mut self, message: &str, wanted: &str, found: &str) {
        self.findings.push(Finding::failed(CODE, message).compared(wanted, found));
    }

    fn unproven(&mut self, field: &str, found: &str) {
        let message = format!("`{}`: the certificate does not prove it", field.escape_debug());
        self.add(&message, "", found);
    }

    fn same(&mut self, field: &str, proven: Option<&str>, said: &str) {
        self.fields += 1;
        match proven {
            Some(proven) if proven == said => {}
            Some(proven) => {
                self.add(&format!("the {field} is not the one of the certificate"), proven, said);
            }
            None => self.unproven(field, said),
        }
    }

    fn finish(self) -> Vec<Finding> {
        if self.findings.is_empty() {
            let message = format!("its {} claims are those of the certificate", self.fields);
            return vec![Finding::passed(CODE, message)];
        }
        self.findings
    }
}

/// The text of a value; anything else is shown by its kind.
fn text<'a>(held: &mut Held, field: &str, value: &'a Json) -> Option<&'a str> {
    let text = value.as_str();
    if text.is_none() {
        held.unproven(field, "no text");
    }
    text
}

/// The npm client in SLSA v0.2: variables of the workflow.
fn environment(
    provenance: &Provenance,
    statement: &Statement,
    claims: &BuildClaims<'_>,
    held: &mut Held,
) {
    let run = claims.run();
    let repository = claims.repository_name();
    // Without the server, as GitHub has it in this variable.
    let signer = claims.workflow().and_then(|uri| {
        let path = uri.strip_prefix("https://")?.split_once('/')?.1;
        Some(path)
    });
    for (name, value) in &provenance.environment {
        let proven = match name.as_str() {
            "GITHUB_EVENT_NAME" => claims.trigger(),
            "GITHUB_REF" => claims.reference(),
            "GITHUB_REPOSITORY" => repository.as_deref(),
            "GITHUB_REPOSITORY_ID" => claims.claim(arc::SOURCE_REPOSITORY_ID),
            "GITHUB_REPOSITORY_OWNER_ID" => claims.claim(arc::SOURCE_OWNER_ID),
            "GITHUB_RUN_ATTEMPT" => run.map(|(_, attempt)| attempt),
            "GITHUB_RUN_ID" => run.map(|(run, _)| run),
            "GITHUB_SHA" => claims.commit(),
            "GITHUB_WORKFLOW_REF" => signer,
            "GITHUB_WORKFLOW_SHA" => claims.claim(arc::BUILD_SIGNER_DIGEST),
            _ => None,
        };
        if let Some(said) = text(held, name, value) {
            held.same(name, proven, said);
        }
    }
    if !provenance.parameters.is_empty() {
        held.unproven("parameters", "given");
    }
    if let Some(invocation) = provenance.invocation.as_deref().filter(|id| !id.is_empty()) {
        let proven = run.map(|(run, attempt)| format!("{run}-{attempt}"));
        held.same("run", proven.as_deref(), invocation);
    }
    one_package(statement, held);
}

/// A workflow of GitHub Actions in SLSA v1: the npm client, and GitHub's own attestations.
fn workflow(provenance: &Provenance, claims: &BuildClaims<'_>, held: &mut Held) {
    for (name, value) in &provenance.environment {
        let (true, Json::Object(fields)) = (name == "github", value) else {
            held.unproven(name, "given");
            continue;
        };
        for (name, value) in fields {
            let proven = match name.as_str() {
                "event_name" => claims.trigger(),
                "repository_id" => claims.claim(arc::SOURCE_REPOSITORY_ID),
                "repository_owner_id" => claims.claim(arc::SOURCE_OWNER_ID),
                "runner_environment" => claims.claim(arc::RUNNER_ENVIRONMENT),
                _ => None,
            };
            if let Some(said) = text(held, name, value) {
                held.same(name, proven, said);
            }
        }
    }
    for (name, _) in &provenance.parameters {
        held.unproven(name, "given");
    }
    if let Some(invocation) = provenance.invocation.as_deref().filter(|id| !id.is_empty()) {
        held.same("run", claims.claim(arc::RUN_INVOCATION_URI), invocation);
    }
}

/// The npm client makes one statement for one package, named by its SHA-512.
fn one_package(statement: &Statement, held: &mut Held) {
    let good = match statement.subjects() {
        [only] => only.digest(crate::Algorithm::Sha512).is_some(),
        _ => false,
    };
    if !good {
        let found = statement.subjects().len().to_string();
        held.add("it is not about one package by its SHA-512", "1", &found);
    }
}
