//! Requests: what users ask for, carried out on an [`Edit`].
//!
//! The Web API, its batches and declarative topologies all end here, so they agree on rules, defaults and errors.

use serde::{Deserialize, Serialize};

use crate::address::Revision;
use crate::attributes::Attributes;
use crate::datapath::Datapath;
use crate::dns_record::DnsRecord;
use crate::dns_service::DnsService;
use crate::edit::Edit;
use crate::error::{Error, ErrorKind};
use crate::filter::Filter;
use crate::host_pair::HostPair;
use crate::id::Id;
use crate::interface::Interface;
use crate::ip_lease::IpLease;
use crate::ip_lease_container::IpLeaseContainer;
use crate::ip_range::IpRange;
use crate::ip_range_group::IpRangeGroup;
use crate::ip_retention_container::IpRetentionContainer;
use crate::layer::Layer;
use crate::lease_policy::LeasePolicy;
use crate::mac_lease::MacLease;
use crate::mac_range::MacRange;
use crate::mac_range_group::MacRangeGroup;
use crate::meta::Meta;
use crate::network::Network;
use crate::network_service::NetworkService;
use crate::object::{Object, ObjectRef};
use crate::relation::Relation;
use crate::route::Route;
use crate::route_link::RouteLink;
use crate::security_group::SecurityGroup;
use crate::segment::Segment;
use crate::translation::Translation;

/// The collections of resources that users make, change and delete.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Collection {
    /// Switches of hypervisor hosts.
    Datapaths,
    /// L3 networks.
    Networks,
    /// L2 segments.
    Segments,
    /// Virtual NICs.
    Interfaces,
    /// MAC addresses of interfaces.
    MacLeases,
    /// IP addresses of interfaces.
    IpLeases,
    /// Virtual routers.
    RouteLinks,
    /// What virtual routers reach, and how.
    Routes,
    /// What simulated interfaces answer.
    NetworkServices,
    /// What DNS servers do besides telling the names of interfaces.
    DnsServices,
    /// Names that DNS servers tell.
    DnsRecords,
    /// What addresses are translated to.
    Translations,
    /// Which packets an interface may send and receive.
    Filters,
    /// Who may talk to whom.
    SecurityGroups,
    /// Where MAC addresses come from that nobody names.
    MacRangeGroups,
    /// The addresses of MAC range groups.
    MacRanges,
    /// Which addresses of networks are given to those who name none.
    IpRangeGroups,
    /// The addresses of IP range groups.
    IpRanges,
    /// Who is given which addresses.
    LeasePolicies,
    /// IP leases that belong together.
    IpLeaseContainers,
    /// How long IP leases are kept.
    IpRetentionContainers,
    /// What is in the underlay, and in overlays.
    Topologies,
}

impl Collection {
    /// Every collection, in an order in which objects can be made: what is referred to comes first.
    pub const ALL: [Self; 22] = [
        Self::Topologies,
        Self::Datapaths,
        Self::Segments,
        Self::Networks,
        Self::MacRangeGroups,
        Self::MacRanges,
        Self::IpRangeGroups,
        Self::IpRanges,
        Self::IpLeaseContainers,
        Self::IpRetentionContainers,
        Self::LeasePolicies,
        Self::SecurityGroups,
        Self::Interfaces,
        Self::MacLeases,
        Self::IpLeases,
        Self::RouteLinks,
        Self::Routes,
        Self::NetworkServices,
        Self::DnsServices,
        Self::DnsRecords,
        Self::Translations,
        Self::Filters,
    ];

