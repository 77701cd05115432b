//! Names of images: `registry/repository:tag@sha256:…`, with the shorthands of Docker Hub.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use super::OciError;
use crate::Digest;

/// The registry that a name without one means.
const DOCKER_HUB: &str = "docker.io";
/// Longer repositories are refused, as registries do.
const REPOSITORY_BYTES: usize = 255;
/// The longest tag (OCI distribution specification, "Pulling manifests").
const TAG_BYTES: usize = 128;

/// A name of an image in a registry.
///
/// # Examples
/// ```
/// use dsops_release_verify::oci::Reference;
/// let image: Reference = "alpine:3.20".parse()?;
/// assert_eq!(image.to_string(), "docker.io/library/alpine:3.20");
/// assert_eq!(image.api_host(), "registry-1.docker.io");
/// # Ok::<(), dsops_release_verify::oci::OciError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

impl Reference {
    /// The registry, with its port if one was written: `ghcr.io`, `[::1]:5000`.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The host and port that speak the registry's protocol. Docker Hub has another one than its
    /// name says.
    pub fn api_host(&self) -> &str {
        if self.registry == DOCKER_HUB { "registry-1.docker.io" } else { &self.registry }
    }

    /// The repository: `library/alpine`.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag, if one was written.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest, if one was written.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// The same image by this digest and without a tag.
    #[must_use]
    pub fn pinned(&self, digest: Digest) -> Self {
        Self { tag: None, digest: Some(digest), ..self.clone() }
    }

    fn read(text: &str) -> Result<Self, &'static str> {
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(read_digest(digest)?)),
            None => (text, None),
        };
        let (registry, path) = match name.split_once('/') {
            Some((first, rest)) if is_registry(first) => (read_registry(first)?, rest),
            _ => (DOCKER_HUB.to_owned(), name),
        };
        let (path, tag) = match path.split_once(':') {
            Some((path, tag)) => (path, Some(read_tag(tag)?)),
            None => (path, None),
        };
        let official = registry == DOCKER_HUB && !path.is_empty() && !path.contains('/');
        let repository = if official { format!("library/{path}") } else { path.to_owned() };
        check_repository(&repository)?;
        Ok(Self { registry, repository, tag, digest })
    }
}

impl FromStr for Reference {
    type Err = OciError;

    fn from_str(text: &str) -> Result<Self, OciError> {
        Self::read(text)
            .map_err(|why| OciError::Reference { text: text.chars().take(300).collect(), why })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        match &self.digest {
            Some(digest) => write!(f, "@{digest}"),
            None => Ok(()),
        }
    }
}

/// The first part of a name is a registry when it looks like a host. A capital letter alone does
/// not make it one, as it does for Docker: written in lower case it would be a repository's.
fn is_registry(first: &str) -> bool {
    first.eq_ignore_ascii_case("localhost") || first.contains(['.', ':', '['])
}

fn read_registry(text: &str) -> Result<String, &'static str> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, after) =
                rest.split_once(']').ok_or("an IPv6 address of the registry is not closed")?;
            let address: Ipv6Addr =
                address.parse().map_err(|_| "the IPv6 address of the registry is none")?;
            let port = match after {
                "" => None,
                _ => Some(after.strip_prefix(':').ok_or("something follows the IPv6 address")?),
            };
            (format!("[{address}]"), port)
        }
        None => match text.split_once(':') {
            Some((host, port)) => (read_host(host)?, Some(port)),
            None => (read_host(text)?, None),
        },
    };
    let is_port = |port: &str| {
        port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|n| n > 0)
    };
    match port {
        Some(port) if !is_port(port) => Err("the registry's port is not a number up to 65535"),
        Some(port) => Ok(format!("{host}:{port}")),
        None if host == "index.docker.io" || host == "registry-1.docker.io" => {
            Ok(DOCKER_HUB.to_owned())
        }
        None => Ok(host),
    }
}

fn read_host(host: &str) -> Result<String, &'static str> {
    let is_label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    if host.len() <= 253 && host.split('.').all(is_label) {
        Ok(host.to_ascii_lowercase())
    } else {
        Err("the registry is not a host")
    }
}

