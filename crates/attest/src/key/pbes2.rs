//! PKCS#8 under a passphrase (RFC 5958 §3) by PBES2: PBKDF2 or scrypt, and AES in CBC mode, as
//! OpenSSL writes it.

use std::num::NonZeroU32;

use aws_lc_rs::cipher::{
    AES_128, AES_256, DecryptionContext, PaddedBlockDecryptingKey, UnboundCipherKey,
};
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::pbkdf2::{
    self, PBKDF2_HMAC_SHA1, PBKDF2_HMAC_SHA256, PBKDF2_HMAC_SHA384, PBKDF2_HMAC_SHA512,
};
use der::asn1::{AnyRef, ObjectIdentifier, OctetStringRef};
use der::{Decode as _, Reader, SliceReader};
use dsops_secure_mem::SecretBytes;

use super::cosign::scrypt_key;
use super::{KeyError, in_own_frame};

/// How many rounds of PBKDF2 are made at most.
const ITERATION_LIMIT: u32 = 2_000_000;

const PBES2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.5.13");
const PBKDF2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.5.12");
const SCRYPT: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.11591.4.11");
const HMAC_SHA1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.2.7");
const HMAC_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.2.9");
const HMAC_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.2.10");
const HMAC_SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.2.11");
const AES_128_CBC: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.1.2");
const AES_256_CBC: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.1.42");

/// How the key comes from the passphrase.
enum Derivation<'a> {
    Pbkdf2 { salt: &'a [u8], iterations: u32, prf: ObjectIdentifier },
    Scrypt { salt: &'a [u8], n: u64, r: u64, p: u64 },
    Unknown,
}

struct Encrypted<'a> {
    derivation: Derivation<'a>,
    cipher: ObjectIdentifier,
    iv: &'a [u8],
    sealed: &'a [u8],
}

/// Opens a key.
pub(super) fn open(der: &[u8], passphrase: &SecretBytes) -> Result<SecretBytes, KeyError> {
    let malformed = || KeyError::Malformed { problem: "is not an encrypted PKCS#8 key" };
    let parsed = SliceReader::new(der).and_then(|mut reader| {
        let parsed = encrypted(&mut reader)?;
        reader.finish(parsed)
    });
    let Some(Encrypted { derivation, cipher, iv, sealed }) = parsed.map_err(|_| malformed())?
    else {
        return Err(KeyError::Unsupported { what: "another scheme than PBES2" });
    };
    let unsupported = |what| Err(KeyError::Unsupported { what });
    let (cipher, key_bytes) = match cipher {
        AES_128_CBC => (&AES_128, 16),
        AES_256_CBC => (&AES_256, 32),
        _ => return unsupported("another cipher than AES-128 or AES-256 in CBC mode"),
    };
    let key = match derivation {
        Derivation::Pbkdf2 { salt, iterations, prf } => {
            let prf = match prf {
                HMAC_SHA1 => PBKDF2_HMAC_SHA1,
                HMAC_SHA256 => PBKDF2_HMAC_SHA256,
                HMAC_SHA384 => PBKDF2_HMAC_SHA384,
                HMAC_SHA512 => PBKDF2_HMAC_SHA512,
                _ => return unsupported("PBKDF2 with another function than HMAC with SHA"),
            };
            let rounds =
                NonZeroU32::new(iterations).filter(|rounds| rounds.get() <= ITERATION_LIMIT);
            let Some(rounds) = rounds else { return unsupported("PBKDF2 with so many rounds") };
            SecretBytes::build(key_bytes, |key| {
                in_own_frame(|| {
                    pbkdf2::derive(prf, rounds, salt, &passphrase.try_expose()?, key);
                    Ok::<_, KeyError>(key_bytes)
                })
            })?
        }
        Derivation::Scrypt { salt, n, r, p } if key_bytes == 16 => {
            scrypt_key::<16>(passphrase, salt, n, r, p)?
        }
        Derivation::Scrypt { salt, n, r, p } => scrypt_key::<32>(passphrase, salt, n, r, p)?,
        Derivation::Unknown => return unsupported("another key derivation than PBKDF2 or scrypt"),
    };
    let iv: [u8; 16] = iv.try_into().map_err(|_| malformed())?;
    SecretBytes::build(sealed.len(), |into| {
        into.copy_from_slice(sealed);
        in_own_frame(|| {
            let key = UnboundCipherKey::new(cipher, &key.try_expose()?)
                .and_then(PaddedBlockDecryptingKey::cbc_pkcs7)
                .map_err(|_| KeyError::WrongPassphrase)?;
            let context = DecryptionContext::Iv128(FixedLength::from(iv));
            let plain = key.decrypt(into, context).map_err(|_| KeyError::WrongPassphrase)?;
            // The padding is right once in 256 times by accident; a key is a sequence.
            if plain.first() == Some(&0x30) {
                Ok(plain.len())
            } else {
                Err(KeyError::WrongPassphrase)
            }
        })
    })
}

