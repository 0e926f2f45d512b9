//! What is where: interfaces, networks, segments, route links, ports and tunnels, as hosts come and go.

use serde_json::{Value, json};

use crate::support::{Client, Lab};

/// The rows of a list, each as the values of these attributes.
async fn rows(client: &Client, path: &str, attributes: &[&str]) -> Vec<Vec<Value>> {
    let list = client.get(path).await.expect_status(200);
    let items = list.body["items"].as_array().expect("a list");
    assert_eq!(list.body["total_count"], items.len(), "{path}");
    items.iter().map(|item| attributes.iter().map(|name| item[name].clone()).collect()).collect()
}

/// Two networks that a router joins, with a guest in each, and a segment without any.
async fn prepare(client: &Client) {
    let leg = |id: &str, network: &str, mac: &str, address: &str| {
        json!({"uuid": id, "mode": "simulated", "enable_routing": true, "network_uuid": network,
            "mac_address": mac, "ipv4_address": address})
    };
    let guest = |id: &str, network: &str, mac: &str, address: &str, port: &str| {
        json!({"uuid": id, "network_uuid": network, "mac_address": mac, "ipv4_address": address,
            "port_name": port})
    };
    let route = |id: &str, leg: &str, network: &str, prefix: &str| {
        json!({"uuid": id, "route_link_uuid": "rl-a", "interface_uuid": leg, "network_uuid": network,
            "ipv4_network": prefix})
    };
    for (path, body) in [
        ("segments", json!({"uuid": "seg-a", "mode": "virtual"})),
        ("networks", json!({"uuid": "nw-a", "ipv4_network": "10.0.1.0"})),
        ("networks", json!({"uuid": "nw-b", "ipv4_network": "10.0.2.0"})),
        ("interfaces", guest("if-a", "nw-a", "02:00:00:00:01:01", "10.0.1.1", "tap-a")),
        ("interfaces", guest("if-b", "nw-b", "02:00:00:00:02:01", "10.0.2.1", "tap-b")),
        ("interfaces", leg("if-la", "nw-a", "02:00:00:00:01:fe", "10.0.1.254")),
        ("interfaces", leg("if-lb", "nw-b", "02:00:00:00:02:fe", "10.0.2.254")),
        ("route_links", json!({"uuid": "rl-a"})),
        ("routes", route("r-a", "if-la", "nw-a", "10.0.1.0")),
        ("routes", route("r-b", "if-lb", "nw-b", "10.0.2.0")),
    ] {
        client.post(path, body).await.expect_status(201);
    }
}

#[tokio::test]
async fn what_a_host_needs_is_active_there_and_nowhere_else() {
    let lab = Lab::start().await;
    let client = &lab.client;
    prepare(client).await;
    let interfaces = ["interface_uuid", "node_id", "port_name", "singular"];
    for list in ["interfaces", "networks", "segments", "route_links", "ports"] {
        assert_eq!(rows(client, &format!("active_{list}"), &[]).await.len(), 0, "{list}");
    }

    let one = lab.host("host1", 1).await;
    one.shows(&["tap-a", "tap-x"]).await;
    let expected = json!([
        ["if-a", "host1", "tap-a", true],
        ["if-la", "host1", null, false],
        ["if-lb", "host1", null, false]
    ]);
    assert_eq!(json!(rows(client, "active_interfaces", &interfaces).await), expected);
    // The network behind the router is known there too.
    let networks = rows(client, "active_networks", &["network_uuid", "node_id"]).await;
    assert_eq!(json!(networks), json!([["nw-a", "host1"], ["nw-b", "host1"]]));
    let routers = rows(client, "active-route-links.json", &["route_link_uuid", "node_id"]).await;
    assert_eq!(json!(routers), json!([["rl-a", "host1"]]));
    let ports = ["node_id", "port_name", "mode", "interface_uuid"];
    let expected = json!([["host1", "tap-a", "interface", "if-a"], ["host1", "tap-x", "unknown", null]]);
    assert_eq!(json!(rows(client, "active_ports", &ports).await), expected);
    assert_eq!(json!(rows(client, "active_ports?mode=unknown", &["port_name"]).await), json!([["tap-x"]]));
    assert_eq!(rows(client, "tunnels", &[]).await.len(), 0);

    let two = lab.host("host2", 2).await;
    two.shows(&["tap-b"]).await;
    let tunnels = ["src_address", "dst_address", "mode"];
    let expected = json!([["192.0.2.1", "192.0.2.2", "geneve"], ["192.0.2.2", "192.0.2.1", "geneve"]]);
    assert_eq!(json!(rows(client, "tunnels", &tunnels).await), expected);
    let from = format!("tunnels?src_datapath_uuid={}", two.datapath);
    assert_eq!(rows(client, &from, &[]).await.len(), 1);

    two.shows(&["tap-a", "tap-b"]).await;
    let path = "active_interfaces?singular=true";
    let expected = json!([["if-a", "host2", "tap-a", true], ["if-b", "host2", "tap-b", true]]);
    assert_eq!(json!(rows(client, path, &interfaces).await), expected);
    client.get("active_networks?colour=red").await.expect_error(400, "ArgumentError", "110", Some("colour"));
    let page = client.get("active_interfaces?limit=1&offset=1").await.expect_status(200);
    assert_eq!(
        (page.body["items"].as_array().map(Vec::len), page.body["offset"].clone()),
        (Some(1), json!(1))
    );
}
