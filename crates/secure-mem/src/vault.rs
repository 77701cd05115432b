//! The vault: settings, the process-wide one, and the ways out: report, check, trim, wipe.

use crate::{
    SecretBytes, Writer,
    error::Error,
    process,
    protection::{Backend, DegradationKind, Protection},
    region::Region,
    secret,
    slab::{Settings, Slab},
    sys::{self, Resource},
};
use std::{
    io,
    ops::{Deref, DerefMut},
    sync::{
        Arc, Mutex, MutexGuard, Once, OnceLock, PoisonError, TryLockError,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// What to do when the wanted protection isn't there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Policy {
    /// Plain values lie in locked memory or not at all: otherwise [`Error::Unavailable`].
    Strict,
    /// Go on with less, and say so in the [`Protection`] report.
    #[default]
    Degrade,
}

/// What protects a value while nobody reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum AtRest {
    /// Readable by this process. Opening costs nothing.
    Open,
    /// Its pages allow no access, so a stray read in this process faults. Opening costs two system calls.
    NoAccess,
    /// AES-256-GCM under a key in protected memory; the ciphertext takes no locked memory.
    Encrypted,
}

/// Most bytes mapped for plain values unless the builder says otherwise.
const DEFAULT_CAP_BYTES: usize = 64 * 1024 * 1024;

/// How long [`wipe_all`] waits for a lock before it leaves the wiping to the one who holds it.
const WIPE_PATIENCE: Duration = Duration::from_millis(100);

/// An arena for secrets. Cloning it clones a reference.
///
/// # Examples
/// ```
/// use dsops_secure_mem::{AtRest, Vault};
///
/// let vault = Vault::builder().at_rest(AtRest::Encrypted).build()?;
/// let secret = vault.copy_from(b"correct horse")?;
/// assert_eq!(&*secret.expose(), b"correct horse");
/// # Ok::<(), dsops_secure_mem::Error>(())
/// ```
#[derive(Clone)]
pub struct Vault(Arc<Tenancy>);

/// Settings of a [`Vault`].
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until `build`"]
pub struct VaultBuilder {
    policy: Policy,
    at_rest: Option<AtRest>,
    best: Backend,
    cap_bytes: usize,
}

impl Default for VaultBuilder {
    fn default() -> Self {
        Self {
            policy: Policy::default(),
            at_rest: None,
            best: Backend::SecretMemory,
            cap_bytes: DEFAULT_CAP_BYTES,
        }
    }
}

impl VaultBuilder {
    /// What to do when the wanted protection isn't there; [`Policy::Degrade`] unless set.
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// The protection of values nobody reads. Unless set: [`AtRest::Open`] in hidden memory, [`AtRest::Encrypted`]
    /// in any other.
    pub fn at_rest(mut self, at_rest: AtRest) -> Self {
        self.at_rest = Some(at_rest);
        self
    }

    /// The best memory to try; what is better is left alone.
    pub fn best_backend(mut self, best: Backend) -> Self {
        self.best = best;
        self
    }

    /// Most bytes to map for plain values; 64 MiB unless set.
    pub fn cap_bytes(mut self, cap_bytes: usize) -> Self {
        self.cap_bytes = cap_bytes;
        self
    }

    /// Makes the vault. Memory is mapped when the first secret needs it.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the system gives no random bytes for the canary.
    pub fn build(self) -> Result<Vault, Error> {
        prepare_process();
        let settings = Settings {
            best: self.best,
            strict: self.policy == Policy::Strict,
            cap_bytes: self.cap_bytes,
            guarded: self.at_rest == Some(AtRest::NoAccess),
            may_seal: !matches!(self.at_rest, Some(AtRest::Open | AtRest::NoAccess)),
        };
        let slab = Slab::new(settings).map_err(|refusal| Error::Unavailable {
            reason: format!("{}: {}", refusal.step, refusal.error),
        })?;
        let mut known = VAULTS.lock().unwrap_or_else(PoisonError::into_inner);
        let shared = Shared::new_or_deserted(&mut known, slab, self.at_rest);
        Ok(Vault(Arc::new(Tenancy(shared))))
    }

    /// Makes the vault the process-wide one. Only possible before anything used [`vault`].
    ///
    /// # Errors
    /// [`Error::AlreadyInUse`] when there is a process-wide vault already; those of [`VaultBuilder::build`].
    pub fn install(self) -> Result<&'static Vault, Error> {
        let vault = self.build()?;
        GLOBAL.set(vault).map_err(|_| Error::AlreadyInUse)?;
        GLOBAL.get().ok_or(Error::AlreadyInUse)
    }
}

static GLOBAL: OnceLock<Vault> = OnceLock::new();
/// All there ever were: a secret may outlive its vault. Deserted ones are used again.
static VAULTS: Mutex<Vec<&'static Shared>> = Mutex::new(Vec::new());
static EPOCH: AtomicU32 = AtomicU32::new(0);
static FORKED: AtomicBool = AtomicBool::new(false);

