//! What Prometheus is told.

use serde_json::json;

use crate::support::Lab;

/// The value of a line of the text format that starts with this name and these labels.
async fn value(lab: &Lab, line: &str) -> Option<f64> {
    let url = format!("http://{}/metrics", lab.manager.addresses().api);
    let response = reqwest::get(url).await.expect("a response");
    let kind = response.headers()["content-type"].to_str().expect("text").to_owned();
    assert!(kind.starts_with("application/openmetrics-text"), "{kind}");
    let text = response.text().await.expect("text");
    assert!(text.ends_with("# EOF\n"), "{text}");
    text.lines().find_map(|of| of.strip_prefix(line)?.strip_prefix(' ')?.parse().ok())
}

async fn check(lab: &Lab, line: &str, expected: f64) {
    assert_eq!(value(lab, line).await, Some(expected), "{line}");
}

#[tokio::test]
async fn what_happens_is_counted() {
    let lab = Lab::with_tutorial().await;
    check(&lab, "vnmgr_revision", lab.revision().0 as f64).await;
    check(&lab, "vnmgr_objects{kind=\"interfaces\"}", 2.0).await;
    check(&lab, "vnmgr_store_append_seconds_count", lab.revision().0 as f64).await;
    let created = "vnmgr_api_requests_total{method=\"POST\",route=\"/api/1.0/interfaces\",status=\"201\"}";
    check(&lab, created, 2.0).await;

    let taken = json!({"uuid": "nw-test1", "ipv4_network": "10.0.0.0"});
    lab.client.post("networks", taken).await.expect_status(409);
    check(&lab, "vnmgr_tasks_refused_total", 1.0).await;
    // Paths that a client makes up fill no memory.
    for number in 0..3 {
        lab.client.get(&format!("nothing{number}")).await.expect_status(404);
    }
    check(&lab, "vnmgr_api_requests_total{method=\"GET\",route=\"other\",status=\"404\"}", 3.0).await;
}

#[tokio::test]
async fn hosts_are_known_by_the_name_of_their_agent() {
    let lab = Lab::start().await;
    let host = lab.host("host1", 1).await;
    check(&lab, "vnmgr_streams", 1.0).await;
    check(&lab, "vnmgr_host_connected{node=\"host1\"}", 1.0).await;
    check(&lab, "vnmgr_host_lag_revisions{node=\"host1\"}", lab.revision().0 as f64).await;
    host.realizes(lab.revision());
    check(&lab, "vnmgr_host_lag_revisions{node=\"host1\"}", 0.0).await;
    host.disconnects();
    check(&lab, "vnmgr_host_connected{node=\"host1\"}", 0.0).await;
    check(&lab, "vnmgr_streams", 0.0).await;
}
