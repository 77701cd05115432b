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
mod tests {
    use super::*;

    #[test]
    fn one_file_has_one_rule_however_its_path_is_spelt() {
        let policy = file(
            "version: 1\nsigners: { ci: { github: octo/demo }, any: { github: octo/other } }\n\
             artifacts: [{ match: 'dist/**', signed-by: ci }, { signed-by: any }]\n",
        )
        .unwrap();
        let is_strict = |name: &str| !policy.rule_for(name).unwrap().names.is_empty();
        for name in ["dist/app", "./dist/app", "dist//app", "x/../dist/./app", "dist/a/../app"] {
            assert!(is_strict(name), "{name}");
        }
        for name in ["app", "dist/../app", "../dist/app", "/dist/app", "dist/../../app"] {
            assert!(!is_strict(name), "{name}");
        }
    }

    const KEY: &str = "-----BEGIN PUBLIC KEY-----\n\
        MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n\
        -----END PUBLIC KEY-----\n";

    const OLD_KEY: &str = "-----BEGIN PUBLIC KEY-----\n\
        MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n\
        -----END PUBLIC KEY-----\n";

    fn file(text: &str) -> Result<PolicyFile, PolicyFileError> {
        let read = PolicyFile::read(text.as_bytes(), &Origin::new("p.yaml"), |name| match name {
            "keys/release.pub" => Ok(KEY.into()),
            "keys/old.pub" => Ok(OLD_KEY.into()),
            "roots/public.json" => Ok(sigstore_trust_root::SIGSTORE_PRODUCTION_TRUSTED_ROOT.into()),
            _ => Err(io::ErrorKind::NotFound.into()),
        });
        if read.is_ok() {
            let faults = super::super::schema::tests::faults(text);
            assert!(faults.is_empty(), "the schema refuses what is read: {faults:?}");
        }
        read
    }

    const FULL: &str = r#"
version: 1
trusted-roots: [roots/public.json]
signers:
  ci:
    github: octo/demo@v*
    claims: { runner-environment: github-hosted, trigger: { glob: "release*" } }
  lead:
    identity: lead@example.org
    issuer-glob: https://*.example.org
  offline: { key: keys/release.pub }
  old: { key: keys/old.pub, hint: old, valid-until: 2025-01-01T00:00:00Z }
artifacts:
  - match: ["*.tar.gz", "bin/**"]
    signed-by: [ci, lead]
    threshold: 2
    require: [provenance, sbom]
    provenance:
      source: github.com/octo/demo
      versioned-tag: v1
      hosted-runners-only: true
      inputs: { channel: stable }
    logs: 1
    timestamps: 2
  - signed-by: offline
    keys-without-log: true
"#;

    #[test]
    fn everything_a_policy_file_may_hold() {
        let file = file(FULL).unwrap();
        assert_eq!(file.trusted_roots.as_ref().unwrap().iter().count(), 1);
        assert_eq!((file.keys.len(), file.trusted_keys.len()), (1, 1));
        let rule = file.rule_for("dist/demo-1.0.tar.gz").unwrap();
        assert_eq!(rule.demands.signers().threshold(), 2);
        assert_eq!(rule.demands.signers().signers().len(), 2);
        assert_eq!((rule.thresholds.logs, rule.thresholds.times), (1, 2));
        let words: Vec<_> = rule.demands.requirements().map(Requirement::name).collect();
        assert_eq!(words, ["signature", "provenance", "sbom"]);
        assert!(std::ptr::eq(file.rule_for("bin/a/b").unwrap(), rule));
        let other = file.rule_for("README.md").unwrap();
        assert!(other.thresholds.keys_without_log);
        let mut signers = other.demands.signers().signers();
        assert!(matches!(signers.next(), Some([SignerRule::Key { .. }])));
    }

    #[test]
    fn an_image_has_a_rule_by_all_of_its_repository() {
        let policy = file(
            "version: 1\nsigners: { ci: { github: octo/demo } }\nartifacts:\n  \
             - { match: [app, '*.gz'], require: sbom }\n  \
             - { match: ['ghcr.io/octo/app', 'ghcr.io/team/*'], threshold: 1 }\n  \
             - { match: '**/loose' }\n",
        )
        .unwrap();
        let place = |rule: Option<&ArtifactRule>| rule.map(|rule| rule.place.line);
        let image = |name: &str| place(policy.rule_for_image(name));
        assert_eq!(image("ghcr.io/octo/app"), Some(5));
        assert_eq!(image("ghcr.io/team/any"), Some(5));
        assert_eq!(image("ghcr.io/a/b/loose"), Some(6));
        for other in ["ghcr.io/evil/app", "app", "evil.example/x.gz", "ghcr.io/team/a/b"] {
            let by_name = ["app"].contains(&other).then_some(4);
            assert_eq!(image(other), by_name, "{other}");
        }
        // A file, and an archive or folder with an image in it, by its name alone too.
        assert_eq!(place(policy.rule_for("downloads/app")), Some(4));
        let all = file("version: 1\nsigners: { ci: { github: octo/demo } }\n").unwrap();
        assert!(all.rule_for_image("ghcr.io/octo/app").is_some());
    }

