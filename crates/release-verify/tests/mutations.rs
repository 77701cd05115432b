//! Good bundles and trusted roots with one thing changed: what is still accepted has to be on a
//! list here, with the reason why that is right.
//!
//! The bundles are the stand-in's, and the recorded ones of the conformance suite where they are.
#![allow(clippy::unwrap_used)]

#[path = "mutations/generator.rs"]
mod generator;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use dsops_release_verify::evidence::ManagedKey;
use dsops_release_verify::statement::{Statement, SubjectMatch};
use dsops_release_verify::{
    Algorithm, Artifact, Bundle, Content, IdentityRule, Leniency, Origin, Pattern, SignerPolicy,
    SignerRule, TrustRoots, TrustedKey, Verifier,
};
use dsops_testkit::sigstore::cases::{self, Wanted};
use serde_json::Value;

/// A good bundle, and the question it answers.
struct Good {
    name: String,
    bundle: Value,
    root: Value,
    artifact: Vec<u8>,
    rule: SignerRule,
    key: Option<TrustedKey>,
}

impl Good {
    fn accepts(&self, verifier: &Verifier, bundle: &str) -> bool {
        let origin = Origin::new(&*self.name);
        let Ok(bundle) = Bundle::read(bundle.as_bytes(), &origin, Leniency::default()) else {
            return false;
        };
        let artifact = Artifact::read("file", &self.artifact[..], &Algorithm::ALL).unwrap();
        let outcome = verifier.authenticate(&bundle, &artifact, Some(&self.artifact));
        let Some(signature) = outcome.authenticated else { return false };
        let about = match &signature.content {
            Content::Artifact(digest) => digest == artifact.sha256(),
            Content::Statement { payload_type, payload } => Statement::read(payload_type, payload)
                .is_ok_and(|statement| {
                    matches!(statement.covers(&artifact), SubjectMatch::Matches(_))
                }),
            _ => false,
        };
        about && SignerPolicy::new(self.rule.clone()).judge(&[signature]).accepts(0)
    }

    fn verifier(&self, root: &str) -> Option<Verifier> {
        let roots = TrustRoots::load(root.as_bytes(), &Origin::new("root"), None).ok()?;
        Some(Verifier::new(roots).with_keys(self.key.clone()))
    }
}

fn by_certificate(identity: &str, issuer: &str) -> SignerRule {
    SignerRule::Certificate(IdentityRule::new(
        Pattern::exact(identity).unwrap(),
        Pattern::exact(issuer).unwrap(),
    ))
}

fn by_key(pem: &[u8]) -> (SignerRule, TrustedKey) {
    let key = TrustedKey::new(&ManagedKey::parse(pem).unwrap()).unwrap();
    (SignerRule::Key { id: key.id().to_owned() }, key)
}

/// The stand-in's good bundles.
fn made() -> Vec<Good> {
    let mut good = Vec::new();
    for case in cases::all().into_iter().filter(|case| case.is_good) {
        let (rule, key) = match &case.wanted {
            Wanted::Identity(identity, issuer) => (by_certificate(identity, issuer), None),
            Wanted::Key(key) => {
                let (rule, key) = by_key(key.public_pem().as_bytes());
                (rule, Some(key))
            }
        };
        good.push(Good {
            name: case.name.to_owned(),
            bundle: serde_json::from_str(&case.bundle).unwrap(),
            root: case.root,
            artifact: case.artifact,
            rule,
            key,
        });
    }
    good
}

