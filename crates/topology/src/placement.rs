//! Placement: which hosts carry an L2 domain, and by which of their underlay addresses.
//!
//! # Without records
//! Every host carries everything, by the address that it prefers. Nobody needs to say a word.
//!
//! # By which address
//! A user may say by which of its host interfaces a host carries a network or a segment (`datapaths/…/networks`). If nobody
//! does, topologies may: a member of an underlay is carried by the underlay's hosts, and a member of an overlay by those of its
//! underlays, each by the host interface by which the host is in the underlay. The address is a lease of that interface:
//! the one that is named, while the interface holds it, else the first. None of this is kept, so whatever changes is followed.
//!
//! # By whom
//! A host carries what a user says it does, and what no topology has. What topologies have, it carries if one of them has the
//! host. So a topology without hosts keeps its members from everybody.
//!
//! A segment and the networks on it are one domain: who carries one of them carries all.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use crate::graph::{DomainId, Topology};
use crate::id::{DatapathId, InterfaceId, IpLeaseId, TopologyId};
use crate::object::ObjectRef;
use crate::relation::{End, Relation, RelationId};

/// How a host carries something: by which host interface, and who says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// The record that names the host interface.
    pub by: Arc<Relation>,
    /// The topology from which it follows, if no user has said it of the host itself.
    pub topology: Option<TopologyId>,
}

impl Topology {
    /// The underlay address by which a host takes part in a domain, if a record says so. If none does, the host chooses.
    pub fn address(&self, datapath: &DatapathId, domain: &DomainId) -> Option<IpAddr> {
        let items = self.items_of_domain(domain);
        let said = items.iter().filter_map(|item| self.placed(datapath, item));
        let derived = items.iter().flat_map(|item| self.placed_by_topologies(datapath, item));
        said.chain(derived).find_map(|placed| self.address_of(datapath, &placed.by))
    }

    /// Whether a host carries a domain: it does unless a topology has the domain, and leaves the host out.
    pub fn carries(&self, datapath: &DatapathId, domain: &DomainId) -> bool {
        self.left_out_by(datapath, domain).is_none()
    }

    /// A topology that has a domain and leaves a host out, if the host does not carry the domain.
    pub fn left_out_by(&self, datapath: &DatapathId, domain: &DomainId) -> Option<TopologyId> {
        if self.relations().is_empty() {
            return None;
        }
        let items = self.items_of_domain(domain);
        let is_said = |item: &End| self.placed(datapath, item).is_some();
        let topologies: Vec<_> = items.iter().flat_map(|item| self.topologies_of(item)).collect();
        let has_host = |topology: &TopologyId| self.membership(datapath, topology).is_some();
        if topologies.iter().any(has_host) || items.iter().any(is_said) {
            return None;
        }
        topologies.into_iter().next()
    }

    /// What users say of how a host carries something.
    pub fn placed(&self, datapath: &DatapathId, item: &End) -> Option<Placed> {
        let by = self.relations().get(&RelationId::new(datapath.clone(), item.clone()))?.clone();
        Some(Placed { by, topology: None })
    }

    /// What follows from topologies of how a host carries something, by topology.
    pub fn placed_by_topologies(&self, datapath: &DatapathId, item: &End) -> Vec<Placed> {
        let topologies = self.topologies_of(item).into_iter();
        let placed = |topology: TopologyId| {
            let by = self.membership(datapath, &topology)?.clone();
            Some(Placed { by, topology: Some(topology) })
        };
        topologies.filter_map(placed).collect()
    }

    /// All that users or topologies say a host carries.
    pub fn placed_on(&self, datapath: &DatapathId) -> BTreeSet<End> {
        let host = End::from(datapath.clone());
        let records = self.relations_naming(&datapath.clone().into()).into_iter();
        let said = records.filter(|record| record.owner == host).map(|record| record.other);
        let underlays = self.topologies_of(&host);
        let overlays = underlays.iter().flat_map(|underlay| self.topologies_of(&underlay.clone().into()));
        let topologies: BTreeSet<_> = overlays.chain(underlays.iter().cloned()).collect();
        let members = topologies.iter().flat_map(|topology| self.members_of_topology(topology));
        let carried = |end: &End| matches!(end, End::Network(_) | End::Segment(_) | End::RouteLink(_));
        said.chain(members.filter(carried)).collect()
    }

    /// The address that a record leads to, while its host interface is the host's.
    pub fn address_of(&self, datapath: &DatapathId, record: &Relation) -> Option<IpAddr> {
        let lease = self.lease_of(datapath, record)?;
        Some(self.ip_leases().get(&lease)?.address.ip())
    }

    /// The lease that a record leads to, while its host interface is the host's.
    pub fn lease_of(&self, datapath: &DatapathId, record: &Relation) -> Option<IpLeaseId> {
        let interface = self.interfaces().get(record.interface_uuid.as_ref()?)?;
        if !interface.is_host_interface() || interface.owner() != Some(datapath) {
            return None;
        }
        let leases = self.ip_leases_of_interface(&interface.uuid);
        match &record.ip_lease_uuid {
            Some(named) if leases.contains(named) => Some(named.clone()),
            _ => leases.into_iter().min_by_key(|id| {
                let made = self.ip_leases().get(id).map(|lease| lease.meta.created_at);
                (made, id.clone())
            }),
        }
    }

