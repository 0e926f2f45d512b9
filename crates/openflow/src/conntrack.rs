//! The `ct` action: connection tracking and address translation (ovs-actions(7)).

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::{Action, SubField, TableId};

/// Where [`Ct`] finds the zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CtZone {
    /// A number.
    Number(u16),
    /// 16 bits of a field.
    Field(SubField),
}

/// `ct(…)`: sends the packet through connection tracking.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ct {
    /// Keep the connection.
    pub commit: bool,
    /// Replace a connection of the opposite direction; requires `commit`.
    pub force: bool,
    /// Zone of the connection.
    pub zone: CtZone,
    /// Look the tracked packet up in this table.
    pub table: Option<TableId>,
    /// Application layer gateway: 21 for FTP, 69 for TFTP, 0 for none.
    pub alg: u16,
    /// Address translation.
    pub nat: Option<Nat>,
    /// Set-fields and moves on `ct_mark` and `ct_label`, requires `commit`.
    pub exec: Vec<Action>,
}

impl Default for Ct {
    fn default() -> Self {
        Self {
            commit: false,
            force: false,
            zone: CtZone::Number(0),
            table: None,
            alg: 0,
            nat: None,
            exec: Vec::new(),
        }
    }
}

/// `nat(…)` within [`Ct`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Nat {
    /// What to translate; `None` translates what the connection already is.
    pub kind: Option<NatKind>,
    /// Addresses to choose from.
    pub addresses: Option<NatAddresses>,
    /// Ports to choose from, first and last.
    pub ports: Option<(u16, Option<u16>)>,
    /// The same choice again after a restart.
    pub persistent: bool,
    /// How to choose among ports.
    pub choice: NatChoice,
}

/// Which address [`Nat`] replaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NatKind {
    /// The source.
    Source,
    /// The destination.
    Destination,
}

/// First and last address of a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NatAddresses {
    /// IPv4.
    V4(Ipv4Addr, Option<Ipv4Addr>),
    /// IPv6.
    V6(Ipv6Addr, Option<Ipv6Addr>),
}

/// How [`Nat`] chooses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum NatChoice {
    /// As the datapath likes.
    #[default]
    Any,
    /// By a hash of the packet.
    Hash,
    /// At random.
    Random,
}
