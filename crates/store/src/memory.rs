//! The store in memory, for tests. Nothing survives the process.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use tokio::sync::watch;

use crate::commit::check_append;
use crate::watch::Log;
use crate::{
    AppendError, Commit, Committed, DEFAULT_HISTORY_COMMITS, Key, Mutation, Revision, Snapshot, Store,
    StoreError, StoreFuture, StoreId, Watch, WatchError,
};

/// A store in memory. Its clones are handles to the same store.
#[derive(Clone)]
pub struct MemoryStore {
    shared: Arc<Shared>,
}

struct Shared {
    id: StoreId,
    state: Mutex<State>,
    signal: watch::Sender<()>,
}

struct State {
    head: Revision,
    entries: BTreeMap<Key, Bytes>,
    /// The last commits up to the head, at most `history` of them.
    log: VecDeque<Committed>,
    history: usize,
}

impl MemoryStore {
    /// Makes an empty store that keeps [`DEFAULT_HISTORY_COMMITS`].
    #[must_use]
    pub fn new() -> MemoryStore {
        MemoryStore::with_history(DEFAULT_HISTORY_COMMITS)
    }

    /// Makes an empty store that keeps the last `commits` for watches to resume from.
    #[must_use]
    pub fn with_history(commits: usize) -> MemoryStore {
        let state =
            State { head: Revision::EMPTY, entries: BTreeMap::new(), log: VecDeque::new(), history: commits };
        let signal = watch::Sender::new(());
        MemoryStore { shared: Arc::new(Shared { id: StoreId::random(), state: Mutex::new(state), signal }) }
    }

    fn append_now(&self, expected_head: Revision, commits: Vec<Commit>) -> Result<Revision, AppendError> {
        check_append(&commits)?;
        let mut state = self.shared.state();
        if state.head != expected_head {
            return Err(AppendError::Conflict { head: state.head });
        }
        for commit in commits {
            state.apply(commit);
        }
        self.shared.signal.send_replace(());
        Ok(state.head)
    }
}

impl Default for MemoryStore {
    fn default() -> MemoryStore {
        MemoryStore::new()
    }
}

impl Store for MemoryStore {
    fn id(&self) -> StoreId {
        self.shared.id
    }

    fn append_many(
        &self,
        expected_head: Revision,
        commits: Vec<Commit>,
    ) -> StoreFuture<'_, Result<Revision, AppendError>> {
        Box::pin(async move { self.append_now(expected_head, commits) })
    }

    fn snapshot(&self) -> StoreFuture<'_, Result<Snapshot, StoreError>> {
        Box::pin(async move {
            let state = self.shared.state();
            let entries = state.entries.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
            Ok(Snapshot { id: self.shared.id, revision: state.head, entries })
        })
    }

    fn watch(&self, from: Revision) -> StoreFuture<'_, Result<Watch, WatchError>> {
        Box::pin(Watch::start(self.shared.clone(), from))
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no code panics with the lock held")
    }
}

impl Log for Shared {
    fn read(&self, position: Revision) -> StoreFuture<'_, Result<Vec<Committed>, WatchError>> {
        Box::pin(async move { self.state().read(position) })
    }

    fn signal(&self) -> watch::Receiver<()> {
        self.signal.subscribe()
    }
}

impl State {
    fn apply(&mut self, commit: Commit) {
        for mutation in &commit.mutations {
            match mutation {
                Mutation::Put { key, value } => self.entries.insert(key.clone(), value.clone()),
                Mutation::Delete { key } => self.entries.remove(key),
            };
        }
        self.head = self.head.next();
        self.log.push_back(Committed { revision: self.head, commit: Arc::new(commit) });
        while self.log.len() > self.history {
            self.log.pop_front();
        }
    }

    fn read(&self, position: Revision) -> Result<Vec<Committed>, WatchError> {
        let oldest = self.head.rewound_by(self.log.len());
        if position > self.head {
            return Err(WatchError::Ahead { head: self.head });
        }
        if position < oldest {
            return Err(WatchError::Compacted { oldest });
        }
        let start = self.log.partition_point(|committed| committed.revision <= position);
        Ok(self.log.range(start..).cloned().collect())
    }
}
