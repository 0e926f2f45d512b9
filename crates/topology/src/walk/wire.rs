//! Uplinks and edges: what comes from the wire of a physical network or from behind the edge of a segment, and what goes there.
//!
//! One host of those that have an uplink or edge takes and sends: the first of [`Topology::gateways`]. Every host sees for itself
//! which are alive, and one that it does not reach is not, to it.
//!
//! [`Topology::gateways`]: crate::graph::Topology::gateways

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::packet::Content;
use super::{Decision, Journey, Outcome, Packet, Reason, Walker, domain, protection, resolution, router};
use crate::address::MacAddr;
use crate::graph::DomainId;
use crate::id::{DatapathId, InterfaceId, RouteId};
use crate::interface::Interface;
use crate::object::ObjectRef;
use crate::physical::Gateway;
use crate::route::Route;

/// Takes what comes by an uplink or edge.
pub(super) fn receive(walker: &mut Walker<'_>, mut at: Journey, uplink: &Interface) {
    if !untag(&mut at.packet, uplink) {
        let remedy = match uplink.vlan_id {
            Some(vlan) => format!("send with the one VLAN tag {vlan}"),
            None => "send without a VLAN tag".to_owned(),
        };
        return walker.drop(&at, uplink.uuid.clone(), Reason::Tagged, remedy);
    }
    at.from_wire = true;
    if let Some(pretended) = pretends(walker, &at) {
        let remedy = format!("nothing should: the address is {pretended}'s");
        return walker.drop(&at, pretended, Reason::Pretender, remedy);
    }
    if gateway(walker, &at.host, &at.domain).is_none_or(|gateway| gateway.uplink != uplink.uuid) {
        let remedy = format!("give {} a higher gateway_priority than the others", uplink.uuid);
        return walker.drop(&at, uplink.uuid.clone(), Reason::NotGateway, remedy);
    }
    walker.step(&at, uplink.uuid.clone(), Decision::Sent);
    match at.domain {
        DomainId::Segment(_) => domain::look_up(walker, at),
        DomainId::Network(_) => to_legs(walker, at),
    }
}

/// Takes off the tag that an edge is for. Otherwise there must be none.
fn untag(packet: &mut Packet, uplink: &Interface) -> bool {
    match uplink.vlan_id {
        Some(vlan) if packet.vlans.as_slice() == [vlan] => {
            packet.vlans.clear();
            true
        }
        Some(_) => false,
        None => packet.vlans.is_empty(),
    }
}

/// Whose address a packet from outside speaks with, if that is inside.
fn pretends(walker: &Walker<'_>, at: &Journey) -> Option<ObjectRef> {
    let told = match &at.packet.content {
        Content::Arp(arp) => Some(arp.sender_mac),
        Content::Ip(_) | Content::Other { .. } => None,
    };
    if let DomainId::Segment(_) = at.domain {
        let macs = [Some(at.packet.source), told];
        let inside = macs.into_iter().flatten().find_map(|mac| walker.by_mac(&at.domain, mac));
        return inside.map(ObjectRef::from);
    }
    let source = at.packet.ip().map(|ip| ip.source);
    let source = source.or_else(|| resolution::says_it_is(&at.packet).map(IpAddr::V4));
    let by_mac = walker.by_mac(&at.domain, at.packet.source).filter(|id| walker.interface(id).is_some());
    let by_address = || {
        let found = walker.by_address(at, &at.domain, source?)?;
        Some(found.interface.uuid.clone())
    };
    by_mac.or_else(by_address).map(ObjectRef::from)
}

/// On the wire of a physical network only legs are known: questions for their addresses, and frames to their MAC addresses.
fn to_legs(walker: &mut Walker<'_>, at: Journey) {
    if let Some(question) = resolution::question(&at.packet) {
        let target = question.target();
        let Some(known) = resolution::known(walker, &at, target) else {
            let remedy = format!("lease {target} to a leg in the network");
            return walker.drop(&at, &at.domain.clone(), Reason::Unresolved, remedy);
        };
        resolution::reply(walker, &at, &question, known);
        answered(walker, &at);
        return;
    }
    let to_leg = walker.by_mac(&at.domain, at.packet.destination);
    if let Some(leg) = to_leg.filter(|_| resolution::is_answer(&at.packet)) {
        let remedy = "nothing has to: the gateway takes it, if it has asked";
        return walker.drop(&at, leg, Reason::Unasked, remedy);
    }
    domain::look_up(walker, at);
}

