//! From the YAML tree to the configuration, strictly: every key has a meaning or is an error.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::variable::{self, refuse_name};
use super::{Config, ConfigErrors, EnvironmentSpec};
use crate::diagnostic::{Diagnostic, codes, suggest};
use crate::settings::{StoreSettings, is_harmless};
use crate::source::Source;
use crate::yaml::{Node, Scalar, Span, Style, Value};

/// Sections of the format that are not about secrets, and what not acting upon them means.
const PASSIVE: &[(&str, &str)] = &[
    ("metrics", "no metrics are served"),
    ("notifications", "nothing is sent"),
    ("policies", "no policy is enforced"),
    ("services", "nothing is rotated"),
    ("templates", "no template is rendered"),
    ("transforms", "named transforms are not supported yet"),
];

const SECTIONS: &[&str] = &["version", "secretStores", "providers", "envs"];

/// Keys people write for ours, from other tools and older drafts.
const ALSO_KNOWN_AS: &[(&str, &str)] = &[
    ("environments", "envs"),
    ("stores", "secretStores"),
    ("secret_stores", "secretStores"),
    ("variables", "envs"),
];

/// Whether a scalar value may be shown in errors, by the keys on the way to it.
pub(super) fn is_shown(path: &[&str], text: &str) -> bool {
    match path {
        ["secretStores" | "providers", _, key] => is_harmless(key, text),
        ["version"]
        | ["envs", _, "extends", ..]
        | ["envs", _, _, "from" | "transform" | "optional", ..] => true,
        _ => false,
    }
}

pub(super) fn document(root: Node, source: Arc<Source>) -> Result<Config, ConfigErrors> {
    let mut reader = Reader { source, problems: Vec::new(), warnings: Vec::new() };
    let config = reader.document(root);
    match ConfigErrors::from_problems(reader.problems) {
        Some(errors) => Err(errors),
        None => Ok(config),
    }
}

/// Collects problems, so that all are reported at once.
pub(super) struct Reader {
    source: Arc<Source>,
    problems: Vec<Diagnostic>,
    warnings: Vec<Diagnostic>,
}

impl Reader {
    fn document(&mut self, root: Node) -> Config {
        let mut config = Config {
            path: PathBuf::from(self.source.file()),
            version: 0,
            stores: BTreeMap::new(),
            environments: BTreeMap::new(),
            warnings: Vec::new(),
        };
        if root.is_null() {
            let problem = self.error(root.span, codes::MISSING_KEY, "the configuration is empty");
            self.problems.push(problem.help("`dsops init` makes one to start from"));
            return config;
        }
        for (key, value) in self.entries(root, "the configuration") {
            match key.as_str().unwrap_or_default() {
                "version" => config.version = self.version(&value),
                "secretStores" => self.stores(value, "secretStores", &mut config.stores),
                "providers" => self.stores(value, "providers", &mut config.stores),
                "envs" => config.environments = self.environments(value),
                name => match PASSIVE.iter().find(|(section, _)| *section == name) {
                    Some((_, meaning)) => self.passive(&key, &value, meaning),
                    None => self.unknown_section(&key),
                },
            }
        }
        super::sort(&mut self.warnings);
        config.warnings = std::mem::take(&mut self.warnings);
        config
    }

    fn version(&mut self, node: &Node) -> u8 {
        match node.scalar() {
            Some(Scalar::Int(0)) => 0,
            Some(Scalar::Int(1)) => 1,
            Some(Scalar::Int(_)) => {
                let problem = self.error(
                    node.span,
                    codes::VERSION,
                    "this version of the format is not known",
                );
                self.problems.push(problem.help("versions 0 and 1 are; a newer dsops may know it"));
                0
            }
            _ => {
                let message = format!("`version` has to be 0 or 1, but is {}", node.kind());
                self.problem(node.span, codes::WRONG_TYPE, message);
                0
            }
        }
    }

    fn stores(
        &mut self,
        node: Node,
        section: &str,
        stores: &mut BTreeMap<String, Arc<StoreSettings>>,
    ) {
        for (key, value) in self.entries(node, &format!("`{section}`")) {
            let name = key.as_str().unwrap_or_default();
            if name.is_empty() {
                self.problem(key.span, codes::BAD_NAME, "a store needs a name");
                continue;
            }
            if let Some(other) = stores.get(name) {
                let message = format!(
                    "the store `{name}` is defined twice (the other one on line {})",
                    other.place.line
                );
                let problem = self.error(key.span, codes::STORE_CLASH, message);
                self.problems.push(
                    problem.help("`secretStores` and `providers` share their names: rename one"),
                );
                continue;
            }
            if value.as_mapping().is_none() {
                let message =
                    format!("the store `{name}` has to be a mapping, but is {}", value.kind());
                self.problem(value.span, codes::WRONG_TYPE, message);
                continue;
            }
            let options = Value::Mapping(self.entries(value, "a store"));
            let node = Node::new(options, key.span);
            match StoreSettings::read(name, node, self.source.place(key.span), &self.source) {
                Ok(settings) => {
                    stores.insert(name.to_owned(), Arc::new(settings));
                }
                Err(problems) => self.problems.extend(problems),
            }
        }
    }

