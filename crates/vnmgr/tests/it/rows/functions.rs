//! Rows about what is done for guests, and to their packets.

use serde_json::json;

use super::Answer::{Done, Page, Refused, These};
use super::{Row, missing, unfit, unknown, wrong};

/// Services and routers, filters and translations.
pub(super) fn rows() -> Vec<Row> {
    let none = || json!({});
    let rule = || json!({"protocol": "tcp", "action": "pass", "src_address": "10.0.0.0/8", "dst_address": "10.0.0.1", "src_port": "1", "dst_port": 2});
    let address = || json!({"ingress_ipv4_address": "10.0.0.254", "egress_ipv4_address": "10.0.0.2", "ingress_port_number": 80, "egress_port_number": "8080", "route_link_uuid": "rl-a"});
    vec![
        ("POST network_services", json!({"mode": "imaginary", "interface_uuid": "if-leg"}), wrong("mode")),
        (
            "POST network_services",
            json!({"mode": "dhcp", "interface_uuid": "if-none"}),
            unknown("interface_uuid"),
        ),
        (
            "POST network_services",
            json!({"uuid": "ns-dhcp", "mode": "dhcp", "interface_uuid": "if-leg"}),
            Done(201, json!({"mode": "dhcp"})),
        ),
        (
            "PUT network_services/ns-dhcp",
            json!({"display_name": "addresses"}),
            Done(200, json!({"display_name": "addresses"})),
        ),
        ("POST dns_services", json!({"network_service_uuid": "ns-dhcp"}), unfit("network_service_uuid")),
        ("POST dns_services", json!({"network_service_uuid": "ns-none"}), unknown("network_service_uuid")),
        ("PUT dns_services/dnss-a", json!({"public_dns": "nonsense"}), wrong("public_dns[0]")),
        (
            "POST dns_services/dnss-a/dns_records",
            json!({"uuid": "dnsr-b", "name": "b", "ipv4_address": "10.0.1.1"}),
            Done(201, json!({"uuid": "dnsr-b", "ipv4_address": "10.0.1.1"})),
        ),
        (
            "POST dns_services/dnss-a/dns_records",
            json!({"name": "c", "ipv4_address": "10.0.1"}),
            wrong("ipv4_address"),
        ),
        ("POST dns_services/dnss-a/dns_records", json!({"ipv4_address": "10.0.1.1"}), missing("name")),
        (
            "POST dns_services/dnss-none/dns_records",
            json!({"name": "c", "ipv4_address": "10.0.1.1"}),
            unknown("uuid"),
        ),
        ("GET dns_services/dnss-a/dns_records?limit=1&offset=1", none(), Page(2, json!({"uuid": "dnsr-b"}))),
        ("DELETE dns_services/dnss-none/dns_records/dnsr-b", none(), unknown("uuid")),
        ("DELETE dns_services/dnss-a/dns_records/dnsr-b", none(), These(json!(["dnsr-b"]))),
        ("DELETE dns_services/dnss-a/dns_records/dnsr-b", none(), unknown("uuid")),
        ("POST route_links", json!({"mac_address": "nonsense"}), wrong("mac_address")),
        ("POST route_links", json!({"uuid": "rl-b"}), Done(201, none())),
        (
            "POST routes",
            json!({"interface_uuid": "if-leg", "network_uuid": "nw-a", "route_link_uuid": "rl-none", "ipv4_network": "10.0.0.0"}),
            unknown("route_link_uuid"),
        ),
        (
            "POST routes",
            json!({"interface_uuid": "if-leg", "network_uuid": "nw-a", "route_link_uuid": "rl-b", "ipv4_network": "0.0.0.0", "ipv4_prefix": 33}),
            wrong("ipv4_prefix"),
        ),
        ("DELETE route_links/rl-b", none(), These(json!(["rl-b"]))),
        ("POST filters/fil-a/static", rule(), Done(201, json!({"protocol": "tcp", "action": "pass"}))),
        ("POST filters/fil-a/static", json!({"action": "pass"}), missing("protocol")),
        ("POST filters/fil-a/static", json!({"protocol": "tcp"}), missing("action")),
        ("POST filters/fil-a/static", json!({"protocol": "smoke", "action": "pass"}), wrong("protocol")),
        (
            "POST filters/fil-a/static",
            json!({"protocol": "tcp", "action": "pass", "dst_port": 65536}),
            wrong("dst_port"),
        ),
        (
            "POST filters/fil-a/static",
            json!({"protocol": "tcp", "action": "pass", "src_address": "10.0.0.0/99"}),
            wrong("src_address"),
        ),
        ("POST filters/fil-none/static", rule(), unknown("uuid")),
        ("GET filters/fil-a/static?limit=1", none(), Page(1, json!({"protocol": "tcp"}))),
        (
            "DELETE filters/fil-a/static",
            json!({"protocol": "udp", "action": "pass"}),
            Refused(404, "UnknownResource", "114", Some("protocol")),
        ),
        ("DELETE filters/fil-a/static", rule(), Done(200, none())),
        ("GET filters/fil-a/static", none(), Page(0, none())),
        ("POST translations", json!({"interface_uuid": "if-leg", "mode": "imaginary"}), wrong("mode")),
        (
            "POST translations/tr-a/static_address",
            address(),
            Done(201, json!({"ingress_ipv4_address": "10.0.0.254", "egress_port_number": 8080})),
        ),
        (
            "POST translations/tr-a/static_address",
            json!({"ingress_ipv4_address": "10.0.0.254"}),
            missing("egress_ipv4_address"),
        ),
        (
            "POST translations/tr-a/static_address",
            json!({"ingress_ipv4_address": "192.0.2.9", "egress_ipv4_address": "10.0.0.9", "route_link_uuid": "rl-none"}),
            unknown("route_link_uuid"),
        ),
        (
            "GET translations/tr-a/static_address",
            none(),
            Page(1, json!({"ingress_ipv4_address": "10.0.0.254"})),
        ),
        (
            "DELETE translations/tr-a/static_address",
            json!({"ingress_ipv4_address": "192.0.2.77", "egress_ipv4_address": "10.0.0.2"}),
            Refused(404, "UnknownResource", "114", Some("ingress_ipv4_address")),
        ),
        ("DELETE translations/tr-a/static_address", address(), Done(200, none())),
        ("GET translations/tr-a/static_address", none(), Page(0, none())),
    ]
}
