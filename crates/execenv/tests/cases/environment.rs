//! Which variables arrive, which are refused, and what fits.

use std::{fs, os::unix::fs::PermissionsExt};

use dsops_execenv::{ExecError, Name, NameError};

use crate::support::{MODES, code, exec, exec_after, has, not_run, python, stdout};

fn environ(args: &[&str]) -> Vec<String> {
    let all: Vec<&str> = args.iter().copied().chain(["--", "cat", "/proc/self/environ"]).collect();
    split(&stdout(&mut exec(&all)))
}

fn split(environ: &str) -> Vec<String> {
    environ.split_terminator('\0').map(str::to_owned).collect()
}

/// Expects code 125 and a text with `part`; gives the text.
fn refused(args: &[&str], part: &str) -> String {
    let all: Vec<&str> = args.iter().copied().chain(["--", "true"]).collect();
    let output = exec(&all).output().expect("starts");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(code(&output), 125, "{stderr}");
    assert!(stderr.contains(part), "{stderr}");
    stderr
}

#[test]
fn t26_nothing_from_the_working_directory_is_run() {
    let dir = tempfile::tempdir().expect("directory");
    let planted = dir.path().join("ls");
    fs::create_dir(dir.path().join("sub")).expect("ours");
    for path in [&planted, &dir.path().join("sub/ls")] {
        fs::write(path, "#!/bin/sh\necho planted\n").expect("ours");
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("ours");
    }
    for mode in MODES {
        for path in
            [".:/usr/bin:/bin", ":/usr/bin:/bin", "sub:/usr/bin:/bin", "::.:sub/:/bin:/usr/bin"]
        {
            let mut command = exec(&[mode, "--", "ls"]);
            let output = stdout(command.current_dir(&dir).env("PATH", path));
            assert!(!output.contains("planted"), "{mode} {path}");
            assert!(output.contains("sub"), "{mode} {path}: {output}");
        }
        let mut command = exec_after("PATH=.:", &[mode, "--", "ls"]);
        let output = command.current_dir(&dir).output().expect("starts");
        assert_eq!(code(&output), 127, "{mode}");
    }
    refused(&["--secret", "PATH", "/tmp"], "PATH is not accepted");
    refused(&["--allow", "PATH", "--secret", "PATH", "/tmp"], "PATH comes from a secret");
}

#[test]
fn t26_the_path_is_the_one_the_child_will_have() {
    let dir = tempfile::tempdir().expect("directory");
    let tool = dir.path().join("only-here");
    fs::write(&tool, "#!/bin/sh\necho found\n").expect("ours");
    fs::set_permissions(&tool, fs::Permissions::from_mode(0o755)).expect("ours");
    let path = format!("{}:/usr/bin:/bin", dir.path().to_str().expect("UTF-8"));
    let found = stdout(exec(&["--clean", "--", "only-here"]).env("PATH", &path));
    assert_eq!(found, "found\n");
    let output = exec(&["--pristine", "--", "only-here"]).env("PATH", &path).output();
    assert_eq!(code(&output.expect("starts")), 127, "without a PATH, /bin and /usr/bin");
    assert_eq!(code(&exec(&["--pristine", "--", "true"]).output().expect("starts")), 0);
}

#[test]
fn t29_a_name_occurs_once_and_everybody_sees_the_same() {
    if !has("python3") {
        return not_run("python3 is missing");
    }
    let twice = "import os, sys
env = dict(os.environ)
env['D'] = 'first'; env[b'D'] = 'second'
os.execve(sys.argv[1], sys.argv[1:], env)";
    let see = "echo $D; printenv D; python3 -c 'import os; print(os.environ[\"D\"])'
        tr '\\0' '\\n' </proc/$$/environ | grep -c '^D='";
    for mode in MODES {
        let inherited = stdout(&mut python(twice, &[mode, "--", "sh", "-c", see]));
        assert_eq!(inherited, "first\nfirst\nfirst\n1\n", "{mode}");
        let secrets = ["--secret", "D", "one", "--secret", "D", "two"];
        let args: Vec<&str> =
            [mode].into_iter().chain(secrets).chain(["--", "sh", "-c", see]).collect();
        assert_eq!(stdout(&mut python(twice, &args)), "two\ntwo\ntwo\n1\n", "{mode}");
        let args: Vec<&str> = [mode, "--existing-wins"]
            .into_iter()
            .chain(secrets)
            .chain(["--", "sh", "-c", see])
            .collect();
        assert_eq!(stdout(&mut python(twice, &args)), "first\nfirst\nfirst\n1\n", "{mode}");
    }
}

#[test]
fn t30_bad_names_and_values_are_named_and_no_value_is_shown() {
    assert_eq!(Name::new(""), Err(NameError::Empty));
    assert!(matches!(Name::new("A=B"), Err(NameError::EqualsSign { .. })));
    assert!(matches!(Name::new("A\0"), Err(NameError::Nul { .. })));
    assert_eq!(ExecError::from(NameError::Empty).exit_code(), 125);
    for name in ["", "A=B"] {
        let text = refused(&["--secret", name, "sesame"], "variable name");
        assert!(!text.contains("sesame"), "{text}");
    }
    let dir = tempfile::tempdir().expect("directory");
    let file = dir.path().join("value");
    fs::write(&file, b"open\0sesame").expect("ours");
    for mode in MODES {
        let path = file.to_str().expect("UTF-8");
        let text = refused(&[mode, "--secret-file", "TOKEN", path], "TOKEN");
        assert!(
            text.contains("NUL") && !text.contains("sesame") && !text.contains("open"),
            "{text}"
        );
    }
}

