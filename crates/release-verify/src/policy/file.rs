//! `dsops-verify.yaml`: what a project asks of its releases, as a file that can be checked in.
//!
//! ```yaml
//! version: 1
//! trusted-roots: [roots/internal.json]   # instead of those that come with dsops
//! signers:
//!   ci:
//!     github: octo/demo@v*
//!     claims: { runner-environment: github-hosted }
//!   lead:
//!     identity: lead@example.org         # or identity-glob, identity-regex
//!     issuer: https://accounts.google.com
//!   offline:                             # any of these ways, and still one signer
//!     - key: keys/release.pub
//!     - key: keys/spare.pub
//!   npm: { registry: npm }               # its keys come with dsops; or registry-keys: FILE
//! artifacts:
//!   - match: ["*.tar.gz", "*.zip"]
//!     signed-by: [ci, lead]
//!     threshold: 2
//!     require: [provenance, sbom]
//!     provenance: { source: github.com/octo/demo, versioned-tag: v1 }
//!   - match: "*.tgz"
//!     published: npm:@octo/demo          # or pypi, or github-release:octo/demo@v1.2.3
//!     signed-by: [npm, ci]
//!   - signed-by: [ci, lead, offline]     # everything else
//! ```

use std::borrow::Cow;
use std::fmt;
use std::io;

use super::read::{Section, Text, Trouble};
use super::signers::{Found, KeyUse, NamedSigner, signer};
use super::{Pattern, SignerPolicy, SignerRule, yaml};
use crate::evidence::Key;
use crate::registry::npm::RegistryKeys;
use crate::statement::ProvenanceRules;
use crate::verify::Publication;
use crate::{Demands, Origin, Requirement, Thresholds, TrustRoots, TrustedKey};

/// How long a policy file may be.
pub const POLICY_LIMIT_BYTES: usize = 1024 * 1024;

/// A policy file, read.
#[derive(Debug)]
#[non_exhaustive]
pub struct PolicyFile {
    /// The roots of trust that it names; `None` when it leaves them to the caller.
    pub trusted_roots: Option<TrustRoots>,
    /// Keys that make signatures good, for the verdict's engine.
    pub keys: Vec<Key>,
    /// Keys with a hint or a time, for the verifier of bundles only.
    pub trusted_keys: Vec<TrustedKey>,
    /// What is asked of which artifacts; the first that matches holds.
    pub rules: Vec<ArtifactRule>,
    /// The signers as the file names them.
    pub(super) signers: Vec<NamedSigner>,
}

/// What a policy file asks of some artifacts.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ArtifactRule {
    /// Names it is for; all when there are none.
    pub names: Vec<Pattern>,
    /// What has to be shown.
    pub demands: Demands,
    /// How much proof that takes.
    pub thresholds: Thresholds,
    /// Where it stands, and which signers it names there; all when there are none.
    pub(super) place: yaml::Place,
    pub(super) signed_by: Vec<String>,
}

/// A policy file that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{origin}:{line}:{column}: {problem}")]
#[non_exhaustive]
pub struct PolicyFileError {
    /// The file.
    pub origin: Origin,
    /// Where in it, counted from 1.
    pub line: usize,
    /// The character in the line, counted from 1.
    pub column: usize,
    /// What is wrong there.
    pub problem: String,
    /// What may have been meant.
    pub help: Option<String>,
}

impl PolicyFile {
    /// Reads a policy file. The files that it names (keys, roots) are read by `open`, which gets
    /// their names as they stand there: they mean files beside the policy file.
    ///
    /// # Errors
    /// The first thing wrong, with its place.
    ///
    /// # Examples
    /// ```
    /// use dsops_release_verify::{Origin, PolicyFile};
    /// let text = b"version: 1\nsigners: { ci: { github: octo/demo } }\n";
    /// let policy = PolicyFile::read(text, &Origin::new("dsops-verify.yaml"), |name| {
    ///     std::fs::read(name)
    /// })?;
    /// assert!(policy.rule_for("demo-1.0.tar.gz").is_some());
    /// # Ok::<(), dsops_release_verify::PolicyFileError>(())
    /// ```
    pub fn read(
        content: &[u8],
        origin: &Origin,
        mut open: impl FnMut(&str) -> io::Result<Vec<u8>>,
    ) -> Result<Self, PolicyFileError> {
        read(content, &mut open).map_err(|trouble| PolicyFileError {
            origin: origin.clone(),
            line: trouble.place.line,
            column: trouble.place.column,
            problem: trouble.problem,
            help: trouble.help,
        })
    }

