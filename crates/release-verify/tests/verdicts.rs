//! What a user who has only a folder of downloaded files is told: the right verdict, by its reason.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod common;

use std::time::Duration;

use common::{Folder, code, demands, engine};
use dsops_release_verify::{Demands, Requirement, State, Verdict};
use dsops_testkit::sigstore::{Identity, World};
use serde_json::json;

const TOOL: &[u8] = b"the tool";

/// A release with everything: a bundle beside the tool, provenance, a list of components in a
/// signed checksum file.
fn whole() -> Folder {
    let folder = Folder::new("whole");
    folder.write("tool", TOOL);
    folder.write("tool.spdx.json", &common::spdx("tool", TOOL));
    folder.checksums("SHA256SUMS", &["tool", "tool.spdx.json"]);
    folder.bundle("SHA256SUMS");
    folder.bundle("tool");
    folder.provenance("tool.intoto.jsonl", "tool");
    folder
}

fn everything() -> Demands {
    demands(&World::identity())
        .require(Requirement::Checksums)
        .require(Requirement::Sbom)
        .provenance(common::provenance_rules())
}

#[test]
fn good() {
    let folder = whole();
    let report = folder.verify(everything(), "tool");
    assert_eq!(report.verdict, Verdict::Verified, "{:#?}", report.findings);
    assert_eq!(report.signers.len(), 1);
    for requirement in ["require/checksums", "require/sbom", "require/provenance"] {
        assert_eq!(code(&report, requirement), Some(State::Passed), "{requirement}");
    }
    let all = folder.verify_all(demands(&World::identity()).require(Requirement::Checksums));
    let verdicts: Vec<_> =
        all.files.iter().map(|one| (folder.short(&one.name), one.verdict())).collect();
    assert_eq!(
        verdicts,
        [
            ("SHA256SUMS".to_owned(), Verdict::Verified),
            ("tool".to_owned(), Verdict::Verified),
            ("tool.spdx.json".to_owned(), Verdict::Verified),
        ]
    );
    assert_eq!(all.verdict(), Verdict::Verified);
}

#[test]
fn one_byte_changed() {
    let folder = whole();
    folder.write("tool", b"the tool!");
    let report = folder.verify(demands(&World::identity()), "tool");
    assert_eq!(report.verdict, Verdict::Failed);
    assert_eq!(code(&report, "signature/digest"), Some(State::Failed));
    assert_eq!(code(&report, "checksums/digest"), Some(State::Failed));
    let finding = report.findings.iter().find(|one| one.code == "signature/digest").unwrap();
    assert!(finding.expected.as_ref().unwrap().starts_with("sha256:"));
    assert_ne!(finding.expected, finding.found);
    assert!(report.signers.is_empty());
    assert_eq!(folder.verify_all(demands(&World::identity())).verdict(), Verdict::Failed);
}

#[test]
fn the_bundle_of_another_file() {
    let folder = Folder::new("other");
    folder.write("tool", TOOL);
    folder.write("other", b"another tool");
    folder.bundle("other");
    folder.rename("other.sigstore.json", "tool.sigstore.json");
    let report = folder.verify(demands(&World::identity()), "tool");
    assert_eq!(report.verdict, Verdict::Failed);
    assert_eq!(code(&report, "signature/digest"), Some(State::Failed));
}

#[test]
fn the_wrong_identity() {
    let folder = whole();
    for wrong in [
        Identity::github("octo/demo-fork", "release.yml", "refs/tags/v1.2.3"),
        Identity::github("octo/demo", "release.yml", "refs/heads/main"),
        Identity::github("Octo/demo", "release.yml", "refs/tags/v1.2.3"),
    ] {
        let report = folder.verify(demands(&wrong), "tool");
        assert_eq!(report.verdict, Verdict::Failed);
        assert_eq!(code(&report, "policy/identity"), Some(State::Failed));
        assert!(report.signers.is_empty());
    }
}

#[test]
fn a_missing_list_of_components() {
    let folder = Folder::new("no-sbom");
    folder.write("tool", TOOL);
    folder.bundle("tool");
    let demands = demands(&World::identity()).require(Requirement::Sbom);
    let report = folder.verify(demands.clone(), "tool");
    assert_eq!(report.verdict, Verdict::Undecided);
    assert_eq!(code(&report, "require/sbom"), Some(State::Undecided));
    // One that nobody signed, or that is of another file, is none.
    folder.write("tool.spdx.json", &common::spdx("tool", TOOL));
    let report = folder.verify(demands.clone(), "tool");
    assert_eq!(report.verdict, Verdict::Undecided);
    assert_eq!(code(&report, "sbom/signed"), Some(State::Undecided));
    folder.write("tool.spdx.json", &common::spdx("tool", b"another"));
    folder.bundle("tool.spdx.json");
    assert_eq!(folder.verify(demands.clone(), "tool").verdict, Verdict::Failed);
    // A statement counts as well as a file.
    folder.remove("tool.spdx.json");
    folder.sbom_statement("tool.att", "tool");
    let report = folder.verify(demands, "tool");
    assert_eq!(report.verdict, Verdict::Verified, "{:#?}", report.findings);
}

