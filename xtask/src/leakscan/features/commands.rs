//! The commands beside `exec`: what writes files, edits, imports, and changes who may read.

use std::{
    ffi::OsString,
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt as _, chown},
    path::PathBuf,
};

use super::{Case, Features, Launch, folder};
use crate::leakscan::{cases::Place, project::Project};

/// All of them, in an order in which each leaves what the next needs.
pub(super) fn all(features: &Features) -> anyhow::Result<Vec<Case>> {
    let mut cases = render(features)?;
    cases.extend(reading(&features.project));
    cases.extend(import(features)?);
    cases.extend(edit(features)?);
    cases.extend(changing(features));
    Ok(cases)
}

/// `render` in each format, to a file and to standard output.
fn render(features: &Features) -> anyhow::Result<Vec<Case>> {
    let project = &features.project;
    let mut cases = Vec::new();
    let formats = [
        "dotenv",
        "json",
        "yaml",
        "shell",
        "fish",
        "powershell",
        "docker",
        "k8s",
        "systemd-credential",
        "systemd-env",
        "github-env",
        "gitlab-env",
    ];
    for format in formats {
        let base = ["render", "--env", "works-6", "--format", format, "--secret-name", "app"];
        cases.push(written(project, &format!("render {format}"), &base)?);
        let words = [&base[..], &["--out", "-"]].concat();
        cases.push(
            Case::works(&format!("render {format} --out -"), project.launch(&words))
                .secret_in(Place::Printed),
        );
    }
    // As the reference says: these two ways lead from protected memory to protected memory.
    for (name, text) in [
        ("a variable", "{{ V }}\n"),
        ("our filters", "{{ V|sh_quote }} {{ V|json }} {{ V|base64 }} {{ V|required }}\n"),
        ("a loop", "{% for name in env %}{{ name }}={{ env[name] }}\n{% endfor %}"),
    ] {
        let file = template(project, name, text)?;
        let base = ["render", "--env", "works-6", "--template", &file];
        cases.push(written(project, &format!("render --template, {name}"), &base)?);
    }
    for (name, text) in [
        ("an unknown variable", "{{ V }}{{ NONE }}"),
        ("a broken template", "{{ V }}{% if %}"),
        ("an error behind a value", "{{ V }}{{ V|no_such_filter }}"),
    ] {
        let file = template(project, name, text)?;
        let words = ["render", "--env", "works-6", "--template", &file, "--out", "-"];
        // What comes before the error is kept until all is well.
        cases.push(Case::fails(&format!("render --template, {name}"), project.launch(&words)));
    }
    for (name, format, env) in [
        ("render of a trimmed line for docker", "docker", "works-10"),
        ("render of lines for GitLab", "gitlab-env", "works-20"),
        ("render of two variables as one credential", "systemd-credential", "defaults"),
    ] {
        for flags in [&[][..], &["--json"]] {
            let words = ["render", "--env", env, "--format", format, "--out", "-"];
            let words = [flags, &words].concat();
            let name = if flags.is_empty() { name.into() } else { format!("{name}, --json") };
            let launch = project.launch(&words);
            let case = if format == "docker" {
                // Trimmed, it is one line.
                Case::works(&name, launch).secret_in(Place::Printed)
            } else {
                Case::fails(&name, launch)
            };
            cases.push(case);
        }
    }
    let nowhere = ["render", "--env", "works-6", "--out", "/no/such/folder/file"];
    cases.push(Case::fails("render to nowhere", project.launch(&nowhere)).writes());
    Ok(cases)
}

/// A `render` to a file in a folder of its own.
fn written(project: &Project, name: &str, words: &[&str]) -> anyhow::Result<Case> {
    let file = folder(project, &name.replace([' ', ','], "-"))?.join("out");
    let text = file.display().to_string();
    let launch = project.launch(&[words, &["--out", &text]].concat());
    Ok(Case::works(name, launch).secret_in(Place::Written(file)))
}

/// A template in a file.
fn template(project: &Project, name: &str, text: &str) -> anyhow::Result<String> {
    let path = project.folder().join(format!("{}.j2", name.replace(' ', "-")));
    fs::write(&path, text)?;
    Ok(path.display().to_string())
}

/// What tells about secrets and holds none.
fn reading(project: &Project) -> Vec<Case> {
    let works = |name: &str, words: &[&str]| Case::works(name, project.launch(words));
    vec![
        works("trust", &["trust", "--yes"]).writes(),
        works("hook-state", &["--env", "all", "hook-state", "bash"]),
        works("hook-state, leaving", &["hook-state", "zsh", "--loaded", "0 TOKEN JSON"]),
        works("list", &["--env", "all", "list"]),
        works("list --json", &["--json", "--env", "all", "list"]),
        works("plan --check", &["--env", "all", "plan", "--check"]),
        works("plan --check --json", &["--json", "--env", "works-0", "plan", "--check"]),
        works("config explain", &["--env", "works-22", "config", "explain", "V"]),
        works("config check", &["config", "check"]),
        works("providers", &["providers"]),
        works("recipients list", &["recipients", "list", "--store", "secrets"]),
        works("exec --only", &["--env", "all", "exec", "--only", "TOK*", "--", "/bin/true"]),
    ]
}

