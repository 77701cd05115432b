//! A line for people who wait: how many artifacts are done. On stderr, and only on a terminal.

use std::io::{self, IsTerminal as _, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::ui::Ui;

/// Back to the start of the line, and clear what is behind (ECMA-48, EL).
const CLEAR: &str = "\r\x1b[K";
/// How long nothing is said, and how often after that.
const QUIET: Duration = Duration::from_millis(300);
const EVERY: Duration = Duration::from_millis(100);

/// `verified 12 artifacts`, on one line that is written over, and removed in the end.
#[derive(Debug)]
pub struct Waiting {
    /// Dropped to end the thread.
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Waiting {
    /// A line that counts with `done`, if anybody would see it.
    pub fn on_stderr(ui: Ui, done: &Arc<AtomicUsize>) -> Option<Self> {
        (!ui.quiet && io::stderr().is_terminal())
            .then(|| Self::new(io::stderr(), Arc::clone(done), QUIET, EVERY))
    }

    fn new(
        mut out: impl Write + Send + 'static,
        done: Arc<AtomicUsize>,
        quiet: Duration,
        every: Duration,
    ) -> Self {
        let (end, ended) = mpsc::channel::<()>();
        let thread = thread::spawn(move || {
            let mut drawn = false;
            let mut pause = quiet;
            while ended.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
                pause = every;
                drawn = true;
                let count = done.load(Ordering::Relaxed);
                // Who does not see the line misses nothing.
                let _ = write!(out, "{CLEAR}verified {}", crate::ui::plural(count, "artifact"));
                let _ = out.flush();
            }
            if drawn {
                let _ = write!(out, "{CLEAR}");
                let _ = out.flush();
            }
        });
        Self { end: Some(end), thread: Some(thread) }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            // It cannot panic; if it did, the line is all that is lost.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl Write for Page {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(text);
            Ok(text.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn the_line_counts_and_goes_away() {
        let page = Page::default();
        let done = Arc::new(AtomicUsize::new(7));
        let line = Waiting::new(page.clone(), done, Duration::ZERO, Duration::from_millis(1));
        while page.0.lock().unwrap().is_empty() {
            thread::yield_now();
        }
        drop(line);
        let text = String::from_utf8(page.0.lock().unwrap().clone()).unwrap();
        assert!(text.starts_with(&format!("{CLEAR}verified 7 artifacts")), "{text:?}");
        assert!(text.ends_with(CLEAR), "{text:?}");
    }

    #[test]
    fn who_does_not_wait_sees_nothing() {
        let page = Page::default();
        let long = Duration::from_mins(10);
        drop(Waiting::new(page.clone(), Arc::default(), long, long));
        assert!(page.0.lock().unwrap().is_empty());
    }
}
