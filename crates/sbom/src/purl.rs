//! Package URLs of crates, and identifiers.
//!
//! Source: the package URL specification, type `cargo`.

#[cfg(any(feature = "auditable", feature = "cargo"))]
use std::fmt::Write as _;

/// `pkg:cargo/name@1.2.3?qualifier=value`.
#[cfg(any(feature = "auditable", feature = "cargo"))]
pub(crate) fn of_crate(name: &str, version: &str, qualifier: Option<(&str, &str)>) -> String {
    let mut purl = format!("pkg:cargo/{}@{}", encoded(name), encoded(version));
    if let Some((key, value)) = qualifier {
        // Writing to a `String` cannot fail.
        let _ = write!(purl, "?{key}={}", encoded(value));
    }
    purl
}

/// The name and version of a crate by its package URL.
///
/// ```
/// use dsops_sbom::crate_of_purl;
/// assert_eq!(
///     crate_of_purl("pkg:cargo/zstd-sys@2.0.1%2Bzstd.1.5.2?arch=x"),
///     Some(("zstd-sys".to_owned(), "2.0.1+zstd.1.5.2".to_owned()))
/// );
/// assert_eq!(crate_of_purl("pkg:npm/a@1"), None);
/// ```
pub fn crate_of_purl(purl: &str) -> Option<(String, String)> {
    let path = purl.strip_prefix("pkg:cargo/")?;
    let path = path.split(['?', '#']).next()?;
    let (name, version) = path.split_once('@')?;
    let version = version.replace("%2B", "+").replace("%2b", "+");
    Some((name.to_owned(), version))
}

/// The package URL without its version, qualifiers and subpath: what stays the same from one
/// version to the next.
pub(crate) fn without_version(purl: &str) -> &str {
    let path = purl.split(['?', '#']).next().unwrap_or(purl);
    // A scope of npm begins with `@` too.
    match path.rfind('@') {
        Some(at) if !path[at..].contains('/') => &path[..at],
        _ => path,
    }
}

#[cfg(any(feature = "auditable", feature = "cargo"))]
fn encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b".-_~:".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// Whether it can stand behind `SPDXRef-` (SPDX 2.3 §3.2), and is not the document's own.
pub(crate) fn is_spdx_id(id: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'-';
    !id.is_empty() && id.bytes().all(plain) && id != "DOCUMENT" && !id.starts_with("SPDXRef-")
}

#[cfg(all(test, feature = "cargo"))]
mod tests {
    use super::*;

    #[test]
    fn crates_have_package_urls() {
        let purl = of_crate("zstd-sys", "2.0.1+zstd.1.5.2", None);
        assert_eq!(purl, "pkg:cargo/zstd-sys@2.0.1%2Bzstd.1.5.2");
        let known = Some(("zstd-sys".to_owned(), "2.0.1+zstd.1.5.2".to_owned()));
        assert_eq!(crate_of_purl(&purl), known);
        let purl = of_crate("a", "1.0.0", Some(("vcs_url", "git+https://x.example/a?rev=b#c")));
        assert_eq!(purl, "pkg:cargo/a@1.0.0?vcs_url=git%2Bhttps:%2F%2Fx.example%2Fa%3Frev%3Db%23c");
    }

    #[test]
    fn versions_are_cut_off() {
        for (purl, rest) in [
            ("pkg:cargo/a@1.0.0?x=y", "pkg:cargo/a"),
            ("pkg:npm/@scope/a@1", "pkg:npm/@scope/a"),
            ("pkg:npm/@scope/a", "pkg:npm/@scope/a"),
            ("pkg:cargo/a", "pkg:cargo/a"),
        ] {
            assert_eq!(without_version(purl), rest);
        }
    }
}
