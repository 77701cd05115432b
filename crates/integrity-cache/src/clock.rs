//! The clocks that decide how long an entry lives.

use std::{
    sync::atomic::{AtomicI64, AtomicU64, Ordering::SeqCst},
    time::{SystemTime, UNIX_EPOCH},
};

/// The time, as an entry's life is measured.
pub trait Clock: Send + Sync {
    /// Milliseconds since 1970 by the wall clock, which anyone may set.
    fn wall_ms(&self) -> i64;

    /// Which boot this is, and the milliseconds since, sleep included; nobody can set that back.
    /// `None` where the system does not tell: then the wall clock alone decides.
    fn since_boot(&self) -> Option<(BootId, u64)>;
}

/// Tells one boot of one machine from another.
pub type BootId = [u8; 16];

/// The system's clocks.
///
/// # Platform
/// The boot is known on Linux only (`/proc/sys/kernel/random/boot_id` and `CLOCK_BOOTTIME`).
#[derive(Debug)]
pub struct SystemClock {
    boot: Option<BootId>,
}

impl SystemClock {
    /// Asks the system once which boot this is.
    pub fn new() -> Self {
        Self { boot: boot_id() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn wall_ms(&self) -> i64 {
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_millis()).unwrap_or(i64::MAX),
            Err(before) => {
                i64::try_from(before.duration().as_millis()).map_or(i64::MIN, i64::wrapping_neg)
            }
        }
    }

    fn since_boot(&self) -> Option<(BootId, u64)> {
        Some((self.boot?, boot_time_ms()?))
    }
}

/// A clock that stands until it is moved: for tests of what depends on time.
#[derive(Debug)]
pub struct ManualClock {
    wall_ms: AtomicI64,
    boot: AtomicU64,
    boot_ms: AtomicU64,
}

impl ManualClock {
    /// A clock of boot 1 at a wall time.
    pub fn new(wall_ms: i64) -> Self {
        Self { wall_ms: wall_ms.into(), boot: 1.into(), boot_ms: 1_000_000.into() }
    }

    /// Lets time pass: both clocks advance.
    pub fn advance(&self, ms: u64) {
        self.set_wall(self.wall_ms().saturating_add_unsigned(ms));
        self.boot_ms.fetch_add(ms, SeqCst);
    }

    /// Sets the wall clock alone, as an operator or NTP would.
    pub fn set_wall(&self, wall_ms: i64) {
        self.wall_ms.store(wall_ms, SeqCst);
    }

    /// Sets the time since boot alone.
    pub fn set_since_boot(&self, ms: u64) {
        self.boot_ms.store(ms, SeqCst);
    }

    /// Starts another boot, 0 ms ago; number 0 means that the system does not tell.
    pub fn reboot(&self, number: u64) {
        self.boot.store(number, SeqCst);
        self.boot_ms.store(0, SeqCst);
    }
}

impl Clock for ManualClock {
    fn wall_ms(&self) -> i64 {
        self.wall_ms.load(SeqCst)
    }

    fn since_boot(&self) -> Option<(BootId, u64)> {
        let boot = self.boot.load(SeqCst);
        let id = u128::from(boot).to_le_bytes();
        (boot != 0).then(|| (id, self.boot_ms.load(SeqCst)))
    }
}

impl<C: Clock + ?Sized> Clock for std::sync::Arc<C> {
    fn wall_ms(&self) -> i64 {
        (**self).wall_ms()
    }

    fn since_boot(&self) -> Option<(BootId, u64)> {
        (**self).since_boot()
    }
}

#[cfg(target_os = "linux")]
fn boot_id() -> Option<BootId> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
    let id = u128::from_str_radix(&digits, 16).ok().filter(|_| digits.len() == 32)?;
    Some(id.to_be_bytes())
}

#[cfg(target_os = "linux")]
fn boot_time_ms() -> Option<u64> {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let seconds = u64::try_from(now.tv_sec).ok()?;
    Some(seconds.saturating_mul(1000) + u64::try_from(now.tv_nsec).ok()? / 1_000_000)
}

#[cfg(not(target_os = "linux"))]
fn boot_id() -> Option<BootId> {
    None
}

#[cfg(not(target_os = "linux"))]
fn boot_time_ms() -> Option<u64> {
    None
}
