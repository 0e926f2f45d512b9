//! Commands that change tables, groups and meters.

use crate::{Bucket, BucketId, Cookie, Flow, Group, GroupId, Match, Meter, MeterId, OfPort, TableId};

/// What a flow-mod does (OpenFlow 1.5.1, section 7.3.4.2).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum FlowMod {
    /// Adds a flow, or replaces the one with the same table, priority and match.
    Add(Flow),
    /// Changes the instructions of the flows that a selection finds.
    Modify {
        /// Which flows.
        selection: FlowSelection,
        /// Table, match, priority (if strict), new instructions and the rest.
        flow: Flow,
        /// Whether only a flow of exactly this match and priority is meant.
        strict: Strictness,
    },
    /// Deletes the flows that a selection finds.
    Delete(FlowSelection),
    /// Deletes the flow of exactly this table, priority and match.
    DeleteStrict {
        /// Which flow.
        selection: FlowSelection,
        /// Its priority.
        priority: u16,
    },
}

/// Whether a match finds the flows that are as narrow or narrower, or only the one that is equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Strictness {
    /// As narrow or narrower.
    Loose,
    /// Equal match and priority.
    Strict,
}

/// Which flows a request is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FlowSelection {
    /// Table, [`TableId::ALL`] for all.
    pub table: TableId,
    /// Bits the cookie has to have.
    pub cookie: Cookie,
    /// Which bits of the cookie count.
    pub cookie_mask: u64,
    /// Only flows that output to this port; [`OfPort::ANY`] for all.
    pub out_port: OfPort,
    /// Only flows that use this group; [`GroupId::ANY`] for all.
    pub out_group: GroupId,
    /// Flows that match this, or more narrowly.
    pub matching: Match,
}

impl Default for FlowSelection {
    /// All flows of all tables.
    fn default() -> Self {
        Self {
            table: TableId::ALL,
            cookie: Cookie(0),
            cookie_mask: 0,
            out_port: OfPort::ANY,
            out_group: GroupId::ANY,
            matching: Match::new(),
        }
    }
}

impl FlowSelection {
    /// The flows of one table that match this, or more narrowly.
    pub fn within(table: TableId, matching: Match) -> Self {
        Self { table, matching, ..Self::default() }
    }
}

impl FlowMod {
    /// Deletes the flow of the same table, priority and match.
    pub fn delete_exactly(flow: &Flow) -> Self {
        let selection = FlowSelection::within(flow.table, flow.matching.clone());
        Self::DeleteStrict { selection, priority: flow.priority }
    }
}

/// What a group-mod does (OpenFlow 1.5.1, section 7.3.4.3).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum GroupMod {
    /// Adds a group.
    Add(Group),
    /// Replaces a group.
    Modify(Group),
    /// Adds a group, or replaces it if there is one (Open vSwitch, `OFPGC_ADD_OR_MOD`).
    AddOrModify(Group),
    /// Deletes a group, [`GroupId::ALL`] for all, and the flows that use it.
    Delete(GroupId),
    /// Adds buckets to a group.
    InsertBuckets {
        /// The group. It says its type again, and its selection method if it has one.
        group: Group,
        /// Where to.
        place: BucketPlace,
    },
    /// Removes a bucket.
    RemoveBucket {
        /// The group.
        group: GroupId,
        /// Which.
        place: BucketPlace,
    },
}

/// A place among a group's buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BucketPlace {
    /// Before all others; the first.
    First,
    /// After all others; the last.
    Last,
    /// After this one; this one.
    At(BucketId),
    /// All of them, when removing.
    All,
}

impl GroupMod {
    /// Adds one bucket at the end.
    pub fn append(group: &Group, bucket: Bucket) -> Self {
        let group = Group { buckets: vec![bucket], ..group.clone() };
        Self::InsertBuckets { group, place: BucketPlace::Last }
    }
}

/// What a meter-mod does (OpenFlow 1.5.1, section 7.3.4.5).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum MeterMod {
    /// Adds a meter.
    Add(Meter),
    /// Replaces a meter.
    Modify(Meter),
    /// Deletes a meter, [`MeterId::ALL`] for all, and the flows that use it.
    Delete(MeterId),
}
