//! What must be refused because of a time, or of who said it.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::certificate::{Name, Template, extended_usage};
use super::super::key::{Algorithm, Key};
use super::super::timestamp;
use super::super::tsa::{TIME_STAMPING, Tsa};
use super::super::world::World;
use super::{ARTIFACT, Case, Collected};

const DAY: Duration = Duration::from_hours(24);

pub(super) fn cases() -> Vec<Case> {
    let (world, other) = (World::new("times"), World::new("other"));
    let mut all = Collected::new(&world, false);
    certificate_windows(&world, &mut all);
    log_windows(&world, &mut all);
    stamps(&world, &other, &mut all);
    signers(&world, &mut all);
    all.cases
}

fn certificate_windows(world: &World, all: &mut Collected<'_>) {
    all.signed("logged after the certificate ended", |signing| {
        signing.logs[0].2 = world.now + signing.leaf.lifetime + Duration::from_secs(1);
    });
    all.signed("logged before the certificate began", |signing| {
        signing.logs[0].2 = world.now - Duration::from_secs(1);
    });
    all.signed("logged in the future", |signing| {
        // Long after any clock, with a certificate that lives that long.
        signing.leaf.lifetime = DAY * 365 * 20;
        signing.logs[0].2 = world.now + DAY * 365 * 20 - DAY;
    });
    all.rekor2("stamped after the certificate ended", |signing| {
        signing.stamps[0].time = world.now + signing.leaf.lifetime + Duration::from_secs(1);
    });
    all.rekor2("stamped before the certificate began", |signing| {
        signing.stamps[0].time = world.now - Duration::from_secs(1);
    });
    all.rekor2("one of two stamps after the certificate ended", |signing| {
        signing.stamps.push(world.tsas[1].stamp(world.now + DAY));
    });
    let mut unsigned = world.sign(ARTIFACT).make();
    unsigned.entries[0].promise = None;
    all.add("time of the log without a promise", &unsigned.bundle());
}

fn log_windows(world: &World, all: &mut Collected<'_>) {
    let mut window = |name, is_rekor2: bool, path: &str, edge: &str, offset: i32| {
        let signing = world.sign(ARTIFACT);
        let bundle = if is_rekor2 { signing.rekor2() } else { signing }.bundle();
        let distance = DAY * offset.unsigned_abs();
        let time = if offset < 0 { world.now - distance } else { world.now + distance };
        all.add_with(name, &bundle, |case| {
            case.root(|root| window_of(root, path)[edge] = timestamp(time).into())
        });
    };
    let log = "/tlogs/0/publicKey/validFor";
    window("log retired before it took the entry in", false, log, "end", -1);
    window("log started after it took the entry in", false, log, "start", 1);
    let log = "/tlogs/1/publicKey/validFor";
    window("Rekor v2 log retired before the stamp", true, log, "end", -1);
    window("Rekor v2 log started after the stamp", true, log, "start", 1);
    let log = "/ctlogs/0/publicKey/validFor";
    window("certificate log retired before its timestamp", false, log, "end", -1);
    window("certificate log started after its timestamp", false, log, "start", 1);
    let authority = "/certificateAuthorities/0/validFor";
    window("authority retired before the signature", false, authority, "end", -1);
    window("authority started after the signature", false, authority, "start", 1);
    let clock = "/timestampAuthorities/0/validFor";
    window("timestamp authority retired before the stamp", true, clock, "end", -1);
    window("timestamp authority started after the stamp", true, clock, "start", 1);
}

fn stamps(world: &World, other: &World, all: &mut Collected<'_>) {
    all.rekor2("Rekor v2 without a stamp", |signing| signing.stamps.clear());
    all.rekor2("stamp over something else", |signing| {
        signing.stamps[0].of = Some(b"something else".to_vec());
    });
    all.rekor2("stamp of an unknown authority", |signing| {
        signing.stamps = vec![other.tsas[0].stamp(world.now)];
    });
    all.rekor2("stamp of an unknown authority with its certificates", |signing| {
        let tsa = &other.tsas[0];
        signing.stamps = vec![tsa.stamp(world.now)];
        signing.stamps[0].embed = vec![tsa.certificate.clone(), tsa.root.clone()];
    });
    all.rekor2("stamp was not granted", |signing| signing.stamps[0].status = 2);
    all.rekor2("stamp names another certificate as its signer's", |signing| {
        signing.stamps[0].hash_certificate = Some(other.tsas[0].certificate.clone());
    });
    let mut twice = world.sign(ARTIFACT).rekor2().make();
    twice.timestamps.push(twice.timestamps[0].clone());
    all.add("the same stamp twice", &twice.bundle());
    let mut garbage = world.sign(ARTIFACT).rekor2().make();
    garbage.timestamps[0].truncate(100);
    all.add("stamp cut short", &garbage.bundle());
    let mut trailing = world.sign(ARTIFACT).rekor2().make();
    trailing.timestamps[0].push(0);
    all.add("stamp with more after it", &trailing.bundle());
}

/// Stamps by certificates of the right authority that are not the authority's stamping certificate.
fn signers(world: &World, all: &mut Collected<'_>) {
    let tsa = &world.tsas[0];
    // A certificate of the same root, but for another use; the true one lies before it in the bag.
    let key = Key::new(Algorithm::P256, "not a clock");
    let name = Name { common: "tsa", ..tsa.root.subject };
    let certificate = Template::new(name, &key, world.now - DAY, world.now + DAY * 365)
        .leaf(extended_usage(false, &["1.3.6.1.5.5.7.3.3"]), &tsa.root_key)
        .sign(tsa.root.subject, &tsa.root_key);
    let mut impostor = tsa.clone();
    impostor.key = key;
    impostor.certificate = certificate.clone();
    all.rekor2("stamp by another certificate of the root, the true one first", |signing| {
        signing.stamps = vec![impostor.stamp(world.now)];
        signing.stamps[0].embed = vec![tsa.certificate.clone(), certificate.clone()];
    });
    all.rekor2("stamp by another certificate, said to be by the true one", |signing| {
        signing.stamps = vec![impostor.stamp(world.now)];
        signing.stamps[0].embed = vec![certificate.clone(), tsa.certificate.clone()];
        signing.stamps[0].signer_named = Some(tsa.certificate.clone());
    });
    let bundle = |tsa: &Tsa| {
        let mut signing = world.sign(ARTIFACT).rekor2();
        signing.stamps = vec![tsa.stamp(world.now)];
        signing.bundle()
    };
    let trusting = |tsa: &Tsa| {
        let trusted = tsa.trusted();
        move |case: Case| case.root(|root| root["timestampAuthorities"] = json!([trusted]))
    };
    let usage = tsa.clone().reissued("1.3.6.1.5.5.7.3.3", world.now - DAY, world.now + DAY);
    all.add_with(
        "authority's certificate is not for stamping times",
        &bundle(&usage),
        trusting(&usage),
    );
    let ended = tsa.clone().reissued(TIME_STAMPING, world.now - DAY * 9, world.now - DAY);
    all.add_with(
        "authority's certificate ended before the stamp",
        &bundle(&ended),
        trusting(&ended),
    );
}

fn window_of<'r>(root: &'r mut Value, path: &str) -> &'r mut Value {
    root.pointer_mut(path).expect("every service has a window")
}
