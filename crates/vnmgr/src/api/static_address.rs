//! The static addresses of a translation: what stands for what.

use topology::Action;
use topology::translation::Translation;
use topology::translation::entry::{StaticAddress, StaticAddressFields, StaticAddressSpec};

use super::list::Page;
use super::part::{Parts, part_routes};

impl Parts for Translation {
    type Part = StaticAddress;
    const NAME: &'static str = "static_address";
    const VALUES: &'static [&'static str] = &[
        "number",
        "ingress_ipv4_address",
        "egress_ipv4_address",
        "ingress_ipv6_address",
        "egress_ipv6_address",
        "ingress_port_number",
        "egress_port_number",
        "protocol",
        "route_link_uuid",
    ];
    const ADD: Action = Action::AddStaticAddress;
    const REMOVE: Action = Action::RemoveStaticAddresses;

    fn parts(&self) -> Vec<StaticAddress> {
        self.static_addresses.clone()
    }
}

part_routes!(
    "translations", "static_address": Translation, StaticAddressSpec => StaticAddressFields;
    "list_static_addresses": "Lists the static addresses of a translation",
    "add_static_address": "Adds a static address to a translation",
    "remove_static_addresses": "Takes the static addresses with all the attributes given from a translation, and shows them"
);
