//! What `dsops verify` prints for programs: each of its outputs once, made by the real binary.
#![allow(dead_code, clippy::unwrap_used, clippy::disallowed_methods, reason = "shared by tests")]

use std::collections::BTreeMap;
use std::process::Output;
use std::sync::Arc;
use std::time::SystemTime;

use dsops_testkit::sigstore::release::{ARTIFACTS, TRUSTED_ROOT};
use dsops_testkit::sigstore::{Identity, Release, TufRepository, World};
use dsops_testkit::{Door, HttpAnswer, HttpServer, ImageRegistry, Referrers};
use serde_json::Value;

use crate::common::{Project, code, stderr};

pub const LINUX: &str = "dist/app-1.2.3-linux-amd64.tar.gz";
const PUBLISHER: &[&str] = &["--policy", "github:octo/demo", "--trusted-root", TRUSTED_ROOT];
const VERDICT: &str = "";

/// One document.
pub struct Document {
    pub name: String,
    /// Its place in the schema.
    pub schema: &'static str,
    pub value: Value,
}

/// All that was printed.
#[derive(Default)]
pub struct Outputs {
    pub json: Vec<Document>,
    /// The same verdicts as SARIF.
    pub sarif: Vec<(String, Value)>,
}

impl Outputs {
    /// A run whose stdout has that form, and whose exit code is that one. Each line of stderr is a problem.
    fn run(&mut self, project: &Project, args: &[&str], schema: &'static str, exit: i32) {
        let args = [&["verify"], args, &["--json"]].concat();
        let output = project.run(&args);
        let name = args.join(" ");
        let shown =
            || format!("{name}: {}{}", String::from_utf8_lossy(&output.stdout), stderr(&output));
        assert_eq!(code(&output), exit, "{}", shown());
        let value: Value =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", shown()));
        if schema == VERDICT {
            assert_eq!(value["exit_code"], exit, "{}", shown());
        }
        self.json.push(Document { name: name.clone(), schema, value });
        self.problems(&name, &output);
    }

    /// A run that ends in an error: nothing on stdout, and on stderr nothing but problems.
    fn fails(&mut self, project: &Project, args: &[&str], exit: i32) {
        let args = [&["verify"], args, &["--json"]].concat();
        let output = project.run(&args);
        let name = args.join(" ");
        assert_eq!(code(&output), exit, "{name}: {}", stderr(&output));
        assert!(output.stdout.is_empty(), "{name}: {}", String::from_utf8_lossy(&output.stdout));
        assert!(self.problems(&name, &output) > 0, "{name}");
    }

    fn problems(&mut self, name: &str, output: &Output) -> usize {
        let text = stderr(output);
        for line in text.lines() {
            let value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{name}: {text}"));
            self.json.push(Document {
                name: format!("{name}: stderr"),
                schema: "/$defs/problems",
                value,
            });
        }
        text.lines().count()
    }

    /// A verdict, in both forms.
    fn verdict(&mut self, project: &Project, args: &[&str], exit: i32) {
        self.run(project, args, VERDICT, exit);
        let sarif = [&["verify"], args, &["--sarif"]].concat();
        let output = project.run(&sarif);
        assert_eq!(code(&output), exit, "{sarif:?}: {}", stderr(&output));
        let value = serde_json::from_slice(&output.stdout).unwrap();
        self.sarif.push((sarif.join(" "), value));
    }
}

/// Every output of `dsops verify`.
pub fn all() -> Outputs {
    let mut outputs = Outputs::default();
    verdicts(&mut outputs);
    images(&mut outputs);
    explanations(&mut outputs);
    trust(&mut outputs);
    outputs
}

