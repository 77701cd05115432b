//! `dsops hook`: the secrets of a trusted project in the shell, from `cd` in to `cd` out.
//!
//! The hook itself never holds a secret: on a change of folder it asks `hook-state` what to do,
//! which answers with names only, and `render --out -` prints the values that the shell takes in.

use std::fmt::Write as _;
use std::path::Path;

use clap::ValueEnum;
use dsops_execenv::Name;
use dsops_resolver::Plan;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::context::Context;
use crate::exit::Exit;
use crate::report::{Failure, Report};
use crate::trust::{TrustStore, hex};
use crate::ui;

/// A shell that has a hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    /// eval "$(dsops hook bash)" in ~/.bashrc
    Bash,
    /// eval "$(dsops hook zsh)" in ~/.zshrc
    Zsh,
    /// dsops hook fish | source, in ~/.config/fish/config.fish
    Fish,
    /// dsops hook nu | save -f …/dsops.nu, sourced by config.nu
    Nu,
}

// `dsops hook`
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  eval \"$(dsops hook bash)\"     # in ~/.bashrc
  eval \"$(dsops hook zsh)\"      # in ~/.zshrc
  dsops hook fish | source      # in ~/.config/fish/config.fish

On entering the folder of a configuration that `dsops trust` was given, its variables are
loaded; on leaving, they are unset and what was there before comes back.")]
pub struct Args {
    /// The shell
    pub shell: Shell,
}

// `dsops hook-state`, for the hook only
#[derive(Debug, clap::Args)]
pub struct StateArgs {
    /// The shell
    pub shell: Shell,
    /// What is loaded, in the words of the last answer
    #[arg(long, default_value = "")]
    pub loaded: String,
}

/// Prints the hook of a shell.
///
/// # Errors
/// It cannot be said where this program is.
pub fn run(args: &Args) -> Result<Exit, Failure> {
    let own = own_path()?;
    let (script, own) = match args.shell {
        Shell::Bash => (include_str!("hook/bash.sh"), quote_sh(&own)),
        Shell::Zsh => (include_str!("hook/zsh.sh"), quote_sh(&own)),
        Shell::Fish => (include_str!("hook/fish.fish"), quote_fish(&own)),
        Shell::Nu => (include_str!("hook/nu.nu"), quote_nu(&own)),
    };
    ui::print(script.replace("@DSOPS@", &own).as_bytes())?;
    Ok(Exit::Ok)
}

/// Prints what the shell is to do in this folder. Holds no value.
///
/// # Errors
/// None that would disturb a prompt: what is wrong is told, and everything is unloaded.
pub fn state(cx: &Context, args: &StateArgs) -> Result<Exit, Failure> {
    let mut loaded = args.loaded.split(' ');
    let id = loaded.next().unwrap_or_default();
    let names: Vec<&str> = loaded.filter(|name| is_portable(name)).collect();
    let wanted = match wanted(cx) {
        Ok(wanted) => wanted,
        Err(failure) => {
            failure.reports.iter().for_each(|report| cx.ui.report(report));
            None
        }
    };
    if wanted.as_ref().is_some_and(|wanted| wanted.id == id) {
        // In a folder below: nothing changes.
        let nothing = if args.shell == Shell::Nu { answer_nu(&[], None) } else { String::new() };
        ui::print(nothing.as_bytes())?;
        return Ok(Exit::Ok);
    }
    let text = match args.shell {
        Shell::Bash | Shell::Zsh => answer_sh(&names, wanted.as_ref())?,
        Shell::Fish => answer_fish(&names, wanted.as_ref())?,
        Shell::Nu => answer_nu(&names, wanted.as_ref()),
    };
    ui::print(text.as_bytes())?;
    Ok(Exit::Ok)
}

/// What is to be loaded here.
struct Wanted {
    /// Stands for the configuration, its content and the environment.
    id: String,
    config: String,
    environment: String,
    names: Vec<String>,
}

