//! What a walk says: each step with the object that decided it, and what becomes of the packet in the end.

use std::ops::RangeInclusive;

use serde::Serialize;

use super::connection::{Connections, Way};
use super::packet::Packet;
use crate::id::{DatapathId, InterfaceId, RouteId};
use crate::object::ObjectRef;
use crate::traffic::Direction;

/// Where a packet goes, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Walk {
    /// In the order in which they happen. Where a packet is copied, each copy's steps follow one another.
    pub steps: Vec<Step>,
    /// What becomes of it: one of its copies each.
    pub outcomes: Vec<Outcome>,
    /// What connection trackers know afterwards: what the walk of an answer takes.
    pub connections: Connections,
}

/// Something that an object decides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Step {
    /// Where.
    pub host: DatapathId,
    /// The object that decides.
    #[schema(value_type = String, example = "interfaces/if-web1")]
    pub object: ObjectRef,
    /// What it decides.
    pub what: Decision,
    /// The packet thereafter.
    pub packet: Packet,
}

/// What an object decides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// The interface sends it, as itself or as one of its allowed addresses.
    Sent,
    /// The packet gets the interface's code point.
    Marked,
    /// The filter lets it pass.
    FilterPasses {
        /// The rule, by its place among the filter's; none if the filter lets pass what no rule fits.
        rule: Option<usize>,
        /// Which way, seen from the interface.
        direction: Direction,
    },
    /// A security group allows it.
    GroupAllows {
        /// The rule, by its place among the group's; none if it is allowed to all (DHCP, neighbour discovery).
        rule: Option<usize>,
        /// Which way, seen from the member.
        direction: Direction,
    },
    /// The interface's tracker knows the connection, or begins to.
    Tracked {
        /// Which way the packet goes, if the connection was known.
        known: Option<Way>,
    },
    /// The interface is whom the packet is for.
    Found,
    /// It is for all in the domain.
    ForAll,
    /// The simulated interface replies.
    Replies,
    /// It goes to another host.
    Crosses {
        /// The host.
        to: DatapathId,
        /// The largest IP packet that fits, in bytes.
        mtu: u16,
    },
    /// A router takes it in: the route says that it may.
    Enters,
    /// A router sends it out: the route says by which leg.
    Routed {
        /// The leg.
        leg: InterfaceId,
        /// Whose MAC address it gets.
        #[schema(value_type = String)]
        next_hop: std::net::IpAddr,
    },
    /// One of several next hops of a route.
    NextHop {
        /// The route.
        route: RouteId,
    },
    /// A translation changes its addresses.
    Translated {
        /// The static address, by its number; none if the translation is one of many sources.
        entry: Option<u16>,
    },
    /// A leg with translations lets it pass as it is.
    Untranslated,
    /// It is the gateway's of a physical network, or the edge's of a segment, to bring it to the wire.
    ToWire,
}

