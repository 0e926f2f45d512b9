//! Allocation over HTTP: ranges, policies, containers, and what belongs under the path of another.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Client, Lab, until};

/// A network with a policy that gives `10.0.0.10` to `10.0.0.19`, and MAC addresses.
pub(crate) async fn prepare(client: &Client, last: &str) {
    for (path, body) in [
        ("networks", json!({"uuid": "nw-a", "ipv4_network": "10.0.0.0", "ipv4_prefix": 16})),
        ("mac_range_groups", json!({"uuid": "mrg-a"})),
        (
            "mac_range_groups/mrg-a/mac_ranges",
            json!({"uuid": "mr-a", "begin_mac_address": "52:56:01:00:00:00",
                "end_mac_address": "52:56:01:00:ff:ff"}),
        ),
        ("ip_range_groups", json!({"uuid": "iprg-a"})),
        (
            "ip-range-groups/iprg-a/ip-ranges",
            json!({"uuid": "ipr-a", "begin_ipv4_address": "10.0.0.10", "end_ipv4_address": last}),
        ),
        ("lease_policies", json!({"uuid": "lp-a"})),
        ("lease_policies/lp-a/networks/nw-a", json!({"ip_range_group_uuid": "iprg-a"})),
    ] {
        client.post(path, body).await.expect_status(201);
    }
}

/// A guest that names no address.
pub(crate) fn guest(id: &str) -> Value {
    json!({"uuid": id, "network_uuid": "nw-a", "mac_range_group_uuid": "mrg-a"})
}

#[tokio::test]
async fn what_belongs_to_another_is_found_under_its_path_alone() {
    let lab = Lab::start().await;
    let client = &lab.client;
    for (path, body) in [
        ("interfaces", json!({"uuid": "if-a", "mode": "simulated", "mac_address": "02:00:00:00:00:01"})),
        ("network_services", json!({"uuid": "ns-a", "mode": "dns", "interface_uuid": "if-a"})),
        ("interfaces", json!({"uuid": "if-b", "mode": "simulated", "mac_address": "02:00:00:00:00:02"})),
        ("network_services", json!({"uuid": "ns-b", "mode": "dns", "interface_uuid": "if-b"})),
    ] {
        client.post(path, body).await.expect_status(201);
    }
    let check = async |owners: &str, own: [Value; 2], nested: &str, attributes: Value, change: Value| {
        let owner = own[0]["uuid"].as_str().expect("an id").to_owned();
        let other = own[1]["uuid"].as_str().expect("an id").to_owned();
        for own in own {
            client.post(owners, own).await.expect_status(201);
        }
        let collection = format!("{owners}/{owner}/{nested}");
        let made = client.post(&collection, attributes.clone()).await.expect_status(201).expect(attributes);
        let id = made.body["uuid"].as_str().expect("an id").to_owned();
        let path = format!("{collection}/{id}");
        assert_eq!(made.header("location"), Some(format!("/api/1.0/{nested}/{id}").as_str()));
        assert_eq!(client.get(&collection).await.expect_status(200).ids(), [id.as_str()]);
        assert_eq!(client.get(&path).await.expect_status(200).body, made.body);
        client.put(&path, change.clone()).await.expect_status(200).expect(change);

        let elsewhere = format!("{owners}/{other}/{nested}");
        assert_eq!(client.get(&elsewhere).await.expect_status(200).ids(), [""; 0]);
        for method in [Method::GET, Method::PUT, Method::DELETE] {
            let request = client.request(method.clone(), &format!("{elsewhere}/{id}"));
            client.send(request).await.expect_error(404, "UnknownUUIDResource", "100", Some("uuid"));
        }
        let nowhere = format!("{owners}/{owner}x/{nested}");
        client.get(&nowhere).await.expect_error(404, "UnknownUUIDResource", "100", Some("uuid"));
        client.post(&nowhere, json!({})).await.expect_error(404, "UnknownUUIDResource", "100", Some("uuid"));
        let contrary = json!({format!("{}_uuid", owners.trim_end_matches('s')): other});
        client.post(&collection, contrary).await.expect_status(422);

        assert_eq!(client.delete(&path).await.expect_status(200).body, json!([id]));
        client.get(&path).await.expect_status(404);
        client.post(&collection, json!({"uuid": id})).await.expect_status(400);
    };
    let two = |one: &str, two: &str| [json!({"uuid": one}), json!({"uuid": two})];
    check(
        "mac_range_groups",
        two("mrg-a", "mrg-b"),
        "mac_ranges",
        json!({"uuid": "mr-a", "begin_mac_address": "02:00:00:00:00:00", "end_mac_address": "02:00:00:00:00:ff"}),
        json!({"end_mac_address": "02:00:00:00:00:0f"}),
    )
    .await;
    check(
        "ip_range_groups",
        two("iprg-a", "iprg-b"),
        "ip_ranges",
        json!({"uuid": "ipr-a", "begin_ipv4_address": "10.0.0.1", "end_ipv4_address": "10.0.0.9"}),
        json!({"begin_ipv4_address": "10.0.0.2"}),
    )
    .await;
    let [one, other] = ["a", "b"]
        .map(|name| json!({"uuid": format!("dnss-{name}"), "network_service_uuid": format!("ns-{name}")}));
    check(
        "dns_services",
        [one, other],
        "dns_records",
        json!({"uuid": "dnsr-a", "name": "www", "ipv4_address": "10.0.0.1"}),
        json!({"ttl": 60}),
    )
    .await;
}

