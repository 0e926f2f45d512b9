//! The ways in which clients send what they want, and the spellings of paths.

use reqwest::Method;
use serde_json::json;

use crate::support::Lab;

#[tokio::test]
async fn attributes_come_plain_wrapped_as_a_form_or_in_the_query() {
    let lab = Lab::start().await;
    let client = &lab.client;
    let post = |path: &str| client.request(Method::POST, path);
    let plain = r#"{"uuid":"nw-1","ipv4_network":"10.0.0.0","ipv4_prefix":16}"#;
    let wrapped = r#"{"network":{"uuid":"nw-2","ipv4_network":"10.0.0.0","ipv4_prefix":"16"}}"#;
    let form = "uuid=nw-3&ipv4_network=10.0.0.0&ipv4_prefix=16";
    let json = "application/json";
    let form_type = "application/x-www-form-urlencoded";
    let requests = [
        post("networks").header("content-type", json).body(plain),
        post("networks").header("content-type", "application/json; charset=utf-8").body(wrapped),
        post("networks").header("content-type", form_type).body(form),
        post("networks?uuid=nw-4&ipv4_network=10.0.0.0&ipv4_prefix=16"),
        post("networks?uuid=nw-5&ipv4_prefix=16")
            .header("content-type", json)
            .body(r#"{"ipv4_network":"10.0.0.0"}"#),
        post("networks?uuid=nw-6&ipv4_prefix=9")
            .header("content-type", form_type)
            .body("ipv4_network=10.0.0.0&ipv4_prefix=16"),
    ];
    for (number, request) in (1..).zip(requests) {
        let expected = json!({"uuid": format!("nw-{number}"), "ipv4_network": "10.0.0.0", "ipv4_prefix": 16});
        client.send(request).await.expect_status(201).expect(expected);
    }
    let change = client.request(Method::PUT, "networks/nw-1?display_name=a%20b");
    client.send(change).await.expect_status(200).expect(json!({"display_name": "a b"}));
    let labels = client.request(Method::PUT, "networks/nw-1").json(&json!({"labels": {"a": "b"}}));
    client.send(labels).await.expect_status(200).expect(json!({"labels": {"a": "b"}}));
}

#[tokio::test]
async fn every_spelling_of_a_path_leads_to_the_same() {
    let lab = Lab::with_tutorial().await;
    let base = format!("http://{}", lab.manager.addresses().api);
    let http = reqwest::Client::new();
    for path in ["/api/1.0/mac_leases", "/api/mac_leases", "/api/mac-leases.json", "/api/1.0/mac-leases/"] {
        let list = http.get(format!("{base}{path}?limit=1")).send().await.expect("a response");
        assert_eq!(list.status(), 200, "{path}");
    }
    let one = http.get(format!("{base}/api/interfaces/if-inst1.json")).send().await.expect("a response");
    assert_eq!(one.status(), 200);
}

#[tokio::test]
async fn a_body_that_cannot_be_read_is_refused() {
    let lab = Lab::start().await;
    let client = &lab.client;
    let post = |media_type: &'static str, body: Vec<u8>| {
        client.request(Method::POST, "networks").header("content-type", media_type).body(body)
    };
    client.send(post("application/json", b"{".to_vec())).await.expect_error(
        400,
        "ArgumentError",
        "110",
        None,
    );
    client.send(post("application/json", b"[]".to_vec())).await.expect_error(
        400,
        "ArgumentError",
        "110",
        None,
    );
    client.send(post("application/yaml", b"a: b".to_vec())).await.expect_error(
        415,
        "UnsupportedMediaType",
        "415",
        None,
    );
    client.send(post("application/json", vec![b' '; 2 << 20])).await.expect_error(
        413,
        "RequestTooLarge",
        "116",
        None,
    );
    client
        .send(post("application/x-www-form-urlencoded", b"uuid=nw-a&uuid=nw-b".to_vec()))
        .await
        .expect_error(400, "ArgumentError", "110", Some("uuid"));
}

#[tokio::test]
async fn pages_of_other_sites_can_change_nothing() {
    let lab = Lab::start().await;
    let client = &lab.client;
    let foreign = client
        .request(Method::POST, "networks?ipv4_network=10.0.0.0")
        .header("origin", "http://evil.example");
    client.send(foreign).await.expect_error(403, "ForeignOrigin", "403", None);
    let own = format!("http://{}", lab.manager.addresses().api);
    let own = client.request(Method::POST, "networks?ipv4_network=10.0.0.0").header("origin", own);
    client.send(own).await.expect_status(201);
}
