//! Probes: what somebody wants to send, made into the frame that a guest would send.
//!
//! # What is filled in
//! Whatever is not said is what the guest would really use: its address of the target's family, in the target's network if it
//! has one there; the MAC address of the neighbour or of its router's leg, as `next_hop` says; an ephemeral port.
//! Where a guest would ask first and get no answer, the question is what is sent.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::next_hop::{NextHop, mac_of_lease, next_hop, of_multicast};
use super::source::{distance, first_mac, leases, source_for};
use crate::address::MacAddr;
use crate::error::Error;
use crate::graph::Topology;
use crate::id::InterfaceId;
use crate::ip_lease::IpLease;
use crate::network::Network;
use crate::walk::packet::{
    Arp, Content, Fragment, Icmp, IpPacket, Neighbour, Packet, Payload, TcpFlags, protocol,
};

/// What clients send from (RFC 6335, section 6: dynamic ports begin at 49152).
pub const EPHEMERAL_PORT: u16 = 50_000;
/// TTL and hop limit of what hosts send (RFC 1700).
const DEFAULT_HOPS: u8 = 64;
/// Hop limit of neighbour discovery (RFC 4861, section 4.3).
const NEIGHBOUR_HOPS: u8 = 255;
/// Identifier of an echo, if it does not matter which.
const ECHO_IDENTIFIER: u16 = 1;
/// Asks for an echo (RFC 792).
const ECHO_REQUEST: u8 = 8;
/// Asks for an echo (RFC 4443, section 4.1).
const ECHO_REQUEST_V6: u8 = 128;
/// Everyone.
const BROADCAST: MacAddr = MacAddr([0xff; 6]);

/// Whom a packet is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Target {
    /// An interface: one of its addresses.
    Interface(InterfaceId),
    /// An address, whoever has it.
    Address(IpAddr),
}

impl FromStr for Target {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if let Ok(address) = text.parse() {
            return Ok(Self::Address(address));
        }
        let interface = text.parse().map(Self::Interface);
        interface.map_err(|_| Error::argument("to", format!("{text} is neither an interface nor an address")))
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Interface(id) => write!(f, "{id}"),
            Self::Address(address) => write!(f, "{address}"),
        }
    }
}

/// What a probe is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ProbeKind {
    /// A TCP segment.
    Tcp,
    /// A UDP datagram.
    Udp,
    /// A message of ICMP, or of ICMPv6 if that is the target's family: an echo request if nothing else is said.
    #[default]
    Icmp,
    /// A message of ICMPv6.
    Icmpv6,
    /// The question who has an IPv4 address.
    Arp,
    /// The question who has an IPv6 address.
    Nd,
    /// Another protocol, by its number.
    Other,
}

/// What is to be sent. What is absent is as a guest would have it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Probe {
    /// What it is; an echo request if absent.
    pub kind: ProbeKind,
    /// If `other`: the number of the protocol.
    pub protocol: Option<u8>,
    /// Port it is for. Required with TCP and UDP.
    pub port: Option<u16>,
    /// Port it comes from; an ephemeral one if absent.
    pub source_port: Option<u16>,
    /// What a TCP segment does; it opens a connection if absent.
    pub tcp_flags: Option<TcpFlags>,
    /// Type of an ICMP message.
    pub icmp_type: Option<u8>,
    /// Its code.
    pub icmp_code: Option<u8>,
    /// Identifier of an echo; it rarely matters which.
    pub icmp_identifier: Option<u16>,
    /// Where it comes from.
    #[schema(value_type = Option<String>)]
    pub source_address: Option<IpAddr>,
    /// Source of the frame.
    pub source_mac: Option<MacAddr>,
    /// Destination of the frame.
    pub destination_mac: Option<MacAddr>,
    /// Its VLAN tag.
    pub vlan: Option<u16>,
    /// TTL or hop limit.
    pub ttl: Option<u8>,
    /// Code point.
    pub dscp: Option<u8>,
    /// Whether an IPv4 packet must not be fragmented.
    pub dont_fragment: bool,
    /// Which part of a packet it is; all of it if absent.
    pub fragment: Fragment,
    /// Length of the IP packet in bytes; no data if absent.
    pub length: Option<u16>,
}

