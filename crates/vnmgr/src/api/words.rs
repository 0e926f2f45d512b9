//! Walks in words: packets, what objects decide of them, and what becomes of them, for people.

use std::fmt::Write;

use topology::filter::FilterRule;
use topology::reach::Arrival;
use topology::security_group::GroupRule;
use topology::traffic::Direction;
use topology::walk::{
    Answer, Content, Decision, Fragment, IpPacket, Outcome, Packet, Payload, Reason, Walk, Way,
};
use topology::{DatapathId, ObjectRef, Topology};

use super::resource::id_text;

/// A packet in one line.
pub(super) fn packet(packet: &Packet) -> String {
    let mut text = match &packet.content {
        Content::Arp(arp) if arp.operation == 1 => {
            format!("ARP who has {} tell {}", arp.target_ip, arp.sender_ip)
        }
        Content::Arp(arp) => format!("ARP {} is at {}", arp.sender_ip, arp.sender_mac),
        Content::Ip(ip) => ip_packet(ip),
        Content::Other { ether_type } => format!("EtherType 0x{ether_type:04x}"),
    };
    for vlan in &packet.vlans {
        write!(text, ", VLAN {vlan}").expect("a text takes all");
    }
    write!(text, " ({} > {})", packet.source, packet.destination).expect("a text takes all");
    text
}

fn ip_packet(ip: &IpPacket) -> String {
    let (source, destination) = (ip.source, ip.destination);
    let socket = |address: std::net::IpAddr, port: u16| std::net::SocketAddr::new(address, port).to_string();
    let mut text = match &ip.payload {
        Payload::Tcp { source_port, destination_port, .. } => {
            format!("TCP {} > {}", socket(source, *source_port), socket(destination, *destination_port))
        }
        Payload::Udp { source_port, destination_port } => {
            format!("UDP {} > {}", socket(source, *source_port), socket(destination, *destination_port))
        }
        Payload::Icmp(icmp) => {
            let what = match (ip.is_ipv4(), icmp.kind) {
                (true, 8) | (false, 128) => "echo request".to_owned(),
                (true, 0) | (false, 129) => "echo reply".to_owned(),
                _ => format!("type {} code {}", icmp.kind, icmp.code),
            };
            let name = if ip.is_ipv4() { "ICMP" } else { "ICMPv6" };
            format!("{name} {what} {source} > {destination}")
        }
        Payload::Neighbour(of) if of.is_advertisement => {
            format!("ND {} is here, {source} > {destination}", of.target)
        }
        Payload::Neighbour(of) => format!("ND who has {}, {source} > {destination}", of.target),
        Payload::Other { protocol } => format!("protocol {protocol} {source} > {destination}"),
    };
    write!(text, ", TTL {}", ip.hops).expect("a text takes all");
    match ip.fragment {
        Fragment::Whole => {}
        Fragment::First => text.push_str(", first fragment"),
        Fragment::Later => text.push_str(", later fragment"),
    }
    text
}

/// What an object does to a packet.
pub(super) fn decision(topology: &Topology, by: &ObjectRef, decision: &Decision) -> String {
    match decision {
        Decision::Sent => "sends it".to_owned(),
        Decision::Marked => "sets its code point".to_owned(),
        Decision::FilterPasses { rule: Some(number), direction } => {
            let rule = rule_of_filter(topology, by, *number);
            format!("rule {} passes it {}{rule}", number + 1, way(*direction))
        }
        Decision::FilterPasses { rule: None, direction } => {
            format!("passes {} what no rule is for", way(*direction))
        }
        Decision::GroupAllows { rule: Some(number), direction } => {
            let rule = rule_of_group(topology, by, *number);
            format!("rule {} allows it {}{rule}", number + 1, way(*direction))
        }
        Decision::GroupAllows { rule: None, direction } => {
            format!("allows it {}, as to every member", way(*direction))
        }
        Decision::Tracked { known: None } => "begins a connection".to_owned(),
        Decision::Tracked { known: Some(Way::Original) } => "goes on with a connection".to_owned(),
        Decision::Tracked { known: Some(Way::Reply) } => "answers in a connection".to_owned(),
        Decision::Found => "is whom it is for".to_owned(),
        Decision::ForAll => "passes it to all of them".to_owned(),
        Decision::Crosses { to, mtu } => {
            format!("crosses to {}, which takes {mtu} bytes", host(topology, to))
        }
        Decision::Enters => "takes it into the router".to_owned(),
        Decision::Routed { leg, next_hop } => format!("sends it out by {leg} to {next_hop}"),
        Decision::NextHop { .. } => "is one of several next hops".to_owned(),
        Decision::Translated { entry: Some(number) } => {
            format!("static address {number} changes its addresses")
        }
        Decision::Translated { entry: None } => "changes its source to a shared address".to_owned(),
        Decision::Untranslated => "lets it pass untranslated".to_owned(),
        Decision::Replies => "answers it".to_owned(),
        Decision::ToWire => "brings it to the wire".to_owned(),
    }
}

