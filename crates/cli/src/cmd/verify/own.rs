//! `dsops verify self`: is the program that runs the one that was released?

use dsops_release_verify::Options;

use super::demands::How;
use super::outcome::Found;
use super::{Output, artifacts, online, trust};
use crate::context::Context;
use crate::exit::Exit;
use crate::report::{Failure, Report};

/// The repository whose workflows release dsops.
const PUBLISHER: &str = "github:systmms/dsops";

const EXAMPLES: &str = "\
Examples:
  dsops verify self
  dsops verify self --bundle dsops.sigstore.json

A program that was exchanged says of itself what it likes: verify a download with a dsops, or another
tool, that you trust already.";

// What `dsops verify self` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    pub how: How,
    #[command(flatten)]
    pub network: online::Flags,
    #[command(flatten)]
    pub output: Output,
}

/// Runs the command. Without other flags the publisher is the repository that dsops comes from.
///
/// # Errors
/// The program's own file cannot be found, or what was named cannot be read.
pub fn run(cx: &Context, args: &Args) -> Result<Exit, Failure> {
    let path = std::env::current_exe().map_err(|error| {
        let report = Report::error("the file of this program cannot be found").because(&error);
        Failure::new(Exit::Store, report)
    })?;
    let trusted_root = args.how.trusted_root.as_deref();
    let roots = || Ok(trust::roots(cx, trusted_root, &args.network)?.0);
    let engine = args.how.engine_or(PUBLISHER, roots, Options::default())?;
    let name = path.display().to_string();
    let evidence = args.how.evidence(Some(&name))?;
    let result = if evidence.is_empty() {
        engine.verify_file(&path)
    } else {
        engine.verify_file_with(&path, &evidence)
    };
    super::show(cx, &Found::of(artifacts::outcome(name, result)), args.output.format(cx))
}
