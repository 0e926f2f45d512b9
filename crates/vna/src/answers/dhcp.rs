//! What DHCP clients are told, from what the topology says of them: their own host's agent answers, whatever the server's
//! address is, and however far the manager is.
//!
//! # Routes
//! A guest learns of every prefix that a router with a leg in its network has a route to, elsewhere (RFC 3442), and of a
//! default route if the router has one. It learns of the way to the metadata address, where there is a server for it.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use ipnet::{IpNet, Ipv4Net};
use openflow::{PacketIn, PacketOut};
use responder::dhcpv4::{Answer, Ignored, Lease, wants_address};
use topology::ip_lease::IpLease;
use topology::network::Network;
use topology::network_service::{NetworkService, NetworkServiceMode};
use topology::{DomainId, Id, MacAddr, NetworkId, Topology, mtu};
use tracing::debug;

use super::{Client, Reply, back, dns, is_leg, is_up, metadata, source};

/// The answer to a client, out of the port it asked by. `None` if it gets none.
pub(super) fn answer(packet_in: &PacketIn, topology: &Topology) -> Option<Reply> {
    let client = Client::of(packet_in, source(packet_in)?, topology)?;
    let may_get_one = !client.interface.lease_policies.is_empty()
        && !client.ip_leases(topology).iter().any(|(address, _)| address.is_ipv4());
    if may_get_one && wants_address(&packet_in.packet, client.mac_lease.mac_address.0) {
        return Some(Reply::Ask(client.interface.uuid.clone()));
    }
    let done = lease(&client, topology).map(|lease| responder::dhcpv4(&packet_in.packet, &lease));
    reply(packet_in, &client, done).map(Reply::Out)
}

/// The reply that came of a client's message, and a note of what has happened.
pub(super) fn reply(
    packet_in: &PacketIn,
    client: &Client<'_>,
    done: Option<Result<Answer, Ignored>>,
) -> Option<PacketOut> {
    let interface = &client.interface.uuid;
    match done {
        None => {
            debug!(%interface, "a DHCP client has no address to be told of");
            None
        }
        Some(Ok(answer)) => {
            debug!(%interface, event = ?answer.event, "DHCP");
            back(packet_in, answer.reply?)
        }
        Some(Err(ignored)) => {
            debug!(%interface, %ignored, "DHCP");
            None
        }
    }
}

/// A server as its clients see it.
pub(super) struct Server {
    pub(super) service: Arc<NetworkService>,
    pub(super) mac: MacAddr,
    /// Its address in the client's network.
    address: IpAddr,
}

/// What a client is told: of the first of its leases whose network has a server.
fn lease(client: &Client<'_>, topology: &Topology) -> Option<Lease> {
    let mut served = client.ip_leases(topology).into_iter().filter_map(|(address, network)| {
        let IpAddr::V4(address) = address else { return None };
        let mut servers = servers(network, &client.domain, topology).into_iter();
        servers.find_map(|server| match server.address {
            IpAddr::V4(of_server) => Some((address, network, server, of_server)),
            IpAddr::V6(_) => None,
        })
    });
    let (address, network, server, of_server) = served.next()?;
    let (routers, mut routes) = routes(&network.uuid, topology);
    routes.extend(metadata::route(&network.uuid, &client.domain, topology));
    let only_ipv4 = |address: &IpAddr| match address {
        IpAddr::V4(address) => Some(*address),
        IpAddr::V6(_) => None,
    };
    Some(Lease {
        client: client.mac_lease.mac_address.0,
        address,
        subnet: network.subnets.ipv4?,
        server: of_server,
        server_mac: server.mac.0,
        lease_time: Duration::from_secs(server.service.lease_time.into()),
        routers,
        dns: name_servers(&server, network, topology).iter().filter_map(only_ipv4).collect(),
        ntp: server.service.ntp_servers.clone(),
        routes,
        host_name: client.interface.uuid.as_str().split_once('-').map(|(_, name)| name.to_owned()),
        domain_name: network.domain_name.parse().ok(),
        search: Vec::new(),
        mtu: Some(mtu::of_overlay(topology)),
    })
}

fn ipv4(lease: &IpLease) -> Option<Ipv4Addr> {
    match lease.address.ip() {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(_) => None,
    }
}

