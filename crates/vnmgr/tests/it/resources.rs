//! Every resource: made, shown, listed, changed and deleted, and what is refused.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::Lab;

/// A resource with what it needs, what makes it, a change, and what is shown then.
struct Sample {
    collection: &'static str,
    uuid: &'static str,
    create: Value,
    shown: Value,
    change: Value,
    changed: Value,
}

/// Each can be made once those before it are there.
fn samples() -> Vec<Sample> {
    vec![
        Sample {
            collection: "datapaths",
            uuid: "dp-a",
            create: json!({"dpid": "0xa", "node_id": "host-a"}),
            shown: json!({"dpid": "0x000000000000000a", "display_name": "host-a", "underlay": null,
                "connected": false}),
            change: json!({"display_name": "rack 1"}),
            changed: json!({"display_name": "rack 1", "node_id": "host-a"}),
        },
        Sample {
            collection: "segments",
            uuid: "seg-a",
            create: json!({"mode": "virtual"}),
            shown: json!({"mode": "virtual", "mtu": 1438}),
            change: json!({"display_name": "wire"}),
            changed: json!({"display_name": "wire"}),
        },
        Sample {
            collection: "networks",
            uuid: "nw-a",
            create: json!({"ipv4_network": "10.0.0.0", "ipv6_network": "fd00::"}),
            shown: json!({"ipv4_prefix": 24, "ipv6_prefix": 64, "domain_name": "a", "mtu": 1438}),
            change: json!({"domain_name": "a.example", "labels": {"tier": "web"}}),
            changed: json!({"domain_name": "a.example", "labels": {"tier": "web"}}),
        },
        Sample {
            collection: "interfaces",
            uuid: "if-a",
            create: json!({"network_uuid": "nw-a", "mac_address": "10:54:FF:00:00:01", "port_name": "tap1",
                "ipv4_address": "10.0.0.1", "ipv6_address": "fd00::1"}),
            shown: json!({"mac_address": "10:54:ff:00:00:01", "ipv4_address": "10.0.0.1",
                "ipv6_address": "fd00::1", "network_uuid": "nw-a", "port_name": "tap1", "mtu": 1438,
                "owner_datapath_uuid": null}),
            change: json!({"ipv4_address": "10.0.0.2", "admin_state": "down", "owner_datapath_uuid": "dp-a"}),
            changed: json!({"ipv4_address": "10.0.0.2", "admin_state": "down", "owner_datapath_uuid": "dp-a",
                "ipv6_address": "fd00::1"}),
        },
        Sample {
            collection: "mac_leases",
            uuid: "ml-a",
            create: json!({"interface_uuid": "if-a", "mac_address": "10:54:ff:00:00:02"}),
            shown: json!({"interface_uuid": "if-a", "segment_uuid": null}),
            change: json!({"mac_address": "10:54:ff:00:00:03"}),
            changed: json!({"mac_address": "10:54:ff:00:00:03"}),
        },
        Sample {
            collection: "ip_leases",
            uuid: "il-a",
            create: json!({"network_uuid": "nw-a", "ipv4_address": "10.0.0.9"}),
            shown: json!({"ipv4_address": "10.0.0.9", "ipv6_address": null, "interface_uuid": null,
                "mac_lease_uuid": null}),
            change: json!({"ipv4_address": "10.0.0.8"}),
            changed: json!({"ipv4_address": "10.0.0.8"}),
        },
        Sample {
            collection: "mac_range_groups",
            uuid: "mrg-a",
            create: json!({}),
            shown: json!({"allocation_type": "random"}),
            change: json!({"allocation_type": "decremental"}),
            changed: json!({"allocation_type": "decremental"}),
        },
        Sample {
            collection: "mac_ranges",
            uuid: "mr-a",
            create: json!({"mac_range_group_uuid": "mrg-a", "begin_mac_address": "52:54:00:00:00:00",
                "end_mac_address": "52-54-00-00-00-FF"}),
            shown: json!({"end_mac_address": "52:54:00:00:00:ff"}),
            change: json!({"end_mac_address": "52:54:00:00:ff:ff"}),
            changed: json!({"begin_mac_address": "52:54:00:00:00:00", "end_mac_address": "52:54:00:00:ff:ff"}),
        },
        Sample {
            collection: "ip_range_groups",
            uuid: "iprg-a",
            create: json!({}),
            shown: json!({"allocation_type": "incremental"}),
            change: json!({"allocation_type": "random"}),
            changed: json!({"allocation_type": "random"}),
        },
        Sample {
            collection: "ip_ranges",
            uuid: "ipr-a",
            create: json!({"ip_range_group_uuid": "iprg-a", "begin_ipv4_address": "10.0.0.10",
                "end_ipv4_address": "10.0.0.20"}),
            shown: json!({"begin_ipv4_address": "10.0.0.10"}),
            change: json!({"begin_ipv4_address": "10.0.0.11"}),
            changed: json!({"begin_ipv4_address": "10.0.0.11", "end_ipv4_address": "10.0.0.20"}),
        },
        Sample {
            collection: "ip_lease_containers",
            uuid: "ilc-a",
            create: json!({}),
            shown: json!({"project": "default"}),
            change: json!({"labels": {"tier": "web"}}),
            changed: json!({"labels": {"tier": "web"}}),
        },
        Sample {
            collection: "ip_retention_containers",
            uuid: "irc-a",
            create: json!({"lease_time": "60"}),
            shown: json!({"lease_time": 60, "grace_time": null}),
            change: json!({"lease_time": null, "grace_time": 30}),
            changed: json!({"lease_time": null, "grace_time": 30}),
        },
        Sample {
            collection: "lease_policies",
            uuid: "lp-a",
            create: json!({"networks": [{"network_uuid": "nw-a", "ip_range_group_uuid": "iprg-a"}]}),
            shown: json!({"mode": "simple", "timing": "immediate",
                "networks": [{"network_uuid": "nw-a", "ip_range_group_uuid": "iprg-a"}]}),
            change: json!({"timing": "immediate", "ip_retention_containers": ["irc-a"]}),
            changed: json!({"ip_retention_containers": ["irc-a"]}),
        },
    ]
}

