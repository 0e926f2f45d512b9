//! Route links: virtual routers.

use super::{Attribute, Column, IN_TOPOLOGY, Kind, Resource};

pub(crate) static ROUTE_LINKS: Resource = Resource {
    name: "route_links",
    noun: "a route link",
    about: "Virtual routers, which routes attach to networks",
    prefix: "rl",
    attributes: &[
        Attribute::new("display_name", Kind::Text, "A name for people"),
        Attribute::new("mac_address", Kind::Mac, "Kept as given; nothing depends on it"),
        IN_TOPOLOGY,
    ],
    columns: &[
        Column::new("UUID", &["/uuid"]),
        Column::new("NAME", &["/display_name"]),
        Column::optional("MAC", &["/mac_address"]),
        Column::optional("LABELS", &["/labels"]),
    ],
};
