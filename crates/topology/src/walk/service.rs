//! What guests ask servers and routers of their domain, answered on their own host: DHCP, router solicitations, metadata.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::looked::End;
use super::packet::{Fragment, IpPacket, Payload};
use super::{Answer, Journey, Walker, router};
use crate::address::MacAddr;
use crate::graph::DomainId;
use crate::interface::Interface;
use crate::network_service::NetworkServiceMode;
use crate::object::ObjectRef;

/// Where guests ask what they are to know of themselves, over IPv4 (RFC 3927) and IPv6.
const METADATA: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);
const METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0xa9fe, 0xa9fe);

/// The port there.
pub(super) const METADATA_PORT: u16 = 80;

/// ICMPv6 type, and hops of what has passed no router (RFC 4861, sections 4.1 and 6.1.1).
const ROUTER_SOLICITATION: u8 = 133;
const FROM_NEIGHBOUR: u8 = 255;

/// Who answers a question that goes to whoever can, and how.
pub(super) fn answers(walker: &Walker<'_>, at: &Journey) -> Option<(ObjectRef, Answer)> {
    // What is tagged is in a VLAN of the guests' own, and what has passed a router or a wire is not the domain's.
    if !at.packet.vlans.is_empty() || at.from_wire || at.routed {
        return None;
    }
    let ip = at.packet.ip().filter(|ip| ip.fragment != Fragment::Later)?;
    if !ip.is_ipv4() && ip.icmp() == Some((ROUTER_SOLICITATION, 0)) && ip.hops == FROM_NEIGHBOUR {
        let leg = router::leg_with_ipv6(walker, &at.domain)?;
        return Some((leg.into(), Answer::RouterAdvertisement));
    }
    if !matches!(ip.payload, Payload::Udp { .. }) {
        return None;
    }
    let server = server(walker, at, NetworkServiceMode::Dhcp)?;
    asks_for_address(walker, ip).map(|answer| (server, answer))
}

/// What answers a client that asks for an address, if the packet is its question (RFC 2131, section 4.1; RFC 8415, section 7.2).
pub(super) fn asks_for_address(walker: &Walker<'_>, ip: &IpPacket) -> Option<Answer> {
    let Payload::Udp { source_port, destination_port } = ip.payload else { return None };
    let (client, server, answer) =
        if ip.is_ipv4() { (68, 67, Answer::Dhcp) } else { (546, 547, Answer::Dhcpv6) };
    let asks = walker.looked.is_port(End::To, destination_port, server)
        && walker.looked.is_port(End::From, source_port, client);
    asks.then_some(answer)
}

/// The first service of a kind in a domain.
fn server(walker: &Walker<'_>, at: &Journey, mode: NetworkServiceMode) -> Option<ObjectRef> {
    let servers = walker.topology.simulated_in_domain(&at.domain).into_iter();
    let services = servers.flat_map(|server| walker.topology.services_of_interface(&server));
    let services = services.filter_map(|id| walker.topology.network_services().get(&id));
    { services }.find(|service| service.mode == mode).map(|service| service.uuid.clone().into())
}

/// Whether an interface has a service of a kind, and which.
pub(super) fn of_interface(
    walker: &Walker<'_>,
    interface: &Interface,
    mode: NetworkServiceMode,
) -> Option<ObjectRef> {
    let services = walker.topology.services_of_interface(&interface.uuid).into_iter();
    let mut services = services.filter_map(|id| walker.topology.network_services().get(&id));
    services.find(|service| service.mode == mode).map(|service| service.uuid.clone().into())
}

/// Who serves metadata at an address in the packet's domain: nobody, if an interface has leased the address.
pub(super) fn metadata_at<'a>(
    walker: &Walker<'a>,
    at: &Journey,
    address: IpAddr,
) -> Option<(&'a Interface, MacAddr)> {
    if address != IpAddr::V4(METADATA) && address != IpAddr::V6(METADATA_V6) {
        return None;
    }
    let is_held = |id: &crate::id::IpLeaseId| {
        walker.topology.ip_leases().get(id).is_some_and(|lease| lease.holder.is_some())
    };
    let networks = walker.topology.networks_of_domain(&at.domain).into_iter();
    let mut leases = networks.flat_map(|network| walker.topology.ip_leases_of_address(&network, address));
    if leases.any(|lease| is_held(&lease)) {
        return None;
    }
    metadata_server(walker, at, &at.domain)
}

fn metadata_server<'a>(
    walker: &Walker<'a>,
    at: &Journey,
    domain: &DomainId,
) -> Option<(&'a Interface, MacAddr)> {
    let servers = walker.topology.simulated_in_domain(domain).into_iter();
    let servers = servers.filter_map(|id| walker.reachable(at, &id));
    let mut servers =
        servers.filter(|server| of_interface(walker, server, NetworkServiceMode::Metadata).is_some());
    servers.find_map(|server| {
        let attachment = walker.attachments(&server.uuid).into_iter().find(|of| of.domain == *domain)?;
        Some((server, attachment.mac))
    })
}