    /// Its name in paths.
    pub fn name(self) -> &'static str {
        match self {
            Self::Datapaths => "datapaths",
            Self::Networks => "networks",
            Self::Segments => "segments",
            Self::Interfaces => "interfaces",
            Self::MacLeases => "mac_leases",
            Self::IpLeases => "ip_leases",
            Self::RouteLinks => "route_links",
            Self::Routes => "routes",
            Self::NetworkServices => "network_services",
            Self::DnsServices => "dns_services",
            Self::DnsRecords => "dns_records",
            Self::Translations => "translations",
            Self::Filters => "filters",
            Self::SecurityGroups => "security_groups",
            Self::MacRangeGroups => "mac_range_groups",
            Self::MacRanges => "mac_ranges",
            Self::IpRangeGroups => "ip_range_groups",
            Self::IpRanges => "ip_ranges",
            Self::LeasePolicies => "lease_policies",
            Self::IpLeaseContainers => "ip_lease_containers",
            Self::IpRetentionContainers => "ip_retention_containers",
            Self::Topologies => "topologies",
        }
    }

    /// Names the object of this collection with the id `text`.
    ///
    /// # Errors
    /// The text is no id of the kind.
    pub fn reference(self, text: &str) -> Result<ObjectRef, Error> {
        fn parse<T: Id + Into<ObjectRef>>(text: &str) -> Result<ObjectRef, Error> {
            text.parse::<T>().map(Into::into).map_err(|cause| Error::invalid_uuid("uuid", &cause))
        }
        match self {
            Self::Datapaths => parse::<crate::id::DatapathId>(text),
            Self::Networks => parse::<crate::id::NetworkId>(text),
            Self::Segments => parse::<crate::id::SegmentId>(text),
            Self::Interfaces => parse::<crate::id::InterfaceId>(text),
            Self::MacLeases => parse::<crate::id::MacLeaseId>(text),
            Self::IpLeases => parse::<crate::id::IpLeaseId>(text),
            Self::RouteLinks => parse::<crate::id::RouteLinkId>(text),
            Self::Routes => parse::<crate::id::RouteId>(text),
            Self::NetworkServices => parse::<crate::id::NetworkServiceId>(text),
            Self::DnsServices => parse::<crate::id::DnsServiceId>(text),
            Self::DnsRecords => parse::<crate::id::DnsRecordId>(text),
            Self::Translations => parse::<crate::id::TranslationId>(text),
            Self::Filters => parse::<crate::id::FilterId>(text),
            Self::SecurityGroups => parse::<crate::id::SecurityGroupId>(text),
            Self::MacRangeGroups => parse::<crate::id::MacRangeGroupId>(text),
            Self::MacRanges => parse::<crate::id::MacRangeId>(text),
            Self::IpRangeGroups => parse::<crate::id::IpRangeGroupId>(text),
            Self::IpRanges => parse::<crate::id::IpRangeId>(text),
            Self::LeasePolicies => parse::<crate::id::LeasePolicyId>(text),
            Self::IpLeaseContainers => parse::<crate::id::IpLeaseContainerId>(text),
            Self::IpRetentionContainers => parse::<crate::id::IpRetentionContainerId>(text),
            Self::Topologies => parse::<crate::id::TopologyId>(text),
        }
    }
}

/// What to do with one resource.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, utoipa::ToSchema)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Make it.
    Create {
        /// Of which collection.
        resource: Collection,
        /// Its attributes, `uuid` among them if wished.
        #[serde(default)]
        #[schema(value_type = Object)]
        attributes: Attributes,
    },
    /// Change the attributes given.
    Update {
        /// Of which collection.
        resource: Collection,
        /// Which one.
        uuid: String,
        /// The attributes that change.
        #[serde(default)]
        #[schema(value_type = Object)]
        attributes: Attributes,
        /// Only if it was last changed at this revision.
        #[serde(default)]
        if_match: Option<Revision>,
    },
    /// Delete it, with what depends on it.
    Delete {
        /// Of which collection.
        resource: Collection,
        /// Which one.
        uuid: String,
        /// Only if it was last changed at this revision.
        #[serde(default)]
        if_match: Option<Revision>,
    },
    /// Do something to it that is none of the above.
    Act {
        /// What.
        action: Action,
        /// To which one.
        uuid: String,
        /// With what.
        #[serde(default)]
        #[schema(value_type = Object)]
        attributes: Attributes,
        /// Only if it was last changed at this revision.
        #[serde(default)]
        if_match: Option<Revision>,
    },
}

