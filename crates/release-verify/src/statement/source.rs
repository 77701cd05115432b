//! Source repositories and git references as provenance names them, compared without guessing.

use std::fmt;

use super::RuleError;

/// A source repository, as `https://github.com/owner/name`.
///
/// Two are the same only when every character is: a host may take another case for the same
/// repository, but not every host does.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Repository(String);

impl Repository {
    /// Reads what people write: `github.com/owner/name`, with `https://` or `git+https://` before
    /// it or not.
    ///
    /// # Errors
    /// [`RuleError`] when it is no such thing: another scheme, no path, a `.git` or `/` at its
    /// end, white space, a user, a port that is none.
    pub fn parse(text: &str) -> Result<Self, RuleError> {
        let error = |problem| RuleError::new("source", text, problem);
        let rest = text.strip_prefix("git+").unwrap_or(text);
        let rest = rest.strip_prefix("https://").unwrap_or(rest);
        if rest.contains("://") {
            return Err(error("only https:// is known"));
        }
        if rest.strip_suffix(".git").is_some() {
            return Err(error("write it without `.git`: provenance does not have it"));
        }
        if !is_repository_path(rest) {
            return Err(error("write it as `github.com/owner/name`"));
        }
        Ok(Self(format!("https://{rest}")))
    }

    /// Splits `git+https://host/owner/name@refs/tags/v1` as it stands in provenance.
    pub(crate) fn split(uri: &str) -> Option<(Self, Option<&str>)> {
        let rest = uri.strip_prefix("git+https://")?;
        let (path, reference) = match rest.split_once('@') {
            Some((path, reference)) => (path, Some(reference)),
            None => (rest, None),
        };
        is_repository_path(path).then(|| (Self(format!("https://{path}")), reference))
    }

    /// The same from `https://host/owner/name`, as certificates and newer provenance have it.
    pub(crate) fn from_url(url: &str) -> Option<Self> {
        let rest = url.strip_prefix("https://")?;
        is_repository_path(rest).then(|| Self(url.to_owned()))
    }

    /// As `https://host/owner/name`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `host/one/or/more`: a host with a dot, no empty or dotted parts, plain characters only.
fn is_repository_path(text: &str) -> bool {
    let Some((host, path)) = text.split_once('/') else { return false };
    let plain = |part: &str| {
        !part.is_empty()
            && part != "."
            && part != ".."
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'~'))
    };
    let (name, port) = host.split_once(':').map_or((host, None), |(name, port)| (name, Some(port)));
    plain(name)
        && name.contains('.')
        && port.is_none_or(|port| port.parse::<u16>().is_ok())
        && path.split('/').all(plain)
}

/// A git reference, by what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GitRef<'a> {
    /// `refs/heads/NAME`
    Branch(&'a str),
    /// `refs/tags/NAME`
    Tag(&'a str),
    /// Anything else: a pull request, a commit, a name without its kind.
    Other(&'a str),
}

impl<'a> GitRef<'a> {
    /// Reads a full reference. A name without `refs/` is none: whether `v1` is a tag or a branch
    /// is not a matter to guess.
    pub fn parse(text: &'a str) -> Self {
        let named = |prefix| text.strip_prefix(prefix).filter(|name| is_reference_name(name));
        match (named("refs/heads/"), named("refs/tags/")) {
            (Some(name), _) => Self::Branch(name),
            (_, Some(name)) => Self::Tag(name),
            _ => Self::Other(text),
        }
    }
}

/// What git takes as the name of a reference, in short (git check-ref-format).
pub(super) fn is_reference_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with('/')
        && !name.ends_with(['/', '.'])
        && !name.contains("..")
        && !name.contains("//")
        && !name.contains("@{")
        && !name.chars().any(|c| c.is_whitespace() || c.is_control() || "~^:?*[\\".contains(c))
}

/// A version as tags carry it: `v1.2.3-rc.1+build`, its later parts left away or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Version<'a> {
    prefixed: bool,
    major: &'a str,
    minor: Option<&'a str>,
    patch: Option<&'a str>,
    pre: &'a str,
    build: &'a str,
}

