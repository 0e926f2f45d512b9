//! What a rule says of packets: one description for filters and security groups, of packets and of connections.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use super::bytes;
use super::connection::{Ends, Tuple};
use super::looked::{End, Looked};
use super::packet::{Arp, Fragment, IpPacket, protocol};
use crate::filter::FilterRule;
use crate::security_group::GroupRule;
use crate::traffic::{Direction, Ports, Protocol};

/// What a packet says of itself, or of the first packet of its connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Said {
    is_arp: bool,
    protocol: u8,
    source: IpAddr,
    destination: IpAddr,
    ports: Option<(u16, u16)>,
    icmp: Option<(u8, u8)>,
}

impl From<&IpPacket> for Said {
    fn from(ip: &IpPacket) -> Self {
        let (source, destination) = (ip.source, ip.destination);
        let (ports, icmp) = (ip.ports(), ip.icmp());
        // RFC 8200, section 4.5: what a later fragment says of its protocol need not be true, and counts nowhere.
        let is_part = !ip.is_ipv4() && ip.fragment == Fragment::Later;
        let protocol = if is_part { protocol::FRAGMENT } else { ip.protocol() };
        Self { is_arp: false, protocol, source, destination, ports, icmp }
    }
}

impl From<Tuple> for Said {
    fn from(tuple: Tuple) -> Self {
        let Tuple { protocol, source, destination, ends } = tuple;
        let (ports, icmp) = match ends {
            Ends::Ports { source, destination } => (Some((source, destination)), None),
            Ends::Echo { kind, code, .. } => (None, Some((kind, code))),
            Ends::None => (None, None),
        };
        Self { is_arp: false, protocol, source, destination, ports, icmp }
    }
}

impl From<&Arp> for Said {
    fn from(arp: &Arp) -> Self {
        let (source, destination) = (arp.sender_ip.into(), arp.target_ip.into());
        Self { is_arp: true, protocol: 0, source, destination, ports: None, icmp: None }
    }
}

impl Said {
    /// By a frame that says it is ARP or IP, and is not: nothing more than that. `None` if it says something else.
    pub(super) fn of_malformed(ether_type: u16) -> Option<Self> {
        let nobody = match ether_type {
            bytes::ARP | bytes::IPV4 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            bytes::IPV6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
            _ => return None,
        };
        let (is_arp, source, destination) = (ether_type == bytes::ARP, nobody, nobody);
        Some(Self { is_arp, protocol: 0, source, destination, ports: None, icmp: None })
    }
}

/// A rule, seen from the interface it protects.
pub(super) struct Pattern {
    protocol: Protocol,
    remote: Option<IpNet>,
    own: Option<IpNet>,
    remote_port: Option<Ports>,
    own_port: Option<Ports>,
    icmp: (Option<u8>, Option<u8>),
}

impl From<&FilterRule> for Pattern {
    fn from(rule: &FilterRule) -> Self {
        Self {
            protocol: rule.protocol,
            remote: rule.src_address,
            own: rule.dst_address,
            remote_port: rule.src_port,
            own_port: rule.dst_port,
            icmp: (rule.icmp_type, rule.icmp_code),
        }
    }
}

impl From<&GroupRule> for Pattern {
    fn from(rule: &GroupRule) -> Self {
        // The port is the one that the connection is to.
        let (remote_port, own_port) = match rule.direction {
            Direction::Ingress => (None, rule.port),
            Direction::Egress => (rule.port, None),
        };
        let (protocol, remote) = (rule.protocol, rule.remote_address);
        Self { protocol, remote, own: None, remote_port, own_port, icmp: (rule.icmp_type, rule.icmp_code) }
    }
}

impl Pattern {
    /// Whether it is about what is said by something that goes this way.
    pub(super) fn fits(&self, said: &Said, direction: Direction, looked: &Looked) -> bool {
        let (remote, own) = turned(direction, (said.source, said.destination));
        let ends = turned(direction, (End::From, End::To));
        let ports = said.ports.map(|ports| turned(direction, ports));
        let within = |net: Option<IpNet>, address: IpAddr| net.is_none_or(|net| net.contains(&address));
        let among = |wanted: Option<Ports>, end: End, given: Option<u16>| {
            wanted.is_none_or(|wanted| given.is_some_and(|given| looked.is_among(end, given, wanted)))
        };
        let is_code = |wanted: u8| said.icmp.is_some_and(|icmp| looked.is_code(icmp, wanted));
        self.is_of_protocol(said)
            && within(self.remote, remote)
            && within(self.own, own)
            && among(self.remote_port, ends.0, ports.map(|(remote, _)| remote))
            && among(self.own_port, ends.1, ports.map(|(_, own)| own))
            && self.icmp.0.is_none_or(|wanted| said.icmp.is_some_and(|(kind, _)| kind == wanted))
            && self.icmp.1.is_none_or(is_code)
    }

    fn is_of_protocol(&self, said: &Said) -> bool {
        let is = |number, is_ipv4| said.protocol == number && said.source.is_ipv4() == is_ipv4;
        match self.protocol {
            Protocol::Arp => said.is_arp,
            _ if said.is_arp => false,
            Protocol::Ip => true,
            Protocol::Tcp => said.protocol == protocol::TCP,
            Protocol::Udp => said.protocol == protocol::UDP,
            Protocol::Icmp => is(protocol::ICMP, true),
            Protocol::Icmpv6 => is(protocol::ICMPV6, false),
        }
    }
}

/// The other end and the interface's own, of source and destination.
fn turned<T>(direction: Direction, (source, destination): (T, T)) -> (T, T) {
    match direction {
        Direction::Ingress => (source, destination),
        Direction::Egress => (destination, source),
    }
}
