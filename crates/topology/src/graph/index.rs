//! The indexes of the topology: who is found by what.
//!
//! Some follow from an object's own attributes ([`Index::note`]). Where an interface is follows from several objects: that is
//! worked out by the graph, and kept here as its [`Place`].

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use imbl::OrdMap;
use ipnet::IpNet;
use jiff::Timestamp;

use super::DomainId;
use crate::address::{
    DomainKey, Dpid, HostKey, IdentityKey, InterfaceKey, MacAddr, NodeId, RouteKey, RouteLinkKey,
    TranslationKey, TranslationZone,
};
use crate::id::{
    DatapathId, DnsRecordId, DnsServiceId, FilterId, HostPairId, InterfaceId, IpLeaseContainerId, IpLeaseId,
    IpRangeGroupId, IpRangeId, IpRetentionContainerId, LeasePolicyId, MacLeaseId, MacRangeGroupId,
    MacRangeId, NetworkId, NetworkServiceId, RouteId, RouteLinkId, SecurityGroupId, SegmentId, TopologyId,
    TranslationId,
};
use crate::interface::InterfaceMode;
use crate::ip_lease::Phase;
use crate::multimap::{MultiMap, kept_as_it_is};
use crate::object::{Object, ObjectRef};
use crate::relation::{End, RelationId};

kept_as_it_is!(
    (),
    String,
    IpAddr,
    IpNet,
    Dpid,
    NodeId,
    MacAddr,
    End,
    DomainId,
    ObjectRef,
    RelationId,
    BTreeSet<SecurityGroupId>,
    (DatapathId, String),
    (DomainId, DatapathId),
    (DomainId, MacAddr),
    (IpRetentionContainerId, Phase),
    (NetworkId, IpAddr),
    (Timestamp, IpLeaseId),
);

