//! A clock that moves only when everybody waits: no test sleeps, none depends on the machine.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use dsops_resolver::Timing;

/// How long to look away while a store computes.
const GLANCE: Duration = Duration::from_millis(1);

/// Time for one resolve, made and used on the thread that resolves.
///
/// Stores that take long [`sleep`](Self::sleep), stores that never answer [`hang`](Self::hang).
/// When all calls that run do one or the other, the clock jumps to whatever comes first: the end
/// of a sleep, or what the resolver waits for.
#[derive(Debug)]
pub struct VirtualTime {
    start: Instant,
    owner: ThreadId,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    elapsed: Duration,
    /// How many sleep until then.
    sleepers: BTreeMap<Duration, usize>,
    hanging: usize,
    is_over: bool,
    random: u64,
}

impl VirtualTime {
    /// A clock at zero, with jitter drawn from `seed`.
    pub fn new(seed: u64) -> Self {
        Self {
            // Ahead of the system's time: a deadline of this clock has never really passed.
            start: Instant::now() + Duration::from_hours(24),
            owner: thread::current().id(),
            state: Mutex::new(State {
                elapsed: Duration::ZERO,
                sleepers: BTreeMap::new(),
                hanging: 0,
                is_over: false,
                random: seed,
            }),
            changed: Condvar::new(),
        }
    }

    /// The time that passed.
    pub fn elapsed(&self) -> Duration {
        self.lock().elapsed
    }

    /// The moment `after` its start.
    pub fn at(&self, after: Duration) -> Instant {
        self.start + after
    }

    /// Lets this much time pass for the calling store.
    pub fn sleep(&self, duration: Duration) {
        let mut state = self.lock();
        let until = state.elapsed + duration;
        if thread::current().id() == self.owner {
            // The resolver itself makes the call: nobody else could move the clock.
            state.elapsed = until;
            return;
        }
        *state.sleepers.entry(until).or_default() += 1;
        let sleeps = |state: &mut State| state.elapsed < until && !state.is_over;
        drop(self.changed.wait_while(state, sleeps).unwrap_or_else(PoisonError::into_inner));
    }

    /// Keeps the calling store until the clock is [stopped](Self::stop).
    ///
    /// # Panics
    /// On the thread that resolves: nobody could ever end it.
    pub fn hang(&self) {
        assert!(thread::current().id() != self.owner, "nobody watches this call");
        let mut state = self.lock();
        state.hanging += 1;
        let hangs = |state: &mut State| !state.is_over;
        drop(self.changed.wait_while(state, hangs).unwrap_or_else(PoisonError::into_inner));
    }

    /// Ends all sleeping and hanging, so that no thread outlives the test.
    pub fn stop(&self) {
        self.lock().is_over = true;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Timing for VirtualTime {
    fn now(&self) -> Instant {
        self.start + self.lock().elapsed
    }

    /// # Panics
    /// When there is nothing to wait for: every call hangs, and none has a deadline.
    fn wait(
        &self,
        until: Option<Instant>,
        running: usize,
        arrived: &dyn Fn(Option<Duration>) -> bool,
    ) {
        let until = until.map(|until| until.saturating_duration_since(self.start));
        while !arrived(Some(Duration::ZERO)) {
            let mut state = self.lock();
            let waiting = state.sleepers.values().sum::<usize>() + state.hanging;
            if waiting < running {
                drop(state);
                if arrived(Some(GLANCE)) {
                    return;
                }
                continue;
            }
            let next = state.sleepers.first_key_value().map(|(wake, _)| *wake);
            match (next, until) {
                (Some(wake), until) if until.is_none_or(|until| wake <= until) => {
                    state.elapsed = state.elapsed.max(wake);
                    state.sleepers.remove(&wake);
                    drop(state);
                    self.changed.notify_all();
                }
                (_, Some(until)) => {
                    state.elapsed = state.elapsed.max(until);
                    return;
                }
                _ => panic!("every call hangs, and none has a deadline"),
            }
        }
    }

    fn jitter(&self, limit: Duration) -> Duration {
        let mut state = self.lock();
        // SplitMix64, as in Java's SplittableRandom.
        state.random = state.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let nanos = u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos((z ^ (z >> 31)).checked_rem(nanos).unwrap_or(0))
    }
}
