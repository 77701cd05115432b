//! Bundles by a key: our own verifier takes them, and takes none that was changed.

#![cfg(feature = "sign")]
#![allow(clippy::unwrap_used, reason = "a test")]

mod judge;

use dsops_attest::{
    Algorithm, Dependency, Error, Provenance, Signer, SigningKey, Statement, Subject,
    sbom_statement,
};
use dsops_release_verify::statement::Provenance as Read;
use dsops_testkit::sigstore::sha256;
use judge::{Trust, verify};
use proptest::prelude::*;
use serde_json::{Value, json};

const FILE: &[u8] = b"the file";
const BOTH: [Algorithm; 2] = [Algorithm::EcdsaP256, Algorithm::Ed25519];

fn subject() -> Subject {
    Subject::sha256("file", &sha256(FILE))
}

#[test]
fn files_and_statements_verify() {
    for algorithm in BOTH {
        let key = SigningKey::generate(algorithm).unwrap();
        let pem = key.public_pem();
        let trust = Trust::Key(&pem);
        let signer = Signer::Key(&key);
        let bundle = signer.sign_artifact(&mut &FILE[..]).unwrap().to_string();
        assert!(verify(&bundle, &trust, FILE).unwrap().1.is_none());
        verify(&bundle, &trust, b"another file").unwrap_err();

        let statement = Statement::new(&[subject()], "https://example.com/p", &json!({})).unwrap();
        let bundle = signer.sign_statement(&statement).unwrap().to_string();
        let (_, said) = verify(&bundle, &trust, FILE).unwrap();
        assert_eq!(said.unwrap().predicate_type(), "https://example.com/p");
        verify(&bundle, &trust, b"another file").unwrap_err();

        let other = SigningKey::generate(algorithm).unwrap().public_pem();
        verify(&bundle, &Trust::Key(&other), FILE).unwrap_err();
    }
}

#[test]
fn no_character_of_a_bundle_can_be_changed() {
    let key = SigningKey::generate(Algorithm::EcdsaP256).unwrap();
    let pem = key.public_pem();
    let statement = Statement::new(&[subject()], "https://example.com/p", &json!({})).unwrap();
    let signer = Signer::Key(&key);
    let bundles =
        [signer.sign_artifact(&mut &FILE[..]).unwrap(), signer.sign_statement(&statement).unwrap()];
    for bundle in bundles {
        let bundle: Value = serde_json::from_str(&bundle.to_string()).unwrap();
        let mut tried = 0;
        for path in [
            "/messageSignature/signature",
            "/messageSignature/messageDigest/digest",
            "/dsseEnvelope/payload",
            "/dsseEnvelope/payloadType",
            "/dsseEnvelope/signatures/0/sig",
            "/verificationMaterial/publicKey/hint",
            "/mediaType",
        ] {
            let Some(text) = bundle.pointer(path).and_then(Value::as_str) else { continue };
            for at in 0..text.len() {
                let mut changed = text.as_bytes().to_vec();
                changed[at] = if changed[at] == b'x' { b'y' } else { b'x' };
                let mut bundle = bundle.clone();
                *bundle.pointer_mut(path).unwrap() = String::from_utf8(changed).unwrap().into();
                verify(&bundle.to_string(), &Trust::Key(&pem), FILE).unwrap_err();
                tried += 1;
            }
        }
        assert!(tried > 200, "{tried}");
    }
}

#[test]
fn provenance_is_read_back() {
    let key = SigningKey::generate(Algorithm::EcdsaP256).unwrap();
    let mut made = Provenance::local();
    made.dependencies = vec![
        Dependency {
            uri: "git+https://github.com/octo/demo@refs/tags/v1.2.3".into(),
            digests: vec![("gitCommit".into(), "b".repeat(40))],
        },
        Dependency {
            uri: "file:Cargo.lock".into(),
            digests: vec![("sha256".into(), "c".repeat(64))],
        },
    ];
    made.invocation = Some("run/1".into());
    made.started = Some(std::time::UNIX_EPOCH);
    made.parameters.insert("target".into(), "musl".into());
    let statement = made.statement(&[subject()]).unwrap();
    let bundle = Signer::Key(&key).sign_statement(&statement).unwrap().to_string();
    let (_, said) = verify(&bundle, &Trust::Key(&key.public_pem()), FILE).unwrap();
    let read = Read::read(&said.unwrap()).unwrap();
    assert_eq!(read.builder().to_string(), dsops_attest::LOCAL_BUILDER);
    assert_eq!(read.build_type(), dsops_attest::BUILD_TYPE);
    assert_eq!(read.commit(), Some("b".repeat(40).as_str()));
    assert_eq!(read.reference(), Some("refs/tags/v1.2.3"));
    let text = std::str::from_utf8(statement.payload()).unwrap();
    assert!(text.contains("\"startedOn\":\"1970-01-01T00:00:00Z\""), "{text}");
    assert_eq!(statement, made.statement(&[subject()]).unwrap(), "the same bytes each time");
}

#[test]
fn statements_about_nothing_are_refused() {
    assert!(matches!(Provenance::local().statement(&[]), Err(Error::NoSubject)));
    assert!(matches!(sbom_statement(&[], b"{}"), Err(Error::Document { .. })));
    for digests in [
        vec![],
        vec![("sha256", "00".repeat(31))],
        vec![("sha256", "AB".repeat(32))],
        vec![("md5", "00".repeat(16))],
        vec![("sha256", "00".repeat(32)), ("sha512", String::new())],
    ] {
        let digests = digests.into_iter().map(|(name, hex)| (name.to_owned(), hex));
        assert!(matches!(Subject::new("x", digests), Err(Error::Subject { .. })));
    }
    let mut odd = Provenance::local();
    for builder in ["", "me", "https:", "a b:c", "1:x", "x:\n"] {
        builder.clone_into(&mut odd.builder);
        assert!(matches!(odd.statement(&[subject()]), Err(Error::Document { .. })), "{builder}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever text stands in a statement, the verifier reads it back as it was.
    #[test]
    fn statements_survive(name in "\\PC{1,20}", parameter in "\\PC{0,20}", value: String) {
        let subject = Subject::sha256(name.clone(), &sha256(FILE));
        let mut made = Provenance::local();
        made.parameters.insert(parameter.clone(), value.clone().into());
        let statement = made.statement(&[subject]).unwrap();
        let key = SigningKey::generate(Algorithm::Ed25519).unwrap();
        let bundle = Signer::Key(&key).sign_statement(&statement).unwrap().to_string();
        let (_, said) = verify(&bundle, &Trust::Key(&key.public_pem()), FILE).unwrap();
        let said = said.unwrap();
        prop_assert_eq!(said.subjects()[0].name(), Some(name.as_str()).filter(|name| *name != "_"));
        let whole: Value = serde_json::from_slice(statement.payload()).unwrap();
        let found = &whole["predicate"]["buildDefinition"]["externalParameters"][&parameter];
        prop_assert_eq!(found.as_str(), Some(value.as_str()));
    }
}
