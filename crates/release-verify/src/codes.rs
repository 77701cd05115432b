//! Every code that a finding can have, with what it stands for. Scripts and searches rely on them:
//! a code never changes its meaning.

/// All codes, by name, each with one sentence.
pub const ALL: &[(&str, &str)] = &[
    (
        "bundle/format",
        "A Sigstore bundle is read strictly: its media type, its parts, no key twice.",
    ),
    ("certificate/chain", "The signer's certificate leads to an authority of the root of trust."),
    ("certificate/claims", "What the certificate claims does not contradict itself."),
    ("certificate/profile", "The certificate is one for signing code."),
    (
        "certificate/sct",
        "A certificate log of the root of trust promised to publish the certificate.",
    ),
    ("certificate/time", "The signature was made while the certificate was valid."),
    ("checksums/absent", "Every file that a checksum file lists is here."),
    ("checksums/denied", "No accepted signer speaks against the checksum file."),
    ("checksums/digest", "The file is the one that a checksum file lists under its name."),
    ("checksums/missing", "A checksum file beside the artifact lists it."),
    ("checksums/name", "A checksum file lists the artifact under its own name."),
    ("checksums/unsigned", "The checksum file is signed by an accepted signer."),
    ("digest/expected", "The digest is the one that was given on the command line."),
    ("evidence/content", "What is signed is a document of a kind that is read here."),
    ("evidence/elsewhere", "How much of the evidence that was looked at is of other files."),
    ("evidence/format", "A piece of evidence other than a bundle can be read."),
    ("evidence/ignored", "A file that looks like evidence was not used, and why."),
    ("evidence/none", "There is evidence for the artifact at all."),
    ("evidence/read", "A file could be read as often as its verification needs."),
    ("github/claim", "GitHub's claims in the certificate are what is asked for."),
    ("github/issuer", "The signer was vouched for by GitHub's own issuer."),
    ("github/release-repository", "GitHub's statement is about a release of that repository."),
    ("github/release-signer", "The statement about a release was signed by GitHub itself."),
    ("github/release-tag", "GitHub's statement is about the release of that tag."),
    ("github/signer", "The workflow that signed is the one that is asked for."),
    ("image/content", "The config and layers in a layout are what the manifest names."),
    ("image/digest", "Every manifest and blob of an image is what its digest says."),
    ("image/limit", "An image and its signatures keep to the limits of size and number."),
    ("image/malformed", "A manifest, index or layout of an image can be read."),
    ("image/missing", "Everything that an image refers to is there."),
    ("image/payload", "What was signed of an image (simple signing) names its digest."),
    ("image/platform", "The image has the platform that is asked for."),
    ("image/referrer", "What refers to an image names its digest as its subject."),
    ("image/resolved", "Which digest the name of an image stood for when it was asked."),
    ("image/signed", "Which manifest of an image was signed: the index or a platform's."),
    ("image/size", "Every blob is as long as its descriptor says."),
    ("image/unreadable", "The image's files could be read, or its registry answered."),
    ("key/missing", "A key was given for a signature that was made with a key."),
    ("key/other", "The signature was made with the key that was given."),
    ("key/time", "The key was valid when the signature was made."),
    ("log/entry", "The log entry is about this very signature."),
    ("log/inclusion", "The entry is in the log: its proof leads to a signed tree head."),
    ("log/promise", "The log signed that it took the entry in, and when."),
    ("log/threshold", "Enough distinct transparency logs vouch for the signature."),
    ("log/time", "The log was in use when it took the entry in."),
    ("log/twice", "No log entry is counted twice."),
    ("log/unknown", "The log is one of the root of trust."),
    ("npm/digest", "The npm registry's digest is that of the package."),
    ("npm/key", "The npm registry signed with one of its keys."),
    ("npm/package", "The npm statements are about that package and version."),
    ("npm/publish", "The npm registry attests that the package was published."),
    ("npm/subject", "Both npm attestations are about the same bytes."),
    ("policy/claim", "A claim of the certificate is what the policy asks for."),
    ("policy/identity", "The signer's name is what the policy asks for."),
    ("policy/issuer", "The identity provider is the one the policy names."),
    ("policy/key", "The key is one the policy names."),
    ("policy/no-rule", "The policy has a rule for this artifact."),
    ("policy/signer", "A signer that the policy names signed."),
    ("policy/threshold", "Enough distinct signers that the policy names signed."),
    ("policy/unsigned", "There is a good signature to judge at all."),
    ("provenance/branch", "It was built from the branch that is asked for."),
    ("provenance/build-type", "The kind of build is one whose provenance can be judged."),
    ("provenance/builder", "It was built by the builder that is asked for."),
    ("provenance/certificate", "The provenance and the signer's certificate say the same."),
    ("provenance/commit", "It was built from the commit that is asked for."),
    ("provenance/inputs", "The inputs of the build are those that are asked for."),
    ("provenance/reference", "It was built from the ref that is asked for."),
    ("provenance/runner", "It was built on a machine of the kind that is asked for."),
    ("provenance/source", "It was built from the repository that is asked for."),
    ("provenance/tag", "It was built from the tag that is asked for."),
    ("provenance/trigger", "The build was started by what is asked for."),
    ("provenance/versioned-tag", "It was built from a tag of the version that is asked for."),
    ("provenance/workflow", "It was built by the workflow that is asked for."),
    ("pypi/file", "The PyPI attestation is about a file of that name."),
    ("pypi/predicate", "The PyPI attestation is of a kind that is known."),
    ("pypi/publisher", "The PyPI attestation was signed by the publisher that is asked for."),
    ("require/checksums", "A checksum file signed by an accepted signer lists the artifact."),
    ("require/provenance", "There is provenance signed by an accepted signer."),
    ("require/published", "It was published as is asked for."),
    ("require/sbom", "There is a list of components (SBOM) signed by an accepted signer."),
    ("require/signature", "There is a signature by an accepted signer."),
    ("sbom/artifact", "The SBOM names the artifact."),
    ("sbom/binary", "The crates in the program are those that the SBOM lists."),
    ("sbom/form", "The SBOM is of a form that is read here."),
    ("sbom/format", "The SBOM can be read."),
    ("sbom/minimum-elements", "The SBOM has what every list of components must have."),
    ("sbom/signed", "The SBOM is signed, not only lying there."),
    ("signature/artifact", "The signature is of this artifact."),
    ("signature/digest", "The digest in the evidence is the artifact's."),
    ("signature/envelope", "The signature of the envelope (DSSE) is good."),
    ("signature/namespace", "An SSH signature was made for this use and no other."),
    ("statement/format", "The signed statement (in-toto) can be read."),
    ("statement/predicate-type", "The statement is of the kind that is asked for."),
    ("statement/subject", "The statement names the artifact, by its digest."),
    ("summary/level", "The verification summary tells the SLSA level that is asked for."),
    ("summary/resource", "The verification summary is about the resource that is asked for."),
    ("summary/result", "The verification summary says that it passed."),
    ("summary/verifier", "The verification summary is by the verifier that is asked for."),
    (
        "timestamp/authority",
        "A timestamp is by an authority of the root of trust, over this signature.",
    ),
    ("timestamp/threshold", "Enough distinct authorities or logs prove the time of signing."),
    ("timestamp/twice", "No timestamp is counted twice."),
    ("trust/missing", "A root of trust knows who issued the signer's certificate."),
    ("trust/root", "Which root of trust was used, and of which day."),
    ("trust/stale", "The root of trust is not old."),
];

