//! The certificate authority: shows it an identity token and a request, gets a certificate.

use dsops_secure_mem::SecretBytes;
use dsops_transport::{Client, Url};
use serde_json::{Value, json};

use super::TOKEN_LIMIT_BYTES;
use super::call::Service;
use crate::encoding::{base64, element, pem, unpem};
use crate::{Error, SigningKey};

/// The certificate for whom the token is about, in DER.
///
/// Source: Fulcio, `POST /api/v2/signingCert`.
pub(super) fn certificate(
    client: &Client,
    base: &Url,
    key: &SigningKey,
    token: &SecretBytes,
) -> Result<Vec<u8>, Error> {
    check(token)?;
    let service = Service::at("Fulcio", base, "/api/v2/signingCert")?;
    let request = pem("CERTIFICATE REQUEST", &signing_request(key)?);
    let body = json!({ "certificateSigningRequest": base64(request.as_bytes()) }).to_string();
    let call = client.post(&service.url).idempotent(true).bearer(token);
    let call = call.and_then(|call| call.body("application/json", body.as_bytes()));
    let answer = service.json(service.send(call)?);
    let answer = answer.map_err(|error| Service::without(error, token))?;
    if answer["signedCertificateDetachedSct"].is_object() {
        return Err(service.nonsense("has the log's promise apart, which bundles cannot hold"));
    }
    let leaf = answer.pointer("/signedCertificateEmbeddedSct/chain/certificates/0");
    leaf.and_then(Value::as_str)
        .and_then(|text| unpem(text, "CERTIFICATE"))
        .ok_or_else(|| service.nonsense("holds no certificate"))
}

/// Three parts of base64url; who is who is for the authority to say.
fn check(token: &SecretBytes) -> Result<(), Error> {
    let token = token.try_expose()?;
    let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let problem = if token.is_empty() {
        "is empty"
    } else if token.len() > TOKEN_LIMIT_BYTES {
        "is too large"
    } else if !token.iter().all(is_letter) || token.split(|byte| *byte == b'.').count() != 3 {
        "is no JSON Web Token"
    } else {
        return Ok(());
    };
    Err(Error::Token { problem })
}

/// A request for a certificate (RFC 2986) without a name: whom it is for, the token says. Its own
/// signature proves that we have the key.
fn signing_request(key: &SigningKey) -> Result<Vec<u8>, Error> {
    const VERSION: &[u8] = &[2, 1, 0];
    const NO_NAME: &[u8] = &[0x30, 0];
    const NO_ATTRIBUTES: &[u8] = &[0xa0, 0];
    /// ecdsa-with-SHA256 (RFC 5758 §3.2)
    const ALGORITHM: &[u8] =
        &[0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
    let info = element(0x30, &[VERSION, NO_NAME, key.public_der(), NO_ATTRIBUTES]);
    let signature = key.sign(&info)?;
    Ok(element(0x30, &[&info, ALGORITHM, &element(3, &[&[0], &signature])]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens() {
        let check = |text: &str| check(&SecretBytes::copy_from(text.as_bytes()).unwrap());
        check("eyJ.e30.c2ln-_").unwrap();
        for bad in ["", "a.b", "a.b.c.d", "a.b.c\n", "a b.c.d", &"a".repeat(TOKEN_LIMIT_BYTES + 1)]
        {
            let error = check(bad).unwrap_err().to_string();
            assert!(error.starts_with("the identity token is ") && error.len() < 60, "{error}");
        }
    }
}
