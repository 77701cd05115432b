//! One value: `ENC[AES256_GCM,data:…,iv:…,tag:…,type:…]`, and values in the clear as sops hashes them.

use std::fmt::{self, Write as _};

use aes_gcm::{
    AesGcm, KeyInit, Tag,
    aead::{AeadInOut, array::Array, consts::U32, inout::InOutBuf},
    aes::Aes256,
};
use base64ct::{Base64, Encoding};
use dsops_resolver::yaml::Scalar;
use dsops_secure_mem::SecretBytes;

use super::Error;

pub(super) const KEY_BYTES: usize = 32;
const IV_BYTES: usize = 32;
const TAG_BYTES: usize = 16;

/// The type that a value had before it was encrypted. The format does not authenticate it; what
/// the MAC covers is the value in the canonical form of its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Str,
    Int,
    Float,
    Bool,
    Bytes,
    Time,
    Comment,
}

impl Kind {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Str => "str",
            Self::Int => "int",
            Self::Float => "float",
            Self::Bool => "bool",
            Self::Bytes => "bytes",
            Self::Time => "time",
            Self::Comment => "comment",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "str" => Self::Str,
            "int" => Self::Int,
            "float" => Self::Float,
            "bool" => Self::Bool,
            "bytes" => Self::Bytes,
            "time" => Self::Time,
            "comment" => Self::Comment,
            _ => return None,
        })
    }

    /// Checks that a plaintext is what sops writes for this type. Sops hashes the value in its
    /// canonical form; with the plaintext known to be canonical, its bytes can be hashed in place.
    pub(super) fn check(self, plaintext: &[u8]) -> Result<(), &'static str> {
        let text = std::str::from_utf8(plaintext).ok();
        let holds = match self {
            Self::Str | Self::Bytes | Self::Comment => true,
            Self::Bool => matches!(plaintext, b"True" | b"False"),
            Self::Int => text.is_some_and(|text| {
                text.parse::<i64>().is_ok_and(|int| displays_as(text, format_args!("{int}")))
            }),
            Self::Float => text.is_some_and(|text| {
                matches!(text, "+Inf" | "-Inf" | "NaN")
                    || text
                        .parse::<f64>()
                        .is_ok_and(|v| v.is_finite() && displays_as(text, format_args!("{v}")))
            }),
            Self::Time => text.is_some_and(is_canonical_time),
        };
        if holds { Ok(()) } else { Err("it is not in the form sops writes for its type") }
    }
}

/// An encrypted value as it stands in the document, taken apart.
#[derive(Clone, Copy, Debug)]
pub(super) struct Encrypted<'a> {
    data: &'a str,
    iv: &'a str,
    tag: &'a str,
    pub kind: Kind,
}

impl<'a> Encrypted<'a> {
    pub(super) fn parse(text: &'a str) -> Result<Self, &'static str> {
        let parts = || {
            let rest = text.strip_prefix("ENC[AES256_GCM,data:")?.strip_suffix(']')?;
            let (data, rest) = rest.split_once(",iv:")?;
            let (iv, rest) = rest.split_once(",tag:")?;
            let (tag, kind) = rest.split_once(",type:")?;
            Some((data, iv, tag, kind))
        };
        let (data, iv, tag, kind) = parts().ok_or("it is not encrypted, or cut off")?;
        let kind = Kind::parse(kind).ok_or("its type is not one that sops writes")?;
        if data.is_empty() {
            return Err("its data is missing");
        }
        Ok(Self { data, iv, tag, kind })
    }

    /// At least as many bytes as the plaintext has.
    pub(super) fn max_len(&self) -> usize {
        self.data.len() / 4 * 3
    }

    /// How many bytes the plaintext has, if the data is base64.
    pub(super) fn len(&self) -> usize {
        self.max_len() - self.data.bytes().rev().take_while(|byte| *byte == b'=').count().min(2)
    }
}

/// Why a value did not open.
pub(super) enum Refused {
    /// It is malformed.
    Form(&'static str),
    /// It does not authenticate under this key and path.
    Authentication,
}

/// The data key's schedule. Lives on a stack that is wiped after use, see [`crate::scrub`].
pub(super) struct Cipher(AesGcm<Aes256, U32>);

impl Cipher {
    pub(super) fn new(data_key: &SecretBytes) -> Self {
        Self(AesGcm::new_from_slice(&data_key.expose()).expect("data keys are kept with 32 bytes"))
    }

    /// Decrypts into `plaintext` and returns how many bytes of it are used. `ciphertext` is a
    /// buffer to be reused; nothing secret ever stands in it.
    pub(super) fn open(
        &self,
        value: &Encrypted<'_>,
        path: &[u8],
        ciphertext: &mut Vec<u8>,
        plaintext: &mut [u8],
    ) -> Result<usize, Refused> {
        let mut iv = [0u8; IV_BYTES];
        let mut tag = [0u8; TAG_BYTES];
        exact(value.iv, &mut iv).map_err(|()| Refused::Form("its iv is not 32 bytes of base64"))?;
        exact(value.tag, &mut tag)
            .map_err(|()| Refused::Form("its tag is not 16 bytes of base64"))?;
        ciphertext.resize(value.max_len(), 0);
        let sealed = Base64::decode(value.data, ciphertext)
            .map_err(|_| Refused::Form("its data is not base64"))?;
        let buffer = InOutBuf::new(sealed, &mut plaintext[..sealed.len()])
            .expect("sliced to the same length");
        self.0
            .decrypt_inout_detached(&Array(iv), path, buffer, &Tag::from(tag))
            .map_err(|_| Refused::Authentication)?;
        Ok(sealed.len())
    }

