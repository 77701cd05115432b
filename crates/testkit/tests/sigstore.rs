//! What the stand-in makes, judged by `sigstore-verify`, which knows nothing of it.

#![allow(clippy::disallowed_methods)]

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use dsops_testkit::sigstore::{Algorithm, Key, Kind, Minisign, Signing, SshSig, Version, World};
use serde_json::{Value, json};
use sigstore_trust_root::TrustedRoot;
use sigstore_verify::types::{Bundle, DerPublicKey};
use sigstore_verify::{PublicKeyVerificationPolicy, VerificationPolicy, Verifier};

const ARTIFACT: &[u8] = b"the file";
const SAN: &str = "https://github.com/octo/demo/.github/workflows/release.yml@refs/tags/v1.2.3";
const ISSUER: &str = "https://token.actions.githubusercontent.com";

fn policy() -> VerificationPolicy {
    VerificationPolicy::new(SAN, ISSUER)
}

fn judge(world: &World, bundle: &Value) -> Result<(), String> {
    judge_by(world, bundle, &policy())
}

fn judge_by(world: &World, bundle: &Value, policy: &VerificationPolicy) -> Result<(), String> {
    let root = TrustedRoot::from_json(&world.trusted_root().to_string())
        .map_err(|error| error.to_string())?;
    let bundle = Bundle::from_json(&bundle.to_string()).map_err(|error| error.to_string())?;
    let verifier = Verifier::new(&root).map_err(|error| error.to_string())?;
    verifier.verify(ARTIFACT, &bundle, policy).map(drop).map_err(|error| error.to_string())
}

fn statement() -> Value {
    let hash = dsops_testkit::sigstore::hex(&dsops_testkit::sigstore::sha256(ARTIFACT));
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{ "name": "file", "digest": { "sha256": hash } }],
        "predicateType": "https://example.com/predicate",
        "predicate": {},
    })
}

/// Refused, and for the reason meant.
fn refused(world: &World, bundle: &Value, reason: &str) {
    let error = judge(world, bundle).expect_err("accepted");
    assert!(error.contains(reason), "refused for another reason: {error}");
}

#[test]
fn good_bundles_of_every_version_and_kind_verify() {
    let world = World::new("good");
    for version in Version::ALL {
        judge(&world, &world.sign(ARTIFACT).version(version).bundle()).unwrap();
        judge(&world, &world.sign(ARTIFACT).version(version).stamped().bundle()).unwrap();
        for kind in [Kind::DsseV001, Kind::IntotoV002] {
            let bundle = world.attest(&statement()).unlogged().logged(kind).version(version);
            judge(&world, &bundle.bundle()).unwrap_or_else(|error| panic!("{kind:?}: {error}"));
        }
    }
    for second in [0, 1] {
        let rekor2 = |signing: Signing<'_>| {
            signing.unlogged().logged(Kind::HashedRekordV002).stamped_by(second).bundle()
        };
        judge(&world, &rekor2(world.sign(ARTIFACT))).unwrap();
        judge(&world, &rekor2(world.attest(&statement()))).unwrap();
    }
}

#[test]
fn a_private_instance_needs_no_logs() {
    let world = World::private("private");
    let policy = || policy().skip_tlog_unsafe().skip_sct();
    judge_by(&world, &world.attest(&statement()).bundle(), &policy()).unwrap();
    judge_by(&world, &world.sign(ARTIFACT).bundle(), &policy()).unwrap();
}

#[test]
fn managed_keys_of_every_kind_verify() {
    let world = World::new("managed");
    let root = TrustedRoot::from_json(&world.trusted_root().to_string()).unwrap();
    let verifier = Verifier::new(&root).unwrap();
    // For other hashes than SHA-256 sigstore-verify knows no log entry.
    for (algorithm, is_logged) in [
        (Algorithm::P256, true),
        (Algorithm::Rsa2048, true),
        (Algorithm::Ed25519, true),
        (Algorithm::P384, false),
    ] {
        let key = Key::new(algorithm, "managed");
        let mut signing = world.sign(ARTIFACT).managed(&key);
        let mut policy = PublicKeyVerificationPolicy::new(DerPublicKey::new(key.spki()));
        if !is_logged {
            signing = signing.unlogged().stamped();
            policy = policy.skip_tlog_unsafe();
        }
        let bundle = Bundle::from_json(&signing.bundle().to_string()).unwrap();
        verifier
            .verify(ARTIFACT, &bundle, &policy)
            .unwrap_or_else(|error| panic!("{algorithm:?}: {error}"));
        let mut wrong = world.sign(ARTIFACT).managed(&key);
        wrong.signed_by = Some(Key::new(algorithm, "another"));
        let bundle = Bundle::from_json(&wrong.bundle().to_string()).unwrap();
        verifier.verify(ARTIFACT, &bundle, &policy).unwrap_err();
    }
}