async fn make_all(lab: &Lab) {
    for Sample { collection, uuid, mut create, .. } in samples() {
        create["uuid"] = uuid.into();
        lab.client.post(collection, create).await.expect_status(201);
    }
}

#[tokio::test]
async fn every_resource_is_made_shown_listed_changed_and_deleted() {
    let lab = Lab::start().await;
    let client = &lab.client;
    for Sample { collection, uuid, mut create, shown, change, changed } in samples() {
        let path = format!("{collection}/{uuid}");
        client.get(&path).await.expect_error(404, "UnknownUUIDResource", "100", Some("uuid"));
        create["uuid"] = uuid.into();
        let made = client.post(collection, create.clone()).await.expect_status(201).expect(shown);
        assert_eq!(made.header("location"), Some(format!("/api/1.0/{path}").as_str()));
        assert_eq!(made.revision(), lab.revision());
        client.post(collection, create).await.expect_error(409, "DuplicateUUID", "102", Some("uuid"));

        let found = client.get(&path).await.expect_status(200);
        assert_eq!(found.body, made.body, "{path}");
        assert_eq!(found.header("etag"), Some(format!("\"{}\"", found.body["revision"]).as_str()));
        let list = client.get(&format!("{collection}?uuid={uuid}")).await.expect_status(200);
        assert_eq!(list.body["items"], json!([found.body]), "{collection}");

        let after = client.put(&path, change.clone()).await.expect_status(200).expect(changed);
        assert_eq!(after.revision().0, found.revision().0 + 1, "{path}");
        let again = client.put(&path, change).await.expect_status(200);
        assert_eq!((again.revision(), &again.body), (after.revision(), &after.body), "a change that is none");
        client.put(&path, json!({"no_such_attribute": 1})).await.expect_error(
            400,
            "ArgumentError",
            "110",
            Some("no_such_attribute"),
        );
        let other = format!("{uuid}x");
        client.put(&path, json!({"uuid": other})).await.expect_error(
            422,
            "ArgumentError",
            "110",
            Some("uuid"),
        );
    }
    for Sample { collection, uuid, .. } in samples().into_iter().rev() {
        let path = format!("{collection}/{uuid}");
        let deleted = client.delete(&path).await.expect_status(200);
        assert_eq!(deleted.body, json!([uuid]));
        assert_eq!(deleted.revision(), lab.revision());
        for method in [Method::GET, Method::PUT, Method::DELETE] {
            let request = client.request(method, &path);
            client.send(request).await.expect_error(404, "UnknownUUIDResource", "100", Some("uuid"));
        }
    }
}

