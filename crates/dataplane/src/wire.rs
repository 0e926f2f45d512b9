//! Flows for what goes to other hosts as it is, by a wire that both have an uplink to: see [`topology::wire`].
//!
//! ```text
//! PEER ─> NAME_SOURCE ─> NAME_DESTINATION ─> uplink ~~~ uplink ─> CLASSIFY ─> NAMED_SOURCE ─> NAMED_DESTINATION ─> DESTINATION
//!             └───────────────┴─> TUNNEL_OUT
//! ```
//! Whether it is small enough was asked in [`PEER`], and for the tunnel: packets of one connection may go either way.
//!
//! As with tunnels, a host takes what it may be sent before the others send it: from the hosts with which there is any record, by
//! all wires in common.

use openflow::{Action, Field, Flow, Instructions, Match, OfPort, SubField};
use topology::datapath::{Datapath, Encapsulation};
use topology::interface::{Interface, InterfaceMode};
use topology::wire::WireName;
use topology::{DatapathId, HostKey, InterfaceKey};

use crate::base::flow;
use crate::filter::identified;
use crate::layout::*;
use crate::limit;
use crate::router::hairpin;
use crate::view::{Attachment, Place, View, flagged, in_domain};

/// Flows that are there whatever the topology is: what has no names goes by the tunnel.
pub(crate) fn base() -> [Flow; 2] {
    [NAME_SOURCE, NAME_DESTINATION]
        .map(|table| flow(table, 0, Match::new(), Instructions::apply([Action::resubmit(TUNNEL_OUT)])))
}

/// Whether some of what goes to a host may go as it is.
pub(crate) fn leads_to(view: View<'_>, peer: &DatapathId) -> bool {
    way(view, peer).is_some()
}

/// What a host may send as it is, by any wire in common.
pub(crate) fn inbound(view: View<'_>, peer: &Datapath) -> Vec<Flow> {
    let name = WireName { host: peer.key, interface: InterfaceKey(0) }.address();
    let admit = |port| {
        let from = Match::new().in_port(port).untagged().eth_src_masked(name.0, WireName::HOST.0);
        Flow::new(CLASSIFY, 100, from, Instructions::apply([flag(FROM_TUNNEL)]).then_goto(NAMED_SOURCE))
    };
    heard_by(view, peer).into_iter().map(admit).collect()
}

/// By what names an interface is known on wires, and what they stand for.
pub(crate) fn of_interface(
    view: View<'_>,
    interface: &Interface,
    place: Place,
    attachments: &[Attachment],
) -> Vec<Flow> {
    // A name says which interface it is, and nothing of which of its MAC addresses.
    let ([of], false) = (attachments, interface.mode.is_uplink()) else { return Vec::new() };
    let Some(own) = view.own().filter(|_| !view.topology.host_pairs().is_empty()) else { return Vec::new() };
    let sends =
        || peers(view).any(|peer| leads_to(view, &peer.uuid)).then(|| name_source(own.key, interface, of));
    let is_heard = || peers(view).any(|peer| !heard_by(view, peer).is_empty());
    let takes = || is_heard().then(|| named_destination(own.key, interface, of));
    match place {
        Place::Simulated if interface.owner().is_none() => {
            let named = is_heard().then(|| named_source(None, interface, of));
            sends().into_iter().chain(named).collect()
        }
        Place::Here(_) | Place::Simulated => sends().into_iter().chain(takes()).collect(),
        Place::At(host) => {
            let Some(peer) = view.topology.datapath_of_key(host) else { return Vec::new() };
            let to = way(view, &peer.uuid).map(|way| name_destination((way, host), interface, of));
            let whose = interface.identity.filter(|_| tells_groups(view, peer));
            let is_heard = !heard_by(view, peer).is_empty();
            let from = is_heard.then(|| named_source(identified(whose), interface, of));
            to.into_iter().chain(from).collect()
        }
    }
}

