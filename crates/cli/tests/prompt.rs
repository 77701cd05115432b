//! The prompt of `set` on a real terminal: nothing is echoed, and the terminal is left as it was.
#![cfg(target_os = "linux")]
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests")]

mod common;

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::process::{Child, Stdio};

use common::Project;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, tcgetattr};

/// A terminal with `dsops` on it.
struct Terminal {
    ours: File,
    theirs: File,
    child: Child,
    seen: Vec<u8>,
}

impl Terminal {
    fn start(project: &Project, args: &[&str]) -> Self {
        Self::start_with(project, args, &[])
    }

    fn start_with(project: &Project, args: &[&str], variables: &[(&str, &str)]) -> Self {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&ours).unwrap();
        unlockpt(&ours).unwrap();
        let name = ptsname(&ours, Vec::new()).unwrap();
        let path = std::ffi::OsStr::from_bytes(name.as_bytes()).to_owned();
        let theirs = OpenOptions::new().read(true).write(true).open(path).unwrap();
        let end = || Stdio::from(theirs.try_clone().unwrap());
        // A session of its own, with the terminal as its controlling one.
        let dsops = project.command();
        let mut command = std::process::Command::new("setsid");
        command.args(["--ctty", "--wait"]).arg(dsops.get_program()).args(args);
        command.current_dir(project.folder.path()).env_clear();
        command.envs(dsops.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.envs(variables.iter().copied());
        let child = command.stdin(end()).stdout(end()).stderr(end()).spawn().unwrap();
        Self { ours: File::from(ours), theirs, child, seen: Vec::new() }
    }

    /// Reads until the text is on the screen.
    fn wait_for(&mut self, text: &str) {
        let mut byte = [0];
        while !self.seen.ends_with(text.as_bytes()) {
            assert_eq!(
                self.ours.read(&mut byte).unwrap(),
                1,
                "{}",
                String::from_utf8_lossy(&self.seen)
            );
            self.seen.push(byte[0]);
        }
    }

    fn type_in(&mut self, keys: &str) {
        self.ours.write_all(keys.as_bytes()).unwrap();
    }

    /// The exit code and all that was on the screen.
    fn end(mut self) -> (Option<i32>, String) {
        let code = self.child.wait().unwrap().code();
        let echo = LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG;
        assert!(
            tcgetattr(&self.theirs).unwrap().local_modes.contains(echo),
            "the terminal is as it was"
        );
        drop(self.theirs);
        let mut rest = Vec::new();
        // The last reader sees an error when the other end is gone.
        let _ = self.ours.read_to_end(&mut rest);
        self.seen.extend(rest);
        (code, String::from_utf8_lossy(&self.seen).into_owned())
    }
}

#[test]
fn a_typed_value_is_stored_and_never_shown() {
    let project = Project::new();
    let mut terminal = Terminal::start(&project, &["set", "A"]);
    terminal.wait_for("Value of A: ");
    // Corrections work: backspace, also over a character of two bytes, and ^U.
    terminal.type_in("wrong\x15hunterx\x7f2\u{e9}\x7f-typed\r");
    terminal.wait_for("Once more: ");
    terminal.type_in("hunter2-typed\r");
    terminal.wait_for("declared A in dsops.yaml");
    let (code, screen) = terminal.end();
    assert_eq!(code, Some(0), "{screen}");
    assert!(!screen.contains("hunter") && !screen.contains("typed"), "{screen}");
    assert_eq!(project.run(&["get", "A"]).stdout, b"hunter2-typed");
}

#[test]
fn two_different_answers_store_nothing() {
    let project = Project::new();
    let before = project.read("secrets.sops.yaml");
    let mut terminal = Terminal::start(&project, &["set", "A"]);
    terminal.wait_for("Value of A: ");
    terminal.type_in("one\r");
    terminal.wait_for("Once more: ");
    terminal.type_in("two\r");
    terminal.wait_for("nothing was stored");
    assert_eq!(terminal.end().0, Some(2));
    assert_eq!(project.read("secrets.sops.yaml"), before);
}

#[test]
#[cfg(feature = "sign")]
fn the_passphrase_of_a_new_key_is_asked_for_twice() {
    let project = Project::empty();
    let made = |second: &str| {
        let mut terminal = Terminal::start(&project, &["sign", "keygen", "--output", "new"]);
        terminal.wait_for("Passphrase of the new key: ");
        terminal.type_in("correct horse\n");
        terminal.wait_for("Once more: ");
        terminal.type_in(second);
        let (code, screen) = terminal.end();
        assert!(!screen.contains("horse"), "{screen}");
        (code, project.path("new.key").exists(), project.path("new.pub").exists())
    };
    assert_eq!(made("corect horse\n"), (Some(2), false, false));
    assert_eq!(made("correct horse\n"), (Some(0), true, true));
}

