//! Where a crate comes from, and what follows for its document.

use std::collections::BTreeMap;

use crate::model::Party;

/// The registry that crates come from unless said otherwise.
const CRATES_IO: &str = "crates.io";

/// Where a crate comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The workspace, or a folder beside it.
    Local,
    CratesIo,
    /// Another registry, by its index.
    Registry(String),
    /// A repository and a commit: `git+https://…@commit`.
    Git(String),
    Unknown,
}

impl Source {
    /// As a lock file and `cargo metadata` write it; what has none is local.
    pub(crate) fn of_lock(source: Option<&str>) -> Self {
        let Some(source) = source else { return Self::Local };
        let index = source.strip_prefix("registry+").or_else(|| source.strip_prefix("sparse+"));
        if let Some(index) = index {
            let own = ["https://github.com/rust-lang/crates.io-index", "https://index.crates.io/"];
            return if own.contains(&index) {
                Self::CratesIo
            } else {
                Self::Registry(index.to_owned())
            };
        }
        match source.strip_prefix("git+") {
            Some(rest) => {
                let (url, commit) = rest.split_once('#').unwrap_or((rest, ""));
                let url = url.split('?').next().unwrap_or(url);
                // A name and a password may stand in it.
                let url = without_login(url);
                Self::Git(if commit.is_empty() {
                    format!("git+{url}")
                } else {
                    format!("git+{url}@{commit}")
                })
            }
            None => Self::Unknown,
        }
    }

    /// As `cargo auditable` writes it.
    #[cfg(feature = "auditable")]
    pub(crate) fn of_auditable(source: Option<&str>) -> Self {
        match source {
            Some("local") => Self::Local,
            Some(CRATES_IO) => Self::CratesIo,
            _ => Self::Unknown,
        }
    }

    /// Who supplies it, as far as its place says that.
    pub(crate) fn supplier(&self) -> Option<Party> {
        match self {
            Self::CratesIo => Some(Party::organization(CRATES_IO)),
            _ => None,
        }
    }

    /// What its package URL says besides name and version.
    pub(crate) fn qualifier(&self) -> Option<(&'static str, &str)> {
        match self {
            Self::Git(url) => Some(("vcs_url", url)),
            Self::Registry(index) => Some(("repository_url", index)),
            _ => None,
        }
    }

    /// Where it can be had.
    pub(crate) fn download(&self, name: &str, version: &str) -> Option<String> {
        match self {
            Self::CratesIo => {
                Some(format!("https://static.crates.io/crates/{name}/{name}-{version}.crate"))
            }
            Self::Git(url) => Some(url.clone()),
            _ => None,
        }
    }
}

fn without_login(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
            let host = host.rsplit('@').next().unwrap_or(host);
            format!("{scheme}://{host}/{path}")
        }
        None => url.to_owned(),
    }
}

/// An identifier that both formats take: `cargo-serde.json-1.0.0`. No crate has a dot in its name, so two
/// crates never share one; of two with the same name and version, the second gets a number
/// behind two dots, which no version has.
pub(crate) fn unique_id(name: &str, version: &str, taken: &mut BTreeMap<String, usize>) -> String {
    let plain = |text: &str| -> String {
        text.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '.' }).collect()
    };
    let id = format!("cargo-{}-{}", plain(name), plain(version));
    let count = taken.entry(id.clone()).or_insert(0);
    *count += 1;
    if *count == 1 { id } else { format!("{id}..{count}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_told_apart() {
        let of = |text| Source::of_lock(Some(text));
        assert_eq!(Source::of_lock(None), Source::Local);
        assert_eq!(of("registry+https://github.com/rust-lang/crates.io-index"), Source::CratesIo);
        assert_eq!(
            of("sparse+https://own.example/i/"),
            Source::Registry("https://own.example/i/".into())
        );
        assert_eq!(
            of("git+https://user:secret@x.example/a?rev=1#0123"),
            Source::Git("git+https://x.example/a@0123".into())
        );
        assert_eq!(of("?"), Source::Unknown);
    }

    #[test]
    fn identifiers_are_unique() {
        let mut taken = BTreeMap::new();
        let mut id = |name, version| unique_id(name, version, &mut taken);
        assert_eq!(id("a_b", "1.0.0+x"), "cargo-a.b-1.0.0.x");
        assert_eq!(id("a-b", "1.0.0"), "cargo-a-b-1.0.0");
        assert_eq!(id("a-b", "1.0.0"), "cargo-a-b-1.0.0..2");
    }
}
