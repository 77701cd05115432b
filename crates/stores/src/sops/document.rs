//! A SOPS document: parsed, and read with an identity.

use std::{borrow::Borrow, collections::HashMap};

use dsops_resolver::{
    suggest,
    yaml::{Node, Value},
};
use dsops_secure_mem::SecretBytes;

use super::{
    Error, Format, NULL_KIND, OpenDocument, Place, format, mac,
    metadata::Metadata,
    path::{self, SOPS_SECTION},
    tree::Leaves,
};
use crate::age::Identity;

/// A document that was parsed; nothing in it is trusted yet.
#[derive(Debug)]
pub struct Document {
    pub(super) file: String,
    pub(super) format: Format,
    pub(super) text: String,
    pub(super) root: Node,
    pub(super) metadata: Metadata,
}

impl Document {
    /// Parses a document; `file` names it in errors, and its extension says its format.
    ///
    /// # Errors
    /// [`Error::Syntax`], [`Error::NotSops`], [`Error::Metadata`], [`Error::Pattern`],
    /// [`Error::Unsupported`], [`Error::NoAgeRecipient`].
    pub fn parse(file: &str, text: impl Into<String>) -> Result<Self, Error> {
        Self::parse_as(Format::of(file), file, text)
    }

    /// Parses a document of a format.
    ///
    /// # Errors
    /// Those of [`Document::parse`].
    pub fn parse_as(format: Format, file: &str, text: impl Into<String>) -> Result<Self, Error> {
        let text = text.into();
        let root = format.parse(&text).map_err(|source| Error::Syntax {
            file: file.to_owned(),
            format,
            source: Box::new(source),
        })?;
        let metadata = Metadata::parse(file, &root)?;
        Ok(Self { file: file.to_owned(), format, text, root, metadata })
    }

    /// Its format.
    pub fn format(&self) -> Format {
        self.format
    }

    /// The document as text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The age recipients of the document, as it states them, group by group.
    pub fn recipients(&self) -> impl Iterator<Item = &str> {
        self.metadata.keys().map(|key| key.recipient.as_str())
    }

    /// The recipients that are no age recipients, such as `pgp FINGERPRINT`: they can open the
    /// document, but not here.
    pub fn other_recipients(&self) -> impl Iterator<Item = &str> {
        self.metadata.others()
    }

    /// The keys of all values, in the order of the document. Keys are not secret, and not
    /// authenticated before the document is open.
    ///
    /// # Errors
    /// [`Error::Value`], [`Error::Unsupported`] for what sops could not have written.
    pub fn keys(&self) -> Result<Vec<String>, Error> {
        let leaves = self.leaves()?;
        Ok(leaves.values().map(|leaf| leaves.key(leaf).to_owned()).collect())
    }

    /// Unwraps the data key, verifies the whole document, and opens it.
    ///
    /// # Errors
    /// [`Error::NoIdentity`], [`Error::TooFewGroups`], [`Error::WrappedKey`], and those of
    /// [`Document::fetch`] but [`Error::NotFound`] and [`Error::NotAValue`].
    pub fn open(self, identities: &[impl Borrow<Identity>]) -> Result<OpenDocument, Error> {
        let data_key = self.data_key(identities)?;
        mac::verify(&self.file, &self.leaves()?, &self.metadata, &data_key, &[])?;
        Ok(OpenDocument { document: self, data_key })
    }

    /// Verifies the whole document and returns the values of `keys`, a result for each: the way to
    /// read values once, in one pass.
    ///
    /// # Errors
    /// For all: [`Error::NoIdentity`], [`Error::TooFewGroups`], [`Error::WrappedKey`],
    /// [`Error::Value`], [`Error::Changed`], [`Error::Mac`], [`Error::Memory`]. For one: [`Error::Key`],
    /// [`Error::NotFound`], [`Error::NotAValue`].
    pub fn fetch(
        &self,
        keys: &[&str],
        identities: &[impl Borrow<Identity>],
    ) -> Result<Vec<Result<SecretBytes, Error>>, Error> {
        self.fetch_with(keys, &self.data_key(identities)?)
    }

    pub(super) fn fetch_with(
        &self,
        keys: &[&str],
        data_key: &SecretBytes,
    ) -> Result<Vec<Result<SecretBytes, Error>>, Error> {
        let leaves = self.leaves()?;
        let index = leaves.index();
        let found: Vec<Result<usize, Error>> =
            keys.iter().map(|key| self.find(&leaves, &index, key)).collect();
        // Values come in the order of the document.
        let mut order: Vec<(usize, usize)> = found
            .iter()
            .enumerate()
            .filter_map(|(at, leaf)| Some((*leaf.as_ref().ok()?, at)))
            .collect();
        order.sort_unstable();
        let wanted: Vec<usize> = order.iter().map(|(leaf, _)| *leaf).collect();
        let values = mac::verify(&self.file, &leaves, &self.metadata, data_key, &wanted)?;
        let mut results: Vec<Option<SecretBytes>> = keys.iter().map(|_| None).collect();
        for ((_, at), value) in order.into_iter().zip(values) {
            results[at] = Some(value);
        }
        let value = |value: Option<SecretBytes>| value.expect("every leaf found has its value");
        Ok(found.into_iter().zip(results).map(|(leaf, slot)| leaf.map(|_| value(slot))).collect())
    }

    pub(super) fn leaves(&self) -> Result<Leaves<'_>, Error> {
        Leaves::of(&self.file, &self.root, &self.metadata.rule)
    }

    pub(super) fn section_place(&self) -> Place {
        let section = self.root.get(SOPS_SECTION).unwrap_or(&self.root);
        Place::new(&self.file, section.span.start)
    }

    /// Which parts of a key are indices of lists: these are no part of what a value is
    /// authenticated with.
    pub(super) fn list_indices(&self, parts: &[String]) -> Vec<bool> {
        let mut node = Some(&self.root);
        let in_list = |part: &String| {
            let above = node;
            node = above.and_then(|above| child(above, part));
            above.is_some_and(|above| above.as_sequence().is_some())
        };
        parts.iter().map(in_list).collect()
    }

    /// The leaf that a key names.
    pub(super) fn find(
        &self,
        leaves: &Leaves<'_>,
        index: &HashMap<&str, usize>,
        key: &str,
    ) -> Result<usize, Error> {
        if let Some(leaf) = index.get(key) {
            return Ok(*leaf);
        }
        let parts = path::parse(key)?;
        match self.node(&parts) {
            Some(node) => Err(Error::NotAValue {
                place: Place::new(&self.file, node.span.start),
                key: key.to_owned(),
                kind: match &node.value {
                    Value::Mapping(_) => "a group of values",
                    Value::Sequence(_) => "a list of values",
                    Value::Scalar { .. } => NULL_KIND,
                },
            }),
            None => Err(Error::NotFound {
                file: self.file.clone(),
                key: key.to_owned(),
                suggestion: suggest(key, leaves.values().map(|leaf| leaves.key(leaf)))
                    .map(str::to_owned),
            }),
        }
    }

    pub(super) fn node(&self, parts: &[String]) -> Option<&Node> {
        parts.iter().try_fold(&self.root, |node, part| child(node, part))
    }
}

fn child<'a>(node: &'a Node, part: &str) -> Option<&'a Node> {
    match &node.value {
        Value::Mapping(_) => node.get(part),
        Value::Sequence(items) => {
            items.get(*format::item_positions(items).get(path::index(part)?)?)
        }
        Value::Scalar { .. } => None,
    }
}