/// What a guest does that wants to send a probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Prepared {
    /// It sends this.
    Packet(Packet),
    /// It does not know to whom, and asks for this address, in vain.
    Question(Packet, IpAddr),
    /// It has no way there, and sends nothing.
    Unsent {
        /// Why.
        reason: String,
        /// What would help.
        remedy: String,
    },
}

/// Where a packet comes from and goes.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Ends {
    source: IpAddr,
    source_mac: MacAddr,
    destination: IpAddr,
    /// The network of the source address, if it is leased.
    network: Option<Arc<Network>>,
}

impl Probe {
    /// What `from` sends to reach `to`.
    ///
    /// # Errors
    /// Something is missing that no topology fills in, or contradicts something else.
    pub fn prepare(&self, topology: &Topology, from: &InterfaceId, to: &Target) -> Result<Prepared, Error> {
        self.valid()?;
        let ends = self.ends(topology, from, to)?;
        match (self.kind, ends.destination) {
            (ProbeKind::Arp, IpAddr::V4(_)) | (ProbeKind::Nd, IpAddr::V6(_)) => {
                let question = question(&ends, ends.destination).ok_or_else(|| {
                    Error::unfit("source_address", "is of the other family than the target")
                })?;
                Ok(Prepared::Packet(self.dressed(question)))
            }
            (ProbeKind::Arp | ProbeKind::Nd, _) | (ProbeKind::Icmpv6, IpAddr::V4(_)) => {
                Err(Error::unfit("kind", "is of the other family than the address"))
            }
            _ => self.sent(topology, from, &ends),
        }
    }

    fn valid(&self) -> Result<(), Error> {
        let has_ports = matches!(self.kind, ProbeKind::Tcp | ProbeKind::Udp);
        let is_icmp = matches!(self.kind, ProbeKind::Icmp | ProbeKind::Icmpv6);
        let is_other = self.kind == ProbeKind::Other;
        for (field, given, fits, reason) in [
            ("port", self.port.is_some(), has_ports, "only tcp and udp have ports"),
            ("source_port", self.source_port.is_some(), has_ports, "only tcp and udp have ports"),
            ("tcp_flags", self.tcp_flags.is_some(), self.kind == ProbeKind::Tcp, "only tcp has flags"),
            ("icmp_type", self.icmp_type.is_some(), is_icmp, "only icmp and icmpv6 have types"),
            ("icmp_code", self.icmp_code.is_some(), self.icmp_type.is_some(), "goes with icmp_type"),
            ("protocol", self.protocol.is_some(), is_other, "goes with the kind other"),
            ("vlan", true, self.vlan.is_none_or(|id| id < 4096), "must be 0 to 4095"),
            ("dscp", true, self.dscp.is_none_or(|dscp| dscp < 64), "must be 0 to 63"),
        ] {
            if given && !fits {
                return Err(Error::unfit(field, reason));
            }
        }
        match () {
            () if has_ports && self.port.is_none() => Err(Error::missing("port")),
            () if is_other && self.protocol.is_none() => Err(Error::missing("protocol")),
            () => Ok(()),
        }
    }

