//! What a supervisor is told about a manager.

use std::sync::Arc;

use serde_json::json;
use store::SqliteStore;
use store::sqlite::SqliteOptions;
use tempfile::TempDir;

use crate::support::Lab;

/// Space for a few dozen networks.
const MAX_BYTES: u64 = 400 << 10;

/// More networks than there is space for.
const ENOUGH: usize = 5_000;

#[track_caller]
fn check(lab: &Lab, path: &str, expected: u16) -> impl Future<Output = ()> {
    let url = format!("http://{}/{path}", lab.manager.addresses().api);
    async move {
        let response = reqwest::get(url).await.expect("a response");
        assert_eq!(response.status().as_u16(), expected, "{path}: {:?}", response.text().await);
    }
}

#[tokio::test]
async fn a_manager_whose_store_is_full_is_alive_and_not_ready() {
    let place = TempDir::new().expect("a directory");
    let options = SqliteOptions { history_commits: 2, max_bytes: Some(MAX_BYTES) };
    let store = SqliteStore::open_with(place.path().join("store.db"), options).expect("the store opens");
    let lab = Lab::start_on(Arc::new(store)).await;
    check(&lab, "healthz", 200).await;
    check(&lab, "readyz", 200).await;

    let mut kept = 0;
    let body = |n| {
        json!({"uuid": format!("nw-n{n}"), "display_name": "n".repeat(200),
        "ipv4_network": "10.100.0.0", "ipv4_prefix": 24, "network_mode": "virtual"})
    };
    while lab.client.post("networks", body(kept)).await.status == 201 {
        kept += 1;
        assert!(kept < ENOUGH, "the store never fills");
    }
    check(&lab, "healthz", 200).await;
    check(&lab, "readyz", 503).await;

    lab.client.delete("networks/nw-n0").await.expect_status(200);
    check(&lab, "readyz", 200).await;
}
