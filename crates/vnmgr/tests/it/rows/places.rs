//! Rows about what there is, and its addresses.

use serde_json::json;

use super::Answer::{Done, Page, Refused, These};
use super::{Row, missing, unfit, unknown, wrong};

/// Datapaths, networks, segments and interfaces.
pub(super) fn rows() -> Vec<Row> {
    let none = || json!({});
    vec![
        ("POST datapaths", json!({"dpid": "0x1g", "node_id": "b"}), wrong("dpid")),
        (
            "POST datapaths",
            json!({"uuid": "dp-b", "dpid": "b", "node_id": "b", "display_name": "two"}),
            Done(201, json!({"dpid": "0x000000000000000b"})),
        ),
        // What the original took, and dropped.
        (
            "PUT datapaths/dp-b",
            json!({"dpid": "0x00c", "node_id": "c"}),
            Done(200, json!({"dpid": "0x000000000000000c", "node_id": "c"})),
        ),
        ("POST networks", none(), missing("ipv4_network")),
        (
            "POST networks",
            json!({"uuid": "nw-b", "ipv4_network": "10.0.0.0", "ipv4_prefix": "16", "mode": "physical", "network_mode": "virtual"}),
            Done(201, json!({"mode": "virtual", "ipv4_prefix": 16, "domain_name": "b"})),
        ),
        ("POST networks", json!({"ipv4_network": "10.0.0.0", "ipv4_prefix": 33}), wrong("ipv4_prefix")),
        ("POST networks", json!({"ipv4_network": "10.0.0.0", "ipv4_prefix": "many"}), wrong("ipv4_prefix")),
        ("POST networks", json!({"ipv4_network": "10.0.0.0", "mode": "imaginary"}), wrong("mode")),
        (
            "POST networks",
            json!({"uuid": "nw-s", "ipv4_network": "10.2.0.0", "segment_uuid": "seg-a"}),
            Done(201, json!({"segment_uuid": "seg-a"})),
        ),
        (
            "POST networks",
            json!({"ipv4_network": "10.2.0.0", "segment_uuid": "seg-none"}),
            unknown("segment_uuid"),
        ),
        (
            "PUT networks/nw-b",
            json!({"display_name": "b", "domain_name": "b.example"}),
            Done(200, json!({"domain_name": "b.example"})),
        ),
        ("POST segments", json!({"mode": "imaginary"}), wrong("mode")),
        ("POST interfaces", json!({"mode": "imaginary"}), wrong("mode")),
        (
            "POST interfaces",
            json!({"uuid": "if-b", "network_uuid": "nw-b", "mac_address": "02:00:00:00:01:01", "ipv4_address": "10.0.1.1", "owner_datapath_uuid": "dp-a", "port_name": "tap-b", "display_name": "b", "enable_filtering": "t"}),
            Done(
                201,
                json!({"ipv4_address": "10.0.1.1", "network_uuid": "nw-b", "enable_filtering": true, "enable_routing": false}),
            ),
        ),
        (
            "POST interfaces",
            json!({"network_uuid": "nw-b", "mac_address": "02:00:00:00:01:02", "ipv4_address": "10.9.0.1"}),
            unfit("ipv4_address"),
        ),
        ("POST interfaces", json!({"network_uuid": "nw-b", "mac_address": "nonsense"}), wrong("mac_address")),
        (
            "POST interfaces",
            json!({"network_uuid": "nw-b", "enable_routing": "perhaps"}),
            wrong("enable_routing"),
        ),
        (
            "POST interfaces",
            json!({"network_uuid": "nw-s", "segment_uuid": "seg-none"}),
            unknown("segment_uuid"),
        ),
        (
            "POST interfaces",
            json!({"network_uuid": "nw-b", "mac_range_group_uuid": "mrg-none"}),
            unknown("mac_range_group_uuid"),
        ),
        (
            "POST interfaces",
            json!({"uuid": "if-r", "network_uuid": "nw-b", "mac_range_group_uuid": "mrg-a", "ipv4_address": "10.0.1.2"}),
            Done(201, json!({"ipv4_address": "10.0.1.2"})),
        ),
        (
            "PUT interfaces/if-b",
            json!({"display_name": "bb", "enable_routing": 1, "enable_filtering": "no", "enable_route_translation": "y", "owner_datapath_uuid": "dp-b"}),
            Done(
                200,
                json!({"display_name": "bb", "enable_routing": true, "enable_filtering": false, "enable_route_translation": true, "owner_datapath_uuid": "dp-b"}),
            ),
        ),
        (
            "POST interfaces/if-b/ports",
            json!({"datapath_uuid": "dp-a", "port_name": "tap-bb", "singular": true}),
            Done(
                201,
                json!({"interface_uuid": "if-b", "datapath_uuid": "dp-a", "port_name": "tap-bb", "singular": true, "interface_mode": "vif"}),
            ),
        ),
        (
            "POST interfaces/if-b/ports",
            json!({"datapath_uuid": "dp-none", "port_name": "x"}),
            unknown("datapath_uuid"),
        ),
        ("POST interfaces/if-none/ports", json!({"port_name": "x"}), unknown("uuid")),
        ("GET interfaces/if-b/ports?limit=1&offset=1", none(), Page(2, json!({"port_name": "tap-bb"}))),
        (
            "DELETE interfaces/if-b/ports?port_name=nothing",
            none(),
            Refused(404, "UnknownResource", "114", Some("port_name")),
        ),
        ("DELETE interfaces/if-b/ports?datapath_uuid=dp-a", none(), Done(200, none())),
        ("GET interfaces/if-b/ports", none(), Page(1, json!({"port_name": "tap-b"}))),
    ]
}

