//! Answers kept between runs, by the real binary: hits, stand-ins, `--offline`, `dsops cache`, damage.
#![cfg(unix)]
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

mod common;

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use common::{Project, code, files, stderr};
use serde_json::Value;

/// A project whose one store keeps what it answers, and one value in it.
fn project(cache: &str) -> Project {
    let project = Project::new();
    project.set("TOKEN", b"hunter2");
    let text = project.read("dsops.yaml");
    let path = "path: secrets.sops.yaml\n";
    assert!(text.contains(path));
    project.write("dsops.yaml", &text.replace(path, &format!("{path}    cache: {cache}\n")));
    project
}

fn cache_dir(project: &Project) -> PathBuf {
    project.path("home/.cache/dsops/secrets")
}

fn state_dir(project: &Project) -> PathBuf {
    project.path("home/.local/state/dsops/secrets")
}

/// Without the identity nothing can be had from the store.
fn lock(project: &Project) {
    std::fs::rename(project.path("home/.config"), project.path("home/away")).unwrap();
}

fn unlock(project: &Project) {
    std::fs::rename(project.path("home/away"), project.path("home/.config")).unwrap();
}

fn entries(project: &Project) -> Vec<PathBuf> {
    let is_entry = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap();
        name.len() == 62 && !path.components().any(|part| part.as_os_str() == "quarantine")
    };
    files(&cache_dir(project)).into_iter().filter(is_entry).collect()
}

fn flip(path: &PathBuf) {
    let mut bytes = std::fs::read(path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(path, bytes).unwrap();
}

fn json(text: &[u8]) -> Value {
    serde_json::from_slice(text).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(text)))
}

fn warnings(output: &Output) -> Vec<String> {
    let lines = stderr(output);
    let lines = lines.lines().filter_map(|line| line.strip_prefix("warning["));
    lines.map(|line| line.split_once(']').unwrap().0.to_owned()).collect()
}

#[test]
fn what_is_there_needs_no_store_and_refresh_asks_it() {
    let project = project("{ ttl: 1h }");
    assert_eq!(project.ok(&["get", "TOKEN"]), "hunter2");
    lock(&project);
    let script = "printf %s \"$TOKEN\"";
    assert_eq!(project.ok(&["exec", "--", "sh", "-c", script]), "hunter2");
    assert!(project.ok(&["render", "--out", "-"]).contains("hunter2"));
    let told = project.run(&["get", "TOKEN", "--verbose"]);
    assert!(stderr(&told).contains("note: 1 value of the store `secrets` from the cache"));
    let asked = project.run(&["exec", "--refresh", "--", "true"]);
    assert_eq!(code(&asked), 125);
    assert!(stderr(&asked).contains("error[store/locked]"), "{}", stderr(&asked));
}

#[test]
fn the_command_inherits_no_credential_when_no_store_is_opened() {
    let project = project("{ ttl: 1h }");
    project.ok(&["get", "TOKEN"]);
    lock(&project);
    let mut command = project.command();
    command.env("DSOPS_AGE_PASSPHRASE", "correct horse");
    let script = "printf %s \"$TOKEN:${DSOPS_AGE_PASSPHRASE-none}\"";
    let output = command.args(["exec", "--", "sh", "-c", script]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "hunter2:none", "{}", stderr(&output));
}

#[test]
fn nothing_is_made_where_no_store_keeps_anything() {
    let project = Project::new();
    project.set("TOKEN", b"hunter2");
    project.ok(&["exec", "--", "true"]);
    project.ok(&["get", "TOKEN"]);
    assert!(!cache_dir(&project).exists() && !state_dir(&project).exists());
}

#[test]
fn an_old_answer_stands_in_for_a_store_that_does_not_answer() {
    let project = project("{ ttl: 1s, stale_if_error: 1h }");
    project.ok(&["exec", "--", "true"]);
    std::thread::sleep(Duration::from_millis(1100));
    // Nothing is asked for in no time.
    let late = ["--fetch-timeout", "0", "get", "TOKEN"];
    let stale = project.run(&late);
    assert_eq!((code(&stale), &stale.stdout[..]), (0, &b"hunter2"[..]), "{}", stderr(&stale));
    assert_eq!(warnings(&stale), ["cache/stale"]);
    assert!(stderr(&stale).contains("because: no answer before the deadline"));
    let stale = project.run(&["--json", "--fetch-timeout", "0", "get", "TOKEN"]);
    assert_eq!(json(&stale.stderr)["warnings"][0]["code"], "cache/stale");
    // What is an answer is believed.
    lock(&project);
    assert_eq!(code(&project.run(&["get", "TOKEN"])), 4);
}

