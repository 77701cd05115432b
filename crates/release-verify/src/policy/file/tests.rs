//! Policy files that are read, and what is wrong with others.

use super::*;

#[test]
fn one_file_has_one_rule_however_its_path_is_spelt() {
    let policy = file(
        "version: 1\nsigners: { ci: { github: octo/demo }, any: { github: octo/other } }\n\
         artifacts: [{ match: 'dist/**', signed-by: ci }, { signed-by: any }]\n",
    )
    .unwrap();
    let is_strict = |name: &str| !policy.rule_for(name).unwrap().names.is_empty();
    for name in ["dist/app", "./dist/app", "dist//app", "x/../dist/./app", "dist/a/../app"] {
        assert!(is_strict(name), "{name}");
    }
    for name in ["app", "dist/../app", "../dist/app", "/dist/app", "dist/../../app"] {
        assert!(!is_strict(name), "{name}");
    }
}

const KEY: &str = "-----BEGIN PUBLIC KEY-----\n\
    MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n\
    -----END PUBLIC KEY-----\n";

const OLD_KEY: &str = "-----BEGIN PUBLIC KEY-----\n\
    MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n\
    -----END PUBLIC KEY-----\n";

fn file(text: &str) -> Result<PolicyFile, PolicyFileError> {
    let read = PolicyFile::read(text.as_bytes(), &Origin::new("p.yaml"), |name| match name {
        "keys/release.pub" => Ok(KEY.into()),
        "keys/old.pub" => Ok(OLD_KEY.into()),
        "roots/public.json" => Ok(sigstore_trust_root::SIGSTORE_PRODUCTION_TRUSTED_ROOT.into()),
        _ => Err(io::ErrorKind::NotFound.into()),
    });
    if read.is_ok() {
        let faults = super::super::schema::tests::faults(text);
        assert!(faults.is_empty(), "the schema refuses what is read: {faults:?}");
    }
    read
}

const FULL: &str = r#"
version: 1
trusted-roots: [roots/public.json]
signers:
  ci:
    github: octo/demo@v*
    claims: { runner-environment: github-hosted, trigger: { glob: "release*" } }
  lead:
    identity: lead@example.org
    issuer-glob: https://*.example.org
  offline: { key: keys/release.pub }
  old: { key: keys/old.pub, hint: old, valid-until: 2025-01-01T00:00:00Z }
artifacts:
  - match: ["*.tar.gz", "bin/**"]
    signed-by: [ci, lead]
    threshold: 2
    require: [provenance, sbom]
    provenance:
      source: github.com/octo/demo
      versioned-tag: v1
      hosted-runners-only: true
      inputs: { channel: stable }
    logs: 1
    timestamps: 2
  - signed-by: offline
    keys-without-log: true
"#;

#[test]
fn everything_a_policy_file_may_hold() {
    let file = file(FULL).unwrap();
    assert_eq!(file.trusted_roots.as_ref().unwrap().iter().count(), 1);
    assert_eq!((file.keys.len(), file.trusted_keys.len()), (1, 1));
    let rule = file.rule_for("dist/demo-1.0.tar.gz").unwrap();
    assert_eq!(rule.demands.signers().threshold(), 2);
    assert_eq!(rule.demands.signers().signers().len(), 2);
    assert_eq!((rule.thresholds.logs, rule.thresholds.times), (1, 2));
    let words: Vec<_> = rule.demands.requirements().map(Requirement::name).collect();
    assert_eq!(words, ["signature", "provenance", "sbom"]);
    assert!(std::ptr::eq(file.rule_for("bin/a/b").unwrap(), rule));
    let other = file.rule_for("README.md").unwrap();
    assert!(other.thresholds.keys_without_log);
    let mut signers = other.demands.signers().signers();
    assert!(matches!(signers.next(), Some([SignerRule::Key { .. }])));
}

#[test]
fn an_image_has_a_rule_by_all_of_its_repository() {
    let policy = file(
        "version: 1\nsigners: { ci: { github: octo/demo } }\nartifacts:\n  \
         - { match: [app, '*.gz'], require: sbom }\n  \
         - { match: ['ghcr.io/octo/app', 'ghcr.io/team/*'], threshold: 1 }\n  \
         - { match: '**/loose' }\n",
    )
    .unwrap();
    let place = |rule: Option<&ArtifactRule>| rule.map(|rule| rule.place.line);
    let image = |name: &str| place(policy.rule_for_image(name));
    assert_eq!(image("ghcr.io/octo/app"), Some(5));
    assert_eq!(image("ghcr.io/team/any"), Some(5));
    assert_eq!(image("ghcr.io/a/b/loose"), Some(6));
    for other in ["ghcr.io/evil/app", "app", "evil.example/x.gz", "ghcr.io/team/a/b"] {
        let by_name = ["app"].contains(&other).then_some(4);
        assert_eq!(image(other), by_name, "{other}");
    }
    // A file, and an archive or folder with an image in it, by its name alone too.
    assert_eq!(place(policy.rule_for("downloads/app")), Some(4));
    let all = file("version: 1\nsigners: { ci: { github: octo/demo } }\n").unwrap();
    assert!(all.rule_for_image("ghcr.io/octo/app").is_some());
}

