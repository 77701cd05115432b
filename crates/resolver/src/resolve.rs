//! From a plan to values: every store opened once, every item fetched once, all failures reported.
//!
//! Nothing is handed out unless every variable has its value or may do without: fail closed. Only
//! a store's answer "there is no such item" counts as missing; a store that is locked, refuses,
//! does not answer or was tampered with fails the whole, even for an optional variable.

mod cached;
mod check;
mod collect;
mod failure;
mod progress;
mod queue;
mod retry;
mod timing;
mod worker;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dsops_secure_mem::SecretBytes;

use crate::cache::{CacheUse, SecretCache};
use crate::error::StoreError;
use crate::plan::{Plan, PlannedStore};
use crate::settings::StoreSettings;
use crate::store::{Item, Limits, OpenContext, StoreFactory};

pub use cached::FromCache;
pub use check::{CheckReport, CheckedItem, ItemState, StoreHealth, check, check_stores};
pub use collect::Resolved;
pub use failure::{ResolveCause, ResolveError, ResolveErrors};
pub use progress::{Progress, ProgressEvent};
pub use timing::{SystemTiming, Timing};

use queue::Work;
use retry::Policy;

/// How long a caller waits in silence before [`ProgressEvent::Waiting`] is told.
pub const PROGRESS_AFTER: Duration = Duration::from_millis(300);

/// How to resolve.
#[derive(Clone, Copy, Default)]
#[non_exhaustive]
pub struct ResolveOptions<'a> {
    /// When every store has to have answered. Each call has a deadline of its own as well, by the
    /// store's `timeout_ms`.
    pub deadline: Option<Instant>,
    /// Who is told how it gets on.
    pub progress: Option<&'a dyn Progress>,
    /// Where answers are kept between runs, for stores with `cache:`. It is not touched unless the
    /// plan has one.
    pub cache: Option<&'a dyn SecretCache>,
    /// How it is used.
    pub cache_use: CacheUse,
    /// The clock of a test; `None` is the system's.
    pub timing: Option<&'a dyn Timing>,
}

impl ResolveOptions<'_> {
    fn timing(&self) -> &dyn Timing {
        self.timing.unwrap_or(&SystemTiming)
    }

    fn tell(&self, event: ProgressEvent<'_>) {
        if let Some(progress) = self.progress {
            progress.event(event);
        }
    }
}

impl fmt::Debug for ResolveOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResolveOptions").field("deadline", &self.deadline).finish_non_exhaustive()
    }
}

/// Fetches what a plan says.
///
/// All stores are opened first, one after the other, on the calling thread. Then all are asked at
/// the same time, each for all its items, in as many calls and as many at once as its
/// [`Limits`](crate::Limits) and settings say. What fails and
/// [may go well a moment later](StoreError::is_retryable) is asked for again: that item alone, as
/// often as the setting `retries` says (2 if it says nothing), after a random wait that grows, and
/// never after the deadline.
///
/// A call that is the only one is made on the calling thread, unless there is a deadline or
/// progress to watch; so are those to stores that answer from memory. All other calls are made on
/// threads. When a value is returned, none of them is left.
///
/// A call that has not answered by its deadline (and a twentieth of a second) is left behind on
/// its thread: its items fail, everything else goes on, and what it may still bring is dropped
/// unseen. It keeps its place among the calls that its store may make at once.
///
/// With [`ResolveOptions::cache`], stores with `cache:` are asked only for what is not there. A store
/// all of whose items are there is not opened. What it answers is kept, that there is no such item
/// or that it refuses makes an earlier answer forgotten, and where it [does not answer](StoreError::is_no_answer) one that
/// is not too old stands in. [`CacheUse::Offline`] opens no store but those that answer from memory.
///
/// # Errors
/// Every failure, in the order of the variables, each once.
///
/// # Security
/// A thread that was left behind holds the store, with its credentials in protected memory, until
/// the call returns or the process ends. This happens only together with an error.
pub fn resolve(
    plan: &Plan,
    factory: &dyn StoreFactory,
    cx: &OpenContext<'_>,
    options: &ResolveOptions<'_>,
) -> Result<Resolved, ResolveErrors> {
    if cached::concerns(plan, options) {
        let (fetched, told) = cached::fetch(plan, factory, cx, options);
        return collect::collect(plan, fetched).map(|resolved| resolved.with_cached(told));
    }
    let works = open_all(plan, factory, cx, options);
    let answered =
        queue::run::<SecretBytes>(&works, |store, items, cx| store.fetch(items, cx), options);
    drop(works);
    collect::collect(plan, answered.into_iter().map(|answered| answered.results).collect())
}

fn open_all<'a>(
    plan: &'a Plan,
    factory: &dyn StoreFactory,
    cx: &OpenContext<'_>,
    options: &ResolveOptions<'_>,
) -> Vec<Work<'a>> {
    let open = |store: &'a PlannedStore| {
        open(&store.settings, &store.items, store.limits, factory, cx, options)
    };
    plan.stores.iter().map(open).collect()
}

/// Opens a store that will be asked for these items.
fn open<'a>(
    settings: &'a StoreSettings,
    items: &'a [Item],
    limits: Limits,
    factory: &dyn StoreFactory,
    cx: &OpenContext<'_>,
    options: &ResolveOptions<'_>,
) -> Work<'a> {
    let policy = Policy::new(settings, limits);
    let started = options.timing().now();
    let store = if options.deadline.is_some_and(|deadline| deadline <= started) {
        Err(StoreError::DeadlineExceeded)
    } else {
        worker::guarded(|| factory.open(settings, &cx.for_items(items)))
            .unwrap_or(Err(StoreError::Panicked))
    };
    if store.is_ok() {
        let took = options.timing().now().saturating_duration_since(started);
        options.tell(ProgressEvent::Opened { store: settings.name(), took });
    }
    Work { name: settings.name(), items, store: store.map(Arc::from), policy }
}
