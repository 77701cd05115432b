//! The README and the guides, run as they are written: every `console` block, in order, in one folder.
//! `docs/security/verify-releases.md` has a test program of its own.
#![cfg(unix)]
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test")]

mod common;

use std::path::{Path, PathBuf};

use common::guide::{self, fits, tour};
use common::{Project, files};

/// Documents of which every command is run, here or by `verify_guide.rs`.
const RUN: [&str; 7] = [
    "README.md",
    "docs/caching-secrets.md",
    "docs/migrating-from-go.md",
    "docs/reference/trust.md",
    "docs/sbom.md",
    "docs/security/verify-releases.md",
    "docs/signing.md",
];

#[test]
fn the_readme() {
    let project = Project::empty();
    let count = tour(&project, &guide::read("README.md"), &[], &[]);
    assert!(count >= 6, "{count}");
}

#[test]
fn moving_from_the_go_version() {
    let project = Project::empty();
    let count = tour(&project, &guide::read("docs/migrating-from-go.md"), &[], &[]);
    assert!(count >= 6, "{count}");
}

#[test]
fn trust() {
    let project = Project::empty();
    let count = tour(&project, &guide::read("docs/reference/trust.md"), &[], &[]);
    assert!(count >= 5, "{count}");
}

#[test]
fn caching() {
    let project = Project::new();
    project.set("TOKEN", b"made up");
    let count = tour(&project, &guide::read("docs/caching-secrets.md"), &[], &[]);
    assert!(count >= 8, "{count}");
}

#[cfg(feature = "sbom")]
#[test]
fn lists_of_components() {
    let project = Project::empty();
    // The smallest package, and a program that says what it was built from.
    std::fs::create_dir_all(project.path("src")).unwrap();
    std::fs::create_dir(project.path("dist")).unwrap();
    let manifest = "[package]\nname = \"app\"\nversion = \"1.2.3\"\nedition = \"2024\"\n\
         authors = [\"Octo\"]\nlicense = \"MIT\"\n";
    let dependency = "\n[dependencies]\npart = { path = \"part\" }\n";
    project.write("Cargo.toml", &(manifest.to_owned() + dependency));
    project.write(
        "Cargo.lock",
        "version = 4\n\n[[package]]\nname = \"app\"\nversion = \"1.2.3\"\ndependencies = [\n \"part\",\n]\n\n\
         [[package]]\nname = \"part\"\nversion = \"1.2.3\"\n",
    );
    project.write("src/main.rs", "fn main() {}\n");
    std::fs::create_dir_all(project.path("part/src")).unwrap();
    project.write("part/Cargo.toml", &manifest.replace("app", "part"));
    project.write("part/src/lib.rs", "");
    let list = r#"{"packages":[
        {"name":"app","version":"1.2.3","source":"local","dependencies":[1],"root":true},
        {"name":"part","version":"1.2.3","source":"local"}]}"#;
    let list = miniz_oxide::deflate::compress_to_vec_zlib(list.as_bytes(), 6);
    let program = dsops_testkit::binaries::elf(".dep-v0", &list);
    std::fs::write(project.path("dist/app"), program).unwrap();
    let cargo = std::env::var("CARGO").unwrap();
    // Cargo and rustc as they are found here, whatever the home is.
    let home = |name: &str, usual: &str| {
        std::env::var(name)
            .unwrap_or_else(|_| format!("{}/{usual}", std::env::var("HOME").unwrap()))
    };
    let (cargo_home, rustup_home) = (home("CARGO_HOME", ".cargo"), home("RUSTUP_HOME", ".rustup"));
    let env = [
        ("CARGO", cargo.as_str()),
        ("CARGO_HOME", &cargo_home),
        ("RUSTUP_HOME", &rustup_home),
        ("SOURCE_DATE_EPOCH", "1767225600"),
    ];
    let count = tour(&project, &guide::read("docs/sbom.md"), &env, &[]);
    assert!(count >= 4, "{count}");
}

