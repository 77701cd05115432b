//! From flags to what a release must show: who has to have signed, by which root of trust, and what
//! else has to be there.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use clap::ValueHint;
use dsops_release_verify::evidence::{AllowedSigners, Key};
use dsops_release_verify::registry::npm::RegistryKeys;
use dsops_release_verify::{
    BUNDLE_LIMIT_BYTES, Demands, Evidence, IdentityRule, Leniency, Options, Pattern,
    ReleaseVerifier, Requirement, SignerPolicy, SignerRule, Thresholds, TrustRoots, Verifier,
};

use super::{files, rules};
use crate::exit::Exit;
use crate::report::{Failure, Report};

// Who must have signed, and what must be there.
#[derive(Debug, clap::Args)]
pub struct How {
    /// The name in the signer's certificate: a workflow, a mail address (`*` stands for anything
    /// but `/`, `**` for anything)
    #[arg(
        long, value_name = "NAME", group = "a_name", requires = "an_issuer", conflicts_with_all = ["policy", "key"],
        aliases = ["certificate-identity", "cert-identity"]
    )]
    pub identity: Option<String>,
    /// The same as a regular expression, which has to match the whole name
    #[arg(
        long, value_name = "REGEX", group = "a_name", requires = "an_issuer",
        conflicts_with_all = ["policy", "key"],
        aliases = ["certificate-identity-regexp", "identity-regexp"]
    )]
    pub identity_regex: Option<String>,
    /// Who vouched for that name: the address of the identity provider
    #[arg(
        long, value_name = "URL", id = "an_issuer", requires = "a_name",
        aliases = ["certificate-oidc-issuer", "cert-oidc-issuer"]
    )]
    pub issuer: Option<String>,
    /// A policy file of yours, or in short: `github:OWNER/REPO` (`@REF`), `npm:NAME@VERSION`,
    /// `pypi:github.com/OWNER/REPO`, `github-release:OWNER/REPO@TAG`
    #[arg(long, value_name = "POLICY", value_hint = ValueHint::FilePath)]
    pub policy: Option<OsString>,
    /// A public key: PEM, DER, minisign, signify, SSH, allowed signers, a registry's list of keys;
    /// any of several may sign
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub key: Vec<OsString>,
    /// A bundle by one of the keys needs no entry in a transparency log: nothing then proves when it
    /// was signed, and that it was in public
    #[arg(long, requires = "key")]
    pub keys_without_log: bool,
    /// Evidence that does not lie beside the artifact: a Sigstore bundle, a signature
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, alias = "evidence")]
    pub bundle: Vec<OsString>,
    /// Whom to trust instead of the roots that come with dsops: a `trusted_root.json` or lines of
    /// them
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub trusted_root: Option<OsString>,
    /// What must be there and be signed, besides a signature: checksums, provenance, sbom
    #[arg(long, value_name = "KIND", value_delimiter = ',', value_parser = requirement)]
    pub require: Vec<Requirement>,
}

impl How {
    /// Whether any of these flags was given.
    pub fn is_anything_said(&self) -> bool {
        let Self { identity, identity_regex, issuer, policy, key, bundle, .. } = self;
        let lists = [key.is_empty(), bundle.is_empty(), self.require.is_empty()];
        let texts = [identity.is_none(), identity_regex.is_none(), issuer.is_none()];
        !(lists.into_iter().chain(texts).all(|empty| empty)
            && policy.is_none()
            && self.trusted_root.is_none())
    }

    /// The engine that verifies as these flags say, by those roots of trust.
    ///
    /// # Errors
    /// Nobody is named who must have signed; a file cannot be read or is not what it should be.
    pub fn engine(
        &self,
        roots: impl FnOnce() -> Result<TrustRoots, Failure>,
        options: Options,
    ) -> Result<ReleaseVerifier, Failure> {
        self.engine_with(None, roots, options)
    }

    /// The same, where nobody needs to be named: then that policy holds.
    ///
    /// # Errors
    /// As [`How::engine`].
    pub fn engine_or(
        &self,
        policy: &str,
        roots: impl FnOnce() -> Result<TrustRoots, Failure>,
        options: Options,
    ) -> Result<ReleaseVerifier, Failure> {
        let is_named = self.issuer.is_some() || self.policy.is_some() || !self.key.is_empty();
        self.engine_with((!is_named).then(|| OsStr::new(policy)), roots, options)
    }

    fn engine_with(
        &self,
        policy: Option<&OsStr>,
        roots: impl FnOnce() -> Result<TrustRoots, Failure>,
        options: Options,
    ) -> Result<ReleaseVerifier, Failure> {
        let keys = Keys::read(&self.key)?;
        if let Some(policy) = policy.or(self.policy.as_deref()) {
            let mut policy = rules::read(policy, keys)?;
            for rule in &mut policy.rules {
                rule.demands = self.required(rule.demands.clone());
                rule.thresholds.keys_without_log |= self.keys_without_log;
            }
            // What is said now counts more than what was written down.
            policy.trusted_roots = policy.trusted_roots.filter(|_| self.trusted_root.is_none());
            // Last: they may have to be fetched, and a wrong command line is no reason to.
            return Ok(ReleaseVerifier::of_policy(policy, Verifier::new(roots()?), options));
        }
        let demands = self.required(Demands::new(self.signers(&keys)?));
        let mut thresholds = Thresholds::default();
        thresholds.keys_without_log = self.keys_without_log;
        let sigstore = Verifier::new(roots()?);
        let sigstore = sigstore.with_keys(keys.registry.trusted()).with_thresholds(thresholds);
        Ok(ReleaseVerifier::new(sigstore, keys.own, demands, options))
    }

