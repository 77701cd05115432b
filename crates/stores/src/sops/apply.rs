//! An edited plaintext taken back: unchanged values keep their ciphertext, others get a new one.

use std::{collections::HashSet, ops::Range, time::SystemTime};

use dsops_resolver::yaml::{Node, Scalar, Value};
use dsops_secure_mem::SecretBytes;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::{
    Document, Error, Format, OpenDocument, Place,
    comments::{self, Comment},
    format, mac,
    path::{self, SOPS_SECTION},
    rules::Rule,
    tree::Content,
    value::{Cipher, Kind, Sealing, clear_form},
};
use crate::scrub::scrubbed;

/// What an edit of a whole document changed, by key, in the order of the document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Changes {
    /// Keys that were not there.
    pub added: Vec<String>,
    /// Keys with another value, or another type.
    pub changed: Vec<String>,
    /// Keys that are gone.
    pub removed: Vec<String>,
    /// Whether the text is another one: also for comments, order and layout.
    pub text: bool,
}

impl OpenDocument {
    /// Takes an edited plaintext for the document. Its layout becomes that of the plaintext; a
    /// value that is the same under its key keeps its ciphertext, so that a diff shows what was
    /// changed. Comments are encrypted as sops does it, but for those that stood in the clear.
    ///
    /// # Errors
    /// [`Error::Syntax`] with the place in the plaintext, [`Error::Unsupported`] for what sops does
    /// not keep (aliases, explicit types), [`Error::Edit`] for a document in which comments say
    /// what is encrypted; [`Error::TooLarge`], [`Error::Random`], [`Error::Memory`]. The document
    /// is then unchanged.
    pub fn apply_plaintext(
        &mut self,
        plaintext: &SecretBytes,
        now: SystemTime,
    ) -> Result<Changes, Error> {
        self.check_version(SOPS_SECTION)?;
        if self.plaintext()?.ct_eq(plaintext).into() {
            return Ok(Changes::default());
        }
        let document = &self.document;
        if document.format == Format::Binary {
            let text = self.set(format::BINARY_KEY, plaintext, now)?;
            let changed = vec![format::BINARY_KEY.to_owned()];
            return Ok(Changes { changed, text, ..Changes::default() });
        }
        if document.metadata.rule.is_by_comment() {
            let reason = "comments of the file decide what is encrypted";
            return Err(self.edit_error(SOPS_SECTION, reason));
        }
        let (text, changes) = {
            let bytes = plaintext.expose();
            let text = std::str::from_utf8(&bytes)
                .map_err(|_| Error::NotText { file: document.file.clone() })?;
            self.encrypted(text)?
        };
        let section = self.section();
        let root = parse(document, &text)?;
        let text = document.format.write_section(&text, &root, &section);
        let edited = self.reparse(text)?;
        let old = std::mem::replace(&mut self.document, edited);
        self.seal(now).inspect_err(|_| self.document = old)?;
        Ok(changes)
    }

    /// The plaintext with every value and comment encrypted that has to be.
    ///
    /// # Security
    /// The parser's tree has the values in ordinary memory. It is gone before the first of them is
    /// compared or encrypted.
    fn encrypted(&self, text: &str) -> Result<(String, Changes), Error> {
        let document = &self.document;
        let (values, found) = read(document, text)?;
        let leaves = document.leaves()?;
        let index = leaves.index();
        let all: Vec<usize> = (0..leaves.all.len()).collect();
        let old = mac::verify(&document.file, &leaves, &document.metadata, &self.data_key, &all)?;
        let mut changes = Changes { text: true, ..Changes::default() };
        let mut edits: Vec<(Range<usize>, String)> = Vec::new();
        let mut kept: HashSet<&str> = HashSet::new();
        for value in &values {
            let plaintext = value.plaintext.try_expose()?;
            let known = index.get(value.key.as_str()).copied();
            if let Some(at) = known {
                kept.insert(leaves.key(&leaves.all[at]));
            }
            let shown = value.shown(&plaintext);
            let same = known.is_some_and(|at| bool::from(old[at].expose().ct_eq(shown)));
            let content = known.map(|at| &leaves.all[at].content);
            let unchanged = same
                && match content {
                    Some(Content::Encrypted(there)) => {
                        value.encrypted && same_kind(document.format, there.kind, value.kind)
                    }
                    Some(Content::Clear { .. }) => !value.encrypted,
                    Some(Content::Empty) => value.encrypted,
                    None => false,
                };
            match (known, unchanged) {
                (None, _) => changes.added.push(value.key.clone()),
                (Some(_), false) => changes.changed.push(value.key.clone()),
                (Some(_), true) => {}
            }
            if !value.encrypted || shown.is_empty() {
                continue;
            }
            let range = value.range.clone();
            let sealed = match known.map(|at| leaves.all[at].node.as_str().unwrap_or_default()) {
                Some(raw) if unchanged => raw.to_owned(),
                _ => self.sealed(value.kind, &plaintext, &value.path)?,
            };
            let written = document.format.replacement(text, &range, &sealed);
            edits.push((range, written));
        }
        let gone = leaves.values().map(|leaf| leaves.key(leaf)).filter(|key| !kept.contains(key));
        changes.removed = gone.map(str::to_owned).collect();
        self.encrypt_comments(text, &found, &mut edits)?;
        Ok((format::splice_all(text, edits), changes))
    }

