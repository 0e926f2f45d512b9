//! What one agent is sent next, given the newest head. Pure: `session` does the sending.
//!
//! # Bounded memory
//! A feed keeps one topology: the one that the agent's replica was last made equal to. However many commits an
//! agent misses while it reads slowly, the next update is the difference from there, at most its whole scope.
//!
//! # Commits that do not concern a host
//! Most commits concern few hosts. The others hear only that the revision has moved, and that not for each commit:
//! `session` asks for it now and then.

use topology::{Change, DatapathId, Revision, Topology, scope};

use crate::history::Entry;
use crate::values::Values;
use crate::wire::{Part, Put, cut};

/// What takes an agent's replica to a revision.
#[derive(Clone, Debug, PartialEq)]
pub struct Update {
    /// The revision it starts from; `None` for a snapshot.
    pub base: Option<Revision>,
    /// The revision it leads to.
    pub revision: Revision,
    /// The objects that change.
    pub changes: Vec<Change>,
    /// Whether somebody waits to hear that the host has them.
    pub is_awaited: bool,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// Send this at once.
    Send(Update),
    /// Nothing the agent needs has changed; its revision is behind.
    Behind,
    /// The agent has it all.
    Current,
    /// The datapath is gone, or the store is another one: the stream has nothing more to say.
    Over,
}

/// One agent's feed.
#[derive(Debug)]
pub struct Feed {
    host: DatapathId,
    store_id: String,
    /// The topology whose scope the replica equals; `None` before the first update of an agent that has nothing.
    seen: Option<Topology>,
    /// The revision the agent was last told; `None` before the first update of the stream.
    told: Option<Revision>,
}

impl Feed {
    /// A feed for a host that has the scope of `resumed` already.
    pub fn new(host: DatapathId, store_id: String, resumed: Option<Topology>) -> Self {
        Self { host, store_id, seen: resumed, told: None }
    }

    /// What the agent needs now that `head` is the newest.
    pub fn next(&mut self, head: &Entry) -> Next {
        if head.store_id != self.store_id || !head.topology.datapaths().contains_key(&self.host) {
            return Next::Over;
        }
        let after = &head.topology;
        let Some(before) = self.seen.replace(after.clone()) else {
            let objects = scope::snapshot(after, &self.host);
            return self.send(None, objects.into_iter().map(Change::Put).collect(), true);
        };
        let changes = self.changes(&before, head);
        let is_awaited = before.revision() < head.awaited;
        match self.told {
            // The first update of a stream is sent even if it is empty: it says that the replica is current.
            None => self.send(Some(before.revision()), changes, is_awaited),
            Some(told) if !changes.is_empty() => self.send(Some(told), changes, is_awaited),
            Some(told) if told == after.revision() => Next::Current,
            Some(_) => Next::Behind,
        }
    }

    /// Tells the agent the revision it is at, if it does not know.
    pub fn catch_up(&mut self) -> Option<Update> {
        let revision = self.seen.as_ref()?.revision();
        let base = self.told.filter(|told| *told != revision)?;
        self.told = Some(revision);
        Some(Update { base: Some(base), revision, changes: Vec::new(), is_awaited: false })
    }

    fn changes(&self, before: &Topology, head: &Entry) -> Vec<Change> {
        if before.revision() == head.topology.revision() {
            return Vec::new();
        }
        if before.revision() != head.base {
            let changes = head.topology.changes_since(before);
            return scope::delta(before, &head.topology, &changes, &self.host);
        }
        if head.concerned.contains(&self.host) { head.difference.of(&self.host) } else { Vec::new() }
    }

    fn send(&mut self, base: Option<Revision>, changes: Vec<Change>, is_awaited: bool) -> Next {
        let revision = self.seen.as_ref().map(Topology::revision).unwrap_or_default();
        self.told = Some(revision);
        Next::Send(Update { base, revision, changes, is_awaited })
    }
}

impl Update {
    /// The messages that carry it. Objects are encoded as their message is taken, not before, unless another agent has
    /// been sent the same value.
    pub fn into_parts(self, values: &Values) -> impl Iterator<Item = Part> {
        enum Item {
            Put(Put),
            Delete(String),
        }
        let (base, revision, awaited) = (self.base.map(|base| base.0), self.revision.0, self.is_awaited);
        let items = self.changes.into_iter().map(|change| match change {
            Change::Put(object) => Item::Put(values.put(&object)),
            Change::Delete(reference) => Item::Delete(reference.to_string()),
        });
        let size = |item: &Item| match item {
            Item::Put(put) => put.reference.len() + put.value.len(),
            Item::Delete(reference) => reference.len(),
        };
        cut(items, size).map(move |(run, last)| {
            let mut part = Part { base, revision, last, awaited, ..Part::default() };
            for item in run {
                match item {
                    Item::Put(put) => part.puts.push(put),
                    Item::Delete(reference) => part.deletes.push(reference),
                }
            }
            part
        })
    }
}
