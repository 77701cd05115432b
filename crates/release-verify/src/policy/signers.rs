//! The signers of a policy file: each has a name, and one or several ways to sign.

use std::time::SystemTime;

use super::file::Open;
use super::read::{Field, Section, Text, Trouble};
use super::yaml::Place;
use super::{Claim, IdentityRule, Pattern, PatternError, SignerRule};
use crate::TrustedKey;
use crate::evidence::{Key, ManagedKey};
use crate::registry::npm::{RegistryKey, RegistryKeys};

/// A signer of the file: its name there, and whom it accepts.
#[derive(Debug)]
pub(super) struct NamedSigner {
    pub(super) name: String,
    pub(super) place: Place,
    pub(super) rules: Vec<SignerRule>,
    /// Keys of a registry that are among them.
    pub(super) registry_keys: Vec<RegistryKey>,
    /// When the last of its keys runs out, when all of them do.
    pub(super) ends: Option<SystemTime>,
}

/// A key of a signer, and when it was in use.
pub(super) struct KeyUse {
    rule: SignerRule,
    from: Option<SystemTime>,
    until: Option<SystemTime>,
    pub(super) place: Place,
}

impl KeyUse {
    /// Whether it is the same key with other times: then it would be good at the times of both, for
    /// either signer.
    pub(super) fn contradicts(&self, other: &Self) -> bool {
        self.rule == other.rule && (self.from, self.until) != (other.from, other.until)
    }
}

/// A signer, and the keys that make its signatures good.
pub(super) struct Found {
    pub(super) signer: NamedSigner,
    pub(super) uses: Vec<KeyUse>,
    pub(super) keys: Vec<Key>,
    pub(super) trusted: Vec<TrustedKey>,
}

/// Reads a signer: one way to sign, or a list of them.
pub(super) fn signer(name: Text<'_>, field: &Field<'_>, open: Open<'_>) -> Result<Found, Trouble> {
    let signer = NamedSigner {
        name: name.text.to_owned(),
        place: name.place,
        rules: Vec::new(),
        registry_keys: Vec::new(),
        ends: None,
    };
    let mut found = Found { signer, uses: Vec::new(), keys: Vec::new(), trusted: Vec::new() };
    let ways = if field.is_list() { field.items()? } else { vec![field.section()?] };
    let mut ends = Vec::new();
    for way in ways {
        ends.push(found.way(way, open)?);
    }
    if found.signer.rules.is_empty() {
        return Err(Trouble::at(field.place, "a signer needs a way to sign"));
    }
    found.signer.ends =
        ends.into_iter().collect::<Option<Vec<_>>>().and_then(|all| all.into_iter().max());
    Ok(found)
}

impl Found {
    /// Adds one way to sign, and tells until when it is one.
    fn way(
        &mut self,
        mut section: Section<'_>,
        open: Open<'_>,
    ) -> Result<Option<SystemTime>, Trouble> {
        if let Some(path) = section.optional_text("key")? {
            return self.key(section, &path, open);
        }
        if let Some(registry) = section.optional_text("registry")? {
            match registry.text {
                "npm" => self.registry(&RegistryKeys::npm()),
                "github-releases" => self.signer.rules.push(SignerRule::GithubRelease),
                _ => return Err(registry.unknown("registry", ["npm", "github-releases"])),
            }
            return section.end().map(|()| None);
        }
        if let Some(path) = section.optional_text("registry-keys")? {
            let content = open(path.path()?).map_err(|error| path.trouble(&error))?;
            let keys = RegistryKeys::read(&content).map_err(|error| path.trouble(&error))?;
            if keys.keys().is_empty() {
                return Err(path.wrong("it has no key for attestations"));
            }
            self.registry(&keys);
            return section.end().map(|()| None);
        }
        let rule = identity(&mut section)?;
        section.end()?;
        self.signer.rules.push(SignerRule::Certificate(rule));
        Ok(None)
    }

    fn registry(&mut self, keys: &RegistryKeys) {
        self.signer.rules.extend(keys.rules());
        self.trusted.extend(keys.trusted());
        self.signer.registry_keys.extend(keys.keys().iter().cloned());
    }

