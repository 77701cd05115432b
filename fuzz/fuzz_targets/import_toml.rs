//! Any bytes as the TOML files of other tools: read, or an error with a line of the file.
#![no_main]

use dsops_formats::{ImportError, ImportFormat, import};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let lines = 1 + bytes.iter().filter(|byte| **byte == b'\n').count();
    for format in [ImportFormat::Fnox, ImportFormat::SecretSpec] {
        match import(format, bytes) {
            Ok(imported) => {
                imported.values.iter().for_each(|value| assert!((1..=lines).contains(&value.line)));
                imported.references.iter().for_each(|one| assert!((1..=lines).contains(&one.line)));
                imported.notes.iter().for_each(|note| assert!((1..=lines).contains(&note.line)));
            }
            Err(ImportError::Syntax { line, .. }) => assert!((1..=lines).contains(&line)),
            Err(_) => {}
        }
    }
});
