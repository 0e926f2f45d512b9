//! Placement over HTTP: what datapaths carry, what is in topologies, and what interfaces have to do with.

use serde_json::{Value, json};

use crate::support::{Client, Lab};

/// A host with a host interface, two networks, a segment, a router, and a topology of each mode.
async fn prepare(client: &Client) {
    for (path, body) in [
        ("topologies", json!({"uuid": "topo-u", "mode": "simple_underlay"})),
        ("topologies", json!({"uuid": "topo-o", "mode": "simple_overlay"})),
        ("datapaths", json!({"uuid": "dp-a", "dpid": "0xa", "node_id": "vna-a"})),
        ("networks", json!({"uuid": "nw-p", "mode": "physical", "ipv4_network": "192.0.2.0"})),
        (
            "interfaces",
            json!({"uuid": "if-u", "mode": "host", "owner_datapath_uuid": "dp-a", "port_name": "eth1",
                "network_uuid": "nw-p", "mac_address": "02:00:00:00:00:01", "ipv4_address": "192.0.2.1"}),
        ),
        ("segments", json!({"uuid": "seg-a", "mode": "virtual"})),
        ("networks", json!({"uuid": "nw-a", "ipv4_network": "10.0.0.0", "segment_uuid": "seg-a"})),
        ("networks", json!({"uuid": "nw-b", "ipv4_network": "10.0.1.0"})),
        ("route_links", json!({"uuid": "rl-a"})),
        ("mac_range_groups", json!({"uuid": "mrg-a"})),
    ] {
        client.post(path, body).await.expect_status(201);
    }
}

/// Makes a relation, finds it where it is listed, is refused another one, and takes it away.
async fn check(
    client: &Client,
    owner: &str,
    (name, field, id): (&str, &str, &str),
    given: Value,
    shown: Value,
) {
    let path = format!("{owner}/{name}/{id}");
    let made = client.post(&path, given.clone()).await.expect_status(201).expect(shown.clone());
    assert_eq!(made.body[field], id, "{path}");
    let collection = format!("{owner}/{name}");
    assert_eq!(made.header("location"), Some(format!("/api/1.0/{collection}").as_str()));
    let list = client.get(&collection).await.expect_status(200);
    assert_eq!((list.ids(), list.body["total_count"].clone()), (vec![id], json!(1)), "{path}");
    assert_eq!(list.body["items"][0][field], id);
    for page in ["limit=0", "offset=1", &format!("{field}=none")] {
        let listed = client.get(&format!("{collection}?{page}")).await.expect_status(200);
        assert_eq!(listed.ids(), [""; 0], "{page}");
    }
    client.post(&path, given).await.expect_error(409, "RelationAlreadyExists", "112", Some(field));
    client.get(&format!("{collection}?colour=red")).await.expect_error(
        400,
        "ArgumentError",
        "110",
        Some("colour"),
    );
    assert_eq!(client.delete(&path).await.expect_status(200).body, json!([id]));
    client.delete(&path).await.expect_error(404, "UnknownUUIDResource", "100", Some(field));
    let unknown = format!("{owner}/{name}/{id}x");
    client.post(&unknown, json!({})).await.expect_error(404, "UnknownUUIDResource", "100", Some(field));
    let malformed = client.post(&format!("{owner}/{name}/x"), json!({})).await;
    malformed.expect_error(400, "InvalidUUID", "101", Some(field));
}