/// The recorded ones, when they are there.
fn recorded() -> Vec<Good> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/conformance/sigstore/assets/bundle-verify");
    let Ok(entries) = fs::read_dir(&folder) else { return Vec::new() };
    let mut good = Vec::new();
    for case in entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()) {
        let name = case.file_name().unwrap().to_str().unwrap().to_owned();
        if name.ends_with("fail") {
            continue;
        }
        let text = |file: &str| fs::read_to_string(case.join(file)).ok();
        let (rule, key) = if let Some(pem) = text("key.pub") {
            let (rule, key) = by_key(pem.as_bytes());
            (rule, Some(key))
        } else {
            let identity = text("identity").unwrap_or_else(|| "https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon/.github/workflows/extremely-dangerous-oidc-beacon.yml@refs/heads/main".to_owned());
            let issuer = text("issuer")
                .unwrap_or_else(|| "https://token.actions.githubusercontent.com".to_owned());
            (by_certificate(identity.trim(), issuer.trim()), None)
        };
        let artifact =
            fs::read(case.join("artifact")).or_else(|_| fs::read(folder.join("a.txt"))).unwrap();
        let public = sigstore_trust_root::SIGSTORE_PRODUCTION_TRUSTED_ROOT.to_owned();
        good.push(Good {
            name,
            bundle: serde_json::from_str(&text("bundle.sigstore.json").unwrap()).unwrap(),
            root: serde_json::from_str(&text("trusted_root.json").unwrap_or(public)).unwrap(),
            artifact,
            rule,
            key,
        });
    }
    good.sort_by(|one, other| one.name.cmp(&other.name));
    good
}

/// One bundle of each shape: what its fields are, and of which kinds its log entries.
fn shapes(good: Vec<Good>) -> Vec<Good> {
    let mut seen = BTreeSet::new();
    good.into_iter().filter(|one| seen.insert(shape(&one.bundle))).collect()
}

fn shape(value: &Value) -> String {
    match value {
        Value::Object(fields) => fields
            .iter()
            .map(|(key, inner)| match key.as_str() {
                "mediaType" | "kind" | "version" | "algorithm" => format!("{key}={inner},"),
                "hashes" => "hashes,".to_owned(),
                _ => format!("{key}{{{}}}", shape(inner)),
            })
            .collect(),
        Value::Array(items) => {
            items.iter().flat_map(|item| ["[".to_owned(), shape(item), "]".to_owned()]).collect()
        }
        _ => String::new(),
    }
}

/// Which mutants were accepted: of each kind how many, and the name of one.
type Accepted = BTreeMap<String, (usize, String)>;

/// Verifies mutants on two threads.
fn accepted(good: &[Good], mutants: impl Fn(&Good) -> Accepted + Sync) -> Accepted {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut all: Vec<Accepted> = Vec::new();
        while let Some(one) = good.get(next.fetch_add(1, Ordering::Relaxed)) {
            all.push(mutants(one));
        }
        all
    };
    let all = thread::scope(|scope| {
        let other = scope.spawn(work);
        let mut all = work();
        all.extend(other.join().expect("a mutant crashed the verifier"));
        all
    });
    let mut sum = Accepted::new();
    for (kind, (count, name)) in all.into_iter().flatten() {
        let place = sum.entry(kind).or_default();
        *place = (place.0 + count, name);
    }
    sum
}

/// The mutants of a bundle that are accepted. What is swapped in comes from bundles with another
/// signature.
fn of_bundle(one: &Good, good: &[Good]) -> Accepted {
    let signature = |bundle: &Value| {
        bundle
            .pointer("/messageSignature/signature")
            .or_else(|| bundle.pointer("/dsseEnvelope/signatures/0/sig"))
            .cloned()
    };
    let own = signature(&one.bundle);
    let others: Vec<&Value> = good
        .iter()
        .map(|other| &other.bundle)
        .filter(|other| signature(other) != own)
        .take(2)
        .collect();
    let verifier = one.verifier(&one.root.to_string()).unwrap();
    assert!(one.accepts(&verifier, &one.bundle.to_string()), "{} is good", one.name);
    let mut accepted = Accepted::new();
    for mutant in generator::mutants(&one.bundle, &others) {
        if one.accepts(&verifier, &mutant.text) {
            let place = accepted.entry(mutant.kind).or_default();
            *place = (place.0 + 1, one.name.clone());
        }
    }
    accepted
}