/// Who is found by what.
#[derive(Clone, Default)]
pub(super) struct Index {
    // Straight from the attributes of one object.
    pub(super) datapath_by_node: MultiMap<NodeId, DatapathId>,
    pub(super) datapath_by_dpid: MultiMap<Dpid, DatapathId>,
    pub(super) datapath_by_key: MultiMap<HostKey, DatapathId>,
    pub(super) datapaths_at: MultiMap<IpAddr, DatapathId>,
    pub(super) domain_by_key: MultiMap<DomainKey, DomainId>,
    pub(super) networks_of_segment: MultiMap<SegmentId, NetworkId>,
    pub(super) interface_by_key: MultiMap<InterfaceKey, InterfaceId>,
    pub(super) interfaces_naming_network: MultiMap<NetworkId, InterfaceId>,
    pub(super) interfaces_naming_segment: MultiMap<SegmentId, InterfaceId>,
    pub(super) interfaces_of_port_name: MultiMap<String, InterfaceId>,
    pub(super) interfaces_allowing: MultiMap<IpNet, InterfaceId>,
    pub(super) interfaces_allowing_mac: MultiMap<MacAddr, InterfaceId>,
    pub(super) interfaces_of_datapath_port: MultiMap<DatapathId, InterfaceId>,
    pub(super) mac_leases_of_interface: MultiMap<InterfaceId, MacLeaseId>,
    pub(super) mac_leases_naming_segment: MultiMap<SegmentId, MacLeaseId>,
    pub(super) ip_leases_of_mac_lease: MultiMap<MacLeaseId, IpLeaseId>,
    pub(super) ip_leases_of_interface: MultiMap<InterfaceId, IpLeaseId>,
    pub(super) ip_leases_of_network: MultiMap<NetworkId, IpLeaseId>,
    pub(super) ip_leases_of_address: MultiMap<(NetworkId, IpAddr), IpLeaseId>,
    pub(super) route_link_by_key: MultiMap<RouteLinkKey, RouteLinkId>,
    pub(super) route_by_key: MultiMap<RouteKey, RouteId>,
    pub(super) routes_of_route_link: MultiMap<RouteLinkId, RouteId>,
    pub(super) routes_of_interface: MultiMap<InterfaceId, RouteId>,
    pub(super) routes_of_network: MultiMap<NetworkId, RouteId>,
    pub(super) routes_by_next_hop: MultiMap<(NetworkId, IpAddr), RouteId>,
    pub(super) services_of_interface: MultiMap<InterfaceId, NetworkServiceId>,
    pub(super) dns_services_of_service: MultiMap<NetworkServiceId, DnsServiceId>,
    pub(super) records_of_dns_service: MultiMap<DnsServiceId, DnsRecordId>,
    pub(super) translation_by_key: MultiMap<TranslationKey, TranslationId>,
    pub(super) translations_of_zone: MultiMap<TranslationZone, TranslationId>,
    pub(super) translations_of_interface: MultiMap<InterfaceId, TranslationId>,
    pub(super) translations_of_internal: MultiMap<IpAddr, TranslationId>,
    pub(super) translations_naming_network: MultiMap<NetworkId, TranslationId>,
    pub(super) translations_naming_route_link: MultiMap<RouteLinkId, TranslationId>,
    pub(super) filters_of_interface: MultiMap<InterfaceId, FilterId>,
    pub(super) interfaces_of_security_group: MultiMap<SecurityGroupId, InterfaceId>,
    pub(super) interfaces_of_groups: MultiMap<BTreeSet<SecurityGroupId>, InterfaceId>,
    pub(super) interfaces_of_identity: MultiMap<IdentityKey, InterfaceId>,
    pub(super) security_groups_naming: MultiMap<SecurityGroupId, SecurityGroupId>,
    pub(super) interfaces_claimed_by: MultiMap<DatapathId, InterfaceId>,
    pub(super) interfaces_on: MultiMap<DatapathId, InterfaceId>,
    pub(super) mac_ranges_of_group: MultiMap<MacRangeGroupId, MacRangeId>,
    pub(super) ip_ranges_of_group: MultiMap<IpRangeGroupId, IpRangeId>,
    pub(super) lease_policies_of_network: MultiMap<NetworkId, LeasePolicyId>,
    pub(super) lease_policies_of_ip_range_group: MultiMap<IpRangeGroupId, LeasePolicyId>,
    pub(super) lease_policies_of_ip_lease_container: MultiMap<IpLeaseContainerId, LeasePolicyId>,
    pub(super) lease_policies_of_ip_retention_container: MultiMap<IpRetentionContainerId, LeasePolicyId>,
    pub(super) interfaces_of_lease_policy: MultiMap<LeasePolicyId, InterfaceId>,
    pub(super) ip_leases_of_container: MultiMap<IpLeaseContainerId, IpLeaseId>,
    pub(super) ip_leases_retained: MultiMap<(IpRetentionContainerId, Phase), (Timestamp, IpLeaseId)>,
    pub(super) relations_naming: MultiMap<ObjectRef, RelationId>,
    pub(super) relations_with_mac: MultiMap<MacAddr, RelationId>,
    pub(super) topologies_of: MultiMap<End, TopologyId>,
    pub(super) members_of_topology: MultiMap<TopologyId, End>,
    pub(super) underlays_of_topology: MultiMap<TopologyId, TopologyId>,
    pub(super) host_pairs_of_datapath: MultiMap<DatapathId, HostPairId>,
    pub(super) unsettled_host_pairs: MultiMap<(), HostPairId>,
    // From several objects together: see `Topology::work_out_place`.
    places: OrdMap<InterfaceId, Arc<Place>>,
    pub(super) interfaces_in_domain: MultiMap<DomainId, InterfaceId>,
    pub(super) simulated_in_domain: MultiMap<DomainId, InterfaceId>,
    pub(super) uplinks_of_domain: MultiMap<DomainId, InterfaceId>,
    pub(super) host_interfaces_at: MultiMap<IpAddr, InterfaceId>,
    pub(super) mac_leases_of_address: MultiMap<(DomainId, MacAddr), MacLeaseId>,
    pub(super) domains_on: MultiMap<DatapathId, DomainId>,
    pub(super) hosts_of_domain: MultiMap<DomainId, DatapathId>,
    pub(super) members: MultiMap<(DomainId, DatapathId), InterfaceId>,
}