    fn ends(&self, topology: &Topology, from: &InterfaceId, to: &Target) -> Result<Ends, Error> {
        topology.interfaces().get(from).ok_or_else(|| Error::unknown("from", from))?;
        let own = leases(topology, from);
        let (destination, lease) = self.addresses(topology, from, &own, to)?;
        let lease = match self.source_address {
            Some(address) => own.iter().find(|lease| lease.address.ip() == address).or(lease),
            None => lease,
        };
        let source = self.source_address.or_else(|| lease.map(|lease| lease.address.ip()));
        let source = source.ok_or_else(|| {
            let family = if destination.is_ipv4() { "IPv4" } else { "IPv6" };
            Error::unfit("source_address", format!("{from} has no {family} address: name one"))
        })?;
        if source.is_ipv4() != destination.is_ipv4() {
            return Err(Error::unfit("source_address", format!("{destination} is of the other family")));
        }
        let of_lease = lease.and_then(|lease| mac_of_lease(topology, lease));
        let source_mac = self.source_mac.or(of_lease).or_else(|| first_mac(topology, from));
        let source_mac = source_mac.ok_or_else(|| Error::missing("source_mac"))?;
        let network = lease.and_then(|lease| topology.networks().get(&lease.network_uuid)).cloned();
        Ok(Ends { source, source_mac, destination, network })
    }

    /// The address that the packet is for, and the lease that the sender would send from.
    fn addresses<'a>(
        &self,
        topology: &Topology,
        from: &InterfaceId,
        own: &'a [Arc<IpLease>],
        to: &Target,
    ) -> Result<(IpAddr, Option<&'a Arc<IpLease>>), Error> {
        let id = match to {
            Target::Address(address) => return Ok((*address, source_for(topology, own, *address, None))),
            Target::Interface(id) => id,
        };
        topology.interfaces().get(id).ok_or_else(|| Error::unknown("to", id))?;
        let wanted = |address: IpAddr| match self.kind {
            ProbeKind::Icmpv6 | ProbeKind::Nd => address.is_ipv6(),
            ProbeKind::Arp => address.is_ipv4(),
            _ => self.source_address.is_none_or(|source| source.is_ipv4() == address.is_ipv4()),
        };
        let targets = leases(topology, id);
        let targets = targets.iter().filter(|lease| wanted(lease.address.ip()));
        let best = targets.filter_map(|target| {
            let (address, network) = (target.address.ip(), &target.network_uuid);
            let source = source_for(topology, own, address, Some(network));
            let distance = source.map(|source| distance(topology, source, address, Some(network)));
            (source.is_some() || self.source_address.is_some()).then_some((distance, address, source))
        });
        let best =
            best.min_by_key(|(distance, address, _)| (distance.is_none(), *distance, address.is_ipv6()));
        best.map(|(_, address, source)| (address, source)).ok_or_else(|| {
            Error::unfit("to", format!("{from} and {id} have no addresses of one family: name an address"))
        })
    }

    /// The packet, or what a guest sends or does instead of it.
    fn sent(&self, topology: &Topology, from: &InterfaceId, ends: &Ends) -> Result<Prepared, Error> {
        let hop = match (self.destination_mac, &ends.network) {
            (Some(mac), _) => NextHop::Known(mac),
            (None, Some(network)) => next_hop(topology, network, ends.destination),
            (None, None) => {
                let reason =
                    format!("{from} has no lease that tells its network: name the frame's destination");
                return Err(Error::unfit("destination_mac", reason));
            }
        };
        Ok(match hop {
            NextHop::Known(mac) => Prepared::Packet(self.dressed(Packet {
                source: ends.source_mac,
                destination: mac,
                vlans: Vec::new(),
                content: Content::Ip(self.packet(ends)?),
            })),
            NextHop::Unknown(address) => {
                let question = question(ends, address).ok_or_else(|| Error::missing("destination_mac"))?;
                Prepared::Question(self.dressed(question), address)
            }
            NextHop::None => {
                let network =
                    ends.network.as_ref().map_or_else(String::new, |network| network.uuid.to_string());
                Prepared::Unsent {
                    reason: format!("{} is not in {network}, which has no router", ends.destination),
                    remedy: format!("give {network} a leg and a route, or name the frame's destination"),
                }
            }
        })
    }

    fn packet(&self, ends: &Ends) -> Result<IpPacket, Error> {
        let mut packet = IpPacket {
            source: ends.source,
            destination: ends.destination,
            hops: self.ttl.unwrap_or(DEFAULT_HOPS),
            dscp: self.dscp.unwrap_or(0),
            dont_fragment: self.dont_fragment,
            fragment: self.fragment,
            payload: self.payload(ends.destination.is_ipv4()),
            data_bytes: 0,
        };
        if let Some(length) = self.length {
            let data = u32::from(length).checked_sub(packet.total_bytes());
            let data = data.and_then(|data| u16::try_from(data).ok());
            packet.data_bytes = data.ok_or_else(|| {
                Error::unfit("length", format!("the headers alone have {} bytes", packet.total_bytes()))
            })?;
        }
        Ok(packet)
    }

    fn payload(&self, is_ipv4: bool) -> Payload {
        let destination_port = self.port.unwrap_or(0);
        let source_port = self.source_port.unwrap_or(EPHEMERAL_PORT);
        let echo_request = if is_ipv4 { ECHO_REQUEST } else { ECHO_REQUEST_V6 };
        let whole = match self.kind {
            ProbeKind::Tcp => {
                let flags = self.tcp_flags.unwrap_or(TcpFlags::SYN);
                Payload::Tcp { source_port, destination_port, flags }
            }
            ProbeKind::Udp => Payload::Udp { source_port, destination_port },
            ProbeKind::Other => Payload::Other { protocol: self.protocol.unwrap_or(0) },
            ProbeKind::Icmp | ProbeKind::Icmpv6 | ProbeKind::Arp | ProbeKind::Nd => Payload::Icmp(Icmp {
                kind: self.icmp_type.unwrap_or(echo_request),
                code: self.icmp_code.unwrap_or(0),
                identifier: self.icmp_identifier.unwrap_or(ECHO_IDENTIFIER),
                about: None,
            }),
        };
        match (self.fragment, &whole) {
            // What follows the first fragment has no transport header.
            (Fragment::Later, Payload::Tcp { .. }) => Payload::Other { protocol: protocol::TCP },
            (Fragment::Later, Payload::Udp { .. }) => Payload::Other { protocol: protocol::UDP },
            (Fragment::Later, Payload::Icmp(_)) if is_ipv4 => Payload::Other { protocol: protocol::ICMP },
            (Fragment::Later, Payload::Icmp(_)) => Payload::Other { protocol: protocol::ICMPV6 },
            _ => whole,
        }
    }

    /// A frame with what the user wants otherwise.
    fn dressed(&self, frame: Packet) -> Packet {
        Packet {
            destination: self.destination_mac.unwrap_or(frame.destination),
            vlans: self.vlan.into_iter().collect(),
            ..frame
        }
    }
}