/// The mutants of a root, reduced to what the bundle needs, under which it is still accepted.
fn of_root(one: &Good) -> Accepted {
    let bundle = one.bundle.to_string();
    let accepts =
        |root: &str| one.verifier(root).is_some_and(|verifier| one.accepts(&verifier, &bundle));
    let mut root = one.root.clone();
    for list in ["tlogs", "ctlogs", "certificateAuthorities", "timestampAuthorities"] {
        let mut index = 0;
        while let Some(entries) = root[list].as_array().filter(|entries| index < entries.len()) {
            let mut fewer = entries.clone();
            fewer.remove(index);
            let mut smaller = root.clone();
            smaller[list] = fewer.clone().into();
            // Without any log, none is asked for: that is another question.
            let may_go = list.ends_with("Authorities") || !fewer.is_empty();
            if may_go && accepts(&smaller.to_string()) {
                root = smaller;
            } else {
                index += 1;
            }
        }
    }
    let mut accepted = Accepted::new();
    for mutant in generator::mutants(&root, &[]) {
        if accepts(&mutant.text) {
            let place = accepted.entry(mutant.kind).or_default();
            *place = (place.0 + 1, one.name.clone());
        }
    }
    accepted
}

/// Whether a kind of change is the one allowed, or below the place allowed.
fn is_of(allowed: &str, kind: &str) -> bool {
    kind == allowed
        || !allowed.contains(": ")
            && kind.strip_prefix(allowed).is_some_and(|rest| rest.starts_with([':', '.']))
}

