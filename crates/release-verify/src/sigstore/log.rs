//! Transparency logs: that an entry is in a log's tree, and when.
//!
//! Merkle proofs: RFC 6962, section 2.1.1. Checkpoints: C2SP `tlog-checkpoint` and `signed-note`.
//! Promises: Rekor v1's `SignedEntryTimestamp`.

use std::time::{Duration, SystemTime};

use sigstore_types::Sha256Hash;

use super::bundle::{LogEntry, Proof};
use crate::json::{base64, to_base64};
use crate::trust::{Log, TrustRoot};

/// The log of an entry: the one whose id it names. Its key alone may vouch for the entry.
pub(crate) fn of<'a>(entry: &LogEntry, root: &'a TrustRoot) -> Option<&'a Log> {
    root.logs.iter().find(|log| log.id[..] == entry.log_id)
}

/// Checks the promise of an entry: the log's signature over body, index and time.
/// Gives the time it vouches for.
pub(crate) fn promise(
    entry: &LogEntry,
    promise: &[u8],
    log: &Log,
    now: SystemTime,
) -> Result<SystemTime, String> {
    use std::fmt::Write as _;
    let seconds = entry.integrated_time.ok_or("it has a promise, but no time".to_owned())?;
    let time = SystemTime::UNIX_EPOCH
        .checked_add(Duration::from_secs(seconds))
        .ok_or("its time is out of range".to_owned())?;
    // Canonical JSON (RFC 8785) of four fields: base64, digits and hex need no escapes.
    let mut message = String::with_capacity(entry.body.len() * 2);
    message.push_str("{\"body\":\"");
    message.push_str(&to_base64(&entry.body));
    let _ = write!(message, "\",\"integratedTime\":{seconds},\"logID\":\"");
    for byte in &entry.log_id {
        let _ = write!(message, "{byte:02x}");
    }
    let _ = write!(message, "\",\"logIndex\":{}}}", entry.index);
    if !log.key.verifies(message.as_bytes(), promise) {
        return Err(format!("the promise is not signed by {}", log.name));
    }
    if time > now {
        return Err(format!("its time, {}, has not come", humantime::format_rfc3339_seconds(time)));
    }
    if !log.window.contains(time) {
        return Err(outside(log, time));
    }
    Ok(time)
}

/// Checks that the log was in use at `time`.
pub(crate) fn in_use(log: &Log, time: SystemTime) -> Result<(), String> {
    if log.window.contains(time) { Ok(()) } else { Err(outside(log, time)) }
}

fn outside(log: &Log, time: SystemTime) -> String {
    format!(
        "{} was in use from {}, not at {}",
        log.name,
        log.window.words(),
        humantime::format_rfc3339_seconds(time)
    )
}

/// Checks that the tree of the checkpoint holds the entry, and that the log signed the checkpoint.
pub(crate) fn inclusion(entry: &LogEntry, proof: &Proof, log: &Log) -> Result<(), String> {
    let checkpoint = Checkpoint::read(&proof.checkpoint)?;
    checkpoint.verify(log)?;
    // The proof repeats what the checkpoint says. Nobody signs the copy, so it must be the same.
    if proof.size != checkpoint.size {
        return Err(format!(
            "the proof is for a tree of {}, the checkpoint for one of {}",
            proof.size, checkpoint.size
        ));
    }
    if proof.root != checkpoint.root {
        return Err("the proof and the checkpoint have different root hashes".to_owned());
    }
    // A log that is kept in shards has an index for the whole and one for the shard; Rekor v2 has
    // one shard, so the two are the same.
    if entry.kind.is_rekor2() && entry.index != proof.index {
        return Err(format!("the entry's index is {}, the proof's {}", entry.index, proof.index));
    }
    let leaf = sigstore_merkle::hash_leaf(&entry.body);
    let hashes: Vec<_> = proof.hashes.iter().copied().map(Sha256Hash::new).collect();
    sigstore_merkle::verify_inclusion_proof(
        &leaf,
        proof.index,
        checkpoint.size,
        &hashes,
        &Sha256Hash::new(checkpoint.root),
    )
    .map_err(|error| error.to_string())
}

/// A signed note that states the size and root of a log's tree.
struct Checkpoint<'a> {
    signed: &'a str,
    origin: &'a str,
    size: u64,
    root: [u8; 32],
    signatures: Vec<NoteSignature<'a>>,
}

struct NoteSignature<'a> {
    name: &'a str,
    hint: [u8; 4],
    signature: Vec<u8>,
}

/// How many signatures a checkpoint may carry: the log's and its witnesses'.
const SIGNATURES: usize = 64;

