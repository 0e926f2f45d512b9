//! IP ranges: the addresses of an IP range group.

use super::{Attribute, Column, Kind, Resource};

pub(crate) static IP_RANGES: Resource = Resource {
    name: "ip_ranges",
    noun: "an IP range",
    about: "The addresses of IP range groups",
    prefix: "ipr",
    attributes: &[
        Attribute::new("ip_range_group_uuid", Kind::Uuid("iprg"), "The group that gives its addresses")
            .required(),
        Attribute::new("begin_ipv4_address", Kind::Ipv4, "The first address").required(),
        Attribute::new("end_ipv4_address", Kind::Ipv4, "The last address").required(),
    ],
    columns: &[
        Column::new("UUID", &["/uuid"]),
        Column::new("GROUP", &["/ip_range_group_uuid"]),
        Column::new("BEGIN", &["/begin_ipv4_address"]),
        Column::new("END", &["/end_ipv4_address"]),
        Column::optional("LABELS", &["/labels"]),
    ],
};
