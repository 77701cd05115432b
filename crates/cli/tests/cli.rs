//! The commands together, on the real binary and the real embedded store.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests")]

mod common;

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;

use common::{Project, code, files, stderr};

#[test]
fn init_makes_a_project_that_works_and_never_overwrites() {
    let project = Project::empty();
    let output = project.run(&["init"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let key = project.path("home/.config/sops/age/keys.txt");
    assert_eq!(key.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(key.parent().unwrap().metadata().unwrap().permissions().mode() & 0o777, 0o700);
    let before: Vec<_> =
        files(project.folder.path()).iter().map(|path| std::fs::read(path).unwrap()).collect();
    let again = project.run(&["init"]);
    assert_eq!(code(&again), 3);
    assert!(stderr(&again).contains("dsops.yaml is already there"), "{}", stderr(&again));
    assert!(stderr(&again).contains("secrets.sops.yaml is already there"), "{}", stderr(&again));
    let after: Vec<_> =
        files(project.folder.path()).iter().map(|path| std::fs::read(path).unwrap()).collect();
    assert_eq!(before, after);
}

#[test]
fn init_uses_the_identity_there_is() {
    let first = Project::new();
    let key = first.read("home/.config/sops/age/keys.txt");
    let second = Project::empty();
    second.write("key.txt", &key);
    let output =
        second.command().args(["init"]).env("SOPS_AGE_KEY_FILE", "key.txt").output().unwrap();
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert!(!stderr(&output).contains("fresh identity"));
    assert!(!second.path("home").exists());
}

#[test]
fn a_value_goes_in_and_comes_out_byte_for_byte() {
    let project = Project::new();
    for (name, value) in [
        ("PLAIN", b"simple".as_slice()),
        ("LINES", b"one\ntwo\nthree"),
        ("SPACES", b"  around  "),
        ("QUOTES", br#"'"$HOME`\"#),
        ("UNICODE", "grüße ☃".as_bytes()),
        ("YAMLISH", b"- {a: b} # no"),
        ("NUMBER", b"0123"),
    ] {
        project.set(name, value);
        let output = project.run(&["get", name]);
        assert_eq!(output.stdout, value, "{name}: {}", stderr(&output));
        assert_eq!(code(&output), 0);
    }
    // The store and the configuration name them and hold none of them.
    let text = project.read("secrets.sops.yaml") + &project.read("dsops.yaml");
    assert!(text.contains("UNICODE") && !text.contains("grüße") && !text.contains("simple"));
}

#[test]
fn one_final_line_break_of_stdin_is_not_part_of_the_value() {
    let project = Project::new();
    project.set("A", b"value\n");
    assert_eq!(project.run(&["get", "A"]).stdout, b"value");
    assert_eq!(code(&project.feed(&["set", "A", "--keep-newline"], b"value\n")), 0);
    assert_eq!(project.run(&["get", "A"]).stdout, b"value\n");
    project.write("file", "from a file\n");
    project.ok(&["set", "A", "--from-file", "file"]);
    assert_eq!(project.run(&["get", "--var", "A"]).stdout, b"from a file\n");
}

#[test]
fn a_value_is_never_an_argument_and_never_repeated() {
    let project = Project::new();
    for args in [vec!["set", "A", "sup3rs3cret"], vec!["set", "A=sup3rs3cret"]] {
        let output = project.run(&args);
        assert_eq!(code(&output), 2, "{args:?}: {}", stderr(&output));
        let text = stderr(&output);
        assert!(text.contains("never taken from the command line"), "{text}");
        assert!(!text.contains("sup3rs3cret"), "{text}");
    }
}

#[test]
fn a_name_no_shell_knows_is_refused_before_anything_is_read() {
    let project = Project::new();
    for name in ["API-KEY", "a.b", "1A", "a/b", ""] {
        let output = project.feed(&["set", name], b"x");
        assert_eq!(code(&output), 2, "{name}: {}", stderr(&output));
        assert!(!stderr(&output).contains("by hand"), "{}", stderr(&output));
    }
}

#[test]
fn an_empty_stdin_replaces_nothing() {
    let project = Project::new();
    project.set("A", b"good");
    let output = project.feed(&["set", "A"], b"");
    assert_eq!(code(&output), 2, "{}", stderr(&output));
    assert_eq!(project.run(&["get", "A"]).stdout, b"good");
    assert_eq!(code(&project.feed(&["set", "A", "--allow-empty"], b"")), 0);
    assert_eq!(project.run(&["get", "A"]).stdout, b"");
}

#[test]
fn changes_made_while_a_value_is_typed_are_kept() {
    use std::io::Write as _;
    let project = Project::new();
    let mut slow =
        project.command().args(["set", "ONE"]).stdin(std::process::Stdio::piped()).spawn().unwrap();
    // `slow` waits for its value; whatever it has read of the configuration by now is old below.
    std::thread::sleep(std::time::Duration::from_millis(200));
    project.set("TWO", b"2");
    let edited = project.read("dsops.yaml") + "# my own line\n";
    project.write("dsops.yaml", &edited);
    slow.stdin.take().unwrap().write_all(b"1").unwrap();
    assert!(slow.wait().unwrap().success());
    assert_eq!(project.run(&["get", "ONE"]).stdout, b"1");
    assert_eq!(project.run(&["get", "TWO"]).stdout, b"2");
    assert!(project.read("dsops.yaml").contains("# my own line\n"));
}

#[test]
fn what_cannot_be_stored_is_told_before_the_value_is_read() {
    let project = Project::new();
    std::fs::remove_dir_all(project.path("home")).unwrap();
    // Stdin stays open and silent: a command that read it would wait.
    let child = project
        .command()
        .args(["set", "A"])
        .stdin(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let pid = child.id();
    let (sender, done) = std::sync::mpsc::channel();
    let mut child = child;
    let stdin = child.stdin.take();
    std::thread::spawn(move || sender.send(child.wait_with_output().unwrap()).unwrap());
    let output = done.recv_timeout(std::time::Duration::from_secs(30)).unwrap_or_else(|_| {
        panic!("{pid} still waits for a value");
    });
    drop(stdin);
    assert_eq!(code(&output), 4, "{}", stderr(&output));
}

#[test]
fn required_protection_fails_before_anything_is_fetched() {
    let project = Project::new();
    project.set("A", b"value");
    std::fs::remove_file(project.path("secrets.sops.yaml")).unwrap();
    // As a user who may lock no memory; root is above the limit.
    let script = "ulimit -l 0 && exec setpriv --reuid 65534 --regid 65534 --clear-groups \"$0\" exec --require-protection -- touch ran";
    let dsops = project.path("dsops");
    std::fs::copy(env!("CARGO_BIN_EXE_dsops"), &dsops).unwrap();
    std::fs::set_permissions(project.folder.path(), std::fs::Permissions::from_mode(0o777))
        .unwrap();
    let output = std::process::Command::new("sh")
        .args(["-c", script])
        .arg(&dsops)
        .current_dir(project.folder.path())
        .output()
        .unwrap();
    let text = stderr(&output);
    if text.contains("setpriv") {
        println!("not run: this user may not become another one");
        return;
    }
    assert_eq!(code(&output), 125, "{text}");
    assert!(text.contains("memory protection") && !text.contains("store/"), "{text}");
    assert!(!project.path("ran").exists());
}

#[test]
fn a_reader_that_leaves_is_no_fault() {
    let project = Project::new();
    let output = std::process::Command::new("sh")
        .args(["-c", "{ \"$0\" plan; echo \"code $?\" >&2; } | true; sleep 0.1"])
        .arg(env!("CARGO_BIN_EXE_dsops"))
        .current_dir(project.folder.path())
        .output()
        .unwrap();
    // The reader may also be quick enough to take it all.
    let text = stderr(&output);
    assert!(text == "code 141\n" || text == "code 0\n", "{text}");
}

#[test]
fn init_does_not_hide_a_broken_identity() {
    let project = Project::empty();
    std::fs::create_dir_all(project.path("home/.config/sops/age")).unwrap();
    project.write("home/.config/sops/age/keys.txt", "not a key\n");
    let output = project.run(&["init"]);
    assert_eq!(code(&output), 4);
    assert!(stderr(&output).contains("looked in:"), "{}", stderr(&output));
    assert!(!project.path("dsops.yaml").exists());
}

#[test]
fn exec_hands_over_and_mirrors() {
    let project = Project::new();
    project.set("A", b"value of a");
    for mode in ["auto", "replace", "supervise"] {
        let output =
            project.run(&["exec", "--mode", mode, "--", "sh", "-c", "printf %s \"$A\"; exit 9"]);
        assert_eq!(output.stdout, b"value of a", "{mode}: {}", stderr(&output));
        assert_eq!(code(&output), 9);
        assert_eq!(stderr(&output), "");
        let killed = project.run(&["exec", "--mode", mode, "--", "sh", "-c", "kill -TERM $$"]);
        assert_eq!(killed.status.signal(), Some(15), "{mode}");
    }
}

#[test]
fn exec_fails_closed_before_the_child() {
    let project = Project::new();
    project.set("A", b"value");
    let config = project.read("dsops.yaml");
    project.write(
        "dsops.yaml",
        &format!(
            "{config}    B: {{ from: store://secrets/B }}\n    C: {{ from: store://secrets/C }}\n"
        ),
    );
    let output = project.run(&["exec", "--", "touch", "ran"]);
    assert_eq!(code(&output), 125);
    // All that is missing, each once.
    let text = stderr(&output);
    assert_eq!(text.matches("cannot get `B`").count(), 1, "{text}");
    assert_eq!(text.matches("cannot get `C`").count(), 1, "{text}");
    assert!(!project.path("ran").exists());
}

#[test]
fn exec_tells_its_own_failures_by_code() {
    let project = Project::new();
    project.write("not-a-program", "x");
    for (expected, args) in [
        (127, vec!["exec", "--", "no-such-command-anywhere"]),
        (126, vec!["exec", "--", "./not-a-program"]),
        (125, vec!["exec", "--no-such-flag", "--", "true"]),
        (125, vec!["--env", "dev", "exec", "--no-such-flag"]),
        (125, vec!["exec", "--env", "prod", "--", "true"]),
        (125, vec!["exec", "--config", "absent.yaml", "--", "true"]),
        (125, vec!["exec", "--working-dir", "absent", "--", "true"]),
        (124, vec!["exec", "--timeout", "200ms", "--", "sleep", "60"]),
        (0, vec!["exec", "--", "true"]),
    ] {
        let output = project.run(&args);
        assert_eq!(code(&output), expected, "{args:?}: {}", stderr(&output));
    }
}

#[test]
fn a_command_that_is_not_there_costs_no_fetch() {
    let project = Project::new();
    project.set("A", b"value");
    std::fs::remove_file(project.path("secrets.sops.yaml")).unwrap();
    // With the store gone, a fetch would fail with 125.
    assert_eq!(code(&project.run(&["exec", "--", "no-such-command-anywhere"])), 127);
    assert_eq!(code(&project.run(&["exec", "--", "true"])), 125);
}

#[test]
fn the_environment_policy_is_kept() {
    let project = Project::new();
    project.set("A", b"from the store");
    let env = |args: &[&str]| {
        let output = project
            .command()
            .args(["exec"])
            .args(args)
            .args(["--", "env"])
            .env("A", "inherited")
            .env("OTHER", "x")
            .env("DSOPS_QUIET", "1")
            .output()
            .unwrap();
        assert_eq!(code(&output), 0, "{}", stderr(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    let inherited = env(&[]);
    assert!(inherited.contains("A=from the store\n") && inherited.contains("OTHER=x\n"));
    assert!(!inherited.contains("DSOPS_"), "our own settings are not the child's");
    assert!(env(&["--allow-override"]).contains("A=inherited\n"));
    assert!(!env(&["--clean"]).contains("OTHER="));
    assert_eq!(env(&["--pristine"]), "A=from the store\n");
    assert!(env(&["--pristine", "--keep", "OTH*"]).contains("OTHER=x\n"));
    assert!(!env(&["--drop", "OTHER"]).contains("OTHER="));
}

#[test]
fn a_store_credential_stays_here_unless_it_is_kept() {
    let project = Project::new();
    project.set("A", b"value");
    let key = project.read("home/.config/sops/age/keys.txt");
    let env = |args: &[&str]| {
        let output = project
            .command()
            .arg("exec")
            .args(args)
            .args(["--", "env"])
            .env("HOME", "/nonexistent")
            .env("SOPS_AGE_KEY", key.trim())
            .output()
            .unwrap();
        assert_eq!(code(&output), 0, "{}", stderr(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    let without = env(&[]);
    assert!(
        without.contains("A=value\n") && !without.contains("SOPS_AGE_KEY"),
        "{}",
        without.contains("SOPS_")
    );
    assert!(env(&["--keep", "SOPS_AGE_KEY"]).contains(key.trim()));
    // Also when no store was asked: the key opens all of them.
    let config = project.read("dsops.yaml") + "  plain:\n    L: { literal: x }\n";
    project.write("dsops.yaml", &config);
    assert!(!env(&["--env", "plain"]).contains("SOPS_AGE_KEY"));
}

#[test]
fn several_stores_answer_together_and_the_environment_is_one() {
    let project = Project::new();
    project.set("A", b"from sops");
    let config = project.read("dsops.yaml").replace(
        "secretStores:\n",
        "secretStores:\n  ci: { type: env, prefix: CI_ }\n  ci2: { type: env, prefix: CI_ }\n  plain: { type: literal, values: { p: from plain } }\n",
    );
    project.write(
        "dsops.yaml",
        &format!("{config}    B: {{ from: store://ci/TOKEN }}\n    C: {{ from: store://plain/p }}\n    D: {{ from: store://ci2/TOKEN }}\n"),
    );
    let script = r#"echo "$A|$B|$C|$D|${CI_TOKEN-gone}""#;
    let run = |args: &[&str]| {
        let mut command = project.command();
        command.arg("exec").args(args).args(["--", "sh", "-c", script]).env("CI_TOKEN", "from ci");
        let output = command.output().unwrap();
        assert_eq!(code(&output), 0, "{}", stderr(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(run(&[]), "from sops|from ci|from plain|from ci|gone\n");
    assert_eq!(run(&["--keep", "CI_TOKEN"]), "from sops|from ci|from plain|from ci|from ci\n");
}

#[test]
fn plan_opens_nothing() {
    let project = Project::new();
    project.set("A", b"value");
    std::fs::remove_file(project.path("secrets.sops.yaml")).unwrap();
    assert!(project.ok(&["plan"]).contains("store://secrets/A"));
    let json: serde_json::Value = serde_json::from_str(&project.ok(&["plan", "--json"])).unwrap();
    assert_eq!(json["version"], 1);
    assert_eq!(json["variables"][0]["name"], "A");
    assert_eq!(json["stores"][0]["type"], "sops");
}

#[test]
fn the_environment_is_chosen_or_asked_for() {
    let project = Project::new();
    let config = project.read("dsops.yaml");
    project.write("dsops.yaml", &format!("{config}  prod:\n    P: {{ literal: p }}\n"));
    let output = project.run(&["plan"]);
    assert_eq!(code(&output), 3);
    assert!(stderr(&output).contains("dev, prod"), "{}", stderr(&output));
    assert!(project.ok(&["plan", "--env", "prod"]).contains("literal"));
    let by_variable = project.command().arg("plan").env("DSOPS_ENV", "prod").output().unwrap();
    assert_eq!(code(&by_variable), 0);
    let unknown = project.run(&["plan", "--env", "prd"]);
    assert!(stderr(&unknown).contains("did you mean `prod`?"), "{}", stderr(&unknown));
}

#[test]
fn the_configuration_is_found_from_below() {
    let project = Project::new();
    project.set("A", b"value");
    std::fs::create_dir_all(project.path("deep/er")).unwrap();
    let output =
        project.command().args(["get", "A"]).current_dir(project.path("deep/er")).output().unwrap();
    assert_eq!(output.stdout, b"value", "{}", stderr(&output));
}

#[test]
fn a_tampered_store_gives_nothing() {
    let project = Project::new();
    project.set("A", b"value a");
    project.set("B", b"value b");
    let text = project.read("secrets.sops.yaml");
    // B's entry is removed: A is untouched, and still nothing is handed out.
    let without: Vec<&str> = text.lines().filter(|line| !line.starts_with("B:")).collect();
    let without = without.join("\n");
    project.write("secrets.sops.yaml", &without);
    let output = project.run(&["get", "A"]);
    assert_eq!(code(&output), 4);
    assert_eq!(output.stdout, b"");
    assert!(stderr(&output).contains("MAC"), "{}", stderr(&output));
}

#[test]
fn a_stranger_cannot_open_the_store() {
    let project = Project::new();
    project.set("A", b"value");
    std::fs::remove_dir_all(project.path("home")).unwrap();
    let output = project.run(&["get", "A"]);
    assert_eq!(code(&output), 4);
    assert!(stderr(&output).contains("SOPS_AGE_KEY"), "says where it looked: {}", stderr(&output));
}

#[test]
fn set_changes_nothing_when_it_fails() {
    let project = Project::new();
    project.set("A", b"value");
    let before = (project.read("dsops.yaml"), project.read("secrets.sops.yaml"));
    for (args, input) in [
        (vec!["set", "B", "--from-file", "absent"], b"".as_slice()),
        (vec!["set", "not a name"], b"x"),
        (vec!["set", "B", "--env", "prod"], b"x"),
        (vec!["set", "B"], vec![b'x'; (1 << 20) + 1].leak()),
    ] {
        let output = project.feed(&args, input);
        assert_ne!(code(&output), 0, "{args:?}");
        assert!(!stderr(&output).is_empty());
        assert_eq!(
            (project.read("dsops.yaml"), project.read("secrets.sops.yaml")),
            before,
            "{args:?}"
        );
    }
}

#[test]
fn doctor_tells_and_its_code_follows() {
    let project = Project::new();
    let text = project.ok(&["doctor"]);
    assert!(text.contains("store secrets") && text.contains("memory"), "{text}");
    let json: serde_json::Value = serde_json::from_str(&project.ok(&["doctor", "--json"])).unwrap();
    assert_eq!(json["verdict"], "pass");
    assert_eq!(json["protection"]["dumpable"], false);
    std::fs::remove_file(project.path("secrets.sops.yaml")).unwrap();
    let output = project.run(&["doctor"]);
    assert_eq!(code(&output), 1, "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn doctor_warns_of_a_key_file_that_others_may_read() {
    let project = Project::new();
    let key = project.path("home/.config/sops/age/keys.txt");
    let of_store = || -> Vec<serde_json::Value> {
        let json: serde_json::Value =
            serde_json::from_str(&project.ok(&["doctor", "--json"])).unwrap();
        let findings = json["findings"].as_array().unwrap().clone();
        findings.into_iter().filter(|found| found["subject"] == "store secrets").collect()
    };
    let about_key = |line: &&str| line.starts_with("warning") && line.contains("the key file");
    assert_eq!(project.ok(&["doctor"]).lines().filter(about_key).count(), 0);
    assert_eq!(of_store().len(), 1);
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let text = project.ok(&["doctor"]);
    assert_eq!(text.lines().filter(about_key).count(), 1, "{text}");
    let found = of_store();
    assert_eq!((&found[0]["outcome"], &found[1]["outcome"]), (&"ok".into(), &"warning".into()));
    assert!(found[1]["message"].as_str().unwrap().contains("mode 0644"), "{found:?}");
}

#[test]
fn the_demo_works_and_leaves_nothing() {
    let project = Project::empty();
    let temporary = project.path("tmp");
    std::fs::create_dir(&temporary).unwrap();
    let output = project.command().arg("demo").env("TMPDIR", &temporary).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(code(&output), 0, "{text}{}", stderr(&output));
    assert_eq!(text.matches("its SHA-256 is that of the stored value").count(), 2, "{text}");
    assert!(text.contains("dsops ended with code 42"), "{text}");
    assert_eq!(std::fs::read_dir(&temporary).unwrap().count(), 0, "nothing is left");
    assert!(!project.path("home").exists(), "the user's own folders are not touched");
}

#[test]
fn an_interrupted_demo_leaves_nothing_either() {
    let project = Project::empty();
    let temporary = project.path("tmp");
    std::fs::create_dir(&temporary).unwrap();
    for delay in ["0.02", "0.05", "0.1"] {
        // `timeout` signals its whole group, as ^C does.
        let output = std::process::Command::new("timeout")
            .args(["-s", "INT", delay, env!("CARGO_BIN_EXE_dsops"), "demo"])
            .env("TMPDIR", &temporary)
            .output()
            .unwrap();
        assert_eq!(std::fs::read_dir(&temporary).unwrap().count(), 0, "{}", stderr(&output));
    }
}

#[test]
fn version_and_help_are_answers() {
    let project = Project::empty();
    assert_eq!(project.ok(&["--version"]), format!("dsops {}\n", env!("CARGO_PKG_VERSION")));
    assert!(project.ok(&["exec", "--help"]).contains("--mode"));
    assert_eq!(code(&project.run(&["frobnicate"])), 2);
}

#[test]
fn an_answer_that_cannot_be_written_is_no_success() {
    let project = Project::empty();
    for args in [["--version"], ["--help"]] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = project.command().args(args).stdout(full).output().unwrap();
        assert_eq!(code(&output), 4, "{args:?}");
        assert!(stderr(&output).contains("writing to stdout failed"), "{}", stderr(&output));
    }
}

#[test]
fn errors_as_json_are_one_line_and_leave_stdout_alone() {
    let project = Project::new();
    let variables = "    A: { form: x }\n    B: { optinal: 1 }\n";
    project.write("dsops.yaml", &format!("version: 1\nenvs:\n  dev:\n{variables}"));
    let output = project.run(&["plan", "--json"]);
    assert_eq!((code(&output), output.stdout.len()), (3, 0));
    let told = stderr(&output);
    assert_eq!(told.lines().count(), 1, "{told}");
    let json: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!((&json["version"], &json["exit_code"]), (&1.into(), &3.into()));
    let first = &json["errors"][0];
    assert_eq!(first["code"], "config/unknown-key");
    assert_eq!(first["help"], "did you mean `from`?");
    assert_eq!(first["place"]["file"], "dsops.yaml");
    assert!(json["errors"].as_array().unwrap().len() >= 2, "{told}");
}

#[test]
fn the_manual_is_in_the_binary() {
    let project = Project::empty();
    let page = project.ok(&["man", "exec"]);
    assert!(page.contains(".TH dsops-exec 1") && page.contains("require\\-protection"), "{page}");
    assert!(project.ok(&["man"]).contains(".TH dsops 1"));
    assert!(project.ok(&["exec", "--help"]).contains("Examples:\n  dsops exec -- npm start\n"));
}

#[test]
fn get_as_json_has_the_keys_of_the_first_dsops() {
    let project = Project::new();
    let value = "quo\"te \\ new\nline \u{1b} grüße";
    project.set("A", value.as_bytes());
    let json: serde_json::Value =
        serde_json::from_str(&project.ok(&["get", "A", "--json"])).unwrap();
    let expected = serde_json::json!({
        "version": 1, "variable": "A", "environment": "dev", "provider": "secrets", "key": "A", "value": value,
    });
    assert_eq!(json, expected);
    let text = project.read("dsops.yaml");
    project.write("dsops.yaml", &format!("{text}    L: {{ literal: x }}\n"));
    let json: serde_json::Value =
        serde_json::from_str(&project.ok(&["get", "--var", "L", "--json"])).unwrap();
    assert_eq!((&json["source"], &json["value"]), (&"literal".into(), &"x".into()));
    // What JSON cannot carry is an error, not something else.
    project.set("B", b"\xff\xfe");
    let output = project.run(&["get", "B", "--json"]);
    assert_eq!((code(&output), output.stdout.len()), (4, 0), "{}", stderr(&output));
}

#[test]
fn exec_shows_names_and_lengths_and_never_values() {
    let project = Project::new();
    project.set("A", b"sup3rs3cret");
    project.set("LONG", &[b'x'; 100]);
    let run = |args: &[&str]| {
        let mut command = project.command();
        command.arg("exec").args(args).args(["--", "sh", "-c", "echo ran"]).env("A", "inherited");
        let output = command.output().unwrap();
        assert_eq!(output.stdout, b"ran\n", "{}", stderr(&output));
        stderr(&output)
    };
    let shown = run(&["--print"]);
    assert_eq!(shown, "VARIABLE  VALUE\nA         1 to 15 bytes\nLONG      64 to 1023 bytes\n");
    assert!(run(&["--print", "--allow-override"]).contains("A         was set already, and stays"));
    let json: serde_json::Value = serde_json::from_str(&run(&["--print", "--json"])).unwrap();
    assert_eq!(json["variables"][1]["length"], "64 to 1023 bytes");
}

#[test]
fn verbose_exec_says_what_is_withheld_and_overridden() {
    let project = Project::new();
    project.set("A", b"value");
    let key = project.read("home/.config/sops/age/keys.txt");
    let run = |args: &[&str]| {
        let mut command = project.command();
        command.arg("exec").args(args).args(["--", "true"]).env("A", "inherited");
        command.env("SOPS_AGE_KEY", key.trim()).env("DSOPS_QUIET", "0");
        let output = command.output().unwrap();
        assert_eq!(code(&output), 0);
        stderr(&output)
    };
    let told = run(&["--verbose"]);
    assert!(told.contains("note: not passed on: DSOPS_QUIET, SOPS_AGE_KEY\n"), "{told}");
    assert!(told.contains("note: secrets take the place of: A\n"), "{told}");
    assert!(!told.contains("AGE-SECRET-KEY") && !told.contains("inherited"), "{told}");
    let kept = run(&["--verbose", "--keep", "SOPS_AGE_KEY"]);
    assert!(kept.contains("note: not passed on: DSOPS_QUIET\n"), "{kept}");
    assert_eq!(run(&[]), "");
}
