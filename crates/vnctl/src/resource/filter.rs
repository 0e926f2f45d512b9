//! Filters: which packets an interface may send and receive.

use super::{Attribute, Column, Kind, Resource};

pub(crate) static FILTERS: Resource = Resource {
    name: "filters",
    noun: "a filter",
    about: "Which packets interfaces may send and receive",
    prefix: "fil",
    attributes: &[
        Attribute::new("interface_uuid", Kind::Uuid("if"), "The interface it is for").required(),
        Attribute::new("mode", Kind::OneOf(&["static"]), "How it decides: by rules that are listed")
            .required(),
        Attribute::new(
            "ingress_passthrough",
            Kind::Boolean,
            "What comes in and no rule fits passes; false if absent",
        ),
        Attribute::new(
            "egress_passthrough",
            Kind::Boolean,
            "What goes out and no rule fits passes; false if absent",
        ),
    ],
    columns: &[
        Column::new("UUID", &["/uuid"]),
        Column::new("INTERFACE", &["/interface_uuid"]),
        Column::new("MODE", &["/mode"]),
        Column::new("PASS IN", &["/ingress_passthrough"]),
        Column::new("PASS OUT", &["/egress_passthrough"]),
        Column::optional("LABELS", &["/labels"]),
    ],
};

/// The rules of a filter: no resource of their own, since they have no id.
pub(crate) static FILTER_RULES: Resource = Resource {
    name: "static",
    noun: "a rule",
    about: "The rules of a filter, seen from what comes in: src is the other end",
    prefix: "",
    attributes: &[
        Attribute::new(
            "protocol",
            Kind::OneOf(&["tcp", "udp", "icmp", "icmpv6", "arp", "ip"]),
            "Of which packets",
        )
        .required(),
        Attribute::new(
            "action",
            Kind::OneOf(&["pass", "drop", "reject", "conn"]),
            "What becomes of them; conn passes their connections",
        ),
        Attribute::new(
            "direction",
            Kind::OneOf(&["ingress", "egress"]),
            "Only what goes this way; both if absent",
        ),
        Attribute::new("src_address", Kind::Text, "The other end's address, with /prefix if wished"),
        Attribute::new("dst_address", Kind::Text, "The interface's own address, with /prefix if wished"),
        Attribute::new("src_port", Kind::Text, "The other end's port, or a range: 8000-8080"),
        Attribute::new("dst_port", Kind::Text, "The interface's own port, or a range"),
        Attribute::new("icmp_type", Kind::Integer, "ICMP type"),
        Attribute::new("icmp_code", Kind::Integer, "ICMP code"),
        Attribute::new("priority", Kind::Integer, "The higher counts; 0 if absent").absent("0"),
        Attribute::new("log", Kind::Boolean, "The agent writes down what it fits").absent("false"),
    ],
    columns: &[
        Column::new("PRIORITY", &["/priority"]),
        Column::new("PROTOCOL", &["/protocol"]),
        Column::new("ACTION", &["/action"]),
        Column::optional("ONLY", &["/direction"]),
        Column::new("SRC", &["/src_address"]),
        Column::optional("SRC PORT", &["/src_port"]),
        Column::new("DST", &["/dst_address"]),
        Column::optional("DST PORT", &["/dst_port"]),
        Column::optional("ICMP TYPE", &["/icmp_type"]),
        Column::optional("ICMP CODE", &["/icmp_code"]),
        Column::optional("LOG", &["/log"]),
    ],
};
