//! What can be read in a policy file, and is hardly meant.

use std::time::SystemTime;

use super::signers::NamedSigner;
use super::yaml::Place;
use super::{IdentityRule, Pattern, PolicyFile, SignerRule};

/// Something in a policy file that weakens it, or has no effect.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PolicyWarning {
    /// Where in the file, counted from 1.
    pub line: usize,
    /// The character in the line, counted from 1.
    pub column: usize,
    /// What is odd there.
    pub problem: String,
    /// What to do about it.
    pub help: &'static str,
}

impl PolicyFile {
    /// What is odd in the file, in the order of its lines: rules that no artifact reaches, patterns
    /// that strangers can satisfy, signers that no rule names, keys that ran out before `now`, one
    /// key under two names.
    pub fn warnings(&self, now: SystemTime) -> Vec<PolicyWarning> {
        let mut found = Found::default();
        self.unreachable(&mut found);
        self.signers_of_file(now, &mut found);
        found.0.sort_by_key(|warning| (warning.line, warning.column));
        found.0
    }

    fn unreachable(&self, found: &mut Found) {
        for (index, rule) in self.rules.iter().enumerate() {
            let covers = |name: &Pattern| {
                let mut earlier = self.rules[..index].iter().flat_map(|rule| &rule.names);
                // An image is reached by all of its name only.
                earlier.any(|own| own.covers(name, !may_be_image(name)))
            };
            let is_reached = if self.rules[..index].iter().any(|rule| rule.names.is_empty()) {
                false
            } else {
                rule.names.is_empty() || !rule.names.iter().all(covers)
            };
            if !is_reached {
                found.add(
                    rule.place,
                    "no artifact reaches this rule: those before it take them all",
                    "the first rule that matches holds: put this one before it",
                );
            }
        }
    }

    /// Whether a rule counts signatures by both.
    fn counts_both(&self, one: &NamedSigner, other: &NamedSigner) -> bool {
        self.rules.iter().any(|rule| {
            let names = |signer: &NamedSigner| {
                rule.signed_by.is_empty() || rule.signed_by.contains(&signer.name)
            };
            rule.demands.signers().threshold() > 1 && names(one) && names(other)
        })
    }

    fn signers_of_file(&self, now: SystemTime, found: &mut Found) {
        let names_all = self.rules.iter().any(|rule| rule.signed_by.is_empty());
        for (index, signer) in self.signers.iter().enumerate() {
            let name = signer.name.escape_debug();
            if !names_all && !self.rules.iter().any(|rule| rule.signed_by.contains(&signer.name)) {
                let problem = format!("no rule names the signer `{name}`");
                found.add(signer.place, problem, "add it to `signed-by` of a rule, or take it out");
            }
            if signer.ends.is_some_and(|ends| ends < now) {
                let problem = format!("what `{name}` signs from now on is not accepted");
                found.add(signer.place, problem, "every key of it is past its `valid-until`");
            }
            let twin = self.signers[..index].iter().find(|other| {
                other.rules.iter().any(|rule| signer.rules.contains(rule))
                    || (self.counts_both(signer, other) && can_be_one(signer, other))
            });
            if let Some(twin) = twin {
                let problem =
                    format!("`{name}` and `{}` can be the same", twin.name.escape_debug());
                found.add(
                    signer.place,
                    problem,
                    "one signer counts once: several keys of one are a list under one name",
                );
            }
            for rule in &signer.rules {
                let SignerRule::Certificate(rule) = rule else { continue };
                for pattern in rule.names() {
                    if let Some((problem, help)) = loose(pattern) {
                        let problem = format!("`{}` {problem}", pattern.as_str().escape_debug());
                        found.add(signer.place, problem, help);
                    }
                }
            }
        }
    }
}

/// Whether it can be for images in a registry: its first part can be a host.
fn may_be_image(name: &Pattern) -> bool {
    let is_host = |host: &str| host.contains(['.', ':', '*', '?']) || host == "localhost";
    name.as_str().split_once('/').is_some_and(|(host, _)| is_host(host))
}

