//! Who there is to send packets, and to get them.

use std::net::IpAddr;

use topology::interface::{AdminState, InterfaceMode};
use topology::{DomainId, InterfaceId, MacAddr, Topology};

use crate::scene::host_of;

/// Somebody with addresses in a domain.
#[derive(Clone)]
pub(super) struct Party {
    pub(super) interface: InterfaceId,
    pub(super) domain: DomainId,
    pub(super) mac: MacAddr,
    pub(super) addresses: Vec<IpAddr>,
    pub(super) is_simulated: bool,
}

/// Whoever is up and has MAC addresses.
pub(super) fn parties(topology: &Topology) -> Vec<Party> {
    let mut parties = Vec::new();
    for interface in topology.interfaces().values().filter(|of| of.admin_state == AdminState::Up) {
        let is_simulated = interface.mode == InterfaceMode::Simulated;
        if !is_simulated && host_of(&interface.uuid).is_none() {
            continue;
        }
        for (id, mac, domain) in topology.attachments_of_interface(&interface.uuid) {
            let leases = topology.ip_leases_of_mac_lease(id).into_iter();
            let leases = leases.filter_map(|id| topology.ip_leases().get(&id).cloned());
            let mut addresses: Vec<_> = leases.map(|lease| lease.address.ip()).collect();
            addresses.extend(interface.allowed_addresses.iter().filter_map(|allowed| allowed.single()));
            let (interface, domain) = (interface.uuid.clone(), domain.clone());
            parties.push(Party { interface, domain, mac, addresses, is_simulated });
        }
    }
    parties
}

pub(super) fn is_leg(topology: &Topology, party: &Party) -> bool {
    topology.interfaces().get(&party.interface).is_some_and(|interface| interface.enable_routing)
}

/// Uplinks and edges that have a port.
pub(super) fn uplinks(topology: &Topology) -> Vec<(InterfaceId, DomainId)> {
    let uplinks = topology.interfaces().values().filter(|of| of.mode.is_uplink());
    let uplinks = uplinks.filter(|uplink| host_of(&uplink.uuid).is_some());
    let domain = |id: &InterfaceId| topology.domains_of_interface(id).first().cloned();
    uplinks.filter_map(|uplink| Some((uplink.uuid.clone(), domain(&uplink.uuid)?))).collect()
}