/// The name servers that guests are told of.
pub(super) fn name_servers(server: &Server, network: &Network, topology: &Topology) -> Vec<IpAddr> {
    let given = &server.service.dns_servers;
    if given.is_empty() { dns::servers(network, topology) } else { given.clone() }
}

/// The first server with an address in a network.
pub(super) fn server(network: &Network, domain: &DomainId, topology: &Topology) -> Option<Server> {
    servers(network, domain, topology).into_iter().next()
}

/// The servers with an address in a network, each with an IPv4 one if it has several.
fn servers(network: &Network, domain: &DomainId, topology: &Topology) -> Vec<Server> {
    let up = topology.simulated_in_domain(domain).into_iter().filter(|id| is_up(id, topology));
    let servers = up.filter_map(|interface| {
        let services = topology.services_of_interface(&interface).into_iter();
        let mut services = services.filter_map(|service| topology.network_services().get(&service));
        let service = services.find(|service| service.mode == NetworkServiceMode::Dhcp)?.clone();
        let leases = topology.ip_leases_of_interface(&interface).into_iter();
        let leases = leases.filter_map(|lease| topology.ip_leases().get(&lease));
        let here = leases.filter(|lease| lease.network_uuid == network.uuid);
        let lease = here.min_by_key(|lease| lease.address.ip())?;
        let mac_lease = topology.mac_leases().get(&lease.holder.as_ref()?.mac_lease_uuid)?;
        Some(Server { service, mac: mac_lease.mac_address, address: lease.address.ip() })
    });
    servers.collect()
}