/// What can be done to a resource besides changing attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Give an interface a port.
    AddPort,
    /// Take ports from an interface.
    RemovePorts,
    /// Attach a released IP lease.
    AttachIpLease,
    /// Release an IP lease.
    ReleaseIpLease,
    /// Add an entry to a translation.
    AddStaticAddress,
    /// Take entries from a translation.
    RemoveStaticAddresses,
    /// Give a filter a rule.
    AddFilterRule,
    /// Take a rule from a filter.
    RemoveFilterRule,
    /// Give a security group a rule.
    AddGroupRule,
    /// Take a rule from a security group.
    RemoveGroupRule,
    /// Have a lease policy give addresses of a network.
    AddPolicyNetwork,
    /// Have a lease policy give no more addresses of a network.
    RemovePolicyNetwork,
    /// Have a lease policy give an interface an address.
    AddPolicyInterface,
    /// Take an interface from a lease policy; it keeps its addresses.
    RemovePolicyInterface,
    /// Have the leases of a lease policy go into a container.
    AddPolicyIpLeaseContainer,
    /// Have the leases of a lease policy go into a container no more.
    RemovePolicyIpLeaseContainer,
    /// Have the leases of a lease policy kept by a container.
    AddPolicyIpRetentionContainer,
    /// Have the leases of a lease policy kept by a container no more.
    RemovePolicyIpRetentionContainer,
    /// Have a lease policy make an IP lease that nobody holds.
    AllocateIpLease,
    /// Say by which host interface a host carries a network, a segment or a route link.
    AddPlacement,
    /// Say no more by which host interface a host carries something.
    RemovePlacement,
    /// Take something into a topology.
    AddMember,
    /// Take something from a topology.
    RemoveMember,
    /// Have an association of an interface stay, or no more.
    SetStatic,
    /// Have two hosts wrap what they send each other in one way.
    AddDatapathPeer,
    /// Have two hosts wrap what they send each other as each does.
    RemoveDatapathPeer,
}

impl Request {
    /// Carries it out on `edit`, and names the object it was about.
    ///
    /// # Errors
    /// The edit is then to be dropped: it may hold half of the request.
    pub fn execute(self, edit: &mut Edit) -> Result<ObjectRef, Error> {
        let done = Self::execute_all([self], edit).map_err(|(_, error)| error)?;
        Ok(done.into_iter().next().expect("a request is about an object"))
    }

    /// Carries out several, each on what those before it have made, and names the objects they were about. Whether
    /// addresses and ports are taken is judged by what all of them lead to.
    ///
    /// # Errors
    /// The number of the request at fault, counted from zero, and what is wrong. The edit is then to be dropped.
    pub fn execute_all(
        requests: impl IntoIterator<Item = Self>,
        edit: &mut Edit,
    ) -> Result<Vec<ObjectRef>, (usize, Error)> {
        let mut done = Vec::new();
        for (step, request) in requests.into_iter().enumerate() {
            edit.begin(step);
            done.push(request.carry_out(edit).map_err(|error| (step, error))?);
        }
        edit.check()?;
        Ok(done)
    }

    fn carry_out(self, edit: &mut Edit) -> Result<ObjectRef, Error> {
        match self {
            Self::Create { resource, attributes } => create(edit, resource, attributes),
            Self::Update { resource, uuid, attributes, if_match } => {
                let reference = resource.reference(&uuid)?;
                guard(edit, &reference, if_match)?;
                update(edit, &reference, attributes).map(|()| reference)
            }
            Self::Delete { resource, uuid, if_match } => {
                let reference = resource.reference(&uuid)?;
                guard(edit, &reference, if_match)?;
                delete(edit, &reference).map(|()| reference)
            }
            Self::Act { action, uuid, attributes, if_match } => {
                act(edit, action, &uuid, attributes, if_match)
            }
        }
    }
}

