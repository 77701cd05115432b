//! `dsops attest provenance`: how files were built.

use std::ffi::OsString;
use std::path::Path;
use std::time::SystemTime;

use clap::ValueHint;
use dsops_attest::{BUILD_TYPE, Dependency, Provenance};
use dsops_release_verify::Artifact;
use dsops_resolver::Environment as _;

use crate::cmd::signing::{By, Outputs};
use crate::cmd::verify::files;
use crate::context::Context;
use crate::env_vars;
use crate::exit::Exit;
use crate::report::{Failure, Report};

/// What the statement is called, behind the name of its subject.
const ENDING: &str = ".intoto.jsonl";

const EXAMPLES: &str = "\
Examples:
  dsops attest provenance app.tar.gz --key release.key --source-uri git+https://github.com/acme/app@refs/tags/v1.2.3 --source-digest 0123456789abcdef0123456789abcdef01234567
  dsops attest provenance dist/app dist/app.tar.gz
  dsops attest provenance app --key release.key --source-uri git+https://example.com/app --source-digest 0123456789abcdef0123456789abcdef01234567 --material Cargo.lock --parameter target=x86_64-unknown-linux-musl

A statement about an image is kept with it, unless `--output` names a file.
In a job of GitHub Actions, builder, source and run are those of the job. What a build says about itself
is SLSA build level 1, wherever it runs: nothing here makes it more.";

// What `dsops attest provenance` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Files, `NAME@sha256:…`, or one image
    #[arg(value_name = "SUBJECTS", value_hint = ValueHint::FilePath, required = true)]
    pub subjects: Vec<OsString>,
    /// Who built it (default: the workflow of the job, else a local build)
    #[arg(long, value_name = "URI", value_hint = ValueHint::Url)]
    pub builder_id: Option<String>,
    /// What the source is: `git+https://HOST/OWNER/NAME@refs/tags/TAG`
    #[arg(long, value_name = "URI", value_hint = ValueHint::Url, requires = "source_digest")]
    pub source_uri: Option<String>,
    /// Which commit of it, or the `sha256:…` of an archive
    #[arg(long, value_name = "DIGEST", requires = "source_uri")]
    pub source_digest: Option<String>,
    /// How to read the parameters
    #[arg(long, value_name = "URI", value_hint = ValueHint::Url)]
    pub build_type: Option<String>,
    /// What the build was asked for; may be given more than once
    #[arg(long, value_name = "NAME=VALUE", value_parser = parameter)]
    pub parameter: Vec<(String, String)>,
    /// A file that the build was made from, as `Cargo.lock`; may be given more than once
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub material: Vec<OsString>,
    /// Names the run of the build
    #[arg(long, value_name = "ID")]
    pub invocation_id: Option<String>,
    /// When the build began (RFC 3339: 2026-01-31T12:00:00Z)
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_rfc3339)]
    pub started_on: Option<SystemTime>,
    /// When the build ended
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_rfc3339)]
    pub finished_on: Option<SystemTime>,
    #[command(flatten)]
    pub by: By,
    #[command(flatten)]
    pub outputs: Outputs,
}

fn parameter(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("it is NAME=VALUE".to_owned()),
    }
}

/// Runs the command.
///
/// # Errors
/// What shall be said makes no sense, or cannot be signed.
pub fn run(cx: &Context, args: &Args) -> Result<Exit, Failure> {
    let provenance = provenance(cx, args)?;
    super::publish(cx, &args.subjects, &args.by, &args.outputs, ENDING, |subjects| {
        provenance.statement(subjects)
    })
}

fn provenance(cx: &Context, args: &Args) -> Result<Provenance, Failure> {
    let variable = |name: &str| cx.environment.var(name)?.into_string().ok();
    let in_job = variable(env_vars::GITHUB_ACTIONS).as_deref() == Some("true");
    let mut provenance = if in_job {
        Provenance::github(variable).ok_or_else(|| {
            Failure::usage(
                "GITHUB_ACTIONS is set, and the variables of a job are not all there",
                "a job has GITHUB_WORKFLOW_REF, GITHUB_REPOSITORY, GITHUB_REF, GITHUB_SHA, \
                 GITHUB_RUN_ID and others",
            )
        })?
    } else {
        Provenance::local()
    };
    // Beyond what the certificate of a job proves, verifiers want another build type.
    let says_more = !args.parameter.is_empty()
        || !args.material.is_empty()
        || args.started_on.is_some()
        || args.finished_on.is_some();
    if says_more {
        BUILD_TYPE.clone_into(&mut provenance.build_type);
    }
    if let Some(build_type) = &args.build_type {
        build_type.clone_into(&mut provenance.build_type);
    }
    if let Some(builder) = &args.builder_id {
        builder.clone_into(&mut provenance.builder);
    }
    if let (Some(uri), Some(digest)) = (&args.source_uri, &args.source_digest) {
        let digest = match digest.strip_prefix("sha256:") {
            Some(hex) => ("sha256", hex),
            None => ("gitCommit", digest.as_str()),
        };
        let digests = vec![(digest.0.to_owned(), digest.1.to_owned())];
        provenance.dependencies = vec![Dependency { uri: uri.clone(), digests }];
    }
    if provenance.dependencies.is_empty() {
        return Err(Failure::usage(
            "provenance without a source proves nothing",
            "name it with `--source-uri` and `--source-digest`",
        ));
    }
    for word in &args.material {
        provenance.dependencies.push(material(word)?);
    }
    let parameters = args.parameter.iter().cloned();
    provenance.parameters.extend(parameters.map(|(name, value)| (name, value.into())));
    provenance.invocation = args.invocation_id.clone().or(provenance.invocation);
    (provenance.started, provenance.finished) = (args.started_on, args.finished_on);
    Ok(provenance)
}

/// A file, by its name and SHA-256.
fn material(word: &OsString) -> Result<Dependency, Failure> {
    let unreadable = |error| {
        let report: Report = files::unreadable(word, &error);
        Failure::new(Exit::Store, report)
    };
    let file = files::open(word).map_err(unreadable)?;
    let name = Path::new(word).file_name().unwrap_or_default().to_string_lossy();
    let artifact = Artifact::read(name.as_ref(), file, &[]).map_err(unreadable)?;
    let digest = artifact.sha256().hex();
    Ok(Dependency { uri: format!("file:{name}"), digests: vec![("sha256".to_owned(), digest)] })
}
