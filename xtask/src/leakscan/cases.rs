//! The runs in which a secret could come out: every command, and every failing path we know of.

use std::{
    ffi::OsString,
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt as _, chown},
    path::{Path, PathBuf},
};

use anyhow::Context as _;

use super::{
    edit::{edit_value, exchange, flip_data, remove_line},
    project::{Project, run},
    stages::Marked,
    tracer::Launch,
};

/// One run.
pub struct Case {
    /// What happens in it.
    pub name: String,
    /// The run itself.
    pub launch: Launch,
    /// How it must end.
    pub wanted: Wanted,
    /// Where the secret may be.
    pub secret: Place,
    /// Files may be opened for writing; they are searched afterwards.
    pub writes_files: bool,
    /// Whether it may write what lies in protected memory: a key of its own, to the key's file. The
    /// secrets themselves are looked for in every file all the same.
    pub writes_keys: bool,
    /// What the kernel put on the stack with the environment, by name: only from
    /// [`Stage::Resolved`](super::observe::Stage::Resolved) on it must be gone.
    pub given: Vec<String>,
}

/// How a run must end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// With exit code 0.
    Success,
    /// With any other.
    Failure,
    /// Both are right; only silence is asked.
    Either,
}

/// Where a secret may be during a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Nowhere an observer can see.
    Hidden,
    /// On standard output, which is what the command is for.
    Printed,
    /// In this file, which is what the command is for; its folder holds nothing else.
    Written(PathBuf),
    /// In a file in memory while an editor runs, and nowhere afterwards.
    Edited,
    /// Somebody put it in our arguments, the configuration or a broken file, so that it lies in our
    /// memory: only what comes out is judged.
    InHand,
}

impl Case {
    fn new(name: &str, launch: Launch, wanted: Wanted) -> Self {
        let (secret, given) = (Place::Hidden, Vec::new());
        Self {
            name: name.into(),
            launch,
            wanted,
            secret,
            writes_files: false,
            writes_keys: false,
            given,
        }
    }

    pub(super) fn works(name: &str, launch: Launch) -> Self {
        Self::new(name, launch, Wanted::Success)
    }

    pub(super) fn fails(name: &str, launch: Launch) -> Self {
        Self::new(name, launch, Wanted::Failure)
    }

    pub(super) fn writes(self) -> Self {
        Self { writes_files: true, ..self }
    }

    /// The same, where it makes a key of its own.
    pub fn writes_keys(self) -> Self {
        Self { writes_files: true, writes_keys: true, ..self }
    }

    pub(super) fn secret_in(self, secret: Place) -> Self {
        Self { secret, ..self }
    }

    pub(super) fn in_hand(self) -> Self {
        Self { secret: Place::InHand, ..self }
    }
}

/// All of them.
///
/// # Errors
/// The files of a case cannot be prepared.
pub fn all(marked: &Marked) -> anyhow::Result<Vec<Case>> {
    let mut cases = commands(marked);
    cases.extend(failures(marked)?);
    Ok(cases)
}

/// Every command, doing what it is for.
fn commands(marked: &Marked) -> Vec<Case> {
    let project = &marked.project;
    let secret = &marked.variables[1];
    let stdin = secret.bytes.clone();
    vec![
        Case::works("--version", project.launch(&["--version"])),
        Case::works("--help", project.launch(&["--help"])),
        Case::works("plan", project.launch(&["plan"])),
        Case::works("plan --json", project.launch(&["plan", "--json"])),
        Case::works("doctor", project.launch(&["doctor"])),
        Case::works("doctor --json", project.launch(&["doctor", "--json"])),
        Case::works("exec --verbose", project.launch(&["--verbose", "exec", "--", "/bin/true"])),
        Case {
            secret: Place::Printed,
            ..Case::works("get", project.launch(&["get", &secret.name]))
        },
        Case {
            writes_files: true,
            writes_keys: false,
            ..Case::works("set", Launch { stdin, ..project.launch(&["set", "AGAIN"]) })
        },
    ]
}