    /// What is asked of the file of that name: its path as the user gave it, or below the folder
    /// of the release. `None` when no rule is for it: then nothing can be decided.
    pub fn rule_for(&self, name: &str) -> Option<&ArtifactRule> {
        self.rules.iter().find(|rule| ArtifactRule::takes(&rule.names, name))
    }

    /// The same of an image in that repository of a registry, `HOST/NAME`: a rule that names less
    /// than all of it is for files.
    pub fn rule_for_image(&self, repository: &str) -> Option<&ArtifactRule> {
        self.rules.iter().find(|rule| ArtifactRule::takes_image(&rule.names, repository))
    }

    /// A policy of one rule for everything.
    pub(super) fn of_demands(demands: Demands) -> Self {
        let rule = ArtifactRule {
            names: Vec::new(),
            demands,
            thresholds: Thresholds::default(),
            place: yaml::Place { line: 1, column: 1 },
            signed_by: Vec::new(),
        };
        Self { rules: vec![rule], ..Self::empty() }
    }

    fn empty() -> Self {
        Self {
            trusted_roots: None,
            keys: Vec::new(),
            trusted_keys: Vec::new(),
            rules: Vec::new(),
            signers: Vec::new(),
        }
    }
}

impl ArtifactRule {
    /// Whether a rule for these names is for an image in that repository: by all of its name.
    pub(crate) fn takes_image(names: &[Pattern], repository: &str) -> bool {
        names.is_empty() || names.iter().any(|own| own.matches(repository))
    }

    /// Whether a rule for these names is for a file of that name: by all of it, or by what
    /// stands behind the last `/`.
    pub(crate) fn takes(names: &[Pattern], name: &str) -> bool {
        let name = &*plain(name);
        let last = name.rsplit('/').next().unwrap_or(name);
        names.is_empty() || names.iter().any(|own| own.matches(name) || own.matches(last))
    }
}

/// A path without what changes its spelling only: `./a//b` and `c/../a/b` are `a/b`. Or another
/// rule would hold than for the same file named shortly.
fn plain(path: &str) -> Cow<'_, str> {
    let odd = |part: &str| matches!(part, "" | "." | "..");
    if !path.split('/').any(odd) {
        return Cow::Borrowed(path);
    }
    let mut parts: Vec<&str> = Vec::new();
    for (index, part) in path.split('/').enumerate() {
        match part {
            "." => {}
            // The first one is the root.
            "" if index > 0 => {}
            ".." if parts.last().is_some_and(|last| !matches!(*last, "" | "..")) => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    Cow::Owned(parts.join("/"))
}

pub(super) type Open<'a> = &'a mut dyn FnMut(&str) -> io::Result<Vec<u8>>;

fn read(content: &[u8], open: Open<'_>) -> Result<PolicyFile, Trouble> {
    let start = yaml::Place { line: 1, column: 1 };
    if content.len() > POLICY_LIMIT_BYTES {
        return Err(Trouble::at(start, format!("more than {POLICY_LIMIT_BYTES} bytes")));
    }
    let text = std::str::from_utf8(content).map_err(|_| Trouble::at(start, "not UTF-8"))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let root = yaml::parse(text)
        .map_err(|(place, problem)| Trouble::at(place, problem))?
        .ok_or_else(|| Trouble::at(start, "empty: a policy names at least one signer"))?;
    let mut top = Section::of(&root, "a policy")?;
    let version = top.text("version")?;
    if version.text != "1" {
        return Err(Trouble::at(version.place, "only version 1 is known"));
    }
    let mut file = PolicyFile::empty();
    for path in top.texts("trusted-roots")? {
        let content = open(path.path()?).map_err(|error| path.trouble(&error))?;
        let roots = TrustRoots::load(&content, &Origin::new(path.text), None)
            .map_err(|error| path.trouble(&error))?;
        file.trusted_roots = Some(match file.trusted_roots.take() {
            Some(others) => others.and(roots),
            None => roots,
        });
    }
    let mut known: Vec<KeyUse> = Vec::new();
    for (name, field) in top.required("signers")?.entries()? {
        let Found { signer, uses, keys, trusted } = signer(name, &field, open)?;
        for key in uses {
            if known.iter().any(|other| other.contradicts(&key)) {
                let problem = "the same key is there with other times: it would be good at both";
                return Err(Trouble::at(key.place, problem));
            }
            known.push(key);
        }
        file.signers.push(signer);
        file.keys.extend(keys);
        file.trusted_keys.extend(trusted);
    }
    let Some(all) = top.optional("artifacts") else {
        let policy = policy_of(file.signers.iter(), 1)
            .ok_or_else(|| Trouble::at(root.place, "no signer is named"))?;
        let wanted: Vec<&NamedSigner> = file.signers.iter().collect();
        bound(root.place, &wanted, None)?;
        top.end()?;
        let PolicyFile { rules, .. } = PolicyFile::of_demands(Demands::new(policy));
        return Ok(PolicyFile { rules, ..file });
    };
    for section in all.items()? {
        let rule = artifact_rule(section, &file.signers)?;
        file.rules.push(rule);
    }
    if file.rules.is_empty() {
        return Err(Trouble::at(all.place, "no artifact is named; leave `artifacts` out for all"));
    }
    top.end()?;
    Ok(file)
}

/// Any of those signers, so many of them; `None` when there is none, or fewer.
fn policy_of<'a>(
    signers: impl Iterator<Item = &'a NamedSigner>,
    threshold: usize,
) -> Option<SignerPolicy> {
    let mut all = signers.filter_map(|signer| SignerPolicy::of_one(signer.rules.iter().cloned()));
    let first = all.next()?;
    all.fold(first, SignerPolicy::and_those_of).at_least(threshold).ok()
}

