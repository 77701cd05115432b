//! The thing a verdict is about: a name, a size and its digests, read once.

mod pieces;

use std::fmt;
use std::fs::File;
use std::io::{self, Read};

use aws_lc_rs::digest::{Context, SHA256, SHA384, SHA512};

/// A hash function that names artifacts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// SHA-256 (FIPS 180-4).
    Sha256,
    /// SHA-384 (FIPS 180-4).
    Sha384,
    /// SHA-512 (FIPS 180-4).
    Sha512,
}

impl Algorithm {
    /// All that this crate computes.
    pub const ALL: [Self; 3] = [Self::Sha256, Self::Sha384, Self::Sha512];

    /// The name in digests, checksum files and statements: `sha256`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
        }
    }

    /// The length of a digest, in bytes.
    pub fn bytes(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    /// The algorithm of that name, in lower case.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }

    fn context(self) -> Context {
        Context::new(match self {
            Self::Sha256 => &SHA256,
            Self::Sha384 => &SHA384,
            Self::Sha512 => &SHA512,
        })
    }
}

/// A digest: an algorithm and as many bytes as it gives. Shown as `sha256:…` in lower-case hex.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest {
    algorithm: Algorithm,
    bytes: Vec<u8>,
}

impl Digest {
    /// A digest of those bytes; `None` when their number is not the algorithm's.
    pub fn new(algorithm: Algorithm, bytes: impl Into<Vec<u8>>) -> Option<Self> {
        let bytes = bytes.into();
        (bytes.len() == algorithm.bytes()).then_some(Self { algorithm, bytes })
    }

    /// Reads `sha256:<hex>`; digits in either case, nothing around them.
    pub fn parse(text: &str) -> Option<Self> {
        let (name, digits) = text.split_once(':')?;
        Self::from_hex(Algorithm::from_name(name)?, digits)
    }

    /// Reads the hex digits of a digest, in either case.
    pub fn from_hex(algorithm: Algorithm, digits: &str) -> Option<Self> {
        let nibble = |digit: u8| char::from(digit).to_digit(16).and_then(|n| u8::try_from(n).ok());
        let digits = digits.as_bytes();
        if digits.len() != algorithm.bytes() * 2 {
            return None;
        }
        let bytes = digits
            .chunks_exact(2)
            .map(|pair| Some(nibble(pair[0])? << 4 | nibble(pair[1])?))
            .collect::<Option<Vec<u8>>>()?;
        Self::new(algorithm, bytes)
    }

    /// The digest of those bytes.
    pub fn of(algorithm: Algorithm, data: &[u8]) -> Self {
        let mut context = algorithm.context();
        context.update(data);
        Self { algorithm, bytes: context.finish().as_ref().to_vec() }
    }