    fn environments(&mut self, node: Node) -> BTreeMap<String, EnvironmentSpec> {
        let mut environments = BTreeMap::new();
        for (key, value) in self.entries(node, "`envs`") {
            let name = key.as_str().unwrap_or_default();
            if name.is_empty() {
                self.problem(key.span, codes::BAD_NAME, "an environment needs a name");
                continue;
            }
            let environment = self.environment(value, &format!("the environment `{name}`"));
            environments.insert(name.to_owned(), environment);
        }
        environments
    }

    fn environment(&mut self, node: Node, what: &str) -> EnvironmentSpec {
        let mut environment = EnvironmentSpec::default();
        for (key, value) in self.entries(node, what) {
            let name = key.as_str().unwrap_or_default();
            // As a variable it would be a mapping.
            if name == "extends" && value.as_mapping().is_none() {
                environment.unsupported.push(self.not_supported(key.span, "`extends`"));
                continue;
            }
            if let Some(problem) = refuse_name(name, || self.source.place(key.span)) {
                self.problems.push(problem);
            }
            if let Some(variable) = variable::read(self, &key, value) {
                environment.variables.insert(name.to_owned(), variable);
            }
        }
        environment
    }

    fn passive(&mut self, key: &Node, value: &Node, meaning: &str) {
        let empty = value.is_null() || value.as_mapping().is_some_and(<[_]>::is_empty);
        if !empty {
            let name = key.as_str().unwrap_or_default();
            let message = format!("`{name}` is not acted upon: {meaning}");
            self.warnings.push(
                Diagnostic::warning(codes::NOT_ACTED_UPON, message).at(self.source.place(key.span)),
            );
        }
    }

    fn unknown_section(&mut self, key: &Node) {
        let name = key.as_str().unwrap_or_default();
        if matches!(name, "include" | "includes") {
            let problem = self.not_supported(key.span, &format!("`{name}`"));
            self.problems.push(problem);
            return;
        }
        let also = ALSO_KNOWN_AS.iter().find(|(theirs, _)| *theirs == name).map(|(_, ours)| *ours);
        let known = SECTIONS.iter().copied().chain(PASSIVE.iter().map(|(name, _)| *name));
        let problem = self.error(key.span, codes::UNKNOWN_KEY, format!("unknown key `{name}`"));
        self.problems.push(match also.or_else(|| suggest(name, known)) {
            Some(likely) => problem.help(format!("did you mean `{likely}`?")),
            None => problem.help(format!("the file has: {}", SECTIONS.join(", "))),
        });
    }

    /// The pairs of a mapping, with merges (`<<`) done; nothing is an empty mapping.
    pub(super) fn entries(&mut self, node: Node, what: &str) -> Vec<(Node, Node)> {
        let kind = node.kind();
        let is_null = node.is_null();
        let Value::Mapping(pairs) = node.value else {
            if !is_null {
                let message = format!("{what} has to be a mapping, but is {kind}");
                self.problem(node.span, codes::WRONG_TYPE, message);
            }
            return Vec::new();
        };
        let is_merge = |key: &Node| matches!(&key.value, Value::Scalar { text, style: Style::Plain, .. } if *text == "<<");
        if !pairs.iter().any(|(key, _)| is_merge(key)) {
            return pairs;
        }
        let (merges, mut own): (Vec<_>, Vec<_>) =
            pairs.into_iter().partition(|(key, _)| is_merge(key));
        for (_, value) in merges {
            let parts = match value.value {
                Value::Sequence(items) => items,
                _ => vec![value],
            };
            for part in parts {
                if part.as_mapping().is_none() {
                    let message = format!("`<<` merges mappings, but this is {}", part.kind());
                    self.problem(part.span, codes::MERGE, message);
                    continue;
                }
                for (key, value) in self.entries(part, what) {
                    if !own.iter().any(|(k, _)| k.as_str() == key.as_str()) {
                        own.push((key, value));
                    }
                }
            }
        }
        own
    }

    pub(super) fn source(&self) -> &Source {
        &self.source
    }

    pub(super) fn push(&mut self, problem: Diagnostic) {
        self.problems.push(problem);
    }

    pub(super) fn problem(&mut self, span: Span, code: &'static str, message: impl Into<String>) {
        let problem = self.error(span, code, message);
        self.problems.push(problem);
    }

    pub(super) fn error(
        &self,
        span: Span,
        code: &'static str,
        message: impl Into<String>,
    ) -> Diagnostic {
        Diagnostic::error(code, message).at(self.source.place(span))
    }

    /// What a plan that needs it will say.
    pub(super) fn not_supported(&self, span: Span, what: &str) -> Diagnostic {
        self.error(span, codes::NOT_SUPPORTED, format!("{what} is not supported yet"))
    }
}
