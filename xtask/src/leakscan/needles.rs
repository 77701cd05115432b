//! Turns secrets into needles: every encoding a stray copy could take.

use std::{fmt, fs::File, io::Read};

use anyhow::Context as _;

/// Bytes that must not be found, with the name the report uses for them.
#[derive(Debug, Clone)]
pub struct Secret {
    /// What the secret is, for the report; never its value.
    pub name: String,
    /// The bytes as the program under test holds them.
    pub bytes: Vec<u8>,
}

impl Secret {
    /// Makes a random secret of letters and digits, so that it can stand in any file or argument.
    pub fn random(name: impl Into<String>, len: usize) -> anyhow::Result<Self> {
        const ALPHABET: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let mut bytes = vec![0; len];
        File::open("/dev/urandom")
            .and_then(|mut random| random.read_exact(&mut bytes))
            .context("no random bytes from /dev/urandom")?;
        for byte in &mut bytes {
            *byte = ALPHABET[usize::from(*byte & 63)];
        }
        // A leading or trailing dash would make the value look like an option or a document marker.
        bytes[0] = b'S';
        bytes[len - 1] = b'E';
        Ok(Self { name: name.into(), bytes })
    }

    /// The value as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.bytes).expect("random secrets are letters and digits")
    }
}

/// How a secret's bytes are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Encoding {
    /// As they are.
    Raw,
    /// UTF-16, little-endian.
    Utf16,
    /// Base64, standard alphabet.
    Base64,
    /// Base64, URL alphabet.
    Base64Url,
    /// Lower-case hex.
    HexLower,
    /// Upper-case hex.
    HexUpper,
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Raw => "raw",
            Self::Utf16 => "UTF-16",
            Self::Base64 => "base64",
            Self::Base64Url => "base64url",
            Self::HexLower => "hex",
            Self::HexUpper => "HEX",
        })
    }
}

/// One secret in one encoding.
#[derive(Debug, Clone)]
pub struct Needle {
    /// Which secret, by its place in the list.
    pub secret: usize,
    /// How it is written.
    pub encoding: Encoding,
    /// The bytes to look for.
    pub bytes: Vec<u8>,
}

/// All needles of `secrets`. Encodings that come out alike are listed once.
pub fn needles(secrets: &[Secret]) -> Vec<Needle> {
    let mut all: Vec<Needle> = Vec::new();
    for (secret, Secret { bytes, .. }) in secrets.iter().enumerate() {
        let mut add = |encoding, bytes: Vec<u8>| {
            if !all.iter().any(|known| known.secret == secret && known.bytes == bytes) {
                all.push(Needle { secret, encoding, bytes });
            }
        };
        add(Encoding::Raw, bytes.clone());
        add(Encoding::Utf16, bytes.iter().flat_map(|&byte| [byte, 0]).collect());
        for shift in 0..3 {
            add(Encoding::Base64, base64_at(bytes, shift, b'+', b'/'));
            add(Encoding::Base64Url, base64_at(bytes, shift, b'-', b'_'));
        }
        add(Encoding::HexLower, hex(bytes, b"0123456789abcdef"));
        add(Encoding::HexUpper, hex(bytes, b"0123456789ABCDEF"));
    }
    all
}

/// Base64 of `bytes` as it looks when `shift` other bytes stand before them in the same text.
/// Only the characters that depend on nothing but `bytes`.
fn base64_at(bytes: &[u8], shift: usize, plus: u8, slash: u8) -> Vec<u8> {
    let first_bit = shift * 8;
    let last_bit = first_bit + bytes.len() * 8;
    let bit = |at: usize| (bytes[(at - first_bit) / 8] >> (7 - at % 8)) & 1;
    (first_bit.div_ceil(6)..last_bit / 6)
        .map(|character| {
            let sextet = (character * 6..character * 6 + 6).fold(0, |high, at| high << 1 | bit(at));
            match sextet {
                0..26 => b'A' + sextet,
                26..52 => b'a' + sextet - 26,
                52..62 => b'0' + sextet - 52,
                62 => plus,
                _ => slash,
            }
        })
        .collect()
}

/// The bytes that standard base64 stands for; `None` when a character is of another alphabet.
pub fn base64_bytes(text: &str) -> Option<Vec<u8>> {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bytes, mut held, mut held_bits) = (Vec::new(), 0_u32, 0);
    for character in text.trim_end_matches('=').chars() {
        held = (held << 6 | u32::try_from(ALPHABET.find(character)?).ok()?) & 0xffff;
        held_bits += 6;
        if held_bits >= 8 {
            held_bits -= 8;
            bytes.push(u8::try_from(held >> held_bits & 0xff).ok()?);
        }
    }
    Some(bytes)
}

/// Standard base64 with padding.
pub fn base64_text(bytes: &[u8]) -> String {
    let padding = (3 - bytes.len() % 3) % 3;
    let padded = [bytes, &[0; 2][..padding]].concat();
    let mut text = base64_at(&padded, 0, b'+', b'/');
    let end = text.len() - padding;
    text[end..].fill(b'=');
    String::from_utf8(text).expect("base64 is ASCII")
}

