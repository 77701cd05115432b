//! What the name of a file says it is, by the habits of the tools that make releases.

use crate::{Algorithm, Digest};

/// What a file is by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Something to be verified.
    Artifact,
    /// Sigstore bundles, attestations, cosign's older bundle.
    Bundle(Of),
    /// A signature in a file of its own.
    Signature(Of),
    /// The certificate of such a signature.
    Certificate(Of),
    /// A list of digests.
    Checksums(Of),
    /// A list of components. It is an artifact too: it has to be signed as one.
    Sbom(Of),
    /// Evidence of a kind that is not read, and why.
    Ignored(Of, &'static str),
}

impl Role {
    /// What it is of; `None` for what is no evidence.
    pub(crate) fn of(&self) -> Option<&Of> {
        match self {
            Self::Artifact => None,
            Self::Bundle(of)
            | Self::Signature(of)
            | Self::Certificate(of)
            | Self::Checksums(of)
            | Self::Sbom(of)
            | Self::Ignored(of, _) => Some(of),
        }
    }
}

/// Which artifact evidence is about, by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Of {
    /// The file of that name, in the same folder.
    File(String),
    /// The file with that digest.
    Digest(Digest),
    /// Any; it says itself which.
    Any,
}

/// What a file of that ending is, of that artifact.
type Maker = fn(Of) -> Role;

/// How a name ends, the longer before the shorter, and what it is then.
const SUFFIXES: &[(&str, Maker)] = &[
    (".sigstore.jsonl", Role::Bundle),
    (".sigstore.json", Role::Bundle),
    (".sigstore", Role::Bundle),
    (".cosign.bundle", Role::Bundle),
    (".bundle.json", Role::Bundle),
    (".bundle", Role::Bundle),
    (".intoto.jsonl", Role::Bundle),
    (".intoto.json", Role::Bundle),
    (".intoto", Role::Bundle),
    (".attestations.jsonl", Role::Bundle),
    (".attestations.json", Role::Bundle),
    (".attestation.jsonl", Role::Bundle),
    (".attestation.json", Role::Bundle),
    (".publish.attestation", Role::Bundle),
    (".attestation", Role::Bundle),
    (".att.json", Role::Bundle),
    (".att", Role::Bundle),
    (".provenance.jsonl", Role::Bundle),
    (".provenance.json", Role::Bundle),
    (".provenance", Role::Bundle),
    ("-keyless.sig", Role::Signature),
    (".minisig", Role::Signature),
    (".sshsig", Role::Signature),
    (".sig", Role::Signature),
    ("-keyless.pem", Role::Certificate),
    (".pem", Role::Certificate),
    (".crt", Role::Certificate),
    (".cert", Role::Certificate),
    (".asc", |of| Role::Ignored(of, "signatures by OpenPGP are not read")),
    (".gpg", |of| Role::Ignored(of, "signatures by OpenPGP are not read")),
    (".sha256sum", Role::Checksums),
    (".sha256", Role::Checksums),
    (".sha384sum", Role::Checksums),
    (".sha384", Role::Checksums),
    (".sha512sum", Role::Checksums),
    (".sha512", Role::Checksums),
    (".sha1sum", |of| Role::Ignored(of, "SHA-1 proves nothing")),
    (".sha1", |of| Role::Ignored(of, "SHA-1 proves nothing")),
    (".md5sum", |of| Role::Ignored(of, "MD5 proves nothing")),
    (".md5", |of| Role::Ignored(of, "MD5 proves nothing")),
    (".spdx.json", Role::Sbom),
    (".spdx", Role::Sbom),
    (".cdx.json", Role::Sbom),
    (".cyclonedx.json", Role::Sbom),
    (".sbom.json", Role::Sbom),
    (".sbom", Role::Sbom),
    (".bom.json", Role::Sbom),
];

