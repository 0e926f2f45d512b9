//! Relations: that one object has to do with another, said by users and by nothing else.
//!
//! | owner | others | what it means |
//! | --- | --- | --- |
//! | datapath | networks, segments, route links | by which of its host interfaces the host carries it: [`crate::placement`] |
//! | topology | datapaths, networks, segments, route links, MAC range groups, underlays | what is in it: [`crate::layer`] |
//! | interface | networks, segments, route links | kept as said: see [`Interface`] |
//!
//! A relation is known by its two ends, and there is one between two objects. It goes with any object that it names, whoever
//! deletes that.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::address::MacAddr;
use crate::attributes::{Attributes, read};
use crate::edit::Edit;
use crate::error::{Error, ErrorKind};
use crate::graph::{DomainId, Topology};
use crate::id::{
    DatapathId, InterfaceId, IpLeaseId, MacRangeGroupId, NetworkId, RouteLinkId, SegmentId, TopologyId,
};
use crate::interface::{Interface, InterfaceMode};
use crate::layer::Layer;
use crate::mac_range_group::MacRangeGroup;
use crate::meta::{Meta, MetaSpec};
use crate::object::ObjectRef;
use crate::text;

/// How often an address is made up before one that nobody has is given up: with a million relations, one try in seventy million
/// meets one of theirs.
const MAC_TRIES: usize = 8;

macro_rules! ends {
    // A `tt`: what is matched as a `literal` is not seen by derives (utoipa reads the name).
    ($($kind:ident($id:ident), $field:tt;)*) => {
        /// An object that a relation joins to another.
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, utoipa::ToSchema)]
        pub enum End {$(
            #[doc = concat!("Named by `", $field, "`.")]
            #[serde(rename = $field)]
            $kind($id),
        )*}

        impl End {
            /// The attribute that names it.
            pub fn field(&self) -> &'static str {
                match self {
                    $(Self::$kind(_) => $field,)*
                }
            }

            /// The object with this id, of whatever kind the id is.
            fn parse(text: &str) -> Option<Self> {
                None$(.or_else(|| text.parse().ok().map(Self::$kind)))*
            }

            /// The object that an attribute names, if it is one of these.
            fn named(edit: &Edit, field: &str, text: &str) -> Option<Result<Self, Error>> {
                match field {
                    $($field => Some(edit.reference::<$id>(field, text).map(Self::$kind)),)*
                    _ => None,
                }
            }
        }

        impl fmt::Display for End {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$kind(id) => id.fmt(f),)*
                }
            }
        }

        $(impl From<$id> for End {
            fn from(id: $id) -> Self {
                Self::$kind(id)
            }
        })*

        impl From<End> for ObjectRef {
            fn from(end: End) -> Self {
                match end {
                    $(End::$kind(id) => id.into(),)*
                }
            }
        }
    };
}
ends! {
    Datapath(DatapathId), "datapath_uuid";
    Network(NetworkId), "network_uuid";
    Segment(SegmentId), "segment_uuid";
    RouteLink(RouteLinkId), "route_link_uuid";
    Interface(InterfaceId), "interface_uuid";
    MacRangeGroup(MacRangeGroupId), "mac_range_group_uuid";
    Topology(TopologyId), "underlay_uuid";
}

/// Names a relation, by its two ends. As text: the owner's id, a slash and the other's.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RelationId {
    /// Under whose path it is.
    pub owner: End,
    /// What it joins the owner to.
    pub other: End,
}

impl RelationId {
    /// Names the relation between two objects.
    pub fn new(owner: impl Into<End>, other: impl Into<End>) -> Self {
        Self { owner: owner.into(), other: other.into() }
    }
}

/// A text that names no relation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a relation is named by two ids with a slash between them")]
pub struct InvalidRelation;

impl fmt::Display for RelationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.owner, self.other)
    }
}

impl FromStr for RelationId {
    type Err = InvalidRelation;

    fn from_str(text: &str) -> Result<Self, InvalidRelation> {
        let (owner, other) = text.split_once('/').ok_or(InvalidRelation)?;
        let end = |text| End::parse(text).ok_or(InvalidRelation);
        Ok(Self { owner: end(owner)?, other: end(other)? })
    }
}

