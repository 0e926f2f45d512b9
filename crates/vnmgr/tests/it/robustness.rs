//! Nothing that a client sends is a mistake of the manager's.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::Lab;

/// How many requests are made up: enough to go through every attribute of every resource, some seconds at most.
const CASES: u32 = 1_500;

const NAMES: &[&str] = &[
    "uuid",
    "project",
    "labels",
    "display_name",
    "dpid",
    "node_id",
    "mode",
    "ipv4_network",
    "ipv4_prefix",
    "ipv6_network",
    "ipv6_prefix",
    "segment_uuid",
    "network_uuid",
    "interface_uuid",
    "mac_lease_uuid",
    "mac_address",
    "ipv4_address",
    "ipv6_address",
    "owner_datapath_uuid",
    "port_name",
    "admin_state",
    "requested_host",
    "operations",
    "op",
    "resource",
    "attributes",
    "action",
    "if_match",
    "lifetime_seconds",
];

const TEXTS: &[&str] = &[
    "",
    "nw-test1",
    "if-inst1",
    "dp-test1",
    "nw-a",
    "seg-a",
    "10.100.0.10",
    "10.100.0.0",
    "fd00::",
    "24",
    "0",
    "255",
    "-1",
    "18446744073709551616",
    "virtual",
    "vif",
    "internal",
    "10:54:ff:00:00:01",
    "0x1",
    "a b",
    "\u{0}",
    "tap0",
    "up",
    "yes",
    "create",
    "update",
    "delete",
    "act",
    "networks",
    "interfaces",
    "add_port",
    "名前",
];

const PATHS: &[&str] = &[
    "datapaths",
    "networks",
    "segments",
    "interfaces",
    "mac_leases",
    "ip_leases",
    "interfaces/if-inst1/ports",
    "networks/nw-test1",
    "interfaces/if-inst1",
    "datapaths/dp-test1",
    "networks/%ff",
    "networks/..%2f",
    "batch",
    "hosts",
    "hosts/tokens",
    "hosts/vna",
    "ip_leases/il-a/attach",
    "ip_leases/il-a/release",
    "revision",
    "openapi.json",
    "",
    "%00",
];

fn value() -> impl Strategy<Value = Value> {
    let text = prop::sample::select(TEXTS).prop_map(Value::from);
    let number = any::<i64>().prop_map(Value::from);
    let leaf =
        prop_oneof![4 => text, 1 => number, 1 => any::<bool>().prop_map(Value::from), 1 => Just(Value::Null)];
    leaf.prop_recursive(3, 12, 4, |inner| {
        let name = prop::sample::select(NAMES).prop_map(ToOwned::to_owned);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::Array),
            prop::collection::btree_map(name, inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn request() -> impl Strategy<Value = (Method, &'static str, String, Vec<u8>, Option<&'static str>)> {
    let method =
        prop::sample::select(vec![Method::GET, Method::POST, Method::PUT, Method::DELETE, Method::PATCH]);
    let pair = (prop::sample::select(NAMES), prop::sample::select(TEXTS));
    let option = (
        prop::sample::select(vec!["limit", "offset", "label", "dry_run", "wait", "timeout"]),
        prop::sample::select(vec!["", "1", "true", "realized", "x", "99999999999999999999"]),
    );
    let query = prop::collection::vec(prop_oneof![pair, option], 0..3)
        .prop_map(|pairs| form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish());
    let body = prop_oneof![
        8 => value().prop_map(|value| value.to_string().into_bytes()),
        1 => prop::collection::vec(any::<u8>(), 0..64),
        1 => value().prop_map(|value| json!({"operations": [value]}).to_string().into_bytes()),
    ];
    let media_type = prop::sample::select(vec![
        Some("application/json"),
        Some("application/x-www-form-urlencoded"),
        Some("text/plain"),
        None,
    ]);
    (method, prop::sample::select(PATHS), query, body, media_type)
}

#[tokio::test]
async fn no_request_is_answered_as_a_mistake_of_the_manager() {
    let lab = Lab::with_tutorial().await;
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::default() });
    for _ in 0..CASES {
        let (method, path, query, body, media_type) =
            request().new_tree(&mut runner).expect("a request").current();
        // A wait would only take time.
        let query = query.replace("wait=realized", "wait=");
        let told = format!("{method} {path}?{query} {media_type:?} {}", String::from_utf8_lossy(&body));
        let mut request = lab.client.request(method, &format!("{path}?{query}")).body(body);
        if let Some(media_type) = media_type {
            request = request.header("content-type", media_type);
        }
        let reply = lab.client.send(request).await;
        assert!(reply.status < 500, "{told}: {}", reply.body);
        assert!(reply.status < 400 || reply.body["error"].is_string(), "{told}: {}", reply.body);
        reply.revision();
    }
}

#[tokio::test]
async fn what_is_no_http_ends_its_own_connection_only() {
    let lab = Lab::start().await;
    for garbage in [&b"\x16\x03\x01\x02\x00"[..], b"GET\r\n\r\n", &[0xff; 100_000]] {
        let mut stream =
            tokio::net::TcpStream::connect(lab.manager.addresses().api).await.expect("a connection");
        // The manager may hang up before all of it is sent.
        let _ = stream.write_all(garbage).await;
        let _ = stream.shutdown().await;
        let _ = stream.read_to_end(&mut Vec::new()).await;
    }
    lab.client.get("revision").await.expect_status(200);
}
