//! Rows about where addresses come from, and the end of it all.

use serde_json::json;

use super::Answer::{Done, Page, Refused, These};
use super::{Row, missing, unfit, unknown, wrong};

/// Ranges, policies and containers.
pub(super) fn rows() -> Vec<Row> {
    let none = || json!({});
    let exists = |field| Refused(409, "RelationAlreadyExists", "112", Some(field));
    vec![
        ("POST mac_range_groups", json!({"allocation_type": "imaginary"}), wrong("allocation_type")),
        (
            "POST mac_range_groups/mrg-a/mac_ranges",
            json!({"uuid": "mr-b", "begin_mac_address": "02:01:00:00:00:00", "end_mac_address": "02:01:00:00:00:ff"}),
            Done(201, json!({"begin_mac_address": "02:01:00:00:00:00"})),
        ),
        (
            "POST mac_range_groups/mrg-a/mac_ranges",
            json!({"begin_mac_address": "02:01:00:00:00:ff", "end_mac_address": "02:01:00:00:00:00"}),
            unfit("end_mac_address"),
        ),
        ("GET mac_range_groups/mrg-a/mac_ranges?limit=1&offset=1", none(), Page(2, json!({"uuid": "mr-b"}))),
        ("DELETE mac_range_groups/mrg-a/mac_ranges/mr-b", none(), These(json!(["mr-b"]))),
        ("DELETE mac_range_groups/mrg-a/mac_ranges/mr-b", none(), unknown("uuid")),
        (
            "POST ip_range_groups/iprg-a/ip_ranges",
            json!({"uuid": "ipr-b", "begin_ipv4_address": "10.0.0.30", "end_ipv4_address": "10.0.0.40"}),
            Done(201, json!({"end_ipv4_address": "10.0.0.40"})),
        ),
        (
            "POST ip_range_groups/iprg-a/ip_ranges",
            json!({"begin_ipv4_address": "10.0.0.40", "end_ipv4_address": "10.0.0.30"}),
            unfit("end_ipv4_address"),
        ),
        ("GET ip_range_groups/iprg-a/ip_ranges?limit=1&offset=1", none(), Page(2, json!({"uuid": "ipr-b"}))),
        ("DELETE ip_range_groups/iprg-a/ip_ranges/ipr-b", none(), These(json!(["ipr-b"]))),
        (
            "POST lease_policies",
            json!({"uuid": "lp-b", "mode": "simple", "timing": "immediate"}),
            Done(201, json!({"mode": "simple"})),
        ),
        ("POST lease_policies", json!({"timing": "yesterday"}), wrong("timing")),
        (
            "PUT lease_policies/lp-b",
            json!({"timing": "immediate"}),
            Done(200, json!({"timing": "immediate"})),
        ),
        ("POST lease_policies/lp-b/networks/nw-a", none(), missing("ip_range_group_uuid")),
        (
            "POST lease_policies/lp-b/networks/nw-none",
            json!({"ip_range_group_uuid": "iprg-a"}),
            unknown("network_uuid"),
        ),
        (
            "POST lease_policies/lp-b/networks/nw-a",
            json!({"ip_range_group_uuid": "iprg-a"}),
            Done(201, none()),
        ),
        (
            "POST lease_policies/lp-b/networks/nw-a",
            json!({"ip_range_group_uuid": "iprg-a"}),
            exists("network_uuid"),
        ),
        ("GET lease_policies/lp-b/networks", none(), Page(1, json!({"uuid": "nw-a"}))),
        ("POST lease_policies/lp-b/ip_lease_containers/ilc-a", json!({"label": "a"}), Done(201, none())),
        ("POST lease_policies/lp-b/ip_lease_containers/ilc-a", none(), exists("ip_lease_container_uuid")),
        ("POST lease_policies/lp-b/ip_lease_containers/ilc-none", none(), unknown("ip_lease_container_uuid")),
        ("GET lease_policies/lp-b/ip_lease_containers", none(), Page(1, json!({"uuid": "ilc-a"}))),
        ("POST lease_policies/lp-b/ip_retention_containers/irc-a", none(), Done(201, none())),
        (
            "POST lease_policies/lp-b/ip_retention_containers/irc-a",
            none(),
            exists("ip_retention_container_uuid"),
        ),
        ("GET lease_policies/lp-b/ip_retention_containers", none(), Page(1, json!({"uuid": "irc-a"}))),
        (
            "POST lease_policies/lp-b/ip_leases",
            json!({"ip_lease_uuid": "il-lp", "label": "a"}),
            Done(201, json!({"uuid": "il-lp", "interface_uuid": null, "network_uuid": "nw-a"})),
        ),
        ("GET ip_lease_containers/ilc-a/ip_leases", none(), Page(1, json!({"uuid": "il-lp"}))),
        (
            "GET ip_retention_containers/irc-a/ip_retentions",
            none(),
            Page(1, json!({"ip_lease_uuid": "il-lp"})),
        ),
        ("GET ip_lease_containers/ilc-none/ip_leases", none(), unknown("uuid")),
        (
            "PUT ip_retention_containers/irc-a",
            json!({"lease_time": 120, "grace_time": "60"}),
            Done(200, json!({"lease_time": 120, "grace_time": 60})),
        ),
        ("PUT ip_retention_containers/irc-a", json!({"lease_time": -1}), wrong("lease_time")),
        // The network's policy gives it an address, and the other one another.
        (
            "POST interfaces",
            json!({"uuid": "if-n", "network_uuid": "nw-a", "mac_address": "02:00:00:00:01:09"}),
            Done(201, json!({"ipv4_address": "10.0.0.11"})),
        ),
        ("POST lease_policies/lp-b/interfaces/if-n", none(), Done(201, none())),
        ("POST lease_policies/lp-b/interfaces/if-none", none(), unknown("interface_uuid")),
        ("GET lease_policies/lp-b/interfaces", none(), Page(1, json!({"uuid": "if-n"}))),
        ("GET ip_leases?interface_uuid=if-n", none(), Page(2, none())),
        ("DELETE lease_policies/lp-b/interfaces/if-n", none(), These(json!(["if-n"]))),
        ("DELETE lease_policies/lp-b/ip_lease_containers/ilc-a", none(), These(json!(["ilc-a"]))),
        ("DELETE lease_policies/lp-b/ip_lease_containers/ilc-a", none(), unknown("ip_lease_container_uuid")),
        ("DELETE lease_policies/lp-b/ip_retention_containers/irc-a", none(), These(json!(["irc-a"]))),
        ("DELETE lease_policies/lp-b/networks/nw-a", none(), These(json!(["nw-a"]))),
        // A network takes what is in it along.
        ("DELETE networks/nw-a", none(), These(json!(["nw-a"]))),
        ("GET ip_leases/il-lp", none(), unknown("uuid")),
        ("GET routes/r-a", none(), unknown("uuid")),
        ("GET interfaces/if-a", none(), Done(200, json!({"ipv4_address": null, "network_uuid": null}))),
        ("DELETE interfaces/if-a", none(), These(json!(["if-a"]))),
        ("GET filters/fil-a", none(), unknown("uuid")),
    ]
}
