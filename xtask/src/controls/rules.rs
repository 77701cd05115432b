//! What every workflow must keep to, and what one that releases must keep to besides.
//!
//! The rules are stricter than the linters': where those look for the dangerous use of a feature, these often do
//! without the feature.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::yaml::{self, Node};
use crate::tidy::Finding;

mod identity;

/// A workflow, as it is written and as it is read.
pub struct Workflow {
    pub file: PathBuf,
    lines: Vec<String>,
    pub root: Node,
}

impl Workflow {
    /// Reads a workflow.
    ///
    /// # Errors
    /// It is no YAML.
    pub fn read(file: &Path, text: &str) -> anyhow::Result<Self> {
        let lines = text.lines().map(str::to_owned).collect();
        Ok(Self { file: file.to_path_buf(), lines, root: yaml::parse(text)? })
    }

    /// Its jobs by name.
    pub fn jobs(&self) -> &[(String, Node)] {
        self.root.get("jobs").map_or(&[], Node::entries)
    }

    /// Every `uses`, of steps and of whole jobs.
    pub fn uses(&self) -> Vec<&Node> {
        let jobs = self.jobs().iter().map(|(_, job)| job);
        let steps = jobs.clone().flat_map(steps);
        jobs.chain(steps).filter_map(|node| node.get("uses")).collect()
    }

    /// The names of its triggers.
    pub fn triggers(&self) -> Vec<&str> {
        self.root.get("on").map_or(Vec::new(), |on| match on.entries() {
            [] => on.texts(),
            entries => entries.iter().map(|(name, _)| name.as_str()).collect(),
        })
    }

    /// Whether it makes a release: tags start it.
    pub fn is_release(&self) -> bool {
        let push = self.root.get("on").and_then(|on| on.get("push"));
        push.is_some_and(|push| push.get("tags").is_some()) || self.triggers().contains(&"release")
    }

    /// The comment on a line, if there is one.
    fn comment(&self, line: usize) -> Option<&str> {
        let (_, comment) = self.lines.get(line.checked_sub(1)?)?.split_once(" # ")?;
        Some(comment.trim())
    }
}

/// The steps of a job.
pub fn steps(job: &Node) -> &[Node] {
    job.get("steps").map_or(&[], Node::items)
}

/// Every rule on one workflow.
pub fn check(workflow: &Workflow) -> Vec<Finding> {
    let mut rules = Rules { workflow, findings: Vec::new() };
    rules.whole();
    for (name, job) in workflow.jobs() {
        rules.job(name, job);
    }
    for uses in workflow.uses() {
        rules.pinned(uses);
    }
    if workflow.is_release() {
        rules.release();
    }
    rules.findings
}

struct Rules<'a> {
    workflow: &'a Workflow,
    findings: Vec<Finding>,
}

