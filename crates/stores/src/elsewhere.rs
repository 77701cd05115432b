//! The types of stores that configurations of the first dsops name and that are not built in here.

use Was::{Made, Named};

/// Whether the first dsops made stores of a type, or only its documents and examples name it.
#[derive(Clone, Copy, PartialEq)]
enum Was {
    Made,
    Named,
}

/// The type as it is written, and what it is.
const TYPES: &[(&str, &str, Was)] = &[
    ("akeyless", "Akeyless", Made),
    ("aws", "AWS", Made),
    ("aws-secretsmanager", "AWS Secrets Manager", Named),
    ("aws.secretsmanager", "AWS Secrets Manager", Made),
    ("aws.ssm", "AWS Systems Manager Parameter Store", Made),
    ("aws.s3", "files in Amazon S3", Named),
    ("aws.sso", "AWS IAM Identity Center", Made),
    ("aws.sts", "AWS STS", Made),
    ("aws.unified", "AWS", Named),
    ("azure", "Azure", Made),
    ("azure.identity", "Azure identities", Made),
    ("azure.appconfiguration", "Azure App Configuration", Named),
    ("azure.managed_identity", "Azure identities", Named),
    ("azure.keyvault", "Azure Key Vault", Made),
    ("azure.unified", "Azure", Named),
    ("bitwarden", "Bitwarden", Made),
    ("doppler", "Doppler", Made),
    ("gcp", "Google Cloud", Made),
    ("gcp.secretmanager", "Google Secret Manager", Made),
    ("gcp.unified", "Google Cloud", Named),
    ("google.secretmanager", "Google Secret Manager", Named),
    ("hashicorp.vault", "HashiCorp Vault", Named),
    ("infisical", "Infisical", Made),
    ("json", "a test double with values of its own", Made),
    ("keychain", "the keychain of the system", Made),
    ("mock", "a test double with values of its own", Made),
    ("onepassword", "1Password", Made),
    ("1password", "1Password", Named),
    ("pass", "pass, the password store", Made),
    ("vault", "HashiCorp Vault", Made),
];

/// What to do about a type that is not built in; `None` when no dsops ever had it.
pub(crate) fn help(store_type: &str, built_in: &[&str]) -> Option<String> {
    let (name, what, was) = TYPES.iter().find(|(name, ..)| *name == store_type)?;
    if matches!(*name, "mock" | "json") && built_in.contains(&"literal") {
        return Some("write `type: literal`: it has `values` too".to_owned());
    }
    let known = match was {
        Made => "the Go dsops has it",
        Named => "the documents of the Go dsops name it",
    };
    Some(format!(
        "{known} ({what}), and it is not built in here yet; give the store one of these types: {}",
        built_in.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_to_change_is_said_of_every_type_of_the_go_dsops() {
        for (name, what, _) in TYPES {
            let help = help(name, &["literal", "sops"]).unwrap();
            match *name {
                "mock" | "json" => assert!(help.contains("`type: literal`"), "{help}"),
                _ => assert!(
                    help.contains(what)
                        && help.contains("not built in here yet")
                        && help.ends_with(": literal, sops"),
                    "{help}"
                ),
            }
        }
        assert_eq!(help("vualt", &["literal"]), None);
    }

    #[test]
    fn no_type_is_named_twice() {
        let names: std::collections::BTreeSet<_> = TYPES.iter().map(|(name, ..)| name).collect();
        assert_eq!(names.len(), TYPES.len());
    }
}
