//! Lists: pages and filters.

use serde_json::json;

use crate::support::Lab;

async fn networks() -> Lab {
    let lab = Lab::start().await;
    lab.client.post("segments", json!({"uuid": "seg-a", "mode": "virtual"})).await.expect_status(201);
    for (uuid, tier, segment) in [("nw-c", "web", None), ("nw-a", "web", Some("seg-a")), ("nw-b", "db", None)]
    {
        let network = json!({"uuid": uuid, "ipv4_network": "10.0.0.0", "labels": {"tier": tier},
            "segment_uuid": segment});
        lab.client.post("networks", network).await.expect_status(201);
    }
    lab
}

#[tokio::test]
async fn a_list_is_sorted_paged_and_filtered() {
    let lab = networks().await;
    let check = async |query: &str, total: usize, ids: &[&str]| {
        let list = lab.client.get(&format!("networks?{query}")).await.expect_status(200);
        assert_eq!((list.ids(), &list.body["total_count"]), (ids.to_vec(), &json!(total)), "{query}");
        assert_eq!(list.revision(), lab.revision());
    };
    check("", 3, &["nw-a", "nw-b", "nw-c"]).await;
    check("limit=2", 3, &["nw-a", "nw-b"]).await;
    check("limit=2&offset=2", 3, &["nw-c"]).await;
    check("offset=9", 3, &[]).await;
    check("label=tier=web", 2, &["nw-a", "nw-c"]).await;
    check("label=tier&label=tier%3Ddb", 1, &["nw-b"]).await;
    check("segment_uuid=seg-a", 1, &["nw-a"]).await;
    check("segment_uuid=", 2, &["nw-b", "nw-c"]).await;
    check("ipv4_prefix=24&uuid=nw-b", 1, &["nw-b"]).await;
    check("ipv4_prefix=25", 0, &[]).await;
}

#[tokio::test]
async fn a_page_names_its_place() {
    let lab = networks().await;
    lab.client.get("networks").await.expect(json!({"offset": 0, "limit": 30}));
    lab.client.get("networks?limit=1&offset=1").await.expect(json!({"offset": 1, "limit": 1}));
}

#[tokio::test]
async fn what_filters_nothing_is_an_error_that_names_it() {
    let lab = networks().await;
    let check = async |query: &str, field: &str| {
        lab.client.get(query).await.expect_error(400, "ArgumentError", "110", Some(field));
    };
    check("networks?colour=red", "colour").await;
    check("networks?limit=many", "limit").await;
    check("networks?limit=10001", "limit").await;
    check("networks?offset=-1", "offset").await;
    check("hosts?colour=red", "colour").await;
}

/// The names that filter are those of the representation with simple values, neither more nor less.
#[tokio::test]
async fn every_simple_attribute_of_a_resource_filters_its_list() {
    let lab = Lab::with_tutorial().await;
    lab.client.post("segments", json!({"uuid": "seg-a", "mode": "virtual"})).await.expect_status(201);
    for collection in ["datapaths", "networks", "segments", "interfaces", "mac_leases", "ip_leases", "hosts"]
    {
        let list = lab.client.get(&format!("{collection}?limit=1")).await.expect_status(200);
        let item = list.body["items"][0].as_object().expect("an item").clone();
        let nested = [
            "labels",
            "underlay",
            "other_addresses",
            "ports",
            "mac_leases",
            "ip_leases",
            "security_groups",
            "allowed_addresses",
            "lease_policies",
            "ip_lease_containers",
            "ip_retentions",
            "status",
            "refusals",
            "problems",
        ];
        for (name, value) in item.iter().filter(|(name, _)| !nested.contains(&name.as_str())) {
            let text =
                value.as_str().map_or_else(|| value.to_string().replace("null", ""), ToOwned::to_owned);
            // Times that change by themselves, or when nobody knows.
            if ["last_seen", "connected_since", "interfaces_active", "ports_seen", "ports_unclaimed"]
                .contains(&name.as_str())
            {
                continue;
            }
            let request = lab.client.request(reqwest::Method::GET, collection).query(&[(name, text)]);
            let found = lab.client.send(request).await.expect_status(200);
            assert_ne!(found.body["total_count"], json!(0), "{collection}?{name}");
        }
    }
}
