//! Segments: L2 domains.

use super::{Attribute, Column, IN_TOPOLOGY, Kind, Resource};

pub(crate) static SEGMENTS: Resource = Resource {
    name: "segments",
    noun: "a segment",
    about: "L2 segments",
    prefix: "seg",
    attributes: &[
        Attribute::new("display_name", Kind::Text, "A name for people"),
        Attribute::new("mode", Kind::OneOf(&["virtual"]), "How far it reaches").required(),
        IN_TOPOLOGY,
    ],
    columns: &[
        Column::new("UUID", &["/uuid"]),
        Column::new("NAME", &["/display_name"]),
        Column::new("MODE", &["/mode"]),
        Column::new("MTU", &["/mtu"]),
        Column::optional("LABELS", &["/labels"]),
    ],
};
