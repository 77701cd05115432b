//! Policies in one word, as `--policy` takes them.

use super::{IdentityRule, PolicyError, PolicyFile, SignerPolicy, SignerRule};
use crate::Demands;
use crate::registry::npm::RegistryKeys;
use crate::verify::Publication;

/// What a short form begins with.
const FORMS: [&str; 4] = ["github:", "github-release:", "npm:", "pypi:"];

const KNOWN: &str = "github:OWNER/REPO, github-release:OWNER/REPO@TAG, npm:NAME@VERSION, pypi:github.com/OWNER/REPO";

impl PolicyFile {
    /// Whether `text` begins as a short form does. A file of such a name is `./NAME`.
    pub fn is_short(text: &str) -> bool {
        FORMS.iter().any(|form| text.starts_with(form))
    }

    /// The policy that a short form stands for.
    ///
    /// - `github:OWNER/REPO@REF`: workflows of that repository, see [`IdentityRule::github`];
    /// - `github-release:OWNER/REPO@TAG`: GitHub says that it is a file of that release, which
    ///   cannot be changed any more;
    /// - `npm:NAME@VERSION`: the registry says, with one of its keys, that it published that;
    /// - `pypi:github.com/OWNER/REPO` or `pypi:gitlab.com/GROUP/NAME`: a pipeline of that
    ///   repository published it on the Python index, under this file's name.
    ///
    /// `npm` are the keys of the npm registry, [`RegistryKeys::npm`] for those that come with the
    /// program.
    ///
    /// # Errors
    /// When it is none of these.
    ///
    /// # Examples
    /// ```
    /// use dsops_release_verify::PolicyFile;
    /// use dsops_release_verify::registry::npm::RegistryKeys;
    /// let policy = PolicyFile::short("npm:@octo/demo@1.2.3", &RegistryKeys::npm())?;
    /// assert!(policy.rule_for("demo.tgz").is_some());
    /// # Ok::<(), dsops_release_verify::PolicyError>(())
    /// ```
    pub fn short(text: &str, npm: &RegistryKeys) -> Result<Self, PolicyError> {
        let unknown = || PolicyError::Form { what: "policy", text: text.to_owned(), known: KNOWN };
        let (form, rest) = text.split_once(':').ok_or_else(unknown)?;
        match form {
            "github" => Ok(Self::of_demands(of_identity(IdentityRule::github(rest)?))),
            "github-release" => {
                let demands = Demands::new(SignerPolicy::new(SignerRule::GithubRelease));
                Ok(Self::of_demands(demands.published(Publication::parse(text, npm.clone())?)))
            }
            "npm" => {
                let signers = SignerPolicy::of_one(npm.rules()).ok_or_else(unknown)?;
                let publication = Publication::parse(text, npm.clone())?;
                let demands = Demands::new(signers).published(publication);
                Ok(Self { trusted_keys: npm.trusted(), ..Self::of_demands(demands) })
            }
            "pypi" => {
                let rule = match rest.split_once('/') {
                    // Without a repository whole organisations would be accepted.
                    Some(("github.com", path)) if path.contains('/') => IdentityRule::github(path)?,
                    Some(("gitlab.com", path)) => IdentityRule::gitlab(path)?,
                    _ => return Err(unknown()),
                };
                Ok(Self::of_demands(of_identity(rule).published(Publication::Pypi)))
            }
            _ => Err(unknown()),
        }
    }
}

fn of_identity(rule: IdentityRule) -> Demands {
    Demands::new(SignerPolicy::new(SignerRule::Certificate(rule)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_forms() {
        let short = |text: &str| PolicyFile::short(text, &RegistryKeys::npm());
        for good in [
            "github:octo/demo",
            "github:octo/demo@v1.*",
            "github-release:octo/demo@v1.2.3",
            "npm:@octo/demo@1.2.3",
            "npm:demo",
            "pypi:github.com/octo/demo",
            "pypi:gitlab.com/octo/group/demo",
        ] {
            assert!(PolicyFile::is_short(good), "{good}");
            let policy = short(good).unwrap();
            assert_eq!((policy.rules.len(), policy.keys.len()), (1, 0), "{good}");
        }
        for bad in [
            "octo/demo",
            "github:",
            "github-release:octo/demo",
            "github-release:octo@v1",
            "npm:",
            "npm:demo@latest",
            "pypi:demo",
            "pypi:octo/demo",
            "pypi:github.com/octo",
            "pypi:gitlab.com/octo",
            "pypi:github.com.evil/octo/demo",
            "pip:demo",
        ] {
            assert!(short(bad).is_err(), "{bad}");
        }
        assert!(short("npm:demo").unwrap().trusted_keys.len() == 2);
        assert!(PolicyFile::short("npm:demo", &RegistryKeys::default()).is_err());
    }
}
