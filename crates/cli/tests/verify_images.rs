//! `dsops verify IMAGE` through the real binary: layouts, archives and a registry in this process.
#![cfg(all(unix, feature = "verify"))]
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test")]

mod common;

use std::path::Path;
use std::process::{Command, Output};

use common::{Project, code, stderr};
use dsops_testkit::sigstore::release::TRUSTED_ROOT;
use dsops_testkit::sigstore::{Identity, World};
use dsops_testkit::{Door, HttpAnswer, HttpServer, ImageRegistry, Referrers};
use serde_json::{Value, json};

const PUBLISHER: &[&str] = &["--policy", "github:octo/demo", "--trusted-root", TRUSTED_ROOT];

/// A project, and a registry with an image `app:v1` that nobody signed yet.
struct Lab {
    project: Project,
    registry: ImageRegistry,
    world: World,
    image: String,
}

impl Lab {
    fn new(door: Door) -> Self {
        let (project, world) = (Project::empty(), World::new("images"));
        project.write(TRUSTED_ROOT, &world.trusted_root().to_string());
        let registry = ImageRegistry::start(Referrers::Api, door);
        let image = registry.push_image("app", Some("v1"), b"the program");
        Self { project, registry, world, image }
    }

    fn signed(door: Door) -> Self {
        let lab = Self::new(door);
        lab.registry.sign("app", &lab.image, &lab.image, &lab.world, &World::identity());
        lab
    }

    fn name(&self, rest: &str) -> String {
        format!("{}{rest}", self.registry.repository("app"))
    }

    /// A bundle over a statement about an image, as cosign 3 makes it.
    fn bundle(&self, digest: &str, identity: Identity) -> String {
        let statement = json!({
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{ "name": "app", "digest": { "sha256": digest.strip_prefix("sha256:").unwrap() } }],
            "predicateType": "https://sigstore.dev/cosign/sign/v1",
            "predicate": {},
        });
        self.world.attest(&statement).identity(identity).bundle().to_string()
    }

    fn verify(&self, args: &[&str]) -> Output {
        self.project.run(&[&["verify"], args, PUBLISHER].concat())
    }

    fn online(&self, rest: &str) -> Output {
        self.verify(&[&self.name(rest), "--online"])
    }

    /// The image with its signature in `layout`, and in `image.tar`.
    fn save(&self) {
        let sig = format!("{}.sig", self.image.replace(':', "-"));
        let tag = |name: &str| json!({ "org.opencontainers.image.ref.name": name });
        let mut entries = vec![("v1", tag("v1"))];
        if self.registry.manifest("app", &sig).is_some() {
            entries.push((&sig, tag(&sig)));
        }
        let layout = self.project.path("layout");
        self.registry.save("app", &entries, &layout).unwrap();
        self.pack();
    }

    fn pack(&self) {
        let mut tar = Command::new("tar");
        tar.args(["-C", "layout", "-cf", "image.tar", "."]);
        assert!(tar.current_dir(self.project.folder.path()).status().unwrap().success());
    }
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn shown(output: &Output) -> String {
    format!("{}{}", stdout(output), stderr(output))
}

fn verdict(output: &Output) -> String {
    stdout(output).split(':').next().unwrap_or_default().to_owned()
}

#[test]
fn a_registry_is_not_asked_without_leave() {
    let lab = Lab::signed(Door::Open);
    let output = lab.verify(&[&lab.name(":v1")]);
    assert_eq!(code(&output), 2, "{}", shown(&output));
    let said = stderr(&output);
    assert!(said.contains("error[verify/online]") && said.contains("--online"), "{said}");
    assert_eq!(stdout(&output), "");
    assert!(lab.registry.requests().is_empty());
    assert_eq!(code(&lab.verify(&[&lab.name(":v1"), "--online", "--offline"])), 2);
}

