//! What the comparisons were about, so that nobody takes a thousand dropped packets for an agreement.

use std::collections::BTreeMap;
use std::fmt;

use topology::walk::{Answer, Content, Decision, Fragment, Outcome, Packet, Payload, Reason, Step};
use topology::{InterfaceId, ObjectRef};

use crate::campaign::PACKETS;
use crate::forms::Form;
use crate::scene::{Story, host_id, host_of};
use crate::wire::Crossing;

/// How many pairs were about what.
#[derive(Default)]
pub(crate) struct Coverage {
    counts: BTreeMap<&'static str, usize>,
}

/// How many pairs have to be expected to be about something before so many are demanded.
const MANY: usize = 5;

/// Topologies of which something is demanded: each is about some things only, and a machine that is busy comes to few of them.
const TOPOLOGIES: usize = 10;

/// What has to be covered, in pairs of ten thousand.
const LEAST: [(&str, usize); 32] = [
    ("address resolution", 400),
    ("allowed by groups", 200),
    ("answered by a service", 40),
    ("answered by the network", 400),
    ("broadcast or multicast", 800),
    ("between hosts that change how they wrap", 25),
    ("between hosts with an encapsulation of their own", 25),
    ("between hosts with several addresses", 25),
    ("by the addresses of a domain's own", 25),
    ("delivered", 1500),
    ("dropped by a filter", 300),
    ("dropped by groups", 300),
    ("edges of segments", 100),
    ("fragments", 80),
    ("gateways of physical networks", 200),
    ("IPv4", 2500),
    ("IPv6", 2000),
    ("malformed", 100),
    ("of a host that is left out", 20),
    ("options, extension headers, padding, overlaps", 100),
    ("passed by a filter", 300),
    ("replies of tracked connections", 60),
    ("routed", 700),
    ("shared by next hops", 20),
    ("spoofed", 300),
    ("tagged", 200),
    ("to another host", 1500),
    ("too large for a tunnel", 10),
    ("translated", 120),
    ("translated: a port", 10),
    ("translated: an address", 30),
    ("translated: many by one", 40),
];

impl Coverage {
    /// Counts the last packet of a story.
    pub(crate) fn note(&mut self, story: &Story) {
        let Some(sent) = story.scene().sent.last() else { return };
        let mut about = Vec::new();
        match &sent.packet.content {
            Content::Ip(ip) if ip.is_ipv4() => about.push("IPv4"),
            Content::Ip(_) => about.push("IPv6"),
            Content::Arp(_) | Content::Other { .. } => {}
        }
        if sent.packet.ip().is_some_and(|ip| ip.fragment != Fragment::Whole) {
            about.push("fragments");
        }
        if sent.packet.destination.is_multicast() {
            about.push("broadcast or multicast");
        }
        if sent.form != Form::Plain {
            about.push("options, extension headers, padding, overlaps");
        }
        if is_malformed(&sent.packet) {
            about.push("malformed");
        }
        if !sent.packet.vlans.is_empty() {
            about.push("tagged");
        }
        about.extend(story.walk.steps.iter().filter_map(|step| of_step(&step.what)));
        about.extend(story.walk.steps.iter().filter_map(|step| of_translation(story, step)));
        let wires = story.walk.steps.iter().filter(|step| step.what == Decision::ToWire);
        about.extend(wires.filter_map(|step| of_wire(story, &step.object)));
        about.extend(of_wire(story, &sent.from.clone().into()));
        about.extend(story.walk.outcomes.iter().filter_map(of_outcome));
        about.extend(is_left_out(story, &sent.from).then_some("of a host that is left out"));
        about.extend(story.observed.crossings.iter().flat_map(|of| of_crossing(story, of)));
        if is_resolution(&sent.packet.content) {
            about.push("address resolution");
        }
        about.sort_unstable();
        about.dedup();
        for what in about {
            *self.counts.entry(what).or_default() += 1;
        }
    }

    /// Counts what others have counted, too.
    pub(crate) fn add(&mut self, other: &Self) {
        other.counts.iter().for_each(|(what, count)| *self.counts.entry(what).or_default() += count);
    }

    /// Whether nothing was left out.
    pub(crate) fn is_enough(&self, pairs: usize) {
        if pairs < TOPOLOGIES * PACKETS {
            return;
        }
        let lacking: Vec<_> = LEAST
            .iter()
            // Of few pairs none may be about something rare.
            .filter(|(_, least)| least * pairs >= 10_000 * MANY)
            .filter(|(what, least)| self.counts.get(what).copied().unwrap_or(0) * 10_000 < least * pairs)
            .collect();
        assert!(lacking.is_empty(), "too few pairs are about {lacking:?}");
    }
}

