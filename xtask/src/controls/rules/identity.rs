//! What a job may do that can ask for an identity: it signs in our name whatever it runs, and so does all that it runs.
//! Nothing is built or loaded there, and its program is what was checked.

use super::super::yaml::Node;
use super::{Rules, decides, grants, steps};

/// The program that signs, where the workflow puts it.
pub(super) const OUR_PROGRAM: &str = "\"${RUNNER_TEMP}/dsops\"";
/// The actions of a job that can ask for an identity; and those where nothing is released.
const BESIDE_IDENTITY: &[&str] = &[
    "step-security/harden-runner",
    "actions/download-artifact",
    "actions/upload-artifact",
    "actions/attest",
];
const MORE_BESIDE_IDENTITY: &[&str] =
    &["actions/checkout", "ossf/scorecard-action", "github/codeql-action/upload-sarif"];
/// The commands of such a job.
const COMMANDS_BESIDE_IDENTITY: &[&str] = &[
    OUR_PROGRAM,
    "cp",
    "cut",
    "done",
    "echo",
    "for",
    "install",
    "mkdir",
    "mv",
    "printf",
    "sha256sum",
    "test",
];
/// What a shell reads before a command that it runs.
const BEFORE_A_COMMAND: &[&str] = &["!", "do", "elif", "else", "if", "then", "until", "while"];
/// Variables that make a shell or a program run something else than it says, and the files that set them for
/// the steps that follow.
const LOADERS: &[&str] = &[
    "BASHOPTS",
    "BASH_ENV",
    "ENV",
    "GITHUB_ENV",
    "GITHUB_PATH",
    "PATH",
    "SHELLOPTS",
    "_runner_file_commands",
];
/// What a step says to check the program, and all else that is released.
const CHECKS: [&str; 2] =
    ["sha256sum --check --strict \"${RUNNER_TEMP}/sums\"", "sha256sum --check --strict SHA256SUMS"];

impl Rules<'_> {
    /// A job that can ask for an identity builds and loads nothing.
    pub(super) fn identity(&mut self, name: &str, job: &Node) {
        if !grants(job, "write").contains(&"id-token") {
            return;
        }
        for key in ["container", "services", "uses"] {
            if job.get(key).is_some() {
                self.broken(job.line, format!("the job `{name}` can sign, and has `{key}`"));
            }
        }
        let workflow = self.workflow;
        for node in [&workflow.root, job] {
            self.environment(name, node);
        }
        for step in steps(job) {
            let action = step.text_of("uses").and_then(|uses| uses.split('@').next());
            let is_release = workflow.is_release();
            let allowed = |action: &str| {
                BESIDE_IDENTITY.contains(&action)
                    || (!is_release && MORE_BESIDE_IDENTITY.contains(&action))
            };
            if let Some(action) = action.filter(|action| !allowed(action)) {
                self.broken(step.line, format!("the job `{name}` can sign, and uses `{action}`"));
            }
            self.environment(name, step);
            let run = joined(step);
            for command in commands(&run) {
                if !COMMANDS_BESIDE_IDENTITY.contains(&command) {
                    self.broken(
                        step.line,
                        format!("the job `{name}` can sign, and runs `{command}`"),
                    );
                }
            }
            if let Some(loader) = loader(&run) {
                self.broken(step.line, format!("the job `{name}` can sign, and names `{loader}`"));
            }
        }
        self.program(name, job);
    }

    /// No variable of a job or step has another program run.
    fn environment(&mut self, name: &str, node: &Node) {
        for (key, value) in node.get("env").map_or(&[][..], Node::entries) {
            let text = value.text().unwrap_or_default();
            let is_file = ["github.env", "github.path"].iter().any(|file| text.contains(file));
            let file = is_file.then_some(text);
            if let Some(loader) = loader(key).or_else(|| loader(text)).or(file) {
                self.broken(value.line, format!("the job `{name}` can sign, and sets `{loader}`"));
            }
        }
    }

    /// What runs is what was checked: nothing runs before, and nothing is put in its place afterwards.
    fn program(&mut self, name: &str, job: &Node) {
        let runs_ours = |run: &str| run.contains(OUR_PROGRAM);
        let check = steps(job).iter().position(checks);
        let mut is_checked = true;
        for (at, step) in steps(job).iter().enumerate() {
            let run = joined(step);
            if Some(at) == check {
                let is_check = |line: &str| CHECKS.iter().any(|words| line.starts_with(words));
                let before = run.lines().map(str::trim).collect::<Vec<_>>();
                let last = before.iter().rposition(|line| is_check(line)).unwrap_or(0);
                let first = |line: &&str| commands(line).contains(&OUR_PROGRAM);
                is_checked &= !before.iter().take(last).any(first);
                continue;
            }
            is_checked &= !runs_ours(&run) || check.is_some_and(|check| check < at);
            for part in parts(&run).filter(|part| part.contains("RUNNER_TEMP")) {
                let is_run = first_word(part) == Some(OUR_PROGRAM);
                if !is_run || part.matches("RUNNER_TEMP").count() > 1 {
                    self.broken(
                        step.line,
                        format!("the job `{name}` can sign, and may change what it runs: `{part}`"),
                    );
                }
            }
            let env = step.get("env").map_or(&[][..], Node::entries);
            let places =
                [step.get("with").and_then(|with| with.get("path")), step.get("working-directory")];
            for place in places.into_iter().flatten().chain(env.iter().map(|(_, value)| value)) {
                if place.text().is_some_and(is_temporary) {
                    self.broken(
                        place.line,
                        format!("the job `{name}` can sign, and may change what it runs"),
                    );
                }
            }
            if run.contains("_temp") {
                self.broken(step.line, format!("the job `{name}` can sign, and names `_temp`"));
            }
        }
        if !is_checked {
            self.broken(
                job.line,
                format!("the job `{name}` can sign, and does not check what it runs"),
            );
        }
    }
}

