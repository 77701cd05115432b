//! Addresses of requests: strict, without credentials, shown without their query.

use std::fmt;
use std::net::IpAddr;

use crate::error::{Error, ErrorKind, Phase};

/// Longer ones are refused.
const MAX_BYTES: usize = 8 * 1024;

/// Whether a connection is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// TLS.
    Https,
    /// In the clear.
    Http,
}

impl Scheme {
    fn name(self) -> &'static str {
        match self {
            Self::Https => "https",
            Self::Http => "http",
        }
    }

    fn port(self) -> u16 {
        match self {
            Self::Https => 443,
            Self::Http => 80,
        }
    }
}

/// An absolute `https` or `http` URL without user name, password and fragment.
///
/// `Display` and `Debug` leave the query out: it may hold a signature or a token.
///
/// # Examples
/// ```
/// use dsops_transport::Url;
/// let url = Url::parse("https://Example.org/v2/app/tags?last=1")?;
/// assert_eq!(url.to_string(), "https://example.org/v2/app/tags?…");
/// assert_eq!(url.join("../blobs")?.as_text(), "https://example.org/v2/blobs");
/// # Ok::<(), dsops_transport::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Url {
    scheme: Scheme,
    /// In lower case; an IPv6 address without brackets.
    host: String,
    port: u16,
    /// Begins with `/`.
    path: String,
    query: Option<String>,
}

impl Url {
    /// Reads an absolute URL. A fragment is dropped.
    ///
    /// # Errors
    /// [`ErrorKind::Url`] for anything but printable ASCII, another scheme, credentials, a host
    /// that is none, or more than 8 KiB.
    pub fn parse(text: &str) -> Result<Self, Error> {
        Self::read(text).map_err(|why| {
            Error::new(Phase::Setup, ErrorKind::Url { why }).at_text(without_secrets(text))
        })
    }

    fn read(text: &str) -> Result<Self, &'static str> {
        check_text(text)?;
        let text = text.split('#').next().unwrap_or_default();
        let (scheme, rest) = text.split_once("://").ok_or("it has no scheme")?;
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "https" => Scheme::Https,
            "http" => Scheme::Http,
            _ => return Err("its scheme is neither https nor http"),
        };
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(end);
        if authority.contains('@') {
            return Err("it holds credentials");
        }
        let (host, port) = split_authority(authority)?;
        let port = match port {
            None | Some("") => scheme.port(),
            Some(digits) => read_port(digits)?,
        };
        let (path, query) = split_target(target);
        let path = if path.is_empty() { "/".to_owned() } else { path.to_owned() };
        Ok(Self { scheme, host, port, path, query })
    }

    /// Resolves a `Location` or a link against this URL (RFC 3986, section 5.2).
    ///
    /// # Errors
    /// As [`Url::parse`].
    pub fn join(&self, reference: &str) -> Result<Self, Error> {
        let fail = |why| {
            Error::new(Phase::Setup, ErrorKind::Url { why }).at_text(without_secrets(reference))
        };
        check_text(reference).map_err(fail)?;
        let reference = reference.split('#').next().unwrap_or_default();
        if let Some(rest) = reference.strip_prefix("//") {
            return Self::parse(&format!("{}://{rest}", self.scheme.name()));
        }
        let first = reference.split(['/', '?']).next().unwrap_or_default();
        if first.contains(':') {
            return Self::parse(reference);
        }
        let (path, query) = split_target(reference);
        let mut joined = self.clone();
        if path.is_empty() {
            joined.query = query.or(joined.query);
            return Ok(joined);
        }
        let whole = if path.starts_with('/') {
            path.to_owned()
        } else {
            let folder = self.path.rfind('/').map_or("/", |slash| &self.path[..=slash]);
            format!("{folder}{path}")
        };
        joined.path = without_dots(&whole);
        joined.query = query;
        Ok(joined)
    }

    /// Whether it is encrypted.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The host in lower case; an IPv6 address without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, also when it was not written.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The path, with its leading slash.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The query without its question mark.
    ///
    /// # Security
    /// It may hold a signature or a token.
    pub fn query(&self) -> Option<&str> {
        self.query.as_deref()
    }

    /// Whether scheme, host and port are the same (RFC 6454).
    pub fn same_origin(&self, other: &Self) -> bool {
        (self.scheme, self.port, &self.host) == (other.scheme, other.port, &other.host)
    }

    /// Whether the host is `localhost` or an address of this machine's loopback.
    pub fn is_loopback(&self) -> bool {
        self.host == "localhost"
            || self.host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    /// The whole URL, with its query.
    ///
    /// # Security
    /// The query may hold a signature or a token: not for people and logs.
    pub fn as_text(&self) -> String {
        let mut text = self.origin();
        text.push_str(&self.path);
        if let Some(query) = &self.query {
            text.push('?');
            text.push_str(query);
        }
        text
    }

    /// `https://example.org:8443`, without a port that goes without saying.
    pub fn origin(&self) -> String {
        format!("{}://{}", self.scheme.name(), self.authority())
    }

    pub(crate) fn authority(&self) -> String {
        let host = bracketed(&self.host);
        if self.port == self.scheme.port() { host } else { format!("{host}:{}", self.port) }
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin(), self.path)?;
        if self.query.is_some() { f.write_str("?…") } else { Ok(()) }
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Url({self})")
    }
}

