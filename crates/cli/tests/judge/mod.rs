//! What is signed here, held before our own verifier.

#![allow(dead_code, clippy::unwrap_used, reason = "each test program uses a part")]

use dsops_release_verify::evidence::ManagedKey;
use dsops_release_verify::statement::Statement;
use dsops_release_verify::{
    Algorithm, Artifact, Bundle, Content, Leniency, Origin, Signer, State, Thresholds, TrustRoots,
    TrustedKey, Verifier,
};
use serde_json::Value;

/// Who is believed.
pub enum Trust<'a> {
    Root(Value),
    /// A key, without a log.
    Key(&'a str),
    /// A key, in a log of that root.
    LoggedKey(&'a str, Value),
}

/// What the verifier made of a bundle, about that file: who signed, and the statement if it is one.
pub fn verify(
    bundle: &str,
    trust: &Trust<'_>,
    file: &[u8],
) -> Result<(Signer, Option<Statement>), String> {
    let roots = |root: &Value| {
        let root = root.to_string();
        TrustRoots::load(root.as_bytes(), &Origin::new("root"), None).unwrap()
    };
    let key = |pem: &str| [TrustedKey::new(&ManagedKey::parse(pem.as_bytes()).unwrap()).unwrap()];
    let mut unlogged = Thresholds::default();
    unlogged.keys_without_log = true;
    let verifier = match trust {
        Trust::Root(root) => Verifier::new(roots(root)),
        Trust::LoggedKey(pem, root) => Verifier::new(roots(root)).with_keys(key(pem)),
        Trust::Key(pem) => {
            Verifier::new(TrustRoots::embedded()).with_keys(key(pem)).with_thresholds(unlogged)
        }
    };
    let bundle = Bundle::read(bundle.as_bytes(), &Origin::new("bundle"), Leniency::default())
        .map_err(|error| error.to_string())?;
    let artifact = Artifact::read("file", file, &Algorithm::ALL).unwrap();
    let outcome = verifier.authenticate(&bundle, &artifact, Some(file));
    let bad = |state| matches!(state, State::Failed | State::Undecided);
    let failed: Vec<_> = outcome
        .findings
        .iter()
        .filter(|finding| bad(finding.state))
        .map(|finding| format!("{}: {}", finding.code, finding.message))
        .collect();
    if !failed.is_empty() {
        return Err(failed.join("; "));
    }
    let signature = outcome.authenticated.ok_or("not authenticated")?;
    let statement = match &signature.content {
        Content::Artifact(digest) if digest == artifact.sha256() => None,
        Content::Statement { payload_type, payload } => {
            let statement = Statement::read(payload_type, payload).map_err(|e| e.to_string())?;
            let about = statement.check_subject(&artifact);
            if about.state != State::Passed {
                return Err(about.message);
            }
            Some(statement)
        }
        _ => return Err("signed is something else".into()),
    };
    Ok((signature.signer, statement))
}
