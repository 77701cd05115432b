//! `dsops sign IMAGE` and `dsops attest … IMAGE` through the real binary: layouts and a registry in this process.
#![cfg(all(unix, feature = "sign"))]
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test")]

mod common;

use std::process::Output;

use common::{Project, code, files, stderr};
use dsops_testkit::{Door, HttpAnswer, ImageRegistry, Referrers};
use serde_json::{Value, json};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const TAGGED: &str = "org.opencontainers.image.ref.name";

struct Lab {
    project: Project,
    registry: ImageRegistry,
    image: String,
}

impl Lab {
    fn new(referrers: Referrers, door: Door) -> Self {
        let project = Project::empty();
        assert_eq!(code(&project.run(&["sign", "keygen", "-o", "k", "--no-passphrase"])), 0);
        let registry = ImageRegistry::start(referrers, door);
        let image = registry.push_image("app", Some("v1"), b"the program");
        Self { project, registry, image }
    }

    fn name(&self) -> String {
        format!("{}@{}", self.registry.repository("app"), self.image)
    }

    fn sign(&self, word: &str) -> Output {
        self.project.run(&["sign", word, "--key", "k.key"])
    }

    fn provenance(&self, word: &str) -> Output {
        let source = "git+https://github.com/octo/demo@refs/tags/v1";
        self.project.run(&[
            "attest",
            "provenance",
            word,
            "--key",
            "k.key",
            "--source-uri",
            source,
            "--source-digest",
            COMMIT,
        ])
    }

    fn verify(&self, word: &str, more: &[&str]) -> Output {
        let key = ["--key", "k.pub", "--keys-without-log"];
        self.project.run(&[&["verify", word], &key[..], more].concat())
    }
}

fn shown(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), stderr(output))
}

#[test]
fn registries_of_all_kinds() {
    for referrers in [Referrers::Api, Referrers::Tag] {
        let lab = Lab::new(referrers, Door::Open);
        let name = lab.name();
        assert_eq!(code(&lab.verify(&name, &["--online"])), 7, "nobody signed it yet");
        let output = lab.sign(&name);
        assert_eq!(code(&output), 0, "{}", shown(&output));
        assert!(
            shown(&output).starts_with(&format!("signed {name} by the key ")),
            "{}",
            shown(&output)
        );
        let output = lab.provenance(&name);
        assert_eq!(code(&output), 0, "{}", shown(&output));
        let verified = lab.verify(&name, &["--online", "--require", "provenance"]);
        assert_eq!(code(&verified), 0, "{}", shown(&verified));
        // Where the registry keeps no list, one of both is under the tag that stands in for it.
        let list = lab.registry.manifest("app", &lab.image.replace(':', "-"));
        let list: Option<Value> = list.map(|list| serde_json::from_slice(&list).unwrap());
        match referrers {
            Referrers::Tag => assert_eq!(list.unwrap()["manifests"].as_array().unwrap().len(), 2),
            _ => assert!(list.is_none()),
        }
        // Evidence about one image is none about another.
        let other = lab.registry.push_image("app", Some("v2"), b"another program");
        let other = format!("{}@{other}", lab.registry.repository("app"));
        assert_eq!(code(&lab.verify(&other, &["--online"])), 7);
    }
}

#[test]
fn tags_are_shown_and_not_signed() {
    let lab = Lab::new(Referrers::Api, Door::Open);
    for word in [
        format!("{}:v1", lab.registry.repository("app")),
        format!("docker://{}", lab.registry.repository("app")),
    ] {
        let before = lab.registry.requests().len();
        let output = lab.sign(&word);
        let expected = if word.ends_with(":v1") { 2 } else { 4 };
        assert_eq!(code(&output), expected, "{}", shown(&output));
        if expected == 2 {
            assert!(shown(&output).contains(&lab.name()), "{}", shown(&output));
        }
        let asked = lab.registry.requests();
        assert!(asked[before..].iter().all(|request| request.method == "GET"));
    }
    let missing = format!("{}@sha256:{}", lab.registry.repository("app"), "0".repeat(64));
    assert_eq!(code(&lab.sign(&missing)), 4);
    // A registry that sends another image than was asked for.
    let digest = lab.image.clone();
    let other = lab.registry.push_image("app", None, b"another program");
    let other = lab.registry.manifest("app", &other).unwrap();
    lab.registry.lie(move |request| {
        (request.method == "GET" && request.path().ends_with(&digest)).then(|| {
            HttpAnswer::new(200, other.clone())
                .with("content-type", "application/vnd.oci.image.manifest.v1+json")
        })
    });
    let output = lab.sign(&lab.name());
    assert_eq!(code(&output), 5, "{}", shown(&output));
    assert!(lab.registry.requests().iter().all(|request| request.method != "PUT"));
}

