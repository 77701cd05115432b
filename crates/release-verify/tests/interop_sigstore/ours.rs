//! Our own verifier, asked as the others are.

use dsops_release_verify::evidence::ManagedKey;
use dsops_release_verify::statement::Statement;
use dsops_release_verify::{
    Algorithm, Artifact, Bundle, Content, Finding, IdentityRule, Leniency, Origin, Pattern,
    SignerPolicy, SignerRule, State, TrustRoots, TrustedKey, Verifier,
};

/// Whose signature is wanted.
pub enum Wanted<'a> {
    /// This name, by this issuer.
    Identity(&'a str, &'a str),
    /// This key, as PEM.
    Key(&'a str),
}

/// Whether the bundle is a wanted signature of the file; else the codes of the checks that failed.
pub fn judge(bundle: &str, root: &str, file: &[u8], wanted: &Wanted<'_>) -> Result<(), String> {
    let origin = Origin::new("bundle");
    let roots = TrustRoots::load(root.as_bytes(), &Origin::new("root"), None)
        .map_err(|error| format!("trust/format {error}"))?;
    let mut verifier = Verifier::new(roots);
    let rule = match wanted {
        Wanted::Key(pem) => {
            let key = ManagedKey::parse(pem.as_bytes()).map_err(|error| error.to_string())?;
            let key = TrustedKey::new(&key).map_err(|error| error.to_string())?;
            let id = key.id().to_owned();
            verifier = verifier.with_keys([key]);
            SignerRule::Key { id }
        }
        Wanted::Identity(name, issuer) => {
            let pattern =
                |text: &str| Pattern::exact(text).map_err(|error| format!("pattern {error}"));
            SignerRule::Certificate(IdentityRule::new(pattern(name)?, pattern(issuer)?))
        }
    };
    let bundle = Bundle::read(bundle.as_bytes(), &origin, Leniency::default())
        .map_err(|error| format!("{} {error}", error.finding().code))?;
    let artifact =
        Artifact::read("file", file, &Algorithm::ALL).map_err(|error| error.to_string())?;
    let outcome = verifier.authenticate(&bundle, &artifact, Some(file));
    let mut findings = outcome.findings;
    let mut is_verified = false;
    if let Some(signature) = outcome.authenticated {
        let judgement = SignerPolicy::new(rule).judge(std::slice::from_ref(&signature));
        let about = about(&signature.content, &artifact);
        is_verified = judgement.accepts(0) && about.state == State::Passed;
        findings.push(about);
        findings.extend(judgement.findings);
    }
    let failed: Vec<_> = findings
        .iter()
        .filter(|finding| matches!(finding.state, State::Failed | State::Undecided))
        .map(|finding| format!("{} {}", finding.code, finding.message))
        .collect();
    if is_verified { Ok(()) } else { Err(failed.join("; ")) }
}

/// Whether what was signed is the file: itself, or a statement with it as a subject.
fn about(content: &Content, artifact: &Artifact) -> Finding {
    let other = || Finding::failed("signature/content", "signed is something else");
    match content {
        Content::Artifact(digest) if digest == artifact.sha256() => {
            Finding::passed("signature/content", "signed is the file")
        }
        Content::Statement { payload_type, payload } => Statement::read(payload_type, payload)
            .map_or_else(|_| other(), |statement| statement.check_subject(artifact)),
        _ => other(),
    }
}
