//! What a rule says of packets, as the switch matches it.

use std::net::IpAddr;

use ipnet::IpNet;
use openflow::{Field, Flow, Instructions, Match, TableId, ct_state};
use topology::IdentityKey;
use topology::filter::FilterRule;
use topology::security_group::GroupRule;
use topology::traffic::{Direction, Family, Ports, Protocol};

use crate::layout::*;
use crate::view::as_ipv6;

/// By what packets are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    /// By themselves.
    Header,
    /// By themselves, those that no connection could be made of.
    Untracked,
    /// By themselves, those that no connection is known for.
    New,
    /// By the first packet of their connection, or of the one that theirs is related to, which went this way. What began
    /// how is in [`began`].
    Kept,
}

/// What a rule says, seen from the interface it protects.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    families: Vec<Family>,
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
            families: rule.families(),
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
        Self {
            families: rule.families(),
            protocol: rule.protocol,
            remote: rule.remote_address,
            own: None,
            remote_port,
            own_port,
            icmp: (rule.icmp_type, rule.icmp_code),
        }
    }
}

impl Pattern {
    /// The packets it fits whose connection, or who themselves, go this way. `among` narrows them down.
    pub(crate) fn matches(&self, among: &Match, direction: Direction, by: By) -> Vec<Match> {
        let (source, destination) = towards(direction, self.remote, self.own);
        let (source_port, destination_port) = towards(direction, self.remote_port, self.own_port);
        let mut found = Vec::new();
        for family in self.families.iter().copied().filter(|family| by.knows(self.protocol, *family)) {
            let matching = by.state(among.clone(), direction, (self.protocol, family));
            let matching = by.protocol(matching, self.protocol);
            let matching = by.address(matching, self.protocol, true, source);
            let matching = by.address(matching, self.protocol, false, destination);
            let matching = by.icmp(matching, self.protocol, self.icmp);
            for matching in by.ports(matching, self.protocol, true, source_port) {
                found.extend(by.ports(matching, self.protocol, false, destination_port));
            }
        }
        found
    }
}

/// Source and destination, given the two ends and who speaks first.
fn towards<T>(direction: Direction, remote: T, own: T) -> (T, T) {
    match direction {
        Direction::Ingress => (remote, own),
        Direction::Egress => (own, remote),
    }
}

impl By {
    /// Whether there are such packets: neighbour discovery is what is not tracked, and ARP is never.
    fn knows(self, protocol: Protocol, family: Family) -> bool {
        match self {
            Self::Header => true,
            Self::Untracked => match protocol {
                Protocol::Arp | Protocol::Icmpv6 => true,
                Protocol::Ip => family == Family::V6,
                Protocol::Tcp | Protocol::Udp | Protocol::Icmp => false,
            },
            Self::New | Self::Kept => protocol != Protocol::Arp,
        }
    }

    /// Packets of this kind, of which this is known.
    fn state(self, matching: Match, direction: Direction, kind: (Protocol, Family)) -> Match {
        let matching = match kind {
            (Protocol::Arp, _) => return matching.arp(),
            (_, Family::V4) => matching.ip(),
            (_, Family::V6) => matching.ipv6(),
        };
        match self {
            Self::Header => matching,
            Self::Untracked => matching.ct_state(0, ct_state::TRK),
            Self::New => {
                let new = ct_state::TRK | ct_state::NEW;
                matching.ct_state(new, new | ct_state::REL | ct_state::INV).ct_mark(UNKNOWN)
            }
            Self::Kept => {
                let tracked = matching.ct_state(ct_state::TRK, ct_state::TRK | ct_state::INV);
                tracked.ct_mark(began(direction))
            }
        }
    }

    /// Whether the fields are those that the connection tracker keeps.
    fn is_connection(self) -> bool {
        matches!(self, Self::New | Self::Kept)
    }

    fn protocol(self, matching: Match, protocol: Protocol) -> Match {
        let Some(number) = protocol.number() else { return matching };
        let field = if self.is_connection() { Field::CtNwProto } else { Field::IpProto };
        matching.with(field, number)
    }

