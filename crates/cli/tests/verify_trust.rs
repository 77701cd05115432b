//! `dsops verify trust` and `--online` through the real binary, by a repository of The Update Framework in this
//! process: good, old, ended, changed, and one that cannot be reached.
#![cfg(all(unix, feature = "verify"))]
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test")]

mod common;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::Output;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use common::{Project, code, files, stderr};
use dsops_testkit::sigstore::{Role, TufRepository, World};
use dsops_testkit::{HttpAnswer, HttpRequest, HttpServer, serve};
use rcgen::{CertificateParams, CertifiedIssuer, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::Value;

type Files = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

/// A project with a signed file `app`, and a repository that gives out the root it is verified by.
struct Lab {
    project: Project,
    repository: TufRepository,
    files: Files,
    server: HttpServer,
    /// Every other server is behind it, and it lets nobody through.
    proxy: HttpServer,
}

impl Lab {
    fn new() -> Self {
        let (project, world) = (Project::empty(), World::new("trust"));
        project.write("app", "the program\n");
        let bundle = world.sign(b"the program\n").bundle();
        project.write("app.sigstore.json", &bundle.to_string());
        let mut repository = TufRepository::new("trust", SystemTime::now());
        repository.set_target("trusted_root.json", world.trusted_root().to_string().as_bytes());
        project.write("root.json", &String::from_utf8(repository.start()).unwrap());
        let files = Files::default();
        let to_serve = files.clone();
        let server = HttpServer::start(move |request| answer(&to_serve, request));
        let proxy = HttpServer::start(|_| HttpAnswer::new(403, ""));
        let lab = Self { project, repository, files, server, proxy };
        lab.upload();
        lab
    }

    /// Puts what was published on the server.
    fn upload(&self) {
        self.files.lock().unwrap().clone_from(&self.repository.files);
    }

    fn mirror(&self) -> String {
        self.server.url("/tuf")
    }

    fn run(&self, args: &[&str]) -> Output {
        let mut command = self.project.command();
        command.arg("verify").args(args).env("HTTPS_PROXY", self.proxy.url(""));
        command.output().unwrap()
    }

    /// Asks the repository, as its own one.
    fn update(&self) -> Output {
        self.run(&["trust", "update", "--mirror", &self.mirror(), "--root", "root.json"])
    }

    fn verify(&self, more: &[&str]) -> Output {
        self.run(&[&["app", "--policy", "github:octo/demo"], more].concat())
    }

    /// Nothing of a wrong answer is used: the root from before is.
    fn still_verifies(&self) {
        let output = self.verify(&[]);
        assert_eq!(code(&output), 0, "{}", shown(&output));
    }
}

fn answer(files: &Files, request: &HttpRequest) -> HttpAnswer {
    let path = request.path().strip_prefix("/tuf/").unwrap_or_default();
    let found = files.lock().unwrap().get(path).cloned();
    found.map_or_else(|| HttpAnswer::new(404, ""), |content| HttpAnswer::new(200, content))
}

fn shown(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), stderr(output))
}

fn refused(output: &Output, why: &str) {
    assert_eq!(code(output), 4, "{}", shown(output));
    let said = stderr(output);
    assert!(said.contains("error[verify/trust-update]") && said.contains(why), "{why}: {said}");
}

#[test]
fn what_was_fetched_is_shown_exported_and_used() {
    let lab = Lab::new();
    let before = lab.verify(&[]);
    assert_eq!(code(&before), 5, "{}", shown(&before));
    let output = lab.update();
    assert_eq!(code(&output), 0, "{}", shown(&output));
    assert!(shown(&output).contains(&lab.mirror()), "{}", shown(&output));
    let asked = lab.server.requests().len();

    let output = lab.verify(&["--json"]);
    assert_eq!(code(&output), 0, "{}", shown(&output));
    let value: Value = serde_json::from_slice(&output.stdout).unwrap();
    let findings = value["artifacts"][0]["findings"].as_array().unwrap();
    let root = findings.iter().find(|one| one["code"] == "trust/root").unwrap();
    let message = root["message"].as_str().unwrap();
    assert!(
        message.contains(&lab.mirror()) && message.contains("from its repository"),
        "{message}"
    );

    let roots: Value =
        serde_json::from_slice(&lab.run(&["trust", "show", "--json"]).stdout).unwrap();
    let roots = roots["roots"].as_array().unwrap();
    assert_eq!(roots.len(), 3, "{roots:#?}");
    assert_eq!((&roots[0]["from"], &roots[2]["from"]), (&"dsops".into(), &"repository".into()));
    assert_eq!(roots[2]["age_days"], 0);
    let text = lab.run(&["trust", "show"]);
    assert!(shown(&text).contains(" repository "), "{}", shown(&text));

    let exported = String::from_utf8(lab.run(&["trust", "export"]).stdout).unwrap();
    assert_eq!(exported.lines().count(), 3);
    lab.project.write("all.jsonl", &exported);
    assert_eq!(code(&lab.verify(&["--trusted-root", "all.jsonl"])), 0);
    assert_eq!(lab.server.requests().len(), asked, "the network was used without leave");
    assert!(lab.proxy.requests().is_empty());

    // It is known by its place now.
    let again = lab.run(&["trust", "update", "--mirror", &lab.mirror(), "--json"]);
    assert_eq!(code(&again), 0, "{}", shown(&again));
    let again: Value = serde_json::from_slice(&again.stdout).unwrap();
    let updated = again["updated"].as_array().unwrap();
    assert_eq!(updated.len(), 1, "{again:#}");
    assert_eq!(updated[0]["repository"], format!("{}/", lab.mirror()));
    assert_eq!(updated[0]["versions"]["timestamp"], 1);

    assert_eq!(code(&lab.run(&["trust", "forget"])), 0);
    assert_eq!(code(&lab.verify(&[])), 5);
}