fn check(accepted: &Accepted, allowed: &[(&str, &str)]) {
    let wrong: Vec<String> = accepted
        .iter()
        .filter(|(kind, _)| !allowed.iter().any(|(own, _)| is_of(own, kind)))
        .map(|(kind, (count, name))| format!("{count} accepted of {kind} (as of {name})"))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn bundles_of_the_stand_in() {
    let good = shapes(made());
    let accepted = accepted(&good, |one| of_bundle(one, &good));
    check(&accepted, BUNDLES);
}

#[test]
fn recorded_bundles() {
    let good = shapes(recorded());
    if good.is_empty() {
        println!("not run: the recorded bundles of the conformance suite are not here");
        return;
    }
    check(&accepted(&good, |one| of_bundle(one, &good)), BUNDLES);
}

#[test]
fn roots_of_the_stand_in() {
    let mut good = shapes(made());
    good.truncate(8);
    check(&accepted(&good, of_root), ROOTS);
}

/// What may be changed in a bundle, and why: places, or one change at a place.
const BUNDLES: &[(&str, &str)] = &[
    (
        "mediaType: another's",
        "two spellings of 0.3; 0.1 and 0.2 ask for the same where an entry has both promise and proof",
    ),
    (
        "verificationMaterial.publicKey",
        "without a hint, the key that was given is tried; it must have signed",
    ),
    (
        "verificationMaterial.timestampVerificationData",
        "proof that is not there is not counted; what is left is enough (keys, Rekor v1)",
    ),
    ("verificationMaterial.tlogEntries: null", "an empty list, written in another way"),
    ("verificationMaterial.tlogEntries: removed", "an empty list, written in another way"),
    (
        "verificationMaterial.tlogEntries[].inclusionPromise: null",
        "the proof is enough where no time is asked for",
    ),
    (
        "verificationMaterial.tlogEntries[].inclusionPromise: removed",
        "the proof is enough where no time is asked for",
    ),
    (
        "verificationMaterial.tlogEntries[].inclusionProof: null",
        "version 0.1 needs the promise only",
    ),
    (
        "verificationMaterial.tlogEntries[].inclusionProof: removed",
        "version 0.1 needs the promise only",
    ),
    (
        "verificationMaterial.tlogEntries[].inclusionProof.hashes: null",
        "an empty list, written in another way",
    ),
    (
        "verificationMaterial.tlogEntries[].inclusionProof.hashes: removed",
        "an empty list, written in another way",
    ),
    (
        "verificationMaterial.tlogEntries[].inclusionProof.checkpoint.envelope: signature removed",
        "a witness's, whose key nobody knows",
    ),
    (
        "verificationMaterial.tlogEntries[].inclusionProof.checkpoint.envelope: a character of a signature",
        "a witness's, whose key nobody knows",
    ),
    (
        "verificationMaterial.tlogEntries[].inclusionProof.logIndex: null",
        "zero, written in another way",
    ),
    (
        "verificationMaterial.tlogEntries[].inclusionProof.logIndex: removed",
        "zero, written in another way",
    ),
    (
        "verificationMaterial.tlogEntries[].inclusionProof.logIndex: a number",
        "the same number, as Protocol Buffers may write it",
    ),
    (
        "verificationMaterial.tlogEntries[].inclusionProof.logIndex: as a number",
        "the same number, as Protocol Buffers may write it",
    ),
    (
        "verificationMaterial.tlogEntries[].inclusionProof.treeSize: a number",
        "the same number, as Protocol Buffers may write it",
    ),
    (
        "verificationMaterial.tlogEntries[].inclusionProof.treeSize: as a number",
        "the same number, as Protocol Buffers may write it",
    ),
    (
        "verificationMaterial.tlogEntries[].integratedTime: as a number",
        "the same number, as Protocol Buffers may write it",
    ),
    (
        "verificationMaterial.tlogEntries[].logIndex: a number",
        "the same number, as Protocol Buffers may write it",
    ),
    (
        "verificationMaterial.tlogEntries[].logIndex: as a number",
        "the same number, as Protocol Buffers may write it",
    ),
    (
        "verificationMaterial.certificate",
        "without a log, any certificate of the signer for that key will do",
    ),
    (
        "dsseEnvelope",
        "intoto 0.0.1 binds payload and signer, not the signature, and any good one will do",
    ),
    ("dsseEnvelope.signatures[].keyid: null", "an empty id, written in another way"),
    ("dsseEnvelope.signatures[].keyid: removed", "an empty id, written in another way"),
];

/// What may be changed in a root, and why.
const ROOTS: &[(&str, &str)] = &[
    ("certificateAuthorities[].subject", "for display; the certificates say who it is"),
    ("certificateAuthorities[].uri", "for display"),
    ("certificateAuthorities[]: twice", "a root merged from two; counted once"),
    (
        "certificateAuthorities[].certChain.certificates[]: removed",
        "the certificate that issued the leaf may be all that is trusted",
    ),
    ("certificateAuthorities: null", "an empty list, written in another way"),
    ("certificateAuthorities: removed", "an empty list, written in another way"),
    ("timestampAuthorities[].subject", "for display; the certificates say who it is"),
    ("timestampAuthorities[].uri", "for display"),
    ("timestampAuthorities[]: twice", "a root merged from two; counted once"),
    ("timestampAuthorities: turned round", "their order means nothing"),
    (
        "timestampAuthorities[].certChain.certificates[]: removed",
        "the timestamping certificate may be all that is trusted",
    ),
    ("timestampAuthorities: null", "an empty list, written in another way"),
    ("timestampAuthorities: removed", "an empty list, written in another way"),
    ("ctlogs[].baseUrl", "for display; the key says which log it is"),
    ("ctlogs[]: twice", "a root merged from two; counted once"),
    ("ctlogs: empty", "a root without certificate logs asks for none"),
    ("ctlogs: null", "a root without certificate logs asks for none"),
    ("ctlogs: removed", "a root without certificate logs asks for none"),
    ("ctlogs[]: removed", "a root without certificate logs asks for none"),
    (
        "tlogs[].baseUrl",
        "for display; the key says which log it is (Rekor v2's name is bound by its id)",
    ),
    ("tlogs[]: twice", "a root merged from two; counted once"),
    ("tlogs: null", "an empty list, written in another way"),
    ("tlogs: removed", "an empty list, written in another way"),
];