#[tokio::test]
async fn what_is_refused_says_what_is_wrong_and_where() {
    let lab = Lab::start().await;
    make_all(&lab).await;
    let revision = lab.revision();
    let network = |address: &str| json!({"ipv4_network": address});
    let cases = [
        ("networks", json!({"uuid": "if-a"}), (400, "InvalidUUID", "101", Some("uuid"))),
        ("networks", network("10.0.0.300"), (400, "ArgumentError", "110", Some("ipv4_network"))),
        ("networks", network("10.0.0.1"), (400, "ArgumentError", "110", Some("ipv4_network"))),
        ("segments", json!({}), (400, "MissingArgument", "111", Some("mode"))),
        ("datapaths", json!({"node_id": "x"}), (400, "MissingArgument", "111", Some("dpid"))),
        (
            "datapaths",
            json!({"dpid": "0xa", "node_id": "x"}),
            (409, "RelationAlreadyExists", "112", Some("dpid")),
        ),
        (
            "interfaces",
            json!({"network_uuid": "nw-none"}),
            (404, "UnknownUUIDResource", "100", Some("network_uuid")),
        ),
        (
            "interfaces",
            json!({"network_uuid": "nw-a", "segment_uuid": "seg-a"}),
            (422, "InvalidID", "103", Some("segment_uuid")),
        ),
        (
            "ip_leases",
            json!({"network_uuid": "nw-a", "ipv4_address": "10.0.1.1"}),
            (422, "ArgumentError", "110", Some("ipv4_address")),
        ),
        (
            "ip_leases",
            json!({"network_uuid": "nw-a", "ipv4_address": "10.0.0.9"}),
            (409, "RelationAlreadyExists", "112", Some("ipv4_address")),
        ),
        (
            "mac_leases",
            json!({"interface_uuid": "if-a", "mac_address": "ff:ff:ff:ff:ff:ff"}),
            (422, "ArgumentError", "110", Some("mac_address")),
        ),
    ];
    for (path, body, (status, error, code, field)) in cases {
        lab.client.post(path, body).await.expect_error(status, error, code, field);
    }
    assert_eq!(lab.revision(), revision, "nothing has changed");
    lab.client.get("networks/if-a").await.expect_error(400, "InvalidUUID", "101", Some("uuid"));
    lab.client.get("nothing").await.expect_error(404, "UnknownRoute", "404", None);
    lab.client.put("networks", json!({})).await.expect_error(405, "MethodNotAllowed", "405", None);
}

#[tokio::test]
async fn if_match_guards_changes_against_those_of_others() {
    let lab = Lab::start().await;
    make_all(&lab).await;
    let client = &lab.client;
    for (uuid, collection) in samples().iter().map(|sample| (sample.uuid, sample.collection)) {
        let path = format!("{collection}/{uuid}");
        let etag = client.get(&path).await.header("etag").expect("an ETag").to_owned();
        let guarded =
            |method, guard: &str| client.request(method, &path).header("If-Match", guard.to_owned());
        let stale = guarded(Method::PUT, "\"999\"").json(&json!({"labels": {"a": "b"}}));
        client.send(stale).await.expect_error(412, "PreconditionFailed", "115", Some("If-Match"));
        let fresh = guarded(Method::PUT, &etag).json(&json!({"labels": {"a": "b"}}));
        client.send(fresh).await.expect_status(200);
        client.send(guarded(Method::DELETE, &etag)).await.expect_error(
            412,
            "PreconditionFailed",
            "115",
            Some("If-Match"),
        );
        client.send(guarded(Method::DELETE, "yesterday")).await.expect_error(
            400,
            "ArgumentError",
            "110",
            Some("If-Match"),
        );
    }
}

#[tokio::test]
async fn what_depends_on_a_deleted_resource_goes_with_it_in_one_revision() {
    let lab = Lab::start().await;
    make_all(&lab).await;
    let client = &lab.client;
    let before = lab.revision();
    client.delete("networks/nw-a").await.expect_status(200);
    assert_eq!(lab.revision(), before.next());
    client.get("ip_leases/il-a").await.expect_status(404);
    client
        .get("interfaces/if-a")
        .await
        .expect_status(200)
        .expect(json!({"ipv4_address": null, "ip_leases": []}));
    client.delete("interfaces/if-a").await.expect_status(200);
    assert_eq!(lab.revision(), before.next().next());
    client.get("mac_leases/ml-a").await.expect_status(404);
}

