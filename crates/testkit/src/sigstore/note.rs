//! Checkpoints: signed notes about the state of a log (C2SP `signed-note`, `tlog-checkpoint`, `tlog-cosignature`).

use std::time::SystemTime;

use super::key::{Algorithm, Key};
use super::{base64, seconds, sha256};

/// The text that is signed, without signatures.
#[derive(Clone, Debug)]
pub struct Note {
    /// Its lines: origin, size, root, and what else a log says.
    pub lines: Vec<String>,
    /// The signature lines, ready.
    pub signatures: Vec<String>,
}

impl Note {
    /// A log's state.
    pub fn checkpoint(origin: &str, size: u64, root: &[u8; 32]) -> Self {
        let lines = vec![origin.to_owned(), size.to_string(), base64(root)];
        Self { lines, signatures: Vec::new() }
    }

    /// The signed text.
    pub fn text(&self) -> String {
        self.lines.join("\n") + "\n"
    }

    /// With a signature as Rekor makes it: the hint is the start of the key's log id.
    #[must_use]
    pub fn signed(self, name: &str, key: &Key) -> Self {
        let hint = log_id(name, key);
        let signature = key.sign(self.text().as_bytes());
        self.with_line(name, &[&hint[..4], &signature].concat())
    }

    /// With the signature of a witness, at a time.
    ///
    /// # Panics
    /// The key is not Ed25519.
    #[must_use]
    pub fn cosigned(self, name: &str, key: &Key, time: SystemTime) -> Self {
        assert_eq!(key.algorithm(), Algorithm::Ed25519, "witnesses sign by Ed25519");
        let hint = sha256(&[name.as_bytes(), b"\n\x04", &key.public_bytes()].concat());
        let time = seconds(time);
        let signature =
            key.sign(format!("cosignature/v1\ntime {time}\n{}", self.text()).as_bytes());
        self.with_line(name, &[&hint[..4], &time.to_be_bytes(), &signature].concat())
    }

    /// With a ready signature line.
    #[must_use]
    pub fn with_line(mut self, name: &str, hint_and_signature: &[u8]) -> Self {
        self.signatures.push(format!("\u{2014} {name} {}\n", base64(hint_and_signature)));
        self
    }
}

impl std::fmt::Display for Note {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}\n{}", self.text(), self.signatures.concat())
    }
}

/// The id of a log's key: of the key alone in Rekor v1, of name and key in v2.
pub fn log_id(name: &str, key: &Key) -> [u8; 32] {
    match key.algorithm() {
        Algorithm::Ed25519 => sha256(&[name.as_bytes(), b"\n\x01", &key.public_bytes()].concat()),
        _ => key.id(),
    }
}
