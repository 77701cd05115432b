//! A cache that several machines share by a remote tier: what is missing here is asked for there.

use std::{
    fmt, io,
    sync::{Arc, Mutex, PoisonError, atomic::Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

use crate::{
    Builder, Cache, Entry, Error, EventKind, FlightError, Key, Lookup, MissReason, Namespace,
    Policy, PutOutcome,
    cache::Inner,
    flight::{Flight, LONGEST_FLIGHT},
    format::{AEAD_TAG, CHUNK, DIGEST, LONGEST, Superblock},
    open::SUPERBLOCK,
    remote::{Remote, RemoteError},
};

/// After a failure the remote tier is left alone for so long: no lookup waits for what is down.
const REST: Duration = Duration::from_secs(30);
/// How often another machine's work is looked for, at first and at most.
const POLL: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// A [`Cache`] with a remote tier behind it. Clones are handles to the same.
///
/// The remote tier need not be trusted. What comes from it is verified to its last byte and lies
/// in the local cache before it is handed out; what it makes up is a miss and an event. It can
/// withhold and delay, and bring back older entries until their time is over (with
/// [`Freshness::Strict`](crate::Freshness), not ones that are older than what this machine has had).
/// It sees lengths and times, the namespaces and keys of entries, and payloads that are not
/// encrypted.
///
/// All machines need the same key, from elsewhere than each one's state directory.
#[derive(Clone)]
pub struct SharedCache {
    cache: Cache,
    tier: Arc<Tier>,
    lease: Duration,
}

/// A namespace of a [`SharedCache`].
#[derive(Clone)]
pub struct SharedNamespace {
    local: Namespace,
    tier: Arc<Tier>,
    /// How long one machine may compute before the others stop waiting for it.
    lease: Duration,
}

struct Tier {
    remote: Box<dyn Remote>,
    /// Whether it holds this cache and no other.
    is_ours: bool,
    down_since: Mutex<Option<Instant>>,
}

impl fmt::Debug for SharedCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedCache").field("cache", &self.cache).finish_non_exhaustive()
    }
}

impl fmt::Debug for SharedNamespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedNamespace").field("local", &self.local).finish_non_exhaustive()
    }
}

impl SharedCache {
    /// Opens the local cache as `builder` says, each time it is called, and joins it to what the
    /// remote tier holds; the first machine leaves its identity there. A cache that exists already
    /// and is another one, a remote tier that holds something else or cannot be reached: then it is
    /// a local cache, with an event [`EventKind::RemoteForeign`] or [`EventKind::RemoteFailed`].
    ///
    /// # Errors
    /// As [`Builder::open`].
    pub fn open(
        builder: impl Fn() -> Builder,
        remote: impl Remote + 'static,
    ) -> Result<Self, Error> {
        let (claim, foreign) = match agree(&builder, &remote) {
            Ok(Claim::Identity(identity)) => (Ok(Some(identity)), false),
            Ok(Claim::Foreign) => (Ok(None), true),
            Err(error) => (Err(error), false),
        };
        let joined = match &claim {
            Ok(Some(identity)) => match builder().join(identity.clone()).open() {
                Ok(cache) => Some(cache),
                // Of another key, or what lies here is another cache.
                Err(Error::NotACache { .. }) => None,
                Err(error) => return Err(error),
            },
            _ => None,
        };
        let is_ours = joined.is_some();
        let cache = match joined {
            Some(cache) => cache,
            None => builder().open()?,
        };
        let down_since = Mutex::new(claim.is_err().then(Instant::now));
        let tier = Tier { remote: Box::new(remote), is_ours, down_since };
        if claim.is_err() {
            report_failure(&cache.inner);
        } else if foreign || !is_ours {
            cache.inner.observer.emit(EventKind::RemoteForeign, None, None, None);
        }
        Ok(Self { cache, tier: Arc::new(tier), lease: LONGEST_FLIGHT })
    }

