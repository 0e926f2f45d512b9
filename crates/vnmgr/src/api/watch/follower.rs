//! Followers: a watcher's place in the history of commits, which is the store's own log.
//!
//! # The writer waits for one of them at most
//! A store does one thing at a time, and what watchers read comes in between what the writer appends. Followers take turns,
//! so that however many there are, an append waits for one read; and a follower that has waited for its turn finds all that
//! came meanwhile.
//!
//! # Nothing that is not published
//! A commit is in the log a moment before the head has it. A follower waits for the head, so that whoever has heard of a
//! commit finds it by every other request, too.

use std::sync::Arc;

use store::{Committed, Store, StoreError, Watch, WatchError};
use sync::Head;
use tokio::sync::Semaphore;
use topology::Revision;

use crate::state::HeadReceiver;

/// A place in the history of commits.
pub(super) struct Follower {
    watch: Watch,
    head: HeadReceiver,
    turns: Arc<Semaphore>,
}

impl Follower {
    /// Begins after a revision.
    ///
    /// # Errors
    /// The store does not keep what came after it, or has not come so far.
    pub(super) async fn start(
        log: &dyn Store,
        head: HeadReceiver,
        turns: Arc<Semaphore>,
        from: Revision,
    ) -> Result<Self, WatchError> {
        let watch = {
            let _turn = turns.acquire().await.map_err(|_| StoreError::Closed)?;
            log.watch(store::Revision(from.0)).await?
        };
        Ok(Self { watch, head, turns })
    }

    /// The last revision that was given out, or after which it began.
    pub(super) fn position(&self) -> Revision {
        Revision(self.watch.position().0)
    }

    /// Waits for the next commit, and gives it with a head that has it. May be cancelled and called again: no commit is
    /// lost.
    ///
    /// # Errors
    /// The store no longer keeps it, or cannot be read.
    pub(super) async fn next(&mut self) -> Result<(Committed, Arc<Head>), WatchError> {
        let position = self.position();
        let newer = self.head.wait_for(|head| head.topology.revision() > position).await;
        let head = newer.map_err(|_| StoreError::Closed)?.clone();
        let _turn = match self.watch.is_ready() {
            true => None,
            false => Some(self.turns.acquire().await.map_err(|_| StoreError::Closed)?),
        };
        // It is in the log, so that the turn is over at once.
        let committed = self.watch.next().await?;
        Ok((committed, head))
    }
}
