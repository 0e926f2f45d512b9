//! Rows about who carries what, and by which interface.

use serde_json::json;

use super::Answer::{Done, Page, Refused, These};
use super::{Row, missing, unknown, wrong};

/// A relation is made once, listed, and taken away once.
macro_rules! relation {
    ($owner:literal, $name:literal, $field:literal, $id:literal, $given:expr) => {{
        let rows: [Row; 7] = [
            (concat!("POST ", $owner, "/", $name, "/", $id), $given, Done(201, json!({$field: $id}))),
            (
                concat!("POST ", $owner, "/", $name, "/", $id),
                $given,
                Refused(409, "RelationAlreadyExists", "112", Some($field)),
            ),
            (concat!("GET ", $owner, "/", $name, "?limit=1"), json!({}), Page(1, json!({$field: $id}))),
            (concat!("DELETE ", $owner, "/", $name, "/", $id), json!({}), These(json!([$id]))),
            (concat!("DELETE ", $owner, "/", $name, "/", $id), json!({}), unknown($field)),
            (concat!("GET ", $owner, "/", $name), json!({}), Page(0, json!({}))),
            (concat!("POST ", $owner, "/", $name, "/", $id, "none"), $given, unknown($field)),
        ];
        rows
    }};
}

pub(super) fn rows() -> Vec<Row> {
    let none = || json!({});
    let by = || json!({"interface_uuid": "if-host"});
    let first = vec![
        (
            "POST networks",
            json!({"uuid": "nw-p", "ipv4_network": "192.0.2.0", "mode": "physical"}),
            Done(201, json!({"mode": "physical"})),
        ),
        (
            "POST interfaces",
            json!({"uuid": "if-host", "mode": "host", "owner_datapath_uuid": "dp-a", "port_name": "eth1", "network_uuid": "nw-p",
            "mac_address": "02:00:00:00:03:01", "ipv4_address": "192.0.2.1"}),
            Done(201, json!({"mode": "host"})),
        ),
        ("POST topologies", json!({"mode": "imaginary"}), wrong("mode")),
        (
            "POST topologies",
            json!({"uuid": "topo-u", "mode": "simple_underlay"}),
            Done(201, json!({"mode": "simple_underlay"})),
        ),
        ("POST datapaths/dp-a/networks/nw-b", none(), missing("interface_uuid")),
        (
            "POST datapaths/dp-a/networks/nw-b",
            json!({"interface_uuid": "if-none"}),
            unknown("interface_uuid"),
        ),
        ("POST datapaths/dp-none/networks/nw-b", by(), unknown("uuid")),
        ("POST topologies/topo-u/datapaths/dp-a", none(), missing("interface_uuid")),
        ("POST topologies/topo-none/networks/nw-b", none(), unknown("uuid")),
    ];
    let last = vec![
        ("PUT interfaces/if-b/networks/nw-s", json!({"static": true}), Done(200, json!({"static": true}))),
        ("GET interfaces/if-b/networks", none(), Page(2, json!({"static": false}))),
        ("PUT interfaces/if-b/networks/nw-s", json!({"static": "no"}), Done(200, json!({"static": false}))),
        ("GET interfaces/if-b/networks", none(), Page(1, json!({"static": false}))),
        ("PUT interfaces/if-b/networks/nw-none", json!({"static": true}), unknown("network_uuid")),
        ("PUT interfaces/if-b/segments/seg-a", json!({"static": true}), Done(200, json!({"static": true}))),
        // What the original listed under this path were networks.
        ("GET interfaces/if-b/segments", none(), Page(1, json!({"segment_uuid": "seg-a"}))),
        ("PUT interfaces/if-b/segments/seg-a", json!({"static": false}), Done(200, json!({"static": false}))),
        ("PUT interfaces/if-b/route_links/rl-a", json!({"static": true}), Done(200, json!({"static": true}))),
        ("GET interfaces/if-b/route_links", none(), Page(1, json!({"route_link_uuid": "rl-a"}))),
        (
            "PUT interfaces/if-b/route_links/rl-a",
            json!({"static": false}),
            Done(200, json!({"static": false})),
        ),
        (
            "POST segments",
            json!({"uuid": "seg-t", "mode": "virtual", "topology_uuid": "topo-a"}),
            Done(201, none()),
        ),
        ("POST route_links", json!({"uuid": "rl-t", "topology_uuid": "topo-a"}), Done(201, none())),
        (
            "POST networks",
            json!({"uuid": "nw-t", "ipv4_network": "10.3.0.0", "topology_uuid": "topo-none"}),
            unknown("topology_uuid"),
        ),
        (
            "POST networks",
            json!({"uuid": "nw-t", "ipv4_network": "10.3.0.0", "topology_uuid": "topo-a"}),
            Done(201, none()),
        ),
        ("GET topologies/topo-a/networks", none(), Page(1, json!({"network_uuid": "nw-t"}))),
        ("DELETE topologies/topo-u", none(), These(json!(["topo-u"]))),
        ("GET topologies/topo-u/networks", none(), unknown("uuid")),
    ];
    let relations = [
        relation!("datapaths/dp-a", "networks", "network_uuid", "nw-b", by()),
        relation!("datapaths/dp-a", "segments", "segment_uuid", "seg-a", by()),
        relation!("datapaths/dp-a", "route_links", "route_link_uuid", "rl-a", by()),
        relation!("topologies/topo-u", "datapaths", "datapath_uuid", "dp-a", by()),
        relation!("topologies/topo-u", "mac_range_groups", "mac_range_group_uuid", "mrg-a", none()),
        relation!("topologies/topo-a", "networks", "network_uuid", "nw-b", none()),
        relation!("topologies/topo-a", "segments", "segment_uuid", "seg-a", none()),
        relation!("topologies/topo-a", "route_links", "route_link_uuid", "rl-a", none()),
        relation!("topologies/topo-a", "underlays", "underlay_uuid", "topo-u", none()),
    ];
    first.into_iter().chain(relations.into_iter().flatten()).chain(last).collect()
}
