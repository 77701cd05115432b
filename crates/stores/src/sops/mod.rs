//! SOPS files with age recipients, read and written in process: YAML, JSON, dotenv, INI, or any
//! file as one value.
//!
//! A file is opened in one pass: the data key is unwrapped with an age identity, every value is
//! decrypted into protected memory and hashed where it lies, and the MAC over the whole file is
//! compared. Only then is any value handed out: fail closed. Edits replace the bytes of one value,
//! the MAC and the time of the change, and keep all else, comments and order included.
//!
//! ```
//! use std::time::SystemTime;
//!
//! use dsops_secure_mem::SecretBytes;
//! use dsops_stores::{age::Identity, sops::{Document, OpenDocument}};
//!
//! let identity = Identity::generate()?;
//! let now = SystemTime::now();
//! let recipients = [identity.recipient().clone()];
//! let mut document = OpenDocument::create("secrets.sops.yaml", &recipients, now)?;
//! document.set("db/password", &SecretBytes::copy_from(b"hunter2")?, now)?;
//!
//! let document = Document::parse("secrets.sops.yaml", document.text())?.open(&[identity])?;
//! assert_eq!(&*document.get("db/password")?.expose(), b"hunter2");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Keys and values
//! A key is the parts of the path joined by `/`, as in `database/password`; `~1` stands for `/` and
//! `~0` for `~` inside a part, and an item of a list is named by its number from 0. Numbers count
//! values only: `sops --extract` also counts the comments that sops keeps inside of lists.
//!
//! Values are handed out as the bytes that were encrypted, with two exceptions: a boolean is `true`
//! or `false` (sops keeps `True`), and a value in the clear has the canonical form of its type. A
//! fraction has all its digits and no exponent. What is set is text, where no [`ValueType`] is
//! asked for.
//!
//! # What the format does not protect
//! SOPS authenticates values, not the file. These changes are not noticed, by the real `sops` as
//! little as by us:
//! - comments, blank lines, order of keys inside the `sops` section, and the names of recipients;
//! - the name of a key whose value is in the clear, is empty (`""`) or is null; whether such an
//!   empty or null entry is there at all;
//! - where one clear value ends and the next begins (`ab`, `c` and `a`, `bc` hash alike), and what
//!   type a clear value has if its text is the same;
//! - the type of an encrypted value if its text is canonical for both types;
//! - with `mac_only_encrypted`, every value in the clear;
//! - the order of items in a list whose values are equal; a key that contains a colon against the
//!   same letters nested (`a:b` and `a`, `b`);
//! - the return of an older version of the whole file, and a whole new file by anyone: recipients
//!   are public, so anyone can encrypt for them. Who wrote a file is for version control to say.
//!
//! # Formats and rules
//! The extension of a file says its [`Format`], as in sops. Every format is parsed into the same
//! tree of nodes that know their bytes; an edit cuts and pastes in the text, so that comments,
//! order and layout stay. `docs/reference/sops-store.md` says how each format writes a value.
//!
//! What is encrypted is chosen by suffix, by regular expression (compiled only where a file has
//! one), or by comments: where comments decide, a value is taken as it stands, and only values that
//! are encrypted already can be changed.
//!
//! A data key that is split over several key groups is put together (Shamir) from as many as the
//! file asks for; values of such a file can be changed, its recipients cannot.
//!
//! # Security
//! [`OpenDocument::plaintext`] is built in protected memory. While an edited plaintext is taken
//! back, the parser holds values in memory that is wiped, but not protected; so do the ways to
//! quote a value of INI that are tried.
//!
//! # Not supported
//! Refused with an error that says so: recipients of other kinds than age where no age recipient
//! opens the file, and a new data key for a file that has such; several documents, aliases, binary
//! data in the clear; a name twice in a group (INI and JSON allow it); regular expressions that Go
//! and we would read differently.
//!
//! Source: <https://github.com/getsops/sops>, as of 3.11.

mod apply;
mod comments;
mod compare;
mod creation;
mod datakey;
mod document;
mod error;
mod format;
mod keyring;
mod listing;
mod mac;
mod metadata;
mod open;
mod path;
mod plaintext;
mod recipients;
mod rules;
mod set_json;
mod shamir;
mod store;
mod tree;
mod typed;
mod value;

pub use apply::Changes;
pub use creation::CreationRule;
pub use document::Document;
use error::NULL_KIND;
pub use error::{Error, Place};
pub use format::{Format, UnknownFormat};
pub(crate) use keyring::UNSUPPORTED_VARIABLES;
pub use keyring::{
    KEY_FILE_VARIABLE, KEY_VARIABLE, Keyring, PASSPHRASE_VARIABLE, SSH_KEY_FILE_VARIABLE,
    default_key_file,
};
pub use listing::{Comment, Entry, EntryKind};
pub use open::OpenDocument;
pub use store::{SopsFactory, SopsFile, TYPE, change, create, locate, locate_without_keys, read};
pub use typed::{UnknownType, ValueType};
