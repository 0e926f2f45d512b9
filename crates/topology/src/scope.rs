//! Scope: which objects a host needs, and what it must be told when they change.
//!
//! A host needs its own datapath, and for every L2 domain within its reach: the domain, its interfaces with their leases,
//! services and bindings, the datapaths these live on, and the routers with a leg there. Within reach are the domains with
//! an interface on the host, and those that routers join to them. Of the records of pairs of hosts it needs its own. Whatever else there is does not concern it. A secret goes no
//! further than it must: to the hosts with an interface in one of its domains.
//!
//! What hosts are told of an object is without what only users need: who it belongs to, its labels, when it was changed.
//!
//! What a commit changes is looked at once, whatever the number of hosts: see [`Difference`].

mod difference;

use std::collections::BTreeSet;

pub use self::difference::Difference;
use crate::graph::{DomainId, Topology};
use crate::id::{DatapathId, InterfaceId, NetworkId, NetworkServiceId, RouteId};
use crate::object::{Change, Object, ObjectRef};

/// Every object that a host needs.
pub fn snapshot(topology: &Topology, host: &DatapathId) -> Vec<Object> {
    let mut references: BTreeSet<_> =
        reach(topology, host).iter().flat_map(|of| part(topology, of)).collect();
    references.insert(ObjectRef::Datapath(host.clone()));
    references.extend(topology.host_pairs_of_datapath(host).into_iter().map(ObjectRef::from));
    let groups = groups(topology, &references);
    references.extend(groups);
    references.retain(|of| {
        !is_secret(of) || domains_of(topology, of).iter().any(|domain| topology.is_domain_on(domain, host))
    });
    references.iter().filter_map(|reference| Some(topology.get(reference)?.for_hosts())).collect()
}

/// What turns a host's scope of `before` into that of `after`, where `changes` turn `before` into `after`.
pub fn delta(before: &Topology, after: &Topology, changes: &[Change], host: &DatapathId) -> Vec<Change> {
    Difference::new(before, after, changes).of(host)
}

/// The hosts that a commit may concern.
pub fn concerned(before: &Topology, after: &Topology, changes: &[Change]) -> BTreeSet<DatapathId> {
    Difference::new(before, after, changes).concerned()
}

/// The hosts that know some of these objects.
pub fn knowing(topology: &Topology, objects: impl IntoIterator<Item = ObjectRef>) -> BTreeSet<DatapathId> {
    Difference::among(topology, topology, objects.into_iter().collect()).concerned()
}

/// The L2 domains within a host's reach: its switch knows them.
pub fn reach(topology: &Topology, host: &DatapathId) -> BTreeSet<DomainId> {
    joined(topology, topology.domains_on(host))
}

/// Whether an L2 domain is within a host's reach.
fn is_within(topology: &Topology, host: &DatapathId, domain: &DomainId) -> bool {
    let is_on = |domain: &DomainId| topology.is_domain_on(domain, host);
    is_on(domain) || topology.joined_with(domain).iter().any(is_on)
}

fn is_secret(reference: &ObjectRef) -> bool {
    matches!(reference, ObjectRef::MetadataSecret(_))
}

/// The secrets of services in a domain.
fn secrets(topology: &Topology, domain: &DomainId) -> Vec<ObjectRef> {
    let servers = topology.simulated_in_domain(domain).into_iter();
    let services = servers.flat_map(|server| topology.services_of_interface(&server));
    services.map(ObjectRef::MetadataSecret).collect()
}

/// These domains, and those that routers join to them, over however many routers.
fn joined(topology: &Topology, domains: impl IntoIterator<Item = DomainId>) -> BTreeSet<DomainId> {
    let mut found = BTreeSet::new();
    for domain in domains {
        // One that is there already has brought those that it is joined with.
        if found.insert(domain.clone()) {
            found.extend(topology.joined_with(&domain).iter().cloned());
        }
    }
    found
}

