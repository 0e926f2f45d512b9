//! Packets as far as a walk looks into them: typed headers, and how much follows them.
//!
//! What a header says is kept; checksums, identifiers of fragments and data are not, since no object judges them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

use crate::address::MacAddr;

/// Numbers of protocols in IP headers (IANA, "Assigned Internet Protocol Numbers").
pub mod protocol {
    /// ICMP (RFC 792).
    pub const ICMP: u8 = 1;
    /// TCP (RFC 9293).
    pub const TCP: u8 = 6;
    /// UDP (RFC 768).
    pub const UDP: u8 = 17;
    /// A fragment of an IPv6 packet (RFC 8200, section 4.5).
    pub const FRAGMENT: u8 = 44;
    /// ICMPv6 (RFC 4443).
    pub const ICMPV6: u8 = 58;
}

/// What a frame of another EtherType carries, in bytes: as much as an Ethernet frame must (IEEE 802.3, 3.2.8).
pub const OTHER_BYTES: u16 = 46;

/// An Ethernet frame.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Packet {
    /// Who sends it.
    pub source: MacAddr,
    /// Who it is for.
    pub destination: MacAddr,
    /// Ids of its VLAN tags, the outermost first.
    #[serde(default)]
    pub vlans: Vec<u16>,
    /// What it carries.
    pub content: Content,
}

/// What a frame carries.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// Address resolution (RFC 826).
    Arp(Arp),
    /// An IPv4 or IPv6 packet: its addresses tell which, and are of one family.
    Ip(IpPacket),
    /// Anything else, and what does not hold what its type promises.
    Other {
        /// The frame's EtherType.
        ether_type: u16,
    },
}

/// A message of address resolution over Ethernet for IPv4 (RFC 826).
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
pub struct Arp {
    /// 1 asks, 2 answers.
    pub operation: u16,
    /// Hardware address of the sender.
    pub sender_mac: MacAddr,
    /// Protocol address of the sender; unspecified in a probe (RFC 5227).
    #[schema(value_type = String)]
    pub sender_ip: Ipv4Addr,
    /// Hardware address of the target; zero in a request.
    pub target_mac: MacAddr,
    /// Protocol address of the target.
    #[schema(value_type = String)]
    pub target_ip: Ipv4Addr,
}

/// An IP packet.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
pub struct IpPacket {
    /// Where it comes from.
    #[schema(value_type = String)]
    pub source: IpAddr,
    /// Where it goes, of the same family.
    #[schema(value_type = String)]
    pub destination: IpAddr,
    /// TTL or hop limit.
    pub hops: u8,
    /// Code point (RFC 2474).
    #[serde(default)]
    pub dscp: u8,
    /// Whether an IPv4 packet must not be fragmented on its way. IPv6 packets never are.
    #[serde(default)]
    pub dont_fragment: bool,
    /// Which part of a packet it is.
    #[serde(default)]
    pub fragment: Fragment,
    /// What it carries.
    pub payload: Payload,
    /// Bytes that follow the headers named here.
    #[serde(default)]
    pub data_bytes: u16,
}

/// Which part of a packet a packet is.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Fragment {
    /// All of it.
    #[default]
    Whole,
    /// The first fragment, with the transport header.
    First,
    /// Another fragment: its payload is [`Payload::Other`], since it has no transport header.
    Later,
}

/// What an IP packet carries.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Payload {
    /// RFC 9293.
    Tcp {
        /// Port of the sender.
        source_port: u16,
        /// Port of the receiver.
        destination_port: u16,
        /// What the segment does.
        #[serde(default)]
        flags: TcpFlags,
    },
    /// RFC 768.
    Udp {
        /// Port of the sender.
        source_port: u16,
        /// Port of the receiver.
        destination_port: u16,
    },
    /// ICMP or, in an IPv6 packet, ICMPv6 without neighbour solicitations and advertisements.
    Icmp(Icmp),
    /// A neighbour solicitation or advertisement (RFC 4861, sections 4.3 and 4.4).
    Neighbour(Neighbour),
    /// Anything else, and whatever a later fragment holds.
    Other {
        /// Number of the protocol in the IP header.
        protocol: u8,
    },
}

/// Flags of a TCP segment that connection trackers look at.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(default)]
pub struct TcpFlags {
    /// It opens a connection.
    pub syn: bool,
    /// It acknowledges.
    pub ack: bool,
    /// It ends a connection.
    pub fin: bool,
    /// It resets a connection.
    pub rst: bool,
}

