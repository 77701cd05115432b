//! A SOPS document: parsed, then opened with an identity, then read and edited.

use std::{borrow::Borrow, collections::HashMap, time::SystemTime};

use dsops_resolver::{
    suggest,
    yaml::{self, Node, Value},
};
use dsops_secure_mem::SecretBytes;
use subtle::ConstantTimeEq;

use super::{
    Error, NULL_KIND, Place, edit, mac,
    metadata::{Metadata, WrappedKey},
    path::{self, SOPS_SECTION},
    store::FILE_LIMIT_BYTES,
    tree::{Content, Leaves},
    value::{Cipher, KEY_BYTES, Sealing},
};
use crate::{
    age::{self, Identity, Recipient},
    scrub::scrubbed,
};

/// What new documents say they were written by: the sops whose format this is.
const FORMAT_VERSION: &str = "3.11.0";

/// A document that was parsed; nothing in it is trusted yet.
#[derive(Debug)]
pub struct Document {
    file: String,
    text: String,
    root: Node,
    metadata: Metadata,
}

impl Document {
    /// Parses a document; `file` names it in errors.
    ///
    /// # Errors
    /// [`Error::Syntax`], [`Error::NotSops`], [`Error::Metadata`], [`Error::Unsupported`],
    /// [`Error::NoAgeRecipient`].
    pub fn parse(file: &str, text: impl Into<String>) -> Result<Self, Error> {
        let text = text.into();
        let root =
            yaml::parse(&text).map_err(|source| Error::Syntax { file: file.to_owned(), source })?;
        let metadata = Metadata::parse(file, &root)?;
        Ok(Self { file: file.to_owned(), text, root, metadata })
    }