/// Where an interface stands in the graph.
#[derive(Default, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) addresses: Box<[(MacLeaseId, MacAddr, Option<DomainId>)]>,
    /// Each once, in order: mostly it is one.
    pub(super) domains: Box<[DomainId]>,
    pub(super) host: Option<DatapathId>,
    pub(super) mode: Option<InterfaceMode>,
    /// Of a host interface: its addresses in the underlay.
    pub(super) underlay: BTreeSet<IpAddr>,
}

impl Index {
    /// Adds an object to the indexes over its own attributes, or takes it out of them.
    pub(super) fn note(&mut self, object: &Object, present: bool) {
        macro_rules! note {
            ($map:ident, $key:expr, $value:expr) => {
                if present { self.$map.insert($key, $value) } else { self.$map.remove(&$key, &$value) }
            };
        }
        match object {
            Object::Datapath(of) => {
                note!(datapath_by_node, of.node_id.clone(), of.uuid.clone());
                note!(datapath_by_dpid, of.dpid, of.uuid.clone());
                note!(datapath_by_key, of.key, of.uuid.clone());
                for at in of.addresses() {
                    note!(datapaths_at, at.address, of.uuid.clone());
                }
            }
            Object::Segment(of) => note!(domain_by_key, of.key, DomainId::Segment(of.uuid.clone())),
            Object::Network(of) => {
                note!(domain_by_key, of.key, DomainId::Network(of.uuid.clone()));
                if let Some(segment) = &of.segment_uuid {
                    note!(networks_of_segment, segment.clone(), of.uuid.clone());
                }
            }
            Object::Interface(of) => {
                note!(interface_by_key, of.key, of.uuid.clone());
                if let Some(network) = &of.network_uuid {
                    note!(interfaces_naming_network, network.clone(), of.uuid.clone());
                }
                if let Some(segment) = &of.segment_uuid {
                    note!(interfaces_naming_segment, segment.clone(), of.uuid.clone());
                }
                for group in &of.security_groups {
                    note!(interfaces_of_security_group, group.clone(), of.uuid.clone());
                }
                if let Some(identity) = of.identity {
                    note!(interfaces_of_identity, identity, of.uuid.clone());
                    note!(interfaces_of_groups, of.security_groups.clone(), of.uuid.clone());
                }
                for name in of.ports.iter().filter_map(|port| port.port_name.as_ref()) {
                    note!(interfaces_of_port_name, name.clone(), of.uuid.clone());
                }
                for allowed in &of.allowed_addresses {
                    note!(interfaces_allowing, allowed.prefix, of.uuid.clone());
                    if let Some(mac) = allowed.mac {
                        note!(interfaces_allowing_mac, mac, of.uuid.clone());
                    }
                }
                for policy in of.lease_policies.keys() {
                    note!(interfaces_of_lease_policy, policy.clone(), of.uuid.clone());
                }
                let internal = of.mode == InterfaceMode::Internal;
                for datapath in
                    of.ports.iter().filter(|_| internal).filter_map(|port| port.datapath_uuid.as_ref())
                {
                    note!(interfaces_of_datapath_port, datapath.clone(), of.uuid.clone());
                }
            }
            Object::Filter(of) => note!(filters_of_interface, of.interface_uuid.clone(), of.uuid.clone()),
            Object::SecurityGroup(of) => {
                for named in of.rules.iter().filter_map(|rule| rule.remote_group_uuid.as_ref()) {
                    note!(security_groups_naming, named.clone(), of.uuid.clone());
                }
            }
            Object::MacLease(of) => {
                note!(mac_leases_of_interface, of.interface_uuid.clone(), of.uuid.clone());
                if let Some(segment) = &of.segment_uuid {
                    note!(mac_leases_naming_segment, segment.clone(), of.uuid.clone());
                }
            }
            Object::IpLease(of) => {
                note!(ip_leases_of_network, of.network_uuid.clone(), of.uuid.clone());
                note!(ip_leases_of_address, (of.network_uuid.clone(), of.address.ip()), of.uuid.clone());
                if let Some(holder) = &of.holder {
                    note!(ip_leases_of_mac_lease, holder.mac_lease_uuid.clone(), of.uuid.clone());
                    note!(ip_leases_of_interface, holder.interface_uuid.clone(), of.uuid.clone());
                }
                for container in &of.ip_lease_containers {
                    note!(ip_leases_of_container, container.clone(), of.uuid.clone());
                }
                for (container, retention) in &of.ip_retentions {
                    let (phase, since) = retention.phase();
                    note!(ip_leases_retained, (container.clone(), phase), (since, of.uuid.clone()));
                }
            }
            Object::MacRange(of) => {
                note!(mac_ranges_of_group, of.mac_range_group_uuid.clone(), of.uuid.clone())
            }
            Object::IpRange(of) => note!(ip_ranges_of_group, of.ip_range_group_uuid.clone(), of.uuid.clone()),
            Object::LeasePolicy(of) => {
                for link in &of.networks {
                    note!(lease_policies_of_network, link.network_uuid.clone(), of.uuid.clone());
                    note!(
                        lease_policies_of_ip_range_group,
                        link.ip_range_group_uuid.clone(),
                        of.uuid.clone()
                    );
                }
                for link in &of.ip_lease_containers {
                    let container = link.ip_lease_container_uuid.clone();
                    note!(lease_policies_of_ip_lease_container, container, of.uuid.clone());
                }
                for container in &of.ip_retention_containers {
                    note!(lease_policies_of_ip_retention_container, container.clone(), of.uuid.clone());
                }
            }
            Object::RouteLink(of) => note!(route_link_by_key, of.key, of.uuid.clone()),
            Object::Route(of) => {
                note!(route_by_key, of.key, of.uuid.clone());
                note!(routes_of_route_link, of.route_link_uuid.clone(), of.uuid.clone());
                note!(routes_of_interface, of.interface_uuid.clone(), of.uuid.clone());
                note!(routes_of_network, of.network_uuid.clone(), of.uuid.clone());
                for hop in &of.next_hops {
                    note!(routes_by_next_hop, (of.network_uuid.clone(), *hop), of.uuid.clone());
                }
            }
            Object::NetworkService(of) => {
                note!(services_of_interface, of.interface_uuid.clone(), of.uuid.clone())
            }
            Object::DnsService(of) => {
                note!(dns_services_of_service, of.network_service_uuid.clone(), of.uuid.clone());
            }
            Object::DnsRecord(of) => {
                note!(records_of_dns_service, of.dns_service_uuid.clone(), of.uuid.clone())
            }
            Object::Translation(of) => {
                note!(translation_by_key, of.key, of.uuid.clone());
                note!(translations_of_zone, of.zone, of.uuid.clone());
                note!(translations_of_interface, of.interface_uuid.clone(), of.uuid.clone());
                for internal in
                    of.static_addresses.iter().map(|entry| entry.internal).collect::<BTreeSet<_>>()
                {
                    note!(translations_of_internal, internal, of.uuid.clone());
                }
                for network in of.named_networks() {
                    note!(translations_naming_network, network.clone(), of.uuid.clone());
                }
                for link in of.named_route_links() {
                    note!(translations_naming_route_link, link.clone(), of.uuid.clone());
                }
            }
            Object::Binding(of) => {
                for claim in &of.claims {
                    note!(interfaces_claimed_by, claim.datapath_uuid.clone(), of.interface_uuid.clone());
                }
                if let Some(claim) = of.active() {
                    note!(interfaces_on, claim.datapath_uuid.clone(), of.interface_uuid.clone());
                }
            }
            Object::Relation(of) => {
                for named in of.names() {
                    note!(relations_naming, named.clone(), of.uuid.clone());
                }
                if let Some(mac) = of.mac_address {
                    note!(relations_with_mac, mac, of.uuid.clone());
                }
                if let RelationId { owner: End::Topology(topology), other } = &of.uuid {
                    note!(topologies_of, other.clone(), topology.clone());
                    note!(members_of_topology, topology.clone(), other.clone());
                    if let End::Topology(underlay) = other {
                        note!(underlays_of_topology, topology.clone(), underlay.clone());
                    }
                }
            }
            Object::HostPair(of) => {
                for host in &of.datapath_uuids {
                    note!(host_pairs_of_datapath, host.clone(), of.uuid.clone());
                }
                if !of.is_settled() {
                    note!(unsettled_host_pairs, (), of.uuid.clone());
                }
            }
            Object::MetadataSecret(_)
            | Object::Layer(_)
            | Object::HostToken(_)
            | Object::MacRangeGroup(_)
            | Object::IpRangeGroup(_)
            | Object::IpLeaseContainer(_)
            | Object::IpRetentionContainer(_)
            | Object::Sequences(_) => {}
        }
    }

