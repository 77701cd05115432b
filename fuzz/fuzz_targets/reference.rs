//! Any text: a reference reads back as it is written, an error has its place in the text.
#![no_main]

use dsops_resolver::Reference;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    for text in [text.to_owned(), format!("store://{text}"), format!("store://s/{text}")] {
        match text.parse::<Reference>() {
            Ok(reference) => assert_eq!(reference.to_string().parse(), Ok(reference)),
            Err(error) => assert!(error.column - 1 + error.width <= text.chars().count()),
        }
    }
});
