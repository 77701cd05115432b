//! An authenticated on-disk cache: a hit is exactly what a key holder stored.
//!
//! ```
//! use dsops_integrity_cache::{Cache, Key, Lookup};
//!
//! # let folder = tempfile::tempdir()?;
//! # let (cache_dir, state_dir) = (folder.path().join("cache"), folder.path().join("state"));
//! // What is cached lies in one directory; the key, which must not lie beside it, in the other.
//! let cache = Cache::builder(&cache_dir).state_dir(&state_dir).open()?;
//! let sboms = cache.namespace("sbom")?;
//! let key = Key::new().part("image", "sha256:6a0f…").part("tool", "syft 1.2");
//!
//! let sbom = match sboms.get(&key)? {
//!     Lookup::Hit(entry) => entry.into_bytes(),
//!     Lookup::Miss(_reason) => {
//!         let sbom = b"made anew".to_vec();
//!         let _stored_or_skipped = sboms.put(&key, None, &sbom)?;
//!         sbom
//!     }
//! };
//! # assert_eq!(sbom, b"made anew");
//!
//! // Or in one call, which computes once however many ask at the same time.
//! let same = sboms.get_or_try_put(&key, None, || Ok::<_, std::io::Error>(b"never made".to_vec()))?;
//! # assert_eq!(same, sbom);
//!
//! // Now and then: removes what expired, what crashes left, what cannot be trusted.
//! cache.maintain(std::time::Duration::from_millis(50))?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Against whom
//! - **T0** Accident: torn writes, bit rot, full disks, killed processes, two versions, wrong clocks.
//! - **T1** Who can write the cache directory but has no key: a poisoned cache archive in CI, a
//!   volume, a shared directory, a backup, a build step confined to `~/.cache`.
//! - **T2** T1 with older authentic entries, of this key or another, of this cache or another.
//! - **T3** T1 racing us: swapping files after they were opened; links, FIFOs, growing files.
//! - **T6** Who can read the cache directory, as far as bodies are encrypted.
//!
//! Not against: who can read the key (T4: other programs of the same user, if it is in a file), the
//! superuser (T5), whoever deletes entries or fills the disk, and a malicious program that holds the
//! key and stores wrong content. Against the last, a sealed cache ([`KeySource::Sealed`]) keeps the signing
//! key with one trusted writer: readers hold a public key and cannot forge.
//!
//! # What is guaranteed
//! - **G1** A hit returns only bytes that a key holder stored for exactly this cache, namespace, key
//!   and schema.
//! - **G2** Before authentication nothing but fixed-width, bounds-checked header fields is interpreted.
//! - **G3** Work and memory are bounded by the file's true size and the limit; what is no regular file
//!   never blocks.
//! - **G4** Nothing is written or removed outside the cache directory, nor any file in it whose name is
//!   not one of ours; a directory that is not ours is refused. (The state directory holds what the
//!   builder's `state_dir` says.)
//! - **G5** At every point where a process can die there is the old entry, the new one or a miss.
//! - **G6** Life is never extended by changing clocks or files, within a boot; across boots not beyond
//!   the highest time that a store has seen.
//! - **G7** With [`Freshness::Strict`] the last stored entry of a key, or a miss; otherwise an older one
//!   can come back while its own time lasts.
//! - **G8** Every rejection has a [reason](MissReason), a [counter](Counters) and, unless it is plain
//!   absence or expiry, an [event](Event).
//! - **G9** A file never turns a miss into an [error](Error) or an error into a hit; only the system's
//!   own failures (a disk that cannot be read, no file descriptors) are errors.
//!
//! # What is not
//! - Availability: a cache may always miss, and may skip a store ([`PutOutcome::Skipped`]).
//! - Durability, unless [`Policy::durability`] asks for it.
//! - Hiding lengths, times and the number of entries.
//! - In the state directory, rollback: who can put back an old state *and* the old entry has the old hit.
//!
//! Complete on Linux. macOS has no boot clock here, and Windows neither held directories nor owners
//! and modes; `docs/integrity-cache.md` lists what that costs, and describes the format.
#![cfg_attr(not(unix), allow(dead_code))]

#[cfg(feature = "remote")]
pub use crate::remote::object_store::ObjectStoreRemote;
pub use crate::{
    cache::Cache,
    clock::{BootId, Clock, ManualClock, SystemClock},
    error::{Error, KeyProblem},
    event::{Counters, Event, EventKind, EventSink, Offender, Severity},
    flight::FlightError,
    key::Key,
    keyfile::KeySource,
    lookup::{Lookup, MissReason, Part, PutOutcome, SkipReason, Unsafe},
    maintain::{Maintained, Stats, Usage, Verified},
    namespace::{Entry, Metadata, Namespace},
    open::Builder,
    policy::{Body, Durability, Freshness, Limits, Offenders, Policy},
    reader::VerifiedReader,
    remote::{Remote, RemoteError},
    shared::{SharedCache, SharedNamespace},
    writer::EntryWriter,
};

mod body;
mod cache;
mod clock;
mod error;
mod event;
mod exchange;
mod flight;
#[doc(hidden)]
pub mod format;
mod fs;
mod key;
mod keyfile;
mod keys;
mod ledger;
mod lookup;
mod maintain;
mod namespace;
mod open;
mod policy;
mod reader;
mod remote;
mod shared;
mod state;
mod verify;
mod writer;