fn artifact_rule(
    mut section: Section<'_>,
    signers: &[NamedSigner],
) -> Result<ArtifactRule, Trouble> {
    let place = section.place();
    let names = section
        .texts("match")?
        .into_iter()
        .map(|text| name_pattern(&text))
        .collect::<Result<Vec<_>, _>>()?;
    let (mut wanted, mut signed_by) = (Vec::new(), Vec::new());
    for name in section.texts("signed-by")? {
        let signer = signers.iter().find(|signer| signer.name == name.text).ok_or_else(|| {
            name.unknown("signer", signers.iter().map(|signer| signer.name.as_str()))
        })?;
        if signed_by.contains(&signer.name) {
            return Err(name.wrong("the same signer twice: one signer counts once"));
        }
        signed_by.push(signer.name.clone());
        wanted.push(signer);
    }
    if wanted.is_empty() {
        wanted.extend(signers);
    }
    let threshold = section.number("threshold")?;
    let policy = policy_of(wanted.iter().copied(), threshold.unwrap_or(1))
        .ok_or_else(|| Trouble::at(place, "asks for more signers than it names, or for none"))?;
    let mut demands = Demands::new(policy);
    for name in section.texts("require")? {
        let requirement = Requirement::from_name(name.text)
            .ok_or_else(|| name.unknown("requirement", Requirement::ALL.map(Requirement::name)))?;
        demands = demands.require(requirement);
    }
    let published = match section.optional_text("published")? {
        Some(text) => Some(publication(&text, &wanted)?),
        None => None,
    };
    bound(place, &wanted, published.as_ref())?;
    if let Some(publication) = published {
        demands = demands.published(publication);
    }
    if let Some(rules) = section.optional("provenance") {
        demands = demands.provenance(provenance(rules.section()?)?);
    }
    let mut thresholds = Thresholds::default();
    thresholds.logs = section.number("logs")?.unwrap_or(thresholds.logs);
    thresholds.scts = section.number("certificate-logs")?.unwrap_or(thresholds.scts);
    thresholds.times = section.number("timestamps")?.unwrap_or(thresholds.times);
    thresholds.keys_without_log = section.flag("keys-without-log")?;
    section.end()?;
    Ok(ArtifactRule { names, demands, thresholds, place, signed_by })
}

