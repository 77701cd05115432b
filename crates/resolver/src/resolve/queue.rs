//! The work queue: every store is asked for all its items, in batches, as many at a time as it
//! takes, each call under its deadline, and again for what is worth another try.
//!
//! One thread, the caller's, decides everything; the others only make calls. An item's result goes
//! to the item's place, so the outcome does not depend on who answers first.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::error::StoreError;
use crate::store::{FetchContext, Item, Store};

use super::progress::ProgressEvent;
use super::retry::{self, Policy};
use super::worker::{Ask, Job, Workers, guarded};
use super::{PROGRESS_AFTER, ResolveOptions, Timing};

/// How long a call may go on after its deadline before it is left behind: a store that keeps its
/// deadlines comes back a little later than asked.
const GRACE: Duration = Duration::from_millis(50);
const PROGRESS_EVERY: Duration = Duration::from_millis(100);

/// One store and what it is asked for.
pub(super) struct Work<'a> {
    pub name: &'a str,
    pub items: &'a [Item],
    pub store: Result<Arc<dyn Store>, StoreError>,
    pub policy: Policy,
}

/// What came of one [`Work`].
pub(super) struct Answered<T> {
    /// One for each item, in the order of the items.
    pub results: Vec<Result<T, StoreError>>,
    /// From the first call to the last answer; zero if there was no call.
    pub took: Duration,
}

/// Asks all stores; an answer for each, in order.
pub(super) fn run<T: Send + 'static>(
    works: &[Work<'_>],
    ask: Ask<T>,
    options: &ResolveOptions<'_>,
) -> Vec<Answered<T>> {
    Queue::new(works, ask, options).run()
}

/// Some items of a store, asked for in one call.
struct Batch {
    /// Places in the work's `items`.
    items: Vec<usize>,
    /// Which call for these items this is, from 1.
    attempt: u32,
    /// Not before.
    due: Option<Instant>,
}

/// A store on its way.
struct Lane<T> {
    /// First calls, in order.
    fresh: VecDeque<Batch>,
    /// Further calls.
    again: Vec<Batch>,
    /// How many more calls may run now. A call that hangs keeps its place: what cannot do two
    /// things at a time cannot do another one while it hangs.
    free: usize,
    /// Calls that run and are waited for.
    running: usize,
    /// The store wants to be left alone until then.
    paused_until: Option<Instant>,
    /// The last failure of an item that is still open, or what was decided.
    results: Vec<Option<Result<T, StoreError>>>,
    /// Items that are not decided.
    open: usize,
    started: Option<Instant>,
    took: Duration,
}

/// A call on another thread.
struct Running {
    lane: usize,
    batch: Batch,
    deadline: Option<Instant>,
    /// Nobody waits for it any more.
    left_behind: bool,
}

impl Running {
    /// When it is left behind.
    fn latest(&self) -> Option<Instant> {
        self.deadline.map(|deadline| deadline.checked_add(GRACE).unwrap_or(deadline))
    }
}

struct Queue<'a, T> {
    works: &'a [Work<'a>],
    ask: Ask<T>,
    options: &'a ResolveOptions<'a>,
    timing: &'a dyn Timing,
    lanes: Vec<Lane<T>>,
    calls: BTreeMap<usize, Running>,
    next_call: usize,
    workers: Workers<T>,
    started: Instant,
    next_tick: Instant,
}

