//! When a store is asked again, and how it may be asked at all.

use std::time::Duration;

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

/// How long to wait before call `attempt` (2 or more), with full jitter; `None` if the store wants
/// more than anybody would wait.
///
/// Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
pub(super) fn wait(
    timing: &dyn Timing,
    attempt: u32,
    retry_after: Option<Duration>,
) -> Option<Duration> {
    let doubled = attempt.saturating_sub(2).min(16);
    let drawn = timing.jitter(CAP.min(BASE * 2_u32.pow(doubled)));
    match retry_after {
        Some(asked) if asked > PATIENCE => None,
        // What the store asks for is the least; all its clients come back at that time.
        Some(asked) => Some(asked + drawn),
        None => Some(drawn),
    }
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
            (2..12).map(|attempt| wait(&Longest, attempt, None).unwrap().as_millis()).collect();
        assert_eq!(waits, [100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000, 5000]);
        assert_eq!(wait(&Longest, u32::MAX, None), Some(CAP));
    }

    #[test]
    fn what_a_store_asks_for_is_the_least_unless_it_is_too_much() {
        let after = |secs| wait(&Longest, 2, Some(Duration::from_secs(secs)));
        assert_eq!(after(3), Some(Duration::from_millis(3100)));
        assert_eq!(after(31), None);
    }
}
