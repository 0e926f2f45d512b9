//! Flows of another host: how to send to it, and that it may send to us.
//!
//! A host that changes its address costs these two flows, whatever number of interfaces it has. Where hosts have several
//! addresses, a peer may send from any of its own to any of ours, and each such pair costs one flow more. So does a network or
//! segment that a record has carried over another address, for each host that has an interface in it.

use openflow::{Action, Field, Flow, Instructions, Match, OfPort, SubField};
use topology::datapath::{Datapath, Encapsulation};
use topology::underlay::Way;
use topology::{DatapathId, DomainId};

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::cookie::Owner;
use crate::layout::*;
use crate::view::{View, in_domain};
use crate::wire;

/// All flows of a peer.
pub(crate) fn flows(view: View<'_>, id: &DatapathId) -> Vec<Flow> {
    let (Some(own), Some(peer)) = (view.own(), view.peer(id)) else { return Vec::new() };
    let cookie = Owner::Peer(peer.key).cookie();
    let flows =
        outbound(view, peer).into_iter().chain(inbound(view, own, peer)).chain(wire::inbound(view, peer));
    flows.map(|flow| flow.with_cookie(cookie)).collect()
}

/// How to send what is of a domain, to the hosts for which that is not the way of all. Their flows all the same: what
/// goes to a host is counted by them.
pub(crate) fn of_domain(view: View<'_>, domain: &DomainId) -> Vec<Flow> {
    let topology = view.topology;
    if topology.relations().is_empty() {
        return Vec::new();
    }
    let Some(key) = topology.key_of_domain(domain) else { return Vec::new() };
    let flow = |host: &DatapathId| {
        let peer = view.peer(host)?;
        let [way, of_all] = [Some(domain), None].map(|of| topology.way(&view.local.datapath, host, of));
        let way = way.filter(|way| Some(*way) != of_all)?;
        let port = view.local.tunnels.get(&way.encapsulation)?;
        let matching = in_domain(key).reg(DESTINATION_HOST, peer.key.0);
        let instructions = Instructions::apply(send(way, port.0)).then_goto(TUNNEL_OUT);
        Some(Flow::new(PEER, 110, matching, instructions).with_cookie(Owner::Peer(peer.key).cookie()))
    };
    topology.hosts_of_domain(domain).iter().filter_map(flow).collect()
}

/// How to send to it.
fn outbound(view: View<'_>, peer: &Datapath) -> Option<Flow> {
    let way = view.topology.way(&view.local.datapath, &peer.uuid, None)?;
    let port = view.local.tunnels.get(&way.encapsulation)?;
    let matching = Match::new().reg(DESTINATION_HOST, peer.key.0);
    let next = if wire::leads_to(view, &peer.uuid) { NAME_SOURCE } else { TUNNEL_OUT };
    Some(Flow::new(PEER, 100, matching, Instructions::apply(send(way, port.0)).then_goto(next)))
}

/// What it may send: from any of its addresses to any of ours.
fn inbound(view: View<'_>, own: &Datapath, peer: &Datapath) -> Vec<Flow> {
    let mut flows = Vec::new();
    let [here, there] = [own, peer].map(|host| addresses(view, host));
    for (encapsulation, port) in heard_from(view, peer) {
        for from in there.iter().filter(|from| admits(view, peer, encapsulation, **from)) {
            for to in here.iter().filter(|to| to.is_ipv4() == from.is_ipv4()) {
                let matching = between(Match::new().in_port(port), *from, *to);
                flows.push(Flow::new(CLASSIFY, 100, matching, receive(encapsulation)));
            }
        }
    }
    flows
}

/// The addresses that a host has registered, and those that records give it.
fn addresses(view: View<'_>, host: &Datapath) -> BTreeSet<IpAddr> {
    let registered = host.addresses().map(|of| of.address);
    registered.chain(view.topology.placed_addresses(&host.uuid)).collect()
}

