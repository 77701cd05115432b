//! The prompt on a Unix terminal: `/dev/tty` in raw mode, read byte by byte.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;

use dsops_secure_mem::SecretBytes;
use rustix::termios::{self, LocalModes, OptionalActions, SpecialCodeIndex, Termios};

use crate::exit::Exit;
use crate::report::{Failure, Report};

use super::failed;

/// The longest value a person can type. Longer ones come from a file or a pipe.
const LIMIT_BYTES: usize = 64 * 1024;

const BACKSPACE: u8 = 0x08;
const CTRL_C: u8 = 0x03;
const CTRL_D: u8 = 0x04;
const CTRL_U: u8 = 0x15;
const DELETE: u8 = 0x7f;

/// Asks for a secret on the controlling terminal, twice, until both answers agree.
///
/// # Errors
/// No terminal, a failed read, ^C, an answer over 64 KiB, or two different answers.
pub fn secret(question: &str) -> Result<SecretBytes, Failure> {
    let mut tty = terminal("pipe the value in, or use `--from-file FILE`")?;
    let first = ask(&mut tty, question)?;
    let second = ask(&mut tty, "Once more: ")?;
    if bool::from(subtle_eq(&first, &second)) {
        Ok(first)
    } else {
        Err(Failure::new(Exit::Usage, Report::error("the two values differ; nothing was stored")))
    }
}

/// Whether there is a terminal to ask on.
pub fn has_terminal() -> bool {
    File::open("/dev/tty").is_ok()
}

/// Asks for a passphrase on the controlling terminal, once: what it opens tells whether it is right.
///
/// # Errors
/// No terminal, a failed read, ^C, an answer over 64 KiB.
pub fn passphrase(question: &str) -> Result<SecretBytes, Failure> {
    ask(
        &mut terminal("set DSOPS_AGE_PASSPHRASE, or use an identity without a passphrase")?,
        question,
    )
}

/// Reads a line of standard input, which is a terminal, after `ask`.
///
/// # Errors
/// What the system says; ^C or another signal that asks us to end. That signal stays held, so that
/// what the caller holds in a file can still be wiped; the caller has to end by this error.
pub fn answer(ask: impl FnOnce() -> io::Result<()>) -> Result<String, Failure> {
    let held = Held::hold().map_err(failed)?;
    ask().map_err(failed)?;
    if held.wait_for_key(io::stdin()).map_err(failed)? == Woken::BySignal {
        held.keep();
        return Err(interrupted());
    }
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).map_err(failed)?;
    Ok(answer)
}

fn terminal(help: &str) -> Result<File, Failure> {
    OpenOptions::new().read(true).write(true).open("/dev/tty").map_err(|error| {
        let report = Report::error("there is no terminal to ask on").because(&error);
        Failure::new(Exit::Usage, report.help(help))
    })
}

fn subtle_eq(a: &SecretBytes, b: &SecretBytes) -> subtle::Choice {
    subtle::ConstantTimeEq::ct_eq(a, b)
}

fn ask(tty: &mut File, question: &str) -> Result<SecretBytes, Failure> {
    // A signal that ends us must not leave the terminal without echo.
    let held = Held::hold().map_err(failed)?;
    // First no echo, then the question: an answer typed at once is neither shown nor lost.
    let raw = RawMode::enter(tty).map_err(failed)?;
    tty.write_all(question.as_bytes()).map_err(failed)?;
    let answer = read_line(tty, &held);
    drop(raw);
    tty.write_all(b"\n").map_err(failed)?;
    // If there was a signal, this is where it ends us.
    held.release();
    answer
}

