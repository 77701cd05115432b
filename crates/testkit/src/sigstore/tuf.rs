//! A repository of The Update Framework (specification 1.0): what Sigstore gives out its trusted roots by.
//!
//! Like all of the stand-in it can be made wrong in every part: who signs, how many must, versions,
//! dates, and the files themselves.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde_json::{Map, Value, json};

use super::key::{Algorithm, Key};
use super::{hex, sha256, timestamp};

/// The four top-level roles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Names the keys of all.
    Root,
    /// Says which snapshot is the newest.
    Timestamp,
    /// Says which versions belong together.
    Snapshot,
    /// Names the files.
    Targets,
}

impl Role {
    const ALL: [Self; 4] = [Self::Root, Self::Timestamp, Self::Snapshot, Self::Targets];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Timestamp => "timestamp",
            Self::Snapshot => "snapshot",
            Self::Targets => "targets",
        }
    }
}

/// Who may sign for a role.
#[derive(Clone, Debug)]
pub struct Signers {
    /// The keys that the root names.
    pub keys: Vec<Key>,
    /// How many of them must sign.
    pub threshold: usize,
    /// Who does sign; not necessarily who may.
    pub signing: Vec<Key>,
    /// Version of the next metadata.
    pub version: u64,
    /// When the next metadata ends.
    pub expires: SystemTime,
}

/// A repository, to be changed and published again and again.
#[derive(Clone, Debug)]
pub struct TufRepository {
    /// The role's keys, versions and dates.
    pub roles: BTreeMap<Role, Signers>,
    /// The files it gives out, by name.
    pub targets: BTreeMap<String, Vec<u8>>,
    /// What lies on the server, by path; published files stay until they are replaced.
    pub files: BTreeMap<String, Vec<u8>>,
}

impl TufRepository {
    /// A repository with three keys for the root, two of which must sign, and one for each other
    /// role; good for a day (the timestamp), a week (the snapshot) and half a year (the others).
    pub fn new(label: &str, now: SystemTime) -> Self {
        let signers = |role: Role| {
            let (count, threshold, days) = match role {
                Role::Root => (3, 2, 180),
                Role::Timestamp => (1, 1, 1),
                Role::Snapshot => (1, 1, 7),
                Role::Targets => (1, 1, 180),
            };
            // As Sigstore's: people hold keys on the curve of NIST, machines sign the rest.
            let algorithm = if role == Role::Root { Algorithm::P256 } else { Algorithm::Ed25519 };
            let key =
                |number| Key::new(algorithm, &format!("{label} tuf {} {number}", role.name()));
            let keys: Vec<_> = (0..count).map(key).collect();
            let expires = now + Duration::from_hours(24 * days);
            (role, Signers { signing: keys.clone(), keys, threshold, version: 1, expires })
        };
        let roles = Role::ALL.into_iter().map(signers).collect();
        Self { roles, targets: BTreeMap::new(), files: BTreeMap::new() }
    }

    /// A role.
    pub fn role(&mut self, role: Role) -> &mut Signers {
        self.roles.get_mut(&role).expect("all four are there from the start")
    }

    /// Puts a file up for the next publication.
    pub fn set_target(&mut self, name: &str, content: &[u8]) {
        self.targets.insert(name.to_owned(), content.to_vec());
    }

    /// Writes the first root, then everything else.
    ///
    /// Returns the root that clients start from.
    pub fn start(&mut self) -> Vec<u8> {
        let root = self.publish_root();
        self.publish();
        root
    }

    /// Signs a root of the next version by those who sign now and by `also`, and writes it.
    pub fn rotate_root(&mut self, also: &[Key]) -> Vec<u8> {
        self.role(Role::Root).version += 1;
        let before = self.role(Role::Root).signing.clone();
        for key in also {
            if !before.iter().any(|known| known.id() == key.id()) {
                self.role(Role::Root).signing.push(key.clone());
            }
        }
        let root = self.publish_root();
        self.role(Role::Root).signing = before;
        root
    }