impl<'a> Version<'a> {
    /// Reads a version (Semantic Versioning 2.0.0), or the first one or two numbers of one.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let (prefixed, rest) = text.strip_prefix('v').map_or((false, text), |rest| (true, rest));
        let (rest, build) = rest.split_once('+').map_or((rest, None), |(a, b)| (a, Some(b)));
        let (numbers, pre) = rest.split_once('-').map_or((rest, None), |(a, b)| (a, Some(b)));
        let mut parts = numbers.split('.');
        let (major, minor, patch) = (parts.next()?, parts.next(), parts.next());
        let number = |part: &str| {
            !part.is_empty()
                && part.bytes().all(|b| b.is_ascii_digit())
                && (part == "0" || !part.starts_with('0'))
        };
        let identifiers = |text: &str, strict: bool| {
            text.split('.').all(|part| {
                !part.is_empty()
                    && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                    && !(strict
                        && part.len() > 1
                        && part.starts_with('0')
                        && part.bytes().all(|b| b.is_ascii_digit()))
            })
        };
        let good = parts.next().is_none()
            && [Some(major), minor, patch].into_iter().flatten().all(number)
            && (patch.is_some() || (pre.is_none() && build.is_none()))
            && pre.is_none_or(|pre| identifiers(pre, true))
            && build.is_none_or(|build| identifiers(build, false));
        good.then_some(Self {
            prefixed,
            major,
            minor,
            patch,
            pre: pre.unwrap_or_default(),
            build: build.unwrap_or_default(),
        })
    }

    /// Whether `tag` is this version, as far as this one says which: `v1` takes every `v1.x.y`.
    /// A pre-release counts with the patch number; build metadata never counts.
    pub(super) fn takes(&self, tag: &Self) -> bool {
        self.prefixed == tag.prefixed
            && self.major == tag.major
            && self.minor.is_none_or(|minor| minor == tag.minor.unwrap_or("0"))
            && self
                .patch
                .is_none_or(|patch| patch == tag.patch.unwrap_or("0") && self.pre == tag.pre)
    }

    /// Whether it is exactly `vX.Y.Z`: a release, which a builder's reference has to be.
    pub(super) fn is_release(&self) -> bool {
        self.prefixed && self.patch.is_some() && self.pre.is_empty() && self.build.is_empty()
    }

    /// Its pre-release, empty when it has none.
    pub(super) fn pre_release(&self) -> &'a str {
        self.pre
    }

    /// Whether it has all three numbers and no build metadata.
    pub(super) fn is_full(&self) -> bool {
        self.prefixed && self.patch.is_some() && self.build.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories_as_people_write_them() {
        for text in ["github.com/o/r", "https://github.com/o/r", "git+https://github.com/o/r"] {
            assert_eq!(Repository::parse(text).unwrap().as_str(), "https://github.com/o/r");
        }
        assert!(Repository::parse("gitlab.example.org:8443/group/sub/r").is_ok());
        for bad in [
            "",
            "o/r",
            "github.com",
            "github.com/",
            "github.com/o/",
            "github.com//r",
            "github.com/o/r/",
            "github.com/o/r.git",
            "github.com/o/r\n",
            " github.com/o/r",
            "github.com/o/../r",
            "github.com/o/r@refs/heads/main",
            "github.com/o/r?x",
            "github.com/o/r#x",
            "user@github.com/o/r",
            "github.com:x/o/r",
            "http://github.com/o/r",
            "ssh://git@github.com/o/r",
            "git+git+https://github.com/o/r",
            "https://https://github.com/o/r",
            "gıthub.com/o/r",
        ] {
            assert!(Repository::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn sources_in_provenance_are_taken_as_they_stand() {
        let (repository, reference) =
            Repository::split("git+https://github.com/o/r@refs/heads/a@b").unwrap();
        assert_eq!(
            (repository.as_str(), reference),
            ("https://github.com/o/r", Some("refs/heads/a@b"))
        );
        assert_eq!(Repository::split("git+https://github.com/o/r").unwrap().1, None);
        for bad in [
            "https://github.com/o/r",
            "github.com/o/r",
            "git+http://github.com/o/r",
            "git+https://github.com/o/r\n",
            "git+https://x@github.com/o/r",
            "",
        ] {
            assert_eq!(Repository::split(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn references_are_what_they_say() {
        assert_eq!(GitRef::parse("refs/heads/main"), GitRef::Branch("main"));
        assert_eq!(GitRef::parse("refs/heads/v1.2.3"), GitRef::Branch("v1.2.3"));
        assert_eq!(GitRef::parse("refs/heads/refs/tags/v1"), GitRef::Branch("refs/tags/v1"));
        assert_eq!(GitRef::parse("refs/tags/a/b"), GitRef::Tag("a/b"));
        for other in [
            "main",
            "v1.2.3",
            "tags/v1",
            "Refs/tags/v1",
            "refs/Tags/v1",
            "refs/tags/",
            "refs/tags/v1\n",
            "refs/tags/v1 ",
            "refs/tags/../heads/x",
            "refs/pull/1/merge",
            "",
        ] {
            assert_eq!(GitRef::parse(other), GitRef::Other(other));
        }
    }

    #[test]
    fn versioned_tags() {
        let takes = |wanted: &str, tag: &str| {
            Version::parse(wanted).unwrap().takes(&Version::parse(tag).unwrap())
        };
        for (wanted, tag) in [
            ("v1", "v1.2.3"),
            ("v1", "v1.2.3-rc.1"),
            ("v1.2", "v1.2.3"),
            ("v1.2.3", "v1.2.3"),
            ("v1.2.3", "v1.2.3+linux"),
            ("v1.2.3-rc.1", "v1.2.3-rc.1"),
            ("v1.0.0", "v1"),
            ("1.2", "1.2.9"),
        ] {
            assert!(takes(wanted, tag), "{wanted} {tag}");
        }
        for (wanted, tag) in [
            ("v1", "v10.2.3"),
            ("v1", "v2"),
            ("v1.2", "v1.20.3"),
            ("v1.2", "v1"),
            ("v1.2.3", "v1.2.33"),
            ("v1.2.3", "v1.2.3-rc.1"),
            ("v1.2.3-rc.1", "v1.2.3-rc.2"),
            ("v1.2.3-rc", "v1.2.3-rc.1"),
            ("v1", "1.2.3"),
            ("1", "v1.2.3"),
        ] {
            assert!(!takes(wanted, tag), "{wanted} {tag}");
        }
        for bad in [
            "",
            "v",
            "vv1",
            "v1.",
            "v01",
            "v1.02",
            "v1.2.3.4",
            "v1-rc",
            "v1.2+x",
            "v1.2.3-",
            "v1.2.3-01",
            "v1.2.3+",
            "V1",
            "v1.2.x",
            " v1",
            "v1\n",
            "latest",
            "v+1",
            "v1.2.3-a..b",
        ] {
            assert_eq!(Version::parse(bad), None, "{bad:?}");
        }
        assert!(Version::parse("v1.2.3").unwrap().is_release());
        for not in ["v1", "v1.2", "v1.2.3-rc1", "v1.2.3+b", "1.2.3"] {
            assert!(!Version::parse(not).unwrap().is_release(), "{not}");
        }
    }
}