impl<'a, T: Send + 'static> Queue<'a, T> {
    fn new(works: &'a [Work<'a>], ask: Ask<T>, options: &'a ResolveOptions<'a>) -> Self {
        let started = options.timing().now();
        Self {
            works,
            ask,
            options,
            timing: options.timing(),
            lanes: works.iter().map(Lane::new).collect(),
            calls: BTreeMap::new(),
            next_call: 0,
            workers: Workers::new(),
            started,
            next_tick: started + PROGRESS_AFTER,
        }
    }

    fn run(mut self) -> Vec<Answered<T>> {
        self.ask_immediate();
        loop {
            let now = self.timing.now();
            self.expire(now);
            self.dispatch(now);
            if self.lanes.iter().all(|lane| lane.open == 0) {
                break;
            }
            self.tick(now);
            let until = self.next_event();
            self.timing.wait(until, self.workers.running(), &|limit| self.workers.wait(limit));
            for answer in self.workers.take() {
                self.arrived(answer.call, answer.results);
            }
        }
        let answered = |lane: Lane<T>| Answered {
            results: lane.results.into_iter().map(|r| r.expect("every item is decided")).collect(),
            took: lane.took,
        };
        self.lanes.into_iter().map(answered).collect()
    }

    /// What answers from memory is asked at once, here.
    fn ask_immediate(&mut self) {
        for lane in 0..self.works.len() {
            if !self.works[lane].policy.limits.immediate {
                continue;
            }
            let now = self.timing.now();
            if self.deadline_passed(now) {
                return;
            }
            while let Some(batch) = self.lanes[lane].fresh.pop_front() {
                self.ask_here(lane, batch, now);
            }
        }
    }

    /// Starts what may start, one call of each store in turn.
    fn dispatch(&mut self, now: Instant) {
        loop {
            let mut started = false;
            for lane in 0..self.lanes.len() {
                if let Some(batch) = self.lanes[lane].next(now) {
                    started |= self.start(lane, batch, now);
                }
            }
            if !started {
                return;
            }
        }
    }

    /// Makes a call on another thread; here, if it is the only one left and nobody has to watch it
    /// or no thread is to be had. Whether there was a call.
    fn start(&mut self, lane: usize, batch: Batch, now: Instant) -> bool {
        let work = &self.works[lane];
        let own = work.policy.timeout.and_then(|timeout| now.checked_add(timeout));
        let deadline = own.into_iter().chain(self.options.deadline).min();
        let is_watched = deadline.is_some() || self.options.progress.is_some();
        if !is_watched && self.is_only(lane) {
            self.ask_here(lane, batch, now);
            return true;
        }
        if !self.workers.has_room() {
            self.lanes[lane].put_back(batch);
            return false;
        }
        let Ok(store) = &work.store else { unreachable!("a store that is not open has no calls") };
        let job = Job {
            call: self.next_call,
            store: Arc::clone(store),
            items: batch.items.iter().map(|&item| work.items[item].clone()).collect(),
            cx: FetchContext::new(deadline),
            ask: self.ask,
        };
        if !self.workers.start(job) {
            if self.calls.values().any(|call| !call.left_behind) {
                self.lanes[lane].put_back(batch);
                return false;
            }
            self.ask_here(lane, batch, now);
            return true;
        }
        let state = &mut self.lanes[lane];
        state.started.get_or_insert(now);
        state.free -= 1;
        state.running += 1;
        self.calls.insert(self.next_call, Running { lane, batch, deadline, left_behind: false });
        self.next_call += 1;
        true
    }

    /// Whether nothing else runs or waits while one batch of this store is asked for.
    fn is_only(&self, lane: usize) -> bool {
        let idle = |(other, state): (usize, &Lane<T>)| {
            state.running == 0
                && state.fresh.is_empty()
                && state.again.is_empty()
                && (other == lane || state.open == 0)
        };
        self.lanes.iter().enumerate().all(idle)
    }

    /// Makes a call on this thread.
    fn ask_here(&mut self, lane: usize, batch: Batch, now: Instant) {
        let work = &self.works[lane];
        let Ok(store) = &work.store else { unreachable!("a store that is not open has no calls") };
        self.lanes[lane].started.get_or_insert(now);
        let own = work.policy.timeout.and_then(|timeout| now.checked_add(timeout));
        let cx = FetchContext::new(own.into_iter().chain(self.options.deadline).min());
        let results = if batch.items.len() == work.items.len() {
            guarded(|| (self.ask)(&**store, work.items, &cx))
        } else {
            let items: Vec<Item> = batch.items.iter().map(|&i| work.items[i].clone()).collect();
            guarded(|| (self.ask)(&**store, &items, &cx))
        };
        self.decide(lane, batch, results);
    }

    /// A call on another thread has answered.
    fn arrived(&mut self, call: usize, results: Option<Vec<Result<T, StoreError>>>) {
        let Running { lane, batch, left_behind, .. } =
            self.calls.remove(&call).expect("only calls that were started answer");
        self.lanes[lane].free += 1;
        if left_behind {
            // Too late; the values are dropped, and wiped.
            self.workers.came_back();
        } else {
            self.lanes[lane].running -= 1;
            self.decide(lane, batch, results);
        }
    }

    /// Takes what a call brought: each item is decided or asked for again.
    fn decide(&mut self, lane: usize, batch: Batch, results: Option<Vec<Result<T, StoreError>>>) {
        let work = &self.works[lane];
        let expected = batch.items.len();
        let results = match results {
            Some(results) if results.len() == expected => results,
            Some(results) => {
                let error = StoreError::WrongCount { expected, got: results.len() };
                return self.fail(lane, &batch, &error);
            }
            None => return self.fail(lane, &batch, &StoreError::Panicked),
        };
        let mut again = Vec::new();
        let mut retry_after = None;
        for (item, result) in batch.items.into_iter().zip(results) {
            if let Err(error) = &result
                && retry::is_worth_it(error, batch.attempt, work.policy.retries)
            {
                retry_after = retry_after.max(error.retry_after());
                again.push(item);
            }
            self.lanes[lane].results[item] = Some(result);
        }
        self.lanes[lane].open -= expected;
        if !again.is_empty() {
            self.try_again(lane, again, batch.attempt + 1, retry_after);
        }
        self.settle(lane);
    }

    /// Asks for these items again after a while, if there is time for it.
    fn try_again(
        &mut self,
        lane: usize,
        items: Vec<usize>,
        attempt: u32,
        retry_after: Option<Duration>,
    ) {
        let now = self.timing.now();
        let wait = retry::wait(self.timing, attempt, retry_after);
        let due = now + wait;
        if self.options.deadline.is_some_and(|deadline| due >= deadline) {
            return;
        }
        let state = &mut self.lanes[lane];
        if let Some(pause) = retry_after {
            state.paused_until = state.paused_until.max(Some(now + pause));
        }
        state.open += items.len();
        let (store, count) = (self.works[lane].name, items.len());
        state.again.push(Batch { items, attempt, due: Some(due) });
        self.options.tell(ProgressEvent::Retrying { store, items: count, attempt, wait });
    }

    /// Ends what has run out of time.
    fn expire(&mut self, now: Instant) {
        let expired: Vec<usize> = self
            .calls
            .iter()
            .filter(|(_, call)| !call.left_behind)
            .filter(|(_, call)| call.latest().is_some_and(|latest| latest <= now))
            .map(|(id, _)| *id)
            .collect();
        for id in expired {
            let call = self.calls.get_mut(&id).expect("it was found above");
            call.left_behind = true;
            self.workers.leave_behind();
            let (lane, items) = (call.lane, std::mem::take(&mut call.batch.items));
            self.lanes[lane].running -= 1;
            let batch = Batch { items, attempt: call.batch.attempt, due: None };
            self.fail(lane, &batch, &StoreError::DeadlineExceeded);
        }
        let over = self.deadline_passed(now);
        for lane in 0..self.lanes.len() {
            // With every place taken by a call that hangs there is no way to ask for the rest.
            let state = &self.lanes[lane];
            let stuck = state.free == 0 && state.running == 0;
            if over || stuck {
                self.give_up(lane);
            }
        }
    }

    /// What has not been asked for will not be. A failure that is known says more than the
    /// deadline.
    fn give_up(&mut self, lane: usize) {
        for batch in std::mem::take(&mut self.lanes[lane].fresh) {
            self.fail(lane, &batch, &StoreError::DeadlineExceeded);
        }
        for batch in std::mem::take(&mut self.lanes[lane].again) {
            self.lanes[lane].open -= batch.items.len();
            self.settle(lane);
        }
    }

    /// The same failure for all items of a batch.
    fn fail(&mut self, lane: usize, batch: &Batch, error: &StoreError) {
        let state = &mut self.lanes[lane];
        for &item in &batch.items {
            state.results[item] = Some(Err(error.clone()));
        }
        state.open -= batch.items.len();
        self.settle(lane);
    }

    /// Notes and tells when a store has nothing open.
    fn settle(&mut self, lane: usize) {
        let state = &mut self.lanes[lane];
        if state.open > 0 {
            return;
        }
        if let Some(started) = state.started {
            state.took = self.timing.now().saturating_duration_since(started);
        }
        let (store, items, took) = (self.works[lane].name, state.results.len(), state.took);
        let failed = state.results.iter().filter(|result| !matches!(result, Some(Ok(_)))).count();
        self.options.tell(ProgressEvent::Done { store, items, failed, took });
    }

    fn tick(&mut self, now: Instant) {
        if self.options.progress.is_none() || now < self.next_tick {
            return;
        }
        let elapsed = now.saturating_duration_since(self.started);
        for (work, state) in self.works.iter().zip(&self.lanes) {
            if state.open > 0 {
                let (store, items) = (work.name, state.open);
                self.options.tell(ProgressEvent::Waiting { store, items, elapsed });
            }
        }
        self.next_tick = now + PROGRESS_EVERY;
    }

    /// When something has to be done even if no store answers.
    fn next_event(&self) -> Option<Instant> {
        let calls = self.calls.values().filter(|call| !call.left_behind);
        let ends = calls.filter_map(Running::latest);
        let starts = self.lanes.iter().filter_map(Lane::next_start);
        let pending = self.lanes.iter().any(Lane::has_pending);
        let deadline = self.options.deadline.filter(|_| pending);
        let tick = self.options.progress.map(|_| self.next_tick);
        // Without room for another thread a start has to wait for an answer.
        let starts = starts.filter(|_| self.workers.has_room());
        ends.chain(starts).chain(deadline).chain(tick).min()
    }

    fn deadline_passed(&self, now: Instant) -> bool {
        self.options.deadline.is_some_and(|deadline| deadline <= now)
    }
}

