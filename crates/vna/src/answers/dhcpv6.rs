//! What DHCPv6 clients are told. As in [`super::dhcp`], the agent of their own host answers.
//!
//! DHCPv6 tells no routes: routers do ([`super::router_advertisement`]).

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use openflow::{PacketIn, PacketOut};
use responder::dhcpv6::Lease;
use topology::Topology;

use super::dhcp::{name_servers, reply, server};
use super::{Client, source};

/// The answer to a client, out of the port it asked by. `None` if it gets none.
pub(super) fn answer(packet_in: &PacketIn, topology: &Topology) -> Option<PacketOut> {
    let client = Client::of(packet_in, source(packet_in)?, topology)?;
    let lease = lease(&client, topology);
    reply(packet_in, &client, lease.map(|lease| responder::dhcpv6(&packet_in.packet, &lease)))
}

/// What a client is told: of the first of its leases whose network has a server.
fn lease(client: &Client<'_>, topology: &Topology) -> Option<Lease> {
    let mut served = client.ip_leases(topology).into_iter().filter_map(|(address, network)| {
        let IpAddr::V6(address) = address else { return None };
        let subnet = network.subnets.ipv6.filter(|subnet| subnet.contains(&address))?;
        Some((address, network, subnet, server(network, &client.domain, topology)?))
    });
    let (address, network, subnet, server) = served.next()?;
    let lease_time = Duration::from_secs(server.service.lease_time.into());
    Some(Lease {
        client: client.mac_lease.mac_address.0,
        address: Some(address),
        subnet,
        server: server.mac.link_local(),
        server_mac: server.mac.0,
        preferred: lease_time,
        valid: lease_time,
        dns: ipv6(&name_servers(&server, network, topology)),
        ntp: Vec::new(),
        search: Vec::new(),
    })
}

/// The IPv6 ones of some addresses.
pub(super) fn ipv6(addresses: &[IpAddr]) -> Vec<Ipv6Addr> {
    let ipv6 = |address: &IpAddr| match address {
        IpAddr::V6(address) => Some(*address),
        IpAddr::V4(_) => None,
    };
    addresses.iter().filter_map(ipv6).collect()
}