#[tokio::test]
async fn relations_are_made_listed_and_taken_away_under_their_owner() {
    let lab = Lab::start().await;
    let client = &lab.client;
    prepare(client).await;
    let by = || json!({"interface_uuid": "if-u"});
    let placed = || {
        json!({"uuid": "dp-a", "datapath_uuid": "dp-a", "interface_uuid": "if-u", "address": "192.0.2.1",
            "topology_uuid": null})
    };
    check(client, "datapaths/dp-a", ("networks", "network_uuid", "nw-a"), by(), placed()).await;
    check(client, "datapaths/dp-a", ("segments", "segment_uuid", "seg-a"), by(), placed()).await;
    check(client, "datapaths/dp-a", ("route_links", "route_link_uuid", "rl-a"), by(), placed()).await;
    let (under, over) = (json!({"topology_uuid": "topo-u"}), json!({"topology_uuid": "topo-o"}));
    check(client, "topologies/topo-u", ("datapaths", "datapath_uuid", "dp-a"), by(), under.clone()).await;
    for (name, field, id) in [
        ("networks", "network_uuid", "nw-p"),
        ("segments", "segment_uuid", "seg-a"),
        ("mac_range_groups", "mac_range_group_uuid", "mrg-a"),
    ] {
        check(client, "topologies/topo-u", (name, field, id), json!({}), under.clone()).await;
    }
    for (name, field, id) in [
        ("networks", "network_uuid", "nw-a"),
        ("route_links", "route_link_uuid", "rl-a"),
        ("underlays", "underlay_uuid", "topo-u"),
    ] {
        check(client, "topologies/topo-o", (name, field, id), json!({}), over.clone()).await;
    }
    let mac = json!({"interface_uuid": "if-u", "mac_address": "02:00:00:00:00:99"});
    client.post("datapaths/dp-a/networks/nw-b", mac.clone()).await.expect_status(201).expect(mac);
    let refused = client.post("datapaths/dp-a/networks/nw-a", json!({})).await;
    refused.expect_error(400, "MissingArgument", "111", Some("interface_uuid"));
    let refused = client.post("topologies/topo-u/route_links/rl-a", json!({})).await;
    refused.expect_error(422, "ArgumentError", "110", Some("route_link_uuid"));
    client.delete("datapaths/dp-a").await.expect_status(422);
    client.delete("interfaces/if-u").await.expect_status(200);
    assert_eq!(client.get("datapaths/dp-a/networks").await.expect_status(200).ids(), [""; 0]);
}

#[tokio::test]
async fn what_follows_from_topologies_is_shown_with_its_topology() {
    let lab = Lab::start().await;
    let client = &lab.client;
    prepare(client).await;
    client
        .post("topologies/topo-u/datapaths/dp-a", json!({"interface_uuid": "if-u"}))
        .await
        .expect_status(201);
    client.post("topologies/topo-o/underlays/topo-u", json!({})).await.expect_status(201);
    client.post("topologies/topo-u/networks/nw-p", json!({})).await.expect_status(201);
    let made = json!({"uuid": "nw-c", "ipv4_network": "10.0.2.0", "topology_uuid": "topo-o"});
    client.post("networks", made).await.expect_status(201);
    let rows = async || {
        let list = client.get("datapaths/dp-a/networks").await.expect_status(200);
        let items = list.body["items"].as_array().expect("a list").clone();
        let row = |item: Value| json!([item["network_uuid"], item["topology_uuid"], item["address"]]);
        Value::from_iter(items.into_iter().map(row))
    };
    assert_eq!(rows().await, json!([["nw-c", "topo-o", "192.0.2.1"], ["nw-p", "topo-u", "192.0.2.1"]]));
    // What is said of the host itself goes before, and what follows is the topology's to take away.
    client.post("datapaths/dp-a/networks/nw-c", json!({"interface_uuid": "if-u"})).await.expect_status(201);
    assert_eq!(rows().await, json!([["nw-c", null, "192.0.2.1"], ["nw-p", "topo-u", "192.0.2.1"]]));
    client.delete("datapaths/dp-a/networks/nw-c").await.expect_status(200);
    client.delete("datapaths/dp-a/networks/nw-c").await.expect_status(404);
    client.put("interfaces/if-u", json!({"ipv4_address": "192.0.2.7"})).await.expect_status(200);
    assert_eq!(rows().await, json!([["nw-c", "topo-o", "192.0.2.7"], ["nw-p", "topo-u", "192.0.2.7"]]));
    client.delete("topologies/topo-u/datapaths/dp-a").await.expect_status(200);
    assert_eq!(rows().await, json!([]));
}

