//! Every code that a finding can have: what it stands for, and what to do when it is not in order.
//! Scripts and searches rely on them: a code never changes its meaning.

/// One kind of check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Check {
    /// Its code, stable: `signature/digest`.
    pub code: &'static str,
    /// What is in order when it passes, in one sentence.
    pub meaning: &'static str,
    /// What to do when it is not, in the form of a finding's help.
    pub next: &'static str,
}

/// All of them, by code.
pub const ALL: &[Check] = &[
    check(
        "bundle/format",
        "A Sigstore bundle is read strictly: its media type, its parts, no key twice.",
        "get the bundle again; `dsops verify explain` shows how far it can be read",
    ),
    check(
        "certificate/chain",
        "The signer's certificate leads to an authority of the root of trust.",
        "if the publisher has a Sigstore of its own, pass its root with `--trusted-root`; else do \
         not use the artifact",
    ),
    check(
        "certificate/claims",
        "What the certificate claims does not contradict itself.",
        "do not use the artifact, and tell the publisher: no authority issues such certificates",
    ),
    check(
        "certificate/profile",
        "The certificate is one for signing code.",
        "ask the publisher to sign with a certificate for signing code; this one is for something \
         else",
    ),
    check(
        "certificate/sct",
        "A certificate log of the root of trust promised to publish the certificate.",
        "do not use the artifact: an authority that hides what it issued cannot be watched. For \
         an instance of its own pass its root with `--trusted-root`",
    ),
    check(
        "certificate/time",
        "The signature was made while the certificate was valid.",
        "ask the publisher to sign again: nothing proves that this was signed while the \
         certificate held",
    ),
    check(
        "checksums/absent",
        "Every file that a checksum file lists is here.",
        "get the files that are missing, or verify the ones you have by name",
    ),
    check(
        "checksums/denied",
        "No accepted signer speaks against the checksum file.",
        "do not use the file: a signer you accept lists another one under its name. Get both again",
    ),
    check(
        "checksums/digest",
        "The file is the one that a checksum file lists under its name.",
        "get the file again: it was changed, or the evidence is of another one",
    ),
    check(
        "checksums/missing",
        "A checksum file beside the artifact lists it.",
        "get the checksum file of the same release, or evidence of the file's own",
    ),
    check(
        "checksums/name",
        "A checksum file lists the artifact under its own name.",
        "rename the file to what the release calls it, if you renamed it; else get it again",
    ),
    check(
        "checksums/unsigned",
        "The checksum file is signed by an accepted signer.",
        "get the signature of the checksum file, or compare with `dsops verify sha256`",
    ),
    check(
        "digest/expected",
        "The digest is the one that was given on the command line.",
        "do not use the file: get it again, and compare with the publisher's own page",
    ),
    check(
        "evidence/elsewhere",
        "How much of the evidence that was looked at is of other files.",
        "nothing, if there is other evidence; else get that of this file",
    ),
    check(
        "evidence/format",
        "A piece of evidence other than a bundle can be read.",
        "get the evidence again; it was damaged or is of a kind that is not read here",
    ),
    check(
        "evidence/ignored",
        "A file that looks like evidence was not used, and why.",
        "name it with `--bundle` if it is of this file",
    ),
    check(
        "evidence/none",
        "There is evidence for the artifact at all.",
        "put the signature, bundle or signed checksum file of the release beside the file, or \
         name it with `--bundle`",
    ),
    check(
        "evidence/read",
        "A file could be read as often as its verification needs.",
        "verify again while nothing writes to the file; copy it to a place of your own first",
    ),
    check(
        "github/claim",
        "GitHub's claims in the certificate are what is asked for.",
        "compare the signer with the publisher's own documentation, and accept this one only if \
         it is named there",
    ),
    check(
        "github/issuer",
        "The signer was vouched for by GitHub's own issuer.",
        "do not use it as GitHub's: another issuer vouches for that name. An enterprise's own has \
         to be named in a policy file",
    ),
    check(
        "github/release-repository",
        "GitHub's statement is about a release of that repository.",
        "get the statement of the release of that repository, or ask for the repository it names",
    ),
    check(
        "github/release-signer",
        "The statement about a release was signed by GitHub itself.",
        "get the statement from GitHub itself (`gh release verify` shows it); another signer \
         cannot make one",
    ),
    check(
        "github/release-tag",
        "GitHub's statement is about the release of that tag.",
        "ask for the tag of the release that you have, or get the release of that tag",
    ),
    check(
        "github/signer",
        "The workflow that signed is the one that is asked for.",
        "compare the signer with the publisher's own documentation, and accept this one only if \
         it is named there",
    ),
    check(
        "image/archive",
        "A file that was verified as one is no archive of an image.",
        "name the image in it as `oci-archive:FILE`",
    ),
    check(
        "image/content",
        "The config and layers in a layout are what the manifest names.",
        "do not use this copy; get the image from a registry you trust, by its digest",
    ),
    check(
        "image/digest",
        "Every manifest and blob of an image is what its digest says.",
        "do not use this copy; get the image from a registry you trust, by its digest",
    ),
    check(
        "image/limit",
        "An image and its signatures keep to the limits of size and number.",
        "verify one image by its digest; if its publisher really needs that much, ask for fewer \
         signatures",
    ),
    check(
        "image/malformed",
        "A manifest, index or layout of an image can be read.",
        "get the image again by its digest; save it with `skopeo copy` or `cosign save`",
    ),
    check(
        "image/missing",
        "Everything that an image refers to is there.",
        "save the whole image again with `skopeo copy` or `cosign save`, with its signatures",
    ),
    check(
        "image/payload",
        "What was signed of an image (simple signing) names its digest.",
        "do not use the image: what was signed is of another. Get the signature of this digest",
    ),
    check(
        "image/platform",
        "The image has the platform that is asked for.",
        "ask for one of the platforms that the image has",
    ),
    check(
        "image/referrer",
        "What refers to an image names its digest as its subject.",
        "do not use this copy; the registry or the layout attached it to another image",
    ),
    check(
        "image/resolved",
        "Which digest the name of an image stood for when it was asked.",
        "name the image by that digest from now on: a tag can be moved",
    ),
    check(
        "image/signed",
        "Which manifest of an image was signed: the index or a platform's.",
        "pull the manifest that was signed, by its digest",
    ),
    check(
        "image/size",
        "Every blob is as long as its descriptor says.",
        "do not use this copy; get the image from a registry you trust, by its digest",
    ),
    check(
        "image/unreadable",
        "The image's files could be read, or its registry answered.",
        "look whether the files are there and the registry can be reached, and try again",
    ),
    check(
        "key/missing",
        "A key was given for a signature that was made with a key.",
        "pass the publisher's public key with `--key`",
    ),
    check(
        "key/other",
        "The signature was made with the key that was given.",
        "compare the key with the one the publisher shows, and pass this one with `--key` only \
         if it is that",
    ),
    check(
        "key/time",
        "The key was valid when the signature was made.",
        "ask the publisher which key is used now; one that ran out proves nothing of later \
         signatures",
    ),
    check(
        "log/entry",
        "The log entry is about this very signature.",
        "do not use it: get the artifact and its evidence again from the publisher's own place, \
         and report it if that does not help",
    ),
    check(
        "log/inclusion",
        "The entry is in the log: its proof leads to a signed tree head.",
        "do not use it: get the artifact and its evidence again from the publisher's own place, \
         and report it if that does not help",
    ),
    check(
        "log/promise",
        "The log signed that it took the entry in, and when.",
        "do not use it: get the artifact and its evidence again from the publisher's own place, \
         and report it if that does not help",
    ),
    check(
        "log/threshold",
        "Enough distinct transparency logs vouch for the signature.",
        "get the bundle with its log entry; for a key that signs without a log say \
         `--keys-without-log`",
    ),
    check(
        "log/time",
        "The log was in use when it took the entry in.",
        "get newer roots with `dsops verify trust update`; if that does not help, do not use the \
         artifact",
    ),
    check(
        "log/twice",
        "No log entry is counted twice.",
        "ask the publisher for a bundle with entries of distinct logs",
    ),
    check(
        "log/unknown",
        "The log is one of the root of trust.",
        "get newer roots with `dsops verify trust update`, or pass those of that log with \
         `--trusted-root`",
    ),
    check(
        "npm/digest",
        "The npm registry's digest is that of the package.",
        "get the package again from the registry (`npm pack NAME@VERSION`)",
    ),
    check(
        "npm/key",
        "The npm registry signed with one of its keys.",
        "get the registry's keys again and pass them with `--key`; else do not use the package",
    ),
    check(
        "npm/package",
        "The npm statements are about that package and version.",
        "ask for the package and version that you have, or get the attestations of this one",
    ),
    check(
        "npm/publish",
        "The npm registry attests that the package was published.",
        "get all attestations of the version from the registry: the one about publishing is \
         missing",
    ),
    check(
        "npm/subject",
        "Both npm attestations are about the same bytes.",
        "do not use it: get the artifact and its evidence again from the publisher's own place, \
         and report it if that does not help",
    ),
    check(
        "policy/claim",
        "A claim of the certificate is what the policy asks for.",
        "compare the signer with the publisher's own documentation, and accept this one only if \
         it is named there",
    ),
    check(
        "policy/identity",
        "The signer's name is what the policy asks for.",
        "compare the signer with the publisher's own documentation, and accept this one only if \
         it is named there",
    ),
    check(
        "policy/issuer",
        "The identity provider is the one the policy names.",
        "compare the signer with the publisher's own documentation, and accept this one only if \
         it is named there",
    ),
    check(
        "policy/key",
        "The key is one the policy names.",
        "compare the signer with the publisher's own documentation, and accept this one only if \
         it is named there",
    ),
    check(
        "policy/no-rule",
        "The policy has a rule for this artifact.",
        "add one to `artifacts` of the policy file; a rule without `match` is for all others",
    ),
    check(
        "policy/signer",
        "A signer that the policy names signed.",
        "get evidence by a signer that the policy names; `dsops verify explain` shows who signed \
         what you have",
    ),
    check(
        "policy/threshold",
        "Enough distinct signers that the policy names signed.",
        "get evidence by the signers that the policy names; `dsops verify explain` shows who \
         signed what you have",
    ),
    check(
        "policy/unsigned",
        "There is a good signature to judge at all.",
        "get evidence with a good signature; what is wrong with this one stands above",
    ),
    check(
        "provenance/branch",
        "It was built from the branch that is asked for.",
        "get the build of that branch, or ask for the branch it was built from if you expected \
         that",
    ),
    check(
        "provenance/build-type",
        "The kind of build is one whose provenance can be judged.",
        "ask the publisher which builder makes the provenance; leave the demand out if a \
         signature is enough",
    ),
    check(
        "provenance/builder",
        "It was built by the builder that is asked for.",
        "do not use it unless you trust that builder too; then name it in the policy",
    ),
    check(
        "provenance/certificate",
        "The provenance and the signer's certificate say the same.",
        "do not use it: get the artifact and its evidence again from the publisher's own place, \
         and report it if that does not help",
    ),
    check(
        "provenance/commit",
        "It was built from the commit that is asked for.",
        "get the build of that commit, or ask for the commit it was built from if you expected \
         that",
    ),
    check(
        "provenance/inputs",
        "The inputs of the build are those that are asked for.",
        "compare the inputs with the release page; ask for these only if you expected them",
    ),
    check(
        "provenance/reference",
        "It was built from the ref that is asked for.",
        "get the build of that ref, or ask for the ref it was built from if you expected that",
    ),
    check(
        "provenance/runner",
        "It was built on a machine of the kind that is asked for.",
        "do not use it unless you trust machines of that kind too; then say so in the policy",
    ),
    check(
        "provenance/source",
        "It was built from the repository that is asked for.",
        "do not use it as that repository's: it was built from another. A fork or a move is for \
         you to confirm",
    ),
    check(
        "provenance/tag",
        "It was built from the tag that is asked for.",
        "get the build of that tag, or ask for the tag it was built from if you expected that",
    ),
    check(
        "provenance/trigger",
        "The build was started by what is asked for.",
        "compare with how the publisher releases; allow the trigger in the policy only if you \
         expected it",
    ),
    check(
        "provenance/versioned-tag",
        "It was built from a tag of the version that is asked for.",
        "get the build of that version, or ask for the version it was built from if you expected \
         that",
    ),
    check(
        "provenance/workflow",
        "It was built by the workflow that is asked for.",
        "compare with how the publisher releases; name the workflow only if you expected this one",
    ),
    check(
        "pypi/file",
        "The PyPI attestation is about a file of that name.",
        "get the attestation of the file by its own name, and do not rename files of PyPI",
    ),
    check(
        "pypi/predicate",
        "The PyPI attestation is of a kind that is known.",
        "get PyPI's publish attestation, or provenance of SLSA",
    ),
    check(
        "pypi/publisher",
        "The PyPI attestation was signed by the publisher that is asked for.",
        "compare the signer with the publisher's own documentation, and accept this one only if \
         it is named there",
    ),
    check(
        "require/checksums",
        "A checksum file signed by an accepted signer lists the artifact.",
        "get the signed checksum file of the release, or leave it out of `--require`",
    ),
    check(
        "require/provenance",
        "There is provenance signed by an accepted signer.",
        "get the provenance of the release (an attestation), or leave it out of `--require`",
    ),
    check(
        "require/published",
        "It was published as is asked for.",
        "get the registry's own statement, or verify with another policy than that of a registry",
    ),
    check(
        "require/sbom",
        "There is a list of components (SBOM) signed by an accepted signer.",
        "get the signed list of components of the release, or leave it out of `--require`",
    ),
    check(
        "sbom/artifact",
        "The SBOM names the artifact.",
        "get the file again: it was changed, or the evidence is of another one",
    ),
    check(
        "sbom/binary",
        "The crates in the program are those that the SBOM lists.",
        "ask the publisher for the list of this build: something in the program is not in it, or \
         the other way round",
    ),
    check(
        "sbom/form",
        "The SBOM is of a form that is read here.",
        "ask the publisher for a document that keeps to its format; `dsops sbom check` tells all \
         that is wrong",
    ),
    check(
        "sbom/format",
        "The SBOM can be read.",
        "get the document again, or have it in SPDX 2.3 or CycloneDX (JSON)",
    ),
    check(
        "sbom/minimum-elements",
        "The SBOM has what every list of components must have.",
        "ask the publisher for what is missing; `dsops sbom check --ntia` demands it",
    ),
    check(
        "sbom/signed",
        "The SBOM is signed, not only lying there.",
        "ask the publisher for a signed one: an attestation, a bundle beside it, or an entry in a \
         signed checksum file",
    ),
    check(
        "signature/artifact",
        "The signature is of this artifact.",
        "get the file again: it was changed, or the evidence is of another one",
    ),
    check(
        "signature/digest",
        "The digest in the evidence is the artifact's.",
        "get the file again: it was changed, or the evidence is of another one",
    ),
    check(
        "signature/envelope",
        "The signature of the envelope (DSSE) is good.",
        "do not use it: get the artifact and its evidence again from the publisher's own place, \
         and report it if that does not help",
    ),
    check(
        "signature/namespace",
        "An SSH signature was made for this use and no other.",
        "ask the publisher for a signature of namespace `file`: this one was made for something \
         else",
    ),
    check(
        "statement/format",
        "The signed statement (in-toto) can be read.",
        "get the attestation again; `dsops verify explain` shows how far it can be read",
    ),
    check(
        "statement/predicate-type",
        "The statement is of the kind that is asked for.",
        "get the attestation of the kind that you ask for, or ask for this kind",
    ),
    check(
        "statement/subject",
        "The statement names the artifact, by its digest.",
        "get the file again: it was changed, or the evidence is of another one",
    ),
    check(
        "summary/level",
        "The verification summary tells the SLSA level that is asked for.",
        "ask the verifier for the higher level, or ask for a lower one in the policy",
    ),
    check(
        "summary/resource",
        "The verification summary is about the resource that is asked for.",
        "get the summary of this resource, or ask for the resource it names",
    ),
    check(
        "summary/result",
        "The verification summary says that it passed.",
        "do not use the artifact: the verifier refused it",
    ),
    check(
        "summary/verifier",
        "The verification summary is by the verifier that is asked for.",
        "get the summary of the verifier that you named; another one's word is not asked for",
    ),
    check(
        "timestamp/authority",
        "A timestamp is by an authority of the root of trust, over this signature.",
        "for an authority of its own pass its root with `--trusted-root`; else do not use the \
         artifact",
    ),
    check(
        "timestamp/threshold",
        "Enough distinct authorities or logs prove the time of signing.",
        "get the bundle with its timestamp or log entry: nothing proves when this was signed",
    ),
    check(
        "timestamp/twice",
        "No timestamp is counted twice.",
        "ask the publisher for timestamps of distinct authorities",
    ),
    check(
        "trust/root",
        "Which root of trust was used, and of which day.",
        "nothing; `dsops verify trust show` tells more",
    ),
    check(
        "trust/stale",
        "The root of trust is not old.",
        "`dsops verify trust update` gets newer ones; or pass one with `--trusted-root`",
    ),
];

