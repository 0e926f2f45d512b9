//! The heads of late, so that an agent that was away for a moment is sent the difference.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};

use tokio::sync::watch;
use topology::scope::Difference;
use topology::{DatapathId, Revision, Topology};

use crate::manager::Head;
use crate::values::Values;

/// How many heads are remembered. They share their structure, so each costs what its commit changed.
pub(crate) const REMEMBERED: usize = 1024;

/// A head, and what its commit means to hosts, worked out once for all sessions.
#[derive(Debug)]
pub struct Entry {
    pub(crate) store_id: String,
    /// The revision that the commit starts from.
    pub(crate) base: Revision,
    pub(crate) topology: Topology,
    pub(crate) difference: Difference,
    pub(crate) concerned: BTreeSet<DatapathId>,
    pub(crate) awaited: Revision,
    /// What the commit puts, as it travels.
    pub(crate) values: Values,
}

/// The heads of late. The newest is to be watched.
#[derive(Debug)]
pub struct History {
    newest: watch::Sender<Arc<Entry>>,
    remembered: Mutex<VecDeque<Topology>>,
}

impl History {
    /// Remembers the first head.
    pub fn new(head: &Head) -> Self {
        let entry = Entry {
            store_id: head.store_id.clone(),
            base: head.topology.revision(),
            topology: head.topology.clone(),
            difference: Difference::new(&head.topology, &head.topology, &[]),
            concerned: BTreeSet::new(),
            awaited: head.awaited,
            values: Values::default(),
        };
        let remembered = Mutex::new(VecDeque::from([head.topology.clone()]));
        Self { newest: watch::Sender::new(Arc::new(entry)), remembered }
    }

    /// Takes a new head.
    pub fn push(&self, head: &Head) {
        let last = self.newest.borrow().clone();
        let same_store = last.store_id == head.store_id;
        let follows = same_store && head.before.revision() == last.topology.revision();
        let changes = if follows {
            head.changes.clone()
        } else {
            Arc::new(head.topology.changes_since(&last.topology))
        };
        let difference = Difference::new(&last.topology, &head.topology, &changes);
        self.remember(head.topology.clone(), same_store);
        self.newest.send_replace(Arc::new(Entry {
            store_id: head.store_id.clone(),
            base: last.topology.revision(),
            topology: head.topology.clone(),
            concerned: difference.concerned(),
            difference,
            awaited: head.awaited,
            values: Values::of(&changes),
        }));
    }

    fn remember(&self, topology: Topology, same_store: bool) {
        let mut remembered = self.remembered.lock().expect("no panic holds this lock");
        // Revisions of another store mean something else.
        if !same_store {
            remembered.clear();
        }
        remembered.truncate(REMEMBERED - 1);
        remembered.push_front(topology);
    }

    /// The newest head, to watch.
    pub fn watch(&self) -> watch::Receiver<Arc<Entry>> {
        self.newest.subscribe()
    }

    /// The topology at a revision of a store, if it is remembered.
    pub fn at(&self, store_id: &str, revision: Revision) -> Option<Topology> {
        if self.newest.borrow().store_id != store_id {
            return None;
        }
        let remembered = self.remembered.lock().expect("no panic holds this lock");
        remembered.iter().find(|topology| topology.revision() == revision).cloned()
    }
}