impl Rules<'_> {
    fn broken(&mut self, line: usize, message: impl Into<String>) {
        self.findings.push(Finding::broken(&self.workflow.file, line, message));
    }

    /// What stands at the top.
    fn whole(&mut self) {
        let workflow = self.workflow;
        match workflow.root.get("permissions") {
            Some(node) if node.entries().is_empty() && node.text().is_none() => {}
            Some(node) => self.broken(node.line, "the permissions at the top are not `{}`"),
            None => self.broken(0, "there are no `permissions: {}` at the top"),
        }
        for trigger in workflow.triggers() {
            if matches!(trigger, "pull_request_target" | "workflow_run" | "issue_comment") {
                let line = workflow.root.get("on").map_or(0, |on| on.line);
                self.broken(line, format!("`{trigger}`: an outsider starts it with our rights"));
            }
        }
        for (index, line) in workflow.lines.iter().enumerate() {
            if line.contains("secrets.") {
                self.broken(index + 1, "uses a secret: none is configured, see CONTRIBUTING.md");
            }
        }
        let shell = shell_of(&workflow.root);
        let runs =
            workflow.jobs().iter().flat_map(|(_, job)| steps(job)).any(|s| s.get("run").is_some());
        // With its name the runner adds `-e` and `-o pipefail`.
        if runs && shell != Some("bash") {
            self.broken(0, "`defaults.run.shell` is not `bash`: a failure in a pipe would pass");
        }
    }

    fn job(&mut self, name: &str, job: &Node) {
        if job.get("timeout-minutes").is_none() {
            self.broken(job.line, format!("the job `{name}` has no `timeout-minutes`"));
        }
        self.permissions(name, job);
        self.identity(name, job);
        for runner in job.get("runs-on").map_or(Vec::new(), Node::texts) {
            if runner.ends_with("-latest") || runner == "self-hosted" {
                self.broken(
                    job.line,
                    format!("the job `{name}` runs on `{runner}`, which changes"),
                );
            }
        }
        let first = steps(job).first().and_then(|step| step.text_of("uses")).unwrap_or_default();
        if !first.starts_with("step-security/harden-runner@") {
            self.broken(job.line, format!("the job `{name}` does not start with harden-runner"));
        }
        if shell_of(job).is_some_and(|shell| shell != "bash") {
            self.broken(job.line, format!("the job `{name}` has a shell of its own"));
        }
        if job.text_of("secrets") == Some("inherit") {
            self.broken(job.line, format!("the job `{name}` hands all secrets on"));
        }
        self.cannot_fail(job);
        for step in steps(job) {
            self.cannot_fail(step);
            self.step(step);
        }
    }

    /// A job names what it may do, and says of each why.
    fn permissions(&mut self, name: &str, job: &Node) {
        let Some(permissions) = job.get("permissions") else {
            return self.broken(job.line, format!("the job `{name}` has no `permissions`"));
        };
        if let Some(all) = permissions.text() {
            return self.broken(permissions.line, format!("the job `{name}` has `{all}`"));
        }
        for (scope, grant) in permissions.entries() {
            if self.workflow.comment(grant.line).is_none() {
                self.broken(grant.line, format!("no comment says why `{scope}` is needed"));
            }
        }
    }

    fn step(&mut self, step: &Node) {
        let uses = step.text_of("uses").unwrap_or_default();
        let with = |key: &str| step.get("with").and_then(|with| with.text_of(key));
        if uses.starts_with("actions/checkout@") && with("persist-credentials") != Some("false") {
            self.broken(step.line, "the checkout leaves its token behind");
        }
        if uses.starts_with("zizmorcore/zizmor-action@")
            && with("advanced-security") != Some("false")
        {
            self.broken(step.line, "with `advanced-security`, zizmor's findings fail nothing");
        }
        for text in [step.text_of("run"), with("script")].into_iter().flatten() {
            if text.contains("${{") {
                self.broken(step.line, "`${{ … }}` in a script: hand the value in by `env`");
            }
        }
        let run = step.text_of("run").unwrap_or_default();
        for line in run.lines() {
            for escape in [
                "|| true",
                "|| :",
                "; true",
                "|| exit 0",
                "|| echo",
                "set +e",
                "exit 0",
                "&& true ||",
            ] {
                if line.contains(escape) {
                    self.broken(step.line, format!("`{escape}`: this step cannot fail"));
                }
            }
            let fetches = ["curl ", "wget "].iter().any(|program| line.contains(program));
            if fetches && ["| sh", "| bash", "|sh", "|bash"].iter().any(|pipe| line.contains(pipe))
            {
                self.broken(step.line, "runs what it downloads");
            }
        }
        if step.get("shell").is_some_and(|shell| shell.text() != Some("bash")) {
            self.broken(step.line, "a shell of its own");
        }
    }

    /// A job or step whose failure is one.
    fn cannot_fail(&mut self, node: &Node) {
        if let Some(flag) =
            node.get("continue-on-error").filter(|flag| flag.text() != Some("false"))
        {
            self.broken(flag.line, "`continue-on-error`: it cannot fail");
        }
        if let Some(condition) = node.text_of("if")
            && ["always()", "failure()", "cancelled()"]
                .iter()
                .any(|status| condition.contains(status))
        {
            self.broken(node.line, format!("`if: {condition}`: it runs after a failure"));
        }
    }

    /// An action is named by what it is, with the version beside it for people.
    fn pinned(&mut self, uses: &Node) {
        let text = uses.text().unwrap_or_default();
        if text.starts_with("./") {
            return;
        }
        if !is_pinned(text) {
            return self.broken(uses.line, format!("`{text}` is not pinned by a full hash"));
        }
        let is_version = |comment: &str| {
            comment.strip_prefix('v').is_some_and(|rest| {
                rest.split('.').count() == 3
                    && rest.split('.').all(|part| part.parse::<u32>().is_ok())
            })
        };
        if !self.workflow.comment(uses.line).is_some_and(is_version) {
            self.broken(uses.line, format!("no comment `vX.Y.Z` says which version `{text}` is"));
        }
    }

    /// What makes a release: nothing from outside, nothing unverified, nothing without a person.
    fn release(&mut self) {
        let workflow = self.workflow;
        let concurrency = workflow.root.get("concurrency");
        match concurrency.and_then(|node| node.get("cancel-in-progress")) {
            Some(flag) if flag.text() == Some("false") => {}
            Some(flag) => self.broken(flag.line, "a release that was begun could be cancelled"),
            None => self.broken(0, "no `cancel-in-progress: false`"),
        }
        for (name, job) in workflow.jobs() {
            if job.get("concurrency").is_some() {
                self.broken(job.line, format!("the job `{name}` has a concurrency of its own"));
            }
            let writes = grants(job, "write");
            if !writes.is_empty() && job.get("environment").is_none() {
                let message =
                    format!("the job `{name}` may write {} unreviewed", writes.join(", "));
                self.broken(job.line, message);
            }
            for step in steps(job) {
                if step.get("if").is_some() {
                    self.broken(step.line, "a step of a release that may be left out");
                }
                self.no_cache(step);
                let hardening = step.text_of("uses").is_some_and(|u| u.contains("/harden-runner@"));
                let policy = step.get("with").and_then(|with| with.text_of("egress-policy"));
                if hardening && writes.contains(&"id-token") && policy != Some("block") {
                    self.broken(
                        step.line,
                        format!("the job `{name}` signs and may reach any host"),
                    );
                }
            }
        }
        self.order();
    }

    /// A cache is written by other runs, and what it holds would be built in.
    fn no_cache(&mut self, step: &Node) {
        let uses = step.text_of("uses").unwrap_or_default();
        let action = uses.split('@').next().unwrap_or_default();
        let keys = step.get("with").map_or(&[][..], Node::entries);
        let asks = keys.iter().any(|(key, value)| {
            key.contains("cache") && !matches!(value.text(), Some("false" | ""))
        });
        if action.ends_with("cache") || action.starts_with("actions/cache/") || asks {
            self.broken(step.line, "a release uses a cache");
        }
    }

    /// Gate, two builds, comparison, signing, verification, image and draft, each needing the one before.
    fn order(&mut self) {
        let workflow = self.workflow;
        let does = |name: &str, words: &str| {
            let job = workflow.jobs().iter().find(|(job, _)| job == name).map(|(_, job)| job);
            let runs = job.map_or(&[][..], steps).iter().filter_map(|step| step.text_of("run"));
            runs.into_iter().any(|run| decides(run, words))
        };
        for (name, words) in [
            ("gate", "cargo xtask release"),
            ("build", "cargo xtask dist"),
            ("compare", "diff --recursive"),
            ("sign", "\"${RUNNER_TEMP}/dsops\" sign"),
            ("verify", "cargo xtask verify"),
            ("image", "cargo xtask image --push"),
            ("draft", "gh release create"),
        ] {
            if !does(name, words) {
                self.broken(0, format!("no job `{name}` runs `{words}`"));
            }
        }
        let chain = ["gate", "build", "compare", "sign", "verify", "image", "draft"];
        for pair in chain.windows(2) {
            if !all_needs(workflow, pair[1]).contains(pair[0]) {
                self.broken(0, format!("`{}` does not wait for `{}`", pair[1], pair[0]));
            }
        }
        for (name, job) in workflow.jobs() {
            let writes = grants(job, "write");
            let shows = writes.iter().any(|scope| matches!(*scope, "contents" | "packages"));
            if shows && !all_needs(workflow, name).contains("verify") {
                self.broken(job.line, format!("`{name}` may publish what was not verified"));
            }
            if name == "verify" && !writes.is_empty() {
                self.broken(job.line, "`verify` may change what it verifies");
            }
            for step in steps(job) {
                let run = step.text_of("run").unwrap_or_default();
                let publishes = (run.contains("gh release create") && !run.contains("--draft"))
                    || run.contains("gh release edit")
                    || run.contains("cargo publish");
                if publishes {
                    self.broken(step.line, "publishes without a person");
                }
            }
            self.notes(job);
        }
    }

    /// `gh` takes notes from a tag of the checkout only, and refuses to with `--repo`.
    fn notes(&mut self, job: &Node) {
        let runs = || steps(job).iter().filter_map(|step| step.text_of("run"));
        let Some(create) = runs().find(|run| run.contains("--notes-from-tag")) else { return };
        let is_fetched = runs().any(|run| decides(run, "git fetch") && run.contains("refs/tags/"));
        if create.contains("--repo") || !is_fetched {
            self.broken(job.line, "there is no tag to take notes from: fetch it, without `--repo`");
        }
    }
}

