//! Within an L2 domain: whom a frame is for, and how it gets there.

use super::course::Checks;
use super::member::Place;
use super::outcome::Answer;
use super::packet::{Content, Fragment, Payload};
use super::{
    Decision, Journey, Outcome, Packet, Reason, Walker, protection, resolution, service, simulated, wire,
};
use crate::datapath::Encapsulation;
use crate::graph::DomainId;
use crate::id::{DatapathId, InterfaceId};
use crate::interface::{Interface, InterfaceMode};
use crate::object::ObjectRef;
use crate::traffic::Direction;

/// A VLAN tag, in bytes.
const TAG: u32 = 4;

/// Finds whom a frame is for, and takes it there.
pub(super) fn look_up(walker: &mut Walker<'_>, at: Journey) {
    if let Some((by, answer)) = service::answers(walker, &at) {
        return walker.answer(&at, by, answer, None);
    }
    if asked_of_simulated(walker, &at).is_some() {
        return;
    }
    if at.packet.destination.is_multicast() {
        return for_all(walker, at);
    }
    let destination = at.packet.destination;
    if let Some(id) = walker.by_mac(&at.domain, destination)
        && let Some(interface) = walker.reachable(&at, &id)
    {
        let is_simulated = interface.mode == InterfaceMode::Simulated;
        // What is tagged is in a VLAN of the guests' own, in which nobody has put an interface.
        if !is_simulated || at.packet.vlans.is_empty() {
            return to(walker, at, interface);
        }
        return unknown(walker, at);
    }
    let allowed = walker.allowed_mac(&at.domain, destination);
    match (&at.domain, allowed.first()) {
        (DomainId::Network(_), Some(id)) => match walker.reachable(&at, &id.clone()) {
            Some(interface) => to(walker, at, interface),
            None => unknown(walker, at),
        },
        // Who of those that share it has it now, nobody says.
        (DomainId::Segment(_), Some(_)) if walker.by_mac(&at.domain, destination).is_none() => {
            for_all(walker, at);
        }
        _ => unknown(walker, at),
    }
}

/// On a segment guests resolve each other, and the network answers for what it simulates.
fn asked_of_simulated(walker: &mut Walker<'_>, at: &Journey) -> Option<()> {
    let DomainId::Segment(_) = at.domain else { return None };
    let question = resolution::question(&at.packet).filter(|_| at.packet.vlans.is_empty())?;
    let known = resolution::known(walker, at, question.target())?;
    let ObjectRef::Interface(by) = &known.by else { return None };
    walker.interface(by).filter(|interface| interface.mode == InterfaceMode::Simulated)?;
    resolution::reply(walker, at, &question, known);
    if at.from_wire {
        wire::answered(walker, at);
    }
    Some(())
}

/// Takes a frame to an interface.
fn to(walker: &mut Walker<'_>, mut at: Journey, interface: &Interface) {
    if let Some(Place::On(host)) = walker.place(interface) {
        // Who is behind a leg that is on one host alone, nobody knows before the packet is there.
        let is_elsewhere = host != at.host;
        let is_simulated = interface.mode == InterfaceMode::Simulated;
        if (is_elsewhere || !is_simulated) && !protection::passes_to(walker, &mut at, Some(interface)) {
            return;
        }
        if !cross(walker, &mut at, &host) {
            return;
        }
    }
    walker.step(&at, interface.uuid.clone(), Decision::Found);
    match interface.mode {
        InterfaceMode::Simulated => simulated::meet(walker, at, interface),
        _ => deliver(walker, at, interface),
    }
}

/// What nobody in the domain has goes behind its edge, or, if it answers somebody out there, to the wire of a physical network.
fn unknown(walker: &mut Walker<'_>, mut at: Journey) {
    let edge = wire::edge(walker, &at).or_else(|| wire::uplink(walker, &at)).filter(|_| !at.from_wire);
    let Some(edge) = edge else {
        let remedy = format!("lease {} to an interface that is up and plugged in", at.packet.destination);
        return walker.drop(&at, &at.domain.clone(), Reason::UnknownDestination, remedy);
    };
    if protection::passes_to(walker, &mut at, None) && cross(walker, &mut at, &edge.datapath) {
        wire::out_of_edge(walker, at, &edge.uplink);
    }
}