fn verdicts(outputs: &mut Outputs) {
    let project = Project::empty();
    let release = Release::write(project.folder.path(), "outputs").unwrap();
    let by_publisher = |args: &[&'static str]| [args, PUBLISHER].concat();
    outputs.verdict(&project, &by_publisher(&[LINUX, "--require", "sbom,provenance,checksums"]), 0);
    outputs.verdict(&project, &by_publisher(&["dist"]), 0);
    outputs.verdict(&project, &[LINUX, "--key", "minisign.pub"], 0);
    outputs.verdict(&project, &by_publisher(&["self"]), 7);
    let own = dsops_testkit::sigstore::hex(&dsops_testkit::sigstore::sha256(
        &std::fs::read(project.path(LINUX)).unwrap(),
    ));
    outputs.verdict(&project, &["sha256", LINUX, &own], 0);
    outputs.verdict(&project, &["sha256", LINUX, &"0".repeat(64)], 5);
    outputs.verdict(&project, &["sha256", "missing", &own], 4);
    // Signed, by somebody with a name of another kind, and by nobody.
    let someone = Identity::email("someone@example.org", "https://accounts.example.org");
    release.put("mail", b"by mail\n").unwrap();
    let bundle = release.world.sign(b"by mail\n").identity(someone).bundle().to_string();
    release.put("mail.sigstore.json", bundle.as_bytes()).unwrap();
    let issuer = "https://accounts.example.org";
    let root = ["--trusted-root", TRUSTED_ROOT];
    let by_mail = ["dist/mail", "--identity", "someone@example.org", "--issuer", issuer];
    outputs.verdict(&project, &[&by_mail[..], &root].concat(), 0);
    outputs.verdict(&project, &by_publisher(&["dist/mail"]), 5);
    release.put("in\u{202e}stall 100%\n#?.sh", b"curl | sh\n").unwrap();
    release.put(ARTIFACTS[0], b"changed\n").unwrap();
    outputs.verdict(&project, &by_publisher(&[LINUX]), 5);
    outputs.verdict(&project, &by_publisher(&["dist", "missing", ARTIFACTS[0]]), 5);
    outputs.verdict(&project, &by_publisher(&["missing"]), 4);
    let names = std::fs::read_dir(project.path("dist")).unwrap();
    let odd = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let odd = odd.into_iter().find(|name| name.contains('#')).unwrap();
    outputs.verdict(
        &project,
        &by_publisher(&[])[..]
            .iter()
            .copied()
            .chain([format!("dist/{odd}").as_str()])
            .collect::<Vec<_>>(),
        7,
    );
    // Policies.
    project.write(
        "good.yaml",
        "version: 1\nsigners:\n  ci: {github: octo/demo}\nartifacts:\n  - signed-by: ci\n",
    );
    project.write("bad.yaml", "version: 1\nsingers: {}\n");
    outputs.run(&project, &["policy", "check", "good.yaml"], "/$defs/policy", 0);
    outputs.run(&project, &["policy", "check", "bad.yaml"], "/$defs/policy", 3);
    // The command line is wrong, or what it names.
    outputs.fails(&project, &[LINUX], 2);
    outputs.fails(&project, &[], 2);
    outputs.fails(&project, &["--no-such-flag"], 2);
    outputs.fails(&project, &[LINUX, "--policy", "github:"], 2);
    outputs.fails(&project, &["ghcr.io/acme/app:v1", "--policy", "github:acme/app"], 2);
    outputs.fails(&project, &[LINUX, "--policy", "bad.yaml"], 3);
    outputs.fails(&project, &by_publisher(&[LINUX, "--bundle", "missing"]), 4);
    outputs.fails(&project, &["explain", "missing"], 4);
}

fn images(outputs: &mut Outputs) {
    let (project, world) = (Project::empty(), World::new("outputs"));
    project.write(TRUSTED_ROOT, &world.trusted_root().to_string());
    let registry = ImageRegistry::start(Referrers::Api, Door::Open);
    let image = registry.push_image("app", Some("v1"), b"the program");
    let name = format!("{}:v1", registry.repository("app"));
    let args = |word: &str| -> Vec<String> {
        [word].iter().chain(PUBLISHER).map(|word| (*word).to_owned()).collect()
    };
    let mut verify = |word: &str, more: &[&str], exit: i32| {
        let args = args(word);
        let args: Vec<&str> = args.iter().map(String::as_str).chain(more.iter().copied()).collect();
        outputs.verdict(&project, &args, exit);
    };
    verify(&name, &["--online"], 7);
    registry.sign("app", &image, &image, &world, &World::identity());
    verify(&name, &["--online"], 0);
    let sig = format!("{}.sig", image.replace(':', "-"));
    let tag = |name: &str| serde_json::json!({ "org.opencontainers.image.ref.name": name });
    let entries = [("v1", tag("v1")), (sig.as_str(), tag(&sig))];
    registry.save("app", &entries, &project.path("layout")).unwrap();
    verify("oci:layout:v1", &[], 0);
    verify("oci:layout:v2", &[], 4);
    registry.lie(|_| Some(HttpAnswer::new(404, "")));
    verify(&name, &["--online"], 4);
}

fn explanations(outputs: &mut Outputs) {
    let project = Project::empty();
    let release = Release::write(project.folder.path(), "outputs").unwrap();
    let explained = "/$defs/explanation";
    outputs.run(&project, &["explain", &format!("{LINUX}.sigstore.json")], explained, 0);
    outputs.run(&project, &["explain", &format!("{LINUX}.intoto.jsonl")], explained, 0);
    let key = dsops_testkit::sigstore::Key::new(dsops_testkit::sigstore::Algorithm::P256, "key");
    let managed = release.world.sign(b"x").managed(&key).bundle();
    project.write("managed.json", &managed.to_string());
    outputs.run(&project, &["explain", "managed.json"], explained, 0);
    let mut bad = managed.clone();
    bad["verificationMaterial"] = serde_json::json!({});
    project.write("bad.jsonl", &format!("{managed}\n{bad}\n"));
    outputs.run(&project, &["explain", "bad.jsonl"], explained, 1);
    let statement = serde_json::json!({ "predicateType": 1 });
    project.write("odd.json", &release.world.attest(&statement).bundle().to_string());
    outputs.run(&project, &["explain", "odd.json"], explained, 0);
}

fn trust(outputs: &mut Outputs) {
    let (project, world) = (Project::empty(), World::new("outputs"));
    let mut repository = TufRepository::new("outputs", SystemTime::now());
    repository.set_target("trusted_root.json", world.trusted_root().to_string().as_bytes());
    project.write("root.json", &String::from_utf8(repository.start()).unwrap());
    project.write(TRUSTED_ROOT, &world.trusted_root().to_string());
    let files: Arc<BTreeMap<String, Vec<u8>>> =
        Arc::new(repository.files.clone().into_iter().collect());
    let server = HttpServer::start(move |request| {
        let path = request.path().strip_prefix("/tuf/").unwrap_or_default();
        files
            .get(path)
            .map_or_else(|| HttpAnswer::new(404, ""), |it| HttpAnswer::new(200, it.clone()))
    });
    let roots = "/$defs/roots";
    outputs.run(&project, &["trust", "show"], roots, 0);
    outputs.run(&project, &["trust", "show", "--trusted-root", TRUSTED_ROOT], roots, 0);
    let update = |path: &str| {
        let mirror = server.url(path);
        ["trust", "update", "--root", "root.json", "--mirror"]
            .map(str::to_owned)
            .into_iter()
            .chain([mirror])
            .collect::<Vec<_>>()
    };
    let words = update("/tuf");
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    outputs.run(&project, &words, "/$defs/updated", 0);
    outputs.run(&project, &["trust", "show"], roots, 0);
    let words = update("/nothing");
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    outputs.run(&project, &words, "/$defs/updated", 4);
}
