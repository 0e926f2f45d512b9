//! IP retention containers: how long IP leases last, and how long their addresses are kept afterwards.

use super::{Attribute, Column, Kind, Resource};

pub(crate) static IP_RETENTION_CONTAINERS: Resource = Resource {
    name: "ip_retention_containers",
    noun: "an IP retention container",
    about: "How long IP leases last, and how long their addresses are kept afterwards",
    prefix: "irc",
    attributes: &[
        Attribute::new(
            "lease_time",
            Kind::Integer,
            "Seconds until a lease is released; until somebody does it if absent",
        ),
        Attribute::new(
            "grace_time",
            Kind::Integer,
            "Seconds until a released lease is deleted; until somebody does it if absent",
        ),
    ],
    columns: &[
        Column::new("UUID", &["/uuid"]),
        Column::new("LEASE TIME", &["/lease_time"]),
        Column::new("GRACE TIME", &["/grace_time"]),
        Column::optional("LABELS", &["/labels"]),
    ],
};

/// What a container keeps, as lists show it.
pub(crate) const RETENTIONS: &[Column] = &[
    Column::new("IP LEASE", &["/ip_lease_uuid"]),
    Column::new("LEASED", &["/leased_at"]),
    Column::new("RELEASED", &["/released_at"]),
];