/// The host as it stands in a URL.
pub(crate) fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

/// Splits `host:port`; the host in lower case, without brackets.
pub(crate) fn split_authority(authority: &str) -> Result<(String, Option<&str>), &'static str> {
    if let Some(rest) = authority.strip_prefix('[') {
        let (address, after) = rest.split_once(']').ok_or("an IPv6 address is not closed")?;
        let address: std::net::Ipv6Addr =
            address.parse().map_err(|_| "its IPv6 address is none")?;
        let port = match after.strip_prefix(':') {
            Some(port) => Some(port),
            None if after.is_empty() => None,
            None => return Err("something follows its IPv6 address"),
        };
        return Ok((address.to_string(), port));
    }
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    };
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    if host.is_empty() || host.len() > 253 || !host.bytes().all(is_name) {
        return Err("its host is not a name or an address");
    }
    Ok((host.to_ascii_lowercase(), port))
}

pub(crate) fn read_port(digits: &str) -> Result<u16, &'static str> {
    let all_digits = digits.bytes().all(|byte| byte.is_ascii_digit());
    match digits.parse() {
        Ok(port) if port > 0 && all_digits => Ok(port),
        _ => Err("its port is not a number from 1 to 65535"),
    }
}

fn check_text(text: &str) -> Result<(), &'static str> {
    if text.len() > MAX_BYTES {
        return Err("it is longer than 8 KiB");
    }
    let fits = |byte: u8| {
        byte.is_ascii_graphic()
            && !matches!(byte, b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}')
    };
    if text.bytes().all(fits) { Ok(()) } else { Err("it holds a character that has to be escaped") }
}

fn split_target(target: &str) -> (&str, Option<String>) {
    match target.split_once('?') {
        Some((path, query)) => (path, Some(query.to_owned())),
        None => (target, None),
    }
}

/// Removes `.` and `..` (RFC 3986, section 5.2.4).
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut open = false;
    for part in path.split('/').skip(1) {
        open = matches!(part, "." | "..");
        match part {
            "." => {}
            ".." => {
                kept.pop();
            }
            _ => kept.push(part),
        }
    }
    let mut clean: String = kept.iter().flat_map(|part| ["/", part]).collect();
    if open || clean.is_empty() {
        clean.push('/');
    }
    clean
}

