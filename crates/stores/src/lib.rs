//! The concrete secret stores of dsops.
//!
//! [`Registry`] makes them for the resolver. Each is behind a cargo feature of its name, all on by
//! default:
//!
//! | type | where values are | settings |
//! |---|---|---|
//! | `literal` | in `dsops.yaml`; for what is no secret | `values` |
//! | `env` | in the environment of `dsops` | `prefix` |
//! | `sops` | in a SOPS file beside `dsops.yaml` | `path`, `age_key_file` |
//!
//! [`cache`] keeps what stores answered, where their settings ask for it.
//!
//! Guaranteed: a value goes into protected memory as it is decrypted or read, and is in no error.
//! A store hands out nothing from a file that was tampered with. Files are replaced whole or not at
//! all, and no concurrent change is lost.
//!
//! Not guaranteed: what the SOPS format itself does not protect, see [`sops`]. Ciphertext and
//! values that stand in the clear in a file pass through ordinary memory.
//!
//! ```
//! use std::{path::Path, time::SystemTime};
//!
//! use dsops_resolver::{FetchContext, Item, NoEnvironment, OpenContext, StoreFactory, StoreSettings};
//! use dsops_secure_mem::SecretBytes;
//! use dsops_stores::{Registry, age::Identity, file, sops};
//!
//! // A project with an identity and a file of secrets.
//! let folder = tempfile::tempdir()?;
//! let identity = Identity::generate()?;
//! let key_file = folder.path().join("key.txt");
//! file::publish_new(&key_file, &identity.to_text()?.expose(), 0o600)?;
//! let secrets = folder.path().join("secrets.sops.yaml");
//! sops::create(&secrets, &[identity.recipient().clone()])?;
//!
//! // Set a secret.
//! let keyring = sops::Keyring::default().with_file(&key_file);
//! sops::change(&secrets, &keyring, |document| {
//!     document.set("TOKEN", &SecretBytes::copy_from(b"hunter2")?, SystemTime::now())
//! })?;
//!
//! // Fetch it as the resolver does.
//! let settings = "type: sops\npath: secrets.sops.yaml\nage_key_file: key.txt\n";
//! let settings = StoreSettings::parse("local", settings).map_err(|problem| problem.message)?;
//! let cx = OpenContext::new(folder.path(), &NoEnvironment);
//! let store = Registry::new().open(&settings, &cx)?;
//! let item = Item { key: "TOKEN".to_owned(), version: None };
//! let value = store.fetch(&[item], &FetchContext::default()).remove(0)?;
//! assert_eq!(&*value.expose(), b"hunter2");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod age;
#[cfg(feature = "cache")]
pub mod cache;
mod elsewhere;
pub mod file;
mod registry;
mod scrub;

#[cfg(feature = "env")]
pub mod env;
#[cfg(feature = "literal")]
pub mod literal;
#[cfg(feature = "sops")]
pub mod sops;

pub use registry::Registry;

/// Variables that hold or point to a store's credential. A runner withholds them from children,
/// whether or not a store used them.
#[cfg(feature = "sops")]
pub const CREDENTIAL_VARIABLES: &[&str] = &[
    sops::KEY_VARIABLE,
    sops::KEY_FILE_VARIABLE,
    sops::UNSUPPORTED_VARIABLES[0],
    sops::SSH_KEY_FILE_VARIABLE,
    sops::UNSUPPORTED_VARIABLES[1],
    sops::PASSPHRASE_VARIABLE,
];

#[cfg(all(test, feature = "sops"))]
mod tests {
    #[test]
    fn all_variables_of_sops_are_credentials() {
        let want = [
            "SOPS_AGE_KEY",
            "SOPS_AGE_KEY_FILE",
            "SOPS_AGE_KEY_CMD",
            "SOPS_AGE_SSH_PRIVATE_KEY_FILE",
            "SOPS_AGE_SSH_PRIVATE_KEY_CMD",
            "DSOPS_AGE_PASSPHRASE",
        ];
        assert_eq!(super::CREDENTIAL_VARIABLES, want);
    }
}
