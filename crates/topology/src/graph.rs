//! The topology in memory: all objects, and indexes over how they hang together.
//!
//! # Cheap clones
//! A topology shares its structure with its clones. So a reader keeps the revision it started with, a request is
//! tried on a copy that is dropped when it fails, and a compiler compares before with after.
//!
//! # Parts
//! An agent's topology holds only what its host needs, and changes arrive one by one. References may dangle; an
//! object that is not there answers nothing, and takes its place in the indexes once it comes.

mod index;
mod joined;
mod taken;

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, OnceLock};

use imbl::OrdMap;
use imbl::ordmap::DiffItem;
use ipnet::IpNet;
use jiff::Timestamp;

use self::index::{Index, Place};
use self::joined::Joined;
use self::taken::Taken;
use crate::address::{
    DomainKey, Dpid, HostKey, IdentityKey, InterfaceKey, MacAddr, NodeId, Revision, RouteKey, RouteLinkKey,
    TranslationKey, TranslationZone,
};
use crate::allocation::Span;
use crate::binding::{Binding, Claim};
use crate::datapath::Datapath;
use crate::dns_record::DnsRecord;
use crate::dns_service::DnsService;
use crate::filter::Filter;
use crate::host_pair::HostPair;
use crate::host_token::HostToken;
use crate::id::{
    DatapathId, DnsRecordId, DnsServiceId, FilterId, HostPairId, HostTokenId, InterfaceId,
    IpLeaseContainerId, IpLeaseId, IpRangeGroupId, IpRangeId, IpRetentionContainerId, LeasePolicyId,
    MacLeaseId, MacRangeGroupId, MacRangeId, NetworkId, NetworkServiceId, RouteId, RouteLinkId,
    SecurityGroupId, SegmentId, TopologyId, TranslationId,
};
use crate::interface::{Interface, InterfaceMode};
use crate::ip_lease::{IpLease, Phase};
use crate::ip_lease_container::IpLeaseContainer;
use crate::ip_range::IpRange;
use crate::ip_range_group::IpRangeGroup;
use crate::ip_retention_container::IpRetentionContainer;
use crate::layer::Layer;
use crate::lease_policy::LeasePolicy;
use crate::mac_lease::MacLease;
use crate::mac_range::MacRange;
use crate::mac_range_group::MacRangeGroup;
use crate::metadata_secret::MetadataSecret;
use crate::network::Network;
use crate::network_service::NetworkService;
use crate::object::{Change, Object, ObjectRef};
use crate::relation::{End, Relation, RelationId};
use crate::route::Route;
use crate::route_link::RouteLink;
use crate::security_group::SecurityGroup;
use crate::segment::Segment;
use crate::sequences::Sequences;
use crate::translation::Translation;

/// An L2 domain: a segment, or a network that lies on none.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DomainId {
    /// Addresses are known: only leased ones exist.
    Network(NetworkId),
    /// MAC addresses are known; any address may live behind them.
    Segment(SegmentId),
}

impl std::fmt::Display for DomainId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Network(id) => id.fmt(f),
            Self::Segment(id) => id.fmt(f),
        }
    }
}

/// Objects of one kind by id.
pub type Table<K, V> = OrdMap<K, Arc<V>>;

/// All objects, or those that one host needs.
#[derive(Clone, Default)]
pub struct Topology {
    revision: Revision,
    datapaths: Table<DatapathId, Datapath>,
    segments: Table<SegmentId, Segment>,
    networks: Table<NetworkId, Network>,
    interfaces: Table<InterfaceId, Interface>,
    mac_leases: Table<MacLeaseId, MacLease>,
    ip_leases: Table<IpLeaseId, IpLease>,
    route_links: Table<RouteLinkId, RouteLink>,
    routes: Table<RouteId, Route>,
    network_services: Table<NetworkServiceId, NetworkService>,
    metadata_secrets: Table<NetworkServiceId, MetadataSecret>,
    dns_services: Table<DnsServiceId, DnsService>,
    dns_records: Table<DnsRecordId, DnsRecord>,
    translations: Table<TranslationId, Translation>,
    filters: Table<FilterId, Filter>,
    security_groups: Table<SecurityGroupId, SecurityGroup>,
    mac_range_groups: Table<MacRangeGroupId, MacRangeGroup>,
    mac_ranges: Table<MacRangeId, MacRange>,
    ip_range_groups: Table<IpRangeGroupId, IpRangeGroup>,
    ip_ranges: Table<IpRangeId, IpRange>,
    lease_policies: Table<LeasePolicyId, LeasePolicy>,
    ip_lease_containers: Table<IpLeaseContainerId, IpLeaseContainer>,
    ip_retention_containers: Table<IpRetentionContainerId, IpRetentionContainer>,
    topologies: Table<TopologyId, Layer>,
    relations: Table<RelationId, Relation>,
    bindings: Table<InterfaceId, Binding>,
    host_tokens: Table<HostTokenId, HostToken>,
    host_pairs: Table<HostPairId, HostPair>,
    sequences: Arc<Sequences>,
    index: Index,
    joined: Arc<OnceLock<Joined>>,
    taken: Arc<OnceLock<Taken>>,
}