/// Every failing path we know of.
fn failures(marked: &Marked) -> anyhow::Result<Vec<Case>> {
    let project = &marked.project;
    let exec = ["exec", "--", "/bin/true"];
    let mut cases = Vec::new();
    cases.extend(command_failures(marked));
    cases.extend(value_failures(marked)?);
    cases.extend(store_failures(marked)?);
    cases.extend(config_failures(marked)?);
    cases.extend(identity_failures(marked)?);
    let empty = project.folder().join("empty");
    fs::create_dir(&empty)?;
    cases.push(Case::fails(
        "no configuration",
        Launch { directory: empty, ..project.launch(&exec) },
    ));
    Ok(cases)
}

/// The child cannot be started, or fails.
fn command_failures(marked: &Marked) -> Vec<Case> {
    let project = &marked.project;
    let exec = |words: &[&str]| project.launch(&[&["exec"], words].concat());
    let mut cases = Vec::new();
    for mode in ["supervise", "replace"] {
        for (name, words) in [
            ("command not found", &["--", "no-such-command"][..]),
            ("command not executable", &["--", "/etc/passwd"]),
            ("command is a folder", &["--", "/tmp"]),
            ("no such folder", &["--working-dir", "/no/such/folder", "--", "/bin/true"]),
        ] {
            let words = [&["--mode", mode], words].concat();
            cases.push(Case::fails(&format!("{name}, {mode}"), exec(&words)));
        }
    }
    cases.extend([
        Case::fails("timeout", exec(&["--timeout", "200ms", "--", "/bin/sleep", "30"])),
        Case::fails(
            "child exits 3",
            exec(&["--mode", "supervise", "--", "/bin/sh", "-c", "exit 3"]),
        ),
        Case::fails(
            "child killed",
            exec(&["--mode", "supervise", "--", "/bin/sh", "-c", "kill -KILL $$"]),
        ),
        Case::fails("unknown flag", exec(&["--no-such-flag", "--", "/bin/true"])),
        Case::fails("unknown environment", exec(&["--env", "nowhere", "--", "/bin/true"])),
        Case::fails("get of an unknown name", project.launch(&["get", "SECRET_17"])),
    ]);
    cases
}

/// Names and values that cannot be taken.
fn value_failures(marked: &Marked) -> anyhow::Result<Vec<Case>> {
    let project = &marked.project;
    let secret = &marked.variables[1];
    let mut cases = Vec::new();
    for name in ["1BAD", "A=B", "A B", ""] {
        let launch = Launch { stdin: secret.bytes.clone(), ..project.launch(&["set", name]) };
        cases.push(Case::fails(&format!("set with the name `{name}`"), launch));
    }
    // A newcomer's slip: the value as an argument. It must not be repeated in the answer.
    let launch = project.launch(&["set", "A", secret.text()]);
    cases.push(Case::fails("set with the value as argument", launch).in_hand());
    let missing = ["set", "A", "--from-file", "/no/such/file"];
    cases.push(Case::fails("set from a missing file", project.launch(&missing)));
    // Larger than one environment variable may be, and with a byte no variable can hold.
    let large = secret.bytes.repeat(200_000 / secret.bytes.len());
    let with_nul = [&secret.bytes[..], b"\0", &secret.bytes[..]].concat();
    for (name, value) in [("too large for an environment", large), ("with a NUL byte", with_nul)] {
        let folder = copy(marked, name, |_, _| {})?;
        let file = folder.join("value");
        fs::write(&file, value)?;
        let file = file.to_str().context("temporary folders have plain names")?;
        let set = project.launch(&["set", "ODD", "--from-file", file]);
        // Refused here already or only by `exec`: both are right, silence about the value is asked.
        run(&Launch { directory: folder.clone(), ..set.clone() })?;
        fs::remove_file(file)?;
        for mode in ["supervise", "replace"] {
            let launch = project.launch(&["exec", "--mode", mode, "--", "/bin/true"]);
            let launch = Launch { directory: folder.clone(), ..launch };
            let stored = fs::read_to_string(folder.join("dsops.yaml"))?.contains("ODD");
            let name = format!("value {name}, {mode}");
            let wanted = if stored { Wanted::Failure } else { Wanted::Success };
            cases.push(Case::new(&name, launch, wanted));
        }
    }
    // Output that cannot be written.
    for words in ["get SECRET_40 >/dev/full", "plan >/dev/full"] {
        let script = format!("\"$0\" {words}");
        let program = project.launch(&[]).command.remove(0);
        let launch = project.launch_program([
            "/bin/sh".into(),
            "-c".into(),
            OsString::from(script),
            program,
        ]);
        cases.push(Case::fails(words, launch).in_hand());
    }
    Ok(cases)
}

