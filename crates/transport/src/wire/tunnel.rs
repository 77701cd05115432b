//! A tunnel through an HTTP proxy (RFC 9110, section 9.3.6).

use std::io::Write as _;

use zeroize::Zeroizing;

use super::{Deadline, Wire};
use crate::error::{Error, ErrorKind, Phase};
use crate::proxy::Proxy;

/// A proxy that says more than this is none.
const ANSWER_BYTES: usize = 16 * 1024;

/// Asks the proxy at the other end of `wire` to connect us to `target`, a `host:port`.
pub(crate) fn open(
    wire: &mut dyn Wire,
    proxy: &Proxy,
    target: &str,
    deadline: &Deadline,
) -> Result<(), Error> {
    let fail = |error| Error::from_ureq(error, Phase::Proxy);
    let request = request(proxy, target)?;
    wire.write_all(&request, deadline).map_err(fail)?;
    let mut answer = vec![0; ANSWER_BYTES];
    let mut filled = 0;
    loop {
        let count = wire.read(&mut answer[filled..], deadline).map_err(fail)?;
        if count == 0 {
            return Err(Error::new(Phase::Proxy, ErrorKind::Truncated));
        }
        filled += count;
        if let Some(end) = answer[..filled].windows(4).position(|part| part == b"\r\n\r\n") {
            return judge(&answer[..filled], end + 4);
        }
        if filled == answer.len() {
            let kind = ErrorKind::HeadersTooLarge { limit_bytes: ANSWER_BYTES };
            return Err(Error::new(Phase::Proxy, kind));
        }
    }
}

fn request(proxy: &Proxy, target: &str) -> Result<Zeroizing<Vec<u8>>, Error> {
    // Room for all of it at once: a vector that grows leaves copies.
    let mut request = Zeroizing::new(Vec::with_capacity(1024 + 2 * proxy.credentials_len()));
    let mut write = || {
        write!(request, "CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n")?;
        if let Some(header) = proxy.authorization()? {
            request.write_all(b"Proxy-Authorization: ")?;
            request.write_all(&header)?;
            request.write_all(b"\r\n")?;
        }
        request.write_all(b"\r\n")
    };
    write().map_err(|error| Error::setup("proxy", error.to_string()))?;
    Ok(request)
}

fn judge(answer: &[u8], end: usize) -> Result<(), Error> {
    let fail =
        |what: &str| Err(Error::new(Phase::Proxy, ErrorKind::Protocol { what: what.to_owned() }));
    let line = answer.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let status = line
        .strip_prefix(b"HTTP/1.")
        .and_then(|rest| rest.get(2..5))
        .and_then(|digits| std::str::from_utf8(digits).ok()?.parse::<u16>().ok());
    match status {
        Some(200..=299) if answer.len() == end => Ok(()),
        Some(200..=299) => fail("the proxy sends more than its answer"),
        Some(status) => Err(Error::new(Phase::Proxy, ErrorKind::Proxy { status })),
        None => fail("the proxy does not speak HTTP/1.1"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers() {
        let judge = |answer: &str| judge(answer.as_bytes(), answer.find("\r\n\r\n").unwrap() + 4);
        assert!(judge("HTTP/1.1 200 Connection established\r\n\r\n").is_ok());
        assert!(judge("HTTP/1.0 204\r\nVia: x\r\n\r\n").is_ok());
        for bad in [
            "HTTP/1.1 200 OK\r\n\r\nmore",
            "HTTP/1.1 407 No\r\n\r\n",
            "HTTP/2 200\r\n\r\n",
            "SSH-2.0\r\n\r\n",
            "HTTP/1.1 2\r\n\r\n",
        ] {
            assert!(judge(bad).is_err(), "{bad}");
        }
    }
}
