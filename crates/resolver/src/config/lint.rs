//! Values in clear that look like credentials. Looked for while loading is done only when the
//! caller asks ([`Config::findings`]).

use std::collections::BTreeSet;

use super::{Config, SourceSpec};
use crate::diagnostic::{Diagnostic, Place, codes};
use crate::settings::names_a_secret;
use crate::yaml::{Node, Value};

/// How tokens of services start, and of which. Each is public: the services document them so that
/// scanners find what leaked.
const PREFIXES: &[(&str, &str)] = &[
    ("AKIA", "an AWS access key"),
    ("ASIA", "an AWS session key"),
    ("ghp_", "a GitHub token"),
    ("gho_", "a GitHub token"),
    ("ghs_", "a GitHub token"),
    ("github_pat_", "a GitHub token"),
    ("glpat-", "a GitLab token"),
    ("xoxb-", "a Slack token"),
    ("xoxp-", "a Slack token"),
    ("xapp-", "a Slack token"),
    ("sk_live_", "a Stripe key"),
    ("rk_live_", "a Stripe key"),
    ("sk-ant-", "an Anthropic key"),
    ("sk-proj-", "an OpenAI key"),
    ("AIza", "a Google API key"),
    ("ya29.", "a Google token"),
    ("hvs.", "a Vault token"),
    ("dp.st.", "a Doppler token"),
    ("dp.pt.", "a Doppler token"),
    ("ops_", "a 1Password service account token"),
    ("npm_", "an npm token"),
    ("pypi-", "a PyPI token"),
    ("dckr_pat_", "a Docker token"),
    ("SG.", "a SendGrid key"),
    ("AGE-SECRET-KEY-1", "an age key"),
    ("age-secret-key-1", "an age key"),
];

/// A token of a service is at least this long.
const TOKEN_CHARS: usize = 16;

impl Config {
    /// What stands in clear and looks like a credential: literals, defaults and settings of stores.
    /// Warnings in the order of the text; none shows the value or its line.
    pub fn findings(&self) -> Vec<Diagnostic> {
        let mut findings = Vec::new();
        let mut seen = BTreeSet::new();
        for environment in self.environments.values() {
            for (name, variable) in &environment.variables {
                let spec = &variable.spec;
                let literal = match &spec.source {
                    SourceSpec::Literal(value) => Some(("literal", value)),
                    _ => None,
                };
                let default = spec.default.as_ref().map(|value| ("default", value));
                for (key, value) in literal.into_iter().chain(default) {
                    // What was expanded stands in the environment, not in the file.
                    if !spec.expanded.is_empty() {
                        continue;
                    }
                    let value = value.expose();
                    let Ok(text) = std::str::from_utf8(&value) else { continue };
                    if let Some(what) = credential(name, text)
                        && seen.insert((
                            spec.place.file.clone(),
                            spec.place.line,
                            spec.place.column,
                            key,
                        ))
                    {
                        let message = format!("the `{key}` of `{name}` looks like {what}");
                        findings.push(finding(message, spec.place.clone()).help(
                            "keep it in a store (`dsops set`), and make a new one if others saw it",
                        ));
                    }
                }
            }
        }
        for settings in self.stores.values() {
            for (key, value) in settings.options() {
                let name = key.as_str().unwrap_or_default();
                if settings.deferred.is_empty() && settings.expanded.is_empty() {
                    in_settings(name, value, &mut |path, node, what| {
                        let message = format!(
                            "the setting `{path}` of the store `{}` looks like {what}",
                            settings.name()
                        );
                        let place = settings.source.place(node.span);
                        findings.push(
                            finding(message, place).help("take it from the environment: `${NAME}`"),
                        );
                    });
                }
            }
        }
        super::sort(&mut findings);
        findings
    }
}

fn finding(message: String, mut place: Place) -> Diagnostic {
    // The line is masked already; without it nobody has to trust that.
    place.line_text = None;
    Diagnostic::warning(codes::PLAINTEXT, message).at(place)
}

fn in_settings(path: &str, node: &Node, found: &mut impl FnMut(&str, &Node, &'static str)) {
    match &node.value {
        Value::Scalar { text, .. } => {
            if let Some(what) = credential(path, text) {
                found(path, node, what);
            }
        }
        Value::Mapping(entries) => {
            for (key, value) in entries {
                let path = format!("{path}.{}", key.as_str().unwrap_or_default());
                in_settings(&path, value, found);
            }
        }
        Value::Sequence(items) => items.iter().for_each(|item| in_settings(path, item, found)),
    }
}

/// What a value under this name looks like, if like a credential.
fn credential(name: &str, text: &str) -> Option<&'static str> {
    let trimmed = text.trim();
    if trimmed.starts_with("-----BEGIN ") && trimmed.contains("PRIVATE KEY-----") {
        return Some("a private key");
    }
    let is_token =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '=' | '/' | '+');
    if trimmed.len() >= TOKEN_CHARS && trimmed.chars().all(is_token) {
        if let Some((_, what)) = PREFIXES.iter().find(|(prefix, _)| trimmed.starts_with(prefix)) {
            return Some(what);
        }
        if trimmed.starts_with("eyJ") && trimmed.matches('.').count() == 2 {
            return Some("a JSON web token");
        }
    }
    if has_password(trimmed) {
        return Some("an address with a password");
    }
    (names_a_secret(name) && is_random(trimmed)).then_some("a secret")
}