#[test]
fn a_repository_that_goes_back_is_refused() {
    let mut lab = Lab::new();
    let old = lab.files.lock().unwrap().clone();
    lab.repository.publish_next();
    lab.upload();
    assert_eq!(code(&lab.update()), 0);
    *lab.files.lock().unwrap() = old;
    refused(&lab.update(), "offers version 1 of `timestamp`, but 2 was seen before");
    lab.still_verifies();
    // Who forgets what was seen takes it again.
    assert_eq!(code(&lab.run(&["trust", "forget"])), 0);
    assert_eq!(code(&lab.update()), 0);
}

#[test]
fn a_repository_that_stands_still_is_refused() {
    let mut lab = Lab::new();
    assert_eq!(code(&lab.update()), 0);
    let past = SystemTime::now() - Duration::from_hours(1);
    lab.repository.role(Role::Timestamp).expires = past;
    lab.repository.publish_next();
    lab.upload();
    refused(&lab.update(), "the repository's `timestamp` ended at ");
    lab.still_verifies();
}

#[test]
fn a_repository_that_was_changed_is_refused() {
    let mut lab = Lab::new();
    assert_eq!(code(&lab.update()), 0);
    lab.repository.publish_next();
    for (name, content) in lab.repository.files.clone() {
        // Old files and the first root are not asked for again.
        let is_new = name == "timestamp.json" || name.starts_with("2.");
        if !is_new {
            continue;
        }
        lab.upload();
        let mut changed = content.clone();
        let middle = changed.len() / 2;
        changed[middle] ^= 1;
        lab.files.lock().unwrap().insert(name.clone(), changed);
        refused(&lab.update(), "no root of trust from");
    }
    lab.still_verifies();
    // The file itself: signed metadata says what it has to be.
    let lab = Lab::new();
    for (name, content) in lab.files.lock().unwrap().iter_mut() {
        if name.starts_with("targets/") {
            content[0] ^= 1;
        }
    }
    refused(&lab.update(), "cannot be trusted");
    // Signed by somebody else: it is another repository.
    let lab = Lab::new();
    let mut other = TufRepository::new("other", SystemTime::now());
    other.set_target("trusted_root.json", b"{}");
    other.start();
    lab.files.lock().unwrap().clone_from(&other.files);
    refused(&lab.update(), "good signatures, and needs");
    // Nothing there, and no such place.
    lab.files.lock().unwrap().clear();
    refused(&lab.update(), "does not give out what is needed");
    let output = lab.run(&["trust", "update", "--mirror", "ftp://tuf.example.org"]);
    assert_eq!(code(&output), 2, "{}", shown(&output));
    assert!(stderr(&output).contains("error[verify/mirror]"), "{}", shown(&output));
}

#[test]
fn a_mirror_has_to_be_of_the_instance() {
    let lab = Lab::new();
    // Not signed by Sigstore's keys, however much it looks like a mirror.
    let output = lab.run(&["trust", "update", "--mirror", &lab.mirror()]);
    assert_eq!(code(&output), 4, "{}", shown(&output));
    assert_eq!(code(&lab.verify(&[])), 5);
    assert!(lab.proxy.requests().is_empty(), "Sigstore's own server was asked");
    // A place that gave nothing is not remembered.
    lab.run(&["trust", "update", "--instance", "sigstore"]);
    let asked = lab.proxy.requests();
    assert!(asked.iter().all(|one| one.target == "tuf-repo-cdn.sigstore.dev:443"), "{asked:?}");
    assert!(!asked.is_empty());
}

