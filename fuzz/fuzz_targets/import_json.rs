//! Any bytes as a JSON file of secrets; what is read, written as JSON, reads back as the same.
#![no_main]

use dsops_formats::{Format, ImportFormat, Options, import, render};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(imported) = import(ImportFormat::Json, bytes) else { return };
    let variables: Vec<_> =
        imported.values.iter().map(|value| (value.name.as_str(), &value.value)).collect();
    // An empty name cannot be written again.
    let Ok(file) = render(Format::Json, &variables, &Options::default()) else { return };
    let again = import(ImportFormat::Json, &file.expose()).expect("our own file can be read");
    assert_eq!(again.values.len(), imported.values.len());
    for (again, first) in again.values.iter().zip(&imported.values) {
        assert_eq!(again.name, first.name);
        assert!(*again.value.expose() == *first.value.expose(), "{} has changed", first.name);
    }
});
