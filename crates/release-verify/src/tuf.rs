//! Newer roots of trust by The Update Framework: signed metadata says which file is the newest.
//!
//! The checks (thresholds of signatures, rotation of root keys, versions that only grow, dates,
//! lengths and hashes) are those of `sigstore-tuf`; what is fetched, and where it is kept, is ours.
//! Nothing here runs unless it is called, and only [`refresh`] reaches the network.
//!
//! What was fetched is kept on a [`Shelf`], an authenticated cache ([`CacheShelf`]). The versions of
//! metadata there are a floor: a repository that offers older ones is refused. Metadata is verified
//! from the pinned root on whenever it is used; the root of trust itself is believed as it lies
//! there, for it was verified before it was kept, and the cache gives back nothing else.

mod floor;
mod shelf;
mod source;

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use sigstore_tuf::{MetadataStore, Updater, UpdaterConfig};

use crate::{Origin, TRUST_LIMIT_BYTES, TrustError, TrustRoots};

use floor::Floor;
pub use shelf::{CacheShelf, MemoryShelf, Shelf};
pub use source::{FetchError, HttpSource, Source};

/// The file that is asked for.
const TARGET: &str = "trusted_root.json";

/// Where the root of trust of the last refresh is kept, with what is known of it.
const CURRENT: &str = "current";

/// A repository and the root its metadata is verified from.
#[derive(Clone, Copy, Debug)]
pub struct Instance {
    /// What the root of trust is called.
    pub name: &'static str,
    /// Where its metadata lies; its files are in `targets/` below.
    pub url: &'static str,
    /// The pinned metadata of role `root`.
    pub root: &'static [u8],
}

/// The public Sigstore instance.
pub const SIGSTORE: Instance = Instance {
    name: "sigstore.dev",
    url: "https://tuf-repo-cdn.sigstore.dev/",
    root: include_bytes!("../data/tuf-root-sigstore.json"),
};

/// GitHub's instance.
pub const GITHUB: Instance = Instance {
    name: "github.com",
    url: "https://tuf-repo.github.com/",
    root: include_bytes!("../data/tuf-root-github.json"),
};

/// A root of trust out of a repository.
#[derive(Clone, Debug)]
pub struct Refreshed {
    /// The file, to be written out or read by [`TrustRoots::load`].
    pub content: Vec<u8>,
    /// When the repository was last asked.
    pub asked: SystemTime,
    /// Until when the repository vouches for it, if it is not asked again.
    pub expires: SystemTime,
    /// The versions of root, timestamp, snapshot and targets.
    pub versions: [u64; 4],
}

impl Refreshed {
    /// The roots in it, dated by when the repository was asked.
    ///
    /// # Errors
    /// It was read before it was handed out: none in practice.
    pub fn roots(&self, name: &str) -> Result<TrustRoots, TrustError> {
        TrustRoots::load(&self.content, &Origin::new(name), Some(self.asked))
    }

    fn to_json(&self) -> Vec<u8> {
        let time = |time| humantime::format_rfc3339_seconds(time).to_string();
        let content = String::from_utf8_lossy(&self.content);
        let json = json!({
            "asked": time(self.asked),
            "expires": time(self.expires),
            "versions": self.versions,
            "content": content,
        });
        json.to_string().into_bytes()
    }

    fn from_json(json: &[u8]) -> Option<Self> {
        let json: Value = serde_json::from_slice(json).ok()?;
        let time = |name: &str| humantime::parse_rfc3339(json[name].as_str()?).ok();
        let mut versions = [0; 4];
        for (place, version) in versions.iter_mut().zip(json["versions"].as_array()?) {
            *place = version.as_u64()?;
        }
        let content = json["content"].as_str()?.as_bytes().to_vec();
        Some(Self { content, asked: time("asked")?, expires: time("expires")?, versions })
    }
}

