//! Routers: into one by a leg, and out of it by another.
//!
//! A router is wherever a packet starts. Of the routes that fit, the longest prefix counts.

use std::net::IpAddr;

use super::outcome::Answer;
use super::{Decision, Journey, Reason, Walker, domain, simulated, translation, wire};
use crate::graph::DomainId;
use crate::id::{InterfaceId, RouteLinkId};
use crate::interface::{Interface, InterfaceMode};
use crate::object::ObjectRef;
use crate::route::Route;

use super::member::Attachment;

/// What means something on one wire or one host only, or many hosts (RFC 1812, section 5.3.7; RFC 3927, section 7; RFC 4291,
/// sections 2.5.2, 2.5.3, 2.5.6 and 2.7).
fn is_of_one_wire_or_many(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            address.octets().first() == Some(&0)
                || address.is_loopback()
                || address.is_link_local()
                || address.is_multicast()
                || address.is_broadcast()
        }
        IpAddr::V6(address) => {
            address.is_unspecified()
                || address.is_loopback()
                || address.is_unicast_link_local()
                || address.is_multicast()
        }
    }
}

/// A route's leg, where it stands.
pub(super) struct Leg<'a> {
    pub(super) interface: &'a Interface,
    pub(super) attachment: Attachment,
}

/// The leg of a route: a simulated interface that is up, may route, and is in the domain of the route's network.
pub(super) fn leg<'a>(walker: &Walker<'a>, route: &Route) -> Option<Leg<'a>> {
    let interface = walker.interface(&route.interface_uuid)?;
    if interface.mode != InterfaceMode::Simulated || !interface.enable_routing {
        return None;
    }
    let domain = walker.topology.domain_of_network(&route.network_uuid)?;
    let attachment = walker.attachments(&interface.uuid).into_iter().find(|of| of.domain == domain)?;
    Some(Leg { interface, attachment })
}

/// A leg of a router that takes IPv6 in from a domain.
pub(super) fn leg_with_ipv6(walker: &Walker<'_>, domain: &DomainId) -> Option<InterfaceId> {
    let networks = walker.topology.networks_of_domain(domain).into_iter();
    let routes = networks.flat_map(|network| walker.topology.routes_of_network(&network));
    let routes = routes.filter_map(|id| walker.topology.routes().get(&id));
    let mut routes = routes.filter(|route| route.ingress && route.prefix.0.addr().is_ipv6());
    routes.find_map(|route| leg(walker, route).map(|leg| leg.interface.uuid.clone()))
}

/// Takes what a leg gets into the router, if a route says so.
pub(super) fn enter(walker: &mut Walker<'_>, at: Journey, interface: &Interface) {
    let Some(source) = at.packet.ip().map(|ip| ip.source) else { return };
    let routes = walker.topology.routes_of_interface(&interface.uuid).into_iter();
    let routes: Vec<_> = routes.filter_map(|id| walker.topology.routes().get(&id)).collect();
    let here = routes.iter().filter(|route| {
        route.ingress
            && route.prefix.0.contains(&source)
            && walker.topology.route_links().contains_key(&route.route_link_uuid)
            && leg(walker, route).is_some_and(|leg| leg.attachment.domain == at.domain)
    });
    let best = here.max_by_key(|route| route.prefix.0.prefix_len());
    let Some(route) = best else {
        let remedy = format!("add a route with ingress for {source} by {}", interface.uuid);
        return walker.drop(&at, interface.uuid.clone(), Reason::NotRouted, remedy);
    };
    if let Some(other) = wire::behind_another_leg(walker, &at, &routes, source, route.prefix.0) {
        let remedy = format!("nothing should: {other} says that {source} is behind another leg");
        return walker.drop(&at, other, Reason::Pretender, remedy);
    }
    walker.step(&at, route.uuid.clone(), Decision::Enters);
    forward(walker, at, &route.route_link_uuid);
}