#[tokio::test]
async fn relations_of_a_policy_are_made_listed_and_taken_away_once() {
    let lab = Lab::start().await;
    let client = &lab.client;
    prepare(client, "10.0.0.19").await;
    client.post("networks", json!({"uuid": "nw-b", "ipv4_network": "10.1.0.0"})).await.expect_status(201);
    client.post("ip_lease_containers", json!({"uuid": "ilc-a"})).await.expect_status(201);
    client.post("ip_retention_containers", json!({"uuid": "irc-a"})).await.expect_status(201);
    client
        .post("interfaces", json!({"uuid": "if-a", "mac_range_group_uuid": "mrg-a"}))
        .await
        .expect_status(201);
    let check = async |relation: &str, id: &str, body: Value, field: &str| {
        let path = format!("lease_policies/lp-a/{relation}/{id}");
        let before = client.get(&format!("lease_policies/lp-a/{relation}")).await.expect_status(200);
        assert!(!before.ids().contains(&id), "{relation}");
        client.delete(&path).await.expect_error(404, "UnknownUUIDResource", "100", Some(field));
        let made = client.post(&path, body.clone()).await.expect_status(201);
        let made = made.expect(json!({"uuid": "lp-a", field: id})).expect(body.clone());
        client.post(&path, body.clone()).await.expect_error(409, "RelationAlreadyExists", "112", Some(field));
        let list = client.get(&format!("lease_policies/lp-a/{relation}?uuid={id}")).await.expect_status(200);
        let mut shown = made.body;
        shown["uuid"] = id.into();
        assert_eq!(list.body["items"], json!([shown]));
        assert_eq!(client.delete(&path).await.expect_status(200).body, json!([id]));
        client.delete(&path).await.expect_error(404, "UnknownUUIDResource", "100", Some(field));
        let unknown = format!("lease_policies/lp-a/{relation}/{id}x");
        client.post(&unknown, body.clone()).await.expect_error(
            404,
            "UnknownUUIDResource",
            "100",
            Some(field),
        );
        let unknown = format!("lease_policies/lp-x/{relation}/{id}");
        client.post(&unknown, body).await.expect_error(404, "UnknownUUIDResource", "100", Some("uuid"));
        let malformed = format!("lease_policies/lp-a/{relation}/x-a");
        client.delete(&malformed).await.expect_error(400, "InvalidUUID", "101", Some(field));
    };
    check("networks", "nw-b", json!({"ip_range_group_uuid": "iprg-a"}), "network_uuid").await;
    check("interfaces", "if-a", json!({"label": "x"}), "interface_uuid").await;
    check("ip_lease_containers", "ilc-a", json!({"label": "x"}), "ip_lease_container_uuid").await;
    check("ip_retention_containers", "irc-a", json!({}), "ip_retention_container_uuid").await;
    // An interface that a policy no longer serves keeps what it was given.
    client.get("interfaces/if-a").await.expect(json!({"ipv4_address": "10.0.0.10", "lease_policies": []}));
}

