//! The values of a document in its order, each with its key and the path that authenticates it.

use std::{collections::HashMap, ops::Range};

use dsops_resolver::yaml::{Node, Scalar, Value};

use super::{
    Error, Place,
    path::{self, SOPS_SECTION},
    rules::Rule,
    value::{Encrypted, Kind, clear_form},
};

/// All keys together, each with those above it; a file of secrets has some thousand bytes of them.
const KEYS_LIMIT_BYTES: usize = 64 << 20;

/// How a value stands in the document.
pub(super) enum Content<'a> {
    Encrypted(Encrypted<'a>),
    /// In the clear, in the form that sops hashes.
    Clear {
        form: String,
        kind: Kind,
    },
    /// An empty text, which sops leaves as it is.
    Empty,
}

/// One value.
pub(super) struct Leaf<'a> {
    pub node: &'a Node,
    pub content: Content<'a>,
    /// Whether the rule of the document has it encrypted.
    pub encrypted: bool,
    key: Range<usize>,
    path: Range<usize>,
}

impl Leaf<'_> {
    /// Whether it is a comment, which sops may leave as an item of a list. It is no value: it has
    /// no index, and the MAC leaves it out.
    pub(super) fn is_comment(&self) -> bool {
        matches!(&self.content, Content::Encrypted(value) if value.kind == Kind::Comment)
    }

    /// At least as many bytes as the value has.
    pub(super) fn max_len(&self) -> usize {
        match &self.content {
            Content::Encrypted(value) => value.max_len(),
            Content::Clear { form, .. } => form.len(),
            Content::Empty => 0,
        }
    }
}

/// All values of a document but null, in order. Keys and paths share one text each.
pub(super) struct Leaves<'a> {
    pub all: Vec<Leaf<'a>>,
    keys: String,
    paths: String,
}

impl<'a> Leaves<'a> {
    pub(super) fn of(file: &str, root: &'a Node, rule: &Rule) -> Result<Self, Error> {
        let mut walk = Walk {
            file,
            rule,
            key: String::new(),
            path: String::new(),
            leaves: Leaves { all: Vec::new(), keys: String::new(), paths: String::new() },
        };
        walk.node(root, rule.at_top(), true)?;
        Ok(walk.leaves)
    }

    /// The key in the grammar of [`super::path`].
    pub(super) fn key(&self, leaf: &Leaf<'_>) -> &str {
        &self.keys[leaf.key.clone()]
    }

    /// All but the comments.
    pub(super) fn values(&self) -> impl Iterator<Item = &Leaf<'a>> {
        self.all.iter().filter(|leaf| !leaf.is_comment())
    }

    /// Where each key stands in [`Leaves::all`].
    pub(super) fn index(&self) -> HashMap<&str, usize> {
        let values = self.all.iter().enumerate().filter(|(_, leaf)| !leaf.is_comment());
        values.map(|(at, leaf)| (self.key(leaf), at)).collect()
    }

    /// What the value is authenticated with: the parts of its path, each followed by a colon.
    /// The index in a list is no part of it.
    pub(super) fn path(&self, leaf: &Leaf<'_>) -> &[u8] {
        self.paths[leaf.path.clone()].as_bytes()
    }

    /// The longest plaintext there can be.
    pub(super) fn max_len(&self) -> usize {
        self.all.iter().map(Leaf::max_len).max().unwrap_or(0)
    }
}

struct Walk<'a, 'c> {
    file: &'c str,
    rule: &'c Rule,
    key: String,
    path: String,
    leaves: Leaves<'a>,
}

impl<'a> Walk<'a, '_> {
    /// Depth is bounded by the parser.
    fn node(&mut self, node: &'a Node, encrypted: bool, top: bool) -> Result<(), Error> {
        if node.is_alias() {
            return Err(self.unsupported(node, "an alias stands for a value"));
        }
        match &node.value {
            Value::Mapping(entries) => {
                for (name, value) in entries {
                    let part = self.part(name)?;
                    if top && part == SOPS_SECTION {
                        continue;
                    }
                    let (key_len, path_len) = (self.key.len(), self.path.len());
                    path::push(&mut self.key, part);
                    self.path.push_str(part);
                    self.path.push(':');
                    self.node(value, self.rule.below(encrypted, part), false)?;
                    self.key.truncate(key_len);
                    self.path.truncate(path_len);
                }
                Ok(())
            }
            Value::Sequence(_) if top => Err(self.unsupported(node, "the document is a list")),
            Value::Sequence(items) => {
                let mut index = 0;
                for item in items {
                    let key_len = self.key.len();
                    path::push(&mut self.key, &index.to_string());
                    let first = self.leaves.all.len();
                    self.node(item, encrypted, false)?;
                    self.key.truncate(key_len);
                    let comment = self
                        .leaves
                        .all
                        .get(first)
                        .is_some_and(|leaf| leaf.is_comment() && std::ptr::eq(leaf.node, item));
                    index += usize::from(!comment);
                }
                Ok(())
            }
            Value::Scalar { .. } if top => Err(self.unsupported(node, "the document is one value")),
            Value::Scalar { text, .. } => self.scalar(node, text, encrypted),
        }
    }

    fn scalar(&mut self, node: &'a Node, text: &'a str, encrypted: bool) -> Result<(), Error> {
        let scalar = node.scalar().unwrap_or(Scalar::Null);
        if matches!(scalar, Scalar::Null) {
            return Ok(());
        }
        let encrypted = match self.rule {
            Rule::Comments => Encrypted::parse(text).is_ok(),
            Rule::Names { .. } => encrypted,
        };
        let content = if !encrypted {
            let kind = if matches!(scalar, Scalar::Bool(_)) { Kind::Bool } else { Kind::Str };
            let form = clear_form(scalar).map_err(|reason| self.refuse(node, reason))?;
            Content::Clear { form, kind }
        } else if text.is_empty() {
            Content::Empty
        } else if matches!(scalar, Scalar::Str(_)) {
            Content::Encrypted(Encrypted::parse(text).map_err(|reason| self.refuse(node, reason))?)
        } else {
            return Err(self.refuse(node, "it is not encrypted"));
        };
        let leaves = &mut self.leaves;
        if leaves.keys.len() + self.key.len() > KEYS_LIMIT_BYTES {
            return Err(self.unsupported(node, "the keys are longer than those of any document"));
        }
        let (key, path) = (leaves.keys.len(), leaves.paths.len());
        leaves.keys.push_str(&self.key);
        leaves.paths.push_str(&self.path);
        let (key, path) = (key..leaves.keys.len(), path..leaves.paths.len());
        leaves.all.push(Leaf { node, content, encrypted, key, path });
        Ok(())
    }

    fn part(&self, name: &'a Node) -> Result<&'a str, Error> {
        match name.scalar() {
            _ if name.is_alias() => Err(self.unsupported(name, "an alias stands for a key")),
            Some(Scalar::Str(part)) => Ok(part),
            _ => Err(self.unsupported(name, "a key is not text (quote it)")),
        }
    }

    fn refuse(&self, node: &Node, reason: &'static str) -> Error {
        Error::Value {
            place: Place::new(self.file, node.span.start),
            key: self.key.clone(),
            reason,
        }
    }

    fn unsupported(&self, node: &Node, what: &str) -> Error {
        Error::Unsupported { place: Place::new(self.file, node.span.start), what: what.to_owned() }
    }
}
