//! A Kubernetes `Secret` manifest (core/v1): base64, so any bytes.

use dsops_secure_mem::{SecretBytes, Writer};

use super::{Options, Refused, base64};
use crate::{error::RenderError, format::Format};

/// `MaxSecretSize` of the API server, which counts all values together.
const LIMIT_BYTES: usize = 1024 * 1024;

/// All but the values.
pub(super) fn header(
    out: &mut Writer,
    options: &Options<'_>,
    variables: &[(&str, &SecretBytes)],
) -> Result<(), RenderError> {
    let len_bytes = variables.iter().map(|(_, value)| value.len()).sum();
    if len_bytes > LIMIT_BYTES {
        return Err(RenderError::TooLarge {
            format: Format::Kubernetes,
            len_bytes,
            limit_bytes: LIMIT_BYTES,
        });
    }
    let name = options.secret_name.ok_or(RenderError::MissingOption {
        format: Format::Kubernetes,
        option: "a name for the Secret",
    })?;
    if !is_subdomain(name) {
        return Err(RenderError::InvalidOption {
            option: "the name of the Secret",
            reason: "it is made of lower-case letters, digits, `-` and `.`, at most 253, and each part between \
                     dots starts and ends with a letter or digit",
        });
    }
    out.push(b"apiVersion: v1\nkind: Secret\nmetadata:\n  name: \"")?;
    out.push(name.as_bytes())?;
    if let Some(namespace) = options.namespace {
        if !is_label(namespace) || namespace.len() > 63 {
            return Err(RenderError::InvalidOption {
                option: "the namespace of the Secret",
                reason: "it is made of lower-case letters, digits and `-`, at most 63, and starts and ends with a \
                         letter or digit",
            });
        }
        out.push(b"\"\n  namespace: \"")?;
        out.push(namespace.as_bytes())?;
    }
    out.push(b"\"\ntype: Opaque\ndata:")?;
    out.push(if variables.is_empty() { b" {}\n" } else { b"\n" })?;
    Ok(())
}

/// `"NAME": "base64"`. Names are checked before, none needs an escape.
pub(super) fn entry(out: &mut Writer, name: &str, value: &[u8]) -> Result<(), Refused> {
    out.push(b"  \"")?;
    out.push(name.as_bytes())?;
    out.push(b"\": \"")?;
    base64::push(out, value)?;
    out.push(b"\"\n")?;
    Ok(())
}

/// RFC 1123, as Kubernetes checks names.
fn is_subdomain(name: &str) -> bool {
    name.len() <= 253 && name.split('.').all(is_label)
}

fn is_label(name: &str) -> bool {
    let is_end = |byte: Option<&u8>| {
        byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    let bytes = name.as_bytes();
    is_end(bytes.first())
        && is_end(bytes.last())
        && bytes.iter().all(|byte| is_end(Some(byte)) || *byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_kubernetes_takes() {
        for name in ["a", "my-app", "a.b", "0", "a-1.b-2"] {
            assert!(is_subdomain(name), "{name}");
        }
        for name in ["", "A", "-a", "a-", "a..b", "a_b", "a\"b", "a.", ".a", "ä"] {
            assert!(!is_subdomain(name), "{name}");
        }
        assert!(is_label("a-b") && !is_label("a.b"));
    }
}
