//! Where an identity token comes from. It is a secret: who has it can sign in our name.

use std::ffi::OsString;

use dsops_attest::{TOKEN_LIMIT_BYTES, github_token};
use dsops_resolver::Environment as _;
use dsops_secure_mem::SecretBytes;
use dsops_transport::Client;

use super::{failed, secret_file};
use crate::context::Context;
use crate::env_vars;
use crate::report::Failure;

/// The token of a file, of the environment, or of the job of GitHub Actions that we run in.
///
/// # Errors
/// There is none, or it cannot be had.
pub fn token(
    cx: &Context,
    client: &Client,
    file: Option<&OsString>,
) -> Result<SecretBytes, Failure> {
    let credential = |name| cx.environment.credential(name).map_err(Failure::from_store);
    if let Some(file) = file {
        return Ok(trimmed(secret_file(file, TOKEN_LIMIT_BYTES)?)?);
    }
    if let Some(token) = credential(env_vars::SIGSTORE_ID_TOKEN)? {
        return Ok(trimmed(token)?);
    }
    let url = cx.environment.var(env_vars::ACTIONS_ID_TOKEN_REQUEST_URL);
    let url = url.as_ref().and_then(|url| url.to_str()).filter(|url| !url.is_empty());
    match (url, credential(env_vars::ACTIONS_ID_TOKEN_REQUEST_TOKEN)?) {
        (Some(url), Some(of_job)) => {
            github_token(client, url, &of_job).map_err(|error| failed(&error, None))
        }
        _ => Err(Failure::usage(
            "nobody is named who signs",
            "sign with `--key FILE`, or keyless with `--identity-token-file FILE`, SIGSTORE_ID_TOKEN, \
             or in a job of GitHub Actions with the permission `id-token: write`",
        )),
    }
}

/// Editors and shells end files by a newline.
fn trimmed(mut token: SecretBytes) -> Result<SecretBytes, dsops_secure_mem::Error> {
    let length = token.try_expose()?.trim_ascii_end().len();
    token.truncate(length);
    Ok(token)
}
