//! The npm registry: it signs that it published a package, and publishers add provenance.
//!
//! Source: npm, "Generating provenance statements"; the publish attestation's specification.

use std::fmt;
use std::time::SystemTime;

use super::{LIMIT_ATTESTATIONS, RegistryError, parse, to_bytes};
use crate::evidence::ManagedKey;
use crate::json::{self, Fields, Json};
use crate::statement::{PredicateKind, Statement};
use crate::{Algorithm, Artifact, Digest, Finding, Origin, Signer, SignerRule, TrustedKey};

/// One attestation of a package, not verified yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attestation {
    /// What the registry says it is about; what counts is the signed statement.
    pub predicate_type: String,
    /// The Sigstore bundle, as JSON.
    pub bundle: Vec<u8>,
    /// Which key signed it, as the bundle says; `None` when a certificate did.
    pub key_hint: Option<String>,
}

/// Whether `data` looks like the registry's document about a package.
pub fn is_attestations(data: &[u8]) -> bool {
    parse(data).is_ok_and(|document| {
        matches!(document.get("attestations"), Some(Json::List(list))
            if list.first().is_some_and(|first| first.get("bundle").is_some()))
    })
}

/// Reads the registry's document about a package: `{"attestations": […]}`.
///
/// # Errors
/// [`RegistryError`] when it is something else.
pub fn read_attestations(data: &[u8]) -> Result<Vec<Attestation>, RegistryError> {
    let document = parse(data)?;
    let mut fields = Fields::of(&document, "")?;
    let mut all = Vec::new();
    for mut attestation in fields.objects("attestations", LIMIT_ATTESTATIONS)? {
        let predicate_type = attestation.text("predicateType")?.to_owned();
        let bundle = attestation.required("bundle")?;
        if !matches!(bundle, Json::Object(_)) {
            return Err(attestation.error("bundle", "is not an object").into());
        }
        let key_hint = bundle
            .get("verificationMaterial")
            .and_then(|material| material.get("publicKey")?.get("hint")?.as_str())
            .map(ToOwned::to_owned);
        all.push(Attestation { predicate_type, bundle: to_bytes(bundle), key_hint });
    }
    if all.is_empty() {
        return Err(fields.error("attestations", "there is none").into());
    }
    Ok(all)
}

/// A key of the registry, and when it was in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistryKey {
    /// What bundles call it: `SHA256:…`.
    pub hint: String,
    /// The key.
    pub key: ManagedKey,
    /// In use from then on; `None` when it is not said.
    pub starts: Option<SystemTime>,
    /// In use until then, that time included; `None` when it still is.
    pub ends: Option<SystemTime>,
}

impl RegistryKey {
    /// Whether it was in use at that time.
    pub fn is_valid_at(&self, time: SystemTime) -> bool {
        self.starts.is_none_or(|starts| time >= starts) && self.ends.is_none_or(|ends| time <= ends)
    }
}

/// The keys of a registry, for attestations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RegistryKeys(Vec<RegistryKey>);

impl RegistryKeys {
    /// Reads the registry's own list (`{"keys": [{"keyid", "key", "expires"}]}`), or the one in
    /// Sigstore's root of trust (`{"keys": [{"keyId", "keyUsage", "publicKey"}]}`), of which the
    /// keys for attestations are taken.
    ///
    /// # Errors
    /// [`RegistryError`] when it is neither, a key is of a kind that is not accepted, or two have
    /// the same name.
    pub fn read(data: &[u8]) -> Result<Self, RegistryError> {
        let document = parse(data)?;
        let mut fields = Fields::of(&document, "")?;
        let mut keys: Vec<RegistryKey> = Vec::new();
        for mut entry in fields.objects("keys", 1000)? {
            let key = if let Some(hint) = entry.optional_text("keyId")? {
                if entry.optional_text("keyUsage")?.is_some_and(|u| u != "npm:attestations") {
                    continue;
                }
                let mut public = entry.object("publicKey")?;
                let key = managed(&public.bytes("rawBytes")?)
                    .ok_or_else(|| public.error("rawBytes", "is no key that is accepted"))?;
                let mut window = public.optional_object("validFor")?;
                let mut at = |name| window.as_mut().map_or(Ok(None), |w| time(w, name));
                RegistryKey { hint: hint.to_owned(), key, starts: at("start")?, ends: at("end")? }
            } else {
                let hint = entry.text("keyid")?.to_owned();
                let key = managed(&entry.bytes("key")?)
                    .ok_or_else(|| entry.error("key", "is no key that is accepted"))?;
                RegistryKey { hint, key, starts: None, ends: time(&mut entry, "expires")? }
            };
            if keys.iter().any(|other| other.hint == key.hint) {
                return Err(entry.error("keyId", "occurs twice").into());
            }
            keys.push(key);
        }
        Ok(Self(keys))
    }