#[test]
fn two_keys_of_one_signer_are_not_two_signers() {
    let text = |signers: &str| {
        format!("version: 1\nsigners: {{ {signers} }}\nartifacts:\n  - threshold: 2\n")
    };
    // The same key at other times would be good at the times of both.
    let times = "[{ key: keys/release.pub, valid-until: 2025-01-01T00:00:00Z }]";
    let twice = file(&text(&format!("old: {times}, new: {{ key: keys/release.pub }}")));
    assert!(twice.unwrap_err().problem.contains("other times"));
    assert!(file(&text(&format!("old: {times}, new: {times}"))).is_ok());
    let keys = "[{ key: keys/release.pub }, { key: keys/release.pub, hint: spare }]";
    assert!(file(&text(&format!("ann: {keys}"))).is_err());
    let policy = file(&text(&format!("ann: {keys}, bob: {{ github: o/a }}"))).unwrap();
    assert_eq!((policy.keys.len(), policy.trusted_keys.len()), (1, 1));
    let mut signers = policy.rules[0].demands.signers().signers();
    assert_eq!(signers.next().map(<[_]>::len), Some(2));
}

#[test]
fn registries() {
    let text = "version: 1\nsigners: { npm: { registry: npm }, hub: { registry: github-releases }, ci: { github: octo/demo } }\n\
                artifacts:\n  - { match: '*.tgz', published: 'npm:@octo/demo', signed-by: npm }\n  \
                - { match: '*.whl', published: pypi, signed-by: ci }\n  \
                - { published: 'github-release:octo/demo@v1', signed-by: hub }\n";
    let policy = file(text).unwrap();
    assert_eq!((policy.keys.len(), policy.trusted_keys.len()), (0, 2));
    let published = |name: &str| &policy.rule_for(name).unwrap().demands.publication;
    assert!(
        matches!(published("a.tgz"), Some(Publication::Npm { keys, .. }) if keys.keys().len() == 2)
    );
    assert_eq!(*published("a.whl"), Some(Publication::Pypi));
    assert!(matches!(published("a"), Some(Publication::GithubRelease(_))));
}

#[test]
fn without_artifacts_it_is_for_all_and_any_signer() {
    let file = file("version: 1\nsigners: { a: { github: o/a }, b: { github: o/b } }\n").unwrap();
    let rule = file.rule_for("x").unwrap();
    assert_eq!(
        (rule.demands.signers().threshold(), rule.demands.signers().signers().len()),
        (1, 2)
    );
}

