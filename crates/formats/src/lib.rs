//! Secrets as files: dotenv, JSON, YAML, shells, docker, Kubernetes, systemd, CI; written and read in protected
//! memory.
//!
//! ```
//! use dsops_formats::{Format, Options, render};
//! use dsops_secure_mem::SecretBytes;
//!
//! let password = SecretBytes::copy_from(b"it's $5")?;
//! let user = SecretBytes::copy_from(b"app")?;
//! let variables = [("PASSWORD", &password), ("USER_NAME", &user)];
//!
//! let file = render(Format::Shell, &variables, &Options::default())?;
//! assert_eq!(&*file.expose(), b"export PASSWORD='it'\\''s $5'\nexport USER_NAME='app'\n");
//!
//! // What a format cannot carry is an error that names the variable, never a file that reads back as something else.
//! let lines = SecretBytes::copy_from(b"two\nlines")?;
//! let errors = render(Format::Docker, &[("KEY", &lines)], &Options::default()).unwrap_err();
//! assert_eq!(errors.to_string(), "format docker cannot carry the value of KEY: it has more than one line");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The other way, files of other tools become values, references and notes:
//! ```
//! use dsops_formats::{ImportFormat, import};
//!
//! let imported = import(ImportFormat::Dotenv, b"export TOKEN='a b'\nURL=\"http://${HOST}/\"\n")?;
//! assert_eq!(&*imported.values[0].value.expose(), b"a b");
//! assert_eq!(
//!     imported.notes[0].to_string(),
//!     "line 2: URL has a `$` before a name, taken as it stands; many readers replace it"
//! );
//! # Ok::<(), dsops_formats::ImportError>(())
//! ```
//!
//! # What it guarantees
//! - The file's reader gets the bytes that were given, or there is no file and a typed error says which variable
//!   and why. Tests feed the output to the real readers; `docs/reference/formats.md` lists them with their versions.
//! - Output lies in protected memory; it is the caller's decision to take it out. What is read goes from the caller's
//!   bytes to protected memory with no buffer between; JSON and TOML escapes are decoded on the way.
//! - The output depends on the variables and options alone: sorted by name, no clock, no locale, no random word.
//! - Reading replaces nothing and runs nothing. What another reader would have understood differently is a note, or an
//!   error where it changes where a value ends.
//! - An error or note holds names, lines and reasons, never a value.
//!
//! # What it does not
//! - It opens no file: writing one safely (mode, symbolic links, replacing) is the caller's.
//! - It does not say whether a name is dangerous to set (`LD_PRELOAD`); `dsops-execenv` does.

mod error;
mod format;
mod import;
mod render;

pub use error::{
    ImportError, ImportProblem, NameProblem, RenderError, RenderErrors, UnknownName, ValueProblem,
};
pub use format::{Dialect, Format};
pub use import::{
    IMPORT_LIMIT_BYTES, ImportFormat, Imported, Note, Origin, Reference, Value, import,
};
pub use render::{Options, Template, render};
