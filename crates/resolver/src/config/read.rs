//! From the YAML tree of one file to what it says, strictly: every key has a meaning or is an error.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::LoadOptions;
use super::chain::Chain;
use super::environment::{Entry, Layer};
use super::expand::{self, ExpandError};
use super::scope::Scope;
use super::template::Template;
use super::variable::{self, refuse_name};
use crate::diagnostic::{Diagnostic, Place, codes};
use crate::format::{self, FILE, SCOPE};
use crate::settings::{StoreSettings, is_harmless, names_a_secret};
use crate::source::Source;
use crate::yaml::{Node, Position, Scalar, Span, Style, Value};

/// Sections of the format that are not about secrets, and what not acting upon them means.
const PASSIVE: &[(&str, &str)] = &[
    ("metrics", "no metrics are served"),
    ("notifications", "nothing is sent"),
    ("policies", "no policy is enforced"),
    ("rotation", "nothing is rotated"),
    ("service_groups", "nothing is rotated"),
    ("services", "nothing is rotated"),
];

/// Keys people write for ours, from other tools and older drafts.
const ALSO_KNOWN_AS: &[(&str, &str)] = &[
    ("environments", "envs"),
    ("includes", "include"),
    ("imports", "include"),
    ("stores", "secretStores"),
    ("secret_stores", "secretStores"),
    ("variables", "envs"),
];

/// Whether a scalar value may be shown in errors, by the keys on the way to it.
pub(super) fn is_shown(path: &[&str], text: &str) -> bool {
    match path {
        ["secretStores" | "providers", _, key] => is_harmless(key, text),
        ["version"]
        | ["secretStores" | "providers", _, "cache", ..]
        | ["include" | "transforms" | "scopes" | "templates", ..]
        | ["envs", _, "extends", ..]
        | ["envs", _, _, "from" | "transform" | "optional", ..] => true,
        ["envs", _, _] => variable::is_source(text),
        _ => false,
    }
}

/// What one file says.
#[derive(Debug, Default)]
pub(super) struct Document {
    pub(super) version: Option<u8>,
    pub(super) include: Vec<(String, Place)>,
    pub(super) stores: BTreeMap<String, StoreSettings>,
    pub(super) environments: BTreeMap<String, Layer>,
    pub(super) chains: BTreeMap<String, Chain>,
    pub(super) scopes: BTreeMap<String, Scope>,
    pub(super) templates: Vec<Template>,
    pub(super) warnings: Vec<Diagnostic>,
    /// The environment variables that `${…}` asks for, outside stores.
    pub(super) expanded: Vec<String>,
}

pub(super) fn document(
    root: Node,
    source: Arc<Source>,
    options: &LoadOptions<'_>,
    problems: &mut Vec<Diagnostic>,
) -> Document {
    let mut reader =
        Reader { source, options, problems, warnings: Vec::new(), expanded: Vec::new() };
    let mut document = reader.document(root);
    document.warnings = reader.warnings;
    document.expanded = reader.expanded;
    document
}

/// Collects problems, so that all are reported at once.
pub(super) struct Reader<'a> {
    source: Arc<Source>,
    options: &'a LoadOptions<'a>,
    problems: &'a mut Vec<Diagnostic>,
    warnings: Vec<Diagnostic>,
    expanded: Vec<String>,
}