/// `bytes` in hex.
pub fn hex(bytes: &[u8], digits: &[u8; 16]) -> Vec<u8> {
    bytes
        .iter()
        .flat_map(|byte| [digits[usize::from(byte >> 4)], digits[usize::from(byte & 15)]])
        .collect()
}

/// The secrets in an age identity file: the text of each key behind its fixed prefix, and the raw
/// key itself.
pub fn identity_secrets(file_text: &str) -> anyhow::Result<Vec<Secret>> {
    const PREFIX: &str = "AGE-SECRET-KEY-1";
    let mut secrets = Vec::new();
    for line in file_text.lines() {
        if let Some(data) = line.trim().strip_prefix(PREFIX) {
            let key = bech32_data(data).context("an age identity is not valid bech32")?;
            secrets.push(Secret { name: "identity text".into(), bytes: data.into() });
            secrets.push(Secret { name: "identity key".into(), bytes: key });
        }
    }
    anyhow::ensure!(!secrets.is_empty(), "the identity file has no age key in it");
    Ok(secrets)
}

/// The bytes of a bech32 data part (BIP 173), its checksum dropped unchecked.
fn bech32_data(data: &str) -> Option<Vec<u8>> {
    const ALPHABET: &str = "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L";
    const CHECKSUM_CHARACTERS: usize = 6;
    let quintets = data.len().checked_sub(CHECKSUM_CHARACTERS)?;
    let (mut bytes, mut held, mut held_bits) = (Vec::new(), 0_u32, 0);
    for character in data.get(..quintets)?.chars() {
        let quintet = u32::try_from(ALPHABET.find(character)?).ok()?;
        held = (held << 5 | quintet) & 0xfff;
        held_bits += 5;
        if held_bits >= 8 {
            held_bits -= 8;
            bytes.push(u8::try_from(held >> held_bits & 0xff).ok()?);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes: &[u8]) -> Vec<(Encoding, String)> {
        needles(&[Secret { name: "s".into(), bytes: bytes.to_vec() }])
            .into_iter()
            .map(|needle| (needle.encoding, String::from_utf8_lossy(&needle.bytes).into_owned()))
            .collect()
    }

    #[test]
    fn every_encoding_is_there() {
        let needles = of(b"foobar");
        for expected in [
            (Encoding::Raw, "foobar"),
            (Encoding::Utf16, "f\0o\0o\0b\0a\0r\0"),
            (Encoding::Base64, "Zm9vYmFy"),
            // "xfoobar" is "eGZvb2Jhcg", "xxfoobar" is "eHhmb29iYXI" (RFC 4648 §4).
            (Encoding::Base64, "Zvb2Jhc"),
            (Encoding::Base64, "mb29iYX"),
            (Encoding::HexLower, "666f6f626172"),
        ] {
            assert!(needles.contains(&(expected.0, expected.1.into())), "{expected:?} {needles:?}");
        }
    }

    #[test]
    fn hex_case_and_the_url_alphabet_count_as_their_own() {
        let needles = of(&[0xfb, 0xff, 0xfe, 0xab]);
        for expected in [
            (Encoding::Base64, "+//+q"),
            (Encoding::Base64Url, "-__-q"),
            (Encoding::HexLower, "fbfffeab"),
            (Encoding::HexUpper, "FBFFFEAB"),
        ] {
            assert!(needles.contains(&(expected.0, expected.1.into())), "{expected:?} {needles:?}");
        }
    }

    #[test]
    fn equal_encodings_are_listed_once() {
        // No `+` or `/` in its base64, no letter in its hex.
        let needles = of(b"000");
        assert_eq!(needles.len(), 2 + 3 + 1, "{needles:?}");
    }

    #[test]
    fn an_identity_is_text_and_key() {
        // The first identity of the age test vectors is not needed: any 32 bytes will do.
        let quintets = "Q".repeat(51) + "Q"; // 52 quintets are 260 bits: 32 bytes of zeros
        let file = format!("# created\nAGE-SECRET-KEY-1{quintets}ABCDEF\n");
        let secrets = identity_secrets(&file).unwrap();
        assert_eq!(secrets[0].bytes, format!("{quintets}ABCDEF").into_bytes());
        assert_eq!(secrets[1].bytes, vec![0; 32]);
        assert!(identity_secrets("# nothing\n").is_err());
        assert!(identity_secrets("AGE-SECRET-KEY-1abc").is_err());
    }

    #[test]
    fn bech32_data_is_most_significant_bit_first() {
        // BIP 173: "P" is 1, "L" is 31: 00001 11111 11111 1 -> 0x0f 0xff.
        assert_eq!(bech32_data("PLLSQQQQQQ"), Some(vec![0x0f, 0xff]));
    }

    #[test]
    fn base64_is_written_and_read() {
        for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v")] {
            assert_eq!(base64_text(bytes.as_bytes()), text);
            assert_eq!(base64_bytes(text).unwrap(), bytes.as_bytes());
        }
        assert_eq!(base64_bytes("-_"), None);
    }

    #[test]
    fn random_secrets_differ() {
        let (a, b) = (Secret::random("a", 40).unwrap(), Secret::random("b", 40).unwrap());
        assert_eq!(a.text().len(), 40);
        assert_ne!(a.bytes, b.bytes);
    }
}
