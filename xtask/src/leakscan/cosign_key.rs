//! Opens a key in cosign's format with other code than `dsops` does, to know what must not be found.

use anyhow::Context as _;
use salsa20::XSalsa20;
use salsa20::cipher::{KeyIvInit as _, StreamCipher as _};
use serde_json::Value;

use super::needles::base64_bytes;

/// What is in a file.
pub struct Opened {
    /// What scrypt made of the passphrase.
    pub key: Vec<u8>,
    /// PKCS#8.
    pub private: Vec<u8>,
}

/// Opens the content of a file. That the passphrase is right is seen by what comes out.
///
/// # Errors
/// The file is another.
pub fn open(json: &[u8], passphrase: &[u8]) -> anyhow::Result<Opened> {
    let json: Value = serde_json::from_slice(json).context("a key is not JSON")?;
    let bytes = |at: &str| json.pointer(at).and_then(Value::as_str).and_then(base64_bytes);
    let number = |at: &str| json.pointer(at).and_then(Value::as_u64);
    let (n, r, p) = (number("/kdf/params/N"), number("/kdf/params/r"), number("/kdf/params/p"));
    anyhow::ensure!((n, r, p) == (Some(1 << 16), Some(8), Some(1)), "other parameters of scrypt");
    let parameters = scrypt::Params::new(16, 8, 1)?;
    let (salt, nonce) = (bytes("/kdf/salt"), bytes("/cipher/nonce"));
    let (salt, nonce) = (salt.context("no salt")?, nonce.context("no nonce")?);
    let sealed = bytes("/ciphertext").context("no sealed key")?;
    let mut key = vec![0; 32];
    scrypt::scrypt(passphrase, &salt, &parameters, &mut key)?;
    let mut cipher = XSalsa20::new_from_slices(&key, &nonce).context("a key and a nonce")?;
    // The key of the tag, and the tag, come first (NaCl, secretbox).
    let mut private = sealed.get(16..).context("it is too short")?.to_vec();
    cipher.apply_keystream(&mut [0; 32]);
    cipher.apply_keystream(&mut private);
    Ok(Opened { key, private })
}
