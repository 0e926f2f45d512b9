//! What is assumed where the topology does not say: that every interface is plugged in, and every host has registered.
//!
//! What a policy allows should not hang on which guests run at the moment, and a topology that is only proposed has none that
//! do. So questions about policies are asked of a topology in which whatever lives nowhere lives somewhere.

use std::net::{IpAddr, Ipv4Addr};

use crate::address::{Dpid, HostKey};
use crate::binding::{Binding, Claim};
use crate::datapath::{Datapath, Encapsulation, NatBlock, Underlay};
use crate::graph::Topology;
use crate::id::DatapathId;
use crate::interface::{Interface, InterfaceMode};
use crate::meta::Meta;
use crate::mtu::ETHERNET_MTU;
use crate::object::Change;

/// The topology as if every interface was plugged in, and every host there.
#[must_use]
pub fn plugged_in(topology: &Topology) -> Topology {
    let hosts = topology.datapaths().values().filter(|host| host.underlay.is_none());
    let mut changes: Vec<_> = hosts.map(|host| Change::Put(registered(host).into())).collect();
    let absent: Vec<_> = topology.interfaces().values().filter(|of| is_absent(topology, of)).collect();
    let somewhere = topology.datapaths().keys().next().cloned();
    let somewhere = somewhere.or_else(|| {
        let made_up = made_up(&absent.first()?.meta);
        let id = made_up.uuid.clone();
        changes.push(Change::Put(made_up.into()));
        Some(id)
    });
    for interface in absent {
        let host = intended(topology, interface).or_else(|| somewhere.clone());
        changes.extend(host.map(|host| Change::Put(bound(interface, host).into())));
    }
    let mut assumed = topology.clone();
    assumed.commit(topology.revision(), &changes);
    assumed
}

fn is_absent(topology: &Topology, interface: &Interface) -> bool {
    interface.mode != InterfaceMode::Simulated && topology.active_claim(&interface.uuid).is_none()
}

/// Where users want an interface.
fn intended(topology: &Topology, interface: &Interface) -> Option<DatapathId> {
    let named = interface.ports.iter().find_map(|port| port.datapath_uuid.clone());
    let requested = || {
        let node = interface.requested_host.as_ref()?;
        topology.datapath_of_node(node).map(|host| host.uuid.clone())
    };
    named.filter(|host| topology.datapaths().contains_key(host)).or_else(requested)
}

fn bound(interface: &Interface, host: DatapathId) -> Binding {
    let claim =
        Claim { datapath_uuid: host, port_name: "assumed".to_owned(), instance: "assumed".to_owned() };
    Binding { interface_uuid: interface.uuid.clone(), meta: interface.meta.clone(), claims: vec![claim] }
}

fn registered(host: &Datapath) -> Datapath {
    Datapath { underlay: Some(underlay(host.key)), ..host.clone() }
}

/// Class E (RFC 1112, section 4) is no host's: each gets an address of its own there.
fn underlay(HostKey(key): HostKey) -> Underlay {
    let [_, a, b, c] = key.to_be_bytes();
    let address = IpAddr::from(Ipv4Addr::new(240, a, b, c));
    Underlay { encapsulation: Encapsulation::Geneve, address, mtu: ETHERNET_MTU }
}

/// A host, where there is none at all.
fn made_up(meta: &Meta) -> Datapath {
    let key = HostKey(HostKey::MAX);
    Datapath {
        uuid: "dp-assumed".parse().expect("an id"),
        meta: meta.clone(),
        key,
        display_name: String::new(),
        dpid: Dpid(u64::MAX),
        node_id: "assumed".parse().expect("a node id"),
        nat_block: Some(NatBlock(0)),
        underlay: Some(underlay(key)),
        other_addresses: Vec::new(),
        heeds_pairs: true,
    }
}