/// What becomes of a packet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// An interface receives it.
    Delivered {
        /// The interface.
        interface: InterfaceId,
        /// Its host.
        host: DatapathId,
        /// As received.
        packet: Packet,
        /// If its source port was chosen when it was translated: one of these. The packet has the first one that is free.
        #[schema(value_type = Option<Object>)]
        #[serde(skip_serializing_if = "Option::is_none")]
        source_ports: Option<RangeInclusive<u16>>,
    },
    /// It goes to the wire of a physical network, or behind the edge of a segment.
    OnWire {
        /// The uplink or edge.
        uplink: InterfaceId,
        /// Its host.
        host: DatapathId,
        /// As sent. Where only the wire knows who has the next hop's address, the destination is zero.
        packet: Packet,
        /// The address on the wire that the frame is for, if it was routed there.
        #[schema(value_type = Option<String>)]
        #[serde(skip_serializing_if = "Option::is_none")]
        next_hop: Option<std::net::IpAddr>,
        /// See [`Outcome::Delivered`].
        #[schema(value_type = Option<Object>)]
        #[serde(skip_serializing_if = "Option::is_none")]
        source_ports: Option<RangeInclusive<u16>>,
    },
    /// The sender, or whom its packet says sent it, gets an answer by the network itself.
    Answered {
        /// The host that answers.
        host: DatapathId,
        /// What answers.
        #[schema(value_type = String, example = "filters/fil-web1")]
        by: ObjectRef,
        /// What the answer is.
        answer: Answer,
        /// As the asker receives it, where that does not depend on what agents know.
        #[serde(skip_serializing_if = "Option::is_none")]
        packet: Option<Packet>,
    },
    /// It ends here.
    Dropped {
        /// The host that drops it; none if the sender is on none.
        #[serde(skip_serializing_if = "Option::is_none")]
        host: Option<DatapathId>,
        /// The object that says so.
        #[schema(value_type = String, example = "filters/fil-web1")]
        by: ObjectRef,
        /// Why.
        reason: Reason,
        /// What would let it pass.
        remedy: String,
    },
    /// It cannot be said which of these becomes of it: of several equal ways one is taken.
    Undecided {
        /// What may become of it.
        #[schema(no_recursion)]
        among: Vec<Vec<Outcome>>,
    },
}

/// What an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// Who has an IPv4 address (RFC 826).
    ArpReply,
    /// Who has an IPv6 address (RFC 4861).
    NeighbourAdvertisement,
    /// Which routers there are (RFC 4861).
    RouterAdvertisement,
    /// RFC 792, RFC 4443.
    EchoReply,
    /// RFC 2131.
    Dhcp,
    /// RFC 8415.
    Dhcpv6,
    /// RFC 1035.
    Dns,
    /// What a guest is to know of itself.
    Metadata,
    /// It has no hops left.
    TimeExceeded,
    /// A router has no route.
    NoRoute,
    /// A router has a route, and nobody the next hop's address.
    HostUnreachable,
    /// No service is behind the port.
    PortUnreachable,
    /// It does not fit on its way.
    TooBig {
        /// The largest IP packet that does, in bytes.
        mtu: u16,
    },
    /// A filter's rule rejects it.
    Rejected,
}

/// Why a packet ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The interface takes no part: it is down, lives nowhere or has no address.
    Silent,
    /// The source MAC address is not the interface's.
    SourceMac,
    /// The source IP address is not the interface's, or the frame carries neither IP nor ARP.
    SourceAddress,
    /// A VLAN tag in a network, or from the wire of one.
    Tagged,
    /// More than one VLAN tag on a segment.
    SeveralTags,
    /// What it says of its sender's MAC address is not true.
    FalseSender,
    /// It answers what the network answers itself.
    Unasked,
    /// It speaks as a router and is none.
    NotRouter,
    /// It asks for an address that nobody has, or the asker has itself.
    Unresolved,
    /// Nobody has the destination MAC address.
    UnknownDestination,
    /// It is for the sender itself, and a switch gives nothing back.
    ToItself,
    /// A fragment that a connection tracker keeps until the others are there.
    Incomplete,
    /// The receiver lives nowhere.
    Absent,
    /// The receiver's host has not registered.
    UnknownHost,
    /// It does not fit, and must not be answered.
    TooBig,
    /// No route takes it into the router.
    NotRouted,
    /// Its addresses mean something on one wire only, or many hosts.
    NotForwarded,
    /// A simulated interface does not serve this.
    NotServed,
    /// It has no hops left, and must not be answered.
    Expired,
    /// There is no way on, and it must not be answered.
    Unreachable,
    /// No translation takes it.
    Untranslated,
    /// It is of no connection that is translated.
    UnknownConnection,
    /// The sender's filter.
    FilteredOut,
    /// The receiver's filter.
    FilteredIn,
    /// The sender's security groups.
    NotAllowedOut,
    /// The receiver's security groups.
    NotAllowedIn,
    /// Somebody on the wire speaks as an interface or leg.
    Pretender,
    /// It came from the wire at a host that is not the gateway, or is for nobody there.
    NotGateway,
}