/// What a code stands for.
pub fn meaning(code: &str) -> Option<&'static str> {
    let at = ALL.binary_search_by_key(&code, |(known, _)| known).ok()?;
    Some(ALL[at].1)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::*;

    /// Texts of that form that are no codes.
    const NO_CODES: &[&str] = &["application/x-www-form-urlencoded", "application/octet-stream"];
    /// Codes that are made elsewhere: by `dsops verify sha256`.
    const MADE_ELSEWHERE: &[&str] = &["digest/expected"];

    #[test]
    fn every_code_in_the_source_is_listed_and_every_listed_one_is_made() {
        let mut found = BTreeSet::new();
        collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
        let listed: BTreeSet<String> = ALL.iter().map(|(code, _)| (*code).to_owned()).collect();
        let unlisted: Vec<_> = found.difference(&listed).collect();
        assert!(unlisted.is_empty(), "not in codes.rs: {unlisted:?}");
        let unmade: Vec<_> = listed
            .difference(&found)
            .filter(|code| !MADE_ELSEWHERE.contains(&code.as_str()))
            .collect();
        assert!(unmade.is_empty(), "in codes.rs, but nothing makes them: {unmade:?}");
    }

    #[test]
    fn codes_are_sorted_and_have_a_meaning() {
        assert!(ALL.is_sorted_by(|one, next| one.0 < next.0));
        for (code, sentence) in ALL {
            assert_eq!(meaning(code), Some(*sentence));
            assert!(sentence.ends_with('.') && !sentence.contains('|'), "{code}");
        }
        assert_eq!(meaning("no/such"), None);
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