/// Reads up to the end of the line, one byte at a time, so that nothing is left in a buffer.
fn read_line(tty: &mut File, held: &Held) -> Result<SecretBytes, Failure> {
    SecretBytes::build(LIMIT_BYTES, |slot: &mut [u8]| {
        let mut used = 0;
        loop {
            // The byte lands in the slot itself: the slice starts where the next one belongs.
            let Some(next) = slot.get_mut(used..=used) else {
                return Err(Failure::usage(
                    format!("the value is longer than {LIMIT_BYTES} bytes"),
                    "use `--from-file FILE`",
                ));
            };
            if held.wait_for_key(&*tty).map_err(failed)? == Woken::BySignal {
                return Err(interrupted());
            }
            let count = tty.read(next).map_err(failed)?;
            if count == 0 {
                return Ok(used);
            }
            match next[0] {
                b'\r' | b'\n' | CTRL_D => {
                    next[0] = 0;
                    return Ok(used);
                }
                CTRL_C => return Err(interrupted()),
                BACKSPACE | DELETE => {
                    next[0] = 0;
                    used = without_last_character(&slot[..used]);
                }
                CTRL_U => used = 0,
                _ => used += 1,
            }
        }
    })
}

fn interrupted() -> Failure {
    Failure::new(Exit::Interrupted, Report::error("interrupted; nothing was stored"))
}

/// Why waiting for a key came to an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Woken {
    ByKey,
    BySignal,
}

/// Signals are held back while the terminal has no echo.
///
/// # Platform
/// Linux only; elsewhere a signal ends us at once and the terminal stays without echo.
struct Held {
    #[cfg(target_os = "linux")]
    signals: dsops_execenv::HeldSignals,
}

impl Held {
    #[cfg_attr(
        not(target_os = "linux"),
        expect(clippy::unnecessary_wraps, reason = "the signature of Linux")
    )]
    fn hold() -> io::Result<Self> {
        Ok(Self {
            #[cfg(target_os = "linux")]
            signals: dsops_execenv::HeldSignals::hold()?,
        })
    }

    /// Lets a signal that came meanwhile act now.
    fn release(self) {
        #[cfg(target_os = "linux")]
        drop(self.signals);
        #[cfg(not(target_os = "linux"))]
        let Self {} = self;
    }

    /// Holds signals back to the end.
    fn keep(self) {
        #[cfg(target_os = "linux")]
        std::mem::forget(self.signals);
        #[cfg(not(target_os = "linux"))]
        let Self {} = self;
    }

    #[cfg(target_os = "linux")]
    fn wait_for_key(&self, tty: impl AsFd) -> io::Result<Woken> {
        use rustix::event::{PollFd, PollFlags, poll};
        let mut both =
            [PollFd::new(&tty, PollFlags::IN), PollFd::new(&self.signals, PollFlags::IN)];
        poll(&mut both, None)?;
        let signal = !both[1].revents().is_empty();
        Ok(if signal { Woken::BySignal } else { Woken::ByKey })
    }

    #[cfg(not(target_os = "linux"))]
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "the signature of Linux")]
    fn wait_for_key(&self, _: impl AsFd) -> io::Result<Woken> {
        Ok(Woken::ByKey)
    }
}

/// The length that remains when the last UTF-8 character is rubbed out.
fn without_last_character(typed: &[u8]) -> usize {
    typed.iter().rposition(|byte| byte & 0xc0 != 0x80).unwrap_or(0)
}

/// The terminal without echo and without signals, until dropped.
struct RawMode {
    tty: File,
    before: Termios,
}

impl RawMode {
    fn enter(tty: &File) -> std::io::Result<Self> {
        let before = termios::tcgetattr(tty.as_fd())?;
        let mut raw = before.clone();
        raw.local_modes &=
            !(LocalModes::ECHO | LocalModes::ECHONL | LocalModes::ICANON | LocalModes::ISIG);
        raw.special_codes[SpecialCodeIndex::VMIN] = 1;
        raw.special_codes[SpecialCodeIndex::VTIME] = 0;
        // Flush: what was typed before the question is no answer to it.
        termios::tcsetattr(tty.as_fd(), OptionalActions::Flush, &raw)?;
        Ok(Self { tty: tty.try_clone()?, before })
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        // Nothing better can be done when the terminal is gone.
        let _ = termios::tcsetattr(self.tty.as_fd(), OptionalActions::Flush, &self.before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backspace_takes_whole_characters() {
        assert_eq!(without_last_character("aé".as_bytes()), 1);
        assert_eq!(without_last_character(b"ab"), 1);
        assert_eq!(without_last_character(b""), 0);
    }
}