/// The shell that steps have by default.
fn shell_of(node: &Node) -> Option<&str> {
    ["defaults", "run", "shell"].iter().try_fold(node, |node, key| node.get(key))?.text()
}

/// The script of a step, by its name.
pub fn script<'a>(workflow: &'a Workflow, job: &str, step: &str) -> Option<&'a str> {
    let (_, job) = workflow.jobs().iter().find(|(name, _)| name == job)?;
    steps(job).iter().find(|node| node.text_of("name") == Some(step))?.text_of("run")
}

/// Whether a script ends with the failure of a command that begins so: it stands alone, and nothing in the script
/// changes what a failure does.
fn decides(run: &str, words: &str) -> bool {
    let changes = ["if ", "while ", "until ", "set ", "trap ", "function ", "!"];
    let mut lines = run.lines().map(str::trim);
    run.lines().all(|line| !changes.iter().any(|word| line.trim().starts_with(word)))
        && lines.any(|line| line.starts_with(words) && !line.contains([';', '|', '&', '\\']))
}

/// Whether an action is `owner/name[/path]@` and 40 digits of a hash, or an image by its digest.
pub fn is_pinned(uses: &str) -> bool {
    let is_hex = |text: &str, digits: usize| {
        text.len() == digits && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    match uses.strip_prefix("docker://") {
        Some(image) => image.rsplit_once("@sha256:").is_some_and(|(_, hash)| is_hex(hash, 64)),
        None => {
            uses.rsplit_once('@').is_some_and(|(name, hash)| name.contains('/') && is_hex(hash, 40))
        }
    }
}

/// The scopes of a job with that grant.
pub fn grants<'a>(job: &'a Node, grant: &str) -> Vec<&'a str> {
    let entries = job.get("permissions").map_or(&[][..], Node::entries);
    let granted = entries.iter().filter(|(_, value)| value.text() == Some(grant));
    granted.map(|(scope, _)| scope.as_str()).collect()
}

/// The jobs that must have succeeded before one starts.
fn all_needs<'a>(workflow: &'a Workflow, job: &str) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::new();
    let mut open = vec![job];
    while let Some(name) = open.pop() {
        let node = workflow.jobs().iter().find(|(known, _)| known == name);
        for need in node.and_then(|(_, job)| job.get("needs")).map_or(Vec::new(), Node::texts) {
            if found.insert(need) {
                open.push(need);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests;
