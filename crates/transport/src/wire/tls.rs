//! TLS by rustls over any wire, with the records in buffers of our own.
//!
//! rustls decrypts a record in the buffer it is given and hands the text out in a vector of its
//! own, once, which it frees when we have copied it. That vector is the only copy that is not
//! ours to wipe: the binary's allocator wipes what is freed.

use std::fmt;
use std::io;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::client::UnbufferedClientConnection;
use rustls::pki_types::ServerName;
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncryptError, InsufficientSizeError, UnbufferedStatus,
};
use zeroize::Zeroize as _;

use super::buffers::Queue;
use super::{Deadline, Wire};
use crate::error::{Error, ErrorKind, Phase};

/// The largest record there is on the wire (RFC 8446, section 5.2, with its header).
const RECORD_BYTES: usize = 5 + 16 * 1024 + 256;
/// How much text goes into one record.
const FRAGMENT_BYTES: usize = 16 * 1024;
/// More than this without a complete message is no handshake.
const HANDSHAKE_BYTES: usize = 256 * 1024;

pub(crate) struct Tls {
    session: UnbufferedClientConnection,
    wire: Box<dyn Wire>,
    /// Records as they came.
    incoming: Queue,
    /// Text of records that were read and not yet taken.
    text: Queue,
    /// Records to send.
    outgoing: Vec<u8>,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// The peer said that it is done.
    Closed,
    /// An error; nothing is read or written any more.
    Broken,
}

enum Step {
    /// Something was done; there may be more to do.
    Again,
    /// Nothing can be done before more arrives.
    Starved,
    /// Established, and nothing to do.
    Idle,
    /// What was to be sent is sent.
    Sent,
    /// The peer is done.
    Closed,
}

impl Tls {
    /// Makes a connection and does the handshake.
    pub(crate) fn handshake(
        wire: Box<dyn Wire>,
        config: Arc<ClientConfig>,
        host: &str,
        deadline: &Deadline,
    ) -> Result<Self, Error> {
        let fail = |error| Error::new(Phase::Tls, ErrorKind::Tls(error));
        let name = ServerName::try_from(host.to_owned()).map_err(|_| {
            Error::new(Phase::Tls, ErrorKind::Url { why: "its host is not a name" })
        })?;
        let session = UnbufferedClientConnection::new(config, name).map_err(fail)?;
        let mut tls = Self {
            session,
            wire,
            incoming: Queue::new(),
            text: Queue::new(),
            outgoing: Vec::new(),
            state: State::Open,
        };
        tls.establish(deadline).map_err(|error| Error::from_ureq(error, Phase::Tls))?;
        Ok(tls)
    }

    fn establish(&mut self, deadline: &Deadline) -> Result<(), ureq::Error> {
        loop {
            match self.step(None, deadline)? {
                Step::Again | Step::Sent => {}
                Step::Starved if self.incoming.filled().len() > HANDSHAKE_BYTES => {
                    return Err(broken("the handshake is too long"));
                }
                Step::Starved => {
                    if self.fill(deadline)? == 0 {
                        return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
                    }
                }
                Step::Idle => return Ok(()),
                Step::Closed => return Err(broken("the server closed during the handshake")),
            }
        }
    }

    fn fill(&mut self, deadline: &Deadline) -> Result<usize, ureq::Error> {
        let count = self.wire.read(self.incoming.room(RECORD_BYTES), deadline)?;
        self.incoming.grew(count);
        Ok(count)
    }

