//! Other programs that do the same, as far as they are installed.

use std::{fs, path::PathBuf};

use anyhow::Context as _;

use super::exec::secrets;
use crate::{
    leakscan::{
        project::{Project, run},
        tracer::Launch,
    },
    process::report_part_not_run,
    tools,
};

/// A peer doing what `dsops exec` does.
#[derive(Debug)]
pub struct Peer {
    /// Who and what.
    pub what: String,
    /// The run.
    pub launch: Launch,
}

/// All installed peers, each with 1 and with 100 secrets.
///
/// # Errors
/// A peer's configuration cannot be written.
pub fn all(one: &Project, hundred: &Project) -> anyhow::Result<Vec<Peer>> {
    let mut peers = Vec::new();
    for (name, find) in PEERS {
        let Some(program) = find() else {
            report_part_not_run(&format!("peer {name}"), "it is not installed");
            continue;
        };
        for (project, count) in [(one, 1), (hundred, 100)] {
            let launch = launch(name, program.clone(), project, count)?;
            let ran = run(&launch)?;
            if !ran.status.success() {
                let said = String::from_utf8_lossy(&ran.stderr).trim_end().to_owned();
                report_part_not_run(&format!("peer {name}"), format!("{} {said}", ran.status));
                continue;
            }
            peers.push(Peer { what: format!("{name}, {}", secrets(count)), launch });
        }
    }
    Ok(peers)
}

/// Finds a program that may not be installed.
type Find = fn() -> Option<PathBuf>;

const PEERS: [(&str, Find); 4] = [
    ("sops exec-env", || tools::installed_sops().or_else(|| on_path("sops"))),
    ("secretspec run (dotenv)", || on_path("secretspec")),
    ("fnox exec (plain)", || on_path("fnox")),
    ("sh with exports", || on_path("sh")),
];

/// The run of one peer, its configuration written beside the project's own.
fn launch(name: &str, program: PathBuf, project: &Project, count: usize) -> anyhow::Result<Launch> {
    let folder = project.folder().join("peers");
    fs::create_dir_all(&folder)?;
    let names: Vec<String> = (0..count).map(|index| format!("SECRET_{index:03}")).collect();
    let value = "0123456789abcdef0123456789abcdef01234567";
    let lines =
        |line: &dyn Fn(&str) -> String| names.iter().map(|name| line(name)).collect::<String>();
    let write = |file: &str, text: String| {
        fs::write(folder.join(file), text).with_context(|| format!("cannot write {file}"))
    };
    let words: Vec<std::ffi::OsString> = match name {
        // The very file that dsops reads.
        "sops exec-env" => {
            let store = project.work().join("secrets.sops.yaml");
            vec![program.into(), "exec-env".into(), store.into(), "/bin/true".into()]
        }
        "secretspec run (dotenv)" => {
            let head = "[project]\nname = \"bench\"\nrevision = \"1.0\"\n\n[profiles.default]\n";
            let body = lines(&|n| format!("{n} = {{ description = \"x\", required = true }}\n"));
            write("secretspec.toml", format!("{head}{body}"))?;
            write(".env", lines(&|n| format!("{n}={value}\n")))?;
            let provider = format!("dotenv:{}", folder.join(".env").display());
            let words = ["run", "--provider", &provider, "--", "/bin/true"];
            std::iter::once(program.into()).chain(words.map(Into::into)).collect()
        }
        "fnox exec (plain)" => {
            let head = "[providers]\nplain = { type = \"plain\" }\n\n[secrets]\n";
            let body =
                lines(&|n| format!("{n} = {{ provider = \"plain\", value = \"{value}\" }}\n"));
            write("fnox.toml", format!("{head}{body}"))?;
            let words = ["exec", "--", "/bin/true"];
            std::iter::once(program.into()).chain(words.map(Into::into)).collect()
        }
        _ => {
            write("exports.sh", lines(&|n| format!("export {n}={value}\n")))?;
            let words = ["-c", ". ./exports.sh; exec /bin/true"];
            std::iter::once(program.into()).chain(words.map(Into::into)).collect()
        }
    };
    let mut launch = project.launch_program(words);
    launch.directory = folder;
    launch.environment.push(("SOPS_AGE_KEY_FILE".into(), project.identity_file().into()));
    Ok(launch)
}

fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}