/// A change to the configuration and the store.
type Edit<'a> = dyn Fn(&mut String, &mut String) + 'a;

/// Stores that were damaged or are not for us.
fn store_failures(marked: &Marked) -> anyhow::Result<Vec<Case>> {
    let text = marked.variables[1].text().to_owned();
    let other = Project::create(&marked.dsops, marked.project.user())?;
    let foreign = fs::read_to_string(other.work().join("secrets.sops.yaml"))?;
    let edits: [(&str, &Edit<'_>, bool); 9] = [
        ("a value changed", &|_, store| *store = edit_value(store, "SECRET_40", flip_data), false),
        ("two values exchanged", &|_, store| *store = exchange(store), false),
        ("a value removed", &|_, store| remove_line(store, "SECRET_40:"), false),
        ("the MAC removed", &|_, store| remove_line(store, "mac:"), false),
        ("the file cut off", &|_, store| store.truncate(store.len() / 2), false),
        ("the file of someone else", &|_, store| store.clone_from(&foreign), false),
        (
            "a value in clear",
            &|_, store| *store = edit_value(store, "SECRET_40", |_| text.clone()),
            true,
        ),
        (
            "broken YAML around a value in clear",
            &|_, store| *store = edit_value(store, "SECRET_40", |_| format!("\"{text}: [")),
            true,
        ),
        (
            "a value in clear as a key",
            &|_, store| store.insert_str(0, &format!("{text}: {text}\n{text}: {{\n")),
            true,
        ),
    ];
    let mut cases = Vec::new();
    for (name, edit, holds_it) in edits {
        let directory = copy(marked, name, edit)?;
        for words in
            [&["exec", "--", "/bin/true"][..], &["get", "SECRET_40"], &["set", "SECRET_40"]]
        {
            let launch = Launch {
                directory: directory.clone(),
                stdin: marked.variables[1].bytes.clone(),
                ..marked.project.launch(words)
            };
            let case = Case::fails(&format!("store: {name}: {}", words[0]), launch);
            cases.push(if holds_it { case.in_hand() } else { case });
        }
    }
    Ok(cases)
}

/// Configurations with faults beside a value. (A reference or a name is no value: errors repeat
/// those, or nobody could mend them.)
fn config_failures(marked: &Marked) -> anyhow::Result<Vec<Case>> {
    let text = marked.variables[1].text().to_owned();
    let mut cases = Vec::new();
    for (name, extra) in [
        ("unknown key beside a literal", format!("{{literal: \"{text}\", litral: \"x\"}}")),
        ("a literal of the wrong kind", format!("{{literal: [\"{text}\"]}}")),
        ("broken YAML beside a value", format!("{{literal: \"{text}\"")),
    ] {
        let directory = copy(marked, name, |config, _| {
            *config = edit_value(config, "SECRET_40", |_| extra.clone());
        })?;
        for words in [&["plan"][..], &["exec", "--", "/bin/true"]] {
            let launch = Launch { directory: directory.clone(), ..marked.project.launch(words) };
            let name = format!("config: {name}: {}", words[0]);
            // `plan` looks nothing up, so it may find nothing wrong.
            let wanted = if words[0] == "plan" { Wanted::Either } else { Wanted::Failure };
            cases.push(Case::new(&name, launch, wanted).in_hand());
        }
    }
    Ok(cases)
}

/// Identities that are missing, broken or another's.
fn identity_failures(marked: &Marked) -> anyhow::Result<Vec<Case>> {
    let project = &marked.project;
    let exec = || project.launch(&["exec", "--", "/bin/true"]);
    let other = Project::create(&marked.dsops, project.user())?;
    let other_home = copy_home(marked, "other", &fs::read_to_string(other.identity_file())?)?;
    let key = fs::read_to_string(project.identity_file())?;
    let broken = key.trim_end().strip_suffix(|_: char| true).unwrap_or_default().to_owned();
    let broken_home = copy_home(marked, "broken", &broken)?;
    let lower = copy_home(marked, "mixed", &key.replace("AGE-SECRET-KEY-1", "AGE-secret-KEY-1"))?;
    let garbage = copy_home(marked, "garbage", marked.variables[1].text())?;
    let empty = project.folder().join("no-home");
    fs::create_dir(&empty)?;
    let in_variable = |name: &str, value: &str| {
        let mut launch = with_home(exec(), &empty);
        launch.environment.push((name.into(), value.into()));
        launch
    };
    let line = broken.lines().last().unwrap_or_default();
    let held = |name, launch| Case::fails(name, launch).in_hand();
    Ok(vec![
        Case::fails("identity: none", with_home(exec(), &empty)),
        Case::fails("identity: of someone else", with_home(exec(), &other_home)),
        held("identity: broken", with_home(exec(), &broken_home)),
        held("identity: mixed case", with_home(exec(), &lower)),
        held("identity: a value instead", with_home(exec(), &garbage)),
        held("identity: broken in SOPS_AGE_KEY", in_variable("SOPS_AGE_KEY", line)),
    ])
}

/// A copy of the project's two files, edited, in a folder of its own.
fn copy(
    marked: &Marked,
    name: &str,
    edit: impl Fn(&mut String, &mut String),
) -> anyhow::Result<PathBuf> {
    let project = &marked.project;
    let folder = project.folder().join(name.replace(' ', "-"));
    fs::create_dir(&folder).with_context(|| format!("two cases are called `{name}`"))?;
    let read = |file| fs::read_to_string(project.work().join(file));
    let (original_config, original_store) = (read("dsops.yaml")?, read("secrets.sops.yaml")?);
    let (mut config, mut store) = (original_config, original_store);
    edit(&mut config, &mut store);
    for (file, text) in [("dsops.yaml", config), ("secrets.sops.yaml", store)] {
        fs::write(folder.join(file), text)?;
        chown(folder.join(file), project.user(), project.user())?;
    }
    chown(&folder, project.user(), project.user())?;
    Ok(folder)
}

/// A home folder whose identity file has this text.
fn copy_home(marked: &Marked, name: &str, keys: &str) -> anyhow::Result<PathBuf> {
    make_home(&marked.project, name, ".config/sops/age/keys.txt", keys)
}

/// A home folder with one file.
pub fn make_home(project: &Project, name: &str, path: &str, text: &str) -> anyhow::Result<PathBuf> {
    let home = project.folder().join(format!("home-{name}"));
    let file = home.join(path);
    let folder = file.parent().context("a file lies in a folder")?.to_owned();
    fs::create_dir_all(&folder)?;
    fs::write(&file, text)?;
    fs::set_permissions(&file, Permissions::from_mode(0o600))?;
    for path in [file, folder] {
        chown(path, project.user(), project.user())?;
    }
    Ok(home)
}

/// The same run with another home folder.
pub fn with_home(mut launch: Launch, home: &Path) -> Launch {
    for (name, value) in &mut launch.environment {
        if name == "HOME" {
            *value = home.into();
        }
    }
    launch
}
