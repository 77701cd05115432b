//! Folders as release tools leave them: goreleaser, cargo-dist, cosign, GitHub, minisign, SSH.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod common;

use std::collections::BTreeSet;

use common::{Folder, code, demands, sigstore, subject};
use dsops_release_verify::evidence::Key;
use dsops_release_verify::{
    Demands, Evidence, Leniency, Options, ReleaseVerifier, Report, SignerPolicy, State, Verdict,
};
use dsops_testkit::sigstore::{
    Algorithm, Key as SigningKey, Minisign, SshSig, World, hex, sha256, sshsig,
};
use serde_json::json;

const TOOL: &[u8] = b"the tool";

/// An engine that accepts whoever holds the key.
fn by_key(folder: &Folder, key: &str) -> ReleaseVerifier {
    let key = Key::parse(key.as_bytes()).unwrap();
    let mut rules = key.rules().into_iter();
    let first = SignerPolicy::new(rules.next().unwrap());
    let policy = rules.fold(first, SignerPolicy::or);
    ReleaseVerifier::new(sigstore(folder), vec![key], Demands::new(policy), Options::default())
}

fn release(label: &str) -> Folder {
    let folder = Folder::new(label);
    folder.write("tool_1.0_linux.tar.gz", TOOL);
    folder.write("tool_1.0_darwin.tar.gz", b"the other tool");
    folder
        .checksums("tool_1.0_checksums.txt", &["tool_1.0_linux.tar.gz", "tool_1.0_darwin.tar.gz"]);
    folder
}

/// Verified as it is, failed when the file was changed, never verified by another key or identity.
fn holds(folder: &Folder, engine: &ReleaseVerifier, other: &ReleaseVerifier) {
    let verify = |engine: &ReleaseVerifier| -> Report {
        engine.verify_file(&folder.path("tool_1.0_linux.tar.gz")).unwrap()
    };
    let report = verify(engine);
    assert_eq!(report.verdict, Verdict::Verified, "{:#?}", report.findings);
    assert_eq!(report.signers.len(), 1);
    assert_ne!(verify(other).verdict, Verdict::Verified);
    let whole = engine.verify_directory(&folder.path("")).unwrap();
    assert_eq!(whole.verdict(), Verdict::Verified, "{whole:#?}");
    folder.write("tool_1.0_linux.tar.gz", b"changed");
    let report = verify(engine);
    assert_eq!(report.verdict, Verdict::Failed, "{:#?}", report.findings);
    assert_eq!(engine.verify_directory(&folder.path("")).unwrap().verdict(), Verdict::Failed);
    folder.write("tool_1.0_linux.tar.gz", TOOL);
}

fn key(label: &str) -> SigningKey {
    SigningKey::new(Algorithm::Ed25519, label)
}

#[test]
fn a_checksum_file_signed_with_minisign() {
    let folder = release("minisign");
    let minisign = Minisign::new(&key("minisign"));
    let list = folder.read("tool_1.0_checksums.txt");
    folder.write("tool_1.0_checksums.txt.minisig", minisign.sign(&list).as_bytes());
    let other = Minisign::new(&key("other")).public();
    let other = by_key(&folder, &other);
    holds(&folder, &by_key(&folder, &minisign.public()), &other);
    let refused = other.verify_file(&folder.path("tool_1.0_linux.tar.gz")).unwrap();
    assert_eq!(code(&refused, "key/other"), Some(State::Failed), "{:#?}", refused.findings);
}

/// A signature over the file itself needs the file once more; what cannot be read twice is no pass.
#[test]
fn what_cannot_be_read_again_is_undecided() {
    let folder = Folder::new("twice");
    let minisign = Minisign::new(&key("minisign"));
    let signature = minisign.sign(TOOL);
    let evidence = Evidence::read("tool.minisig", signature.as_bytes(), Leniency::default());
    let engine = by_key(&folder, &minisign.public());
    folder.write("tool", TOOL);
    let report = engine.verify_file_with(&folder.path("tool"), &evidence).unwrap();
    assert_eq!(report.verdict, Verdict::Verified, "{:#?}", report.findings);
    let report = engine.verify_reader("-", TOOL, &evidence).unwrap();
    assert_eq!(report.verdict, Verdict::Undecided, "{:#?}", report.findings);
    assert_eq!(code(&report, "evidence/read"), Some(State::Undecided));
}

