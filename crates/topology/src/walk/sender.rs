//! What an interface may say: port security.
//!
//! In a network that is its leased MAC and IP addresses, and nothing but IPv4, IPv6 and ARP without a tag. On a segment it is
//! the MAC address, also in what address resolution says of it. Allowed addresses add to both, and who has no port
//! security may say anything, except for tags that hide what is behind them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::bytes;
use super::member::Place;
use super::packet::{Content, IpPacket, Payload};
use super::{
    Answer, Decision, Journey, Outcome, Packet, Reason, Walker, protection, resolution, service, wire,
};
use crate::address::MacAddr;
use crate::graph::DomainId;
use crate::id::InterfaceId;
use crate::interface::{Interface, InterfaceMode};
use crate::traffic::Direction;

/// ICMPv6 type of reports of multicast listeners (RFC 3810, section 5.2).
const LISTENER_REPORT: u8 = 143;

/// Takes a packet from an interface's guest, or from the wire behind it.
pub(super) fn send(walker: &mut Walker<'_>, from: &InterfaceId, packet: &Packet) {
    let interface = walker.interface(from);
    let host = interface.and_then(|interface| match walker.place(interface) {
        Some(Place::On(host)) if interface.mode != InterfaceMode::Simulated => Some(host),
        _ => None,
    });
    let (Some(interface), Some(host)) = (interface, host) else { return silent(walker, from) };
    let Some(domain) = domain_of(walker, interface, packet) else {
        let remedy = match interface.mode.is_uplink() {
            true => format!("attach {from} to a physical network, or to a segment"),
            false => format!("lease {} to {from}, or add it to its allowed addresses", packet.source),
        };
        let by = from.clone().into();
        let (host, reason) = (Some(host), Reason::SourceMac);
        return walker.walk.outcomes.push(Outcome::Dropped { host, by, reason, remedy });
    };
    let mut at = Journey::of(packet.clone(), host, domain, interface);
    if interface.mode.is_uplink() {
        return wire::receive(walker, at, interface);
    }
    mark(&mut at, interface);
    if let Some((reason, remedy)) = refused(walker, &at, interface) {
        return walker.drop(&at, from.clone(), reason, remedy);
    }
    walker.step(&at, from.clone(), Decision::Sent);
    if protection::passes(walker, &mut at, interface, Direction::Egress) {
        resolution::answer(walker, at);
    }
}

fn silent(walker: &mut Walker<'_>, from: &InterfaceId) {
    let remedy = match walker.topology.interfaces().get(from) {
        None => format!("create {from}"),
        Some(_) if walker.interface(from).is_none() => format!("set admin_state of {from} to up"),
        Some(of) if of.mode == InterfaceMode::Simulated => {
            format!("trace from a guest: {from} is simulated, and only answers")
        }
        Some(_) => format!("plug {from} in: a host has to show a port of it"),
    };
    let (by, reason) = (from.clone().into(), Reason::Silent);
    walker.walk.outcomes.push(Outcome::Dropped { host: None, by, reason, remedy });
}

/// In which of an interface's domains a packet is: that of its source MAC address, by lease, else by permission.
fn domain_of(walker: &Walker<'_>, interface: &Interface, packet: &Packet) -> Option<DomainId> {
    if interface.mode.is_uplink() {
        return walker.topology.domains_of_interface(&interface.uuid).first().cloned();
    }
    let attachments = walker.attachments(&interface.uuid);
    let leased = attachments.into_iter().find(|of| of.mac == packet.source);
    let allowed = interface.allowed_addresses.iter().any(|of| of.mac == Some(packet.source));
    leased.map(|of| of.domain).or_else(|| {
        let may = allowed || !interface.port_security;
        walker.topology.domain_of_allowed(&interface.uuid).filter(|_| may)
    })
}

/// What an interface sends has its code point, if it has one.
fn mark(at: &mut Journey, interface: &Interface) {
    if let (Some(dscp), Some(ip)) = (interface.limits.dscp, at.packet.ip_mut()) {
        ip.dscp = dscp.get();
    }
}

/// Why it may not say what it says, and what would let it.
fn refused(walker: &Walker<'_>, at: &Journey, interface: &Interface) -> Option<(Reason, String)> {
    match at.domain {
        DomainId::Network(_) => refused_in_network(walker, at, interface),
        DomainId::Segment(_) => refused_on_segment(walker, at, interface),
    }
}

fn refused_in_network(walker: &Walker<'_>, at: &Journey, interface: &Interface) -> Option<(Reason, String)> {
    if !at.packet.vlans.is_empty() {
        let remedy = "send without a VLAN tag, or attach the interface to a segment".to_owned();
        return Some((Reason::Tagged, remedy));
    }
    match &at.packet.content {
        // What it says is of no consequence: nobody but the network hears it.
        Content::Arp(_) | Content::Other { ether_type: bytes::ARP } => None,
        Content::Ip(ip) if may_send_from(walker, at, interface, ip) => None,
        Content::Ip(ip) => Some((
            Reason::SourceAddress,
            format!("lease {} to {}, or add it to its allowed addresses", ip.source, interface.uuid),
        )),
        Content::Other { .. } if permits_all(walker, at, interface) => None,
        Content::Other { .. } => Some((
            Reason::SourceAddress,
            "attach the interface to a segment: a network carries IP".to_owned(),
        )),
    }
}

