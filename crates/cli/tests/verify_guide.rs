//! Every command of `docs/security/verify-releases.md`, run as it stands there on a release that the
//! stand-in for Sigstore signed.
#![cfg(all(unix, feature = "verify"))]
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test")]

mod common;

use std::process::Output;
use std::time::{Duration, SystemTime};

use common::Project;
use common::guide::{self, Block, blocks, files, fits};
use dsops_release_verify::{Algorithm as Hash, Digest};
use dsops_testkit::sigstore::{
    Algorithm, Key, Release, SshSig, TufRepository, World, base64, timestamp,
};
use dsops_testkit::{Door, HttpAnswer, HttpServer, ImageRegistry, Referrers};
use serde_json::{Value, json};

const GUIDE: &str = "docs/security/verify-releases.md";

/// What a user has to tell apart, by words of the guide that come right before the commands: the
/// exit code, the verdict of the artifact that it is about, and the check that decided.
const SEVEN: [(&str, i32, &str, &str); 7] = [
    ("2. **Verify**:", 0, "verified", "policy/signer"),
    ("**One byte was changed.**", 5, "failed", "signature/digest"),
    ("**The bundle is of another file.**", 5, "failed", "signature/digest"),
    ("**Somebody else signed.**", 5, "failed", "policy/identity"),
    ("**What was asked for is not there.**", 7, "undecided", "require/sbom"),
    ("**The root of trust had expired**", 5, "failed", "certificate/chain"),
    ("**A file that nobody signed**", 7, "undecided", "evidence/none"),
];

/// All that the guide is about.
struct Lab {
    project: Project,
    network: Network,
}

impl Lab {
    /// A fresh one, after what comes before the block.
    fn new(guide: &str, block: &Block) -> Self {
        let project = Project::empty();
        let release = Release::write(project.folder.path(), "guide").unwrap();
        let network = Network::new(&project, &release.world);
        signatures_of_other_tools(&project, &release.world);
        packages(&project, &release.world);
        project.write("expired_root.json", &expired(&release.world).to_string());
        for (name, content) in files(guide) {
            project.write(name, content);
        }
        if let Some(script) = &block.before {
            assert!(sh(&project, script).status.success(), "{script}");
        }
        Self { project, network }
    }

    /// Runs a command of the guide.
    fn run(&self, command: &str) -> Output {
        sh(&self.project, &self.network.real(&with_root(command)))
    }
}

/// Authorities that had ended when everything was signed.
fn expired(world: &World) -> Value {
    let mut root = world.trusted_root();
    let end = timestamp(world.now - Duration::from_hours(24));
    for authority in ["certificateAuthorities", "timestampAuthorities"] {
        for entry in root[authority].as_array_mut().unwrap() {
            entry["validFor"]["end"] = json!(end);
        }
    }
    root
}

/// Files in `tools`, each signed in another way.
fn signatures_of_other_tools(project: &Project, world: &World) {
    let content = "the program\n";
    std::fs::create_dir(project.path("tools")).unwrap();
    let put = |name: &str, extension: &str, evidence: &str| {
        project.write(&format!("tools/{name}.tar.gz"), content);
        project.write(&format!("tools/{name}.tar.gz{extension}"), evidence);
    };
    let signed = world.sign(content.as_bytes()).make();
    put("bundled", ".bundle", &signed.cosign_bundle().to_string());
    put("pair", ".sig", &signed.detached());
    put("pair", ".pem", &signed.certificates[0].pem());
    let key = Key::new(Algorithm::P256, "guide cosign");
    put("keyed", ".sig", &base64(&key.sign(content.as_bytes())));
    project.write("cosign.pub", &key.public_pem());
    let ssh = SshSig::new(&Key::new(Algorithm::Ed25519, "guide ssh"));
    put("by-ssh", ".sig", &ssh.sign(content.as_bytes()));
    project.write("allowed_signers", &ssh.allowed_signer("lead@example.org"));
}