#[test]
fn an_expired_root() {
    let mut folder = Folder::new("expired");
    folder.write("tool", TOOL);
    folder.bundle("tool");
    // The authority was replaced a day before the signature was made.
    let end = humantime::format_rfc3339(folder.world.now - Duration::from_hours(24)).to_string();
    for authority in ["certificateAuthorities", "timestampAuthorities"] {
        for entry in folder.root[authority].as_array_mut().unwrap() {
            entry["validFor"]["end"] = json!(end);
        }
    }
    let report = folder.verify(demands(&World::identity()), "tool");
    assert_eq!(report.verdict, Verdict::Failed);
    assert!(code(&report, "certificate/chain") == Some(State::Failed), "{:#?}", report.findings);
}

#[test]
fn an_unsigned_file_more() {
    let folder = whole();
    folder.write("install.sh", b"curl | sh");
    let all = folder.verify_all(demands(&World::identity()));
    assert_eq!(all.verdict(), Verdict::Undecided);
    let bad: Vec<_> = all
        .files
        .iter()
        .filter(|one| one.verdict() != Verdict::Verified)
        .map(|one| folder.short(&one.name))
        .collect();
    assert_eq!(bad, ["install.sh"]);
    let extra = all.files.iter().find(|one| one.name.ends_with("install.sh")).unwrap();
    let report = extra.result.as_ref().unwrap();
    assert_eq!(code(report, "evidence/none"), Some(State::Undecided));
    assert_eq!(code(report, "checksums/missing"), Some(State::Note));
}

#[test]
fn no_evidence_at_all() {
    let folder = Folder::new("none");
    folder.write("tool", TOOL);
    let report = folder.verify(demands(&World::identity()), "tool");
    assert_eq!(report.verdict, Verdict::Undecided);
    assert_eq!(code(&report, "evidence/none"), Some(State::Undecided));
    let missing = engine(&folder, demands(&World::identity())).verify_file(&folder.path("gone"));
    assert!(missing.is_err());
}

#[test]
fn junk_evidence_neither_helps_nor_harms() {
    let folder = whole();
    folder.write("tool.sigstore.json", &junk(&folder.read("tool.sigstore.json")));
    folder.write("tool.minisig", b"untrusted comment: x\nAAAA\n");
    folder.write("tool.att", b"{");
    folder.write("SHA512SUMS", b"what is this");
    let report = folder.verify(demands(&World::identity()), "tool");
    assert_eq!(report.verdict, Verdict::Verified, "{:#?}", report.findings);
    let warnings = report.findings.iter().filter(|one| one.state == State::Warning).count();
    assert!(warnings >= 4, "{:#?}", report.findings);
    // Alone, the same evidence fails.
    for name in ["SHA256SUMS", "tool.intoto.jsonl"] {
        folder.remove(name);
    }
    let report = folder.verify(demands(&World::identity()), "tool");
    assert_eq!(report.verdict, Verdict::Failed);
}

fn junk(bundle: &[u8]) -> Vec<u8> {
    let text = String::from_utf8(bundle.to_vec()).unwrap();
    let changed = text.replace("\"signature\":\"ME", "\"signature\":\"MF");
    assert_ne!(changed, text);
    changed.into_bytes()
}

#[test]
fn what_an_accepted_signer_says_against_a_file_always_counts() {
    let folder = whole();
    // A good bundle of an older tool, beside the list of this release.
    folder.write("tool", b"the tool of last year");
    folder.bundle("tool");
    let report = folder.verify(demands(&World::identity()), "tool");
    assert_eq!(report.verdict, Verdict::Failed);
    assert_eq!(code(&report, "checksums/digest"), Some(State::Failed));
    // Said by nobody, it is a warning.
    folder.remove("SHA256SUMS.sigstore.json");
    let report = folder.verify(demands(&World::identity()), "tool");
    assert_eq!(report.verdict, Verdict::Verified, "{:#?}", report.findings);
    assert_eq!(code(&report, "checksums/digest"), Some(State::Warning));
}

#[test]
fn a_signed_list_of_components_is_no_signature_of_what_it_is_of() {
    let folder = Folder::new("sbom-only");
    folder.write("tool", TOOL);
    folder.write("tool.spdx.json", &common::spdx("tool", TOOL));
    folder.bundle("tool.spdx.json");
    let report = folder.verify(demands(&World::identity()).require(Requirement::Sbom), "tool");
    assert_eq!(report.verdict, Verdict::Undecided);
    assert_eq!(code(&report, "require/sbom"), Some(State::Passed));
    assert_eq!(code(&report, "policy/unsigned"), Some(State::Undecided));
}

