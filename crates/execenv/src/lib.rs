//! Runs a command with secrets in its environment, and leaves no copy of them behind.
//!
//! # What it does
//! - Looks the command up before anything is fetched ([`Exec::plan`]).
//! - Settles the child's environment: what it inherits ([`EnvPolicy`]), what is withheld from it,
//!   each name once, sizes checked, dangerous names refused as secrets ([`is_dangerous`]).
//! - Lays the secrets out in one piece of protected memory, starts the program, wipes the piece.
//! - Replaces this process, or supervises the child: hands signals on, keeps job control on a
//!   terminal, enforces a timeout on everything the child started, and ends as the child ended
//!   ([`Outcome::exit_like_child`]).
//!
//! # What it guarantees (Linux)
//! - Values are never in `argv`, in a log, in an error, in `Debug`, in a file, or in memory that is
//!   not protected. After [`Exec::spawn`] this process holds no copy that the caller does not hold.
//! - The child finds what our caller gave: signal mask and dispositions, closed standard
//!   descriptors, umask, terminal, process group on a terminal. No other descriptor gets through.
//! - When this process is killed, the child is killed.
//!
//! # What it does not
//! - The environment of the child is readable by processes of the same user and by root, and is
//!   inherited by what the child starts. That is how environments are.
//! - The bond that kills the child with its parent is undone by set-uid programs such as `sudo`,
//!   and does not reach the child's own children.
//! - A signal that a process of the child's tree sends to this process is not handed back to it,
//!   unless its sender has ended and been reaped before this process could look at it.
//! - A process can leave the tree that a timeout ends only by other means than forking: asking a
//!   service manager to start something for it, or gaining other rights.
//!
//! # Example
//! ```no_run
//! use dsops_execenv::{EnvPolicy, Exec, Name};
//! use dsops_secure_mem::SecretBytes;
//!
//! # fn fetch(_: &Name) -> Result<SecretBytes, dsops_secure_mem::Error> {
//! #     SecretBytes::copy_from(b"example")
//! # }
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let name = Name::new("DB_PASSWORD")?;
//! let exec = Exec::new("npm")
//!     .args(["start"])
//!     .env_policy(EnvPolicy::inherit().withhold("VAULT_TOKEN"))
//!     .announce(name.clone());
//! exec.plan()?; // a typo ends here, before anything is fetched
//!
//! let secret = fetch(&name)?;
//! let running = exec.secret(name, secret).spawn()?; // the secret is gone from this process
//! running.wait()?.exit_like_child()
//! # }
//! ```
//!
//! # Platform
//! | | Linux 5.4 and later | macOS | others |
//! |---|---|---|---|
//! | plan, environment policy | yes | yes | yes |
//! | replace | yes | yes | `Unsupported` |
//! | supervise, signals, exit status | yes | yes | `Unsupported` |
//! | timeout, tree kill | yes | `Unsupported` | `Unsupported` |
//! | child dies with us | yes | no | – |
//! | tells who sent a signal | yes | no | – |

mod envblock;
mod error;
mod exec;
mod lookup;
mod name;
mod outcome;
mod pattern;
mod policy;
mod size;
mod sys;

pub use error::{ExecError, NotExecutable};
pub use exec::{ChildLimits, Exec, Mode, Plan, PlannedVariable, ResourceLimit, Running};
pub use name::{Name, NameError, is_dangerous};
pub use outcome::Outcome;
pub use policy::EnvPolicy;
#[cfg(target_os = "linux")]
pub use sys::HeldSignals;
