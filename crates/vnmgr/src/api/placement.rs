//! Placement: by which host interface a host carries networks, segments and route links, as users say it of the host, and as it
//! follows from topologies. What follows is shown with its topology, and is the topology's to change.

use std::marker::PhantomData;
use std::net::IpAddr;

use serde::Serialize;
use topology::datapath::Datapath;
use topology::relation::{End, PlacementSpec};
use topology::{
    Action, DatapathId, InterfaceId, IpLeaseId, MacAddr, NetworkId, RouteLinkId, SegmentId, Topology,
    TopologyId,
};

use super::end::EndId;
use super::relation::{Relation, relation_routes};

/// What a host carries, of one kind.
pub struct Placements<T>(PhantomData<T>);

/// How a host carries something.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Placement {
    /// The host's datapath.
    pub datapath_uuid: DatapathId,
    /// What it carries.
    #[serde(flatten)]
    pub other: End,
    /// By which of its host interfaces.
    pub interface_uuid: Option<InterfaceId>,
    /// The lease of the host interface that counts.
    pub ip_lease_uuid: Option<IpLeaseId>,
    /// The address of that lease, by which the host takes part.
    #[schema(value_type = Option<String>)]
    pub address: Option<IpAddr>,
    /// As given, or made up; none if it follows from a topology.
    pub mac_address: Option<MacAddr>,
    /// The topology that it follows from, if no user has said it of the host.
    pub topology_uuid: Option<TopologyId>,
}

impl<T: EndId> Relation for Placements<T> {
    type Owner = Datapath;
    type Other = T;
    type View = Placement;
    const NAME: &'static str = T::NAME;
    const FIELD: &'static str = T::FIELD;
    const FIELDS: &'static [&'static str] =
        &["uuid", T::FIELD, "interface_uuid", "ip_lease_uuid", "address", "mac_address", "topology_uuid"];
    const ADD: Action = Action::AddPlacement;
    const REMOVE: Action = Action::RemovePlacement;

    fn others(topology: &Topology, owner: &Datapath) -> Vec<T> {
        topology.placed_on(&owner.uuid).into_iter().filter_map(T::of).collect()
    }

    fn view(topology: &Topology, owner: &Datapath, other: &T) -> Option<Placement> {
        let (datapath, other): (_, End) = (&owner.uuid, other.clone().into());
        let derived = || topology.placed_by_topologies(datapath, &other).into_iter().next();
        let placed = topology.placed(datapath, &other).or_else(derived)?;
        Some(Placement {
            datapath_uuid: datapath.clone(),
            interface_uuid: placed.by.interface_uuid.clone(),
            ip_lease_uuid: topology.lease_of(datapath, &placed.by),
            address: topology.address_of(datapath, &placed.by),
            mac_address: placed.by.mac_address,
            topology_uuid: placed.topology,
            other,
        })
    }
}

/// The networks that a host carries.
pub mod networks {
    use super::*;
    relation_routes!("datapaths", "networks", "network_uuid": Placements<NetworkId>, PlacementSpec => Placement);
}

/// The segments that a host carries.
pub mod segments {
    use super::*;
    relation_routes!("datapaths", "segments", "segment_uuid": Placements<SegmentId>, PlacementSpec => Placement);
}

/// The route links that a host carries.
pub mod route_links {
    use super::*;
    relation_routes!(
        "datapaths", "route_links", "route_link_uuid": Placements<RouteLinkId>, PlacementSpec => Placement
    );
}
