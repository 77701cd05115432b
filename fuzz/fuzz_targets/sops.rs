//! Feeds arbitrary text to SOPS documents: as a whole document, as lines added to a true one, and
//! as key and value of an edit, which must read back.
#![no_main]

use std::time::SystemTime;

use dsops_secure_mem::SecretBytes;
use dsops_stores::{age::Identity, sops::Document};
use libfuzzer_sys::fuzz_target;

const IDENTITY: &[u8] = b"AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX";
const DOCUMENT: &str = include_str!("../../crates/stores/tests/data/newer.sops.yaml");

fuzz_target!(|text: &str| {
    let identities = [Identity::parse(IDENTITY).expect("the example of the specification")];
    if let Ok(document) = Document::parse("whole.yaml", text) {
        let _ = document.open(&identities);
    }
    if let Ok(document) = Document::parse("added.yaml", format!("{text}\n{DOCUMENT}"))
        && let Ok(mut open) = document.open(&identities)
    {
        let _ = open.unset("group/inner", SystemTime::UNIX_EPOCH);
    }
    let Some((key, value)) = text.split_once('\n') else { return };
    let document = Document::parse("edited.yaml", DOCUMENT).expect("a true document");
    let mut open = document.open(&identities).expect("for this identity");
    let secret = SecretBytes::copy_from(value.as_bytes()).expect("protected memory");
    if open.set(key, &secret, SystemTime::UNIX_EPOCH).is_ok() {
        let got = open.get(key).expect("it was set");
        assert_eq!(&*got.expose(), value.as_bytes());
        open.unset(key, SystemTime::UNIX_EPOCH).expect("it is there");
        // In a list the next item moves up.
        assert!(key.contains('/') || open.get(key).is_err());
    }
});
