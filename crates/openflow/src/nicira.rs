//! Messages that Open vSwitch adds: tunnel options, connection tracking (ovs-ofctl(8)).

use std::net::IpAddr;

/// One tunnel option that a field stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TlvMapping {
    /// Option class (RFC 8926, section 3.5).
    pub class: u16,
    /// Option type.
    pub kind: u8,
    /// Bytes of its value: a multiple of 4, at most 124.
    pub bytes: u8,
    /// Number of the field: `tun_metadata0` and on.
    pub index: u16,
}

/// Changes the table of tunnel options. An entry in use cannot go.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum TlvTableMod {
    /// Adds entries.
    Add(Vec<TlvMapping>),
    /// Deletes entries.
    Delete(Vec<TlvMapping>),
    /// Deletes all entries.
    Clear,
}

/// The table of tunnel options.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct TlvTable {
    /// Bytes that all options together can take.
    pub max_space: u32,
    /// Most entries.
    pub max_fields: u16,
    /// The entries.
    pub mappings: Vec<TlvMapping>,
}

/// Forgets tracked connections. What is not said is not asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct CtFlush {
    /// Protocol, 0 for any.
    pub ip_proto: u8,
    /// Only of this zone.
    pub zone: Option<u16>,
    /// Of which the first packet was like this.
    pub original: Option<CtTuple>,
    /// Of which the answers are like this.
    pub reply: Option<CtTuple>,
}

/// What packets of a connection are like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct CtTuple {
    /// Source address.
    pub source: Option<IpAddr>,
    /// Destination address.
    pub destination: Option<IpAddr>,
    /// Source port.
    pub source_port: Option<u16>,
    /// Destination port.
    pub destination_port: Option<u16>,
}