/// The process-wide vault, the one [`SecretBytes`] uses. Made on first use, with the default settings.
///
/// # Panics
/// When the system gives no random bytes.
pub fn vault() -> &'static Vault {
    GLOBAL.get_or_init(|| {
        VaultBuilder::default().build().expect("the system gives random bytes for the canary")
    })
}

/// The report on the process-wide vault.
pub fn protection() -> Protection {
    vault().protection()
}

/// Overwrites all secrets of all vaults. For the way out: a panic hook, an abort.
///
/// Handles made before answer [`Error::Wiped`] from then on; new secrets can be made. Never waits for long: a
/// vault that is busy is wiped by the thread that uses it, as its next step.
///
/// # Security
/// A guard that is open right now, on any thread, sees its bytes turn to zeros.
///
/// # Examples
/// ```
/// std::panic::set_hook(Box::new(|_| dsops_secure_mem::wipe_all()));
/// ```
pub fn wipe_all() {
    EPOCH.fetch_add(1, Ordering::SeqCst);
    let deadline = Instant::now() + WIPE_PATIENCE;
    let Some(known) = try_lock_until(&VAULTS, deadline) else { return };
    for shared in known.iter() {
        shared.wipe_wanted.store(true, Ordering::SeqCst);
        // Giving the lock back is what wipes, here or with whoever holds it now.
        drop(try_lock_until(&shared.slab, deadline).map(|slab| shared.guard(slab)));
    }
}

impl Vault {
    pub(crate) fn shared(&self) -> &'static Shared {
        self.0.0
    }

    /// Settings to make a vault from.
    pub fn builder() -> VaultBuilder {
        VaultBuilder::default()
    }

    /// Copies into protected memory, then wipes the source.
    ///
    /// # Errors
    /// See [`SecretBytes::adopt`].
    pub fn adopt(&self, source: &mut [u8]) -> Result<SecretBytes, Error> {
        let made = self.copy_from(source);
        zeroize::Zeroize::zeroize(source);
        made
    }

    /// Copies bytes that are not ours to wipe.
    ///
    /// # Errors
    /// See [`SecretBytes::adopt`].
    #[inline]
    pub fn copy_from(&self, source: &[u8]) -> Result<SecretBytes, Error> {
        secret::copy_from(self.shared(), source)
    }

    /// Makes a secret in place; see [`SecretBytes::build`].
    ///
    /// # Errors
    /// See [`SecretBytes::build`].
    pub fn build<E: From<Error>>(
        &self,
        len: usize,
        fill: impl FnOnce(&mut [u8]) -> Result<usize, E>,
    ) -> Result<SecretBytes, E> {
        secret::build(self.shared(), len, fill)
    }

    /// Reads to the end straight into protected memory; see [`SecretBytes::from_reader`].
    ///
    /// # Errors
    /// See [`SecretBytes::from_reader`].
    pub fn from_reader(
        &self,
        reader: &mut impl io::Read,
        limit_bytes: usize,
    ) -> Result<SecretBytes, Error> {
        let mut writer = self.writer();
        writer.fill_from(reader, limit_bytes)?;
        writer.finish()
    }

    /// A writer whose secret lands in this vault.
    pub fn writer(&self) -> Writer {
        Writer::in_vault(self.clone())
    }

    /// What protects the secrets of this vault now. Maps the first region if there is none yet.
    pub fn protection(&self) -> Protection {
        let mut slab = self.shared().lock();
        // What went wrong shows in the numbers and in the degradations below.
        let failed = slab.prepare().err();
        report(&slab, self.shared().at_rest, failed)
    }

    /// Compares every canary; answers how many there were.
    ///
    /// # Security
    /// A canary that changed means that something wrote where it must not: everything is wiped and the process
    /// aborts.
    pub fn check(&self) -> usize {
        let checked = self.shared().lock().verify_all();
        checked.unwrap_or_else(|_| die_of_corruption())
    }

    /// Gives regions without live secrets back to the system; answers how many bytes went.
    ///
    /// # Platform
    /// Linux refuses to hibernate while hidden memory is mapped: a process that waits for long should drop its
    /// secrets and call this.
    pub fn trim(&self) -> usize {
        self.shared().lock().trim()
    }
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vault").field("at_rest", &self.shared().at_rest).finish_non_exhaustive()
    }
}

/// What all secrets of a vault share.
pub(crate) struct Shared {
    slab: Mutex<Slab>,
    at_rest: Option<AtRest>,
    wipe_wanted: AtomicBool,
    /// Counts seals: the nonce.
    numbers: AtomicU64,
}