/// Takes copies to all members, once to each host that has one, and out of the edge, or of several whose hosts do not reach each other.
fn for_all(walker: &mut Walker<'_>, mut at: Journey) {
    if let Some(network) = walker.topology.physical_network(&at.domain) {
        let remedy = "nothing can: what is for all on a wire is nobody's here";
        return walker.drop(&at, network.uuid.clone(), Reason::UnknownDestination, remedy);
    }
    let edges = if at.from_wire { Vec::new() } else { wire::edges(walker, &at) };
    let members = members(walker, &at);
    if members.is_empty() && edges.is_empty() {
        return;
    }
    // What may go to members of a group may not go to all.
    if !protection::passes_to(walker, &mut at, None) {
        return;
    }
    walker.step(&at, &at.domain.clone(), Decision::ForAll);
    let mut hosts: Vec<DatapathId> = members.iter().map(|(host, _)| host.clone()).collect();
    hosts.extend(edges.iter().map(|edge| edge.datapath.clone()));
    hosts.sort();
    hosts.dedup();
    for host in hosts {
        let mut copy = at.clone();
        if !cross(walker, &mut copy, &host) {
            continue;
        }
        for (_, member) in members.iter().filter(|(of, _)| *of == host) {
            if let Some(member) = walker.interface(member) {
                deliver(walker, copy.clone(), member);
            }
        }
        if let Some(edge) = edges.iter().find(|edge| edge.datapath == host) {
            wire::out_of_edge(walker, copy, &edge.uplink);
        }
    }
}

/// All who get what is for all: not the sender, nor what is simulated, which has been asked before.
fn members(walker: &Walker<'_>, at: &Journey) -> Vec<(DatapathId, InterfaceId)> {
    let members = walker.topology.interfaces_in_domain(&at.domain).into_iter();
    let others = members.filter(|id| *id != at.source || at.routed);
    let placed = others.filter_map(|id| {
        let interface = walker.reachable(at, &id)?;
        let is_guest = interface.mode != InterfaceMode::Simulated && !interface.mode.is_uplink();
        match walker.place(interface)? {
            Place::On(host) if is_guest => Some((host, id)),
            _ => None,
        }
    });
    placed.collect()
}

/// Hands a frame to an interface on the host where it is.
fn deliver(walker: &mut Walker<'_>, mut at: Journey, interface: &Interface) {
    if interface.uuid == at.source && !at.routed {
        let remedy = "nothing has to: a guest need not ask the network to speak to itself";
        return walker.drop(&at, interface.uuid.clone(), Reason::ToItself, remedy);
    }
    if protection::passes(walker, &mut at, interface, Direction::Ingress) {
        let (interface, host) = (interface.uuid.clone(), at.host);
        let (packet, source_ports) = (at.packet, at.source_ports);
        walker.walk.outcomes.push(Outcome::Delivered { interface, host, packet, source_ports });
    }
}

/// Brings a frame to another host. If it cannot be, the outcome has been written down.
pub(super) fn cross(walker: &mut Walker<'_>, at: &mut Journey, host: &DatapathId) -> bool {
    if *host == at.host {
        return true;
    }
    let Some(way) = walker.topology.way(&at.host, host, Some(&at.domain)) else {
        let remedy = format!("have the agents of {} and {host} register addresses of one family", at.host);
        walker.drop(at, host.clone(), Reason::UnknownHost, remedy);
        return false;
    };
    if bytes(&at.packet) > u32::from(way.mtu) {
        too_big(walker, at, host, way.mtu);
        return false;
    }
    // Only Geneve says whose member the sender is.
    if way.encapsulation != Encapsulation::Geneve {
        at.groups.clear();
        walker.checks.iter_mut().for_each(Checks::forget);
    }
    walker.step(at, host.clone(), Decision::Crosses { to: host.clone(), mtu: way.mtu });
    at.host = host.clone();
    true
}

fn too_big(walker: &mut Walker<'_>, at: &Journey, host: &DatapathId, mtu: u16) {
    if !at.packet.destination.is_multicast() && may_be_told(&at.packet) {
        return walker.answer(at, host.clone(), Answer::TooBig { mtu }, None);
    }
    let remedy = format!("send packets of at most {mtu} bytes");
    walker.drop(at, host.clone(), Reason::TooBig, remedy);
}

/// Whether an error may be sent about a packet (RFC 1122, section 3.2.2; RFC 4443, section 2.4 (e)): not about errors, nor
/// about later fragments, nor about what is from nobody or many.
pub(super) fn may_be_told(packet: &Packet) -> bool {
    let Some(ip) = packet.ip() else { return false };
    let is_error = matches!(&ip.payload, Payload::Icmp(icmp) if icmp.about.is_some());
    let is_one = !ip.source.is_multicast() && !ip.source.is_unspecified();
    !is_error && is_one && ip.fragment != Fragment::Later && !ip.destination.is_multicast()
}

/// What a tunnel has to take: the frame without the header of an Ethernet frame that has no tags.
fn bytes(packet: &Packet) -> u32 {
    let content = match &packet.content {
        Content::Arp(_) => 28,
        Content::Ip(ip) => ip.total_bytes(),
        Content::Other { .. } => super::packet::OTHER_BYTES.into(),
    };
    let tags = u32::try_from(packet.vlans.len()).unwrap_or(u32::MAX);
    content.saturating_add(tags.saturating_mul(TAG))
}