#[cfg(feature = "sign")]
#[test]
fn signing() {
    use std::time::SystemTime;

    use dsops_testkit::sigstore::{Services, World, server};
    use dsops_testkit::{Door, ImageRegistry, Referrers};

    let project = Project::empty();
    project.write("app.tar.gz", "the program\n");
    project.write("SHA256SUMS", "the list\n");
    project.write("Cargo.lock", "version = 4\n");
    project.write(
        "app.spdx.json",
        r#"{"spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT", "name": "app",
            "documentNamespace": "https://example.org/app", "creationInfo": {"created": "2026-01-01T00:00:00Z",
            "creators": ["Tool: hand"]}, "packages": [{"SPDXID": "SPDXRef-app", "name": "app",
            "downloadLocation": "NOASSERTION"}], "relationships": [{"spdxElementId": "SPDXRef-DOCUMENT",
            "relationshipType": "DESCRIBES", "relatedSpdxElement": "SPDXRef-app"}]}"#,
    );
    // Fulcio, Rekor and the timestamp authority, and a token that they take.
    let services = Services::start(World::at("guides", SystemTime::now()));
    let world = services.world();
    let commit = "0123456789abcdef0123456789abcdef01234567";
    let claims =
        server::workflow_claims(world, "acme/app", "release.yml", "refs/tags/v1.2.3", commit);
    project.write("token", &server::token(&claims));
    project.write("trusted_root.json", &world.trusted_root().to_string());
    project.write("signing_config.json", &services.signing_config(2).to_string());
    // The registry, and the image in it and in a layout.
    let registry = ImageRegistry::start(Referrers::Api, Door::Open);
    let image = registry.push_image("acme/app", Some("v1.2.3"), b"the program\n");
    let tag = serde_json::json!({ "org.opencontainers.image.ref.name": "v1.2.3" });
    registry.save("acme/app", &[("v1.2.3", tag)], &project.path("layout")).unwrap();
    let host = registry.repository("");
    let env = [("DSOPS_KEY_PASSPHRASE", "correct-horse")];
    let names = [("ghcr.io", host.trim_end_matches('/')), ("sha256:DIGEST", image.as_str())];
    let count = tour(&project, &guide::read("docs/signing.md"), &env, &names);
    assert!(count >= 11, "{count}");
}

/// Every command in every document is run as it is written, or is said not to be.
#[test]
fn no_command_stands_where_nothing_runs_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
    let of = |folder: &str| files(&root.join(folder));
    let top = std::fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().path());
    let documents: Vec<PathBuf> = top.chain(of("docs")).filter(|path| is_markdown(path)).collect();
    assert!(documents.len() > 40, "{documents:?}");
    let mut unrun = Vec::new();
    for path in documents {
        let name = path.strip_prefix(&root).unwrap().to_str().unwrap();
        // Written from the code: a test of the command line parses its examples.
        if name != "docs/reference/cli.md" {
            let text = std::fs::read_to_string(&path).unwrap();
            unrun.extend(unrun_commands(name, &text));
        }
    }
    assert_eq!(
        unrun,
        Vec::<String>::new(),
        "use `console` in a document that is run, or `<!-- not run: WHY -->`"
    );
}

fn is_markdown(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "md")
}

/// The commands in blocks that nothing runs, unless the line before the block says why.
fn unrun_commands(name: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let (mut fence, mut last) = (None, "");
    for line in text.lines() {
        match (fence, line.strip_prefix("```")) {
            (None, Some(kind)) => {
                let is_run = kind == "console" && RUN.contains(&name)
                    // `cargo xtask verify` runs those, on each release.
                    || kind == "console release";
                fence = Some(is_run || last.starts_with("<!-- not run: "));
            }
            (Some(_), Some(_)) => fence = None,
            (Some(false), None) => {
                let command = line.strip_prefix("$ ").unwrap_or(line);
                // Other documents tell of `cargo xtask` to those who change dsops; `ci` runs it.
                let is_build = command.starts_with("cargo ") && name == "README.md";
                let starts = ["dsops ", "eval \"$(dsops "];
                if is_build || starts.iter().any(|start| command.starts_with(start)) {
                    found.push(format!("{name}: {line}"));
                }
            }
            _ => {}
        }
        last = line;
    }
    found
}

#[test]
fn unrun_commands_are_found() {
    let found = |text: &str| unrun_commands("README.md", text).len();
    assert_eq!(found("```sh\ndsops plan\n```\n"), 1);
    assert_eq!(found("```\n$ dsops plan\n```\n"), 1);
    assert_eq!(found("```console\n$ dsops plan\n```\n"), 0);
    assert_eq!(found("<!-- not run: why -->\n```sh\ndsops plan\n```\n```sh\ndsops plan\n```\n"), 1);
    assert_eq!(found("```yaml\na: dsops plan\n```\n"), 0);
    assert_eq!(unrun_commands("docs/other.md", "```console\n$ dsops plan\n```\n").len(), 1);
}

#[test]
fn patterns_are_held_against_the_whole_output() {
    assert!(fits("a\n...\n", "a\nb\nc\n"));
    assert!(fits("a\n...\n", "a\n"));
    assert!(fits("a\n...\nc\n", "a\nb\nc\n"));
    assert!(fits("a ... c\n", "a b c\n"));
    assert!(!fits("a ... c\n", "a b d\n"));
    assert!(!fits("a\n", "a\nb\n"));
    assert!(!fits("a\nb\n", "a\n"));
    assert!(!fits("a\n...\n", "ab\n"));
    assert!(!fits("b\n...\n", "a\nb\n"));
    assert!(!fits("", "a"));
}
