//! The ends of relations: what they are called in paths.

use topology::relation::End;
use topology::{DatapathId, Id, MacRangeGroupId, NetworkId, RouteLinkId, SegmentId, TopologyId};

/// The id of an object that can be an end of relations.
pub trait EndId: Id + Into<End> + Send + 'static {
    /// The name of the relations in paths.
    const NAME: &'static str;
    /// The attribute that names the object.
    const FIELD: &'static str;

    /// The object, if it is of this kind.
    fn of(end: End) -> Option<Self>;
}

macro_rules! ends {
    ($($kind:ident($id:ident) = $name:literal, $field:literal;)*) => {$(
        impl EndId for $id {
            const NAME: &'static str = $name;
            const FIELD: &'static str = $field;

            fn of(end: End) -> Option<Self> {
                if let End::$kind(id) = end { Some(id) } else { None }
            }
        }
    )*};
}
ends! {
    Datapath(DatapathId) = "datapaths", "datapath_uuid";
    Network(NetworkId) = "networks", "network_uuid";
    Segment(SegmentId) = "segments", "segment_uuid";
    RouteLink(RouteLinkId) = "route_links", "route_link_uuid";
    MacRangeGroup(MacRangeGroupId) = "mac_range_groups", "mac_range_group_uuid";
    Topology(TopologyId) = "underlays", "underlay_uuid";
}
