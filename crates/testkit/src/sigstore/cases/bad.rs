//! What must be refused, whatever the time.

use serde_json::{Value, json};

use super::super::certificate::Extension;
use super::super::content::Kind;
use super::super::identity::{Identity, claim_oid};
use super::super::key::{Algorithm, Key};
use super::super::note::Note;
use super::super::signing::{Signed, Version};
use super::super::world::World;
use super::super::{base64, der};
use super::{ARTIFACT, Case, Collected, IDENTITY, ISSUER, statement};

pub(super) fn cases() -> Vec<Case> {
    let (world, other) = (World::new("bad"), World::new("other"));
    let mut all = Collected::new(&world, false);
    signatures(&world, &other, &mut all);
    certificates(&world, &other, &mut all);
    entries(&world, &other, &mut all);
    attestations(&world, &mut all);
    shapes(&world, &mut all);
    roots(&world, &mut all);
    all.cases
}

fn signatures(world: &World, other: &World, all: &mut Collected<'_>) {
    all.add_with("another file", &world.sign(ARTIFACT).bundle(), |mut case| {
        case.artifact = b"another file".to_vec();
        case
    });
    all.signed("signed by another key", |signing| {
        signing.signed_by = Some(Key::new(Algorithm::P256, "another"));
    });
    all.add("of another instance", &other.sign(ARTIFACT).bundle());
    let key = Key::new(Algorithm::P256, "managed");
    all.add_with(
        "managed key, another is wanted",
        &world.sign(ARTIFACT).managed(&key).bundle(),
        |case| case.key(&Key::new(Algorithm::P256, "another")),
    );
    let mut forged = world.sign(ARTIFACT).managed(&key);
    forged.signed_by = Some(Key::new(Algorithm::P256, "another"));
    all.add_with("managed key, signed by another", &forged.bundle(), |case| case.key(&key));
    all.add_with(
        "managed key in the bundle, identity wanted",
        &world.sign(ARTIFACT).managed(&key).bundle(),
        |case| case,
    );
}

fn certificates(world: &World, other: &World, all: &mut Collected<'_>) {
    for (name, identity, issuer) in [
        ("identity in capitals", IDENTITY.to_uppercase(), ISSUER.to_owned()),
        ("identity is a prefix", IDENTITY[..IDENTITY.len() - 1].into(), ISSUER.into()),
        ("identity with a newline", format!("{IDENTITY}\n"), ISSUER.into()),
        ("identity as a pattern", ".*".into(), ISSUER.into()),
        ("issuer with a slash", IDENTITY.into(), format!("{ISSUER}/")),
    ] {
        let bundle = world.sign(ARTIFACT).bundle();
        all.add_with(name, &bundle, |case| case.wanted(&identity, &issuer));
    }
    all.signed("certificate without certificate timestamp", |signing| signing.leaf.scts.clear());
    all.signed("certificate timestamp of an unknown log", |signing| {
        signing.leaf.scts = vec![other.ct_logs[0].sct(world.now)];
    });
    all.signed("certificate timestamp over another certificate", |signing| {
        signing.leaf.scts[0].of_other_certificate = true;
    });
    all.signed("certificate timestamp by another key", |signing| {
        signing.leaf.scts[0].key = Key::new(Algorithm::P256, "another");
    });
    all.signed("certificate is not for signing code", |signing| {
        signing.leaf.usages = vec!["1.3.6.1.5.5.7.3.1"];
    });
    all.signed("certificate without a name", |signing| signing.leaf.identity.names.clear());
    all.signed("certificate without an issuer", |signing| {
        signing.leaf.identity = World::identity().without_claim(1).without_claim(8);
    });
    let second = Extension::new(&claim_oid(8), der::utf8("https://other.example.com"));
    all.signed("certificate with two issuers", |signing| {
        signing.leaf.identity = World::identity().extension(second);
    });
    // In version 0.1 the first clients of npm did it, and it has to be read.
    let mut chain = world.sign(ARTIFACT).version(Version::V02).make();
    chain.certificates.extend([world.fulcio.intermediate.clone(), world.fulcio.root.clone()]);
    all.add("chain with the root in it", &chain.bundle());
    let mut chain = world.sign(ARTIFACT).version(Version::V02).bundle();
    chain["verificationMaterial"] = json!({
        "x509CertificateChain": { "certificates": [] },
        "tlogEntries": chain["verificationMaterial"]["tlogEntries"],
    });
    all.add("chain without certificates", &chain);
    // Signed by the leaf of someone who has one: not an authority.
    let mut issued = world.sign(ARTIFACT);
    let mut forged = World::new("forged");
    forged.fulcio.intermediate = world.fulcio.issue(&issued.leaf);
    forged.fulcio.intermediate_key = issued.leaf.key.clone();
    issued.leaf.identity = Identity::email("victim@example.com", "https://accounts.example.com");
    issued.certificate = Some(forged.fulcio.issue(&issued.leaf));
    let mut signed = issued.version(Version::V02).make();
    signed.certificates.push(forged.fulcio.intermediate.clone());
    all.add_with("certificate issued by a leaf", &signed.bundle(), |case| {
        case.wanted("victim@example.com", "https://accounts.example.com")
    });
}

