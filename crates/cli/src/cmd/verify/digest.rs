//! `dsops verify sha256`: a file against a digest from somewhere you trust, where there is no
//! signature to check.

use std::ffi::{OsStr, OsString};
use std::io;

use dsops_release_verify::{Algorithm, Artifact, Digest, Finding, Report};

use super::Output;
use super::files;
use super::inputs::STDIN;
use super::outcome::{Found, Outcome};
use crate::context::Context;
use crate::exit::Exit;
use crate::report::Failure;

const EXAMPLES: &str = "\
Examples:
  dsops verify sha256 dsops.tar.gz ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad
  curl -sSf https://example.org/app.tar.gz | dsops verify sha256 - sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad

It proves that these are the bytes the digest was made of. It says nothing about who made them:
take the digest from another place than the file.";

// What `dsops verify sha256` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The file; `-` for standard input
    #[arg(value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub file: OsString,
    /// Its SHA-256 as 64 hex digits, with or without `sha256:`
    #[arg(value_name = "HASH")]
    pub hash: String,
    #[command(flatten)]
    pub output: Output,
}

/// Runs the command.
///
/// # Errors
/// The hash is none.
pub fn run(cx: &Context, args: &Args) -> Result<Exit, Failure> {
    let expected = expected(&args.hash)?;
    let format = args.output.format(cx);
    let name = args.file.to_string_lossy();
    let artifact = match read(&args.file) {
        Ok(artifact) => artifact,
        Err(error) => {
            let problem = files::unreadable(&args.file, &error);
            let outcome = Outcome::Unreadable { name: name.into(), problem };
            return super::show(cx, &Found::of(outcome), format);
        }
    };
    let same = artifact.sha256() == &expected;
    let finding = if same {
        Finding::passed("digest/expected", "the SHA-256 is the one that was given")
            .compared(expected.to_string(), artifact.sha256().to_string())
    } else {
        Finding::failed("digest/expected", "the SHA-256 is not the one that was given")
            .compared(expected.to_string(), artifact.sha256().to_string())
            .help(format!(
                "do not use {name}: load it again, and compare with the publisher's own page"
            ))
    };
    let report = Report::conclude(artifact, vec![finding], Vec::new());
    super::show(cx, &Found::of(Outcome::Judged(report)), format)
}

/// The digest that a person typed or pasted.
fn expected(text: &str) -> Result<Digest, Failure> {
    let trimmed = text.trim();
    let digits = trimmed
        .split_once(':')
        .filter(|(name, _)| name.eq_ignore_ascii_case("sha256"))
        .map_or(trimmed, |(_, digits)| digits);
    Digest::from_hex(Algorithm::Sha256, digits).ok_or_else(|| {
        Failure::usage(
            format!("`{text}` is no SHA-256"),
            "it has 64 hex digits, with or without `sha256:` before them",
        )
    })
}

fn read(file: &OsStr) -> io::Result<Artifact> {
    if file == STDIN {
        return Artifact::read(STDIN, io::stdin().lock(), &[]);
    }
    Artifact::read_file(file.to_string_lossy(), files::open(file)?, &[])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_read_as_people_paste_it() {
        let digits = Digest::of(Algorithm::Sha256, b"x").hex();
        for text in [
            digits.clone(),
            format!("sha256:{digits}"),
            format!("SHA256:{}", digits.to_uppercase()),
            format!(" {digits}\n"),
        ] {
            assert_eq!(expected(&text).unwrap().hex(), digits);
        }
        for text in ["", "sha256:", "sha512:00", &digits[1..], &format!("sha512:{digits}")] {
            assert_eq!(expected(text).unwrap_err().exit, Exit::Usage, "{text}");
        }
    }
}
