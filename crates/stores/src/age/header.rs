//! The textual header of age files: version line, recipient stanzas, MAC (C2SP age §"Header").

use base64ct::{Base64Unpadded, Encoding};
use dsops_secure_mem::SecretBytes;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::{Error, derive_key};
use crate::scrub::scrubbed;

const VERSION_LINE: &str = "age-encryption.org/v1";
/// How every version of the format starts.
pub(super) const VERSION_START: &[u8] = b"age-encryption.org/";
/// More recipients than anyone has; each costs a curve operation per identity.
const MAX_STANZAS: usize = 1024;
const LINE_CHARS: usize = 64;
const LINE_BYTES: usize = 48;
const MAC_BYTES: usize = 32;

/// One recipient's wrapping of the file key.
#[derive(Debug)]
pub(super) struct Stanza {
    pub args: Vec<String>,
    pub body: Vec<u8>,
}

/// A parsed header and where it ends.
#[derive(Debug)]
pub(super) struct Header {
    pub stanzas: Vec<Stanza>,
    mac: [u8; MAC_BYTES],
    /// How many bytes of the file the MAC covers: through the `---`.
    authenticated_bytes: usize,
    /// Where the payload starts.
    pub payload_offset: usize,
}

impl Header {
    /// Parses the header at the start of `file`.
    pub(super) fn parse(file: &[u8]) -> Result<Self, Error> {
        let mut lines = Lines { file, offset: 0, number: 0 };
        let version = lines.next()?;
        if version != VERSION_LINE.as_bytes() {
            return Err(lines.error(if version.starts_with(VERSION_START) {
                "the version of the format is not supported"
            } else {
                "it is not an age file"
            }));
        }
        let mut stanzas = Vec::new();
        loop {
            let start = lines.offset;
            let line = lines.next()?;
            if let Some(args) = line.strip_prefix(b"-> ") {
                if stanzas.len() == MAX_STANZAS {
                    return Err(lines.error("there are too many recipients"));
                }
                let args = lines.args(args)?;
                stanzas.push(Stanza { args, body: lines.body()? });
            } else if let Some(mac) = line.strip_prefix(b"--- ") {
                if stanzas.is_empty() {
                    return Err(lines.error("there is no recipient"));
                }
                let mut bytes = [0u8; MAC_BYTES];
                match Base64Unpadded::decode(mac, &mut bytes) {
                    Ok(decoded) if decoded.len() == MAC_BYTES => {}
                    _ => return Err(lines.error("the MAC is not 32 bytes of canonical base64")),
                }
                let header = Self {
                    stanzas,
                    mac: bytes,
                    authenticated_bytes: start + "---".len(),
                    payload_offset: lines.offset,
                };
                return Ok(header);
            } else {
                return Err(lines.error("neither a recipient nor the MAC"));
            }
        }
    }

    /// Checks the MAC with the unwrapped file key, in constant time.
    pub(super) fn verify(&self, file: &[u8], file_key: &SecretBytes) -> Result<(), Error> {
        let text = &file[..self.authenticated_bytes];
        let key = mac_key(file_key)?;
        scrubbed(|| new_mac(&key).chain_update(text).verify_slice(&self.mac))
            .map_err(|_| Error::HeaderMac)
    }
}

/// Writes a header with these stanzas.
pub(super) fn write(stanzas: &[Stanza], file_key: &SecretBytes) -> Result<Vec<u8>, Error> {
    let mut text = format!("{VERSION_LINE}\n");
    for stanza in stanzas {
        text.push_str("->");
        for arg in &stanza.args {
            text.push(' ');
            text.push_str(arg);
        }
        text.push('\n');
        // A body that fills its last line is followed by an empty one.
        for chunk in stanza
            .body
            .chunks(LINE_BYTES)
            .chain(stanza.body.len().is_multiple_of(LINE_BYTES).then_some(&[] as &[u8]))
        {
            push_base64(&mut text, chunk);
            text.push('\n');
        }
    }
    text.push_str("---");
    let key = mac_key(file_key)?;
    let mac: [u8; MAC_BYTES] =
        scrubbed(|| new_mac(&key).chain_update(text.as_bytes()).finalize().into_bytes().into());
    text.push(' ');
    push_base64(&mut text, &mac);
    text.push('\n');
    Ok(text.into_bytes())
}