#[test]
fn a_checksum_file_signed_with_ssh() {
    let folder = release("ssh");
    let own = key("ssh");
    let list = folder.read("tool_1.0_checksums.txt");
    let mut signature = SshSig::new(&own);
    folder.write("tool_1.0_checksums.txt.sig", signature.sign(&list).as_bytes());
    let allowed = signature.allowed_signer("release@example.org");
    let engine = by_key(&folder, &allowed);
    holds(&folder, &engine, &by_key(&folder, &sshsig::public_line(&key("other"))));
    // A signature for another use is none for files.
    signature.namespace = "git".to_owned();
    folder.write("tool_1.0_checksums.txt.sig", signature.sign(&list).as_bytes());
    let report = engine.verify_file(&folder.path("tool_1.0_linux.tar.gz")).unwrap();
    assert_eq!(report.verdict, Verdict::Failed);
    assert_eq!(code(&report, "signature/namespace"), Some(State::Failed));
}

#[test]
fn a_checksum_file_signed_with_a_key_of_cosign() {
    for algorithm in [Algorithm::P256, Algorithm::P384, Algorithm::Ed25519, Algorithm::Rsa2048] {
        let folder = release("cosign-key");
        let own = SigningKey::new(algorithm, "cosign");
        let list = folder.read("tool_1.0_checksums.txt");
        let signature = dsops_testkit::sigstore::base64(&own.sign(&list));
        folder.write("tool_1.0_checksums.txt.sig", signature.as_bytes());
        // A key beside the files is not a key to trust.
        folder.write("cosign.pub", own.public_pem().as_bytes());
        let other = SigningKey::new(Algorithm::P256, "other").public_pem();
        holds(&folder, &by_key(&folder, &own.public_pem()), &by_key(&folder, &other));
        let release = by_key(&folder, &other).verify_directory(&folder.path("")).unwrap();
        assert!(release.notes.iter().any(|note| {
            note.code == "evidence/ignored"
                && note.origin.as_ref().unwrap().name.ends_with("cosign.pub")
        }));
    }
}

#[test]
fn a_checksum_file_signed_with_a_certificate_by_cosign() {
    let folder = release("cosign");
    let list = folder.read("tool_1.0_checksums.txt");
    let signed = folder.world.sign(&list).make();
    folder.write("tool_1.0_checksums.txt.bundle", signed.cosign_bundle().to_string().as_bytes());
    let engine =
        |demands| ReleaseVerifier::new(sigstore(&folder), Vec::new(), demands, Options::default());
    let other = dsops_testkit::sigstore::Identity::github("octo/other", "r.yml", "refs/tags/v1");
    holds(&folder, &engine(demands(&World::identity())), &engine(demands(&other)));
}

#[test]
fn a_signature_and_certificate_without_a_log_entry() {
    let folder = release("keyless-pair");
    let list = folder.read("tool_1.0_checksums.txt");
    let signed = folder.world.sign(&list).make();
    folder.write("tool_1.0_checksums.txt.sig", signed.detached().as_bytes());
    folder.write("tool_1.0_checksums.txt.pem", signed.certificates[0].pem().as_bytes());
    let report = folder.verify(demands(&World::identity()), "tool_1.0_linux.tar.gz");
    // Nothing proves when it was signed: the certificate was good for ten minutes.
    assert_eq!(report.verdict, Verdict::Failed);
    assert_eq!(code(&report, "timestamp/threshold"), Some(State::Failed));
}

#[test]
fn attestations_that_were_downloaded_from_github() {
    let folder = release("github");
    let lines: Vec<String> = ["tool_1.0_linux.tar.gz", "tool_1.0_darwin.tar.gz"]
        .iter()
        .map(|name| {
            let statement = common::github_provenance(name, &folder.read(name));
            folder.world.attest(&statement).bundle().to_string()
        })
        .collect();
    folder.remove("tool_1.0_checksums.txt");
    // One file for each digest, or all in one; the last line has no end.
    let digest = hex(&sha256(TOOL));
    folder.write(&format!("sha256:{digest}.jsonl"), lines[0].as_bytes());
    let demands = demands(&World::identity()).provenance(common::provenance_rules());
    let report = folder.verify(demands.clone(), "tool_1.0_linux.tar.gz");
    assert_eq!(report.verdict, Verdict::Verified, "{:#?}", report.findings);
    assert_eq!(
        folder.verify(demands.clone(), "tool_1.0_darwin.tar.gz").verdict,
        Verdict::Undecided
    );
    folder.remove(&format!("sha256:{digest}.jsonl"));
    folder.write("attestations.jsonl", lines.join("\n").as_bytes());
    let whole = folder.verify_all(demands);
    assert_eq!(whole.verdict(), Verdict::Verified, "{whole:#?}");
    for file in &whole.files {
        // The line of the other file is a note.
        let report = file.result.as_ref().unwrap();
        assert_eq!(code(report, "evidence/elsewhere"), Some(State::Note));
        assert_eq!(code(report, "statement/subject"), Some(State::Passed));
    }
}

