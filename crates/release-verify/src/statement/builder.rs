//! Builders: their names, which ones isolate the build from what they build, and what they write.

use std::fmt;

use super::source::Version;
use super::{GitRef, RuleError};

/// The name of a builder: a workflow or a service, and perhaps the reference it was taken from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BuilderId {
    name: String,
    reference: Option<String>,
}

impl BuilderId {
    /// Reads `https://…`, or the same with `@refs/tags/v1.2.3` or `@v1.2.3` behind it.
    ///
    /// # Errors
    /// [`RuleError`] when it is empty, has white space, or has more than one `@` or nothing behind it.
    pub fn parse(text: &str) -> Result<Self, RuleError> {
        Self::read(text).ok_or_else(|| {
            RuleError::new("builder", text, "write it as a URI, with `@` and a reference or not")
        })
    }

    pub(super) fn read(text: &str) -> Option<Self> {
        let mut parts = text.split('@');
        let (name, reference, rest) = (parts.next()?, parts.next(), parts.next());
        let plain = |part: &str| {
            !part.is_empty() && !part.chars().any(|c| c.is_whitespace() || c.is_control())
        };
        (rest.is_none() && plain(name) && reference.is_none_or(plain))
            .then(|| Self { name: name.to_owned(), reference: reference.map(ToOwned::to_owned) })
    }

    /// Without the reference.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The reference, when there is one.
    pub fn reference(&self) -> Option<&str> {
        self.reference.as_deref()
    }

    /// Whether `found` is this builder: the same name, and, when this one has a reference, the
    /// same reference; `v1.2.3` stands for the tag of that name.
    pub fn takes(&self, found: &Self) -> bool {
        self.name == found.name
            && self.reference().is_none_or(|wanted| {
                found.reference().is_some_and(|found| {
                    found == wanted || found.strip_prefix("refs/tags/") == Some(wanted)
                })
            })
    }

    /// Whether it was taken from a tag `vX.Y.Z`, which names a release; with `pre_release`, from
    /// a tag `vX.Y.Z-…` with exactly that.
    pub(super) fn is_release(&self, pre_release: Option<&str>) -> bool {
        let Some(GitRef::Tag(tag)) = self.reference().map(GitRef::parse) else { return false };
        Version::parse(tag).is_some_and(|version| match pre_release {
            None => version.is_release(),
            Some(pre) => version.is_full() && version.pre_release() == pre,
        })
    }
}

impl fmt::Display for BuilderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        self.reference.as_ref().map_or(Ok(()), |reference| write!(f, "@{reference}"))
    }
}

/// A reusable workflow that keeps what it builds away from what it says about it: SLSA build
/// level 3.
pub(super) struct TrustedBuilder {
    /// Its workflow, without the reference.
    pub(super) name: &'static str,
    /// The build types it writes.
    pub(super) build_types: &'static [&'static str],
    /// Whether it runs other people's builders and names those in its provenance.
    pub(super) delegates: bool,
}

macro_rules! generator {
    ($file:literal) => {
        concat!("https://github.com/slsa-framework/slsa-github-generator/.github/workflows/", $file)
    };
}

/// Where builders live to which a delegator may hand the work without being asked for by name.
pub(super) const GENERATOR_WORKFLOWS: &str = generator!("");

/// The builders of the SLSA project (slsa-framework/slsa-github-generator).
pub(super) const TRUSTED: [TrustedBuilder; 6] = [
    TrustedBuilder {
        name: generator!("generator_generic_slsa3.yml"),
        build_types: &["https://github.com/slsa-framework/slsa-github-generator/generic@v1"],
        delegates: false,
    },
    TrustedBuilder {
        name: generator!("generator_container_slsa3.yml"),
        build_types: &["https://github.com/slsa-framework/slsa-github-generator/container@v1"],
        delegates: false,
    },
    TrustedBuilder {
        name: generator!("builder_go_slsa3.yml"),
        build_types: &[
            "https://github.com/slsa-framework/slsa-github-generator/go@v1",
            "https://github.com/slsa-framework/slsa-github-generator@v1",
            "https://github.com/slsa-framework/slsa-github-generator-go@v1",
        ],
        delegates: false,
    },
    TrustedBuilder {
        name: generator!("builder_container-based_slsa3.yml"),
        build_types: &["https://slsa.dev/container-based-build/v0.1?draft"],
        delegates: false,
    },
    TrustedBuilder {
        name: generator!("delegator_generic_slsa3.yml"),
        build_types: &[DELEGATOR_BUILD],
        delegates: true,
    },
    TrustedBuilder {
        name: generator!("delegator_lowperms-generic_slsa3.yml"),
        build_types: &[DELEGATOR_BUILD],
        delegates: true,
    },
];

