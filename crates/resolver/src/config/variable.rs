//! One variable of an environment: its source, and what goes with it.

use std::sync::Arc;

use dsops_secure_mem::SecretBytes;

use super::environment::Entry;
use super::foreign;
use super::read::{Reader, inner_span};
use super::{SourceSpec, VariableSpec};
use crate::diagnostic::{Diagnostic, Place, codes};
use crate::format::{self, FROM, Setting, VARIABLE};
use crate::reference::{Reference, ReferenceError, SERVICE_SCHEME};
use crate::yaml::{Node, Scalar, Span, Style, Value};

/// Refuses a name that shells and programs could not use as an environment variable.
pub(super) fn refuse_name(name: &str, place: impl FnOnce() -> Place) -> Option<Diagnostic> {
    let bad =
        |i: usize, c: char| !(c == '_' || c.is_ascii_alphabetic() || (i > 0 && c.is_ascii_digit()));
    let reason = match name.chars().enumerate().find(|&(i, c)| bad(i, c)) {
        None if name.is_empty() => "a variable needs a name".to_owned(),
        None => return None,
        Some((_, c)) if c.is_control() => {
            format!("a variable's name cannot hold the control character U+{:04X}", u32::from(c))
        }
        Some((0, c)) if c.is_ascii_digit() => {
            format!("the variable name `{name}` starts with a digit")
        }
        Some((_, c)) => format!("the variable name `{name}` holds `{c}`"),
    };
    Some(
        Diagnostic::error(codes::BAD_NAME, reason)
            .at(place())
            .help("a name is letters (A-Z, a-z), digits and `_`, and does not start with a digit"),
    )
}

/// The variable, that it is removed, or that it is broken, which has been reported.
pub(super) fn read(reader: &mut Reader<'_>, name_node: &Node, node: Node) -> Entry {
    if node.is_null() {
        return Entry::Removed(reader.source().place(name_node.span));
    }
    variable(reader, name_node, node).map_or(Entry::Broken, |spec| Entry::Set(Arc::new(spec)))
}

fn variable(reader: &mut Reader<'_>, name_node: &Node, node: Node) -> Option<VariableSpec> {
    let name = name_node.as_str().unwrap_or_default();
    let place = reader.source().place(name_node.span);
    let mut variable = VariableReader { reader, name, deferred: Vec::new(), expanded: Vec::new() };
    if node.as_mapping().is_none() {
        // `NAME: store://…` is short for `NAME: { from: store://… }`.
        if node.as_str().is_some_and(is_source) {
            let source = variable.source(node)?;
            let VariableReader { deferred, expanded, .. } = variable;
            return Some(VariableSpec {
                place,
                source,
                optional: false,
                default: None,
                steps: Vec::new(),
                transforms: Vec::new(),
                deferred,
                expanded,
            });
        }
        let message = format!(
            "the variable `{name}` has to be a mapping or a reference, but is {}",
            node.kind()
        );
        let problem = variable.reader.error(node.span, codes::WRONG_TYPE, message);
        variable.reader.push(problem.help(format!("write `{name}: {{ literal: … }}`")));
        return None;
    }
    let (mut literal, mut from, mut default) = (None, None, None);
    let (mut optional, mut sources, mut unknown) = (false, 0, false);
    let mut steps = Vec::new();
    for (key, value) in variable.reader.entries(node, &format!("the variable `{name}`")) {
        match key.as_str().unwrap_or_default() {
            "literal" => {
                sources += 1;
                literal = variable.secret("literal", value);
            }
            "from" => {
                sources += 1;
                from = variable.source(value);
            }
            "default" => default = variable.secret("default", value),
            "optional" => optional = variable.boolean(&value),
            "transform" => steps = variable.reader.chain(&value),
            // Notes for people and other tools.
            "metadata" => {
                variable.reader.entries(value, "`metadata`");
            }
            // Of the rotation of the first dsops.
            "service" | "rotation" => {
                variable.reader.passive(&key, &value, "nothing is rotated");
            }
            _ => {
                unknown = true;
                variable.unknown_key(&key, VARIABLE);
            }
        }
    }
    if unknown && sources == 0 {
        // The unknown key may be the source.
        return None;
    }
    if sources != 1 {
        let message = match sources {
            0 => format!("the variable `{name}` has no source"),
            _ => format!("the variable `{name}` has two sources, `literal` and `from`"),
        };
        let problem = Diagnostic::error(codes::SOURCE, message).at(place);
        variable.reader.push(match sources {
            0 => problem.help("give it `from: store://NAME/PATH` or `literal: …`"),
            _ => problem.help("keep one of the two"),
        });
        return None;
    }
    let VariableReader { deferred, expanded, .. } = variable;
    let source = literal.map(SourceSpec::Literal).or(from)?;
    let transforms = Vec::new();
    Some(VariableSpec { place, source, optional, default, steps, transforms, deferred, expanded })
}

