//! The store on a key-value service whose transactions are small, as etcd's are.
//!
//! # A commit becomes real by one compare-and-swap
//! A group of commits is encoded and cut into chunks, which are written first, under the head they build on and a random
//! attempt. Nobody looks at them. Then one transaction, on the condition that the head is still the same, writes the
//! last chunk, a manifest that names the attempt, and the new head. A small commit is that one transaction.
//!
//! # What a crash leaves
//! The chunks of an attempt that was not finished are never looked at. They lie under a head that has passed or soon
//! will, and are removed together with the history of that time: a range of keys, without asking whose they are.
//!
//! # Entries follow the log
//! The entries are a copy of the log's effect, brought up to date after each append, in as many transactions as it
//! takes. Each of them holds only while `applied` is what it started from, so that a slow writer cannot put an old
//! value over a newer one. A snapshot reads the entries page by page and then applies the log from what `applied` was
//! at the beginning: what a page saw too early is corrected, and what it saw already comes out the same.
//!
//! The keys and records are in `layout`, the log in `log`, the entries in `entries`.

mod entries;
mod fake;
mod kv;
mod layout;
mod log;

use std::sync::Arc;

use tokio::sync::watch;

use crate::commit::check_append;
use crate::watch::Log;
use crate::{
    AppendError, Commit, Committed, DEFAULT_HISTORY_COMMITS, Revision, Snapshot, Store, StoreError,
    StoreFuture, StoreId, Watch, WatchError,
};
pub use fake::FakeEtcd;
pub use kv::{
    Compare, Kv, KvError, MAX_REQUEST_BYTES, MAX_TXN_OPS, OP_OVERHEAD_BYTES, Op, Order, Outcome, Range,
};
use layout::Head;

/// A store on a key-value service, shared with every other store opened on the same service.
pub struct ChunkedStore<K> {
    shared: Arc<Shared<K>>,
}

struct Shared<K> {
    id: StoreId,
    kv: K,
    history_commits: usize,
}

impl<K: Kv> ChunkedStore<K> {
    /// Opens the store on `kv`, and makes it if there is none. It keeps [`DEFAULT_HISTORY_COMMITS`].
    ///
    /// # Errors
    /// [`StoreError`], if the service fails or holds something else.
    pub async fn open(kv: K) -> Result<ChunkedStore<K>, StoreError> {
        ChunkedStore::open_with_history(kv, DEFAULT_HISTORY_COMMITS).await
    }

    /// Opens the store on `kv`, and makes it if there is none. At least the last `commits` are kept for watches to resume
    /// from; history is dropped in large pieces, once there is twice as much.
    ///
    /// # Errors
    /// [`StoreError`], if the service fails or holds something else.
    pub async fn open_with_history(kv: K, commits: usize) -> Result<ChunkedStore<K>, StoreError> {
        let fresh = Head { id: StoreId::random(), revision: Revision::EMPTY };
        let absent = Compare { key: layout::HEAD.into(), value: None };
        let made =
            kv.txn(vec![absent], vec![Op::Put { key: layout::HEAD.into(), value: fresh.encode() }]).await?;
        let head = match made {
            Outcome::Done => fresh,
            Outcome::Refused => log::head(&kv).await?,
        };
        Ok(ChunkedStore { shared: Arc::new(Shared { id: head.id, kv, history_commits: commits.max(1) }) })
    }
}

impl<K: Kv> Store for ChunkedStore<K> {
    fn id(&self) -> StoreId {
        self.shared.id
    }

    fn append_many(
        &self,
        expected_head: Revision,
        commits: Vec<Commit>,
    ) -> StoreFuture<'_, Result<Revision, AppendError>> {
        Box::pin(async move {
            check_append(&commits)?;
            let Shared { id, kv, history_commits } = &*self.shared;
            let last = log::append(kv, Head { id: *id, revision: expected_head }, &commits).await?;
            // The commits are real. What fails here is made up for after the next append, and a snapshot does not need it.
            if entries::apply_log(kv).await.is_ok() {
                let _ = log::trim(kv, *history_commits).await;
            }
            Ok(last)
        })
    }

    fn snapshot(&self) -> StoreFuture<'_, Result<Snapshot, StoreError>> {
        Box::pin(async move {
            let (revision, entries) = entries::snapshot(&self.shared.kv).await?;
            Ok(Snapshot { id: self.shared.id, revision, entries })
        })
    }

    fn watch(&self, from: Revision) -> StoreFuture<'_, Result<Watch, WatchError>> {
        Box::pin(Watch::start(self.shared.clone(), from))
    }
}

impl<K: Kv> Log for Shared<K> {
    fn read(&self, position: Revision) -> StoreFuture<'_, Result<Vec<Committed>, WatchError>> {
        Box::pin(log::read(&self.kv, position))
    }

    fn signal(&self) -> watch::Receiver<()> {
        self.kv.observe(layout::HEAD)
    }
}