/// A package of npm and a file of the Python index, with the documents their registries give out.
fn packages(project: &Project, world: &World) {
    let content = "the package\n";
    let digest = |hash| Digest::of(hash, content.as_bytes()).hex();
    let key = Key::new(Algorithm::P256, "guide registry");
    let publication = json!({
        "_type": "https://in-toto.io/Statement/v0.1",
        "subject": [{ "name": "pkg:npm/%40octo/tool@1.2.3", "digest": { "sha512": digest(Hash::Sha512) } }],
        "predicateType": "https://github.com/npm/attestation/tree/main/specs/publish/v0.1",
        "predicate": { "name": "@octo/tool", "version": "1.2.3", "registry": "https://npm.example" },
    });
    let bundle = world.attest(&publication).managed(&key).bundle();
    let document = json!({ "attestations": [{ "predicateType": "publish", "bundle": bundle }] });
    let valid = json!({ "start": timestamp(world.now - Duration::from_hours(24)) });
    let public = json!({ "rawBytes": base64(&key.spki()), "validFor": valid });
    let keys = json!({ "keys": [
        { "keyId": key.hint(), "keyUsage": "npm:attestations", "publicKey": public },
    ] });
    project.write("tool-1.2.3.tgz", content);
    project.write("attestations.json", &document.to_string());
    project.write("keys.json", &keys.to_string());

    let wheel = "octo_tool-1.2.3-py3-none-any.whl";
    let bundle = world
        .attest(&json!({
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{ "name": wheel, "digest": { "sha256": digest(Hash::Sha256) } }],
            "predicateType": "https://docs.pypi.org/attestations/publish/v1",
            "predicate": null,
        }))
        .bundle();
    let material = &bundle["verificationMaterial"];
    let attestation = json!({
        "version": 1,
        "verification_material": {
            "certificate": material["certificate"]["rawBytes"],
            "transparency_entries": material["tlogEntries"],
        },
        "envelope": {
            "statement": bundle["dsseEnvelope"]["payload"],
            "signature": bundle["dsseEnvelope"]["signatures"][0]["sig"],
        },
    });
    let publisher =
        json!({ "kind": "GitHub", "repository": "octo/demo", "workflow": "release.yml" });
    let provenance = json!({ "version": 1, "attestation_bundles": [
        { "publisher": publisher, "attestations": [attestation] },
    ] });
    project.write(wheel, content);
    project.write("provenance.json", &provenance.to_string());
}

/// The servers that the guide names, by others in this process.
struct Network {
    registry: ImageRegistry,
    mirror: HttpServer,
}

impl Network {
    /// Makes the image of the guide, in a registry and in layouts, and the repository of an own root.
    fn new(project: &Project, world: &World) -> Self {
        const NAME: &str = "octo/demo";
        let registry = ImageRegistry::start(Referrers::Api, Door::Open);
        let image = registry.push_image(NAME, Some("v1.2.3"), b"the program\n");
        let tag = |name: &str| json!({ "org.opencontainers.image.ref.name": name });
        let image_tag = ("v1.2.3", tag("v1.2.3"));
        let unsigned = project.path("unsigned");
        registry.save(NAME, std::slice::from_ref(&image_tag), &unsigned).unwrap();
        registry.sign(NAME, &image, &image, world, &World::identity());
        let [_, amd64, _] = registry.push_platforms(NAME, "multi");
        registry.sign(NAME, &amd64, &amd64, world, &World::identity());
        let sig = format!("{}.sig", image.replace(':', "-"));
        registry.save(NAME, &[image_tag, (&sig, tag(&sig))], &project.path("image")).unwrap();
        let statement = json!({
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{ "name": NAME, "digest": { "sha256": image.strip_prefix("sha256:").unwrap() } }],
            "predicateType": "https://sigstore.dev/cosign/sign/v1",
            "predicate": {},
        });
        let bundle = world.attest(&statement).bundle().to_string();
        project.write("image.sigstore.json", &bundle);
        let mut repository = TufRepository::new("guide", SystemTime::now());
        repository.set_target("trusted_root.json", world.trusted_root().to_string().as_bytes());
        project.write("root.json", &String::from_utf8(repository.start()).unwrap());
        let mirror = HttpServer::start(move |request| {
            let found = repository.files.get(request.path().trim_start_matches('/'));
            let found = found.map(|content| HttpAnswer::new(200, content.clone()));
            found.unwrap_or_else(|| HttpAnswer::new(404, ""))
        });
        assert!(sh(project, "tar -C image -cf image.tar .").status.success());
        Self { registry, mirror }
    }

    fn names(&self) -> [(&str, String); 2] {
        let registry = self.registry.repository("");
        [
            ("registry.example.org", registry.trim_end_matches('/').to_owned()),
            ("https://tuf.example.org", self.mirror.url("")),
        ]
    }

    /// A command of the guide, as it is run.
    fn real(&self, command: &str) -> String {
        let names = self.names();
        names.iter().fold(command.to_owned(), |text, (name, real)| text.replace(name, real))
    }

    /// What a run says, as the guide has it.
    fn shown(&self, output: &str) -> String {
        let names = self.names();
        names.iter().fold(output.to_owned(), |text, (name, real)| text.replace(real, name))
    }
}

