//! Every import format, read: values, references, notes, errors.

#![allow(clippy::unwrap_used)]

use dsops_formats::{ImportError, ImportFormat, ImportProblem, Imported, import};

fn read(format: ImportFormat, text: &str) -> Imported {
    import(format, text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// `profile/NAME=value` lines.
fn values(imported: &Imported) -> Vec<String> {
    let text = |value: &dsops_formats::Value| {
        let profile =
            value.profile.as_deref().map(|profile| format!("{profile}/")).unwrap_or_default();
        format!("{profile}{}={}", value.name, String::from_utf8_lossy(&value.value.expose()))
    };
    imported.values.iter().map(text).collect()
}

fn notes(imported: &Imported) -> Vec<String> {
    imported.notes.iter().map(ToString::to_string).collect()
}

fn problem(format: ImportFormat, bytes: &[u8]) -> (usize, ImportProblem) {
    match import(format, bytes) {
        Err(ImportError::Syntax { line, problem }) => (line, problem),
        Err(error) => panic!("{error}"),
        Ok(imported) => panic!("read {:?}", imported.values),
    }
}

#[test]
fn dotenv_values_are_read_as_most_readers_do() {
    for (text, want) in [
        ("A=1", "1"),
        ("A=", ""),
        ("A=\r\n", ""),
        ("  export   A = x y  \n", "x y"),
        ("\u{feff}A=1\n", "1"),
        ("A=1 # comment\n", "1"),
        ("A=1#2\n", "1#2"),
        ("A=#2\n", "#2"),
        ("A= # comment\n", ""),
        ("A='x # y' # comment\n", "x # y"),
        ("A='a\\nb'\n", "a\\nb"),
        ("A='two\nlines'\n", "two\nlines"),
        ("A='x\\'\n", "x\\"),
        ("A='it'\\''s'\n", "it's"),
        ("A='a'\"b\"'c'\n", "abc"),
        ("A=\"a\\nb\\tc\\rd\"\n", "a\nb\tc\rd"),
        ("A=\"\\\\ \\\" \\$ \\` \\x\"\n", "\\ \" $ ` \\x"),
        ("A=\"a\\\nb\"\n", "ab"),
        ("A=\"two\r\nlines\"\r\n", "two\r\nlines"),
        ("A=\"\"\n", ""),
        ("A=`it's \"x\"`\n", "it's \"x\""),
        ("A=a\"b\"c\n", "a\"b\"c"),
        ("A=a=b\n", "a=b"),
        ("A=${B}\n", "${B}"),
    ] {
        assert_eq!(values(&read(ImportFormat::Dotenv, text)), [format!("A={want}")], "{text:?}");
    }
    let two = read(ImportFormat::Dotenv, "# head\n\n B.c-d=1\n\texport A=2\nexport=3\n");
    assert_eq!(values(&two), ["A=2", "B.c-d=1", "export=3"]);
    assert_eq!(two.values[0].line, 4);
    let bytes = import(ImportFormat::Dotenv, b"A='\xff'").unwrap();
    assert_eq!(&*bytes.values[0].value.expose(), b"\xff");
}

#[test]
fn dotenv_says_what_it_did_not_do() {
    let text = "A=1\nB=\"${A} $(id)\"\nC=\"\\${A}\"\nD='$A'\nE=a#b\nF=`x`\nG=c:\\x\nH\nI=$A\nA=2\n";
    let imported = read(ImportFormat::Dotenv, text);
    assert_eq!(
        values(&imported),
        ["A=2", "B=${A} $(id)", "C=${A}", "D=$A", "E=a#b", "F=x", "G=c:\\x", "I=$A"]
    );
    assert_eq!(
        notes(&imported),
        [
            "line 2: B has a `$` before a name, taken as it stands; many readers replace it",
            "line 2: B has `$(…)` or a backtick, taken as it stands; a shell would run it",
            "line 5: E has a `#` that is taken as part of the value; some readers end the value there",
            "line 6: F is in backticks and taken literally, as npm dotenv does; a shell would run it",
            "line 7: G has a backslash outside quotes that is kept; a shell would drop it",
            "line 8: H has no value, not taken",
            "line 9: I has a `$` before a name, taken as it stands; many readers replace it",
            "line 10: A is given again; the value of line 1 is not taken",
        ]
    );
}

#[test]
fn dotenv_errors_have_their_line() {
    for (text, want) in [
        ("A=1\n=2\n", (2, ImportProblem::NotAName)),
        ("1A=2\n", (1, ImportProblem::NotAName)),
        ("A: 1\n", (1, ImportProblem::NoEqualsSign)),
        ("\nexport A B\n", (2, ImportProblem::NoEqualsSign)),
        ("A=1\nB='x\ny\n", (2, ImportProblem::Unterminated)),
        ("A=\"x\\", (1, ImportProblem::Unterminated)),
        ("A='x'y\n", (1, ImportProblem::AfterQuote)),
        ("A='x'#y\n", (1, ImportProblem::AfterQuote)),
        ("A='it\\'s'\n", (1, ImportProblem::BackslashBeforeQuote)),
        ("A=x\0y\n", (1, ImportProblem::Nul)),
        ("A='x\0y'\n", (1, ImportProblem::Nul)),
    ] {
        assert_eq!(problem(ImportFormat::Dotenv, text.as_bytes()), want, "{text:?}");
    }
}

#[test]
fn json_objects_of_all_exporters_are_read() {
    let flat = r#" {"A": "x\n\"\\\/\u00e9\ud83d\ude00", "B": 12.50e3, "C": true, "D": null, "E": [1], "F": {"x": 1}} "#;
    let imported = read(ImportFormat::Json, flat);
    assert_eq!(values(&imported), ["A=x\n\"\\/é😀", "B=12.50e3", "C=true"]);
    assert_eq!(
        notes(&imported),
        [
            "line 1: D is null, not taken",
            "line 1: E is a list, not taken",
            "line 1: F is an object, not taken; flatten it first",
        ]
    );
    let doppler = "{\"A\": {\"computed\": \"x\", \"note\": \"\"},\n\"B\": {\"raw\": \"y\", \"computed\": null}}";
    let imported = read(ImportFormat::Json, doppler);
    assert_eq!(values(&imported), ["A=x"]);
    assert_eq!(notes(&imported), ["line 2: B is an object, not taken; flatten it first"]);

    let infisical = r#"[{"key": "A", "value": "x", "tags": []}, {"key": "B"}, {"value": "z"}]"#;
    let imported = read(ImportFormat::Json, infisical);
    assert_eq!(values(&imported), ["A=x"]);
    assert_eq!(imported.notes.len(), 2);

    let ours = r#"{"generated_at": "x", "generated_by": "dsops", "variables": {"variables": "1"}}"#;
    assert_eq!(values(&read(ImportFormat::Json, ours)), ["variables=1"]);
    let not_ours = r#"{"generated_by": "me", "variables": {"A": "1"}, "B": "2"}"#;
    assert_eq!(values(&read(ImportFormat::Json, not_ours)), ["B=2", "generated_by=me"]);

    let twice = read(ImportFormat::Json, "{\"A\": \"1\",\n\"A\": \"2\"}");
    assert_eq!(values(&twice), ["A=2"]);
    assert_eq!(notes(&twice), ["line 2: A is given again; the value of line 1 is not taken"]);
}

#[test]
fn notes_are_fit_for_a_terminal() {
    let imported = read(ImportFormat::Json, r#"{"A\u001b[31m\n": null}"#);
    assert_eq!(notes(&imported), ["line 1: A\u{fffd}[31m\u{fffd} is null, not taken"]);
}

#[test]
fn json_errors_have_their_line() {
    for (text, want) in [
        ("", ImportProblem::NotAnObject),
        ("\"A\"", ImportProblem::NotAnObject),
        ("[1]", ImportProblem::NotAnObject),
        ("{", ImportProblem::Json),
        ("{\"A\"}", ImportProblem::Json),
        ("{\"A\": }", ImportProblem::Json),
        ("{\"A\": 01}", ImportProblem::Json),
        ("{\"A\": 1.}", ImportProblem::Json),
        ("{\"A\": 1e}", ImportProblem::Json),
        ("{\"A\": +1}", ImportProblem::Json),
        ("{\"A\": yes}", ImportProblem::Json),
        ("{\"A\": 1,}", ImportProblem::Json),
        ("{\"A\": 1} x", ImportProblem::Json),
        ("{\"A\": \"x", ImportProblem::Json),
        ("{\"A\": \"\n\"}", ImportProblem::Json),
        ("{\"A\": \"\\q\"}", ImportProblem::Json),
        ("{\"A\": \"\\u12\"}", ImportProblem::Json),
        ("{\"A\": \"\\ud800\"}", ImportProblem::Json),
        ("{\"A\": \"\\ud800\\u0041\"}", ImportProblem::LoneSurrogate),
        ("{\"A\": \"\\udc00\"}", ImportProblem::LoneSurrogate),
    ] {
        assert_eq!(problem(ImportFormat::Json, text.as_bytes()).1, want, "{text:?}");
    }
    assert_eq!(problem(ImportFormat::Json, b"{\n\"A\": \"\xff\"}"), (2, ImportProblem::NotUtf8));
    let deep = format!("{{\"A\": {}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(problem(ImportFormat::Json, deep.as_bytes()).1, ImportProblem::TooDeep);
}

#[test]
fn a_file_that_is_too_long_is_refused() {
    let long = vec![b'#'; dsops_formats::IMPORT_LIMIT_BYTES + 1];
    for format in ImportFormat::ALL {
        let error = import(format, &long).unwrap_err();
        assert_eq!(error.to_string(), "the file is longer than 16777216 bytes");
    }
}

#[test]
fn a_file_name_tells_the_format() {
    for (path, want) in [
        ("dir/.env", Some(ImportFormat::Dotenv)),
        (".env.local", Some(ImportFormat::Dotenv)),
        ("prod.env", Some(ImportFormat::Dotenv)),
        ("secrets.json", Some(ImportFormat::Json)),
        ("fnox.toml", Some(ImportFormat::Fnox)),
        ("fnox.local.toml", Some(ImportFormat::Fnox)),
        ("secretspec.toml", Some(ImportFormat::SecretSpec)),
        ("Cargo.toml", None),
        ("env", None),
    ] {
        assert_eq!(ImportFormat::from_path(path.as_ref()), want, "{path}");
    }
    assert_eq!("chamber".parse(), Ok(ImportFormat::Json));
    assert!("yaml".parse::<ImportFormat>().is_err());
}

#[cfg(feature = "toml")]
mod toml {
    use dsops_formats::Origin;

    use super::*;

    /// `profile/NAME <- origin` lines.
    fn references(imported: &Imported) -> Vec<String> {
        let text = |reference: &dsops_formats::Reference| {
            let origin = match &reference.origin {
                Origin::Provider { name, kind, key } => {
                    format!(
                        "{name}:{}:{}",
                        kind.as_deref().unwrap_or("?"),
                        key.as_deref().unwrap_or("?")
                    )
                }
                Origin::Age { ciphertext, provider } => {
                    format!("{provider}:age:{}", String::from_utf8_lossy(ciphertext))
                }
                _ => "declared".to_owned(),
            };
            let default = reference.default.as_ref().map_or(String::new(), |default| {
                format!(" else {}", String::from_utf8_lossy(&default.expose()))
            });
            let required =
                reference.required.map_or("", |is| if is { " required" } else { " optional" });
            format!(
                "{}/{} <- {origin}{default}{required}",
                reference.profile.as_deref().unwrap_or("-"),
                reference.name
            )
        };
        imported.references.iter().map(text).collect()
    }

    #[test]
    fn fnox_files_are_read() {
        let text = r#"
if_missing = "warn"
import = ["./shared.toml"]
default_provider = "age"

[providers]
plain = { type = "plain" }
age = { type = "age", recipients = ["age1x"] }
[providers.op]
type = "1password"
vault = "Dev"

[secrets]
PLAIN = { provider = "plain", value = "it's \"x\"\n" }
SEALED = { value = "YWdlLWVuY3J5cHRpb24=", description = "the key" }
ARMORED.value = """-----BEGIN AGE ENCRYPTED FILE-----"""
REMOTE = { provider = "op", value = "Item/field", default = "dev", if_missing = "error" }
PORT = { default = "3000" }
URL = { default = "http://${PORT}" }
[secrets.NESTED]
provider = "op"
value = "x"
json_path = "a.b"
as_file = true

[profiles.prod]
default_provider = "vault"
[profiles.prod.providers.vault]
type = "vault"
[profiles.prod.secrets]
PORT = { default = "80" }
TOKEN = { value = "app/token" }
"#;
        let imported = read(ImportFormat::Fnox, text);
        assert_eq!(values(&imported), ["PLAIN=it's \"x\"\n", "PORT=3000", "prod/PORT=80"]);
        assert_eq!(
            references(&imported),
            [
                "-/ARMORED <- age:age:-----BEGIN AGE ENCRYPTED FILE-----",
                "-/NESTED <- op:1password:x",
                "-/REMOTE <- op:1password:Item/field else dev required",
                "-/SEALED <- age:age:age-encryption",
                "-/URL <- declared",
                "prod/TOKEN <- vault:vault:app/token",
            ]
        );
        assert_eq!(imported.references[3].description.as_deref(), Some("the key"));
        assert_eq!(imported.references[3].line, 15);
        assert_eq!(
            notes(&imported),
            [
                "line 3: the imported file is not read: import it by itself",
                "line 19: URL: the default is made of other secrets (`${…}`) and not taken",
                "line 23: NESTED: `json_path` is not applied: add the transform `json_extract`",
                "line 24: NESTED: `as_file` is not taken over: the variable gets the value itself",
            ]
        );
    }

    #[test]
    fn the_only_provider_of_fnox_is_the_default() {
        let one = "[providers]\np = { type = \"plain\" }\n[secrets]\nA = { value = \"x\" }\n";
        assert_eq!(values(&read(ImportFormat::Fnox, one)), ["A=x"]);
        let two = one.replace("[secrets]", "q = { type = \"age\" }\n[secrets]");
        let imported = read(ImportFormat::Fnox, &two);
        assert_eq!(references(&imported), ["-/A <- declared"]);
        assert_eq!(notes(&imported), ["line 5: A: no provider is named for its value, not taken"]);
    }

    #[test]
    fn a_value_for_an_unknown_provider_of_fnox_is_not_shown() {
        let text = "[secrets]\nA = { provider = \"far\", value = \"hidden\" }\n";
        let imported = read(ImportFormat::Fnox, text);
        assert_eq!(references(&imported), ["-/A <- far:?:?"]);
        assert!(!format!("{imported:?}").contains("hidden"));
        assert_eq!(
            notes(&imported),
            ["line 2: A: provider far is not declared in this file, not taken"]
        );
    }

    #[test]
    fn secretspec_files_are_read() {
        let text = r#"
[project]
name = "app"
revision = "1.0"
extends = ["../shared"]

[profiles.default]
DATABASE_URL = { description = "the database", required = true }
LOG = { description = "level", default = "info", required = false }
API = { description = "x", providers = ["keyring", "env"], ref = { item = "db", field = "password" } }

[profiles.production.defaults]
required = true
[profiles.production]
SENTRY = { description = "errors" }
EITHER = { required = { at_least_one = ["a"], exactly_one = ["b"] } }
"#;
        let imported = read(ImportFormat::SecretSpec, text);
        assert_eq!(values(&imported), Vec::<String>::new());
        assert_eq!(
            references(&imported),
            [
                "default/API <- keyring:?:db#password",
                "default/DATABASE_URL <- declared required",
                "default/LOG <- declared else info optional",
                "production/EITHER <- declared optional",
                "production/SENTRY <- declared required",
            ]
        );
        assert_eq!(imported.references[1].description.as_deref(), Some("the database"));
        assert_eq!(
            notes(&imported),
            [
                "line 5: the extended project is not read: import it by itself",
                "line 10: API: a further provider to fall back to is not taken over",
                "line 16: EITHER: groups of which one must be there are not taken over: it becomes optional",
            ]
        );
    }

    #[test]
    fn toml_errors_have_their_line() {
        for format in [ImportFormat::Fnox, ImportFormat::SecretSpec] {
            assert_eq!(problem(format, b"[a]\nb = \n"), (2, ImportProblem::Toml));
            assert_eq!(problem(format, b"[a]\n\xff = 1\n"), (2, ImportProblem::NotUtf8));
            assert_eq!(problem(format, b"a = 1\na = 2\n"), (2, ImportProblem::DuplicateKey));
        }
    }
}
