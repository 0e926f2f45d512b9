//! IP lease containers: IP leases that belong together.

use super::{Column, Resource};

pub(crate) static IP_LEASE_CONTAINERS: Resource = Resource {
    name: "ip_lease_containers",
    noun: "an IP lease container",
    about: "IP leases that belong together",
    prefix: "ilc",
    attributes: &[],
    columns: &[Column::new("UUID", &["/uuid"]), Column::optional("LABELS", &["/labels"])],
};
