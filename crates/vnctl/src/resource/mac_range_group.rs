//! MAC range groups: where MAC addresses come from that nobody names.

use super::{Attribute, Column, Kind, Resource};

pub(crate) static MAC_RANGE_GROUPS: Resource = Resource {
    name: "mac_range_groups",
    noun: "a MAC range group",
    about: "Where MAC addresses come from that nobody names",
    prefix: "mrg",
    attributes: &[Attribute::new(
        "allocation_type",
        Kind::OneOf(&["incremental", "decremental", "random"]),
        "In which order it gives addresses; random if absent",
    )],
    columns: &[
        Column::new("UUID", &["/uuid"]),
        Column::new("ALLOCATION", &["/allocation_type"]),
        Column::optional("LAST", &["/last_mac_address"]),
        Column::optional("LABELS", &["/labels"]),
    ],
};
