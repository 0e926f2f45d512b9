//! The store, with faults on demand, and the truth about what it has ever held.

use std::sync::{Arc, Mutex, MutexGuard};

use futures::FutureExt;
use store::{
    AppendError, Commit, MemoryStore, Mutation, Snapshot, Store, StoreError, StoreFuture, StoreId, Watch,
    WatchError,
};
use topology::{Change, Object, ObjectRef, Revision, Topology};

/// What goes wrong with the next append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing is written.
    Full,
    /// It is written, and the writer is not told.
    Made,
    /// It is not written, and the writer is not told that either.
    Lost,
}

/// A store. Clones are handles to the same one.
#[derive(Clone)]
pub(crate) struct Database {
    id: StoreId,
    inner: MemoryStore,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    fault: Option<Fault>,
    commits: Vec<Commit>,
    /// The topology at each revision from one on.
    truth: Vec<Topology>,
}

impl Database {
    /// An empty store, the `generation`th of this world.
    pub(crate) fn new(generation: u128) -> Self {
        let id = StoreId::from_bytes(generation.to_be_bytes());
        Self { id, inner: MemoryStore::new(), state: Arc::default() }
    }

    /// What a backup of an earlier revision gives: another store, with the same beginning.
    pub(crate) fn restored(&self, generation: u128, revision: Revision) -> Self {
        let restored = Self::new(generation);
        let kept = usize::try_from(revision.0).expect("histories are short");
        let commits: Vec<_> = self.state().commits.iter().take(kept).cloned().collect();
        if !commits.is_empty() {
            restored.append_now(store::Revision::EMPTY, commits).expect("the first of a new store");
        }
        restored
    }

    pub(crate) fn break_next(&self, fault: Option<Fault>) {
        self.state().fault = fault;
    }

    pub(crate) fn head(&self) -> Revision {
        Revision(u64::try_from(self.state().commits.len()).expect("histories are short"))
    }

    /// The topology at a revision, if there was one.
    pub(crate) fn at(&self, revision: Revision) -> Option<Topology> {
        let Some(index) = revision.0.checked_sub(1) else { return Some(Topology::default()) };
        self.state().truth.get(usize::try_from(index).ok()?).cloned()
    }

    /// The commit that made a revision.
    pub(crate) fn commit(&self, revision: Revision) -> Option<Commit> {
        self.state().commits.get(usize::try_from(revision.0.checked_sub(1)?).ok()?).cloned()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no code panics with the lock held")
    }

    fn append_now(
        &self,
        expected_head: store::Revision,
        commits: Vec<Commit>,
    ) -> Result<store::Revision, AppendError> {
        let fault = self.state().fault.take();
        match fault {
            Some(Fault::Full) => return Err(AppendError::Full),
            Some(Fault::Lost) => return Err(AppendError::Unknown(StoreError::Closed)),
            Some(Fault::Made) | None => {}
        }
        let append = self.inner.append_many(expected_head, commits.clone());
        let revision = append.now_or_never().expect("memory does not wait")?;
        self.state().record(commits);
        match fault {
            Some(_) => Err(AppendError::Unknown(StoreError::Closed)),
            None => Ok(revision),
        }
    }
}

impl State {
    fn record(&mut self, commits: Vec<Commit>) {
        for commit in commits {
            let mut topology = self.truth.last().cloned().unwrap_or_default();
            let changes: Vec<_> = commit.mutations.iter().map(change).collect();
            topology.commit(topology.revision().next(), &changes);
            self.truth.push(topology);
            self.commits.push(commit);
        }
    }
}

fn change(mutation: &Mutation) -> Change {
    let reference: ObjectRef = mutation.key().as_str().parse().expect("keys are references");
    match mutation.value() {
        Some(value) => Change::Put(Object::decode(&reference, value).expect("managers write objects")),
        None => Change::Delete(reference),
    }
}

impl Store for Database {
    fn id(&self) -> StoreId {
        self.id
    }

    fn append_many(
        &self,
        expected_head: store::Revision,
        commits: Vec<Commit>,
    ) -> StoreFuture<'_, Result<store::Revision, AppendError>> {
        Box::pin(async move { self.append_now(expected_head, commits) })
    }

    fn snapshot(&self) -> StoreFuture<'_, Result<Snapshot, StoreError>> {
        Box::pin(async move { Ok(Snapshot { id: self.id, ..self.inner.snapshot().await? }) })
    }

    fn watch(&self, from: store::Revision) -> StoreFuture<'_, Result<Watch, WatchError>> {
        self.inner.watch(from)
    }
}
