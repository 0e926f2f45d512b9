//! Every resource: made, shown, listed, changed and deleted, and what is refused.

use reqwest::Method;
use serde_json::{Value, json};

use crate::samples::{Sample, make_all, samples};
use crate::support::{Client, Lab};

#[tokio::test]
async fn every_resource_is_made_shown_listed_changed_and_deleted() {
    let lab = Lab::start().await;
    let client = &lab.client;
    for Sample { collection, uuid, required, mut create, shown, change, changed } in samples() {
        let path = format!("{collection}/{uuid}");
        client.get(&path).await.expect_error(404, "UnknownUUIDResource", "100", Some("uuid"));
        for name in required {
            let mut without = create.clone();
            without.as_object_mut().expect("attributes").remove(*name);
            client.post(collection, without).await.expect_error(400, "MissingArgument", "111", Some(name));
        }
        create["uuid"] = "x-a".into();
        client.post(collection, create.clone()).await.expect_error(400, "InvalidUUID", "101", Some("uuid"));
        create["uuid"] = uuid.into();
        in_every_form(client, collection, &create, &shown).await;
        let made = client.post(collection, create.clone()).await.expect_status(201).expect(shown);
        assert_eq!(made.header("location"), Some(format!("/api/1.0/{path}").as_str()));
        assert_eq!(made.revision(), lab.revision());
        client.post(collection, create).await.expect_error(409, "DuplicateUUID", "102", Some("uuid"));

        let found = client.get(&path).await.expect_status(200);
        assert_eq!(found.body, made.body, "{path}");
        assert_eq!(found.header("etag"), Some(format!("\"{}\"", found.body["revision"]).as_str()));
        let list = client.get(&format!("{collection}?uuid={uuid}")).await.expect_status(200);
        assert_eq!(list.body["items"], json!([found.body]), "{collection}");
        pages(client, collection).await;

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

/// Attributes come as JSON, plain or wrapped, as a form, or in the query.
async fn in_every_form(client: &Client, collection: &str, attributes: &Value, shown: &Value) {
    let path = format!("{collection}?dry_run=true");
    let post = || client.request(Method::POST, &path);
    let mut requests = vec![post().json(attributes), post().json(&json!({"anything": attributes}))];
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let pairs = attributes.as_object().expect("attributes").iter();
    let pairs: Option<Vec<_>> = pairs.map(|(name, value)| Some((name, text(value)?))).collect();
    if let Some(pairs) = pairs {
        requests.push(post().query(&pairs));
        let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        requests.push(post().header("content-type", "application/x-www-form-urlencoded").body(form));
    }
    for request in requests {
        client.send(request).await.expect_status(200).expect(shown.clone());
    }
}

/// Pages of a list are parts of the whole.
async fn pages(client: &Client, collection: &str) {
    let whole = client.get(&format!("{collection}?limit=1000")).await.expect_status(200).body;
    let items = whole["items"].as_array().expect("items");
    assert_eq!(whole["total_count"], items.len(), "{collection}");
    for offset in 0..=items.len() {
        let page = client.get(&format!("{collection}?limit=1&offset={offset}")).await.expect_status(200);
        let expected: Vec<_> = items.iter().skip(offset).take(1).collect();
        page.expect(json!({"items": expected, "limit": 1, "offset": offset, "total_count": items.len()}));
    }
}

#[tokio::test]
async fn every_spelling_of_a_path_leads_to_the_same() {
    let lab = Lab::start().await;
    make_all(&lab).await;
    for Sample { collection, uuid, .. } in samples() {
        let shown = lab.client.get(&format!("{collection}/{uuid}")).await.expect_status(200).body;
        let dashed = collection.replace('_', "-");
        // Beside `/api/1.0`, where the client's requests begin.
        for path in [
            format!("{dashed}/{uuid}.json"),
            format!("{dashed}/{uuid}/"),
            format!("../{collection}/{uuid}"),
            format!("../{dashed}/{uuid}.json"),
        ] {
            assert_eq!(lab.client.get(&path).await.expect_status(200).body, shown, "{path}");
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
