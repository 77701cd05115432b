//! `dsops edit`, `recipients` and `rekey` on the real binary.
#![cfg(target_os = "linux")]
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests")]

mod common;

use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output};

use common::{Project, code, stderr};

/// A project whose editor is a shell script.
fn project(script: &str) -> Project {
    let project = Project::new();
    project.set("A", b"first");
    project.set("B", b"second");
    project.write("editor.sh", &format!("#!/bin/sh\n{script}\n"));
    std::fs::set_permissions(project.path("editor.sh"), PermissionsExt::from_mode(0o755)).unwrap();
    project
}

fn edit(project: &Project, args: &[&str]) -> Output {
    let editor = project.path("editor.sh");
    project.command().arg("edit").args(args).env("EDITOR", editor).output().unwrap()
}

fn get(project: &Project, name: &str) -> String {
    project.ok(&["get", name])
}

#[test]
fn what_was_saved_is_stored_and_the_rest_keeps_its_ciphertext() {
    let project = project(r#"sed -i 's/first/changed/' "$1"; echo 'C: new' >> "$1""#);
    let line = |name: &str| {
        let text = project.read("secrets.sops.yaml");
        text.lines().find(|line| line.starts_with(name)).unwrap().to_owned()
    };
    let before = (line("A:"), line("B:"));
    let output = edit(&project, &["--allow-traces"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert!(stderr(&output).contains("added C; changed A"), "{}", stderr(&output));
    assert_eq!(get(&project, "A"), "changed");
    assert_ne!(line("A:"), before.0);
    assert_eq!(line("B:"), before.1);
}

#[test]
fn the_plaintext_is_in_memory_private_and_gone() {
    let project = project(
        r#"stat -f -c %T "$1" >> where; stat -c '%a %n' "$1" "$(dirname "$1")" >> where
           echo left > "$(dirname "$1")/.swap"; echo "$TMPDIR" >> where"#,
    );
    let output = edit(&project, &["--allow-traces"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert!(stderr(&output).contains("nothing changed"), "{}", stderr(&output));
    let text = project.read("where");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "tmpfs");
    let file = lines[1].strip_prefix("600 ").unwrap();
    assert!(file.ends_with("/secrets.sops.yaml"), "{file}");
    let folder = lines[2].strip_prefix("700 ").unwrap();
    assert_eq!(lines[3], folder);
    assert!(!std::path::Path::new(folder).exists(), "{folder}");
}

/// Edits whose files lie in a folder of the test alone. `/dev/shm` is searched as well and may hold what others left:
/// what is told counts only if it names this folder.
struct Edits {
    memory: tempfile::TempDir,
    killed: Project,
    other: Project,
}

impl Edits {
    /// Starts an edit with this editor, which makes a file `open`.
    fn start(script: &str) -> (Self, std::process::Child) {
        let memory = tempfile::tempdir_in("/dev/shm").unwrap();
        let edits = Self { memory, killed: project(script), other: project(":") };
        let running = edits.command(&edits.killed, &["edit", "--allow-traces"]).spawn().unwrap();
        until(|| edits.killed.path("open").exists());
        (edits, running)
    }

    fn command(&self, project: &Project, args: &[&str]) -> Command {
        let mut command = project.command();
        command.args(args).env("EDITOR", project.path("editor.sh"));
        command.env("XDG_RUNTIME_DIR", self.memory.path()).env("TMPDIR", self.memory.path());
        command
    }

    /// The one folder that is there.
    fn folder(&self) -> std::path::PathBuf {
        let left = self.left();
        let [folder] = &left[..] else { panic!("{left:?}") };
        folder.clone()
    }

    fn left(&self) -> Vec<std::path::PathBuf> {
        let entries = std::fs::read_dir(self.memory.path()).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }

    /// Whether `doctor` tells of a folder here.
    fn doctor_tells(&self) -> bool {
        let output = self.command(&self.other, &["doctor"]).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.contains(&*self.memory.path().to_string_lossy()) && text.contains("was killed")
    }

    /// Whether the next edit, of another project, tells of one.
    fn next_edit_tells(&self) -> bool {
        let output = self.command(&self.other, &["edit", "--allow-traces"]).output().unwrap();
        assert_eq!(code(&output), 0, "{}", stderr(&output));
        stderr(&output).contains(&*self.memory.path().to_string_lossy())
    }
}

/// Waits until something holds; a minute is for ever.
fn until(holds: impl Fn() -> bool) {
    for _ in 0..6000 {
        if holds() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("it never holds");
}

#[test]
fn what_a_killed_edit_left_is_told_and_removed() {
    let (edits, mut running) = Edits::start("touch open; exec sleep 60");
    // While one edits, another project's edit leaves that alone.
    assert!(!edits.next_edit_tells());
    assert!(!edits.doctor_tells());
    let folder = edits.folder();

    // SIGKILL.
    running.kill().unwrap();
    running.wait().unwrap();
    let text = std::fs::read_to_string(folder.join("secrets.sops.yaml")).unwrap();
    assert!(text.contains("first"), "the plaintext is left");
    // The editor ends a moment later.
    until(|| edits.doctor_tells());
    assert!(folder.exists(), "doctor changes nothing");
    assert!(edits.next_edit_tells());
    assert!(edits.left().is_empty(), "{:?}", edits.left());
    assert!(!edits.doctor_tells());
}

#[test]
fn an_editor_that_lives_on_keeps_its_file() {
    let (edits, mut running) = Edits::start("sleep 60 & echo $! > pid; touch open; wait");
    let editor = edits.killed.read("pid");
    running.kill().unwrap();
    running.wait().unwrap();
    // The script ends with `dsops`; what it started does not.
    let folder = edits.folder();
    assert!(!edits.next_edit_tells());
    assert!(!edits.doctor_tells());
    assert!(folder.join("secrets.sops.yaml").exists());
    assert!(Command::new("kill").args(["-9", editor.trim()]).status().unwrap().success());
    until(|| edits.doctor_tells());
    assert!(edits.next_edit_tells());
    assert!(edits.left().is_empty(), "{:?}", edits.left());
}

#[test]
fn an_editor_that_nobody_knows_opens_nothing() {
    let project = project("touch opened");
    let output = edit(&project, &[]);
    assert_eq!(code(&output), 6, "{}", stderr(&output));
    assert!(stderr(&output).contains("--allow-traces"), "{}", stderr(&output));
    assert!(!project.path("opened").exists());
    let output = project.command().arg("edit").env("EDITOR", "code --wait").output().unwrap();
    assert_eq!(code(&output), 6, "{}", stderr(&output));
}

#[test]
fn a_failed_editor_or_a_broken_text_changes_nothing() {
    for script in [r#"echo 'C: new' >> "$1"; exit 3"#, r#"echo '{ not: [yaml' > "$1""#] {
        let project = project(script);
        let before = project.read("secrets.sops.yaml");
        let output = edit(&project, &["--allow-traces"]);
        assert_eq!(code(&output), 4, "{}", stderr(&output));
        assert!(!stderr(&output).contains("first"), "{}", stderr(&output));
        assert_eq!(project.read("secrets.sops.yaml"), before);
    }
}

#[test]
fn the_editor_gets_no_key() {
    let project = project(r#"env > "$(dirname "$0")/environment""#);
    let key = project.read("home/.config/sops/age/keys.txt");
    let key = key.lines().find(|line| line.starts_with("AGE-SECRET-KEY")).unwrap().to_owned();
    std::fs::remove_file(project.path("home/.config/sops/age/keys.txt")).unwrap();
    let editor = project.path("editor.sh");
    let output = project
        .command()
        .args(["edit", "--allow-traces"])
        .env("EDITOR", editor)
        .env("SOPS_AGE_KEY", &key)
        .output()
        .unwrap();
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert!(!project.read("environment").contains("AGE-SECRET-KEY"));
}

#[test]
fn nobody_else_changes_the_store_meanwhile() {
    // What a second `dsops` stores while the editor is open waits for it to end.
    let project =
        project(r#"touch open; while [ ! -e go ]; do sleep 0.05; done; echo 'C: new' >> "$1""#);
    let editor = project.path("editor.sh");
    let mut first =
        project.command().args(["edit", "--allow-traces"]).env("EDITOR", editor).spawn().unwrap();
    while !project.path("open").exists() {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    std::thread::scope(|scope| {
        let second = scope.spawn(|| project.feed(&["set", "D"], b"other"));
        std::thread::sleep(std::time::Duration::from_millis(200));
        project.write("go", "");
        assert!(first.wait().unwrap().success());
        let output = second.join().unwrap();
        assert_eq!(code(&output), 0, "{}", stderr(&output));
    });
    let store = project.read("secrets.sops.yaml");
    assert!(store.contains("\nC: ") && store.contains("\nD: "), "{store}");
}

#[test]
fn vim_leaves_no_trace() {
    let has_vim = Command::new("vim").arg("--version").output().is_ok();
    if !has_vim {
        println!("not run: there is no vim");
        return;
    }
    let project = project("");
    project
        .write("home/.vimrc", "set swapfile backup undofile undodir=~ backupdir=~ directory=~\n");
    let output = project
        .command()
        .arg("edit")
        .env("EDITOR", "vim -es -c '%s/first/changed/' -c wq")
        .output()
        .unwrap();
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert_eq!(get(&project, "A"), "changed");
    for path in common::files(project.folder.path()) {
        let bytes = std::fs::read(&path).unwrap();
        assert!(!bytes.windows(6).any(|part| part == b"second"), "{}", path.display());
    }
}

#[test]
fn recipients_come_and_go() {
    let project = project("");
    let other = Project::new();
    let recipient = other.ok(&["recipients", "list"]).trim().to_owned();
    let as_other = |project: &Project| {
        let key = other.path("home/.config/sops/age/keys.txt");
        project
            .command()
            .args(["get", "A"])
            .env("SOPS_AGE_KEY_FILE", key)
            .env("HOME", "/nonexistent")
            .output()
            .unwrap()
    };
    assert_eq!(code(&as_other(&project)), 4);
    let output = project.run(&["recipients", "add", &recipient]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert_eq!(as_other(&project).stdout, b"first");
    assert!(project.ok(&["recipients", "list"]).contains(&recipient));
    let output = project.run(&["recipients", "remove", &recipient]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert!(stderr(&output).contains("change the secrets"), "{}", stderr(&output));
    assert_eq!(code(&as_other(&project)), 4);
    assert!(!project.ok(&["recipients", "list", "--json"]).contains(&recipient));
    assert_eq!(get(&project, "A"), "first");
}

#[test]
fn a_private_key_is_no_recipient_and_is_not_repeated() {
    let project = project("");
    let key = project.read("home/.config/sops/age/keys.txt");
    let key = key.lines().find(|line| line.starts_with("AGE-SECRET-KEY")).unwrap().to_owned();
    let output = project.run(&["recipients", "add", &key, "nonsense"]);
    assert_eq!(code(&output), 2, "{}", stderr(&output));
    assert!(!stderr(&output).contains(&key[20..]), "{}", stderr(&output));
    assert!(stderr(&output).contains("`nonsense` is no recipient"), "{}", stderr(&output));
}

#[test]
fn a_new_data_key_encrypts_every_value_again() {
    let project = project("");
    let before = project.read("secrets.sops.yaml");
    project.ok(&["rekey"]);
    let after = project.read("secrets.sops.yaml");
    for name in ["A: ", "B: "] {
        let line =
            |text: &str| text.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
        assert_ne!(line(&before), line(&after));
    }
    assert_eq!(get(&project, "B"), "second");
}