#[test]
fn what_is_kept_is_used_only_as_it_was_kept() {
    let lab = Lab::new();
    assert_eq!(code(&lab.update()), 0);
    lab.still_verifies();
    let mut changed = 0;
    for path in files(&lab.project.path("home/.cache/dsops/trust")) {
        let mut content = std::fs::read(&path).unwrap();
        // The roots of trust and the metadata they are verified from.
        if content.len() > 500 {
            let at = content.len() - 20;
            content[at] ^= 1;
            std::fs::write(&path, content).unwrap();
            changed += 1;
        }
    }
    assert!(changed >= 2, "{changed}");
    let output = lab.verify(&[]);
    assert_eq!(code(&output), 5, "{}", shown(&output));
    assert!(stderr(&output).contains("warning[cache/tampered]"), "{}", shown(&output));
    // A key that is lost is no reason to fail: what comes with dsops is there.
    std::fs::remove_file(lab.project.path("home/.local/state/dsops/trust/key")).unwrap();
    let output = lab.verify(&[]);
    assert_eq!(code(&output), 5, "{}", shown(&output));
    assert!(stderr(&output).contains("warning[verify/trust-cache]"), "{}", shown(&output));
    let output = lab.update();
    assert_eq!(code(&output), 4, "{}", shown(&output));
    assert!(stderr(&output).contains("error[verify/trust-cache]"), "{}", shown(&output));
}

#[test]
fn online_renews_what_has_run_out_and_nothing_else() {
    let mut lab = Lab::new();
    assert_eq!(code(&lab.update()), 0);
    let asked = lab.server.requests().len();
    let output = lab.verify(&["--online"]);
    assert_eq!(code(&output), 0, "{}", shown(&output));
    assert_eq!(lab.server.requests().len(), asked, "it is current");
    // The two that come with dsops were never asked before, and cannot be reached here.
    let said = stderr(&output);
    assert_eq!(said.matches("warning[verify/trust-not-renewed]").count(), 2, "{said}");
    // Named roots are the user's business.
    std::fs::write(lab.project.path("all.jsonl"), lab.run(&["trust", "export"]).stdout).unwrap();
    let before = lab.proxy.requests().len();
    assert_eq!(code(&lab.verify(&["--online", "--trusted-root", "all.jsonl"])), 0);
    assert_eq!(lab.proxy.requests().len(), before);

    // As soon as this machine can be quick.
    let mut margin = Duration::from_secs(2);
    let soon = loop {
        let soon = SystemTime::now() + margin;
        lab.repository.role(Role::Timestamp).expires = soon;
        lab.repository.publish_next();
        lab.upload();
        if code(&lab.update()) == 0 {
            break soon;
        }
        margin *= 2;
        assert!(margin < Duration::from_mins(1), "no update is quick enough");
    };
    while SystemTime::now() < soon + Duration::from_secs(1) {
        std::thread::sleep(Duration::from_millis(100));
    }
    // Offline it does not turn bad.
    lab.still_verifies();
    lab.repository.role(Role::Timestamp).expires = SystemTime::now() + Duration::from_hours(1);
    lab.repository.publish_next();
    let next = lab.repository.files.clone();
    // Held back, it is refused before there is any verdict.
    let output = lab.verify(&["--online"]);
    refused(&output, "the repository's `timestamp` ended at ");
    assert!(output.stdout.is_empty());
    *lab.files.lock().unwrap() = next;
    let output = lab.verify(&["--online"]);
    assert_eq!(code(&output), 0, "{}", shown(&output));
    assert!(
        stderr(&output).contains(&format!("asking {}/ for", lab.mirror())),
        "{}",
        shown(&output)
    );
}

#[test]
fn a_mirror_with_a_certificate_of_its_own() {
    let lab = Lab::new();
    let mut params = CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &authority).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    let (config, files) = (Arc::new(config), lab.files.clone());
    let server = HttpServer::start_with(move |stream, log| {
        let connection = ServerConnection::new(config.clone()).unwrap();
        let mut stream = StreamOwned::new(connection, stream);
        let files = files.clone();
        let _ = serve(&mut stream, &move |request: &HttpRequest| answer(&files, request), log);
        stream.conn.send_close_notify();
        let _ = stream.flush();
    });
    lab.project.write("ca.pem", &authority.pem());
    let mirror = format!("https://localhost:{}/tuf/", server.address().port());
    let update = ["trust", "update", "--mirror", &mirror, "--root", "root.json"];
    let output = lab.run(&update);
    refused(&output, "does not give out what is needed");
    let output = lab.run(&[&update[..], &["--ca-file", "ca.pem"]].concat());
    assert_eq!(code(&output), 0, "{}", shown(&output));
    lab.still_verifies();
}
