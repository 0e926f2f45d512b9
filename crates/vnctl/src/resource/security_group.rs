//! Security groups: who may talk to whom.

use super::{Attribute, Column, Kind, Resource};

pub(crate) static SECURITY_GROUPS: Resource = Resource {
    name: "security_groups",
    noun: "a security group",
    about: "Who may talk to whom, whatever addresses they have",
    prefix: "sg",
    attributes: &[Attribute::new("display_name", Kind::Text, "A name for people")],
    columns: &[
        Column::new("UUID", &["/uuid"]),
        Column::optional("NAME", &["/display_name"]),
        Column::optional("LABELS", &["/labels"]),
    ],
};

/// The rules of a security group: no resource of their own, since they have no id.
pub(crate) static GROUP_RULES: Resource = Resource {
    name: "rules",
    noun: "a rule",
    about: "What members of a security group may send and receive",
    prefix: "",
    attributes: &[
        Attribute::new(
            "direction",
            Kind::OneOf(&["ingress", "egress"]),
            "Which way connections go, seen from a member",
        )
        .required(),
        Attribute::new(
            "protocol",
            Kind::OneOf(&["tcp", "udp", "icmp", "icmpv6", "ip"]),
            "Of which kind; ip if absent",
        )
        .absent("ip"),
        Attribute::new("port", Kind::Text, "The port that connections are to, or a range: 8000-8080"),
        Attribute::new("icmp_type", Kind::Integer, "ICMP type"),
        Attribute::new("icmp_code", Kind::Integer, "ICMP code"),
        Attribute::new("remote_group_uuid", Kind::Uuid("sg"), "The other end is a member of this group"),
        Attribute::new("remote_address", Kind::Text, "Or it has this address, or one in this prefix"),
    ],
    columns: &[
        Column::new("DIRECTION", &["/direction"]),
        Column::new("PROTOCOL", &["/protocol"]),
        Column::new("PORT", &["/port"]),
        Column::optional("ICMP TYPE", &["/icmp_type"]),
        Column::optional("ICMP CODE", &["/icmp_code"]),
        Column::optional("GROUP", &["/remote_group_uuid"]),
        Column::optional("ADDRESS", &["/remote_address"]),
    ],
};
