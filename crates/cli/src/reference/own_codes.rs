//! The codes of errors that the command line itself makes; the resolver lists those of the configuration and stores.

/// Every one, by name, with what it stands for.
pub const ALL: &[(&str, &str)] = &[
    ("cache/not-kept", "An answer of a store could not be kept in the cache."),
    ("cache/odd", "The cache, or who asked for it, is odd; it is used as far as it is sound."),
    ("cache/stale", "A value that is older than asked for was used, as the settings allow."),
    ("cache/tampered", "Something in the cache was made or changed by somebody else."),
    ("cache/unusable", "The cache cannot be used; the store is asked."),
    ("cli/check", "A check found something, or could not be made."),
    ("cli/config", "The configuration, or another file that was named, is wrong."),
    ("cli/interrupted", "Somebody pressed ^C at a prompt."),
    ("cli/not-verified", "What was verified is not what its publisher signed."),
    ("cli/protection", "Protection that was required is not there."),
    ("cli/store", "A store, a file or the network failed."),
    ("cli/unknown-variable", "A variable that the environment of the configuration does not have."),
    ("cli/usage", "The command line is wrong."),
    ("exec/dangerous-name", "A secret has a name by which programs run code or load files."),
    ("exec/failed", "dsops failed before the child started."),
    ("exec/not-executable", "The command was found but cannot be executed."),
    ("exec/not-found", "The command was not found."),
    ("sbom/cargo", "Cargo does not tell what a workspace needs."),
    ("sbom/format", "A file is no list of ingredients that is read here."),
    ("sbom/lockfile", "A file is no lock file of cargo."),
    ("sbom/no-list", "A program holds no list of what it was built from."),
    ("verify/image", "What is said to be the name of an image is none."),
    ("verify/key", "What is named as a public key is none."),
    ("verify/logins", "A file with logins for registries cannot be read."),
    ("verify/mirror", "What is named as a repository of roots of trust is no address."),
    (
        "verify/network",
        "The network cannot be used as asked: the authorities or the proxy are wrong.",
    ),
    ("verify/no-signer", "Nobody is named who must have signed."),
    ("verify/online", "An image is in a registry, and the network may not be used."),
    ("verify/policy", "A policy cannot be used, or has something odd in it."),
    ("verify/trust-cache", "The roots of trust that were kept cannot be used."),
    (
        "verify/trust-not-renewed",
        "A root of trust could not be renewed; the one that is here is used.",
    ),
    ("verify/trust-update", "A repository did not give a root of trust."),
    ("verify/trusted-root", "What is named as a root of trust is none."),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    /// Codes of checks, which `verify-codes.md` lists, and what tests make up.
    const OTHERS: &[&str] = &["sbom/binary", "sbom/form", "sbom/minimum-elements"];
    /// The reader is gone, so nobody is shown it.
    const SILENT: &str = "cli/closed-pipe";

    #[test]
    fn every_code_in_the_source_is_listed_and_the_other_way_round() {
        assert!(ALL.is_sorted());
        let mut found = BTreeSet::new();
        collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
        found.retain(|code| code != SILENT && !OTHERS.contains(&code.as_str()));
        let listed: BTreeSet<String> = ALL.iter().map(|(code, _)| (*code).to_owned()).collect();
        assert_eq!(found, listed);
    }

    fn collect(folder: &Path, found: &mut BTreeSet<String>) {
        let groups: BTreeSet<&str> =
            ALL.iter().filter_map(|(code, _)| code.split('/').next()).collect();
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, found);
                continue;
            }
            if path.ends_with("own_codes.rs") || path.extension().is_none_or(|it| it != "rs") {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            for inside in code.lines().flat_map(|line| line.split('"').skip(1).step_by(2)) {
                let plain = |word: &str| {
                    !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')
                };
                let parts = inside.split_once('/');
                if parts.is_some_and(|(group, check)| groups.contains(group) && plain(check)) {
                    found.insert(inside.to_owned());
                }
            }
        }
    }
}
