//! Evidence made to be taken for more than it is, and to take for ever.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod common;

use common::{Folder, code, demands, engine};
use dsops_release_verify::{
    Algorithm, Artifact, Bundle, Demands, Digest, Evidence, IdentityRule, Leniency, Origin,
    Pattern, SignerPolicy, SignerRule, State, Verdict,
};
use dsops_testkit::sigstore::{Identity, World, base64};
use serde_json::{Value, json};

const TOOL: &[u8] = b"the tool";

/// A statement that somebody verified the tool, with that result.
fn summary(result: &str) -> Value {
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [common::subject("tool", TOOL)],
        "predicateType": "https://slsa.dev/verification_summary/v1",
        "predicate": {
            "verifier": { "id": "https://example.org/verifier" },
            "resourceUri": "pkg:generic/tool",
            "verificationResult": result,
        },
    })
}

#[test]
fn a_signer_that_found_a_file_bad_has_not_signed_it() {
    let folder = Folder::new("summary");
    folder.write("tool", TOOL);
    for (result, verdict) in [("PASSED", Verdict::Verified), ("FAILED", Verdict::Failed)] {
        let signed = folder.world.attest(&summary(result)).bundle();
        folder.write("tool.att", signed.to_string().as_bytes());
        let report = folder.verify(demands(&World::identity()), "tool");
        assert_eq!(report.verdict, verdict, "{result}: {:#?}", report.findings);
    }
    // Nor does a good signature make it good.
    folder.bundle("tool");
    let report = folder.verify(demands(&World::identity()), "tool");
    assert_eq!(report.verdict, Verdict::Failed);
    assert_eq!(code(&report, "summary/result"), Some(State::Failed));
    // Said by somebody else it does not count.
    let other = Identity::email("someone@example.org", "https://accounts.example.org");
    let signed = folder.world.attest(&summary("FAILED")).identity(other).bundle();
    folder.write("tool.att", signed.to_string().as_bytes());
    let report = folder.verify(demands(&World::identity()), "tool");
    assert_eq!(report.verdict, Verdict::Verified, "{:#?}", report.findings);
}

#[test]
fn a_statement_that_found_a_list_bad_does_not_sign_what_it_lists() {
    let folder = Folder::new("summary-of-list");
    folder.write("tool", TOOL);
    folder.checksums("SHA256SUMS", &["tool"]);
    let mut failed = summary("FAILED");
    failed["subject"] = json!([common::subject("SHA256SUMS", &folder.read("SHA256SUMS"))]);
    let signed = folder.world.attest(&failed).bundle();
    folder.write("SHA256SUMS.att", signed.to_string().as_bytes());
    let report = folder.verify(demands(&World::identity()), "tool");
    assert_ne!(report.verdict, Verdict::Verified, "{:#?}", report.findings);
    // Nor does a good signature make up for it: the signer took it back.
    folder.bundle("SHA256SUMS");
    let report = folder.verify(demands(&World::identity()), "tool");
    assert_eq!(report.verdict, Verdict::Failed, "{:#?}", report.findings);
    assert_eq!(code(&report, "checksums/denied"), Some(State::Failed));
    assert_eq!(code(&report, "summary/result"), Some(State::Failed));
    // What somebody else says against it is nobody's business.
    let other = Identity::email("mallory@example.org", "https://accounts.example.org");
    let signed = folder.world.attest(&failed).identity(other).bundle();
    folder.write("SHA256SUMS.att", signed.to_string().as_bytes());
    let report = folder.verify(demands(&World::identity()), "tool");
    assert_eq!(report.verdict, Verdict::Verified, "{:#?}", report.findings);
}