/// Whether one identity can be either signer: all that one accepts is accepted by the other.
fn can_be_one(one: &NamedSigner, other: &NamedSigner) -> bool {
    let identities = |signer: &NamedSigner| -> Vec<IdentityRule> {
        let rules = signer.rules.iter().filter_map(|rule| match rule {
            SignerRule::Certificate(rule) => Some(rule.clone()),
            _ => None,
        });
        rules.collect()
    };
    let (one, other) = (identities(one), identities(other));
    one.iter().any(|one| {
        other.iter().any(|other| {
            one.issuer == other.issuer
                && (one.identity.covers(&other.identity, false)
                    || other.identity.covers(&one.identity, false))
        })
    })
}

#[derive(Default)]
struct Found(Vec<PolicyWarning>);

impl Found {
    fn add(&mut self, place: Place, problem: impl Into<String>, help: &'static str) {
        let Place { line, column } = place;
        self.0.push(PolicyWarning { line, column, problem: problem.into(), help });
    }
}

impl IdentityRule {
    fn names(&self) -> [&Pattern; 2] {
        [&self.identity, &self.issuer]
    }
}

const HOST: (&str, &str) =
    ("leaves the host open", "write the host out, and the `/` behind it, before any wildcard");
const OWNER: (&str, &str) = (
    "takes owners of other names that begin so",
    "write the owner out, and the `/` behind it, before any wildcard",
);
const DOMAIN: (&str, &str) = (
    "takes addresses at other domains",
    "write the domain out, with the `@` before it: `*@example.org`",
);
const DOT: (&str, &str) =
    ("has a `.` in the host, which stands for any character", "write `\\.` for a dot");

/// Why strangers could satisfy a pattern for names: it does not say where they come from.
fn loose(pattern: &Pattern) -> Option<(&'static str, &'static str)> {
    if pattern.is_regex() {
        return loose_regex(pattern.as_str());
    }
    open(&pattern.fixed_start()?, pattern.as_str())
}

/// What is open in a pattern of which only `fixed` stands before the first wildcard.
fn open(fixed: &str, whole: &str) -> Option<(&'static str, &'static str)> {
    if !whole.contains("://") {
        let domain = whole.rsplit_once('@').map(|(_, domain)| domain);
        let is_fixed = domain.is_some_and(|domain| !domain.contains(['*', '?']));
        return (!is_fixed).then_some(DOMAIN);
    }
    let Some((host, path)) = fixed.split_once("://").and_then(|(_, rest)| rest.split_once('/'))
    else {
        return Some(HOST);
    };
    let is_shared = ["github.com", "gitlab.com"].contains(&host) || host.ends_with(".ghe.com");
    (is_shared && !path.contains('/')).then_some(OWNER)
}

/// The same for each alternative of a regular expression. What begins with a group leaves open what
/// it begins with.
fn loose_regex(text: &str) -> Option<(&'static str, &'static str)> {
    let body = text.strip_prefix(r"\A").or(text.strip_prefix('^')).unwrap_or(text);
    let body = body.strip_suffix('$').filter(|body| !body.ends_with('\\')).unwrap_or(body);
    let all = alternatives(body);
    if let ([only], Some(inner)) = (all.as_slice(), body.strip_prefix('(')) {
        let inner = inner.strip_prefix("?:").unwrap_or(inner);
        let whole = inner.strip_suffix(')').filter(|inner| is_closed(inner));
        return whole.map_or_else(|| loose_alternative(only), loose_regex);
    }
    all.into_iter().find_map(loose_alternative)
}