/// The question who has an address: RFC 826; RFC 4861, section 7.2.2. `None` if the families differ.
fn question(ends: &Ends, address: IpAddr) -> Option<Packet> {
    let (destination, content) = match (ends.source, address) {
        (IpAddr::V4(sender_ip), IpAddr::V4(target_ip)) => {
            let (sender_mac, target_mac) = (ends.source_mac, MacAddr([0; 6]));
            (BROADCAST, Content::Arp(Arp { operation: 1, sender_mac, sender_ip, target_mac, target_ip }))
        }
        (IpAddr::V6(_), IpAddr::V6(target)) => {
            let group = solicited_node(target);
            let link_layer = Some(ends.source_mac);
            let asked = Neighbour { is_advertisement: false, flags: 0, target, link_layer };
            let packet = IpPacket {
                source: ends.source,
                destination: group.into(),
                hops: NEIGHBOUR_HOPS,
                dscp: 0,
                dont_fragment: false,
                fragment: Fragment::Whole,
                payload: Payload::Neighbour(asked),
                data_bytes: 0,
            };
            (of_multicast(group), Content::Ip(packet))
        }
        _ => return None,
    };
    Some(Packet { source: ends.source_mac, destination, vlans: Vec::new(), content })
}

/// RFC 4291, section 2.7.1.
fn solicited_node(target: Ipv6Addr) -> Ipv6Addr {
    let [.., a, b, c] = target.octets();
    Ipv6Addr::from([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, a, b, c])
}