fn way(direction: Direction) -> &'static str {
    match direction {
        Direction::Ingress => "in",
        Direction::Egress => "out",
    }
}

fn rule_of_filter(topology: &Topology, filter: &ObjectRef, number: usize) -> String {
    let ObjectRef::Filter(id) = filter else { return String::new() };
    let rule = topology.filters().get(id).and_then(|filter| filter.rules.get(number).cloned());
    rule.map_or_else(String::new, |rule| format!(": {}", filter_rule(&rule)))
}

fn filter_rule(rule: &FilterRule) -> String {
    let mut text = format!("{} {}", spelled(&rule.action), spelled(&rule.protocol));
    let given: [(&str, Option<String>); 6] = [
        ("src", rule.src_address.map(|of| of.to_string())),
        ("src port", rule.src_port.map(|of| of.to_string())),
        ("dst", rule.dst_address.map(|of| of.to_string())),
        ("dst port", rule.dst_port.map(|of| of.to_string())),
        ("type", rule.icmp_type.map(|of| of.to_string())),
        ("code", rule.icmp_code.map(|of| of.to_string())),
    ];
    append(&mut text, given);
    text
}

fn rule_of_group(topology: &Topology, group: &ObjectRef, number: usize) -> String {
    let ObjectRef::SecurityGroup(id) = group else { return String::new() };
    let rule = topology.security_groups().get(id).and_then(|group| group.rules.get(number).cloned());
    rule.map_or_else(String::new, |rule| format!(": {}", group_rule(&rule)))
}

fn group_rule(rule: &GroupRule) -> String {
    let mut text = format!("{} {}", spelled(&rule.direction), spelled(&rule.protocol));
    let given: [(&str, Option<String>); 5] = [
        ("port", rule.port.map(|of| of.to_string())),
        ("type", rule.icmp_type.map(|of| of.to_string())),
        ("code", rule.icmp_code.map(|of| of.to_string())),
        ("with", rule.remote_group_uuid.as_ref().map(ToString::to_string)),
        ("with", rule.remote_address.map(|of| of.to_string())),
    ];
    append(&mut text, given);
    text
}

fn append<const N: usize>(text: &mut String, given: [(&str, Option<String>); N]) {
    for (name, value) in given {
        if let Some(value) = value {
            write!(text, " {name} {value}").expect("a text takes all");
        }
    }
}

/// A name as the API spells it.
fn spelled(of: &impl serde::Serialize) -> String {
    let value = serde_json::to_value(of).unwrap_or_default();
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn host(topology: &Topology, id: &DatapathId) -> String {
    topology.datapaths().get(id).map_or_else(|| id.to_string(), |host| host.node_id.to_string())
}

/// Outcomes, those that are undecided taken apart.
pub(super) fn flat(outcomes: &[Outcome]) -> Box<dyn Iterator<Item = &Outcome> + '_> {
    Box::new(outcomes.iter().flat_map(|outcome| match outcome {
        Outcome::Undecided { among } => Box::new(among.iter().flat_map(|ways| flat(ways))),
        one => Box::new(std::iter::once(one)) as Box<dyn Iterator<Item = &Outcome>>,
    }))
}

/// What would let a packet pass.
pub(super) fn remedy(outcome: &Outcome) -> Option<&str> {
    match outcome {
        Outcome::Dropped { remedy, .. } => Some(remedy),
        Outcome::Undecided { among } => among.iter().flatten().find_map(remedy),
        _ => None,
    }
}

/// Whether a packet gets where it should, in a sentence.
pub(super) fn verdict(topology: &Topology, walked: &Walk, arrives: Arrival, to: &str) -> String {
    let became: Vec<_> = walked.outcomes.iter().map(|of| outcome(topology, of)).collect();
    let became = match became.as_slice() {
        [] => "nothing becomes of it".to_owned(),
        [one] => one.clone(),
        [.., last] => format!("{last}, and {} more copies", became.len() - 1),
    };
    match arrives {
        Arrival::Always => format!("arrives: {became}"),
        Arrival::Sometimes => format!("may arrive at {to}: {became}"),
        Arrival::Never => format!("does not arrive at {to}: {became}"),
    }
}

