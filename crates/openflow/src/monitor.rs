//! Flow monitors: a switch says what happens to its flows (OpenFlow 1.5.1, section 7.3.5.17).

use crate::{Flow, GroupId, Match, OfPort, TableId, Xid};

/// Begins, changes or ends a flow monitor.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FlowMonitor {
    /// Its number, unique on the connection.
    pub id: u32,
    /// What to do with it.
    pub command: MonitorCommand,
    /// What to tell of flows: `FLAG_…`.
    pub flags: u16,
    /// Only flows of this table; [`TableId::ALL`] for all.
    pub table: TableId,
    /// Only flows that output to this port; [`OfPort::ANY`] for all.
    pub out_port: OfPort,
    /// Only flows that use this group; [`GroupId::ANY`] for all.
    pub out_group: GroupId,
    /// Only flows that match this, or more narrowly.
    pub matching: Match,
}

impl FlowMonitor {
    /// The flows that are there when it begins.
    pub const FLAG_INITIAL: u16 = 1;
    /// New flows.
    pub const FLAG_ADD: u16 = 1 << 1;
    /// Flows that go.
    pub const FLAG_REMOVED: u16 = 1 << 2;
    /// Flows that change.
    pub const FLAG_MODIFY: u16 = 1 << 3;
    /// With their instructions.
    pub const FLAG_INSTRUCTIONS: u16 = 1 << 4;
    /// Own changes are told only by their transaction.
    pub const FLAG_NO_ABBREVIATION: u16 = 1 << 5;
    /// Only own changes.
    pub const FLAG_ONLY_OWN: u16 = 1 << 6;

    /// Tells all that happens to the flows of all tables, from now on.
    pub fn changes(id: u32) -> Self {
        let flags = Self::FLAG_ADD | Self::FLAG_REMOVED | Self::FLAG_MODIFY | Self::FLAG_INSTRUCTIONS;
        Self {
            id,
            command: MonitorCommand::Add,
            flags,
            table: TableId::ALL,
            out_port: OfPort::ANY,
            out_group: GroupId::ANY,
            matching: Match::new(),
        }
    }
}

/// What to do with a flow monitor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MonitorCommand {
    /// Begin it.
    Add,
    /// Change it.
    Modify,
    /// End it.
    Delete,
}

/// What happened to a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FlowEvent {
    /// It was there when the monitor began.
    Initial,
    /// It came.
    Added,
    /// It went.
    Removed,
    /// It changed.
    Modified,
}

/// What a flow monitor tells.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum FlowUpdate {
    /// Something happened to a flow.
    Flow {
        /// What.
        event: FlowEvent,
        /// Why it went, as in a flow-removed message; 0 elsewhere.
        reason: u8,
        /// The flow. Flags and importance are not told, instructions only if the monitor wants them.
        flow: Box<Flow>,
    },
    /// What this controller's own transaction did has been done.
    Own(Xid),
    /// The connection is slow: changes are not told from here on.
    Paused,
    /// They are told again, after what changed meanwhile.
    Resumed,
}