fn create(edit: &mut Edit, resource: Collection, attributes: Attributes) -> Result<ObjectRef, Error> {
    Ok(match resource {
        Collection::Datapaths => Datapath::create(edit, attributes)?.into(),
        Collection::Networks => Network::create(edit, attributes)?.into(),
        Collection::Segments => Segment::create(edit, attributes)?.into(),
        Collection::Interfaces => Interface::create(edit, attributes)?.into(),
        Collection::MacLeases => MacLease::create(edit, attributes)?.into(),
        Collection::IpLeases => IpLease::create(edit, attributes)?.into(),
        Collection::RouteLinks => RouteLink::create(edit, attributes)?.into(),
        Collection::Routes => Route::create(edit, attributes)?.into(),
        Collection::NetworkServices => NetworkService::create(edit, attributes)?.into(),
        Collection::DnsServices => DnsService::create(edit, attributes)?.into(),
        Collection::DnsRecords => DnsRecord::create(edit, attributes)?.into(),
        Collection::Translations => Translation::create(edit, attributes)?.into(),
        Collection::Filters => Filter::create(edit, attributes)?.into(),
        Collection::SecurityGroups => SecurityGroup::create(edit, attributes)?.into(),
        Collection::MacRangeGroups => MacRangeGroup::create(edit, attributes)?.into(),
        Collection::MacRanges => MacRange::create(edit, attributes)?.into(),
        Collection::IpRangeGroups => IpRangeGroup::create(edit, attributes)?.into(),
        Collection::IpRanges => IpRange::create(edit, attributes)?.into(),
        Collection::LeasePolicies => LeasePolicy::create(edit, attributes)?.into(),
        Collection::IpLeaseContainers => IpLeaseContainer::create(edit, attributes)?.into(),
        Collection::IpRetentionContainers => IpRetentionContainer::create(edit, attributes)?.into(),
        Collection::Topologies => Layer::create(edit, attributes)?.into(),
    })
}

fn update(edit: &mut Edit, reference: &ObjectRef, mut attributes: Attributes) -> Result<(), Error> {
    // Repeating the id is harmless; changing it is another object.
    if let Some(given) = attributes.remove("uuid")
        && reference.to_string().split_once('/').map(|(_, id)| id) != given.as_str()
    {
        return Err(Error::unfit("uuid", "cannot change"));
    }
    match reference {
        ObjectRef::Datapath(id) => Datapath::update(edit, id, attributes),
        ObjectRef::Network(id) => Network::update(edit, id, attributes),
        ObjectRef::Segment(id) => Segment::update(edit, id, attributes),
        ObjectRef::Interface(id) => Interface::update(edit, id, attributes),
        ObjectRef::MacLease(id) => MacLease::update(edit, id, attributes),
        ObjectRef::IpLease(id) => IpLease::update(edit, id, attributes),
        ObjectRef::RouteLink(id) => RouteLink::update(edit, id, attributes),
        ObjectRef::Route(id) => Route::update(edit, id, attributes),
        ObjectRef::NetworkService(id) => NetworkService::update(edit, id, attributes),
        ObjectRef::DnsService(id) => DnsService::update(edit, id, attributes),
        ObjectRef::DnsRecord(id) => DnsRecord::update(edit, id, attributes),
        ObjectRef::Translation(id) => Translation::update(edit, id, attributes),
        ObjectRef::Filter(id) => Filter::update(edit, id, attributes),
        ObjectRef::SecurityGroup(id) => SecurityGroup::update(edit, id, attributes),
        ObjectRef::MacRangeGroup(id) => MacRangeGroup::update(edit, id, attributes),
        ObjectRef::MacRange(id) => MacRange::update(edit, id, attributes),
        ObjectRef::IpRangeGroup(id) => IpRangeGroup::update(edit, id, attributes),
        ObjectRef::IpRange(id) => IpRange::update(edit, id, attributes),
        ObjectRef::LeasePolicy(id) => LeasePolicy::update(edit, id, attributes),
        ObjectRef::IpLeaseContainer(id) => IpLeaseContainer::update(edit, id, attributes),
        ObjectRef::IpRetentionContainer(id) => IpRetentionContainer::update(edit, id, attributes),
        ObjectRef::Layer(id) => Layer::update(edit, id, attributes),
        other => Err(Error::unknown("uuid", other)),
    }
}