/// What of a text that is no URL may be shown: no user, no query, no control characters.
fn without_secrets(text: &str) -> String {
    let end = text.find(['?', '#']).unwrap_or(text.len());
    let text = &text[..end];
    let shown = match text.rfind('@') {
        Some(at) => format!("…@{}", &text[at + 1..]),
        None => text.to_owned(),
    };
    shown.chars().take(200).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(url: &str) -> String {
        Url::parse(url).unwrap().as_text()
    }

    #[test]
    fn what_is_a_url() {
        assert_eq!(text("HTTPS://EXAMPLE.org:443"), "https://example.org/");
        assert_eq!(text("http://[::1]:5000/v2/?n=1#top"), "http://[::1]:5000/v2/?n=1");
        assert_eq!(text("https://a_b.example:8443?x"), "https://a_b.example:8443/?x");
        for bad in [
            "",
            "example.org",
            "ftp://example.org",
            "https://",
            "https://:1/",
            "https://a:0/",
            "https://a:+1/",
            "https://a:65536/",
            "https://[::1/",
            "https://[::1]x/",
            "https://[fe80::1%25eth0]/",
            "https://a b/",
            "https://a/\r\nX: y",
            "https://ä/",
            "https://a/{x}",
        ] {
            assert!(Url::parse(bad).is_err(), "{bad}");
        }
        assert!(Url::parse(&format!("https://a/{}", "x".repeat(MAX_BYTES))).is_err());
    }

    #[test]
    fn what_is_secret_is_not_shown() {
        let error = Url::parse("https://me:hunter2@example.org/x?sig=abc").unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("hunter2") && !shown.contains("abc"), "{shown}");
        assert!(shown.contains("credentials"), "{shown}");
        let url = Url::parse("https://example.org/x?sig=abc").unwrap();
        assert!(!format!("{url} {url:?}").contains("abc"));
    }

    #[test]
    fn joining() {
        let base = Url::parse("https://example.org/v2/app/tags?last=1").unwrap();
        for (reference, wanted) in [
            ("/v2/x?n=2", "https://example.org/v2/x?n=2"),
            ("list", "https://example.org/v2/app/list"),
            ("../../../../x", "https://example.org/x"),
            ("./a/./b/..", "https://example.org/v2/app/a/"),
            ("?last=2", "https://example.org/v2/app/tags?last=2"),
            ("", "https://example.org/v2/app/tags?last=1"),
            ("//cdn.example.com/b", "https://cdn.example.com/b"),
            ("http://cdn.example.com/b", "http://cdn.example.com/b"),
            ("/a/b/../../..", "https://example.org/"),
        ] {
            assert_eq!(base.join(reference).unwrap().as_text(), wanted, "{reference}");
        }
        assert!(base.join("javascript:alert").is_err());
        assert!(base.join("https://me:pw@example.org/").is_err());
    }

    #[test]
    fn origins() {
        let url = |text| Url::parse(text).unwrap();
        assert!(url("https://a/x").same_origin(&url("https://A:443/y")));
        assert!(!url("https://a/x").same_origin(&url("http://a/x")));
        assert!(!url("https://a/x").same_origin(&url("https://a:444/x")));
        assert!(!url("https://a/x").same_origin(&url("https://a.b/x")));
        for local in ["http://localhost/", "http://127.3.2.1/", "http://[::1]:1/"] {
            assert!(url(local).is_loopback());
        }
        for remote in ["http://localhost.example/", "http://128.0.0.1/", "http://0.0.0.0/"] {
            assert!(!url(remote).is_loopback());
        }
    }

    proptest! {
        #[test]
        fn what_is_read_is_written_and_read_again(text in "(https?://)?[a-zA-Z0-9.:/?#@%\\[\\]_-]{0,60}") {
            if let Ok(url) = Url::parse(&text) {
                prop_assert_eq!(Url::parse(&url.as_text()).unwrap(), url);
            }
        }

        #[test]
        fn a_path_never_leaves_its_server(path in "[a-z./]{0,40}") {
            let base = Url::parse("https://example.org/v2/app/").unwrap();
            prop_assume!(!path.starts_with("//"));
            let joined = base.join(&path).unwrap();
            prop_assert!(joined.same_origin(&base));
            prop_assert!(!joined.path().split('/').any(|part| part == ".." || part == "."));
        }
    }
}
