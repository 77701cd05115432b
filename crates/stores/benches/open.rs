//! How long it takes to open and verify a SOPS file and fetch all its values.
//!
//! Run with `cargo bench -p dsops-stores --bench open`. Prints medians; decides nothing.

#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::{
    hint::black_box,
    time::{Duration, Instant, SystemTime},
};

use dsops_secure_mem::SecretBytes;
use dsops_stores::{
    age::{self, Identity},
    sops::{Document, OpenDocument},
};

fn main() {
    let identities = [Identity::generate().unwrap()];
    println!("{:<34} {:>10}", "", "median");
    let data_key = [7u8; 32];
    let wrapped = age::encrypt_armored(&data_key, &[identities[0].recipient().clone()]).unwrap();
    report("unwrap a data key (age)", || {
        black_box(age::decrypt_armored(wrapped.as_bytes(), &identities).unwrap());
    });
    let text = identities[0].to_text().unwrap();
    report("parse an identity", || drop(black_box(Identity::parse(&text.expose()).unwrap())));
    for values in [1, 10, 100, 300] {
        let text = document(values, &identities[0]);
        let parsed = Document::parse("bench.yaml", text.clone()).unwrap();
        let keys = parsed.keys().unwrap();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        report(&format!("{values} values: parse"), || {
            black_box(Document::parse("bench.yaml", text.clone()).unwrap());
        });
        report(&format!("{values} values: unwrap, verify, fetch"), || {
            black_box(parsed.fetch(&keys, &identities).unwrap());
        });
        report(&format!("{values} values: all, from the text"), || {
            let document = Document::parse("bench.yaml", text.clone()).unwrap();
            black_box(document.fetch(&keys, &identities).unwrap());
        });
        report(&format!("{values} values: all, one fetched"), || {
            let document = Document::parse("bench.yaml", text.clone()).unwrap();
            black_box(document.fetch(&keys[..1], &identities).unwrap());
        });
    }
}

fn document(values: usize, identity: &Identity) -> String {
    let now = SystemTime::now();
    let recipients = [identity.recipient().clone()];
    let mut document = OpenDocument::create("bench.yaml", &recipients, now).unwrap();
    for number in 0..values {
        let value = SecretBytes::copy_from(format!("a secret value, number {number}").as_bytes());
        document.set(&format!("SECRET_{number}"), &value.unwrap(), now).unwrap();
    }
    document.text().to_owned()
}

fn report(what: &str, mut run: impl FnMut()) {
    let budget = Instant::now();
    let mut times: Vec<Duration> = Vec::new();
    while times.len() < 20 || (budget.elapsed() < Duration::from_millis(400) && times.len() < 2000)
    {
        let start = Instant::now();
        run();
        times.push(start.elapsed());
    }
    times.sort_unstable();
    println!("{what:<34} {:>8.1} us", times[times.len() / 2].as_secs_f64() * 1e6);
}