/// `EncryptedPrivateKeyInfo`; `None` when it is by another scheme.
fn encrypted<'a>(reader: &mut SliceReader<'a>) -> der::Result<Option<Encrypted<'a>>> {
    reader.sequence(|info| {
        let scheme = info.sequence(|algorithm| {
            if ObjectIdentifier::decode(algorithm)? != PBES2 {
                AnyRef::decode(algorithm)?;
                return Ok(None);
            }
            algorithm.sequence(|parameters| {
                let derivation = parameters.sequence(derivation)?;
                let (cipher, iv) = parameters.sequence(|cipher| {
                    Ok((ObjectIdentifier::decode(cipher)?, OctetStringRef::decode(cipher)?))
                })?;
                Ok(Some((derivation, cipher, iv)))
            })
        })?;
        let sealed = OctetStringRef::decode(info)?.as_bytes();
        Ok(scheme.map(|(derivation, cipher, iv)| Encrypted {
            derivation,
            cipher,
            iv: iv.as_bytes(),
            sealed,
        }))
    })
}

fn derivation<'a, R: Reader<'a>>(reader: &mut R) -> der::Result<Derivation<'a>> {
    match ObjectIdentifier::decode(reader)? {
        PBKDF2 => reader.sequence(|parameters| {
            let salt = OctetStringRef::decode(parameters)?.as_bytes();
            let iterations = u32::decode(parameters)?;
            // The length of the key follows from the cipher.
            if parameters.peek_byte() == Some(2) {
                u32::decode(parameters)?;
            }
            let prf = if parameters.is_finished() {
                HMAC_SHA1
            } else {
                parameters.sequence(|prf| {
                    let id = ObjectIdentifier::decode(prf)?;
                    if !prf.is_finished() {
                        AnyRef::decode(prf)?;
                    }
                    Ok(id)
                })?
            };
            Ok(Derivation::Pbkdf2 { salt, iterations, prf })
        }),
        SCRYPT => reader.sequence(|parameters| {
            let salt = OctetStringRef::decode(parameters)?.as_bytes();
            let (n, r, p) =
                (u64::decode(parameters)?, u64::decode(parameters)?, u64::decode(parameters)?);
            if !parameters.is_finished() {
                u64::decode(parameters)?;
            }
            Ok(Derivation::Scrypt { salt, n, r, p })
        }),
        _ => {
            while !reader.is_finished() {
                AnyRef::decode(reader)?;
            }
            Ok(Derivation::Unknown)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::KeyFile;
    use super::*;

    /// `openssl genpkey -algorithm ed25519`, then `openssl pkcs8 -topk8 -v2 aes-256-cbc`, made for this
    /// test by OpenSSL 3.0.19.
    const ED25519: &str = "\
-----BEGIN ENCRYPTED PRIVATE KEY-----
MIGbMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAhm/nrUZ51fZgICCAAw
DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEB5JMQAIwTHWKHn5CmtawscEQJTL
vEh0wCgaXajE5gA2wIBTzllGcHyp9md3A4A3ir1Hn6Vxk9/8renFehVVuRQyaYa0
p/S7cuXrv3WBzncLThk=
-----END ENCRYPTED PRIVATE KEY-----
";
    const ED25519_PUBLIC: &str = "\
-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAYqeaXXepORjd3XHTcMNkEgWS+tSEMhaxDcAQQ1cDj0Q=
-----END PUBLIC KEY-----
";
    /// `openssl ecparam -name prime256v1 -genkey`, then `openssl pkcs8 -topk8 -scrypt`.
    const P256: &str = "\
-----BEGIN ENCRYPTED PRIVATE KEY-----
MIHkME8GCSqGSIb3DQEFDTBCMCEGCSsGAQQB2kcECzAUBAgwSQDrAUfNyQICQAAC
AQgCAQEwHQYJYIZIAWUDBAEqBBCvIxiGajzZ76YjMb2W7beEBIGQQUAgouGMLtNI
fcmbs6GAxi2DLI7SUMvOToYCb4/lQT6IAnbfMSpkkfq4UW+AlUAta7mGXleXteo1
G/2ZBxC+1iZ+vP90zyNNRtU7rzb/yT8gcfiv/SyL2dxw+uEpjBmPaGKN6VFhIbFj
QdATKZGM//pCiRSi81n3z1n8EeYjm/cxiHCx7gKkt9VCbW2gULX2
-----END ENCRYPTED PRIVATE KEY-----
";
    const P256_PUBLIC: &str = "\
-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEYkuqgjwIpQY7Ei1VzWnYfNJ5pKPt
159hAYzRZQ/N4rmK8hjTNBCD4jTtMyH9WxS3Pn2VL2/jKW2L10WyX05LAw==
-----END PUBLIC KEY-----
";

    fn secret(text: &str) -> SecretBytes {
        SecretBytes::copy_from(text.as_bytes()).unwrap()
    }

    #[test]
    fn what_openssl_writes() {
        for (text, public) in [(ED25519, ED25519_PUBLIC), (P256, P256_PUBLIC)] {
            let read = || KeyFile::read(&secret(text)).unwrap();
            assert_eq!(read().open(Some(&secret("horse"))).unwrap().public_pem(), public);
            for wrong in ["", "cart"] {
                let result = read().open(Some(&secret(wrong)));
                assert!(matches!(result, Err(KeyError::WrongPassphrase)), "{wrong}");
            }
        }
    }

    #[test]
    fn no_change_of_a_byte_is_fatal() {
        let whole = crate::encoding::unpem(ED25519, "ENCRYPTED PRIVATE KEY").unwrap();
        for at in 0..whole.len() {
            let mut der = whole.clone();
            der[at] ^= 0x10;
            // The count of rounds may have grown to what takes long.
            if (0x30..0x34).contains(&at) {
                continue;
            }
            let _ = open(&der, &secret("horse"));
            let _ = open(&whole[..at], &secret("horse"));
        }
    }
}
