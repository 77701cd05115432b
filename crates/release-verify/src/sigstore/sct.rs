//! Certificate timestamps: proof that a certificate was published in a log before it was used
//! (RFC 6962, sections 3.2 and 3.3).

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use const_oid::db::rfc6962::CT_PRECERT_SCTS;
use x509_cert::der::asn1::OctetStringRef;
use x509_cert::der::{Decode as _, Encode as _};

use super::certificate::{Issuer, Leaf};
use crate::trust::TrustRoot;
use crate::{Algorithm, Digest};

/// How many timestamps a certificate may carry.
const LIMIT: usize = 16;

/// One timestamp of the list in a certificate.
struct Sct<'a> {
    log: [u8; 32],
    milliseconds: u64,
    extensions: &'a [u8],
    /// TLS `SignatureAndHashAlgorithm`.
    algorithm: [u8; 2],
    signature: &'a [u8],
}

/// How many distinct logs of `root` have published the leaf. Timestamps of logs the root does not
/// know count for nothing; one of a known log that is wrong is an error.
pub(crate) fn logs(leaf: &Leaf, issuer: &Issuer, root: &TrustRoot) -> Result<usize, String> {
    let extensions = leaf.parsed.tbs_certificate.extensions.as_deref().unwrap_or_default();
    let Some(list) = extensions.iter().find(|extension| extension.extn_id == CT_PRECERT_SCTS)
    else {
        return Ok(0);
    };
    let list = OctetStringRef::from_der(list.extn_value.as_bytes())
        .map_err(|_| "its list of certificate timestamps is malformed".to_owned())?;
    let scts = read_list(list.as_bytes())
        .ok_or("its list of certificate timestamps is malformed".to_owned())?;
    let mut logs = BTreeSet::new();
    let mut content = None;
    for sct in &scts {
        let Some(log) = root.ct_logs.iter().find(|log| log.id == sct.log) else { continue };
        let content = match &content {
            Some(content) => content,
            None => content.insert(signed_content(leaf, issuer)?),
        };
        let time = SystemTime::UNIX_EPOCH
            .checked_add(Duration::from_millis(sct.milliseconds))
            .ok_or("a certificate timestamp is out of range".to_owned())?;
        if !log.window.contains(time) {
            return Err(format!(
                "the certificate log {} was in use from {}",
                log.name,
                log.window.words()
            ));
        }
        let hash = match sct.algorithm {
            // sha256, sha384, sha512 with rsa (1) or ecdsa (3): RFC 5246, section 7.4.1.4.1.
            [4, 1 | 3] => Algorithm::Sha256,
            [5, 1 | 3] => Algorithm::Sha384,
            [6, 1] => Algorithm::Sha512,
            _ => {
                return Err("a certificate timestamp has an algorithm that is not known".to_owned());
            }
        };
        let rsa = log.key.algorithm_name() == "rsa";
        let message =
            message(sct, content).ok_or("a certificate timestamp is too long".to_owned())?;
        if rsa != (sct.algorithm[1] == 1) || !log.key.verifies_with(hash, &message, sct.signature) {
            return Err(format!("the timestamp of the certificate log {} is not good", log.name));
        }
        // A log that vouches twice counts once.
        logs.insert(sct.log);
    }
    Ok(logs.len())
}

/// Reads `SignedCertificateTimestampList`: each length is exact, nothing is left over.
fn read_list(bytes: &[u8]) -> Option<Vec<Sct<'_>>> {
    let (list, rest) = vector16(bytes)?;
    let (mut list, []) = (list, rest) else { return None };
    let mut scts = Vec::new();
    while !list.is_empty() {
        let (item, rest) = vector16(list)?;
        list = rest;
        let (version, item) = item.split_first()?;
        let (log, item) = item.split_first_chunk::<32>()?;
        let (milliseconds, item) = item.split_first_chunk::<8>()?;
        let (extensions, item) = vector16(item)?;
        let (algorithm, item) = item.split_first_chunk::<2>()?;
        let (signature, item) = vector16(item)?;
        if *version != 0 || !item.is_empty() || scts.len() == LIMIT {
            return None;
        }
        scts.push(Sct {
            log: *log,
            milliseconds: u64::from_be_bytes(*milliseconds),
            extensions,
            algorithm: *algorithm,
            signature,
        });
    }
    Some(scts)
}

fn vector16(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
}

/// The issuer's key hash and the certificate without its list of timestamps.
fn signed_content(leaf: &Leaf, issuer: &Issuer) -> Result<Vec<u8>, String> {
    let mut tbs = leaf.parsed.tbs_certificate.clone();
    if let Some(extensions) = &mut tbs.extensions {
        extensions.retain(|extension| extension.extn_id != CT_PRECERT_SCTS);
    }
    let tbs = tbs.to_der().map_err(|error| error.to_string())?;
    let length = u32::try_from(tbs.len())
        .ok()
        .filter(|length| *length < 1 << 24)
        .ok_or("the certificate is too long".to_owned())?;
    let mut content = Digest::of(Algorithm::Sha256, &issuer.spki).as_bytes().to_vec();
    content.extend_from_slice(&length.to_be_bytes()[1..]);
    content.extend_from_slice(&tbs);
    Ok(content)
}

/// What a log signs: `digitally-signed` of RFC 6962, section 3.2, for a precertificate.
fn message(sct: &Sct<'_>, content: &[u8]) -> Option<Vec<u8>> {
    // Version v1, certificate_timestamp.
    let mut message = vec![0, 0];
    message.extend_from_slice(&sct.milliseconds.to_be_bytes());
    // precert_entry.
    message.extend_from_slice(&[0, 1]);
    message.extend_from_slice(content);
    message.extend_from_slice(&u16::try_from(sct.extensions.len()).ok()?.to_be_bytes());
    message.extend_from_slice(sct.extensions);
    Some(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sct(version: u8) -> Vec<u8> {
        let mut sct = vec![version];
        sct.extend([7; 32]);
        sct.extend(1234_u64.to_be_bytes());
        sct.extend([0, 1, 9, 4, 3, 0, 2, 0xaa, 0xbb]);
        sct
    }

    fn list(items: &[Vec<u8>]) -> Vec<u8> {
        let length = |bytes: &[u8]| u16::try_from(bytes.len()).unwrap().to_be_bytes();
        let items: Vec<u8> =
            items.iter().flat_map(|item| [&length(item)[..], item].concat()).collect();
        [&length(&items)[..], &items].concat()
    }

    #[test]
    fn lists_are_read_to_their_end() {
        let good = list(&[sct(0), sct(0)]);
        let scts = read_list(&good).unwrap();
        assert_eq!(scts.len(), 2);
        assert_eq!((scts[1].milliseconds, scts[1].extensions), (1234, &[9][..]));
        assert_eq!((scts[1].algorithm, scts[1].signature), ([4, 3], &[0xaa, 0xbb][..]));
        assert_eq!(read_list(&list(&[])).unwrap().len(), 0);
        for bad in [
            &good[..good.len() - 1],
            &[&good[..], b"x"].concat(),
            &list(&[sct(1)]),
            &list(&[[sct(0), vec![0]].concat()]),
            &list(&vec![sct(0); 17]),
            b"",
        ] {
            assert!(read_list(bad).is_none(), "{bad:?}");
        }
    }
}
