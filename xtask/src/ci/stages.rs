//! The stages of `ci`: their order and what each runs.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;

use crate::interop::{PROGRAMS, REQUIRE_VARIABLE, SOPS_VARIABLE};
use crate::{process, tools, workspace};

/// One check.
pub struct Stage {
    pub name: &'static str,
    pub what: &'static str,
    /// Run by `--fast` too.
    pub fast: bool,
    /// Its output has the results of `cargo test`.
    pub has_tests: bool,
    /// When a command of it is taken to hang.
    pub limit: Duration,
    /// What it runs, in order, until one fails.
    pub commands: fn(&Context) -> Vec<Command>,
}

/// What stages need to know of this run.
pub struct Context {
    /// This program, as it was started: a stage may build it anew.
    itself: PathBuf,
    root: PathBuf,
}

impl Context {
    /// Finds where this program and the checkout are.
    ///
    /// # Errors
    /// The system cannot say which program this is.
    pub fn new() -> anyhow::Result<Self> {
        let itself = std::env::current_exe().context("cannot find this program")?;
        Ok(Self { itself, root: workspace::root() })
    }

    /// `cargo` with some arguments, at the top of the checkout.
    fn cargo(&self, args: &[&str]) -> Command {
        let mut command = process::cargo();
        command.current_dir(&self.root).args(args).env("CARGO_TERM_COLOR", "never");
        command
    }

    /// A command of this program.
    fn xtask(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.itself);
        command.current_dir(&self.root).args(args).env("CARGO_TERM_COLOR", "never");
        command
    }
}

const fn minutes(minutes: u64) -> Duration {
    Duration::from_mins(minutes)
}

/// Every stage, in the order they run: what is quick and tells most comes first.
pub const ALL: &[Stage] = &[
    Stage {
        name: "fmt",
        what: "formatting",
        fast: true,
        has_tests: false,
        limit: minutes(2),
        commands: |cx| vec![cx.cargo(&["fmt", "--all", "--check", "--", "--color=never", "-l"])],
    },
    Stage {
        name: "layers",
        what: "arrows between crates, lints, where dependencies are declared",
        fast: true,
        has_tests: false,
        limit: minutes(2),
        commands: |cx| vec![cx.xtask(&["layers"])],
    },
    Stage {
        name: "tidy",
        what: "form of files, links, CODEOWNERS",
        fast: true,
        has_tests: false,
        limit: minutes(2),
        commands: |cx| vec![cx.xtask(&["tidy"])],
    },
    Stage {
        name: "clippy",
        what: "lints, warnings are errors",
        fast: true,
        has_tests: false,
        limit: minutes(20),
        commands: |cx| {
            let mut command = cx.cargo(&["clippy", "--quiet", "--locked", "--workspace"]);
            command.args(["--all-features", "--all-targets", "--", "-D", "warnings"]);
            vec![command]
        },
    },
    Stage {
        name: "tools",
        what: "pinned tools for the stages below",
        fast: false,
        has_tests: false,
        limit: minutes(20),
        commands: |cx| vec![cx.xtask(&["tools"])],
    },
    Stage {
        name: "deny",
        what: "licences, bans, sources, known advisories",
        fast: false,
        has_tests: false,
        limit: minutes(20),
        commands: |cx| vec![cx.xtask(&["deny"])],
    },
    Stage {
        name: "controls",
        what: "workflows, policies, and the evidence for every control",
        fast: false,
        has_tests: false,
        limit: minutes(5),
        commands: |cx| vec![cx.xtask(&["controls"])],
    },
    Stage {
        name: "test",
        what: "unit and integration tests",
        fast: true,
        has_tests: true,
        limit: minutes(30),
        commands: |cx| {
            // Tests run these; `cargo test --examples` would build them as tests instead.
            let mut examples = cx.cargo(&["build", "--locked", "--workspace", "--all-features"]);
            examples.arg("--examples");
            let mut command = cx.cargo(&["test", "--locked", "--workspace", "--all-features"]);
            command.args(["--no-fail-fast", "--lib", "--bins"]);
            // What a test that passed printed is shown: one that says "not run" is no pass.
            command.args(["--tests", "--", "--show-output"]);
            if let Some(sops) = tools::installed_sops() {
                command.env(SOPS_VARIABLE, sops).env(REQUIRE_VARIABLE, "1");
            }
            for (variable, program) in PROGRAMS {
                if let Some(path) = process::on_path(program) {
                    command.env(variable, path);
                }
            }
            for packages in tools::packages::FOR_TESTS {
                if let Some(folder) = packages.installed() {
                    command.env(packages.variable, folder);
                }
            }
            vec![examples, command]
        },
    },
    Stage {
        name: "doctest",
        what: "examples in the documentation",
        fast: true,
        has_tests: true,
        limit: minutes(20),
        commands: |cx| {
            let mut command = cx.cargo(&["test", "--locked", "--workspace", "--all-features"]);
            command.args(["--doc", "--no-fail-fast"]);
            vec![command]
        },
    },
    Stage {
        name: "docs",
        what: "the documentation builds without a warning, and shows the listed interface",
        fast: false,
        has_tests: false,
        limit: minutes(20),
        commands: |cx| vec![cx.xtask(&["api"])],
    },
    Stage {
        name: "interop",
        what: "the real sops reads our files and we read its",
        fast: false,
        has_tests: true,
        limit: minutes(10),
        commands: |cx| vec![cx.xtask(&["interop"])],
    },
    Stage {
        name: "leakscan",
        what: "no secret anywhere in memory but where it belongs",
        fast: false,
        has_tests: false,
        limit: minutes(20),
        commands: |cx| vec![cx.xtask(&["leakscan"])],
    },
    Stage {
        name: "release",
        // After the leak scan, which built the same program in this checkout: it is compared.
        what: "the whole way of a release: built twice, signed, verified, tampered with",
        fast: false,
        has_tests: false,
        limit: minutes(30),
        commands: |cx| vec![cx.xtask(&["release", "--dry-run"])],
    },
    Stage {
        name: "counts",
        what: "system calls and instructions against the checked-in figures",
        fast: false,
        has_tests: false,
        limit: minutes(20),
        commands: |cx| vec![cx.xtask(&["counts"])],
    },
    Stage {
        name: "cross",
        what: "macOS, Windows and Linux on arm64: types and lints",
        fast: false,
        has_tests: false,
        limit: minutes(20),
        commands: |cx| vec![cx.xtask(&["cross"])],
    },
    Stage {
        name: "fuzz",
        what: "every fuzz target, for a few seconds",
        fast: false,
        has_tests: false,
        limit: minutes(20),
        commands: |cx| vec![cx.xtask(&["fuzz"])],
    },
];