#[test]
fn what_is_wrong_is_shown_with_its_place() {
    let ok = "version: 1\nsigners:\n  a: { github: o/a }\n";
    for (text, place, word) in [
        ("", "1:1", "empty"),
        ("version: 2\n", "1:10", "version 1"),
        ("version: 1\n", "1:1", "signers"),
        ("version: 1\nsigners: {}\n", "1:1", "no signer"),
        ("version: 1\nsigner: {}\n", "1:1", "signers"),
        (&format!("{ok}artefacts: []\n"), "4:1", "artifacts"),
        (&format!("{ok}artifacts: []\n"), "4:12", "no artifact"),
        ("version: 1\nsigners:\n  a: { identity: x }\n", "3:6", "issuer"),
        ("version: 1\nsigners:\n  a: { issuer: x }\n", "3:6", "identity"),
        ("version: 1\nsigners:\n  a: { github: o/a/b }\n", "3:16", "repository"),
        ("version: 1\nsigners:\n  a: { key: nothing.pub }\n", "3:13", "not found"),
        ("version: 1\nsigners:\n  a: { github: o/a, claims: { repo: x } }\n", "3:31", "repository"),
        ("version: 1\nsigners:\n  a: { identity-regex: \".*\", issuer: x }\n", "3:24", "anything"),
        (
            "version: 1\nsigners:\n  a: { identity: x, identity-glob: y*, issuer: x }\n",
            "3:36",
            "three",
        ),
        (&format!("{ok}artifacts:\n  - signed-by: [b]\n"), "5:17", "signer"),
        (&format!("{ok}artifacts:\n  - threshold: 2\n"), "5:5", "more signers"),
        (&format!("{ok}artifacts:\n  - threshold: 0\n"), "5:5", "more signers"),
        (&format!("{ok}artifacts:\n  - signed-by: [a, a]\n    threshold: 2\n"), "5:20", "twice"),
        (&format!("{ok}artifacts:\n  - published: npm:x@1.0\n"), "5:16", "registry: npm"),
        (&format!("{ok}artifacts:\n  - published: npm\n"), "5:16", "npm:NAME"),
        ("version: 1\nsigners: { a: { registry: npm } }\n", "1:1", "signs every package"),
        (
            "version: 1\nsigners: { a: { registry: github-releases } }\nartifacts: [{ published: pypi }]\n",
            "3:13",
            "signs every release",
        ),
        ("version: 1\nsigners:\n  a: []\n", "3:6", "way"),
        ("version: 1\nsigners:\n  a: { registry: nmp }\n", "3:18", "`npm`"),
        ("version: 1\nsigners:\n  a: { gitlab: octo }\n", "3:16", "GitLab"),
        (&format!("{ok}artifacts:\n  - threshold: x\n"), "5:16", "number"),
        (&format!("{ok}artifacts:\n  - require: [provenence]\n"), "5:15", "provenance"),
        (&format!("{ok}artifacts:\n  - match: '**'\n"), "5:12", "leave"),
        (&format!("{ok}artifacts:\n  - provenance: {{ tag: v1 }}\n"), "5:17", "source"),
        (&format!("{ok}artifacts:\n  - keys-without-log: yes\n"), "5:23", "true or false"),
        // What reads as nobody or nothing, and would be everybody and everything.
        (&format!("{ok}artifacts:\n  - signed-by: []\n"), "5:16", "leave it out"),
        (&format!("{ok}artifacts:\n  - match: []\n"), "5:12", "leave it out"),
        (&format!("{ok}artifacts:\n  - require: []\n"), "5:14", "leave it out"),
        (&format!("{ok}trusted-roots: []\n"), "4:16", "leave it out"),
        ("version: 1\nsigners:\n  a: { github: o/a, claims: {} }\n", "3:29", "leave it out"),
        (
            &format!("{ok}artifacts:\n  - provenance: {{ source: a.b/c/d, builder: [] }}\n"),
            "5:45",
            "leave it out",
        ),
        (
            &format!(
                "{ok}artifacts:\n  - provenance: {{ source: a.b/c/d, builder: 'https://x', isolated-builders: true }}\n"
            ),
            "5:45",
            "not both",
        ),
        // Patterns that fit no name, so that a later rule would hold.
        (&format!("{ok}artifacts:\n  - match: ./dist/x\n"), "5:12", "without `./`"),
        (&format!("{ok}artifacts:\n  - match: dist/\n"), "5:12", "without `./`"),
        (&format!("{ok}artifacts:\n  - match: [a, x/../b]\n"), "5:16", "without `./`"),
        (&format!("{ok}artifacts:\n  - match: '*.{{gz,zip}}'\n"), "5:12", "brace"),
        (&format!("{ok}artifacts:\n  - match: \u{430}pp\n"), "5:12", "\\u0430"),
        (&format!("{ok}artifacts:\n  - match: *.gz\n"), "5:12", "quotes"),
        (&format!("{ok}artifacts:\n  - threshold: 010\n"), "5:16", "number"),
        (&format!("{ok}artifacts:\n  - threshold: +1\n"), "5:16", "number"),
        (
            "version: 1\nsigners:\n  a: { identity: https://x/*, issuer: x }\n",
            "3:18",
            "identity-glob",
        ),
        (
            "version: 1\nsigners:\n  a: { github: o/a, claims: { ref: refs/tags/v* } }\n",
            "3:36",
            "glob",
        ),
        // Files only.
        ("version: 1\nsigners:\n  a: { key: '-' }\n", "3:13", "standard input"),
        ("version: 1\nsigners:\n  a: { registry-keys: '-' }\n", "3:23", "standard input"),
        (&format!("{ok}trusted-roots: ['-']\n"), "4:17", "standard input"),
        ("version: 1\nsigners:\n  a: { key: '' }\n", "3:13", "file"),
        ("version: 1\nsigners:\n  a: { key: 'https://x/k' }\n", "3:13", "fetched"),
        (
            "version: 1\nsigners:\n  a: { key: keys/release.pub, valid-from: 2025-01-01T00:00:00Z, valid-until: 2024-01-01T00:00:00Z }\n",
            "3:13",
            "at no time",
        ),
        (&format!("{ok}artifacts:\n  - match:\n"), "5:10", "missing"),
        ("version: 1\nsigners:\n  a: { identity: null, issuer: x }\n", "3:18", "missing"),
        ("version: 1\nsigners: { <<: { a: { github: o/a } } }\n", "2:12", "merge"),
        ("version: 1\nsigners: &x {}\n", "2:13", "anchors"),
        ("version: 1\nversion: 1\n", "2:1", "twice"),
    ] {
        let error = file(text).unwrap_err();
        let shown = format!("{error} {}", error.help.as_deref().unwrap_or_default());
        assert!(shown.starts_with(&format!("p.yaml:{place}: ")), "{text:?}: {shown}");
        assert!(shown.contains(word), "{text:?}: {shown}");
    }
}