/// What delegators write. Such a build may commit before it builds, so that its source has no
/// reference of its own.
pub(super) const DELEGATOR_BUILD: &str =
    "https://github.com/slsa-framework/slsa-github-generator/delegator-generic@v0";

/// A workflow of GitHub Actions, as the npm client writes it in SLSA v1.
pub(super) const NPM_WORKFLOW_BUILD: &str =
    "https://slsa-framework.github.io/github-actions-buildtypes/workflow/v1";
/// A workflow of GitHub Actions, as GitHub's own attestations name it.
pub(super) const GITHUB_WORKFLOW_BUILD: &str = "https://actions.github.io/buildtypes/workflow/v1";
/// The npm client in SLSA v0.2, before it was generally available.
pub(super) const NPM_V1_BUILD: &str = "https://github.com/npm/cli/gha@v1";
/// The npm client in SLSA v0.2.
pub(super) const NPM_V2_BUILD: &str = "https://github.com/npm/cli/gha/v2";

/// What the npm client names as its builder; a part behind it says whose runner it was.
pub(super) const NPM_RUNNER: &str = "https://github.com/actions/runner";

/// The trusted builder of that name.
pub(super) fn trusted(name: &str) -> Option<&'static TrustedBuilder> {
    TRUSTED.iter().find(|builder| builder.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_builder_without_reference_takes_every_reference() {
        let id = |text| BuilderId::parse(text).unwrap();
        let found = id("https://x/w.yml@refs/tags/v1.2.3");
        for wanted in
            ["https://x/w.yml", "https://x/w.yml@v1.2.3", "https://x/w.yml@refs/tags/v1.2.3"]
        {
            assert!(id(wanted).takes(&found), "{wanted}");
        }
        for wanted in [
            "https://x/w.yml@v1.2",
            "https://x/w.yml@v1.2.3.4",
            "https://x/w.yml@refs/heads/v1.2.3",
            "https://x/W.yml",
            "https://x/w.yml/",
            "https://x/w.ym",
            "http://x/w.yml",
        ] {
            assert!(!id(wanted).takes(&found), "{wanted}");
        }
        assert!(!id("https://x/w.yml@v1").takes(&id("https://x/w.yml")));
        assert!(!id("https://x/w.yml@v1").takes(&id("https://x/w.yml@refs/heads/v1")));
    }

    #[test]
    fn names_that_are_none() {
        for bad in ["", "@v1", "x@", "x@a@b", "x y", "x\n", "x@v1\n"] {
            assert!(BuilderId::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_release_is_a_full_version_tag() {
        let release =
            |text: &str| BuilderId::parse(&format!("https://x@{text}")).unwrap().is_release(None);
        assert!(release("refs/tags/v1.2.3"));
        for not in [
            "v1.2.3",
            "refs/heads/v1.2.3",
            "refs/heads/main",
            "refs/tags/v1",
            "refs/tags/v1.2",
            "refs/tags/1.2.3",
            "refs/tags/v1.2.3-rc.1",
            "refs/tags/v1.2.3+x",
        ] {
            assert!(!release(not), "{not}");
        }
        let java = BuilderId::parse("https://x@refs/tags/v1.2.3-java").unwrap();
        assert!(java.is_release(Some("java")) && !java.is_release(None));
    }
}
