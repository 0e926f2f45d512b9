//! Watches: every commit after a revision, in order, without a gap, then the new ones as they are made.
//!
//! # A watch pulls
//! It holds a position and reads the backend's log from there whenever a signal says that there may be more. Nothing
//! is queued for a reader, so a slow one costs nobody memory, and one that stops costs nothing at all. How slow a
//! reader may be is how long the backend keeps history; beyond it the reader is told ([`WatchError::Lagged`]). History
//! and live commits come by the same path, so there is no seam between them where a commit could be lost.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::watch;

use crate::{Committed, Revision, StoreError, StoreFuture, WatchError};

/// What a backend keeps of its history.
pub(crate) trait Log: Send + Sync {
    /// Some of the commits after `position`, in order and without a gap; none if `position` is the head.
    ///
    /// Fails with [`WatchError::Compacted`] or [`WatchError::Ahead`] if `position` is outside of the history.
    fn read(&self, position: Revision) -> StoreFuture<'_, Result<Vec<Committed>, WatchError>>;

    /// A receiver that sees a change with or after every commit made from now on.
    fn signal(&self) -> watch::Receiver<()>;
}

/// A reader's place in the history of a store, from [`Store::watch`](crate::Store::watch).
///
/// It keeps the store open: the resources of a store are released with the last of its handles and watches.
pub struct Watch {
    position: Revision,
    ready: VecDeque<Committed>,
    signal: watch::Receiver<()>,
    log: Arc<dyn Log>,
}

impl Watch {
    /// Starts after `from`. Reads at once, so that a revision outside of the history is refused here.
    pub(crate) async fn start(log: Arc<dyn Log>, from: Revision) -> Result<Watch, WatchError> {
        // The signal is taken before the first read: a commit between the two is then seen twice, and not missed.
        let signal = log.signal();
        let ready = log.read(from).await?.into();
        Ok(Watch { position: from, ready, signal, log })
    }

    /// The revision of the last commit given out: where a new watch resumes.
    #[must_use]
    pub fn position(&self) -> Revision {
        self.position
    }

    /// Whether the next commit is at hand, so that [`next`](Self::next) need not ask the store for it.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Waits for the next commit. May be cancelled and called again: no commit is lost.
    ///
    /// # Errors
    /// [`WatchError::Lagged`] when the reader was slower than the history is long; [`WatchError::Store`] when the
    /// store fails.
    pub async fn next(&mut self) -> Result<Committed, WatchError> {
        while self.ready.is_empty() {
            self.ready = self.log.read(self.position).await.map_err(after_start)?.into();
            if self.ready.is_empty() {
                self.signal.changed().await.map_err(|_| StoreError::Closed)?;
            }
        }
        match self.ready.pop_front() {
            Some(committed) if committed.revision == self.position.next() => {
                self.position = committed.revision;
                Ok(committed)
            }
            _ => Err(StoreError::Damaged("a commit is missing from the history").into()),
        }
    }
}

fn after_start(error: WatchError) -> WatchError {
    match error {
        WatchError::Compacted { oldest } => WatchError::Lagged { oldest },
        other => other,
    }
}