/// The trusted configuration of this folder, if there is one.
fn wanted(cx: &Context) -> Result<Option<Wanted>, Failure> {
    let Some(path) = cx.find_config()? else { return Ok(None) };
    let config = cx.load()?;
    TrustStore::find(&cx.environment).require(&config)?;
    let plan = cx.plan(&config)?;
    let names = names(&plan)?;
    let path = std::path::absolute(&path).unwrap_or(path);
    let mut hash = Sha256::new();
    for part in [path.as_os_str().as_encoded_bytes(), plan.environment.as_bytes()] {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.update(config.content_hash());
    let id = hex(&hash.finalize());
    Ok(Some(Wanted { id, config: plain(&path)?, environment: plan.environment, names }))
}

/// The names of the variables; a shell that is to load and unload them has to know each.
fn names(plan: &Plan) -> Result<Vec<String>, Failure> {
    let (good, bad): (Vec<String>, Vec<String>) =
        plan.variables.iter().map(|variable| variable.name.clone()).partition(|n| is_portable(n));
    if bad.is_empty() {
        return Ok(good);
    }
    let shown: Vec<String> = bad.iter().map(|name| format!("`{}`", ui::one_line(name))).collect();
    let report = Report::error(format!("a shell cannot hold {}", shown.join(", ")))
        .help("its variables have letters, digits and `_`, and no digit first");
    Err(Failure::new(Exit::Config, report))
}

fn is_portable(name: &str) -> bool {
    Name::new(name).is_ok_and(|name| name.is_portable())
}

/// A path that goes through a shell and back.
fn plain(path: &Path) -> Result<String, Failure> {
    path.to_str().map(str::to_owned).ok_or_else(|| {
        let report = Report::error(format!("the path {} is not plain text", path.display()));
        Failure::new(Exit::Config, report)
    })
}

impl Wanted {
    /// What the shell says when it is asked next.
    fn loaded(&self) -> String {
        format!("{} {}", self.id, self.names.join(" "))
    }
}

fn own_path() -> Result<String, Failure> {
    std::env::current_exe()
        .map_err(|error| {
            let report =
                Report::error("it cannot be said where dsops is installed").because(&error);
            Failure::new(Exit::Store, report)
        })
        .and_then(|path| plain(&path))
}

/// For the shells of the Bourne family. What a variable held before is kept in one that is not
/// exported.
fn answer_sh(unload: &[&str], wanted: Option<&Wanted>) -> Result<String, Failure> {
    let mut text = String::new();
    for name in unload {
        let _ = writeln!(
            text,
            "if [ \"${{_dsops_was_{name}+x}}\" ]; then export {name}=\"$_dsops_was_{name}\"; unset _dsops_was_{name}; else unset {name}; fi"
        );
    }
    text.push_str("unset _dsops_loaded\n");
    if let Some(wanted) = wanted {
        let render = render(wanted, "shell", quote_sh)?;
        let _ = writeln!(text, "if _dsops_text=\"$({render})\"; then");
        for name in &wanted.names {
            let _ = writeln!(
                text,
                "  if [ \"${{{name}+x}}\" ]; then _dsops_was_{name}=\"${name}\"; fi"
            );
        }
        let _ = writeln!(
            text,
            "  eval \"$_dsops_text\"\n  _dsops_loaded={}\nfi",
            quote_sh(&wanted.loaded())
        );
        text.push_str("unset _dsops_text\n");
    }
    Ok(text)
}

fn answer_fish(unload: &[&str], wanted: Option<&Wanted>) -> Result<String, Failure> {
    let mut text = String::new();
    for name in unload {
        let _ = writeln!(
            text,
            "if set -q _dsops_was_{name}; set -gx {name} $_dsops_was_{name}; set -e _dsops_was_{name}; else; set -e {name}; end"
        );
    }
    text.push_str("set -e _dsops_loaded\n");
    if let Some(wanted) = wanted {
        let render = render(wanted, "fish", quote_fish)?;
        // Nothing printed is a failure that was told on stderr.
        let _ = writeln!(text, "if set -l _dsops_text ({render} | string collect)");
        for name in &wanted.names {
            let _ = writeln!(text, "  set -q {name}; and set -g _dsops_was_{name} ${name}");
        }
        let _ = writeln!(
            text,
            "  eval $_dsops_text\n  set -g _dsops_loaded {}\nend",
            quote_fish(&wanted.loaded())
        );
    }
    Ok(text)
}

fn answer_nu(unload: &[&str], wanted: Option<&Wanted>) -> String {
    let load = wanted.map(|wanted| {
        json!({ "config": wanted.config, "env": wanted.environment, "loaded": wanted.loaded() })
    });
    format!("{}\n", json!({ "unload": unload, "load": load }))
}

/// The command that prints the values in the words of a shell.
fn render(wanted: &Wanted, format: &str, quote: fn(&str) -> String) -> Result<String, Failure> {
    Ok(format!(
        "{} --config {} --env {} --non-interactive render --only-trusted --format {format} --out -",
        quote(&own_path()?),
        quote(&wanted.config),
        quote(&wanted.environment)
    ))
}

fn quote_sh(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

fn quote_fish(text: &str) -> String {
    format!("'{}'", text.replace('\\', r"\\").replace('\'', r"\'"))
}

fn quote_nu(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', r"\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_reach_the_shell_whole() {
        assert_eq!(quote_sh("it's $HOME"), r"'it'\''s $HOME'");
        assert_eq!(quote_fish(r"it's \n"), r"'it\'s \\n'");
        assert_eq!(quote_nu(r#"a "b" \c"#), r#""a \"b\" \\c""#);
    }

    #[test]
    fn leaving_brings_back_what_was_there() {
        let text = answer_sh(&["A"], None).expect("no path is needed");
        assert!(text.contains("export A=\"$_dsops_was_A\""), "{text}");
        assert!(!text.contains("render"), "{text}");
    }
}
