//! Templates: what they print, what they refuse, and that no value is in an error.

#![cfg(feature = "template")]
#![allow(clippy::unwrap_used)]

use dsops_formats::{Format, Options, RenderErrors, Template, render};
use dsops_secure_mem::SecretBytes;

const VARIABLES: &[(&str, &[u8])] =
    &[("EMPTY", b""), ("NUMBER", b"12"), ("PASSWORD", b"it's $5 <&>\n"), ("BYTES", b"\xff\x00")];

fn rendered(source: &str) -> Result<String, RenderErrors> {
    let secrets: Vec<_> = VARIABLES
        .iter()
        .map(|(name, value)| (*name, SecretBytes::copy_from(value).unwrap()))
        .collect();
    let borrowed: Vec<_> = secrets.iter().map(|(name, value)| (*name, value)).collect();
    let mut options = Options::default();
    options.template = Some(Template { name: "app.conf.j2", source });
    let out = render(Format::Template, &borrowed, &options)?;
    Ok(String::from_utf8(out.expose().to_vec()).unwrap())
}

fn refusal(source: &str) -> String {
    rendered(source).unwrap_err().to_string()
}

#[test]
fn values_and_filters_are_printed() {
    for (source, want) in [
        ("plain\n", "plain\n"),
        ("a={{ NUMBER }}\n\n", "a=12\n\n"),
        ("{{ PASSWORD }}", "it's $5 <&>\n"),
        ("{{ PASSWORD|base64 }}", "aXQncyAkNSA8Jj4K"),
        ("{{ BYTES|base64 }}", "/wA="),
        ("{{ PASSWORD|sh_quote }}", "'it'\\''s $5 <&>\n'"),
        ("{{ PASSWORD|json }} {{ 'x'|tojson }} {{ 5|json }}", r#""it's $5 <&>\n" "x" "5""#),
        ("{{ PASSWORD|base64|json }}", r#""aXQncyAkNSA8Jj4K""#),
        ("{{ NUMBER|required }}", "12"),
        ("{{ MISSING|default('none') }}", "none"),
        ("{% if MISSING is defined %}a{% else %}b{% endif %}", "b"),
        ("{% if EMPTY %}a{% else %}b{% endif %}", "b"),
        ("{% if NUMBER|string == '12' %}a{% endif %}", "a"),
        ("{{ NUMBER ~ '-' ~ NUMBER }}", "12-12"),
        ("{{ env['NUMBER'] }} {{ env.NUMBER }}", "12 12"),
        (
            "{% for name in env if name != 'BYTES' %}{{ name }}={{ env[name]|json }};{% endfor %}",
            "EMPTY=\"\";NUMBER=\"12\";PASSWORD=\"it's $5 <&>\\n\";",
        ),
        ("{# comment #}{{ range(3)|join(',') }}", "0,1,2"),
    ] {
        assert_eq!(rendered(source).unwrap(), want, "{source}");
    }
}

#[test]
fn errors_name_the_line_and_the_variable() {
    for (source, want) in [
        ("a\n{{ MISSING }}", "template app.conf.j2, line 2: there is no variable MISSING"),
        ("{{ env.MISSING }}", "template app.conf.j2, line 1: there is no variable MISSING"),
        (
            "{{ PASSWORD|nope }}",
            "template app.conf.j2, line 1: unknown filter: filter nope is unknown",
        ),
        (
            "{{ EMPTY|required }}",
            "template app.conf.j2, line 1: a value that is required is missing or empty",
        ),
        (
            "{{ MISSING|required }}",
            "template app.conf.j2, line 1: a value that is required is missing or empty",
        ),
        (
            "{{ BYTES|json }}",
            "template app.conf.j2, line 1: a value is not UTF-8 text, which `json` cannot carry",
        ),
        (
            "{{ BYTES|sh_quote }}",
            "template app.conf.j2, line 1: a value has a NUL byte, which `sh_quote` cannot carry",
        ),
        (
            "{{ env|base64 }}",
            "template app.conf.j2, line 1: a filter of text was given something else",
        ),
        ("{{ BYTES }}", "format template cannot carry the value of BYTES: it is not UTF-8 text"),
    ] {
        assert_eq!(refusal(source), want, "{source}");
    }
    let go = refusal("x\n{{ .PASSWORD }}");
    assert!(go.starts_with("template app.conf.j2, line 2: syntax error"), "{go}");
    assert!(go.contains("write `{{ NAME }}`"), "{go}");
    for source in ["{% include 'x' %}", "{% if %}", "{{ 'x }}", "{% for x in %}"] {
        assert!(refusal(source).contains("syntax error"), "{source}");
    }
    let nothing = render(Format::Template, &[], &Options::default()).unwrap_err();
    assert_eq!(nothing.to_string(), "format template needs a template");
}

#[test]
fn no_error_shows_a_value() {
    for source in [
        "{{ (PASSWORD|string)|int }}",
        "{{ (PASSWORD|string).x.y }}",
        "{{ PASSWORD + 1 }}",
        "{{ PASSWORD() }}",
        "{{ PASSWORD.x }}",
        "{{ PASSWORD|string|attr('x') }}",
        "{{ range(PASSWORD|string) }}",
        "{{ {}[PASSWORD|string] }}",
        "{{ (PASSWORD|string).foo() }}",
        "{{ PASSWORD|string|round }}",
        "{{ PASSWORD|string|abs }}",
        "{{ dict(PASSWORD|string) }}",
        "{{ PASSWORD|string|format(1, 2) }}",
    ] {
        if let Err(errors) = rendered(source) {
            let text = format!("{errors} {errors:?}");
            assert!(!text.contains("$5"), "{source}: {text}");
        }
    }
}

#[test]
fn output_has_a_limit() {
    let source = format!("{{% for a in range(9000) %}}{}{{% endfor %}}", "x".repeat(10_000));
    let errors = rendered(&source).unwrap_err();
    assert_eq!(errors.to_string(), "cannot keep the output in protected memory");
}

#[test]
fn a_template_that_would_never_end_ends() {
    let error = refusal(
        "{% for a in range(9999) %}{% for b in range(9999) %}{% for c in range(9999) %}{% endfor %}{% endfor %}{% endfor %}",
    );
    assert!(error.contains("app.conf.j2"), "{error}");
}