fn delete(edit: &mut Edit, reference: &ObjectRef) -> Result<(), Error> {
    match reference {
        ObjectRef::Datapath(id) => Datapath::delete(edit, id),
        ObjectRef::Network(id) => Network::delete(edit, id),
        ObjectRef::Segment(id) => Segment::delete(edit, id),
        ObjectRef::Interface(id) => Interface::delete(edit, id),
        ObjectRef::MacLease(id) => MacLease::delete(edit, id),
        ObjectRef::IpLease(id) => IpLease::delete(edit, id),
        ObjectRef::RouteLink(id) => RouteLink::delete(edit, id),
        ObjectRef::Route(id) => Route::delete(edit, id),
        ObjectRef::NetworkService(id) => NetworkService::delete(edit, id),
        ObjectRef::DnsService(id) => DnsService::delete(edit, id),
        ObjectRef::DnsRecord(id) => DnsRecord::delete(edit, id),
        ObjectRef::Translation(id) => Translation::delete(edit, id),
        ObjectRef::Filter(id) => Filter::delete(edit, id),
        ObjectRef::SecurityGroup(id) => SecurityGroup::delete(edit, id),
        ObjectRef::MacRangeGroup(id) => MacRangeGroup::delete(edit, id),
        ObjectRef::MacRange(id) => MacRange::delete(edit, id),
        ObjectRef::IpRangeGroup(id) => IpRangeGroup::delete(edit, id),
        ObjectRef::IpRange(id) => IpRange::delete(edit, id),
        ObjectRef::LeasePolicy(id) => LeasePolicy::delete(edit, id),
        ObjectRef::IpLeaseContainer(id) => IpLeaseContainer::delete(edit, id),
        ObjectRef::IpRetentionContainer(id) => IpRetentionContainer::delete(edit, id),
        ObjectRef::Layer(id) => Layer::delete(edit, id),
        other => Err(Error::unknown("uuid", other)),
    }
}

