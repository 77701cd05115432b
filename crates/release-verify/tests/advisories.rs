//! Attacks that worked on other verifiers, and on the library below ours: each is refused, and for the
//! right reason.

#![allow(clippy::unwrap_used)]

#[path = "interop_sigstore/ours.rs"]
mod ours;

use std::sync::LazyLock;
use std::time::Duration;

use dsops_release_verify::evidence::ManagedKey;
use dsops_release_verify::{
    Algorithm as Hash, Artifact, Bundle, CosignParts, Finding, Leniency, Origin, State, Thresholds,
    TrustRoots, TrustedKey, Verifier,
};
use dsops_testkit::sigstore::cases::{self, ARTIFACT, Case, Wanted};
use dsops_testkit::sigstore::{Algorithm, CtLog, Key, Kind, Signed, World};
use serde_json::Value;

/// The corpus, made once for all tests.
static ALL: LazyLock<Vec<Case>> = LazyLock::new(cases::all);

fn roots(root: &Value) -> TrustRoots {
    TrustRoots::load(root.to_string().as_bytes(), &Origin::new("root"), None).unwrap()
}

fn verifier(world: &World) -> Verifier {
    Verifier::new(roots(&world.trusted_root()))
}

fn trusted(key: &Key) -> TrustedKey {
    TrustedKey::new(&ManagedKey::parse(key.public_pem().as_bytes()).unwrap()).unwrap()
}

fn read(bundle: &Value) -> Bundle {
    let text = bundle.to_string();
    Bundle::read(text.as_bytes(), &Origin::new("bundle"), Leniency::default()).unwrap()
}

/// The codes of the checks that failed; none if the signature is good.
fn failed(verifier: &Verifier, bundle: &Bundle, file: &[u8]) -> Vec<&'static str> {
    let artifact = Artifact::read("file", file, &Hash::ALL).unwrap();
    let outcome = verifier.authenticate(bundle, &artifact, Some(file));
    let is_bad = |finding: &&Finding| matches!(finding.state, State::Failed | State::Undecided);
    let codes: Vec<_> = outcome.findings.iter().filter(is_bad).map(|found| found.code).collect();
    assert_eq!(outcome.authenticated.is_some(), codes.is_empty(), "{:?}", outcome.findings);
    codes
}

/// What cosign 1 and 2 kept of a signature.
fn cosign(signed: &Signed) -> Bundle {
    let bundle = signed.cosign_bundle();
    let text = |name: &str| bundle[name].as_str().unwrap().to_owned();
    let (signature, certificate) = (text("base64Signature"), text("cert"));
    let rekor = bundle["rekorBundle"].to_string();
    let mut parts = CosignParts::default();
    parts.signature = Some(&signature);
    parts.certificate = Some(&certificate);
    parts.rekor_bundle = Some(&rekor);
    Bundle::from_cosign(&parts, &Origin::new("cosign")).unwrap()
}

/// The same signer's signature of something else.
fn beside(world: &World, signed: &Signed, artifact: &[u8]) -> Signed {
    let mut signing = world.sign(artifact);
    signing.certificate = Some(signed.certificates[0].clone());
    signing.make()
}

/// CVE-2022-36056: `cosign verify-blob --bundle` did not compare the log entry with the signature, so
/// any entry would do, and the time in it made an expired certificate look good.
#[test]
fn cve_2022_36056_entry_of_another_signature_in_a_cosign_bundle() {
    let world = World::new("CVE-2022-36056");
    let verifier = verifier(&world);
    let good = world.sign(ARTIFACT).make();
    assert!(failed(&verifier, &cosign(&good), ARTIFACT).is_empty());
    // Of another file, of another signature, of another signer.
    let others = [
        beside(&world, &good, b"another file"),
        beside(&world, &good, ARTIFACT),
        world.sign(ARTIFACT).make(),
    ];
    for other in others {
        let mut bad = good.clone();
        bad.entries = other.entries;
        assert_eq!(failed(&verifier, &cosign(&bad), ARTIFACT), ["log/entry"]);
    }
    // The certificate ended long before the entry was made.
    let mut late = world.sign(ARTIFACT);
    late.logs[0].2 += Duration::from_hours(24);
    let codes = failed(&verifier, &cosign(&late.make()), ARTIFACT);
    assert_eq!(codes, ["certificate/time"]);
}