impl std::fmt::Debug for Topology {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let objects = self.objects().map(|object| object.reference().to_string()).collect::<Vec<_>>();
        f.debug_struct("Topology").field("revision", &self.revision.0).field("objects", &objects).finish()
    }
}

/// Hands every kind of object and the table that holds it to a macro. What is not on this list is neither kept, nor told to
/// hosts, nor compared.
macro_rules! with_kinds {
    ($then:ident) => {
        $then!(
            Datapath in datapaths,
            Segment in segments,
            Network in networks,
            Interface in interfaces,
            MacLease in mac_leases,
            IpLease in ip_leases,
            RouteLink in route_links,
            Route in routes,
            NetworkService in network_services,
            MetadataSecret in metadata_secrets,
            DnsService in dns_services,
            DnsRecord in dns_records,
            Translation in translations,
            Filter in filters,
            SecurityGroup in security_groups,
            MacRangeGroup in mac_range_groups,
            MacRange in mac_ranges,
            IpRangeGroup in ip_range_groups,
            IpRange in ip_ranges,
            LeasePolicy in lease_policies,
            IpLeaseContainer in ip_lease_containers,
            IpRetentionContainer in ip_retention_containers,
            Layer in topologies,
            Relation in relations,
            Binding in bindings,
            HostToken in host_tokens,
            HostPair in host_pairs
        )
    };
}

macro_rules! tables {
    ($($table:ident: $id:ident => $object:ident, $what:literal;)*) => {$(
        #[doc = concat!("All ", $what, ", by id.")]
        pub fn $table(&self) -> &Table<$id, $object> {
            &self.$table
        }
    )*};
}

macro_rules! lists {
    ($($list:ident: $key:ty => $value:ident, $what:literal;)*) => {$(
        #[doc = $what]
        pub fn $list(&self, key: &$key) -> Vec<$value> {
            self.index.$list.collect(key)
        }
    )*};
}

