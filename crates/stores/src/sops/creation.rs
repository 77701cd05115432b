//! Creation rules: what `.sops.yaml` says about a file that is to be made.

use std::{
    path::{Path, PathBuf},
    str::FromStr as _,
};

use dsops_resolver::{
    suggest,
    yaml::{self, Node, Scalar},
};

use super::{
    Error, Format, Place,
    rules::{self, DEFAULT_SUFFIX},
};
use crate::{
    age::Recipient,
    file::{self, FileError},
};

const CONFIG: &str = ".sops.yaml";
/// How far up sops looks.
const DEPTH_LIMIT: usize = 100;
const CONFIG_LIMIT_BYTES: u64 = 1 << 20;
/// Nested `merge:` of key groups.
const MERGE_LIMIT: usize = 16;
/// Ways to name recipients that cannot be written for.
const OTHERS: [&str; 6] =
    ["kms", "gcp_kms", "hckms", "azure_keyvault", "hc_vault_transit_uri", "pgp"];
const GROUP_OTHERS: [&str; 6] = ["kms", "gcp_kms", "hckms", "azure_keyvault", "hc_vault", "pgp"];
const OTHER_SETTINGS: [&str; 6] =
    ["path_regex", "age", "key_groups", "shamir_threshold", "aws_profile", "mac_only_encrypted"];

/// How a new document is made: for whom, and what of it is encrypted.
#[derive(Clone, Debug)]
pub struct CreationRule {
    pub(super) recipients: Vec<Recipient>,
    pub(super) mac_only_encrypted: bool,
    encrypts: Option<(&'static str, String)>,
    place: Option<Place>,
}

impl CreationRule {
    /// The rule of sops for files without one: everything is encrypted but what is below a key
    /// that ends with `_unencrypted`.
    pub fn new(recipients: &[Recipient]) -> Self {
        Self {
            recipients: recipients.to_vec(),
            mac_only_encrypted: false,
            encrypts: None,
            place: None,
        }
    }

    /// The rule for a file that is to be made: the first one of the nearest `.sops.yaml`, from the
    /// folder of the file upwards, whose `path_regex` matches the path of the file relative to the
    /// folder of that `.sops.yaml`. `None` where there is no such file, or it has no rules.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::Syntax`], [`Error::Creation`] for what is malformed or unknown,
    /// and when no rule matches; [`Error::Pattern`], [`Error::Recipient`],
    /// [`Error::ForeignRecipients`] when the rule names recipients that are no age recipients,
    /// [`Error::Unsupported`] when it splits the data key over several key groups.
    pub fn find(path: &Path) -> Result<Option<Self>, Error> {
        let io = |source| FileError::Io { action: "find", path: path.to_owned(), source };
        let path = normal(&std::path::absolute(path).map_err(io)?);
        for folder in path.ancestors().skip(1).take(DEPTH_LIMIT) {
            let config = folder.join(CONFIG);
            if !config.is_file() {
                continue;
            }
            let name = config.display().to_string();
            let bytes = file::read(&config, CONFIG_LIMIT_BYTES)?;
            let text =
                String::from_utf8(bytes).map_err(|_| Error::NotText { file: name.clone() })?;
            let relative = path.strip_prefix(folder).unwrap_or(&path);
            let parts: Vec<_> = relative.iter().map(|part| part.to_string_lossy()).collect();
            return Self::of(&name, &text, &parts.join("/"));
        }
        Ok(None)
    }

    /// The rule of a `.sops.yaml` for a path that is relative to its folder.
    ///
    /// # Errors
    /// Those of [`CreationRule::find`] but [`Error::File`].
    pub fn of(config: &str, text: &str, path: &str) -> Result<Option<Self>, Error> {
        let root = yaml::parse(text).map_err(|source| Error::Syntax {
            file: config.to_owned(),
            format: Format::Yaml,
            source: Box::new(source),
        })?;
        let reader = Reader { config };
        let Some(rules) = root.get("creation_rules").filter(|rules| !rules.is_null()) else {
            return Ok(None);
        };
        let items = rules
            .as_sequence()
            .ok_or_else(|| reader.fail(rules, "`creation_rules` is not a list"))?;
        for item in items {
            reader.check_settings(item)?;
            let matches = match reader.text(item, "path_regex")? {
                Some((pattern, node)) => reader.regex(node, pattern)?.is_match(path),
                None => true,
            };
            if matches {
                return reader.rule(item).map(Some);
            }
        }
        Err(reader.fail(rules, &format!("no creation rule matches `{path}`")))
    }

    /// For whom the file is.
    pub fn recipients(&self) -> &[Recipient] {
        &self.recipients
    }

    /// Where the rule stands, if it was read from a file.
    pub fn place(&self) -> Option<&Place> {
        self.place.as_ref()
    }

    /// The setting that says what is encrypted.
    pub(super) fn encrypts(&self) -> (&str, &str) {
        match &self.encrypts {
            Some((name, value)) => (name, value),
            None => ("unencrypted_suffix", DEFAULT_SUFFIX),
        }
    }
}

struct Reader<'a> {
    config: &'a str,
}

