//! Timestamp authorities (RFC 3161): prove that a signature was there at a time.

use aws_lc_rs::rand;
use der::asn1::AnyRef;
use der::{Decode as _, Reader, SliceReader};
use dsops_transport::{Client, Url};

use super::call::Service;
use crate::encoding::{element, sha256};
use crate::{Error, KeyError};

/// `TimeStampResp` over a signature.
pub(super) fn stamp(client: &Client, url: &Url, signature: &[u8]) -> Result<Vec<u8>, Error> {
    let service = Service::at("the timestamp authority", url, "")?;
    let query = query(signature)?;
    let answer = service.body(service.post(client, "application/timestamp-query", &query)?)?;
    match status(&answer) {
        // Granted, and granted with modifications.
        Ok(0 | 1) => Ok(answer),
        Ok(_) => Err(service.nonsense("says that no time is stamped")),
        Err(_) => Err(service.nonsense("is no timestamp")),
    }
}

/// `TimeStampReq`: version 1, the hash, a nonce, and that the certificate is wanted too.
fn query(signature: &[u8]) -> Result<Vec<u8>, Error> {
    /// SHA-256 without parameters (RFC 5754 §2).
    const ALGORITHM: &[u8] =
        &[0x30, 0x0b, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01];
    let mut nonce = [0; 8];
    rand::fill(&mut nonce).map_err(|_| KeyError::Generate)?;
    // Positive, and of the shortest form.
    nonce[0] = nonce[0] & 0x3f | 0x40;
    let hash = element(4, &[sha256(signature).as_ref()]);
    let imprint = element(0x30, &[ALGORITHM, &hash]);
    Ok(element(0x30, &[&[2, 1, 1], &imprint, &element(2, &[&nonce]), &[1, 1, 0xff]]))
}

/// `PKIStatus` of a response that also has a token if it is granted.
fn status(response: &[u8]) -> der::Result<u8> {
    let mut reader = SliceReader::new(response)?;
    let status = reader.sequence(|response| {
        let status = response.sequence(|info| {
            let status = u8::decode(info)?;
            while !info.is_finished() {
                AnyRef::decode(info)?;
            }
            Ok(status)
        })?;
        match (status, response.is_finished()) {
            (0 | 1, false) => AnyRef::decode(response).map(|_| status),
            (0 | 1, true) => Err(der::ErrorKind::Failed.into()),
            _ => response.read_slice(response.remaining_len()).map(|_| status),
        }
    })?;
    reader.finish(status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses() {
        let token = &[0x30, 0][..];
        let response = |status: u8, token: &[u8]| {
            element(0x30, &[&element(0x30, &[&[2, 1, status], &[0x30, 0]]), token])
        };
        assert_eq!(status(&response(0, token)), Ok(0));
        assert_eq!(status(&response(2, b"")), Ok(2));
        for bad in [response(0, b""), response(0, &[0x30]), b"".to_vec(), b"<html>".to_vec()] {
            status(&bad).unwrap_err();
        }
    }
}