impl Topology {
    /// The revision it is at.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    tables! {
        datapaths: DatapathId => Datapath, "datapaths";
        segments: SegmentId => Segment, "segments";
        networks: NetworkId => Network, "networks";
        interfaces: InterfaceId => Interface, "interfaces";
        mac_leases: MacLeaseId => MacLease, "MAC leases";
        ip_leases: IpLeaseId => IpLease, "IP leases";
        route_links: RouteLinkId => RouteLink, "route links";
        routes: RouteId => Route, "routes";
        network_services: NetworkServiceId => NetworkService, "network services";
        metadata_secrets: NetworkServiceId => MetadataSecret, "metadata secrets, by network service";
        dns_services: DnsServiceId => DnsService, "DNS services";
        dns_records: DnsRecordId => DnsRecord, "DNS records";
        translations: TranslationId => Translation, "translations";
        filters: FilterId => Filter, "filters";
        security_groups: SecurityGroupId => SecurityGroup, "security groups";
        mac_range_groups: MacRangeGroupId => MacRangeGroup, "MAC range groups";
        mac_ranges: MacRangeId => MacRange, "MAC ranges";
        ip_range_groups: IpRangeGroupId => IpRangeGroup, "IP range groups";
        ip_ranges: IpRangeId => IpRange, "IP ranges";
        lease_policies: LeasePolicyId => LeasePolicy, "lease policies";
        ip_lease_containers: IpLeaseContainerId => IpLeaseContainer, "IP lease containers";
        ip_retention_containers: IpRetentionContainerId => IpRetentionContainer, "IP retention containers";
        topologies: TopologyId => Layer, "topologies in the sense of the Web API";
        relations: RelationId => Relation, "relations";
        bindings: InterfaceId => Binding, "bindings, by interface";
        host_tokens: HostTokenId => HostToken, "host tokens";
        host_pairs: HostPairId => HostPair, "pairs of hosts";
    }

    lists! {
        datapaths_at: IpAddr => DatapathId, "The datapaths at an underlay address: one at most, in a valid topology.";
        host_pairs_of_datapath: DatapathId => HostPairId, "The pairs that a host is of.";
        networks_of_segment: SegmentId => NetworkId, "The networks that lie on a segment.";
        interfaces_naming_network: NetworkId => InterfaceId, "The interfaces whose `network_uuid` it is.";
        interfaces_naming_segment: SegmentId => InterfaceId, "The interfaces whose `segment_uuid` it is.";
        interfaces_allowing: IpNet => InterfaceId, "The interfaces with an allowed address of exactly this prefix.";
        interfaces_allowing_mac: MacAddr => InterfaceId, "The interfaces with an allowed address of this MAC address.";
        interfaces_of_datapath_port: DatapathId => InterfaceId, "The interfaces of mode `internal` with a port there.";
        mac_leases_of_interface: InterfaceId => MacLeaseId, "An interface's MAC leases.";
        mac_leases_naming_segment: SegmentId => MacLeaseId, "The MAC leases whose `segment_uuid` it is.";
        ip_leases_of_mac_lease: MacLeaseId => IpLeaseId, "The IP leases behind a MAC lease.";
        ip_leases_of_interface: InterfaceId => IpLeaseId, "An interface's IP leases.";
        ip_leases_of_network: NetworkId => IpLeaseId, "A network's IP leases.";
        routes_of_route_link: RouteLinkId => RouteId, "The routes of a route link.";
        routes_of_interface: InterfaceId => RouteId, "The routes by a leg.";
        routes_of_network: NetworkId => RouteId, "The routes by legs in a network.";
        services_of_interface: InterfaceId => NetworkServiceId, "The services of a simulated interface.";
        dns_services_of_service: NetworkServiceId => DnsServiceId, "A network service's DNS service.";
        records_of_dns_service: DnsServiceId => DnsRecordId, "A DNS service's records.";
        translations_of_interface: InterfaceId => TranslationId, "The translations at a leg.";
        translations_of_internal: IpAddr => TranslationId, "The static translations to an address.";
        translations_naming_network: NetworkId => TranslationId, "The translations that name a network.";
        translations_naming_route_link: RouteLinkId => TranslationId, "The translations that name a route link.";
        filters_of_interface: InterfaceId => FilterId, "An interface's filter: one at most, in a valid topology.";
        interfaces_of_security_group: SecurityGroupId => InterfaceId, "The members of a security group.";
        security_groups_naming: SecurityGroupId => SecurityGroupId, "The security groups whose rules name it.";
        mac_ranges_of_group: MacRangeGroupId => MacRangeId, "The ranges of a MAC range group.";
        ip_ranges_of_group: IpRangeGroupId => IpRangeId, "The ranges of an IP range group.";
        lease_policies_of_network: NetworkId => LeasePolicyId, "The lease policies that give addresses of a network.";
        lease_policies_of_ip_range_group: IpRangeGroupId => LeasePolicyId, "The lease policies that give addresses from a group.";
        lease_policies_of_ip_lease_container: IpLeaseContainerId => LeasePolicyId, "The lease policies whose leases go into a container.";
        lease_policies_of_ip_retention_container: IpRetentionContainerId => LeasePolicyId, "The lease policies whose leases a container keeps.";
        interfaces_of_lease_policy: LeasePolicyId => InterfaceId, "The interfaces of a lease policy.";
        ip_leases_of_container: IpLeaseContainerId => IpLeaseId, "The IP leases in a container.";
        relations_naming: ObjectRef => RelationId, "The relations that an object is an end of, or named in.";
        relations_with_mac: MacAddr => RelationId, "The relations that have been given a MAC address.";
        topologies_of: End => TopologyId, "The topologies that something is in. Those of an underlay lie on it.";
        members_of_topology: TopologyId => End, "What is in a topology.";
        underlays_of_topology: TopologyId => TopologyId, "The underlays that an overlay lies on.";
        interfaces_claimed_by: DatapathId => InterfaceId, "The interfaces that a host claims, also in vain.";
        interfaces_on: DatapathId => InterfaceId, "The interfaces that live on a host.";
        interfaces_in_domain: DomainId => InterfaceId, "The interfaces in an L2 domain.";
        uplinks_of_domain: DomainId => InterfaceId, "The uplinks or edges of an L2 domain.";
        host_interfaces_at: IpAddr => InterfaceId, "The host interfaces with an address in the underlay.";
        simulated_in_domain: DomainId => InterfaceId, "The simulated interfaces in an L2 domain.";
        domains_on: DatapathId => DomainId, "The L2 domains with an interface on a host.";
        hosts_of_domain: DomainId => DatapathId, "The hosts with an interface in an L2 domain.";
        members: (DomainId, DatapathId) => InterfaceId, "A domain's interfaces on one host.";
    }

    /// The pairs of hosts that are not yet as users want them.
    pub fn unsettled_host_pairs(&self) -> impl Iterator<Item = &Arc<HostPair>> {
        self.index.unsettled_host_pairs.iter(&()).filter_map(|id| self.host_pairs.get(&id))
    }

    /// The L2 domains that have an uplink or an edge.
    pub fn domains_with_uplinks(&self) -> impl Iterator<Item = DomainId> {
        self.index.uplinks_of_domain.keys()
    }

    /// The IP leases of an address in a network: one at most, in a valid topology. What a host interface has is its
    /// host's, in the underlay, and nobody's in the network.
    pub fn ip_leases_of_address(&self, network: &NetworkId, address: IpAddr) -> Vec<IpLeaseId> {
        let mut leases = self.all_ip_leases_of_address(network, address);
        leases.retain(|id| {
            let holder = self.ip_leases.get(id).and_then(|lease| lease.holder.as_ref());
            let interface = holder.and_then(|holder| self.interfaces.get(&holder.interface_uuid));
            interface.is_none_or(|interface| !interface.is_host_interface())
        });
        leases
    }

    /// The IP leases of an address in a network, those of host interfaces among them.
    pub(crate) fn all_ip_leases_of_address(&self, network: &NetworkId, address: IpAddr) -> Vec<IpLeaseId> {
        self.index.ip_leases_of_address.collect(&(network.clone(), address))
    }

    /// The IP leases that a container keeps and that are in this phase, those that came to it first before others.
    pub fn ip_leases_retained<'a>(
        &'a self,
        container: &IpRetentionContainerId,
        phase: Phase,
    ) -> impl Iterator<Item = (Timestamp, IpLeaseId)> + use<'a> {
        self.index.ip_leases_retained.iter(&(container.clone(), phase))
    }

    fn taken(&self) -> &Taken {
        self.taken.get_or_init(|| Taken::of(self))
    }

    /// The leased MAC addresses around this one without a gap; none if it is free.
    pub(crate) fn mac_addresses_around(&self, number: u64) -> Option<Span> {
        self.taken().mac_addresses.run(&(), number)
    }

    /// The addresses around this one that no one may have in a network, as they are leased or allowed to others on its
    /// wire; none if it is free.
    pub(crate) fn ipv4_addresses_around(&self, network: &NetworkId, address: Ipv4Addr) -> Option<Span> {
        let domain = self.domain_of_network(network)?;
        let networks = self.networks_of_domain(&domain);
        let leased =
            networks.iter().find_map(|of| self.taken().ipv4_addresses.run(of, address.to_bits().into()));
        leased.or_else(|| self.ipv4_allowed_around(&domain, address))
    }

    /// The MAC leases of an address in a domain: one at most, in a valid topology.
    pub fn mac_leases_of_address(&self, domain: &DomainId, address: MacAddr) -> Vec<MacLeaseId> {
        self.index.mac_leases_of_address.collect(&(domain.clone(), address))
    }

    /// The interfaces with a port of this name.
    pub fn interfaces_of_port_name(&self, name: &str) -> Vec<InterfaceId> {
        self.index.interfaces_of_port_name.collect(&name.to_owned())
    }

    /// The datapath whose agent has this name.
    pub fn datapath_of_node(&self, node: &NodeId) -> Option<&Arc<Datapath>> {
        self.datapaths.get(&self.index.datapath_by_node.first(node)?)
    }

    /// The datapath with this dpid.
    pub fn datapath_of_dpid(&self, dpid: Dpid) -> Option<&Arc<Datapath>> {
        self.datapaths.get(&self.index.datapath_by_dpid.first(&dpid)?)
    }

    /// The datapath a key stands for.
    pub fn datapath_of_key(&self, key: HostKey) -> Option<&Arc<Datapath>> {
        self.datapaths.get(&self.index.datapath_by_key.first(&key)?)
    }

    /// The domain a key stands for.
    pub fn domain_of_key(&self, key: DomainKey) -> Option<DomainId> {
        self.index.domain_by_key.first(&key)
    }

    /// The interface a key stands for.
    pub fn interface_of_key(&self, key: InterfaceKey) -> Option<&Arc<Interface>> {
        self.interfaces.get(&self.index.interface_by_key.first(&key)?)
    }

    /// The route link a key stands for.
    pub fn route_link_of_key(&self, key: RouteLinkKey) -> Option<&Arc<RouteLink>> {
        self.route_links.get(&self.index.route_link_by_key.first(&key)?)
    }

    /// The route a key stands for.
    pub fn route_of_key(&self, key: RouteKey) -> Option<&Arc<Route>> {
        self.routes.get(&self.index.route_by_key.first(&key)?)
    }

    /// The translation a key stands for.
    pub fn translation_of_key(&self, key: TranslationKey) -> Option<&Arc<Translation>> {
        self.translations.get(&self.index.translation_by_key.first(&key)?)
    }

    /// One of the translations that a zone is for.
    pub(crate) fn translation_of_zone(&self, zone: TranslationZone) -> Option<TranslationId> {
        self.index.translations_of_zone.first(&zone)
    }

    /// One of the interfaces whose set of security groups a key stands for.
    pub fn interface_of_identity(&self, key: IdentityKey) -> Option<&Arc<Interface>> {
        self.interfaces.get(&self.index.interfaces_of_identity.first(&key)?)
    }

    /// What stands for a set of security groups, if an interface is in just these.
    pub fn identity_of_groups(&self, groups: &BTreeSet<SecurityGroupId>) -> Option<IdentityKey> {
        self.interfaces.get(&self.index.interfaces_of_groups.first(groups)?)?.identity
    }

    /// The keys of all sets of security groups that interfaces are in, each with its set.
    pub fn identities(&self) -> impl Iterator<Item = (IdentityKey, &BTreeSet<SecurityGroupId>)> {
        let keys = self.index.interfaces_of_identity.keys();
        keys.filter_map(|key| Some((key, &self.interface_of_identity(key)?.security_groups)))
    }

    /// The L2 domains that members of a security group are in.
    pub(crate) fn domains_of_security_group(&self, group: &SecurityGroupId) -> Vec<DomainId> {
        let members = self.index.interfaces_of_security_group.iter(group);
        let domains: BTreeSet<_> = members.flat_map(|member| self.domains_of_interface(&member)).collect();
        domains.into_iter().cloned().collect()
    }

    /// The routes with an address as next hop.
    pub fn routes_by_next_hop(&self, network: &NetworkId, hop: IpAddr) -> Vec<RouteId> {
        self.index.routes_by_next_hop.collect(&(network.clone(), hop))
    }

    /// The keys given last.
    pub fn sequences(&self) -> Sequences {
        *self.sequences
    }

    /// Whether an interface is in a domain.
    pub fn is_in_domain(&self, interface: &InterfaceId, domain: &DomainId) -> bool {
        self.domains_of_interface(interface).contains(domain)
    }

    /// Whether a host has an interface in a domain.
    pub fn is_domain_on(&self, domain: &DomainId, datapath: &DatapathId) -> bool {
        self.index.hosts_of_domain.contains(domain, datapath)
    }

    /// Whether the same L2 domains are on a host as in another topology.
    pub(crate) fn agrees_on_host(&self, other: &Self, datapath: &DatapathId) -> bool {
        self.index.domains_on.agrees(&other.index.domains_on, datapath)
    }

    /// The domains that routers join to one, itself among them; none if no router has a leg in it.
    pub(crate) fn joined_with(&self, domain: &DomainId) -> &[DomainId] {
        self.joined.get_or_init(|| Joined::of(self)).group(domain)
    }

    /// Whether no router joins or parts domains between this topology and a relative of it.
    pub(crate) fn agrees_on_routers(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.joined, &other.joined)
    }

    /// The claim that says where an interface lives.
    pub fn active_claim(&self, interface: &InterfaceId) -> Option<&Claim> {
        self.bindings.get(interface)?.active()
    }

    /// The host an interface is on: of a simulated one its owner, if it has one, since others are on every host.
    pub fn host_of_interface(&self, id: &InterfaceId) -> Option<&DatapathId> {
        self.index.place(id)?.host.as_ref()
    }

    /// The L2 domains an interface is in.
    pub fn domains_of_interface(&self, id: &InterfaceId) -> &[DomainId] {
        self.index.place(id).map_or(&[], |place| &place.domains)
    }

    /// An interface's MAC leases that are in a domain, each with its address and the domain.
    pub fn attachments_of_interface(
        &self,
        id: &InterfaceId,
    ) -> impl Iterator<Item = (&MacLeaseId, MacAddr, &DomainId)> {
        let addresses = self.index.place(id).map_or(&[][..], |place| &place.addresses);
        addresses.iter().filter_map(|(lease, mac, domain)| Some((lease, *mac, domain.as_ref()?)))
    }

    /// The networks of an L2 domain.
    pub fn networks_of_domain(&self, domain: &DomainId) -> Vec<NetworkId> {
        match domain {
            DomainId::Network(id) => vec![id.clone()],
            DomainId::Segment(id) => self.networks_of_segment(id),
        }
    }

    /// The L2 domain of a network.
    pub fn domain_of_network(&self, network: &NetworkId) -> Option<DomainId> {
        let network = self.networks.get(network)?;
        let own = || DomainId::Network(network.uuid.clone());
        Some(network.segment_uuid.clone().map_or_else(own, DomainId::Segment))
    }

    /// What stands for a domain on the wire.
    pub fn key_of_domain(&self, domain: &DomainId) -> Option<DomainKey> {
        match domain {
            DomainId::Network(id) => self.networks.get(id).map(|network| network.key),
            DomainId::Segment(id) => self.segments.get(id).map(|segment| segment.key),
        }
    }

    /// The L2 domain of a MAC lease: its segment, else its IP leases' network, else its interface's. That of a host interface
    /// is in none: it is its host's, in the underlay.
    pub fn domain_of_mac_lease(&self, lease: &MacLease) -> Option<&DomainId> {
        self.index.place(&lease.interface_uuid)?.domain_of(&lease.uuid)
    }

    fn work_out_domain(&self, lease: &MacLease) -> Option<DomainId> {
        if self.interfaces.get(&lease.interface_uuid).is_some_and(|interface| interface.is_host_interface()) {
            return None;
        }
        if let Some(segment) = &lease.segment_uuid {
            return Some(DomainId::Segment(segment.clone()));
        }
        let networks = self.index.ip_leases_of_mac_lease.iter(&lease.uuid);
        let network =
            networks.filter_map(|id| self.ip_leases.get(&id)).map(|lease| &lease.network_uuid).next();
        match network {
            Some(network) => self.domain_of_network(network),
            None => self.domain_named_by(self.interfaces.get(&lease.interface_uuid)?),
        }
    }

    fn domain_named_by(&self, interface: &Interface) -> Option<DomainId> {
        let segment = || interface.segment_uuid.clone().map(DomainId::Segment);
        interface.network_uuid.as_ref().and_then(|network| self.domain_of_network(network)).or_else(segment)
    }

    /// The object with this reference.
    pub fn get(&self, reference: &ObjectRef) -> Option<Object> {
        macro_rules! get {
            ($($kind:ident in $table:ident),*) => {
                match reference {
                    $(ObjectRef::$kind(id) => self.$table.get(id).cloned().map(Object::$kind),)*
                    ObjectRef::Sequences => Some(Object::Sequences(self.sequences.clone())),
                }
            };
        }
        with_kinds!(get)
    }

    /// Every object, sequences first.
    pub fn objects(&self) -> impl Iterator<Item = Object> {
        macro_rules! all {
            ($($kind:ident in $table:ident),*) => {
                std::iter::once(Object::Sequences(self.sequences.clone()))
                    $(.chain(self.$table.values().cloned().map(Object::$kind)))*
            };
        }
        with_kinds!(all)
    }

    /// How many objects there are of each kind, under the name of their collection.
    pub fn sizes(&self) -> Vec<(&'static str, usize)> {
        macro_rules! sizes {
            ($($kind:ident in $table:ident),*) => { vec![$((stringify!($table), self.$table.len())),*] };
        }
        with_kinds!(sizes)
    }

    /// What turns `before` into this topology. Costs as much as they differ, if one was made from the other.
    pub fn changes_since(&self, before: &Self) -> Vec<Change> {
        let mut changes = Vec::new();
        macro_rules! compare {
            ($($kind:ident in $table:ident),*) => {$(
                for item in before.$table.diff(&self.$table) {
                    changes.push(match item {
                        DiffItem::Add(_, new) | DiffItem::Update { new: (_, new), .. } => {
                            Change::Put(Object::$kind(new.clone()))
                        }
                        DiffItem::Remove(id, _) => Change::Delete(ObjectRef::$kind(id.clone())),
                    });
                }
            )*};
        }
        with_kinds!(compare);
        if before.sequences != self.sequences {
            changes.push(Change::Put(Object::Sequences(self.sequences.clone())));
        }
        changes
    }

    /// The interfaces whose binding is another than in `before`. Costs as much as the two differ.
    pub fn bound_since(&self, before: &Self) -> Vec<InterfaceId> {
        let interface = |item| match item {
            DiffItem::Add(id, _) | DiffItem::Update { new: (id, _), .. } | DiffItem::Remove(id, _) => id,
        };
        before.bindings.diff(&self.bindings).map(interface).cloned().collect()
    }

    /// The interface that an object is, or is part of.
    pub fn interface_of<'a>(&'a self, object: &'a ObjectRef) -> Option<&'a InterfaceId> {
        match object {
            ObjectRef::Interface(id) | ObjectRef::Binding(id) => Some(id),
            ObjectRef::MacLease(id) => self.mac_leases.get(id).map(|lease| &lease.interface_uuid),
            ObjectRef::IpLease(id) => self.ip_leases.get(id)?.holder.as_ref().map(|of| &of.interface_uuid),
            _ => None,
        }
    }

    /// Applies the changes of one commit, and gives back the interfaces whose place in the graph may have changed.
    pub fn commit(&mut self, revision: Revision, changes: &[Change]) -> BTreeSet<InterfaceId> {
        self.revision = revision;
        self.apply(changes)
    }

    /// The same at another revision.
    pub(crate) fn at(self, revision: Revision) -> Self {
        Self { revision, ..self }
    }

    /// Applies changes, and gives back the interfaces whose place in the graph may have changed.
    pub(crate) fn apply(&mut self, changes: &[Change]) -> BTreeSet<InterfaceId> {
        let mut touched = BTreeSet::new();
        changes.iter().for_each(|change| self.touch(change, &mut touched));
        changes.iter().for_each(|change| self.set(change));
        let place = |interface| {
            let was = self.index.place(interface).cloned().unwrap_or_default();
            (interface, was, Arc::new(self.work_out_place(interface)))
        };
        let moved: Vec<_> = touched.iter().map(place).filter(|(_, was, is)| was != is).collect();
        // All leave before any comes: a MAC lease that goes from one to another is the same in both places.
        moved.iter().for_each(|(interface, was, is)| self.index.forget(interface, was, is));
        moved.iter().for_each(|(interface, was, is)| self.index.learn(interface, is, was));
        touched
    }

    /// Adds the interfaces whose place hangs on an object, as it is before the change and as it is after it.
    fn touch(&self, change: &Change, touched: &mut BTreeSet<InterfaceId>) {
        let (old, new) = (self.get(&change.reference()), change.object());
        for object in old.iter().chain(new) {
            touched.extend([owner(object), self.mac_holder(object)].into_iter().flatten().cloned());
        }
        touched.extend(self.housed_by(old.as_ref(), new));
    }

    /// The interface whose MAC lease an IP lease is behind. In the middle of a commit the MAC lease may have moved
    /// already, and the IP lease still names the interface it was with.
    fn mac_holder(&self, object: &Object) -> Option<&InterfaceId> {
        let Object::IpLease(of) = object else { return None };
        let mac_lease = self.mac_leases.get(&of.holder.as_ref()?.mac_lease_uuid)?;
        Some(&mac_lease.interface_uuid)
    }

    /// Whether a change may join or part domains: a route does, and a network with routes that goes to another domain.
    fn joins(&self, old: Option<&Object>, new: Option<&Object>) -> bool {
        let ends = |object: Option<&Object>| match object {
            Some(Object::Route(route)) => Some((route.route_link_uuid.clone(), route.network_uuid.clone())),
            _ => None,
        };
        match new.or(old) {
            Some(Object::Network(network)) => {
                segment_of(old) != segment_of(new)
                    && self.index.routes_of_network.first(&network.uuid).is_some()
            }
            _ => ends(old) != ends(new),
        }
    }

    /// The interfaces in a network whose domain changes.
    fn housed_by(&self, old: Option<&Object>, new: Option<&Object>) -> Vec<InterfaceId> {
        let Some(Object::Network(network)) = new.or(old) else { return Vec::new() };
        if segment_of(old) == segment_of(new) {
            return Vec::new();
        }
        let leases = self.index.ip_leases_of_network.iter(&network.uuid);
        let holders = leases.filter_map(|id| self.ip_leases.get(&id)?.holder.as_ref());
        let holders = holders.map(|holder| holder.interface_uuid.clone());
        holders.chain(self.index.interfaces_naming_network.collect(&network.uuid)).collect()
    }

    /// Applies a change to the objects, and to the indexes over their own attributes.
    fn set(&mut self, change: &Change) {
        let (old, new) = (self.replace(change), change.object());
        if self.joins(old.as_ref(), new) {
            self.joined = Arc::default();
        }
        for (object, present) in old.iter().map(|old| (old, false)).chain(new.map(|new| (new, true))) {
            self.index.note(object, present);
            if Taken::is_about(object)
                && let Some(taken) = Arc::make_mut(&mut self.taken).get_mut()
            {
                taken.note(&self.index, object, present);
            }
        }
    }

    /// Applies a change to the objects alone, and gives back what was there.
    fn replace(&mut self, change: &Change) -> Option<Object> {
        macro_rules! replace {
            ($($kind:ident in $table:ident),*) => {
                match (change.reference(), change.object()) {
                    $((ObjectRef::$kind(id), Some(Object::$kind(object))) => {
                        self.$table.insert(id, object.clone()).map(Object::$kind)
                    }
                    (ObjectRef::$kind(id), _) => self.$table.remove(&id).map(Object::$kind),)*
                    (ObjectRef::Sequences, Some(Object::Sequences(sequences))) => {
                        Some(Object::Sequences(std::mem::replace(&mut self.sequences, sequences.clone())))
                    }
                    (ObjectRef::Sequences, _) => Some(Object::Sequences(std::mem::take(&mut self.sequences))),
                }
            };
        }
        with_kinds!(replace)
    }

    /// Works out an interface's place from all objects that have a say.
    fn work_out_place(&self, id: &InterfaceId) -> Place {
        let leases =
            self.index.mac_leases_of_interface.iter(id).filter_map(|lease| self.mac_leases.get(&lease));
        let addresses: Box<[_]> = leases
            .map(|lease| (lease.uuid.clone(), lease.mac_address, self.work_out_domain(lease)))
            .collect();
        let interface = self.interfaces.get(id);
        let is_host_interface = interface.is_some_and(|interface| interface.is_host_interface());
        let is_named = addresses.is_empty() || is_host_interface;
        let named = interface.filter(|_| is_named).and_then(|interface| self.domain_named_by(interface));
        let mut domains: Vec<_> =
            addresses.iter().filter_map(|(_, _, domain)| domain.clone()).chain(named).collect();
        domains.sort_unstable();
        domains.dedup();
        let leases = is_host_interface.then(|| self.index.ip_leases_of_interface.iter(id));
        let leases = leases.into_iter().flatten().filter_map(|lease| self.ip_leases.get(&lease));
        let underlay = leases.map(|lease| lease.address.ip()).collect();
        let host = match interface.filter(|of| of.mode == InterfaceMode::Simulated) {
            Some(simulated) => simulated.owner(),
            None => self.active_claim(id).map(|claim| &claim.datapath_uuid),
        };
        let domains = domains.into_boxed_slice();
        Place { addresses, domains, host: host.cloned(), mode: interface.map(|of| of.mode), underlay }
    }
}

/// The segment of a network, if the object is one.
fn segment_of(object: Option<&Object>) -> Option<Option<&SegmentId>> {
    match object {
        Some(Object::Network(network)) => Some(network.segment_uuid.as_ref()),
        _ => None,
    }
}

/// The interface that an object is part of.
fn owner(object: &Object) -> Option<&InterfaceId> {
    match object {
        Object::Interface(of) => Some(&of.uuid),
        Object::MacLease(of) => Some(&of.interface_uuid),
        Object::IpLease(of) => of.holder.as_ref().map(|holder| &holder.interface_uuid),
        Object::Binding(of) => Some(&of.interface_uuid),
        _ => None,
    }
}