#[tokio::test]
async fn a_policy_makes_leases_that_its_containers_show() {
    let lab = Lab::start().await;
    let client = &lab.client;
    prepare(client, "10.0.0.11").await;
    for (path, body) in [
        ("ip_lease_containers", json!({"uuid": "ilc-a"})),
        ("ip_retention_containers", json!({"uuid": "irc-a", "lease_time": "3600"})),
        ("lease_policies/lp-a/ip_lease_containers/ilc-a", json!({})),
        ("lease_policies/lp-a/ip_retention_containers/irc-a", json!({})),
    ] {
        client.post(path, body).await.expect_status(201);
    }
    let lease = client.post("lease_policies/lp-a/ip_leases", json!({"ip_lease_uuid": "il-a"})).await;
    let lease = lease.expect_status(201).expect(json!({"uuid": "il-a", "ipv4_address": "10.0.0.10",
        "interface_uuid": null, "ip_lease_containers": ["ilc-a"]}));
    assert_eq!(lease.header("location"), Some("/api/1.0/ip_leases/il-a"));
    assert_eq!(client.get("ip_lease_containers/ilc-a/ip_leases").await.ids(), ["il-a"]);
    let kept = client.get("ip_retention_containers/irc-a/ip_retentions").await.expect_status(200);
    assert_eq!(kept.body["items"], lease.body["ip_retentions"]);
    assert_eq!(kept.body["items"][0]["ip_lease_uuid"], "il-a");

    let made = client.post("interfaces", guest("if-a")).await.expect_status(201);
    made.expect(json!({"ipv4_address": "10.0.0.11", "lease_policies": ["lp-a"]}));
    let refused = client.post("interfaces", guest("if-b")).await;
    refused.expect_error(422, "Exhausted", "117", Some("ip_range_group_uuid"));
    client.get("interfaces/if-b").await.expect_status(404);
    client.put("lease_policies/lp-a", json!({"timing": "dhcp"})).await.expect_status(200);
    client
        .post("interfaces", guest("if-b"))
        .await
        .expect_status(201)
        .expect(json!({"lease_policies": ["lp-a"]}));
}

#[tokio::test]
async fn leases_expire_by_themselves() {
    let lab = Lab::start().await;
    let client = &lab.client;
    prepare(client, "10.0.0.19").await;
    for (path, body) in [
        ("ip_retention_containers", json!({"uuid": "irc-a", "lease_time": 3600, "grace_time": 3600})),
        ("lease_policies/lp-a/ip_retention_containers/irc-a", json!({})),
        ("interfaces", guest("if-a")),
    ] {
        client.post(path, body).await.expect_status(201);
    }
    client.put("ip_retention_containers/irc-a", json!({"lease_time": 0})).await.expect_status(200);
    until("the lease is released", async || {
        client.get("interfaces/if-a").await.body["ipv4_address"].is_null()
    })
    .await;
    client.get("ip_leases").await.expect(json!({"total_count": 1}));
    client.put("ip_retention_containers/irc-a", json!({"grace_time": 0})).await.expect_status(200);
    until("the lease is deleted", async || client.get("ip_leases").await.body["total_count"] == 0).await;
}

#[tokio::test]
async fn those_who_ask_at_once_get_an_address_each_until_there_are_no_more() {
    let lab = Lab::start().await;
    prepare(&lab.client, "10.0.0.209").await;
    let mut asked = tokio::task::JoinSet::new();
    for n in 0..220 {
        let client = lab.client.clone();
        asked.spawn(async move { client.post("interfaces", guest(&format!("if-{n}"))).await });
    }
    let answers = tokio::time::timeout(Duration::from_secs(60), asked.join_all()).await.expect("in time");
    let (made, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 201);
    let distinct = |name: &str| {
        let values = made.iter().map(|answer| answer.body[name].as_str().expect("a text"));
        values.collect::<std::collections::BTreeSet<_>>().len()
    };
    assert_eq!((made.len(), distinct("ipv4_address"), distinct("mac_address")), (200, 200, 200));
    assert_eq!(refused.len(), 20);
    for answer in refused {
        answer.expect_error(422, "Exhausted", "117", Some("ip_range_group_uuid"));
    }
}
