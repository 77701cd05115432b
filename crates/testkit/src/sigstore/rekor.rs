//! Transparency logs: Rekor v1, which promises and dates, and Rekor v2, which only proves.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use serde_json::{Value, json};

use super::content::{Kind, Signature};
use super::key::{Algorithm, Key};
use super::merkle::Tree;
use super::note::{Note, log_id};
use super::{base64, hex, seconds, timestamp};

/// A log with a tree that really grows.
pub struct Rekor {
    /// Signs promises and checkpoints.
    pub key: Key,
    /// The name under which it signs checkpoints.
    pub name: String,
    /// The first line of its checkpoints.
    pub origin: String,
    /// What Rekor v1 adds to an index in its tree for the index in all its trees.
    pub offset: u64,
    start: SystemTime,
    tree: Mutex<Tree>,
}

impl Rekor {
    /// A Rekor v1 log. Others have made entries already.
    pub fn v1(label: &str, algorithm: Algorithm, start: SystemTime) -> Self {
        let name = format!("rekor.{label}.test");
        let origin = format!("{name} - 1193050959916656506");
        let key = Key::new(algorithm, &format!("{label} rekor"));
        Self { key, name, origin, offset: 4_163_431, start, tree: Mutex::new(used(label)) }
    }

    /// A Rekor v2 log. Others have made entries already.
    pub fn v2(label: &str, start: SystemTime) -> Self {
        let name = format!("log2025.rekor.{label}.test");
        let key = Key::new(Algorithm::Ed25519, &format!("{label} rekor v2"));
        let origin = name.clone();
        Self { key, name, origin, offset: 0, start, tree: Mutex::new(used(label)) }
    }

    /// Its id in bundles and trusted roots.
    pub fn id(&self) -> [u8; 32] {
        log_id(&self.name, &self.key)
    }

    /// How many entries it has.
    pub fn size(&self) -> u64 {
        self.tree().size()
    }

    /// Takes an entry in and proves it: promise and time too if the kind is one of Rekor v1.
    pub fn log(&self, kind: Kind, signature: &Signature, time: SystemTime) -> Entry {
        self.log_body(kind, kind.body(signature), time)
    }

    /// Takes any body in, which no real log would.
    pub fn log_body(&self, kind: Kind, body: Vec<u8>, time: SystemTime) -> Entry {
        let index = self.tree().append(&body);
        let mut entry = Entry {
            index: self.offset + index,
            log_id: self.id(),
            kind,
            time: (!kind.is_v2()).then_some(time),
            promise: None,
            proof: Some(self.prove(index)),
            body,
        };
        if !kind.is_v2() {
            entry.promise = Some(self.promise(&entry));
        }
        entry
    }

    /// The promise (SET) for an entry as it is now.
    pub fn promise(&self, entry: &Entry) -> Vec<u8> {
        let payload = json!({
            "body": base64(&entry.body),
            "integratedTime": entry.time.map_or(0, seconds),
            "logID": hex(&entry.log_id),
            "logIndex": entry.index,
        });
        self.key.sign(payload.to_string().as_bytes())
    }

    /// The proof that an entry, by its index in the tree, is in the tree of now.
    ///
    /// # Panics
    /// There is no such entry.
    pub fn prove(&self, index: u64) -> Proof {
        let tree = self.tree();
        let size = tree.size();
        let root = tree.root(size);
        let checkpoint = Note::checkpoint(&self.origin, size, &root).signed(&self.name, &self.key);
        Proof {
            index,
            size,
            root,
            hashes: tree.proof(index, size),
            checkpoint: checkpoint.to_string(),
        }
    }

    /// The signed state of now, to be signed by others too.
    pub fn checkpoint(&self) -> Note {
        let tree = self.tree();
        let size = tree.size();
        Note::checkpoint(&self.origin, size, &tree.root(size)).signed(&self.name, &self.key)
    }

    /// Its entry in the trusted root.
    pub fn trusted(&self) -> Value {
        json!({
            "baseUrl": format!("https://{}", self.name),
            "hashAlgorithm": "SHA2_256",
            "publicKey": {
                "rawBytes": base64(&self.key.spki()),
                "keyDetails": self.key.details(),
                "validFor": { "start": timestamp(self.start) },
            },
            "logId": { "keyId": base64(&self.id()) },
        })
    }

    fn tree(&self) -> MutexGuard<'_, Tree> {
        self.tree.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A tree with a few entries of others.
fn used(label: &str) -> Tree {
    let mut tree = Tree::default();
    for number in 0..6 {
        tree.append(format!("{label}: entry {number} of someone else").as_bytes());
    }
    tree
}

/// A log entry as a bundle holds it; every part can be exchanged.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Index over all trees of the log.
    pub index: u64,
    /// Which log.
    pub log_id: [u8; 32],
    /// Kind and version.
    pub kind: Kind,
    /// When a Rekor v1 log took it in.
    pub time: Option<SystemTime>,
    /// The promise (SET) of a Rekor v1 log.
    pub promise: Option<Vec<u8>>,
    /// That it is in the tree.
    pub proof: Option<Proof>,
    /// The canonical body.
    pub body: Vec<u8>,
}

/// That an entry is in a tree, and that the log stands by that tree.
#[derive(Clone, Debug)]
pub struct Proof {
    /// Index in this tree.
    pub index: u64,
    /// How many leaves the tree has.
    pub size: u64,
    /// Its root.
    pub root: [u8; 32],
    /// From the leaf up.
    pub hashes: Vec<[u8; 32]>,
    /// The signed checkpoint.
    pub checkpoint: String,
}

impl Entry {
    /// As in `tlogEntries` of a bundle.
    pub fn json(&self) -> Value {
        let (kind, version) = self.kind.name();
        let mut json = json!({
            "logIndex": self.index.to_string(),
            "logId": { "keyId": base64(&self.log_id) },
            "kindVersion": { "kind": kind, "version": version },
            "canonicalizedBody": base64(&self.body),
        });
        if let Some(time) = self.time {
            json["integratedTime"] = seconds(time).to_string().into();
        }
        if let Some(promise) = &self.promise {
            json["inclusionPromise"] = json!({ "signedEntryTimestamp": base64(promise) });
        }
        if let Some(proof) = &self.proof {
            json["inclusionProof"] = json!({
                "logIndex": proof.index.to_string(),
                "rootHash": base64(&proof.root),
                "treeSize": proof.size.to_string(),
                "hashes": proof.hashes.iter().map(|hash| base64(hash)).collect::<Vec<_>>(),
                "checkpoint": { "envelope": proof.checkpoint },
            });
        }
        json
    }
}