const fn check(code: &'static str, meaning: &'static str, next: &'static str) -> Check {
    Check { code, meaning, next }
}

/// The check of a code.
pub fn find(code: &str) -> Option<&'static Check> {
    let at = ALL.binary_search_by_key(&code, |known| known.code).ok()?;
    Some(&ALL[at])
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::*;

    /// Texts of that form that are no codes.
    const NO_CODES: &[&str] = &["application/x-www-form-urlencoded", "application/octet-stream"];
    /// Codes that are made elsewhere: by `dsops verify` itself.
    const MADE_ELSEWHERE: &[&str] = &["digest/expected", "image/archive"];

    #[test]
    fn every_code_in_the_source_is_listed_and_every_listed_one_is_made() {
        let mut found = BTreeSet::new();
        collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
        let listed: BTreeSet<String> = ALL.iter().map(|check| check.code.to_owned()).collect();
        let unlisted: Vec<_> = found.difference(&listed).collect();
        assert!(unlisted.is_empty(), "not in codes.rs: {unlisted:?}");
        let unmade: Vec<_> = listed
            .difference(&found)
            .filter(|code| !MADE_ELSEWHERE.contains(&code.as_str()))
            .collect();
        assert!(unmade.is_empty(), "in codes.rs, but nothing makes them: {unmade:?}");
    }

    #[test]
    fn codes_are_sorted_and_say_what_they_mean_and_what_to_do() {
        assert!(ALL.is_sorted_by(|one, next| one.code < next.code));
        for check in ALL {
            assert_eq!(find(check.code), Some(check));
            assert!(check.meaning.ends_with('.') && !check.meaning.contains('|'), "{check:?}");
            assert!(!check.next.is_empty() && !check.next.ends_with('.'), "{check:?}");
            assert!(check.next.starts_with(|c: char| c.is_lowercase() || c == '`'), "{check:?}");
        }
        assert_eq!(find("no/such"), None);
    }

    fn collect(folder: &Path, found: &mut BTreeSet<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, found);
                continue;
            }
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if path.extension().is_none_or(|extension| extension != "rs")
                || ["tests.rs", "codes.rs"].contains(&name)
            {
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            for line in code.lines().filter(|line| !line.trim_start().starts_with("//")) {
                // Every second piece between quotes is inside them; escapes do not occur in codes.
                let inside = line.split('"').skip(1).step_by(2);
                found.extend(inside.filter(|text| is_code(text)).map(str::to_owned));
            }
        }
    }

    fn is_code(text: &str) -> bool {
        let word = |part: &str| {
            part.starts_with(|c: char| c.is_ascii_lowercase())
                && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        };
        !NO_CODES.contains(&text)
            && text.split_once('/').is_some_and(|(group, check)| word(group) && word(check))
    }
}
