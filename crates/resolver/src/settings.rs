//! The settings of one store: typed access that refuses what it does not know.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use dsops_secure_mem::SecretBytes;

use crate::cache::{self, CacheSettings};
use crate::diagnostic::{Diagnostic, Place, codes, suggest};
use crate::format::{self, Kind, Setting};
use crate::source::Source;
use crate::yaml::{self, Node, Scalar, SyntaxError, Value};

const MAX_RETRIES: u64 = 10;
const MAX_CONCURRENCY: u64 = 256;

/// What `dsops.yaml` says about one store: its name, its type, and the keys beside `type`.
///
/// The keys that every store has (`type`, `timeout_ms`, `retries`, `concurrency`, `cache`) are read
/// here and are not among the options.
#[derive(Clone, Debug)]
pub struct StoreSettings {
    pub(crate) name: String,
    pub(crate) store_type: String,
    pub(crate) place: Place,
    pub(crate) type_place: Place,
    pub(crate) timeout: Option<Duration>,
    pub(crate) retries: Option<u32>,
    pub(crate) concurrency: Option<NonZeroUsize>,
    pub(crate) cache: Option<CacheSettings>,
    /// What a plan that needs the store will say.
    pub(crate) deferred: Vec<Diagnostic>,
    /// The definitions in other files that this one wins over, the nearest first.
    pub(crate) overrides: Vec<Place>,
    /// The environment variables its settings use, and whether where a secret may be.
    pub(crate) expanded: Vec<(String, bool)>,
    pub(crate) options: Vec<(Node, Node)>,
    pub(crate) source: Arc<Source>,
}

impl StoreSettings {
    /// Settings from the YAML of one store, for tests and for programs without a `dsops.yaml`.
    ///
    /// ```
    /// use dsops_resolver::StoreSettings;
    ///
    /// let settings = StoreSettings::parse("local", "type: sops\nfile: secrets.sops.yaml\n")?;
    /// assert_eq!(settings.store_type(), "sops");
    /// assert_eq!(settings.text("file")?, Some("secrets.sops.yaml"));
    /// # Ok::<(), dsops_resolver::Diagnostic>(())
    /// ```
    ///
    /// # Errors
    /// The first problem.
    pub fn parse(name: &str, text: &str) -> Result<Self, Diagnostic> {
        let root = yaml::parse(text)
            .map_err(|error| syntax_diagnostic(&error, &Source::unparsed(name, text)))?;
        let source = Source::new(name, text, &root, |path, text| match path {
            [key, ..] => is_harmless(key, text),
            [] => false,
        });
        Self::read(name, root.clone(), source.place(root.span), &Arc::new(source))
            .map_err(|mut problems| problems.swap_remove(0))
    }