/// Whether a text means to say where a value comes from.
pub(super) fn is_source(text: &str) -> bool {
    Reference::is_like(text) || text.starts_with(SERVICE_SCHEME)
}

struct VariableReader<'a, 'l> {
    reader: &'a mut Reader<'l>,
    name: &'a str,
    /// What a plan that needs the variable will say.
    deferred: Vec<Diagnostic>,
    /// The environment variables that were asked for.
    expanded: Vec<String>,
}

impl VariableReader<'_, '_> {
    /// Expands `${…}`; whether it could be done.
    fn expand(&mut self, node: &mut Node) -> bool {
        self.reader.expand(node, &mut self.deferred, &mut self.expanded)
    }

    /// Moves the text of a scalar into protected memory.
    fn secret(&mut self, key: &str, mut node: Node) -> Option<Arc<SecretBytes>> {
        let kind = node.kind();
        if node.is_null() {
            let problem =
                self.reader.error(node.span, codes::WRONG_TYPE, format!("`{key}` has no value"));
            self.reader.push(problem.help(format!("write `{key}: \"\"` for an empty one")));
            return None;
        }
        let span = node.span;
        self.expand(&mut node);
        let Value::Scalar { text, .. } = node.value else {
            let message = format!("`{key}` has to be text, but is {kind}");
            self.reader.problem(span, codes::WRONG_TYPE, message);
            return None;
        };
        match text.into_secret() {
            Ok(secret) => Some(Arc::new(secret)),
            Err(error) => {
                let message = format!("no protected memory for `{key}`: {error}");
                self.reader.problem(span, codes::STORE_MEMORY, message);
                None
            }
        }
    }

    fn boolean(&mut self, node: &Node) -> bool {
        match (node.scalar(), &node.value) {
            (Some(Scalar::Bool(value)), _) => return value,
            // What yaml.v3 takes for a boolean where one is wanted.
            (_, Value::Scalar { text, style: Style::Plain, .. }) => match &**text {
                "y" | "Y" | "yes" | "on" => return true,
                "n" | "N" | "no" | "off" => return false,
                _ => {}
            },
            _ => {}
        }
        let message = format!("`optional` has to be `true` or `false`, but is {}", node.kind());
        self.reader.problem(node.span, codes::WRONG_TYPE, message);
        false
    }

    fn source(&mut self, mut node: Node) -> Option<SourceSpec> {
        match &node.value {
            Value::Mapping(_) => self.store_and_key(node),
            Value::Scalar { .. } if !node.is_null() => {
                if !self.expand(&mut node) {
                    return Some(SourceSpec::Deferred);
                }
                if node.as_str().is_some_and(|text| text.starts_with(SERVICE_SCHEME)) {
                    return Some(self.service(node.span));
                }
                let reference = self.reference(&node)?;
                let place = self.reader.source().place(node.span);
                Some(SourceSpec::Item { reference, place })
            }
            _ => {
                let message =
                    format!("`from` has to be a reference or a mapping, but is {}", node.kind());
                let problem = self.reader.error(node.span, codes::WRONG_TYPE, message);
                self.reader.push(problem.help("write `from: store://NAME/PATH`"));
                None
            }
        }
    }

    fn service(&mut self, span: Span) -> SourceSpec {
        let message = "a service reference names what is rotated, not where its secret is";
        let problem = self.reader.error(span, codes::SERVICE_REFERENCE, message);
        self.deferred
            .push(problem.help("name the store that holds the secret: `from: store://NAME/PATH`"));
        SourceSpec::Deferred
    }