/// Why there is no newer root of trust.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TufError {
    /// A file could not be had, or is larger than allowed.
    #[error("the repository does not give out what is needed")]
    Fetch(#[source] sigstore_tuf::Error),
    /// An older version than was seen before.
    #[error("the repository offers version {found} of `{role}`, but {known} was seen before")]
    Rollback {
        /// Of what.
        role: String,
        /// The version that was seen.
        known: u64,
        /// The version that is offered.
        found: u64,
    },
    /// It ended: the repository is no longer kept, or someone keeps newer metadata from us.
    #[error("the repository's `{role}` ended at {at}")]
    Expired {
        /// Of what.
        role: String,
        /// When.
        at: String,
    },
    /// Too few of those who may sign did.
    #[error("the repository's `{role}` has {found} good signatures, and needs {threshold}")]
    Signatures {
        /// Of what.
        role: String,
        /// How many are good.
        found: usize,
        /// How many it needs.
        threshold: usize,
    },
    /// Something else is wrong with the metadata or the file.
    #[error("the repository's metadata or file cannot be trusted")]
    Rejected(#[source] sigstore_tuf::Error),
    /// The file is authentic but no root of trust.
    #[error("the repository's root of trust cannot be read")]
    Root(#[source] TrustError),
    /// Something could not be kept, and a later rollback would not be noticed; or what is there is not ours.
    #[error("the cache of the root of trust cannot be used: {0}")]
    Shelf(String),
    /// The clock shows a time that cannot be.
    #[error("the clock shows no usable time")]
    Clock,
    /// The library waited for something that is not ready, which ours always is.
    #[error("the repository's client waits for nothing")]
    Suspended,
}

impl TufError {
    /// What can be done about it.
    pub fn help(&self) -> &'static str {
        match self {
            Self::Fetch(_) => "is the repository reached, and is it one of The Update Framework?",
            Self::Expired { .. } => {
                "check the clock, then whether another network gives newer metadata"
            }
            Self::Rollback { .. } | Self::Signatures { .. } | Self::Rejected(_) => {
                "do not trust what this network gives; the root of trust in use is unchanged"
            }
            Self::Root(_) => "a newer version of this program may be able to read it",
            Self::Shelf(_) => "make the cache directory writable",
            Self::Clock => "set the clock",
            Self::Suspended => "this is an error of the program: please report it",
        }
    }
}

impl From<sigstore_tuf::Error> for TufError {
    fn from(error: sigstore_tuf::Error) -> Self {
        use sigstore_tuf::Error;
        match error {
            Error::Rollback { role, trusted, new } => {
                Self::Rollback { role, known: trusted, found: new }
            }
            Error::Expired { role, expires } => Self::Expired { role, at: expires.to_string() },
            Error::ThresholdNotMet { role, found, threshold } => {
                Self::Signatures { role, found, threshold }
            }
            Error::Transport { .. } | Error::TargetNotFound(_) => Self::Fetch(error),
            other => Self::Rejected(other),
        }
    }
}

/// Asks a repository for its newest root of trust, verified from `root` on.
///
/// # Errors
/// See [`TufError`]. What is in use stays as it was: the shelf only ever gains verified metadata.
///
/// # Security
/// Guards against a server or network that changes files, offers older ones, holds newer ones back
/// (for longer than the metadata's own dates), mixes versions, or sends without end. The floor for
/// versions is as good as the shelf: who can empty it can offer what
/// is older but has not ended.
pub fn refresh(
    source: impl Source + 'static,
    shelf: &Arc<dyn Shelf>,
    root: &[u8],
    now: SystemTime,
) -> Result<Refreshed, TufError> {
    let floor = Floor::of(&**shelf, root);
    let store = Arc::new(Store::new(shelf));
    let updater = Updater::new(source::Adapter(source), root)?;
    let refreshed = run(updater, &store, floor.as_ref(), now)?;
    store.problem()?;
    // Only now: what cannot be read must not become what is used.
    refreshed.roots("repository").map_err(TufError::Root)?;
    shelf.save(CURRENT, &refreshed.to_json()).map_err(TufError::Shelf)?;
    Ok(refreshed)
}

/// The root of trust of the last [`refresh`], without the network; none if there is none on the shelf.
///
/// It does not turn bad by age, but stale, which [`TrustRoot::finding`](crate::TrustRoot::finding)
/// warns about.
///
/// # Errors
/// What lies there is not what [`refresh`] writes.
pub fn stored(shelf: &dyn Shelf) -> Result<Option<Refreshed>, TufError> {
    let Some(current) = shelf.load(CURRENT) else {
        return Ok(None);
    };
    let unreadable = || TufError::Shelf("the root of trust on it is not of our making".to_owned());
    Refreshed::from_json(&current).map(Some).ok_or_else(unreadable)
}

/// The whole workflow of the specification (§5), at a time.
fn run(
    updater: Updater,
    store: &Arc<Store>,
    floor: Option<&Floor>,
    now: SystemTime,
) -> Result<Refreshed, TufError> {
    let since = now.duration_since(SystemTime::UNIX_EPOCH).map_err(|_| TufError::Clock)?;
    let seconds = i64::try_from(since.as_secs()).map_err(|_| TufError::Clock)?;
    let time = jiff::Timestamp::from_second(seconds).map_err(|_| TufError::Clock)?;
    let mut config = UpdaterConfig::default();
    config.target_max_length = TRUST_LIMIT_BYTES as u64;
    let mut updater = updater.with_config(config).with_store(Arc::clone(store));
    at_once(updater.refresh(time))??;
    let trusted = updater.trusted();
    let timestamp = trusted.timestamp();
    let expires = timestamp.map_or(0, |stamp| stamp.expires.as_second());
    let expires = Duration::from_secs(u64::try_from(expires).unwrap_or_default());
    let versions = [
        trusted.root().version,
        timestamp.map_or(0, |stamp| stamp.version),
        trusted.snapshot().map_or(0, |snapshot| snapshot.version),
        trusted.targets_role("targets").map_or(0, |targets| targets.version),
    ];
    floor.map_or(Ok(()), |floor| floor.hold(versions, trusted.root()))?;
    let content = at_once(updater.get_target(TARGET, time))??;
    let expires = SystemTime::UNIX_EPOCH + expires;
    Ok(Refreshed { content, asked: now, expires, versions })
}

/// The result of a future whose every step is done when it is made: each fetch has ended by then.
fn at_once<T>(future: impl Future<Output = T>) -> Result<T, TufError> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Ok(value),
        Poll::Pending => Err(TufError::Suspended),
    }
}