/// `import` from each format; the file itself may hold the value.
fn import(features: &Features) -> anyhow::Result<Vec<Case>> {
    let project = &features.project;
    let sources = folder(project, "sources")?;
    let (token, list) = (features.values[0].text(), features.values[3].text());
    let body = features.values[4].text();
    let filler = "# filler\n".repeat(2_000);
    let mut cases = Vec::new();
    for (file, text) in [
        (".env", format!("{filler}I1={token}\nexport I2=\"{list}\\n{body}\"\nI3='{token}'\n")),
        ("doppler.json", format!("{{\"I4\": \"{token}\", \"I5\": \"a\\n{list}\\u00e9{body}\"}}\n")),
        (
            "fnox.toml",
            format!(
                "{filler}[providers.plain]\ntype = \"plain\"\n\n[secrets]\nI6 = {{ default = \"{token}\" }}\nI7 = {{ provider = \"plain\", value = \"a\\t{list}{body}\" }}\n"
            ),
        ),
        (
            "secretspec.toml",
            format!(
                "[project]\nname = \"x\"\nrevision = \"1.0\"\n\n[profiles.default]\nI8 = {{ description = \"d\", required = true, default = \"{token}\" }}\n"
            ),
        ),
    ] {
        let path = sources.join(file);
        fs::write(&path, text)?;
        chown(&path, project.user(), project.user())?;
        let path = path.display().to_string();
        for (what, words) in
            [("--dry-run", &["--dry-run"][..]), ("stores", &[]), ("again", &["--overwrite"])]
        {
            let words =
                [&["--env", "all", "import", "--store", "secrets", &path][..], words].concat();
            let case = Case::works(&format!("import {file}, {what}"), project.launch(&words));
            // What is declared anew changes dsops.yaml, and the store is written.
            cases.push(case.writes());
        }
    }
    for (file, text) in [
        ("broken.env", format!("I1={token}\nI2=\"{list}\nnot closed\n")),
        ("broken.json", format!("{{\"I1\": \"{token}\", {list}: \n")),
        ("broken.toml", format!("[secrets]\nI1 = \"{token}\n{list} = [\n")),
    ] {
        let path = sources.join(file);
        fs::write(&path, text)?;
        chown(&path, project.user(), project.user())?;
        let path = path.display().to_string();
        let from = match file {
            "broken.env" => "dotenv",
            "broken.json" => "json",
            _ => "fnox",
        };
        for flags in [&[][..], &["--json"]] {
            let words =
                [flags, &["--env", "all", "import", "--store", "secrets", "--from", from, &path]]
                    .concat();
            let name = format!("import {file}{}", if flags.is_empty() { "" } else { ", --json" });
            cases.push(Case::fails(&name, project.launch(&words)).writes());
        }
    }
    Ok(cases)
}

/// `edit` with editors that are scripts. What they add is in the script, which is no part of the
/// project.
fn edit(features: &Features) -> anyhow::Result<Vec<Case>> {
    let project = &features.project;
    let (token, new) = (features.values[0].text(), features.values[5].text());
    let run = |name: &str, script: &str| -> anyhow::Result<Launch> {
        let editor: PathBuf = project.folder().join(format!("editor-{name}"));
        // It sees the plaintext, or the run proves nothing.
        fs::write(&editor, format!("#!/bin/sh\ngrep -q {token} \"$1\" || exit 9\n{script}\n"))?;
        fs::set_permissions(&editor, Permissions::from_mode(0o755))?;
        let mut launch = project.launch(&["edit", "--store", "secrets", "--allow-traces"]);
        launch.environment.push(("EDITOR".into(), OsString::from(editor)));
        Ok(launch)
    };
    let edited = |case: Case| case.secret_in(Place::Edited);
    let more = format!("echo 'NEW: {new}' >> \"$1\"; cp \"$1\" \"$TMPDIR/.backup\"");
    Ok(vec![
        edited(Case::works("edit, nothing changed", run("idle", ":")?).writes()),
        edited(Case::works("edit, a value more and a backup", run("more", &more)?).writes()),
        edited(
            Case::works("edit, a value less", run("less", "sed -i '/^NEW:/d' \"$1\"")?).writes(),
        ),
        edited(Case::fails("edit, the editor fails", run("fails", "exit 3")?).writes()),
        edited(
            Case::fails(
                "edit, what was saved is broken",
                run("broken", &format!("echo '{new}: [{new}' >> \"$1\""))?,
            )
            .writes(),
        ),
        edited(Case::fails("edit, the file is gone", run("gone", "rm \"$1\"")?).writes()),
    ])
}

/// What changes the store or who may read it.
fn changing(features: &Features) -> Vec<Case> {
    let project = &features.project;
    let works = |name: &str, words: &[&str]| Case::works(name, project.launch(words)).writes();
    let fails = |name: &str, words: &[&str]| Case::fails(name, project.launch(words)).writes();
    let mut cases = vec![
        works("unset", &["--env", "all", "unset", "ODD", "--keep-declaration", "--force"]),
        fails("unset of what is not there", &["--env", "all", "unset", "NONE"]),
        fails("unset --json", &["--json", "--env", "all", "unset", "NONE"]),
        works("rekey", &["rekey", "--store", "secrets"]),
        fails("recipients add of no key", &["recipients", "add", "--store", "secrets", "age1xx"]),
    ];
    if let Some((_, key)) = features.keys.first() {
        cases.push(works(
            "recipients remove",
            &["recipients", "remove", "--store", "secrets", &key.recipient],
        ));
        cases.push(works(
            "recipients add",
            &["recipients", "add", "--store", "secrets", &key.recipient],
        ));
        cases.push(fails(
            "recipients remove of a stranger",
            &["recipients", "remove", "--store", "secrets", "age1xx"],
        ));
    }
    let again = Launch {
        stdin: features.values[5].bytes.clone(),
        ..project.launch(&["--env", "all", "set", "TOKEN"])
    };
    cases.push(Case::works("set after rekey", again).writes());
    cases
}