#[test]
fn a_tag_is_asked_for_once_and_pinned() {
    let lab = Lab::signed(Door::Open);
    let output = lab.online(":v1");
    assert_eq!(code(&output), 0, "{}", shown(&output));
    let text = stdout(&output);
    assert!(text.starts_with(&format!("verified: {}@{}\n", lab.name(""), lab.image)), "{text}");
    let resolved = format!("`{}` stood for {}", lab.name(":v1"), lab.image);
    assert!(text.contains(&resolved), "{text}");
    for part in ["[image/payload]", "[image/signed]", ".github/workflows/release.yml"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let asked = lab.registry.requests();
    assert_eq!(asked.iter().filter(|one| one.path().ends_with("/manifests/v1")).count(), 1);
    let pinned = lab.online(&format!("@{}", lab.image));
    assert_eq!(code(&pinned), 0, "{}", shown(&pinned));
}

#[test]
fn what_is_attached_is_told_also_what_was_not_used() {
    let lab = Lab::new(Door::Open);
    lab.registry.attach("app", &lab.image, lab.bundle(&lab.image, World::identity()).as_bytes());
    let fork = Identity::github("octo/demo-fork", "release.yml", "refs/tags/v1.2.3");
    lab.registry.attach("app", &lab.image, lab.bundle(&lab.image, fork).as_bytes());
    let spdx = lab.registry.descriptor("text/spdx+json", b"{}");
    lab.registry.push_artifact("app", None, "text/spdx+json", &[spdx], Some((&lab.image, 1)));
    let output = lab.verify(&[&lab.name(":v1"), "--online", "--json"]);
    assert_eq!(code(&output), 0, "{}", shown(&output));
    let value: Value = serde_json::from_slice(&output.stdout).unwrap();
    let artifact = &value["artifacts"][0];
    assert_eq!(artifact["digests"]["sha256"], lab.image.strip_prefix("sha256:").unwrap());
    let of = |code: &str| -> Vec<&Value> {
        let findings = artifact["findings"].as_array().unwrap();
        findings.iter().filter(|finding| finding["code"] == code).collect()
    };
    assert_eq!(of("evidence/ignored")[0]["state"], "note", "{artifact:#}");
    assert!(of("policy/identity").iter().any(|one| one["state"] != "passed"), "{artifact:#}");
    let places: Vec<&str> =
        of("log/entry").iter().filter_map(|one| one["origin"]["name"].as_str()).collect();
    assert!(places.iter().all(|place| place.starts_with(&lab.name("@sha256:"))), "{places:?}");
    let output = lab.verify(&[&lab.name(":v1"), "--online", "--sarif"]);
    let sarif: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(sarif["runs"][0]["invocations"][0]["exitCode"], 0);
    let results = sarif["runs"][0]["results"].as_array().unwrap();
    assert!(results.iter().any(|one| one["ruleId"] == "image/resolved"), "{sarif:#}");
}

#[test]
fn images_that_do_not_pass() {
    let lab = Lab::new(Door::Open);
    let unsigned = lab.online(":v1");
    assert_eq!((code(&unsigned), verdict(&unsigned)), (7, "undecided".to_owned()));
    assert_eq!(code(&lab.online(":absent")), 4);
    let fork = Identity::github("octo/demo-fork", "release.yml", "refs/tags/v1.2.3");
    lab.registry.sign("app", &lab.image, &lab.image, &lab.world, &fork);
    let other = lab.online(":v1");
    assert_eq!(code(&other), 5, "{}", shown(&other));
    assert!(stdout(&other).contains("expected: "), "{}", shown(&other));
    // Signed, and then the registry sends something else.
    let lab = Lab::signed(Door::Open);
    let bytes = lab.registry.manifest("app", "v1").unwrap();
    let bytes = [&bytes[..], b"\n"].concat();
    lab.registry.lie(move |request| {
        let answer = || {
            let kind = "application/vnd.oci.image.manifest.v1+json";
            HttpAnswer::new(200, bytes.clone()).with("content-type", kind)
        };
        request.path().contains("/manifests/sha256:").then(answer)
    });
    let lie = lab.online(&format!("@{}", lab.image));
    assert_eq!(code(&lie), 5, "{}", shown(&lie));
    assert!(stdout(&lie).contains("[image/digest]"), "{}", shown(&lie));
    let gone = lab.verify(&["127.0.0.1:1/app:v1", "--online"]);
    assert_eq!(code(&gone), 4, "{}", shown(&gone));
    assert_eq!(code(&lab.verify(&["docker://Not/A/Name", "--online"])), 2);
}

#[test]
fn one_of_several_platforms() {
    let lab = Lab::new(Door::Open);
    let [index, amd64, _] = lab.registry.push_platforms("app", "multi");
    lab.registry.sign("app", &amd64, &amd64, &lab.world, &World::identity());
    let verify =
        |platform: &str| lab.verify(&[&lab.name(":multi"), "--online", "--platform", platform]);
    let good = verify("linux/amd64");
    assert_eq!(code(&good), 0, "{}", shown(&good));
    assert!(stdout(&good).contains(&amd64) && stdout(&good).contains(&index), "{}", shown(&good));
    assert_eq!(code(&verify("linux/arm64")), 7);
    assert_eq!(code(&verify("linux/s390x")), 4);
    assert_eq!(code(&verify("linux")), 2);
    assert_eq!(code(&lab.online(":multi")), 7, "the index itself is not signed");
    // Two for one platform: which of them runs is not ours to guess.
    let mut twice: Value =
        serde_json::from_slice(&lab.registry.manifest("app", "multi").unwrap()).unwrap();
    twice["manifests"][1]["platform"]["architecture"] = json!("amd64");
    lab.registry.push("app", Some("multi"), &twice);
    let two = verify("linux/amd64");
    assert_eq!(code(&two), 4, "{}", shown(&two));
    assert!(stderr(&two).contains("there are several images"), "{}", shown(&two));
}

#[test]
fn layouts_and_archives_without_a_network() {
    let lab = Lab::signed(Door::Open);
    lab.save();
    for word in ["layout", "image.tar", "oci:layout", "oci:layout:v1", "oci-archive:image.tar:v1"] {
        let output = lab.verify(&[word]);
        assert_eq!(code(&output), 0, "{word}: {}", shown(&output));
        let text = stdout(&output);
        assert!(text.contains(&lab.image) && text.contains("[image/content]"), "{word}: {text}");
    }
    assert_eq!(code(&lab.verify(&["oci:layout:v2"])), 4);
    assert_eq!(code(&lab.verify(&["oci:missing"])), 4);
    // One byte of a layer: the manifest is signed all the same.
    let layer = dsops_testkit::sigstore::hex(&dsops_testkit::sigstore::sha256(b"the program"));
    lab.project.write(&format!("layout/blobs/sha256/{layer}"), "the progran");
    lab.pack();
    for word in ["layout", "image.tar"] {
        let output = lab.verify(&[word]);
        assert_eq!(code(&output), 5, "{word}: {}", shown(&output));
        assert!(!stdout(&output).contains("\n  signed by "), "{}", shown(&output));
    }
}

#[test]
fn evidence_beside_a_layout_is_named() {
    let lab = Lab::new(Door::Open);
    lab.save();
    let other = lab.registry.push_image("app", Some("v2"), b"another program");
    lab.project.write("good.json", &lab.bundle(&lab.image, World::identity()));
    lab.project.write("other.json", &lab.bundle(&other, World::identity()));
    for word in ["layout", "oci-archive:image.tar"] {
        assert_eq!(code(&lab.verify(&[word])), 7);
        let good = lab.verify(&[word, "--bundle", "good.json"]);
        assert_eq!(code(&good), 0, "{}", shown(&good));
        let bad = lab.verify(&[word, "--bundle", "other.json"]);
        assert_eq!(code(&bad), 5, "{}", shown(&bad));
    }
    // An archive is a file first, and who names evidence means the file.
    let file = lab.verify(&["image.tar", "--bundle", "good.json"]);
    assert_eq!(code(&file), 5, "{}", shown(&file));
    assert!(stdout(&file).contains("[image/archive]"), "{}", shown(&file));
    let bytes = std::fs::read(lab.project.path("image.tar")).unwrap();
    lab.project.write("image.tar.sigstore.json", &lab.world.sign(&bytes).bundle().to_string());
    let file = lab.verify(&["image.tar"]);
    assert_eq!(code(&file), 0, "{}", shown(&file));
    assert!(stdout(&file).starts_with("verified: image.tar\n"), "{}", shown(&file));
}

#[test]
fn which_image_of_several_is_not_guessed() {
    let lab = Lab::new(Door::Open);
    lab.registry.push_image("app", Some("v2"), b"another program");
    let tag = |name: &str| json!({ "org.opencontainers.image.ref.name": name });
    let layout = lab.project.path("layout");
    lab.registry.save("app", &[("v1", tag("v1")), ("v2", tag("v2"))], &layout).unwrap();
    let output = lab.verify(&["layout"]);
    assert_eq!(code(&output), 4, "{}", shown(&output));
    assert!(stderr(&output).contains("v1, v2"), "{}", shown(&output));
    assert_eq!(code(&lab.verify(&["oci:layout:v2"])), 7);
}

#[test]
fn logins_are_those_of_docker_and_podman() {
    let lab = Lab::signed(Door::Token(Some("me:hunter2".to_owned())));
    let host = lab.name("").strip_suffix("/app").unwrap().to_owned();
    let refused = lab.online(":v1");
    assert_eq!(code(&refused), 4, "{}", shown(&refused));
    assert!(stderr(&refused).contains("docker login"), "{}", shown(&refused));
    let auth = format!(r#"{{"auths":{{"{host}":{{"auth":"bWU6aHVudGVyMg=="}}}}}}"#);
    std::fs::create_dir_all(lab.project.path("home/.docker")).unwrap();
    std::fs::create_dir_all(lab.project.path("run/containers")).unwrap();
    std::fs::create_dir_all(lab.project.path("bin")).unwrap();
    let run = |variables: &[(&str, &Path)]| {
        let mut command = lab.project.command();
        command.args(["verify", &lab.name(":v1"), "--online"]).args(PUBLISHER);
        command.envs(variables.iter().copied());
        command.output().unwrap()
    };
    let path = |name: &str| lab.project.path(name);
    lab.project.write("home/.docker/config.json", &auth);
    let docker = run(&[]);
    assert_eq!(code(&docker), 0, "{}", shown(&docker));
    // Docker's folder is elsewhere, and there a helper is named.
    let script = "#!/bin/sh\nread -r key\nprintf '{\"Username\":\"me\",\"Secret\":\"hunter2\"}'\n";
    lab.project.write("bin/docker-credential-test", script);
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(path("bin/docker-credential-test"), mode).unwrap();
    lab.project.write("config.json", &format!(r#"{{"credHelpers":{{"{host}":"test"}}}}"#));
    let folders = std::env::join_paths([path("bin"), "/usr/bin".into(), "/bin".into()]).unwrap();
    let folder = lab.project.folder.path();
    let helped = run(&[("DOCKER_CONFIG", folder), ("PATH", Path::new(&folders))]);
    assert_eq!(code(&helped), 0, "{}", shown(&helped));
    let without = run(&[("DOCKER_CONFIG", folder)]);
    assert_eq!(code(&without), 4, "{}", shown(&without));
    // Podman's file, by its place and by name.
    lab.project.write("home/.docker/config.json", "{}");
    lab.project.write("run/containers/auth.json", &auth);
    assert_eq!(code(&run(&[("XDG_RUNTIME_DIR", &path("run"))])), 0);
    let named = path("run/containers/auth.json");
    assert_eq!(code(&run(&[("REGISTRY_AUTH_FILE", &named)])), 0);
    let missing = run(&[("REGISTRY_AUTH_FILE", &path("missing"))]);
    assert_eq!(code(&missing), 3, "{}", shown(&missing));
    lab.project.write("broken.json", "{\"auths\": \"hunter2\"");
    let broken = run(&[("REGISTRY_AUTH_FILE", &path("broken.json"))]);
    assert!(stderr(&broken).contains("error[verify/logins]"), "{}", shown(&broken));
    for output in [refused, docker, helped, without, missing, broken] {
        assert!(!shown(&output).contains("hunter2"), "{}", shown(&output));
    }
}

#[test]
fn logins_are_not_shown_to_a_host_that_the_registry_picks() {
    let lab = Lab::signed(Door::Token(None));
    let other = ImageRegistry::start(Referrers::Api, Door::Token(Some("me:hunter2".to_owned())));
    let address = other.repository("x");
    let port = address.split_once(':').unwrap().1.trim_end_matches("/x");
    let challenge = format!("Bearer realm=\"http://localhost:{port}/token\",service=\"s\"");
    lab.registry.lie(move |request| {
        let answer = || HttpAnswer::new(401, "").with("www-authenticate", challenge.clone());
        request.header("authorization").is_none().then(answer)
    });
    let host = lab.name("").strip_suffix("/app").unwrap().to_owned();
    let auth = format!(r#"{{"auths":{{"{host}":{{"auth":"bWU6aHVudGVyMg=="}}}}}}"#);
    std::fs::create_dir_all(lab.project.path("home/.docker")).unwrap();
    lab.project.write("home/.docker/config.json", &auth);
    let shows = || other.requests().iter().any(|one| one.header("authorization").is_some());
    let output = lab.online(":v1");
    assert_eq!(code(&output), 4, "{}", shown(&output));
    assert!(stderr(&output).contains("--token-host"), "{}", shown(&output));
    assert!(!other.requests().is_empty() && !shows());
    let allowed = lab.verify(&[&lab.name(":v1"), "--online", "--token-host", "localhost"]);
    assert_eq!(code(&allowed), 0, "{}", shown(&allowed));
    assert!(shows());
}

/// What is asked goes through the proxy, and to nobody else.
#[test]
fn the_proxy_of_the_environment_is_used() {
    let lab = Lab::new(Door::Open);
    let proxy = HttpServer::start(|_| HttpAnswer::new(403, ""));
    let run = |args: &[&str]| {
        let mut command = lab.project.command();
        command.args(["verify", "registry.example.org/app:v1", "--online"]).args(args);
        command.args(["--policy", "github:octo/demo"]).env("HTTPS_PROXY", proxy.url(""));
        command.output().unwrap()
    };
    let asked = || -> Vec<String> {
        let all = proxy.requests().into_iter().map(|one| format!("{} {}", one.method, one.target));
        all.collect()
    };
    let output = run(&["--trusted-root", TRUSTED_ROOT]);
    assert_eq!(code(&output), 4, "{}", shown(&output));
    assert_eq!(asked(), ["CONNECT registry.example.org:443"]);
    // Without a root that is named, those that dsops uses are renewed first.
    let output = run(&[]);
    assert_eq!(code(&output), 4, "{}", shown(&output));
    assert_eq!(
        asked()[1..],
        [
            "CONNECT tuf-repo-cdn.sigstore.dev:443",
            "CONNECT tuf-repo.github.com:443",
            "CONNECT registry.example.org:443",
        ]
    );
    let said = stderr(&output);
    assert_eq!(said.matches("warning[verify/trust-not-renewed]").count(), 2, "{said}");
    // What makes no sense is no reason to ask anybody.
    let before = asked().len();
    for wrong in [&["--require", "nothing"][..], &["--bundle", "missing"]] {
        assert_ne!(code(&run(wrong)), 0);
    }
    let mut nobody = lab.project.command();
    nobody.args(["verify", "registry.example.org/app:v1", "--online"]);
    let nobody = nobody.env("HTTPS_PROXY", proxy.url("")).output().unwrap();
    assert_eq!(code(&nobody), 2, "{}", shown(&nobody));
    assert_eq!(asked().len(), before);
    assert!(said.contains("asking https://tuf-repo.github.com/"), "{said}");
}

#[test]
fn files_that_the_network_needs() {
    let lab = Lab::new(Door::Open);
    lab.project.write("ca.pem", "not a certificate");
    let name = lab.name(":v1");
    let output = lab.verify(&[&name, "--online", "--ca-file", "ca.pem"]);
    assert_eq!(code(&output), 3, "{}", shown(&output));
    assert!(stderr(&output).contains("error[verify/network]"), "{}", shown(&output));
    assert_eq!(code(&lab.verify(&[&name, "--online", "--ca-file", "missing"])), 4);
    assert_eq!(code(&lab.verify(&[&name, "--ca-file", "ca.pem"])), 2);
    assert!(lab.registry.requests().is_empty());
}