#[tokio::test]
async fn a_dry_run_says_what_would_happen_and_changes_nothing() {
    let lab = Lab::start().await;
    make_all(&lab).await;
    let (client, revision) = (&lab.client, lab.revision());
    let network = json!({"uuid": "nw-b", "ipv4_network": "10.1.0.0"});
    let reply = client.post("networks?dry_run=true", network).await.expect_status(200);
    assert_eq!(reply.expect(json!({"uuid": "nw-b", "ipv4_prefix": 24})).revision(), revision);
    client.get("networks/nw-b").await.expect_status(404);
    client
        .put("networks/nw-a?dry_run=true", json!({"display_name": "x"}))
        .await
        .expect_status(200)
        .expect(json!({"display_name": "x"}));
    client.get("networks/nw-a").await.expect(json!({"display_name": ""}));
    client.delete("networks/nw-a?dry_run=true").await.expect_status(200);
    client.get("networks/nw-a").await.expect_status(200);
    client
        .post("networks?dry_run=true", json!({"uuid": "nw-a", "ipv4_network": "10.0.0.0"}))
        .await
        .expect_error(409, "DuplicateUUID", "102", Some("uuid"));
    client.post("networks?dry_run=perhaps", json!({})).await.expect_error(
        400,
        "ArgumentError",
        "110",
        Some("dry_run"),
    );
    assert_eq!(lab.revision(), revision);
}

#[tokio::test]
async fn the_ports_of_an_interface_are_added_listed_and_removed() {
    let lab = Lab::start().await;
    make_all(&lab).await;
    let client = &lab.client;
    let path = "interfaces/if-a/ports";
    let port = json!({"port_name": "tap2", "datapath_uuid": "dp-a"});
    client.post(path, port.clone()).await.expect_status(201).expect(json!({
        "interface_uuid": "if-a", "interface_mode": "vif", "port_name": "tap2", "datapath_uuid": "dp-a",
        "singular": true}));
    client.post(path, port).await.expect_error(409, "RelationAlreadyExists", "112", Some("port_name"));
    client.get(path).await.expect(json!({"total_count": 2}));
    client.get(&format!("{path}?port_name=tap2")).await.expect(json!({"total_count": 1}));
    client.get("interfaces/if-a").await.expect(json!({"port_name": null}));
    let removed = client.delete(&format!("{path}?port_name=tap2")).await.expect_status(200);
    assert_eq!(removed.body[0]["port_name"], "tap2");
    client.delete(&format!("{path}?port_name=tap2")).await.expect_error(
        404,
        "UnknownResource",
        "114",
        Some("port_name"),
    );
    client.get("interfaces/if-none/ports").await.expect_error(
        404,
        "UnknownUUIDResource",
        "100",
        Some("uuid"),
    );
}

#[tokio::test]
async fn an_ip_lease_changes_hands() {
    let lab = Lab::start().await;
    make_all(&lab).await;
    let client = &lab.client;
    client
        .put("ip_leases/il-a/attach", json!({"interface_uuid": "if-a", "mac_lease_uuid": "ml-a"}))
        .await
        .expect_status(200)
        .expect(json!({"interface_uuid": "if-a"}));
    client.put("ip_leases/il-a/attach", json!({"interface_uuid": "if-a"})).await.expect_error(
        422,
        "ArgumentError",
        "110",
        Some("interface_uuid"),
    );
    client
        .put("ip_leases/il-a/release", json!({}))
        .await
        .expect_status(200)
        .expect(json!({"interface_uuid": null, "mac_lease_uuid": null, "ipv4_address": "10.0.0.9"}));
    client.put("ip_leases/il-a/release", json!({})).await.expect_error(
        422,
        "ArgumentError",
        "110",
        Some("uuid"),
    );
}

#[tokio::test]
async fn the_first_tutorial_works() {
    let lab = Lab::with_tutorial().await;
    let client = &lab.client;
    client.get("interfaces/if-inst1").await.expect(json!({
        "ipv4_address": "10.100.0.10", "mac_address": "10:54:ff:00:00:01", "network_uuid": "nw-test1",
        "owner_datapath_uuid": "dp-test1", "port_name": "inst1"}));
    // T3: an interface moves to another network while its port stays plugged.
    client
        .post("networks", json!({"uuid": "nw-test2", "ipv4_network": "192.168.50.0"}))
        .await
        .expect_status(201);
    let lease = client.get("interfaces/if-inst2").await.body["ip_leases"][0]["uuid"].clone();
    client.delete(&format!("ip_leases/{}", lease.as_str().expect("an id"))).await.expect_status(200);
    let lease =
        json!({"interface_uuid": "if-inst2", "network_uuid": "nw-test2", "ipv4_address": "192.168.50.10"});
    client.post("ip_leases", lease).await.expect_status(201);
    client
        .get("interfaces/if-inst2")
        .await
        .expect(json!({"network_uuid": "nw-test2", "ipv4_address": "192.168.50.10"}));
}
