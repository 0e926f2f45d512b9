//! Network services: what simulated interfaces answer.

use super::{Attribute, Column, Kind, Resource};

pub(crate) static NETWORK_SERVICES: Resource = Resource {
    name: "network_services",
    noun: "a network service",
    about: "What simulated interfaces answer besides ARP and ping",
    prefix: "ns",
    attributes: &[
        Attribute::new("mode", Kind::OneOf(&["dhcp", "dns", "metadata"]), "What it does").required(),
        Attribute::new("interface_uuid", Kind::Uuid("if"), "The simulated interface that answers").required(),
        Attribute::new("display_name", Kind::Text, "A name for people"),
        Attribute::new(
            "lease_time",
            Kind::Integer,
            "How long guests may keep an address, in seconds; 86400 if absent",
        ),
        Attribute::new(
            "dns_servers",
            Kind::List,
            "Name servers that guests are told of; those in their network if absent",
        ),
        Attribute::new("ntp_servers", Kind::List, "Time servers that guests are told of"),
        Attribute::new("metadata_server", Kind::Text, "Where hosts find the metadata server, ADDRESS:PORT"),
        Attribute::new("metadata_secret", Kind::Secret, "With what requests to it are signed; never shown")
            .shown_as("has_metadata_secret"),
    ],
    columns: &[
        Column::new("UUID", &["/uuid"]),
        Column::optional("NAME", &["/display_name"]),
        Column::new("MODE", &["/mode"]),
        Column::new("INTERFACE", &["/interface_uuid"]),
        Column::optional("DNS", &["/dns_servers"]),
        Column::optional("NTP", &["/ntp_servers"]),
        Column::optional("METADATA", &["/metadata_server"]),
        Column::new("LEASE", &["/lease_time"]),
        Column::optional("LABELS", &["/labels"]),
    ],
};