#[test]
fn what_was_signed_of_another_artifact_does_not_count_to_a_threshold() {
    let folder = Folder::new("threshold");
    let second = Identity::email("release@example.org", "https://accounts.example.org");
    let rule = |name: &str, issuer: &str| {
        SignerRule::Certificate(IdentityRule::new(
            Pattern::exact(name).unwrap(),
            Pattern::exact(issuer).unwrap(),
        ))
    };
    let policy = SignerPolicy::new(rule(common::IDENTITY, common::ISSUER))
        .or(rule("release@example.org", "https://accounts.example.org"))
        .at_least(2)
        .unwrap();
    let own = common::github_provenance("tool", TOOL);
    let mut other = own.clone();
    // By a digest that is not known of the artifact: whether it is this one cannot be told.
    let another = Digest::of(Algorithm::Sha512, b"another").hex();
    other["subject"][0]["digest"] = json!({ "sha512": another });
    let read = |bundle: Value, name: &str| {
        Evidence::read(name, bundle.to_string().as_bytes(), Leniency::default())
    };
    let by_second = || read(folder.world.attest(&own).identity(second.clone()).bundle(), "second");
    let engine = engine(&folder, Demands::new(policy));
    let digest = Digest::of(Algorithm::Sha256, TOOL);
    let artifact = Artifact::from_digest("image", digest).unwrap();
    let verify = |first: &Value| {
        let mut evidence = read(folder.world.attest(first).bundle(), "first");
        evidence.extend(by_second());
        engine.verify_artifact(&artifact, &evidence)
    };
    assert_eq!(verify(&own).verdict, Verdict::Verified);
    let report = verify(&other);
    assert_ne!(report.verdict, Verdict::Verified, "{:#?}", report.findings);
    assert_eq!(code(&report, "policy/threshold"), Some(State::Failed));
}

#[test]
fn long_certificates_and_timestamps_are_not_read() {
    let folder = Folder::new("long");
    folder.write("tool", TOOL);
    folder.bundle("tool");
    let good: Value = serde_json::from_slice(&folder.read("tool.sigstore.json")).unwrap();
    let origin = Origin::new("bundle");
    let read =
        |bundle: &Value| Bundle::read(bundle.to_string().as_bytes(), &origin, Leniency::default());
    assert!(read(&good).is_ok());
    // A sequence that is well formed, of as many parts as fit.
    let long = base64(&[&[0x30, 0x82, 0x5d, 0xc0][..], &[0x05, 0x00].repeat(12_000)].concat());
    let mut bundle = good.clone();
    bundle["verificationMaterial"]["certificate"]["rawBytes"] = json!(long);
    let error = read(&bundle).unwrap_err();
    assert!(error.problem.starts_with("verificationMaterial.certificate.rawBytes: more than"));
    let mut bundle = good;
    bundle["verificationMaterial"]["timestampVerificationData"] =
        json!({ "rfc3161Timestamps": [{ "signedTimestamp": long }] });
    let error = read(&bundle).unwrap_err();
    assert!(error.problem.contains("signedTimestamp: more than"), "{error}");
}

/// Names that are no text are shown alike. Two files must not be taken for one: the other would be
/// read in its place.
#[cfg(target_os = "linux")]
#[test]
fn a_file_whose_name_is_no_text_is_not_taken_for_another() {
    use std::ffi::OsStr;
    use std::fs;
    use std::os::unix::ffi::OsStrExt as _;
    let folder = Folder::new("names");
    folder.write("tool", TOOL);
    folder.write("evil\u{fffd}", TOOL);
    folder.checksums("SHA256SUMS", &["tool", "evil\u{fffd}"]);
    folder.bundle("SHA256SUMS");
    assert_eq!(folder.verify_all(demands(&World::identity())).verdict(), Verdict::Verified);
    let evil = folder.path("tool").parent().unwrap().join(OsStr::from_bytes(b"evil\xff"));
    fs::write(&evil, b"nobody signed this").unwrap();
    let all = folder.verify_all(demands(&World::identity()));
    assert_eq!(all.verdict(), Verdict::Undecided);
    assert!(all.files.iter().any(|file| file.result.is_err()));
    fs::remove_file(&evil).unwrap();
    // The same with folders.
    folder.write("more\u{fffd}/tool", TOOL);
    let hidden = folder.path("tool").parent().unwrap().join(OsStr::from_bytes(b"more\xff"));
    fs::create_dir(&hidden).unwrap();
    fs::write(hidden.join("tool"), b"nobody signed this").unwrap();
    let all = folder.verify_all(demands(&World::identity()));
    assert!(all.files.iter().any(|file| file.result.is_err()));
}