fn entries(world: &World, other: &World, all: &mut Collected<'_>) {
    let signed = || world.sign(ARTIFACT).make();
    let mut changed = |name, change: &dyn Fn(&mut Signed)| {
        let mut signed = signed();
        change(&mut signed);
        all.add(name, &signed.bundle());
    };
    changed("entry of another file of the signer", &|signed| {
        signed.entries = beside(world, signed, b"another file").entries;
    });
    changed("entry of another signature of the signer", &|signed| {
        signed.entries = beside(world, signed, ARTIFACT).entries;
    });
    changed("entry of another signer", &|signed| {
        signed.entries = world.sign(ARTIFACT).make().entries;
    });
    changed("entry of another instance", &|signed| {
        signed.entries = other.sign(ARTIFACT).make().entries;
    });
    changed("no entry", &|signed| signed.entries.clear());
    changed("the same entry twice", &|signed| {
        let entry = signed.entries[0].clone();
        signed.entries.push(entry);
    });
    changed("proof missing in version 0.3", &|signed| signed.entries[0].proof = None);
    changed("proof in another tree", &|signed| {
        signed.entries[0].proof = other.sign(ARTIFACT).make().entries.remove(0).proof;
    });
    changed("proof of another entry", &|signed| {
        signed.entries[0].proof = world.sign(ARTIFACT).make().entries.remove(0).proof;
    });
    changed("proof with a hash more", &|signed| {
        proof(signed).hashes.push([0; 32]);
    });
    changed("promise of another entry", &|signed| {
        signed.entries[0].promise = world.sign(ARTIFACT).make().entries.remove(0).promise;
    });
    changed("promise by another key", &|signed| {
        signed.entries[0].promise = Some(other.rekor.promise(&signed.entries[0]));
    });
    changed("time changed after the promise", &|signed| {
        signed.entries[0].time = Some(world.now);
    });
    changed("index changed after the promise", &|signed| signed.entries[0].index += 1);
    changed("checkpoint by another key", &|signed| {
        let proof = proof(signed);
        let note = Note::checkpoint(&world.rekor.origin, proof.size, &proof.root);
        proof.checkpoint =
            note.signed(&world.rekor.name, &Key::new(Algorithm::P256, "another")).to_string();
    });
    changed("checkpoint of a larger tree", &|signed| {
        beside(world, signed, b"another file");
        proof(signed).checkpoint = world.rekor.checkpoint().to_string();
    });
    changed("kind in the bundle differs from the body", &|signed| {
        signed.entries[0].kind = Kind::DsseV001;
    });
    changed("Rekor v1 body, called Rekor v2", &|signed| {
        signed.entries[0].kind = Kind::HashedRekordV002;
    });
    let mut moved = world.sign(ARTIFACT).rekor2().make();
    moved.entries[0].log_id[31] ^= 1;
    all.add("Rekor v2, log id of nobody", &moved.bundle());
    let mut renamed = world.sign(ARTIFACT).rekor2().make();
    renamed.entries[0].log_id = world.rekor.id();
    all.add("Rekor v2, log id of the Rekor v1 log", &renamed.bundle());
    let mut unproven = world.sign(ARTIFACT).rekor2().make();
    unproven.entries[0].proof = None;
    all.add("Rekor v2, no proof", &unproven.bundle());
}

