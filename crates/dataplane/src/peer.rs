//! Flows of another host: how to send to it, and that it may send to us.
//!
//! A host that changes its address costs these two flows, whatever number of interfaces it has.

use openflow::{Action, Field, Flow, Instructions, Match, SubField};
use topology::DatapathId;
use topology::datapath::{Encapsulation, Underlay};
use topology::mtu;

use std::net::IpAddr;

use crate::cookie::Owner;
use crate::layout::*;
use crate::view::View;

/// All flows of a peer.
pub(crate) fn flows(view: View<'_>, id: &DatapathId) -> Vec<Flow> {
    let (Some(own), Some((peer, underlay))) = (view.underlay(), view.peer(id)) else { return Vec::new() };
    let outbound = view.local.tunnels.get(&own.encapsulation).map(|port| {
        let matching = Match::new().reg(DESTINATION_HOST, peer.key.0);
        Flow::new(PEER, 100, matching, Instructions::apply(send(own, underlay, port.0)).then_goto(TUNNEL_OUT))
    });
    // A peer sends with its own encapsulation.
    let port = view.local.tunnels.get(&underlay.encapsulation).filter(|_| admits(view, id, underlay));
    let inbound = port.map(|port| {
        let matching = between(Match::new().in_port(*port), underlay.address, own.address);
        Flow::new(CLASSIFY, 100, matching, receive(underlay.encapsulation))
    });
    let cookie = Owner::Peer(peer.key).cookie();
    outbound.into_iter().chain(inbound).map(|flow| flow.with_cookie(cookie)).collect()
}

/// Whether it is this peer's part to admit its address. A valid topology has one datapath at an address; one of an
/// earlier release may have more, and to admit the address the first of them is enough.
fn admits(view: View<'_>, id: &DatapathId, underlay: Underlay) -> bool {
    let at = view.topology.datapaths_at(&underlay.address);
    let alike = |other: &&DatapathId| {
        view.peer(other).is_some_and(|(_, of_other)| of_other.encapsulation == underlay.encapsulation)
    };
    at.iter().find(alike) == Some(id)
}

fn send(own: Underlay, peer: Underlay, port: u32) -> Vec<Action> {
    let mtu = mtu::between(&own, &peer);
    let too_big = SubField::new(Field::Reg(FLAGS), TOO_BIG_BIT, 1);
    let mut actions = vec![
        Action::CheckPktLarger { destination: too_big, length: mtu.saturating_add(ETHERNET_HEADER) },
        set(TUNNEL_MTU, u32::from(mtu)),
        set(TUNNEL_PORT, port),
        copy(Field::Metadata, Field::TunId),
    ];
    match (own.address, peer.address) {
        (IpAddr::V4(own), IpAddr::V4(peer)) => {
            actions.extend([Action::set_field(Field::TunSrc, own), Action::set_field(Field::TunDst, peer)]);
        }
        (own, peer) => actions.extend([
            Action::set_field(Field::TunIpv6Src, crate::view::as_ipv6(own)),
            Action::set_field(Field::TunIpv6Dst, crate::view::as_ipv6(peer)),
        ]),
    }
    if own.encapsulation == Encapsulation::Geneve {
        let register = |register| SubField::new(Field::Reg(register), 0, 24);
        actions.extend([
            copy_bits(register(SOURCE_INTERFACE), option_source()),
            copy_bits(register(DESTINATION_INTERFACE), option_destination()),
            copy_bits(identity(), option_identity()),
        ]);
    }
    actions
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