    /// Comments keep their ciphertext if their text is the same, and stay in the clear if they
    /// were.
    fn encrypt_comments(
        &self,
        text: &str,
        found: &[Comment],
        edits: &mut Vec<(Range<usize>, String)>,
    ) -> Result<(), Error> {
        let document = &self.document;
        let opened = self.open_comments()?;
        let known = comments::find(document.format, &document.text, &document.root);
        let clear: Vec<&str> = known
            .iter()
            .filter(|comment| !opened.iter().any(|(range, _)| *range == comment.body_range()))
            .map(|comment| comment.body(&document.text))
            .collect();
        let mut used = vec![false; opened.len()];
        for comment in found {
            let body = comment.body(text);
            let rule = &document.metadata.rule;
            let encrypted =
                comment.parts.iter().fold(rule.at_top(), |above, part| rule.below(above, part));
            if body.is_empty() || !encrypted || clear.contains(&body) {
                continue;
            }
            let Some(path) = comment.paths.first() else {
                let reason = "it has more comments than can be encrypted";
                return Err(self.edit_error(SOPS_SECTION, reason));
            };
            let there = opened.iter().enumerate().position(|(at, (_, old))| {
                !used[at] && bool::from(old.expose().ct_eq(body.as_bytes()))
            });
            let sealed = if let Some(at) = there {
                used[at] = true;
                document.text[opened[at].0.clone()].to_owned()
            } else {
                self.sealed(Kind::Comment, body.as_bytes(), path)?
            };
            edits.push((comment.body_range(), sealed));
        }
        Ok(())
    }

    fn sealed(&self, kind: Kind, plaintext: &[u8], path: &str) -> Result<String, Error> {
        let sealing = Sealing::new(plaintext.len())?;
        Ok(scrubbed(|| Cipher::new(&self.data_key).seal(sealing, kind, plaintext, path.as_bytes())))
    }
}

/// Whether a type is the same as far as the format can tell.
fn same_kind(format: Format, old: Kind, new: Kind) -> bool {
    let number = |kind| matches!(kind, Kind::Int | Kind::Float);
    old == new
        || (number(old) && number(new))
        || (new == Kind::Str && !format::can_write(format, old))
}

fn parse(document: &Document, text: &str) -> Result<Node, Error> {
    document.format.parse(text).map_err(|source| Error::Syntax {
        file: document.file.clone(),
        format: document.format,
        source: Box::new(source),
    })
}

/// The values and comments of a plaintext, in protected memory and by place.
fn read(document: &Document, text: &str) -> Result<(Vec<Plain>, Vec<Comment>), Error> {
    let root = parse(document, text)?;
    if root.get(SOPS_SECTION).is_some() {
        let what = "a section `sops` in the edited text".to_owned();
        return Err(Error::Unsupported { place: document.section_place(), what });
    }
    let mut walk = Walk { document, key: String::new(), path: String::new(), values: Vec::new() };
    walk.node(&root, document.metadata.rule.at_top(), true)?;
    let found = comments::find(document.format, text, &root);
    Ok((walk.values, found))
}

