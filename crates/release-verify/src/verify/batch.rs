//! Work on many items at once, with results in the order of the items.

use std::num::NonZero;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Does `work` for each item, on `threads` threads (as many as there are processors when `None`).
pub(super) fn each<T: Sync, R: Send + Sync>(
    items: &[T],
    threads: Option<NonZero<usize>>,
    work: impl Fn(&T) -> R + Sync,
) -> Vec<R> {
    // Asked only when it matters: the answer takes a dozen system calls.
    let threads = match items.len() {
        0 | 1 => 1,
        many => threads
            .or_else(|| thread::available_parallelism().ok())
            .map_or(1, NonZero::get)
            .min(many),
    };
    if threads <= 1 {
        return items.iter().map(work).collect();
    }
    let results: Vec<OnceLock<R>> = items.iter().map(|_| OnceLock::new()).collect();
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        let run = || {
            while let index = next.fetch_add(1, Ordering::Relaxed)
                && let Some(item) = items.get(index)
            {
                // Set once: each index is taken by one thread.
                let _ = results[index].set(work(item));
            }
        };
        for _ in 1..threads {
            scope.spawn(run);
        }
        run();
    });
    results
        .into_iter()
        .map(|result| result.into_inner().expect("the scope ends when every item is done"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_in_order() {
        let items: Vec<usize> = (0..1000).collect();
        for threads in [1, 2, 7] {
            let results = each(&items, NonZero::new(threads), |item| item * 2);
            assert_eq!(results, items.iter().map(|item| item * 2).collect::<Vec<_>>());
        }
        assert!(each(&[] as &[u8], None, |item| *item).is_empty());
    }
}