    /// Encrypts as a type. An empty value stays empty, as in sops.
    ///
    /// # Panics
    /// When `sealing` was made for another length.
    pub(super) fn seal(
        &self,
        sealing: Sealing,
        kind: Kind,
        plaintext: &[u8],
        path: &[u8],
    ) -> String {
        let Sealing { iv, mut sealed, mut text } = sealing;
        if plaintext.is_empty() {
            return text;
        }
        let buffer = InOutBuf::new(plaintext, &mut sealed).expect("made for this length");
        let tag = self
            .0
            .encrypt_inout_detached(&Array(iv), path, buffer)
            .expect("a value in memory is below the limit of the cipher, 64 GiB");
        text.push_str("ENC[AES256_GCM,data:");
        push_base64(&mut text, &sealed);
        text.push_str(",iv:");
        push_base64(&mut text, &iv);
        text.push_str(",tag:");
        push_base64(&mut text, &tag);
        text.extend([",type:", kind.name(), "]"]);
        text
    }
}

/// What encrypting one value takes from the system: randomness and memory. It is had before the
/// key and the value are touched, so that no system call is made while they stand on the stack.
pub(super) struct Sealing {
    iv: [u8; IV_BYTES],
    sealed: Vec<u8>,
    text: String,
}

impl Sealing {
    /// For a plaintext of this length, under a fresh iv.
    pub(super) fn new(len: usize) -> Result<Self, Error> {
        let mut iv = [0u8; IV_BYTES];
        getrandom::fill(&mut iv).map_err(Error::Random)?;
        let text = String::with_capacity(len.div_ceil(3) * 4 + 120);
        Ok(Self { iv, sealed: vec![0; len], text })
    }
}

/// A value in the clear in the form that sops hashes, or why sops could not have written it.
pub(super) fn clear_form(scalar: Scalar<'_>) -> Result<String, &'static str> {
    Ok(match scalar {
        Scalar::Null => String::new(),
        Scalar::Bool(true) => "True".to_owned(),
        Scalar::Bool(false) => "False".to_owned(),
        Scalar::Int(int) => i64::try_from(int)
            .map_err(|_| "sops does not write whole numbers of more than 64 bits")?
            .to_string(),
        Scalar::Float(float) if float.is_nan() => "NaN".to_owned(),
        Scalar::Float(float) if float.is_infinite() => {
            if float > 0.0 { "+Inf" } else { "-Inf" }.to_owned()
        }
        Scalar::Float(float) => float.to_string(),
        Scalar::Timestamp(text) => {
            canonical_time(text).ok_or("a date in this form is not supported; quote it")?
        }
        Scalar::Str(text) => text.to_owned(),
        _ => return Err("binary data in the clear is not supported"),
    })
}

fn push_base64(text: &mut String, bytes: &[u8]) {
    for chunk in bytes.chunks(48) {
        let mut line = [0u8; 64];
        text.push_str(Base64::encode(chunk, &mut line).expect("48 bytes are 64 characters"));
    }
}

/// Decodes base64 that must fill `bytes` exactly.
fn exact(text: &str, bytes: &mut [u8]) -> Result<(), ()> {
    let len = bytes.len();
    match Base64::decode(text, bytes) {
        Ok(decoded) if decoded.len() == len => Ok(()),
        _ => Err(()),
    }
}

/// Whether something formats to exactly this text, compared without keeping the formatted copy.
fn displays_as(text: &str, value: fmt::Arguments<'_>) -> bool {
    struct Rest<'a>(&'a str);
    impl fmt::Write for Rest<'_> {
        fn write_str(&mut self, part: &str) -> fmt::Result {
            self.0 = self.0.strip_prefix(part).ok_or(fmt::Error)?;
            Ok(())
        }
    }
    let mut rest = Rest(text);
    rest.write_fmt(value).is_ok() && rest.0.is_empty()
}

fn is_canonical_time(text: &str) -> bool {
    canonical_time(text).is_some_and(|canonical| canonical == text)
}

/// RFC 3339 as Go writes a time, from the forms that YAML allows; `None` for dates that do not
/// exist.
fn canonical_time(text: &str) -> Option<String> {
    let (date, clock) = match text.find(['T', 't', ' ']) {
        Some(at) => (&text[..at], Some(text[at + 1..].trim_start())),
        None => (text, None),
    };
    let mut parts = date.splitn(3, '-').map(digits);
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if year > 9999 || !(1..=days).contains(&day) {
        return None;
    }
    let date = format!("{year:04}-{month:02}-{day:02}");
    let Some(clock) = clock else { return Some(format!("{date}T00:00:00Z")) };
    let zone_at = clock.find(['Z', '+', '-']).unwrap_or(clock.len());
    let (clock, zone) = clock.split_at(zone_at);
    let (seconds, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let mut parts = seconds.splitn(3, ':').map(digits);
    let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next()??);
    let fraction_ok = fraction.len() <= 9 && fraction.bytes().all(|b| b.is_ascii_digit());
    if hour > 23 || minute > 59 || second > 59 || !fraction_ok {
        return None;
    }
    let fraction = fraction.trim_end_matches('0');
    let point = if fraction.is_empty() { "" } else { "." };
    let zone = match zone {
        "" | "Z" | "+00:00" | "-00:00" => "Z",
        zone if is_zone(zone) => zone,
        _ => return None,
    };
    Some(format!("{date}T{hour:02}:{minute:02}:{second:02}{point}{fraction}{zone}"))
}

fn is_zone(zone: &str) -> bool {
    let bytes = zone.as_bytes();
    bytes.len() == 6
        && bytes[3] == b':'
        && digits(&zone[1..3]).is_some_and(|hours| hours <= 24)
        && digits(&zone[4..]).is_some_and(|minutes| minutes < 60)
}

fn digits(text: &str) -> Option<u32> {
    (!text.is_empty() && text.len() <= 4 && text.bytes().all(|b| b.is_ascii_digit()))
        .then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> SecretBytes {
        SecretBytes::copy_from(&[7; KEY_BYTES]).unwrap()
    }

    fn seal(plaintext: &[u8], path: &[u8]) -> String {
        let sealing = Sealing::new(plaintext.len()).unwrap();
        Cipher::new(&key()).seal(sealing, Kind::Str, plaintext, path)
    }

    fn open(text: &str, path: &[u8]) -> Result<Vec<u8>, &'static str> {
        let value = Encrypted::parse(text)?;
        let mut plaintext = vec![0; value.max_len()];
        match Cipher::new(&key()).open(&value, path, &mut Vec::new(), &mut plaintext) {
            Ok(used) => Ok(plaintext[..used].to_vec()),
            Err(Refused::Form(reason)) => Err(reason),
            Err(Refused::Authentication) => Err("authentication"),
        }
    }