/// Up to 48 bytes as unpadded base64, as arguments of stanzas are written.
pub(super) fn base64(bytes: &[u8]) -> String {
    let mut text = String::new();
    push_base64(&mut text, bytes);
    text
}

/// Appends up to 48 bytes as unpadded base64.
fn push_base64(text: &mut String, bytes: &[u8]) {
    let mut line = [0u8; LINE_CHARS];
    text.push_str(
        Base64Unpadded::encode(bytes, &mut line).expect("at most 48 bytes are given, 64 fit"),
    );
}

fn mac_key(file_key: &SecretBytes) -> Result<SecretBytes, Error> {
    derive_key(&file_key.expose(), &[], b"header")
}

fn new_mac(key: &SecretBytes) -> Hmac<Sha256> {
    Hmac::new_from_slice(&key.expose()).expect("HMAC takes keys of any length")
}

/// Reads LF-terminated lines and knows where it is.
struct Lines<'a> {
    file: &'a [u8],
    offset: usize,
    number: usize,
}

impl<'a> Lines<'a> {
    fn next(&mut self) -> Result<&'a [u8], Error> {
        self.number += 1;
        let rest = &self.file[self.offset..];
        let Some(length) = rest.iter().position(|byte| *byte == b'\n') else {
            return Err(self.error("the header ends early"));
        };
        self.offset += length + 1;
        Ok(&rest[..length])
    }

    fn args(&self, line: &[u8]) -> Result<Vec<String>, Error> {
        line.split(|byte| *byte == b' ')
            .map(|arg| match std::str::from_utf8(arg) {
                Ok(text) if !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic()) => {
                    Ok(text.to_owned())
                }
                _ => Err(self.error("a recipient's argument is empty or not printable ASCII")),
            })
            .collect()
    }

    fn body(&mut self) -> Result<Vec<u8>, Error> {
        let mut body = Vec::new();
        loop {
            let line = self.next()?;
            let mut bytes = [0u8; LINE_BYTES];
            match Base64Unpadded::decode(line, &mut bytes) {
                Ok(decoded) if line.len() <= LINE_CHARS => body.extend_from_slice(decoded),
                _ => return Err(self.error("a recipient's body is not canonical base64")),
            }
            if line.len() < LINE_CHARS {
                return Ok(body);
            }
        }
    }

    fn error(&self, reason: &'static str) -> Error {
        Error::Header { line: self.number, reason }
    }
}

#[cfg(test)]
mod tests {
    use super::{Error, Header, SecretBytes, Stanza, write};

    fn stanza(length: usize) -> Stanza {
        Stanza { args: vec!["kind".to_owned(), "arg".to_owned()], body: vec![0xa5; length] }
    }

    #[test]
    fn bodies_of_every_length_come_back() {
        let key = SecretBytes::copy_from(&[3; 16]).unwrap();
        for length in [0, 1, 47, 48, 49, 96, 200] {
            let file = write(&[stanza(length)], &key).unwrap();
            let header = Header::parse(&file).unwrap();
            assert_eq!(header.stanzas[0].body, vec![0xa5; length]);
            assert_eq!(header.payload_offset, file.len());
            header.verify(&file, &key).unwrap();
        }
    }

    #[test]
    fn a_changed_header_or_another_key_fails_the_mac() {
        let key = SecretBytes::copy_from(&[3; 16]).unwrap();
        let mut file = write(&[stanza(32)], &key).unwrap();
        let other = SecretBytes::copy_from(&[4; 16]).unwrap();
        let header = Header::parse(&file).unwrap();
        assert!(matches!(header.verify(&file, &other), Err(Error::HeaderMac)));
        let arg = file.iter().position(|byte| *byte == b'k').unwrap();
        file[arg] = b'K';
        let header = Header::parse(&file).unwrap();
        assert!(matches!(header.verify(&file, &key), Err(Error::HeaderMac)));
    }

    #[test]
    fn errors_name_the_line() {
        let error = Header::parse(b"age-encryption.org/v1\n-> a\n====\n").unwrap_err();
        assert_eq!(
            error.to_string(),
            "age header, line 3: a recipient's body is not canonical base64"
        );
    }
}