    #[test]
    fn two_keys_of_one_signer_are_not_two_signers() {
        let text = |signers: &str| {
            format!("version: 1\nsigners: {{ {signers} }}\nartifacts:\n  - threshold: 2\n")
        };
        // The same key at other times would be good at the times of both.
        let times = "[{ key: keys/release.pub, valid-until: 2025-01-01T00:00:00Z }]";
        let twice = file(&text(&format!("old: {times}, new: {{ key: keys/release.pub }}")));
        assert!(twice.unwrap_err().problem.contains("other times"));
        assert!(file(&text(&format!("old: {times}, new: {times}"))).is_ok());
        let keys = "[{ key: keys/release.pub }, { key: keys/release.pub, hint: spare }]";
        assert!(file(&text(&format!("ann: {keys}"))).is_err());
        let policy = file(&text(&format!("ann: {keys}, bob: {{ github: o/a }}"))).unwrap();
        assert_eq!((policy.keys.len(), policy.trusted_keys.len()), (1, 1));
        let mut signers = policy.rules[0].demands.signers().signers();
        assert_eq!(signers.next().map(<[_]>::len), Some(2));
    }

    #[test]
    fn registries() {
        let text = "version: 1\nsigners: { npm: { registry: npm }, hub: { registry: github-releases }, ci: { github: octo/demo } }\n\
                    artifacts:\n  - { match: '*.tgz', published: 'npm:@octo/demo', signed-by: npm }\n  \
                    - { match: '*.whl', published: pypi, signed-by: ci }\n  \
                    - { published: 'github-release:octo/demo@v1', signed-by: hub }\n";
        let policy = file(text).unwrap();
        assert_eq!((policy.keys.len(), policy.trusted_keys.len()), (0, 2));
        let published = |name: &str| &policy.rule_for(name).unwrap().demands.publication;
        assert!(
            matches!(published("a.tgz"), Some(Publication::Npm { keys, .. }) if keys.keys().len() == 2)
        );
        assert_eq!(*published("a.whl"), Some(Publication::Pypi));
        assert!(matches!(published("a"), Some(Publication::GithubRelease(_))));
    }

    #[test]
    fn without_artifacts_it_is_for_all_and_any_signer() {
        let file =
            file("version: 1\nsigners: { a: { github: o/a }, b: { github: o/b } }\n").unwrap();
        let rule = file.rule_for("x").unwrap();
        assert_eq!(
            (rule.demands.signers().threshold(), rule.demands.signers().signers().len()),
            (1, 2)
        );
    }

