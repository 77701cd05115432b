//! `dsops sbom generate`: what is in a Rust program, by its workspace or by the list in the program itself.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use clap::ValueHint;
use dsops_resolver::Environment as _;
use dsops_sbom::auditable::{self, LinkedCrates};
use dsops_sbom::cargo::{self, Lockfile};
use dsops_sbom::{Creator, Document, Format, Party, write};

use super::files;
use crate::context::Context;
use crate::env_vars;
use crate::exit::Exit;
use crate::report::{Failure, Report};

const EXAMPLES: &str = "\
Examples:
  dsops sbom generate
  dsops sbom generate . --bin app --target x86_64-unknown-linux-gnu --artifact dist/app --output dist/app.spdx.json
  dsops sbom generate target/release/app --lockfile Cargo.lock --format cyclonedx@1.6

The date is SOURCE_DATE_EPOCH when that is set: then equal input gives equal bytes.
A program tells what is in it when it was built with `cargo auditable`.";

// What `dsops sbom generate` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// A folder with a Cargo.toml, a Cargo.toml, or a program
    #[arg(value_name = "PATH", default_value = ".", value_hint = ValueHint::AnyPath)]
    pub path: OsString,
    /// spdx, or cyclonedx with @1.5, @1.6 or @1.7
    #[arg(long, value_name = "FORMAT", default_value = "spdx", value_parser = files::format)]
    pub format: Format,
    /// Write it to a file (default: stdout)
    #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: Option<OsString>,
    /// The file that the list is about: its name and checksum are put in
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub artifact: Option<OsString>,
    /// Who supplies what is in no registry
    #[arg(long, value_name = "NAME")]
    pub supplier: Option<String>,
    /// The package that was built (default: the one of the folder, or the only default member)
    #[arg(long, short, value_name = "NAME")]
    pub package: Option<String>,
    /// The program that was built: another way to name its package
    #[arg(long, value_name = "NAME")]
    pub bin: Option<String>,
    /// Features it was built with, separated by commas
    #[arg(long, short = 'F', value_name = "FEATURES", value_delimiter = ',')]
    pub features: Vec<String>,
    /// It was built with all features
    #[arg(long)]
    pub all_features: bool,
    /// It was built without the default features
    #[arg(long)]
    pub no_default_features: bool,
    /// The target it was built for (default: this machine's)
    #[arg(long, value_name = "TRIPLE")]
    pub target: Option<String>,
    /// Keep cargo off the network
    #[arg(long)]
    pub offline: bool,
    /// Take checksums for a program's crates from its Cargo.lock
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub lockfile: Option<OsString>,
}

/// Runs the command.
///
/// # Errors
/// What is asked for cannot be listed, or the list cannot be written.
pub fn run(cx: &Context, args: &Args) -> Result<Exit, Failure> {
    let created = created(cx)?;
    let path = Path::new(&args.path);
    let is_manifest =
        path.is_dir() || path.extension().is_some_and(|extension| extension == "toml");
    let mut document = if is_manifest { from_cargo(cx, args, path)? } else { from_binary(args)? };
    if let Some(artifact) = &args.artifact {
        describe(&mut document, artifact)?;
    }
    document.created = Some(created);
    document.creators.push(Creator::Tool {
        name: "dsops".to_owned(),
        version: Some(env!("CARGO_PKG_VERSION").to_owned()),
    });
    let written = write(&document, args.format);
    files::write(cx, args.output.as_ref(), &written.text)?;
    for lost in &written.lost {
        cx.ui.detail(format!("{} cannot carry: {lost}", args.format.name()));
    }
    Ok(Exit::Ok)
}

fn from_cargo(cx: &Context, args: &Args, path: &Path) -> Result<Document, Failure> {
    if args.lockfile.is_some() {
        return Err(Failure::usage(
            "`--lockfile` is for a program; a workspace has its own lock file",
            "leave it out, or name a program that was built with `cargo auditable`",
        ));
    }
    let mut options = cargo::Options {
        package: args.package.clone(),
        bin: args.bin.clone(),
        features: args.features.clone(),
        all_features: args.all_features,
        no_default_features: args.no_default_features,
        target: args.target.clone(),
        offline: args.offline,
        supplier: args.supplier.as_ref().map(Party::organization),
        ..cargo::Options::default()
    };
    // Below cargo this names the very one that runs.
    if let Some(own) = cx.environment.var(env_vars::CARGO).filter(|own| !own.is_empty()) {
        options.cargo = PathBuf::from(own);
    }
    cargo::generate(path, &options).map_err(|error| {
        let mut report = Report::from_error(&error);
        report.code = Some("sbom/cargo");
        report.help = error.help();
        Failure::new(Exit::Store, report)
    })
}