impl Reader<'_> {
    /// A misspelled setting would make a file that is not what its rule says.
    fn check_settings(&self, rule: &Node) -> Result<(), Error> {
        let entries =
            rule.as_mapping().ok_or_else(|| self.fail(rule, "a creation rule is not a mapping"))?;
        let known = || OTHERS.into_iter().chain(OTHER_SETTINGS).chain(rules::NAMES);
        for (name, _) in entries {
            let text = name.as_str().unwrap_or_default();
            if !known().any(|known| known == text) {
                let hint = suggest(text, known()).map(|name| format!("; did you mean `{name}`?"));
                let reason = format!(
                    "`{text}` is no setting of a creation rule{}",
                    hint.unwrap_or_default()
                );
                return Err(self.fail(name, &reason));
            }
        }
        Ok(())
    }

    fn rule(&self, rule: &Node) -> Result<CreationRule, Error> {
        let mut recipients = Vec::new();
        let mut foreign = Vec::new();
        let groups = rule.get("key_groups").filter(|groups| !groups.is_null());
        match groups.map(|groups| (groups, groups.as_sequence())) {
            Some((groups, None)) => return Err(self.fail(groups, "`key_groups` is not a list")),
            Some((groups, Some([_, _, ..]))) => {
                let what = "a data key that is split over several key groups".to_owned();
                return Err(Error::Unsupported { place: self.place(groups), what });
            }
            Some((_, Some([group]))) => self.group(group, 0, &mut recipients, &mut foreign)?,
            Some((_, Some([]))) | None => {
                self.recipients(rule, "age", &mut recipients)?;
                for kind in OTHERS {
                    let names = self.names(rule, kind)?;
                    foreign.extend(names.iter().map(|(name, _)| format!("{kind} {name}")));
                }
            }
        }
        if !foreign.is_empty() {
            return Err(Error::ForeignRecipients { place: self.place(rule), needs: foreign });
        }
        if recipients.is_empty() {
            return Err(self.fail(rule, "the rule names no recipient"));
        }
        let mut encrypts = None;
        for name in rules::NAMES {
            let Some((value, node)) = self.text(rule, name)? else { continue };
            if encrypts.is_some() {
                return Err(self.fail(node, "more than one setting says what is encrypted"));
            }
            if name.ends_with("_regex") {
                self.regex(node, value)?;
            }
            encrypts = Some((name, value.to_owned()));
        }
        let flag = rule.get("mac_only_encrypted").map(|node| (node, node.scalar()));
        let mac_only_encrypted = match flag {
            None | Some((_, Some(Scalar::Null))) => false,
            Some((_, Some(Scalar::Bool(flag)))) => flag,
            Some((node, _)) => return Err(self.fail(node, "a flag is neither true nor false")),
        };
        let place = Some(self.place(rule));
        Ok(CreationRule { recipients, mac_only_encrypted, encrypts, place })
    }

    fn group(
        &self,
        group: &Node,
        depth: usize,
        recipients: &mut Vec<Recipient>,
        foreign: &mut Vec<String>,
    ) -> Result<(), Error> {
        if depth > MERGE_LIMIT {
            return Err(self.fail(group, "`merge` is nested too deeply"));
        }
        for merged in group.get("merge").and_then(Node::as_sequence).unwrap_or_default() {
            self.group(merged, depth + 1, recipients, foreign)?;
        }
        self.recipients(group, "age", recipients)?;
        for kind in GROUP_OTHERS {
            let items = group.get(kind).and_then(Node::as_sequence).unwrap_or_default();
            foreign.extend(items.iter().map(|item| {
                let parts = item.as_mapping().unwrap_or_default().iter();
                let parts: Vec<&str> = parts.filter_map(|(_, value)| value.as_str()).collect();
                format!("{kind} {}", item.as_str().unwrap_or(&parts.join(" ")))
            }));
        }
        Ok(())
    }

    fn recipients(
        &self,
        node: &Node,
        name: &str,
        recipients: &mut Vec<Recipient>,
    ) -> Result<(), Error> {
        for (name, node) in self.names(node, name)? {
            let recipient = Recipient::from_str(name).map_err(|source| {
                let (place, recipient) = (self.place(node), name.to_owned());
                Error::Recipient { place, recipient, source: Box::new(source) }
            })?;
            if !recipients.contains(&recipient) {
                recipients.push(recipient);
            }
        }
        Ok(())
    }

    /// Names with commas between them, or a list of such.
    fn names<'n>(&self, node: &'n Node, name: &str) -> Result<Vec<(&'n str, &'n Node)>, Error> {
        let Some(node) = node.get(name).filter(|node| !node.is_null()) else {
            return Ok(Vec::new());
        };
        let items = node.as_sequence().unwrap_or(std::slice::from_ref(node));
        let mut names = Vec::new();
        for item in items {
            let text = item
                .as_str()
                .ok_or_else(|| self.fail(item, &format!("`{name}` is neither text nor a list")))?;
            let trimmed = text.split(',').map(str::trim).filter(|name| !name.is_empty());
            names.extend(trimmed.map(|name| (name, item)));
        }
        Ok(names)
    }

    /// A text that is there and not empty.
    fn text<'n>(&self, node: &'n Node, name: &str) -> Result<Option<(&'n str, &'n Node)>, Error> {
        let Some(node) = node.get(name).filter(|node| !node.is_null()) else { return Ok(None) };
        let text =
            node.as_str().ok_or_else(|| self.fail(node, &format!("`{name}` is not text")))?;
        Ok((!text.is_empty()).then_some((text, node)))
    }

    fn regex(&self, node: &Node, pattern: &str) -> Result<regex_lite::Regex, Error> {
        rules::regex(pattern).map_err(|reason| Error::Pattern {
            place: self.place(node),
            name: pattern.to_owned(),
            reason,
        })
    }

    fn place(&self, node: &Node) -> Place {
        Place::new(self.config, node.span.start)
    }

    fn fail(&self, node: &Node, reason: &str) -> Error {
        Error::Creation { place: self.place(node), reason: reason.to_owned() }
    }
}