/// The L2 domains an object has to do with.
fn domains_of(topology: &Topology, reference: &ObjectRef) -> Vec<DomainId> {
    let interface = |id: &InterfaceId| topology.domains_of_interface(id).to_vec();
    match reference {
        ObjectRef::Datapath(id) => topology.domains_on(id),
        ObjectRef::Segment(id) => vec![DomainId::Segment(id.clone())],
        ObjectRef::Network(id) => topology.domain_of_network(id).into_iter().collect(),
        ObjectRef::Binding(id) => interface(id),
        ObjectRef::Interface(id) => {
            interface(id).into_iter().chain(topology.domains_placed_by(reference)).collect()
        }
        ObjectRef::MacLease(id) => {
            topology.mac_leases().get(id).map_or_else(Vec::new, |lease| interface(&lease.interface_uuid))
        }
        ObjectRef::IpLease(id) => {
            let holder = topology.ip_leases().get(id).and_then(|lease| lease.holder.as_ref());
            let held = holder.map_or_else(Vec::new, |holder| interface(&holder.interface_uuid));
            held.into_iter().chain(topology.domains_placed_by(reference)).collect()
        }
        ObjectRef::Relation(_) => topology.domains_placed_by(reference).into_iter().collect(),
        ObjectRef::RouteLink(id) => {
            let routes = topology.routes_of_route_link(id).into_iter().map(ObjectRef::from);
            routes.flat_map(|route| domains_of(topology, &route)).collect()
        }
        ObjectRef::Route(id) => {
            let network = topology.routes().get(id).map(|route| &route.network_uuid);
            network.and_then(|network| topology.domain_of_network(network)).into_iter().collect()
        }
        ObjectRef::NetworkService(id) | ObjectRef::MetadataSecret(id) => {
            let service = topology.network_services().get(id);
            service.map_or_else(Vec::new, |service| interface(&service.interface_uuid))
        }
        ObjectRef::DnsService(id) => {
            let service = topology.dns_services().get(id).map(|of| of.network_service_uuid.clone());
            service.map_or_else(Vec::new, |service| domains_of(topology, &service.into()))
        }
        ObjectRef::DnsRecord(id) => {
            let service = topology.dns_records().get(id).map(|of| of.dns_service_uuid.clone());
            service.map_or_else(Vec::new, |service| domains_of(topology, &service.into()))
        }
        ObjectRef::Translation(id) => {
            let translation = topology.translations().get(id);
            translation.map_or_else(Vec::new, |of| interface(&of.interface_uuid))
        }
        ObjectRef::Filter(id) => {
            topology.filters().get(id).map_or_else(Vec::new, |filter| interface(&filter.interface_uuid))
        }
        ObjectRef::SecurityGroup(id) => topology.domains_of_security_group(id),
        // What decides on addresses is the manager's; hosts have the leases. What is in a topology, relations say.
        ObjectRef::MacRangeGroup(_)
        | ObjectRef::MacRange(_)
        | ObjectRef::IpRangeGroup(_)
        | ObjectRef::IpRange(_)
        | ObjectRef::LeasePolicy(_)
        | ObjectRef::IpLeaseContainer(_)
        | ObjectRef::IpRetentionContainer(_)
        | ObjectRef::Layer(_)
        | ObjectRef::HostToken(_)
        // Both hosts have theirs, whatever else they have.
        | ObjectRef::HostPair(_)
        | ObjectRef::Sequences => Vec::new(),
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
            found.extend(routing(topology, id));
            found.extend(placement(topology, id));
        }
        ObjectRef::Relation(id) => {
            let mut behind = BTreeSet::new();
            topology.records_behind(id, &mut behind);
            found.extend(behind);
        }
        ObjectRef::Route(id) => {
            found.extend(topology.routes().get(id).map(|route| route.route_link_uuid.clone().into()));
        }
        ObjectRef::NetworkService(id) => of_service(topology, id, found),
        ObjectRef::DnsService(id) => {
            found.extend(topology.records_of_dns_service(id).into_iter().map(ObjectRef::from));
        }
        ObjectRef::Datapath(_)
        | ObjectRef::Segment(_)
        | ObjectRef::RouteLink(_)
        | ObjectRef::MetadataSecret(_)
        | ObjectRef::DnsRecord(_)
        | ObjectRef::Translation(_)
        | ObjectRef::Filter(_)
        | ObjectRef::SecurityGroup(_)
        | ObjectRef::MacRangeGroup(_)
        | ObjectRef::MacRange(_)
        | ObjectRef::IpRangeGroup(_)
        | ObjectRef::IpRange(_)
        | ObjectRef::LeasePolicy(_)
        | ObjectRef::IpLeaseContainer(_)
        | ObjectRef::IpRetentionContainer(_)
        | ObjectRef::Layer(_)
        | ObjectRef::HostToken(_)
        | ObjectRef::HostPair(_)
        | ObjectRef::Sequences => {}
    }
}

