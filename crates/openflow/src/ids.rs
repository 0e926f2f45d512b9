//! Typed identifiers of OpenFlow: numbers that mean different things never mix.

use std::fmt;

/// Defines one identifier: a transparent number that displays as ovs-ofctl(8) prints it.
macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident($inner:ty), $format:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, $format, self.0)
            }
        }

        impl From<$inner> for $name {
            fn from(number: $inner) -> Self {
                Self(number)
            }
        }
    };
}

identifier!(
    /// Number of a flow table.
    TableId(u8), "{}"
);
identifier!(
    /// Number of a group.
    GroupId(u32), "{}"
);
identifier!(
    /// Number of a meter.
    MeterId(u32), "{}"
);
identifier!(
    /// Opaque number that the controller gives a flow; the switch only stores it.
    Cookie(u64), "{:#x}"
);
identifier!(
    /// Transaction id: a reply carries that of its request.
    Xid(u32), "{:#x}"
);
identifier!(
    /// Number of a bundle (OpenFlow 1.5.1, section 6.9), unique on its connection.
    BundleId(u32), "{:#x}"
);
identifier!(
    /// Datapath id: identifies a bridge.
    Dpid(u64), "{:016x}"
);

impl TableId {
    /// All tables, in requests that select flows (`OFPTT_ALL`); in flow-mods it stands for any table.
    pub const ALL: Self = Self(0xff);
}

impl GroupId {
    /// All groups, in commands and requests (`OFPG_ALL`).
    pub const ALL: Self = Self(0xffff_fffc);
    /// Any group, in flow selections (`OFPG_ANY`).
    pub const ANY: Self = Self(0xffff_ffff);
    /// Largest number a group can have (`OFPG_MAX`).
    pub const MAX: Self = Self(0xffff_ff00);
}

impl MeterId {
    /// Largest number a meter can have (`OFPM_MAX`).
    pub const MAX: Self = Self(0xffff_0000);
    /// The meter of slow path packets (`OFPM_SLOWPATH`).
    pub const SLOWPATH: Self = Self(0xffff_fffd);
    /// The meter of packets to the controller (`OFPM_CONTROLLER`).
    pub const CONTROLLER: Self = Self(0xffff_fffe);
    /// All meters, in commands and requests (`OFPM_ALL`).
    pub const ALL: Self = Self(0xffff_ffff);
}

/// Number of an OpenFlow port, 32 bits as since OpenFlow 1.1.
///
/// Open vSwitch numbers its ports with 16 bits; only the reserved ports lie above `0xffff_ff00`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OfPort(pub u32);

impl OfPort {
    /// Largest number a port can have (`OFPP_MAX` of Open vSwitch).
    pub const MAX: Self = Self(0xfeff);
    /// Not set: in the action set, no output (`OFPP_UNSET`).
    pub const UNSET: Self = Self(0xffff_fff7);
    /// The port the packet came in by; only explicit output to it sends a packet back.
    pub const IN_PORT: Self = Self(0xffff_fff8);
    /// Submit a packet-out to the flow tables.
    pub const TABLE: Self = Self(0xffff_fff9);
    /// The switch's own MAC learning.
    pub const NORMAL: Self = Self(0xffff_fffa);
    /// All ports that take part in flooding, except the input port.
    pub const FLOOD: Self = Self(0xffff_fffb);
    /// All ports except the input port.
    pub const ALL: Self = Self(0xffff_fffc);
    /// The controllers, as packet-ins.
    pub const CONTROLLER: Self = Self(0xffff_fffd);
    /// The bridge's own port.
    pub const LOCAL: Self = Self(0xffff_fffe);
    /// Any port, in flow selections; no port, as a packet's source.
    pub const ANY: Self = Self(0xffff_ffff);
    /// No port: the same number as [`OfPort::ANY`], where it means absence.
    pub const NONE: Self = Self::ANY;

    const RESERVED: [(Self, &'static str); 9] = [
        (Self::UNSET, "UNSET"),
        (Self::IN_PORT, "IN_PORT"),
        (Self::TABLE, "TABLE"),
        (Self::NORMAL, "NORMAL"),
        (Self::FLOOD, "FLOOD"),
        (Self::ALL, "ALL"),
        (Self::CONTROLLER, "CONTROLLER"),
        (Self::LOCAL, "LOCAL"),
        (Self::ANY, "ANY"),
    ];

    /// The 16-bit form that the Open vSwitch extensions use, `None` for a number that has none.
    ///
    /// Reserved ports keep their low 16 bits (`ofputil_port_from_ofp11` is the inverse).
    pub fn to_u16(self) -> Option<u16> {
        if self.0 >= 0xffff_ff00 {
            u16::try_from(self.0 & 0xffff).ok()
        } else {
            u16::try_from(self.0).ok().filter(|n| *n < 0xff00)
        }
    }

    /// The port of a 16-bit number: numbers from `0xff00` are the reserved ports.
    pub fn from_u16(number: u16) -> Self {
        if number >= 0xff00 { Self(0xffff_0000 | u32::from(number)) } else { Self(u32::from(number)) }
    }
}

impl From<u32> for OfPort {
    fn from(number: u32) -> Self {
        Self(number)
    }
}

impl fmt::Display for OfPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Self::RESERVED.iter().find(|(port, _)| port == self) {
            Some((_, name)) => f.write_str(name),
            None => write!(f, "{}", self.0),
        }
    }
}
