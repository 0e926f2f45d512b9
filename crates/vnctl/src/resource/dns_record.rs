//! DNS records: names besides those of interfaces.

use super::{Attribute, Column, Kind, Resource};

pub(crate) static DNS_RECORDS: Resource = Resource {
    name: "dns_records",
    noun: "a DNS record",
    about: "Names that name servers tell besides those of interfaces",
    prefix: "dnsr",
    attributes: &[
        Attribute::new("dns_service_uuid", Kind::Uuid("dnss"), "The DNS service that tells it").required(),
        Attribute::new("name", Kind::Text, "The name; several records may have one").required(),
        Attribute::new("ipv4_address", Kind::Ipv4, "It stands for this IPv4 address,"),
        Attribute::new("ipv6_address", Kind::Ipv6, "or this IPv6 address,"),
        Attribute::new("cname", Kind::Text, "or this other name"),
        Attribute::new(
            "ttl",
            Kind::Integer,
            "How long an answer may be remembered, in seconds; 300 if absent",
        ),
    ],
    columns: &[
        Column::new("UUID", &["/uuid"]),
        Column::new("SERVICE", &["/dns_service_uuid"]),
        Column::new("NAME", &["/name"]),
        Column::optional("IPV4", &["/ipv4_address"]),
        Column::optional("IPV6", &["/ipv6_address"]),
        Column::optional("CNAME", &["/cname"]),
        Column::new("TTL", &["/ttl"]),
        Column::optional("LABELS", &["/labels"]),
    ],
};