/// CVE-2022-23649: who could write where an image's signatures lie could claim that the log has an entry
/// for a signature by giving one of another signature along.
#[test]
fn cve_2022_23649_entry_of_another_image() {
    let world = World::new("CVE-2022-23649");
    let key = Key::new(Algorithm::P256, "image");
    let verifier = verifier(&world).with_keys([trusted(&key)]);
    let sign = |digit: &str| {
        let digest = format!("sha256:{}", digit.repeat(64));
        world.sign_image(&digest, "registry.test/demo").managed(&key).make()
    };
    let read = |signed: &Signed| {
        let layer = signed.image_layer(&world);
        let annotation = |name: &str| layer.descriptor["annotations"][name].as_str();
        let mut parts = CosignParts::default();
        parts.signature = annotation("dev.cosignproject.cosign/signature");
        parts.rekor_bundle = annotation("dev.sigstore.cosign/bundle");
        (Bundle::from_cosign(&parts, &Origin::new("layer")).unwrap(), layer.blob)
    };
    let (good, other) = (sign("a"), sign("b"));
    let (bundle, payload) = read(&good);
    assert!(failed(&verifier, &bundle, &payload).is_empty());
    let mut bad = good.clone();
    bad.entries.clone_from(&other.entries);
    let (bundle, payload) = read(&bad);
    assert_eq!(failed(&verifier, &bundle, &payload), ["log/entry"]);
    // And no entry at all.
    bad.entries.clear();
    let (bundle, payload) = read(&bad);
    assert_eq!(failed(&verifier, &bundle, &payload), ["log/threshold"]);
}

/// GHSA-whqx-f9j3-ch6m (CVE-2026-22703): the same hole again, in bundles of newer versions: the entry
/// was in the log, but not about this file, signature and key.
#[test]
fn ghsa_whqx_f9j3_ch6m_entry_is_not_about_the_signature() {
    let world = World::new("GHSA-whqx");
    let verifier = verifier(&world);
    for is_rekor2 in [false, true] {
        let make = |artifact: &[u8], certificate| {
            let mut signing = world.sign(artifact);
            signing.certificate = certificate;
            if is_rekor2 { signing.rekor2().make() } else { signing.make() }
        };
        let good = make(ARTIFACT, None);
        let certificate = good.certificates.first().cloned();
        assert!(failed(&verifier, &read(&good.bundle()), ARTIFACT).is_empty());
        for other in [
            make(b"another file", certificate.clone()),
            make(ARTIFACT, certificate.clone()),
            make(ARTIFACT, None),
        ] {
            let mut bad = good.clone();
            bad.entries = other.entries;
            assert_eq!(failed(&verifier, &read(&bad.bundle()), ARTIFACT), ["log/entry"]);
        }
    }
}

/// GHSA-9vcr-p3rj-q5q6 (CVE-2026-49834): thresholds counted entries and certificate timestamps, so one
/// log could reach two of two by giving two.
#[test]
fn ghsa_9vcr_p3rj_q5q6_one_log_counts_once() {
    let world = World::new("GHSA-9vcr");
    let mut thresholds = Thresholds::default();
    thresholds.logs = 2;
    let strict = verifier(&world).with_thresholds(thresholds);
    let two_of_one = world.sign(ARTIFACT).logged(Kind::HashedRekordV001).make();
    assert_ne!(two_of_one.entries[0].index, two_of_one.entries[1].index);
    assert_eq!(
        failed(&strict, &read(&two_of_one.bundle()), ARTIFACT),
        ["log/twice", "log/threshold"]
    );
    let two_logs = world.sign(ARTIFACT).logged(Kind::HashedRekordV002).stamped().make();
    assert!(failed(&strict, &read(&two_logs.bundle()), ARTIFACT).is_empty());

    let mut thresholds = Thresholds::default();
    thresholds.scts = 2;
    let strict = verifier(&world).with_thresholds(thresholds);
    let with_scts = |logs: [&CtLog; 2]| {
        let mut signing = world.sign(ARTIFACT);
        let time = |number| world.now + Duration::from_secs(number);
        signing.leaf.scts = vec![logs[0].sct(time(0)), logs[1].sct(time(1))];
        read(&signing.bundle())
    };
    let [first, second] = [&world.ct_logs[0], &world.ct_logs[1]];
    assert_eq!(failed(&strict, &with_scts([first, first]), ARTIFACT), ["certificate/sct"]);
    assert!(failed(&strict, &with_scts([first, second]), ARTIFACT).is_empty());
}