#[test]
fn an_unsigned_checksum_file_proves_nothing() {
    let folder = Folder::new("unsigned");
    folder.write("tool", TOOL);
    folder.checksums("SHA256SUMS", &["tool"]);
    let report = folder.verify(demands(&World::identity()), "tool");
    assert_eq!(report.verdict, Verdict::Undecided);
    assert_eq!(code(&report, "checksums/unsigned"), Some(State::Undecided));
    folder.write("tool", b"changed");
    let report = folder.verify(demands(&World::identity()), "tool");
    assert_eq!(report.verdict, Verdict::Failed);
}

#[test]
fn a_file_under_the_name_of_another() {
    let folder = Folder::new("swapped");
    folder.write("linux", b"for linux");
    folder.write("darwin", b"for darwin");
    folder.checksums("SHA256SUMS", &["linux", "darwin"]);
    folder.bundle("SHA256SUMS");
    folder.write("linux", b"for darwin");
    let report = folder.verify(demands(&World::identity()), "linux");
    assert_eq!(report.verdict, Verdict::Failed);
    // Renamed to what the list does not know, it is still a file that was signed.
    folder.rename("darwin", "mytool");
    let report = folder.verify(demands(&World::identity()), "mytool");
    assert_eq!(report.verdict, Verdict::Verified, "{:#?}", report.findings);
    assert_eq!(code(&report, "checksums/name"), Some(State::Warning));
}

#[test]
fn missing_files_of_a_list_are_told_and_do_no_harm() {
    let folder = whole();
    folder.write("gone", b"x");
    folder.checksums("SHA256SUMS", &["tool", "tool.spdx.json", "gone"]);
    folder.bundle("SHA256SUMS");
    folder.remove("gone");
    let all = folder.verify_all(demands(&World::identity()));
    assert_eq!(all.verdict(), Verdict::Verified);
    let list = all.files.iter().find(|one| one.name.ends_with("SHA256SUMS")).unwrap();
    let report = list.result.as_ref().unwrap();
    assert_eq!(code(report, "checksums/absent"), Some(State::Note));
}

#[test]
fn many_signers_are_asked_for() {
    use dsops_release_verify::{IdentityRule, Pattern, SignerPolicy, SignerRule};
    let second = Identity::email("release@example.org", "https://accounts.example.org");
    let rule = |name: &str, issuer: &str| {
        SignerRule::Certificate(IdentityRule::new(
            Pattern::exact(name).unwrap(),
            Pattern::exact(issuer).unwrap(),
        ))
    };
    let policy = SignerPolicy::new(rule(common::IDENTITY, common::ISSUER))
        .or(rule("release@example.org", "https://accounts.example.org"))
        .at_least(2)
        .unwrap();
    let folder = Folder::new("two");
    folder.write("tool", TOOL);
    folder.bundle("tool");
    assert_eq!(folder.verify(Demands::new(policy.clone()), "tool").verdict, Verdict::Failed);
    // Twice the same signer is one signer.
    folder.provenance("tool.intoto.jsonl", "tool");
    assert_eq!(folder.verify(Demands::new(policy.clone()), "tool").verdict, Verdict::Failed);
    folder.bundle_by("tool", "tool.sigstore", &second);
    let report = folder.verify(Demands::new(policy), "tool");
    assert_eq!(report.verdict, Verdict::Verified, "{:#?}", report.findings);
    assert_eq!(report.signers.len(), 2);
}

#[test]
fn a_batch_is_in_the_order_given() {
    let folder = Folder::new("batch");
    let names: Vec<String> = (0..40).map(|n| format!("file-{n:02}")).collect();
    for name in &names {
        folder.write(name, name.as_bytes());
    }
    let listed: Vec<&str> = names.iter().map(String::as_str).collect();
    folder.checksums("SHA256SUMS", &listed);
    folder.bundle("SHA256SUMS");
    folder.write("file-07", b"changed");
    let engine = engine(&folder, demands(&World::identity()));
    let mut paths: Vec<_> = names.iter().rev().map(|name| folder.path(name)).collect();
    paths.push(folder.path("gone"));
    let first = engine.verify_files(&paths);
    assert_eq!(first.len(), 41);
    for (path, judged) in paths.iter().zip(&first) {
        assert_eq!(judged.name, path.display().to_string());
        let expected = match path.file_name().unwrap().to_str().unwrap() {
            "file-07" => Verdict::Failed,
            "gone" => Verdict::Undecided,
            _ => Verdict::Verified,
        };
        assert_eq!(judged.verdict(), expected, "{}", judged.name);
    }
    let again = engine.verify_files(&paths);
    assert_eq!(format!("{first:?}"), format!("{again:?}"));
}
