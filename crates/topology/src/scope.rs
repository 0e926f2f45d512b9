//! Scope: which objects a host needs, and what it must be told when they change.
//!
//! A host needs its own datapath, and for every L2 domain with an interface on it: the domain, its interfaces with
//! their leases and bindings, and the datapaths these live on. Whatever else there is does not concern it.
//!
//! # Cost
//! [`delta`] looks at the objects that changed and those whose place hangs on them, never at the whole scope, unless
//! a domain comes or goes on the host.

use std::collections::BTreeSet;

use crate::graph::{DomainId, Topology};
use crate::id::{DatapathId, InterfaceId};
use crate::object::{Change, Object, ObjectRef};

/// Every object that a host needs.
pub fn snapshot(topology: &Topology, host: &DatapathId) -> Vec<Object> {
    let mut references: BTreeSet<_> =
        topology.domains_on(host).iter().flat_map(|of| part(topology, of)).collect();
    references.insert(ObjectRef::Datapath(host.clone()));
    references.iter().filter_map(|reference| topology.get(reference)).collect()
}

/// What turns a host's scope of `before` into that of `after`, where `changes` turn `before` into `after`.
pub fn delta(before: &Topology, after: &Topology, changes: &[Change], host: &DatapathId) -> Vec<Change> {
    let mut candidates = BTreeSet::new();
    for change in changes {
        let reference = change.reference();
        for topology in [before, after] {
            relatives(topology, &reference, &mut candidates);
        }
        candidates.insert(reference);
    }
    let changed: BTreeSet<_> = changes.iter().map(Change::reference).collect();
    let had: BTreeSet<_> = before.domains_on(host).into_iter().collect();
    let has: BTreeSet<_> = after.domains_on(host).into_iter().collect();
    had.difference(&has).for_each(|domain| candidates.extend(part(before, domain)));
    has.difference(&had).for_each(|domain| candidates.extend(part(after, domain)));
    let change = |reference: ObjectRef| {
        let needed = needs(before, host, &reference);
        match after.get(&reference).filter(|_| needs(after, host, &reference)) {
            Some(object) if !needed || changed.contains(&reference) => Some(Change::Put(object)),
            Some(_) => None,
            None => needed.then_some(Change::Delete(reference)),
        }
    };
    candidates.into_iter().filter_map(change).collect()
}

/// The hosts that a commit may concern.
pub fn concerned(before: &Topology, after: &Topology, changes: &[Change]) -> BTreeSet<DatapathId> {
    let mut hosts = BTreeSet::new();
    let mut candidates = BTreeSet::new();
    for change in changes {
        let reference = change.reference();
        for topology in [before, after] {
            relatives(topology, &reference, &mut candidates);
        }
        candidates.insert(reference);
    }
    for reference in &candidates {
        for topology in [before, after] {
            if let ObjectRef::Datapath(id) = reference {
                hosts.insert(id.clone());
            }
            for domain in domains_of(topology, reference) {
                hosts.extend(topology.hosts_of_domain(&domain));
            }
        }
    }
    hosts
}

/// Whether an object is in a host's scope.
fn needs(topology: &Topology, host: &DatapathId, reference: &ObjectRef) -> bool {
    match reference {
        ObjectRef::Datapath(id) if id == host => topology.datapaths().contains_key(id),
        _ if topology.get(reference).is_none() => false,
        _ => domains_of(topology, reference).iter().any(|domain| topology.is_domain_on(domain, host)),
    }
}

/// The L2 domains an object has to do with.
fn domains_of(topology: &Topology, reference: &ObjectRef) -> Vec<DomainId> {
    let interface = |id: &InterfaceId| topology.domains_of_interface(id);
    match reference {
        ObjectRef::Datapath(id) => topology.domains_on(id),
        ObjectRef::Segment(id) => vec![DomainId::Segment(id.clone())],
        ObjectRef::Network(id) => topology.domain_of_network(id).into_iter().collect(),
        ObjectRef::Interface(id) | ObjectRef::Binding(id) => interface(id),
        ObjectRef::MacLease(id) => {
            topology.mac_leases().get(id).map_or_else(Vec::new, |lease| interface(&lease.interface_uuid))
        }
        ObjectRef::IpLease(id) => {
            let holder = topology.ip_leases().get(id).and_then(|lease| lease.holder.as_ref());
            holder.map_or_else(Vec::new, |holder| interface(&holder.interface_uuid))
        }
        ObjectRef::HostToken(_) | ObjectRef::Sequences => Vec::new(),
    }
}

/// The objects whose place may change although they themselves do not.
fn relatives(topology: &Topology, reference: &ObjectRef, found: &mut BTreeSet<ObjectRef>) {
    match reference {
        ObjectRef::Interface(id) | ObjectRef::Binding(id) => household(topology, id, found),
        ObjectRef::MacLease(id) => {
            if let Some(lease) = topology.mac_leases().get(id) {
                household(topology, &lease.interface_uuid, found);
            }
        }
        ObjectRef::IpLease(id) => {
            let holder = topology.ip_leases().get(id).and_then(|lease| lease.holder.as_ref());
            if let Some(holder) = holder {
                household(topology, &holder.interface_uuid, found);
            }
        }
        ObjectRef::Network(id) => {
            let leases = topology.ip_leases_of_network(id);
            let holders = leases.iter().filter_map(|id| topology.ip_leases().get(id)?.holder.clone());
            let named = topology.interfaces_naming_network(id);
            let interfaces: BTreeSet<_> = holders.map(|holder| holder.interface_uuid).chain(named).collect();
            interfaces.iter().for_each(|interface| household(topology, interface, found));
        }
        ObjectRef::Datapath(_) | ObjectRef::Segment(_) | ObjectRef::HostToken(_) | ObjectRef::Sequences => {}
    }
}

/// An interface, what belongs to it, the networks of its leases, and the hosts that claim it.
fn household(topology: &Topology, interface: &InterfaceId, found: &mut BTreeSet<ObjectRef>) {
    found.insert(interface.clone().into());
    found.insert(ObjectRef::Binding(interface.clone()));
    found.extend(topology.mac_leases_of_interface(interface).into_iter().map(ObjectRef::from));
    found.extend(topology.ip_leases_of_interface(interface).into_iter().map(ObjectRef::from));
    if let Some(claim) = topology.active_claim(interface) {
        found.insert(claim.datapath_uuid.clone().into());
    }
}

/// A domain and all that is in it.
fn part(topology: &Topology, domain: &DomainId) -> BTreeSet<ObjectRef> {
    let mut found = BTreeSet::new();
    match domain {
        DomainId::Network(id) => {
            found.insert(id.clone().into());
        }
        DomainId::Segment(id) => {
            found.insert(id.clone().into());
            found.extend(topology.networks_of_segment(id).into_iter().map(ObjectRef::from));
        }
    }
    topology
        .interfaces_in_domain(domain)
        .iter()
        .for_each(|interface| household(topology, interface, &mut found));
    found
}