/// `scheme://user:password@host`, with a password that is not a placeholder.
fn has_password(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else { return false };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let Some((user, _)) = authority.rsplit_once('@') else { return false };
    let is_scheme = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    !scheme.is_empty()
        && scheme.chars().all(is_scheme)
        && user.split_once(':').is_some_and(|(_, password)| password.len() >= 8)
}

/// Whether a text is too varied for a word or a placeholder.
fn is_random(text: &str) -> bool {
    const LEAST_CHARS: usize = 16;
    const LEAST_BITS: f64 = 3.0;
    if text.len() < LEAST_CHARS || text.contains(char::is_whitespace) || text.contains("://") {
        return false;
    }
    let mut counts = [0_u32; 256];
    text.bytes().for_each(|byte| counts[usize::from(byte)] += 1);
    #[expect(clippy::cast_precision_loss, reason = "a length is far below what a float holds")]
    let length = text.len() as f64;
    let bits: f64 = counts
        .iter()
        .filter(|count| **count > 0)
        .map(|count| f64::from(*count) / length)
        .map(|share| -share * share.log2())
        .sum();
    // Words are of one kind of characters; keys mix them.
    let kinds = [u8::is_ascii_lowercase, u8::is_ascii_uppercase, u8::is_ascii_digit]
        .iter()
        .filter(|is| text.bytes().any(|byte| is(&byte)))
        .count();
    bits >= LEAST_BITS && kinds >= 2
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made up, and put together here so that no scanner takes them for real.
    fn token(prefix: &str) -> String {
        format!("{prefix}{}", "aB3dE5fG7hJ9kL1mN2pQ")
    }

    #[test]
    fn credentials_are_told_from_other_text() {
        for (prefix, what) in PREFIXES {
            assert_eq!(credential("X", &token(prefix)), Some(*what), "{prefix}");
        }
        let pem = ["-----BEGIN RSA PRIVATE", " KEY-----\nAAAA\n"].concat();
        assert_eq!(credential("X", &pem), Some("a private key"));
        assert_eq!(
            credential("X", "postgres://app:longpassword@db/x"),
            Some("an address with a password")
        );
        assert_eq!(credential("API_TOKEN", &token("")), Some("a secret"));
        assert_eq!(credential("session.token", &token("")), Some("a secret"));
        for (name, text) in [
            ("X", "hello"),
            ("X", "AKIA"),
            ("X", "ghp_ is how they start"),
            ("REGION", "aB3dE5fG7hJ9kL1mN2pQ"),
            ("API_TOKEN", "changeme"),
            ("API_TOKEN", "your-token-goes-here"),
            ("TOKEN_URL", "https://auth.example.com/Oauth2/v1/token"),
            ("PASSWORD_FILE", "/run/secrets/Database1Password"),
            ("URL", "http://user:pw@host"),
            ("URL", "http://host/a:b@c"),
        ] {
            assert_eq!(credential(name, text), None, "{name} {text}");
        }
    }

    #[test]
    fn findings_show_no_value() {
        let token = token("ghp_");
        let text = format!(
            "secretStores:\n  s: {{ type: x, token: {token}, more: {{ deep: [ {token} ] }} }}\nenvs:\n  base: {{ A: {{ literal: {token} }} }}\n  dev: {{ extends: base, B: {{ from: store://s/a, default: {token} }}, C: {{ literal: fine }} }}\n"
        );
        let config = Config::parse("f", &text).unwrap();
        let findings = config.findings();
        let said: Vec<_> =
            findings.iter().map(|f| (f.place.as_ref().unwrap().line, f.message.as_str())).collect();
        assert_eq!(
            said,
            [
                (2, "the setting `token` of the store `s` looks like a GitHub token"),
                (2, "the setting `more.deep` of the store `s` looks like a GitHub token"),
                (4, "the `literal` of `A` looks like a GitHub token"),
                (5, "the `default` of `B` looks like a GitHub token"),
            ]
        );
        for finding in &findings {
            assert!(!finding.render().contains(&token[4..]), "{}", finding.render());
            assert_eq!(finding.code, codes::PLAINTEXT);
        }
    }

    #[test]
    fn what_comes_from_the_environment_is_not_found() {
        let token = token("ghp_");
        let variables = |_: &str| Some(token.clone().into());
        let options = crate::LoadOptions::new().variables(&variables);
        let text = "secretStores: { s: { type: x, token: '${T}' } }\nenvs: { dev: { A: { literal: '${T}' } } }";
        let config = Config::parse_at("f", text, &options).unwrap();
        assert!(config.findings().is_empty());
    }
}
