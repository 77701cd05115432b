//! The data key of a document: unwrapped from one group of recipients, or put together from shares.

use std::borrow::Borrow;

use dsops_secure_mem::SecretBytes;

use super::{
    Error,
    document::Document,
    metadata::Group,
    shamir::{self, SHARE_OVERHEAD},
    value::KEY_BYTES,
};
use crate::age::{self, Identity, Recipient};

impl Document {
    pub(super) fn data_key(
        &self,
        identities: &[impl Borrow<Identity>],
    ) -> Result<SecretBytes, Error> {
        if let [group] = self.metadata.groups.as_slice() {
            return unwrap(group, KEY_BYTES, identities)?.ok_or_else(|| Error::NoIdentity {
                file: self.file.clone(),
                recipients: self.recipients().map(str::to_owned).collect(),
                looked: Vec::new(),
            });
        }
        let needed = self.metadata.threshold;
        let mut shares = Vec::new();
        let mut missing = Vec::new();
        let mut problem = None;
        for group in &self.metadata.groups {
            // A damaged group does not matter as long as there are enough others.
            let share = match unwrap(group, KEY_BYTES + SHARE_OVERHEAD, identities) {
                Err(error @ Error::Memory(_)) => return Err(error),
                Err(error) => {
                    problem.get_or_insert(error);
                    None
                }
                Ok(share) => share,
            };
            if let Some(share) = share {
                shares.push(share);
            } else {
                let age = group.keys.iter().map(|key| key.recipient.as_str());
                let all: Vec<&str> = age.chain(group.others.iter().map(String::as_str)).collect();
                missing.push(all.join(" or "));
            }
            if shares.len() == needed {
                return shamir::combine(&shares)?.ok_or_else(|| Error::Metadata {
                    place: self.section_place(),
                    reason: "two key groups hold the same share of the data key",
                });
            }
        }
        if let Some(problem) = problem {
            return Err(problem);
        }
        let (file, opened) = (self.file.clone(), shares.len());
        Err(Error::TooFewGroups { file, opened, needed, missing, looked: Vec::new() })
    }

    /// The age recipients of each key group, as far as they can be read, and how many groups it
    /// takes to open the document.
    pub(super) fn key_groups(&self) -> (Vec<Vec<Recipient>>, usize) {
        let recipients = |group: &Group| -> Vec<Recipient> {
            group.keys.iter().filter_map(|key| key.recipient.parse().ok()).collect()
        };
        let groups: Vec<_> = self.metadata.groups.iter().map(recipients).collect();
        let needed = if groups.len() == 1 { 1 } else { self.metadata.threshold };
        (groups, needed)
    }
}

/// What one group wraps. Tries the wrapped keys of our own recipients first; the names of
/// recipients are not authenticated, so all others are tried after them.
fn unwrap(
    group: &Group,
    len: usize,
    identities: &[impl Borrow<Identity>],
) -> Result<Option<SecretBytes>, Error> {
    // Where there is but one, there is no order, and nothing to know of ourselves.
    let ours: Vec<String> = match group.keys.as_slice() {
        [_] => Vec::new(),
        _ => identities.iter().map(|id| id.borrow().recipient().to_string()).collect(),
    };
    let (first, others): (Vec<_>, Vec<_>) =
        group.keys.iter().partition(|key| ours.contains(&key.recipient));
    let mut problem = None;
    for key in first.into_iter().chain(others) {
        let armored = key.armored.trim().as_bytes();
        match age::decrypt_armored_for(armored, &key.recipient, identities) {
            Ok(data_key) if data_key.len() == len => return Ok(Some(data_key)),
            Ok(_) => {
                let reason = "a wrapped data key has not the length of one";
                return Err(Error::Metadata { place: key.place.clone(), reason });
            }
            Err(age::Error::NoMatch { .. }) => {}
            Err(age::Error::Memory(error)) => return Err(error.into()),
            Err(source) => {
                problem.get_or_insert(Error::WrappedKey {
                    place: key.place.clone(),
                    recipient: key.recipient.clone(),
                    source: Box::new(source),
                });
            }
        }
    }
    problem.map_or(Ok(None), Err)
}
