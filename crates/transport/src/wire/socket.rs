//! A TCP connection.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::{Deadline, Wire};
use crate::error::{Error, ErrorKind, Phase};

/// What one address of several gets at least.
const LEAST: Duration = Duration::from_millis(50);

#[derive(Debug)]
pub(crate) struct Socket {
    stream: TcpStream,
    /// What the kernel was told last, so that it is told once.
    limits: (Option<Duration>, Option<Duration>),
}

impl Socket {
    /// Tries the addresses in their order; each gets an equal share of what time is left.
    pub(crate) fn connect(addresses: &[SocketAddr], deadline: &Deadline) -> Result<Self, Error> {
        let mut last = ErrorKind::HostNotFound;
        for (index, address) in addresses.iter().enumerate() {
            let Ok(left) = deadline.left() else {
                last = ErrorKind::Timeout;
                break;
            };
            let waiting = u32::try_from(addresses.len() - index).unwrap_or(u32::MAX);
            let opened = match left {
                Some(left) => {
                    TcpStream::connect_timeout(address, (left / waiting).max(LEAST.min(left)))
                }
                None => TcpStream::connect(address),
            };
            match opened {
                Ok(stream) => {
                    // Requests are written whole; waiting for more would only delay them.
                    let _ = stream.set_nodelay(true);
                    return Ok(Self { stream, limits: (None, None) });
                }
                Err(error) if is_timeout(&error) => last = ErrorKind::Timeout,
                Err(error) => last = ErrorKind::Io(error),
            }
        }
        Err(Error::new(Phase::Connect, last))
    }
}

impl Wire for Socket {
    fn read(&mut self, into: &mut [u8], deadline: &Deadline) -> Result<usize, ureq::Error> {
        loop {
            let left = deadline.left()?;
            if self.limits.0 != left {
                self.stream.set_read_timeout(left)?;
                self.limits.0 = left;
            }
            match self.stream.read(into) {
                Ok(count) => return Ok(count),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if is_timeout(&error) => return Err(deadline.passed()),
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn write_all(&mut self, mut bytes: &[u8], deadline: &Deadline) -> Result<(), ureq::Error> {
        while !bytes.is_empty() {
            let left = deadline.left()?;
            if self.limits.1 != left {
                self.stream.set_write_timeout(left)?;
                self.limits.1 = left;
            }
            match self.stream.write(bytes) {
                Ok(0) => return Err(io::Error::from(io::ErrorKind::WriteZero).into()),
                Ok(count) => bytes = &bytes[count..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if is_timeout(&error) => return Err(deadline.passed()),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn is_open(&mut self) -> bool {
        // An idle connection has nothing to read: bytes or an end mean that it is no longer good.
        let mut byte = [0];
        if self.stream.set_nonblocking(true).is_err() {
            return false;
        }
        let idle = matches!(self.stream.peek(&mut byte), Err(error) if error.kind() == io::ErrorKind::WouldBlock);
        self.stream.set_nonblocking(false).is_ok() && idle
    }
}

fn is_timeout(error: &io::Error) -> bool {
    // Unix reports a passed socket timeout as the former, Windows as the latter.
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}
