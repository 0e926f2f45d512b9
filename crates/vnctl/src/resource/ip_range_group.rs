//! IP range groups: which addresses of networks are given to those who name none.

use super::{Attribute, Column, Kind, Resource};

pub(crate) static IP_RANGE_GROUPS: Resource = Resource {
    name: "ip_range_groups",
    noun: "an IP range group",
    about: "Which addresses of networks are given to those who name none",
    prefix: "iprg",
    attributes: &[Attribute::new(
        "allocation_type",
        Kind::OneOf(&["incremental", "decremental", "random"]),
        "In which order it gives addresses; incremental if absent",
    )],
    columns: &[
        Column::new("UUID", &["/uuid"]),
        Column::new("ALLOCATION", &["/allocation_type"]),
        Column::optional("LAST", &["/last_ipv4_address"]),
        Column::optional("LABELS", &["/labels"]),
    ],
};