fn act(
    edit: &mut Edit,
    action: Action,
    uuid: &str,
    attributes: Attributes,
    if_match: Option<Revision>,
) -> Result<ObjectRef, Error> {
    let collection = match action {
        Action::AddPort | Action::RemovePorts | Action::SetStatic => Collection::Interfaces,
        Action::AddPlacement | Action::RemovePlacement => Collection::Datapaths,
        Action::AddMember | Action::RemoveMember => Collection::Topologies,
        Action::AttachIpLease | Action::ReleaseIpLease => Collection::IpLeases,
        Action::AddStaticAddress | Action::RemoveStaticAddresses => Collection::Translations,
        Action::AddFilterRule | Action::RemoveFilterRule => Collection::Filters,
        Action::AddGroupRule | Action::RemoveGroupRule => Collection::SecurityGroups,
        Action::AddPolicyNetwork
        | Action::RemovePolicyNetwork
        | Action::AddPolicyInterface
        | Action::RemovePolicyInterface
        | Action::AddPolicyIpLeaseContainer
        | Action::RemovePolicyIpLeaseContainer
        | Action::AddPolicyIpRetentionContainer
        | Action::RemovePolicyIpRetentionContainer
        | Action::AllocateIpLease => Collection::LeasePolicies,
        Action::AddDatapathPeer | Action::RemoveDatapathPeer => Collection::Datapaths,
    };
    let reference = collection.reference(uuid)?;
    guard(edit, &reference, if_match)?;
    match (action, &reference) {
        (Action::AddPort, ObjectRef::Interface(id)) => Interface::add_port(edit, id, attributes)?,
        (Action::RemovePorts, ObjectRef::Interface(id)) => {
            Interface::remove_ports(edit, id, attributes).map(drop)?
        }
        (Action::AttachIpLease, ObjectRef::IpLease(id)) => IpLease::attach(edit, id, attributes)?,
        (Action::ReleaseIpLease, ObjectRef::IpLease(id)) => IpLease::release(edit, id, attributes)?,
        (Action::AddStaticAddress, ObjectRef::Translation(id)) => Translation::add(edit, id, attributes)?,
        (Action::RemoveStaticAddresses, ObjectRef::Translation(id)) => {
            Translation::remove(edit, id, attributes).map(drop)?
        }
        (Action::AddFilterRule, ObjectRef::Filter(id)) => Filter::add_rule(edit, id, attributes)?,
        (Action::RemoveFilterRule, ObjectRef::Filter(id)) => Filter::remove_rule(edit, id, attributes)?,
        (Action::AddGroupRule, ObjectRef::SecurityGroup(id)) => {
            SecurityGroup::add_rule(edit, id, attributes)?
        }
        (Action::RemoveGroupRule, ObjectRef::SecurityGroup(id)) => {
            SecurityGroup::remove_rule(edit, id, attributes)?
        }
        (Action::AddPolicyNetwork, ObjectRef::LeasePolicy(id)) => {
            LeasePolicy::add_network(edit, id, attributes)?
        }
        (Action::RemovePolicyNetwork, ObjectRef::LeasePolicy(id)) => {
            LeasePolicy::remove_network(edit, id, attributes)?
        }
        (Action::AddPolicyInterface, ObjectRef::LeasePolicy(id)) => {
            LeasePolicy::add_interface(edit, id, attributes)?
        }
        (Action::RemovePolicyInterface, ObjectRef::LeasePolicy(id)) => {
            LeasePolicy::remove_interface(edit, id, attributes)?
        }
        (Action::AddPolicyIpLeaseContainer, ObjectRef::LeasePolicy(id)) => {
            LeasePolicy::add_ip_lease_container(edit, id, attributes)?
        }
        (Action::RemovePolicyIpLeaseContainer, ObjectRef::LeasePolicy(id)) => {
            LeasePolicy::remove_ip_lease_container(edit, id, attributes)?
        }
        (Action::AddPolicyIpRetentionContainer, ObjectRef::LeasePolicy(id)) => {
            LeasePolicy::add_ip_retention_container(edit, id, attributes)?
        }
        (Action::RemovePolicyIpRetentionContainer, ObjectRef::LeasePolicy(id)) => {
            LeasePolicy::remove_ip_retention_container(edit, id, attributes)?
        }
        (Action::AddPlacement, ObjectRef::Datapath(id)) => Relation::place(edit, id, attributes)?,
        (Action::RemovePlacement, ObjectRef::Datapath(id)) => Relation::remove(edit, id.clone(), attributes)?,
        (Action::AddMember, ObjectRef::Layer(id)) => Relation::join(edit, id, attributes)?,
        (Action::RemoveMember, ObjectRef::Layer(id)) => Relation::remove(edit, id.clone(), attributes)?,
        (Action::SetStatic, ObjectRef::Interface(id)) => Relation::associate(edit, id, attributes)?,
        (Action::AllocateIpLease, ObjectRef::LeasePolicy(id)) => {
            return LeasePolicy::allocate_ip_lease(edit, id, attributes).map(ObjectRef::from);
        }
        (Action::AddDatapathPeer, ObjectRef::Datapath(id)) => HostPair::add(edit, id, attributes)?,
        (Action::RemoveDatapathPeer, ObjectRef::Datapath(id)) => HostPair::remove(edit, id, attributes)?,
        _ => unreachable!("the collection is the action's"),
    }
    Ok(reference)
}

/// Refuses what is not there, and what has changed since the user looked.
fn guard(edit: &Edit, reference: &ObjectRef, if_match: Option<Revision>) -> Result<(), Error> {
    let id = || reference.to_string().split_once('/').map_or_else(String::new, |(_, id)| id.to_owned());
    let object = edit.topology().get(reference).ok_or_else(|| Error::unknown("uuid", id()))?;
    let revision = object.meta().map(|meta| meta.revision);
    match if_match {
        Some(expected) if revision != Some(expected) => {
            let found = revision.map_or_else(String::new, |revision| revision.to_string());
            let message = format!("{} is at revision {found}, not {expected}: read it again", id());
            Err(Error { kind: ErrorKind::PreconditionFailed, field: Some("If-Match".to_owned()), message })
        }
        _ => Ok(()),
    }
}

