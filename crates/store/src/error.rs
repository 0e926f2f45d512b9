//! What can go wrong, by what the caller can do about it.

use std::io;
use std::path::PathBuf;

use crate::chunked::KvError;
use crate::{InvalidCommit, Revision};

/// The store cannot do its work now.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The store's thread has ended.
    #[error("the store is closed")]
    Closed,
    /// What was read is not what a store writes.
    #[error("the store's data is damaged: {0}")]
    Damaged(&'static str),
    /// The file system cannot be used for a store.
    #[error("the file system is not supported: {0}")]
    Unsupported(&'static str),
    /// Others change the store faster than it can be read. Try again.
    #[error("the store changes faster than it can be read")]
    Contended,
    /// SQLite reports an error.
    #[error("the database failed")]
    Sqlite(#[source] rusqlite::Error),
    /// The key-value service reports an error.
    #[error("the key-value service failed")]
    Kv(#[source] KvError),
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> StoreError {
        StoreError::Sqlite(error)
    }
}

impl From<KvError> for StoreError {
    fn from(error: KvError) -> StoreError {
        StoreError::Kv(error)
    }
}

/// Why an append was not acknowledged. Except after [`Unknown`](Self::Unknown), nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// Someone else was first. Validate again on this head, and append again.
    #[error("the head is {head} and not the expected revision")]
    Conflict {
        /// The revision the store has.
        head: Revision,
    },
    /// A commit is one that no store takes.
    #[error("commit {index} of the group is invalid")]
    Invalid {
        /// Its position among the commits of the append.
        index: usize,
        /// Why it is refused.
        source: InvalidCommit,
    },
    /// There is no commit in the group, or more than [`MAX_APPEND_COMMITS`](crate::MAX_APPEND_COMMITS), or more than
    /// [`MAX_APPEND_BYTES`](crate::MAX_APPEND_BYTES).
    #[error("a group of {commits} commits and {bytes} bytes cannot be appended at once")]
    GroupSize {
        /// How many commits.
        commits: usize,
        /// What their keys and values take.
        bytes: usize,
    },
    /// No space is left. The store stays readable, and takes commits again when there is space.
    #[error("no space is left for the commit")]
    Full,
    /// The store failed while the commits became durable: they may be there now or after a restart, all or none.
    /// A watch tells.
    #[error("it is not known whether the commit was made")]
    Unknown(#[source] StoreError),
    /// The store cannot do its work now.
    #[error("the commit was not made")]
    Store(#[from] StoreError),
}

/// Why a watch cannot begin or go on.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// The commits after the wanted revision are no longer kept. Take a snapshot and watch from its revision.
    #[error("the history before revision {oldest} is no longer kept")]
    Compacted {
        /// The lowest revision from which the store can still be watched.
        oldest: Revision,
    },
    /// The reader was so slow that its next commit is no longer kept. Take a snapshot, as after
    /// [`Compacted`](Self::Compacted).
    #[error("the reader fell behind the history, which begins at revision {oldest}")]
    Lagged {
        /// The lowest revision from which the store can still be watched.
        oldest: Revision,
    },
    /// The wanted revision does not exist yet: it is of another store.
    #[error("the head {head} is before the wanted revision")]
    Ahead {
        /// The revision the store has.
        head: Revision,
    },
    /// The store cannot do its work now. A new watch can resume from the last revision seen.
    #[error("the commits cannot be read")]
    Store(#[from] StoreError),
}

/// Why a database file cannot be opened, copied or restored.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// Another process, or another store in this one, has the file open.
    #[error("{path} is in use by another process")]
    Locked {
        /// The database file.
        path: PathBuf,
    },
    /// The file is a database of something else.
    #[error("{path} is not a store")]
    NotAStore {
        /// The database file.
        path: PathBuf,
    },
    /// The file was written by another version, whose schema this one does not know.
    #[error("{path} has schema version {found}, and this program knows {known}")]
    SchemaVersion {
        /// The database file.
        path: PathBuf,
        /// The version in the file.
        found: i64,
        /// The version this program writes.
        known: i64,
    },
    /// Nothing is overwritten: neither by a backup nor by a restored store.
    #[error("{path} exists")]
    Exists {
        /// The file in the way.
        path: PathBuf,
    },
    /// The operating system reports an error.
    #[error("cannot access {path}")]
    Io {
        /// The file concerned.
        path: PathBuf,
        /// Its error.
        source: io::Error,
    },
    /// The database cannot be read or written.
    #[error("cannot use the database")]
    Store(#[from] StoreError),
}