/// Whether a step checks the program by what the job that compared the builds says.
fn checks(step: &Node) -> bool {
    let run = step.text_of("run").unwrap_or_default();
    let env = step.get("env").map_or(&[][..], Node::entries);
    let is_told = |(_, value): &(String, Node)| {
        value.text().is_some_and(|text| text.starts_with("${{ needs.compare.outputs."))
    };
    CHECKS.iter().all(|words| decides(run, words)) && env.iter().any(is_told)
}

/// Whether a path is in the folder where the program is.
fn is_temporary(path: &str) -> bool {
    ["runner.temp", "RUNNER_TEMP", "_temp"].iter().any(|word| path.contains(word))
}

/// The script of a step, each command on its line.
fn joined(step: &Node) -> String {
    step.text_of("run").unwrap_or_default().replace("\\\n", " ")
}

/// The name in a text that has something else run.
fn loader(text: &str) -> Option<&str> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.split(|c| !is_name(c)).find(|name| {
        LOADERS.contains(name) || name.starts_with("LD_") || name.starts_with("BASH_FUNC_")
    })
}

/// The first words of the commands of a script, those within others too; not the names of variables that are set.
fn commands(run: &str) -> Vec<&str> {
    parts(run).filter_map(first_word).collect()
}

/// The commands of a script, those within others too.
fn parts(run: &str) -> impl Iterator<Item = &str> {
    run.lines()
        .flat_map(|line| line.split(&[';', '|', '&', '`'][..]))
        .flat_map(|part| part.split("$("))
        .flat_map(|part| part.split("<("))
        .flat_map(|part| part.split(">("))
        .map(str::trim)
        .filter(|part| !part.starts_with('#') && !is_list(part))
}

/// The word that says what is run.
fn first_word(part: &str) -> Option<&str> {
    part.split_whitespace().find(|word| !BEFORE_A_COMMAND.contains(word) && !is_assignment(word))
}

/// Whether all of it sets a variable to a list: `NAME=(…)`.
fn is_list(part: &str) -> bool {
    let inner = part.split_once("=(").and_then(|(_, rest)| rest.strip_suffix(')'));
    inner.is_some_and(|inner| !inner.contains(['(', ')'])) && is_assignment(part)
}

fn is_assignment(word: &str) -> bool {
    let is_name =
        |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    word.split_once('=').is_some_and(|(name, _)| !name.is_empty() && is_name(name))
}
