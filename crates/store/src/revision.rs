//! Where a store is in its history, and which history that is.

use std::fmt;

/// The number of a commit in a store's history. Zero is the empty store; each commit is one more than the last.
///
/// Revisions of different [`StoreId`]s cannot be compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub u64);

impl Revision {
    /// The revision of a store without any commit.
    pub const EMPTY: Revision = Revision(0);

    /// The revision of the commit that follows.
    #[must_use]
    pub fn next(self) -> Revision {
        self.advanced_by(1)
    }

    /// The revision `commits` later.
    #[must_use]
    pub fn advanced_by(self, commits: usize) -> Revision {
        // A million commits a second would take half a million years to get to the end of a u64.
        Revision(self.0.saturating_add(u64::try_from(commits).unwrap_or(u64::MAX)))
    }

    /// The revision `commits` earlier, or the empty store if there were fewer.
    #[must_use]
    pub fn rewound_by(self, commits: usize) -> Revision {
        Revision(self.0.saturating_sub(u64::try_from(commits).unwrap_or(u64::MAX)))
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The random identity of a history, drawn when a store is made and again when it is restored from a backup.
///
/// A restored store may give out revisions that its readers have already seen with other content. Whoever resumes
/// from a revision therefore remembers the identity too, and starts over when it differs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StoreId([u8; StoreId::BYTES]);

impl StoreId {
    /// The length of an identity.
    pub const BYTES: usize = 16;

    /// Draws a new identity.
    #[must_use]
    pub fn random() -> StoreId {
        StoreId(rand::random())
    }

    /// The identity that [`as_bytes`](Self::as_bytes) gave.
    #[must_use]
    pub fn from_bytes(bytes: [u8; Self::BYTES]) -> StoreId {
        StoreId(bytes)
    }

    /// The identity as bytes, for a file or the wire.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }
}

impl fmt::Display for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoreId({self})")
    }
}