    /// The record of a host's being in a topology, or in an underlay of it.
    fn membership(&self, datapath: &DatapathId, topology: &TopologyId) -> Option<&Arc<Relation>> {
        let of = |topology: TopologyId| self.relations().get(&RelationId::new(topology, datapath.clone()));
        of(topology.clone()).or_else(|| self.underlays_of_topology(topology).into_iter().find_map(of))
    }

    /// What a domain is made of: a segment and the networks on it, or a network by itself.
    fn items_of_domain(&self, domain: &DomainId) -> Vec<End> {
        let segment = match domain {
            DomainId::Segment(segment) => Some(End::Segment(segment.clone())),
            DomainId::Network(_) => None,
        };
        segment.into_iter().chain(self.networks_of_domain(domain).into_iter().map(End::Network)).collect()
    }

    /// The domain of an end, if it is one's.
    fn domain_of_end(&self, end: &End) -> Option<DomainId> {
        match end {
            End::Segment(segment) => Some(DomainId::Segment(segment.clone())),
            End::Network(network) => self.domain_of_network(network),
            _ => None,
        }
    }

    /// The domains that a record has a say about: of whom carries them, and by which address.
    pub fn domains_placed_by(&self, record: &ObjectRef) -> BTreeSet<DomainId> {
        match record {
            ObjectRef::Relation(RelationId { owner: End::Datapath(_), other }) => {
                self.domain_of_end(other).into_iter().collect()
            }
            ObjectRef::Relation(RelationId { owner: End::Topology(topology), other }) => match other {
                End::Network(_) | End::Segment(_) => self.domain_of_end(other).into_iter().collect(),
                End::Topology(_) => self.domains_of_layer(topology),
                End::Datapath(_) => self.domains_on_layer(topology),
                _ => BTreeSet::new(),
            },
            _ => self.placing(record).map_or_else(BTreeSet::new, |id| self.domains_by_interface(id)),
        }
    }

    /// The hosts whose underlay addresses a record, a host interface or its lease has a say about.
    pub fn hosts_placed_by(&self, record: &ObjectRef) -> BTreeSet<DatapathId> {
        if let ObjectRef::Relation(RelationId { owner, other }) = record {
            let ends = [owner, other].into_iter();
            return ends
                .filter_map(|end| if let End::Datapath(host) = end { Some(host.clone()) } else { None })
                .collect();
        }
        let interface = self.placing(record).and_then(|id| self.interfaces().get(id));
        let interface = interface.filter(|interface| interface.is_host_interface());
        interface.and_then(|interface| interface.owner().cloned()).into_iter().collect()
    }

    /// The interface that has underlay addresses by this object, if it is a host interface.
    fn placing<'a>(&'a self, object: &'a ObjectRef) -> Option<&'a InterfaceId> {
        let has_say = matches!(object, ObjectRef::Interface(_) | ObjectRef::IpLease(_));
        self.interface_of(object).filter(|_| has_say)
    }

    /// The domains that a host interface may carry.
    fn domains_by_interface(&self, interface: &InterfaceId) -> BTreeSet<DomainId> {
        let records = self.relations_naming(&interface.clone().into()).into_iter();
        // An interface's own associations say nothing of placement.
        let records = records.filter(|record| !matches!(record.owner, End::Interface(_)));
        records.flat_map(|record| self.domains_placed_by(&record.into())).collect()
    }

    /// The domains in a topology.
    fn domains_of_layer(&self, topology: &TopologyId) -> BTreeSet<DomainId> {
        let members = self.members_of_topology(topology);
        members.iter().filter_map(|member| self.domain_of_end(member)).collect()
    }

    /// The domains in a topology and in those that lie on it.
    fn domains_on_layer(&self, topology: &TopologyId) -> BTreeSet<DomainId> {
        let overlays = self.topologies_of(&topology.clone().into());
        let layers = overlays.iter().chain([topology]);
        layers.flat_map(|layer| self.domains_of_layer(layer)).collect()
    }

    /// The records that have a say about a domain, with the host interfaces that they name and the leases of these.
    pub(crate) fn records_of_domain(&self, domain: &DomainId, found: &mut BTreeSet<ObjectRef>) {
        for item in self.items_of_domain(domain) {
            for record in self.relations_naming(&item.clone().into()) {
                self.records_behind(&record, found);
            }
        }
    }

    /// A record, and what it says something by: of what is in a topology, the topology's hosts.
    pub(crate) fn records_behind(&self, record: &RelationId, found: &mut BTreeSet<ObjectRef>) {
        if matches!(record.owner, End::Interface(_)) || !found.insert(record.clone().into()) {
            return;
        }
        let named = self.relations().get(record).and_then(|of| of.interface_uuid.as_ref());
        if let Some(interface) = named {
            found.insert(interface.clone().into());
            found.extend(self.ip_leases_of_interface(interface).into_iter().map(ObjectRef::from));
        }
        match record {
            RelationId { owner: End::Topology(topology), other: End::Network(_) | End::Segment(_) } => {
                let hosts_and_underlays = self.members_of_topology(topology).into_iter();
                let wanted = |end: &End| matches!(end, End::Datapath(_) | End::Topology(_));
                for member in hosts_and_underlays.filter(wanted) {
                    self.records_behind(&RelationId::new(topology.clone(), member), found);
                }
            }
            RelationId { owner: End::Topology(_), other: End::Topology(underlay) } => {
                for member in self.members_of_topology(underlay) {
                    if let End::Datapath(_) = member {
                        self.records_behind(&RelationId::new(underlay.clone(), member), found);
                    }
                }
            }
            _ => {}
        }
    }
}
