//! Every transform on examples, by its text in the configuration.

use dsops_resolver::transform::{
    Transform, TransformError, extract_field, parse_chain, parse_step,
};
use dsops_secure_mem::SecretBytes;

fn secret(text: impl AsRef<[u8]>) -> SecretBytes {
    SecretBytes::copy_from(text.as_ref()).expect("protected memory")
}

fn run(chain: &str, value: impl AsRef<[u8]>) -> Result<SecretBytes, TransformError> {
    let mut value = secret(value);
    for step in parse_chain(chain).expect(chain) {
        value = Transform::build(&step).expect(chain).apply(&value)?;
    }
    Ok(value)
}

#[track_caller]
fn gives(chain: &str, value: impl AsRef<[u8]>, expected: impl AsRef<[u8]>) {
    let result = run(chain, value).unwrap_or_else(|error| panic!("{chain}: {error}"));
    let (result, expected) = (result.expose().to_vec(), expected.as_ref());
    assert_eq!(String::from_utf8_lossy(&result), String::from_utf8_lossy(expected), "{chain}");
    assert_eq!(result, expected, "{chain}");
}

#[track_caller]
fn fails(chain: &str, value: impl AsRef<[u8]>, message: &str) {
    let error = run(chain, value).expect_err(chain);
    assert_eq!(error.to_string(), message, "{chain}");
}

#[test]
fn simple_transforms() {
    gives("trim", "\u{2003}\t a b \u{a0}\r\n", "a b");
    gives("trim", b" \xff ", b"\xff");
    gives("trim", b" \xff", b"\xff");
    gives("trim", "", "");
    gives("trim", "\n ", "");
    gives("multiline_to_single", "a\r\nb\nc\n", "a\\nb\\nc\\n");
    gives("base64_encode", b"\xff\xfe\xfd\x00", "//79AA==");
    gives("base64_decode", "//79\r\nAA==\n", b"\xff\xfe\xfd\x00");
    gives("base64_decode", "//79AA", b"\xff\xfe\xfd\x00");
    gives("base64url_encode", b"\xff\xfe\xfd\x00", "__79AA");
    gives("base64url_decode", "__79AA==", b"\xff\xfe\xfd\x00");
    gives("hex_encode", b"\x00\x9a\xff", "009aff");
    gives("hex_decode", "009A\nff\n", b"\x00\x9a\xff");
    gives("url_encode", "a b/é~+", "a%20b%2F%C3%A9~%2B");
    gives("url_decode", "a%20b%2f%C3%a9+", "a b/é+");
    gives("replace:dev:prod", "dev-dev", "prod-prod");
    gives("replace:aa:b", "aaaaa", "bba");
    gives("split:/:1", "a/b/c", "b");
    gives("split:/:-1", "a/b/c", "c");
    gives("prefix:https://", "host", "https://host");
    gives("suffix:\"\\n\"", "line", "line\n");
    gives("upper", "straße", "STRASSE");
    gives("lower", "ÀB", "àb");
}

#[test]
fn what_the_first_dsops_got_wrong() {
    gives("json_extract:.a", r#"{"a": 1.5}"#, "1.5");
    gives("json_extract:.a", r#"{"a": 9007199254740993}"#, "9007199254740993");
    fails("json_extract:.a", r#"{"a": null}"#, "`json_extract`: null is at `.a`");
    gives("json_extract:.a[1].b", r#"{"a": [0, {"b": "x"}]}"#, "x");
    gives("json_extract:.\"a.b\"", r#"{"a.b": "x"}"#, "x");
    gives("json_extract:.", r#"{ "z": "<&>", "a": 1 }"#, r#"{"z":"<&>","a":1}"#);
    gives("join:,", r#"["a", 1.5, true]"#, "a,1.5,true");
    gives("join:|", "a b", "a|b");
    gives("join:\",\"", "a;b", "a,b");
    gives("join:\" \"", "a;b", "a b");
    gives("trim,join:,", "a;b", "a,b");
    gives("replace:,:;", "a,b", "a;b");
    gives("replace:-:|", "a-b", "a|b");
    gives("replace:'a:b':c", "xa:bx", "xcx");
    gives("yaml_extract:.a", "a: 1.50\n", "1.50");
    gives("yaml_extract:.1", "1: x\n", "x");
    fails(
        "base64_decode",
        "__8",
        "`base64_decode`: the value is not base64: a character of another alphabet at byte 0",
    );
}

#[test]
fn fields() {
    for (value, field, expected) in [
        (r#"{"a": {"b": "x"}, "a.b": "y"}"#, "a.b", "y"),
        (r#"{"a": {"b": "x"}}"#, "a.b", "x"),
        (r#"{"a": {"b": "x"}}"#, "/a/b", "x"),
        (r#"["x"]"#, "[0]", "x"),
        ("a: { b: x }\n", "a.b", "x"),
        ("{a: {b: x}}\n", "a", "{b: x}"),
    ] {
        assert_eq!(
            &*extract_field(&secret(value), field).expect(value).expose(),
            expected.as_bytes()
        );
    }
    assert!(parse_step("join: ,").is_ok());
}
