//! `dsops man`: the manual pages, which are part of the binary.

#[path = "../../man/pages.rs"]
mod pages;

use dsops_resolver::suggest;

use crate::context::Context;
use crate::exit::Exit;
use crate::report::Failure;
use crate::ui;

const EXAMPLES: &str = "\
Examples:
  dsops man | man -l -
  dsops man exec | man -l -
  dsops man exec > ~/.local/share/man/man1/dsops-exec.1";

// What `dsops man` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The command; without one, the page of dsops itself
    #[arg(value_name = "COMMAND")]
    pub page: Option<String>,
}

/// Runs the command.
///
/// # Errors
/// There is no such command.
pub fn run(_: &Context, args: &Args) -> Result<Exit, Failure> {
    // The page of dsops itself has the empty name.
    let wanted = args.page.as_deref().unwrap_or_default();
    let Some((_, page)) = pages::PAGES.iter().find(|(name, _)| *name == wanted) else {
        let names = || pages::PAGES.iter().map(|(name, _)| *name).filter(|name| !name.is_empty());
        return Err(Failure::usage(
            format!("there is no command `{}`", ui::one_line(wanted)),
            suggest(wanted, names()).map_or_else(
                || format!("there are: {}", names().collect::<Vec<_>>().join(", ")),
                |likely| format!("did you mean `{likely}`?"),
            ),
        ));
    };
    ui::print(page.as_bytes())?;
    Ok(Exit::Ok)
}