fn from_binary(args: &Args) -> Result<Document, Failure> {
    let cargo_only = [
        ("--package", args.package.is_some()),
        ("--bin", args.bin.is_some()),
        ("--features", !args.features.is_empty()),
        ("--all-features", args.all_features),
        ("--no-default-features", args.no_default_features),
        ("--target", args.target.is_some()),
        ("--offline", args.offline),
    ];
    if let Some((flag, _)) = cargo_only.iter().find(|(_, given)| *given) {
        return Err(Failure::usage(
            format!("`{flag}` is for a workspace, and this is a program"),
            "the list in a program says what it was built from; leave it out",
        ));
    }
    let bytes = files::read(&args.path, auditable::LIMIT_BYTES)?;
    let linked = linked(&args.path, &bytes)?;
    let mut document = linked.document();
    if let Some(path) = &args.lockfile {
        auditable::add_checksums(&mut document, &lockfile(path)?);
    }
    if let Some(name) = &args.supplier {
        for package in document.packages.iter_mut().filter(|package| package.supplier.is_none()) {
            package.supplier = Some(Party::organization(name));
        }
    }
    describe(&mut document, &args.path)?;
    Ok(document)
}

/// The list in a program.
///
/// # Errors
/// There is none, or it cannot be read.
pub fn linked(path: &OsStr, bytes: &[u8]) -> Result<LinkedCrates, Failure> {
    let name = Path::new(path).display();
    let problem = match LinkedCrates::from_binary(bytes) {
        Ok(Some(linked)) => return Ok(linked),
        Ok(None) => Report::error(format!("{name} holds no list of crates"))
            .help("build it with `cargo auditable build`, or name a folder with a Cargo.toml"),
        Err(error) => {
            Report::error(format!("the list of crates in {name} cannot be read")).because(&error)
        }
    };
    let report = Report { code: Some("sbom/no-list"), ..problem };
    Err(Failure::new(Exit::Undecided, report))
}

/// A lock file of cargo.
///
/// # Errors
/// It cannot be read.
pub fn lockfile(path: &OsStr) -> Result<Lockfile, Failure> {
    const LIMIT_BYTES: usize = 32 << 20;
    Lockfile::read(&files::read(path, LIMIT_BYTES)?).map_err(|error| {
        let message = format!("{} is no lock file of cargo", Path::new(path).display());
        let mut report = Report::error(message).because(&error);
        report.code = Some("sbom/lockfile");
        Failure::new(Exit::Store, report)
    })
}

fn describe(document: &mut Document, path: &OsStr) -> Result<(), Failure> {
    let name = Path::new(path).file_name().unwrap_or(path).to_string_lossy().into_owned();
    document.describe_file(&name, &files::sha256(path)?);
    Ok(())
}

/// The date of the document: `SOURCE_DATE_EPOCH`, or now.
fn created(cx: &Context) -> Result<String, Failure> {
    /// 9999-12-31T23:59:59Z, the last that the form has room for.
    const LAST: u64 = 253_402_300_799;
    let time = match cx.environment.var(env_vars::SOURCE_DATE_EPOCH).filter(|text| !text.is_empty())
    {
        None => SystemTime::now(),
        Some(text) => {
            let seconds = text.to_str().and_then(|text| text.parse().ok()).filter(|s| *s <= LAST);
            let Some(seconds) = seconds else {
                return Err(Failure::usage(
                    "SOURCE_DATE_EPOCH is no number of seconds since 1970",
                    "`git log -1 --format=%ct` prints that of the last commit",
                ));
            };
            SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
        }
    };
    Ok(humantime::format_rfc3339_seconds(time).to_string())
}
