//! Proxies, and for which hosts not to use them.

use std::fmt;
use std::io;
use std::net::IpAddr;

use base64ct::{Base64, Encoding as _};
use dsops_secure_mem::SecretBytes;
use zeroize::Zeroizing;

use crate::error::Error;
use crate::url::{Scheme, Url, read_port, split_authority};

/// An HTTP proxy that is asked for a tunnel (`CONNECT`).
///
/// It is used for `https` URLs, never for this machine's loopback.
///
/// # Examples
/// ```
/// use dsops_transport::Proxy;
/// let proxy = Proxy::parse("http://user:pw@proxy.example:3128", "localhost,.corp.example,10.0.0.0/8")?;
/// assert_eq!(format!("{proxy:?}"), "Proxy(http://proxy.example:3128)");
/// # Ok::<(), dsops_transport::Error>(())
/// ```
pub struct Proxy {
    scheme: Scheme,
    host: String,
    port: u16,
    credentials: Option<SecretBytes>,
    except: Vec<Exception>,
}

/// One entry of a `no_proxy` list.
#[derive(Debug, PartialEq, Eq)]
enum Exception {
    Everything,
    /// A name and all below it, or an address, at any port or that one.
    Host {
        host: String,
        only_below: bool,
        port: Option<u16>,
    },
    Network {
        address: IpAddr,
        bits: u32,
    },
}

impl Proxy {
    /// Reads the URL of a proxy, as it stands in `HTTPS_PROXY`, and the list of hosts not to use
    /// it for, as it stands in `NO_PROXY`: names (with all below them), `.suffix`, `*`, addresses,
    /// `address/bits`, each but the last with an optional port; separated by commas or blanks.
    /// Without a scheme the URL is `http`.
    ///
    /// The caller's text with the password is the caller's to wipe.
    ///
    /// # Errors
    /// For another scheme than `http` and `https`, and for a host or port that is none.
    pub fn parse(url: &str, no_proxy: &str) -> Result<Self, Error> {
        let fail = |why: &str| Error::setup("proxy", why);
        let (scheme, rest) = match url.split_once("://") {
            None => (Scheme::Http, url),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (Scheme::Http, rest),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (Scheme::Https, rest),
            Some(_) => return Err(fail("its scheme is neither http nor https")),
        };
        let rest = rest.trim_end_matches('/');
        let (user, authority) = match rest.rsplit_once('@') {
            Some((user, authority)) => (Some(user), authority),
            None => (None, rest),
        };
        let (host, port) = split_authority(authority).map_err(fail)?;
        let port = match port {
            Some(digits) if !digits.is_empty() => read_port(digits).map_err(fail)?,
            _ if scheme == Scheme::Https => 443,
            _ => 80,
        };
        let credentials = user.map(unescape).transpose()?;
        let except = no_proxy
            .split([',', ' '])
            .map(str::trim)
            .filter(|entry| !entry.is_empty())
            .filter_map(Exception::parse)
            .collect();
        Ok(Self { scheme, host, port, credentials, except })
    }

    pub(crate) fn scheme(&self) -> Scheme {
        self.scheme
    }

    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn applies(&self, url: &Url) -> bool {
        !self.except.iter().any(|entry| entry.covers(url))
    }

    pub(crate) fn credentials_len(&self) -> usize {
        self.credentials.as_ref().map_or(0, SecretBytes::len)
    }

    /// The value of `Proxy-Authorization`.
    pub(crate) fn authorization(&self) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
        self.credentials.as_ref().map(|secret| basic(&secret.expose())).transpose()
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.scheme == Scheme::Https { "https" } else { "http" };
        write!(f, "Proxy({scheme}://{}:{})", crate::url::bracketed(&self.host), self.port)
    }
}

/// `Basic` and the base64 of `user:password` (RFC 7617).
pub(crate) fn basic(credentials: &[u8]) -> io::Result<Zeroizing<Vec<u8>>> {
    const SCHEME: &[u8] = b"Basic ";
    let mut value = Zeroizing::new(vec![0; SCHEME.len() + Base64::encoded_len(credentials)]);
    value[..SCHEME.len()].copy_from_slice(SCHEME);
    Base64::encode(credentials, &mut value[SCHEME.len()..]).map_err(io::Error::other)?;
    Ok(value)
}

/// Undoes percent-encoding, in protected memory.
fn unescape(text: &str) -> Result<SecretBytes, Error> {
    let text = text.as_bytes();
    let fail = |error: dsops_secure_mem::Error| Error::setup("proxy", error.to_string());
    SecretBytes::build(text.len(), |room| {
        let hex = |at: usize| text.get(at).and_then(|digit| char::from(*digit).to_digit(16));
        let (mut from, mut to) = (0, 0);
        while let Some(byte) = text.get(from) {
            let escaped = match (byte, hex(from + 1), hex(from + 2)) {
                (b'%', Some(high), Some(low)) => u8::try_from(high << 4 | low).ok(),
                _ => None,
            };
            room[to] = escaped.unwrap_or(*byte);
            from += if escaped.is_some() { 3 } else { 1 };
            to += 1;
        }
        Ok(to)
    })
    .map_err(fail)
}

