//! What guests are told of routers (RFC 4861): each what is true for it.
//!
//! The leg in a guest's network is its default router. The guest may make itself an address (RFC 4862) if just that one is
//! leased to it; else it asks DHCPv6, where there is a server.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use ipnet::Ipv6Net;
use openflow::{OfPort, PacketIn, PacketOut};
use responder::router_advertisement::{Prefix, Router};
use topology::interface::{AdminState, Interface};
use topology::mac_lease::MacLease;
use topology::network::Network;
use topology::{InterfaceId, MacAddr, Topology, mtu};

use super::dhcp::{name_servers, server};
use super::dhcpv6::ipv6;
use super::{Client, back, is_leg, source};
use crate::advertisements::Hearer;

/// Hops of what guests send (RFC 1700, "IP time to live").
const HOP_LIMIT: u8 = 64;

/// How long a router is known: as long as can be (RFC 8319, section 4), since it routes also while nobody tells of it, as
/// when the agent is away.
const LIFETIME: Duration = Duration::from_secs(u16::MAX as u64);

/// How long a prefix is: for ever, since a lease ends when its address is dropped, whatever the guest believes.
const FOR_EVER: Duration = Duration::from_secs(u32::MAX as u64);

/// The answer to a solicitation, out of the port it came by. `None` if there is no router.
pub(super) fn answer(packet_in: &PacketIn, topology: &Topology) -> Option<PacketOut> {
    let client = Client::of(packet_in, source(packet_in)?, topology)?;
    back(packet_in, responder::router_advertisement(&packet_in.packet, &router(&client, topology)?)?)
}

/// What each guest of a host is to be told unasked, by its ports: of its router, if it has one.
pub fn routers(
    ports: &BTreeMap<InterfaceId, OfPort>,
    topology: &Topology,
) -> BTreeMap<Hearer, (OfPort, Option<Router>)> {
    let up =
        ports.iter().filter_map(|(interface, port)| Some((topology.interfaces().get(interface)?, *port)));
    let up = up.filter(|(interface, _)| interface.admin_state == AdminState::Up);
    let of_interface = |(interface, port): (&Arc<Interface>, OfPort)| {
        let leases = topology.mac_leases_of_interface(&interface.uuid).into_iter();
        let macs = leases.filter_map(|lease| Some(topology.mac_leases().get(&lease)?.mac_address));
        let of_mac = |mac| {
            let router = Client::with(interface, mac, topology).and_then(|client| router(&client, topology));
            ((interface.uuid.clone(), mac), (port, router))
        };
        macs.map(of_mac).collect::<Vec<_>>()
    };
    up.flat_map(of_interface).collect()
}

/// The router of a client, as it is to be told of it.
fn router(client: &Client<'_>, topology: &Topology) -> Option<Router> {
    let networks = topology.networks_of_domain(&client.domain);
    let networks = networks.iter().filter_map(|network| topology.networks().get(network));
    let mut routed = networks
        .filter_map(|network| Some((network, network.subnets.ipv6?, leg(network, client, topology)?)));
    let (network, subnet, leg) = routed.next()?;
    let own = address_of(client.mac_lease.mac_address, subnet);
    let makes_itself = client.ip_leases(topology).iter().any(|(address, _)| Some(*address) == own);
    let server = server(network, &client.domain, topology);
    let dns = server.as_ref().map(|server| ipv6(&name_servers(server, network, topology)));
    Some(Router {
        mac: leg.mac_address.0,
        address: leg.mac_address.link_local(),
        lifetime: LIFETIME,
        hop_limit: HOP_LIMIT,
        is_managed: server.is_some() && !makes_itself,
        has_other: server.is_some(),
        mtu: Some(mtu::of_overlay(topology)),
        prefixes: vec![Prefix {
            prefix: subnet,
            is_on_link: true,
            is_autonomous: makes_itself,
            valid: FOR_EVER,
            preferred: FOR_EVER,
        }],
        routes: Vec::new(),
        dns: dns.unwrap_or_default(),
        search: Vec::new(),
        dns_lifetime: LIFETIME,
    })
}

/// The leg in a network by which IPv6 packets enter a router.
fn leg(network: &Network, client: &Client<'_>, topology: &Topology) -> Option<Arc<MacLease>> {
    let routes = topology.routes_of_network(&network.uuid).into_iter();
    let mut routes = routes.filter_map(|route| topology.routes().get(&route));
    let route = routes.find(|route| {
        let leg = topology.interfaces().get(&route.interface_uuid);
        route.ingress && route.prefix.0.addr().is_ipv6() && leg.is_some_and(|leg| is_leg(leg))
    })?;
    let leases = topology.mac_leases_of_interface(&route.interface_uuid).into_iter();
    let mut leases = leases.filter_map(|lease| topology.mac_leases().get(&lease));
    leases.find(|lease| topology.domain_of_mac_lease(lease) == Some(&client.domain)).cloned()
}

/// The address that a guest makes itself of a prefix of 64 bits (RFC 4291, appendix A).
fn address_of(mac: MacAddr, subnet: Ipv6Net) -> Option<IpAddr> {
    let (network, host) = (u128::from(subnet.network()), u128::from(mac.link_local()) & u128::from(u64::MAX));
    (subnet.prefix_len() == 64).then(|| Ipv6Addr::from(network | host).into())
}