#[test]
fn offline_uses_what_is_there_and_names_what_is_not() {
    let project = project("{ ttl: 1h }");
    let none = project.run(&["exec", "--offline", "--", "true"]);
    assert_eq!(code(&none), 125);
    assert!(stderr(&none).contains("error[store/not-cached]: cannot get `TOKEN`"));
    assert!(!cache_dir(&project).exists(), "looking makes nothing");
    let check = project.run(&["plan", "--check", "--offline"]);
    assert_eq!(code(&check), 4);
    assert!(stderr(&check).contains("run it once without `--offline`"), "{}", stderr(&check));
    project.ok(&["exec", "--", "true"]);
    lock(&project);
    assert_eq!(project.ok(&["get", "TOKEN", "--offline"]), "hunter2");
    let checked = project.ok(&["plan", "--check", "--offline", "--json"]);
    assert_eq!(json(checked.as_bytes())["variables"][0]["state"], "there");
}

#[test]
fn another_project_and_another_identity_find_nothing() {
    let project = project("{ ttl: 1h }");
    project.ok(&["get", "TOKEN"]);
    let copy = project.path("copy");
    std::fs::create_dir(&copy).unwrap();
    for file in ["dsops.yaml", "secrets.sops.yaml"] {
        std::fs::copy(project.path(file), copy.join(file)).unwrap();
    }
    lock(&project);
    let from = |folder: PathBuf, key_file: Option<&str>| {
        let mut command = project.command();
        command.args(["get", "TOKEN"]).current_dir(folder);
        command.envs(key_file.map(|path| ("SOPS_AGE_KEY_FILE", path)));
        code(&command.output().unwrap())
    };
    assert_eq!(from(project.path(""), None), 0);
    assert_eq!(from(copy, None), 4, "a clone elsewhere");
    assert_eq!(from(project.path(""), Some("/nowhere")), 4, "somebody else");
}

#[test]
fn changing_the_store_takes_what_is_wrong_off_the_disk() {
    let project = project("{ ttl: 1h }");
    let kept = || {
        project.ok(&["get", "TOKEN"]);
        assert_eq!(entries(&project).len(), 1);
    };
    kept();
    project.set("TOKEN", b"hunter3");
    assert!(entries(&project).is_empty(), "set");
    assert_eq!(project.ok(&["get", "TOKEN"]), "hunter3");
    project.ok(&["rekey"]);
    assert!(entries(&project).is_empty(), "rekey");
    kept();
    std::fs::write(project.path("editor"), "#!/bin/sh\nsed -i s/hunter3/hunter4/ \"$1\"\n")
        .unwrap();
    std::fs::set_permissions(project.path("editor"), PermissionsExt::from_mode(0o755)).unwrap();
    let mut edit = project.command();
    edit.args(["edit", "--allow-traces", "--allow-disk"]).env("EDITOR", project.path("editor"));
    let edited = edit.output().unwrap();
    assert!(edited.status.success(), "{}", stderr(&edited));
    assert!(entries(&project).is_empty(), "edit");
    assert_eq!(project.ok(&["get", "TOKEN"]), "hunter4");
    project.ok(&["unset", "TOKEN", "--keep-declaration"]);
    assert!(entries(&project).is_empty(), "unset");
}

