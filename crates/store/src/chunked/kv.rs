//! The key-value service a chunked store needs: what etcd offers, and no more.

use bytes::Bytes;
use tokio::sync::watch;

use crate::StoreFuture;

/// The most operations in a transaction, and the most comparisons: etcd's `--max-txn-ops`.
pub const MAX_TXN_OPS: usize = 128;

/// The largest request, in bytes: etcd's `--max-request-bytes`, 1.5 MiB.
pub const MAX_REQUEST_BYTES: usize = 3 << 19;

/// What an operation takes in a request besides its keys and values. Generous: etcd's protobuf framing needs less.
pub const OP_OVERHEAD_BYTES: usize = 32;

/// A condition of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compare {
    /// The key that is looked at.
    pub key: String,
    /// The value it must have; `None` if it must not exist.
    pub value: Option<Bytes>,
}

/// A write of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Gives a key a value.
    Put {
        /// The key. A transaction may write it only once.
        key: String,
        /// Its value from now on.
        value: Bytes,
    },
    /// Removes a key, if it exists.
    Delete {
        /// The key. A transaction may write it only once.
        key: String,
    },
    /// Removes every key in a range.
    DeleteRange {
        /// The first key of the range.
        start: String,
        /// The first key after the range.
        end: String,
    },
}

impl Op {
    /// What the operation takes in a request.
    #[must_use]
    pub fn bytes(&self) -> usize {
        OP_OVERHEAD_BYTES
            + match self {
                Op::Put { key, value } => key.len() + value.len(),
                Op::Delete { key } => key.len(),
                Op::DeleteRange { start, end } => start.len() + end.len(),
            }
    }
}

/// Which end of a range is wanted first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The lowest key first.
    Ascending,
    /// The highest key first.
    Descending,
}

/// A read of some keys of a range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    /// The first key of the range.
    pub start: String,
    /// The first key after the range.
    pub end: String,
    /// Which keys come first, and are within the limit.
    pub order: Order,
    /// How many keys are wanted.
    pub limit: usize,
}

/// The outcome of a transaction that was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Outcome {
    /// All conditions held, and all operations were done.
    Done,
    /// A condition did not hold, and nothing was done.
    Refused,
}

/// Why the service did not do as asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KvError {
    /// The service cannot be reached; whether it did the transaction is not known.
    #[error("the service is unavailable")]
    Unavailable,
    /// The service has no space left, and did nothing.
    #[error("the service has no space left")]
    Full,
    /// The request is not within the limits of the service: a bug of the caller.
    #[error("the request is beyond the limits of the service: {0}")]
    Limit(&'static str),
}

/// A key-value service with transactions. Keys order by their bytes. Reads see all transactions answered before.
pub trait Kv: Send + Sync + 'static {
    /// Does all of `ops` if all of `compares` hold, else nothing.
    ///
    /// # Errors
    /// See [`KvError`].
    fn txn(&self, compares: Vec<Compare>, ops: Vec<Op>) -> StoreFuture<'_, Result<Outcome, KvError>>;

    /// The value of a key, if it exists.
    ///
    /// # Errors
    /// See [`KvError`].
    fn get<'a>(&'a self, key: &'a str) -> StoreFuture<'a, Result<Option<Bytes>, KvError>>;

    /// The first keys of a range, with their values.
    ///
    /// # Errors
    /// See [`KvError`].
    fn range(&self, range: Range) -> StoreFuture<'_, Result<Vec<(String, Bytes)>, KvError>>;

    /// A receiver that sees a change after every write to `key` from now on, whoever writes.
    fn observe(&self, key: &str) -> watch::Receiver<()>;
}
