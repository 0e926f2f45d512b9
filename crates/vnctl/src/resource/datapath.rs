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
