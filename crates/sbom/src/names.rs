//! What the two formats call the same things.

use crate::model::Kind;

/// How deep components may be nested in each other.
pub(crate) const DEEPEST: usize = 32;

const KINDS: [(Kind, &str, &str); 12] = [
    (Kind::Application, "APPLICATION", "application"),
    (Kind::Framework, "FRAMEWORK", "framework"),
    (Kind::Library, "LIBRARY", "library"),
    (Kind::Container, "CONTAINER", "container"),
    (Kind::OperatingSystem, "OPERATING-SYSTEM", "operating-system"),
    (Kind::Device, "DEVICE", "device"),
    (Kind::Firmware, "FIRMWARE", "firmware"),
    (Kind::File, "FILE", "file"),
    (Kind::Source, "SOURCE", "file"),
    (Kind::Archive, "ARCHIVE", "file"),
    (Kind::Install, "INSTALL", "application"),
    (Kind::Other, "OTHER", "library"),
];

impl Kind {
    /// As SPDX calls it: `OPERATING-SYSTEM`.
    pub(crate) fn spdx(self) -> &'static str {
        KINDS.iter().find(|(kind, ..)| *kind == self).map_or("OTHER", |(_, name, _)| name)
    }

    pub(crate) fn from_spdx(name: &str) -> Self {
        let found = KINDS.iter().find(|(_, known, _)| *known == name);
        found.map_or(Self::Other, |(kind, ..)| *kind)
    }
}

/// As `CycloneDX` calls it, or what is nearest there.
pub(crate) fn cyclonedx_type(kind: Kind) -> &'static str {
    KINDS.iter().find(|(known, ..)| *known == kind).map_or("library", |(_, _, name)| name)
}

pub(crate) fn from_cyclonedx_type(name: &str) -> Kind {
    // The first of those that share a name is the one that is meant.
    let found = KINDS.iter().find(|(_, _, known)| *known == name);
    found.map_or(Kind::Other, |(kind, ..)| *kind)
}

/// Algorithms of checksums: as SPDX and as `CycloneDX` call them.
const ALGORITHMS: [(&str, &str); 12] = [
    ("MD5", "MD5"),
    ("SHA1", "SHA-1"),
    ("SHA256", "SHA-256"),
    ("SHA384", "SHA-384"),
    ("SHA512", "SHA-512"),
    ("SHA3-256", "SHA3-256"),
    ("SHA3-384", "SHA3-384"),
    ("SHA3-512", "SHA3-512"),
    ("BLAKE2b-256", "BLAKE2b-256"),
    ("BLAKE2b-384", "BLAKE2b-384"),
    ("BLAKE2b-512", "BLAKE2b-512"),
    ("BLAKE3", "BLAKE3"),
];

pub(crate) fn to_cyclonedx(algorithm: &str) -> Option<String> {
    let found = ALGORITHMS.iter().find(|(spdx, _)| *spdx == algorithm);
    found.map(|(_, cyclonedx)| (*cyclonedx).to_owned())
}

pub(crate) fn from_cyclonedx(algorithm: &str) -> String {
    let found = ALGORITHMS.iter().find(|(_, cyclonedx)| *cyclonedx == algorithm);
    found.map_or(algorithm, |(spdx, _)| spdx).to_owned()
}

/// How many hex digits a checksum has.
pub(crate) fn all_digits(algorithm: &str) -> Option<usize> {
    match algorithm {
        "MD2" | "MD4" | "MD5" => Some(32),
        "SHA1" => Some(40),
        "SHA224" => Some(56),
        "SHA3-256" | "BLAKE2b-256" | "BLAKE3" => Some(64),
        "SHA3-384" | "BLAKE2b-384" => Some(96),
        "SHA3-512" | "BLAKE2b-512" => Some(128),
        _ => digits(algorithm),
    }
}

/// The same where it is checked while reading: these are what artifacts are named by.
pub(crate) fn digits(algorithm: &str) -> Option<usize> {
    match algorithm {
        "SHA256" => Some(64),
        "SHA384" => Some(96),
        "SHA512" => Some(128),
        _ => None,
    }
}