    /// Writes targets, snapshot and timestamp as they are now, and the targets themselves.
    pub fn publish(&mut self) {
        let targets = self.sign(Role::Targets, self.targets_body());
        let snapshot = self.sign(Role::Snapshot, self.pin("targets.json", Role::Targets, &targets));
        let stamp = self.pin("snapshot.json", Role::Snapshot, &snapshot);
        let stamp = self.sign(Role::Timestamp, stamp);
        let version = |role| self.roles[&role].version;
        let names = [
            (format!("{}.targets.json", version(Role::Targets)), targets),
            (format!("{}.snapshot.json", version(Role::Snapshot)), snapshot),
            ("timestamp.json".to_owned(), stamp),
        ];
        self.files.extend(names);
        for (name, content) in &self.targets {
            let path = format!("targets/{}.{name}", hex(&sha256(content)));
            self.files.insert(path, content.clone());
        }
    }

    /// Counts the versions of targets, snapshot and timestamp up, then publishes.
    pub fn publish_next(&mut self) {
        for role in [Role::Targets, Role::Snapshot, Role::Timestamp] {
            self.role(role).version += 1;
        }
        self.publish();
    }

    fn publish_root(&mut self) -> Vec<u8> {
        let mut keys = Map::new();
        let mut roles = Map::new();
        for (role, signers) in &self.roles {
            let ids: Vec<_> = signers.keys.iter().map(key_id).collect();
            keys.extend(signers.keys.iter().map(|key| (key_id(key), key_json(key))));
            let entry = json!({ "keyids": ids, "threshold": signers.threshold });
            roles.insert(role.name().to_owned(), entry);
        }
        let body = json!({ "consistent_snapshot": true, "keys": keys, "roles": roles });
        let root = self.sign(Role::Root, body);
        self.files.insert(format!("{}.root.json", self.roles[&Role::Root].version), root.clone());
        root
    }

    fn targets_body(&self) -> Value {
        let target = |(name, content): (&String, &Vec<u8>)| {
            let hashes = json!({ "sha256": hex(&sha256(content)) });
            (name.clone(), json!({ "length": content.len(), "hashes": hashes }))
        };
        json!({ "targets": self.targets.iter().map(target).collect::<Map<_, _>>() })
    }

    fn pin(&self, name: &str, role: Role, content: &[u8]) -> Value {
        json!({ "meta": { name: {
            "version": self.roles[&role].version,
            "length": content.len(),
            "hashes": { "sha256": hex(&sha256(content)) },
        } } })
    }

    /// The envelope of a role's metadata: its body with what each role says, and signatures.
    fn sign(&self, role: Role, mut body: Value) -> Vec<u8> {
        let signers = &self.roles[&role];
        body["_type"] = role.name().into();
        body["spec_version"] = "1.0.31".into();
        body["version"] = signers.version.into();
        body["expires"] = timestamp(signers.expires).into();
        let bytes = canonical(&body);
        let signature =
            |key: &Key| json!({ "keyid": key_id(key), "sig": hex(&key.sign(bytes.as_bytes())) });
        let signatures: Vec<_> = signers.signing.iter().map(signature).collect();
        json!({ "signed": body, "signatures": signatures }).to_string().into_bytes()
    }
}

/// A key as metadata holds it.
fn key_json(key: &Key) -> Value {
    if key.algorithm() == Algorithm::Ed25519 {
        let public = hex(&key.public_bytes());
        json!({ "keytype": "ed25519", "scheme": "ed25519", "keyval": { "public": public } })
    } else {
        json!({
            "keytype": "ecdsa",
            "scheme": "ecdsa-sha2-nistp256",
            "keyval": { "public": key.public_pem() },
        })
    }
}

/// The id of a key: the hash of how metadata holds it.
pub fn key_id(key: &Key) -> String {
    hex(&sha256(canonical(&key_json(key)).as_bytes()))
}

/// Canonical JSON as `securesystemslib` has it: sorted, no spaces, and in texts only quotes and
/// backslashes are escaped.
fn canonical(value: &Value) -> String {
    match value {
        Value::String(text) => {
            format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
        }
        Value::Array(items) => {
            format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(","))
        }
        Value::Object(fields) => {
            let field = |(name, value): (&String, &Value)| {
                format!("{}:{}", canonical(&Value::String(name.clone())), canonical(value))
            };
            format!("{{{}}}", fields.iter().map(field).collect::<Vec<_>>().join(","))
        }
        other => other.to_string(),
    }
}
