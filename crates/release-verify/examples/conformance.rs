//! Speaks the protocol of the Sigstore conformance suite (`verify-bundle` half), for
//! `sigstore-conformance/docs/cli_protocol.md`: exit 0 when the bundle verifies, 1 when not, 2 when
//! it was not asked properly.
//!
//! `conformance verify-bundle --bundle FILE (--certificate-identity ID
//! --certificate-oidc-issuer URL | --key PEM) [--trusted-root FILE] FILE_OR_DIGEST`

#![allow(clippy::print_stderr, reason = "an example; the suite reads only the exit code")]

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

use dsops_release_verify::evidence::ManagedKey;
use dsops_release_verify::statement::{Statement, SubjectMatch};
use dsops_release_verify::{
    Algorithm, Artifact, Bundle, Content, Digest, IdentityRule, Leniency, Origin, Pattern,
    SignerPolicy, SignerRule, State, TrustRoots, TrustedKey, Verifier,
};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("conformance: {error}");
            ExitCode::from(2)
        }
    }
}

/// What was asked for.
#[derive(Default)]
struct Request<'a> {
    bundle: Option<&'a str>,
    identity: Option<&'a str>,
    issuer: Option<&'a str>,
    key: Option<&'a str>,
    trusted_root: Option<&'a str>,
    subject: Option<&'a str>,
}

pub(crate) fn run(arguments: &[String]) -> Result<bool, Box<dyn Error>> {
    let mut arguments = arguments.iter().map(String::as_str);
    if arguments.next() != Some("verify-bundle") {
        return Err("only verify-bundle is known".into());
    }
    let mut request = Request::default();
    while let Some(argument) = arguments.next() {
        let place = match argument {
            "--bundle" => &mut request.bundle,
            "--certificate-identity" => &mut request.identity,
            "--certificate-oidc-issuer" => &mut request.issuer,
            "--key" => &mut request.key,
            "--trusted-root" => &mut request.trusted_root,
            "--staging" => return Err("the staging instance is not trusted".into()),
            other => {
                request.subject = Some(other);
                continue;
            }
        };
        *place = Some(arguments.next().ok_or("a value is missing")?);
    }
    verify(&request)
}

fn verify(request: &Request<'_>) -> Result<bool, Box<dyn Error>> {
    let roots = match request.trusted_root {
        Some(path) => TrustRoots::load(&std::fs::read(path)?, &Origin::new(path), None)?,
        None => TrustRoots::embedded(),
    };
    let mut verifier = Verifier::new(roots);
    let rule = if let Some(path) = request.key {
        let key = TrustedKey::new(&ManagedKey::parse(&std::fs::read(path)?)?)?;
        let id = key.id().to_owned();
        verifier = verifier.with_keys([key]);
        SignerRule::Key { id }
    } else {
        SignerRule::Certificate(IdentityRule::new(
            Pattern::exact(request.identity.ok_or("no identity")?)?,
            Pattern::exact(request.issuer.ok_or("no issuer")?)?,
        ))
    };
    let path = request.bundle.ok_or("no bundle")?;
    let bundle = match Bundle::read(&std::fs::read(path)?, &Origin::new(path), Leniency::default())
    {
        Ok(bundle) => bundle,
        Err(error) => {
            eprintln!("failed bundle/format: {error}");
            return Ok(false);
        }
    };
    let subject = request.subject.ok_or("nothing to verify")?;
    let (artifact, bytes) = match Digest::parse(subject) {
        Some(digest) if !Path::new(subject).exists() => {
            (Artifact::from_digest(subject, digest).ok_or("not a sha256 digest")?, None)
        }
        _ => {
            let bytes = std::fs::read(subject)?;
            (Artifact::read(subject, &bytes[..], &Algorithm::ALL)?, Some(bytes))
        }
    };

    let outcome = verifier.authenticate(&bundle, &artifact, bytes.as_deref());
    let mut findings = outcome.findings;
    let mut accepted = false;
    if let Some(signature) = outcome.authenticated {
        accepted = is_about(&signature.content, &artifact);
        let judgement = SignerPolicy::new(rule).judge(std::slice::from_ref(&signature));
        accepted &= judgement.accepts(0);
        findings.extend(judgement.findings);
    }
    for finding in &findings {
        eprintln!("{} {}: {}", finding.state.word(), finding.code, finding.message);
        if let (State::Failed, Some(expected), Some(found)) =
            (finding.state, &finding.expected, &finding.found)
        {
            eprintln!("  expected {expected:?}\n  found {found:?}");
        }
    }
    Ok(accepted)
}

/// Whether what was signed is the artifact: itself, or a statement that has it as a subject.
fn is_about(content: &Content, artifact: &Artifact) -> bool {
    match content {
        Content::Artifact(digest) => digest == artifact.sha256(),
        Content::Statement { payload_type, payload } => Statement::read(payload_type, payload)
            .is_ok_and(|statement| matches!(statement.covers(artifact), SubjectMatch::Matches(_))),
        _ => false,
    }
}
