//! What must be accepted.

use std::time::Duration;

use super::super::content::Kind;
use super::super::identity::Identity;
use super::super::key::{Algorithm, Key};
use super::super::rekor::Rekor;
use super::super::signing::Version;
use super::super::world::World;
use super::{ARTIFACT, Case, Collected, statement};

pub(super) fn cases() -> Vec<Case> {
    let world = World::new("good");
    let mut all = Collected::new(&world, true);
    let message = |version| world.sign(ARTIFACT).version(version).bundle();
    all.add("message, version 0.1", &message(Version::V01));
    all.add("message, version 0.2", &message(Version::V02));
    all.add("message, version 0.3 as first written", &message(Version::V03Old));
    all.add("message, version 0.3", &message(Version::V03));
    let promise_only = |version| {
        let mut signed = world.sign(ARTIFACT).version(version).make();
        signed.entries[0].proof = None;
        signed.bundle()
    };
    all.add("version 0.1 with a promise and no proof", &promise_only(Version::V01));
    all.signed("promise and timestamp", |signing| {
        signing.stamps.push(world.tsas[0].stamp(world.now));
    });
    all.rekor2("Rekor v2", |_| ());
    all.rekor2("Rekor v2, two authorities stamp", |signing| {
        signing.stamps.push(world.tsas[1].stamp(world.now));
    });
    all.rekor2("Rekor v2, stamp by P-384", |signing| {
        signing.stamps = vec![world.tsas[1].stamp(world.now)];
    });
    all.rekor2("Rekor v2, stamp with its certificate inside", |signing| {
        signing.stamps[0].embed = vec![world.tsas[0].certificate.clone()];
    });
    all.rekor2("Rekor v2, stamp with fractions of a second", |signing| {
        signing.stamps[0].time += Duration::from_millis(250);
        signing.stamps[0].fractional = true;
    });
    all.rekor2("Rekor v2, stamp in the certificate's first second", |signing| {
        signing.stamps[0].time = world.now;
    });
    all.rekor2("Rekor v2, stamp in the certificate's last second", |signing| {
        signing.stamps[0].time = world.now + signing.leaf.lifetime;
    });
    cosigned(&world, &mut all);
    all.signed("certificate timestamps of two logs", |signing| {
        signing.leaf.scts.push(world.ct_logs[1].sct(world.now));
    });
    all.signed("certificate timestamp with extensions", |signing| {
        signing.leaf.scts[0].extensions = vec![1, 2, 3];
    });
    let email = Identity::email("a@example.com", "https://accounts.example.com");
    all.add_with("mail address", &world.sign(ARTIFACT).identity(email).bundle(), |case| {
        case.wanted("a@example.com", "https://accounts.example.com")
    });
    let username = Identity::username("octo!example.com", "https://accounts.example.com");
    all.add_with(
        "user name in otherName",
        &world.sign(ARTIFACT).identity(username).bundle(),
        |case| case.wanted("octo!example.com", "https://accounts.example.com"),
    );
    let attest = |kind| world.attest(&statement(ARTIFACT)).unlogged().logged(kind);
    all.add("attestation, dsse 0.0.1", &attest(Kind::DsseV001).bundle());
    all.add("attestation, intoto 0.0.2", &attest(Kind::IntotoV002).bundle());
    all.add("attestation, intoto 0.0.1", &attest(Kind::IntotoV001).bundle());
    all.add("attestation, Rekor v2", &world.attest(&statement(ARTIFACT)).rekor2().bundle());
    managed(&world, &mut all);

    let private = World::private("private");
    let mut alone = Collected::new(&private, true);
    alone.signed("private instance, message", |_| ());
    alone.add("private instance, attestation", &private.attest(&statement(ARTIFACT)).bundle());
    all.cases.extend(alone.cases);

    let mut p384 = World::new("p384");
    p384.rekor = Rekor::v1("p384", Algorithm::P384, p384.now - Duration::from_hours(24));
    let mut other = Collected::new(&p384, true);
    other.signed("Rekor v1 with a P-384 key", |_| ());
    all.cases.extend(other.cases);
    all.cases
}

/// Witnesses nobody asked about sign the checkpoint too.
fn cosigned(world: &World, all: &mut Collected<'_>) {
    let witness = Key::new(Algorithm::Ed25519, "witness");
    let mut signed = world.sign(ARTIFACT).rekor2().make();
    let checkpoint = world.rekor2.checkpoint().cosigned("witness.test", &witness, world.now);
    signed.entries[0].proof.as_mut().expect("a new entry is proven").checkpoint =
        checkpoint.to_string();
    all.add("Rekor v2, cosigned checkpoint", &signed.bundle());
}

fn managed(world: &World, all: &mut Collected<'_>) {
    let names = [
        ("managed key, P-256", Algorithm::P256),
        ("managed key, RSA", Algorithm::Rsa2048),
        ("managed key, Ed25519", Algorithm::Ed25519),
    ];
    for (name, algorithm) in names {
        let key = Key::new(algorithm, "managed");
        let bundle = world.sign(ARTIFACT).managed(&key).bundle();
        all.add_with(name, &bundle, |case| case.key(&key));
    }
    let key = Key::new(Algorithm::P256, "managed");
    let bundle = world.sign(ARTIFACT).managed(&key).rekor2().bundle();
    all.add_with("managed key, Rekor v2", &bundle, |case| case.key(&key));
    let bundle = world.attest(&statement(ARTIFACT)).managed(&key).bundle();
    all.add_with("managed key, attestation", &bundle, |case| case.key(&key));
}
