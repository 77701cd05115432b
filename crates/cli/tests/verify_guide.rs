//! Every command of `docs/security/verify-releases.md`, run as it stands there on a release that the
//! stand-in for Sigstore signed.
#![cfg(all(unix, feature = "verify"))]
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test")]

mod common;

use std::process::{Command, Output};
use std::time::SystemTime;

use common::Project;
use dsops_testkit::sigstore::{Release, TufRepository, World};
use dsops_testkit::{Door, HttpAnswer, HttpServer, ImageRegistry, Referrers};
use serde_json::json;

/// A block of the guide: what comes before it, and its commands with what they say.
struct Block {
    line: usize,
    before: Option<String>,
    steps: Vec<Step>,
}

/// Files that the guide shows, `<!-- file: NAME -->` before the block: they are there for every
/// block of a console.
fn files(guide: &str) -> Vec<(&str, &str)> {
    let shown = guide.split("<!-- file: ").skip(1);
    shown
        .map(|part| {
            let (name, rest) = part.split_once(" -->\n").unwrap();
            let (_, rest) = rest.split_once('\n').unwrap();
            (name, rest.split_once("```\n").unwrap().0)
        })
        .collect()
}

struct Step {
    command: String,
    code: i32,
    output: String,
}

/// All blocks that show a console.
fn blocks(guide: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut before = None;
    let mut lines = guide.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        if let Some(script) = line.strip_prefix("<!-- before: ") {
            before = Some(script.strip_suffix(" -->").unwrap().to_owned());
        } else if line == "```console" {
            let mut steps: Vec<Step> = Vec::new();
            for (_, line) in lines.by_ref().take_while(|(_, line)| *line != "```") {
                match (line.strip_prefix("$ "), line.strip_prefix("? "), steps.last_mut()) {
                    (Some(command), ..) => steps.push(Step {
                        command: command.to_owned(),
                        code: 0,
                        output: String::new(),
                    }),
                    (_, Some(code), Some(step)) => step.code = code.parse().unwrap(),
                    (_, _, Some(step)) => step.output.extend([line, "\n"]),
                    _ => panic!("line {number}: output before any command"),
                }
            }
            blocks.push(Block { line: number + 1, before: before.take(), steps });
        }
    }
    blocks
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
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_dsops"));
    let path = std::env::var_os("PATH").unwrap();
    let folders =
        std::iter::once(program.parent().unwrap().to_owned()).chain(std::env::split_paths(&path));
    Command::new("sh")
        .args(["-c", script])
        .current_dir(project.folder.path())
        .env("PATH", std::env::join_paths(folders).unwrap())
        .env("NO_COLOR", "1")
        .env("HOME", project.path("home"))
        .env_remove("XDG_CACHE_HOME")
        .env_remove("XDG_STATE_HOME")
        .output()
        .unwrap()
}

/// The stand-in is not among the roots that come with dsops, so it is named.
fn with_root(command: &str) -> String {
    let verifies = command.contains("dsops verify ")
        && !["explain", "sha256", "trust", "policy check"]
            .iter()
            .any(|own| command.contains(&format!("verify {own}")));
    if verifies {
        format!("{command} --trusted-root trusted_root.json")
    } else {
        command.to_owned()
    }
}

/// Whether `text` is `pattern`, where `...` stands for anything.
fn fits(pattern: &str, text: &str) -> bool {
    let mut rest = text;
    let parts: Vec<&str> = pattern.split("...").collect();
    for (index, part) in parts.iter().enumerate() {
        let part = if index > 0 { part.trim_start_matches('\n') } else { part };
        let found = if index == 0 { rest.starts_with(part).then_some(0) } else { rest.find(part) };
        let Some(at) = found else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.is_empty() || parts.last().is_some_and(|last| parts.len() > 1 && last.trim().is_empty())
}

#[test]
fn every_command_of_the_guide_does_what_it_says() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/security/verify-releases.md");
    let guide = std::fs::read_to_string(path).unwrap();
    let mut count = 0;
    for block in blocks(&guide) {
        let project = Project::empty();
        let release = Release::write(project.folder.path(), "guide").unwrap();
        let network = Network::new(&project, &release.world);
        for (name, content) in files(&guide) {
            project.write(name, content);
        }
        if let Some(script) = &block.before {
            assert!(sh(&project, script).status.success(), "{script}");
        }
        for step in &block.steps {
            let output = sh(&project, &network.real(&with_root(&step.command)));
            let said = network.shown(&String::from_utf8_lossy(&output.stdout));
            let errors = String::from_utf8_lossy(&output.stderr);
            let at = format!("line {}: {}\n{said}{errors}", block.line, step.command);
            assert_eq!(output.status.code(), Some(step.code), "{at}");
            assert!(fits(&step.output, &said), "{at}\nis not\n{}", step.output);
            count += usize::from(step.command.contains("dsops verify"));
        }
    }
    assert!(count >= 33, "{count}");
    // What is in no block of a console is not run: no command of ours may stand there.
    // `cargo xtask verify` runs those about a release of dsops itself.
    let run = guide.replace("```console release\n", "```console\n");
    let outside: String =
        run.split("```console\n").enumerate().fold(String::new(), |all, (index, part)| {
            let text = if index == 0 { part } else { part.split_once("```\n").unwrap().1 };
            all + text
        });
    let unrun =
        outside.lines().filter(|line| line.starts_with("dsops ") || line.starts_with("$ dsops"));
    assert_eq!(unrun.collect::<Vec<_>>(), Vec::<&str>::new());
}

#[test]
fn patterns_are_held_against_the_whole_output() {
    assert!(fits("a\n...\n", "a\nb\nc\n"));
    assert!(fits("a\n...\nc\n", "a\nb\nc\n"));
    assert!(!fits("a\n", "a\nb\n"));
    assert!(!fits("b\n...\n", "a\nb\n"));
    assert!(!fits("", "a"));
}