    #[test]
    fn what_is_wrong_is_shown_with_its_place() {
        let ok = "version: 1\nsigners:\n  a: { github: o/a }\n";
        for (text, place, word) in [
            ("", "1:1", "empty"),
            ("version: 2\n", "1:10", "version 1"),
            ("version: 1\n", "1:1", "signers"),
            ("version: 1\nsigners: {}\n", "1:1", "no signer"),
            ("version: 1\nsigner: {}\n", "1:1", "signers"),
            (&format!("{ok}artefacts: []\n"), "4:1", "artifacts"),
            (&format!("{ok}artifacts: []\n"), "4:12", "no artifact"),
            ("version: 1\nsigners:\n  a: { identity: x }\n", "3:6", "issuer"),
            ("version: 1\nsigners:\n  a: { issuer: x }\n", "3:6", "identity"),
            ("version: 1\nsigners:\n  a: { github: o/a/b }\n", "3:16", "repository"),
            ("version: 1\nsigners:\n  a: { key: nothing.pub }\n", "3:13", "not found"),
            (
                "version: 1\nsigners:\n  a: { github: o/a, claims: { repo: x } }\n",
                "3:31",
                "repository",
            ),
            (
                "version: 1\nsigners:\n  a: { identity-regex: \".*\", issuer: x }\n",
                "3:24",
                "anything",
            ),
            (
                "version: 1\nsigners:\n  a: { identity: x, identity-glob: y*, issuer: x }\n",
                "3:36",
                "three",
            ),
            (&format!("{ok}artifacts:\n  - signed-by: [b]\n"), "5:17", "signer"),
            (&format!("{ok}artifacts:\n  - threshold: 2\n"), "5:5", "more signers"),
            (&format!("{ok}artifacts:\n  - threshold: 0\n"), "5:5", "more signers"),
            (
                &format!("{ok}artifacts:\n  - signed-by: [a, a]\n    threshold: 2\n"),
                "5:20",
                "twice",
            ),
            (&format!("{ok}artifacts:\n  - published: npm:x@1.0\n"), "5:16", "registry: npm"),
            (&format!("{ok}artifacts:\n  - published: npm\n"), "5:16", "npm:NAME"),
            ("version: 1\nsigners: { a: { registry: npm } }\n", "1:1", "signs every package"),
            (
                "version: 1\nsigners: { a: { registry: github-releases } }\nartifacts: [{ published: pypi }]\n",
                "3:13",
                "signs every release",
            ),
            ("version: 1\nsigners:\n  a: []\n", "3:6", "way"),
            ("version: 1\nsigners:\n  a: { registry: nmp }\n", "3:18", "`npm`"),
            ("version: 1\nsigners:\n  a: { gitlab: octo }\n", "3:16", "GitLab"),
            (&format!("{ok}artifacts:\n  - threshold: x\n"), "5:16", "number"),
            (&format!("{ok}artifacts:\n  - require: [provenence]\n"), "5:15", "provenance"),
            (&format!("{ok}artifacts:\n  - match: '**'\n"), "5:12", "leave"),
            (&format!("{ok}artifacts:\n  - provenance: {{ tag: v1 }}\n"), "5:17", "source"),
            (&format!("{ok}artifacts:\n  - keys-without-log: yes\n"), "5:23", "true or false"),
            // What reads as nobody or nothing, and would be everybody and everything.
            (&format!("{ok}artifacts:\n  - signed-by: []\n"), "5:16", "leave it out"),
            (&format!("{ok}artifacts:\n  - match: []\n"), "5:12", "leave it out"),
            (&format!("{ok}artifacts:\n  - require: []\n"), "5:14", "leave it out"),
            (&format!("{ok}trusted-roots: []\n"), "4:16", "leave it out"),
            ("version: 1\nsigners:\n  a: { github: o/a, claims: {} }\n", "3:29", "leave it out"),
            (
                &format!("{ok}artifacts:\n  - provenance: {{ source: a.b/c/d, builder: [] }}\n"),
                "5:45",
                "leave it out",
            ),
            (
                &format!(
                    "{ok}artifacts:\n  - provenance: {{ source: a.b/c/d, builder: 'https://x', isolated-builders: true }}\n"
                ),
                "5:45",
                "not both",
            ),
            // Patterns that fit no name, so that a later rule would hold.
            (&format!("{ok}artifacts:\n  - match: ./dist/x\n"), "5:12", "without `./`"),
            (&format!("{ok}artifacts:\n  - match: dist/\n"), "5:12", "without `./`"),
            (&format!("{ok}artifacts:\n  - match: [a, x/../b]\n"), "5:16", "without `./`"),
            (&format!("{ok}artifacts:\n  - match: '*.{{gz,zip}}'\n"), "5:12", "brace"),
            (&format!("{ok}artifacts:\n  - match: \u{430}pp\n"), "5:12", "\\u0430"),
            (&format!("{ok}artifacts:\n  - match: *.gz\n"), "5:12", "quotes"),
            (&format!("{ok}artifacts:\n  - threshold: 010\n"), "5:16", "number"),
            (&format!("{ok}artifacts:\n  - threshold: +1\n"), "5:16", "number"),
            (
                "version: 1\nsigners:\n  a: { identity: https://x/*, issuer: x }\n",
                "3:18",
                "identity-glob",
            ),
            (
                "version: 1\nsigners:\n  a: { github: o/a, claims: { ref: refs/tags/v* } }\n",
                "3:36",
                "glob",
            ),
            // Files only.
            ("version: 1\nsigners:\n  a: { key: '-' }\n", "3:13", "standard input"),
            ("version: 1\nsigners:\n  a: { registry-keys: '-' }\n", "3:23", "standard input"),
            (&format!("{ok}trusted-roots: ['-']\n"), "4:17", "standard input"),
            ("version: 1\nsigners:\n  a: { key: '' }\n", "3:13", "file"),
            ("version: 1\nsigners:\n  a: { key: 'https://x/k' }\n", "3:13", "fetched"),
            (
                "version: 1\nsigners:\n  a: { key: keys/release.pub, valid-from: 2025-01-01T00:00:00Z, valid-until: 2024-01-01T00:00:00Z }\n",
                "3:13",
                "at no time",
            ),
            (&format!("{ok}artifacts:\n  - match:\n"), "5:10", "missing"),
            ("version: 1\nsigners:\n  a: { identity: null, issuer: x }\n", "3:18", "missing"),
            ("version: 1\nsigners: { <<: { a: { github: o/a } } }\n", "2:12", "merge"),
            ("version: 1\nsigners: &x {}\n", "2:13", "anchors"),
            ("version: 1\nversion: 1\n", "2:1", "twice"),
        ] {
            let error = file(text).unwrap_err();
            let shown = format!("{error} {}", error.help.as_deref().unwrap_or_default());
            assert!(shown.starts_with(&format!("p.yaml:{place}: ")), "{text:?}: {shown}");
            assert!(shown.contains(word), "{text:?}: {shown}");
        }
    }
}
