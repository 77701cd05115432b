//! Feeds arbitrary text to SOPS documents in every format: as a whole document, as lines added to
//! a true one, as key and value of an edit, which must read back, and as an edited plaintext. The
//! first byte says in which format and as which of them: to open a document takes long.
#![no_main]

use std::time::SystemTime;

use dsops_secure_mem::SecretBytes;
use dsops_stores::{
    age::Identity,
    sops::{CreationRule, Document, Error, OpenDocument},
};
use libfuzzer_sys::fuzz_target;

const IDENTITY: &[u8] =
    b"AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX";
/// A true document in each format, and a key of it.
const DOCUMENTS: [(&str, &str, &str); 4] = [
    ("f.yaml", include_str!("../../crates/stores/tests/data/newer.sops.yaml"), "group/inner"),
    ("f.json", include_str!("../../crates/stores/tests/data/newer.sops.json"), "group/inner"),
    ("f.env", include_str!("../../crates/stores/tests/data/newer.sops.env"), "FIRST"),
    ("f.ini", include_str!("../../crates/stores/tests/data/newer.sops.ini"), "group/inner"),
];
const NOW: SystemTime = SystemTime::UNIX_EPOCH;

fuzz_target!(|input: (u8, &str)| {
    let (choice, text) = input;
    let identities = [Identity::parse(IDENTITY).expect("the example of the specification")];
    let _ = CreationRule::of(".sops.yaml", text, "a/b.yaml");
    let choice = usize::from(choice);
    let (file, document, key) = DOCUMENTS[choice % DOCUMENTS.len()];
    let open = || {
        let document = Document::parse(file, document).expect("a true document");
        document.open(&identities).expect("for this identity")
    };
    match choice / DOCUMENTS.len() % 5 {
        0 => {
            if let Ok(document) = Document::parse(file, text) {
                let _ = document.entries();
                let _ = document.comments();
                let _ = document.open(&identities);
            }
        }
        1 => try_all(Document::parse(file, format!("{text}\n{document}")), key, &identities),
        2 => try_all(Document::parse(file, format!("{document}\n{text}")), key, &identities),
        3 => edit_as_a_whole(open(), open(), text),
        _ => edit_one(open(), text),
    }
});

/// Opens and edits what was read.
fn try_all(document: Result<Document, Error>, key: &str, identities: &[Identity]) {
    if let Ok(document) = document
        && let Ok(mut open) = document.open(identities)
    {
        let _ = open.plaintext();
        let _ = open.unset(key, NOW);
    }
}

/// A value that was set is read back and can be removed.
fn edit_one(mut open: OpenDocument, text: &str) {
    let Some((key, value)) = text.split_once('\n') else { return };
    let secret = SecretBytes::copy_from(value.as_bytes()).expect("protected memory");
    if open.set(key, &secret, NOW).is_ok() {
        let got = open.get(key).expect("it was set");
        assert_eq!(&*got.expose(), value.as_bytes());
        open.unset(key, NOW).expect("it is there");
        // In a list the next item moves up.
        assert!(key.contains('/') || open.get(key).is_err());
    }
}

/// What is taken as a plaintext is given back with the same values.
fn edit_as_a_whole(mut one: OpenDocument, mut two: OpenDocument, text: &str) {
    let plain = SecretBytes::copy_from(text.as_bytes()).expect("protected memory");
    if one.apply_plaintext(&plain, NOW).is_err() {
        return;
    }
    let Ok(plain) = one.plaintext() else { return };
    two.apply_plaintext(&plain, NOW).expect("a plaintext of this format");
    let values = |open: &OpenDocument| -> Vec<(String, Vec<u8>)> {
        let keys = open.keys().expect("it is open").into_iter();
        keys.map(|key| {
            let value = open.get(&key).expect("it is there").expose().to_vec();
            (key, value)
        })
        .collect()
    };
    assert_eq!(values(&one), values(&two));
    let again = two.plaintext().expect("as the first time");
    assert_eq!(&*plain.expose(), &*again.expose());
}
