//! What a lookup answers: a hit, or a miss with its reason; what a store answers.

use std::fmt;

/// The answer to a lookup.
#[derive(Debug)]
#[must_use]
pub enum Lookup<T> {
    /// A key holder stored exactly this under this key.
    Hit(T),
    /// Nothing that could be handed out, and why.
    Miss(MissReason),
}

impl<T> Lookup<T> {
    /// The hit, if it is one.
    pub fn hit(self) -> Option<T> {
        match self {
            Self::Hit(hit) => Some(hit),
            Self::Miss(_) => None,
        }
    }

    /// The reason of a miss, if it is one.
    pub fn miss(&self) -> Option<&MissReason> {
        match self {
            Self::Hit(_) => None,
            Self::Miss(reason) => Some(reason),
        }
    }
}

/// Why there is no hit.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MissReason {
    /// Nothing is stored under this key.
    Absent,
    /// Its time is over.
    Expired,
    /// It claims to be from a time that has not come.
    FromFuture,
    /// The caller stored that there is nothing, with this note.
    Negative(String),
    /// Half written: what a crash, a full disk or a power cut leaves.
    Torn,
    /// The bytes are not those that were stored.
    Tampered(Part),
    /// An authentic entry of another cache.
    WrongCache,
    /// An authentic entry of another key or namespace, in this one's place.
    WrongEntry,
    /// Authenticated by a key that this handle does not have.
    UnknownKey,
    /// An authentic entry, but not the last that was stored under this key.
    RolledBack,
    /// Stored before the last [`invalidate_all`](crate::Cache::invalidate_all).
    StaleEpoch,
    /// Another version, algorithm or schema, or not the canonical form.
    Unsupported,
    /// Larger than the limits allow.
    TooLarge,
    /// What stands in the entry's place cannot be a file of ours.
    Unsafe(Unsafe),
}

/// Where an entry was altered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Part {
    /// The header or its authentication tag.
    Header,
    /// The payload.
    Body,
    /// Bytes that do not belong to it.
    Size,
}

/// What is wrong with a file in an entry's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Unsafe {
    /// Not a regular file, or behind something that is not a directory.
    Type,
    /// A symbolic link, there or on the way.
    Symlink,
    /// Belongs to another user (only with `strict_fs`).
    Owner,
    /// Others may write it (only with `strict_fs`), or we may not read it.
    Mode,
    /// Has further names (only with `strict_fs`).
    Links,
}

impl MissReason {
    /// Whether somebody may have interfered. An accident of the disk can look the same.
    pub fn is_suspicious(&self) -> bool {
        matches!(
            self,
            Self::Tampered(_)
                | Self::WrongCache
                | Self::WrongEntry
                | Self::RolledBack
                | Self::FromFuture
                | Self::TooLarge
                | Self::Unsafe(_)
        )
    }

    /// A stable word for output and counters.
    pub fn code(&self) -> &'static str {
        CODES[self.index()]
    }

    /// Place among [`CODES`].
    pub(crate) fn index(&self) -> usize {
        match self {
            Self::Absent => 0,
            Self::Expired => 1,
            Self::FromFuture => 2,
            Self::Negative(_) => 3,
            Self::Torn => 4,
            Self::Tampered(Part::Header) => 5,
            Self::Tampered(Part::Body) => 6,
            Self::Tampered(Part::Size) => 7,
            Self::WrongCache => 8,
            Self::WrongEntry => 9,
            Self::UnknownKey => 10,
            Self::RolledBack => 11,
            Self::StaleEpoch => 12,
            Self::Unsupported => 13,
            Self::TooLarge => 14,
            Self::Unsafe(Unsafe::Type) => 15,
            Self::Unsafe(Unsafe::Symlink) => 16,
            Self::Unsafe(Unsafe::Owner) => 17,
            Self::Unsafe(Unsafe::Mode) => 18,
            Self::Unsafe(Unsafe::Links) => 19,
        }
    }
}

/// The codes of all reasons, by index.
pub(crate) const CODES: [&str; 20] = [
    "absent",
    "expired",
    "from-future",
    "negative",
    "torn",
    "tampered-header",
    "tampered-body",
    "tampered-size",
    "wrong-cache",
    "wrong-entry",
    "unknown-key",
    "rolled-back",
    "stale-epoch",
    "unsupported",
    "too-large",
    "unsafe-type",
    "unsafe-symlink",
    "unsafe-owner",
    "unsafe-mode",
    "unsafe-links",
];

impl fmt::Display for MissReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Absent => "nothing is stored",
            Self::Expired => "expired",
            Self::FromFuture => "claims to be from the future",
            Self::Negative(_) => "stored as absent",
            Self::Torn => "half written",
            Self::Tampered(Part::Header) => "the header is not authentic",
            Self::Tampered(Part::Body) => "the payload is not authentic",
            Self::Tampered(Part::Size) => "the file has bytes too many",
            Self::WrongCache => "belongs to another cache",
            Self::WrongEntry => "belongs to another key",
            Self::UnknownKey => "authenticated by an unknown key",
            Self::RolledBack => "older than the last that was stored",
            Self::StaleEpoch => "stored before everything was invalidated",
            Self::Unsupported => "of a form that is not known here",
            Self::TooLarge => "over the size limit",
            Self::Unsafe(Unsafe::Type) => "not a regular file",
            Self::Unsafe(Unsafe::Symlink) => "behind a symbolic link",
            Self::Unsafe(Unsafe::Owner) => "owned by another user",
            Self::Unsafe(Unsafe::Mode) => "readable or writable by the wrong users",
            Self::Unsafe(Unsafe::Links) => "has further names",
        })
    }
}

/// What became of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum PutOutcome {
    /// Stored; the next lookup finds it.
    Stored,
    /// Not stored, which a cache may do; what was there before is unchanged.
    Skipped(SkipReason),
}

/// Why something was not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SkipReason {
    /// The disk, the quota or the file size limit is exhausted.
    NoSpace,
    /// The file system or the directory cannot be written.
    ReadOnly,
    /// No file descriptors or no memory in the system.
    Resources,
    /// Larger than an entry may be.
    TooLarge,
    /// Another process holds the lock.
    Busy,
    /// Something in the cache directory is not what we made.
    Unsafe,
}