/// Whether a frame holds less than it says.
fn is_malformed(packet: &Packet) -> bool {
    match &packet.content {
        Content::Other { ether_type } => [0x0800, 0x0806, 0x86dd].contains(ether_type),
        Content::Ip(ip) => match ip.payload {
            Payload::Other { protocol: 1 | 6 | 17 | 58 } => ip.fragment != Fragment::Later,
            _ => false,
        },
        Content::Arp(_) => false,
    }
}

fn of_translation(story: &Story, step: &Step) -> Option<&'static str> {
    let Decision::Translated { entry } = step.what else { return None };
    let (Some(entry), ObjectRef::Translation(id)) = (entry, &step.object) else {
        return Some("translated: many by one");
    };
    let translation = story.topology.translations().get(id)?;
    let entry = translation.static_addresses.iter().find(|of| of.number == entry)?;
    Some(if entry.ports.is_some() { "translated: a port" } else { "translated: an address" })
}

/// What an uplink or edge is there for.
fn of_wire(story: &Story, object: &ObjectRef) -> Option<&'static str> {
    let ObjectRef::Interface(id) = object else { return None };
    let interface = story.topology.interfaces().get(id).filter(|of| of.mode.is_uplink())?;
    Some(match interface.network_uuid {
        Some(_) => "gateways of physical networks",
        None => "edges of segments",
    })
}

/// Whether the host with an interface's port does not carry its domain.
fn is_left_out(story: &Story, interface: &InterfaceId) -> bool {
    let domains = story.topology.domains_of_interface(interface);
    let host = host_of(interface).map(host_id);
    host.is_some_and(|host| domains.iter().any(|domain| !story.topology.carries(&host, domain)))
}

/// What users have said of the hosts between which it goes.
fn of_crossing(story: &Story, crossing: &Crossing) -> Vec<&'static str> {
    let topology = &story.topology;
    let hosts = crossing.hosts().map(|hosts| hosts.map(|host| topology.datapaths().get(&host)));
    let Some([Some(from), Some(to)]) = hosts else { return Vec::new() };
    let pair = topology.host_pair(from, to);
    let of_pair = pair.map(|pair| match pair.is_settled() {
        true => "between hosts with an encapsulation of their own",
        false => "between hosts that change how they wrap",
    });
    let is_one_of_several = [from, to].iter().any(|host| host.addresses().count() > 1);
    let several = is_one_of_several.then_some("between hosts with several addresses");
    let [way, of_all] =
        [crossing.domain(topology), None].map(|domain| topology.way(&from.uuid, &to.uuid, domain.as_ref()));
    let placed = (way != of_all).then_some("by the addresses of a domain's own");
    of_pair.into_iter().chain(several).chain(placed).collect()
}

fn is_resolution(content: &Content) -> bool {
    match content {
        Content::Arp(_) => true,
        Content::Ip(ip) => matches!(ip.icmp(), Some((135 | 136, _))) && !ip.is_ipv4(),
        Content::Other { .. } => false,
    }
}

fn of_step(decision: &Decision) -> Option<&'static str> {
    match decision {
        Decision::Routed { .. } => Some("routed"),
        Decision::Translated { .. } => Some("translated"),
        Decision::Crosses { .. } => Some("to another host"),
        Decision::FilterPasses { .. } => Some("passed by a filter"),
        Decision::GroupAllows { .. } => Some("allowed by groups"),
        Decision::Tracked { known: Some(_) } => Some("replies of tracked connections"),
        _ => None,
    }
}

fn of_outcome(outcome: &Outcome) -> Option<&'static str> {
    match outcome {
        Outcome::Delivered { .. } => Some("delivered"),
        Outcome::Answered { answer, .. } => match answer {
            Answer::Dhcp | Answer::Dhcpv6 | Answer::Dns | Answer::Metadata | Answer::RouterAdvertisement => {
                Some("answered by a service")
            }
            Answer::TooBig { .. } => Some("too large for a tunnel"),
            _ => Some("answered by the network"),
        },
        Outcome::OnWire { .. } => None,
        Outcome::Undecided { .. } => Some("shared by next hops"),
        Outcome::Dropped { reason, .. } => match reason {
            Reason::SourceMac | Reason::SourceAddress | Reason::FalseSender | Reason::Pretender => {
                Some("spoofed")
            }
            Reason::FilteredIn | Reason::FilteredOut => Some("dropped by a filter"),
            Reason::NotAllowedIn | Reason::NotAllowedOut => Some("dropped by groups"),
            _ => None,
        },
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.counts.iter().try_for_each(|(what, count)| writeln!(f, "{count:8} {what}"))
    }
}