impl Serialize for RelationId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RelationId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text::parsed(deserializer)
    }
}

/// A relation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relation {
    /// Its ends.
    pub uuid: RelationId,
    /// Times and revision.
    #[serde(flatten)]
    pub meta: Meta,
    /// Of a datapath and what it carries, or is in: by which of its host interfaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface_uuid: Option<InterfaceId>,
    /// Of a topology and a datapath: the lease of the host interface that counts, if not the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip_lease_uuid: Option<IpLeaseId>,
    /// Of a datapath and what it carries. Kept as given or made up: tunnels need none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac_address: Option<MacAddr>,
}

/// A relation of a datapath, as users give it.
#[derive(Clone, Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PlacementSpec {
    /// The host interface that carries it, one of the datapath's. Required when adding.
    interface_uuid: Option<String>,
    /// Kept as given; made up if absent, out of the MAC range groups of a topology that the datapath is in, if there are any.
    mac_address: Option<MacAddr>,
}

/// A member of a topology, as users give it.
#[derive(Clone, Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MemberSpec {
    /// Of a datapath: the host interface by which it is in the underlay. Required when adding a datapath.
    interface_uuid: Option<String>,
    /// Of a datapath: the lease of the host interface that counts; the first if absent.
    ip_lease_uuid: Option<String>,
}

/// A static association of an interface, as users give it.
#[derive(Clone, Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AssociationSpec {
    /// It stays, whether or not leases and routes say so. Nothing changes if absent.
    #[serde(rename = "static")]
    is_static: Option<bool>,
}

/// What datapaths carry and interfaces are associated with.
const CARRIED: [&str; 3] = ["network_uuid", "segment_uuid", "route_link_uuid"];

/// What is in topologies.
const MEMBERS: [&str; 6] = [
    "network_uuid",
    "segment_uuid",
    "route_link_uuid",
    "datapath_uuid",
    "mac_range_group_uuid",
    "underlay_uuid",
];

impl Relation {
    /// Has a host carry something by one of its host interfaces.
    pub(crate) fn place(edit: &mut Edit, owner: &DatapathId, mut given: Attributes) -> Result<(), Error> {
        let uuid = named(edit, owner.clone(), &mut given, &CARRIED)?;
        let spec: PlacementSpec = read(given)?;
        let interface = host_interface(edit, owner, spec.interface_uuid)?;
        let mac = match spec.mac_address {
            Some(mac) if !mac.is_unicast() => {
                return Err(Error::unfit("mac_address", format!("{mac} is no one host's address")));
            }
            Some(mac) => mac,
            None => mac_address(edit, owner)?,
        };
        let bare = Self::bare(edit, uuid)?;
        bare.add(edit, |new| Self { interface_uuid: Some(interface), mac_address: Some(mac), ..new })
    }

    /// Takes something into a topology.
    pub(crate) fn join(edit: &mut Edit, owner: &TopologyId, mut given: Attributes) -> Result<(), Error> {
        let uuid = named(edit, owner.clone(), &mut given, &MEMBERS)?;
        Layer::admit(edit, owner, &uuid.other)?;
        let spec: MemberSpec = read(given)?;
        let End::Datapath(datapath) = &uuid.other else {
            let given = [("interface_uuid", spec.interface_uuid), ("ip_lease_uuid", spec.ip_lease_uuid)];
            let lost = given.into_iter().find(|(_, given)| given.is_some());
            return match lost {
                Some((field, _)) => Err(Error::unfit(field, "is of datapaths")),
                None => Self::bare(edit, uuid)?.add(edit, |new| new),
            };
        };
        let interface = host_interface(edit, datapath, spec.interface_uuid)?;
        let lease = spec.ip_lease_uuid.map(|id| lease_of(edit, &interface, &id)).transpose()?;
        let bare = Self::bare(edit, uuid)?;
        bare.add(edit, |new| Self { interface_uuid: Some(interface), ip_lease_uuid: lease, ..new })
    }

