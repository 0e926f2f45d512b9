//! Next hops: to which MAC address a guest sends a packet, by what the network tells it.
//!
//! # What a guest goes by
//! What is in a subnet of its own network it asks for, by ARP or neighbour discovery. For the rest it takes the leg whose
//! router has the longest prefix, as DHCP (RFC 3442) and router advertisements tell it; where none has one, a leg all the
//! same, as a guest does that was given its gateway by hand.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use crate::address::MacAddr;
use crate::graph::Topology;
use crate::id::NetworkId;
use crate::interface::Interface;
use crate::ip_lease::IpLease;
use crate::network::Network;

/// Everyone (IEEE 802.3).
const BROADCAST: MacAddr = MacAddr([0xff; 6]);

/// Whom a guest sends a packet to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NextHop {
    /// This MAC address.
    Known(MacAddr),
    /// Whoever has this address of its network; nobody is known to.
    Unknown(IpAddr),
    /// It has no way there: its network has no router.
    None,
}

/// Whom a guest with an address in `network` sends a packet for `destination` to.
pub(super) fn next_hop(topology: &Topology, network: &Network, destination: IpAddr) -> NextHop {
    if let Some(mac) = of_many(network, destination) {
        return NextHop::Known(mac);
    }
    if is_on_link(network, destination) {
        return mac_of(topology, network, destination).map_or(NextHop::Unknown(destination), NextHop::Known);
    }
    gateway(topology, &network.uuid, destination).map_or(NextHop::None, NextHop::Known)
}

/// Whether a guest of a network takes an address for one on its own wire.
pub(super) fn is_on_link(network: &Network, address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => network.subnets.ipv4.is_some_and(|net| net.contains(&address)),
        IpAddr::V6(address) => {
            address.is_unicast_link_local() || network.subnets.ipv6.is_some_and(|net| net.contains(&address))
        }
    }
}

/// The MAC address of an address that is for several: RFC 1112, section 6.4; RFC 2464, section 7; RFC 919.
fn of_many(network: &Network, address: IpAddr) -> Option<MacAddr> {
    match address {
        IpAddr::V4(address) if address.is_multicast() => {
            let [_, a, b, c] = address.octets();
            Some(MacAddr([0x01, 0x00, 0x5e, a & 0x7f, b, c]))
        }
        IpAddr::V4(address) => {
            let of_subnet = network.subnets.ipv4.filter(|net| net.prefix_len() < 31);
            let is_broadcast =
                address == Ipv4Addr::BROADCAST || of_subnet.is_some_and(|net| net.broadcast() == address);
            is_broadcast.then_some(BROADCAST)
        }
        IpAddr::V6(address) => address.is_multicast().then(|| of_multicast(address)),
    }
}

/// RFC 2464, section 7.
pub(super) fn of_multicast(address: Ipv6Addr) -> MacAddr {
    let [.., a, b, c, d] = address.octets();
    MacAddr([0x33, 0x33, a, b, c, d])
}

/// Who answers for an address of a network: its lease, who is allowed it, or whose MAC address makes it.
pub(super) fn mac_of(topology: &Topology, network: &Network, address: IpAddr) -> Option<MacAddr> {
    let elsewhere =
        topology.domain_of_network(&network.uuid).map(|domain| topology.networks_of_domain(&domain));
    // On a segment everybody hears the question, in whatever network they are.
    let networks = std::iter::once(network.uuid.clone()).chain(elsewhere.into_iter().flatten());
    let leases = networks.flat_map(|network| topology.ip_leases_of_address(&network, address));
    let mut leased = leases.filter_map(|lease| mac_of_lease(topology, topology.ip_leases().get(&lease)?));
    leased
        .next()
        .or_else(|| allowed(topology, network, address))
        .or_else(|| link_local(topology, network, address))
}

/// The MAC address that a lease is behind.
pub(super) fn mac_of_lease(topology: &Topology, lease: &IpLease) -> Option<MacAddr> {
    let holder = lease.holder.as_ref()?;
    topology.mac_leases().get(&holder.mac_lease_uuid).map(|lease| lease.mac_address)
}

/// Allowed addresses hold where the interface's first MAC lease is.
fn allowed(topology: &Topology, network: &Network, address: IpAddr) -> Option<MacAddr> {
    let domain = topology.domain_of_network(&network.uuid)?;
    let holders = topology.interfaces_allowing(&IpNet::from(address)).into_iter();
    let mac = |interface: &Interface| {
        let first = topology.mac_leases_of_interface(&interface.uuid).into_iter().next()?;
        let first = topology.mac_leases().get(&first)?;
        let is_here = topology.domain_of_mac_lease(first) == Some(&domain);
        let entry = interface.allowed_addresses.iter().find(|entry| entry.single() == Some(address))?;
        is_here.then(|| entry.mac.unwrap_or(first.mac_address))
    };
    holders.filter_map(|id| topology.interfaces().get(&id)).find_map(|interface| mac(interface))
}

fn link_local(topology: &Topology, network: &Network, address: IpAddr) -> Option<MacAddr> {
    let IpAddr::V6(address) = address else { return None };
    let (mac, domain) = (MacAddr::of_link_local(address)?, topology.domain_of_network(&network.uuid)?);
    (!topology.mac_leases_of_address(&domain, mac).is_empty()).then_some(mac)
}

/// The leg in `network` whose router has the longest prefix for `destination`; of several, the first.
fn gateway(topology: &Topology, network: &NetworkId, destination: IpAddr) -> Option<MacAddr> {
    let routes = topology.routes_of_network(network).into_iter();
    let ways = routes.filter_map(|id| {
        let into = topology.routes().get(&id)?;
        let leg = topology.interfaces().get(&into.interface_uuid)?;
        if !into.ingress || !leg.enable_routing || !is_same_family(into.prefix.0, destination) {
            return None;
        }
        let mac = mac_of_leg(topology, leg, network, destination)?;
        let onward = topology.routes_of_route_link(&into.route_link_uuid).into_iter();
        let longest = onward.filter_map(|id| {
            let out = topology.routes().get(&id)?;
            (out.egress && out.prefix.0.contains(&destination)).then(|| out.prefix.0.prefix_len())
        });
        Some((longest.max(), leg.uuid.clone(), mac))
    });
    let best = ways.min_by(|(one, leg, _), (other, of_other, _)| other.cmp(one).then(leg.cmp(of_other)));
    best.map(|(_, _, mac)| mac)
}

fn is_same_family(net: IpNet, address: IpAddr) -> bool {
    net.addr().is_ipv4() == address.is_ipv4()
}

fn mac_of_leg(topology: &Topology, leg: &Interface, network: &NetworkId, of: IpAddr) -> Option<MacAddr> {
    let leases = topology.ip_leases_of_interface(&leg.uuid).into_iter();
    let mut here = leases
        .filter_map(|id| topology.ip_leases().get(&id))
        .filter(|lease| lease.network_uuid == *network && lease.address.ip().is_ipv4() == of.is_ipv4());
    here.find_map(|lease| mac_of_lease(topology, lease))
}