/// GHSA-wqqc-jjcq-vfxm: the time in which a managed key is good was not compared with the time of the
/// signature.
#[test]
fn ghsa_wqqc_jjcq_vfxm_managed_key_outside_its_time() {
    let world = World::new("GHSA-wqqc");
    let key = Key::new(Algorithm::P256, "registry");
    let day = Duration::from_hours(24);
    let within = |from, until| verifier(&world).with_keys([trusted(&key).valid(from, until)]);
    let signed = read(&world.sign(ARTIFACT).managed(&key).bundle());
    let good = within(Some(world.now - day), Some(world.now + day));
    assert!(failed(&good, &signed, ARTIFACT).is_empty());
    let retired = within(None, Some(world.now - day));
    assert_eq!(failed(&retired, &signed, ARTIFACT), ["key/time"]);
    let early = within(Some(world.now + day), None);
    assert_eq!(failed(&early, &signed, ARTIFACT), ["key/time"]);
    // Who leaves out what proves the time gains nothing.
    let mut undated = world.sign(ARTIFACT).managed(&key).make();
    undated.entries[0].promise = None;
    undated.entries[0].time = None;
    assert!(!failed(&good, &read(&undated.bundle()), ARTIFACT).is_empty());
}

/// GHSA-xm5m-wgh2-rrg3 (CVE-2026-39984): the certificate that was looked at was the first in the
/// token, the one that had signed it was another.
#[test]
fn ghsa_xm5m_wgh2_rrg3_order_of_certificates_in_a_timestamp() {
    for name in [
        "stamp by another certificate of the root, the true one first",
        "stamp by another certificate, said to be by the true one",
        "stamp of an unknown authority with its certificates",
    ] {
        assert_refused(name, "timestamp/authority");
    }
}

/// sigstore/sigstore-ruby#307: the time of a log entry was believed without the promise that signs it.
#[test]
fn sigstore_ruby_307_time_without_a_promise() {
    assert_refused("time of the log without a promise", "timestamp/threshold");
    assert_refused("time changed after the promise", "log/promise");
}

/// GHSA-wfqv-66vq-46rm: an authority's certificate that had ended by the time of the signature.
#[test]
fn ghsa_wfqv_66vq_46rm_issuer_ended_before_the_signature() {
    let mut world = World::new("GHSA-wfqv");
    // The authority began long before, so that its certificates end while the leaf still lives.
    let start = world.now - Duration::from_hours(24 * 3650) + Duration::from_mins(5);
    world.fulcio = dsops_testkit::sigstore::Fulcio::new("GHSA-wfqv", "sigstore.dev", start);
    let verifier = verifier(&world);
    let at = |minutes: u64| {
        let mut signing = world.sign(ARTIFACT);
        signing.logs[0].2 = world.now + Duration::from_mins(minutes);
        read(&signing.bundle())
    };
    assert!(failed(&verifier, &at(4), ARTIFACT).is_empty());
    assert_eq!(failed(&verifier, &at(6), ARTIFACT), ["certificate/chain"]);
}

/// What `sigstore-verify` 0.15.1 alone lets through (research, weak spots), and all else that is bad in
/// the corpus: refused by the check that is there for it.
#[test]
fn every_bad_bundle_is_refused_by_the_check_that_is_there_for_it() {
    let mut expected: Vec<_> = REASONS.iter().map(|(name, _)| *name).collect();
    expected.sort_unstable();
    let mut bad: Vec<_> = ALL.iter().filter(|case| !case.is_good).map(|case| case.name).collect();
    bad.sort_unstable();
    assert_eq!(bad, expected, "each bad bundle has its reason written down");
    for (name, code) in REASONS {
        assert_refused(name, code);
    }
}

/// The first check that fails.
fn assert_refused(name: &str, code: &str) {
    let case = ALL.iter().find(|case| case.name == name).expect(name);
    let key = match &case.wanted {
        Wanted::Key(key) => key.public_pem(),
        Wanted::Identity(..) => String::new(),
    };
    let wanted = match &case.wanted {
        Wanted::Key(_) => ours::Wanted::Key(&key),
        Wanted::Identity(name, issuer) => ours::Wanted::Identity(name, issuer),
    };
    let why =
        ours::judge(&case.bundle, &case.root.to_string(), &case.artifact, &wanted).expect_err(name);
    assert!(why.starts_with(&format!("{code} ")), "{name}: {why}");
}

