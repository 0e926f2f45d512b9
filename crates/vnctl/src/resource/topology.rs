//! Topologies, and what else says how networks are placed: relations, which have ids in paths and are no resources.

use super::{Attribute, Column, Kind, Resource};

pub(crate) static TOPOLOGIES: Resource = Resource {
    name: "topologies",
    noun: "a topology",
    about: "What is in the underlay, what is in overlays, and on which underlays these lie",
    prefix: "topo",
    attributes: &[Attribute::new(
        "mode",
        Kind::OneOf(&["simple_underlay", "simple_overlay"]),
        "What it is about; fixed once it is made",
    )
    .required()],
    columns: &[
        Column::new("UUID", &["/uuid"]),
        Column::new("MODE", &["/mode"]),
        Column::optional("LABELS", &["/labels"]),
    ],
};

/// What is said when something is made, and later under the topology's path.
pub(crate) const IN_TOPOLOGY: Attribute = Attribute::new(
    "topology_uuid",
    Kind::Uuid("topo"),
    "The topology to be in; only when making it, later see `topologies`",
)
.until_shown("uuid");

const HOST_INTERFACE: Attribute =
    Attribute::new("interface_uuid", Kind::Uuid("if"), "The host interface, one of the datapath's");

const IP_LEASE: Attribute = Attribute::new(
    "ip_lease_uuid",
    Kind::Uuid("il"),
    "The lease of the host interface that counts; the first if absent",
);

const MAC: Attribute = Attribute::new("mac_address", Kind::Mac, "Kept as given; made up if absent");

const STATIC: Attribute =
    Attribute::new("static", Kind::Boolean, "It stays, whether or not leases and routes say so");

const INTERFACE: Column = Column::new("INTERFACE", &["/interface_uuid"]);

macro_rules! shapes {
    ($($shape:ident = $name:literal, $noun:literal, $prefix:literal, $id:literal, $title:literal, $about:literal,
        [$($attribute:expr),*], [$($column:expr),*];)*) => {$(
        #[doc = concat!($about, ".")]
        pub(crate) static $shape: Resource = Resource {
            name: $name,
            noun: $noun,
            about: $about,
            prefix: $prefix,
            attributes: &[Attribute::new($id, Kind::Uuid($prefix), "The other end").required() $(, $attribute)*],
            columns: &[Column::new($title, &[concat!("/", $id)]) $(, $column)*],
        };
    )*};
}

/// What lists of what a host carries show besides.
const PLACED: [Column; 4] = [
    INTERFACE,
    Column::new("ADDRESS", &["/address"]),
    Column::new("MAC", &["/mac_address"]),
    Column::optional("TOPOLOGY", &["/topology_uuid"]),
];

shapes! {
    PLACED_NETWORKS = "networks", "a network", "nw", "network_uuid", "NETWORK",
        "The networks that a host carries, and by which host interface", [HOST_INTERFACE.required(), MAC],
        [PLACED[0], PLACED[1], PLACED[2], PLACED[3]];
    PLACED_SEGMENTS = "segments", "a segment", "seg", "segment_uuid", "SEGMENT",
        "The segments that a host carries, and by which host interface", [HOST_INTERFACE.required(), MAC],
        [PLACED[0], PLACED[1], PLACED[2], PLACED[3]];
    PLACED_ROUTE_LINKS = "route_links", "a route link", "rl", "route_link_uuid", "ROUTE LINK",
        "The route links that a host carries, and by which host interface", [HOST_INTERFACE.required(), MAC],
        [PLACED[0], PLACED[1], PLACED[2], PLACED[3]];
    MEMBER_DATAPATHS = "datapaths", "a datapath", "dp", "datapath_uuid", "DATAPATH",
        "The hosts of an underlay", [HOST_INTERFACE.required(), IP_LEASE],
        [INTERFACE, Column::new("LEASE", &["/ip_lease_uuid"])];
    MEMBER_NETWORKS = "networks", "a network", "nw", "network_uuid", "NETWORK", "The networks in a topology", [], [];
    MEMBER_SEGMENTS = "segments", "a segment", "seg", "segment_uuid", "SEGMENT", "The segments in a topology", [], [];
    MEMBER_ROUTE_LINKS = "route_links", "a route link", "rl", "route_link_uuid", "ROUTE LINK",
        "The route links in an overlay", [], [];
    MEMBER_MAC_RANGE_GROUPS = "mac_range_groups", "a MAC range group", "mrg", "mac_range_group_uuid", "GROUP",
        "Where the hosts of an underlay get MAC addresses from", [], [];
    MEMBER_UNDERLAYS = "underlays", "an underlay", "topo", "underlay_uuid", "UNDERLAY",
        "The underlays that an overlay lies on", [], [];
    ASSOCIATED_NETWORKS = "networks", "a network", "nw", "network_uuid", "NETWORK",
        "The networks that an interface has to do with", [STATIC], [Column::new("STATIC", &["/static"])];
    ASSOCIATED_SEGMENTS = "segments", "a segment", "seg", "segment_uuid", "SEGMENT",
        "The segments that an interface has to do with", [STATIC], [Column::new("STATIC", &["/static"])];
    ASSOCIATED_ROUTE_LINKS = "route_links", "a route link", "rl", "route_link_uuid", "ROUTE LINK",
        "The route links that an interface has to do with", [STATIC], [Column::new("STATIC", &["/static"])];
}

/// Associations of interfaces, which are there by themselves, and can be made to stay.
pub(crate) static ASSOCIATIONS: [&Resource; 3] =
    [&ASSOCIATED_NETWORKS, &ASSOCIATED_SEGMENTS, &ASSOCIATED_ROUTE_LINKS];