    /// Where an interface is, if it is anywhere.
    pub(super) fn place(&self, id: &InterfaceId) -> Option<&Arc<Place>> {
        self.places.get(id)
    }

    /// Puts an interface where it is and `was` not.
    pub(super) fn learn(&mut self, id: &InterfaceId, is: &Arc<Place>, was: &Place) {
        if **is == Place::default() {
            self.places.remove(id);
        } else {
            self.places.insert(id.clone(), is.clone());
        }
        for address in is.underlay.difference(&was.underlay) {
            self.host_interfaces_at.insert(*address, id.clone());
        }
        for (lease, mac, domain) in is.addresses.iter().filter(|of| !was.addresses.contains(of)) {
            if let Some(domain) = domain {
                self.mac_leases_of_address.insert((domain.clone(), *mac), lease.clone());
            }
        }
        for domain in &is.domains {
            if !was.is_in(domain) {
                self.interfaces_in_domain.insert(domain.clone(), id.clone());
            }
            if is.is_simulated_in(domain) && !was.is_simulated_in(domain) {
                self.simulated_in_domain.insert(domain.clone(), id.clone());
            }
            if is.is_uplink_of(domain) && !was.is_uplink_of(domain) {
                self.uplinks_of_domain.insert(domain.clone(), id.clone());
            }
            let Some(host) = is.host.as_ref().filter(|host| !was.is_on(domain, host)) else { continue };
            if self.members.first(&(domain.clone(), host.clone())).is_none() {
                self.domains_on.insert(host.clone(), domain.clone());
                self.hosts_of_domain.insert(domain.clone(), host.clone());
            }
            self.members.insert((domain.clone(), host.clone()), id.clone());
        }
    }

