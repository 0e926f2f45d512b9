//! What routers and simulated interfaces say of packets that they cannot pass on.
//!
//! The error comes from the interface that the packet had reached, and goes to whoever sent it, by the same tables as any
//! packet: the sender may be behind a tunnel, if the leg is on its owner's host alone.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use dataplane::layout::{DESTINATION_INTERFACE, FLAGS, ORIGIN, ROUTED, SOURCE_INTERFACE};
use openflow::{PacketIn, PacketOut};
use responder::{Problem, Sender};
use topology::interface::Interface;
use topology::{DomainId, InterfaceId, InterfaceKey, MacAddr, RouteLinkId, Topology};

use super::{Client, by_tables, mac, register, source};

/// The error for a packet that a router or a simulated interface has met. `None` if nobody is to be told.
pub(super) fn error(packet_in: &PacketIn, problem: Problem, topology: &Topology) -> Option<PacketOut> {
    let guest = guest(packet_in)?;
    let domain = match Client::of(packet_in, guest, topology) {
        Some(client) => client.domain,
        None => outside(packet_in, topology)?,
    };
    let by = near(&reached(packet_in, problem, topology)?, &domain, topology);
    let address = address(&by, &domain, &packet_in.packet, problem, topology)?;
    let sender = Sender { mac: router_mac(&by, &domain, topology)?.0, address };
    let answer = responder::icmp_error(&packet_in.packet, problem, sender, guest.0)?;
    let key = topology.key_of_domain(&domain)?;
    Some(by_tables(key, by.key, answer))
}

/// The physical network or segment of a sender that nobody knows: what came by an uplink.
fn outside(packet_in: &PacketIn, topology: &Topology) -> Option<DomainId> {
    let uplink = topology.interface_of_key(InterfaceKey(register(packet_in, SOURCE_INTERFACE)))?;
    topology.domains_of_interface(&uplink.uuid).first().filter(|_| uplink.mode.is_uplink()).cloned()
}

/// The simulated interface that the packet had reached.
fn reached(packet_in: &PacketIn, problem: Problem, topology: &Topology) -> Option<Arc<Interface>> {
    if !matches!(problem, Problem::TooBig { .. }) {
        let key = InterfaceKey(register(packet_in, DESTINATION_INTERFACE));
        return topology.interface_of_key(key).cloned();
    }
    // It has left by a leg already, which its source address names.
    let domain = topology.domain_of_key(super::domain(packet_in)?)?;
    let leases = topology.mac_leases_of_address(&domain, source(packet_in)?);
    let lease = topology.mac_leases().get(leases.first()?)?;
    topology.interfaces().get(&lease.interface_uuid).cloned()
}

/// The leg of the same router that is in the sender's domain, if there is one: a router speaks as what it is on the wire it
/// speaks on (RFC 1812, section 4.3.2.4).
fn near(reached: &Arc<Interface>, domain: &DomainId, topology: &Topology) -> Arc<Interface> {
    if topology.is_in_domain(&reached.uuid, domain) {
        return reached.clone();
    }
    let routers = |leg: &InterfaceId| -> BTreeSet<RouteLinkId> {
        let routes = topology.routes_of_interface(leg).into_iter();
        routes.filter_map(|route| Some(topology.routes().get(&route)?.route_link_uuid.clone())).collect()
    };
    let own = routers(&reached.uuid);
    let mut legs = topology.simulated_in_domain(domain).into_iter();
    let leg = legs.find(|leg| !own.is_disjoint(&routers(leg)));
    leg.and_then(|leg| topology.interfaces().get(&leg).cloned()).unwrap_or_else(|| reached.clone())
}

/// The MAC address of whoever sent the packet into the first router.
fn guest(packet_in: &PacketIn) -> Option<MacAddr> {
    if register(packet_in, FLAGS) & ROUTED != 0 {
        return Some(MacAddr(mac(packet_in, ORIGIN)));
    }
    source(packet_in)
}

/// The address that speaks: the one that was asked, else one of the interface's, best in the sender's own domain.
fn address(
    by: &Interface,
    domain: &DomainId,
    packet: &[u8],
    problem: Problem,
    topology: &Topology,
) -> Option<IpAddr> {
    let destination = responder::destination(packet)?;
    if problem == Problem::PortUnreachable {
        return Some(destination);
    }
    let leases = topology.ip_leases_of_interface(&by.uuid);
    let leases = leases.iter().filter_map(|lease| topology.ip_leases().get(lease));
    let mut leases: Vec<_> =
        leases.filter(|lease| lease.address.ip().is_ipv4() == destination.is_ipv4()).collect();
    leases.sort_by_key(|lease| {
        let near = topology.domain_of_network(&lease.network_uuid).as_ref() == Some(domain);
        (!near, is_link_local(lease.address.ip()))
    });
    leases.first().map(|lease| lease.address.ip())
}

fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.is_unicast_link_local())
}

/// A router's MAC address on the sender's wire: that of the interface itself, unless the packet has gone further.
fn router_mac(by: &Interface, domain: &DomainId, topology: &Topology) -> Option<MacAddr> {
    let legs = topology.simulated_in_domain(domain);
    let mut attachments =
        std::iter::once(&by.uuid).chain(&legs).flat_map(|leg| topology.attachments_of_interface(leg));
    attachments.find(|(.., of)| *of == domain).map(|(_, mac, _)| mac)
}