/// A shelf as the library wants it, which passes over what cannot be kept: it is told afterwards.
struct Store {
    shelf: Arc<dyn Shelf>,
    problem: Mutex<Option<String>>,
}

impl Store {
    fn new(shelf: &Arc<dyn Shelf>) -> Self {
        Self { shelf: Arc::clone(shelf), problem: Mutex::default() }
    }

    fn problem(&self) -> Result<(), TufError> {
        match self.problem.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(problem) => Err(TufError::Shelf(problem)),
            None => Ok(()),
        }
    }
}

impl MetadataStore for Store {
    fn load(&self, name: &str) -> sigstore_tuf::Result<Option<Vec<u8>>> {
        Ok(self.shelf.load(name))
    }

    fn store(&self, name: &str, bytes: &[u8]) -> sigstore_tuf::Result<()> {
        if let Err(problem) = self.shelf.save(name, bytes) {
            let mut first = self.problem.lock().unwrap_or_else(PoisonError::into_inner);
            first.get_or_insert(problem);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pinned_roots_are_signed_by_their_own_keys() {
        for instance in [SIGSTORE, GITHUB] {
            let set = sigstore_tuf::TrustedMetadataSet::from_root(instance.root).unwrap();
            assert!(set.root().version > 1, "{}", instance.name);
            assert!(set.root().consistent_snapshot, "{}", instance.name);
        }
    }

    #[test]
    fn what_waits_is_an_error_not_a_hang() {
        let waiting = at_once(std::future::pending::<()>());
        assert!(matches!(waiting, Err(TufError::Suspended)));
    }
}
