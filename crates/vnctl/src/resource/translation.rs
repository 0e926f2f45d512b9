//! Translations: what addresses are translated to at an outer leg, and the static ones among them.

use super::{Attribute, Column, Kind, Resource};

pub(crate) static TRANSLATIONS: Resource = Resource {
    name: "translations",
    noun: "a translation",
    about: "What addresses are translated to where a router meets the outside",
    prefix: "tr",
    attributes: &[
        Attribute::new(
            "interface_uuid",
            Kind::Uuid("if"),
            "The outer leg: a simulated interface with --enable-routing and --enable-route-translation",
        )
        .required(),
        Attribute::new(
            "mode",
            Kind::OneOf(&["static_address", "source"]),
            "One to one by static addresses, or many to few; fixed",
        )
        .required(),
        Attribute::new(
            "passthrough",
            Kind::Boolean,
            "What no translation of the leg takes passes as it is; it is dropped if absent",
        ),
        Attribute::new(
            "source_network_uuid",
            Kind::Uuid("nw"),
            "If source: the network whose addresses share the external ones",
        ),
        Attribute::new("source_prefixes", Kind::Set, "If source: more addresses that do, as 10.1.0.0/24"),
        Attribute::new(
            "external_addresses",
            Kind::List,
            "If source: the addresses that they share, leased to the leg",
        ),
    ],
    columns: &[
        Column::new("UUID", &["/uuid"]),
        Column::new("LEG", &["/interface_uuid"]),
        Column::new("MODE", &["/mode"]),
        Column::new("PASSTHROUGH", &["/passthrough"]),
        Column::optional("SOURCE", &["/source_network_uuid", "/source_prefixes"]),
        Column::optional("EXTERNAL", &["/external_addresses"]),
        Column::optional("WITHOUT PORTS", &["/hosts_without_ports"]),
        Column::optional("LABELS", &["/labels"]),
    ],
};

/// The static addresses of a translation: no resource of their own, since they have no id.
pub(crate) static STATIC_ADDRESSES: Resource = Resource {
    name: "static_address",
    noun: "a static address",
    about: "External addresses or ports that stand for internal ones",
    prefix: "",
    attributes: &[
        Attribute::new(
            "ingress_ipv4_address",
            Kind::Ipv4,
            "The address outside, if it is an IPv4 one: an IP lease of the leg",
        ),
        Attribute::new("egress_ipv4_address", Kind::Ipv4, "The address inside, if it is an IPv4 one"),
        Attribute::new(
            "ingress_ipv6_address",
            Kind::Ipv6,
            "The address outside, if it is an IPv6 one: an IP lease of the leg",
        ),
        Attribute::new("egress_ipv6_address", Kind::Ipv6, "The address inside, if it is an IPv6 one"),
        Attribute::new(
            "ingress_port_number",
            Kind::Integer,
            "Only this port outside, with one inside; all if absent",
        ),
        Attribute::new("egress_port_number", Kind::Integer, "Only this port inside, with one outside"),
        Attribute::new("protocol", Kind::OneOf(&["tcp", "udp"]), "Of which protocol; of both if absent"),
        Attribute::new(
            "route_link_uuid",
            Kind::Uuid("rl"),
            "The router that takes packets inside; as the leg's routes say if absent",
        ),
        Attribute::new("ingress_network_uuid", Kind::Uuid("nw"), "The network of the address outside"),
        Attribute::new(
            "egress_network_uuid",
            Kind::Uuid("nw"),
            "The network of the address inside; the one that the router has a route to if absent",
        ),
    ],
    columns: &[
        Column::new("OUTSIDE", &["/ingress_ipv4_address", "/ingress_ipv6_address"]),
        Column::optional("OUTSIDE PORT", &["/ingress_port_number"]),
        Column::new("INSIDE", &["/egress_ipv4_address", "/egress_ipv6_address"]),
        Column::optional("INSIDE PORT", &["/egress_port_number"]),
        Column::optional("PROTOCOL", &["/protocol"]),
        Column::optional("ROUTER", &["/route_link_uuid"]),
    ],
};