    fn address(self, matching: Match, protocol: Protocol, is_source: bool, net: Option<IpNet>) -> Match {
        let Some(net) = net else { return matching };
        let field = match (net, protocol, self.is_connection(), is_source) {
            (IpNet::V4(_), Protocol::Arp, _, true) => Field::ArpSpa,
            (IpNet::V4(_), Protocol::Arp, _, false) => Field::ArpTpa,
            (IpNet::V4(_), _, false, true) => Field::Ipv4Src,
            (IpNet::V4(_), _, false, false) => Field::Ipv4Dst,
            (IpNet::V4(_), _, true, true) => Field::CtNwSrc,
            (IpNet::V4(_), _, true, false) => Field::CtNwDst,
            (IpNet::V6(_), _, false, true) => Field::Ipv6Src,
            (IpNet::V6(_), _, false, false) => Field::Ipv6Dst,
            (IpNet::V6(_), _, true, true) => Field::CtIpv6Src,
            (IpNet::V6(_), _, true, false) => Field::CtIpv6Dst,
        };
        match (net.network(), net.netmask()) {
            _ if net.prefix_len() == 0 => matching,
            (IpAddr::V4(network), IpAddr::V4(mask)) => matching.with_masked(field, network, mask),
            (network, mask) => matching.with_masked(field, as_ipv6(network), as_ipv6(mask)),
        }
    }

    fn icmp(self, matching: Match, protocol: Protocol, (kind, code): (Option<u8>, Option<u8>)) -> Match {
        let (kind_field, code_field) = match protocol {
            Protocol::Icmpv6 => (Field::Icmpv6Type, Field::Icmpv6Code),
            _ => (Field::IcmpType, Field::IcmpCode),
        };
        // ovs-fields(7), "ct_tp_src" and "ct_tp_dst": of ICMP they hold type and code.
        let with = |matching: Match, field, ct_field, value: Option<u8>| match value {
            None => matching,
            Some(value) if self.is_connection() => matching.with(ct_field, u16::from(value)),
            Some(value) => matching.with(field, value),
        };
        let matching = with(matching, kind_field, Field::CtTpSrc, kind);
        with(matching, code_field, Field::CtTpDst, code)
    }

    fn ports(self, matching: Match, protocol: Protocol, is_source: bool, ports: Option<Ports>) -> Vec<Match> {
        let Some(ports) = ports else { return vec![matching] };
        let field = match (self.is_connection(), protocol, is_source) {
            (true, _, true) => Field::CtTpSrc,
            (true, _, false) => Field::CtTpDst,
            (false, Protocol::Udp, true) => Field::UdpSrc,
            (false, Protocol::Udp, false) => Field::UdpDst,
            (false, _, true) => Field::TcpSrc,
            (false, _, false) => Field::TcpDst,
        };
        let blocks = ports.blocks().into_iter();
        blocks.map(|(value, mask)| matching.clone().with_masked(field, value, mask)).collect()
    }
}

/// Packets of members of these security groups.
pub(crate) fn from_identity(matching: Match, key: IdentityKey) -> Match {
    matching.reg_masked(FLAGS, key.0 << IDENTITY_BIT, IDENTITY)
}

/// Packets for members of these security groups.
pub(crate) fn to_identity(matching: Match, key: IdentityKey) -> Match {
    matching.reg(DESTINATION_IDENTITY, key.0)
}

/// The mark of what no connection is known for. Open vSwitch calls a connection new until it is answered, also one that is kept.
pub(crate) const UNKNOWN: u32 = 0;

/// Which way a connection's first packet went, as its mark says (`ct_mark`). Those that are related to it inherit it.
pub fn began(direction: Direction) -> u32 {
    match direction {
        Direction::Ingress => 1,
        Direction::Egress => 2,
    }
}

/// The tables that judge what goes one way, in order.
pub(crate) struct Stage {
    pub(crate) direction: Direction,
    pub(crate) track: TableId,
    pub(crate) filter: TableId,
    pub(crate) group: TableId,
    pub(crate) commit: TableId,
    pub(crate) refused: TableId,
}

/// What interfaces send.
pub(crate) const OUT: Stage = Stage {
    direction: Direction::Egress,
    track: TRACK_OUT,
    filter: FILTER_OUT,
    group: GROUP_OUT,
    commit: COMMIT_OUT,
    refused: REFUSED_OUT,
};

/// What interfaces receive.
pub(crate) const IN: Stage = Stage {
    direction: Direction::Ingress,
    track: TRACK_IN,
    filter: FILTER_IN,
    group: GROUP_IN,
    commit: COMMIT_IN,
    refused: REFUSED_IN,
};

/// The other way.
pub(crate) fn reverse(direction: Direction) -> Direction {
    match direction {
        Direction::Ingress => Direction::Egress,
        Direction::Egress => Direction::Ingress,
    }
}

/// A flow that takes packets on.
pub(crate) fn go(table: TableId, priority: u16, matching: Match, next: TableId) -> Flow {
    Flow::new(table, priority, matching, Instructions::goto(next))
}