/// The other hosts of which users have said something.
fn peers<'a>(view: View<'a>) -> impl Iterator<Item = &'a Datapath> {
    let own = &view.local.datapath;
    let pairs = view.topology.host_pairs().values().filter(|pair| pair.joins(own));
    pairs.filter_map(move |pair| view.peer(pair.other(own)?))
}

/// The uplink by which packets go to a host as they are, and its port.
fn way<'a>(view: View<'a>, peer: &DatapathId) -> Option<(&'a Interface, OfPort)> {
    let uplink = view.topology.wire(&view.local.datapath, peer)?;
    Some((view.topology.interfaces().get(&uplink)?, *view.local.ports.get(&uplink)?))
}

/// The ports of uplinks by which a host may send as it is.
fn heard_by(view: View<'_>, peer: &Datapath) -> Vec<OfPort> {
    if view.own().is_none_or(|own| view.topology.host_pair(own, peer).is_none()) {
        return Vec::new();
    }
    let uplinks = view.topology.shared_uplinks(&view.local.datapath, &peer.uuid);
    uplinks.iter().filter_map(|uplink| view.local.ports.get(uplink).copied()).collect()
}

/// Whether what comes from a host by tunnel says which groups its sender is in. What comes beside it says no more and no less.
fn tells_groups(view: View<'_>, peer: &Datapath) -> bool {
    let way = view.topology.way(&peer.uuid, &view.local.datapath, None);
    way.is_some_and(|way| way.encapsulation == Encapsulation::Geneve)
}

fn name_source(own: HostKey, interface: &Interface, of: &Attachment) -> Flow {
    let small = flagged(in_domain(of.key).untagged().eth_src(of.mac.0), 0, unnamed(interface));
    let name = WireName { host: own, interface: interface.key }.address();
    let says = Action::set_field(Field::Xreg(RESOLVED_MAC), name.0);
    Flow::new(NAME_SOURCE, 100, small, Instructions::apply([says]).then_goto(NAME_DESTINATION))
}

/// What goes by the tunnel: what is told to be too large there, and members' packets that a router has sent.
fn unnamed(interface: &Interface) -> u32 {
    match interface.mode {
        InterfaceMode::Simulated => TOO_BIG | IDENTITY,
        _ => TOO_BIG,
    }
}

fn name_destination(
    ((uplink, port), host): ((&Interface, OfPort), HostKey),
    interface: &Interface,
    of: &Attachment,
) -> Flow {
    let name = WireName { host, interface: interface.key }.address();
    let send = [
        copy_bits(resolved_mac(), SubField::whole(Field::EthSrc)),
        Action::set_field(Field::EthDst, name.0),
        hairpin(),
        limit::output(uplink, port),
    ];
    Flow::new(NAME_DESTINATION, 100, in_domain(of.key).eth_dst(of.mac.0), Instructions::apply(send))
}

fn named_source(whose: Option<Action>, interface: &Interface, of: &Attachment) -> Flow {
    let name = WireName { host: HostKey(0), interface: interface.key }.address();
    let from = Match::new().eth_src_masked(name.0, WireName::INTERFACE.0);
    let who = (interface.mode != InterfaceMode::Simulated).then(|| set(SOURCE_INTERFACE, interface.key.0));
    let is = Action::set_field(Field::EthSrc, of.mac.0);
    let domain = Action::set_field(Field::Metadata, u64::from(of.key.0));
    let says = [is, domain].into_iter().chain(who).chain(whose);
    Flow::new(NAMED_SOURCE, 100, from, Instructions::apply(says).then_goto(NAMED_DESTINATION))
}

fn named_destination(own: HostKey, interface: &Interface, of: &Attachment) -> Flow {
    let name = WireName { host: own, interface: interface.key }.address();
    let is = Instructions::apply([Action::set_field(Field::EthDst, of.mac.0)]);
    Flow::new(NAMED_DESTINATION, 100, in_domain(of.key).eth_dst(name.0), is.then_goto(DESTINATION))
}
