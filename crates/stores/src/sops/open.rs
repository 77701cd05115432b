//! An open document: its values are verified, and can be read and edited.

use std::time::SystemTime;

use dsops_resolver::yaml::Node;
use dsops_secure_mem::SecretBytes;
use subtle::ConstantTimeEq;

use super::{
    CreationRule, Document, Error, Format, Place, ValueType, compare,
    format::{self, section::Item},
    mac, path,
    recipients::wrap_for,
    store::FILE_LIMIT_BYTES,
    tree::Content,
    value::{Cipher, KEY_BYTES, Kind, Sealing},
};
use crate::{age::Recipient, scrub::scrubbed};

/// What new documents say they were written by: the sops whose format this is.
const FORMAT_VERSION: &str = "3.11.0";

/// A document whose every value was verified, with its data key in protected memory.
#[derive(Debug)]
pub struct OpenDocument {
    pub(super) document: Document,
    pub(super) data_key: SecretBytes,
}

impl OpenDocument {
    /// Makes an empty document for some recipients, with a fresh data key; `file` names it in
    /// errors, and its extension says its format.
    ///
    /// # Errors
    /// [`Error::NoRecipients`], [`Error::DataKey`], [`Error::Random`], [`Error::Memory`].
    pub fn create(file: &str, recipients: &[Recipient], now: SystemTime) -> Result<Self, Error> {
        Self::create_by(Format::of(file), file, &CreationRule::new(recipients), now)
    }

    /// Makes an empty document of a format as a rule says.
    ///
    /// # Errors
    /// Those of [`OpenDocument::create`].
    pub fn create_by(
        format: Format,
        file: &str,
        rule: &CreationRule,
        now: SystemTime,
    ) -> Result<Self, Error> {
        let data_key = new_data_key()?;
        let mut section = Item::Map(Vec::new());
        section.put("age", wrap_for(&rule.recipients, &data_key)?);
        // Time and MAC are placeholders until the document is sealed.
        for (name, text) in [("lastmodified", time_text(now).as_str()), ("mac", "none")] {
            section.put(name, Item::Text(text.to_owned()));
        }
        let (name, value) = rule.encrypts();
        section.put(name, Item::Text(value.to_owned()));
        if rule.mac_only_encrypted {
            section.put("mac_only_encrypted", Item::Bare("true".to_owned()));
        }
        section.put("version", Item::Text(FORMAT_VERSION.to_owned()));
        let fail =
            |source| Error::Syntax { file: file.to_owned(), format, source: Box::new(source) };
        let root = format.parse(format.empty()).map_err(fail)?;
        let text = format.write_section(format.empty(), &root, &section);
        let document = Document::parse_as(format, file, text)?;
        let mut open = Self { document, data_key };
        open.seal(now)?;
        Ok(open)
    }

    /// The document as it is now.
    pub fn document(&self) -> &Document {
        &self.document
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
    /// whether anything changed: setting the value that is there leaves the text as it is, and
    /// what is new is text.
    ///
    /// Only the value, the MAC and the time of the change are touched; comments, order and
    /// formatting of all else stay byte for byte.
    ///
    /// # Errors
    /// [`Error::Key`], [`Error::NotAValue`], [`Error::Edit`] (also for a key whose values the
    /// document keeps in the clear), [`Error::TooLarge`], [`Error::Random`], [`Error::Memory`].
    /// The document is then unchanged.
    pub fn set(&mut self, key: &str, value: &SecretBytes, now: SystemTime) -> Result<bool, Error> {
        self.set_kind(key, value, None, now)
    }

    /// Sets a value of a type, as [`OpenDocument::set`] does.
    ///
    /// # Errors
    /// Those of [`OpenDocument::set`]; [`Error::Edit`] for a value that is not of the type.
    pub fn set_as(
        &mut self,
        key: &str,
        value: &SecretBytes,
        value_type: ValueType,
        now: SystemTime,
    ) -> Result<bool, Error> {
        let (kind, plaintext) = match value_type.canonical(value)? {
            Ok(canonical) => canonical,
            Err(reason) => return Err(self.edit_error(key, reason)),
        };
        self.set_kind(key, plaintext.as_ref().unwrap_or(value), Some(kind), now)
    }

    fn set_kind(
        &mut self,
        key: &str,
        value: &SecretBytes,
        kind: Option<Kind>,
        now: SystemTime,
    ) -> Result<bool, Error> {
        let parts = path::parse(key)?;
        let in_lists = self.document.list_indices(&parts);
        self.check_editable(key, &parts, &in_lists)?;
        match self.get(key) {
            Ok(current) if self.is(key, kind)? && same(&current, value, kind) => {
                return Ok(false);
            }
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
            let kind = kind.unwrap_or(Kind::Str);
            Cipher::new(&self.data_key).seal(sealing, kind, &value.expose(), path)
        });
        let document = &self.document;
        let text = document
            .format
            .set(&document.text, &document.root, &parts, &sealed)
            .map_err(|refused| self.refuse(key, &refused))?;
        self.replace(key, text, now, Some(&sealed))?;
        Ok(true)
    }