fn attestations(world: &World, all: &mut Collected<'_>) {
    let attest = |artifact: &[u8]| world.attest(&statement(artifact));
    all.add("attestation about another file", &attest(b"another file").bundle());
    let mut bundle = attest(ARTIFACT).bundle();
    bundle["dsseEnvelope"]["payload"] =
        base64(statement(b"another file").to_string().as_bytes()).into();
    all.add("attestation with another payload", &bundle);
    let mut bundle = attest(ARTIFACT).bundle();
    bundle["dsseEnvelope"]["payloadType"] = "text/plain".into();
    all.add("attestation with another payload type", &bundle);
    let mut bundle = attest(ARTIFACT).bundle();
    let signatures = &mut bundle["dsseEnvelope"]["signatures"];
    let twice = signatures[0].clone();
    signatures.as_array_mut().expect("made as one").push(twice);
    all.add("attestation with two signatures", &bundle);
    let mut bundle = attest(ARTIFACT).bundle();
    bundle["dsseEnvelope"]["signatures"] = json!([]);
    all.add("attestation without signatures", &bundle);
    for (name, kind) in [
        ("attestation, entry of another one, dsse 0.0.1", Kind::DsseV001),
        ("attestation, entry of another one, intoto 0.0.2", Kind::IntotoV002),
        ("attestation, entry of another one, intoto 0.0.1", Kind::IntotoV001),
    ] {
        let mut signed = attest(ARTIFACT).unlogged().logged(kind).make();
        let mut beside = attest(b"another file").unlogged().logged(kind);
        beside.certificate = Some(signed.certificates[0].clone());
        signed.entries = beside.make().entries;
        all.add(name, &signed.bundle());
    }
}

fn shapes(world: &World, all: &mut Collected<'_>) {
    let good = || world.sign(ARTIFACT).bundle();
    let mut changed = |name, change: &dyn Fn(&mut Value)| {
        let mut bundle = good();
        change(&mut bundle);
        all.add(name, &bundle);
    };
    changed("no media type", &|bundle| {
        bundle.as_object_mut().expect("made as one").remove("mediaType");
    });
    changed("media type of a version to come", &|bundle| {
        bundle["mediaType"] = "application/vnd.dev.sigstore.bundle.v0.4+json".into();
    });
    changed("media type with more after it", &|bundle| {
        bundle["mediaType"] = format!("{} ", Version::V03.media_type()).into();
    });
    changed("message and envelope at once", &|bundle| {
        bundle["dsseEnvelope"] = world.attest(&statement(ARTIFACT)).bundle()["dsseEnvelope"].take();
    });
    let mut both = world.attest(&statement(ARTIFACT)).bundle();
    both["messageSignature"] = good()["messageSignature"].take();
    all.add("envelope and message at once", &both);
    let mut changed = |name, change: &dyn Fn(&mut Value)| {
        let mut bundle = good();
        change(&mut bundle);
        all.add(name, &bundle);
    };
    changed("neither message nor envelope", &|bundle| {
        bundle.as_object_mut().expect("made as one").remove("messageSignature");
    });
    changed("certificate and key at once", &|bundle| {
        bundle["verificationMaterial"]["publicKey"] = json!({ "hint": "x" });
    });
    changed("digest of another file in the bundle", &|bundle| {
        bundle["messageSignature"]["messageDigest"]["digest"] = base64(&[0; 32]).into();
    });
    changed("negative index", &|bundle| {
        bundle["verificationMaterial"]["tlogEntries"][0]["logIndex"] = "-1".into();
    });
    let doubled = good().to_string().replacen('{', "{\"mediaType\":\"text/plain\",", 1);
    all.add_with("the same key twice", &Value::Null, |case| Case { bundle: doubled, ..case });
    let cut = good().to_string();
    let cut = cut[..cut.len() - 1].to_owned();
    all.add_with("cut short", &Value::Null, |case| Case { bundle: cut, ..case });
}

fn roots(world: &World, all: &mut Collected<'_>) {
    let mut changed = |name, change: fn(&mut Value)| {
        let bundle = world.sign(ARTIFACT).bundle();
        all.add_with(name, &bundle, |case| case.root(change));
    };
    changed("root of an unknown media type", |root| root["mediaType"] = "text/plain".into());
    changed("root with the wrong details of the log's key", |root| {
        root["tlogs"][0]["publicKey"]["keyDetails"] = "PKIX_ED25519".into();
    });
    changed("root without the log", |root| {
        root["tlogs"].as_array_mut().expect("made as one").remove(0);
    });
}

fn proof(signed: &mut Signed) -> &mut super::super::rekor::Proof {
    signed.entries[0].proof.as_mut().expect("a new entry is proven")
}

/// The same signer's signature of something else.
fn beside(world: &World, signed: &Signed, artifact: &[u8]) -> Signed {
    let mut signing = world.sign(artifact);
    signing.certificate = Some(signed.certificates[0].clone());
    signing.make()
}
