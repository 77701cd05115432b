//! Who can open a document: recipients added and removed, and a new data key for those who stay.

use std::{ops::Range, str::FromStr as _, time::SystemTime};

use dsops_secure_mem::SecretBytes;

use super::{
    Error, OpenDocument, comments,
    format::{self, section::Item},
    open::new_data_key,
    path::SOPS_SECTION,
    tree::Content,
    value::{Cipher, Encrypted, Sealing},
};
use crate::{
    age::{self, Recipient},
    scrub::scrubbed,
};

impl OpenDocument {
    /// Adds recipients: the data key is wrapped for them too. They can then read this version, and
    /// all older ones that have the same data key. Returns how many were not recipients before.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a document with several key groups; [`Error::Edit`],
    /// [`Error::DataKey`], [`Error::TooLarge`]. The document is then unchanged.
    pub fn add_recipients(&mut self, recipients: &[Recipient]) -> Result<usize, Error> {
        self.check_one_group()?;
        let known: Vec<&str> = self.document.recipients().collect();
        let is_new = |recipient: &&Recipient| {
            let text = recipient.to_string();
            !known.iter().any(|known| same(known, &text))
        };
        let new: Vec<Recipient> = recipients.iter().filter(is_new).cloned().collect();
        if new.is_empty() {
            return Ok(0);
        }
        let Item::List(added) = wrap_for(&new, &self.data_key)? else {
            unreachable!("recipients are a list");
        };
        let (count, mut section) = (added.len(), self.section());
        match section.get_mut("age") {
            Some(Item::List(items)) => items.extend(added),
            _ => section.put("age", Item::List(added)),
        }
        let document = &self.document;
        let text = document.format.write_section(&document.text, &document.root, &section);
        self.document = self.reparse(text)?;
        Ok(count)
    }

    /// Removes recipients, and makes a new data key for those who stay: who was removed cannot
    /// read this version or any later one. What they have seen, and versions in the history of the
    /// file, they can still read: change the values themselves too.
    ///
    /// # Errors
    /// [`Error::NotARecipient`], [`Error::NoRecipients`] when none would stay, and those of
    /// [`OpenDocument::rekey`]. The document is then unchanged.
    pub fn remove_recipients(&mut self, recipients: &[&str], now: SystemTime) -> Result<(), Error> {
        self.check_one_group()?;
        for recipient in recipients {
            if !self.document.recipients().any(|known| same(known, recipient)) {
                let (file, recipient) = (self.document.file.clone(), (*recipient).to_owned());
                return Err(Error::NotARecipient { file, recipient });
            }
        }
        self.rekey_for(|known| !recipients.iter().any(|gone| same(known, gone)), now)
    }

    /// Makes a new data key, encrypts every value and comment with it, and wraps it for the same
    /// recipients.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a document with several key groups;
    /// [`Error::ForeignRecipients`], [`Error::Recipient`], [`Error::Edit`], [`Error::DataKey`],
    /// [`Error::Random`], [`Error::Memory`]. The document is then unchanged.
    pub fn rekey(&mut self, now: SystemTime) -> Result<(), Error> {
        self.rekey_for(|_| true, now)
    }

    fn rekey_for(&mut self, stays: impl Fn(&str) -> bool, now: SystemTime) -> Result<(), Error> {
        self.check_one_group()?;
        let needs: Vec<String> = self.document.other_recipients().map(str::to_owned).collect();
        if !needs.is_empty() {
            return Err(Error::ForeignRecipients { place: self.document.section_place(), needs });
        }
        let mut recipients = Vec::new();
        for key in self.document.metadata.keys().filter(|key| stays(&key.recipient)) {
            recipients.push(Recipient::from_str(&key.recipient).map_err(|source| {
                let (place, recipient) = (key.place.clone(), key.recipient.clone());
                Error::Recipient { place, recipient, source: Box::new(source) }
            })?);
        }
        let data_key = new_data_key()?;
        let mut section = self.section();
        section.put("age", wrap_for(&recipients, &data_key)?);
        let text = self.encrypted_anew(&data_key)?;
        let document = self.reparse(text)?;
        let text = document.format.write_section(&document.text, &document.root, &section);
        let mut renewed = Self { document: self.reparse(text)?, data_key };
        renewed.seal(now)?;
        *self = renewed;
        Ok(())
    }

