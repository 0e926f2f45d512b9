//! Interfaces: virtual NICs, and the ports by which hosts recognise them.

use super::{Attribute, Column, Kind, Resource};

pub(crate) static INTERFACES: Resource = Resource {
    name: "interfaces",
    noun: "an interface",
    about: "Virtual NICs of VMs, containers and bare-metal servers",
    prefix: "if",
    attributes: &[
        Attribute::new("display_name", Kind::Text, "A name for people"),
        Attribute::new(
            "mode",
            Kind::OneOf(&["vif", "internal", "simulated", "host", "patch", "promiscuous"]),
            "What it is attached to; vif if absent",
        ),
        Attribute::new("admin_state", Kind::OneOf(&["up", "down"]), "Whether it sends and receives"),
        Attribute::new(
            "enable_routing",
            Kind::Boolean,
            "If simulated, it is a router's leg; else it may speak as a router",
        ),
        Attribute::new(
            "enable_route_translation",
            Kind::Boolean,
            "Addresses are translated at this leg; what no translation takes is dropped",
        ),
        Attribute::new("network_uuid", Kind::Uuid("nw"), "The network to attach to"),
        Attribute::new("segment_uuid", Kind::Uuid("seg"), "The segment to attach to"),
        Attribute::new("mac_address", Kind::Mac, "Its MAC address, while it has one at most"),
        Attribute::new(
            "mac_range_group_uuid",
            Kind::Uuid("mrg"),
            "Where its MAC address comes from, if it has none and none is given",
        )
        .until_shown("mac_address"),
        Attribute::new("ipv4_address", Kind::Ipv4, "Its IPv4 address, while it has one at most"),
        Attribute::new("ipv6_address", Kind::Ipv6, "Its IPv6 address, while it has one at most"),
        Attribute::new(
            "owner_datapath_uuid",
            Kind::Uuid("dp"),
            "The datapath of its one port, or of a simulated interface",
        ),
        Attribute::new("port_name", Kind::Text, "The name of its one port"),
        Attribute::new(
            "enable_filtering",
            Kind::Boolean,
            "It sends and receives what its filter lets pass, and nothing without one",
        ),
        Attribute::new("security_groups", Kind::Set, "All security groups it is in"),
        Attribute::new(
            "gateway_priority",
            Kind::Integer,
            "Of an uplink: the highest that is alive is its network's gateway; 100 if absent",
        ),
        Attribute::new("vlan_id", Kind::Integer, "The VLAN behind the edge of a segment, 1 to 4094"),
        Attribute::new("requested_host", Kind::Text, "The only host whose claim counts, by its node id"),
        Attribute::new("max_egress_kbps", Kind::Integer, "The most it may send, in kilobits per second"),
        Attribute::new("max_ingress_kbps", Kind::Integer, "The most it may receive, in kilobits per second"),
        Attribute::new(
            "port_security",
            Kind::Boolean,
            "It sends only from addresses that are leased or allowed; true if absent",
        ),
        Attribute::new(
            "allowed_addresses",
            Kind::List,
            "What it may send from besides: 10.0.0.5, 10.9.0.0/16 or MAC=10.0.0.9, with commas between them",
        ),
        Attribute::new("dscp", Kind::Integer, "The code point of all IP packets it sends, 0 to 63"),
    ],
    columns: &[
        Column::new("UUID", &["/uuid"]),
        Column::optional("NAME", &["/display_name"]),
        Column::new("MODE", &["/mode"]),
        Column::new("NETWORK", &["/network_uuid"]),
        Column::optional("SEGMENT", &["/segment_uuid"]),
        Column::new("MAC", &["/mac_address"]),
        Column::new("IPV4", &["/ipv4_address"]),
        Column::optional("IPV6", &["/ipv6_address"]),
        Column::new("PORT", &["/port_name"]),
        Column::new("MTU", &["/mtu"]),
        Column::new("STATUS", &["/status/state"]),
        Column::new("HOST", &["/status/host"]),
        Column::optional("GROUPS", &["/security_groups"]),
        Column::optional("REASON", &["/status/reason"]),
        Column::optional("LABELS", &["/labels"]),
    ],
};

/// The ports of an interface: no resource of their own, since they have no id.
pub(crate) static PORTS: Resource = Resource {
    name: "ports",
    noun: "a port",
    about: "The ports by which hosts recognise an interface",
    prefix: "",
    attributes: &[
        Attribute::new("datapath_uuid", Kind::Uuid("dp"), "Only on this datapath"),
        Attribute::new("port_name", Kind::Text, "Only a port of this name"),
        Attribute::new("singular", Kind::Boolean, "The interface lives on one host at a time: always true"),
    ],
    columns: &[
        Column::new("DATAPATH", &["/datapath_uuid"]),
        Column::new("PORT", &["/port_name"]),
        Column::new("SINGULAR", &["/singular"]),
    ],
};
