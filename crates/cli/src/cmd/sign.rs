//! `dsops sign`: signs files and images, with a key or keyless, and makes keys.

mod keygen;

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};

use clap::{Subcommand, ValueHint};
use dsops_attest::{Bundle, Error};
use serde_json::{Value, json};

use super::signing::{By, Outputs, Prepared, SignedBy, Where, beside, with_image};
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
  dsops sign ghcr.io/acme/app@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 --key release.key
  dsops sign oci:layout:v1.2.3 --key release.key
  dsops sign keygen --output release

A bundle `FILE.sigstore.json` is written beside each file, once all of them are verified: `dsops verify`,
cosign and other Sigstore clients find it there. That of an image is kept with it, as its referrer; an
image in a registry is named by its digest. Keyless signatures are in a public log for ever, with
the name of who signed. A file that is called like the command is `./keygen`.";

// What `dsops sign` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    pub action: Option<Action>,
    /// Files to sign; images (a layout, HOST/NAME@sha256:…)
    #[arg(value_name = "FILES", value_hint = ValueHint::FilePath, required = true)]
    pub files: Vec<OsString>,
    #[command(flatten)]
    pub by: By,
    #[command(flatten)]
    pub outputs: Outputs,
}

// What there is besides signing.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
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
    let images = args.files.iter().map(|word| Where::of(word)).collect::<Result<Vec<_>, _>>()?;
    if images.iter().any(Option::is_some) {
        let all: Option<Vec<Where>> = images.into_iter().collect();
        return sign_images(cx, args, &all.ok_or_else(mixed)?);
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
        args.outputs.write(target, &bundle.to_string())?;
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

/// Signs images, and keeps the bundles with them.
fn sign_images(cx: &Context, args: &Args, places: &[Where]) -> Result<Exit, Failure> {
    if args.outputs.output.is_some() {
        return Err(Failure::usage(
            "the signature of an image is kept with the image",
            "leave `--output` out",
        ));
    }
    let network = args.by.network();
    // All are there and all bundles are good before the first is kept: what can fail then is the keeping.
    let mut names = Vec::new();
    let mut about = Vec::new();
    for place in places {
        with_image(cx, place, &network, |target| {
            names.push(target.shown());
            about.push((target.signature()?, vec![(target.name.clone(), target.image.sha256)]));
            Ok(())
        })?;
    }
    let signed = args.by.prepare(cx)?.sign_statements(&about)?;
    let mut list = Vec::new();
    let mut kept = Ok(());
    for (at, (place, (bundle, by))) in places.iter().zip(signed).enumerate() {
        let signed = &about[at].1[0].1;
        kept = with_image(cx, place, &network, |target| {
            // A name may lead to another image by now: this signature is not of that.
            if target.image.sha256 != *signed {
                return Err(changed(&names[at], &target.shown()));
            }
            target.attach(&bundle)
        });
        if let Err(failure) = &mut kept {
            if places.len() > 1 {
                failure.reports.push(unfinished(&names, at));
            }
            break;
        }
        cx.ui.note(format!("signed {} {}", names[at], by.text()));
        list.push(json!({ "image": names[at], "signer": by.json() }));
    }
    // Also when not all were: programs have to know which.
    if cx.ui.json && (kept.is_ok() || !list.is_empty()) {
        print_json("signed", &list)?;
    }
    kept.map(|()| Exit::Ok)
}

/// The image is another one than was signed.
fn changed(signed: &str, now: &str) -> Failure {
    let report = Report::error(format!("{signed} was signed, but its name leads to {now} by now"))
        .help("run it again when nobody writes to it");
    Failure::new(Exit::Store, report)
}

/// What was signed before one could not be, and what was not.
fn unfinished(names: &[String], at: usize) -> Report {
    let list = |names: &[String]| names.join(", ");
    let (done, left) = names.split_at(at);
    let done = if done.is_empty() { "none".to_owned() } else { list(done) };
    Report::warning(format!("signed: {done}; not signed: {}", list(left)))
        .help("run it again, for all or for these: a second signature does no harm")
}

fn mixed() -> Failure {
    Failure::usage(
        "these are files and images",
        "sign images in a call of their own; a file that is called like one is `./NAME`",
    )
}

fn sign(prepared: &Prepared, paths: &[PathBuf]) -> Result<Vec<(Bundle, SignedBy)>, Failure> {
    prepared.sign(
        paths,
        |signer, path| signer.sign_artifact(&mut open(path).map_err(Error::Read)?),
        |check, path, bundle| {
            let file = open(path).map_err(|error| unreadable(path, &error))?;
            check.of_file(&path.to_string_lossy(), file, bundle, prepared.signs_content())
        },
    )
}

/// A file that is signed is read again when its signature is verified: a pipe gives nothing then, when the
/// signature may be in a public log already.
fn open(path: &Path) -> std::io::Result<File> {
    let there = path.metadata()?;
    if !there.is_file() && !there.is_dir() {
        let text = "it is no regular file, and is read twice";
        return Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, text));
    }
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
