//! The recorded half of the Sigstore conformance suite: 70 bundles, each against the file and
//! against its digest, with the verdict that the suite asks for; and the stand-in's own corpus.
//!
//! The recorded bundles are not part of the project. Where they are not, that part is "not run".
#![allow(clippy::unwrap_used)]

#[path = "../examples/conformance.rs"]
#[allow(dead_code, reason = "the example's main")]
mod client;

use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use dsops_release_verify::evidence::ManagedKey;
use dsops_release_verify::statement::{Statement, SubjectMatch};
use dsops_release_verify::{
    Algorithm, Artifact, Bundle, Content, Finding, IdentityRule, Leniency, Origin, Pattern,
    SignerPolicy, SignerRule, TrustRoots, TrustedKey, Verifier,
};
use dsops_testkit::sigstore::cases::{self, Case, Wanted};

/// Where the recorded bundles lie, when they are there.
fn recorded() -> Option<PathBuf> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let folder = workspace.join("../shared/conformance/sigstore/assets");
    folder.is_dir().then_some(folder)
}

#[test]
#[allow(clippy::print_stderr, reason = "says that it did not run")]
fn the_recorded_suite() {
    let Some(folder) = recorded() else {
        eprintln!("not run: the recorded bundles of the conformance suite are not here");
        return;
    };
    let bundles = folder.join("bundle-verify");
    let text = |path: PathBuf, other: &str| {
        fs::read_to_string(path).map_or_else(|_| other.to_owned(), |text| text.trim().to_owned())
    };
    let mut runs = 0;
    let mut wrong = Vec::new();
    for entry in fs::read_dir(&bundles).unwrap() {
        let case = entry.unwrap().path();
        if !case.is_dir() {
            continue;
        }
        let name = case.file_name().unwrap().to_str().unwrap().to_owned();
        let own = case.join("artifact");
        let artifact = if own.exists() { own } else { bundles.join("a.txt") };
        let digest = Artifact::read("a", &fs::read(&artifact).unwrap()[..], &[]).unwrap();
        for subject in [artifact.display().to_string(), digest.sha256().to_string()] {
            let mut arguments = vec![
                "verify-bundle".to_owned(),
                "--bundle".to_owned(),
                case.join("bundle.sigstore.json").display().to_string(),
            ];
            let key = case.join("key.pub");
            if key.exists() {
                arguments.extend(["--key".to_owned(), key.display().to_string()]);
            } else {
                let identity = "https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon/.github/workflows/extremely-dangerous-oidc-beacon.yml@refs/heads/main";
                let issuer = "https://token.actions.githubusercontent.com";
                arguments.push("--certificate-identity".to_owned());
                arguments.push(text(case.join("identity"), identity));
                arguments.push("--certificate-oidc-issuer".to_owned());
                arguments.push(text(case.join("issuer"), issuer));
            }
            let root = case.join("trusted_root.json");
            if root.exists() {
                arguments.extend(["--trusted-root".to_owned(), root.display().to_string()]);
            }
            arguments.push(subject.clone());
            runs += 1;
            match catch_unwind(|| client::run(&arguments).unwrap_or(false)) {
                Ok(accepted) if accepted != name.ends_with("fail") => {}
                Ok(accepted) => wrong.push(format!("{name} ({subject}): accepted: {accepted}")),
                Err(_) => wrong.push(format!("{name} ({subject}): crashed")),
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert_eq!(runs, 140);
}

/// Whether the case is accepted, with every finding.
fn accepted(case: &Case) -> (bool, Vec<Finding>) {
    let origin = Origin::new(case.name);
    let bundle = match Bundle::read(case.bundle.as_bytes(), &origin, Leniency::default()) {
        Ok(bundle) => bundle,
        Err(error) => return (false, vec![error.finding()]),
    };
    let roots = match TrustRoots::load(case.root.to_string().as_bytes(), &origin, None) {
        Ok(roots) => roots,
        Err(error) => return (false, vec![Finding::failed("trust/format", error.to_string())]),
    };
    let mut verifier = Verifier::new(roots);
    let rule = match &case.wanted {
        Wanted::Identity(identity, issuer) => SignerRule::Certificate(IdentityRule::new(
            Pattern::exact(identity).unwrap(),
            Pattern::exact(issuer).unwrap(),
        )),
        Wanted::Key(key) => {
            let key =
                TrustedKey::new(&ManagedKey::parse(key.public_pem().as_bytes()).unwrap()).unwrap();
            let id = key.id().to_owned();
            verifier = verifier.with_keys([key]);
            SignerRule::Key { id }
        }
    };
    let artifact = Artifact::read("file", &case.artifact[..], &Algorithm::ALL).unwrap();
    let outcome = verifier.authenticate(&bundle, &artifact, Some(&case.artifact));
    let mut findings = outcome.findings;
    let Some(signature) = outcome.authenticated else { return (false, findings) };
    let about = match &signature.content {
        Content::Artifact(digest) => digest == artifact.sha256(),
        Content::Statement { payload_type, payload } => Statement::read(payload_type, payload)
            .is_ok_and(|statement| matches!(statement.covers(&artifact), SubjectMatch::Matches(_))),
        _ => false,
    };
    let judgement = SignerPolicy::new(rule).judge(&[signature]);
    let accepts = judgement.accepts(0);
    findings.extend(judgement.findings);
    (about && accepts, findings)
}

#[test]
fn the_corpus_of_the_stand_in() {
    let mut wrong = Vec::new();
    for case in cases::all() {
        let (accepted, findings) = accepted(&case);
        if accepted != case.is_good {
            let findings: Vec<_> = findings
                .iter()
                .map(|f| format!("\n    {} {}: {}", f.state.word(), f.code, f.message))
                .collect();
            wrong.push(format!("{}: accepted: {accepted}{}", case.name, findings.concat()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