    /// How long one machine may compute in [`SharedNamespace::get_or_try_put`] before others stop
    /// waiting for it. Default: 10 minutes.
    #[must_use]
    pub fn with_lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// The cache on this machine.
    pub fn local(&self) -> &Cache {
        &self.cache
    }

    /// Whether entries are shared at all: whether the remote tier holds this cache.
    pub fn is_shared(&self) -> bool {
        self.tier.is_ours
    }

    /// A namespace with that policy.
    ///
    /// # Errors
    /// As [`Cache::namespace_with`]; [`Error::Config`] for a sensitive one: secrets stay on the
    /// machine.
    pub fn namespace_with(&self, name: &str, policy: Policy) -> Result<SharedNamespace, Error> {
        if policy.sensitive {
            return Err(Error::config("secrets are not shared with other machines"));
        }
        let local = self.cache.namespace_with(name, policy)?;
        Ok(SharedNamespace { local, tier: self.tier.clone(), lease: self.lease })
    }
}

impl SharedNamespace {
    /// The namespace on this machine.
    pub fn local(&self) -> &Namespace {
        &self.local
    }

    /// Looks an entry up here, then there.
    ///
    /// # Errors
    /// As [`Namespace::get`]. What the remote tier does is never an error.
    pub fn get(&self, key: &Key) -> Result<Lookup<Entry>, Error> {
        match self.local.get(key)? {
            Lookup::Miss(reason) if may_be_elsewhere(&reason) && self.bring(key)? => {
                self.local.get(key)
            }
            answer => Ok(answer),
        }
    }

    /// Stores a payload here and, if that came about, there.
    ///
    /// # Errors
    /// As [`Namespace::put`].
    pub fn put(&self, key: &Key, ttl: Option<Duration>, bytes: &[u8]) -> Result<PutOutcome, Error> {
        let outcome = self.local.put(key, ttl, bytes)?;
        if outcome == PutOutcome::Stored {
            self.send(key)?;
        }
        Ok(outcome)
    }

    /// Removes an entry here and there; says whether there was one here. Copies that other machines
    /// have stay until their time is over.
    ///
    /// # Errors
    /// As [`Namespace::invalidate`].
    pub fn invalidate(&self, key: &Key) -> Result<bool, Error> {
        let was_there = self.local.invalidate(key)?;
        let name = self.object(key)?;
        let _failed_or_down = self.tier.ask(self.inner(), |remote| remote.remove(&name));
        Ok(was_there)
    }

    /// Answers the entry, or computes and stores it; among all machines one computes, as far as the
    /// remote tier can tell who was first, and the others wait for it.
    ///
    /// # Errors
    /// As [`Namespace::get_or_try_put`].
    pub fn get_or_try_put<E>(
        &self,
        key: &Key,
        ttl: Option<Duration>,
        compute: impl FnOnce() -> Result<Vec<u8>, E>,
    ) -> Result<Vec<u8>, FlightError<E>> {
        if let Lookup::Hit(entry) = self.get(key)? {
            return Ok(entry.into_bytes());
        }
        // One of this machine asks for all of it.
        let flight = Flight::board(&self.local, key)?;
        if flight.is_some()
            && let Lookup::Hit(entry) = self.local.get(key)?
        {
            return Ok(entry.into_bytes());
        }
        let _lease = match self.lease(key)? {
            Leave::Found(value) => return Ok(value),
            Leave::Compute(lease) => lease,
        };
        let value = compute().map_err(FlightError::Compute)?;
        let _stored_or_skipped = self.put(key, ttl, &value)?;
        Ok(value)
    }

    fn inner(&self) -> &Inner {
        &self.local.inner
    }

    /// The object's name: keyed, so it tells nothing of the key. What lies there does: an entry's
    /// header is in clear.
    fn object(&self, key: &Key) -> Result<String, Error> {
        let name = self.inner().keys()[0].name(self.local.name(), &key.canonical())?;
        Ok(name.path().to_owned())
    }