    /// Whether the value of a key that is there has a type; any if none is asked for.
    fn is(&self, key: &str, kind: Option<Kind>) -> Result<bool, Error> {
        let Some(kind) = kind else { return Ok(true) };
        let leaves = self.document.leaves()?;
        let leaf = leaves.index().get(key).map(|leaf| &leaves.all[*leaf].content);
        Ok(match leaf {
            Some(Content::Encrypted(value)) => value.kind == kind,
            Some(Content::Empty) => kind == Kind::Str,
            Some(Content::Clear { .. }) | None => false,
        })
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
        let document = &self.document;
        let text = document
            .format
            .unset(&document.text, &document.root, &parts)
            .map_err(|refused| self.refuse(key, &refused))?;
        self.replace(key, text, now, None)
    }

    /// A value must not land in the clear, and the rules of the document must be known.
    fn check_editable(&self, key: &str, parts: &[String], in_lists: &[bool]) -> Result<(), Error> {
        self.check_version(key)?;
        let rule = &self.document.metadata.rule;
        if rule.is_by_comment() {
            let leaves = self.document.leaves()?;
            let leaf = leaves.index().get(key).map(|leaf| &leaves.all[*leaf].content);
            return match leaf {
                Some(Content::Encrypted(_)) => Ok(()),
                _ => Err(self.edit_error(key, "comments of the file decide what is encrypted")),
            };
        }
        let named = parts.iter().zip(in_lists).filter(|(_, in_list)| !**in_list);
        if named.fold(rule.at_top(), |above, (part, _)| rule.below(above, part)) {
            return Ok(());
        }
        let reason = "the file keeps values of such keys unencrypted; choose another name";
        Err(self.edit_error(key, reason))
    }

    pub(super) fn check_version(&self, key: &str) -> Result<(), Error> {
        if self.document.metadata.unknown.is_none() {
            return Ok(());
        }
        Err(self.edit_error(key, "the `sops` section has a setting of a newer sops"))
    }

    pub(super) fn edit_error(&self, key: &str, reason: &'static str) -> Error {
        Error::Edit { place: self.top(), key: key.to_owned(), reason }
    }

    fn top(&self) -> Place {
        Place::new(&self.document.file, self.document.root.span.start)
    }

    pub(super) fn refuse(&self, key: &str, refused: &format::Refused) -> Error {
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
        let parsed = self.reparse(text)?;
        if !compare::differs_only_at(&self.document, &parsed, key, sealed) {
            let reason = "it is formatted in a way that cannot be edited in place";
            return Err(self.edit_error(key, reason));
        }
        let old = std::mem::replace(&mut self.document, parsed);
        self.seal(now).inspect_err(|_| self.document = old)
    }

    /// Parses an edited text as the document that it will be.
    pub(super) fn reparse(&self, text: String) -> Result<Document, Error> {
        let file = &self.document.file;
        if text.len() as u64 > FILE_LIMIT_BYTES {
            return Err(Error::TooLarge { file: file.clone(), limit_bytes: FILE_LIMIT_BYTES });
        }
        Document::parse_as(self.document.format, file, text)
    }

    /// Writes the MAC of the document as it is now.
    pub(super) fn seal(&mut self, now: SystemTime) -> Result<(), Error> {
        let modified = time_text(now);
        let document = &self.document;
        let leaves = document.leaves()?;
        let mac =
            mac::seal(&document.file, &leaves, &document.metadata, &self.data_key, &modified)?;
        let text = document.format.set_metadata(&document.text, &document.root, &modified, &mac);
        let sealed = self.reparse(text)?;
        // What is handed out has been read back and verified as any reader would.
        mac::verify(&sealed.file, &sealed.leaves()?, &sealed.metadata, &self.data_key, &[])?;
        self.document = sealed;
        Ok(())
    }
}

/// Whether a value that is there, as it is shown, is the new one, as it is encrypted.
fn same(current: &SecretBytes, new: &SecretBytes, kind: Option<Kind>) -> bool {
    if kind == Some(Kind::Bool) {
        // One is `true` and the other `True`, or `false` and `False`.
        return current.len() == new.len();
    }
    current.ct_eq(new).into()
}

pub(super) fn new_data_key() -> Result<SecretBytes, Error> {
    SecretBytes::build(KEY_BYTES, |key| {
        getrandom::fill(key).map_err(Error::Random).map(|()| KEY_BYTES)
    })
}

fn time_text(now: SystemTime) -> String {
    humantime::format_rfc3339_seconds(now).to_string()
}
