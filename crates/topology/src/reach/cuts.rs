//! Cuts: where what objects say of ports and types of messages changes, for a pair of guests.
//!
//! Between two cuts nothing tells one number from another, so one packet speaks for all of a piece. Which rules there are on
//! either side is all that matters: of a sender's filter `src` is the other end, of a receiver's it is the sender.

use std::collections::BTreeSet;

use super::traffic::Kind;
use crate::filter::FilterRule;
use crate::graph::Topology;
use crate::id::InterfaceId;
use crate::security_group::GroupRule;
use crate::traffic::{Ports, Protocol};

/// Ports of UDP that protection treats in a way of its own, by who sends from them: DHCP (RFC 2131, RFC 8415). Each with the
/// port that such packets are from.
const DHCP: [(u16, u16); 4] = [(67, 68), (68, 67), (546, 547), (547, 546)];
/// From here on ports are what clients send from (RFC 6335, section 6).
pub(super) const FIRST_EPHEMERAL: u16 = 49_152;

/// Where codes of echo requests begin and zero ends: legs answer those without a code.
const ECHOES: [u16; 4] = [0x0800, 0x0801, 0x8000, 0x8001];

/// Cuts of what packets of one pair are judged by.
#[derive(Clone, Debug, Default)]
pub(super) struct Cuts {
    /// Ports that connections of TCP are to.
    to_tcp: BTreeSet<u16>,
    /// Ports that datagrams of UDP are to.
    to_udp: BTreeSet<u16>,
    /// Ports that connections are from.
    from_ports: BTreeSet<u16>,
    /// Types and codes.
    types: BTreeSet<u16>,
}

impl Cuts {
    /// Of a sender and a receiver. `translated` are the ports of all static addresses.
    pub(super) fn of(
        topology: &Topology,
        from: &InterfaceId,
        to: &InterfaceId,
        translated: &BTreeSet<u16>,
    ) -> Self {
        let mut cuts = Self { types: BTreeSet::from(ECHOES), ..Self::default() };
        for rule in &filter_rules(topology, from) {
            cuts.take_filter(rule, rule.src_port, rule.dst_port);
        }
        for rule in &filter_rules(topology, to) {
            cuts.take_filter(rule, rule.dst_port, rule.src_port);
        }
        for rule in group_rules(topology, from).iter().chain(&group_rules(topology, to)) {
            cuts.take_port(rule.protocol, rule.port);
            cuts.take_type(rule.protocol, rule.icmp_type, rule.icmp_code);
        }
        for (port, _) in DHCP {
            cuts.take_port(Protocol::Udp, Ports::new(port, port));
        }
        for port in translated {
            cuts.take_port(Protocol::Ip, Ports::new(*port, *port));
            cut(&mut cuts.from_ports, Ports::new(*port, *port));
        }
        cuts
    }

    /// The cuts of ports that what goes to a port is from.
    pub(super) fn sources_for(&self, kind: Kind, port: u16) -> BTreeSet<u16> {
        let mut sources = self.from_ports.clone();
        for (_, from) in DHCP.into_iter().filter(|(to, _)| *to == port && kind == Kind::Udp) {
            cut(&mut sources, Ports::new(from, from));
        }
        if !sources.is_empty() {
            sources.insert(FIRST_EPHEMERAL);
        }
        sources
    }

    /// The cuts of a kind's values.
    pub(super) fn of_kind(&self, kind: Kind) -> &BTreeSet<u16> {
        match kind {
            Kind::Tcp => &self.to_tcp,
            Kind::Udp => &self.to_udp,
            Kind::Icmp | Kind::Icmpv6 | Kind::Other => &self.types,
        }
    }

    fn take_filter(&mut self, rule: &FilterRule, to: Option<Ports>, from: Option<Ports>) {
        self.take_port(rule.protocol, to);
        cut(&mut self.from_ports, from);
        self.take_type(rule.protocol, rule.icmp_type, rule.icmp_code);
    }

    fn take_port(&mut self, protocol: Protocol, ports: Option<Ports>) {
        if protocol != Protocol::Udp {
            cut(&mut self.to_tcp, ports);
        }
        if protocol != Protocol::Tcp {
            cut(&mut self.to_udp, ports);
        }
    }

    fn take_type(&mut self, protocol: Protocol, kind: Option<u8>, code: Option<u8>) {
        let is_icmp = matches!(protocol, Protocol::Icmp | Protocol::Icmpv6);
        let Some(kind) = kind.filter(|_| is_icmp) else { return };
        let (first, last) = code.map_or((0, u8::MAX), |code| (code, code));
        self.types.insert(u16::from_be_bytes([kind, first]));
        self.types.extend(u16::from_be_bytes([kind, last]).checked_add(1));
    }
}

fn cut(cuts: &mut BTreeSet<u16>, ports: Option<Ports>) {
    if let Some((first, last)) = ports.map(Ports::ends) {
        cuts.insert(first);
        cuts.extend(last.checked_add(1));
    }
}

fn filter_rules(topology: &Topology, interface: &InterfaceId) -> Vec<FilterRule> {
    let filters = topology.filters_of_interface(interface).into_iter();
    let filters = filters.filter_map(|id| topology.filters().get(&id).map(|of| of.rules.clone()));
    filters.flatten().collect()
}

fn group_rules(topology: &Topology, interface: &InterfaceId) -> Vec<GroupRule> {
    let groups = topology.interfaces().get(interface).map(|of| of.security_groups.clone());
    let groups = groups.into_iter().flatten();
    let rules = groups.filter_map(|id| topology.security_groups().get(&id).map(|of| of.rules.clone()));
    rules.flatten().collect()
}