/// A pattern for names, spelt as names are: another would fit none, and a later rule would hold.
fn name_pattern(text: &Text<'_>) -> Result<Pattern, Trouble> {
    // Everything is what a rule without names is for.
    if matches!(text.text, "*" | "**") {
        return Err(text.wrong("leave `match` out for everything"));
    }
    let pattern = Pattern::glob(text.text).map_err(|error| text.trouble(&error))?;
    let mut before = "..";
    for (index, part) in text.text.split('/').enumerate() {
        let is_odd = match part {
            "" => index > 0,
            "." => true,
            ".." => before != "..",
            _ => false,
        };
        if is_odd {
            let mut trouble = text.wrong("no name is spelt so");
            let help = "write a path without `./`, `//`, `x/..` and a `/` at its end";
            trouble.help = Some(help.to_owned());
            return Err(trouble);
        }
        before = part;
    }
    Ok(pattern)
}

fn publication(text: &Text<'_>, wanted: &[&NamedSigner]) -> Result<Publication, Trouble> {
    let keys = RegistryKeys::of(wanted.iter().flat_map(|signer| &signer.registry_keys).cloned());
    let is_npm = !keys.keys().is_empty();
    let publication = Publication::parse(text.text, keys).map_err(|error| text.trouble(&error))?;
    if matches!(publication, Publication::Npm { .. }) && !is_npm {
        let mut trouble = text.wrong("no signer of this rule is the registry");
        trouble.help = Some("name one as `registry: npm` and list it in `signed-by`".to_owned());
        return Err(trouble);
    }
    Ok(publication)
}

/// A rule that takes one text.
type Set = fn(ProvenanceRules, &str) -> Result<ProvenanceRules, crate::statement::RuleError>;

/// A registry signs for everybody who publishes there: it is a signer only of what it is said to
/// have published.
fn bound(
    place: yaml::Place,
    wanted: &[&NamedSigner],
    published: Option<&Publication>,
) -> Result<(), Trouble> {
    let is_npm = matches!(published, Some(Publication::Npm { .. }));
    let is_release = matches!(published, Some(Publication::GithubRelease(_)));
    for signer in wanted {
        let problem = if !signer.registry_keys.is_empty() && !is_npm {
            "signs every package: add `published: npm:NAME`"
        } else if signer.rules.contains(&SignerRule::GithubRelease) && !is_release {
            "signs every release: add `published: github-release:OWNER/REPO@TAG`"
        } else {
            continue;
        };
        return Err(Trouble::at(place, format!("`{}` {problem}", signer.name.escape_debug())));
    }
    Ok(())
}

fn provenance(mut section: Section<'_>) -> Result<ProvenanceRules, Trouble> {
    let source = section.text("source")?;
    let mut rules = ProvenanceRules::new(source.text).map_err(|error| source.trouble(&error))?;
    let builders = section.texts("builder")?;
    for builder in &builders {
        rules = rules.builder(builder.text).map_err(|error| builder.trouble(&error))?;
    }
    if section.flag("isolated-builders")? {
        if let Some(builder) = builders.first() {
            return Err(builder.wrong("name builders, or say `isolated-builders`: not both"));
        }
        rules = rules.isolated_builders();
    }
    if section.flag("hosted-runners-only")? {
        rules = rules.hosted_runners_only();
    }
    let fallible: [(&'static str, Set); 4] = [
        ("branch", ProvenanceRules::branch),
        ("tag", ProvenanceRules::tag),
        ("versioned-tag", ProvenanceRules::versioned_tag),
        ("commit", ProvenanceRules::commit),
    ];
    for (name, set) in fallible {
        if let Some(text) = section.optional_text(name)? {
            rules = set(rules, text.text).map_err(|error| text.trouble(&error))?;
        }
    }
    if let Some(text) = section.optional_text("build-type")? {
        rules = rules.build_type(text.text);
    }
    if let Some(text) = section.optional_text("trigger")? {
        rules = rules.trigger(text.text);
    }
    if let Some(text) = section.optional_text("workflow")? {
        rules = rules.workflow(text.text);
    }
    if let Some(inputs) = section.optional("inputs") {
        for (name, value) in inputs.filled()? {
            rules = rules.input(name.text, value.text()?.text);
        }
    }
    section.end()?;
    Ok(rules)
}

impl fmt::Display for ArtifactRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.names.as_slice() {
            [] => f.write_str("everything")?,
            names => {
                for (index, name) in names.iter().enumerate() {
                    write!(f, "{}{}", if index == 0 { "" } else { ", " }, name.as_str())?;
                }
            }
        }
        write!(f, " signed by {} of {}", self.demands.signers().threshold(), self.demands.signers())
    }
}

#[cfg(test)]
mod tests;
