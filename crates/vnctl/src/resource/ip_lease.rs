//! IP leases: which addresses of networks interfaces have.

use super::{Attribute, Column, Kind, Resource};

pub(crate) static IP_LEASES: Resource = Resource {
    name: "ip_leases",
    noun: "an IP lease",
    about: "IP addresses of interfaces, or kept for them",
    prefix: "il",
    attributes: &[
        Attribute::new("network_uuid", Kind::Uuid("nw"), "The network of the address").required(),
        Attribute::new("ipv4_address", Kind::Ipv4, "The address, if it is an IPv4 one"),
        Attribute::new("ipv6_address", Kind::Ipv6, "The address, if it is an IPv6 one"),
        Attribute::new(
            "enable_routing",
            Kind::Boolean,
            "It is a router's to pass on, or to translate; kept as given",
        ),
        Attribute::new(
            "interface_uuid",
            Kind::Uuid("if"),
            "The interface that holds it, by its one MAC lease",
        ),
        Attribute::new("mac_lease_uuid", Kind::Uuid("ml"), "The MAC lease that holds it"),
    ],
    columns: &[
        Column::new("UUID", &["/uuid"]),
        Column::new("NETWORK", &["/network_uuid"]),
        Column::new("IPV4", &["/ipv4_address"]),
        Column::optional("IPV6", &["/ipv6_address"]),
        Column::new("INTERFACE", &["/interface_uuid"]),
        Column::new("MAC LEASE", &["/mac_lease_uuid"]),
        Column::optional("LABELS", &["/labels"]),
    ],
};
