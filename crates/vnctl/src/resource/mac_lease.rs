//! MAC leases: which addresses interfaces may send from.

use super::{Attribute, Column, Kind, Resource};

pub(crate) static MAC_LEASES: Resource = Resource {
    name: "mac_leases",
    noun: "a MAC lease",
    about: "MAC addresses of interfaces",
    prefix: "ml",
    attributes: &[
        Attribute::new("interface_uuid", Kind::Uuid("if"), "The interface that has it").required(),
        Attribute::new("mac_address", Kind::Mac, "The address").required(),
        Attribute::new("segment_uuid", Kind::Uuid("seg"), "The segment it is on"),
    ],
    columns: &[
        Column::new("UUID", &["/uuid"]),
        Column::new("INTERFACE", &["/interface_uuid"]),
        Column::new("MAC", &["/mac_address"]),
        Column::optional("SEGMENT", &["/segment_uuid"]),
        Column::optional("LABELS", &["/labels"]),
    ],
};