impl<T> Lane<T> {
    fn new(work: &Work<'_>) -> Self {
        let count = work.items.len();
        let mut lane = Self {
            fresh: VecDeque::new(),
            again: Vec::new(),
            free: work.policy.limits.concurrency.get(),
            running: 0,
            paused_until: None,
            results: (0..count).map(|_| None).collect(),
            open: count,
            started: None,
            took: Duration::ZERO,
        };
        match &work.store {
            Ok(_) => {
                let size = work.policy.limits.batch.map_or(count.max(1), std::num::NonZero::get);
                let batch = |first| Batch {
                    items: (first..count.min(first + size)).collect(),
                    attempt: 1,
                    due: None,
                };
                lane.fresh = (0..count).step_by(size).map(batch).collect();
            }
            Err(error) => {
                lane.results = (0..count).map(|_| Some(Err(error.clone()))).collect();
                lane.open = 0;
            }
        }
        lane
    }

    fn has_pending(&self) -> bool {
        !self.fresh.is_empty() || !self.again.is_empty()
    }

    /// The next call that may be made now; what is due again goes first.
    fn next(&mut self, now: Instant) -> Option<Batch> {
        if self.free == 0 || self.paused_until.is_some_and(|until| until > now) {
            return None;
        }
        let due = |batch: &Batch| batch.due.is_none_or(|due| due <= now);
        match self.again.iter().position(due) {
            Some(index) => Some(self.again.remove(index)),
            None => self.fresh.pop_front(),
        }
    }

    fn put_back(&mut self, batch: Batch) {
        if batch.attempt > 1 {
            self.again.insert(0, batch);
        } else {
            self.fresh.push_front(batch);
        }
    }

    /// When the next call may be made; `None` if there is none, or no place for it.
    fn next_start(&self) -> Option<Instant> {
        if self.free == 0 {
            return None;
        }
        // What is not due later would have been started.
        let again = self.again.iter().filter_map(|batch| batch.due).min();
        let due = again.filter(|_| self.fresh.is_empty());
        due.max(self.paused_until.filter(|_| self.has_pending()))
    }
}
