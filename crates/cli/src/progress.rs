//! A line for people who wait for stores: on stderr, and only if that is a terminal.

use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use dsops_resolver::{Progress, ProgressEvent};

use crate::ui::{self, Ui};

/// Back to the start of the line, and clear what is behind (ECMA-48, EL).
const CLEAR: &str = "\r\x1b[K";

/// Shows who has not answered yet, on one line that is written over, and removed in the end.
///
/// The resolver says nothing during the first 300 ms, so most runs show nothing.
#[derive(Debug)]
pub struct Line<W: Write + Send> {
    state: Mutex<State<W>>,
}

#[derive(Debug)]
struct State<W> {
    out: W,
    /// The stores that are waited for, with their items.
    waiting: Vec<(String, usize)>,
    drawn: bool,
}

impl Line<io::Stderr> {
    /// A line, if anybody would see it.
    pub fn on_stderr(ui: Ui) -> Option<Self> {
        (!ui.quiet && io::stderr().is_terminal()).then(|| Self::new(io::stderr()))
    }
}

impl<W: Write + Send> Line<W> {
    fn new(out: W) -> Self {
        Self { state: Mutex::new(State { out, waiting: Vec::new(), drawn: false }) }
    }
}

impl<W: Write> State<W> {
    fn draw(&mut self, elapsed: Duration) {
        let one = |(store, items): &(String, usize)| {
            format!("{} ({})", ui::one_line(store), ui::plural(*items, "item"))
        };
        let stores: Vec<String> = self.waiting.iter().map(one).collect();
        // Who does not see the line misses nothing.
        let _ =
            write!(self.out, "{CLEAR}waiting for {}, {} s", stores.join(", "), elapsed.as_secs());
        let _ = self.out.flush();
        self.drawn = true;
    }
}

impl<W: Write + Send> Progress for Line<W> {
    fn event(&self, event: ProgressEvent<'_>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            ProgressEvent::Waiting { store, items, elapsed } => {
                match state.waiting.iter_mut().find(|(name, _)| name == store) {
                    Some(known) => known.1 = items,
                    None => state.waiting.push((store.to_owned(), items)),
                }
                state.draw(elapsed);
            }
            ProgressEvent::Done { store, .. } => state.waiting.retain(|(name, _)| name != store),
            _ => {}
        }
    }
}

impl<W: Write + Send> Drop for Line<W> {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        if state.drawn {
            // What comes next starts where the line started.
            let _ = write!(state.out, "{CLEAR}");
            let _ = state.out.flush();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(events: &[ProgressEvent<'_>]) -> String {
        let mut text = Vec::new();
        let line = Line::new(&mut text);
        for event in events {
            line.event(*event);
        }
        drop(line);
        String::from_utf8(text).expect("text")
    }

    #[test]
    fn the_line_names_who_is_waited_for_and_goes_away() {
        let waiting = |store, items, secs| ProgressEvent::Waiting {
            store,
            items,
            elapsed: Duration::from_secs(secs),
        };
        let done = ProgressEvent::Done { store: "b", items: 1, failed: 0, took: Duration::ZERO };
        let text =
            told(&[waiting("a\x1b", 2, 0), waiting("b", 1, 0), done, waiting("a\x1b", 1, 1)]);
        let drawn: Vec<&str> = text.split(CLEAR).collect();
        assert_eq!(
            drawn,
            [
                "",
                "waiting for a\\u{1b} (2 items), 0 s",
                "waiting for a\\u{1b} (2 items), b (1 item), 0 s",
                "waiting for a\\u{1b} (1 item), 1 s",
                ""
            ]
        );
    }

    #[test]
    fn a_quick_run_writes_nothing() {
        let opened = ProgressEvent::Opened { store: "a", took: Duration::ZERO };
        let done = ProgressEvent::Done { store: "a", items: 1, failed: 0, took: Duration::ZERO };
        assert_eq!(told(&[opened, done]), "");
    }
}