#[test]
fn each_exchanged_part_is_refused_for_its_own_reason() {
    let world = World::new("bad");
    let other = World::new("other");

    let signing = || world.sign(ARTIFACT);
    let mut wrong = signing();
    wrong.signed_by = Some(Key::new(Algorithm::P256, "another"));
    refused(&world, &wrong.bundle(), "signature");

    let mut late = signing();
    late.logs[0].2 += Duration::from_mins(20);
    refused(&world, &late.bundle(), "certificate");

    let mut without = signing();
    without.leaf.scts.clear();
    refused(&world, &without.bundle(), "SCT");
    let mut twice = signing();
    twice.leaf.scts = vec![world.ct_logs[0].sct(world.now); 2];
    refused(&world, &twice.bundle(), "multiple SCTs");
    let mut foreign = signing();
    foreign.leaf.scts = vec![other.ct_logs[0].sct(world.now)];
    refused(&world, &foreign.bundle(), "SCT");
    let mut misplaced = signing();
    misplaced.leaf.scts[0].of_other_certificate = true;
    refused(&world, &misplaced.bundle(), "SCT");

    let mut usage = signing();
    usage.leaf.usages = vec!["1.3.6.1.5.5.7.3.1"];
    refused(&world, &usage.bundle(), "chain");

    let elsewhere = other.sign(ARTIFACT).bundle();
    refused(&world, &elsewhere, "");

    let mut other_tree = signing().make();
    other_tree.entries[0].proof = other.sign(ARTIFACT).make().entries[0].proof.clone();
    refused(&world, &other_tree.bundle(), "proof");

    let mut other_entry = signing().make();
    other_entry.entries = signing().make().entries;
    refused(&world, &other_entry.bundle(), "certificate in bundle does not match");
    let mut same_signer = signing();
    same_signer.certificate = Some(other_entry.certificates[0].clone());
    other_entry.entries = same_signer.make().entries;
    refused(&world, &other_entry.bundle(), "signature in bundle does not match");

    let mut shifted = signing().make();
    shifted.entries[0].index += 1;
    refused(&world, &shifted.bundle(), "SET");

    let mut fractional = signing().rekor2();
    fractional.stamps[0].fractional = true;
    fractional.stamps[0].time += Duration::from_millis(250);
    refused(&world, &fractional.bundle(), "TSTInfo");

    let mut misdirected = signing().rekor2();
    misdirected.stamps[0].of = Some(b"something else".to_vec());
    refused(&world, &misdirected.bundle(), "hash mismatch");

    let mut rejected = signing().rekor2();
    rejected.stamps[0].status = 2;
    refused(&world, &rejected.bundle(), "not granted");

    let mut unstamped = signing().rekor2();
    unstamped.stamps.clear();
    refused(&world, &unstamped.bundle(), "timestamp");
}

#[test]
fn trusted_roots_have_windows() {
    let world = World::new("windows");
    let bundle = world.sign(ARTIFACT).bundle();
    for path in [
        "/tlogs/0/publicKey/validFor",
        "/ctlogs/0/publicKey/validFor",
        "/certificateAuthorities/0/validFor",
    ] {
        let mut root = world.trusted_root();
        root.pointer_mut(path).unwrap()["end"] = "2025-05-01T00:00:00Z".into();
        let root = TrustedRoot::from_json(&root.to_string()).unwrap();
        let bundle = Bundle::from_json(&bundle.to_string()).unwrap();
        Verifier::new(&root).unwrap().verify(ARTIFACT, &bundle, &policy()).unwrap_err();
    }
}

#[test]
fn minisign_signatures_verify() {
    let minisign = Minisign::new(&Key::new(Algorithm::Ed25519, "minisign"));
    let public = minisign_verify::PublicKey::decode(&minisign.public()).unwrap();
    for prehashed in [true, false] {
        let minisign = Minisign { prehashed, ..minisign.clone() };
        let signature = minisign_verify::Signature::decode(&minisign.sign(ARTIFACT)).unwrap();
        public.verify(ARTIFACT, &signature, true).unwrap();
        public.verify(b"another", &signature, true).unwrap_err();
    }
}

#[test]
fn ssh_signatures_verify() {
    let folder = tempfile::tempdir().unwrap();
    let (signers, signature) = (folder.path().join("signers"), folder.path().join("sig"));
    for algorithm in [Algorithm::Ed25519, Algorithm::P256, Algorithm::P384, Algorithm::Rsa2048] {
        let sshsig = SshSig::new(&Key::new(algorithm, "ssh"));
        std::fs::write(&signers, sshsig.allowed_signer("me@example.com")).unwrap();
        for (file, is_good) in [(ARTIFACT, true), (b"another", false)] {
            std::fs::write(&signature, sshsig.sign(file)).unwrap();
            let spawned = Command::new("ssh-keygen")
                .args(["-Y", "verify", "-n", "file", "-I", "me@example.com", "-f"])
                .arg(&signers)
                .arg("-s")
                .arg(&signature)
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn();
            let Ok(mut child) = spawned else {
                println!("not run: there is no ssh-keygen");
                return;
            };
            child.stdin.take().unwrap().write_all(ARTIFACT).unwrap();
            assert_eq!(child.wait().unwrap().success(), is_good, "{algorithm:?}");
        }
    }
}

#[test]
fn layers_hold_what_was_signed() {
    let world = World::new("image");
    let digest = format!("sha256:{}", "0".repeat(64));
    let layer = world.sign_image(&digest, "registry.test/demo").make().image_layer(&world);
    let payload: Value = serde_json::from_slice(&layer.blob).unwrap();
    assert_eq!(payload["critical"]["image"]["docker-manifest-digest"], digest);
    let bundle = &layer.descriptor["annotations"]["dev.sigstore.cosign/bundle"];
    let bundle: Value = serde_json::from_str(bundle.as_str().unwrap()).unwrap();
    assert!(bundle["Payload"]["integratedTime"].is_u64());
}