/// What becomes of a packet.
pub(super) fn outcome(topology: &Topology, outcome: &Outcome) -> String {
    let at = |id: &DatapathId| host(topology, id);
    match outcome {
        Outcome::Delivered { interface, host, source_ports, .. } => {
            let mut text = format!("delivered to {interface} on {}", at(host));
            if let Some(ports) = source_ports {
                write!(text, ", from a port of {}-{}", ports.start(), ports.end()).expect("a text takes all");
            }
            text
        }
        Outcome::OnWire { uplink, host, next_hop, .. } => {
            let hop = next_hop.map_or_else(String::new, |hop| format!(" to {hop}"));
            format!("sent to the wire of {uplink} on {}{hop}", at(host))
        }
        Outcome::Answered { host, by, answer: what, .. } => {
            format!("answered by {} on {}: {}", id_text(by), at(host), answer(*what))
        }
        Outcome::Dropped { host, by, reason: why, .. } => {
            let place = host.as_ref().map_or_else(String::new, |host| format!(" on {}", at(host)));
            format!("dropped{place} by {}: {}", id_text(by), reason(*why))
        }
        Outcome::Undecided { among } => {
            let ways = among.iter().map(|copies| {
                let copies: Vec<_> = copies.iter().map(|of| self::outcome(topology, of)).collect();
                copies.join(" and ")
            });
            format!("one of these: {}", ways.collect::<Vec<_>>().join("; or "))
        }
    }
}

fn answer(answer: Answer) -> String {
    let text = match answer {
        Answer::ArpReply => "who has the address",
        Answer::NeighbourAdvertisement => "who has the address",
        Answer::RouterAdvertisement => "which routers there are",
        Answer::EchoReply => "echo reply",
        Answer::Dhcp => "DHCP",
        Answer::Dhcpv6 => "DHCPv6",
        Answer::Dns => "DNS",
        Answer::Metadata => "metadata",
        Answer::TimeExceeded => "time exceeded",
        Answer::NoRoute => "no route to the destination",
        Answer::HostUnreachable => "host unreachable",
        Answer::PortUnreachable => "port unreachable",
        Answer::TooBig { mtu } => return format!("too big, at most {mtu} bytes"),
        Answer::Rejected => "administratively prohibited",
    };
    text.to_owned()
}

fn reason(reason: Reason) -> &'static str {
    match reason {
        Reason::Silent => "it takes no part: it is down, plugged in nowhere or has no address",
        Reason::SourceMac => "the source MAC address is not the sender's",
        Reason::SourceAddress => "the source address is not the sender's",
        Reason::Tagged => "it has a VLAN tag",
        Reason::SeveralTags => "it has several VLAN tags",
        Reason::FalseSender => "it does not tell the truth about its sender",
        Reason::Unasked => "it answers what nobody asked",
        Reason::NotRouter => "its sender speaks as a router and is none",
        Reason::Unresolved => "nobody else has the address",
        Reason::UnknownDestination => "nobody has the destination MAC address",
        Reason::ToItself => "it is for its own sender",
        Reason::Incomplete => "it is one fragment, and waits for the others",
        Reason::Absent => "the receiver is plugged in nowhere",
        Reason::UnknownHost => "the receiver's host has not registered",
        Reason::TooBig => "it is too large, and must not be answered",
        Reason::NotRouted => "no route takes it into the router",
        Reason::NotForwarded => "routers do not forward such addresses",
        Reason::NotServed => "no service is there for it",
        Reason::Untranslated => "no translation takes it",
        Reason::UnknownConnection => "it is of no connection that is translated",
        Reason::FilteredOut => "the sender's filter does not let it out",
        Reason::FilteredIn => "the receiver's filter does not let it in",
        Reason::NotAllowedOut => "no security group of the sender allows it out",
        Reason::NotAllowedIn => "no security group of the receiver allows it in",
        Reason::Pretender => "it came from the wire and claims to be from inside",
        Reason::Expired => "it has no hops left, and must not be answered",
        Reason::Unreachable => "there is no way on, and it must not be answered",
        Reason::NotGateway => "it came from the wire where it is nobody's",
    }
}
