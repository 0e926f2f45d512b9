//! Datapaths: the switches of hypervisor hosts.

use super::{Attribute, Column, Kind, Resource};

pub(crate) static DATAPATHS: Resource = Resource {
    name: "datapaths",
    noun: "a datapath",
    about: "Switches of hypervisor hosts",
    prefix: "dp",
    attributes: &[
        Attribute::new("display_name", Kind::Text, "A name for people; the node id if absent"),
        Attribute::new("dpid", Kind::Dpid, "The switch's own id, 1 to 16 hexadecimal digits").required(),
        Attribute::new("node_id", Kind::Text, "The name of the host's agent").required(),
    ],
    columns: &[
        Column::new("UUID", &["/uuid"]),
        Column::new("NAME", &["/display_name"]),
        Column::new("DPID", &["/dpid"]),
        Column::new("NODE", &["/node_id"]),
        Column::new("CONNECTED", &["/connected"]),
        Column::new("UNDERLAY", &["/underlay/address"]),
        Column::new("ENCAP", &["/underlay/encapsulation"]),
        Column::new("MTU", &["/underlay/mtu"]),
        Column::optional("LABELS", &["/labels"]),
    ],
};

/// The hosts to which a host sends in a way that a user has chosen.
pub(crate) static DATAPATH_PEERS: Resource = Resource {
    name: "peers",
    noun: "a peer",
    about: "The hosts with which it wraps packets in a way of their own",
    prefix: "dp",
    attributes: &[
        Attribute::new("peer_uuid", Kind::Uuid("dp"), "The other host's datapath").required(),
        Attribute::new(
            "encapsulation",
            Kind::OneOf(&["geneve", "vxlan", "gre", "mac2mac"]),
            "How the two wrap what they send each other",
        )
        .required(),
    ],
    columns: &[
        Column::new("PEER", &["/peer_uuid"]),
        Column::new("ENCAP", &["/encapsulation"]),
        Column::new("IN USE", &["/in_use"]),
    ],
};
