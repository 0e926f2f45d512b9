//! MAC ranges: the addresses of a MAC range group.

use super::{Attribute, Column, Kind, Resource};

pub(crate) static MAC_RANGES: Resource = Resource {
    name: "mac_ranges",
    noun: "a MAC range",
    about: "The addresses of MAC range groups",
    prefix: "mr",
    attributes: &[
        Attribute::new("mac_range_group_uuid", Kind::Uuid("mrg"), "The group that gives its addresses")
            .required(),
        Attribute::new("begin_mac_address", Kind::Mac, "The first address").required(),
        Attribute::new("end_mac_address", Kind::Mac, "The last address, with the same first octet")
            .required(),
    ],
    columns: &[
        Column::new("UUID", &["/uuid"]),
        Column::new("GROUP", &["/mac_range_group_uuid"]),
        Column::new("BEGIN", &["/begin_mac_address"]),
        Column::new("END", &["/end_mac_address"]),
        Column::optional("LABELS", &["/labels"]),
    ],
};
