//! Batches: many operations, one revision, all or nothing.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::Lab;

fn create(resource: &str, attributes: Value) -> Value {
    json!({"op": "create", "resource": resource, "attributes": attributes})
}

#[tokio::test]
async fn operations_see_those_before_them_and_the_results_are_as_all_have_left_them() {
    let lab = Lab::start().await;
    let operations = json!({"operations": [
        create("networks", json!({"uuid": "nw-a", "ipv4_network": "10.0.0.0"})),
        create("interfaces", json!({"uuid": "if-a", "network_uuid": "nw-a", "mac_address": "10:54:ff:00:00:01"})),
        {"op": "update", "resource": "interfaces", "uuid": "if-a", "attributes": {"ipv4_address": "10.0.0.5"}},
        {"op": "act", "action": "add_port", "uuid": "if-a", "attributes": {"port_name": "tap0"}},
        create("segments", json!({"uuid": "seg-a", "mode": "virtual"})),
        {"op": "delete", "resource": "segments", "uuid": "seg-a"},
        create("security_groups", json!({"uuid": "sg-a", "rules": []})),
        {"op": "act", "action": "add_group_rule", "uuid": "sg-a", "attributes": {"direction": "ingress", "protocol": "icmp"}},
    ]});
    let reply = lab.client.post("batch", operations).await.expect_status(200).expect(json!({"revision": 1}));
    assert_eq!(reply.revision(), lab.revision());
    let results = reply.body["results"].as_array().expect("results");
    assert_eq!(results.len(), 8);
    assert_eq!((&results[1]["ipv4_address"], &results[1]["port_name"]), (&json!("10.0.0.5"), &json!("tap0")));
    assert_eq!((&results[4], &results[5]), (&json!("seg-a"), &json!("seg-a")));
    let group = lab.client.get("security_groups/sg-a").await.expect_status(200).body;
    assert_eq!((&results[6], &results[7]), (&group, &group));
    lab.client.get("interfaces/if-a").await.expect_status(200).expect(json!({"revision": 1}));
}

#[tokio::test]
async fn who_prefers_so_is_not_shown_what_the_objects_have_become() {
    let lab = Lab::start().await;
    let send = async |prefer: &str, uuid: &str, path: &str| {
        let operations =
            json!({"operations": [create("segments", json!({"uuid": uuid, "mode": "virtual"}))]});
        let request = lab.client.request(Method::POST, path).header("Prefer", prefer).json(&operations);
        lab.client.send(request).await.expect_status(200)
    };
    let minimal = send("return=minimal", "seg-a", "batch").await;
    assert_eq!(minimal.body, json!({"revision": 1}));
    assert_eq!(minimal.header("preference-applied"), Some("return=minimal"));
    lab.client.get("segments/seg-a").await.expect_status(200);
    let waited = send("return=minimal", "seg-b", "batch?wait=realized").await;
    assert_eq!((&waited.body["realized"]["pending"], &waited.body["results"]), (&json!([]), &Value::Null));
    let whole = send("return=representation", "seg-c", "batch").await;
    assert_eq!(whole.body["results"][0]["uuid"], "seg-c");
    assert_eq!(whole.header("preference-applied"), None);
}

#[tokio::test]
async fn an_operation_that_fails_is_named_and_undoes_those_before_it() {
    let lab = Lab::start().await;
    let check = async |operations: Value, status, error: &str, code: &str, field: &str| {
        let reply = lab.client.post("batch", json!({"operations": operations})).await;
        reply.expect_error(status, error, code, Some(field));
        assert_eq!(lab.revision().0, 0);
    };
    let network = create("networks", json!({"uuid": "nw-a", "ipv4_network": "10.0.0.0"}));
    let bad = create("interfaces", json!({"network_uuid": "nw-none"}));
    check(json!([network, bad]), 404, "UnknownUUIDResource", "100", "operations[1].network_uuid").await;
    check(json!([network, network]), 409, "DuplicateUUID", "102", "operations[1].uuid").await;
    check(json!([bad]), 404, "UnknownUUIDResource", "100", "operations[0].network_uuid").await;
    check(json!([network, {"op": "explode"}]), 400, "ArgumentError", "110", "operations[1].op").await;
    let guarded = json!({"op": "update", "resource": "networks", "uuid": "nw-a", "if_match": 7});
    check(json!([network, guarded]), 412, "PreconditionFailed", "115", "operations[1].If-Match").await;
    lab.client.post("batch", json!({"operation": []})).await.expect_status(400);
    lab.client.post("batch?colour=red", json!({"operations": []})).await.expect_status(400);
}