    /// Takes an interface away from where it was and `is` not.
    pub(super) fn forget(&mut self, id: &InterfaceId, was: &Place, is: &Place) {
        for address in was.underlay.difference(&is.underlay) {
            self.host_interfaces_at.remove(address, id);
        }
        for (lease, mac, domain) in was.addresses.iter().filter(|of| !is.addresses.contains(of)) {
            if let Some(domain) = domain {
                self.mac_leases_of_address.remove(&(domain.clone(), *mac), lease);
            }
        }
        for domain in &was.domains {
            if !is.is_in(domain) {
                self.interfaces_in_domain.remove(domain, id);
            }
            if was.is_simulated_in(domain) && !is.is_simulated_in(domain) {
                self.simulated_in_domain.remove(domain, id);
            }
            if was.is_uplink_of(domain) && !is.is_uplink_of(domain) {
                self.uplinks_of_domain.remove(domain, id);
            }
            let Some(host) = was.host.as_ref().filter(|host| !is.is_on(domain, host)) else { continue };
            self.members.remove(&(domain.clone(), host.clone()), id);
            if self.members.first(&(domain.clone(), host.clone())).is_none() {
                self.domains_on.remove(host, domain);
                self.hosts_of_domain.remove(domain, host);
            }
        }
    }
}

impl Place {
    /// The domain of one of the MAC leases.
    pub(super) fn domain_of(&self, lease: &MacLeaseId) -> Option<&DomainId> {
        self.addresses.iter().find(|(id, ..)| id == lease)?.2.as_ref()
    }

    fn is_in(&self, domain: &DomainId) -> bool {
        self.domains.contains(domain)
    }

    fn is_simulated_in(&self, domain: &DomainId) -> bool {
        self.mode == Some(InterfaceMode::Simulated) && self.is_in(domain)
    }

    fn is_uplink_of(&self, domain: &DomainId) -> bool {
        self.mode.is_some_and(InterfaceMode::is_uplink) && self.is_in(domain)
    }

    fn is_on(&self, domain: &DomainId, host: &DatapathId) -> bool {
        self.host.as_ref() == Some(host) && self.is_in(domain)
    }
}