    /// `{ provider, key, version }`, `{ store: NAME, key, field, version }`, `{ store: store://… }` or
    /// `{ service: svc://… }`.
    fn store_and_key(&mut self, node: Node) -> Option<SourceSpec> {
        let span = node.span;
        let what = format!("`from` of the variable `{}`", self.name);
        let mut entries = self.reader.entries(node, &what);
        let is_unknown = |key: &Node| !format::has(FROM, key.as_str().unwrap_or_default());
        let unknown: Vec<_> = entries.iter().filter(|(key, _)| is_unknown(key)).collect();
        if !unknown.is_empty() {
            let has_key = entries.iter().any(|(key, _)| key.as_str() == Some("key"));
            for (key, _) in unknown {
                match foreign::key_of_from(key.as_str().unwrap_or_default(), has_key) {
                    Some(help) => self.unknown_key_with(key, help.to_owned()),
                    None => self.unknown_key(key, FROM),
                }
            }
            // What else is missing may be what they meant.
            return None;
        }
        for (_, value) in &mut entries {
            if !self.expand(value) {
                return Some(SourceSpec::Deferred);
            }
        }
        let find =
            |name: &str| entries.iter().find(|(key, _)| key.as_str() == Some(name)).map(|(_, v)| v);
        let (store, provider, service) = (find("store"), find("provider"), find("service"));
        let [store_text, provider_text, key, field, version, service_text] =
            [store, provider, find("key"), find("field"), find("version"), service]
                .map(|node| self.text(node));
        let (name, name_node) = match (store, provider, service) {
            (None, None, None) => {
                let problem = self.reader.error(span, codes::SOURCE, "`from` names no store");
                self.reader.push(problem.help("write `from: store://NAME/PATH`"));
                return None;
            }
            (Some(_), Some(_), _) => return self.clash(span, "store", "provider"),
            (Some(_), _, Some(_)) => return self.beside_service(span, "store"),
            (_, Some(_), Some(_)) => return self.beside_service(span, "provider"),
            (_, _, Some(node)) => {
                service_text?;
                return Some(self.service(node.span));
            }
            (Some(node), ..) => (store_text?, node),
            (_, Some(node), _) => (provider_text?, node),
        };
        if store.is_some() && name.contains("://") {
            let mut reference = self.reference(name_node)?;
            if key.is_some() {
                return self.clash(span, "store: store://…", "key");
            }
            if let Some(version) = version.filter(|version| !version.is_empty()) {
                if reference.version.is_some() {
                    return self.clash(span, "?version=", "version");
                }
                reference.version = Some(version.to_owned());
            }
            if let Some(field) = field.filter(|field| !field.is_empty()) {
                if reference.field.is_some() {
                    return self.clash(span, "#…", "field");
                }
                reference.field = Some(field.to_owned());
            }
            let place = self.reader.source().place(name_node.span);
            return Some(SourceSpec::Item { reference, place });
        }
        let Some(key) = key.filter(|key| !key.is_empty()) else {
            // A `key` of the wrong kind has been reported.
            if find("key").is_none_or(|node| node.as_str().is_some()) {
                let problem = self.reader.error(
                    span,
                    codes::SOURCE,
                    format!("`from` has no `key` for the store `{name}`"),
                );
                self.reader.push(problem.help(match foreign::store_and_path(name) {
                    Some(help) => help,
                    None => "name the item: `key: …`".to_owned(),
                }));
            }
            return None;
        };
        let version = version.filter(|version| !version.is_empty()).map(str::to_owned);
        let field = field.filter(|field| !field.is_empty()).map(str::to_owned);
        let reference = Reference { store: name.to_owned(), path: key.to_owned(), field, version };
        let place = self.reader.source().place(name_node.span);
        Some(SourceSpec::Item { reference, place })
    }

    fn clash(&mut self, span: Span, left: &str, right: &str) -> Option<SourceSpec> {
        let message = format!("`from` has `{left}` and `{right}`: only one can be meant");
        self.reader.problem(span, codes::SOURCE, message);
        None
    }

    fn beside_service(&mut self, span: Span, store: &str) -> Option<SourceSpec> {
        let message = format!("`from` has `{store}` and `service`: only one can be meant");
        let problem = self.reader.error(span, codes::SOURCE, message);
        self.reader.push(problem.help("remove `service`: it names what is rotated"));
        None
    }

    /// The text of a value that has to be text; null is as if it were not there.
    fn text<'n>(&mut self, node: Option<&'n Node>) -> Option<&'n str> {
        let node = node?;
        if node.as_str().is_none() {
            let message = format!("expected text, but this is {}", node.kind());
            self.reader.problem(node.span, codes::WRONG_TYPE, message);
        }
        node.as_str().filter(|_| !node.is_null())
    }

    fn reference(&mut self, node: &Node) -> Option<Reference> {
        let text = node.as_str().unwrap_or_default();
        match text.parse::<Reference>() {
            Ok(reference) => Some(reference),
            Err(error) => {
                let ReferenceError { column, width, .. } = error;
                let span = inner_span(node, column - 1, width);
                let problem = self.reader.error(span, codes::REFERENCE, error.kind.to_string());
                self.reader.push(match foreign::name_and_key(text).or_else(|| error.help()) {
                    Some(help) => problem.help(help),
                    None => problem,
                });
                None
            }
        }
    }

    fn unknown_key(&mut self, key: &Node, known: &[Setting]) {
        let name = key.as_str().unwrap_or_default();
        self.unknown_key_with(key, format::unknown_help(name, known));
    }

    fn unknown_key_with(&mut self, key: &Node, help: String) {
        let name = key.as_str().unwrap_or_default();
        let message = format!("unknown key `{name}` in the variable `{}`", self.name);
        let problem = self.reader.error(key.span, codes::UNKNOWN_KEY, message);
        self.reader.push(problem.help(help));
    }
}