/// A vault somebody holds. When the last holder goes, the slab leaves with its last secret.
struct Tenancy(&'static Shared);

impl Drop for Tenancy {
    fn drop(&mut self) {
        if !is_forked() {
            self.0.lock().close_down();
        }
    }
}

impl Shared {
    /// Moves a slab into a deserted place of the same kind, or makes one. Slots refer to their place without
    /// counting, so places are never freed; there are as many as vaults ever lived at once.
    fn new_or_deserted(
        known: &mut Vec<&'static Self>,
        slab: Slab,
        at_rest: Option<AtRest>,
    ) -> &'static Self {
        for shared in known.iter().filter(|shared| shared.at_rest == at_rest) {
            let mut place = shared.lock();
            if place.is_deserted() {
                *place = slab;
                return shared;
            }
        }
        let shared: &'static Self = Box::leak(Box::new(Self {
            slab: Mutex::new(slab),
            at_rest,
            wipe_wanted: AtomicBool::new(false),
            numbers: AtomicU64::new(0),
        }));
        known.push(shared);
        shared
    }

    #[inline]
    pub(crate) fn lock(&self) -> SlabGuard<'_> {
        self.guard(self.slab.lock().unwrap_or_else(PoisonError::into_inner))
    }

    #[inline]
    fn guard<'a>(&'a self, slab: MutexGuard<'a, Slab>) -> SlabGuard<'a> {
        SlabGuard { slab, wipe_wanted: &self.wipe_wanted }
    }

    #[inline]
    pub(crate) fn guarded(&self) -> bool {
        self.at_rest == Some(AtRest::NoAccess)
    }

    pub(crate) fn at_rest(&self) -> Option<AtRest> {
        self.at_rest
    }

    /// A number no seal of this vault had before.
    pub(crate) fn fresh_number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }
}

/// The slab, locked. A wipe that could not wait is done when the lock is given back.
pub(crate) struct SlabGuard<'a> {
    slab: MutexGuard<'a, Slab>,
    wipe_wanted: &'a AtomicBool,
}

impl Deref for SlabGuard<'_> {
    type Target = Slab;
    #[inline]
    fn deref(&self) -> &Slab {
        &self.slab
    }
}

impl DerefMut for SlabGuard<'_> {
    #[inline]
    fn deref_mut(&mut self) -> &mut Slab {
        &mut self.slab
    }
}

impl Drop for SlabGuard<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.wipe_wanted.load(Ordering::Relaxed)
            && self.wipe_wanted.swap(false, Ordering::SeqCst)
        {
            self.slab.wipe();
        }
    }
}

/// The number of wipes so far.
#[inline]
pub(crate) fn raw_epoch() -> u32 {
    EPOCH.load(Ordering::Relaxed)
}

/// The number of wipes so far; an error in a fork child.
#[inline]
pub(crate) fn epoch() -> Result<u32, Error> {
    if is_forked() { Err(Error::Forked) } else { Ok(raw_epoch()) }
}

#[inline]
pub(crate) fn is_forked() -> bool {
    FORKED.load(Ordering::Relaxed)
}

pub(crate) fn why_stale() -> Error {
    if is_forked() { Error::Forked } else { Error::Wiped }
}

/// A canary was overwritten: nothing in this process can be trusted any more.
#[cold]
pub(crate) fn die_of_corruption() -> ! {
    wipe_all();
    // Not `eprintln!`: it panics when it can't write.
    let _ = io::Write::write_all(
        &mut io::stderr(),
        b"dsops-secure-mem: memory next to a secret was overwritten; all secrets are wiped, aborting\n",
    );
    #[allow(clippy::disallowed_methods, reason = "the one place that may: everything is wiped")]
    std::process::abort()
}

/// Once for the process: raise the limit on locked memory as far as allowed, notice forks.
fn prepare_process() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        process::raise_lock_limit();
        sys::on_fork(forget_parent);
    });
}

/// Runs in a fork child: all handles are stale there.
extern "C" fn forget_parent() {
    FORKED.store(true, Ordering::SeqCst);
    EPOCH.fetch_add(1, Ordering::SeqCst);
}

fn try_lock_until<T>(mutex: &Mutex<T>, deadline: Instant) -> Option<MutexGuard<'_, T>> {
    loop {
        match mutex.try_lock() {
            Ok(guard) => return Some(guard),
            Err(TryLockError::Poisoned(poisoned)) => return Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) if Instant::now() >= deadline => return None,
            Err(TryLockError::WouldBlock) => thread::yield_now(),
        }
    }
}

fn report(slab: &Slab, at_rest: Option<AtRest>, failed: Option<Error>) -> Protection {
    let backends = || slab.plain_regions().map(|region| region.mapping().backend);
    let backend = backends().max().unwrap_or(Backend::WipeOnly);
    let locked = failed.is_none() && backend < Backend::WipeOnly;
    let hidden = failed.is_none() && backend == Backend::SecretMemory;
    let mut degradations = slab.degradations().to_vec();
    if let Some(error) = failed {
        degradations.push(DegradationKind::NotLocked.with(error.to_string()));
    }
    degradations.extend(process::degradations(hidden));
    Protection {
        backend,
        locked,
        hidden_from_ptrace_reads: hidden,
        encrypted_at_rest: match at_rest {
            Some(mode) => mode == AtRest::Encrypted,
            None => !hidden,
        },
        dumpable: sys::is_observable(),
        core_limit: sys::limit(Resource::CoreSize),
        swap_safe: locked,
        fork_safe: slab.plain_regions().all(|region| region.mapping().fork_safe),
        capacity_bytes: slab.plain_regions().map(Region::len).sum(),
        used_bytes: slab.used_bytes(),
        regions: slab.region_count(),
        degradations,
    }
}
