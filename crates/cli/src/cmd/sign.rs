//! `dsops sign`: signs files, with a key or keyless, and makes keys.

mod keygen;

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};

use clap::{Subcommand, ValueHint};
use dsops_attest::Error;
use serde_json::{Value, json};

use super::signing::{By, Outputs, Prepared, beside};
use super::verify::files;
use crate::context::Context;
use crate::exit::Exit;
use crate::report::{Failure, Report};
use crate::ui;

/// The version of the JSON form.
const JSON_VERSION: u32 = 1;
/// What a bundle is called, behind the name of its file.
const ENDING: &str = ".sigstore.json";

const EXAMPLES: &str = "\
Examples:
  dsops sign app.tar.gz SHA256SUMS --key release.key
  dsops sign app.tar.gz --identity-token-file token
  dsops sign keygen --output release

A bundle `FILE.sigstore.json` is written beside each file, once all of them are verified: `dsops verify`,
cosign and other Sigstore clients find it there. Keyless signatures are in a public log for ever, with
the name of who signed. A file that is called like the command is `./keygen`.";

/// What `dsops sign` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    pub action: Option<Action>,
    /// Files to sign
    #[arg(value_name = "FILES", value_hint = ValueHint::FilePath, required = true)]
    pub files: Vec<OsString>,
    #[command(flatten)]
    pub by: By,
    #[command(flatten)]
    pub outputs: Outputs,
}

/// What there is besides signing.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Make a key pair
    Keygen(keygen::Args),
}

/// Runs the command.
///
/// # Errors
/// Something cannot be signed, or does not verify; then nothing was written.
pub fn run(cx: &Context, args: &Args) -> Result<Exit, Failure> {
    if let Some(Action::Keygen(args)) = &args.action {
        return keygen::run(cx, args);
    }
    let paths: Vec<PathBuf> = args.files.iter().map(PathBuf::from).collect();
    let targets = match (&args.outputs.output, paths.as_slice()) {
        (None, _) => paths.iter().map(|path| beside(path, ENDING)).collect(),
        (Some(output), [_]) => vec![PathBuf::from(output)],
        (Some(_), _) => {
            return Err(Failure::usage(
                "`--output` is one file, and there are several to sign",
                format!("without it, each bundle is written as `FILE{ENDING}`"),
            ));
        }
    };
    args.outputs.check(&targets)?;
    // What is no file is found out before anybody is asked for a passphrase or a certificate.
    for path in &paths {
        open(path).map_err(|error| unreadable(path, &error))?;
    }
    let prepared = args.by.prepare(cx)?;
    let signed = sign(&prepared, &paths)?;
    let mut list = Vec::new();
    for ((path, target), (bundle, by)) in paths.iter().zip(&targets).zip(signed) {
        args.outputs.write(target, &bundle)?;
        cx.ui.note(format!("signed {} {}: {}", path.display(), by.text(), target.display()));
        list.push(json!({
            "file": path.to_string_lossy(),
            "bundle": target.to_string_lossy(),
            "signer": by.json(),
        }));
    }
    if cx.ui.json {
        print_json("signed", &list)?;
    }
    Ok(Exit::Ok)
}

fn sign(
    prepared: &Prepared,
    paths: &[PathBuf],
) -> Result<Vec<(String, super::signing::SignedBy)>, Failure> {
    prepared.sign(
        paths,
        |signer, path| signer.sign_artifact(&mut open(path).map_err(Error::Read)?),
        |check, path, bundle| {
            let file = open(path).map_err(|error| unreadable(path, &error))?;
            check.of_file(&path.to_string_lossy(), file, bundle, prepared.signs_content())
        },
    )
}

fn open(path: &Path) -> std::io::Result<File> {
    files::open(path.as_os_str())
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    let mut report: Report = files::unreadable(path.as_os_str(), error);
    if error.kind() == std::io::ErrorKind::IsADirectory {
        report.help = Some("name the files in it: a signature is over one file".to_owned());
    }
    Failure::new(Exit::Store, report)
}

/// Prints a list as the JSON of this command.
pub fn print_json(name: &str, list: &[Value]) -> Result<(), Failure> {
    let text = format!("{:#}\n", json!({ "version": JSON_VERSION, name: list }));
    ui::print(text.as_bytes())?;
    Ok(())
}
