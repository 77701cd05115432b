//! Completion in real shells: what comes out where the cursor is.
#![cfg(target_os = "linux")]
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

mod common;

use std::path::Path;
use std::process::Command;

use common::Project;

/// A line that is typed, and what has to come out: all of it, or a part where the shell adds more.
const LINES: &[(&str, &[&str])] = &[
    ("dsops do", &["doctor"]),
    ("dsops exec --env ", &["dev", "prod"]),
    ("dsops exec --env p", &["prod"]),
    ("dsops get ", &[]),
    ("dsops get --env dev ", &["API_TOKEN", "DATABASE_URL"]),
    ("dsops get --env dev API", &["API_TOKEN"]),
    ("dsops exec --mode ", &["auto", "replace", "supervise"]),
    ("dsops plan --config other", &["other.yaml"]),
    ("dsops completion z", &["zsh"]),
];

fn project() -> Project {
    let project = Project::empty();
    let text = "version: 1\nenvs:\n  dev:\n    API_TOKEN: { literal: x }\n    DATABASE_URL: { literal: x }\n  prod: {}\n";
    project.write("dsops.yaml", text);
    project.write("other.yaml", text);
    project
}

/// Runs a script in a shell, with dsops on the path; `None` when there is no such shell.
fn shell(project: &Project, shell: &[&str], script: &str) -> Option<String> {
    let bin = Path::new(env!("CARGO_BIN_EXE_dsops")).parent().unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let known = std::env::split_paths(&path).any(|folder| folder.join(shell[0]).exists());
    if !known {
        println!("not run: there is no {}", shell[0]);
        return None;
    }
    let output = Command::new(shell[0])
        .args(&shell[1..])
        .arg(script)
        .current_dir(project.folder.path())
        .env_clear()
        .env("PATH", path)
        .env("HOME", project.folder.path())
        .env("TERM", "dumb")
        .output()
        .unwrap();
    Some(format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    ))
}

fn sorted(text: &str) -> Vec<&str> {
    let mut words: Vec<&str> =
        text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    words.sort_unstable();
    words
}

/// The words of a line as bash splits it, `=` on its own.
fn bash_words(line: &str) -> String {
    let words: Vec<String> =
        line.replace('=', " = ").split(' ').map(|word| format!("'{word}'")).collect();
    words.join(" ")
}

#[test]
fn bash_completes() {
    let project = project();
    let ask = |line: &str| {
        let words = bash_words(line);
        let script = format!(
            "set -u; source <(dsops completion bash); COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); _dsops dsops '' ''; printf '%s\\n' ${{COMPREPLY[@]+\"${{COMPREPLY[@]}}\"}}"
        );
        shell(&project, &["bash", "--norc", "-c"], &script)
    };
    for (line, expected) in LINES {
        let Some(seen) = ask(line) else { return };
        assert_eq!(sorted(&seen), *expected, "{line}: {seen}");
    }
    // Only what comes behind the `=`, which stands on the line already.
    assert_eq!(ask("dsops exec --env=p").unwrap().trim(), "prod");
    assert_eq!(ask("dsops exec --env=dev --mode=re").unwrap().trim(), "replace");
    assert!(sorted(&ask("dsops exec --env dev -- prin").unwrap()).contains(&"printf"));
}

#[test]
fn fish_completes() {
    let project = project();
    let ask = |line: &str| {
        let script = format!(
            "dsops completion fish | source; complete -C '{line}' | string replace -r '\\t.*' ''"
        );
        shell(&project, &["fish", "--no-config", "-c"], &script)
    };
    for (line, expected) in LINES {
        let Some(seen) = ask(line) else { return };
        assert_eq!(sorted(&seen), *expected, "{line}: {seen}");
    }
    assert_eq!(ask("dsops exec --env=p").unwrap().trim(), "--env=prod");
    assert!(sorted(&ask("dsops exec --env dev -- prin").unwrap()).contains(&"printf"));
}

#[test]
fn zsh_completes() {
    let project = project();
    // A line editor in a terminal of its own; what `compadd` is given is written down.
    let ask = |line: &str| {
        let script = format!(
            r#"zmodload zsh/zpty
zpty asked zsh -f -i
zpty -w asked 'PS1=; unset zle_bracketed_paste; autoload -Uz compinit; compinit -D -u; source <(dsops completion zsh)'
zpty -w asked 'compadd() {{ local -a found; builtin compadd -O found "$@" 2>/dev/null; print -rl -- $found >>seen; builtin compadd "$@" }}'
zpty -w asked 'bindkey "^I" complete-word; LISTMAX=0; unsetopt always_last_prompt; touch ready'
for i in {{1..600}}; do [[ -e ready ]] && break; sleep 0.05; done
sleep 0.2
: >seen
zpty -w -n asked $'{line}\t'
for i in {{1..400}}; do [[ -s seen ]] && break; sleep 0.05; done
sleep 0.2
cat seen; rm -f seen ready
zpty -d asked"#
        );
        shell(&project, &["zsh", "-f", "-c"], &script)
    };
    for (line, expected) in LINES.iter().filter(|(_, expected)| !expected.is_empty()) {
        let Some(seen) = ask(line) else { return };
        let mut seen = sorted(&seen);
        seen.dedup();
        assert_eq!(seen, *expected, "{line}");
    }
    assert!(sorted(&ask("dsops exec --env dev -- prin").unwrap()).contains(&"printf"));
}

#[test]
fn nushell_completes() {
    let project = project();
    project.write("dsops.nu", &project.ok(&["completion", "nushell"]));
    let ask = |line: &str| {
        let words: Vec<String> = line.split(' ').map(|word| format!("'{word}'")).collect();
        let script = format!(
            "source dsops.nu; do $env.config.completions.external.completer [{}] | default [] | get value | to text",
            words.join(" ")
        );
        shell(&project, &["nu", "--no-config-file", "-c"], &script)
    };
    for (line, expected) in LINES {
        // Paths are Nushell's own to complete.
        if line.contains("--config") {
            continue;
        }
        let Some(seen) = ask(line) else { return };
        assert_eq!(sorted(&seen), *expected, "{line}: {seen}");
    }
    assert_eq!(ask("dsops exec --env=p").unwrap().trim(), "--env=prod");
}

#[test]
fn powershell_has_a_script() {
    // There is no PowerShell to ask here; that what it calls answers is shown by the other shells.
    let project = project();
    assert!(project.ok(&["completion", "powershell"]).contains("Register-ArgumentCompleter"));
}

#[test]
fn asking_opens_no_store_and_is_quiet_about_faults() {
    let project = Project::new();
    project.set("A", b"value");
    std::fs::remove_file(project.path("secrets.sops.yaml")).unwrap();
    std::fs::remove_dir_all(project.path("home")).unwrap();
    assert_eq!(project.ok(&["__complete", "--", "get", ""]), "A\t\n");
    project.write("dsops.yaml", "version: [");
    let output = project.run(&["__complete", "--", "get", ""]);
    assert_eq!((common::code(&output), output.stdout.len(), output.stderr.len()), (0, 0, 0));
}
