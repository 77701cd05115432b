//! Any text: the YAML tree is an error with a place in the text, or nodes whose spans are.
#![no_main]

use dsops_resolver::yaml::{self, Span, Value};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let inside = |span: Span| text.get(span.range()).is_some() && span.start <= span.end;
    match yaml::parse(text) {
        Err(error) => assert!(inside(error.span), "{error}"),
        Ok(root) => {
            let mut nodes = vec![&root];
            while let Some(node) = nodes.pop() {
                assert!(inside(node.span));
                let _ = node.scalar();
                match &node.value {
                    Value::Mapping(entries) => {
                        nodes.extend(entries.iter().flat_map(|(key, value)| [key, value]))
                    }
                    Value::Sequence(items) => nodes.extend(items),
                    Value::Scalar { .. } => {}
                }
            }
        }
    }
});
