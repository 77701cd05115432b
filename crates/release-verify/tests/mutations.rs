//! Good bundles and trusted roots with one thing changed: what is still accepted has to be on a
//! list here, with the reason why that is right.
//!
//! The bundles are the stand-in's, and the recorded ones of the conformance suite where they are.

#[path = "mutations/generator.rs"]
mod generator;

use std::collections::BTreeMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

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
        let (rule, key) = match text("key.pub") {
            Some(pem) => {
                let (rule, key) = by_key(pem.as_bytes());
                (rule, Some(key))
            }
            None => {
                let identity = text("identity").unwrap_or_else(|| "https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon/.github/workflows/extremely-dangerous-oidc-beacon.yml@refs/heads/main".to_owned());
                let issuer = text("issuer")
                    .unwrap_or_else(|| "https://token.actions.githubusercontent.com".to_owned());
                (by_certificate(identity.trim(), issuer.trim()), None)
            }
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

/// Verifies every mutant of the bundles; gives how many were accepted of each kind, and an example.
fn accepted(good: &[Good]) -> (usize, BTreeMap<String, (usize, String)>) {
    let mut count = 0;
    let mut accepted: BTreeMap<String, (usize, String)> = BTreeMap::new();
    for one in good {
        let verifier = one.verifier(&one.root.to_string()).unwrap();
        assert!(one.accepts(&verifier, &one.bundle.to_string()), "{} is good", one.name);
        let others: Vec<&Value> =
            good.iter().filter(|other| other.name != one.name).map(|other| &other.bundle).collect();
        for mutant in generator::mutants(&one.bundle, &others) {
            count += 1;
            let result = catch_unwind(AssertUnwindSafe(|| one.accepts(&verifier, &mutant.text)));
            let Ok(result) = result else { panic!("crashed: {}, {}", one.name, mutant.kind) };
            if result {
                let place = accepted.entry(mutant.kind).or_default();
                place.0 += 1;
                place.1.clone_from(&one.name);
            }
        }
    }
    (count, accepted)
}

#[test]
fn try_it() {
    let good = made();
    let start = std::time::Instant::now();
    let (count, accepted_) = accepted(&good);
    println!("{} bundles, {count} mutants, {:?}", good.len(), start.elapsed());
    for (k, v) in accepted_ {
        println!("{} {k} ({})", v.0, v.1);
    }
    let good = recorded();
    let start = std::time::Instant::now();
    let (count, accepted_) = accepted(&good);
    println!("{} bundles, {count} mutants, {:?}", good.len(), start.elapsed());
    for (k, v) in accepted_ {
        println!("{} {k} ({})", v.0, v.1);
    }
}
