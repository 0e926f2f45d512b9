//! Static addresses: an external address or port that stands for an internal one.
//!
//! | flows | here | elsewhere |
//! | --- | --- | --- |
//! | for each address, or port and protocol | out, in, and each again after the tracker | in, to the guest's host |

use std::collections::BTreeSet;

use openflow::{Action, Flow, Instructions, Match, NatKind};
use topology::NetworkId;
use topology::translation::Translation;
use topology::translation::entry::{Ports, StaticAddress, Transport};

use super::{ADDRESS, Leg, PORT, let_in, nat, number, to_host};
use crate::layout::*;
use crate::view::{Place, View, from_prefix, to_address};

/// A port as the inside and the outside know it.
type Port = Option<(Transport, Ports)>;

/// All flows of an entry.
pub(super) fn flows(leg: &Leg<'_>, translation: &Translation, entry: &StaticAddress) -> Vec<Flow> {
    let Some(place) = internal(leg, entry) else { return nobodys(leg, entry) };
    let number = number(translation, entry.number);
    let of_port = |port| match place {
        Place::At(host) => {
            let inward = inward(leg, entry, port);
            inward.map_or_else(Vec::new, |(priority, matching)| {
                leg.send_on(priority, &matching, &to_host(host))
            })
        }
        Place::Here(_) | Place::Simulated => here(leg, number, entry, port),
    };
    ports(entry).into_iter().flat_map(of_port).collect()
}

/// What comes for somebody who is not there. Let pass as it is, it would go round: the router leads the address to the leg.
fn nobodys(leg: &Leg<'_>, entry: &StaticAddress) -> Vec<Flow> {
    let whole = ports(entry).into_iter().filter(Option::is_none);
    let inward = whole.filter_map(|port| inward(leg, entry, port));
    // No entry has this number.
    let dropped = || Instructions::apply([set(TRANSLATION, 0)]).then_goto(TRANSLATED_IN);
    inward.map(|(priority, matching)| Flow::new(TRANSLATE_IN, priority, matching, dropped())).collect()
}

/// Its port, of each protocol that it is for; without one, the address as a whole.
fn ports(entry: &StaticAddress) -> Vec<Port> {
    let both = [Transport::Tcp, Transport::Udp];
    match entry.ports {
        None => vec![None],
        Some(ports) => both
            .into_iter()
            .filter(|of| ports.protocol.is_none_or(|only| only == *of))
            .map(|of| Some((of, ports)))
            .collect(),
    }
}

/// What comes for it from outside.
fn inward(leg: &Leg<'_>, entry: &StaticAddress, port: Port) -> Option<(u16, Match)> {
    let priority = if port.is_some() { PORT } else { ADDRESS };
    let to = leg.to(entry.external)?;
    Some((priority, to_port(to, port, |ports| ports.external)))
}

/// Both ways, where the guest is.
fn here(leg: &Leg<'_>, number: u32, entry: &StaticAddress, port: Port) -> Vec<Flow> {
    let Some((priority, inward)) = inward(leg, entry, port) else { return Vec::new() };
    let outward = from_prefix(leg.out(), entry.internal.into());
    let outward = from_port(outward, port, |ports| ports.internal);
    let outside = nat(NatKind::Source, entry.external, port.map(|(_, ports)| (ports.external, None)));
    let inside = nat(NatKind::Destination, entry.internal, port.map(|(_, ports)| (ports.internal, None)));
    let taken = || Match::new().reg(TRANSLATION, number);
    let left = from_port(from_prefix(taken(), entry.external.into()), port, |ports| ports.external);
    let come = to_port(to_address(taken(), entry.internal), port, |ports| ports.internal);
    let track = |nat, table| Instructions::apply(leg.track(number, Some(nat), table));
    vec![
        Flow::new(TRANSLATE_OUT, priority, outward, track(outside, TRANSLATED_OUT)),
        Flow::new(TRANSLATED_OUT, priority, left, leg.let_out()),
        Flow::new(TRANSLATE_IN, priority, inward, track(inside, TRANSLATED_IN)),
        Flow::new(TRANSLATED_IN, priority, come, enter(leg.view, entry)),
    ]
}

/// Into the router that the entry names, else as the leg's routes say.
fn enter(view: View<'_>, entry: &StaticAddress) -> Instructions {
    let link = entry.route_link_uuid.as_ref().and_then(|id| view.topology.route_links().get(id));
    Instructions::apply(match link {
        Some(link) => vec![Action::CtClear, set(ROUTE_LINK, link.key.0), Action::resubmit(FORWARD)],
        None => let_in(),
    })
}

/// Where the guest with an entry's internal address is, if it is anywhere.
pub(super) fn internal(leg: &Leg<'_>, entry: &StaticAddress) -> Option<Place> {
    let topology = leg.view.topology;
    let network = entry.egress_network_uuid.clone().or_else(|| network_behind(leg, entry))?;
    let lease = topology.ip_leases_of_address(&network, entry.internal).into_iter().next()?;
    let holder = topology.ip_leases().get(&lease)?.holder.as_ref()?;
    let place = leg.view.place(topology.interfaces().get(&holder.interface_uuid)?)?;
    (place != Place::Simulated).then_some(place)
}

/// The network in which the leg's router, or the one that the entry names, looks for the internal address.
fn network_behind(leg: &Leg<'_>, entry: &StaticAddress) -> Option<NetworkId> {
    let topology = leg.view.topology;
    let links: BTreeSet<_> = match &entry.route_link_uuid {
        Some(link) => BTreeSet::from([link.clone()]),
        None => {
            let routes = topology.routes_of_interface(&leg.interface.uuid);
            let routes = routes.iter().filter_map(|route| topology.routes().get(route));
            routes.map(|route| route.route_link_uuid.clone()).collect()
        }
    };
    let routes = links.iter().flat_map(|link| topology.routes_of_route_link(link));
    let routes = routes.filter_map(|route| topology.routes().get(&route));
    let fits = routes.filter(|route| route.egress && route.prefix.0.contains(&entry.internal));
    fits.max_by_key(|route| route.prefix.0.prefix_len()).map(|route| route.network_uuid.clone())
}

fn to_port(matching: Match, port: Port, side: fn(Ports) -> u16) -> Match {
    match port {
        None => matching,
        Some((Transport::Tcp, ports)) => matching.tcp().tcp_dst(side(ports)),
        Some((Transport::Udp, ports)) => matching.udp().udp_dst(side(ports)),
    }
}

fn from_port(matching: Match, port: Port, side: fn(Ports) -> u16) -> Match {
    match port {
        None => matching,
        Some((Transport::Tcp, ports)) => matching.tcp().tcp_src(side(ports)),
        Some((Transport::Udp, ports)) => matching.udp().udp_src(side(ports)),
    }
}