#[tokio::test]
async fn an_interface_is_associated_by_its_leases_and_routes_and_by_word() {
    let lab = Lab::start().await;
    let client = &lab.client;
    prepare(client).await;
    let leg = json!({"uuid": "if-leg", "mode": "simulated", "enable_routing": true, "network_uuid": "nw-a",
        "mac_address": "02:00:00:00:00:02", "ipv4_address": "10.0.0.254"});
    client.post("interfaces", leg).await.expect_status(201);
    let route = json!({"interface_uuid": "if-leg", "network_uuid": "nw-a", "route_link_uuid": "rl-a",
        "ipv4_network": "10.0.0.0"});
    client.post("routes", route).await.expect_status(201);
    for (name, id) in [("networks", "nw-a"), ("segments", "seg-a"), ("route_links", "rl-a")] {
        let list = client.get(&format!("interfaces/if-leg/{name}")).await.expect_status(200);
        assert_eq!(list.ids(), [id]);
        assert_eq!(list.body["items"][0]["static"], false);
    }
    let put = async |is_static: Value| {
        client.put("interfaces/if-leg/networks/nw-b", is_static).await.expect_status(200).body["static"]
            .clone()
    };
    assert_eq!(put(json!({"static": true})).await, true);
    assert_eq!(put(json!({})).await, true);
    assert_eq!(client.get("interfaces/if-leg/networks").await.expect_status(200).ids(), ["nw-a", "nw-b"]);
    assert_eq!(client.get("interfaces/if-leg/networks?static=true").await.expect_status(200).ids(), ["nw-b"]);
    assert_eq!(put(json!({"static": false})).await, false);
    assert_eq!(client.get("interfaces/if-leg/networks").await.expect_status(200).ids(), ["nw-a"]);
    let unknown = client.put("interfaces/if-leg/networks/nw-x", json!({"static": true})).await;
    unknown.expect_error(404, "UnknownUUIDResource", "100", Some("network_uuid"));
}

#[tokio::test]
async fn a_port_that_is_not_bound_says_who_leaves_its_host_out() {
    let lab = Lab::start().await;
    let client = &lab.client;
    prepare(client).await;
    let guest = json!({"uuid": "if-g", "network_uuid": "nw-b", "port_name": "tap", "mac_address": "02:00:00:00:00:03",
        "ipv4_address": "10.0.1.1"});
    client.post("interfaces", guest).await.expect_status(201);
    let host = lab.host("host1", 1).await;
    host.shows(&["tap"]).await;
    let port = async || {
        let list = client.get("active_ports?port_name=tap").await.expect_status(200);
        let port = list.body["items"][0].clone();
        (port["interface_uuid"].clone(), port["reason"].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(port().await, (json!("if-g"), String::new()));
    client.post("topologies/topo-u/networks/nw-b", json!({})).await.expect_status(201);
    let (bound, reason) = port().await;
    assert_eq!(bound, Value::Null);
    assert!(reason.contains("topo-u leaves out of nw-b"), "{reason}");
    let status = client.get("interfaces/if-g").await.expect_status(200).body["status"].clone();
    assert!(status["reason"].as_str().is_some_and(|text| text.contains("topo-u")), "{status}");
    let uplink =
        json!({"uuid": "if-v", "mode": "host", "owner_datapath_uuid": host.datapath, "port_name": "eth1"});
    client.post("interfaces", uplink).await.expect_status(201);
    let member = format!("topologies/topo-u/datapaths/{}", host.datapath);
    client.post(&member, json!({"interface_uuid": "if-v"})).await.expect_status(201);
    assert_eq!(port().await, (json!("if-g"), String::new()));
    client.delete(&member).await.expect_status(200);
    assert_eq!(port().await.0, Value::Null);
    client.delete("topologies/topo-u").await.expect_status(200);
    assert_eq!(port().await, (json!("if-g"), String::new()));
}
