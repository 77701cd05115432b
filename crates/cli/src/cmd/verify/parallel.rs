//! Many things at once: as many threads as the machine has processors, results in order, and a line
//! on the terminal for whoever waits.

use std::io::{self, IsTerminal as _, Write};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::ui::Ui;

/// Back to the start of the line, and clear what is behind (ECMA-48, EL).
const CLEAR: &str = "\r\x1b[K";
/// How long nothing is said, and how often after that.
const QUIET: Duration = Duration::from_millis(300);
const EVERY: Duration = Duration::from_millis(100);
/// More threads than this wait for each other more than they work.
const MOST_THREADS: usize = 32;

/// What `work` makes of each item, in the order of the items.
pub fn map<T: Sync, R: Send>(
    items: &[T],
    progress: Option<&Progress<impl Write + Send>>,
    work: impl Fn(&T) -> R + Sync,
) -> Vec<R> {
    let done = || {
        if let Some(progress) = progress {
            progress.done();
        }
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let threads = threads.min(MOST_THREADS).min(items.len());
    // One thing needs no thread, and starting one costs as much as a small verification.
    if threads <= 1 {
        return items
            .iter()
            .map(|item| {
                let result = work(item);
                done();
                result
            })
            .collect();
    }
    let next = AtomicUsize::new(0);
    let run = || {
        let mut own = Vec::new();
        while let Some((index, item)) = {
            let index = next.fetch_add(1, Ordering::Relaxed);
            items.get(index).map(|item| (index, item))
        } {
            own.push((index, work(item)));
            done();
        }
        own
    };
    let mut all = thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(run)).collect();
        let mut all = run();
        for other in others {
            match other.join() {
                Ok(own) => all.extend(own),
                // A bug in there is a bug here, never a result that is left out.
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        all
    });
    all.sort_unstable_by_key(|(index, _)| *index);
    all.into_iter().map(|(_, result)| result).collect()
}

/// `verified 12 of 1000`, on one line that is written over, and removed in the end.
#[derive(Debug)]
pub struct Progress<W: Write> {
    total: usize,
    state: Mutex<State<W>>,
}

#[derive(Debug)]
struct State<W> {
    out: W,
    done: usize,
    drawn: bool,
    next: Instant,
}

impl Progress<io::Stderr> {
    /// A line, if anybody would see it.
    pub fn on_stderr(ui: Ui, total: usize) -> Option<Self> {
        (total > 1 && !ui.quiet && io::stderr().is_terminal())
            .then(|| Self::new(io::stderr(), total, Instant::now() + QUIET))
    }
}

impl<W: Write> Progress<W> {
    fn new(out: W, total: usize, next: Instant) -> Self {
        Self { total, state: Mutex::new(State { out, done: 0, drawn: false, next }) }
    }

    fn done(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.done += 1;
        let now = Instant::now();
        if now >= state.next {
            state.next = now + EVERY;
            state.drawn = true;
            let (done, total) = (state.done, self.total);
            // Who does not see the line misses nothing.
            let _ = write!(state.out, "{CLEAR}verified {done} of {total}");
            let _ = state.out.flush();
        }
    }
}

impl<W: Write> Drop for Progress<W> {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        if state.drawn {
            let _ = write!(state.out, "{CLEAR}");
            let _ = state.out.flush();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_stand_in_the_order_of_the_items() {
        let items: Vec<usize> = (0..1000).collect();
        let none = None::<&Progress<io::Sink>>;
        assert_eq!(map(&items, none, |item| item * 2), (0..2000).step_by(2).collect::<Vec<_>>());
        assert!(map(&[], none, |item: &usize| *item).is_empty());
    }

    #[test]
    fn the_line_counts_and_goes_away() {
        let mut out = Vec::new();
        let progress = Progress::new(&mut out, 2, Instant::now());
        map(&[1, 2], Some(&progress), |_| ());
        drop(progress);
        let text = String::from_utf8(out).unwrap();
        assert!(text.starts_with(&format!("{CLEAR}verified 1 of 2")), "{text:?}");
        assert!(text.ends_with(CLEAR), "{text:?}");
        let mut out = Vec::new();
        let progress = Progress::new(&mut out, 2, Instant::now() + Duration::from_secs(60));
        map(&[1, 2], Some(&progress), |_| ());
        drop(progress);
        assert!(out.is_empty(), "who does not wait sees nothing");
    }
}