fn sh(project: &Project, script: &str) -> Output {
    guide::shell(project, script).output().unwrap()
}

/// The stand-in is not among the roots that come with dsops, so it is named.
fn with_root(command: &str) -> String {
    let verifies = command.contains("dsops verify ")
        && !["explain", "sha256", "trust", "policy check"]
            .iter()
            .any(|own| command.contains(&format!("verify {own}")));
    if verifies && !command.contains("--trusted-root") {
        format!("{command} --trusted-root trusted_root.json")
    } else {
        command.to_owned()
    }
}

#[test]
fn every_command_of_the_guide_does_what_it_says() {
    let guide = guide::read(GUIDE);
    let mut count = 0;
    for block in blocks(&guide) {
        let lab = Lab::new(&guide, &block);
        for step in &block.steps {
            let output = lab.run(&step.command);
            let said = lab.network.shown(&String::from_utf8_lossy(&output.stdout));
            let errors = String::from_utf8_lossy(&output.stderr);
            let at = format!("line {}: {}\n{said}{errors}", block.line, step.command);
            assert_eq!(output.status.code(), Some(step.code), "{at}");
            assert!(fits(&step.output, &said), "{at}\nis not\n{}", step.output);
            count += usize::from(step.command.contains("dsops verify"));
        }
    }
    assert!(count >= 44, "{count}");
}

#[test]
fn a_user_with_only_the_files_and_the_guide_gets_the_seven_verdicts() {
    let guide = guide::read(GUIDE);
    let blocks = blocks(&guide);
    for (words, exit_code, verdict, code) in SEVEN {
        let at = guide.find(words).unwrap_or_else(|| panic!("the guide has no `{words}`"));
        let line = guide[..at].lines().count();
        let block = blocks.iter().find(|block| block.line > line).unwrap();
        let lab = Lab::new(&guide, block);
        let output = lab.run(&format!("{} --json", block.steps[0].command));
        let said: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(exit_code), "{words}: {said:#}");
        assert_eq!(block.steps[0].code, exit_code, "{words}: what the guide says");
        assert_eq!(said["verdict"], verdict, "{words}: {said:#}");
        // Only the artifact in question decides: whatever else is in the folder passes.
        let artifacts = said["artifacts"].as_array().unwrap();
        let passes = |artifact: &&Value| artifact["verdict"] == "verified";
        let (good, bad): (Vec<&Value>, Vec<&Value>) = artifacts.iter().partition(passes);
        assert_eq!(bad.len(), usize::from(exit_code != 0), "{words}: {said:#}");
        let decided = bad.first().unwrap_or_else(|| &good[0])["findings"].as_array().unwrap();
        let state = if exit_code == 0 { "passed" } else { verdict };
        assert!(
            decided.iter().any(|finding| finding["code"] == code && finding["state"] == state),
            "{words}: {said:#}"
        );
        // What failed or could not be decided is the reason, and no second fault was made by the test.
        let wrong = decided.iter().filter(|finding| finding["state"] == "failed").count();
        assert_eq!(wrong > 0, exit_code == 5, "{words}: {said:#}");
    }
}
