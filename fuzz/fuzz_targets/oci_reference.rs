//! Any text as the name of an image: what is read is written so that it reads the same, and is safe in a URL.
#![no_main]

use dsops_release_verify::oci::Reference;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(reference) = text.parse::<Reference>() else { return };
    assert_eq!(reference.to_string().parse::<Reference>().expect("it was written by us"), reference);
    let safe = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-/".contains(&byte);
    assert!(reference.repository().bytes().all(safe) && !reference.repository().contains(".."));
});