#[tokio::test]
async fn a_dry_run_of_a_batch_shows_the_results_and_changes_nothing() {
    let lab = Lab::start().await;
    let operations =
        json!({"operations": [create("networks", json!({"uuid": "nw-a", "ipv4_network": "10.0.0.0"}))]});
    let reply = lab.client.post("batch?dry_run=true", operations).await.expect_status(200);
    assert_eq!(reply.body["results"][0]["uuid"], "nw-a");
    assert_eq!((reply.revision().0, lab.revision().0), (0, 0));
}

#[tokio::test]
async fn a_batch_without_changes_makes_no_revision() {
    let lab = Lab::with_tutorial().await;
    let revision = lab.revision();
    lab.client.post("batch", json!({"operations": []})).await.expect_status(200);
    let same = json!({"op": "update", "resource": "networks", "uuid": "nw-test1",
        "attributes": {"display_name": "testnet1"}});
    lab.client.post("batch", json!({"operations": [same]})).await.expect_status(200);
    assert_eq!(lab.revision(), revision);
}

#[tokio::test]
async fn twenty_thousand_objects_are_one_revision() {
    let lab = Lab::start().await;
    let mut operations =
        vec![create("networks", json!({"uuid": "nw-a", "ipv4_network": "10.0.0.0", "ipv4_prefix": 8}))];
    // An interface with its two leases is three objects.
    operations.extend((0..6_667_u32).map(|n| {
        let [_, a, b, c] = (n + 1).to_be_bytes();
        create(
            "interfaces",
            json!({"network_uuid": "nw-a", "mac_address": format!("10:54:ff:{a:02x}:{b:02x}:{c:02x}"),
                "ipv4_address": format!("10.{a}.{b}.{c}")}),
        )
    }));
    let mut failing = operations.clone();
    failing.push(create("networks", json!({"uuid": "nw-a", "ipv4_network": "10.0.0.0"})));
    let field = format!("operations[{}].uuid", operations.len());
    let reply = lab.client.post("batch", json!({"operations": failing})).await;
    reply.expect_error(409, "DuplicateUUID", "102", Some(&field));
    lab.client.get("networks").await.expect(json!({"total_count": 0}));

    lab.client.post("batch", json!({"operations": operations})).await.expect_status(200);
    assert_eq!(lab.revision().0, 1);
    for collection in ["interfaces", "mac_leases", "ip_leases"] {
        lab.client.get(&format!("{collection}?limit=1")).await.expect(json!({"total_count": 6_667}));
    }
}

#[tokio::test]
async fn requests_at_the_same_time_each_get_a_revision_of_their_own() {
    let lab = Lab::start().await;
    let requests = (0..100).map(|n| {
        let client = lab.client.clone();
        tokio::spawn(async move {
            let network = json!({"uuid": format!("nw-{n}"), "ipv4_network": "10.0.0.0"});
            client.post("networks", network).await.expect_status(201).revision().0
        })
    });
    let mut revisions = Vec::new();
    for request in requests.collect::<Vec<_>>() {
        revisions.push(request.await.expect("an answer"));
    }
    revisions.sort_unstable();
    assert_eq!(revisions, (1..=100).collect::<Vec<u64>>());
    // Keys are given once, also within one durable write.
    let list = lab.client.get("networks?limit=100").await;
    let keys: std::collections::BTreeSet<_> =
        list.body["items"].as_array().expect("items").iter().map(|item| item["key"].as_u64()).collect();
    assert_eq!(keys.len(), 100);
}
