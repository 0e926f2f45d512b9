//! Questions: what is asked of the topology, and of hosts that cannot tell.

use serde_json::json;

use crate::support::Lab;

#[tokio::test]
async fn a_host_that_cannot_be_asked_is_told_apart_from_one_that_is_not_there() {
    let lab = Lab::with_tutorial().await;
    lab.client.get("datapaths/dp-nowhere/flows").await.expect_status(404);
    // It has registered, and its agent has no line to this manager.
    lab.host("host1", 1).await;
    for host in ["host1", "dp-host1"] {
        lab.client.get(&format!("datapaths/{host}/flows")).await.expect_error(
            503,
            "Unavailable",
            "503",
            None,
        );
    }
    let page = "datapaths/host1/flows?limit=0x10";
    lab.client.get(page).await.expect_error(400, "ArgumentError", "110", Some("limit"));
}

#[tokio::test]
async fn what_lives_nowhere_cannot_be_traced_in_switches() {
    let lab = Lab::with_tutorial().await;
    let frame = json!({"source": "02:00:00:00:00:01", "destination": "02:00:00:00:00:02", "content": {"other": {"ether_type": 2048}}});
    let asked = lab.client.post("trace/live", json!({"from": "if-nobody", "packet": frame})).await;
    asked.expect_error(400, "ArgumentError", "110", Some("from"));
}

#[tokio::test]
async fn a_question_that_makes_no_sense_is_refused_with_its_field() {
    let lab = Lab::with_tutorial().await;
    for (path, body, field) in [
        ("trace", json!({"from": "if-nobody", "to": "10.0.0.1"}), "from"),
        ("reach", json!({"from": "nw-nowhere"}), "from"),
        ("reach", json!({"traffic": "sctp"}), "traffic"),
        ("assert", json!({"statements": [{"from": "any", "to": "any"}]}), "statements[0].never"),
    ] {
        let refused = lab.client.post(path, body).await;
        assert!((400..405).contains(&refused.status), "{path}: {}", refused.body);
        assert_eq!(refused.body["field"], field, "{path}: {}", refused.body);
    }
}