/// An interface, what belongs to it, the networks of its leases, and the hosts that claim it.
fn household(topology: &Topology, interface: &InterfaceId, found: &mut BTreeSet<ObjectRef>) {
    found.insert(interface.clone().into());
    found.insert(ObjectRef::Binding(interface.clone()));
    found.extend(topology.mac_leases_of_interface(interface).into_iter().map(ObjectRef::from));
    found.extend(topology.ip_leases_of_interface(interface).into_iter().map(ObjectRef::from));
    found.extend(topology.filters_of_interface(interface).into_iter().map(ObjectRef::from));
    for service in topology.services_of_interface(interface) {
        of_service(topology, &service, found);
        found.insert(service.into());
    }
    found.extend(topology.translations_of_interface(interface).into_iter().map(ObjectRef::from));
    found.extend(topology.host_of_interface(interface).map(|host| host.clone().into()));
}

/// The security groups of interfaces. Apart from the rest, since who shares a group is not concerned when one joins.
fn groups(topology: &Topology, of: &BTreeSet<ObjectRef>) -> BTreeSet<ObjectRef> {
    let interfaces = of.iter().filter_map(|reference| match reference {
        ObjectRef::Interface(id) => topology.interfaces().get(id),
        _ => None,
    });
    interfaces.flat_map(|of| of.security_groups.iter().cloned().map(ObjectRef::from)).collect()
}

/// What belongs to a network service: its secret, its DNS service, and the records of that.
fn of_service(topology: &Topology, service: &NetworkServiceId, found: &mut BTreeSet<ObjectRef>) {
    found.insert(ObjectRef::MetadataSecret(service.clone()));
    for dns in topology.dns_services_of_service(service) {
        found.extend(topology.records_of_dns_service(&dns).into_iter().map(ObjectRef::from));
        found.insert(dns.into());
    }
}

/// What says how hosts carry a network.
fn placement(topology: &Topology, network: &NetworkId) -> BTreeSet<ObjectRef> {
    let mut found = BTreeSet::new();
    if let Some(domain) = topology.domain_of_network(network) {
        topology.records_of_domain(&domain, &mut found);
    }
    found
}

/// The routes of legs in a network, and their routers.
fn routing(topology: &Topology, network: &NetworkId) -> BTreeSet<ObjectRef> {
    let routes = topology.routes_of_network(network).into_iter();
    let with_router = |route: RouteId| {
        let router = topology.routes().get(&route).map(|route| route.route_link_uuid.clone().into());
        [Some(route.into()), router]
    };
    routes.flat_map(with_router).flatten().collect()
}

/// A domain and all that is in it.
fn part(topology: &Topology, domain: &DomainId) -> BTreeSet<ObjectRef> {
    let mut found = BTreeSet::new();
    if let DomainId::Segment(id) = domain {
        found.insert(id.clone().into());
    }
    for network in topology.networks_of_domain(domain) {
        found.extend(routing(topology, &network));
        found.insert(network.into());
    }
    topology.records_of_domain(domain, &mut found);
    topology
        .interfaces_in_domain(domain)
        .iter()
        .for_each(|interface| household(topology, interface, &mut found));
    found
}
