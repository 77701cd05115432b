//! Threads that ask stores. One that hangs is left behind, alone with what it borrowed.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::error::StoreError;
use crate::store::{FetchContext, Item, Store};

/// The most threads at the same time.
const MAX_WORKERS: usize = 64;

/// What a store is asked: to fetch, to describe, to check itself.
pub(super) type Ask<T> = fn(&dyn Store, &[Item], &FetchContext<'_>) -> Vec<Result<T, StoreError>>;

/// One call, with all it needs: the thread that makes it may outlive everything else.
pub(super) struct Job<T> {
    pub call: usize,
    pub store: Arc<dyn Store>,
    pub items: Vec<Item>,
    pub cx: FetchContext<'static>,
    pub ask: Ask<T>,
}

/// What came of a call: `None` if the store panicked.
pub(super) struct Answer<T> {
    pub call: usize,
    pub results: Option<Vec<Result<T, StoreError>>>,
}

/// Calls on threads, one each: next to what a call takes, a thread costs nothing, and it is gone
/// with its call.
pub(super) struct Workers<T> {
    /// By call.
    threads: BTreeMap<usize, JoinHandle<()>>,
    /// Calls that nobody waits for any more.
    left_behind: usize,
    /// Threads at the same time, those left behind not counted.
    limit: usize,
    answers: (Sender<Answer<T>>, Receiver<Answer<T>>),
    arrived: RefCell<Vec<Answer<T>>>,
}

impl<T: Send + 'static> Workers<T> {
    pub(super) fn new() -> Self {
        Self {
            threads: BTreeMap::new(),
            left_behind: 0,
            limit: MAX_WORKERS,
            answers: channel(),
            arrived: RefCell::default(),
        }
    }

    /// Calls that have not answered, those left behind included.
    pub(super) fn running(&self) -> usize {
        self.threads.len()
    }

    /// Nobody waits for one of the calls any more.
    pub(super) fn leave_behind(&mut self) {
        self.left_behind += 1;
    }

    /// A call that was left behind did answer.
    pub(super) fn came_back(&mut self) {
        self.left_behind -= 1;
    }

    /// Whether another call would find a thread, as far as one can tell.
    pub(super) fn has_room(&self) -> bool {
        self.threads.len() - self.left_behind < self.limit
    }

    /// Makes a call on a thread; whether there was one to be had.
    pub(super) fn start(&mut self, job: Job<T>) -> bool {
        let (call, answers) = (job.call, self.answers.0.clone());
        let work = move || {
            // The job goes before the answer is sent, and inside: dropping a store may panic too.
            let results = guarded(move || (job.ask)(&*job.store, &job.items, &job.cx));
            // Nobody may be there to read it any more: it is dropped here, and wiped.
            let _ = answers.send(Answer { call, results });
        };
        if let Ok(handle) = thread::Builder::new().name("dsops store".to_owned()).spawn(work) {
            self.threads.insert(call, handle);
            return true;
        }
        // The system gives no more: what there is has to do.
        self.limit = (self.threads.len() - self.left_behind).max(1);
        false
    }

    /// Waits for an answer, without end for `None`; whether there is one.
    pub(super) fn wait(&self, limit: Option<Duration>) -> bool {
        let mut arrived = self.arrived.borrow_mut();
        if arrived.is_empty() {
            let receiver = &self.answers.1;
            let answer = match limit {
                Some(limit) => receiver.recv_timeout(limit).ok(),
                None => receiver.recv().ok(),
            };
            arrived.extend(answer);
        }
        !arrived.is_empty()
    }

    /// The answers that are there.
    pub(super) fn take(&mut self) -> Vec<Answer<T>> {
        let mut arrived = self.arrived.take();
        arrived.extend(self.answers.1.try_iter());
        for handle in arrived.iter().filter_map(|answer| self.threads.remove(&answer.call)) {
            // It has sent its answer and ends. What the store did is guarded: it has no panic.
            let _ = handle.join();
        }
        arrived
    }
}

/// A panic in a store is a failure of the store.
pub(super) fn guarded<T>(work: impl FnOnce() -> T) -> Option<T> {
    // What the store left half done is dropped with it; nothing of it is used again.
    catch_unwind(AssertUnwindSafe(work)).ok()
}