impl Object {
    /// Ownership, labels, times and revision, of kinds that have them.
    pub fn meta(&self) -> Option<&Meta> {
        match self {
            Self::Datapath(of) => Some(&of.meta),
            Self::Segment(of) => Some(&of.meta),
            Self::Network(of) => Some(&of.meta),
            Self::Interface(of) => Some(&of.meta),
            Self::MacLease(of) => Some(&of.meta),
            Self::IpLease(of) => Some(&of.meta),
            Self::RouteLink(of) => Some(&of.meta),
            Self::Route(of) => Some(&of.meta),
            Self::NetworkService(of) => Some(&of.meta),
            Self::MetadataSecret(of) => Some(&of.meta),
            Self::DnsService(of) => Some(&of.meta),
            Self::DnsRecord(of) => Some(&of.meta),
            Self::Translation(of) => Some(&of.meta),
            Self::Filter(of) => Some(&of.meta),
            Self::SecurityGroup(of) => Some(&of.meta),
            Self::MacRangeGroup(of) => Some(&of.meta),
            Self::MacRange(of) => Some(&of.meta),
            Self::IpRangeGroup(of) => Some(&of.meta),
            Self::IpRange(of) => Some(&of.meta),
            Self::LeasePolicy(of) => Some(&of.meta),
            Self::IpLeaseContainer(of) => Some(&of.meta),
            Self::IpRetentionContainer(of) => Some(&of.meta),
            Self::Layer(of) => Some(&of.meta),
            Self::Relation(of) => Some(&of.meta),
            Self::Binding(of) => Some(&of.meta),
            Self::HostToken(of) => Some(&of.meta),
            Self::HostPair(of) => Some(&of.meta),
            Self::Sequences(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::graph::Topology;

    fn commit(topology: &mut Topology, requests: Value) -> Result<(), (usize, Error)> {
        let requests: Vec<Request> = serde_json::from_value(requests).expect("well-formed requests");
        let mut edit = Edit::new(topology, jiff::Timestamp::UNIX_EPOCH, 1);
        Request::execute_all(requests, &mut edit)?;
        topology.commit(topology.revision().next(), &edit.into_changes());
        Ok(())
    }

    fn two_interfaces() -> Topology {
        let interface = |n: u8| {
            json!({"op": "create", "resource": "interfaces", "attributes": {
                "uuid": format!("if-{n}"), "network_uuid": "nw-a", "port_name": format!("tap{n}"),
                "mac_address": format!("02:00:00:00:00:0{n}"), "ipv4_address": format!("10.0.0.{n}")}})
        };
        let network = json!({"op": "create", "resource": "networks",
            "attributes": {"uuid": "nw-a", "ipv4_network": "10.0.0.0"}});
        let mut topology = Topology::default();
        commit(&mut topology, json!([network, interface(1), interface(2)])).expect("valid requests");
        topology
    }

    fn change(interface: &str, attributes: Value) -> Value {
        json!({"op": "update", "resource": "interfaces", "uuid": interface, "attributes": attributes})
    }

    #[test]
    fn interfaces_exchange_addresses_and_ports_in_one_batch() {
        for (one, other) in [
            (json!({"ipv4_address": "10.0.0.2"}), json!({"ipv4_address": "10.0.0.1"})),
            (json!({"mac_address": "02:00:00:00:00:02"}), json!({"mac_address": "02:00:00:00:00:01"})),
            (json!({"port_name": "tap2"}), json!({"port_name": "tap1"})),
        ] {
            let requests = json!([change("if-1", one), change("if-2", other)]);
            assert_eq!(commit(&mut two_interfaces(), requests), Ok(()));
        }
    }

    #[test]
    fn what_is_taken_in_the_end_is_refused_and_names_the_request() {
        for taken in [
            json!({"ipv4_address": "10.0.0.1"}),
            json!({"mac_address": "02:00:00:00:00:01"}),
            json!({"port_name": "tap1"}),
        ] {
            let requests =
                json!([change("if-1", json!({"display_name": "first"})), change("if-2", taken.clone())]);
            let (step, error) = commit(&mut two_interfaces(), requests).expect_err("taken");
            let field = taken.as_object().and_then(|taken| taken.keys().next()).cloned();
            assert_eq!((step, error.kind, error.field), (1, ErrorKind::Duplicate, field));
        }
    }
}
