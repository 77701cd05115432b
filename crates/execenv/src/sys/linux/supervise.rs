//! The parent while the child runs: waits, hands signals on, keeps job control, ends the tree.

use std::{
    fs::File,
    marker::PhantomData,
    os::fd::AsFd,
    time::{Duration, Instant},
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{
    calls::{SignalSet, block, set_blocked, signal_fd, signal_pid, signal_pidfd},
    child::{self, ChildSteps},
    explain, process,
    process::{Child, StartError},
    signals::{Received, read_all, taken},
    tree::{self, Stat, descendants},
    with_steps,
};
use crate::{
    error::ExecError,
    exec::{Image, Supervision},
    outcome::Outcome,
};

/// A repeat sooner than this is the same request come twice, as when `timeout` signals its child
/// and then its child's group.
const REPEAT_AFTER: Duration = Duration::from_millis(200);

/// How long processes may take to go after `SIGKILL` before the supervisor stops waiting for them:
/// one that hangs in the kernel goes when the kernel lets it.
const KILL_PATIENCE: Duration = Duration::from_secs(10);

/// A child that runs, and the thread's signals turned into a queue for it.
#[derive(Debug)]
pub(crate) struct Supervised {
    child: Child,
    /// `None` when another run of this process hands the signals on.
    queue: Option<File>,
    caller_mask: SignalSet,
    supervision: Supervision,
    on_terminal: bool,
    started: Instant,
    /// Children this process had before; they are none of our business.
    strangers: Vec<i32>,
    /// Requests to end that were handed on, and when first.
    asked: Vec<(i32, Instant)>,
    is_over: bool,
    /// The signal mask belongs to the thread, and so does the kernel's bond with the child.
    stays_on_thread: PhantomData<*const ()>,
}

pub(crate) fn spawn(image: &Image<'_>, supervision: Supervision) -> Result<Supervised, ExecError> {
    let on_terminal = File::open("/dev/tty").is_ok();
    let strangers = if process::has_children() { tree::children(own_pid()) } else { Vec::new() };
    let taken = taken(on_terminal);
    // Before the child exists, so that no signal comes in between.
    let caller_mask = block(taken);
    let child_mask = supervision.child_mask.map_or(caller_mask, SignalSet);
    let started = start_child(image, supervision, on_terminal, child_mask);
    let (child, queue) = match started {
        Ok((child, Some(queue))) => (child, Some(queue)),
        other => {
            set_blocked(caller_mask);
            other?
        }
    };
    Ok(Supervised {
        child,
        queue,
        caller_mask,
        supervision,
        on_terminal,
        started: Instant::now(),
        strangers,
        asked: Vec::new(),
        is_over: false,
        stays_on_thread: PhantomData,
    })
}

fn start_child(
    image: &Image<'_>,
    supervision: Supervision,
    on_terminal: bool,
    mask: SignalSet,
) -> Result<(Child, Option<File>), ExecError> {
    let queue =
        signal_fd(taken(on_terminal)).map_err(|error| ExecError::os("reading signals", error))?;
    let child = with_steps(image, |steps| {
        process::start(supervision.adopt_orphans, |ignore_sigchld| {
            let wanted = ChildSteps { mask, ignore_sigchld, own_group: !on_terminal };
            child::spawn(steps, &wanted, process::reap_failed)
        })
        .map_err(|error| match error {
            StartError::Settings(error) => error,
            StartError::Child(failed) => explain(failed, image),
        })
    })?;
    let queue = child.is_front.then_some(queue);
    Ok((child, queue))
}

impl Supervised {
    pub(crate) fn id(&self) -> u32 {
        self.child.pid.unsigned_abs()
    }

    pub(crate) fn wait(mut self) -> Result<Outcome, ExecError> {
        let deadline = self.supervision.timeout.and_then(|limit| self.started.checked_add(limit));
        let outcome = loop {
            self.sleep(deadline, true)?;
            for received in self.receive() {
                self.hand_on(received);
            }
            if let Some(end) = self.child.end()? {
                break end;
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                break Outcome::TimedOut { killed: self.end_tree() };
            }
            self.stop_with_child();
        };
        if self.supervision.kill_tree {
            self.end_tree();
        }
        self.is_over = matches!(self.child.end(), Ok(Some(_)));
        Ok(outcome)
    }

    /// Sleeps until a signal comes, it is time, or (`or_end`) the child ends.
    fn sleep(&self, until: Option<Instant>, or_end: bool) -> Result<(), ExecError> {
        let timeout = until.map(|until| {
            let left = until.saturating_duration_since(Instant::now());
            // What no clock can count is for ever.
            Timespec::try_from(left).unwrap_or(Timespec { tv_sec: i64::from(i32::MAX), tv_nsec: 0 })
        });
        let mut fds = Vec::with_capacity(2);
        if or_end {
            fds.push(PollFd::from_borrowed_fd(self.child.pidfd.as_fd(), PollFlags::IN));
        }
        if let Some(queue) = &self.queue {
            fds.push(PollFd::from_borrowed_fd(queue.as_fd(), PollFlags::IN));
        }
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(errno) => Err(ExecError::os("waiting for the child", errno)),
        }
    }

    /// Takes what has come, and reaps what has ended.
    fn receive(&mut self) -> Vec<Received> {
        let received = self.queue.as_mut().map(read_all).unwrap_or_default();
        if self.supervision.adopt_orphans && received.iter().any(|r| r.signal == libc::SIGCHLD) {
            process::reap_all();
        }
        received
    }

    fn hand_on(&mut self, received: Received) {
        if !received.is_to_forward(self.on_terminal) || self.is_from_tree(received.sender) {
            return;
        }
        if received.asks_to_end() && !self.on_terminal && self.is_repeated(received.signal) {
            self.kill_tree();
            return;
        }
        if self.on_terminal {
            // A shell continues the whole group, so a child that runs has had its share.
            let is_running = || Stat::read(self.child.pid).is_none_or(|stat| !stat.is_stopped());
            if received.signal == libc::SIGCONT && is_running() {
                return;
            }
            let _ = self.signal_child(received.signal);
        } else if signal_pid(-self.child.pid, received.signal).is_err() {
            // The child has left its group.
            let _ = self.signal_child(received.signal);
        }
    }

    fn signal_child(&self, signal: i32) -> std::io::Result<()> {
        signal_pidfd(self.child.pidfd.as_fd(), signal)
    }

    /// Whether the child or what it started sent a signal: it must not come back to them.
    fn is_from_tree(&self, sender: i32) -> bool {
        if sender <= 0 || sender == own_pid() {
            return false;
        }
        let is_in_group =
            || !self.on_terminal && Stat::read(sender).is_some_and(|s| s.group == self.child.pid);
        let is_adopted = || {
            self.supervision.adopt_orphans
                && tree::is_below(sender, own_pid())
                && !self.others().iter().any(|&other| tree::is_below(sender, other))
        };
        tree::is_below(sender, self.child.pid) || is_in_group() || is_adopted()
    }

    /// Whether a request to end comes the second time within the grace period.
    fn is_repeated(&mut self, signal: i32) -> bool {
        let now = Instant::now();
        self.asked.retain(|&(_, first)| now.duration_since(first) <= self.supervision.grace);
        if let Some(&(_, first)) = self.asked.iter().find(|&&(asked, _)| asked == signal) {
            return now.duration_since(first) >= REPEAT_AFTER;
        }
        self.asked.push((signal, now));
        false
    }

    /// When the child has been stopped by itself, stops as well, so that a shell sees the job stop.
    fn stop_with_child(&self) {
        if self.queue.is_none() || self.child.stopped_by().is_none() {
            return;
        }
        // Stopped, nobody would watch the time; and with nobody to continue us it would be for ever.
        let is_timed = self.supervision.timeout.is_some() && !self.on_terminal;
        if !is_timed && !tree::is_group_orphaned(own_pid()) {
            let _ = signal_pid(own_pid(), libc::SIGSTOP);
        }
    }

    /// Asks everything the child started to end, waits for the grace period, then kills what is
    /// left. Tells whether it had to.
    fn end_tree(&mut self) -> bool {
        let patience = Instant::now().checked_add(self.supervision.grace);
        let tree = self.tree();
        for signal in [libc::SIGTERM, libc::SIGCONT] {
            for &pid in &tree {
                let _ = self.signal_member(pid, signal);
            }
        }
        let mut pause = Duration::from_millis(1);
        while !self.tree().is_empty() {
            let now = Instant::now();
            let is_urged = self.receive().into_iter().any(|received| {
                received.asks_to_end()
                    && !self.on_terminal
                    && received.is_to_forward(false)
                    && !self.is_from_tree(received.sender)
            });
            if is_urged || patience.is_some_and(|patience| now >= patience) {
                self.kill_tree();
                return true;
            }
            let next = now + pause;
            let until = patience.map_or(next, |patience| patience.min(next));
            if self.sleep(Some(until), false).is_err() {
                std::thread::sleep(pause);
            }
            pause = (pause * 2).min(Duration::from_millis(20));
        }
        false
    }

    /// Kills until nothing is left: what is killed may just have started something else.
    fn kill_tree(&mut self) {
        let give_up = Instant::now() + KILL_PATIENCE;
        loop {
            let tree = self.tree();
            if tree.is_empty() || Instant::now() >= give_up {
                return;
            }
            for pid in tree {
                if let Err(error) = self.signal_member(pid, libc::SIGKILL)
                    && error.raw_os_error() == Some(libc::EPERM)
                {
                    // Has other rights by now, as `sudo` does; not ours to end.
                    self.strangers.push(pid);
                }
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// All living processes that come from the child, itself included.
    fn tree(&self) -> Vec<i32> {
        if self.supervision.adopt_orphans {
            process::reap_all();
            let mut tree = descendants(own_pid(), &self.others());
            tree.retain(|&pid| pid != self.child.pid || !self.has_ended());
            tree
        } else if self.has_ended() {
            Vec::new()
        } else {
            let mut tree = vec![self.child.pid];
            tree.extend(descendants(self.child.pid, &self.strangers));
            tree
        }
    }

    fn has_ended(&self) -> bool {
        !matches!(self.child.end(), Ok(None))
    }

    /// Children of this process that are not of this run.
    fn others(&self) -> Vec<i32> {
        let mut others = process::supervised_but(self.child.pid);
        others.extend(&self.strangers);
        others
    }

    fn signal_member(&self, pid: i32, signal: i32) -> std::io::Result<()> {
        if pid == self.child.pid { self.signal_child(signal) } else { signal_pid(pid, signal) }
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        if !self.is_over {
            let _ = self.signal_child(libc::SIGKILL);
            while !self.has_ended() {
                if self.sleep(None, true).is_err() {
                    break;
                }
            }
        }
        if let Some(queue) = &mut self.queue {
            // What is still queued was meant for a child that has ended. A Ctrl-C it has answered
            // by an exit code of its own must not end us in another way.
            read_all(queue);
            set_blocked(self.caller_mask);
        }
        self.child.leave(self.supervision.adopt_orphans);
    }
}

fn own_pid() -> i32 {
    rustix::process::getpid().as_raw_nonzero().get()
}
