//! Where bundles go: new files, none of which is written before all are verified.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::ValueHint;
use dsops_release_verify::{BUNDLE_LIMIT_BYTES, Bundle, Leniency, Origin};
use dsops_stores::file;

use crate::exit::Exit;
use crate::report::{Failure, Report};

/// The mode of a file for everybody to read.
const PUBLIC: u32 = 0o644;

// Where bundles go.
#[derive(Debug, clap::Args)]
pub struct Outputs {
    /// Write the bundle here instead of beside the file
    #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: Option<OsString>,
    /// Replace bundles that are there already
    #[arg(long)]
    pub force: bool,
}

impl Outputs {
    /// Whether these files can be written: each is another one, in a folder that is there, and none is
    /// there yet but a bundle that may be replaced. Services are asked after that.
    ///
    /// # Errors
    /// One would be written twice or over something else, or has no folder.
    pub fn check(&self, all: &[PathBuf]) -> Result<(), Failure> {
        let mut seen = BTreeSet::new();
        let problems = all.iter().filter_map(|path| {
            let (what, help) = if seen.insert(path) {
                self.problem(path)?
            } else {
                ("would be written twice", "name each file once")
            };
            let help = format!("nothing was signed; {help}");
            Some(Report::error(format!("{} {what}", path.display())).help(help))
        });
        let problems: Vec<Report> = problems.collect();
        if problems.is_empty() { Ok(()) } else { Err(Failure::many(Exit::Usage, problems)) }
    }

    /// Why a file cannot be written, and what to do.
    fn problem(&self, path: &Path) -> Option<(&'static str, &'static str)> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        match path.symlink_metadata() {
            Ok(_) if !self.force => {
                Some(("is there already", "remove it, or replace it with `--force`"))
            }
            Ok(there) if !there.is_file() || !is_bundle(path) => {
                Some(("is there already, and is no bundle", "`--force` replaces bundles only"))
            }
            Err(_) if folder.is_some_and(|folder| !folder.is_dir()) => {
                Some(("would be in a folder that is not there", "make it first"))
            }
            _ => None,
        }
    }

    /// Writes one, whole or not at all.
    ///
    /// # Errors
    /// Those of the system; it was put there meanwhile.
    pub fn write(&self, path: &Path, text: &str) -> Result<(), Failure> {
        let text = format!("{text}\n");
        let written = if self.force {
            file::publish(path, text.as_bytes(), PUBLIC)
        } else {
            file::publish_new(path, text.as_bytes(), PUBLIC)
        };
        written.map_err(|error| Failure::new(Exit::Store, Report::from_error(&error)))
    }
}

/// Whether a file is one that was written here, or by another client: not the key, not what is signed.
fn is_bundle(path: &Path) -> bool {
    let leniency = Leniency { unknown_fields: true };
    file::read(path, BUNDLE_LIMIT_BYTES as u64)
        .is_ok_and(|bytes| Bundle::read(&bytes, &Origin::new("what is there"), leniency).is_ok())
}

/// The path of a file with more behind its name.
pub fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}
