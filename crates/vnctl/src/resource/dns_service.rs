//! DNS services: what name servers do besides telling the names of interfaces.

use super::{Attribute, Column, Kind, Resource};

pub(crate) static DNS_SERVICES: Resource = Resource {
    name: "dns_services",
    noun: "a DNS service",
    about: "What name servers tell besides the names of interfaces",
    prefix: "dnss",
    attributes: &[
        Attribute::new("network_service_uuid", Kind::Uuid("ns"), "The network service, of mode dns")
            .required(),
        Attribute::new("public_dns", Kind::List, "Servers that are asked for other names; none: refused"),
    ],
    columns: &[
        Column::new("UUID", &["/uuid"]),
        Column::new("SERVICE", &["/network_service_uuid"]),
        Column::new("PUBLIC DNS", &["/public_dns"]),
        Column::optional("LABELS", &["/labels"]),
    ],
};