/// How it may wrap what it sends: in its own way, or in any where a record is of the two hosts, since that may change before
/// one of them has heard of it.
fn heard_from(view: View<'_>, peer: &Datapath) -> Vec<(Encapsulation, OfPort)> {
    let own = peer.underlay.map(|underlay| underlay.encapsulation);
    let any = view.own().is_some_and(|host| view.topology.host_pair(host, peer).is_some());
    let ports = view.local.tunnels.iter().map(|(of, port)| (*of, *port));
    ports.filter(|(of, _)| any || Some(*of) == own).collect()
}

/// Whether it is this peer's part to admit its address. A valid topology has one datapath at an address; one of an
/// earlier release may have more, and to admit the address the first of them is enough.
fn admits(view: View<'_>, peer: &Datapath, encapsulation: Encapsulation, address: IpAddr) -> bool {
    let alike = |other: &&DatapathId| {
        let ports = view.peer(other).map(|other| heard_from(view, other));
        ports.is_some_and(|ports| ports.iter().any(|(of, _)| *of == encapsulation))
    };
    let at = view.topology.datapaths_at(&address);
    if let Some(first) = at.iter().find(alike) {
        return *first == peer.uuid;
    }
    // Records, too, may give several hosts one address that none of them has registered.
    view.topology.hosts_placed_at(address).iter().find(alike) == Some(&peer.uuid)
}

fn send(way: Way, port: u32) -> Vec<Action> {
    let too_big = SubField::new(Field::Reg(FLAGS), TOO_BIG_BIT, 1);
    let mut actions = ends(way).to_vec();
    actions.extend([
        Action::CheckPktLarger { destination: too_big, length: way.mtu.saturating_add(ETHERNET_HEADER) },
        set(TUNNEL_MTU, u32::from(way.mtu)),
        set(TUNNEL_PORT, port),
        copy(Field::Metadata, Field::TunId),
    ]);
    if way.encapsulation == Encapsulation::Geneve {
        let register = |register| SubField::new(Field::Reg(register), 0, 24);
        actions.extend([
            copy_bits(register(SOURCE_INTERFACE), option_source()),
            copy_bits(register(DESTINATION_INTERFACE), option_destination()),
            copy_bits(identity(), option_identity()),
        ]);
    }
    actions
}

/// Says between which addresses a packet goes. What has come by a tunnel of the other family would go on naming the ends of that,
/// too, and which of them count is Open vSwitch's to say.
fn ends(way: Way) -> [Action; 4] {
    match (way.from, way.to) {
        (IpAddr::V4(own), IpAddr::V4(peer)) => [
            Action::set_field(Field::TunIpv6Src, Ipv6Addr::UNSPECIFIED),
            Action::set_field(Field::TunIpv6Dst, Ipv6Addr::UNSPECIFIED),
            Action::set_field(Field::TunSrc, own),
            Action::set_field(Field::TunDst, peer),
        ],
        (own, peer) => [
            Action::set_field(Field::TunSrc, Ipv4Addr::UNSPECIFIED),
            Action::set_field(Field::TunDst, Ipv4Addr::UNSPECIFIED),
            Action::set_field(Field::TunIpv6Src, crate::view::as_ipv6(own)),
            Action::set_field(Field::TunIpv6Dst, crate::view::as_ipv6(peer)),
        ],
    }
}

fn between(matching: Match, from: IpAddr, to: IpAddr) -> Match {
    match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => matching.tun_src(from).tun_dst(to),
        (from, to) => {
            matching.tun_ipv6_src(crate::view::as_ipv6(from)).tun_ipv6_dst(crate::view::as_ipv6(to))
        }
    }
}

fn receive(encapsulation: Encapsulation) -> Instructions {
    let next = match encapsulation {
        Encapsulation::Geneve => TUNNEL_IN,
        // These name no interface: it is looked up again.
        Encapsulation::Vxlan | Encapsulation::Gre => DESTINATION,
    };
    Instructions::apply([flag(FROM_TUNNEL), copy(Field::TunId, Field::Metadata)]).then_goto(next)
}
