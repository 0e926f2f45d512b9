//! Routes: which addresses a virtual router reaches by which of its legs.

use super::{Attribute, Column, Kind, Resource};

pub(crate) static ROUTES: Resource = Resource {
    name: "routes",
    noun: "a route",
    about: "What virtual routers reach, by which of their legs",
    prefix: "r",
    attributes: &[
        Attribute::new(
            "interface_uuid",
            Kind::Uuid("if"),
            "The leg: a simulated interface with --enable-routing",
        )
        .required(),
        Attribute::new("network_uuid", Kind::Uuid("nw"), "The network of the leg that it is about")
            .required(),
        Attribute::new("route_link_uuid", Kind::Uuid("rl"), "The router").required(),
        Attribute::new("ipv4_network", Kind::Ipv4, "The addresses it is for, if they are IPv4 ones"),
        Attribute::new("ipv4_prefix", Kind::Integer, "Their prefix length, 0 to 32; 24 if absent"),
        Attribute::new("ipv6_network", Kind::Ipv6, "The addresses it is for, if they are IPv6 ones"),
        Attribute::new("ipv6_prefix", Kind::Integer, "Their prefix length, 0 to 128; 64 if absent"),
        Attribute::new(
            "ingress",
            Kind::Boolean,
            "Packets from these addresses enter the router; true if absent",
        ),
        Attribute::new(
            "egress",
            Kind::Boolean,
            "Packets for these addresses leave the router; true if absent",
        ),
        Attribute::new(
            "next_hops",
            Kind::Set,
            "Who takes the packets on, by address; whom they are for if absent",
        ),
    ],
    columns: &[
        Column::new("UUID", &["/uuid"]),
        Column::new("ROUTER", &["/route_link_uuid"]),
        Column::optional("IPV4", &["/ipv4_network", "/ipv4_prefix"]),
        Column::optional("IPV6", &["/ipv6_network", "/ipv6_prefix"]),
        Column::new("LEG", &["/interface_uuid"]),
        Column::new("NETWORK", &["/network_uuid"]),
        Column::optional("NEXT HOPS", &["/next_hops"]),
        Column::new("IN", &["/ingress"]),
        Column::new("OUT", &["/egress"]),
        Column::optional("LABELS", &["/labels"]),
    ],
};
