//! The passphrase recipient: the file key under a key that scrypt makes (C2SP age §"The scrypt recipient type").

use dsops_secure_mem::SecretBytes;

use super::{
    Error,
    file_key::{self, Sealed},
    header::{Stanza, base64},
    random, scrypt,
};
use crate::scrub::scrubbed;

pub(super) const STANZA_KIND: &str = "scrypt";
const LABEL: &[u8] = b"age-encryption.org/v1/scrypt";
const SALT_BYTES: usize = 16;
const KEY_BYTES: usize = 32;
/// What `age` accepts: 4 GiB of memory.
const LARGEST_WORK_FACTOR: u8 = 22;

/// How much work a passphrase takes to try: each step doubles time and memory.
///
/// The default is 18, as of `age`: about a second and 256 MiB. Files with more than 22 are refused.
///
/// # Security
/// The memory is ordinary memory: it is too much to lock. It is wiped after use, but it can be
/// swapped out while the key is derived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WorkFactor(u8);

impl WorkFactor {
    /// A work factor from 1 to 22; `None` for others. Less than the default is for tests.
    pub fn new(log_n: u8) -> Option<Self> {
        (1..=LARGEST_WORK_FACTOR).contains(&log_n).then_some(Self(log_n))
    }
}

impl Default for WorkFactor {
    fn default() -> Self {
        Self(18)
    }
}

/// Whether a stanza is for a passphrase.
pub(super) fn is_ours(stanza: &Stanza) -> bool {
    stanza.args[0] == STANZA_KIND
}

pub(super) fn wrap(
    passphrase: &SecretBytes,
    work: WorkFactor,
    file_key: &SecretBytes,
) -> Result<Stanza, Error> {
    if passphrase.is_empty() {
        return Err(Error::Passphrase { reason: "it is empty" });
    }
    let mut salt = [0u8; SALT_BYTES];
    random(&mut salt)?;
    let key = derive(passphrase, &salt, work)?;
    Ok(Stanza {
        args: vec![STANZA_KIND.to_owned(), base64(&salt), work.0.to_string()],
        body: file_key::seal(file_key, &key),
    })
}

/// Unwraps the file key; `None` if it is another passphrase's.
pub(super) fn unwrap(
    passphrase: &SecretBytes,
    stanza: &Stanza,
) -> Result<Option<SecretBytes>, Error> {
    let fail = |reason| Error::Header { line: 0, reason };
    let [_, salt, work] = stanza.args.as_slice() else {
        return Err(fail("a passphrase's stanza has not exactly a salt and a work factor"));
    };
    let salt = file_key::argument::<SALT_BYTES>(
        salt,
        "the salt of a passphrase is not 16 bytes of canonical base64",
    )?;
    let is_canonical = work.bytes().all(|byte| byte.is_ascii_digit()) && !work.starts_with('0');
    let work = Some(work)
        .filter(|_| is_canonical)
        .and_then(|work| WorkFactor::new(work.parse().ok()?))
        .ok_or(fail("the work factor of a passphrase is not a number from 1 to 22"))?;
    let sealed = Sealed::of(&stanza.body, "the body of a passphrase's stanza is not 32 bytes")?;
    sealed.open(&derive(passphrase, &salt, work)?)
}

fn derive(
    passphrase: &SecretBytes,
    salt: &[u8; SALT_BYTES],
    work: WorkFactor,
) -> Result<SecretBytes, Error> {
    let salt = [LABEL, salt].concat();
    SecretBytes::build(KEY_BYTES, |key| {
        scrubbed(|| scrypt::derive(&passphrase.expose(), &salt, work.0, key))?;
        Ok(KEY_BYTES)
    })
}