    /// Brings an entry here. Says whether a lookup will find it now.
    fn bring(&self, key: &Key) -> Result<bool, Error> {
        let inner = self.inner();
        let name = self.object(key)?;
        let mut bytes = Bounded::new(longest_file(inner));
        match self.tier.ask(inner, |remote| bytes.fetch(remote, &name)) {
            Some(Ok(Fetched::All)) => {}
            Some(Ok(Fetched::TooLong)) => {
                inner.observer.counters.remote_rejected.fetch_add(1, Relaxed);
                return Ok(false);
            }
            _ => return Ok(false),
        }
        let counters = &inner.observer.counters;
        match self.local.admit(key, &bytes.bytes)? {
            Lookup::Hit(PutOutcome::Stored) => {
                counters.remote_hits.fetch_add(1, Relaxed);
                Ok(true)
            }
            // There is no room here; or it got old, as every machine's entries do.
            Lookup::Hit(PutOutcome::Skipped(_))
            | Lookup::Miss(MissReason::Expired | MissReason::StaleEpoch) => Ok(false),
            Lookup::Miss(_) => {
                counters.remote_rejected.fetch_add(1, Relaxed);
                Ok(false)
            }
        }
    }

    /// Sends an entry that was just stored.
    fn send(&self, key: &Key) -> Result<(), Error> {
        if !self.tier.may_be_asked() {
            return Ok(());
        }
        // What is there now may be newer than what was stored: all the better.
        let Lookup::Hit(bytes) = self.local.export(key)? else { return Ok(()) };
        let name = self.object(key)?;
        let sent = self.tier.ask(self.inner(), |remote| {
            remote.store(&name, &mut &bytes[..], bytes.len() as u64, false)
        });
        if matches!(sent, Some(Ok(_))) {
            self.inner().observer.counters.remote_stored.fetch_add(1, Relaxed);
        }
        Ok(())
    }

    /// Waits for the right to compute an entry for all machines, or for the entry.
    fn lease(&self, key: &Key) -> Result<Leave<'_>, Error> {
        let inner = self.inner();
        let object = format!("flight/{}", self.object(key)?.replace('/', ""));
        let start = Instant::now();
        let mut pause = POLL.0;
        loop {
            match self.tier.ask(inner, |remote| remote.store(&object, &mut io::empty(), 0, true)) {
                Some(Ok(true)) => {
                    let lease = Lease { namespace: self, object };
                    // Whoever had it before may have finished just now.
                    return Ok(match self.get(key)? {
                        Lookup::Hit(entry) => Leave::Found(entry.into_bytes()),
                        Lookup::Miss(_) => Leave::Compute(Some(lease)),
                    });
                }
                Some(Ok(false)) => {}
                // It fails, rests, or cannot promise: then each machine computes.
                _ => return Ok(Leave::Compute(None)),
            }
            if start.elapsed() >= self.lease {
                return Ok(Leave::Compute(None));
            }
            // Whoever left it there longer ago than anybody may is dead.
            if let Some(Ok(Some(age))) = self.tier.ask(inner, |remote| remote.age(&object))
                && age > self.lease
            {
                let _failed_or_down = self.tier.ask(inner, |remote| remote.remove(&object));
            }
            thread::sleep(pause);
            pause = (pause * 2).min(POLL.1);
            if let Lookup::Hit(entry) = self.get(key)? {
                return Ok(Leave::Found(entry.into_bytes()));
            }
        }
    }
}

/// What waiting for the others came to.
enum Leave<'a> {
    /// Somebody computed it.
    Found(Vec<u8>),
    /// It is ours to compute; with a lease, for all.
    Compute(Option<Lease<'a>>),
}

/// The right to compute an entry for all machines; given back when dropped.
struct Lease<'a> {
    namespace: &'a SharedNamespace,
    object: String,
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        let Self { namespace, object } = self;
        let _failed_or_down = namespace.tier.ask(namespace.inner(), |remote| remote.remove(object));
    }
}

