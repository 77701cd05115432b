//! Signatures of `ssh-keygen -Y sign` (OpenSSH `PROTOCOL.sshsig`), and the keys as OpenSSH writes them.

use aws_lc_rs::digest::{SHA256, SHA512, digest};

use super::key::{Algorithm, Key};
use super::{base64, der};

/// An SSH signature that is yet to be made.
#[derive(Clone, Debug)]
pub struct SshSig {
    /// Signs: Ed25519, P-256, P-384 or RSA.
    pub key: Key,
    /// The key the signature names, if not the true one.
    pub key_named: Option<Key>,
    /// What the signature is for; `file` for files.
    pub namespace: String,
    /// `sha512` or `sha256`.
    pub hash: String,
    /// The format's version; there is only 1.
    pub version: u32,
}

impl SshSig {
    /// As OpenSSH does it for a file.
    pub fn new(key: &Key) -> Self {
        let (namespace, hash) = ("file".to_owned(), "sha512".to_owned());
        Self { key: key.clone(), key_named: None, namespace, hash, version: 1 }
    }

    /// The `.sig` file.
    pub fn sign(&self, artifact: &[u8]) -> String {
        let algorithm = if self.hash == "sha256" { &SHA256 } else { &SHA512 };
        let hash = digest(algorithm, artifact);
        let about =
            [string(self.namespace.as_bytes()), string(b""), string(self.hash.as_bytes())].concat();
        let signed = [b"SSHSIG", &about[..], &string(hash.as_ref())].concat();
        let named = self.key_named.as_ref().unwrap_or(&self.key);
        let blob = [
            b"SSHSIG",
            &self.version.to_be_bytes()[..],
            &string(&public_blob(named)),
            &about,
            &string(&signature_blob(&self.key, &signed)),
        ]
        .concat();
        let text = base64(&blob);
        let lines: Vec<_> = text.as_bytes().chunks(70).map(String::from_utf8_lossy).collect();
        format!(
            "-----BEGIN SSH SIGNATURE-----\n{}\n-----END SSH SIGNATURE-----\n",
            lines.join("\n")
        )
    }

    /// A line of an allowed-signers file for these principals.
    pub fn allowed_signer(&self, principals: &str) -> String {
        format!("{principals} namespaces=\"{}\" {}\n", self.namespace, public_line(&self.key))
    }
}

/// A public key as in `id_….pub`, without comment.
pub fn public_line(key: &Key) -> String {
    format!("{} {}", names(key).0, base64(&public_blob(key)))
}

/// The key's type, and its curve if it is on a curve of NIST.
fn names(key: &Key) -> (&'static str, &'static str) {
    match key.algorithm() {
        Algorithm::P256 => ("ecdsa-sha2-nistp256", "nistp256"),
        Algorithm::P384 => ("ecdsa-sha2-nistp384", "nistp384"),
        Algorithm::Ed25519 => ("ssh-ed25519", ""),
        Algorithm::Rsa2048 => ("ssh-rsa", ""),
    }
}

fn public_blob(key: &Key) -> Vec<u8> {
    let (kind, curve) = names(key);
    let kind = string(kind.as_bytes());
    let public = key.public_bytes();
    match key.algorithm() {
        Algorithm::Ed25519 => [kind, string(&public)].concat(),
        Algorithm::Rsa2048 => {
            let [modulus, exponent] = integers(&public);
            [kind, string(&exponent), string(&modulus)].concat()
        }
        _ => [kind, string(curve.as_bytes()), string(&public)].concat(),
    }
}

fn signature_blob(key: &Key, signed: &[u8]) -> Vec<u8> {
    let signature = key.sign(signed);
    match key.algorithm() {
        Algorithm::Ed25519 => [string(b"ssh-ed25519"), string(&signature)].concat(),
        Algorithm::Rsa2048 => [string(b"rsa-sha2-256"), string(&signature)].concat(),
        _ => {
            let [r, s] = integers(&signature);
            let both = [string(&r), string(&s)].concat();
            [string(names(key).0.as_bytes()), string(&both)].concat()
        }
    }
}

/// The two integers of a DER sequence, as SSH wants them: both formats agree about the sign.
fn integers(sequence: &[u8]) -> [Vec<u8>; 2] {
    let both = || {
        let (_, content, _) = der::split(sequence)?;
        let (_, first, rest) = der::split(content)?;
        let (_, second, _) = der::split(rest)?;
        Some([first.to_vec(), second.to_vec()])
    };
    both().expect("the library writes DER")
}

/// With its length in four bytes before it.
fn string(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).expect("short");
    [&length.to_be_bytes()[..], bytes].concat()
}
