//! Where bundles go: new files, none of which is written before all are verified.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::ValueHint;
use dsops_stores::file;

use crate::exit::Exit;
use crate::report::{Failure, Report};

/// The mode of a file for everybody to read.
const PUBLIC: u32 = 0o644;

/// Where bundles go.
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
    /// Whether these files can be written: each is another one, and none is there.
    ///
    /// # Errors
    /// One is there, or would be written twice.
    pub fn check(&self, all: &[PathBuf]) -> Result<(), Failure> {
        let mut seen = BTreeSet::new();
        let problems = all.iter().filter_map(|path| {
            if !seen.insert(path) {
                return Some(Report::error(format!("{} would be written twice", path.display())));
            }
            let is_there = path.symlink_metadata().is_ok();
            (is_there && !self.force).then(|| {
                Report::error(format!("{} is there already", path.display()))
                    .help("nothing was signed; remove it, or replace it with `--force`")
            })
        });
        let problems: Vec<Report> = problems.collect();
        if problems.is_empty() { Ok(()) } else { Err(Failure::many(Exit::Usage, problems)) }
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

/// The path of a file with more behind its name.
pub fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}