#[test]
fn an_entry_that_was_changed_is_not_used_and_everybody_says_so() {
    let project = project("{ ttl: 1h }");
    project.ok(&["get", "TOKEN"]);
    flip(&entries(&project)[0]);
    let verify = project.run(&["cache", "verify"]);
    assert_eq!(code(&verify), 1);
    let found = project.run(&["cache", "verify", "--json"]);
    assert_eq!(code(&found), 1);
    assert_eq!(json(&found.stdout)["problems"][0]["code"], "tampered-body");
    let run = project.run(&["get", "TOKEN"]);
    assert_eq!((code(&run), &run.stdout[..]), (0, &b"hunter2"[..]));
    assert_eq!(warnings(&run), ["cache/tampered"]);
    // Replaced by what the store said.
    assert_eq!(stderr(&project.run(&["get", "TOKEN"])), "");
    project.ok(&["cache", "verify"]);
    let stats = project.ok(&["cache", "stats", "--json"]);
    assert_eq!(json(stats.as_bytes())["events"][0]["code"], "tampered-body");
    let doctor = project.run(&["doctor", "--json"]);
    let told = json(&doctor.stdout);
    let told: Vec<_> = told["findings"].as_array().unwrap().clone();
    let has = |outcome: &str, text: &str| {
        told.iter().any(|found| {
            found["subject"] == "cache"
                && found["outcome"] == outcome
                && found["message"].as_str().unwrap().contains(text)
        })
    };
    assert!(has("warning", "tampered-body (1)"), "{told:?}");
    assert!(has("ok", "(mode 700): 1 entry"), "{told:?}");
    assert!(has("ok", "secrets/key (mode 600)"), "{told:?}");
    assert!(has("warning", "only saves being asked for a passphrase"), "{told:?}");
}

#[test]
fn an_older_entry_does_not_come_back() {
    let project = project("{ ttl: 1h }");
    project.ok(&["get", "TOKEN"]);
    let entry = entries(&project).remove(0);
    let old = std::fs::read(&entry).unwrap();
    project.ok(&["get", "TOKEN", "--refresh"]);
    std::fs::write(&entry, old).unwrap();
    let run = project.run(&["get", "TOKEN"]);
    assert_eq!((code(&run), warnings(&run)), (0, vec!["cache/tampered".to_owned()]));
    assert!(stderr(&run).contains("older than the last that was stored"));
}

#[test]
fn a_place_that_is_not_safe_is_not_used() {
    let project = project("{ ttl: 1h }");
    project.ok(&["get", "TOKEN"]);
    let dir = cache_dir(&project);
    let unusable = |why: &str| {
        let run = project.run(&["exec", "--", "true"]);
        assert_eq!((code(&run), warnings(&run)), (0, vec!["cache/unusable".to_owned()]), "{why}");
        assert!(stderr(&run).contains(why), "{}", stderr(&run));
        let doctor = project.run(&["doctor"]);
        assert!(String::from_utf8_lossy(&doctor.stdout).contains(why), "{why}");
        assert_eq!(code(&project.run(&["cache", "stats"])), 4, "{why}");
        assert_eq!(code(&project.run(&["exec", "--offline", "--", "true"])), 125, "{why}");
    };
    std::fs::set_permissions(&dir, PermissionsExt::from_mode(0o777)).unwrap();
    unusable("other users have access to it");
    std::fs::set_permissions(&dir, PermissionsExt::from_mode(0o700)).unwrap();
    std::fs::rename(&dir, project.path("elsewhere")).unwrap();
    symlink(project.path("elsewhere"), &dir).unwrap();
    unusable("it is a symbolic link");
    std::fs::remove_file(&dir).unwrap();
    std::fs::rename(project.path("elsewhere"), &dir).unwrap();
    let key = state_dir(&project).join("key");
    std::fs::set_permissions(&key, PermissionsExt::from_mode(0o640)).unwrap();
    unusable("is open to others (mode 640)");
    std::fs::remove_file(&key).unwrap();
    unusable("is missing, though the cache exists");
    project.ok(&["cache", "rekey", "--yes"]);
    assert_eq!(stderr(&project.run(&["get", "TOKEN"])), "");
    if is_root() {
        Command::new("chown").arg("65534").arg(&dir).status().unwrap();
        unusable("it belongs to another user");
    } else {
        println!("not run: another owner, which takes the superuser to make");
    }
}