#[test]
fn one_statement_about_many_files_is_verified_once_for_all() {
    let folder = Folder::new("many");
    let names: Vec<String> = (0..20).map(|n| format!("file-{n}")).collect();
    let mut subjects = Vec::new();
    for name in &names {
        folder.write(name, name.as_bytes());
        subjects.push(subject(name, name.as_bytes()));
    }
    let mut statement = common::github_provenance("x", b"");
    statement["subject"] = json!(subjects);
    folder.write(
        "multiple.intoto.jsonl",
        folder.world.attest(&statement).bundle().to_string().as_bytes(),
    );
    assert_eq!(folder.verify_all(demands(&World::identity())).verdict(), Verdict::Verified);
    folder.write("file-3", b"changed");
    let whole = folder.verify_all(demands(&World::identity()));
    let bad: Vec<_> = whole.files.iter().filter(|one| one.verdict() != Verdict::Verified).collect();
    assert_eq!(bad.len(), 1);
    assert!(bad[0].name.ends_with("file-3"));
}

#[test]
fn checksum_files_in_folders_below() {
    let folder = Folder::new("below");
    folder.write("v1/linux/tool", b"1");
    folder.write("v2/linux/tool", b"2");
    let entry = |content: &[u8]| format!("{}  linux/tool\n", hex(&sha256(content)));
    folder.write("v1/SHA256SUMS", entry(b"1").as_bytes());
    folder.write("v2/SHA256SUMS", entry(b"2").as_bytes());
    folder.bundle("v1/SHA256SUMS");
    folder.bundle("v2/SHA256SUMS");
    let whole = folder.verify_all(demands(&World::identity()));
    assert_eq!(whole.verdict(), Verdict::Verified, "{whole:#?}");
    folder.write("v2/linux/tool", b"1");
    assert_eq!(folder.verify_all(demands(&World::identity())).verdict(), Verdict::Failed);
}

#[test]
fn evidence_that_the_caller_names() {
    let folder = Folder::new("named");
    folder.write("tool", TOOL);
    folder.bundle("tool");
    let bundle = folder.read("tool.sigstore.json");
    folder.remove("tool.sigstore.json");
    let engine = ReleaseVerifier::new(
        sigstore(&folder),
        Vec::new(),
        demands(&World::identity()),
        Options::default(),
    );
    let path = folder.path("tool");
    let evidence = |name: &str, bytes: &[u8]| -> Vec<Evidence> {
        Evidence::read(name, bytes, Leniency::default())
            .into_iter()
            .map(|one| one.named(&path.display().to_string()))
            .collect()
    };
    let report = engine.verify_file_with(&path, &evidence("b.json", &bundle)).unwrap();
    assert_eq!(report.verdict, Verdict::Verified, "{:#?}", report.findings);
    let report = engine.verify_reader("-", TOOL, &evidence("b.json", &bundle)).unwrap();
    assert_eq!(report.verdict, Verdict::Verified, "{:#?}", report.findings);
    for bad in [&b"{}"[..], b"", b"hello", b"[]", &bundle[..bundle.len() - 2]] {
        let report = engine.verify_file_with(&path, &evidence("bad", bad)).unwrap();
        assert_ne!(report.verdict, Verdict::Verified);
        assert!(report.findings.iter().any(|one| one.origin.is_some()));
    }
    let other_kind = b"-----BEGIN PGP SIGNATURE-----\n\nAA==\n-----END PGP SIGNATURE-----\n";
    let report = engine.verify_file_with(&path, &evidence("tool.asc", other_kind)).unwrap();
    assert_eq!(code(&report, "evidence/format"), Some(State::Undecided), "{:#?}", report.findings);
    folder.write("tool", b"changed");
    let report = engine.verify_file_with(&path, &evidence("b.json", &bundle)).unwrap();
    assert_eq!(report.verdict, Verdict::Failed);
    assert_eq!(code(&report, "signature/digest"), Some(State::Failed));
}

#[test]
fn what_leads_out_of_the_folder_is_not_read() {
    let outside = Folder::new("links");
    outside.write("tool", TOOL);
    outside.bundle("tool");
    let folder = Folder::new("links");
    folder.write("tool", TOOL);
    std::os::unix::fs::symlink(
        outside.path("tool.sigstore.json"),
        folder.path("tool.sigstore.json"),
    )
    .unwrap();
    let report = folder.verify(demands(&World::identity()), "tool");
    assert_eq!(report.verdict, Verdict::Undecided, "{:#?}", report.findings);
    let whole = folder.verify_all(demands(&World::identity()));
    assert_eq!(whole.verdict(), Verdict::Undecided);
    let refused: BTreeSet<_> = whole
        .files
        .iter()
        .filter(|one| one.result.is_err())
        .map(|one| folder.short(&one.name))
        .collect();
    assert_eq!(refused, BTreeSet::from(["tool.sigstore.json".to_owned()]));
}