    /// Reads the value of one entry of `secretStores` or `providers`; `place` is that of its name.
    pub(crate) fn read(
        name: &str,
        node: Node,
        place: Place,
        source: &Arc<Source>,
    ) -> Result<Self, Vec<Diagnostic>> {
        let error = |code, message: String, node: &Node| {
            Diagnostic::error(code, message).at(source.place(node.span))
        };
        let kind = node.kind();
        let Value::Mapping(mut options) = node.value else {
            let message = format!("the store `{name}` has to be a mapping, but is {kind}");
            return Err(vec![
                Diagnostic::error(codes::WRONG_TYPE, message).at(source.place(node.span)),
            ]);
        };
        let mut take = |key: &str| {
            let index = options.iter().position(|(k, _)| k.as_str() == Some(key))?;
            Some(options.remove(index).1)
        };
        let (type_node, timeout_node) = (take("type"), take("timeout_ms"));
        let (retries_node, concurrency_node) = (take("retries"), take("concurrency"));
        let cache_node = take("cache");
        let mut problems = Vec::new();
        let mut store_type = String::new();
        let mut type_place = place.clone();
        match &type_node {
            None => {
                let message = format!("the store `{name}` has no `type`");
                problems.push(Diagnostic::error(codes::MISSING_KEY, message).at(place.clone()));
            }
            Some(node) => match node.scalar() {
                Some(Scalar::Str(text)) if !text.is_empty() => {
                    text.clone_into(&mut store_type);
                    type_place = source.place(node.span);
                }
                _ => {
                    let message = format!("`type` has to be text, but is {}", node.kind());
                    problems.push(error(codes::WRONG_TYPE, message, node));
                }
            },
        }
        let mut timeout = None;
        if let Some(node) = timeout_node {
            if let Some(Scalar::Int(ms)) = node.scalar() {
                // As in the first dsops, nothing and less are "the default".
                timeout = u64::try_from(ms).ok().filter(|&ms| ms > 0).map(Duration::from_millis);
            } else {
                let message =
                    format!("`timeout_ms` has to be a whole number, but is {}", node.kind());
                problems.push(error(codes::WRONG_TYPE, message, &node));
            }
        }
        let mut number = |key, node: Option<Node>, least: u64, most: u64| {
            let node = node?;
            match node.scalar() {
                Some(Scalar::Int(n))
                    if let Ok(n) = u64::try_from(n)
                        && (least..=most).contains(&n) =>
                {
                    return Some(n);
                }
                Some(Scalar::Int(_)) => {
                    let message = format!("`{key}` has to be from {least} to {most}");
                    problems.push(error(codes::WRONG_TYPE, message, &node));
                }
                _ => {
                    let message =
                        format!("`{key}` has to be a whole number, but is {}", node.kind());
                    problems.push(error(codes::WRONG_TYPE, message, &node));
                }
            }
            None
        };
        let retries = number("retries", retries_node, 0, MAX_RETRIES)
            .and_then(|retries| u32::try_from(retries).ok());
        let concurrency = number("concurrency", concurrency_node, 1, MAX_CONCURRENCY)
            .and_then(|concurrency| usize::try_from(concurrency).ok())
            .and_then(NonZeroUsize::new);
        let mut cache = None;
        if let Some(node) = cache_node.filter(|node| !node.is_null()) {
            match CacheSettings::read(&node, source) {
                Ok(read) => cache = Some(read),
                Err(wrong) => problems.extend(wrong),
            }
        }
        if problems.is_empty() {
            let (name, source) = (name.to_owned(), Arc::clone(source));
            Ok(Self {
                name,
                store_type,
                place,
                type_place,
                timeout,
                retries,
                concurrency,
                cache,
                deferred: Vec::new(),
                overrides: Vec::new(),
                expanded: Vec::new(),
                options,
                source,
            })
        } else {
            Err(problems)
        }
    }

    /// The name it has in `dsops.yaml`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What stands in `type`.
    pub fn store_type(&self) -> &str {
        &self.store_type
    }

    /// Where its name stands.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// How long one fetch may take (`timeout_ms`).
    pub fn timeout(&self) -> Option<Duration> {
        self.timeout
    }

    /// How often a call that failed is tried again (`retries`).
    pub fn retries(&self) -> Option<u32> {
        self.retries
    }

    /// How many calls may be under way at the same time (`concurrency`).
    pub fn concurrency(&self) -> Option<NonZeroUsize> {
        self.concurrency
    }

    /// How long its answers are kept (`cache`); `None` when they are not.
    pub fn cache(&self) -> Option<&CacheSettings> {
        self.cache.as_ref()
    }

    /// Where the definitions stand that this one wins over, the nearest first.
    pub fn overrides(&self) -> &[Place] {
        &self.overrides
    }

    /// The keys beside those every store has, in the order of the text.
    pub fn options(&self) -> &[(Node, Node)] {
        &self.options
    }