/// Leases.
pub(super) fn leases() -> Vec<Row> {
    let none = || json!({});
    vec![
        (
            "POST mac_leases",
            json!({"uuid": "ml-b", "interface_uuid": "if-b", "mac_address": "02:00:00:00:01:03"}),
            Done(201, json!({"mac_address": "02:00:00:00:01:03"})),
        ),
        (
            "POST mac_leases",
            json!({"interface_uuid": "if-none", "mac_address": "02:00:00:00:01:04"}),
            unknown("interface_uuid"),
        ),
        (
            "POST mac_leases",
            json!({"interface_uuid": "if-b", "mac_address": "02:00:00:00:01:05", "segment_uuid": "seg-none"}),
            unknown("segment_uuid"),
        ),
        (
            "PUT mac_leases/ml-b",
            json!({"interface_uuid": "if-r"}),
            Done(200, json!({"interface_uuid": "if-r"})),
        ),
        (
            "POST ip_leases",
            json!({"uuid": "il-b", "network_uuid": "nw-b", "ipv4_address": "10.0.1.3", "interface_uuid": "if-b"}),
            Done(201, json!({"interface_uuid": "if-b", "enable_routing": false})),
        ),
        (
            "POST ip_leases",
            json!({"network_uuid": "nw-b", "ipv4_address": "10.0.1.4", "interface_uuid": "if-none"}),
            unknown("interface_uuid"),
        ),
        (
            "POST ip_leases",
            json!({"network_uuid": "nw-b", "ipv4_address": "10.0.1.4", "mac_lease_uuid": "ml-none"}),
            unknown("mac_lease_uuid"),
        ),
        (
            "POST ip_leases",
            json!({"uuid": "il-m", "network_uuid": "nw-b", "ipv4_address": "10.0.1.5", "mac_lease_uuid": "ml-b"}),
            Done(201, json!({"interface_uuid": "if-r", "mac_lease_uuid": "ml-b"})),
        ),
        (
            "POST ip_leases",
            json!({"network_uuid": "nw-b", "ipv4_address": "10.0.1.5"}),
            Refused(409, "RelationAlreadyExists", "112", Some("ipv4_address")),
        ),
        ("PUT ip_leases/il-b", json!({"enable_routing": true}), Done(200, json!({"enable_routing": true}))),
        ("PUT ip_leases/il-b/attach", json!({"interface_uuid": "if-r"}), unfit("interface_uuid")),
        (
            "PUT ip_leases/il-b/release",
            none(),
            Done(200, json!({"interface_uuid": null, "mac_lease_uuid": null})),
        ),
        ("PUT ip_leases/il-b/release", none(), unfit("uuid")),
        ("PUT ip_leases/il-b/attach", json!({"interface_uuid": "if-none"}), unknown("interface_uuid")),
        (
            "PUT ip_leases/il-b/attach",
            json!({"mac_lease_uuid": "ml-b"}),
            Done(200, json!({"interface_uuid": "if-r", "mac_lease_uuid": "ml-b"})),
        ),
        ("PUT ip_leases/il-none/release", none(), unknown("uuid")),
        ("DELETE ip_leases/il-m", none(), These(json!(["il-m"]))),
        ("DELETE mac_leases/ml-b", none(), These(json!(["ml-b"]))),
    ]
}
