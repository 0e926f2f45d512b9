//! Topologies: what is in the underlay, and in overlays. One module for each kind of member. Not `topology`, which is a crate.

use std::marker::PhantomData;

use serde::Serialize;
use topology::layer::{Layer, LayerSpec};
use topology::relation::{End, MemberSpec, RelationId};
use topology::{
    Action, DatapathId, InterfaceId, IpLeaseId, MacRangeGroupId, NetworkId, RouteLinkId, SegmentId, Topology,
    TopologyId,
};

use super::end::EndId;
use super::relation::{Relation, relation_routes};
use super::resource::plain_resource;

plain_resource!("topologies": Layer in topologies, LayerSpec, Topologies; "mode");

/// What is in a topology, of one kind.
pub struct Members<T>(PhantomData<T>);

/// Something in a topology.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Member {
    /// The topology.
    pub topology_uuid: TopologyId,
    /// What is in it.
    #[serde(flatten)]
    pub other: End,
    /// Of a datapath: the host interface by which it is in the underlay.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interface_uuid: Option<InterfaceId>,
    /// Of a datapath: the lease of the host interface that counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip_lease_uuid: Option<IpLeaseId>,
}

impl<T: EndId> Relation for Members<T> {
    type Owner = Layer;
    type Other = T;
    type View = Member;
    const NAME: &'static str = T::NAME;
    const FIELD: &'static str = T::FIELD;
    const FIELDS: &'static [&'static str] = &["uuid", T::FIELD, "interface_uuid", "ip_lease_uuid"];
    const ADD: Action = Action::AddMember;
    const REMOVE: Action = Action::RemoveMember;

    fn others(topology: &Topology, owner: &Layer) -> Vec<T> {
        topology.members_of_topology(&owner.uuid).into_iter().filter_map(T::of).collect()
    }

    fn view(topology: &Topology, owner: &Layer, other: &T) -> Option<Member> {
        let other: End = other.clone().into();
        let record = topology.relations().get(&RelationId::new(owner.uuid.clone(), other.clone()))?;
        let ip_lease_uuid = match &other {
            End::Datapath(datapath) => topology.lease_of(datapath, record),
            _ => None,
        };
        Some(Member {
            topology_uuid: owner.uuid.clone(),
            interface_uuid: record.interface_uuid.clone(),
            ip_lease_uuid,
            other,
        })
    }
}

/// The hosts of underlays.
pub mod datapaths {
    use super::*;
    relation_routes!("topologies", "datapaths", "datapath_uuid": Members<DatapathId>, MemberSpec => Member);
}

/// The networks in topologies.
pub mod networks {
    use super::*;
    relation_routes!("topologies", "networks", "network_uuid": Members<NetworkId>, MemberSpec => Member);
}

/// The segments in topologies.
pub mod segments {
    use super::*;
    relation_routes!("topologies", "segments", "segment_uuid": Members<SegmentId>, MemberSpec => Member);
}

/// The route links in overlays.
pub mod route_links {
    use super::*;
    relation_routes!("topologies", "route_links", "route_link_uuid": Members<RouteLinkId>, MemberSpec => Member);
}

/// The MAC range groups of underlays.
pub mod mac_range_groups {
    use super::*;
    relation_routes!(
        "topologies", "mac_range_groups", "mac_range_group_uuid": Members<MacRangeGroupId>, MemberSpec => Member
    );
}

/// What overlays lie on.
pub mod underlays {
    use super::*;
    relation_routes!("topologies", "underlays", "underlay_uuid": Members<TopologyId>, MemberSpec => Member);
}