    /// Takes something into a topology as it is made.
    pub(crate) fn join_new(
        edit: &mut Edit,
        topology: Option<String>,
        member: impl Into<End>,
    ) -> Result<(), Error> {
        let Some(topology) = topology else { return Ok(()) };
        let topology: TopologyId = edit.reference("topology_uuid", &topology)?;
        let member = member.into();
        Layer::admit(edit, &topology, &member)?;
        Self::bare(edit, RelationId::new(topology, member))?.add(edit, |new| new)
    }

    /// Refuses to take something into a topology by changing it.
    pub(crate) fn is_not_new(topology: Option<&String>) -> Result<(), Error> {
        let reason = "is said when making it: later, add it to the topology";
        topology.map_or(Ok(()), |_| Err(Error::unfit("topology_uuid", reason)))
    }

    /// Takes away a relation of a datapath or a topology.
    pub(crate) fn remove(edit: &mut Edit, owner: impl Into<End>, mut given: Attributes) -> Result<(), Error> {
        let uuid = named(edit, owner, &mut given, &MEMBERS)?;
        read::<Nothing>(given)?;
        if !edit.topology().relations().contains_key(&uuid) {
            let message = format!("{} has no {}", uuid.owner, uuid.other);
            return Err(Error::new(ErrorKind::UnknownUuid, uuid.other.field(), message));
        }
        edit.delete(uuid);
        Ok(())
    }

