//! Every code of a check can come up: which test makes it, checked both ways.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]

use std::collections::BTreeSet;
use std::path::Path;

use dsops_release_verify::codes;

/// Files below `crates`, a test in each (none in a `.trycmd`, which is one), and codes that it sees.
const MADE_BY: &[(&str, &str, &[&str])] = &[
    ("cli/tests/cmd/verify.trycmd", "", &["digest/expected"]),
    ("cli/tests/verify_images.rs", "a_tag_is_asked_for_once_and_pinned", &["image/signed"]),
    ("cli/tests/verify_images.rs", "evidence_beside_a_layout_is_named", &["image/archive"]),
    (
        "cli/tests/verify_images.rs",
        "what_is_attached_is_told_also_what_was_not_used",
        &["image/resolved"],
    ),
    (
        "cli/tests/verify_policy.rs",
        "each_artifact_has_its_rule_and_without_one_nothing_passes",
        &["require/checksums"],
    ),
    ("cli/tests/verify_policy.rs", "files_of_the_python_index", &["require/published"]),
    ("cli/tests/verify_trust.rs", "what_was_fetched_is_shown_exported_and_used", &["trust/root"]),
    (
        "release-verify/src/policy.rs",
        "claims_that_are_missing_different_or_twice",
        &["policy/claim"],
    ),
    ("release-verify/src/policy.rs", "keys", &["policy/key"]),
    ("release-verify/src/trust.rs", "an_old_root_warns", &["trust/stale"]),
    (
        "release-verify/tests/advisories.rs",
        "every_bad_bundle_is_refused_by_the_check_that_is_there_for_it",
        &[
            "bundle/format",
            "certificate/chain",
            "certificate/profile",
            "certificate/sct",
            "certificate/time",
            "key/missing",
            "log/entry",
            "log/inclusion",
            "log/promise",
            "log/threshold",
            "log/time",
            "log/twice",
            "log/unknown",
            "policy/identity",
            "policy/issuer",
            "signature/artifact",
            "signature/digest",
            "signature/envelope",
            "timestamp/authority",
            "timestamp/threshold",
            "timestamp/twice",
        ],
    ),
    (
        "release-verify/tests/advisories.rs",
        "ghsa_wqqc_jjcq_vfxm_managed_key_outside_its_time",
        &["key/time"],
    ),
    ("release-verify/tests/github.rs", "look_alikes", &["github/issuer", "github/signer"]),
    (
        "release-verify/tests/github.rs",
        "releases_that_cannot_be_changed",
        &["github/release-repository", "github/release-signer", "github/release-tag"],
    ),
    (
        "release-verify/tests/github.rs",
        "workflows_of_the_owner_and_of_the_repository",
        &["github/claim"],
    ),
    (
        "release-verify/tests/hostile.rs",
        "a_statement_that_found_a_list_bad_does_not_sign_what_it_lists",
        &["checksums/denied"],
    ),
    (
        "release-verify/tests/images.rs",
        "a_blob_of_the_right_size_and_another_digest",
        &["image/digest"],
    ),
    ("release-verify/tests/images.rs", "layouts_that_were_changed", &["image/content"]),
    ("release-verify/tests/images.rs", "nobody_signed", &["evidence/ignored"]),
    (
        "release-verify/tests/images.rs",
        "registries_that_lie",
        &[
            "image/limit",
            "image/malformed",
            "image/missing",
            "image/referrer",
            "image/size",
            "image/unreadable",
        ],
    ),
    ("release-verify/tests/images.rs", "several_platforms", &["image/platform"]),
    ("release-verify/tests/images.rs", "the_signature_of_another_image", &["image/payload"]),
    (
        "release-verify/tests/linked_crates.rs",
        "a_list_that_leaves_out_what_was_linked_is_none",
        &["sbom/binary"],
    ),
    (
        "release-verify/tests/policy.rs",
        "one_bundle_under_two_rules",
        &["policy/signer", "policy/threshold"],
    ),
    ("release-verify/tests/policy.rs", "without_a_rule_nothing_is_decided", &["policy/no-rule"]),
    (
        "release-verify/tests/provenance.rs",
        "a_build_type_that_nobody_knows_proves_only_its_source",
        &["provenance/reference"],
    ),
    ("release-verify/tests/provenance.rs", "another_artifact_fails_first", &["statement/subject"]),
    (
        "release-verify/tests/provenance.rs",
        "another_commit_trigger_or_workflow",
        &["provenance/commit", "provenance/trigger", "provenance/workflow"],
    ),
    (
        "release-verify/tests/provenance.rs",
        "builders_that_look_alike",
        &["provenance/build-type", "provenance/builder", "provenance/runner"],
    ),
    (
        "release-verify/tests/provenance.rs",
        "certificates_that_contradict_themselves",
        &["certificate/claims"],
    ),
    (
        "release-verify/tests/provenance.rs",
        "inputs_are_those_that_were_given",
        &["provenance/inputs"],
    ),
    (
        "release-verify/tests/provenance.rs",
        "provenance_that_a_build_forged_about_itself",
        &["provenance/certificate"],
    ),
    (
        "release-verify/tests/provenance.rs",
        "references_that_look_alike",
        &["provenance/branch", "provenance/tag", "provenance/versioned-tag"],
    ),
    ("release-verify/tests/provenance.rs", "sources_that_look_alike", &["provenance/source"]),
    (
        "release-verify/tests/provenance.rs",
        "statements_of_another_kind_are_undecided",
        &["statement/format"],
    ),
    ("release-verify/tests/registry.rs", "a_file_of_the_index", &["pypi/file", "pypi/predicate"]),
    (
        "release-verify/tests/registry.rs",
        "attestations_of_npm_that_do_not_agree",
        &["npm/digest", "npm/package", "npm/publish", "npm/subject"],
    ),
    ("release-verify/tests/registry.rs", "keys_of_the_registry", &["npm/key"]),
    ("release-verify/tests/registry.rs", "publishers_that_look_alike", &["pypi/publisher"]),
    (
        "release-verify/tests/release_tools.rs",
        "a_checksum_file_signed_with_minisign",
        &["key/other"],
    ),
    (
        "release-verify/tests/release_tools.rs",
        "a_checksum_file_signed_with_ssh",
        &["signature/namespace"],
    ),
    (
        "release-verify/tests/release_tools.rs",
        "attestations_that_were_downloaded_from_github",
        &["evidence/elsewhere"],
    ),
    (
        "release-verify/tests/release_tools.rs",
        "evidence_that_the_caller_names",
        &["evidence/format"],
    ),
    (
        "release-verify/tests/release_tools.rs",
        "what_cannot_be_read_again_is_undecided",
        &["evidence/read"],
    ),
    ("release-verify/tests/sbom.rs", "a_list_about_something_else", &["sbom/artifact"]),
    ("release-verify/tests/sbom.rs", "small_faults_are_a_warning", &["sbom/form"]),
    ("release-verify/tests/sbom.rs", "statements_carry_documents", &["sbom/format"]),
    (
        "release-verify/tests/sbom.rs",
        "the_three_forms_say_the_same",
        &["sbom/minimum-elements", "sbom/signed"],
    ),
    (
        "release-verify/tests/statement.rs",
        "findings_say_what_was_expected_and_found",
        &["statement/predicate-type"],
    ),
    (
        "release-verify/tests/statement.rs",
        "verification_summaries",
        &["summary/level", "summary/resource", "summary/result", "summary/verifier"],
    ),
    ("release-verify/tests/verdicts.rs", "a_file_under_the_name_of_another", &["checksums/name"]),
    ("release-verify/tests/verdicts.rs", "a_missing_list_of_components", &["require/sbom"]),
    (
        "release-verify/tests/verdicts.rs",
        "a_signed_list_of_components_is_no_signature_of_what_it_is_of",
        &["policy/unsigned"],
    ),
    (
        "release-verify/tests/verdicts.rs",
        "an_unsigned_checksum_file_proves_nothing",
        &["checksums/unsigned"],
    ),
    ("release-verify/tests/verdicts.rs", "an_unsigned_file_more", &["checksums/missing"]),
    ("release-verify/tests/verdicts.rs", "good", &["require/provenance"]),
    (
        "release-verify/tests/verdicts.rs",
        "missing_files_of_a_list_are_told_and_do_no_harm",
        &["checksums/absent"],
    ),
    ("release-verify/tests/verdicts.rs", "no_evidence_at_all", &["evidence/none"]),
    ("release-verify/tests/verdicts.rs", "one_byte_changed", &["checksums/digest"]),
];

