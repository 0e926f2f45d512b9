//! Live state of hosts: what changes all the time and never enters the store.
//!
//! Who is connected since when, which revision each host has realized, and which ports it shows. A manager that
//! restarts hears all of it again from the agents.

use std::collections::BTreeMap;
use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};

use jiff::Timestamp;
use sync::Head;
use tokio::sync::watch;
use topology::binding::{PortReport, Reported, SeenPorts};
use topology::{Change, DatapathId, ObjectRef, Revision, Topology};

/// What one host's agent was last heard to say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Live {
    /// The newest connection, if there is one.
    pub connection: Option<Connection>,
    /// When the agent was last heard of.
    pub last_seen: Option<Timestamp>,
    /// The revision that the host's switch is known to have.
    pub realized: Revision,
}

/// An agent's connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Tells it from earlier and later ones of the same host.
    pub session: u64,
    /// When it began.
    pub since: Timestamp,
}

/// Live state of all hosts.
#[derive(Default)]
pub struct Hosts {
    state: RwLock<State>,
    progress: watch::Sender<()>,
}

/// See [`Hosts::read`].
#[derive(Default)]
pub struct State {
    live: BTreeMap<DatapathId, Live>,
    /// Shared with whoever works with it, and copied if a report comes meanwhile: nobody holds the lock for long.
    seen: Arc<SeenPorts>,
}

impl State {
    /// What a host was last heard to say.
    pub fn live(&self, datapath: &DatapathId) -> Live {
        self.live.get(datapath).cloned().unwrap_or_default()
    }

    /// Whether a host's agent is connected.
    pub fn is_connected(&self, datapath: &DatapathId) -> bool {
        self.live.get(datapath).is_some_and(|live| live.connection.is_some())
    }

    /// The revision that a host is known to have realized; zero if it never said.
    pub fn realized(&self, datapath: &DatapathId) -> Revision {
        self.live.get(datapath).map(|live| live.realized).unwrap_or_default()
    }

    /// The ports that hosts show.
    pub fn seen(&self) -> Arc<SeenPorts> {
        self.seen.clone()
    }
}

impl Hosts {
    /// Looks at the state. The guard must not be held across an `.await`.
    pub fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().expect("no code panics with the lock held")
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().expect("no code panics with the lock held")
    }

    /// Sees a change whenever a host has realized a revision.
    pub fn progress(&self) -> watch::Receiver<()> {
        self.progress.subscribe()
    }

    /// A host's agent has connected. An older connection of the same host no longer counts.
    pub fn connected(&self, datapath: DatapathId, session: u64, now: Timestamp) {
        let mut state = self.write();
        let live = state.live.entry(datapath).or_default();
        live.connection = Some(Connection { session, since: now });
        live.last_seen = Some(now);
    }

    /// A connection has ended. What the host said stays true until it says otherwise: it goes on forwarding.
    pub fn disconnected(&self, datapath: &DatapathId, session: u64, topology: &Topology, now: Timestamp) {
        let mut state = self.write();
        let Some(live) = state.live.get_mut(datapath) else { return };
        if live.connection.as_ref().is_some_and(|connection| connection.session == session) {
            live.connection = None;
            live.last_seen = Some(now);
        }
        drop(state);
        // While it was connected it was kept, though its datapath may have been deleted.
        if !topology.datapaths().contains_key(datapath) {
            self.forget_deleted(topology);
        }
    }

    /// Takes in what a host says of its ports, and says what that changes.
    pub fn report(&self, datapath: &DatapathId, report: PortReport, now: Timestamp) -> Reported {
        let mut state = self.write();
        state.live.entry(datapath.clone()).or_default().last_seen = Some(now);
        Arc::make_mut(&mut state.seen).report(datapath.clone(), report)
    }

    /// A host has realized a revision. One beyond `head` is of another history and says nothing.
    pub fn realized(&self, datapath: &DatapathId, revision: Revision, head: Revision, now: Timestamp) {
        let mut state = self.write();
        let live = state.live.entry(datapath.clone()).or_default();
        live.last_seen = Some(now);
        if revision <= head {
            live.realized = revision;
            drop(state);
            self.progress.send_replace(());
        }
    }

    /// Forgets the hosts that a head, which has just been published, has no more.
    pub fn follow(&self, head: &Head) {
        let is_fresh = head.before.revision() == head.topology.revision();
        let deletes = |change: &Change| matches!(change, Change::Delete(ObjectRef::Datapath(_)));
        if is_fresh || head.changes.iter().any(deletes) {
            self.forget_deleted(&head.topology);
        }
    }

    /// Forgets the hosts that a topology does not have, so that hosts that come and go do not fill the memory.
    ///
    /// Not those that are connected: a datapath may be deleted and made again before its stream ends, and the agent, which
    /// has said all its ports on it, says only what changes.
    fn forget_deleted(&self, topology: &Topology) {
        let exists = |datapath: &DatapathId| topology.datapaths().contains_key(datapath);
        let mut state = self.write();
        state.live.retain(|datapath, live| live.connection.is_some() || exists(datapath));
        let stays = |datapath: &DatapathId| state.is_connected(datapath) || exists(datapath);
        let gone: Vec<_> = state.seen.hosts().filter(|datapath| !stays(datapath)).cloned().collect();
        gone.iter().for_each(|datapath| Arc::make_mut(&mut state.seen).forget(datapath));
        drop(state);
        self.progress.send_replace(());
    }
}
