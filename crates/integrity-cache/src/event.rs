//! Events for an audit log or a health check, and the counters.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use crate::{
    SkipReason,
    lookup::{CODES, MissReason},
};

/// The same kind of event is reported once in this time; what falls between is counted.
const QUIET: Duration = Duration::from_secs(1);
/// Kinds of events that are no misses.
const OTHER_KINDS: usize = 8;

/// Something that an operator may want to know.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Event {
    /// How bad it is.
    pub severity: Severity,
    /// What happened.
    pub kind: EventKind,
    /// The namespace, if it is about one.
    pub namespace: Option<String>,
    /// First characters of the file name; the name is keyed, so it does not tell the cache key.
    pub name_prefix: Option<String>,
    /// The offending file, if there is one.
    pub offender: Option<Offender>,
    /// How many events of this kind were not reported since the last.
    pub suppressed: u64,
}

/// How bad an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// For the record.
    Notice,
    /// Something does not work as well as it should.
    Warning,
    /// Somebody may have interfered.
    Alarm,
}

/// What an event is about.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EventKind {
    /// A lookup found something that could not be handed out.
    Rejected(MissReason),
    /// Something was not stored.
    Skipped(SkipReason),
    /// The clock was set back; the highest time seen is used instead.
    ClockWentBack,
    /// The superblock is authenticated by a key we do not have: every entry will be a miss.
    ForeignSuperblock,
    /// The ledger is damaged: what it said before the damage is forgotten, which only causes misses.
    LedgerDamaged,
    /// The file system is a network file system: locks and single-flight may not hold there.
    NetworkFileSystem,
    /// The remote tier did not answer; it is left alone for a while.
    RemoteFailed,
    /// The remote tier holds another cache, or something that is none; it is not used. A cache that
    /// is to share it has to be made while it can be reached: in an empty directory, with its key.
    RemoteForeign,
    /// An entry's owner, mode or link count is not as we made it; its bytes are authentic.
    OddMetadata,
}

/// What is known of an offending file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Offender {
    /// Device.
    pub device: u64,
    /// Inode.
    pub inode: u64,
    /// Owner.
    pub uid: u32,
    /// Modification time, milliseconds since 1970.
    pub modified_ms: i64,
    /// Size.
    pub size_bytes: u64,
}

/// Where events go. Called on the thread of the operation, so it should be quick.
pub trait EventSink: Send + Sync {
    /// Takes an event.
    fn event(&self, event: &Event);
}

impl<F: Fn(&Event) + Send + Sync> EventSink for F {
    fn event(&self, event: &Event) {
        self(event);
    }
}

impl EventKind {
    fn slot(&self) -> usize {
        match self {
            Self::Rejected(reason) => reason.index(),
            Self::Skipped(_) => CODES.len(),
            Self::ClockWentBack => CODES.len() + 1,
            Self::ForeignSuperblock => CODES.len() + 2,
            Self::LedgerDamaged => CODES.len() + 3,
            Self::NetworkFileSystem => CODES.len() + 4,
            Self::OddMetadata => CODES.len() + 5,
            Self::RemoteFailed => CODES.len() + 6,
            Self::RemoteForeign => CODES.len() + 7,
        }
    }

    fn severity(&self) -> Severity {
        match self {
            Self::Rejected(reason) if reason.is_suspicious() => Severity::Alarm,
            Self::Rejected(_) | Self::NetworkFileSystem | Self::OddMetadata => Severity::Notice,
            Self::Skipped(_) | Self::ClockWentBack | Self::LedgerDamaged | Self::RemoteFailed => {
                Severity::Warning
            }
            Self::ForeignSuperblock | Self::RemoteForeign => Severity::Alarm,
        }
    }
}

/// Counts, and hands events on at a bounded rate.
pub(crate) struct Observer {
    sink: Option<Box<dyn EventSink>>,
    last: Mutex<[(Option<Instant>, u64); CODES.len() + OTHER_KINDS]>,
    pub(crate) counters: AtomicCounters,
}

/// The live counters behind [`Counters`].
#[derive(Default)]
pub(crate) struct AtomicCounters {
    pub(crate) hits: AtomicU64,
    pub(crate) misses: [AtomicU64; CODES.len()],
    pub(crate) stored: AtomicU64,
    pub(crate) skipped: AtomicU64,
    pub(crate) read_bytes: AtomicU64,
    pub(crate) written_bytes: AtomicU64,
    pub(crate) evicted: AtomicU64,
    pub(crate) quarantined: AtomicU64,
    pub(crate) remote_hits: AtomicU64,
    pub(crate) remote_stored: AtomicU64,
    pub(crate) remote_rejected: AtomicU64,
    pub(crate) remote_failed: AtomicU64,
}

/// What this handle and its clones have done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Lookups that hit.
    pub hits: u64,
    /// Lookups that missed, by reason code; reasons that never occurred are left out.
    pub misses: Vec<(&'static str, u64)>,
    /// Entries stored.
    pub stored: u64,
    /// Entries not stored.
    pub skipped: u64,
    /// Payload bytes handed out.
    pub read_bytes: u64,
    /// Payload bytes stored.
    pub written_bytes: u64,
    /// Entries removed to keep within the limits.
    pub evicted: u64,
    /// Files moved to quarantine.
    pub quarantined: u64,
    /// Entries brought from a remote tier.
    pub remote_hits: u64,
    /// Entries sent to a remote tier.
    pub remote_stored: u64,
    /// What a remote tier sent and could not be taken.
    pub remote_rejected: u64,
    /// How often a remote tier did not answer.
    pub remote_failed: u64,
}

impl Observer {
    pub(crate) fn new(sink: Option<Box<dyn EventSink>>) -> Self {
        Self {
            sink,
            last: Mutex::new([(None, 0); CODES.len() + OTHER_KINDS]),
            counters: AtomicCounters::default(),
        }
    }

    pub(crate) fn emit(
        &self,
        kind: EventKind,
        namespace: Option<&str>,
        name: Option<&str>,
        offender: Option<Offender>,
    ) {
        let Some(sink) = &self.sink else { return };
        let suppressed = {
            let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            let (at, suppressed) = &mut last[kind.slot()];
            if at.is_some_and(|at| at.elapsed() < QUIET) {
                *suppressed += 1;
                return;
            }
            *at = Some(Instant::now());
            std::mem::take(suppressed)
        };
        sink.event(&Event {
            severity: kind.severity(),
            kind,
            namespace: namespace.map(str::to_owned),
            name_prefix: name.map(|name| name[..name.len().min(8)].to_owned()),
            offender,
            suppressed,
        });
    }

    pub(crate) fn counters(&self) -> Counters {
        let c = &self.counters;
        Counters {
            hits: c.hits.load(Relaxed),
            misses: (CODES.iter().zip(&c.misses))
                .map(|(code, count)| (*code, count.load(Relaxed)))
                .filter(|(_, count)| *count > 0)
                .collect(),
            stored: c.stored.load(Relaxed),
            skipped: c.skipped.load(Relaxed),
            read_bytes: c.read_bytes.load(Relaxed),
            written_bytes: c.written_bytes.load(Relaxed),
            evicted: c.evicted.load(Relaxed),
            quarantined: c.quarantined.load(Relaxed),
            remote_hits: c.remote_hits.load(Relaxed),
            remote_stored: c.remote_stored.load(Relaxed),
            remote_rejected: c.remote_rejected.load(Relaxed),
            remote_failed: c.remote_failed.load(Relaxed),
        }
    }
}