/// Parts of lower-case letters and digits, with single dots, one or two underscores, or dashes
/// between them (OCI distribution specification, "Pulling manifests").
fn check_repository(path: &str) -> Result<(), &'static str> {
    if path.is_empty() {
        return Err("it has no repository");
    }
    if path.len() > REPOSITORY_BYTES {
        return Err("the repository is longer than 255 characters");
    }
    if path.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err("a repository is written in lower case");
    }
    let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_part = |part: &str| {
        let ends = [part.bytes().next(), part.bytes().next_back()];
        ends.iter().all(|end| end.is_some_and(is_word))
            && part
                .split(|character: char| character.is_ascii_alphanumeric())
                .all(|gap| matches!(gap, "" | "." | "_" | "__") || gap.bytes().all(|b| b == b'-'))
    };
    if path.split('/').all(is_part) {
        Ok(())
    } else {
        Err("the repository holds a character or an order that none may have")
    }
}

fn read_tag(tag: &str) -> Result<String, &'static str> {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let fits = tag.bytes().next().is_some_and(is_word)
        && tag.len() <= TAG_BYTES
        && tag.bytes().all(|byte| is_word(byte) || matches!(byte, b'.' | b'-'));
    if fits { Ok(tag.to_owned()) } else { Err("the tag holds a character that none may have") }
}

fn read_digest(text: &str) -> Result<Digest, &'static str> {
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err("a digest is written in lower case");
    }
    Digest::parse(text).ok_or("the digest is not a SHA-256, SHA-384 or SHA-512")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn shorthands() {
        for (text, wanted) in [
            ("alpine", "docker.io/library/alpine"),
            ("alpine:3.20", "docker.io/library/alpine:3.20"),
            ("grafana/grafana", "docker.io/grafana/grafana"),
            ("docker.io/alpine", "docker.io/library/alpine"),
            ("index.docker.io/a/b", "docker.io/a/b"),
            ("localhost/app", "localhost/app"),
            ("localhost:5000/app", "localhost:5000/app"),
            ("GHCR.io/a/b__c/d--e.f:v1.0_x", "ghcr.io/a/b__c/d--e.f:v1.0_x"),
            ("[::1]:5000/app:T", "[::1]:5000/app:T"),
            ("[0:0::1]/app", "[::1]/app"),
            ("127.0.0.1:5000/a", "127.0.0.1:5000/a"),
            (&"a".repeat(247), &format!("docker.io/library/{}", "a".repeat(247))),
        ] {
            let reference: Reference = text.parse().unwrap();
            assert_eq!(reference.to_string(), wanted);
            assert_eq!(wanted.parse::<Reference>().unwrap(), reference);
        }
        let both: Reference = format!("ghcr.io/a/b:v1@sha256:{HEX}").parse().unwrap();
        assert_eq!((both.tag(), both.digest().unwrap().hex().as_str()), (Some("v1"), HEX));
        let pinned = both.pinned(Digest::of(crate::Algorithm::Sha256, b""));
        assert_eq!(pinned.to_string(), format!("ghcr.io/a/b@sha256:{HEX}"));
    }

    #[test]
    fn what_is_no_name() {
        for bad in [
            "",
            "/",
            "Alpine",
            "a//b",
            "a/",
            "a..b",
            "a___b",
            "-a",
            "a-",
            "a_/b",
            "a:",
            "a:-x",
            "a:b:c",
            "a b",
            "ghcr.io/",
            "ghcr.io:0/a",
            "ghcr.io:99999/a",
            "ghcr.io:+1/a",
            "-x.io/a",
            "x..io/a",
            "[::1/a",
            "[::1]x/a",
            "https://ghcr.io/a",
            "user@ghcr.io/a",
            "M/a/a9",
            "../../etc/passwd",
            "a@sha256:00",
            "a@md5:d41d8cd98f00b204e9800998ecf8427e",
            &format!("a@sha256:{}", HEX.to_uppercase()),
            &format!("a:{}", "x".repeat(129)),
            &"a/".repeat(200),
            // 248 characters, and 256 with the `library/` that is meant.
            &"a".repeat(248),
        ] {
            assert!(bad.parse::<Reference>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_read_is_written_and_read_again(text in "[a-zA-Z0-9._:/@\\[\\]-]{0,60}") {
            if let Ok(reference) = text.parse::<Reference>() {
                prop_assert_eq!(reference.to_string().parse::<Reference>().unwrap(), reference);
            }
        }
    }
}
