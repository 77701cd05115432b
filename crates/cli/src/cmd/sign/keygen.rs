//! `dsops sign keygen`: a key pair, the private one under a passphrase.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{ValueEnum, ValueHint};
use dsops_attest::{Algorithm, SigningKey};
use dsops_resolver::Environment as _;
use dsops_secure_mem::SecretBytes;
use dsops_stores::file::{self, New};

use crate::cmd::signing::beside;
use crate::context::Context;
use crate::env_vars;
use crate::exit::Exit;
use crate::prompt;
use crate::report::{Failure, Report};

const EXAMPLES: &str = "\
Examples:
  dsops sign keygen --output release
  dsops sign keygen --output ci --algorithm ed25519 --no-passphrase

Writes NAME.key, for its owner alone and in cosign's format, and NAME.pub for everybody: both or none.";

// What `dsops sign keygen` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// What the files are called, without `.key` and `.pub`
    #[arg(long, short, value_name = "NAME", value_hint = ValueHint::FilePath)]
    pub output: OsString,
    /// Which kind of key
    #[arg(long, value_name = "KIND", value_enum, default_value = "ecdsa-p256")]
    pub algorithm: Kind,
    /// Do not encrypt the private key
    #[arg(long)]
    pub no_passphrase: bool,
}

/// Kinds of keys.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Kind {
    /// What Sigstore's services and clients take
    EcdsaP256,
    /// Shorter; no transparency log takes it, and sigstore-js does not verify it
    Ed25519,
}

/// Runs the command.
///
/// # Errors
/// A file is there already, or no passphrase was given.
pub fn run(cx: &Context, args: &Args) -> Result<Exit, Failure> {
    let name = PathBuf::from(&args.output);
    let [private, public] = [".key", ".pub"].map(|ending| beside(&name, ending));
    let is_there = |path: &Path| path.symlink_metadata().is_ok();
    for (path, other) in [(&private, &public), (&public, &private)] {
        if is_there(path) {
            let help = if is_there(other) || path == &private {
                "a key is never overwritten; name another file".to_owned()
            } else {
                let other = other.display();
                format!(
                    "there is no {other}: remove it if a run that was cut short left it, or name another file"
                )
            };
            return Err(Failure::usage(format!("{} is there already", path.display()), help));
        }
    }
    let failed = |error: dsops_attest::KeyError| {
        Failure::new(Exit::Protection, Report::error("no key was made").because(&error))
    };
    let algorithm = match args.algorithm {
        Kind::EcdsaP256 => Algorithm::EcdsaP256,
        Kind::Ed25519 => Algorithm::Ed25519,
    };
    let passphrase = if args.no_passphrase { None } else { Some(passphrase(cx)?) };
    let key = SigningKey::generate(algorithm).map_err(failed)?;
    let pem = key.public_pem();
    let for_all = New { path: &public, content: pem.as_bytes(), mode: 0o644 };
    // A private key that signed before its public one was written could not be verified.
    let publish = |content: &[u8]| {
        file::publish_new_pair(for_all, New { path: &private, content, mode: 0o600 })
    };
    let written = match &passphrase {
        Some(passphrase) => publish(key.to_encrypted_pem(passphrase).map_err(failed)?.as_bytes()),
        None => publish(&key.to_plain_pem().map_err(failed)?.expose()),
    };
    written.map_err(|error| Failure::new(Exit::Store, Report::from_error(&error)))?;
    cx.ui.note(format!("wrote {} and {}", private.display(), public.display()));
    Ok(Exit::Ok)
}

/// The passphrase of the environment, or of a person.
fn passphrase(cx: &Context) -> Result<SecretBytes, Failure> {
    let given = cx.environment.credential(env_vars::KEY_PASSPHRASE).map_err(Failure::from_store)?;
    let passphrase = match given {
        Some(passphrase) => passphrase,
        None if cx.non_interactive || !prompt::has_terminal() => {
            return Err(Failure::usage(
                "there is no terminal to ask for a passphrase on",
                format!("set {}, or make a key with `--no-passphrase`", env_vars::KEY_PASSPHRASE),
            ));
        }
        None => prompt::secret("Passphrase of the new key: ")?,
    };
    if passphrase.is_empty() {
        return Err(Failure::usage(
            "the passphrase is empty",
            "a key that is not encrypted is made with `--no-passphrase`",
        ));
    }
    Ok(passphrase)
}
