//! Groups: sets of buckets of actions (OpenFlow 1.5.1, section 5.10).

use crate::{Action, Field, GroupId, OfPort};

/// How a group chooses among its buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GroupType {
    /// All buckets, each with a copy.
    All,
    /// One bucket, by weight.
    Select,
    /// The one bucket there is.
    Indirect,
    /// The first bucket that is live.
    FastFailover,
}

/// Number of a bucket, unique in its group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BucketId(pub u32);

/// One set of actions of a group.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bucket {
    /// Its number.
    pub id: BucketId,
    /// Share of the packets, in a select group; 0 elsewhere.
    pub weight: u16,
    /// Live while this port is.
    pub watch_port: Option<OfPort>,
    /// Live while this group has a live bucket.
    pub watch_group: Option<GroupId>,
    /// What is done.
    pub actions: Vec<Action>,
}

impl Bucket {
    /// A bucket without weight or watch.
    pub fn new(id: BucketId, actions: Vec<Action>) -> Self {
        Self { id, weight: 0, watch_port: None, watch_group: None, actions }
    }
}

/// How a select group chooses (the Netronome extension, ovs-ofctl(8) `selection_method`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Selection {
    /// `hash` or `dp_hash`, at most 15 bytes.
    pub method: String,
    /// Parameter of the method.
    pub parameter: u64,
    /// Fields the hash covers, with the bits of each.
    pub fields: Vec<(Field, u128)>,
}

/// A group as it stands in the switch.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Group {
    /// Its number.
    pub id: GroupId,
    /// How it chooses.
    pub kind: GroupType,
    /// How a select group chooses, if not by the switch's own method.
    pub selection: Option<Selection>,
    /// What it chooses from.
    pub buckets: Vec<Bucket>,
}