    /// Which hash function made it.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Its bytes as lower-case hex, without the algorithm.
    pub fn hex(&self) -> String {
        use fmt::Write as _;
        self.bytes.iter().fold(String::with_capacity(self.bytes.len() * 2), |mut text, byte| {
            // Writing to a `String` cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm.name(), self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What is verified: its name as the user gave it, and what is known of its bytes.
///
/// The bytes themselves are not kept. Without SHA-256 nothing can be verified, so it is always
/// there; the others are there when they were asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    name: String,
    size: Option<u64>,
    digests: Vec<Digest>,
}

impl Artifact {
    /// Reads `source` to its end, once, in pieces, and computes the digests of `algorithms`
    /// (SHA-256 always).
    ///
    /// # Errors
    /// Those of `source`.
    ///
    /// # Examples
    /// ```
    /// use dsops_release_verify::{Algorithm, Artifact};
    /// let artifact = Artifact::read("hello.txt", &b"hello"[..], &[])?;
    /// assert!(artifact.digest(Algorithm::Sha256).is_some());
    /// assert_eq!(artifact.size(), Some(5));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn read(
        name: impl Into<String>,
        source: impl Read,
        algorithms: &[Algorithm],
    ) -> io::Result<Self> {
        Self::hashed(name.into(), algorithms, |take| pieces::read(source, take))
    }

    /// The same, of a file: a large one is read in a thread ahead of its hashing, which is as much
    /// faster as reading takes.
    ///
    /// # Errors
    /// Those of `file`.
    pub fn read_file(
        name: impl Into<String>,
        file: File,
        algorithms: &[Algorithm],
    ) -> io::Result<Self> {
        Self::hashed(name.into(), algorithms, |take| pieces::read_file(file, take))
    }

    fn hashed(
        name: String,
        algorithms: &[Algorithm],
        read: impl FnOnce(&mut dyn FnMut(&[u8])) -> io::Result<()>,
    ) -> io::Result<Self> {
        let mut wanted = vec![Algorithm::Sha256];
        wanted.extend(algorithms.iter().filter(|algorithm| **algorithm != Algorithm::Sha256));
        wanted.sort_unstable();
        wanted.dedup();
        let mut contexts: Vec<_> =
            wanted.into_iter().map(|algorithm| (algorithm, algorithm.context())).collect();
        let mut size = 0_u64;
        read(&mut |piece| {
            size += piece.len() as u64;
            for (_, context) in &mut contexts {
                context.update(piece);
            }
        })?;
        let digests = contexts
            .into_iter()
            .map(|(algorithm, context)| Digest {
                algorithm,
                bytes: context.finish().as_ref().to_vec(),
            })
            .collect();
        Ok(Self { name, size: Some(size), digests })
    }

    /// An artifact of which only the SHA-256 is known; `None` for a digest of another algorithm.
    pub fn from_digest(name: impl Into<String>, digest: Digest) -> Option<Self> {
        (digest.algorithm == Algorithm::Sha256).then(|| Self {
            name: name.into(),
            size: None,
            digests: vec![digest],
        })
    }

    /// Its name as the user gave it: a path, a reference, `-`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many bytes it has; `None` when only its digest is known.
    pub fn size(&self) -> Option<u64> {
        self.size
    }

    /// The digest by that algorithm, when it was computed.
    pub fn digest(&self, algorithm: Algorithm) -> Option<&Digest> {
        self.digests.iter().find(|digest| digest.algorithm == algorithm)
    }

    /// The SHA-256, which is always there.
    ///
    /// # Panics
    /// Never.
    pub fn sha256(&self) -> &Digest {
        self.digest(Algorithm::Sha256).expect("both constructors put it there")
    }

    /// All digests that are known, SHA-256 first.
    pub fn digests(&self) -> &[Digest] {
        &self.digests
    }

    /// Whether `digest` is one of this artifact's; `None` when that algorithm was not computed.
    pub fn matches(&self, digest: &Digest) -> Option<bool> {
        self.digest(digest.algorithm).map(|own| own == digest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABC: &str = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn digests_are_those_of_fips_180() {
        let artifact = Artifact::read("abc", &b"abc"[..], &Algorithm::ALL).unwrap();
        assert_eq!(artifact.sha256().to_string(), ABC);
        assert_eq!(artifact.digests().len(), 3);
        assert!(artifact.digest(Algorithm::Sha512).unwrap().hex().starts_with("ddaf35a193617aba"));
        assert_eq!(artifact.matches(&Digest::of(Algorithm::Sha384, b"abc")), Some(true));
        assert_eq!(artifact.matches(&Digest::of(Algorithm::Sha384, b"abd")), Some(false));
    }

    #[test]
    fn what_was_not_computed_is_not_known() {
        let artifact = Artifact::from_digest("abc", Digest::parse(ABC).unwrap()).unwrap();
        assert_eq!(artifact.matches(&Digest::of(Algorithm::Sha512, b"abc")), None);
        assert!(Artifact::from_digest("x", Digest::of(Algorithm::Sha512, b"x")).is_none());
    }

    #[test]
    fn text_that_is_no_digest() {
        assert_eq!(
            Digest::parse(&ABC.to_uppercase().replace("SHA256", "sha256")).unwrap().to_string(),
            ABC
        );
        for bad in [
            "",
            "sha256:",
            "sha256:00",
            "md5:00",
            &ABC[..ABC.len() - 1],
            &format!("{ABC} "),
            &ABC.replace("ba", "+a"),
        ] {
            assert_eq!(Digest::parse(bad), None, "{bad}");
        }
    }
}
