//! The versions that a refresh may not fall below: those of the last one that came to its end.
//!
//! The library compares a snapshot with the one that was kept only while that one still fits the kept
//! timestamp. After a refresh that was refused half-way it does not, and the next try would be held
//! against nothing. So what was whole once is remembered here.

use sigstore_tuf::{Root, TrustedMetadataSet};

use super::{Shelf, TufError};

/// The roles after the root, in the order of [`super::Refreshed::versions`].
const ROLES: [&str; 3] = ["timestamp", "snapshot", "targets"];

/// What the last whole refresh ended with.
pub(super) struct Floor {
    versions: [u64; 4],
    /// The root of then, if it is still there.
    root: Option<Root>,
}

impl Floor {
    /// The floor of what is on a shelf; `pinned` is the root that clients start from.
    pub(super) fn of(shelf: &dyn Shelf, pinned: &[u8]) -> Option<Self> {
        let versions = super::stored(shelf).ok()??.versions;
        let kept = shelf.load(&format!("root_history/{}.root.json", versions[0]));
        let read = |bytes: &[u8]| Some(TrustedMetadataSet::from_root(bytes).ok()?.root().clone());
        let root = kept.as_deref().and_then(read).or_else(|| read(pinned));
        Some(Self { versions, root: root.filter(|root| root.version == versions[0]) })
    }

    /// Whether versions are not below it.
    ///
    /// # Errors
    /// [`TufError::Rollback`], unless the root has given timestamp or snapshot other keys since: so
    /// a repository recovers whose keys somebody else had (specification, 5.3.11).
    pub(super) fn hold(&self, versions: [u64; 4], root: &Root) -> Result<(), TufError> {
        if self.root.as_ref().is_some_and(|before| has_other_keys(before, root)) {
            return Ok(());
        }
        let pairs = self.versions.into_iter().zip(versions).skip(1);
        for ((known, found), role) in pairs.zip(ROLES) {
            if found < known {
                return Err(TufError::Rollback { role: role.to_owned(), known, found });
            }
        }
        Ok(())
    }
}

fn has_other_keys(before: &Root, after: &Root) -> bool {
    let keys = |root: &Root, role: &str| {
        let mut ids = root.role(role).map(|role| role.keyids.clone()).unwrap_or_default();
        ids.sort();
        ids
    };
    ["timestamp", "snapshot"].into_iter().any(|role| keys(before, role) != keys(after, role))
}
