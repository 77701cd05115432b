//! `dsops completion`: the scripts that make a shell ask us, and the answer they ask for.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::{CommandFactory as _, ValueEnum};
use dsops_resolver::Config;

use crate::complete::{self, Answer, Names, Rest, Typed};
use crate::context::Context;
use crate::exit::Exit;
use crate::report::Failure;
use crate::{args, ui};

const EXAMPLES: &str = "\
Examples:
  source <(dsops completion bash)
  dsops completion zsh > ~/.zfunc/_dsops
  dsops completion fish > ~/.config/fish/completions/dsops.fish
  dsops completion nushell | save -f ~/.config/nushell/dsops.nu
  dsops completion powershell >> $PROFILE";

// What `dsops completion` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The shell
    pub shell: Shell,
}

/// The shells there is a script for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    Bash,
    Zsh,
    Fish,
    Nushell,
    Powershell,
}

// The words typed so far, the last one being completed.
#[derive(Debug, clap::Args)]
pub struct Words {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub words: Vec<String>,
}

/// Prints the script of a shell.
///
/// # Errors
/// Stdout cannot be written.
pub fn run(_: &Context, args: &Args) -> Result<Exit, Failure> {
    let script = match args.shell {
        Shell::Bash => include_str!("completion/dsops.bash"),
        Shell::Zsh => include_str!("completion/dsops.zsh"),
        Shell::Fish => include_str!("completion/dsops.fish"),
        Shell::Nushell => include_str!("completion/dsops.nu"),
        Shell::Powershell => include_str!("completion/dsops.ps1"),
    };
    ui::print(script.as_bytes())?;
    Ok(Exit::Ok)
}

/// Prints what may come next: a candidate and its meaning on each line, then what the shell is to
/// add by itself. Reads the configuration; opens no store, asks nobody, and of what is wrong says
/// nothing: the command itself will.
///
/// # Errors
/// Stdout cannot be written.
pub fn answer(cx: &Context, words: &Words) -> Result<Exit, Failure> {
    let mut command = args::Args::command();
    command.build();
    let Answer { candidates, rest } = complete::complete(&command, &words.words, &Project { cx });
    let mut text = String::new();
    for (word, meaning) in candidates {
        let _ = writeln!(text, "{word}\t{meaning}");
    }
    match rest {
        Rest::Nothing => {}
        Rest::Files => text += ":files\n",
        Rest::Folders => text += ":folders\n",
        Rest::Command(index) => {
            let _ = writeln!(text, ":command {index}");
        }
    }
    ui::print(text.as_bytes())?;
    Ok(Exit::Ok)
}

/// The project that the typed flags, else the environment, point to.
struct Project<'a> {
    cx: &'a Context,
}

impl Project<'_> {
    fn config(&self, typed: &Typed) -> Option<Config> {
        let path = match &typed.config {
            Some(path) => PathBuf::from(path),
            None => self.cx.config_path().ok()?,
        };
        self.cx.read_config(&path).ok()
    }
}

impl Names for Project<'_> {
    fn environments(&self, typed: &Typed) -> Vec<String> {
        let config = self.config(typed);
        config.iter().flat_map(Config::environments).map(str::to_owned).collect()
    }

    fn variables(&self, typed: &Typed) -> Vec<String> {
        let Some(config) = self.config(typed) else { return Vec::new() };
        let wanted = typed.env.as_deref().or(self.cx.requested_environment());
        let Some(name) = wanted.or(config.only_environment()) else { return Vec::new() };
        config.variables(name).map(str::to_owned).collect()
    }

    fn scopes(&self, typed: &Typed) -> Vec<String> {
        let config = self.config(typed);
        config.iter().flat_map(Config::scopes).map(|(name, _)| name.to_owned()).collect()
    }

    fn stores(&self, typed: &Typed) -> Vec<String> {
        let config = self.config(typed);
        config.iter().flat_map(Config::stores).map(|settings| settings.name().to_owned()).collect()
    }
}
