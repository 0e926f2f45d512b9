//! From which of its addresses a guest sends.

use std::net::IpAddr;
use std::sync::Arc;

use super::next_hop::{NextHop, is_on_link, next_hop};
use crate::address::MacAddr;
use crate::graph::Topology;
use crate::id::{InterfaceId, NetworkId};
use crate::ip_lease::IpLease;

/// The IP leases of an interface, by network and address.
pub(super) fn leases(topology: &Topology, interface: &InterfaceId) -> Vec<Arc<IpLease>> {
    let ids = topology.ip_leases_of_interface(interface).into_iter();
    let mut leases: Vec<_> = ids.filter_map(|id| topology.ip_leases().get(&id).cloned()).collect();
    leases.sort_by_key(|lease| (lease.network_uuid.clone(), lease.address.ip()));
    leases
}

/// Which of its leases an interface sends from: RFC 6724, section 5, as far as it matters here. `network` is where the
/// destination is leased, if that is known.
pub(super) fn source_for<'a>(
    topology: &Topology,
    own: &'a [Arc<IpLease>],
    destination: IpAddr,
    network: Option<&NetworkId>,
) -> Option<&'a Arc<IpLease>> {
    let fitting = own.iter().filter(|lease| lease.address.ip().is_ipv4() == destination.is_ipv4());
    fitting.min_by_key(|lease| distance(topology, lease, destination, network))
}

/// How far a source is from a destination: whether it is of another scope (rule 2), not on its wire, without a router.
pub(super) fn distance(
    topology: &Topology,
    source: &IpLease,
    destination: IpAddr,
    network: Option<&NetworkId>,
) -> (bool, bool, bool) {
    let of_source = topology.networks().get(&source.network_uuid);
    let is_near = network.is_none_or(|network| *network == source.network_uuid)
        && of_source.is_some_and(|of_source| is_on_link(of_source, destination));
    let has_way = of_source.is_some_and(|of| !matches!(next_hop(topology, of, destination), NextHop::None));
    let differs = is_link_local(source.address.ip()) != is_link_local(destination);
    (differs, !is_near, !has_way)
}

fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

/// The MAC address of an interface's first lease.
pub(super) fn first_mac(topology: &Topology, interface: &InterfaceId) -> Option<MacAddr> {
    let first = topology.mac_leases_of_interface(interface).into_iter().next()?;
    topology.mac_leases().get(&first).map(|lease| lease.mac_address)
}
