//! A whole document in the clear, in protected memory: what a person edits.

use std::ops::Range;

use dsops_secure_mem::{SecretBytes, Writer};

use super::{
    Error, Format, OpenDocument, Place, comments,
    format::{self, plain::Unwritten},
    mac,
    tree::Content,
    value::{Cipher, Encrypted, Kind},
};
use crate::scrub::scrubbed;

/// A piece of the text that is not taken over as it stands.
enum Piece {
    /// Left out.
    Nothing,
    /// A value of the type.
    Value(Kind, usize),
    /// A comment, of which this is the text without its mark.
    Comment(SecretBytes),
    /// A comment that stands as an item of a list.
    Item(usize),
}

impl OpenDocument {
    /// The whole document in the clear, without the section of sops, in its own format: comments
    /// and layout are those of the document. [`OpenDocument::apply_plaintext`] takes it back.
    ///
    /// # Errors
    /// [`Error::Edit`] for a value that the format cannot hold in the clear, [`Error::Memory`].
    pub fn plaintext(&self) -> Result<SecretBytes, Error> {
        let document = &self.document;
        if document.format == Format::Binary {
            return self.get(format::BINARY_KEY);
        }
        let leaves = document.leaves()?;
        let all: Vec<usize> = (0..leaves.all.len()).collect();
        let values =
            mac::verify(&document.file, &leaves, &document.metadata, &self.data_key, &all)?;
        let mut pieces: Vec<(Range<usize>, Piece)> = Vec::new();
        for (index, leaf) in leaves.all.iter().enumerate() {
            let Content::Encrypted(value) = &leaf.content else { continue };
            let span = leaf.node.span.range();
            if leaf.is_comment() {
                let before = document.text[..span.start].trim_end_matches(' ');
                if !before.ends_with('-') {
                    let reason = "a comment stands between brackets; edit the file with sops";
                    return Err(self.edit_error(leaves.key(leaf), reason));
                }
                pieces.push((before.len() - 1..span.end, Piece::Item(index)));
            } else {
                pieces.push((span, Piece::Value(value.kind, index)));
            }
        }
        for (range, text) in self.open_comments()? {
            pieces.push((range, Piece::Comment(text)));
        }
        let sections = format::section_ranges(document.format, &document.text, &document.root);
        pieces.extend(sections.into_iter().map(|range| (range, Piece::Nothing)));
        pieces.sort_by_key(|(range, _)| range.start);

        let text = &document.text;
        let mut out = Writer::new();
        let mut copied = 0;
        for (range, piece) in pieces {
            out.push(&text.as_bytes()[copied..range.start])?;
            copied = range.end;
            match piece {
                Piece::Nothing => {}
                Piece::Comment(comment) => out.push(&comment.expose())?,
                Piece::Item(index) => {
                    out.push(b"#")?;
                    out.push(&values[index].expose())?;
                }
                Piece::Value(kind, index) => {
                    let value = values[index].expose();
                    let pushed = format::plain::push_value(
                        document.format,
                        text,
                        range.start,
                        kind,
                        &value,
                        &mut out,
                    );
                    pushed.map_err(|unwritten| match unwritten {
                        Unwritten::Memory(error) => Error::Memory(error),
                        Unwritten::Form(reason) => Error::Edit {
                            place: Place::new(&document.file, leaves.all[index].node.span.start),
                            key: leaves.key(&leaves.all[index]).to_owned(),
                            reason,
                        },
                    })?;
                }
            }
        }
        out.push(&text.as_bytes()[copied..])?;
        Ok(out.finish()?)
    }

    /// The encrypted comments that open: where the encrypted text stands, and the text. A comment
    /// that does not open was not written by sops at this place: it stays.
    pub(super) fn open_comments(&self) -> Result<Vec<(Range<usize>, SecretBytes)>, Error> {
        let document = &self.document;
        let mut opened = Vec::new();
        for comment in comments::find(document.format, &document.text, &document.root) {
            let Ok(value) = Encrypted::parse(comment.body(&document.text)) else { continue };
            let mut ciphertext = Vec::with_capacity(value.max_len());
            let mut plaintext =
                SecretBytes::build(value.max_len(), |_| Ok::<_, Error>(value.max_len()))?;
            let used = {
                let mut room = plaintext.expose_mut();
                scrubbed(|| {
                    let cipher = Cipher::new(&self.data_key);
                    let mut paths = comment.paths.iter();
                    paths.find_map(|path| {
                        cipher.open(&value, path.as_bytes(), &mut ciphertext, &mut room).ok()
                    })
                })
            };
            if let Some(used) = used {
                plaintext.truncate(used);
                opened.push((comment.body_range(), plaintext));
            }
        }
        Ok(opened)
    }
}
