//! Who it is that asks for metadata, and whom to ask on its behalf.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use dataplane::layout::METADATA;
use ipnet::Ipv4Net;
use topology::metadata_secret::Secret;
use topology::network::Network;
use topology::network_service::{NetworkService, NetworkServiceMode};
use topology::{DomainId, InterfaceId, NetworkId, Topology};

use super::Line;

/// Who asks, and whom to ask on its behalf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asker {
    /// The metadata server.
    pub server: SocketAddr,
    /// The guest's interface.
    pub interface: InterfaceId,
    /// The network in which it asks.
    pub network: NetworkId,
    /// Its address there.
    pub address: IpAddr,
    /// How the server is to know that this is true.
    pub signing: Signing,
}

/// How a server is to know that what is said of a guest is true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signing {
    /// By where the request comes from.
    None,
    /// By a signature.
    With(Secret),
    /// By a signature, and the secret has not come (yet): nothing can be said.
    Missing,
}

/// Who asks on a line, as things are now. `None` if there is no such guest or service any more.
pub fn asker(line: &Line, topology: &Topology) -> Option<Asker> {
    let interface = topology.interface_of_key(line.guest)?;
    let server = topology.interface_of_key(line.server)?;
    let service = service(&server.uuid, topology)?;
    let domain = topology.domain_of_key(line.domain)?;
    let address = line.ends.client.ip();
    let signing = match topology.metadata_secrets().get(&service.uuid) {
        Some(of) => Signing::With(of.secret.clone()),
        None if service.has_metadata_secret => Signing::Missing,
        None => Signing::None,
    };
    Some(Asker {
        server: service.metadata_server?,
        interface: interface.uuid.clone(),
        network: network(&interface.uuid, &domain, address, topology)?.uuid.clone(),
        address,
        signing,
    })
}

/// The network of a guest's address: that in which it is leased. A link-local address, or one behind a guest that routes, is
/// in no network by itself, and so in the first in which the guest has a lease.
fn network<'a>(
    guest: &InterfaceId,
    domain: &DomainId,
    address: IpAddr,
    topology: &'a Topology,
) -> Option<&'a Network> {
    let networks = topology.networks_of_domain(domain);
    let leases = topology.ip_leases_of_interface(guest);
    let leases = leases.iter().filter_map(|lease| topology.ip_leases().get(lease));
    let mut leases: Vec<_> = leases.filter(|lease| networks.contains(&lease.network_uuid)).collect();
    leases.sort_by_key(|lease| lease.address.ip() != address);
    let network = leases.first().map(|lease| &lease.network_uuid).or(networks.first())?;
    topology.networks().get(network).map(AsRef::as_ref)
}

/// The service of mode `metadata` of a simulated interface.
fn service<'a>(interface: &InterfaceId, topology: &'a Topology) -> Option<&'a Arc<NetworkService>> {
    let services = topology.services_of_interface(interface).into_iter();
    let mut services = services.filter_map(|service| topology.network_services().get(&service));
    services.find(|service| service.mode == NetworkServiceMode::Metadata)
}

/// The route to the metadata address, by the first server that has an address in a network.
pub(super) fn route(
    network: &NetworkId,
    domain: &DomainId,
    topology: &Topology,
) -> Option<(Ipv4Net, Ipv4Addr)> {
    let servers = topology.simulated_in_domain(domain).into_iter();
    let servers = servers.filter(|server| service(server, topology).is_some());
    let leases = servers.flat_map(|server| topology.ip_leases_of_interface(&server));
    let mut leases = leases.filter_map(|lease| topology.ip_leases().get(&lease));
    let address = leases.find_map(|lease| match lease.address.ip() {
        IpAddr::V4(address) if lease.network_uuid == *network => Some(address),
        _ => None,
    })?;
    Some((METADATA.into(), address))
}