#[test]
fn a_run_goes_on_when_nothing_can_be_written() {
    let project = project("{ ttl: 1h }");
    // A limit on the size of files stands for a full disk.
    let mut full = project.command();
    full.env_remove("DSOPS_CACHE_DIR");
    let program = full.get_program().to_owned();
    let script = "trap '' XFSZ; ulimit -f 0; exec \"$0\" get TOKEN";
    let mut shell = Command::new("sh");
    shell.args(["-c", script]).arg(program).current_dir(project.path(""));
    shell.env("HOME", project.path("home")).stdin(Stdio::null());
    let run = shell.output().unwrap();
    assert_eq!((code(&run), &run.stdout[..]), (0, &b"hunter2"[..]), "{}", stderr(&run));
    let told = warnings(&run);
    assert!(["cache/unusable", "cache/not-kept"].contains(&&*told[0]), "{told:?}");
    assert_eq!(told.len(), 1);
    // With room again it is as if nothing had been.
    assert_eq!(stderr(&project.run(&["get", "TOKEN"])), "");
    let run = shell.output().unwrap();
    assert_eq!((code(&run), stderr(&run)), (0, String::new()), "a hit writes nothing");
    read_only(&project);
}

/// The same on a file system that is read-only, where one can be made.
fn read_only(project: &Project) {
    let dir = project.path("home/.cache");
    let script = "mount --bind \"$1\" \"$1\" && mount -o remount,bind,ro \"$1\" || exit 99\n\
                  exec \"$0\" get TOKEN --refresh";
    let mut run = Command::new("unshare");
    run.args(["--mount", "sh", "-c", script]).arg(env!("CARGO_BIN_EXE_dsops")).arg(&dir);
    run.current_dir(project.path("")).env("HOME", project.path("home")).stdin(Stdio::null());
    match run.output() {
        Ok(run) if run.status.code() == Some(0) => {
            assert_eq!(&run.stdout[..], b"hunter2");
            assert_eq!(warnings(&run), ["cache/not-kept"], "{}", stderr(&run));
            assert!(stderr(&run).contains("the cache cannot be written"), "{}", stderr(&run));
        }
        _ => println!("not run: a read-only file system, which takes the right to mount"),
    }
}

#[test]
fn runs_side_by_side_do_not_disturb_each_other() {
    let project = project("{ ttl: 1h }");
    for round in 0..3 {
        let runs: Vec<_> = (0..8)
            .map(|at| {
                let mut command = project.command();
                command.args(["get", "TOKEN"]);
                if at % 2 == 1 {
                    command.arg("--refresh");
                }
                command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
            })
            .collect();
        for run in runs {
            let output = run.wait_with_output().unwrap();
            assert_eq!(
                (code(&output), &output.stdout[..], stderr(&output)),
                (0, &b"hunter2"[..], String::new()),
                "round {round}"
            );
        }
        project.ok(&["cache", "verify"]);
    }
    lock(&project);
    assert_eq!(project.ok(&["get", "TOKEN"]), "hunter2");
}

#[test]
fn a_run_that_is_killed_before_any_rename_leaves_nothing_wrong() {
    if !Command::new("strace").arg("-V").output().is_ok_and(|out| out.status.success()) {
        println!("not run: strace is not installed");
        return;
    }
    let project = project("{ ttl: 1h }");
    let mut killed = 0;
    for when in 1.. {
        let mut run = Command::new("strace");
        run.args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=rename,renameat,renameat2,linkat"]);
        run.args([
            "-e",
            &format!("inject=rename,renameat,renameat2,linkat:signal=KILL:when={when}"),
        ]);
        run.arg(env!("CARGO_BIN_EXE_dsops")).args(["get", "TOKEN", "--refresh"]);
        run.current_dir(project.path("")).env("HOME", project.path("home")).stdin(Stdio::null());
        let output = run.output().unwrap();
        if output.status.success() {
            assert_eq!(&output.stdout[..], b"hunter2");
            break;
        }
        killed += 1;
        assert!(killed < 20, "{}", stderr(&output));
        let next = project.run(&["get", "TOKEN"]);
        assert_eq!((code(&next), stderr(&next)), (0, String::new()), "after kill {when}");
        project.ok(&["cache", "verify"]);
        if when == 1 {
            // From the start again: what the first kill prevented has been made by now.
            project.ok(&["cache", "destroy", "--yes"]);
        }
    }
    assert!(killed >= 2, "{killed}");
    project.ok(&["cache", "clean"]);
    let left = files(&cache_dir(&project));
    assert!(!left.iter().any(|path| path.to_string_lossy().contains("/tmp-")), "{left:?}");
}