/// An answer to somebody outside goes out by where the question came in. What an agent writes is told as it is.
pub(super) fn answered(walker: &mut Walker<'_>, at: &Journey) {
    let Some(Outcome::Answered { packet: Some(packet), .. }) = walker.walk.outcomes.last().cloned() else {
        return;
    };
    walker.walk.outcomes.pop();
    let at = Journey { packet, ..at.clone() };
    let uplink = at.source.clone();
    out_of_edge(walker, at, &uplink);
}

/// The edge of a segment that forwards.
pub(super) fn edge(walker: &Walker<'_>, at: &Journey) -> Option<Gateway> {
    let DomainId::Segment(_) = at.domain else { return None };
    gateway(walker, &at.host, &at.domain)
}

/// The edges of a segment that bring what is for all to their wire: those that forward, as their own hosts see it.
pub(super) fn edges(walker: &Walker<'_>, at: &Journey) -> Vec<Gateway> {
    let DomainId::Segment(_) = at.domain else { return Vec::new() };
    let forwards = |edge: &Gateway| gateway(walker, &edge.datapath, &at.domain).as_ref() == Some(edge);
    let edges = walker.topology.gateways(&at.domain).into_iter();
    edges.filter(|edge| walker.reaches(&at.host, &edge.datapath) && forwards(edge)).collect()
}

/// Who brings packets of a domain to its wire, as a host sees it.
fn gateway(walker: &Walker<'_>, host: &DatapathId, domain: &DomainId) -> Option<Gateway> {
    let mut gateways = walker.topology.gateways(domain).into_iter();
    gateways.find(|gateway| walker.reaches(host, &gateway.datapath))
}

/// The uplink of a physical network, where it is.
pub(super) fn uplink(walker: &Walker<'_>, at: &Journey) -> Option<Gateway> {
    walker.topology.physical_network(&at.domain)?;
    let mut gateways = walker.topology.gateways(&at.domain).into_iter();
    gateways.find(|gateway| gateway.datapath == at.host)
}

/// Hands a frame to the wire behind an edge or uplink, on its host.
pub(super) fn out_of_edge(walker: &mut Walker<'_>, mut at: Journey, uplink: &InterfaceId) {
    let vlan = walker.interface(uplink).and_then(|uplink| uplink.vlan_id);
    at.packet.vlans.splice(0..0, vlan);
    on_wire(walker, at, uplink, None);
}

fn on_wire(walker: &mut Walker<'_>, at: Journey, uplink: &InterfaceId, next_hop: Option<IpAddr>) {
    walker.step(&at, uplink.clone(), Decision::ToWire);
    let (host, packet, source_ports) = (at.host, at.packet, at.source_ports);
    let uplink = uplink.clone();
    walker.walk.outcomes.push(Outcome::OnWire { uplink, host, packet, next_hop, source_ports });
}

/// Sends a routed packet to somebody on the wire of a physical network, by its gateway.
pub(super) fn send(walker: &mut Walker<'_>, mut at: Journey, hop: IpAddr) {
    let Some(gateway) = gateway(walker, &at.host, &at.domain) else {
        let (by, answer) = (ObjectRef::from(&at.domain), super::Answer::HostUnreachable);
        return router::tell(walker, &at, by, answer, Reason::Unreachable);
    };
    if !protection::passes_to(walker, &mut at, None) || !domain::cross(walker, &mut at, &gateway.datapath) {
        return;
    }
    // Who has the next hop's address only the wire knows.
    at.packet.destination = MacAddr([0; 6]);
    on_wire(walker, at, &gateway.uplink, Some(hop));
}

/// The route by which a leg's routers reach a source elsewhere, if that says more of it than the route that would take it in: nobody on
/// the wire of a physical network speaks as somebody behind another leg (RFC 3704, section 2.2).
pub(super) fn behind_another_leg(
    walker: &Walker<'_>,
    at: &Journey,
    routes: &[&Arc<Route>],
    source: IpAddr,
    taken: IpNet,
) -> Option<RouteId> {
    walker.topology.physical_network(&at.domain)?;
    let links = routes.iter().map(|route| &route.route_link_uuid);
    let others = links.flat_map(|link| walker.topology.routes_of_route_link(link));
    let others = others.filter_map(|id| walker.topology.routes().get(&id));
    let elsewhere = others.filter(|route| {
        walker.topology.domain_of_network(&route.network_uuid).as_ref() != Some(&at.domain)
            && route.prefix.0.contains(&source)
    });
    let best = elsewhere.max_by_key(|route| route.prefix.0.prefix_len())?;
    (best.prefix.0.prefix_len() > taken.prefix_len()).then(|| best.uuid.clone())
}