/// A path without `.` and `..`, as far as that can be told without looking.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::CurDir => {}
            std::path::Component::ParentDir => {
                normal.pop();
            }
            part => normal.push(part),
        }
    }
    normal
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const ONE: &str = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj";

    fn of(text: &str, path: &str) -> Result<Option<CreationRule>, Error> {
        CreationRule::of(".sops.yaml", &text.replace("ONE", ONE), path)
    }

    #[test]
    fn the_first_rule_that_matches_is_taken() {
        let text = "creation_rules:\n  - path_regex: ^a/\n    age: ONE\n    encrypted_suffix: _x\n  - path_regex: \\.env$\n    key_groups:\n      - merge:\n          - age: [ONE]\n        age:\n          - ONE, ONE\n    mac_only_encrypted: true\n  - age: ' ONE ,'\n";
        let rule = |path| of(text, path).unwrap().unwrap();
        assert_eq!(rule("a/b.env").encrypts(), ("encrypted_suffix", "_x"));
        assert!(rule("b.env").mac_only_encrypted);
        assert_eq!(rule("b.env").recipients().len(), 1);
        let last = rule("b.yaml");
        assert_eq!(last.encrypts(), ("unencrypted_suffix", "_unencrypted"));
        assert_eq!(last.place().unwrap().to_string(), ".sops.yaml:12:5");
    }

    #[test]
    fn files_without_rules_say_nothing() {
        for text in ["", "stores:\n  yaml:\n    indent: 2\n", "creation_rules:\n"] {
            assert!(of(text, "x").unwrap().is_none(), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_rule_is_named() {
        for (rules, want) in [
            ("x\n", "is not a list"),
            ("[x]\n", "is not a mapping"),
            ("\n  - age: ONE\n    encryped_regex: x\n", "did you mean `encrypted_regex`?"),
            ("\n  - path_regex: ^a$\n    age: ONE\n", "no creation rule matches `x`"),
            ("\n  - path_regex: '('\n    age: ONE\n", "`(`"),
            ("\n  - age: ONE\n    encrypted_regex: '\\pL'\n", "\\p"),
            ("\n  - age: ONE\n    encrypted_regex: a\n    encrypted_suffix: b\n", "more than one"),
            ("\n  - age: age1bad\n", "age1bad"),
            ("\n  - encrypted_regex: a\n", "no recipient"),
            ("\n  - pgp: AB, CD\n", "pgp AB, pgp CD"),
            ("\n  - age: ONE\n    kms: arn:x\n", "kms arn:x"),
            ("\n  - key_groups:\n      - kms:\n          - arn: arn:y\n", "kms arn:y"),
            ("\n  - key_groups:\n      - age: [ONE]\n      - age: [ONE]\n", "several key groups"),
            ("\n  - key_groups: x\n", "not a list"),
            ("\n  - age: ONE\n    mac_only_encrypted: perhaps\n", "neither true nor false"),
        ] {
            let error = of(&format!("creation_rules: {rules}"), "x").unwrap_err();
            assert!(error.to_string().contains(want), "{rules}: {error}");
            assert!(error.to_string().starts_with(".sops.yaml:"), "{error}");
            assert!(error.help().is_some(), "{error}");
        }
        assert!(matches!(of("a: [", "x"), Err(Error::Syntax { .. })));
    }

    #[test]
    fn the_nearest_file_upwards_counts() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("a/b");
        fs::create_dir_all(&inner).unwrap();
        let write = |place: &Path, suffix: &str| {
            let text = format!(
                "creation_rules:\n  - path_regex: ^b/x\\.yaml$\n    age: {ONE}\n    encrypted_suffix: {suffix}\n"
            );
            file::publish_new(&place.join(".sops.yaml"), text.as_bytes(), 0o644).unwrap();
        };
        write(folder.path(), "outer");
        write(&folder.path().join("a"), "inner");
        let rule = CreationRule::find(&inner.join("../b/./x.yaml")).unwrap().unwrap();
        assert_eq!(rule.encrypts().1, "inner");
        assert!(CreationRule::find(&inner.join("y.yaml")).is_err());
    }
}