    /// The keys of the npm registry for attestations, as Sigstore's root of trust had them on
    /// 2026-11-21.
    ///
    /// # Panics
    /// Never: a test reads them.
    pub fn npm() -> Self {
        const KEYS: &str = include_str!("npm/keys.json");
        Self::read(KEYS.as_bytes()).expect("the keys were read by a test of this crate")
    }

    /// These keys.
    pub(crate) fn of(keys: impl IntoIterator<Item = RegistryKey>) -> Self {
        Self(keys.into_iter().collect())
    }

    /// All of them.
    pub fn keys(&self) -> &[RegistryKey] {
        &self.0
    }

    /// The same for the verifier of bundles, each for its hint and its time.
    pub fn trusted(&self) -> Vec<TrustedKey> {
        let trusted = |key: &RegistryKey| {
            let trusted = TrustedKey::new(&key.key).ok()?;
            Some(trusted.with_hint(&key.hint).valid(key.starts, key.ends))
        };
        self.0.iter().filter_map(trusted).collect()
    }

    /// These keys and those of `other`.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// The same as the ways in which one signer, the registry, may sign.
    pub fn rules(&self) -> Vec<SignerRule> {
        self.0.iter().map(|key| SignerRule::Key { id: key.key.id().to_owned() }).collect()
    }

    /// The key that a bundle names. Nothing is proven by the name: the signature has to be good.
    pub fn by_hint(&self, hint: &str) -> Option<&RegistryKey> {
        self.0.iter().find(|key| key.hint == hint)
    }
}

fn managed(der: &[u8]) -> Option<ManagedKey> {
    ManagedKey::parse(der).ok().filter(|_| der.first() == Some(&0x30))
}

fn time(
    fields: &mut Fields<'_>,
    name: &'static str,
) -> Result<Option<SystemTime>, json::JsonError> {
    let Some(text) = fields.optional_text(name)? else { return Ok(None) };
    let time = humantime::parse_rfc3339(text)
        .map_err(|_| fields.error(name, "is not a time as RFC 3339 writes it"))?;
    Ok(Some(time))
}

/// A package of npm: `name`, `@scope/name`, with a version or without.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Package {
    name: String,
    version: Option<String>,
}

impl Package {
    /// Reads `name`, `name@1.2.3`, `@scope/name@1.2.3`.
    ///
    /// # Errors
    /// [`RegistryError::Name`] when it is none of these.
    pub fn parse(text: &str) -> Result<Self, RegistryError> {
        Self::read(text).ok_or_else(|| RegistryError::Name {
            what: "the name of an npm package",
            text: text.to_owned(),
        })
    }

    fn read(text: &str) -> Option<Self> {
        let (scope, rest) = match text.strip_prefix('@') {
            Some(scoped) => {
                let (scope, rest) = scoped.split_once('/')?;
                (Some(scope), rest)
            }
            None => (None, text),
        };
        let (name, version) =
            rest.split_once('@').map_or((rest, None), |(name, version)| (name, Some(version)));
        let plain = |part: &str| {
            !part.is_empty()
                && !part.starts_with('.')
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.~!'()*".contains(&b))
        };
        let versioned = version.is_none_or(|version| {
            version.bytes().next().is_some_and(|b| b.is_ascii_digit())
                && version.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.+".contains(&b))
        });
        (plain(name) && scope.is_none_or(plain) && versioned).then(|| Self {
            name: scope.map_or_else(|| name.to_owned(), |scope| format!("@{scope}/{name}")),
            version: version.map(ToOwned::to_owned),
        })
    }

    /// Reads `pkg:npm/%40scope/name@1.2.3`; nothing may be behind it.
    fn from_purl(purl: &str) -> Option<Self> {
        let path = purl.strip_prefix("pkg:npm/")?;
        let path = match path.get(..3) {
            Some(start) if start.eq_ignore_ascii_case("%40") => format!("@{}", &path[3..]),
            _ => path.to_owned(),
        };
        let path = path.replace("%2F", "/").replace("%2f", "/").replace("%2B", "+");
        Self::read(&path).filter(|package| package.version.is_some())
    }

    /// Whether `found` is it; without a version, every version is.
    fn takes(&self, found: &Self) -> bool {
        self.name == found.name && (self.version.is_none() || self.version == found.version)
    }
}

impl fmt::Display for Package {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        self.version.as_ref().map_or(Ok(()), |version| write!(f, "@{version}"))
    }
}

/// A statement that was found well signed, with who signed it, when, and where it stood.
#[derive(Clone, Copy, Debug)]
pub struct Signed<'a> {
    /// What was signed.
    pub statement: &'a Statement,
    /// By whom.
    pub signer: &'a Signer,
    /// When, as far as third parties vouch for it.
    pub times: &'a [SystemTime],
    /// Where it stood.
    pub origin: &'a Origin,
}

