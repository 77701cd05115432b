//! When a store is asked again, and how it may be asked at all.

use std::time::Duration;

use crate::error::StoreError;
use crate::settings::StoreSettings;
use crate::store::Limits;

use super::timing::Timing;

/// How often a failed item is asked for again if the settings have no `retries`.
pub(super) const DEFAULT_RETRIES: u32 = 2;
/// The most that the first wait can be; each further one can be twice as long.
const BASE: Duration = Duration::from_millis(100);
/// The most that any wait can be, but for what a store asks for.
const CAP: Duration = Duration::from_secs(5);
/// A store that wants to be left alone for longer is not asked again: the user is told instead.
const PATIENCE: Duration = Duration::from_secs(30);

/// How one store is asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Policy {
    pub limits: Limits,
    /// For each call.
    pub timeout: Option<Duration>,
    pub retries: u32,
}

impl Policy {
    pub(super) fn new(settings: &StoreSettings, limits: Limits) -> Self {
        Self {
            limits,
            timeout: settings.timeout().or(limits.timeout),
            retries: settings.retries().unwrap_or(DEFAULT_RETRIES),
        }
    }
}

/// Whether an item that failed so is asked for again after call `attempt`.
pub(super) fn is_worth_it(error: &StoreError, attempt: u32, retries: u32) -> bool {
    error.is_retryable()
        && attempt <= retries
        && error.retry_after().is_none_or(|asked| asked <= PATIENCE)
}

/// How long to wait before call `attempt` (2 or more), with full jitter.
///
/// Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
pub(super) fn wait(timing: &dyn Timing, attempt: u32, retry_after: Option<Duration>) -> Duration {
    let doubled = attempt.saturating_sub(2).min(16);
    let drawn = timing.jitter(CAP.min(BASE * 2_u32.pow(doubled)));
    // What the store asks for is the least; all its clients come back at that time.
    retry_after.unwrap_or_default() + drawn
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    /// Always draws the longest.
    struct Longest;

    impl Timing for Longest {
        fn now(&self) -> Instant {
            Instant::now()
        }

        fn wait(&self, _: Option<Instant>, _: usize, _: &dyn Fn(Option<Duration>) -> bool) {}

        fn jitter(&self, limit: Duration) -> Duration {
            limit
        }
    }

    #[test]
    fn waits_double_up_to_a_limit() {
        let waits: Vec<_> =
            (2..12).map(|attempt| wait(&Longest, attempt, None).as_millis()).collect();
        assert_eq!(waits, [100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000, 5000]);
        assert_eq!(wait(&Longest, u32::MAX, None), CAP);
    }

    #[test]
    fn what_a_store_asks_for_is_the_least_unless_it_is_too_much() {
        let after = |secs| Some(Duration::from_secs(secs));
        assert_eq!(wait(&Longest, 2, after(3)), Duration::from_millis(3100));
        let throttled =
            |secs| StoreError::Throttled { reason: String::new(), retry_after: after(secs) };
        assert!(is_worth_it(&throttled(30), 1, 2));
        assert!(!is_worth_it(&throttled(31), 1, 2));
        assert!(is_worth_it(&throttled(30), 2, 2) && !is_worth_it(&throttled(30), 3, 2));
        assert!(!is_worth_it(&StoreError::not_found("k"), 1, 2));
    }
}
