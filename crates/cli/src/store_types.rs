//! What people want to know about types of stores: those that are built in, and those of the first
//! dsops that are not.

use dsops_resolver::suggest;

/// A type that is built in.
#[derive(Debug)]
pub struct StoreType {
    pub name: &'static str,
    pub about: &'static str,
    /// Whether there is something to sign in to or to unlock.
    pub login: Login,
}

/// What it takes to use a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Login {
    /// Nothing.
    None,
    /// An age identity that fits the file.
    AgeIdentity,
}

/// Every built-in type; a test compares with the registry.
pub const BUILT_IN: &[StoreType] = &[
    StoreType {
        name: "literal",
        about: "values that stand in dsops.yaml in the clear, for what is no secret",
        login: Login::None,
    },
    StoreType {
        name: "env",
        about: "variables of the environment dsops is started in, as in CI",
        login: Login::None,
    },
    StoreType {
        name: "sops",
        about: "the embedded store: an encrypted file beside dsops.yaml, in the format of SOPS",
        login: Login::AgeIdentity,
    },
];

/// A type of the first dsops that is not built in: its names, and how one signs in to it.
#[derive(Debug)]
pub struct Elsewhere {
    pub names: &'static [&'static str],
    pub sign_in: &'static str,
}

/// The first name is the type; the others are what `login` of the first dsops took as well.
pub const ELSEWHERE: &[Elsewhere] = &[
    Elsewhere { names: &["bitwarden", "bw"], sign_in: "`bw login`, then `bw unlock`" },
    Elsewhere { names: &["onepassword", "op", "1password"], sign_in: "`op signin`" },
    Elsewhere { names: &["pass"], sign_in: "nothing; gpg asks for the key's passphrase" },
    Elsewhere { names: &["doppler"], sign_in: "`doppler login`" },
    Elsewhere { names: &["vault", "hashicorp-vault"], sign_in: "`vault login`" },
    Elsewhere {
        names: &["aws", "aws.secretsmanager", "aws.ssm", "aws.sts", "aws.sso"],
        sign_in: "`aws sso login`, or `aws configure`",
    },
    Elsewhere {
        names: &["gcp", "gcp.secretmanager", "google"],
        sign_in: "`gcloud auth application-default login`",
    },
    Elsewhere {
        names: &["azure", "azure.keyvault", "azure.identity", "az"],
        sign_in: "`az login`",
    },
    Elsewhere { names: &["keychain"], sign_in: "the sign-in to the desktop" },
    Elsewhere { names: &["infisical"], sign_in: "`infisical login`" },
    Elsewhere { names: &["akeyless"], sign_in: "`akeyless auth`" },
];

/// The built-in type of a name.
pub fn built_in(name: &str) -> Option<&'static StoreType> {
    BUILT_IN.iter().find(|known| known.name == name)
}

/// The type elsewhere that a name means.
pub fn elsewhere(name: &str) -> Option<&'static Elsewhere> {
    ELSEWHERE.iter().find(|known| known.names.contains(&name))
}

/// The name of a type, or of one of `others`, that is most like a name.
pub fn likely<'a>(name: &str, others: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let types = BUILT_IN.iter().map(|known| known.name);
    let missing = ELSEWHERE.iter().flat_map(|known| known.names.iter().copied());
    suggest(name, others.into_iter().chain(types).chain(missing))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use dsops_resolver::StoreFactory as _;
    use dsops_stores::Registry;

    use super::*;

    #[test]
    fn every_type_of_the_registry_is_described_and_no_other() {
        let registry = Registry::new();
        let known: Vec<&str> = BUILT_IN.iter().map(|known| known.name).collect();
        assert_eq!(known, registry.types());
    }

    #[test]
    fn no_name_means_two_things() {
        let mut names: Vec<&str> = BUILT_IN.iter().map(|known| known.name).collect();
        names.extend(ELSEWHERE.iter().flat_map(|known| known.names));
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
    }
}
