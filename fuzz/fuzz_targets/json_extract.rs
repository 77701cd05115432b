//! A path, a line break and any text: an error, or a value that is the same when read again.
#![no_main]

use dsops_resolver::transform::{RawStep, Transform, TransformErrorKind};
use dsops_secure_mem::SecretBytes;
use libfuzzer_sys::fuzz_target;

fn extract(path: &str) -> Option<Transform> {
    Transform::build(&RawStep::new("json_extract", vec![path.to_owned()])).ok()
}

fuzz_target!(|text: &str| {
    let (path, document) = text.split_once('\n').unwrap_or((".", text));
    let Some(transform) = extract(path) else { return };
    let value = SecretBytes::copy_from(document.as_bytes()).expect("protected memory");
    match transform.apply(&value) {
        Err(error) => {
            if let TransformErrorKind::Malformed { offset, .. } = error.kind {
                assert!(offset <= document.len());
            }
        }
        Ok(found) => {
            let found = found.expose();
            assert!(found.len() <= document.len() && std::str::from_utf8(&found).is_ok());
            // A list or object without blanks has none to lose.
            if document.len() > 2
                && path == "."
                && matches!(found.first(), Some(b'[' | b'{'))
                && !document.contains('"')
            {
                let value = SecretBytes::copy_from(&found).expect("protected memory");
                let again = transform.apply(&value).expect("it was sound");
                assert_eq!(*again.expose(), *found);
            }
        }
    }
});
