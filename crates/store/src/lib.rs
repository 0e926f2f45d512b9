//! The revisioned store: a log of atomic commits over keys and values.
//!
//! It knows nothing of what the values mean. The history of a store is a sequence of commits; each is atomic over any
//! number of entries and gets the next [`Revision`]. That sequence is the whole truth: readers take a [`Snapshot`] and
//! then [`Watch`] what follows.
//!
//! # One writer wins
//! An append names the head it was decided on, and fails with [`AppendError::Conflict`] if there is another by now. This
//! alone makes several writers correct. That only one of them should try, for speed, is agreed upon elsewhere.
//!
//! # Group commit
//! Durability costs a write to the disk, whether for one commit or for fifty. [`Store::append_many`] takes all commits
//! that wait at a moment, in order, and makes them durable at once; each keeps a revision of its own.
//!
//! # Backends
//! - [`SqliteStore`]: a file on one machine, durable against crashes and power loss. Completed by the [`sqlite`] module.
//! - [`MemoryStore`]: for tests.
//! - [`ChunkedStore`]: on a key-value service with small transactions, as etcd is. Its service is so far the in-memory
//!   [`FakeEtcd`](chunked::FakeEtcd) with etcd's limits. Completed by the [`chunked`] module.
//!
//! All behave alike: `tests/conformance` is their contract.

pub mod chunked;
mod codec;
mod commit;
mod error;
mod key;
mod memory;
mod revision;
pub mod sqlite;
mod watch;

use std::pin::Pin;

use bytes::Bytes;

pub use chunked::ChunkedStore;
pub use commit::{
    Commit, Committed, InvalidCommit, MAX_APPEND_BYTES, MAX_APPEND_COMMITS, MAX_COMMIT_MUTATIONS,
    MAX_VALUE_BYTES, Mutation,
};
pub use error::{AppendError, FileError, StoreError, WatchError};
pub use key::{InvalidKey, Key, MAX_KEY_BYTES};
pub use memory::MemoryStore;
pub use revision::{Revision, StoreId};
pub use sqlite::SqliteStore;
pub use watch::Watch;

/// How many commits a store keeps for watches to resume from, unless told otherwise. At ten changes a second, an agent
/// or a manager can be away for a quarter of an hour and resume without a snapshot.
pub const DEFAULT_HISTORY_COMMITS: usize = 10_000;

/// A future that a [`Store`] returns; boxed, so that the trait can be used as `dyn Store`.
pub type StoreFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// All entries at one revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The history the revision belongs to.
    pub id: StoreId,
    /// The revision of the last commit in the snapshot.
    pub revision: Revision,
    /// The entries, ordered by key.
    pub entries: Vec<(Key, Bytes)>,
}

/// A store. Used as `Arc<dyn Store>`.
pub trait Store: Send + Sync + 'static {
    /// Which history this is. Constant for as long as the store is open.
    fn id(&self) -> StoreId;

    /// Appends `commits` in order, each with the next revision, in one durable write: when this returns, all of them
    /// survive a crash. Gives the revision of the last.
    ///
    /// All or none of the group becomes real. To drop the future does not take an append back.
    ///
    /// # Errors
    /// See [`AppendError`]. After [`AppendError::Unknown`] the commits may be there; otherwise none is.
    fn append_many(
        &self,
        expected_head: Revision,
        commits: Vec<Commit>,
    ) -> StoreFuture<'_, Result<Revision, AppendError>>;

    /// Appends one commit and gives its revision: [`append_many`](Self::append_many) for one.
    ///
    /// # Errors
    /// As for [`append_many`](Self::append_many).
    fn append(
        &self,
        expected_head: Revision,
        commit: Commit,
    ) -> StoreFuture<'_, Result<Revision, AppendError>> {
        self.append_many(expected_head, vec![commit])
    }

    /// All entries, at the head.
    ///
    /// # Errors
    /// [`StoreError`], if they cannot be read.
    fn snapshot(&self) -> StoreFuture<'_, Result<Snapshot, StoreError>>;

    /// Every commit with a revision after `from`, in order and without a gap, then the new ones as they are made.
    ///
    /// # Errors
    /// [`WatchError::Compacted`] if the history after `from` is no longer kept, [`WatchError::Ahead`] if `from` is after
    /// the head.
    fn watch(&self, from: Revision) -> StoreFuture<'_, Result<Watch, WatchError>>;
}
