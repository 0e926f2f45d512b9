//! Lease policies: who is given which addresses. Their relations have ids in paths, and are no resources.

use super::{Attribute, Column, Kind, Resource};

pub(crate) static LEASE_POLICIES: Resource = Resource {
    name: "lease_policies",
    noun: "a lease policy",
    about: "Who is given which addresses, without naming them",
    prefix: "lp",
    attributes: &[
        Attribute::new("mode", Kind::OneOf(&["simple"]), "How it decides; simple if absent"),
        Attribute::new(
            "timing",
            Kind::OneOf(&["immediate", "dhcp"]),
            "When it gives an interface its address: at once, or when its guest asks by DHCP; immediate if absent",
        ),
        Attribute::new("ip_retention_containers", Kind::Set, "All containers that its leases are kept by"),
    ],
    columns: &[
        Column::new("UUID", &["/uuid"]),
        Column::new("MODE", &["/mode"]),
        Column::new("TIMING", &["/timing"]),
        Column::optional("NETWORK", &["/networks/0/network_uuid"]),
        Column::optional("RANGES", &["/networks/0/ip_range_group_uuid"]),
        Column::optional("LABELS", &["/labels"]),
    ],
};

/// The networks whose addresses a policy gives.
pub(crate) static POLICY_NETWORKS: Resource = Resource {
    name: "networks",
    noun: "a network",
    about: "The networks whose addresses it gives; the first is for interfaces that are in none",
    prefix: "nw",
    attributes: &[
        Attribute::new("network_uuid", Kind::Uuid("nw"), "The network").required(),
        Attribute::new("ip_range_group_uuid", Kind::Uuid("iprg"), "Where its addresses come from").required(),
    ],
    columns: &[Column::new("NETWORK", &["/network_uuid"]), Column::new("RANGES", &["/ip_range_group_uuid"])],
};

/// The interfaces that a policy serves.
pub(crate) static POLICY_INTERFACES: Resource = Resource {
    name: "interfaces",
    noun: "an interface",
    about: "The interfaces that it gives addresses",
    prefix: "if",
    attributes: &[
        Attribute::new("interface_uuid", Kind::Uuid("if"), "The interface").required(),
        Attribute::new(
            "label",
            Kind::Text,
            "Its lease goes into the containers with this label; into all if absent",
        ),
    ],
    columns: &[
        Column::new("INTERFACE", &["/interface_uuid"]),
        Column::new("IPV4", &["/ip_leases/0/ipv4_address"]),
        Column::optional("LABEL", &["/label"]),
    ],
};

/// The containers that the leases of a policy go into.
pub(crate) static POLICY_IP_LEASE_CONTAINERS: Resource = Resource {
    name: "ip_lease_containers",
    noun: "an IP lease container",
    about: "The containers that its leases go into",
    prefix: "ilc",
    attributes: &[
        Attribute::new("ip_lease_container_uuid", Kind::Uuid("ilc"), "The container").required(),
        Attribute::new("label", Kind::Text, "Leases asked for with another label do not go into it"),
    ],
    columns: &[
        Column::new("CONTAINER", &["/ip_lease_container_uuid"]),
        Column::optional("LABEL", &["/label"]),
    ],
};

/// The containers that the leases of a policy are kept by.
pub(crate) static POLICY_IP_RETENTION_CONTAINERS: Resource = Resource {
    name: "ip_retention_containers",
    noun: "an IP retention container",
    about: "The containers that its leases are kept by",
    prefix: "irc",
    attributes: &[
        Attribute::new("ip_retention_container_uuid", Kind::Uuid("irc"), "The container").required()
    ],
    columns: &[Column::new("CONTAINER", &["/ip_retention_container_uuid"])],
};

/// The leases that a policy makes, which nobody holds.
pub(crate) static POLICY_IP_LEASES: Resource = Resource {
    name: "ip_leases",
    noun: "an IP lease that nobody holds",
    about: "IP leases that nobody holds",
    prefix: "lp",
    attributes: &[
        Attribute::new("ip_lease_uuid", Kind::Uuid("il"), "Its id; made up if absent"),
        Attribute::new(
            "label",
            Kind::Text,
            "It goes into the containers with this label; into all if absent",
        ),
    ],
    columns: &[],
};