/// A bad bundle of the corpus, and the check that refuses it.
const REASONS: &[(&str, &str)] = &[
    ("another file", "signature/digest"),
    ("signed by another key", "signature/artifact"),
    ("of another instance", "log/unknown"),
    ("managed key, another is wanted", "key/missing"),
    ("managed key, signed by another", "signature/artifact"),
    ("managed key in the bundle, identity wanted", "key/missing"),
    ("identity in capitals", "policy/identity"),
    ("identity is a prefix", "policy/identity"),
    ("identity with a newline", "policy/identity"),
    ("identity as a pattern", "policy/identity"),
    ("issuer with a slash", "policy/issuer"),
    ("certificate without certificate timestamp", "certificate/sct"),
    ("certificate timestamp of an unknown log", "certificate/sct"),
    ("certificate timestamp over another certificate", "certificate/sct"),
    ("certificate timestamp by another key", "certificate/sct"),
    ("certificate is not for signing code", "certificate/chain"),
    ("certificate without a name", "certificate/profile"),
    ("certificate without an issuer", "policy/issuer"),
    ("certificate with two issuers", "certificate/profile"),
    ("chain with the root in it", "certificate/chain"),
    ("chain without certificates", "bundle/format"),
    ("certificate issued by a leaf", "certificate/chain"),
    ("entry of another file of the signer", "log/entry"),
    ("entry of another signature of the signer", "log/entry"),
    ("entry of another signer", "log/entry"),
    ("entry of another instance", "log/entry"),
    ("no entry", "log/threshold"),
    ("the same entry twice", "log/twice"),
    ("proof missing in version 0.3", "bundle/format"),
    ("proof in another tree", "log/inclusion"),
    ("proof of another entry", "log/inclusion"),
    ("proof with a hash more", "log/inclusion"),
    ("promise of another entry", "log/promise"),
    ("promise by another key", "log/promise"),
    ("time changed after the promise", "log/promise"),
    ("index changed after the promise", "log/promise"),
    ("checkpoint by another key", "log/inclusion"),
    ("checkpoint of a larger tree", "log/inclusion"),
    ("kind in the bundle differs from the body", "log/entry"),
    ("Rekor v1 body, called Rekor v2", "bundle/format"),
    ("Rekor v2, log id of nobody", "log/unknown"),
    ("Rekor v2, log id of the Rekor v1 log", "log/inclusion"),
    ("Rekor v2, no proof", "bundle/format"),
    ("attestation about another file", "statement/subject"),
    ("attestation with another payload", "signature/envelope"),
    ("attestation with another payload type", "signature/envelope"),
    ("attestation with two signatures", "bundle/format"),
    ("attestation without signatures", "bundle/format"),
    ("attestation, entry of another one, dsse 0.0.1", "log/entry"),
    ("attestation, entry of another one, intoto 0.0.2", "log/entry"),
    ("attestation, entry of another one, intoto 0.0.1", "log/entry"),
    ("no media type", "bundle/format"),
    ("media type of a version to come", "bundle/format"),
    ("media type with more after it", "bundle/format"),
    ("message and envelope at once", "bundle/format"),
    ("envelope and message at once", "bundle/format"),
    ("neither message nor envelope", "bundle/format"),
    ("certificate and key at once", "bundle/format"),
    ("digest of another file in the bundle", "signature/digest"),
    ("negative index", "bundle/format"),
    ("the same key twice", "bundle/format"),
    ("cut short", "bundle/format"),
    ("root of an unknown media type", "trust/format"),
    ("root with the wrong details of the log's key", "trust/format"),
    ("root without the log", "log/unknown"),
    ("logged after the certificate ended", "certificate/time"),
    ("logged before the certificate began", "certificate/time"),
    ("logged in the future", "log/promise"),
    ("stamped after the certificate ended", "certificate/time"),
    ("stamped before the certificate began", "certificate/time"),
    ("one of two stamps after the certificate ended", "certificate/time"),
    ("time of the log without a promise", "timestamp/threshold"),
    ("log retired before it took the entry in", "log/promise"),
    ("log started after it took the entry in", "log/promise"),
    ("Rekor v2 log retired before the stamp", "log/time"),
    ("Rekor v2 log started after the stamp", "log/time"),
    ("certificate log retired before its timestamp", "certificate/sct"),
    ("certificate log started after its timestamp", "certificate/sct"),
    ("authority retired before the signature", "certificate/chain"),
    ("authority started after the signature", "certificate/chain"),
    ("timestamp authority retired before the stamp", "timestamp/authority"),
    ("timestamp authority started after the stamp", "timestamp/authority"),
    ("Rekor v2 without a stamp", "timestamp/threshold"),
    ("stamp over something else", "timestamp/authority"),
    ("stamp of an unknown authority", "timestamp/authority"),
    ("stamp of an unknown authority with its certificates", "timestamp/authority"),
    ("stamp was not granted", "timestamp/authority"),
    ("stamp names another certificate as its signer's", "timestamp/authority"),
    ("the same stamp twice", "timestamp/twice"),
    ("stamp cut short", "timestamp/authority"),
    ("stamp with more after it", "timestamp/authority"),
    ("stamp by another certificate of the root, the true one first", "timestamp/authority"),
    ("stamp by another certificate, said to be by the true one", "timestamp/authority"),
    ("authority's certificate is not for stamping times", "timestamp/authority"),
    ("authority's certificate ended before the stamp", "timestamp/authority"),
];