    /// Lets rustls do the next thing; `send` is encrypted and sent when it may be.
    fn step(&mut self, send: Option<&[u8]>, deadline: &Deadline) -> Result<Step, ureq::Error> {
        if self.state == State::Broken {
            return Err(io::Error::from(io::ErrorKind::NotConnected).into());
        }
        let Self { session, wire, incoming, text, outgoing, .. } = self;
        let UnbufferedStatus { mut discard, state } =
            session.process_tls_records(incoming.filled_mut());
        let step = match state {
            Err(error) => Err(Error::new(Phase::Tls, ErrorKind::Tls(error)).into()),
            Ok(ConnectionState::ReadTraffic(mut traffic)) => loop {
                match traffic.next_record() {
                    Some(Ok(record)) => {
                        discard += record.discard;
                        text.push(record.payload);
                    }
                    Some(Err(error)) => {
                        break Err(Error::new(Phase::Tls, ErrorKind::Tls(error)).into());
                    }
                    None => break Ok(Step::Again),
                }
            },
            Ok(ConnectionState::EncodeTlsData(mut data)) => {
                append(outgoing, |room| match data.encode(room) {
                    Ok(count) => Ok(count),
                    Err(EncodeError::InsufficientSize(short)) => Err(Some(short)),
                    Err(EncodeError::AlreadyEncoded) => Err(None),
                })
                .map(|()| Step::Again)
            }
            Ok(ConnectionState::TransmitTlsData(data)) => {
                let written = wire.write_all(outgoing, deadline);
                outgoing.clear();
                data.done();
                written.map(|()| Step::Again)
            }
            Ok(ConnectionState::BlockedHandshake) => Ok(Step::Starved),
            Ok(ConnectionState::WriteTraffic(mut traffic)) => match send {
                None => Ok(Step::Idle),
                Some(plain) => append(outgoing, |room| match traffic.encrypt(plain, room) {
                    Ok(count) => Ok(count),
                    Err(EncryptError::InsufficientSize(short)) => Err(Some(short)),
                    Err(EncryptError::EncryptExhausted) => Err(None),
                })
                .and_then(|()| {
                    let written = wire.write_all(outgoing, deadline);
                    outgoing.clear();
                    written.map(|()| Step::Sent)
                }),
            },
            Ok(ConnectionState::PeerClosed | ConnectionState::Closed) => Ok(Step::Closed),
            Ok(_) => Err(broken("an unexpected state")),
        };
        incoming.consume(discard);
        match step {
            Ok(Step::Closed) => self.state = State::Closed,
            Err(_) => self.state = State::Broken,
            Ok(_) => {}
        }
        step
    }

    fn take(&mut self, into: &mut [u8]) -> usize {
        let count = self.text.filled().len().min(into.len());
        into[..count].copy_from_slice(&self.text.filled()[..count]);
        self.text.consume(count);
        count
    }
}

impl Wire for Tls {
    fn read(&mut self, into: &mut [u8], deadline: &Deadline) -> Result<usize, ureq::Error> {
        loop {
            if !self.text.filled().is_empty() {
                return Ok(self.take(into));
            }
            if self.state == State::Closed {
                return Ok(0);
            }
            match self.step(None, deadline)? {
                Step::Again | Step::Sent | Step::Closed => {}
                Step::Starved | Step::Idle => {
                    if self.fill(deadline)? == 0 {
                        // Without the peer's word that it is done, anybody may have cut it off.
                        self.state = State::Broken;
                        return Err(Error::new(Phase::Response, ErrorKind::Truncated).into());
                    }
                }
            }
        }
    }

    fn write_all(&mut self, bytes: &[u8], deadline: &Deadline) -> Result<(), ureq::Error> {
        for fragment in bytes.chunks(FRAGMENT_BYTES) {
            loop {
                match self.step(Some(fragment), deadline)? {
                    Step::Sent => break,
                    Step::Again => {}
                    Step::Starved | Step::Idle => {
                        if self.fill(deadline)? == 0 {
                            return Err(io::Error::from(io::ErrorKind::BrokenPipe).into());
                        }
                    }
                    Step::Closed => return Err(io::Error::from(io::ErrorKind::BrokenPipe).into()),
                }
            }
        }
        Ok(())
    }

    fn is_open(&mut self) -> bool {
        self.state == State::Open && self.text.filled().is_empty() && self.wire.is_open()
    }
}

impl Drop for Tls {
    fn drop(&mut self) {
        self.outgoing.zeroize();
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("wire", &self.wire).finish_non_exhaustive()
    }
}

/// Lets `write` fill room behind `outgoing`, which is made larger once if it asks for that.
fn append(
    outgoing: &mut Vec<u8>,
    mut write: impl FnMut(&mut [u8]) -> Result<usize, Option<InsufficientSizeError>>,
) -> Result<(), ureq::Error> {
    let start = outgoing.len();
    let mut room = RECORD_BYTES;
    for _ in 0..2 {
        outgoing.resize(start + room, 0);
        match write(&mut outgoing[start..]) {
            Ok(count) => {
                outgoing.truncate(start + count);
                return Ok(());
            }
            Err(Some(short)) => room = short.required_size,
            Err(None) => break,
        }
    }
    Err(broken("nothing more can be encrypted"))
}

fn broken(what: &str) -> ureq::Error {
    Error::new(Phase::Tls, ErrorKind::Protocol { what: what.to_owned() }).into()
}