    /// The text with every value and comment encrypted under another data key.
    fn encrypted_anew(&self, data_key: &SecretBytes) -> Result<String, Error> {
        let document = &self.document;
        let leaves = document.leaves()?;
        let mut old: Vec<Old<'_>> = Vec::new();
        for leaf in &leaves.all {
            if let Content::Encrypted(value) = &leaf.content {
                old.push((leaf.node.span.range(), *value, vec![leaves.path(leaf)]));
            }
        }
        let comments = comments::find(document.format, &document.text, &document.root);
        for comment in &comments {
            if let Ok(value) = Encrypted::parse(comment.body(&document.text)) {
                let paths = comment.paths.iter().map(String::as_bytes).collect();
                old.push((comment.body_range(), value, paths));
            }
        }
        // All memory and randomness is had before the first value is decrypted.
        let sealings: Vec<Sealing> =
            old.iter().map(|(_, value, _)| Sealing::new(value.len())).collect::<Result<_, _>>()?;
        let longest = old.iter().map(|(_, value, _)| value.max_len()).max().unwrap_or(0);
        let mut plaintext = SecretBytes::build(longest, |_| Ok::<_, Error>(longest))?;
        let mut plaintext = plaintext.expose_mut();
        let mut ciphertext = Vec::with_capacity(longest);
        let sealed: Vec<Option<String>> = scrubbed(|| {
            let (from, to) = (Cipher::new(&self.data_key), Cipher::new(data_key));
            let renewed = old.iter().zip(sealings).map(|((_, value, paths), sealing)| {
                // A comment that opens under no path near it was not written by sops: it stays.
                paths
                    .iter()
                    .find_map(|path| {
                        let used = from.open(value, path, &mut ciphertext, &mut plaintext).ok()?;
                        Some((used, *path))
                    })
                    .map(|(used, path)| to.seal(sealing, value.kind, &plaintext[..used], path))
            });
            renewed.collect()
        });
        drop(plaintext);
        let edits = old.into_iter().zip(sealed).filter_map(|((range, _, _), sealed)| {
            let text = document.format.replacement(&document.text, &range, &sealed?);
            Some((range, text))
        });
        Ok(format::splice_all(&document.text, edits.collect()))
    }

    pub(super) fn section(&self) -> Item {
        Item::of(self.document.root.get(SOPS_SECTION).unwrap_or(&self.document.root))
    }

    fn check_one_group(&self) -> Result<(), Error> {
        self.check_version(SOPS_SECTION)?;
        if self.document.metadata.groups.len() == 1 {
            return Ok(());
        }
        let what = "a change of recipients of a file with several key groups".to_owned();
        Err(Error::Unsupported { place: self.document.section_place(), what })
    }
}

/// Whether two texts name the same recipient: an SSH key may have a comment behind it.
fn same(one: &str, other: &str) -> bool {
    one == other
        || match (Recipient::from_str(one), Recipient::from_str(other)) {
            (Ok(one), Ok(other)) => one == other,
            _ => false,
        }
}

/// What is encrypted anew: where it stands, its value, and the paths that may authenticate it.
type Old<'a> = (Range<usize>, Encrypted<'a>, Vec<&'a [u8]>);

/// The data key wrapped for each of some recipients, as a part of the `sops` section.
pub(super) fn wrap_for(recipients: &[Recipient], data_key: &SecretBytes) -> Result<Item, Error> {
    if recipients.is_empty() {
        return Err(Error::NoRecipients);
    }
    let mut items = Vec::with_capacity(recipients.len());
    for (index, recipient) in recipients.iter().enumerate() {
        if recipients[..index].contains(recipient) {
            continue;
        }
        let wrapped = age::encrypt_armored(&data_key.expose(), std::slice::from_ref(recipient))
            .map_err(Error::DataKey)?;
        items.push(Item::map([("recipient", &recipient.to_string()), ("enc", &wrapped)]));
    }
    Ok(Item::List(items))
}
