//! What is where: read only, since nobody makes it. The attributes are those by which lists are filtered.

use super::{Attribute, Column, Kind, Resource};

const DATAPATH: Attribute = Attribute::new("datapath_uuid", Kind::Uuid("dp"), "The host's datapath");
const NODE: Attribute = Attribute::new("node_id", Kind::Text, "The host's name");
const HOST: Column = Column::new("HOST", &["/node_id"]);
const HOST_UUID: Column = Column::new("DATAPATH", &["/datapath_uuid"]);

/// Everything that can only be looked at.
pub(crate) static STATES: [&Resource; 6] =
    [&ACTIVE_INTERFACES, &ACTIVE_NETWORKS, &ACTIVE_SEGMENTS, &ACTIVE_ROUTE_LINKS, &ACTIVE_PORTS, &TUNNELS];

static ACTIVE_INTERFACES: Resource = Resource {
    name: "active_interfaces",
    noun: "active interfaces",
    about: "Which interfaces are on which hosts",
    prefix: "",
    attributes: &[
        Attribute::new("interface_uuid", Kind::Uuid("if"), "The interface"),
        DATAPATH,
        NODE,
        Attribute::new("port_name", Kind::Text, "Its port"),
        Attribute::new("singular", Kind::Boolean, "It is there and nowhere else"),
    ],
    columns: &[
        Column::new("INTERFACE", &["/interface_uuid"]),
        HOST,
        HOST_UUID,
        Column::new("PORT", &["/port_name"]),
    ],
};

static ACTIVE_NETWORKS: Resource = Resource {
    name: "active_networks",
    noun: "active networks",
    about: "Which networks the switches of which hosts have",
    prefix: "",
    attributes: &[Attribute::new("network_uuid", Kind::Uuid("nw"), "The network"), DATAPATH, NODE],
    columns: &[Column::new("NETWORK", &["/network_uuid"]), HOST, HOST_UUID],
};

static ACTIVE_SEGMENTS: Resource = Resource {
    name: "active_segments",
    noun: "active segments",
    about: "Which segments the switches of which hosts have",
    prefix: "",
    attributes: &[Attribute::new("segment_uuid", Kind::Uuid("seg"), "The segment"), DATAPATH, NODE],
    columns: &[Column::new("SEGMENT", &["/segment_uuid"]), HOST, HOST_UUID],
};

static ACTIVE_ROUTE_LINKS: Resource = Resource {
    name: "active_route_links",
    noun: "active route links",
    about: "Which route links the switches of which hosts have",
    prefix: "",
    attributes: &[Attribute::new("route_link_uuid", Kind::Uuid("rl"), "The route link"), DATAPATH, NODE],
    columns: &[Column::new("ROUTE LINK", &["/route_link_uuid"]), HOST, HOST_UUID],
};

static ACTIVE_PORTS: Resource = Resource {
    name: "active_ports",
    noun: "ports",
    about: "The ports that hosts show, and whose they are",
    prefix: "",
    attributes: &[
        DATAPATH,
        NODE,
        Attribute::new("port_name", Kind::Text, "The name"),
        Attribute::new("mode", Kind::OneOf(&["interface", "local", "unknown"]), "What it is"),
        Attribute::new("interface_uuid", Kind::Uuid("if"), "The interface whose it is"),
        Attribute::new("iface_id", Kind::Text, "What the hypervisor says it is"),
    ],
    columns: &[
        HOST,
        HOST_UUID,
        Column::new("PORT", &["/port_name"]),
        Column::new("MODE", &["/mode"]),
        Column::new("INTERFACE", &["/interface_uuid"]),
        Column::optional("IFACE-ID", &["/iface_id"]),
        Column::optional("ERROR", &["/error"]),
        Column::optional("REASON", &["/reason"]),
    ],
};

static TUNNELS: Resource = Resource {
    name: "tunnels",
    noun: "tunnels",
    about: "Which hosts send each other packets of guests, and how",
    prefix: "",
    attributes: &[
        Attribute::new("src_datapath_uuid", Kind::Uuid("dp"), "The host that sends"),
        Attribute::new("dst_datapath_uuid", Kind::Uuid("dp"), "The host that receives"),
        Attribute::new(
            "mode",
            Kind::OneOf(&["geneve", "vxlan", "gre", "mac2mac"]),
            "How packets are wrapped",
        ),
        Attribute::new("src_address", Kind::Text, "The sender's address"),
        Attribute::new("dst_address", Kind::Text, "The receiver's address"),
    ],
    columns: &[
        Column::new("FROM", &["/src_datapath_uuid"]),
        Column::new("TO", &["/dst_datapath_uuid"]),
        Column::new("MODE", &["/mode"]),
        Column::new("FROM ADDRESS", &["/src_address"]),
        Column::new("TO ADDRESS", &["/dst_address"]),
        Column::new("SENT", &["/sent_packets"]),
        Column::new("BYTES", &["/sent_bytes"]),
        Column::new("RECEIVED", &["/received_packets"]),
        Column::new("BYTES", &["/received_bytes"]),
    ],
};