    /// Has an association of an interface stay, or no more.
    pub(crate) fn associate(
        edit: &mut Edit,
        owner: &InterfaceId,
        mut given: Attributes,
    ) -> Result<(), Error> {
        let uuid = named(edit, owner.clone(), &mut given, &CARRIED)?;
        let there = edit.topology().relations().contains_key(&uuid);
        match read::<AssociationSpec>(given)?.is_static {
            Some(true) if !there => Self::bare(edit, uuid)?.add(edit, |new| new),
            Some(false) if there => {
                edit.delete(uuid);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// One that says nothing but that it is there.
    fn bare(edit: &Edit, uuid: RelationId) -> Result<Self, Error> {
        let meta = edit.new_meta(MetaSpec::default())?;
        Ok(Self { uuid, meta, interface_uuid: None, ip_lease_uuid: None, mac_address: None })
    }

    fn add(self, edit: &mut Edit, say: impl FnOnce(Self) -> Self) -> Result<(), Error> {
        if edit.topology().relations().contains_key(&self.uuid) {
            let RelationId { owner, other } = &self.uuid;
            return Err(Error::duplicate(other.field(), format!("{owner} has {other} already")));
        }
        edit.put(say(self));
        Ok(())
    }

    /// The objects that it names: it goes with each of them.
    pub(crate) fn names(&self) -> impl Iterator<Item = ObjectRef> {
        let ends = [self.uuid.owner.clone().into(), self.uuid.other.clone().into()];
        let interface = self.interface_uuid.clone().map(ObjectRef::from);
        ends.into_iter().chain(interface).chain(self.ip_lease_uuid.clone().map(ObjectRef::from))
    }
}

/// What takes no attributes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// The relation of an owner with the one object that is named by these attributes, which are taken from those given.
fn named(
    edit: &Edit,
    owner: impl Into<End>,
    given: &mut Attributes,
    fields: &[&'static str],
) -> Result<RelationId, Error> {
    let mut found = None;
    for field in fields {
        let Some(text) = given.remove(*field) else { continue };
        let text = text.as_str().ok_or_else(|| Error::argument(*field, "must be a text"))?;
        let end = End::named(edit, field, text).expect("an end is named by each of these")?;
        if found.replace(end).is_some() {
            return Err(Error::unfit(*field, "a relation is with one object"));
        }
    }
    let other = found.ok_or_else(|| Error::missing(fields.first().expect("relations are with something")))?;
    Ok(RelationId::new(owner, other))
}

/// A host interface of a datapath, as a user names it.
fn host_interface(edit: &Edit, datapath: &DatapathId, given: Option<String>) -> Result<InterfaceId, Error> {
    const FIELD: &str = "interface_uuid";
    let given = given.ok_or_else(|| Error::missing(FIELD))?;
    let id: InterfaceId = edit.reference(FIELD, &given)?;
    let interface = edit.interface(&id)?;
    if !interface.is_host_interface() {
        return Err(Error::unfit(
            FIELD,
            format!("{id} is no host interface: its mode is neither host nor patch"),
        ));
    }
    if interface.owner() != Some(datapath) {
        return Err(Error::unfit(FIELD, format!("{id} is not of {datapath}")));
    }
    Ok(id)
}

fn lease_of(edit: &Edit, interface: &InterfaceId, given: &str) -> Result<IpLeaseId, Error> {
    let id: IpLeaseId = edit.reference("ip_lease_uuid", given)?;
    let lease = edit.ip_lease(&id)?;
    match &lease.holder {
        Some(holder) if holder.interface_uuid == *interface => Ok(id),
        _ => Err(Error::unfit("ip_lease_uuid", format!("{id} is not held by {interface}"))),
    }
}

/// An address out of the MAC range groups of a topology that a datapath is in, or a made-up one if there are none.
fn mac_address(edit: &mut Edit, datapath: &DatapathId) -> Result<MacAddr, Error> {
    let topologies = edit.topology().topologies_of(&datapath.clone().into());
    let members = topologies.into_iter().flat_map(|of| edit.topology().members_of_topology(&of));
    let groups = members.filter_map(|member| match member {
        End::MacRangeGroup(group) => Some(group),
        _ => None,
    });
    let groups: Vec<_> = groups.collect();
    let mut exhausted = None;
    for group in groups {
        match MacRangeGroup::allocate(edit, &group) {
            Ok(mac) => return Ok(mac),
            Err(error) => exhausted = Some(error),
        }
    }
    exhausted.map_or_else(|| made_up(edit), Err)
}

/// A locally administered address (IEEE 802, section 8.2.2) that nobody has.
fn made_up(edit: &mut Edit) -> Result<MacAddr, Error> {
    let mut dice = edit.dice();
    let mut tries = (0..MAC_TRIES).map(|_| {
        let MacAddr([_, rest @ ..]) = MacAddr::of_number(dice.roll());
        let [a, b, c, d, e] = rest;
        MacAddr([0x02, a, b, c, d, e])
    });
    let is_free = |mac: &MacAddr| edit.topology().mac_addresses_around(mac.number()).is_none();
    let exhausted = || Error::new(ErrorKind::Exhausted, "mac_address", "no free MAC address was found");
    tries.find(is_free).ok_or_else(exhausted)
}

impl Topology {
    /// The networks, segments and route links that an interface has to do with: by its leases, its own attributes and its
    /// routes, or because a user says so.
    pub fn associated(&self, interface: &InterfaceId) -> BTreeSet<End> {
        let leases = self.ip_leases_of_interface(interface);
        let leased = leases.iter().filter_map(|id| Some(self.ip_leases().get(id)?.network_uuid.clone()));
        let named = self.interfaces().get(interface).and_then(|of| of.network_uuid.clone());
        let segments = self.domains_of_interface(interface).iter().filter_map(|domain| match domain {
            DomainId::Segment(segment) => Some(End::Segment(segment.clone())),
            DomainId::Network(_) => None,
        });
        let routes = self.routes_of_interface(interface);
        let links = routes.iter().filter_map(|id| Some(self.routes().get(id)?.route_link_uuid.clone()));
        let owner = End::from(interface.clone());
        let records = self.relations_naming(&interface.clone().into()).into_iter();
        let said = records.filter(|record| record.owner == owner).map(|record| record.other);
        let networks = leased.chain(named).map(End::Network);
        networks.chain(segments).chain(links.map(End::RouteLink)).chain(said).collect()
    }
}

impl Interface {
    /// Whether its addresses are its host's, in the underlay.
    pub fn is_host_interface(&self) -> bool {
        matches!(self.mode, InterfaceMode::Host | InterfaceMode::Patch)
    }
}
