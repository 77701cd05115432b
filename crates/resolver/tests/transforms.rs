//! Every transform on examples, by its text in the configuration; the examples of the reference too.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use dsops_resolver::transform::{
    MAX_VALUE_BYTES, RawStep, Transform, TransformError, TransformErrorKind, extract_field, names,
    parse_chain, parse_step,
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
    assert!(error.help().is_some(), "{error}");
}

#[test]
fn text() {
    gives("trim", "\u{2003}\t a b \u{a0}\r\n", "a b");
    gives("trim", b" \xff ", b"\xff");
    gives("trim", b"\xff \xff", b"\xff \xff");
    gives("trim", "", "");
    gives("trim", "\n ", "");
    gives("multiline_to_single", "a\r\nb\nc\n", "a\\nb\\nc\\n");
    gives("multiline_to_single", "\r", "");
    gives("replace:dev:prod", "dev-dev", "prod-prod");
    gives("replace:aa:b", "aaaaa", "bba");
    gives("replace:aa:", "aaaaa", "a");
    gives("replace:x:y", "", "");
    gives("replace:a:b:c", "a", "b:c");
    gives("replace:é:\"\\n\"", "aéb", "a\nb");
    gives("split:/:1", "a/b/c", "b");
    gives("split:/:-1", "a/b/c", "c");
    gives("split:/:-3", "a/b/c", "a");
    gives("split:--:1", "a--", "");
    gives("split:x:0", "", "");
    fails("split:/:3", "a/b/c", "`split`: there is no part 3");
    fails("split:/:-4", "a/b/c", "`split`: there is no part -4");
    gives("split:\":\": 1", "a:b", "b");
    gives("prefix:https://", "host", "https://host");
    gives("prefix:", "host", "host");
    gives("suffix:\"\\n\"", b"\xff", b"\xff\n");
    gives("upper", "straße ǆ", "STRASSE Ǆ");
    gives("lower", "ÀB", "àb");
    fails("upper", b"ab\xff", "`upper`: the value is not UTF-8 text (first bad byte at offset 2)");
    gives("", " as it is ", " as it is ");
}

