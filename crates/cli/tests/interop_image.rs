//! `dsops verify` beside the tools of others: an image that skopeo pushed to Debian's docker-registry, with the
//! evidence where cosign attaches it.
#![cfg(all(unix, feature = "verify"))]
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::print_stdout, reason = "a test")]

mod common;

use std::process::{Command, Output};

use common::{Project, code, stderr};
use dsops_testkit::sigstore::{World, hex, sha256};
use dsops_testkit::{DockerRegistry, Door, ImageRegistry, Referrers, named_program};
use serde_json::json;

fn shown(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), stderr(output))
}

#[test]
fn an_image_that_skopeo_pushed() {
    let (Some(registry), Some(skopeo)) =
        (named_program("DSOPS_TEST_REGISTRY"), named_program("DSOPS_TEST_SKOPEO"))
    else {
        return;
    };
    let (project, world) = (Project::empty(), World::new("interop image"));
    project.write("trusted_root.json", &world.trusted_root().to_string());

    // What is pushed: the image and its signature, made here and saved as a layout.
    let ours = ImageRegistry::start(Referrers::Api, Door::Open);
    let image = ours.push_image("app", Some("v1"), b"the program");
    ours.sign("app", &image, &image, &world, &World::identity());
    let sig = format!("{}.sig", image.replace(':', "-"));
    let tag = |name: &str| json!({ "org.opencontainers.image.ref.name": name });
    ours.save("app", &[("v1", tag("v1")), (&sig, tag(&sig))], &project.path("layout")).unwrap();

    let theirs = DockerRegistry::start(&registry, project.folder.path());
    let copy = |from: &str, to: &str| {
        let output = Command::new(&skopeo)
            .args(["--insecure-policy", "copy", "--quiet", "--preserve-digests"])
            .args(["--src-tls-verify=false", "--dest-tls-verify=false", from, to])
            .current_dir(project.folder.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "skopeo {from} {to}: {}", stderr(&output));
    };
    let name = format!("{}/app", theirs.address());
    for tag in ["v1", &sig] {
        copy(&format!("oci:layout:{tag}"), &format!("docker://{name}:{tag}"));
    }
    let verify = |word: &str, policy: &str, more: &[&str]| {
        let roots = ["--trusted-root", "trusted_root.json"];
        project.run(&[&["verify", word, "--policy", policy], &roots[..], more].concat())
    };
    let tagged = format!("{name}:v1");
    let good = verify(&tagged, "github:octo/demo", &["--online"]);
    assert_eq!(code(&good), 0, "{}", shown(&good));
    assert!(shown(&good).contains(&format!("verified: {name}@{image}")), "{}", shown(&good));
    let other = verify(&tagged, "github:octo/other", &["--online"]);
    assert_eq!(code(&other), 5, "{}", shown(&other));
    assert_eq!(code(&verify(&tagged, "github:octo/demo", &[])), 2);

    // Back to this machine, as archives of both kinds that skopeo writes.
    copy(&format!("docker://{tagged}"), "oci-archive:oci.tar:v1");
    let bare = verify("oci.tar", "github:octo/demo", &[]);
    assert_eq!(code(&bare), 7, "its signature is not in it: {}", shown(&bare));
    assert!(shown(&bare).contains(&image), "{}", shown(&bare));

    // The registry's own files are changed: the manifest, by one letter.
    let digits = image.strip_prefix("sha256:").unwrap();
    let blob = project.path("registry/docker/registry/v2/blobs/sha256");
    let blob = blob.join(&digits[..2]).join(digits).join("data");
    let manifest = std::fs::read_to_string(&blob).unwrap();
    assert_eq!(hex(&sha256(manifest.as_bytes())), digits);
    let bad = manifest.replacen("image.layer", "image.layes", 1);
    assert_ne!(bad, manifest);
    std::fs::write(&blob, bad).unwrap();
    for word in [format!("{name}@{image}"), tagged] {
        let tampered = verify(&word, "github:octo/demo", &["--online"]);
        assert_eq!(code(&tampered), 5, "{}", shown(&tampered));
        assert!(shown(&tampered).contains("[image/digest]"), "{}", shown(&tampered));
    }
    println!("skopeo and docker-registry: good, another signer, a changed manifest");
}

#[test]
#[cfg(feature = "sign")]
fn what_we_attach_to_an_image_in_their_registry() {
    let (Some(registry), Some(skopeo)) =
        (named_program("DSOPS_TEST_REGISTRY"), named_program("DSOPS_TEST_SKOPEO"))
    else {
        return;
    };
    let project = Project::empty();
    let ours = ImageRegistry::start(Referrers::Api, Door::Open);
    let image = ours.push_image("app", Some("v1"), b"the program");
    let tag = json!({ "org.opencontainers.image.ref.name": "v1" });
    ours.save("app", &[("v1", tag)], &project.path("layout")).unwrap();
    let theirs = DockerRegistry::start(&registry, project.folder.path());
    let name = format!("{}/app@{image}", theirs.address());
    let output = Command::new(&skopeo)
        .args(["--insecure-policy", "copy", "--quiet", "--preserve-digests"])
        .args(["--dest-tls-verify=false", "oci:layout:v1"])
        .arg(format!("docker://{}/app:v1", theirs.address()))
        .current_dir(project.folder.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", stderr(&output));

    let ok = |args: &[&str]| {
        let output = project.run(args);
        assert_eq!(code(&output), 0, "{args:?}: {}", shown(&output));
    };
    ok(&["sign", "keygen", "--output", "k", "--no-passphrase"]);
    // This registry has no list of referrers: it is under a tag, and the second is added to the first.
    ok(&["sign", &name, "--key", "k.key"]);
    let source = ["--source-uri", "git+https://github.com/octo/demo@refs/tags/v1"];
    let commit = ["--source-digest", "0123456789abcdef0123456789abcdef01234567"];
    ok(&[&["attest", "provenance", &name, "--key", "k.key"], &source[..], &commit].concat());
    let key = ["--key", "k.pub", "--keys-without-log", "--require", "provenance"];
    ok(&[&["verify", &name, "--online"], &key[..]].concat());
    println!("docker-registry: a signature and provenance, attached by digest");
}