    /// The age recipients of the document, as it states them.
    pub fn recipients(&self) -> impl Iterator<Item = &str> {
        self.metadata.keys.iter().map(|key| key.recipient.as_str())
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
    /// [`Error::NoIdentity`], [`Error::WrappedKey`], and those of [`Document::fetch`] but
    /// [`Error::NotFound`] and [`Error::NotAValue`].
    pub fn open(self, identities: &[impl Borrow<Identity>]) -> Result<OpenDocument, Error> {
        let data_key = self.data_key(identities)?;
        mac::verify(&self.file, &self.leaves()?, &self.metadata, &data_key, &[])?;
        Ok(OpenDocument { document: self, data_key })
    }

    /// Verifies the whole document and returns the values of `keys`, a result for each: the way to
    /// read values once, in one pass.
    ///
    /// # Errors
    /// For all: [`Error::NoIdentity`], [`Error::WrappedKey`], [`Error::Value`],
    /// [`Error::Changed`], [`Error::Mac`], [`Error::Memory`]. For one: [`Error::Key`],
    /// [`Error::NotFound`], [`Error::NotAValue`].
    pub fn fetch(
        &self,
        keys: &[&str],
        identities: &[impl Borrow<Identity>],
    ) -> Result<Vec<Result<SecretBytes, Error>>, Error> {
        self.fetch_with(keys, &self.data_key(identities)?)
    }

    fn fetch_with(
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

    /// Tries the wrapped keys of our own recipients first; the names of recipients are not
    /// authenticated, so all others are tried after them.
    fn data_key(&self, identities: &[impl Borrow<Identity>]) -> Result<SecretBytes, Error> {
        let ours: Vec<String> =
            identities.iter().map(|id| id.borrow().recipient().to_string()).collect();
        let (first, others): (Vec<_>, Vec<_>) =
            self.metadata.keys.iter().partition(|key| ours.contains(&key.recipient));
        let mut problem = None;
        for key in first.into_iter().chain(others) {
            match age::decrypt_armored(key.armored.trim().as_bytes(), identities) {
                Ok(data_key) if data_key.len() == KEY_BYTES => return Ok(data_key),
                Ok(_) => {
                    let reason = "a wrapped data key is not 32 bytes";
                    return Err(Error::Metadata { place: key.place.clone(), reason });
                }
                Err(age::Error::NoMatch { .. }) => {}
                Err(age::Error::Memory(error)) => return Err(error.into()),
                Err(source) => {
                    problem.get_or_insert(Error::WrappedKey {
                        place: key.place.clone(),
                        recipient: key.recipient.clone(),
                        source,
                    });
                }
            }
        }
        Err(problem.unwrap_or_else(|| Error::NoIdentity {
            file: self.file.clone(),
            recipients: self.recipients().map(str::to_owned).collect(),
            looked: Vec::new(),
        }))
    }

    fn leaves(&self) -> Result<Leaves<'_>, Error> {
        Leaves::of(&self.file, &self.root, &self.metadata.rule)
    }

    /// The leaf that a key names.
    fn find(
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

    fn node(&self, parts: &[String]) -> Option<&Node> {
        parts.iter().try_fold(&self.root, |node, part| match &node.value {
            Value::Mapping(_) => node.get(part),
            Value::Sequence(items) => {
                let position = *edit::item_positions(items).get(path::index(part)?)?;
                items.get(position)
            }
            Value::Scalar { .. } => None,
        })
    }
}

/// A document whose every value was verified, with its data key in protected memory.
#[derive(Debug)]
pub struct OpenDocument {
    document: Document,
    data_key: SecretBytes,
}

impl OpenDocument {
    /// Makes an empty document for some recipients, with a fresh data key.
    ///
    /// # Errors
    /// [`Error::NoRecipients`], [`Error::DataKey`], [`Error::Random`], [`Error::Memory`].
    pub fn create(file: &str, recipients: &[Recipient], now: SystemTime) -> Result<Self, Error> {
        if recipients.is_empty() {
            return Err(Error::NoRecipients);
        }
        let data_key = SecretBytes::build(KEY_BYTES, |key| {
            getrandom::fill(key).map_err(Error::Random).map(|()| KEY_BYTES)
        })?;
        let mut text = format!("{SOPS_SECTION}:\n    age:\n");
        for (index, recipient) in recipients.iter().enumerate() {
            if recipients[..index].contains(recipient) {
                continue;
            }
            let wrapped = age::encrypt_armored(&data_key.expose(), std::slice::from_ref(recipient))
                .map_err(Error::DataKey)?;
            let recipient = recipient.to_string();
            text.extend(["        - recipient: ", &recipient, "\n          enc: |\n"]);
            text.extend(wrapped.lines().flat_map(|line| ["            ", line, "\n"]));
        }
        // Time and MAC are placeholders until the document is sealed.
        text.extend(["    lastmodified: \"", &time_text(now), "\"\n    mac: none\n"]);
        text.extend(["    unencrypted_suffix: _unencrypted\n    version: ", FORMAT_VERSION, "\n"]);
        let document = Document::parse(file, text)?;
        let mut open = Self { document, data_key };
        open.seal(now)?;
        Ok(open)
    }

    /// The age recipients of the document.
    pub fn recipients(&self) -> impl Iterator<Item = &str> {
        self.document.recipients()
    }

    /// The keys of all values, in the order of the document.
    ///
    /// # Errors
    /// None for a document that is open; the signature is that of [`Document::keys`].
    pub fn keys(&self) -> Result<Vec<String>, Error> {
        self.document.keys()
    }

    /// The document as text: what to write to the file. Always sealed: its MAC is right.
    pub fn text(&self) -> &str {
        &self.document.text
    }

    /// The value of a key.
    ///
    /// # Errors
    /// [`Error::Key`], [`Error::NotFound`], [`Error::NotAValue`], [`Error::Memory`].
    pub fn get(&self, key: &str) -> Result<SecretBytes, Error> {
        let mut values = self.document.fetch_with(&[key], &self.data_key)?;
        values.swap_remove(0)
    }

    /// Sets a value, adding the key and the groups it is in where they are missing. Returns
    /// whether anything changed: setting the value that is there leaves the text as it is.
    ///
    /// Only the value, the MAC and the time of the change are touched; comments, order and
    /// formatting of all else stay byte for byte.
    ///
    /// # Errors
    /// [`Error::Key`], [`Error::NotAValue`], [`Error::Edit`] (also for a key whose values the
    /// document keeps in the clear), [`Error::TooLarge`], [`Error::Random`], [`Error::Memory`].
    /// The document is then unchanged.
    pub fn set(&mut self, key: &str, value: &SecretBytes, now: SystemTime) -> Result<bool, Error> {
        let parts = path::parse(key)?;
        let in_lists = edit::list_indices(&self.document.root, &parts);
        self.check_editable(key, &parts, &in_lists)?;
        match self.get(key) {
            Ok(current) if bool::from(current.ct_eq(value)) => return Ok(false),
            Ok(_) | Err(Error::NotFound { .. }) => {}
            // Null is a place for a value.
            Err(Error::NotAValue { .. })
                if self.document.node(&parts).is_some_and(Node::is_null) => {}
            Err(error) => return Err(error),
        }
        let authenticated: String = parts
            .iter()
            .zip(&in_lists)
            .filter(|(_, in_list)| !**in_list)
            .flat_map(|(part, _)| [part.as_str(), ":"])
            .collect();
        let sealing = Sealing::new(value.len())?;
        let sealed = scrubbed(|| {
            let path = authenticated.as_bytes();
            Cipher::new(&self.data_key).seal(sealing, &value.expose(), path)
        });
        let text = edit::set(&self.document.text, &self.document.root, &parts, &sealed)
            .map_err(|refused| self.refuse(key, &refused))?;
        self.replace(key, text, now, Some(&sealed))?;
        Ok(true)
    }

    /// Removes a value, or a whole group or list of them. Comments stay.
    ///
    /// # Errors
    /// [`Error::Key`], [`Error::NotFound`], [`Error::Edit`], [`Error::Memory`]. The document is
    /// then unchanged.
    pub fn unset(&mut self, key: &str, now: SystemTime) -> Result<(), Error> {
        let parts = path::parse(key)?;
        if self.document.node(&parts).is_none() {
            let leaves = self.document.leaves()?;
            return self.document.find(&leaves, &leaves.index(), key).map(drop);
        }
        self.check_version(key)?;
        let text = edit::unset(&self.document.text, &self.document.root, &parts)
            .map_err(|refused| self.refuse(key, &refused))?;
        self.replace(key, text, now, None)
    }

    /// A value must not land in the clear, and the rules of the document must be known.
    fn check_editable(&self, key: &str, parts: &[String], in_lists: &[bool]) -> Result<(), Error> {
        self.check_version(key)?;
        let rule = &self.document.metadata.rule;
        let named = parts.iter().zip(in_lists).filter(|(_, in_list)| !**in_list);
        if named.fold(rule.at_top(), |above, (part, _)| rule.below(above, part)) {
            return Ok(());
        }
        let reason = "the file keeps values of such keys unencrypted; choose another name";
        Err(Error::Edit { place: self.top(), key: key.to_owned(), reason })
    }

    fn check_version(&self, key: &str) -> Result<(), Error> {
        if self.document.metadata.unknown.is_none() {
            return Ok(());
        }
        let reason = "the `sops` section has a setting of a newer sops";
        Err(Error::Edit { place: self.top(), key: key.to_owned(), reason })
    }

    fn top(&self) -> Place {
        Place::new(&self.document.file, self.document.root.span.start)
    }

    fn refuse(&self, key: &str, refused: &edit::Refused) -> Error {
        let place = Place::new(&self.document.file, refused.position);
        Error::Edit { place, key: key.to_owned(), reason: refused.reason }
    }

    /// Takes an edited text if nothing but the value of `key` differs, and seals it.
    fn replace(
        &mut self,
        key: &str,
        text: String,
        now: SystemTime,
        sealed: Option<&str>,
    ) -> Result<(), Error> {
        if text.len() as u64 > FILE_LIMIT_BYTES {
            let file = self.document.file.clone();
            return Err(Error::TooLarge { file, limit_bytes: FILE_LIMIT_BYTES });
        }
        let parsed = Document::parse(&self.document.file, text)?;
        if !edit::differs_only_at(&self.document, &parsed, key, sealed) {
            let reason = "it is formatted in a way that cannot be edited in place";
            return Err(Error::Edit { place: self.top(), key: key.to_owned(), reason });
        }
        let old = std::mem::replace(&mut self.document, parsed);
        self.seal(now).inspect_err(|_| self.document = old)
    }

    /// Writes the MAC of the document as it is now.
    fn seal(&mut self, now: SystemTime) -> Result<(), Error> {
        let modified = time_text(now);
        let document = &self.document;
        let leaves = document.leaves()?;
        let mac =
            mac::seal(&document.file, &leaves, &document.metadata, &self.data_key, &modified)?;
        let text = edit::set_metadata(&document.text, &document.root, &modified, &mac);
        let sealed = Document::parse(&document.file, text)?;
        // What is handed out has been read back and verified as any reader would.
        mac::verify(&sealed.file, &sealed.leaves()?, &sealed.metadata, &self.data_key, &[])?;
        self.document = sealed;
        Ok(())
    }
}

impl Document {
    pub(super) fn same_recipients(&self, other: &Self) -> bool {
        let pair = |key: &WrappedKey| (key.recipient.clone(), key.armored.clone());
        self.metadata.keys.iter().map(pair).eq(other.metadata.keys.iter().map(pair))
    }

    /// Key and raw text of every value. A comment has a key that no value can have.
    pub(super) fn raw_values(&self) -> Option<Vec<(String, String)>> {
        let leaves = self.leaves().ok()?;
        Some(
            leaves
                .all
                .iter()
                .map(|leaf| {
                    let raw = match &leaf.content {
                        Content::Clear { form, .. } => form.clone(),
                        _ => leaf.node.as_str().unwrap_or_default().to_owned(),
                    };
                    let end = if leaf.is_comment() { "#" } else { "" };
                    (format!("{}{end}", leaves.key(leaf)), raw)
                })
                .collect(),
        )
    }
}

fn time_text(now: SystemTime) -> String {
    humantime::format_rfc3339_seconds(now).to_string()
}
