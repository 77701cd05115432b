//! How long identities take: from a key file to a data key, by kind.
//!
//! Run with `cargo bench -p dsops-stores --bench age`. Prints medians; decides nothing.

#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::{
    fs,
    hint::black_box,
    path::Path,
    time::{Duration, Instant},
};

use dsops_secure_mem::SecretBytes;
use dsops_stores::age::{self, Identity, IdentityFile, Recipient, WorkFactor};

fn main() {
    println!("{:<44} {:>12}", "", "median");
    let own = Identity::generate().unwrap();
    let text = own.to_text().unwrap();
    let recipient = own.recipient().to_string();
    let file = age::encrypt_armored(&[7; 32], &[own.recipient().clone()]).unwrap();
    let parsed = || [Identity::parse(&text.expose()).unwrap()];
    report("X25519: parse, unwrap", || {
        black_box(age::decrypt_armored(file.as_bytes(), &parsed()).unwrap());
    });
    report("X25519: parse, unwrap, recipient claimed", || {
        black_box(age::decrypt_armored_for(file.as_bytes(), &recipient, &parsed()).unwrap());
    });
    for name in ["ed25519", "rsa2048", "rsa4096_pkcs1"] {
        let key = ssh(&format!("{name}.key"));
        let to: Recipient =
            String::from_utf8(ssh(&format!("{name}.pub"))).unwrap().parse().unwrap();
        let file = age::encrypt_armored(&[7; 32], &[to]).unwrap();
        report(&format!("ssh {name}: parse, unwrap"), || {
            let identities = IdentityFile::parse(&key).unwrap().identities;
            black_box(age::decrypt_armored(file.as_bytes(), &identities).unwrap());
        });
    }
    let passphrase = SecretBytes::copy_from(b"hunter2").unwrap();
    let locked = IdentityFile::parse(&ssh("ed25519_passphrase.key")).unwrap();
    report("passphrase of an SSH key (bcrypt)", || {
        black_box(locked.locked[0].unlock(&passphrase).unwrap());
    });
    for work in [10, 14, 18] {
        let work_factor = WorkFactor::new(work).unwrap();
        let text = own.to_protected_text(&passphrase, work_factor).unwrap();
        let locked = IdentityFile::parse(text.as_bytes()).unwrap();
        report(&format!("passphrase of an identity (scrypt, {work})"), || {
            black_box(locked.locked[0].unlock(&passphrase).unwrap());
        });
    }
}

fn ssh(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/ssh").join(name)).unwrap()
}

fn report(what: &str, mut run: impl FnMut()) {
    let budget = Instant::now();
    let mut times: Vec<Duration> = Vec::new();
    while times.len() < 3 || (budget.elapsed() < Duration::from_millis(400) && times.len() < 2000) {
        let start = Instant::now();
        run();
        times.push(start.elapsed());
    }
    times.sort_unstable();
    println!("{what:<44} {:>9.1} us", times[times.len() / 2].as_secs_f64() * 1e6);
}
