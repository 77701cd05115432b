//! A chain, a line break and any bytes: mistakes have their place in the chain, steps read back as
//! they are written, and no value panics.
#![no_main]

use dsops_resolver::transform::{Transform, extract_field, parse_chain, parse_step};
use dsops_secure_mem::SecretBytes;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let at = data.iter().position(|&b| b == b'\n').unwrap_or(data.len());
    let Ok(chain) = std::str::from_utf8(&data[..at]) else { return };
    let columns = chain.chars().count();
    let steps = match parse_chain(chain) {
        Ok(steps) => steps,
        Err(error) => return assert!(error.column - 1 + error.width <= columns, "{error}"),
    };
    let mut value =
        SecretBytes::copy_from(data.get(at + 1..).unwrap_or_default()).expect("protected memory");
    let _ = extract_field(&value, chain);
    for step in &steps {
        match Transform::build(step) {
            Err(error) => return assert!(error.column - 1 + error.width <= columns, "{error}"),
            Ok(transform) => {
                let text = transform.to_string();
                let again = parse_step(&text).and_then(|step| Transform::build(&step));
                assert_eq!(again, Ok(transform.clone()), "{text}");
                match transform.apply(&value) {
                    Ok(next) => value = next,
                    Err(_) => return,
                }
            }
        }
    }
});
