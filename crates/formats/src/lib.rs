//! Secrets as files: dotenv, JSON, YAML, shells, docker, Kubernetes, systemd, CI; written in protected memory.
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
//! # What it guarantees
//! - The file's reader gets the bytes that were given, or there is no file and a typed error says which variable
//!   and why. Tests feed the output to the real readers; `docs/reference/formats.md` lists them with their versions.
//! - Output lies in protected memory; it is the caller's decision to take it out.
//! - The output depends on the variables and options alone: sorted by name, no clock, no locale, no random word.
//! - An error holds a variable's name and a reason, never a value.
//!
//! # What it does not
//! - It opens no file: writing one safely (mode, symbolic links, replacing) is the caller's.
//! - It does not say whether a name is dangerous to set (`LD_PRELOAD`); `dsops-execenv` does.

mod error;
mod format;
mod render;

pub use error::{NameProblem, RenderError, RenderErrors, UnknownName, ValueProblem};
pub use format::{Dialect, Format};
pub use render::{Options, Template, render};
