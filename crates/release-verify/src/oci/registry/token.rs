//! Tokens for pulling and pushing (Docker Registry v2 authentication; OAuth 2 for identity tokens).

use std::io::Write as _;

use dsops_secure_mem::{SecretBytes, Writer};
use dsops_transport::{Client, Url};

use super::super::OciError;
use super::text::Text;
use super::{Challenge, Login};

/// The largest answer that is read.
const ANSWER_BYTES: usize = 64 * 1024;

/// What a token server answers. Borrowed: the token stays where it is.
#[derive(serde::Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    token: Option<Text<'a>>,
    #[serde(borrow)]
    access_token: Option<Text<'a>>,
}

/// Asks the token server that a challenge names for a token of that scope, and nothing else, whatever
/// scope the challenge suggests.
///
/// # Security
/// The registry chooses the server. Whether that may see its credentials is the caller's to decide;
/// the transport lets them out over `https` only (or to this machine's loopback).
pub(super) fn fetch(
    client: &Client,
    challenge: &Challenge,
    realm: &Url,
    scope: &str,
    login: Option<&Login>,
) -> Result<SecretBytes, OciError> {
    let service = challenge.parameter("service").unwrap_or_default();
    let answer = if let Some(Login::IdentityToken(refresh)) = login {
        let body = refresh_form(refresh, service, scope)?;
        client
            .post(realm)
            .idempotent(true)
            .secret_body("application/x-www-form-urlencoded", &body)?
            .send()?
    } else {
        let separator = if realm.query().is_some() { '&' } else { '?' };
        let url = Url::parse(&format!(
            "{}{separator}service={}&scope={}",
            realm.as_text(),
            escaped(service.as_bytes()),
            escaped(scope.as_bytes())
        ))?;
        let request = client.get(&url);
        match login {
            Some(Login::Password(both)) => request.basic(both)?.send()?,
            _ => request.send()?,
        }
    };
    let body = answer.require_success()?.secret(ANSWER_BYTES)?;
    let text = body.expose();
    token_of(&text)
}

/// The token in an answer, by either of its names.
fn token_of(answer: &[u8]) -> Result<SecretBytes, OciError> {
    // The error would quote the text.
    let answer: Answer<'_> = serde_json::from_slice(answer).map_err(|_| {
        OciError::malformed("the token server's answer", "not the JSON it should be")
    })?;
    let token = [answer.token, answer.access_token]
        .into_iter()
        .flatten()
        .find(|token| !token.is_empty())
        .ok_or_else(|| OciError::malformed("the token server's answer", "no token"))?;
    copied(token.as_bytes())
}

/// Where a challenge of the registry at `base` sends us for a token. To servers of this machine, which
/// it may not reach itself, only one of this machine does.
pub(super) fn realm(challenge: &Challenge, base: &Url) -> Result<Url, OciError> {
    let wrong = |problem| OciError::malformed("the registry's challenge", problem);
    let realm = challenge.parameter("realm").ok_or_else(|| wrong("no realm"))?;
    let realm = Url::parse(realm)?;
    if realm.is_loopback() && !base.is_loopback() {
        return Err(wrong("its realm is on this machine"));
    }
    Ok(realm)
}

fn copied(bytes: &[u8]) -> Result<SecretBytes, OciError> {
    SecretBytes::copy_from(bytes).map_err(|error| memory(&error))
}

fn memory(error: &dsops_secure_mem::Error) -> OciError {
    OciError::Credentials { registry: "the registry".to_owned(), problem: error.to_string() }
}

fn refresh_form(
    refresh: &SecretBytes,
    service: &str,
    scope: &str,
) -> Result<SecretBytes, OciError> {
    let mut form = Writer::new();
    let mut write = || {
        write!(
            form,
            "grant_type=refresh_token&client_id=dsops&service={}&scope={}&refresh_token=",
            escaped(service.as_bytes()),
            escaped(scope.as_bytes())
        )?;
        for byte in &*refresh.expose() {
            if is_plain(*byte) {
                form.write_all(&[*byte])?;
            } else {
                write!(form, "%{byte:02X}")?;
            }
        }
        std::io::Result::Ok(())
    };
    write().map_err(|error| OciError::Credentials {
        registry: "the registry".to_owned(),
        problem: error.to_string(),
    })?;
    form.finish().map_err(|error| memory(&error))
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

fn escaped(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        if is_plain(*byte) {
            text.push(char::from(*byte));
        } else {
            // Writing to a `String` cannot fail.
            let _ = write!(text, "%{byte:02X}");
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens() {
        let read = |answer: &str| {
            token_of(answer.as_bytes()).map(|token| token.expose().to_vec()).map_err(|error| {
                let shown = format!("{error} {error:?}");
                assert!(!shown.contains("hunter2"), "{shown}");
            })
        };
        for (answer, token) in [
            (r#"{"token":"a","access_token":"b","expires_in":300}"#, "a"),
            (r#"{"token":"","access_token":"b"}"#, "b"),
            (r#"{"token":null,"access_token":"b"}"#, "b"),
            (r#"{"token":"a\/b\u002B\u003d"}"#, "a/b+="),
        ] {
            assert_eq!(read(answer).unwrap(), token.as_bytes(), "{answer}");
        }
        for none in ["", "[]", "{}", r#"{"token":""}"#, r#"{"token":1}"#, r#"{"token":"hunter2"#] {
            assert!(read(none).is_err(), "{none}");
        }
    }

    #[test]
    fn a_registry_elsewhere_sends_us_to_no_server_of_this_machine() {
        let realm = |at: &str, base: &str| {
            let challenges = Challenge::read_all(&format!("Bearer realm=\"{at}\""));
            realm(&challenges[0], &Url::parse(base).unwrap()).is_ok()
        };
        assert!(realm("https://auth.example.org/token", "https://registry.example.org/"));
        assert!(realm("http://127.0.0.1:5001/token", "http://localhost:5000/"));
        for at in ["http://127.0.0.1:2375/", "http://localhost/", "https://[::1]:8443/token"] {
            assert!(!realm(at, "https://registry.example.org/"), "{at}");
        }
    }
}