/// What the file called `name` is; `exists` says whether a file of that name lies beside it.
///
/// Endings that plain files have too (`.pem`, `.bundle`, `.sig` …) make evidence only of a file
/// whose name in front of the ending is that of another file.
pub(crate) fn role(name: &str, exists: impl Fn(&str) -> bool) -> Role {
    if let Some(role) = whole_name(name) {
        return role;
    }
    for (suffix, role) in SUFFIXES {
        let Some(stem) = strip_suffix_ignoring_case(name, suffix).filter(|stem| !stem.is_empty())
        else {
            continue;
        };
        // `tool.tar.gz.intoto.jsonl` and goreleaser's `tool.tar.gz.sbom.json` keep the whole name.
        if exists(stem) {
            return role(Of::File(stem.to_owned()));
        }
        // GitHub's `sha256:<hex>.jsonl` does not, nor do attestations of many files.
        let names_itself = [
            ".sigstore",
            ".intoto",
            ".attestation",
            ".provenance",
            ".spdx",
            ".cdx",
            ".cyclonedx",
            ".sbom",
            ".bom",
        ]
        .iter()
        .any(|own| suffix.starts_with(own));
        if names_itself {
            return role(Of::Any);
        }
        // A checksum file or signature whose file was not downloaded.
        if matches!(role(Of::Any), Role::Checksums(_) | Role::Signature(_)) {
            return role(Of::File(stem.to_owned()));
        }
        return Role::Artifact;
    }
    Role::Artifact
}

/// Names that mean something as a whole.
fn whole_name(name: &str) -> Option<Role> {
    let lower = name.to_ascii_lowercase();
    // `gh attestation download`; a colon cannot be in a name on Windows.
    if let Some(stem) = lower.strip_suffix(".jsonl")
        && let Some(digits) = stem.strip_prefix("sha256:").or_else(|| stem.strip_prefix("sha256-"))
        && let Some(digest) = Digest::from_hex(Algorithm::Sha256, digits)
    {
        return Some(Role::Bundle(Of::Digest(digest)));
    }
    if let Some(stem) = lower.strip_suffix(".jsonl").or_else(|| lower.strip_suffix(".json"))
        && matches!(
            stem,
            "attestations"
                | "attestation"
                | "provenance"
                | "sigstore"
                | "bundle"
                | "multiple.intoto"
        )
    {
        return Some(Role::Bundle(Of::Any));
    }
    if matches!(lower.as_str(), "bom.json" | "sbom.json" | "sbom.spdx") {
        return Some(Role::Sbom(Of::Any));
    }
    if lower == "dist-manifest.json" {
        return Some(Role::Ignored(Of::Any, "manifests of cargo-dist are not signed"));
    }
    if matches!(lower.rsplit_once('.'), Some((_, "pub"))) {
        let why = "a key that comes with the files proves nothing about them; name it with --key \
                   once you have it from elsewhere";
        return Some(Role::Ignored(Of::Any, why));
    }
    let (stem, is_text) = match lower.strip_suffix(".txt") {
        Some(stem) => (stem, true),
        None => (lower.as_str(), false),
    };
    // `SHA256SUMS`, `tool_1.0_SHA256SUMS`, `SHASUMS256.txt`, `tool_1.0_checksums.txt`, `sha256.sum`.
    let word = stem.rsplit(['_', '-', '.', ' ']).next().unwrap_or(stem);
    let list = match word {
        "md5sums" | "sha1sums" | "md5sum" | "sha1sum" => {
            return Some(Role::Ignored(Of::Any, "MD5 and SHA-1 prove nothing"));
        }
        "checksums" | "checksum" | "shasums" | "shasum" | "shasums256" | "shasums512"
        | "sha256sums" | "sha384sums" | "sha512sums" | "hashes" => true,
        "sha256sum" | "sha384sum" | "sha512sum" => is_text || stem == word,
        "sha256" | "sha384" | "sha512" => {
            stem.starts_with("checksums") || (is_text && stem == word)
        }
        "sum" => ["sha256.sum", "sha384.sum", "sha512.sum"].contains(&stem),
        _ => false,
    };
    list.then_some(Role::Checksums(Of::Any))
}

