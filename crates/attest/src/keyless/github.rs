//! The identity token of a job of GitHub Actions.

use dsops_secure_mem::SecretBytes;
use dsops_transport::{Client, Url};

use super::TOKEN_LIMIT_BYTES;
use super::call::Service;
use crate::Error;

/// Borrowed: the token stays where it is.
#[derive(serde::Deserialize)]
struct Answer<'a> {
    value: &'a str,
}

/// Asks GitHub for a token of this job, for the audience `sigstore`: `url` is what the job finds in
/// `ACTIONS_ID_TOKEN_REQUEST_URL`, `credential` what it finds in `ACTIONS_ID_TOKEN_REQUEST_TOKEN`.
///
/// # Errors
/// [`Error::Document`] when `url` is none, and those of services.
///
/// # Security
/// The token is read straight into protected memory, and the credential goes into one header.
pub fn github_token(
    client: &Client,
    url: &str,
    credential: &SecretBytes,
) -> Result<SecretBytes, Error> {
    let separator = if url.contains('?') { '&' } else { '?' };
    let url = Url::parse(&format!("{url}{separator}audience=sigstore")).map_err(|_| {
        Error::Document { what: "ACTIONS_ID_TOKEN_REQUEST_URL", problem: "is no URL".to_owned() }
    })?;
    let service = Service { name: "GitHub's identity provider", url };
    let answer = service.send(client.get(&service.url).bearer(credential))?;
    if !answer.is_success() {
        let refused = service.body(answer).and(Err(service.nonsense("is no token")));
        return refused.map_err(|error| Service::without(error, credential));
    }
    let body = answer.secret(TOKEN_LIMIT_BYTES).map_err(|error| service.unreachable(error))?;
    let text = body.try_expose()?;
    // The error would quote the text.
    let answer: Answer<'_> =
        serde_json::from_slice(&text).map_err(|_| service.nonsense("is no token"))?;
    Ok(SecretBytes::copy_from(answer.value.as_bytes())?)
}
