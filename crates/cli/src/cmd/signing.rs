//! What `sign` and `attest` share: who signs, and bundles that are verified before they are written.

mod identity;
mod images;
mod output;
mod own_check;

use std::borrow::Borrow;
use std::ffi::OsString;
use std::fs::File;
use std::path::Path;

use clap::ValueHint;
use dsops_attest::{
    Algorithm, Bundle, Error, KEY_FILE_LIMIT_BYTES, KeyFile, Keyless, Services, Signer, SigningKey,
    Statement,
};
use dsops_resolver::Environment as _;
use dsops_secure_mem::SecretBytes;
use dsops_transport::Client;

use super::verify::{files, online};
use crate::context::Context;
use crate::env_vars;
use crate::exit::Exit;
use crate::report::{Failure, Report};

pub use images::{Where, with_image};
pub use output::{Outputs, beside};
pub use own_check::{OwnCheck, SignedBy};

// Who signs, and by which services.
#[derive(Debug, clap::Args)]
pub struct By {
    /// Sign with this private key (PEM: PKCS#8, `EC PRIVATE KEY`, cosign's); without it, keyless by
    /// an identity token
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub key: Option<OsString>,
    /// The identity token is in this file (else it is in `SIGSTORE_ID_TOKEN`, or asked for in a job
    /// of GitHub Actions)
    #[arg(
        long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "key",
        alias = "identity-token"
    )]
    pub identity_token_file: Option<OsString>,
    /// Which services sign with us (default: the public ones of sigstore.dev); with `--key`, the
    /// signature is logged there and stamped with the time
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub signing_config: Option<OsString>,
    /// Whom to trust when what was signed is verified: the `trusted_root.json` of these services
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub trusted_root: Option<OsString>,
    /// Believe services by the authorities in this file too (PEM)
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub ca_file: Option<OsString>,
    /// A host that a registry names for tokens and that may see its credentials, though it is
    /// neither above nor below the registry's own
    #[arg(long, value_name = "HOST")]
    pub token_host: Vec<String>,
}

/// What [`By`] means, before anything is asked.
pub struct Prepared {
    key: Option<SigningKey>,
    /// With them, what is signed is logged.
    services: Option<(Client, Services)>,
    token: Option<SecretBytes>,
    check: OwnCheck,
}

impl By {
    /// How registries are asked.
    pub fn network(&self) -> online::Flags {
        let (ca_file, token_host) = (self.ca_file.clone(), self.token_host.clone());
        online::Flags { online: true, offline: false, ca_file, token_host }
    }

    /// Reads the key and all other files; gets an identity token.
    ///
    /// # Errors
    /// A file cannot be read or is not what it should be; nobody says who signs.
    pub fn prepare(&self, cx: &Context) -> Result<Prepared, Failure> {
        let key = self.key.as_ref().map(|file| key(cx, file)).transpose()?;
        let services = match (&self.signing_config, &key) {
            (None, Some(_)) => None,
            (file, _) => {
                let client = online::client(cx, self.ca_file.as_deref())?;
                Some((client, services(file.as_ref())?))
            }
        };
        let check =
            OwnCheck::new(cx, self.trusted_root.as_deref(), key.as_ref(), services.is_some())?;
        let token = match (&key, &services) {
            (None, Some((client, _))) => {
                Some(identity::token(cx, client, self.identity_token_file.as_ref())?)
            }
            _ => None,
        };
        Ok(Prepared { key, services, token, check })
    }
}

impl Prepared {
    /// Signs one statement about these, and verifies it.
    ///
    /// # Errors
    /// It cannot be read or signed, or does not verify.
    pub fn sign_statement(
        &self,
        statement: &Statement,
        subjects: &[(String, [u8; 32])],
    ) -> Result<(Bundle, SignedBy), Failure> {
        let mut signed = self.sign_statements(&[(statement, subjects)])?;
        Ok(signed.pop().expect("one statement was signed"))
    }

    /// Signs statements, each about what stands beside it, and verifies them. All are signed, or none is
    /// handed out.
    ///
    /// # Errors
    /// One cannot be read or signed, or does not verify.
    pub fn sign_statements(
        &self,
        all: &[(impl Borrow<Statement> + Sync, impl AsRef<[(String, [u8; 32])]> + Sync)],
    ) -> Result<Vec<(Bundle, SignedBy)>, Failure> {
        all.iter().try_for_each(|(one, _)| own_check::readable(one.borrow().payload()))?;
        self.sign(
            all,
            |signer, (statement, _)| signer.sign_statement(statement.borrow()),
            |check, (_, subjects), bundle| check.of_statement(subjects.as_ref(), bundle),
        )
    }

    /// Whether the content itself is signed, and not its digest.
    pub fn signs_content(&self) -> bool {
        self.key.as_ref().is_some_and(|key| key.algorithm() == Algorithm::Ed25519)
    }