/// Sends a packet that is in a router on.
pub(super) fn forward(walker: &mut Walker<'_>, mut at: Journey, link: &RouteLinkId) {
    let Some(ip) = at.packet.ip() else { return };
    let (source, destination, hops) = (ip.source, ip.destination, ip.hops);
    if let Some(own) = with_own_address(walker, link, destination) {
        return simulated::own(walker, at, own);
    }
    if is_of_one_wire_or_many(destination) || is_of_one_wire_or_many(source) {
        let remedy = "send between addresses that mean one host each, wherever they are";
        return walker.drop(&at, link.clone(), Reason::NotForwarded, remedy);
    }
    // RFC 1812, section 5.3.1; RFC 8200, section 3: the last hop is no router's to take.
    if hops <= 1 {
        return tell(walker, &at, link.clone(), Answer::TimeExceeded, Reason::Expired);
    }
    if let Some(ip) = at.packet.ip_mut() {
        ip.hops = hops - 1;
    }
    let routes = walker.topology.routes_of_route_link(link).into_iter();
    let routes = routes.filter_map(|id| walker.topology.routes().get(&id));
    let fitting = routes.filter(|route| {
        route.egress && route.prefix.0.contains(&destination) && leg(walker, route).is_some()
    });
    match fitting.max_by_key(|route| route.prefix.0.prefix_len()) {
        Some(route) => leave(walker, at, route, destination),
        None => tell(walker, &at, link.clone(), Answer::NoRoute, Reason::Unreachable),
    }
}

/// The leg of a router with an address that stands for nobody else's.
fn with_own_address<'a>(walker: &Walker<'a>, link: &RouteLinkId, address: IpAddr) -> Option<&'a Interface> {
    let routes = walker.topology.routes_of_route_link(link).into_iter();
    let routes = routes.filter_map(|id| walker.topology.routes().get(&id));
    // Nearly all are of other addresses, which is known before the leg is.
    let routes = routes.filter(|route| walker.may_have(&route.interface_uuid, address));
    let mut own = routes.filter_map(|route| leg(walker, route)).filter(|leg| {
        leg.attachment.addresses.contains(&address)
            && !translation::stands_for_others(walker, leg.interface, address)
    });
    own.next().map(|leg| leg.interface)
}

/// Out by a route: to whom the packet is for, or to one of the next hops.
fn leave(walker: &mut Walker<'_>, at: Journey, route: &Route, destination: IpAddr) {
    let hops: Vec<_> = route.next_hops.iter().copied().collect();
    match hops.as_slice() {
        [] => leave_by(walker, at, route, destination),
        [hop] => leave_by(walker, at, route, *hop),
        several => {
            walker.among(several, |walker, hop| leave_by(walker, at.clone(), route, *hop));
        }
    }
}

fn leave_by(walker: &mut Walker<'_>, mut at: Journey, route: &Route, hop: IpAddr) {
    let Some(leg) = leg(walker, route) else { return };
    at.domain = leg.attachment.domain.clone();
    at.packet.source = leg.attachment.mac;
    at.let_in = None;
    let routed = Decision::Routed { leg: leg.interface.uuid.clone(), next_hop: hop };
    walker.step(&at, route.uuid.clone(), routed);
    if translation::translates(leg.interface) && !translation::outward(walker, &mut at, leg.interface) {
        return;
    }
    // Where it is for whoever has the address, that may have become another.
    at.routed = true;
    at.from_wire = false;
    if let Some(found) = walker.by_address(&at, &at.domain, hop) {
        at.packet.destination = found.mac;
        return domain::look_up(walker, at);
    }
    if walker.topology.physical_network(&at.domain).is_some() {
        return wire::send(walker, at, hop);
    }
    tell(walker, &at, route.uuid.clone(), Answer::HostUnreachable, Reason::Unreachable);
}

/// Tells the sender why its packet does not go on, if it may be told.
pub(super) fn tell(
    walker: &mut Walker<'_>,
    at: &Journey,
    by: impl Into<ObjectRef>,
    answer: Answer,
    reason: Reason,
) {
    if domain::may_be_told(&at.packet) {
        return walker.answer(at, by, answer, None);
    }
    let remedy = match reason {
        Reason::Expired => "send with more hops",
        Reason::NotServed => "ask something that is served there",
        _ => "add a route, or lease the next hop's address",
    };
    walker.drop(at, by, reason, remedy);
}