/// Whether it has no port security, which counts in the domain of its first MAC lease.
fn permits_all(walker: &Walker<'_>, at: &Journey, interface: &Interface) -> bool {
    !interface.port_security
        && walker.topology.domain_of_allowed(&interface.uuid).as_ref() == Some(&at.domain)
}

fn may_send_from(walker: &Walker<'_>, at: &Journey, interface: &Interface, ip: &IpPacket) -> bool {
    let attachments = walker.attachments(&interface.uuid);
    let mut here = attachments.iter().filter(|of| of.domain == at.domain);
    here.any(|of| of.addresses.contains(&ip.source))
        || has_no_address_yet(walker, ip)
        || is_renewal(walker, at, ip)
        || is_allowed(walker, at, interface, ip.source)
        || is_routed_by(walker, at, interface, ip.source)
        || permits_all(walker, at, interface)
}

/// Who has no address may ask for one (RFC 2131, section 4.1), look whether one is free (RFC 4862, section 5.4.2) and join the
/// groups that this takes (RFC 3590).
fn has_no_address_yet(walker: &Walker<'_>, ip: &IpPacket) -> bool {
    match ip.source {
        IpAddr::V4(source) => {
            source.is_unspecified()
                && ip.destination == IpAddr::V4(Ipv4Addr::BROADCAST)
                && service::asks_for_address(walker, ip).is_some()
        }
        IpAddr::V6(source) => {
            let is_join = ip.icmp().is_some_and(|(kind, _)| kind == LISTENER_REPORT);
            let is_probe = matches!(&ip.payload, Payload::Neighbour(of) if !of.is_advertisement);
            source == Ipv6Addr::UNSPECIFIED && (is_join || is_probe)
        }
    }
}

/// A client renews from the address that it has (RFC 2131, section 4.4.5), also when that is its own no more: the server hears it.
fn is_renewal(walker: &Walker<'_>, at: &Journey, ip: &IpPacket) -> bool {
    ip.is_ipv4() && service::answers(walker, at).is_some_and(|(_, answer)| answer == Answer::Dhcp)
}

fn is_allowed(walker: &Walker<'_>, at: &Journey, interface: &Interface, source: IpAddr) -> bool {
    let fits = |of: &&crate::interface::AllowedAddress| {
        of.prefix.contains(&source) && of.mac.is_none_or(|mac| mac == at.packet.source)
    };
    interface.allowed_addresses.iter().any(|of| fits(&of))
        && walker.topology.domain_of_allowed(&interface.uuid).as_ref() == Some(&at.domain)
}

/// A guest that routes speaks for the prefixes of routes whose next hop it is.
fn is_routed_by(walker: &Walker<'_>, at: &Journey, interface: &Interface, source: IpAddr) -> bool {
    let DomainId::Network(network) = &at.domain else { return false };
    if !interface.enable_routing {
        return false;
    }
    let attachments = walker.attachments(&interface.uuid).into_iter().filter(|of| of.domain == at.domain);
    let routes = attachments.flat_map(|of| of.addresses);
    let mut routes = routes.flat_map(|hop| walker.topology.routes_by_next_hop(network, hop));
    routes.any(|id| walker.topology.routes().get(&id).is_some_and(|route| route.prefix.0.contains(&source)))
}

fn refused_on_segment(walker: &Walker<'_>, at: &Journey, interface: &Interface) -> Option<(Reason, String)> {
    if at.packet.vlans.len() > 1 {
        return Some((Reason::SeveralTags, "send with one VLAN tag at most".to_owned()));
    }
    if permits_all(walker, at, interface) {
        return None;
    }
    let told = match &at.packet.content {
        Content::Arp(arp) => Some(arp.sender_mac),
        Content::Ip(ip) => match &ip.payload {
            Payload::Neighbour(of) => of.link_layer,
            _ => None,
        },
        // It says of nobody that he has sent it.
        Content::Other { ether_type: bytes::ARP } => Some(MacAddr([0; 6])),
        Content::Other { .. } => None,
    };
    let is_own = |mac| {
        let attachments = walker.attachments(&interface.uuid);
        let leased = attachments.iter().any(|of| of.domain == at.domain && of.mac == mac);
        leased || walker.allowed_mac(&at.domain, mac).contains(&interface.uuid)
    };
    let lie = told.filter(|mac| !is_own(*mac))?;
    let remedy = format!("lease {lie} to {}, or allow it an address with this MAC address", interface.uuid);
    Some((Reason::FalseSender, remedy))
}