#[test]
fn every_code_is_made_by_a_test_and_every_code_of_a_test_is_listed() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut made: BTreeSet<&str> = BTreeSet::new();
    for (file, test, codes) in MADE_BY {
        let text = std::fs::read_to_string(crates.join(file)).unwrap();
        let read = if test.is_empty() { text.clone() } else { what_it_reads(&text, test) };
        for code in *codes {
            let forms = [format!("\"{code}\""), format!("[{code}]"), format!(" {code}\"")];
            let is_there = forms.iter().any(|form| read.contains(form));
            assert!(is_there, "{file}: {test} does not look for {code}");
            made.insert(code);
        }
    }
    let listed: BTreeSet<&str> = codes::ALL.iter().map(|check| check.code).collect();
    assert_eq!(made, listed);
}

/// The text of a test, and of the functions and tables beside it that it names.
fn what_it_reads(source: &str, test: &str) -> String {
    let ends = ["\n}\n", "\n];\n", "\n    }\n"];
    let mut items: Vec<&str> = vec![source];
    for end in
        ends.into_iter().filter(|end| !end.starts_with("\n    ") || source.contains("#[cfg(test)]"))
    {
        items = items.into_iter().flat_map(|item| item.split_inclusive(end)).collect();
    }
    let head = format!("fn {test}() {{");
    let own = items.iter().find(|item| item.contains(&head) && item.contains("#[test]"));
    let own = *own.unwrap_or_else(|| panic!("there is no test {test}"));
    let named = |item: &&&str| {
        let names = ["\nfn ", "\nconst "].into_iter().filter_map(|word| item.split_once(word));
        let mut names = names.filter_map(|(_, rest)| rest.split(['(', ':']).next());
        !item.contains("#[test]") && names.any(|name| own.contains(name))
    };
    items.iter().filter(named).copied().chain([own]).collect()
}
