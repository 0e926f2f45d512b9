//! Translations: made and changed, with their static addresses, and what is refused.

use serde_json::{Value, json};

use crate::support::Lab;

/// A lab with a leg outside that has two addresses.
async fn lab() -> Lab {
    let lab = Lab::start().await;
    let made = [
        ("networks", json!({"uuid": "nw-in", "ipv4_network": "10.0.0.0"})),
        ("networks", json!({"uuid": "nw-out", "ipv4_network": "198.51.100.0"})),
        (
            "interfaces",
            json!({"uuid": "if-out", "mode": "simulated", "enable_routing": true, "enable_route_translation": true,
                "network_uuid": "nw-out", "mac_address": "02:00:00:00:00:01", "ipv4_address": "198.51.100.1"}),
        ),
        (
            "ip_leases",
            json!({"network_uuid": "nw-out", "interface_uuid": "if-out", "ipv4_address": "198.51.100.2",
                "enable_routing": true}),
        ),
        ("route_links", json!({"uuid": "rl-1"})),
        ("translations", json!({"uuid": "tr-1", "interface_uuid": "if-out", "mode": "static_address"})),
    ];
    for (collection, attributes) in made {
        lab.client.post(collection, attributes).await.expect_status(201);
    }
    lab
}

const PATH: &str = "translations/tr-1/static_address";

fn entry() -> Value {
    json!({"ingress_ipv4_address": "198.51.100.1", "egress_ipv4_address": "10.0.0.1", "ingress_port_number": 80,
        "egress_port_number": 8080, "protocol": "tcp", "route_link_uuid": "rl-1"})
}

#[tokio::test]
async fn static_addresses_are_added_listed_and_removed() {
    let lab = lab().await;
    let client = &lab.client;
    client.get("interfaces/if-out").await.expect(json!({"enable_route_translation": true}));
    client.get("ip_leases?enable_routing=true").await.expect(json!({"total_count": 1}));
    let added = client.post(PATH, entry()).await.expect_status(201).expect(entry());
    assert_eq!(added.header("location"), Some(format!("/api/1.0/{PATH}").as_str()));
    // As the original sent them: in the query, as texts.
    let query = "ingress_ipv4_address=198.51.100.2&egress_ipv4_address=10.0.0.2";
    client.post(&format!("{PATH}?{query}"), json!({})).await.expect_status(201);
    client.get(PATH).await.expect(json!({"total_count": 2}));
    client
        .get(&format!("{PATH}?ingress_port_number=80"))
        .await
        .expect(json!({"total_count": 1, "items": [added.body]}));
    let shown = client.get("translations/tr-1").await.expect_status(200);
    assert_eq!(shown.body["static_addresses"].as_array().map(Vec::len), Some(2));

    let gone = client.delete(&format!("{PATH}?{query}")).await.expect_status(200);
    assert_eq!(gone.body[0]["ingress_ipv4_address"], "198.51.100.2");
    let again = client.delete(&format!("{PATH}?{query}")).await;
    again.expect_error(404, "UnknownResource", "114", Some("ingress_ipv4_address"));
    let none = client.get("translations/tr-none/static_address").await;
    none.expect_error(404, "UnknownUUIDResource", "100", Some("uuid"));
    let whole = json!({"static_addresses": [entry(), {"ingress_ipv4_address": "198.51.100.2",
        "egress_ipv4_address": "10.0.0.3"}]});
    let put = client.put("translations/tr-1", whole).await.expect_status(200);
    assert_eq!(put.body["static_addresses"][0]["number"], added.body["number"]);
}

#[tokio::test]
async fn a_static_address_that_makes_no_sense_is_refused_by_name() {
    let lab = lab().await;
    lab.client.post(PATH, entry()).await.expect_status(201);
    let cases = [
        (json!({"egress_ipv4_address": null}), 400, "MissingArgument", "111", "egress_ipv4_address"),
        (json!({"ingress_port_number": null}), 400, "MissingArgument", "111", "ingress_port_number"),
        (json!({"ingress_port_number": 0}), 400, "ArgumentError", "110", "ingress_port_number"),
        (json!({"ingress_port_number": 65536}), 400, "ArgumentError", "110", "ingress_port_number"),
        (json!({"protocol": "icmp"}), 400, "ArgumentError", "110", "protocol"),
        (json!({"colour": "red"}), 400, "ArgumentError", "110", "colour"),
        (json!({"route_link_uuid": "rl-none"}), 404, "UnknownUUIDResource", "100", "route_link_uuid"),
        (
            json!({"ingress_ipv4_address": "198.51.100.9"}),
            422,
            "ArgumentError",
            "110",
            "ingress_ipv4_address",
        ),
        (
            json!({"egress_ipv4_address": "10.0.0.2"}),
            409,
            "RelationAlreadyExists",
            "112",
            "ingress_port_number",
        ),
        (json!({"ingress_port_number": 81}), 409, "RelationAlreadyExists", "112", "egress_port_number"),
    ];
    for (change, status, name, code, field) in cases {
        let mut attributes = entry();
        attributes.as_object_mut().expect("an object").extend(change.as_object().expect("an object").clone());
        lab.client.post(PATH, attributes).await.expect_error(status, name, code, Some(field));
    }
}

#[tokio::test]
async fn a_source_translation_says_which_hosts_have_no_share() {
    let lab = lab().await;
    let client = &lab.client;
    let attributes = json!({"uuid": "tr-2", "interface_uuid": "if-out", "mode": "source",
        "source_network_uuid": "nw-in", "external_addresses": ["198.51.100.2"]});
    let made = client.post("translations", attributes).await.expect_status(201);
    made.expect(json!({"hosts_without_ports": [], "source_prefixes": [], "passthrough": false}));
    let change = json!({"passthrough": true, "source_prefixes": "10.1.2.3/16"});
    let changed = client.put("translations/tr-2", change).await.expect_status(200);
    changed.expect(json!({"passthrough": true, "source_prefixes": ["10.1.0.0/16"]}));
    // An address has ports for 63 hosts; guests are on the first and on the last but one of 65.
    for host in 0..65 {
        let node = format!("host{host}");
        let attributes =
            json!({"uuid": format!("dp-{host}"), "dpid": format!("{:x}", host + 1), "node_id": node});
        client.post("datapaths", attributes).await.expect_status(201);
    }
    for (host, expected) in [(0, json!([])), (63, json!(["dp-63"]))] {
        // A server that is on one host alone is there without an agent.
        let attributes = json!({"mode": "simulated", "network_uuid": "nw-in", "owner_datapath_uuid": format!("dp-{host}"),
            "mac_address": format!("02:00:00:00:01:{host:02x}")});
        client.post("interfaces", attributes).await.expect_status(201);
        client.get("translations/tr-2").await.expect(json!({"hosts_without_ports": expected}));
    }
    let more = json!({"external_addresses": ["198.51.100.2", "198.51.100.1"]});
    client.put("translations/tr-2", more).await.expect_status(200).expect(json!({"hosts_without_ports": []}));
}
