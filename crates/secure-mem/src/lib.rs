//! Secrets as bytes in protected memory: hidden, locked, wiped, counted, and a truthful report of what held.
//!
//! ```
//! use dsops_secure_mem::{SecretBytes, harden_process, protection};
//!
//! harden_process();
//! let mut typed = *b"correct horse";
//! let secret = SecretBytes::adopt(&mut typed)?; // copied to protected memory, `typed` is wiped
//! assert_eq!(secret.expose().len(), 13); // the one greppable word for access
//! assert_eq!(format!("{secret:?}"), "SecretBytes(13 bytes, REDACTED)");
//! for missing in &protection().degradations {
//!     eprintln!("{missing}");
//! }
//! # Ok::<(), dsops_secure_mem::Error>(())
//! ```
//!
//! # What it guarantees
//! - A value lies in the best memory the system gives: hidden (`memfd_secret`, which not even root reads through
//!   `ptrace`, `/proc/PID/mem` or a core file), else locked and encrypted at rest, else encrypted at rest and
//!   wiped. Which one it is stands in the [`Protection`] report; [`Policy::Strict`] makes less an error.
//! - It is wiped when dropped, when a panic unwinds, and by [`wipe_all`]. Growing a [`Writer`] leaves no copy.
//! - A key used for encryption at rest leaves no copy on the stack or in vector registers.
//! - A fork child and a program started from here get nothing of it. Writes next to a value are found: everything is
//!   wiped, and the process aborts.
//! - It can't be printed, cloned, compared in variable time or serialised by accident.
//!
//! # What it does not
//! - What a caller copies out of a guard is the caller's. [`ZeroizingAlloc`] and [`scrub_stack`] soften that.
//! - Who can trace the process (root, or the same user before [`harden_process`]) can make it hand a value out,
//!   or read general registers at the right moment. The kernel sees everything.
//! - A signal that arrives in the middle of the cipher saves its registers to the stack.
//! - A forked child that doesn't `exec` can't use the vault; a raw `clone` without the C library isn't noticed, the
//!   child faults or reads zeros.
//! - Hibernation writes locked memory to disk; Linux refuses to hibernate while hidden memory is mapped
//!   ([`Vault::trim`]).
//!
//! The longer account, with measurements, is `docs/memory-protection.md`.

mod alloc;
mod error;
mod guard;
mod process;
mod protection;
mod region;
mod seal;
mod secret;
mod slab;
mod slot;
mod sys;
mod vault;
mod wipe;
mod writer;

pub use alloc::ZeroizingAlloc;
pub use error::Error;
pub use guard::{Exposed, ExposedMut, ExposedStr};
pub use process::{
    Hardening, OriginalLimits, harden_process, original_core_limit, original_limits,
    original_memlock_limit, restore_original_limits, take_env,
};
pub use protection::{Backend, Degradation, DegradationKind, Limit, Protection};
pub use secret::{SecretBytes, SecretStr};
pub use vault::{AtRest, Policy, Vault, VaultBuilder, protection, vault, wipe_all};
pub use wipe::scrub_stack;
pub use writer::Writer;