    /// The value of a key as it stands.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.options.iter().find(|(k, _)| k.as_str() == Some(key)).map(|(_, value)| value)
    }

    /// One error for every key that is not known.
    pub fn unknown_keys(&self, known: &[&str]) -> Vec<Diagnostic> {
        let unknown = |key: &Node| !known.contains(&key.as_str().unwrap_or_default());
        let candidates =
            || known.iter().copied().chain(format::STORE.iter().map(|setting| setting.name));
        self.options
            .iter()
            .filter(|(key, _)| unknown(key))
            .map(|(key, _)| {
                let name = key.as_str().unwrap_or_default();
                let message =
                    format!("a store of type `{}` has no setting `{name}`", self.store_type);
                let problem = self.error_at(key, codes::UNKNOWN_KEY, message);
                match suggest(name, candidates()) {
                    Some(likely) => problem.help(format!("did you mean `{likely}`?")),
                    None if known.is_empty() => problem.help("it has no settings of its own"),
                    None => problem.help(format!("it has: {}", known.join(", "))),
                }
            })
            .collect()
    }

    /// Checks the settings against their description: unknown keys, missing keys, wrong kinds.
    pub fn check(&self, described: &[Setting]) -> Vec<Diagnostic> {
        let names: Vec<&str> = described.iter().map(|setting| setting.name).collect();
        let mut problems = self.unknown_keys(&names);
        for setting in described {
            match self.get(setting.name) {
                Some(node) => self.check_kind(setting.name, node, &setting.kind, &mut problems),
                None if setting.required => problems.extend(self.required_text(setting.name).err()),
                None => {}
            }
        }
        problems
    }

    fn check_kind(&self, key: &str, node: &Node, kind: &Kind, problems: &mut Vec<Diagnostic>) {
        let mut wrong = || problems.push(self.wrong_type(key, &kind.words(), node));
        match kind {
            Kind::Anything => {}
            Kind::Text | Kind::Secret | Kind::Reference => {
                problems.extend(self.node_text(key, node).err());
            }
            Kind::Path => match self.node_text(key, node) {
                Ok("") => problems.push(self.error_at(
                    node,
                    codes::STORE_SETTING,
                    format!("`{key}` is empty"),
                )),
                Ok(_) => {}
                Err(problem) => problems.push(problem),
            },
            Kind::Boolean if matches!(node.scalar(), Some(Scalar::Bool(_))) => {}
            Kind::Duration if cache::time(node).is_some() => {}
            Kind::Integer { least, most } if matches!(node.scalar(), Some(Scalar::Int(n)) if (i128::from(*least)..=i128::from(*most)).contains(&n)) =>
                {}
            Kind::Choice(choices) => match self.node_text(key, node) {
                Ok(text) if choices.contains(&text) => {}
                Ok(text) => {
                    let message = format!("`{key}` has to be {}", kind.words());
                    let problem = self.error_at(node, codes::STORE_SETTING, message);
                    problems.push(match suggest(text, choices.iter().copied()) {
                        Some(likely) => problem.help(format!("did you mean `{likely}`?")),
                        None => problem,
                    });
                }
                Err(problem) => problems.push(problem),
            },
            Kind::Null if node.is_null() => {}
            Kind::Keys(settings) => match node.as_mapping() {
                Some(entries) => self.check_keys(entries, settings, problems),
                None => wrong(),
            },
            Kind::Map(values) => match node.as_mapping() {
                Some(entries) => {
                    for (name, value) in entries {
                        let name = name.as_str().unwrap_or_default();
                        self.check_kind(name, value, values, problems);
                    }
                }
                None => wrong(),
            },
            Kind::List(items) => match node.as_sequence() {
                Some(nodes) => {
                    for node in nodes {
                        self.check_kind(key, node, items, problems);
                    }
                }
                None => wrong(),
            },
            Kind::OneOf(kinds) => {
                let fits = |kind: &Kind| {
                    let mut problems = Vec::new();
                    self.check_kind(key, node, kind, &mut problems);
                    problems.is_empty()
                };
                if !kinds.iter().any(fits) {
                    wrong();
                }
            }
            _ => wrong(),
        }
    }

    /// The keys of a mapping inside the settings.
    fn check_keys(
        &self,
        entries: &[(Node, Node)],
        described: &[Setting],
        problems: &mut Vec<Diagnostic>,
    ) {
        for (key, value) in entries {
            let name = key.as_str().unwrap_or_default();
            if let Some(setting) = described.iter().find(|setting| setting.name == name) {
                self.check_kind(name, value, &setting.kind, problems);
                continue;
            }
            let message =
                format!("a store of type `{}` has no setting `{name}` here", self.store_type);
            let problem = self.error_at(key, codes::UNKNOWN_KEY, message);
            problems.push(problem.help(format::unknown_help(name, described)));
        }
    }

    /// A text; a number or boolean counts as the text it was written as.
    ///
    /// # Errors
    /// When the value is a list, a mapping or nothing.
    pub fn text(&self, key: &str) -> Result<Option<&str>, Diagnostic> {
        self.get(key).map(|node| self.node_text(key, node)).transpose()
    }

    /// A text that has to be there and not be empty.
    ///
    /// # Errors
    /// When it is not, or is no text.
    pub fn required_text(&self, key: &str) -> Result<&str, Diagnostic> {
        match self.text(key)? {
            Some("") => Err(self.error(key, format!("`{key}` is empty"))),
            Some(text) => Ok(text),
            None => {
                let message = format!("the store `{}` has no `{key}`", self.name);
                Err(Diagnostic::error(codes::MISSING_KEY, message).at(self.place.clone()))
            }
        }
    }

    /// A text that is a secret, copied into protected memory.
    ///
    /// # Errors
    /// When the value is no text, or there is no protected memory.
    pub fn secret(&self, key: &str) -> Result<Option<SecretBytes>, Diagnostic> {
        let Some(text) = self.text(key)? else { return Ok(None) };
        SecretBytes::copy_from(text.as_bytes())
            .map(Some)
            .map_err(|error| self.error(key, format!("no protected memory for `{key}`: {error}")))
    }

    /// `true` or `false`.
    ///
    /// # Errors
    /// When the value is something else.
    pub fn boolean(&self, key: &str) -> Result<Option<bool>, Diagnostic> {
        let Some(node) = self.get(key) else { return Ok(None) };
        match node.scalar() {
            Some(Scalar::Bool(value)) => Ok(Some(value)),
            _ => Err(self.wrong_type(key, "`true` or `false`", node)),
        }
    }

    /// A whole number from 0.
    ///
    /// # Errors
    /// When the value is something else.
    pub fn integer(&self, key: &str) -> Result<Option<u64>, Diagnostic> {
        let Some(node) = self.get(key) else { return Ok(None) };
        match node.scalar() {
            Some(Scalar::Int(value)) if let Ok(value) = u64::try_from(value) => Ok(Some(value)),
            _ => Err(self.wrong_type(key, "a whole number from 0", node)),
        }
    }

    /// A text or a list of texts.
    ///
    /// # Errors
    /// When the value is something else.
    pub fn texts(&self, key: &str) -> Result<Option<Vec<&str>>, Diagnostic> {
        let Some(node) = self.get(key) else { return Ok(None) };
        match node.as_sequence() {
            Some(items) => items
                .iter()
                .map(|item| self.node_text(key, item))
                .collect::<Result<_, _>>()
                .map(Some),
            None => Ok(Some(vec![self.node_text(key, node)?])),
        }
    }

    /// A mapping.
    ///
    /// # Errors
    /// When the value is something else.
    pub fn mapping(&self, key: &str) -> Result<Option<&[(Node, Node)]>, Diagnostic> {
        let Some(node) = self.get(key) else { return Ok(None) };
        node.as_mapping().map(Some).ok_or_else(|| self.wrong_type(key, "a mapping", node))
    }

    /// An error about the value of a key (or about the store, when the key is not there).
    pub fn error(&self, key: &str, message: impl Into<String>) -> Diagnostic {
        match self.get(key) {
            Some(node) => self.error_at(node, codes::STORE_SETTING, message),
            None => Diagnostic::error(codes::STORE_SETTING, message).at(self.place.clone()),
        }
    }

    /// An error about a node of these settings.
    pub fn error_at(
        &self,
        node: &Node,
        code: &'static str,
        message: impl Into<String>,
    ) -> Diagnostic {
        Diagnostic::error(code, message).at(self.source.place(node.span))
    }

    fn node_text<'a>(&self, key: &str, node: &'a Node) -> Result<&'a str, Diagnostic> {
        match node.as_str() {
            Some(text) if !node.is_null() => Ok(text),
            _ => Err(self.wrong_type(key, "text", node)),
        }
    }

    fn wrong_type(&self, key: &str, wanted: &str, node: &Node) -> Diagnostic {
        let message = format!("`{key}` has to be {wanted}, but is {}", node.kind());
        self.error_at(node, codes::WRONG_TYPE, message)
    }
}