impl Reader<'_> {
    fn document(&mut self, root: Node) -> Document {
        let mut document = Document::default();
        if root.is_null() {
            let problem = self.error(root.span, codes::MISSING_KEY, "the configuration is empty");
            self.problems.push(problem.help("`dsops init` makes one to start from"));
            return document;
        }
        for (key, value) in self.entries(root, "the configuration") {
            match key.as_str().unwrap_or_default() {
                "version" => document.version = Some(self.version(&value)),
                "include" => document.include = self.names(&value, "include", "a path"),
                "secretStores" => self.stores(value, "secretStores", &mut document.stores),
                "providers" => self.stores(value, "providers", &mut document.stores),
                "envs" => document.environments = self.environments(value),
                "transforms" => document.chains = self.chains(value),
                "scopes" => document.scopes = self.scopes(value),
                "templates" => document.templates = self.templates(&value),
                name => match PASSIVE.iter().find(|(section, _)| *section == name) {
                    Some((_, meaning)) => self.passive(&key, &value, meaning),
                    None => self.unknown_section(&key),
                },
            }
        }
        document
    }

    /// A text or a list of texts, each with its place.
    pub(super) fn names(&mut self, node: &Node, key: &str, what: &str) -> Vec<(String, Place)> {
        let items = match &node.value {
            Value::Sequence(items) => items.as_slice(),
            _ if node.is_null() => &[],
            _ => std::slice::from_ref(node),
        };
        let mut names = Vec::with_capacity(items.len());
        for item in items {
            if let Some(text) = item.as_str().filter(|_| !item.is_null()) {
                names.push((text.to_owned(), self.source.place(item.span)));
            } else {
                let message =
                    format!("`{key}` has to be {what} or a list of them, but is {}", item.kind());
                self.problem(item.span, codes::WRONG_TYPE, message);
            }
        }
        names
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

    fn stores(&mut self, node: Node, section: &str, stores: &mut BTreeMap<String, StoreSettings>) {
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
                let problem = self.error(value.span, codes::WRONG_TYPE, message);
                self.problems.push(problem.help(format!("write `{name}: {{ type: … }}`")));
                continue;
            }
            let mut options = self.entries(value, "a store");
            let (mut deferred, mut expanded) = (Vec::new(), Vec::new());
            for (key, value) in &mut options {
                let mut used = Vec::new();
                self.expand_all(value, &mut deferred, &mut used);
                let credential = names_a_secret(key.as_str().unwrap_or_default());
                expanded.extend(used.into_iter().map(|name| (name, credential)));
            }
            let node = Node::new(Value::Mapping(options), key.span);
            match StoreSettings::read(name, node, self.source.place(key.span), &self.source) {
                Ok(settings) => {
                    let settings = StoreSettings { deferred, expanded, ..settings };
                    stores.insert(name.to_owned(), settings);
                }
                // What is wrong may be that the expansion is missing.
                Err(_) if !deferred.is_empty() => self.problems.append(&mut deferred),
                Err(problems) => self.problems.extend(problems),
            }
        }
    }

    fn environments(&mut self, node: Node) -> BTreeMap<String, Layer> {
        let mut environments = BTreeMap::new();
        for (key, value) in self.entries(node, "`envs`") {
            let name = key.as_str().unwrap_or_default();
            if name.is_empty() {
                self.problem(key.span, codes::BAD_NAME, "an environment needs a name");
                continue;
            }
            let layer = self.environment(value, &format!("the environment `{name}`"));
            environments.insert(name.to_owned(), layer);
        }
        environments
    }

    fn environment(&mut self, node: Node, what: &str) -> Layer {
        let mut layer = Layer { extends: None, entries: BTreeMap::new() };
        for (key, value) in self.entries(node, what) {
            let name = key.as_str().unwrap_or_default();
            // As a variable it would be a mapping.
            if name == "extends" && value.as_mapping().is_none() {
                layer.extends = Some(self.names(&value, "extends", "an environment"));
                continue;
            }
            if let Some(problem) = refuse_name(name, || self.source.place(key.span)) {
                self.problems.push(problem);
            }
            let entry = variable::read(self, &key, value);
            if let Entry::Set(spec) = &entry {
                self.expanded.extend(spec.expanded.iter().cloned());
            }
            layer.entries.insert(name.to_owned(), entry);
        }
        layer
    }

    fn chains(&mut self, node: Node) -> BTreeMap<String, Chain> {
        let mut chains = BTreeMap::new();
        for (key, value) in self.entries(node, "`transforms`") {
            let place = Some(self.source.place(key.span));
            let chain = Chain { steps: self.chain(&value), place };
            chains.insert(key.as_str().unwrap_or_default().to_owned(), chain);
        }
        chains
    }

    fn scopes(&mut self, node: Node) -> BTreeMap<String, Scope> {
        let mut scopes = BTreeMap::new();
        for (key, value) in self.entries(node, "`scopes`") {
            let name = key.as_str().unwrap_or_default().to_owned();
            let place = self.source.place(key.span);
            let (mut extends, mut only, mut except) = (Vec::new(), Vec::new(), Vec::new());
            if value.as_mapping().is_some() {
                for (key, value) in self.entries(value, "a scope") {
                    match key.as_str().unwrap_or_default() {
                        "extends" => extends = self.names(&value, "extends", "a scope"),
                        "only" => only = self.names(&value, "only", "a name"),
                        "except" => except = self.names(&value, "except", "a name"),
                        unknown => {
                            let message = format!("unknown key `{unknown}` in the scope `{name}`");
                            let problem = self.error(key.span, codes::UNKNOWN_KEY, message);
                            self.problems.push(problem.help(format::unknown_help(unknown, SCOPE)));
                        }
                    }
                }
            } else {
                only = self.names(&value, &name, "a name");
            }
            let texts = |names: Vec<(String, Place)>| names.into_iter().map(|(name, _)| name);
            let extends_places = extends.iter().map(|(_, place)| place.clone()).collect();
            let scope = Scope {
                extends: texts(extends).collect(),
                only: texts(only).collect(),
                except: texts(except).collect(),
                place,
                extends_places,
            };
            scopes.insert(name, scope);
        }
        scopes
    }

    pub(super) fn passive(&mut self, key: &Node, value: &Node, meaning: &str) {
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
        let also = ALSO_KNOWN_AS.iter().find(|(theirs, _)| *theirs == name).map(|(_, ours)| *ours);
        let problem = self.error(key.span, codes::UNKNOWN_KEY, format!("unknown key `{name}`"));
        self.problems.push(match also {
            Some(likely) => problem.help(format!("did you mean `{likely}`?")),
            None => problem.help(format::unknown_help(name, FILE)),
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
                    let problem = self.error(part.span, codes::MERGE, message);
                    self.problems
                        .push(problem.help("write `<<: *NAME`, with `&NAME` at a mapping"));
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

    /// Expands `${…}` in a scalar. What cannot be expanded stays, `deferred` says why, and the
    /// answer is `false`.
    pub(super) fn expand(
        &mut self,
        node: &mut Node,
        deferred: &mut Vec<Diagnostic>,
        used: &mut Vec<String>,
    ) -> bool {
        let Value::Scalar { text, .. } = &mut node.value else { return true };
        match expand::expand(text, self.options.variables, used) {
            Ok(None) => true,
            Ok(Some(expanded)) => {
                *text = expanded;
                true
            }
            Err(ExpandError { kind, range }) => {
                let skip = text[..range.start].chars().count();
                let width = text[range].chars().count();
                let span = inner_span(node, skip, width);
                let problem = self.error(span, codes::EXPANSION, kind.to_string());
                deferred.push(problem.help(kind.help()));
                false
            }
        }
    }

    /// The same, for what is needed whatever the environment; the names are recorded.
    pub(super) fn expand_here(&mut self, node: &mut Node, problems: &mut Vec<Diagnostic>) -> bool {
        let mut used = Vec::new();
        let done = self.expand(node, problems, &mut used);
        self.expanded.append(&mut used);
        done
    }

    fn expand_all(
        &mut self,
        node: &mut Node,
        deferred: &mut Vec<Diagnostic>,
        used: &mut Vec<String>,
    ) {
        match &mut node.value {
            Value::Scalar { .. } => {
                self.expand(node, deferred, used);
            }
            Value::Mapping(entries) => {
                for (_, value) in entries {
                    self.expand_all(value, deferred, used);
                }
            }
            Value::Sequence(items) => {
                for item in items {
                    self.expand_all(item, deferred, used);
                }
            }
        }
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
}

/// The place of some characters of a scalar, if the scalar stands in the text as it is.
pub(super) fn inner_span(node: &Node, skip: usize, width: usize) -> Span {
    let (Span { start, end }, Value::Scalar { text, style, .. }) = (node.span, &node.value) else {
        return node.span;
    };
    let quote = usize::from(*style != Style::Plain);
    let written = end.column.saturating_sub(start.column);
    if start.line != end.line || node.is_alias() || written != text.chars().count() + 2 * quote {
        return node.span;
    }
    let column = start.column + quote + skip;
    let place = |column| Position { column, ..start };
    Span { start: place(column), end: place(column + width) }
}
