//! Actions that choose by a hash of the packet: `multipath`, `bundle`, `bundle_load` (ovs-actions(7)).

use crate::{OfPort, SubField};

/// `multipath(…)`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Multipath {
    /// What of the packet is hashed.
    pub fields: HashFields,
    /// Start of the hash.
    pub basis: u16,
    /// How the link follows from the hash.
    pub algorithm: u16,
    /// Number of links, minus 1.
    pub max_link: u16,
    /// Parameter of the algorithm.
    pub argument: u32,
    /// Where the link's number goes.
    pub destination: SubField,
}

/// What of a packet a hash covers (ovs-actions(7), "Hash fields").
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HashFields {
    /// Source MAC address.
    EthSrc,
    /// Addresses and transport ports, the same for both directions.
    SymmetricL4,
    /// As `SymmetricL4`, without UDP ports.
    SymmetricL3L4,
    /// As `SymmetricL3L4`, with UDP ports.
    SymmetricL3L4Udp,
    /// IP source.
    NwSrc,
    /// IP destination.
    NwDst,
    /// Both IP addresses, the same for both directions.
    SymmetricL3,
}

/// `bundle(…)` and `bundle_load(…)`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bundle {
    /// Whether the first live member is taken, rather than one by hash.
    pub active_backup: bool,
    /// What of the packet is hashed.
    pub fields: HashFields,
    /// Start of the hash.
    pub basis: u16,
    /// Where the member's port number goes; `None` sends the packet there.
    pub destination: Option<SubField>,
    /// The members.
    pub members: Vec<OfPort>,
}