/// A name without the dot that says that it is whole.
fn without_dot(host: &str) -> &str {
    host.strip_suffix('.').unwrap_or(host)
}

impl Exception {
    fn parse(entry: &str) -> Option<Self> {
        if entry == "*" {
            return Some(Self::Everything);
        }
        if let Some((address, bits)) = entry.split_once('/') {
            let address: IpAddr = address.parse().ok()?;
            let bits: u32 = bits.parse().ok()?;
            let most = if address.is_ipv4() { 32 } else { 128 };
            return (bits <= most).then_some(Self::Network { address, bits });
        }
        if let Ok(address) = entry.parse::<IpAddr>() {
            return Some(Self::Host { host: address.to_string(), only_below: false, port: None });
        }
        let name = entry.strip_prefix('*').unwrap_or(entry);
        let only_below = name.starts_with('.');
        let (host, port) = split_authority(name.trim_start_matches('.')).ok()?;
        let host = without_dot(&host).to_owned();
        let port = port.map(read_port).transpose().ok()?;
        Some(Self::Host { host, only_below, port })
    }

    fn covers(&self, url: &Url) -> bool {
        match self {
            Self::Everything => true,
            Self::Host { host, only_below, port } => {
                port.is_none_or(|port| port == url.port())
                    && match without_dot(url.host()).strip_suffix(host.as_str()) {
                        Some("") => !only_below,
                        Some(rest) => rest.ends_with('.'),
                        None => false,
                    }
            }
            Self::Network { address, bits } => match (address, url.host().parse()) {
                (IpAddr::V4(net), Ok(IpAddr::V4(host))) => {
                    let differ = net.to_bits() ^ host.to_bits();
                    differ.leading_zeros() >= *bits
                }
                (IpAddr::V6(net), Ok(IpAddr::V6(host))) => {
                    let differ = net.to_bits() ^ host.to_bits();
                    differ.leading_zeros() >= *bits
                }
                _ => false,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applies(no_proxy: &str, url: &str) -> bool {
        Proxy::parse("http://p:1", no_proxy).unwrap().applies(&Url::parse(url).unwrap())
    }

    #[test]
    fn exceptions() {
        assert!(applies("", "https://example.org/"));
        for (list, url) in [
            ("*", "https://example.org/"),
            ("example.org", "https://example.org/"),
            ("a, example.org", "https://x.example.org/"),
            (".example.org", "https://x.example.org/"),
            ("*.example.org", "https://x.example.org/"),
            ("example.org:8443", "https://example.org:8443/"),
            ("10.0.0.0/8", "https://10.2.3.4/"),
            ("0.0.0.0/0", "https://10.2.3.4/"),
            ("fd00::/8", "https://[fd12::1]/"),
            ("::1 10.1.1.1", "https://10.1.1.1/"),
            ("[fd00::1]:8443", "https://[fd00::1]:8443/"),
            ("example.org", "https://a.example.org./"),
            ("example.org.", "https://example.org/"),
        ] {
            assert!(!applies(list, url), "{list} {url}");
        }
        for (list, url) in [
            ("example.org", "https://badexample.org/"),
            ("example.org", "https://example.org.evil/"),
            (".example.org", "https://example.org/"),
            ("example.org:8443", "https://example.org/"),
            ("10.0.0.0/8", "https://11.2.3.4/"),
            ("10.0.0.0/8", "https://10.example.org/"),
            ("10.0.0.0/33", "https://10.0.0.0/"),
        ] {
            assert!(applies(list, url), "{list} {url}");
        }
    }

    #[test]
    fn urls() {
        let proxy = Proxy::parse("http://me:p%40ss%2@[::1]:3128/", "").unwrap();
        assert_eq!(format!("{proxy:?}"), "Proxy(http://[::1]:3128)");
        assert_eq!(&*proxy.credentials.as_ref().unwrap().expose(), b"me:p@ss%2");
        assert_eq!(&**proxy.authorization().unwrap().unwrap(), b"Basic bWU6cEBzcyUy");
        assert_eq!(Proxy::parse("proxy.example", "").unwrap().port, 80);
        assert_eq!(Proxy::parse("https://proxy.example", "").unwrap().port, 443);
        for bad in ["socks5://p:1", "http://", "http://p:x", "http://p:0"] {
            assert!(Proxy::parse(bad, "").is_err(), "{bad}");
        }
    }
}
