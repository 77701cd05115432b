//! cosign's files of private keys: PKCS#8 in `secretbox` of `NaCl` (`XSalsa20` and Poly1305), under a key
//! that scrypt makes of a passphrase.
//!
//! Source: go-securesystemslib `encrypted/encrypted.go`; `NaCl`, "Secret-key authenticated encryption".

use aws_lc_rs::{constant_time, rand};
use dsops_secure_mem::SecretBytes;
use poly1305::Poly1305;
use poly1305::universal_hash::KeyInit as _;
use salsa20::XSalsa20;
use salsa20::cipher::{KeyIvInit as _, StreamCipher as _};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{KeyError, in_own_frame};
use crate::encoding::{base64, pem, unbase64};

/// What cosign writes: 64 MiB.
const LOG_N: u8 = 16;
const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;
/// How much memory a file may make scrypt take: what cosign and we write. OpenSSL writes 16 MiB.
const WORK_LIMIT_BYTES: u64 = 64 * 1024 * 1024;
/// How often it may be gone through: once, as all of them do.
const PASSES_LIMIT: u64 = 1;

/// Opens a file.
pub(super) fn open(json: &[u8], passphrase: &SecretBytes) -> Result<SecretBytes, KeyError> {
    let malformed = || KeyError::Malformed { problem: "is not a file as cosign writes it" };
    let json: Value = serde_json::from_slice(json).map_err(|_| malformed())?;
    let bytes = |path| json.pointer(path).and_then(Value::as_str).and_then(unbase64);
    let number = |path| json.pointer(path).and_then(Value::as_u64).ok_or_else(malformed);
    let unsupported = |what| Err(KeyError::Unsupported { what });
    if json["kdf"]["name"] != "scrypt" {
        return unsupported("another key derivation than scrypt");
    }
    if json["cipher"]["name"] != "nacl/secretbox" {
        return unsupported("another cipher than nacl/secretbox");
    }
    let (n, r, p) = (number("/kdf/params/N")?, number("/kdf/params/r")?, number("/kdf/params/p")?);
    let salt = bytes("/kdf/salt").ok_or_else(malformed)?;
    let nonce = bytes("/cipher/nonce").ok_or_else(malformed)?;
    let sealed = bytes("/ciphertext").ok_or_else(malformed)?;
    let nonce: [u8; NONCE_BYTES] = nonce.try_into().map_err(|_| malformed())?;
    let key = scrypt_key::<KEY_BYTES>(passphrase, &salt, n, r, p)?;
    unseal(&sealed, &nonce, &key)
}

/// Writes a file.
pub(super) fn seal(private: &SecretBytes, passphrase: &SecretBytes) -> Result<String, KeyError> {
    if passphrase.is_empty() {
        return Err(KeyError::EmptyPassphrase);
    }
    let (mut salt, mut nonce) = ([0; KEY_BYTES], [0; NONCE_BYTES]);
    rand::fill(&mut salt).and_then(|()| rand::fill(&mut nonce)).map_err(|_| KeyError::Generate)?;
    let (n, r, p) = (1 << LOG_N, 8, 1);
    let key = scrypt_key::<KEY_BYTES>(passphrase, &salt, n, r, p)?;
    let sealed = in_own_frame(|| {
        let mut text = Zeroizing::new(vec![0; private.len()]);
        text.copy_from_slice(&private.try_expose()?);
        let (mut cipher, one_time) = stream(&key.try_expose()?, &nonce);
        cipher.apply_keystream(&mut text);
        let tag = Poly1305::new((&*one_time).into()).compute_unpadded(&text);
        Ok::<_, KeyError>([tag.as_slice(), &text].concat())
    })?;
    let json = json!({
        "kdf": {
            "name": "scrypt",
            "params": { "N": n, "r": r, "p": p },
            "salt": base64(&salt),
        },
        "cipher": { "name": "nacl/secretbox", "nonce": base64(&nonce) },
        "ciphertext": base64(&sealed),
    });
    Ok(pem("ENCRYPTED SIGSTORE PRIVATE KEY", json.to_string().as_bytes()))
}

fn unseal(
    sealed: &[u8],
    nonce: &[u8; NONCE_BYTES],
    key: &SecretBytes,
) -> Result<SecretBytes, KeyError> {
    let (tag, sealed) = sealed
        .split_first_chunk::<TAG_BYTES>()
        .ok_or(KeyError::Malformed { problem: "is too short for a sealed key" })?;
    in_own_frame(|| {
        let (mut cipher, one_time) = stream(&key.try_expose()?, nonce);
        let found = Poly1305::new((&*one_time).into()).compute_unpadded(sealed);
        constant_time::verify_slices_are_equal(&found, tag)
            .map_err(|_| KeyError::WrongPassphrase)?;
        SecretBytes::build(sealed.len(), |into| {
            into.copy_from_slice(sealed);
            cipher.apply_keystream(into);
            Ok(sealed.len())
        })
    })
}

