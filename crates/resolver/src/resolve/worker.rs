//! Threads that ask stores. One that hangs is left behind, alone with what it borrowed.

use std::cell::RefCell;
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
    worker: usize,
}

/// Threads that wait for jobs; started when there is one and nobody is free.
pub(super) struct Pool<T> {
    workers: Vec<Worker<T>>,
    idle: Vec<usize>,
    /// Calls that nobody waits for any more.
    left_behind: usize,
    /// Threads at the same time, those left behind not counted.
    limit: usize,
    answers: (Sender<Answer<T>>, Receiver<Answer<T>>),
    arrived: RefCell<Vec<Answer<T>>>,
}

struct Worker<T> {
    jobs: Sender<Job<T>>,
    handle: JoinHandle<()>,
}

impl<T: Send + 'static> Pool<T> {
    pub(super) fn new() -> Self {
        Self {
            workers: Vec::new(),
            idle: Vec::new(),
            left_behind: 0,
            limit: MAX_WORKERS,
            answers: channel(),
            arrived: RefCell::default(),
        }
    }

    /// Calls that have not answered, those left behind included.
    pub(super) fn running(&self) -> usize {
        self.workers.len() - self.idle.len()
    }

    /// Nobody waits for one of the calls any more.
    pub(super) fn leave_behind(&mut self) {
        self.left_behind += 1;
    }

    /// A call that was left behind did answer.
    pub(super) fn came_back(&mut self) {
        self.left_behind -= 1;
    }

    /// Whether another job would find a thread, as far as one can tell.
    pub(super) fn has_room(&self) -> bool {
        !self.idle.is_empty() || self.running() - self.left_behind < self.limit
    }

    /// Has a thread do a job, or gives the job back when there is no thread to be had.
    pub(super) fn start(&mut self, job: Job<T>) -> Result<(), Job<T>> {
        let Some(worker) = self.idle.pop().or_else(|| self.hire().ok()) else {
            // The system gives no more threads: what there is has to do.
            self.limit = (self.running() - self.left_behind).max(1);
            return Err(job);
        };
        self.workers[worker].jobs.send(job).map_err(|refused| refused.0)
    }

    fn hire(&mut self) -> std::io::Result<usize> {
        let worker = self.workers.len();
        let (jobs, receiver) = channel::<Job<T>>();
        let answers = self.answers.0.clone();
        let handle = thread::Builder::new().name("dsops store".to_owned()).spawn(move || {
            for job in receiver {
                let call = job.call;
                // The job goes before the answer is sent, and inside: dropping a store may panic too.
                let results = guarded(move || (job.ask)(&*job.store, &job.items, &job.cx));
                if answers.send(Answer { call, results, worker }).is_err() {
                    return;
                }
            }
        })?;
        self.workers.push(Worker { jobs, handle });
        Ok(worker)
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
        self.idle.extend(arrived.iter().map(|answer| answer.worker));
        arrived
    }
}

impl<T> Drop for Pool<T> {
    /// Waits for the threads that have nothing to do. The others hang in a store: their answers,
    /// should they ever come, are dropped by themselves.
    fn drop(&mut self) {
        for (index, worker) in self.workers.drain(..).enumerate() {
            drop(worker.jobs);
            if self.idle.contains(&index) {
                // What a store does is guarded: the thread itself has nothing to panic with.
                let _ = worker.handle.join();
            }
        }
    }
}

/// A panic in a store is a failure of the store.
pub(super) fn guarded<T>(work: impl FnOnce() -> T) -> Option<T> {
    // What the store left half done is dropped with it; nothing of it is used again.
    catch_unwind(AssertUnwindSafe(work)).ok()
}