impl TcpFlags {
    /// Opens a connection.
    pub const SYN: Self = Self { syn: true, ack: false, fin: false, rst: false };
    /// Takes up a connection.
    pub const SYN_ACK: Self = Self { syn: true, ack: true, fin: false, rst: false };
    /// Goes on with a connection.
    pub const ACK: Self = Self { syn: false, ack: true, fin: false, rst: false };
}

/// A message of ICMP or ICMPv6 (RFC 792, RFC 4443).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Icmp {
    /// Its type.
    pub kind: u8,
    /// Its code.
    pub code: u8,
    /// Of an echo: which one's it is. Of others the same two bytes.
    #[serde(default)]
    pub identifier: u16,
    /// Of an error: the packet that it is about.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub about: Option<Box<IpPacket>>,
}

/// A neighbour solicitation or advertisement.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
pub struct Neighbour {
    /// Whether it answers.
    pub is_advertisement: bool,
    /// Flags router, solicited and override of an advertisement: the upper three bits, as in its fifth byte.
    #[serde(default)]
    pub flags: u8,
    /// Whose link-layer address it is about.
    #[schema(value_type = String)]
    pub target: Ipv6Addr,
    /// The source link-layer address of a solicitation, the target's of an advertisement.
    #[serde(default)]
    pub link_layer: Option<MacAddr>,
}

impl Packet {
    /// The IP packet that it carries, if it carries one.
    pub fn ip(&self) -> Option<&IpPacket> {
        match &self.content {
            Content::Ip(ip) => Some(ip),
            Content::Arp(_) | Content::Other { .. } => None,
        }
    }

    /// The same, to change it.
    pub fn ip_mut(&mut self) -> Option<&mut IpPacket> {
        match &mut self.content {
            Content::Ip(ip) => Some(ip),
            Content::Arp(_) | Content::Other { .. } => None,
        }
    }
}

impl IpPacket {
    /// Whether it is an IPv4 packet.
    pub fn is_ipv4(&self) -> bool {
        self.source.is_ipv4()
    }

    /// The number of what it carries.
    pub fn protocol(&self) -> u8 {
        match &self.payload {
            Payload::Tcp { .. } => protocol::TCP,
            Payload::Udp { .. } => protocol::UDP,
            Payload::Icmp(_) if self.is_ipv4() => protocol::ICMP,
            Payload::Icmp(_) | Payload::Neighbour(_) => protocol::ICMPV6,
            Payload::Other { protocol } => *protocol,
        }
    }

    /// Ports of sender and receiver, if it names any.
    pub fn ports(&self) -> Option<(u16, u16)> {
        match self.payload {
            Payload::Tcp { source_port, destination_port, .. }
            | Payload::Udp { source_port, destination_port } => Some((source_port, destination_port)),
            Payload::Icmp(_) | Payload::Neighbour(_) | Payload::Other { .. } => None,
        }
    }

    /// Type and code of ICMP and ICMPv6, if it names any.
    pub fn icmp(&self) -> Option<(u8, u8)> {
        match &self.payload {
            Payload::Icmp(icmp) => Some((icmp.kind, icmp.code)),
            Payload::Neighbour(neighbour) => Some((neighbour.kind(), 0)),
            Payload::Tcp { .. } | Payload::Udp { .. } | Payload::Other { .. } => None,
        }
    }

    /// All of it, in bytes, the IP header included.
    pub fn total_bytes(&self) -> u32 {
        /// Header of a fragment of an IPv6 packet (RFC 8200, section 4.5).
        const FRAGMENT_HEADER: u32 = 8;
        let header = match (self.is_ipv4(), self.fragment) {
            (true, _) => 20,
            (false, Fragment::Whole) => 40,
            (false, Fragment::First | Fragment::Later) => 40 + FRAGMENT_HEADER,
        };
        let carried = match &self.payload {
            Payload::Tcp { .. } => 20,
            Payload::Udp { .. } => 8,
            Payload::Icmp(Icmp { about, .. }) => 8 + about.as_ref().map_or(0, |about| about.total_bytes()),
            Payload::Neighbour(Neighbour { link_layer, .. }) => 24 + link_layer.map_or(0, |_| 8),
            Payload::Other { .. } => 0,
        };
        header + carried + u32::from(self.data_bytes)
    }
}

impl Neighbour {
    /// Its ICMPv6 type.
    pub fn kind(self) -> u8 {
        if self.is_advertisement { 136 } else { 135 }
    }
}