#[test]
fn there_is_no_cache_yet_and_that_is_no_fault() {
    let project = project("{ ttl: 1h }");
    for command in ["stats", "verify", "clean", "rekey", "destroy"] {
        let output = project.run(&["cache", command]);
        assert_eq!(code(&output), 0, "{command}");
        assert!(stderr(&output).contains("there is no cache yet in "), "{command}");
        let output = project.run(&["cache", command, "--json"]);
        assert_eq!((code(&output), &json(&output.stdout)["exists"]), (0, &false.into()));
    }
    assert_eq!(project.ok(&["cache", "path"]).trim(), cache_dir(&project).to_str().unwrap());
    assert!(!cache_dir(&project).exists() && !state_dir(&project).exists());
    let doctor = project.run(&["doctor"]);
    assert!(String::from_utf8_lossy(&doctor.stdout).contains("nothing is kept yet in "));
}

#[test]
fn what_takes_away_is_agreed_to() {
    let project = project("{ ttl: 1h }");
    project.ok(&["get", "TOKEN"]);
    for command in ["rekey", "destroy"] {
        assert_eq!(code(&project.run(&["cache", command])), 2, "{command}");
        assert_eq!(entries(&project).len(), 1, "{command}");
    }
    let key = std::fs::read(state_dir(&project).join("key")).unwrap();
    project.ok(&["cache", "rekey", "--keep-entries"]);
    lock(&project);
    assert_eq!(project.ok(&["get", "TOKEN"]), "hunter2", "the old key still opens it");
    unlock(&project);
    project.ok(&["cache", "rekey", "--yes"]);
    assert!(entries(&project).is_empty());
    assert_ne!(std::fs::read(state_dir(&project).join("key")).unwrap(), key);
    project.ok(&["get", "TOKEN"]);
    let gone = project.ok(&["cache", "destroy", "--yes", "--json"]);
    assert_eq!(json(gone.as_bytes())["exists"], false);
    assert!(!cache_dir(&project).exists() && files(&state_dir(&project)).is_empty());
}

#[test]
fn what_has_expired_goes_with_clean() {
    let project = project("{ ttl: 1s }");
    project.ok(&["get", "TOKEN"]);
    std::thread::sleep(Duration::from_millis(1100));
    let verified = project.ok(&["cache", "verify", "--json"]);
    assert_eq!(json(verified.as_bytes())["expired"], 1);
    let cleaned = project.ok(&["cache", "clean", "--json"]);
    assert_eq!(json(cleaned.as_bytes())["expired"], 1);
    assert!(entries(&project).is_empty());
}

#[test]
fn variables_and_flags_say_where_it_is() {
    let project = project("{ ttl: 1h }");
    let (cache, state) = (project.path("c"), project.path("s"));
    let at = |args: &[&str]| {
        let mut command = project.command();
        command.args(args).env("DSOPS_CACHE_DIR", &cache).env("DSOPS_STATE_DIR", &state);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        output.stdout
    };
    at(&["get", "TOKEN"]);
    assert!(cache.join("secrets/CACHE").exists() && state.join("secrets/key").exists());
    assert_eq!(json(&at(&["cache", "stats", "--json"]))["entries"], 1);
    let flags = ["--cache-dir", cache.to_str().unwrap(), "--state-dir", state.to_str().unwrap()];
    let told = project.ok(&[&["cache", "stats", "--json"], &flags[..]].concat());
    assert_eq!(json(told.as_bytes())["entries"], 1);
    assert!(!cache_dir(&project).exists());
}

#[test]
fn keeping_answers_needs_no_trust() {
    let project = project("{ ttl: 30days, offline: allow }");
    let shown = project.ok(&["trust", "--show", "--json"]);
    assert_eq!(json(shown.as_bytes())["powers"], Value::Array(Vec::new()));
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|out| out.stdout == b"0\n")
}
