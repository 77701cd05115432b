//! What a namespace promises and what a cache may hold.

use std::time::Duration;

use crate::Error;

/// What holds for the entries of one namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[expect(clippy::struct_excessive_bools, reason = "independent choices, named where they are set")]
pub struct Policy {
    /// How long an entry lives when the caller says nothing. Default: 6 h.
    pub ttl: Duration,
    /// How long an entry lives at most, also checked when it is read. Default: 7 days.
    pub max_ttl: Duration,
    /// How payloads are kept. Default: AES-256-GCM; a sealed cache can only have one in clear.
    pub body: Body,
    /// What protects against older authentic entries. Default: their time to live.
    pub freshness: Freshness,
    /// Whether payloads are secrets: then they are always encrypted, and handed out in protected
    /// memory only.
    pub sensitive: bool,
    /// The caller's version of what the payload means; entries of another are misses.
    pub schema: u32,
    /// What a store waits for. Default: nothing; a power cut may lose entries, never corrupt them.
    pub durability: Durability,
    /// Whether a suspicious miss is an [`Error::Tampered`] instead.
    pub tampering_is_an_error: bool,
    /// Whether an entry with another owner, open to other writers or with further names is a miss.
    /// Its bytes are authentic in any case.
    pub strict_fs: bool,
    /// Whether a store that fails for want of space or rights is an error instead of skipped.
    pub strict_store: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            ttl: Duration::from_hours(6),
            max_ttl: Duration::from_hours(7 * 24),
            body: Body::Aes256Gcm,
            freshness: Freshness::Ttl,
            sensitive: false,
            schema: 0,
            durability: Durability::None,
            tampering_is_an_error: false,
            strict_fs: false,
            strict_store: false,
        }
    }
}

impl Policy {
    /// The default policy, to be changed by [`Policy::with`].
    pub fn new() -> Self {
        Self::default()
    }

    /// Changes fields in place and hands the policy on.
    ///
    /// ```
    /// use dsops_integrity_cache::Policy;
    /// let policy = Policy::new().with(|p| p.schema = 2);
    /// assert_eq!(policy.schema, 2);
    /// ```
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.sensitive && self.body != Body::Aes256Gcm {
            return Err(Error::config("a sensitive namespace has to be encrypted"));
        }
        if self.max_ttl.is_zero() {
            return Err(Error::config("a namespace whose entries live no time"));
        }
        Ok(())
    }
}

/// How payloads are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Body {
    /// In clear, verified by SHA-256 over chunks of 64 KiB.
    Sha256,
    /// In clear, verified by BLAKE3 over chunks of 64 KiB: several times as fast for large payloads.
    #[cfg(feature = "blake3")]
    Blake3,
    /// Encrypted and verified by AES-256-GCM in chunks of 64 KiB.
    Aes256Gcm,
}

/// What protects against older authentic entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// An older entry can be put back as long as it has not expired.
    Ttl,
    /// A ledger in the state directory knows the last entry of each key; any other is a miss.
    Strict,
}

/// What a store waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Durability {
    /// Nothing.
    None,
    /// The entry's content is on disk.
    Data,
    /// The entry's content and its name are on disk.
    Full,
}

/// How large a cache may become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// All entries together. Default: 1 GiB.
    pub max_bytes: u64,
    /// Number of entries. Default: 100,000.
    pub max_entries: u64,
    /// Payload of one entry. Default: 256 MiB.
    pub max_entry_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_bytes: 1 << 30, max_entries: 100_000, max_entry_bytes: 256 << 20 }
    }
}

impl Limits {
    /// Changes fields in place and hands the limits on.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}

/// What `maintain` does with files that cannot be trusted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Offenders {
    /// Moves them to `quarantine/`, of which 16 files and 64 MiB are kept.
    #[default]
    Quarantine,
    /// Leaves them.
    Keep,
    /// Removes them.
    Remove,
}