impl<'a> Checkpoint<'a> {
    fn read(text: &'a str) -> Result<Self, String> {
        let malformed = |what: &str| format!("the checkpoint is malformed: {what}");
        let (body, signatures) =
            text.split_once("\n\n").ok_or_else(|| malformed("no signatures"))?;
        let signed = &text[..=body.len()];
        let mut lines = body.split('\n');
        let origin =
            lines.next().filter(|line| !line.is_empty()).ok_or_else(|| malformed("no origin"))?;
        let size = lines
            .next()
            .and_then(|line| line.parse::<u64>().ok().filter(|size| size.to_string() == line))
            .ok_or_else(|| malformed("no size"))?;
        let root = lines
            .next()
            .and_then(base64)
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or_else(|| malformed("no root hash"))?;
        if lines.any(str::is_empty) || signed.chars().any(|c| c.is_control() && c != '\n') {
            return Err(malformed("empty lines or control characters"));
        }
        let lines = signatures.strip_suffix('\n').ok_or_else(|| malformed("cut short"))?;
        let signatures = lines
            .split('\n')
            .map(note_signature)
            .collect::<Option<Vec<_>>>()
            .filter(|signatures| signatures.len() <= SIGNATURES)
            .ok_or_else(|| malformed("its signatures"))?;
        let again = |(index, line)| lines.split('\n').take(index).any(|other| other == line);
        if lines.split('\n').enumerate().any(again) {
            return Err(malformed("a signature occurs twice"));
        }
        Ok(Self { signed, origin, size, root, signatures })
    }

    /// Whether `log` signed it. Signatures of others, such as witnesses, are passed over.
    fn verify(&self, log: &Log) -> Result<(), String> {
        // Rekor v1 adds the number of the tree to its name.
        let name = match &log.origin {
            Some(name) if self.origin != name => {
                return Err(format!(
                    "the checkpoint is of `{}`, not of {name}",
                    self.origin.escape_debug()
                ));
            }
            Some(name) => name,
            None => self.origin.split_once(" - ").map_or(self.origin, |(name, _)| name),
        };
        let mut own = self
            .signatures
            .iter()
            .filter(|signature| signature.name == name && signature.hint == log.id[..4])
            .peekable();
        if own.peek().is_none() {
            return Err(format!("{} has not signed the checkpoint", log.name));
        }
        if own.any(|signature| log.key.verifies(self.signed.as_bytes(), &signature.signature)) {
            Ok(())
        } else {
            Err(format!("the checkpoint's signature is not that of {}", log.name))
        }
    }
}

/// `— name base64`, where the bytes are four of the key's id and the signature.
fn note_signature(line: &str) -> Option<NoteSignature<'_>> {
    let (name, bytes) = line.strip_prefix("— ")?.split_once(' ')?;
    let bytes = base64(bytes)?;
    let (hint, signature) = bytes.split_first_chunk::<4>()?;
    if name.is_empty() || signature.is_empty() {
        return None;
    }
    Some(NoteSignature { name, hint: *hint, signature: signature.to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTE: &str = "rekor.sigstore.dev - 2605736670972794746\n23083062\n\
        dauhleYK4YyAdxwwDtR0l0KnSOWZdG2bwqHftlanvcI=\nTimestamp: 1689177396617352539\n\n\
        — rekor.sigstore.dev wNI9ajBFAiBxaGyEtxkzFLkaCSEJqFuSS3dJjEZCNiyByVs1CNVQ8gIhAOoNnXtmMtTctV2oRnSRUZAo4EWUYPK/vBsqOzAU6TMs\n";

    #[test]
    fn a_checkpoint_of_the_public_log() {
        let checkpoint = Checkpoint::read(NOTE).unwrap();
        assert_eq!(checkpoint.size, 23_083_062);
        let roots = crate::TrustRoots::embedded();
        let logs = &roots.iter().next().unwrap().logs;
        checkpoint.verify(&logs[0]).unwrap();
        assert!(checkpoint.verify(&logs[1]).is_err());
        for (from, to) in [
            ("23083062", "23083063"),
            ("rekor.sigstore.dev - ", "rekor.sigstore.com - "),
            ("— rekor.sigstore.dev", "— rekor.sigstore.com"),
            ("1689177396617352539", "1689177396617352538"),
            ("wNI9aj", "wNI9ak"),
        ] {
            let changed = NOTE.replace(from, to);
            let result = Checkpoint::read(&changed).and_then(|note| note.verify(&logs[0]));
            assert!(result.is_err(), "{to}");
        }
    }

    #[test]
    fn malformed_checkpoints() {
        for (from, to) in [
            ("\n\n", "\n"),
            ("23083062", "023083062"),
            ("23083062", "-1"),
            ("rekor.sigstore.dev - 2605736670972794746\n", "\n"),
            ("dauhleYK4YyAdxwwDtR0l0KnSOWZdG2bwqHftlanvcI=\n", ""),
            ("— ", "- "),
            ("— rekor.sigstore.dev ", "— "),
            ("6TMs\n", "6TMs\n\n"),
            ("6TMs\n", "6TMs"),
        ] {
            assert!(Checkpoint::read(&NOTE.replace(from, to)).is_err(), "{from:?} to {to:?}");
        }
        assert!(Checkpoint::read("").is_err());
        let (body, signature) = NOTE.split_once("\n\n").unwrap();
        assert!(Checkpoint::read(&format!("{body}\n\n{signature}{signature}")).is_err());
    }
}
