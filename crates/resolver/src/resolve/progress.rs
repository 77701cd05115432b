//! What a caller is told while stores are asked.

use std::time::Duration;

/// Is told how a resolve gets on, for people who wait.
///
/// All is told on the thread that called; while this returns nothing else gets on, so it has to be
/// quick.
pub trait Progress: Sync {
    /// Something happened.
    fn event(&self, event: ProgressEvent<'_>);
}

/// One thing that happened. Names stores, never items or values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProgressEvent<'a> {
    /// A store is open.
    Opened {
        /// Its name.
        store: &'a str,
        /// How long that took.
        took: Duration,
    },
    /// A store has not answered everything yet. Told after
    /// [`PROGRESS_AFTER`](crate::PROGRESS_AFTER) and every tenth of a second from then on.
    Waiting {
        /// Its name.
        store: &'a str,
        /// How many items have no answer.
        items: usize,
        /// How long the caller has waited for all stores.
        elapsed: Duration,
    },
    /// A store will be asked again for what failed.
    Retrying {
        /// Its name.
        store: &'a str,
        /// How many items it is asked for again.
        items: usize,
        /// Which call that will be: 2 or more.
        attempt: u32,
        /// How long until then.
        wait: Duration,
    },
    /// A store has answered everything, or nothing more is expected of it.
    Done {
        /// Its name.
        store: &'a str,
        /// How many items it was asked for.
        items: usize,
        /// How many of them have no value.
        failed: usize,
        /// How long it took from the first call on.
        took: Duration,
    },
}