/// The parts between `|`, where those are in no group and no class.
fn alternatives(text: &str) -> Vec<&str> {
    let (mut parts, mut from, mut depth, mut class, mut escaped) = (Vec::new(), 0, 0, false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            ']' => class = false,
            '[' => class = true,
            '(' if !class => depth += 1,
            ')' if !class => depth -= 1,
            '|' if !class && depth == 0 => {
                parts.push(&text[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[from..]);
    parts
}

/// Whether every group in it ends in it: what is around it is one group then.
fn is_closed(text: &str) -> bool {
    let (mut depth, mut class, mut escaped) = (0, false, false);
    for c in text.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            ']' => class = false,
            '[' => class = true,
            '(' if !class => depth += 1,
            ')' if !class => depth -= 1,
            _ => {}
        }
        if depth < 0 {
            return false;
        }
    }
    depth == 0 && !escaped
}

fn loose_alternative(text: &str) -> Option<(&'static str, &'static str)> {
    let body = text.strip_prefix('^').unwrap_or(text);
    let body = body.strip_suffix('$').filter(|body| !body.ends_with('\\')).unwrap_or(body);
    let plain = body.replace('\\', "");
    if !plain.contains("://") {
        let domain = body.rsplit_once('@').map_or("", |(_, domain)| domain);
        if domain.replace("\\.", "").replace("[.]", "").contains('.')
            && !domain.contains(['*', '+', '?'])
        {
            return Some(DOT);
        }
    }
    let (mut fixed, mut rest) = (String::new(), body.chars().peekable());
    loop {
        // Without a wildcard nobody else fits.
        let c = rest.next()?;
        match c {
            '\\' => match rest.next() {
                Some(c) if c.is_ascii_alphanumeric() => break,
                Some(c) => fixed.push(c),
                None => break,
            },
            '.' if matches!(rest.peek(), Some('*' | '+' | '?' | '{')) => break,
            '.' => {
                let in_host = fixed.split_once("://").is_some_and(|(_, rest)| !rest.contains('/'));
                if in_host {
                    return Some(DOT);
                }
                break;
            }
            // `https?://` is as good as either.
            '?' if fixed == "https" => {}
            '(' | '[' | '{' | '*' | '+' | '?' => break,
            c => fixed.push(c),
        }
    }
    open(&fixed, &plain)
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::Origin;

    const KEY: &str = "-----BEGIN PUBLIC KEY-----\n\
        MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n\
        -----END PUBLIC KEY-----\n";

    fn warnings(text: &str) -> Vec<String> {
        let text = format!("version: 1\n{text}");
        let file = PolicyFile::read(text.as_bytes(), &Origin::new("p"), |name| match name {
            "a.pub" => Ok(KEY.into()),
            _ => Err(io::ErrorKind::NotFound.into()),
        })
        .unwrap();
        let now = humantime::parse_rfc3339("2026-01-01T00:00:00Z").unwrap();
        let shown = |one: PolicyWarning| format!("{}:{} {}", one.line, one.column, one.problem);
        file.warnings(now).into_iter().map(shown).collect()
    }

    #[test]
    fn rules_that_nothing_reaches() {
        let signers = "signers: { ci: { github: octo/demo } }\n";
        let rules = |rules: &str| warnings(&format!("{signers}artifacts: [{rules}]\n"));
        assert!(rules("{ match: '*.tar.gz' }, { match: '*.gz' }, { match: x }, {}").is_empty());
        assert!(rules("{ match: '*.gz' }, { match: ['*.tar.gz', '*.zip'] }").is_empty());
        let found = rules("{ match: '*.gz' }, { match: ['*.tar.gz', 'a.gz'] }, {}, { match: x }");
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].starts_with("3:32 no artifact reaches"), "{found:?}");
        assert!(rules("{ match: app }, { match: ghcr.io/octo/app }").is_empty());
        assert_eq!(rules("{ match: app }, { match: dist/app }").len(), 1);
        assert_eq!(rules("{ match: 'ghcr.io/**' }, { match: ghcr.io/octo/app }").len(), 1);
    }

    #[test]
    fn signers_that_are_odd() {
        let found = warnings(
            "signers:\n  ci: { github: octo/demo }\n  old: { key: a.pub, valid-until: 2025-01-01T00:00:00Z }\n  \
             new: { key: a.pub, valid-until: 2025-01-01T00:00:00Z }\nartifacts:\n  - signed-by: [ci, new]\n",
        );
        assert_eq!(found.len(), 4, "{found:?}");
        assert!(found[0].contains("no rule names the signer `old`"), "{found:?}");
        assert!(found[1].contains("what `old` signs from now on"), "{found:?}");
        assert!(found[2].contains("what `new` signs from now on"), "{found:?}");
        assert!(found[3].contains("`new` and `old` can be the same"), "{found:?}");
    }

    #[test]
    fn signers_that_one_workflow_can_be() {
        let found = |rules: &str| {
            warnings(&format!(
                "signers: {{ demo: {{ github: octo/demo@v1 }}, all: {{ github: octo }}, lead: {{ identity: 'l@example.org', issuer: 'https://x' }} }}\n\
                 artifacts: [{rules}]\n"
            ))
        };
        assert!(found("{ threshold: 1 }").is_empty());
        assert!(
            found("{ match: x, signed-by: [demo, lead], threshold: 2 }, { signed-by: all }")
                .is_empty()
        );
        let found =
            found("{ match: x, signed-by: [demo, all], threshold: 2 }, { signed-by: lead }");
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("`all` and `demo` can be the same"), "{found:?}");
    }

    #[test]
    fn patterns_that_strangers_satisfy() {
        let problem = |form: &str, text: &str| {
            let text = format!(
                "signers: {{ a: {{ {form}: '{text}', issuer: 'https://accounts.example.org' }} }}\n"
            );
            warnings(&text).pop().unwrap_or_default()
        };
        for (form, text, word) in [
            ("identity-glob", "https://*/octo/demo/x", "host"),
            ("identity-glob", "https://ci.example.org*", "host"),
            ("identity-glob", "https://github.com/octo*/demo/**", "owners"),
            ("identity-glob", "*example.org", "domains"),
            ("identity-glob", "lead@*.org", "domains"),
            ("identity-regex", r"https://github\.com/octo.*", "owners"),
            ("identity-regex", "https://github.com/octo/demo/.*", "`.` in the host"),
            ("identity-regex", ".*://github/octo", "host"),
            ("identity-regex", r".*example\.org", "domains"),
            ("identity-regex", "lead@example.org", "`.` in the host"),
            // Behind the first alternative too, and where a group comes first.
            ("identity-regex", r"https://github\.com/octo/demo/.*|.*@evil\.example|.*x", "domains"),
            ("identity-regex", r"https://github\.com/octo/a|https://[^/]*/octo/.*", "host"),
            ("identity-regex", r"(https://github\.com/octo.*)", "owners"),
            ("identity-regex", r"^(?:a@example\.org|.*)$x", "domains"),
            ("identity-regex", r"(https://a\.example|.*)/x(y)", "host"),
        ] {
            let found = problem(form, text);
            assert!(found.contains(word), "{text}: {found:?}");
        }
        for (form, text) in [
            ("identity", "lead@example.org"),
            ("identity-glob", "*@example.org"),
            ("identity-glob", "https://github.com/octo/**"),
            ("identity-glob", "https://ci.example.org/*"),
            ("identity-regex", r"^https?://ci\.example\.org/.*$"),
            ("identity-regex", r"https://github\.com/octo/demo/.*@refs/tags/v\d+"),
            ("identity-regex", r"https://ci\.example\.org$"),
            ("identity-regex", r"(a|b)@example\.org"),
            ("identity-regex", r"^(https://github\.com/octo/demo/.*|lead@example\.org)$"),
            ("identity-regex", r"https://github\.com/octo/(demo|app)/[a|b].*"),
        ] {
            assert_eq!(problem(form, text), "", "{text}");
        }
    }
}