    /// The evidence that was named, for the artifact `of` when there is only that one.
    ///
    /// # Errors
    /// A file cannot be read. What is in it is for the report to judge.
    pub fn evidence(&self, of: Option<&str>) -> Result<Vec<Evidence>, Failure> {
        let mut all = Vec::new();
        for file in &self.bundle {
            let bytes = files::read(file, BUNDLE_LIMIT_BYTES)
                .map_err(|error| Failure::new(Exit::Store, files::unreadable(file, &error)))?;
            let read = Evidence::read(&file.to_string_lossy(), &bytes, Leniency::default());
            all.extend(read.into_iter().map(|one| match of {
                Some(name) => one.named(name),
                None => one,
            }));
        }
        Ok(all)
    }

    fn required(&self, demands: Demands) -> Demands {
        self.require.iter().fold(demands, |demands, kind| demands.require(*kind))
    }

    /// Who has to have signed, of the flags other than `--policy`.
    fn signers(&self, keys: &Keys) -> Result<SignerPolicy, Failure> {
        let mut rules: Vec<SignerRule> = keys.own.iter().flat_map(Key::rules).collect();
        rules.extend(keys.registry.rules());
        if let Some(issuer) = &self.issuer {
            let name = match (&self.identity, &self.identity_regex) {
                (Some(text), _) => exact_or_glob(text),
                (None, Some(text)) => Pattern::regex(text.as_str()),
                (None, None) => return Err(nobody()),
            };
            let rule = IdentityRule::new(
                name.map_err(|error| rules::refused(&error))?,
                exact_or_glob(issuer).map_err(|error| rules::refused(&error))?,
            );
            rules.push(SignerRule::Certificate(rule));
        }
        let mut rules = rules.into_iter();
        let first = rules.next().ok_or_else(nobody)?;
        Ok(rules.fold(SignerPolicy::new(first), SignerPolicy::or))
    }
}

/// A requirement by its name.
fn requirement(word: &str) -> Result<Requirement, String> {
    Requirement::from_name(word).ok_or_else(|| {
        let names: Vec<&str> = Requirement::ALL.into_iter().map(Requirement::name).collect();
        format!("it is one of {}", names.join(", "))
    })
}

/// A star is no part of any name that signs, so whoever types one means a wildcard.
pub fn exact_or_glob(text: &str) -> Result<Pattern, dsops_release_verify::PatternError> {
    if text.contains('*') { Pattern::glob(text) } else { Pattern::exact(text) }
}

/// What `--key` names.
#[derive(Default)]
pub struct Keys {
    pub own: Vec<Key>,
    /// Those of a package registry.
    pub registry: RegistryKeys,
}

impl Keys {
    fn read(words: &[OsString]) -> Result<Self, Failure> {
        let mut keys = Self::default();
        for word in words {
            match key(word)? {
                Named::Own(key) => keys.own.push(key),
                Named::Registry(all) => keys.registry = keys.registry.and(all),
            }
        }
        Ok(keys)
    }
}

enum Named {
    Own(Key),
    Registry(RegistryKeys),
}

/// A public key in a file, or as the one line that minisign and SSH print; a registry's list.
fn key(word: &OsStr) -> Result<Named, Failure> {
    let bytes = match files::read(word, AllowedSigners::LIMIT_BYTES) {
        Ok(bytes) => bytes,
        Err(error) => {
            // A line that is a key is no file by accident.
            let line = word.to_str().and_then(|text| Key::parse(text.as_bytes()).ok());
            return line
                .map(Named::Own)
                .ok_or_else(|| Failure::new(Exit::Store, files::unreadable(word, &error)));
        }
    };
    let no_key = |error: &(dyn std::error::Error + 'static)| {
        let message = format!("{} is no public key that is read here", Path::new(word).display());
        let mut report = Report::error(message).because(error).help(
            "it is the publisher's public key: PEM, DER, minisign, signify, SSH, or a registry's list",
        );
        report.code = Some("verify/key");
        Failure::new(Exit::Config, report)
    };
    if bytes.trim_ascii_start().starts_with(b"{") {
        return RegistryKeys::read(&bytes).map(Named::Registry).map_err(|error| no_key(&error));
    }
    Key::parse(&bytes).map(Named::Own).map_err(|error| no_key(&error))
}

fn nobody() -> Failure {
    // Not taken by itself: the folder may be the one that was downloaded.
    let help = if Path::new(rules::FILE).is_file() {
        format!("if {0} here is yours: `--policy {0}`", rules::FILE)
    } else {
        "name the publisher: `--identity` and `--issuer`, `--policy github:OWNER/REPO` or FILE, or \
         `--key FILE`. `dsops verify explain BUNDLE` shows whom a bundle names"
            .to_owned()
    };
    let mut failure = Failure::usage("nobody is named who must have signed", help);
    for report in &mut failure.reports {
        report.code = Some("verify/no-signer");
    }
    failure
}
