//! What all supervised children of this process share: who reaps whom, and the process-wide
//! settings that are changed while any of them runs.

use std::{
    collections::BTreeMap,
    os::fd::{AsFd, OwnedFd},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rustix::{
    io::Errno,
    process::{WaitId, WaitIdOptions, WaitOptions, waitid},
};

use super::{
    calls::{Disposition, set_disposition},
    child::Failed,
};
use crate::{error::ExecError, outcome::Outcome};

/// A started child and its place among the others.
#[derive(Debug)]
pub(super) struct Child {
    pub(super) pid: i32,
    pub(super) pidfd: OwnedFd,
    /// Filled in by whoever reaps the child.
    end: Arc<Mutex<Option<Outcome>>>,
    /// Whether this run hands on the signals of the process. One at a time does.
    pub(super) is_front: bool,
}

#[derive(Default)]
struct State {
    ends: BTreeMap<i32, Arc<Mutex<Option<Outcome>>>>,
    running: usize,
    adopting: usize,
    front_taken: bool,
    saved: Option<Saved>,
}

/// Settings of the process before its first supervised child.
struct Saved {
    sigchld: Disposition,
    subreaper: Option<rustix::process::Pid>,
}

static STATE: Mutex<Option<State>> = Mutex::new(None);

/// Starts a child by `start`, which gets whether the caller had `SIGCHLD` ignored.
///
/// The state stays locked meanwhile: another run that reaps must not meet a child nobody knows yet.
pub(super) fn start(
    adopt: bool,
    start: impl FnOnce(bool) -> Result<(i32, OwnedFd), Failed>,
) -> Result<Child, StartError> {
    let mut guard = lock();
    let state = guard.get_or_insert_default();
    state.enter(adopt).map_err(StartError::Settings)?;
    let sigchld_ignored = state.saved.as_ref().is_some_and(|saved| saved.sigchld.is_ignore());
    match start(sigchld_ignored) {
        Ok((pid, pidfd)) => {
            let end = Arc::default();
            state.ends.insert(pid, Arc::clone(&end));
            let is_front = !state.front_taken;
            state.front_taken = true;
            Ok(Child { pid, pidfd, end, is_front })
        }
        Err(failed) => {
            state.leave(adopt);
            Err(StartError::Child(failed))
        }
    }
}

/// Why no child was started.
pub(super) enum StartError {
    Settings(ExecError),
    Child(Failed),
}

impl Child {
    /// How the child ended, or `None` while it has not. Reaps it.
    pub(super) fn end(&self) -> Result<Option<Outcome>, ExecError> {
        let mut guard = lock();
        if let Some(end) = *self.end.lock().unwrap_or_else(PoisonError::into_inner) {
            return Ok(Some(end));
        }
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
        let status = loop {
            match waitid(WaitId::PidFd(self.pidfd.as_fd()), options) {
                Err(Errno::INTR) => {}
                other => break other,
            }
        };
        let status = status.map_err(|errno| ExecError::os("waiting for the child", errno))?;
        let end =
            status.and_then(|status| match (status.exit_status(), status.terminating_signal()) {
                (Some(code), _) => Some(Outcome::Exited(exit_byte(code))),
                (None, Some(signal)) => Some(Outcome::Signaled(signal)),
                (None, None) => None,
            });
        if end.is_some() {
            guard.get_or_insert_default().ends.remove(&self.pid);
            *self.end.lock().unwrap_or_else(PoisonError::into_inner) = end;
        }
        Ok(end)
    }

    /// Tells by which signal the child has been stopped since the last call, if it still is.
    pub(super) fn stopped_by(&self) -> Option<i32> {
        let options = WaitIdOptions::STOPPED | WaitIdOptions::NOHANG;
        let status = waitid(WaitId::PidFd(self.pidfd.as_fd()), options).ok()??;
        status.stopping_signal()
    }

    /// Gives up its place. To be called once, after the end.
    pub(super) fn leave(&self, adopt: bool) {
        let mut guard = lock();
        let state = guard.get_or_insert_default();
        state.ends.remove(&self.pid);
        if self.is_front {
            state.front_taken = false;
        }
        state.leave(adopt);
    }
}

/// Reaps a child that has failed before it was anybody's.
pub(super) fn reap_failed(pidfd: &OwnedFd) {
    while let Err(Errno::INTR) = waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED) {}
}

/// Tells whether this process has children, ended ones included.
pub(super) fn has_children() -> bool {
    let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    !matches!(waitid(WaitId::All, look), Err(Errno::CHILD))
}

/// Reaps every child of this process that has ended: adopted orphans, and supervised children
/// whose ends are kept for their runs.
pub(super) fn reap_all() {
    let mut guard = lock();
    let state = guard.get_or_insert_default();
    loop {
        match rustix::process::wait(WaitOptions::NOHANG) {
            Ok(Some((pid, status))) => {
                let Some(end) = state.ends.remove(&pid.as_raw_nonzero().get()) else { continue };
                let outcome = match (status.exit_status(), status.terminating_signal()) {
                    (_, Some(signal)) => Outcome::Signaled(signal),
                    (code, None) => Outcome::Exited(exit_byte(code.unwrap_or_default())),
                };
                *end.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
            }
            Err(Errno::INTR) => {}
            Ok(None) | Err(_) => return,
        }
    }
}

/// The supervised children of this process other than `but`.
pub(super) fn supervised_but(but: i32) -> Vec<i32> {
    let guard = lock();
    let ends = guard.as_ref().map(|state| &state.ends);
    ends.into_iter().flat_map(BTreeMap::keys).copied().filter(|&pid| pid != but).collect()
}

impl State {
    fn enter(&mut self, adopt: bool) -> Result<(), ExecError> {
        if self.running == 0 {
            // Ignored, the kernel would reap children itself and their ends would be lost.
            let sigchld = set_disposition(libc::SIGCHLD, &Disposition::default_action())
                .map_err(|error| ExecError::os("setting SIGCHLD", error))?;
            self.saved = Some(Saved { sigchld, subreaper: None });
        }
        if adopt {
            if self.adopting == 0 {
                let before = rustix::process::child_subreaper().ok().flatten();
                let me = rustix::process::getpid();
                // Where it is refused the tree is what can be reached from the child.
                let _ = rustix::process::set_child_subreaper(Some(me));
                if let Some(saved) = &mut self.saved {
                    saved.subreaper = before;
                }
            }
            self.adopting += 1;
        }
        self.running += 1;
        Ok(())
    }

    fn leave(&mut self, adopt: bool) {
        if adopt {
            self.adopting -= 1;
            if self.adopting == 0
                && let Some(saved) = &self.saved
            {
                let _ = rustix::process::set_child_subreaper(saved.subreaper);
            }
        }
        self.running -= 1;
        if self.running == 0
            && let Some(saved) = self.saved.take()
        {
            let _ = set_disposition(libc::SIGCHLD, &saved.sigchld);
        }
    }
}

fn exit_byte(code: i32) -> u8 {
    u8::try_from(code & 0xff).expect("eight bits")
}

fn lock() -> MutexGuard<'static, Option<State>> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}