/// Holds the attestations of a package that were found well signed against the package: the
/// registry published it (`npm/publish`, `npm/key`), each is about this file under this name
/// (`npm/subject`, `npm/package`), and all name the same bytes (`npm/digest`).
///
/// Whether the provenance among them is as it should be is a matter of
/// [`crate::statement::ProvenanceRules`].
pub fn check(
    package: Option<&Package>,
    attestations: &[Signed<'_>],
    keys: &RegistryKeys,
    artifact: &Artifact,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut digests: Vec<(&Digest, &Origin)> = Vec::new();
    let mut names: Vec<Package> = Vec::new();
    let mut published = false;
    for attestation in attestations {
        let origin = attestation.origin;
        let mut add = |finding: Finding| findings.push(finding.at(origin));
        add(attestation.statement.check_subject(artifact));
        match subject(attestation.statement) {
            Ok((found, digest)) => {
                digests.push((digest, origin));
                if let Some(wanted) = package {
                    add(named("npm/subject", "statement", wanted, &found));
                }
                names.push(found);
            }
            Err(problem) => add(Finding::failed("npm/subject", problem)),
        }
        if attestation.statement.kind() == PredicateKind::NpmPublish {
            published = true;
            add(check_key(attestation, keys));
            match publication(attestation.statement) {
                Ok(found) => {
                    if let Some(wanted) = package {
                        add(named("npm/package", "registry", wanted, &found));
                    }
                    names.push(found);
                }
                Err(error) => add(Finding::failed("npm/package", error.to_string())),
            }
        }
    }
    findings.push(if published {
        Finding::passed("npm/publish", "the registry says that it published the package")
    } else {
        Finding::undecided(
            "npm/publish",
            "there is no statement by which the registry published it",
        )
    });
    if let Some((first, rest)) = digests.split_first() {
        if let Some((other, origin)) = rest.iter().find(|(digest, _)| *digest != first.0) {
            let message = "the statements name different files";
            let finding = Finding::failed("npm/digest", message).at(origin);
            findings.push(finding.compared(first.0.to_string(), other.to_string()));
        } else if !rest.is_empty() {
            let message = "all statements name the same file";
            findings.push(Finding::passed("npm/digest", message));
        }
    }
    if let Some((first, rest)) = names.split_first()
        && let Some(other) = rest.iter().find(|name| *name != first)
    {
        let message = "the statements name different packages";
        let finding = Finding::failed("npm/package", message);
        findings.push(finding.compared(first.to_string(), other.to_string()));
    } else if let (None, Some(first)) = (package, names.first()) {
        let message = format!("the statements are about `{first}`");
        findings.push(Finding::new("npm/package", crate::State::Note, message));
    }
    findings
}

fn named(code: &'static str, who: &str, wanted: &Package, found: &Package) -> Finding {
    let good = wanted.takes(found);
    let finding = if good {
        Finding::passed(code, format!("the {who} names the package asked for"))
    } else {
        Finding::failed(code, format!("the {who} names another package"))
    };
    finding.compared(wanted.to_string(), found.to_string())
}

/// The only subject: a package by its SHA-512.
fn subject(statement: &Statement) -> Result<(Package, &Digest), &'static str> {
    let [only] = statement.subjects() else {
        return Err("the statement is not about exactly one package");
    };
    let package = only
        .name()
        .and_then(Package::from_purl)
        .ok_or("the statement names no npm package with its version")?;
    let digest =
        only.digest(Algorithm::Sha512).ok_or("the statement names no file by its SHA-512")?;
    Ok((package, digest))
}

/// What the registry says that it published.
fn publication(statement: &Statement) -> Result<Package, RegistryError> {
    let mut fields = Fields::of(statement.predicate(), "predicate")?;
    let (name, version) = (fields.text("name")?, fields.text("version")?);
    Package::parse(&format!("{name}@{version}"))
}

fn check_key(attestation: &Signed<'_>, keys: &RegistryKeys) -> Finding {
    const CODE: &str = "npm/key";
    let Signer::Key { id, .. } = attestation.signer else {
        return Finding::failed(CODE, "a certificate signed it, not a key of the registry");
    };
    let Some(key) = keys.keys().iter().find(|key| key.key.id() == id) else {
        let known = keys.keys().iter().map(|key| key.key.id()).collect::<Vec<_>>().join(", ");
        return Finding::failed(CODE, "the key that signed it is none of the registry's")
            .compared(known, id);
    };
    if attestation.times.is_empty() {
        return if key.starts.is_none() && key.ends.is_none() {
            Finding::passed(CODE, "a key of the registry signed it").compared(key.key.id(), id)
        } else {
            Finding::undecided(CODE, "nothing proves that it was signed while the key was in use")
        };
    }
    match attestation.times.iter().find(|time| !key.is_valid_at(**time)) {
        None => Finding::passed(CODE, "a key of the registry signed it while it was in use")
            .compared(key.key.id(), id),
        Some(time) => {
            let show = |time: Option<SystemTime>| {
                time.map_or_else(
                    || "…".to_owned(),
                    |t| humantime::format_rfc3339_seconds(t).to_string(),
                )
            };
            Finding::failed(CODE, "it was signed when the key was not in use")
                .compared(format!("{} to {}", show(key.starts), show(key.ends)), show(Some(*time)))
        }
    }
}