impl Tier {
    fn may_be_asked(&self) -> bool {
        let down_since = self.down_since.lock().unwrap_or_else(PoisonError::into_inner);
        self.is_ours && down_since.is_none_or(|since| since.elapsed() >= REST)
    }

    /// Does one thing with the remote tier, unless it is not ours or failed a moment ago.
    fn ask<T>(
        &self,
        inner: &Inner,
        what: impl FnOnce(&dyn Remote) -> Result<T, RemoteError>,
    ) -> Option<Result<T, RemoteError>> {
        if !self.may_be_asked() {
            return None;
        }
        let answer = what(&*self.remote);
        let failed = matches!(answer, Err(RemoteError::Failed(_)));
        *self.down_since.lock().unwrap_or_else(PoisonError::into_inner) = failed.then(Instant::now);
        if failed {
            report_failure(inner);
        }
        Some(answer)
    }
}

fn report_failure(inner: &Inner) {
    inner.observer.counters.remote_failed.fetch_add(1, Relaxed);
    inner.observer.emit(EventKind::RemoteFailed, None, None, None);
}

/// What the remote tier holds in the superblock's place.
enum Claim {
    Identity(Vec<u8>),
    Foreign,
}

/// The identity that others left there, or that we leave there.
fn agree(builder: &impl Fn() -> Builder, remote: &dyn Remote) -> Result<Claim, RemoteError> {
    // Twice: another machine may be quicker to leave the first.
    for _ in 0..2 {
        let mut bytes = Bounded::new(Superblock::LEN as u64);
        match bytes.fetch(remote, SUPERBLOCK)? {
            Fetched::All if Superblock::decode(&bytes.bytes).is_some() => {
                return Ok(Claim::Identity(bytes.bytes));
            }
            Fetched::All | Fetched::TooLong => return Ok(Claim::Foreign),
            Fetched::Absent => {}
        }
        // What cannot be proposed (a reader, a damaged key) is told when it is opened.
        let Ok(identity) = builder().propose() else { return Ok(Claim::Foreign) };
        let len = identity.len() as u64;
        match remote.store(SUPERBLOCK, &mut &identity[..], len, true) {
            Ok(true) => return Ok(Claim::Identity(identity)),
            Ok(false) => {}
            // Without the promise the last one wins; the next look tells who that was.
            Err(RemoteError::Unsupported) => {
                remote.store(SUPERBLOCK, &mut &identity[..], len, false)?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(Claim::Foreign)
}

/// Whether another machine could have what is missing here for that reason.
fn may_be_elsewhere(reason: &MissReason) -> bool {
    !matches!(reason, MissReason::Negative(_))
}

/// The longest file that an entry within the limits can be.
fn longest_file(inner: &Inner) -> u64 {
    let payload = inner.limits.max_entry_bytes;
    let chunks = payload.div_ceil(CHUNK as u64).max(1);
    let overhead = chunks.saturating_mul(AEAD_TAG.max(DIGEST) as u64);
    payload.saturating_add(overhead).saturating_add(LONGEST as u64)
}

/// Takes no more than an object may have.
struct Bounded {
    bytes: Vec<u8>,
    limit: u64,
    is_over: bool,
}

enum Fetched {
    All,
    Absent,
    TooLong,
}

impl Bounded {
    fn new(limit: u64) -> Self {
        Self { bytes: Vec::new(), limit, is_over: false }
    }

    fn fetch(&mut self, remote: &dyn Remote, name: &str) -> Result<Fetched, RemoteError> {
        match remote.fetch(name, self) {
            // It works, and sends more than there can be.
            _ if self.is_over => Ok(Fetched::TooLong),
            Ok(true) => Ok(Fetched::All),
            Ok(false) => Ok(Fetched::Absent),
            Err(error) => Err(error),
        }
    }
}

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if (self.bytes.len() + bytes.len()) as u64 > self.limit {
            self.is_over = true;
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