fn strip_suffix_ignoring_case<'a>(name: &'a str, suffix: &str) -> Option<&'a str> {
    let at = name.len().checked_sub(suffix.len())?;
    let (stem, end) = name.split_at_checked(at)?;
    end.eq_ignore_ascii_case(suffix).then_some(stem)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str, beside: &[&str]) -> Role {
        role(name, |other| beside.contains(&other))
    }

    fn file(name: &str) -> Of {
        Of::File(name.to_owned())
    }

    #[test]
    fn names_of_the_tools() {
        let here = &["a.tar.gz", "checksums.txt", "cosign-linux"][..];
        for (name, role) in [
            ("a.tar.gz", Role::Artifact),
            ("a.tar.gz.sigstore.json", Role::Bundle(file("a.tar.gz"))),
            ("a.tar.gz.SIGSTORE", Role::Bundle(file("a.tar.gz"))),
            ("a.tar.gz.bundle", Role::Bundle(file("a.tar.gz"))),
            ("a.tar.gz.att", Role::Bundle(file("a.tar.gz"))),
            ("a.tar.gz.publish.attestation", Role::Bundle(file("a.tar.gz"))),
            ("project.intoto.jsonl", Role::Bundle(Of::Any)),
            ("multiple.intoto.jsonl", Role::Bundle(Of::Any)),
            ("attestations.jsonl", Role::Bundle(Of::Any)),
            ("checksums.txt", Role::Checksums(Of::Any)),
            ("checksums.txt.sig", Role::Signature(file("checksums.txt"))),
            ("checksums.txt.pem", Role::Certificate(file("checksums.txt"))),
            ("cosign-linux-keyless.sig", Role::Signature(file("cosign-linux"))),
            ("cosign-linux-keyless.pem", Role::Certificate(file("cosign-linux"))),
            ("dsops_1.0_checksums.txt", Role::Checksums(Of::Any)),
            ("terraform_1.0_SHA256SUMS", Role::Checksums(Of::Any)),
            ("SHA256SUMS", Role::Checksums(Of::Any)),
            ("SHA512SUMS.txt", Role::Checksums(Of::Any)),
            ("SHASUMS256.txt", Role::Checksums(Of::Any)),
            ("sha256sum.txt", Role::Checksums(Of::Any)),
            ("sha256.sum", Role::Checksums(Of::Any)),
            ("checksums.sha256", Role::Checksums(Of::Any)),
            ("a.tar.gz.sha256", Role::Checksums(file("a.tar.gz"))),
            ("a.tar.gz.minisig", Role::Signature(file("a.tar.gz"))),
            ("gone.sig", Role::Signature(file("gone"))),
            ("a.tar.gz.sbom.json", Role::Sbom(file("a.tar.gz"))),
            ("dsops_1.0_sbom.spdx.json", Role::Sbom(Of::Any)),
        ] {
            assert_eq!(of(name, here), role, "{name}");
        }
        for ignored in
            ["a.tar.gz.asc", "a.tar.gz.md5", "MD5SUMS", "minisign.pub", "dist-manifest.json"]
        {
            assert!(matches!(of(ignored, here), Role::Ignored(..)), "{ignored}");
        }
        let digits = "ab".repeat(32);
        let digest = Digest::from_hex(Algorithm::Sha256, &digits).unwrap();
        for name in [format!("sha256:{digits}.jsonl"), format!("sha256-{digits}.jsonl")] {
            assert_eq!(of(&name, &[]), Role::Bundle(Of::Digest(digest.clone())));
        }
    }

    #[test]
    fn plain_files_with_such_endings() {
        for name in [
            "ca.pem",
            "site.crt",
            "app.bundle",
            "data.json",
            "notes.txt",
            ".sig",
            "sum",
            "hash",
            "libsha256.a",
            "data.sha.bin",
            "sha256:00.jsonl",
            "events.jsonl",
            "package.json",
        ] {
            assert_eq!(of(name, &[]), Role::Artifact, "{name}");
        }
    }
}