    fn key(
        &mut self,
        mut section: Section<'_>,
        path: &Text<'_>,
        open: Open<'_>,
    ) -> Result<Option<SystemTime>, Trouble> {
        let content = open(path.path()?).map_err(|error| path.trouble(&error))?;
        let key = Key::parse(&content).map_err(|error| path.trouble(&error))?;
        self.signer.rules.extend(key.rules());
        let hint = section.optional_text("hint")?;
        let from = section.time("valid-from")?;
        let until = section.time("valid-until")?;
        section.end()?;
        if from.zip(until).is_some_and(|(from, until)| from >= until) {
            return Err(path.wrong("it is valid at no time: `valid-until` is before `valid-from`"));
        }
        let place = path.place;
        self.uses.extend(key.rules().into_iter().map(|rule| KeyUse { rule, from, until, place }));
        if hint.is_none() && from.is_none() && until.is_none() {
            self.keys.push(key);
            return Ok(None);
        }
        // Only bundles carry hints and proofs of time.
        let Key::Managed(key) = &key else {
            return Err(path.wrong("only a key in PEM or DER can have a hint or a time"));
        };
        self.trusted.push(
            trusted(key, hint.map(|hint| hint.text), from, until)
                .map_err(|error| path.trouble(&error))?,
        );
        Ok(until)
    }
}

fn identity(section: &mut Section<'_>) -> Result<IdentityRule, Trouble> {
    let place = section.place();
    let mut rule = if let Some(short) = section.optional_text("github")? {
        IdentityRule::github(short.text).map_err(|error| short.trouble(&error))?
    } else if let Some(short) = section.optional_text("gitlab")? {
        IdentityRule::gitlab(short.text).map_err(|error| short.trouble(&error))?
    } else {
        let identity = pattern(section, ["identity", "identity-glob", "identity-regex"])?;
        let issuer = pattern(section, ["issuer", "issuer-glob", "issuer-regex"])?;
        match (identity, issuer) {
            (Some(identity), Some(issuer)) => IdentityRule::new(identity, issuer),
            (None, _) => {
                // A name that is spelt wrong says more.
                section.end()?;
                return Err(Trouble::at(
                    place,
                    "a signer needs `identity`, `github`, `gitlab`, `key` or `registry`",
                ));
            }
            (Some(_), None) => {
                return Err(Trouble::at(
                    place,
                    "an identity needs an `issuer` that vouches for it",
                ));
            }
        }
    };
    if let Some(claims) = section.optional("claims") {
        for (name, value) in claims.filled()? {
            let claim = Claim::from_name(name.text)
                .ok_or_else(|| name.unknown("claim", Claim::all().map(Claim::name)))?;
            rule = rule.with_claim(claim, claim_pattern(&value)?);
        }
    }
    Ok(rule)
}

fn trusted(
    key: &ManagedKey,
    hint: Option<&str>,
    from: Option<SystemTime>,
    until: Option<SystemTime>,
) -> Result<TrustedKey, crate::KeyKindError> {
    let key = TrustedKey::new(key)?.valid(from, until);
    Ok(match hint {
        Some(hint) => key.with_hint(hint),
        None => key,
    })
}

/// A text, exactly, by wildcards or as a regular expression: at most one of the three.
fn pattern(
    section: &mut Section<'_>,
    [exact, glob, regex]: [&'static str; 3],
) -> Result<Option<Pattern>, Trouble> {
    let mut found = None;
    for (name, kind) in [
        (exact, Pattern::exact as fn(String) -> Result<Pattern, PatternError>),
        (glob, Pattern::glob),
        (regex, Pattern::regex),
    ] {
        if let Some(text) = section.optional_text(name)? {
            if found.is_some() {
                return Err(text.wrong("one of the three forms is enough"));
            }
            if name == exact && exact != "exact" && text.text.contains('*') {
                let mut trouble = text.wrong("a `*` is no part of any name");
                trouble.help = Some(format!("`{glob}` takes wildcards"));
                return Err(trouble);
            }
            found = Some(kind(text.text.to_owned()).map_err(|error| text.trouble(&error))?);
        }
    }
    Ok(found)
}

/// A text, or `{glob: …}` or `{regex: …}`.
fn claim_pattern(value: &Field<'_>) -> Result<Pattern, Trouble> {
    if let Ok(text) = value.text() {
        if text.text.contains('*') {
            let mut trouble = text.wrong("a `*` is no part of what a certificate claims");
            trouble.help = Some("`{ glob: … }` takes wildcards".to_owned());
            return Err(trouble);
        }
        return Pattern::exact(text.text).map_err(|error| text.trouble(&error));
    }
    let mut section = value.section()?;
    let pattern = pattern(&mut section, ["exact", "glob", "regex"])?;
    let place = section.place();
    section.end()?;
    pattern.ok_or_else(|| Trouble::at(place, "write the value, or `glob:` or `regex:` before it"))
}