#[test]
fn joining() {
    gives(
        "join:,",
        r#"["a", 1.5, true, null, "\u00e9\n", [1, {"b": 2}], ""]"#,
        "a,1.5,true,,é\n,[1,{\"b\":2}],",
    );
    gives("join:,", "[]", "");
    gives("join:,", r#" ["a"] "#, "a");
    gives("join:+", "a\nb, c\n\n", "a+b, c");
    gives("join:+", "a, b;c", "a+b;c");
    gives("join:+", ";a ; b", "a+b");
    gives("join:+", "a|b c", "a+b c");
    gives("join:+", " a  b ", "a+b");
    gives("join:+", " ab, ", "ab,");
    gives("join:+", "", "");
    gives("join:+", "[a, b]", "[a+b]");
    gives("join:", "a b", "ab");
}

#[test]
fn encodings() {
    gives("base64_encode", b"\xff\xfe\xfd\x00", "//79AA==");
    gives("base64_encode", "", "");
    gives("base64_decode", "//79\r\nAA==\n", b"\xff\xfe\xfd\x00");
    gives("base64_decode", "//79AA", b"\xff\xfe\xfd\x00");
    gives("base64_decode", "\n", "");
    gives("base64url_encode", b"\xff\xfe\xfd\x00", "__79AA");
    gives("base64url_decode", "__79AA==", b"\xff\xfe\xfd\x00");
    gives("base64url_decode", "__79AA", b"\xff\xfe\xfd\x00");
    let base64 = |rest: &str| format!("`base64_decode`: the value is not base64: {rest}");
    fails("base64_decode", "AA-A", &base64("a character of another alphabet at byte 2"));
    fails("base64_decode", "AAAA ", &base64("a character of another alphabet at byte 4"));
    fails("base64_decode", "AA=A", &base64("there is text after the padding at byte 3"));
    fails("base64_decode", "AA=", &base64("it is cut off or padded wrongly at byte 3"));
    fails("base64_decode", "AAA==", &base64("it is cut off or padded wrongly at byte 5"));
    fails("base64_decode", "AAAA====", &base64("it is cut off or padded wrongly at byte 8"));
    fails("base64_decode", "AAAAA", &base64("it is cut off or padded wrongly at byte 5"));
    fails("base64_decode", "=", &base64("it is cut off or padded wrongly at byte 1"));
    // As in Go, bits that no byte gets are not looked at.
    gives("base64_decode", "AB", b"\0");
    fails(
        "base64url_decode",
        "AA+A",
        "`base64url_decode`: the value is not URL-safe base64: a character of another alphabet at byte 2",
    );
    gives("hex_encode", b"\x00\x9a\xff", "009aff");
    gives("hex_decode", "009A\nff\n", b"\x00\x9a\xff");
    let hex = |rest: &str| format!("`hex_decode`: the value is not hexadecimal: {rest}");
    fails("hex_decode", "0g", &hex("a character is no digit at byte 1"));
    fails("hex_decode", "000", &hex("a digit is missing at byte 3"));
    gives("url_encode", b"a b/\xc3\xa9~+\xff", "a%20b%2F%C3%A9~%2B%FF");
    gives("url_decode", "a%20b%2f%C3%a9+%ff", b"a b/\xc3\xa9+\xff");
    for bad in ["ab%", "ab%1", "ab%+1", "ab%g0"] {
        fails(
            "url_decode",
            bad,
            "`url_decode`: the value is not percent-encoded: `%` without two hexadecimal digits at byte 2",
        );
    }
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
    gives("trim | join:|", "a b", "a|b");
    gives("join:\",\"", "a;b", "a,b");
    gives("join:\" \"", "a;b", "a b");
    gives("trim,join:,", "a;b", "a,b");
    gives("replace:,:;", "a,b", "a;b");
    gives("replace:-:|", "a-b", "a|b");
    gives("replace:'a:b':c", "xa:bx", "xcx");
    gives("yaml_extract:.a", "a: 1.50\n", "1.50");
    gives("yaml_extract:.1", "1: x\n", "x");
}

#[test]
fn json() {
    let document = r#" { "s": "a\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00", "n": -1.50e+3, "t": true, "f": false,
        "l": [ 1, [ ], { } , "x y" ], "": "empty", "0": "zero", "a/b": "slash", "m~n": "tilde", "k\u0065y": "same" } "#;
    for (path, expected) in [
        (".s", "a\"\\/\u{8}\u{c}\n\r\té😀"),
        (".n", "-1.50e+3"),
        ("n", "-1.50e+3"),
        ("/t", "true"),
        (".f", "false"),
        (".l", r#"[1,[],{},"x y"]"#),
        (".l[3]", "x y"),
        (".l.3", "x y"),
        ("/l/3", "x y"),
        (".[\"l\"][1]", "[]"),
        (".\"\"", "empty"),
        ("/", "empty"),
        (".0", "zero"),
        ("/a~1b", "slash"),
        ("/m~0n", "tilde"),
        (".key", "same"),
    ] {
        gives(&format!("json_extract:'{path}'"), document, expected);
    }
    gives("json_extract:.", "\u{feff} \"x\" ", "x");
    gives("json_extract:.[0]", "[7]", "7");
    for (path, message) in [
        (".l[4]", "there is nothing at `.l[4]`"),
        (".l.01", "there is nothing at `.l.01`"),
        (".l.x", "there is nothing at `.l.x`"),
        ("/l/-", "there is nothing at `/l/-`"),
        (".x.y", "there is nothing at `.x`"),
        (".\"a b\"", "there is nothing at `.\"a b\"`"),
        (".s.x", "`.s` is text"),
        ("/n/0", "`/n` is a number or boolean"),
        ("[0]", "the value is an object"),
        (".l[2][0]", "`.l[2]` is an object"),
    ] {
        fails(&format!("json_extract:{path}"), document, &format!("`json_extract`: {message}"));
    }
    fails(
        "json_extract:.a.b",
        r#"{"a": {"b": 1, "\u0062": 2}}"#,
        "`json_extract`: the key `.a.b` is there twice",
    );
    gives("json_extract:.a.b", r#"{"a": {"b": 1, "c": 1, "c": 2}, "x": 1, "x": 2}"#, "1");
}

#[test]
fn json_that_is_none() {
    for (document, reason, offset) in [
        ("", "expected a value", 0),
        ("{", "expected a key in quotes", 1),
        ("{\"a\"", "expected `:` after a key", 4),
        ("{\"a\":1,}", "expected a key in quotes", 7),
        ("{a: 1}", "expected a key in quotes", 1),
        ("[1,]", "expected a value", 3),
        ("[1 2]", "expected `,` or the end of a list or object", 3),
        ("[1", "expected `,` or the end of a list or object", 2),
        ("[1}", "expected `,` or the end of a list or object", 2),
        ("01", "a number starts with 0", 0),
        ("-", "expected a digit", 1),
        ("1.", "expected a digit", 2),
        ("1e+", "expected a digit", 3),
        (".5", "expected a value", 0),
        ("+1", "expected a value", 0),
        ("NaN", "expected a value", 0),
        ("nul", "expected a value", 0),
        ("nullx", "there is more after the end of the document", 4),
        ("{} {}", "there is more after the end of the document", 3),
        ("\"a", "the end of a text is missing", 2),
        ("\"a\nb\"", "a control character in a text", 2),
        ("\"\\x\"", "an escape in a text is wrong", 1),
        ("\"\\u12g4\"", "an escape in a text is wrong", 1),
        ("\"\\u+123\"", "an escape in a text is wrong", 1),
        ("\"\\ud800\"", "an escape in a text is wrong", 1),
        ("\"\\ud800\\u0041\"", "an escape in a text is wrong", 1),
        ("\"\\udc00\"", "an escape in a text is wrong", 1),
        ("\"\\", "an escape in a text is wrong", 1),
        ("'a'", "expected a value", 0),
        ("// x\n1", "expected a value", 0),
        ("\u{a0}1", "expected a value", 0),
    ] {
        let message = format!("`json_extract`: the value is not JSON: {reason} at byte {offset}");
        fails("json_extract:.", document, &message);
        assert!(serde_json::from_str::<serde_json::Value>(document).is_err(), "{document}");
    }
    fails(
        "json_extract:.",
        b"\"\xff\"",
        "`json_extract`: the value is not UTF-8 text (first bad byte at offset 1)",
    );
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    gives("json_extract:.", nested(128), nested(128));
    fails(
        "json_extract:.",
        nested(100_000),
        "`json_extract`: the value is not JSON: it is nested too deeply at byte 128",
    );
}

#[test]
fn yaml() {
    let document = "\
# all kinds
plain: 0x1F
bool: True
single: 'it''s'
double: \"a\\n\\u00e9\"
literal: |
  one
    two

folded: >-
  one
  two
nothing:
binary: !!binary |
  aHVu
  dGVyMg==
date: 2001-12-14
anchor: &a { x: 1 }
alias: *a
spec:
    list:
    - k: 1
      l:
         - x # why

      m: |
        text

        more

    # between
    last: y
";
    for (path, expected) in [
        (".plain", "0x1F"),
        (".bool", "True"),
        (".single", "it's"),
        (".double", "a\né"),
        (".literal", "one\n  two\n"),
        (".folded", "one two"),
        (".binary", "hunter2"),
        (".date", "2001-12-14"),
        (".anchor", "{ x: 1 }"),
        (".alias.x", "1"),
        ("/spec/last", "y"),
        (".spec.list[0].k", "1"),
        (".spec.list[0]", "k: 1\nl:\n   - x # why\n\nm: |\n  text\n\n  more\n\n"),
        (".spec.list.0.l", "- x"),
    ] {
        gives(&format!("yaml_extract:{path}"), document, expected);
    }
    for (path, message) in [
        (".nothing", "null is at `.nothing`"),
        (".nothing.x", "`.nothing` is nothing"),
        (".alias", "`.alias` holds an alias"),
        (".spec.list[1]", "there is nothing at `.spec.list[1]`"),
        (".spec[0]", "`.spec` is a mapping"),
        (".plain.x", "`.plain` is a number"),
    ] {
        fails(&format!("yaml_extract:{path}"), document, &format!("`yaml_extract`: {message}"));
    }
    for (document, reason, offset) in [
        ("k: v\nk: w\n", "a key is there twice", 5),
        ("a: 1\n---\nb: 2\n", "a second document starts", 5),
        ("a: @secret\n", "it cannot be read", 3),
        ("a: \u{1}\n", "a control character", 3),
        ("a: 'x", "a quote is not closed", 3),
        ("a: [x\n", "a bracket is not closed", 3),
        ("a: *x\n", "an alias without its anchor", 3),
    ] {
        let message = format!("`yaml_extract`: the value is not YAML: {reason} at byte {offset}");
        fails("yaml_extract:.a", document, &message);
    }
}

#[test]
fn fields() {
    for (value, field, expected) in [
        (r#"{"a": {"b": "x"}, "a.b": "y"}"#, "a.b", "y"),
        (r#"{"a": {"b": "x"}}"#, "a.b", "x"),
        (r#"{"a": {"b": "x"}}"#, "/a/b", "x"),
        (r#"{"/a": "x"}"#, "/a", "x"),
        (r#"{"a b[": "x"}"#, "a b[", "x"),
        (r#"["x"]"#, "[0]", "x"),
        (r#"["x"]"#, "0", "x"),
        ("\n { \"a\": 1.0 }", "a", "1.0"),
        ("a: { b: x }\n", "a.b", "x"),
        ("{a: {b: x}}\n", "a", "{b: x}"),
        ("- x\n", "[0]", "x"),
    ] {
        let result = extract_field(&secret(value), field).expect(value);
        assert_eq!(&*result.expose(), expected.as_bytes(), "{field} of {value}");
    }
    for (value, field, message, missing) in [
        ("{}", "a", "`#field`: there is nothing at `.a`", true),
        ("{\"a\": null}", "a", "`#field`: null is at `.a`", true),
        ("{\"a\": 1, \"a\": 2}", "a", "`#field`: the key `.a` is there twice", false),
        ("hunter2", "a", "`#field`: the value is text", false),
        (
            "{\"a\": tru}x",
            "a",
            "`#field`: the value is not JSON: expected a value at byte 6",
            false,
        ),
        ("a: 'x", "a", "`#field`: the value is not YAML: a quote is not closed at byte 3", false),
    ] {
        let error = extract_field(&secret(value), field).expect_err(value);
        assert_eq!((error.to_string().as_str(), error.is_missing()), (message, missing));
        assert!(error.help().is_some(), "{error}");
    }
    assert_eq!(Transform::field("a.b").to_string(), "#a.b");
}

#[test]
fn pem() {
    let body = "MIIB".repeat(20);
    let (first, rest) = body.split_at(64);
    let whole = format!(
        "-----BEGIN RSA PRIVATE KEY-----\n{first}\n{rest}\n-----END RSA PRIVATE KEY-----\n"
    );
    let flat = whole.trim_end().replace('\n', "\\n");
    gives("pem", &whole, &whole);
    gives("pem", whole.replace('\n', "\r\n"), &whole);
    gives("pem", &flat, &whole);
    gives("pem", whole.replace('\n', "\\r\\n"), &whole);
    gives("pem", whole.replace('\n', "\\\\n"), &whole);
    gives("pem", whole.replace('\n', " "), &whole);
    gives("pem", whole.replace('\n', ""), &whole);
    gives("pem:CERTIFICATE", &flat, &whole);
    gives("pem:RSA PRIVATE KEY", &body, &whole);
    gives("pem:RSA PRIVATE KEY", format!("{first}\n {rest}\\n"), &whole);
    gives("pem", format!("subject=x\n{flat} {flat}\nend"), format!("{whole}{whole}"));
    gives("pem", flat.replacen("\\n", "\n", 1), &whole);
    // Lines stay as they are, with headers and checksums.
    let armor = "-----BEGIN X-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES,00\n\nAAAA\nBB==\n=abcd\n-----END X-----\n";
    gives("pem", armor.trim_end().replace('\n', "\\n"), armor);
    let wrong = |rest: &str| format!("`pem`: the value is not PEM: {rest}");
    for (value, message) in [
        ("AAAA", "there is no `-----BEGIN` at byte 0"),
        ("x-----BEGIN X", "the end of a `-----BEGIN` line is missing at byte 1"),
        (
            "-----BEGIN x-----AAAA-----END x-----",
            "the label of a `-----BEGIN` line is wrong at byte 11",
        ),
        ("-----BEGIN X-----AAAA", "there is no `-----END` at byte 21"),
        (
            "-----BEGIN X-----AAAA-----END Y-----",
            "the label of an `-----END` line is another at byte 21",
        ),
        ("-----BEGIN X-----\\nAA?A-----END X-----", "a character that is not base64 at byte 21"),
        ("-----BEGIN X-----\nAA\n?A-----END X-----", "a character that is not base64 at byte 21"),
        ("-----BEGIN X-----AAA-----END X-----", "the base64 is cut off at byte 20"),
        ("-----BEGIN X----------END X-----", "the base64 is cut off at byte 17"),
        (
            "-----BEGIN X-----A: b AAAA-----END X-----",
            "headers without line breaks can't be told apart at byte 18",
        ),
    ] {
        fails("pem", value, &wrong(message));
    }
    fails("pem:CERTIFICATE", "not base64!", &wrong("a character that is not base64 at byte 10"));
    fails("pem:CERTIFICATE", "", &wrong("the base64 is cut off at byte 0"));
}

#[test]
fn nothing_grows_without_end() {
    let large = vec![b'a'; MAX_VALUE_BYTES + 1];
    let within = &large[1..];
    let too_large = |chain: &str, value: &[u8]| {
        let error = run(chain, value).expect_err(chain);
        assert!(matches!(error.kind, TransformErrorKind::TooLarge { .. }), "{error}");
    };
    too_large("trim", &large);
    gives("trim", within, within);
    too_large("prefix:x", within);
    too_large("replace:a:aa", within);
    too_large("join:aa", &b"a ".repeat(MAX_VALUE_BYTES / 2));
    too_large("url_encode", &vec![b' '; MAX_VALUE_BYTES]);
    too_large("base64_encode", within);
}

#[test]
fn errors_hold_nothing_of_the_value() {
    for step in parse_chain(
        "json_extract:.k, yaml_extract:.k, base64_decode, base64url_decode, hex_decode, url_decode, split:Z:9, pem, pem:A",
    )
    .expect("a chain")
    {
        let transform = Transform::build(&step).expect("a step");
        for value in [
            "hunter2%", "k: [hunter2", "{\"hunter2\": hunter2}", "hunter2: 1\nhunter2: 2", "@hunter2",
            "-----BEGIN hunter2-----", "-----BEGIN A-----hunter2!", "- !hunter2 &hunter2 *hunter2", "{\"k\": {\"hunter2\"",
        ] {
            let Err(error) = transform.apply(&secret(value)) else { continue };
            let said = format!("{error} {error:?} {:?}", error.help());
            assert!(!said.contains("hunter2"), "{said}");
        }
    }
}

#[test]
fn steps_written_in_other_ways() {
    let step = RawStep::new("json_extract", vec![".a".to_owned()]);
    let transform = Transform::build(&step).expect("sound");
    assert_eq!(transform.to_string(), "json_extract:.a");
    let error = Transform::build(&RawStep::new("json_extract", vec!["[".to_owned()])).unwrap_err();
    assert_eq!((error.column, error.width), (1, 0));
    assert_eq!(parse_step("join: , ").expect("sound").args, [" ,"]);
    assert_eq!(parse_step("join:|").expect("sound").args, ["|"]);
}

/// One example of the reference: the chain, the value, and what comes out or goes wrong.
struct Example {
    chain: String,
    value: String,
    expected: Result<String, String>,
}

fn examples(page: &str) -> Vec<Example> {
    let marked = |block: &str, mark: char| -> Option<String> {
        let lines = block.lines().filter_map(|line| line.strip_prefix(mark));
        let lines: Vec<_> = lines.map(|line| line.strip_prefix(' ').unwrap_or(line)).collect();
        (!lines.is_empty()).then(|| lines.join("\n"))
    };
    let blocks = page.split("```transform\n").skip(1);
    blocks
        .map(|block| {
            let block = block.split("```").next().unwrap_or_default();
            let expected = match (marked(block, '>'), marked(block, '!')) {
                (Some(result), None) => Ok(result),
                (None, Some(error)) => Err(error),
                _ => panic!("neither a result nor an error: {block}"),
            };
            Example {
                chain: block.lines().next().unwrap_or_default().to_owned(),
                value: marked(block, '<').expect("an example has a value"),
                expected,
            }
        })
        .collect()
}

#[test]
fn the_reference_tells_the_truth() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/transforms.md");
    let page = fs::read_to_string(path).expect("the reference is there");
    let mut shown = BTreeSet::new();
    for Example { chain, value, expected } in examples(&page) {
        for step in parse_chain(&chain).expect(&chain) {
            shown.insert(Transform::build(&step).expect(&chain).name());
        }
        match expected {
            Ok(expected) => gives(&chain, value, expected),
            Err(expected) => fails(&chain, value, &expected),
        }
    }
    for name in names() {
        let row = |line: &str| {
            line.starts_with(&format!("| `{name}`")) || line.starts_with(&format!("| `{name}:"))
        };
        assert_eq!(page.lines().filter(|line| row(line)).count(), 1, "the row of {name}");
        assert!(shown.contains(name), "{name} has no example");
    }
    let rows = page.lines().filter(|line| line.starts_with("| `")).count();
    assert_eq!(rows, names().count(), "a row for each transform and for nothing else");
}