/// Routers with a default route, and all other routes, of those with a leg in a network.
fn routes(network: &NetworkId, topology: &Topology) -> (Vec<Ipv4Addr>, Vec<(Ipv4Net, Ipv4Addr)>) {
    let (mut routers, mut found) = (BTreeSet::new(), BTreeSet::new());
    for into in topology.routes_of_network(network).iter().filter_map(|id| topology.routes().get(id)) {
        let leg = topology.interfaces().get(&into.interface_uuid).filter(|leg| is_leg(leg));
        let Some(leg) = leg.filter(|_| into.ingress) else { continue };
        let leases = topology.ip_leases_of_interface(&leg.uuid).into_iter();
        let leases = leases.filter_map(|lease| topology.ip_leases().get(&lease));
        let mut addresses =
            leases.filter(|lease| lease.network_uuid == *network).filter_map(|lease| ipv4(lease));
        let Some(via) = addresses.next() else { continue };
        for id in topology.routes_of_route_link(&into.route_link_uuid) {
            let Some(out) = topology.routes().get(&id).filter(|out| out.egress) else { continue };
            match out.prefix.0 {
                IpNet::V4(net) if net.prefix_len() == 0 => drop(routers.insert(via)),
                // What is on the guest\'s own wire needs no router.
                IpNet::V4(net) if out.network_uuid != *network || !out.next_hops.is_empty() => {
                    found.insert((net, via));
                }
                _ => {}
            }
        }
    }
    (routers.into_iter().collect(), found.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::fixture::{self, create};

    /// Two networks behind a router, and a server in the first.
    fn topology() -> Topology {
        let leg = |id: &str, network: &str, n: u8| {
            create(
                "interfaces",
                json!({"uuid": id, "mode": "simulated", "enable_routing": true, "network_uuid": network,
                "mac_address": format!("02:00:00:00:02:0{n}"), "ipv4_address": format!("10.0.{n}.1")}),
            )
        };
        let route = |leg: &str, network: &str, prefix: &str, hops: Value| {
            create(
                "routes",
                json!({"interface_uuid": leg, "network_uuid": network, "route_link_uuid": "rl-1",
                "ipv4_network": prefix, "next_hops": hops}),
            )
        };
        fixture::topology([
            create(
                "networks",
                json!({"uuid": "nw-1", "ipv4_network": "10.0.1.0", "domain_name": "one.example"}),
            ),
            create("networks", json!({"uuid": "nw-2", "ipv4_network": "10.0.2.0"})),
            create(
                "interfaces",
                json!({"uuid": "if-guest", "network_uuid": "nw-1", "mac_address": "02:00:00:00:01:09",
                "ipv4_address": "10.0.1.9"}),
            ),
            create(
                "interfaces",
                json!({"uuid": "if-dhcp", "mode": "simulated", "network_uuid": "nw-1",
                "mac_address": "02:00:00:00:01:64", "ipv4_address": "10.0.1.100"}),
            ),
            create(
                "network_services",
                json!({"mode": "dhcp", "interface_uuid": "if-dhcp", "lease_time": 600,
                "dns_servers": ["192.0.2.53", "2001:db8::53"]}),
            ),
            leg("if-leg1", "nw-1", 1),
            leg("if-leg2", "nw-2", 2),
            create("route_links", json!({"uuid": "rl-1"})),
            route("if-leg1", "nw-1", "10.0.1.0", json!([])),
            route("if-leg2", "nw-2", "10.0.2.0", json!([])),
            route("if-leg2", "nw-2", "172.16.0.0", json!(["10.0.2.9"])),
        ])
    }

    /// The same, and what is done then.
    fn topology_after<const N: usize>(requests: [Value; N]) -> Topology {
        let mut topology = topology();
        fixture::execute(&mut topology, requests);
        topology
    }

    fn update(resource: &str, uuid: &str, attributes: Value) -> Value {
        json!({"op": "update", "resource": resource, "uuid": uuid, "attributes": attributes})
    }

    fn down(uuid: &str) -> Value {
        update("interfaces", uuid, json!({"admin_state": "down"}))
    }

    fn of_guest(topology: &Topology, mac: &str) -> Option<Lease> {
        let id: topology::InterfaceId = "if-guest".parse().expect("an id");
        let guest = &topology.interfaces()[&id];
        lease(&Client::with(guest, mac.parse().expect("a MAC address"), topology)?, topology)
    }

    #[test]
    fn a_client_is_told_its_lease_and_what_its_routers_reach() {
        let lease = of_guest(&topology(), "02:00:00:00:01:09").expect("a lease");
        let net = |text: &str| text.parse::<Ipv4Net>().expect("a prefix");
        let leg = Ipv4Addr::new(10, 0, 1, 1);
        assert_eq!((lease.address, lease.server), (Ipv4Addr::new(10, 0, 1, 9), Ipv4Addr::new(10, 0, 1, 100)));
        assert_eq!(lease.routes, [(net("10.0.2.0/24"), leg), (net("172.16.0.0/24"), leg)]);
        assert_eq!(lease.routers, Vec::<Ipv4Addr>::new());
        assert_eq!(lease.dns, [Ipv4Addr::new(192, 0, 2, 53)]);
        assert_eq!(lease.lease_time, Duration::from_secs(600));
        assert_eq!(lease.host_name.as_deref(), Some("guest"));
    }

    #[test]
    fn routers_and_servers_that_are_down_are_not_told_of_and_do_not_answer() {
        let lease = of_guest(&topology_after([down("if-leg1")]), "02:00:00:00:01:09").expect("a lease");
        assert_eq!(lease.routes, []);
        assert_eq!(of_guest(&topology_after([down("if-dhcp")]), "02:00:00:00:01:09"), None);
    }

    #[test]
    fn a_server_without_an_ipv4_address_leaves_the_answer_to_one_that_has_one() {
        let other = create(
            "interfaces",
            json!({"uuid": "if-a", "mode": "simulated", "network_uuid": "nw-1",
            "mac_address": "02:00:00:00:01:65", "ipv6_address": "fd00:1::100"}),
        );
        let service = create("network_services", json!({"mode": "dhcp", "interface_uuid": "if-a"}));
        let ipv6 = update("networks", "nw-1", json!({"ipv6_network": "fd00:1::"}));
        let topology = topology_after([ipv6, other, service]);
        let lease = of_guest(&topology, "02:00:00:00:01:09").expect("a lease");
        assert_eq!(lease.server, Ipv4Addr::new(10, 0, 1, 100));
    }

    #[test]
    fn a_mac_address_that_is_not_the_clients_has_no_lease() {
        assert_eq!(of_guest(&topology(), "02:00:00:00:01:08"), None);
    }
}