#[test]
fn who_pushes_has_to_log_in() {
    for door in [Door::Basic("me:hunter2".into()), Door::Token(Some("me:hunter2".into()))] {
        let lab = Lab::new(Referrers::Api, door.clone());
        let output = lab.sign(&lab.name());
        assert_eq!(code(&output), 4, "{}", shown(&output));
        let host = lab.registry.repository("");
        let auth =
            json!({ "auths": { host.trim_end_matches('/'): { "auth": "bWU6aHVudGVyMg==" } } });
        std::fs::create_dir_all(lab.project.path("home/.docker")).unwrap();
        lab.project.write("home/.docker/config.json", &auth.to_string());
        let output = lab.sign(&lab.name());
        assert_eq!(code(&output), 0, "{door:?}: {}", shown(&output));
        assert!(!shown(&output).contains("hunter2"));
        let verified = lab.verify(&lab.name(), &["--online"]);
        assert_eq!(code(&verified), 0, "{}", shown(&verified));
    }
}

#[test]
fn uploads_go_nowhere_else() {
    let elsewhere = ImageRegistry::start(Referrers::Api, Door::Open);
    let lab = Lab::new(Referrers::Api, Door::Open);
    let to = format!("http://{}v2/app/blobs/uploads/1?state=begun", elsewhere.repository(""));
    lab.registry.lie(move |request| {
        (request.method == "POST").then(|| HttpAnswer::new(202, "").with("location", &*to))
    });
    let output = lab.sign(&lab.name());
    assert_eq!(code(&output), 4, "{}", shown(&output));
    assert!(elsewhere.requests().is_empty());
    lab.registry.lie(|request| (request.method == "PUT").then(|| HttpAnswer::new(500, "")));
    assert_eq!(code(&lab.sign(&lab.name())), 4);
}

#[test]
fn what_was_signed_before_a_failure_is_told_and_signed_again_without_harm() {
    let lab = Lab::new(Referrers::Api, Door::Open);
    let name = |digest: &str| format!("{}@{digest}", lab.registry.repository("app"));
    let push = |content: &str| name(&lab.registry.push_image("app", None, content.as_bytes()));
    let all = [lab.name(), push("second"), push("third")];
    let sign = |more: &[&str]| {
        let words = ["sign", &all[0], &all[1], &all[2], "--key", "k.key"];
        lab.project.run(&[&words, more].concat())
    };
    let is_signed = || all.each_ref().map(|name| code(&lab.verify(name, &["--online"])) == 0);
    // One that is not there: nothing is signed.
    let missing = name(&format!("sha256:{}", "0".repeat(64)));
    let output = lab.project.run(&["sign", &all[0], &missing, "--key", "k.key"]);
    assert_eq!(code(&output), 4, "{}", shown(&output));
    assert_eq!(is_signed(), [false; 3]);

    // The registry takes the manifest of the first, and then no more.
    let taken = std::sync::atomic::AtomicUsize::new(0);
    lab.registry.lie(move |request| {
        let is_manifest = request.method == "PUT" && request.path().contains("/manifests/");
        let count = || taken.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        (is_manifest && count() > 0).then(|| HttpAnswer::new(507, ""))
    });
    let output = sign(&["--json"]);
    assert_eq!(code(&output), 4, "{}", shown(&output));
    let told = stderr(&output);
    let expected = format!("signed: {}; not signed: {}, {}", all[0], all[1], all[2]);
    assert!(told.contains(&expected), "{told}");
    let list: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(list["signed"].as_array().unwrap().len(), 1, "{list}");
    assert_eq!(list["signed"][0]["image"], all[0]);
    assert_eq!(is_signed(), [true, false, false]);

    lab.registry.lie(|_| None);
    let output = sign(&[]);
    assert_eq!(code(&output), 0, "{}", shown(&output));
    assert_eq!(is_signed(), [true; 3]);
}

#[test]
fn layouts() {
    let lab = Lab::new(Referrers::Api, Door::Open);
    let layout = lab.project.path("layout");
    lab.registry.save("app", &[("v1", json!({ TAGGED: "v1" }))], &layout).unwrap();
    for word in ["layout", "oci:layout:v1"] {
        let output = lab.sign(word);
        assert_eq!(code(&output), 0, "{}", shown(&output));
        assert!(shown(&output).contains(&lab.image), "{}", shown(&output));
    }
    assert_eq!(code(&lab.provenance("layout")), 0);
    let verified = lab.verify("layout", &["--require", "provenance"]);
    assert_eq!(code(&verified), 0, "{}", shown(&verified));
    let index: Value = serde_json::from_str(&lab.project.read("layout/index.json")).unwrap();
    assert_eq!(index["manifests"].as_array().unwrap().len(), 4);

    let before = files(&layout);
    for (word, wanted) in [("oci:layout:v2", 4), ("oci:missing", 2)] {
        let output = lab.sign(word);
        assert_eq!(code(&output), wanted, "{word}: {}", shown(&output));
    }
    lab.project.write("app", "a file\n");
    let mixed = lab.project.run(&["sign", "app", "layout", "--key", "k.key"]);
    assert_eq!(code(&mixed), 2, "{}", shown(&mixed));
    let out = lab.project.run(&["sign", "layout", "--key", "k.key", "--output", "x"]);
    assert_eq!(code(&out), 2, "{}", shown(&out));
    assert_eq!(files(&layout), before);
}