/// A syntax error with the place it has in a configuration text.
pub(crate) fn syntax_diagnostic(error: &SyntaxError, source: &Source) -> Diagnostic {
    let problem =
        Diagnostic::error(codes::SYNTAX, error.kind.to_string()).at(source.place(error.span));
    match error.help() {
        Some(help) => problem.help(help),
        None => problem,
    }
}

/// Settings that may be shown in errors. Whatever is not on this list may be a secret: a token, a
/// password, a session.
pub(crate) fn is_harmless(key: &str, text: &str) -> bool {
    const SHOWN: &[&str] = &[
        "type",
        "timeout_ms",
        "retries",
        "concurrency",
        "cache",
        "file",
        "files",
        "path",
        "dir",
        "folder",
        "region",
        "profile",
        "address",
        "url",
        "endpoint",
        "namespace",
        "mount",
        "project",
        "project_id",
        "config",
        "account",
        "vault",
        "vault_url",
        "host",
        "environment",
        "prefix",
        "parameter_prefix",
        "service_prefix",
        "auth_method",
        "role",
        "format",
    ];
    // An address may carry a password: `https://user:password@host`.
    SHOWN.contains(&key) && !text.contains('@')
}

/// Whether what has this name is most likely a secret.
pub(crate) fn names_a_secret(name: &str) -> bool {
    const WORDS: &[&str] = &[
        "token",
        "secret",
        "password",
        "passwd",
        "passphrase",
        "session",
        "credential",
        "api_key",
        "apikey",
        "access_key",
        "private_key",
        "client_key",
    ];
    let name = name.to_ascii_lowercase().replace('-', "_");
    // Where a secret is, is none.
    let is_place = ["_file", "_path", "_dir", "_url", "_id", "_name", "_arn"]
        .iter()
        .any(|end| name.ends_with(end));
    !is_place && WORDS.iter().any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "type: t\ntimeout_ms: 250\nfile: f.yaml\ntoken: hunter2\nflag: true\nmany: [a, 1]\ncount: 3\nmap: {a: b}\nnone:\n";

    #[test]
    fn access_is_typed() {
        let settings = StoreSettings::parse("s", TEXT).unwrap();
        assert_eq!((settings.name(), settings.store_type()), ("s", "t"));
        assert_eq!(settings.timeout(), Some(Duration::from_millis(250)));
        assert_eq!(settings.required_text("file").unwrap(), "f.yaml");
        assert_eq!(settings.text("absent").unwrap(), None);
        assert_eq!(settings.boolean("flag").unwrap(), Some(true));
        assert_eq!(settings.integer("count").unwrap(), Some(3));
        assert_eq!(settings.texts("many").unwrap(), Some(vec!["a", "1"]));
        assert_eq!(settings.texts("file").unwrap(), Some(vec!["f.yaml"]));
        assert_eq!(settings.mapping("map").unwrap().unwrap().len(), 1);
        assert_eq!(&*settings.secret("token").unwrap().unwrap().expose(), b"hunter2");
        assert_eq!(settings.options().len(), 7);
    }

    #[test]
    fn wrong_kinds_are_errors_with_their_place() {
        let settings = StoreSettings::parse("s", TEXT).unwrap();
        let cases = [
            (settings.text("map").unwrap_err(), "`map` has to be text, but is a mapping", (8, 6)),
            (settings.text("none").unwrap_err(), "`none` has to be text, but is nothing", (9, 6)),
            (
                settings.boolean("file").unwrap_err(),
                "`file` has to be `true` or `false`, but is text",
                (3, 7),
            ),
            (
                settings.integer("flag").unwrap_err(),
                "`flag` has to be a whole number from 0, but is a boolean",
                (5, 7),
            ),
            (
                settings.mapping("many").unwrap_err(),
                "`many` has to be a mapping, but is a list",
                (6, 7),
            ),
            (
                settings.required_text("nothing").unwrap_err(),
                "the store `s` has no `nothing`",
                (1, 1),
            ),
        ];
        for (error, message, place) in cases {
            let at = error.place.unwrap();
            assert_eq!((error.message.as_str(), (at.line, at.column)), (message, place));
        }
    }

    #[test]
    fn a_setting_that_may_be_secret_is_not_shown() {
        let settings =
            StoreSettings::parse("s", "{ type: t, token: hunter2, url: 'https://u:hunter3@h' }")
                .unwrap();
        let text = settings.boolean("token").unwrap_err().render();
        assert!(text.contains("{ type: t, token: *******, url: *******************"), "{text}");
    }

    #[test]
    fn unknown_keys_are_named_with_what_is_likely() {
        let settings = StoreSettings::parse("s", "type: t\nfiel: x\nzzz: y\n").unwrap();
        let problems = settings.unknown_keys(&["file", "path"]);
        assert_eq!(
            problems
                .iter()
                .map(|p| (p.message.as_str(), p.help.as_deref().unwrap()))
                .collect::<Vec<_>>(),
            [
                ("a store of type `t` has no setting `fiel`", "did you mean `file`?"),
                ("a store of type `t` has no setting `zzz`", "it has: file, path"),
            ]
        );
        assert_eq!(
            settings.unknown_keys(&[])[1].help.as_deref(),
            Some("it has no settings of its own")
        );
    }

    #[test]
    fn settings_that_cannot_be_read() {
        let cases = [
            ("[]", "the store `s` has to be a mapping, but is a list"),
            ("file: x", "the store `s` has no `type`"),
            ("type: 3", "`type` has to be text, but is a number"),
            ("type: t\ntimeout_ms: soon", "`timeout_ms` has to be a whole number, but is text"),
            ("type: t\ntype: u", "the key `type` is there twice (first on line 1)"),
        ];
        for (text, message) in cases {
            assert_eq!(StoreSettings::parse("s", text).unwrap_err().message, message);
        }
    }
}
