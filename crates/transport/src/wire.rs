//! Connections as ureq uses them: our own sockets, tunnels and TLS, so that every buffer is wiped.

mod buffers;
mod dial;
mod socket;
mod tls;
mod tunnel;

use std::fmt;
use std::time::{Duration, Instant};

use ureq::unversioned::transport::{Buffers as _, NextTimeout, Transport};

pub(crate) use buffers::Buffers;
pub(crate) use dial::{Dialer, Names};

/// Bytes to and from a peer, with a limit of time for each call.
pub(crate) trait Wire: Send + Sync + fmt::Debug {
    /// Reads what there is, at least one byte unless the peer closed.
    fn read(&mut self, into: &mut [u8], deadline: &Deadline) -> Result<usize, ureq::Error>;
    /// Writes all of it.
    fn write_all(&mut self, bytes: &[u8], deadline: &Deadline) -> Result<(), ureq::Error>;
    /// Whether an idle connection can be used again.
    fn is_open(&mut self) -> bool;
}

/// When a step has to be done, and how long one read or write of it may take.
pub(crate) struct Deadline {
    at: Option<Instant>,
    reason: ureq::Timeout,
    each: Option<(Duration, ureq::Timeout)>,
}

impl Deadline {
    fn new(timeout: NextTimeout, each: Option<Duration>, each_reason: ureq::Timeout) -> Self {
        let at = (!timeout.after.is_not_happening())
            .then(|| Instant::now().checked_add(*timeout.after))
            .flatten();
        Self { at, reason: timeout.reason, each: each.map(|limit| (limit, each_reason)) }
    }

    fn overall(timeout: NextTimeout) -> Self {
        Self::new(timeout, None, timeout.reason)
    }

    /// How long the next read or write may take; `None` is for ever.
    fn left(&self) -> Result<Option<Duration>, ureq::Error> {
        let whole = match self.at {
            Some(at) => {
                let left = at.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return Err(ureq::Error::Timeout(self.reason));
                }
                Some(left)
            }
            None => None,
        };
        Ok(match (whole, self.each) {
            (Some(whole), Some((each, _))) => Some(whole.min(each)),
            (whole, each) => whole.or(each.map(|(limit, _)| limit)),
        })
    }

    /// The error for a read or write that took too long.
    fn passed(&self) -> ureq::Error {
        let whole_is_over = self.at.is_some_and(|at| at <= Instant::now());
        ureq::Error::Timeout(match self.each {
            Some((_, reason)) if !whole_is_over => reason,
            _ => self.reason,
        })
    }
}

/// A connection with ureq's buffers on our side of it.
#[derive(Debug)]
pub(crate) struct Link {
    wire: Box<dyn Wire>,
    buffers: Buffers,
    encrypted: bool,
}

impl Link {
    fn new(wire: Box<dyn Wire>, encrypted: bool) -> Self {
        Self { wire, buffers: Buffers::new(), encrypted }
    }
}

impl Transport for Link {
    fn buffers(&mut self) -> &mut dyn ureq::unversioned::transport::Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        let each = timeout.per_write.map(|limit| *limit);
        let deadline = Deadline::new(timeout, each, ureq::Timeout::PerWrite);
        let sent = self.wire.write_all(&self.buffers.output()[..amount], &deadline);
        self.buffers.wipe_output(amount);
        sent.map_err(|error| crate::Error::from_ureq(error, crate::Phase::Send).into())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        let each = timeout.per_read.map(|limit| *limit);
        let deadline = Deadline::new(timeout, each, ureq::Timeout::PerRead);
        let count = self.wire.read(self.buffers.input_append_buf(), &deadline)?;
        self.buffers.input_appended(count);
        Ok(count > 0)
    }

    fn is_open(&mut self) -> bool {
        self.wire.is_open()
    }

    fn is_tls(&self) -> bool {
        self.encrypted
    }
}