#[test]
fn control_c_leaves_all_as_it_was() {
    let project = Project::new();
    let mut terminal = Terminal::start(&project, &["set", "A"]);
    terminal.wait_for("Value of A: ");
    terminal.type_in("half a val\x03");
    terminal.wait_for("nothing was stored");
    assert_eq!(terminal.end().0, Some(130));
}

#[test]
fn a_signal_at_the_prompt_leaves_the_terminal_as_it_was() {
    for (signal, number) in [("TERM", 15), ("HUP", 1), ("INT", 2)] {
        let project = Project::new();
        let before = project.read("secrets.sops.yaml");
        let mut terminal = Terminal::start(&project, &["set", "A"]);
        terminal.wait_for("Value of A: ");
        terminal.type_in("half a val");
        // `setsid` waits for dsops, its only child, and hands its end on.
        let parent = terminal.child.id();
        let children = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"));
        let dsops = children.unwrap_or_default();
        let dsops = dsops.split_whitespace().next().map_or(parent.to_string(), str::to_owned);
        let sent = std::process::Command::new("kill").args(["-s", signal, &dsops]).status();
        assert!(sent.unwrap().success());
        let (code, screen) = terminal.end();
        // Ended by the signal itself, which `setsid` shows as a code, or not at all.
        assert!(matches!(code, None | Some(0..)) && code != Some(0), "{signal}: {code:?} {screen}");
        assert!(code.is_none() || code == Some(number) || code == Some(128 + number), "{code:?}");
        assert!(!screen.contains("half"), "{screen}");
        assert_eq!(project.read("secrets.sops.yaml"), before);
    }
}

#[test]
fn non_interactive_never_asks() {
    let project = Project::new();
    let mut terminal = Terminal::start(&project, &["set", "A", "--non-interactive"]);
    terminal.wait_for("--from-file FILE`");
    assert_eq!(terminal.end().0, Some(2));
}

#[test]
fn a_secret_on_a_terminal_is_warned_of() {
    let project = Project::new();
    project.set("A", b"shown value");
    let terminal = Terminal::start(&project, &["get", "A"]);
    let (code, screen) = terminal.end();
    assert_eq!(code, Some(0), "{screen}");
    assert!(
        screen.contains("shown on this terminal") && screen.contains("shown value"),
        "{screen}"
    );
    // Where it goes to a program, there is nothing to warn of.
    let output = project.run(&["get", "A"]);
    assert_eq!((output.stdout, output.stderr), (b"shown value".to_vec(), Vec::new()));
}

#[test]
fn unset_asks_about_the_declaration() {
    for (answer, is_declared) in [("y\r", false), ("\r", true)] {
        let project = Project::new();
        project.set("A", b"value");
        let mut terminal = Terminal::start(&project, &["unset", "A"]);
        terminal.wait_for("Remove its declaration from dsops.yaml too? [y/N] ");
        terminal.type_in(answer);
        let (code, screen) = terminal.end();
        assert_eq!(code, Some(0), "{screen}");
        assert_eq!(project.read("dsops.yaml").contains("store://secrets/A"), is_declared);
    }
}

#[test]
fn an_interrupted_edit_leaves_no_plaintext() {
    let project = Project::new();
    project.set("A", b"quokka");
    let script = "#!/bin/sh\nprintf %s \"$1\" > opened\necho '[: {' >> \"$1\"\n";
    project.write("editor.sh", script);
    let editor = project.path("editor.sh");
    std::fs::set_permissions(&editor, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let variables = [("EDITOR", editor.to_str().unwrap())];
    for (keys, expected) in [("\x03", 130), ("n\n", 4)] {
        let mut terminal = Terminal::start_with(&project, &["edit", "--allow-traces"], &variables);
        terminal.wait_for("Edit it again? [y/N] ");
        let plaintext = std::path::PathBuf::from(project.read("opened"));
        assert!(plaintext.exists(), "{}", plaintext.display());
        terminal.type_in(keys);
        let (code, text) = terminal.end();
        assert_eq!(code, Some(expected), "{text}");
        assert!(!plaintext.parent().unwrap().exists(), "{}", plaintext.display());
    }
}
