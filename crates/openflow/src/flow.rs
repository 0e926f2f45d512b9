//! Flows: a match, a priority, and what is done.

use crate::{Action, Cookie, Match, Shared, TableId};

/// Priority of a flow that says nothing of it (ovs-ofctl(8), `OFP_DEFAULT_PRIORITY`).
pub const DEFAULT_PRIORITY: u16 = 0x8000;

/// Instructions of a flow, in the order in which a switch runs them (OpenFlow 1.5.1, section 5.5).
///
/// A meter is an action since OpenFlow 1.5: [`Action::Meter`] first in `apply`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Instructions {
    /// Done at once.
    pub apply: Vec<Action>,
    /// Whether the action set is emptied.
    pub clear: bool,
    /// Merged into the action set.
    pub write: Vec<Action>,
    /// Value and mask written into the metadata.
    pub write_metadata: Option<(u64, u64)>,
    /// Table to go on in; later than this one.
    pub goto_table: Option<TableId>,
}

impl Instructions {
    /// These actions, and the end.
    pub fn apply(actions: impl IntoIterator<Item = Action>) -> Self {
        Self { apply: actions.into_iter().collect(), ..Self::default() }
    }

    /// On to a table.
    pub fn goto(table: TableId) -> Self {
        Self { goto_table: Some(table), ..Self::default() }
    }

    /// Nothing: the packet is dropped.
    pub fn drop() -> Self {
        Self::default()
    }

    /// Goes on in a table after all the rest.
    #[must_use]
    pub fn then_goto(self, table: TableId) -> Self {
        Self { goto_table: Some(table), ..self }
    }
}

impl FromIterator<Action> for Instructions {
    fn from_iter<I: IntoIterator<Item = Action>>(actions: I) -> Self {
        Self::apply(actions)
    }
}

/// Flags of a flow (`OFPFF_…`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct FlowFlags(pub u16);

impl FlowFlags {
    /// Send a message when the flow goes.
    pub const SEND_FLOW_REMOVED: Self = Self(1);
    /// Refuse the flow if it overlaps one of the same priority; only in commands.
    pub const CHECK_OVERLAP: Self = Self(1 << 1);
    /// Set the counters to zero; only in commands.
    pub const RESET_COUNTS: Self = Self(1 << 2);
    /// Count no packets.
    pub const NO_PACKET_COUNTS: Self = Self(1 << 3);
    /// Count no bytes.
    pub const NO_BYTE_COUNTS: Self = Self(1 << 4);

    /// Whether all of these flags are set.
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// These flags and others.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// A flow as it stands in a table.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Flow {
    /// Its table.
    pub table: TableId,
    /// Higher wins.
    pub priority: u16,
    /// The controller's mark.
    pub cookie: Cookie,
    /// What it applies to.
    pub matching: Match,
    /// What it does.
    pub instructions: Shared<Instructions>,
    /// Seconds without a packet after which it goes, 0 for never.
    pub idle_timeout: u16,
    /// Seconds after which it goes, 0 for never.
    pub hard_timeout: u16,
    /// Flags.
    pub flags: FlowFlags,
    /// Which flows go first when the table is full: low ones.
    pub importance: u16,
}

impl Flow {
    /// A flow without timeouts that has cookie 0.
    pub fn new(
        table: TableId,
        priority: u16,
        matching: Match,
        instructions: impl Into<Instructions>,
    ) -> Self {
        Self {
            table,
            priority,
            cookie: Cookie(0),
            matching,
            instructions: instructions.into().into(),
            idle_timeout: 0,
            hard_timeout: 0,
            flags: FlowFlags::default(),
            importance: 0,
        }
    }

    /// With this cookie.
    #[must_use]
    pub fn with_cookie(self, cookie: Cookie) -> Self {
        Self { cookie, ..self }
    }
}

impl From<Vec<Action>> for Instructions {
    fn from(actions: Vec<Action>) -> Self {
        Self::apply(actions)
    }
}