    #[test]
    fn what_is_sealed_opens_under_its_path_only() {
        let text = seal(b"value", b"a:b:");
        assert_eq!(open(&text, b"a:b:").unwrap(), b"value");
        assert_eq!(open(&text, b"a:c:").unwrap_err(), "authentication");
        let again = seal(b"value", b"a:b:");
        assert_ne!(text, again, "a fresh iv each time");
        assert_eq!(seal(b"", b"a:"), "");
    }

    #[test]
    fn malformed_values_are_refused_with_the_part_at_fault() {
        let good = seal(b"value", b"a:");
        let iv = good.split_once(",iv:").unwrap().1.split_once(',').unwrap().0;
        for (text, reason) in [
            ("hunter2".to_owned(), "not encrypted"),
            (good[..good.len() - 1].to_owned(), "cut off"),
            (good.replace("type:str", "type:secret"), "type"),
            (good.replace(",tag:", ",tug:"), "cut off"),
            (good.replace(iv, &iv[4..]), "iv"),
            (good.replace("data:", "data:!"), "data"),
        ] {
            let error = open(&text, b"a:").unwrap_err();
            assert!(error.contains(reason), "{error} for {reason}");
        }
    }

    #[test]
    fn canonical_forms_by_type() {
        for (kind, good, bad) in [
            (
                Kind::Int,
                vec!["0", "-1", "9223372036854775807"],
                vec!["", "01", "+1", "1.0", "9223372036854775808"],
            ),
            (
                Kind::Float,
                vec!["0.5", "1500", "-0.25", "+Inf"],
                vec!["", ".5", "1.0", "1e3", "inf", "nan"],
            ),
            (Kind::Bool, vec!["True", "False"], vec!["true", "1", ""]),
            (
                Kind::Time,
                vec!["2001-12-14T00:00:00Z", "2001-12-14T21:59:43.1-05:00"],
                vec!["2001-12-14", "2001-02-29T00:00:00Z", "2001-12-14T00:00:00+00:00", "x"],
            ),
        ] {
            for text in good {
                assert!(kind.check(text.as_bytes()).is_ok(), "{kind:?} {text}");
            }
            for text in bad {
                assert!(kind.check(text.as_bytes()).is_err(), "{kind:?} {text}");
            }
        }
    }

    #[test]
    fn times_as_yaml_allows_them() {
        for (text, canonical) in [
            ("2001-12-14", "2001-12-14T00:00:00Z"),
            ("2001-1-2", "2001-01-02T00:00:00Z"),
            ("2001-12-14t21:59:43.10-05:00", "2001-12-14T21:59:43.1-05:00"),
            ("2001-12-14 21:59:43.1", "2001-12-14T21:59:43.1Z"),
            ("2000-02-29", "2000-02-29T00:00:00Z"),
        ] {
            assert_eq!(canonical_time(text).as_deref(), Some(canonical), "{text}");
        }
        assert_eq!(canonical_time("1900-02-29"), None);
    }
}
