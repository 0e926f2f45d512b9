//! The `learn` action: a flow made from the packet that runs into it.

use crate::{Cookie, SubField, TableId, Value};

/// `learn(…)`: adds or refreshes a flow.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Learn {
    /// Table of the new flow.
    pub table: TableId,
    /// Priority of the new flow.
    pub priority: u16,
    /// Cookie of the new flow.
    pub cookie: Cookie,
    /// Seconds without a packet after which it goes, 0 for never.
    pub idle_timeout: u16,
    /// Seconds after which it goes, 0 for never.
    pub hard_timeout: u16,
    /// Idle timeout once the connection ends, 0 for no change.
    pub fin_idle_timeout: u16,
    /// Hard timeout once the connection ends, 0 for no change.
    pub fin_hard_timeout: u16,
    /// Whether a flow-removed message is sent when it goes.
    pub send_flow_removed: bool,
    /// Whether it goes when the learning flow goes.
    pub delete_learned: bool,
    /// Most flows to learn, 0 for no limit, and the bit that tells whether one was made.
    pub limit: Option<LearnLimit>,
    /// Matches and actions of the new flow.
    pub specs: Vec<LearnSpec>,
}

/// A bound on what [`Learn`] makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LearnLimit {
    /// Most flows.
    pub flows: u32,
    /// One bit: set to whether the flow exists now.
    pub result: Option<SubField>,
}

/// Where a value in the new flow comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LearnSource {
    /// The packet.
    Field(SubField),
    /// A constant.
    Constant {
        /// Its value.
        value: Value,
        /// Its width.
        bits: u16,
    },
}

/// One part of the new flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LearnSpec {
    /// It matches this value.
    Match {
        /// The value; as many bits as the destination.
        source: LearnSource,
        /// The field's bits.
        destination: SubField,
    },
    /// It writes this value.
    Load {
        /// The value; as many bits as the destination.
        source: LearnSource,
        /// The field's bits.
        destination: SubField,
    },
    /// It sends packets to the port that the packet's field holds.
    Output(SubField),
}
