//! Networks: L3 networks, whose addresses are leased.

use super::{Attribute, Column, IN_TOPOLOGY, Kind, Resource};

/// How far a network or segment reaches.
const DOMAIN_MODES: &[&str] = &["virtual", "physical"];

pub(crate) static NETWORKS: Resource = Resource {
    name: "networks",
    noun: "a network",
    about: "L3 networks, with an IPv4 subnet, an IPv6 one or both",
    prefix: "nw",
    attributes: &[
        Attribute::new("display_name", Kind::Text, "A name for people"),
        Attribute::new("mode", Kind::OneOf(DOMAIN_MODES), "How far it reaches"),
        Attribute::new("network_mode", Kind::OneOf(DOMAIN_MODES), "Another name of --mode, which wins")
            .shown_as("mode"),
        Attribute::new("domain_name", Kind::Text, "The DNS domain of its interfaces"),
        Attribute::new("ipv4_network", Kind::Ipv4, "The IPv4 subnet"),
        Attribute::new("ipv4_prefix", Kind::Integer, "Its prefix length, 1 to 32; 24 if absent"),
        Attribute::new("ipv6_network", Kind::Ipv6, "The IPv6 subnet"),
        Attribute::new("ipv6_prefix", Kind::Integer, "Its prefix length, 1 to 128; 64 if absent"),
        Attribute::new("segment_uuid", Kind::Uuid("seg"), "The segment it lies on"),
        IN_TOPOLOGY,
    ],
    columns: &[
        Column::new("UUID", &["/uuid"]),
        Column::new("NAME", &["/display_name"]),
        Column::new("MODE", &["/mode"]),
        Column::new("IPV4", &["/ipv4_network", "/ipv4_prefix"]),
        Column::optional("IPV6", &["/ipv6_network", "/ipv6_prefix"]),
        Column::optional("SEGMENT", &["/segment_uuid"]),
        Column::new("DOMAIN", &["/domain_name"]),
        Column::new("MTU", &["/mtu"]),
        Column::optional("LABELS", &["/labels"]),
    ],
};