/// A value of the plaintext.
struct Plain {
    /// Where it stands.
    range: Range<usize>,
    key: String,
    path: String,
    encrypted: bool,
    kind: Kind,
    /// In the form that is encrypted.
    plaintext: SecretBytes,
}

impl Plain {
    /// As values are handed out: a boolean in small letters.
    fn shown<'b>(&self, plaintext: &'b [u8]) -> &'b [u8] {
        match plaintext {
            b"True" if self.kind == Kind::Bool => b"true",
            b"False" if self.kind == Kind::Bool => b"false",
            other => other,
        }
    }
}

struct Walk<'a> {
    document: &'a Document,
    key: String,
    path: String,
    values: Vec<Plain>,
}

impl<'a> Walk<'a> {
    fn node(&mut self, node: &Node, encrypted: bool, top: bool) -> Result<(), Error> {
        if node.is_alias() {
            return Err(self.unsupported(node, "an alias stands for a value"));
        }
        match &node.value {
            Value::Mapping(entries) => {
                for (name, value) in entries {
                    let part = match name.scalar() {
                        Some(Scalar::Str(part)) if !name.is_alias() => part,
                        _ => return Err(self.unsupported(name, "a key is not text (quote it)")),
                    };
                    let (key_len, path_len) = (self.key.len(), self.path.len());
                    path::push(&mut self.key, part);
                    self.path.push_str(part);
                    self.path.push(':');
                    let below = self.rule().below(encrypted, part);
                    self.node(value, below, false)?;
                    self.key.truncate(key_len);
                    self.path.truncate(path_len);
                }
                Ok(())
            }
            Value::Sequence(_) if top => Err(self.unsupported(node, "the document is a list")),
            Value::Sequence(items) => {
                for (index, item) in items.iter().enumerate() {
                    let key_len = self.key.len();
                    path::push(&mut self.key, &index.to_string());
                    self.node(item, encrypted, false)?;
                    self.key.truncate(key_len);
                }
                Ok(())
            }
            Value::Scalar { .. } => {
                let scalar = node.scalar().unwrap_or(Scalar::Null);
                if matches!(scalar, Scalar::Null) {
                    return Ok(());
                }
                if top {
                    return Err(self.unsupported(node, "the document is one value"));
                }
                self.scalar(node, scalar, encrypted)
            }
        }
    }

    fn scalar(&mut self, node: &Node, scalar: Scalar<'_>, encrypted: bool) -> Result<(), Error> {
        // A tag would stay beside the encrypted value; that of numbers in JSON is our own.
        if encrypted && self.document.format == Format::Yaml && node.tag().is_some() {
            return Err(self.unsupported(node, "a value has an explicit type"));
        }
        let kind = match scalar {
            Scalar::Bool(_) => Kind::Bool,
            Scalar::Int(int) if i64::try_from(int).is_ok() => Kind::Int,
            Scalar::Int(_) | Scalar::Float(_) => Kind::Float,
            Scalar::Timestamp(_) => Kind::Time,
            _ => Kind::Str,
        };
        let canonical = match scalar {
            Scalar::Str(_) => None,
            #[expect(clippy::cast_precision_loss, reason = "as Go reads a number of this size")]
            Scalar::Int(int) if kind == Kind::Float => Some(clear_form(Scalar::Float(int as f64))),
            other => Some(clear_form(other)),
        };
        let canonical = canonical.transpose().map_err(|reason| Error::Value {
            place: Place::new(&self.document.file, node.span.start),
            key: self.key.clone(),
            reason,
        })?;
        let canonical = canonical.map(Zeroizing::new);
        let plaintext = canonical.as_deref().map_or_else(|| node.as_str(), |text| Some(text));
        self.values.push(Plain {
            range: node.span.range(),
            key: self.key.clone(),
            path: self.path.clone(),
            encrypted,
            kind,
            plaintext: SecretBytes::copy_from(plaintext.unwrap_or_default().as_bytes())?,
        });
        Ok(())
    }

    fn rule(&self) -> &'a Rule {
        &self.document.metadata.rule
    }

    fn unsupported(&self, node: &Node, what: &str) -> Error {
        let place = Place::new(&self.document.file, node.span.start);
        Error::Unsupported { place, what: what.to_owned() }
    }
}