    /// Signs; every bundle is verified.
    ///
    /// # Errors
    /// Something cannot be signed, or what was signed does not verify.
    pub fn sign<T: Sync>(
        &self,
        what: &[T],
        sign: impl Fn(&Signer<'_>, &T) -> Result<Bundle, Error> + Sync,
        verify: impl Fn(&OwnCheck, &T, &str) -> Result<SignedBy, Failure> + Sync,
    ) -> Result<Vec<(Bundle, SignedBy)>, Failure> {
        let session;
        let signer = match (&self.key, &self.services, &self.token) {
            (Some(key), None, _) => Signer::Key(key),
            (Some(key), Some((client, services)), _) => Signer::LoggedKey(key, client, services),
            (None, Some((client, services)), Some(token)) => {
                session = Keyless::begin(client, services, token).map_err(|e| failed(&e, None))?;
                Signer::Keyless(&session)
            }
            (None, ..) => unreachable!("without a key there are services and a token"),
        };
        let one = |each: &T| {
            let bundle = sign(&signer, each).map_err(|error| failed(&error, None))?;
            let by = verify(&self.check, each, &bundle.to_string())?;
            Ok((bundle, by))
        };
        // Services take their time; the order of the results is that of the input.
        parallel(what, one).into_iter().collect()
    }
}

/// Does something with each, a few at once.
fn parallel<T: Sync, R: Send>(all: &[T], each: impl Fn(&T) -> R + Sync) -> Vec<R> {
    const AT_ONCE: usize = 4;
    let piece = all.len().div_ceil(AT_ONCE).max(1);
    std::thread::scope(|scope| {
        let each = &each;
        let workers: Vec<_> = all
            .chunks(piece)
            .map(|piece| scope.spawn(move || piece.iter().map(each).collect::<Vec<_>>()))
            .collect();
        let joined = workers
            .into_iter()
            .map(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        joined.flatten().collect()
    })
}

/// A signing error, told.
pub fn failed(error: &Error, about: Option<&str>) -> Failure {
    let exit = match error {
        Error::Key(_) | Error::NotLoggable | Error::Document { .. } | Error::NoService { .. } => {
            Exit::Config
        }
        Error::Token { .. } | Error::Subject { .. } | Error::NoSubject => Exit::Usage,
        Error::Memory(_) => Exit::Protection,
        _ => Exit::Store,
    };
    let mut report = match about {
        Some(about) => Report::error(about).because(error),
        None => Report::from_error(error),
    };
    report.help = error.help().map(str::to_owned);
    Failure::new(exit, report)
}

fn services(file: Option<&OsString>) -> Result<Services, Failure> {
    let Some(file) = file else {
        return Services::public().map_err(|error| failed(&error, None));
    };
    let bytes = files::read(file, Services::LIMIT_BYTES)
        .map_err(|error| Failure::new(Exit::Store, files::unreadable(file, &error)))?;
    let about = format!("{} cannot be used", Path::new(file).display());
    Services::read(&bytes).map_err(|error| failed(&error, Some(&about)))
}

/// Reads a small file straight into protected memory.
pub fn secret_file(file: &OsString, limit_bytes: usize) -> Result<SecretBytes, Failure> {
    let unreadable = |error| Failure::new(Exit::Store, files::unreadable(file, &error));
    let mut opened: File = files::open(file).map_err(unreadable)?;
    SecretBytes::from_reader(&mut opened, limit_bytes).map_err(|error| {
        let message = format!("cannot read {}", Path::new(file).display());
        Failure::new(Exit::Store, Report::error(message).because(&error))
    })
}

/// Reads a key; asks for its passphrase if there is one.
fn key(cx: &Context, file: &OsString) -> Result<SigningKey, Failure> {
    let shown = Path::new(file).display();
    let about = format!("{shown} cannot sign");
    let failed = |error: dsops_attest::KeyError| {
        let mut report = Report::error(about.as_str()).because(&error);
        report.help = error.help().map(str::to_owned);
        Failure::new(Exit::Config, report)
    };
    let text = secret_file(file, KEY_FILE_LIMIT_BYTES)?;
    let read = KeyFile::read(&text).map_err(failed)?;
    drop(text);
    if !read.is_encrypted() {
        return read.open(None).map_err(failed);
    }
    let given = cx.environment.credential(env_vars::KEY_PASSPHRASE).map_err(Failure::from_store)?;
    let passphrase = match given {
        Some(passphrase) => Some(passphrase),
        None => cx
            .environment
            .passphrase(&format!("Passphrase of {shown}"))
            .map_err(Failure::from_store)?,
    };
    let Some(passphrase) = passphrase else {
        let help = format!("run it on a terminal, or set {}", env_vars::KEY_PASSPHRASE);
        let report = Report::error(format!("{shown} is encrypted, and nobody can be asked"));
        return Err(Failure::new(Exit::Config, report.help(help)));
    };
    read.open(Some(&passphrase)).map_err(failed)
}
