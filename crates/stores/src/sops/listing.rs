//! What a document holds, without any value: for lists that people read.

use super::{
    Document, Error, Place, comments,
    tree::{Content, Leaf, Leaves},
    value::Encrypted,
};

/// An entry of a document: its key and how its value is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// The key, as [`Document::fetch`] takes it.
    pub key: String,
    /// How the value is kept.
    pub kind: EntryKind,
    /// The type that sops keeps for the value, such as `str` or `int`; not authenticated.
    pub value_type: Option<&'static str>,
    /// Where it stands.
    pub place: Place,
}

/// How a value is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EntryKind {
    /// Encrypted.
    Encrypted,
    /// In the clear, as a rule of the document says.
    Clear,
    /// An empty text, which sops does not encrypt.
    Empty,
}

/// A comment of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Comment {
    /// Where it stands.
    pub place: Place,
    /// Whether it is encrypted. Comments are not authenticated as part of the document.
    pub encrypted: bool,
}

impl Document {
    /// The entries in the order of the document. Nothing is decrypted, so nothing is verified.
    ///
    /// # Errors
    /// Those of [`Document::keys`].
    pub fn entries(&self) -> Result<Vec<Entry>, Error> {
        let leaves = self.leaves()?;
        Ok(leaves.values().map(|leaf| self.entry(&leaves, leaf)).collect())
    }

    /// The entries of some keys, a result for each. Nothing is decrypted, so nothing is verified.
    ///
    /// # Errors
    /// For all: those of [`Document::keys`]. For one: [`Error::Key`], [`Error::NotFound`],
    /// [`Error::NotAValue`].
    pub fn entries_of(&self, keys: &[&str]) -> Result<Vec<Result<Entry, Error>>, Error> {
        let leaves = self.leaves()?;
        let index = leaves.index();
        let one = |key: &&str| {
            let leaf = self.find(&leaves, &index, key)?;
            Ok(self.entry(&leaves, &leaves.all[leaf]))
        };
        Ok(keys.iter().map(one).collect())
    }

    fn entry(&self, leaves: &Leaves<'_>, leaf: &Leaf<'_>) -> Entry {
        let (kind, value_type) = match &leaf.content {
            Content::Encrypted(value) => (EntryKind::Encrypted, Some(value.kind.name())),
            Content::Clear { .. } => (EntryKind::Clear, None),
            Content::Empty => (EntryKind::Empty, None),
        };
        let place = Place::new(&self.file, leaf.node.span.start);
        Entry { key: leaves.key(leaf).to_owned(), kind, value_type, place }
    }

    /// The comments in the order of the document.
    pub fn comments(&self) -> Vec<Comment> {
        let comments = comments::find(self.format, &self.text, &self.root);
        comments
            .into_iter()
            .map(|comment| {
                let encrypted = Encrypted::parse(comment.body(&self.text)).is_ok();
                Comment { place: Place::new(&self.file, comment.position(&self.text)), encrypted }
            })
            .collect()
    }
}