#[test]
fn t31_the_longest_entry_passes_and_one_byte_more_is_named() {
    for mode in MODES {
        let run = |len: &str| {
            let args = [mode, "--secret-of", "LARGE", len, "--", "sh", "-c", "echo ${#LARGE}"];
            exec(&args).output().expect("starts")
        };
        // LARGE=… of 131071 bytes.
        let output = run("131065");
        assert_eq!(String::from_utf8_lossy(&output.stdout), "131065\n");
        let output = run("131066");
        assert_eq!(code(&output), 125);
        assert!(String::from_utf8_lossy(&output.stderr).contains("LARGE is too long"));
    }
}

#[test]
fn t31_the_largest_sum_passes_and_one_byte_more_is_named() {
    // Stack limit in KiB, and a quarter of it in bytes.
    for (stack_kib, limit) in [(8192, 2_097_152_usize), (1024, 262_144)] {
        let path = "/bin/true";
        let word = size_of::<usize>();
        let full = 131_071;
        let fixed = (path.len() + 1) * 2 + word;
        let full_count = (limit - fixed) / (full + 1 + word);
        let rest = limit - fixed - full_count * (full + 1 + word);
        assert!(rest > 100, "room for one more");
        let mut args = vec!["--pristine".to_owned()];
        for index in 0..full_count {
            let name = format!("V{index:02}");
            args.extend(["--secret-of".to_owned(), name, (full - 4).to_string()]);
        }
        args.push("--secret-of".to_owned());
        args.push("LAST".to_owned());
        let last = rest - word - 1 - "LAST=".len();
        for mode in MODES {
            let run = |last: usize| {
                let last = last.to_string();
                let mut all: Vec<&str> = args.iter().map(String::as_str).collect();
                all.extend([last.as_str(), mode, "--", path]);
                exec_after(&format!("ulimit -S -s {stack_kib}"), &all).output().expect("starts")
            };
            // The kernel agrees that this much fits.
            let output = run(last);
            assert_eq!(code(&output), 0, "{}", String::from_utf8_lossy(&output.stderr));
            let output = run(last + 1);
            assert_eq!(code(&output), 125);
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(
                text.contains("too long together") && text.contains("the largest being V"),
                "{text}"
            );
            assert!(text.contains(&limit.to_string()), "{text}");
        }
    }
}

#[test]
fn t32_dangerous_names_are_refused_as_secrets_only() {
    let names = ["LD_PRELOAD", "BASH_ENV", "NODE_OPTIONS", "BASH_FUNC_x%%", "GIT_SSH_COMMAND"];
    for name in names {
        let text = refused(&["--secret", name, "sesame"], name);
        assert!(!text.contains("sesame"));
        let entries = environ(&["--allow", name, "--secret", name, ""]);
        assert!(entries.contains(&format!("{name}=")), "{name} when allowed");
    }
    let inherited = |args: &[&str]| {
        let all: Vec<&str> =
            args.iter().copied().chain(["--", "cat", "/proc/self/environ"]).collect();
        let mut command = exec(&all);
        command.env("NODE_OPTIONS", "mine").env("LC_X", "() { :; }").env("FOO", "() { :; }");
        split(&stdout(&mut command))
    };
    let all = inherited(&[]);
    for entry in ["NODE_OPTIONS=mine", "LC_X=() { :; }"] {
        assert!(all.contains(&entry.to_owned()), "inherited: {entry}");
    }
    let clean = inherited(&["--clean", "--keep", "F*"]);
    assert!(clean.iter().any(|entry| entry.starts_with("PATH=")));
    for name in ["NODE_OPTIONS=", "LC_X=", "FOO="] {
        assert!(!clean.iter().any(|entry| entry.starts_with(name)), "clean: {name}");
    }
}

#[test]
fn t33_a_stores_credential_stays_with_us() {
    let run = |args: &[&str]| {
        let all: Vec<&str> = args
            .iter()
            .copied()
            .chain(["--withhold", "VAULT_TOKEN", "--", "cat", "/proc/self/environ"])
            .collect();
        split(&stdout(exec(&all).env("VAULT_TOKEN", "t").env("DSOPS_ENV", "e").env("OTHER", "o")))
    };
    let has = |entries: &[String], entry: &str| entries.iter().any(|e| e == entry);
    for mode in MODES {
        let default = run(&[mode]);
        assert!(has(&default, "OTHER=o"));
        assert!(!has(&default, "VAULT_TOKEN=t") && !has(&default, "DSOPS_ENV=e"));
        let star = run(&[mode, "--keep", "*"]);
        assert!(!has(&star, "VAULT_TOKEN=t"), "a star is no request");
        let kept = run(&[mode, "--keep", "VAULT_TOKEN"]);
        assert!(has(&kept, "VAULT_TOKEN=t") && !has(&kept, "DSOPS_ENV=e"));
    }
}