/// The key stream behind its first 32 bytes, and those: the key of the tag.
fn stream(key: &[u8], nonce: &[u8; NONCE_BYTES]) -> (XSalsa20, Zeroizing<[u8; KEY_BYTES]>) {
    let key: &[u8; KEY_BYTES] = key.try_into().expect("made with that length");
    let mut cipher = XSalsa20::new(key.into(), nonce.into());
    let mut one_time = Zeroizing::new([0; KEY_BYTES]);
    cipher.apply_keystream(one_time.as_mut_slice());
    (cipher, one_time)
}

/// scrypt (RFC 7914), within limits. Its working memory is ordinary memory.
pub(super) fn scrypt_key<const LENGTH: usize>(
    passphrase: &SecretBytes,
    salt: &[u8],
    n: u64,
    r: u64,
    p: u64,
) -> Result<SecretBytes, KeyError> {
    let unsupported = KeyError::Unsupported { what: "scrypt with parameters that make no sense" };
    // A file must not say how much memory and time we spend on it.
    let work = n.checked_mul(r).and_then(|blocks| blocks.checked_mul(128));
    if work.is_none_or(|work| work > WORK_LIMIT_BYTES) || p > PASSES_LIMIT {
        return Err(KeyError::TooCostly { n, r, p });
    }
    if !n.is_power_of_two() {
        return Err(unsupported);
    }
    let log_n = u8::try_from(n.trailing_zeros()).expect("at most 64");
    let (Ok(r), Ok(p)) = (u32::try_from(r), u32::try_from(p)) else { return Err(unsupported) };
    let Ok(params) = scrypt::Params::new(log_n, r, p) else { return Err(unsupported) };
    SecretBytes::build(LENGTH, |key| {
        in_own_frame(|| {
            scrypt::scrypt(&passphrase.try_expose()?, salt, &params, key)
                .map_err(|_| KeyError::Unsupported { what: "scrypt with such a length" })
        })?;
        Ok(LENGTH)
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Algorithm, KeyFile, SigningKey};
    use super::*;

    fn secret(text: &str) -> SecretBytes {
        SecretBytes::copy_from(text.as_bytes()).unwrap()
    }

    /// `NaCl`'s own example of secretbox (`tests/secretbox.c`), its first and last bytes.
    #[test]
    fn the_box_of_nacl() {
        let unhex = |text| crate::encoding::unhex(text).unwrap();
        let key = unhex("1b27556473e985d462cd51197a9a46c76009549eac6474f206c4ee0844f68389");
        let nonce = unhex("69696ee955b62b73cd62bda875fc73d68219e0036b7a0b37");
        let sealed = unhex(
            "f3ffc7703f9400e52a7dfb4b3d3305d98e993b9f48681273c29650ba32fc76ce48332ea7164d96a4476fb8c531a1\
             186ac0dfc17c98dce87b4da7f011ec48c97271d2c20f9b928fe2270d6fb863d51738b48eeee314a7cc8ab932164548e526\
             ae90224368517acfeabd6bb3732bc0e9da99832b61ca01b6de56244a9e88d5f9b37973f622a43d14a6599b1f654cb45a74e355a5",
        );
        let key = SecretBytes::copy_from(&key).unwrap();
        let opened = unseal(&sealed, nonce[..].try_into().unwrap(), &key).unwrap();
        opened.expose_with(|text| {
            assert_eq!(crate::encoding::hex(&text[..8]), "be075fc53c81f2d5");
            assert_eq!(text.len(), 131);
        });
    }

    #[test]
    fn a_file_is_read_back_and_only_by_its_passphrase() {
        let key = SigningKey::generate(Algorithm::EcdsaP256).unwrap();
        let text = key.to_encrypted_pem(&secret("correct horse")).unwrap();
        let read = || KeyFile::read(&secret(&text)).unwrap();
        assert!(read().is_encrypted());
        assert_eq!(
            read().open(Some(&secret("correct horse"))).unwrap().public_der(),
            key.public_der()
        );
        assert!(matches!(read().open(Some(&secret("wrong"))), Err(KeyError::WrongPassphrase)));
        assert!(matches!(read().open(None), Err(KeyError::PassphraseNeeded)));
        assert!(matches!(key.to_encrypted_pem(&secret("")), Err(KeyError::EmptyPassphrase)));
    }

    #[test]
    fn parameters_have_limits() {
        // The largest that is worked on is the one that is written; then 65 MiB, 1 GiB, two passes.
        for (n, r, p, is_costly) in [
            (0, 8, 1, false),
            (3, 8, 1, false),
            (2, 0, 0, false),
            (1 << 16, 9, 1, true),
            (1 << 20, 8, 1, true),
            (1 << 16, 8, 2, true),
            (2, u64::MAX, 1, true),
            (2, 8, u64::MAX, true),
        ] {
            let json = json!({
                "kdf": { "name": "scrypt", "params": { "N": n, "r": r, "p": p }, "salt": "AA==" },
                "cipher": { "name": "nacl/secretbox", "nonce": base64(&[0; 24]) },
                "ciphertext": base64(&[0; 40]),
            });
            let result = open(json.to_string().as_bytes(), &secret("x"));
            match result.unwrap_err() {
                KeyError::TooCostly { .. } => assert!(is_costly, "{n} {r} {p}"),
                KeyError::Unsupported { .. } => assert!(!is_costly, "{n} {r} {p}"),
                other => panic!("{n} {r} {p}: {other}"),
            }
        }
    }
}
