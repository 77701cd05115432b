//! Time as the resolver sees it: the system's, or that of a test.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::time::{Duration, Instant};

/// The clock, the waiting and the chance of [`resolve`](crate::resolve()): the system's, unless a
/// test puts its own in [`ResolveOptions`](crate::ResolveOptions).
///
/// A test that lets time pass by itself needs no real waiting, and what it shows does not depend
/// on the machine.
pub trait Timing: Sync {
    /// The time. It never goes back.
    fn now(&self) -> Instant;

    /// Waits until `arrived` says that a store answered, or until `until`; without `until`, for an
    /// answer only. May come back early.
    ///
    /// `running` is how many calls have not answered, those included that nobody waits for any
    /// more. `arrived` waits at most as long as it is told, without end for `None`, and says
    /// whether there is an answer.
    fn wait(
        &self,
        until: Option<Instant>,
        running: usize,
        arrived: &dyn Fn(Option<Duration>) -> bool,
    );

    /// A random duration from nothing to `limit`.
    fn jitter(&self, limit: Duration) -> Duration;
}

/// The system's time, and the randomness of the standard library's hash maps.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemTiming;

impl Timing for SystemTiming {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn wait(&self, until: Option<Instant>, _: usize, arrived: &dyn Fn(Option<Duration>) -> bool) {
        arrived(until.map(|until| until.saturating_duration_since(Instant::now())));
    }

    fn jitter(&self, limit: Duration) -> Duration {
        // Only to keep clients apart from each other: nothing secret depends on it.
        let random = RandomState::new().build_hasher().finish();
        scaled(limit, random)
    }
}

/// `limit · random / 2⁶⁴`.
fn scaled(limit: Duration, random: u64) -> Duration {
    let nanos = u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX);
    let part = (u128::from(nanos) * u128::from(random)) >> 64;
    Duration::from_nanos(u64::try_from(part).expect("less than `nanos`, which is a u64"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_spans_the_whole_range() {
        let second = Duration::from_secs(1);
        assert_eq!(scaled(second, 0), Duration::ZERO);
        assert_eq!(scaled(second, 1 << 63), Duration::from_millis(500));
        assert_eq!(scaled(second, u64::MAX), Duration::from_nanos(999_999_999));
        assert_eq!(scaled(Duration::MAX, u64::MAX), Duration::from_nanos(u64::MAX - 1));
        let drawn: std::collections::BTreeSet<_> =
            (0..32).map(|_| SystemTiming.jitter(second)).collect();
        assert!(drawn.len() > 8 && drawn.iter().all(|wait| *wait < second), "{drawn:?}");
    }

    #[test]
    fn waiting_is_bounded_by_the_time_left() {
        let asked = std::cell::Cell::new(None);
        let arrived = |limit| {
            asked.set(Some(limit));
            false
        };
        SystemTiming.wait(None, 1, &arrived);
        assert_eq!(asked.take(), Some(None));
        SystemTiming.wait(Some(Instant::now()), 1, &arrived);
        assert_eq!(asked.take(), Some(Some(Duration::ZERO)));
    }
}
