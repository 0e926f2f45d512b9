//! Waiting until hosts have a change.

use serde_json::{Value, json};

use crate::support::{Lab, Response, until};

/// A network with an interface on each of two hosts, and a host without.
async fn two_of_three(lab: &Lab) {
    lab.client.post("networks", json!({"uuid": "nw-a", "ipv4_network": "10.0.0.0"})).await.expect_status(201);
    for number in 1..=2 {
        let interface = json!({"uuid": format!("if-{number}"), "network_uuid": "nw-a",
            "mac_address": format!("10:54:ff:00:00:0{number}"), "port_name": format!("tap{number}")});
        lab.client.post("interfaces", interface).await.expect_status(201);
    }
    for number in 1..=3 {
        lab.host(&format!("host{number}"), number).await.shows(&[&format!("tap{number}")]).await;
    }
}

fn change() -> Value {
    json!({"ipv4_address": "10.0.0.1"})
}

#[tokio::test]
async fn a_write_can_wait_until_every_host_concerned_has_it() {
    let lab = Lab::start().await;
    two_of_three(&lab).await;
    let client = lab.client.clone();
    let before = lab.revision();
    let waiting =
        tokio::spawn(async move { client.put("interfaces/if-1?wait=realized&timeout=30", change()).await });
    until("the change is committed", async || lab.revision() > before).await;
    lab.host("host1", 1).await.realizes(lab.revision());
    assert!(!waiting.is_finished());
    lab.host("host2", 2).await.realizes(lab.revision());
    let reply = waiting.await.expect("an answer").expect_status(200);
    assert_eq!(reply.body["realized"], json!({"revision": lab.revision().0, "pending": []}));
    assert_eq!(reply.header("openvnet-pending-hosts"), None);
}

#[tokio::test]
async fn hosts_that_are_late_are_named() {
    let lab = Lab::start().await;
    two_of_three(&lab).await;
    lab.host("host1", 1).await.realizes(lab.revision());
    let check = async |method: &str, path: &str, body: Value, in_body: bool| {
        let path = format!("{path}?wait=realized&timeout=0");
        let reply = match method {
            "PUT" => lab.client.put(&path, body).await,
            "POST" => lab.client.post(&path, body).await,
            _ => lab.client.delete(&path).await,
        };
        let reply = reply.expect_status(202);
        assert_eq!(reply.header("openvnet-pending-hosts"), Some("host1, host2"), "{path}");
        assert_eq!(reply.revision(), lab.revision());
        if in_body {
            let realized = json!({"revision": lab.revision().0, "pending": ["host1", "host2"]});
            assert_eq!(reply.body["realized"], realized, "{path}");
        }
    };
    check("PUT", "interfaces/if-1", change(), true).await;
    // What is asked again changes nothing, and the hosts are still behind.
    check("PUT", "interfaces/if-1", change(), true).await;
    check("PUT", "networks/nw-a", json!({"display_name": "x"}), true).await;
    let operation =
        json!({"op": "update", "resource": "networks", "uuid": "nw-a", "attributes": {"display_name": "y"}});
    check("POST", "batch", json!({"operations": [operation]}), true).await;
    check("DELETE", "networks/nw-a", Value::Null, false).await;
}

#[tokio::test]
async fn a_change_that_concerns_no_host_waits_for_none() {
    let lab = Lab::start().await;
    two_of_three(&lab).await;
    let network = json!({"uuid": "nw-b", "ipv4_network": "10.0.0.0"});
    let reply = lab.client.post("networks?wait=realized", network).await.expect_status(201);
    assert_eq!(reply.body["realized"]["pending"], json!([]));
}

#[tokio::test]
async fn what_to_wait_for_and_how_long_is_checked() {
    let lab = Lab::start().await;
    let check = async |query: &str, field: &str| {
        let reply = lab.client.post(&format!("networks?{query}"), json!({})).await;
        reply.expect_error(400, "ArgumentError", "110", Some(field));
    };
    check("wait=tomorrow", "wait").await;
    check("wait=realized&timeout=301", "timeout").await;
    check("wait=realized&timeout=soon", "timeout").await;
    two_of_three(&lab).await;
    let reply = lab.client.get("networks/nw-a?wait=realized").await;
    reply.expect_error(400, "ArgumentError", "110", Some("wait"));
    let reply = lab.client.get("networks/nw-a?wait=active&timeout=301").await;
    reply.expect_error(400, "ArgumentError", "110", Some("timeout"));
}

/// Starts to wait for an interface that has no port yet.
async fn waits_for_interface(lab: &Lab) -> tokio::task::JoinHandle<Response> {
    two_of_three(lab).await;
    let interface = json!({"uuid": "if-3", "network_uuid": "nw-a", "mac_address": "10:54:ff:00:00:03"});
    lab.client.post("interfaces", interface).await.expect_status(201);
    let client = lab.client.clone();
    tokio::spawn(async move { client.get("interfaces/if-3?wait=active&timeout=30").await })
}

#[tokio::test]
async fn an_interface_can_be_waited_for_until_every_host_concerned_has_it() {
    let lab = Lab::start().await;
    let waiting = waits_for_interface(&lab).await;
    let hosts = [1, 2, 3].map(|number| (format!("host{number}"), number));
    for (name, number) in &hosts {
        lab.host(name, *number).await.realizes(lab.revision());
    }
    let host = lab.host("host3", 3).await;
    host.shows(&["tap3=if-3"]).await;
    let bound = lab.revision();
    let late = lab.client.get("interfaces/if-3?wait=active&timeout=0").await.expect_status(202);
    assert_eq!(late.body["status"]["state"], "active");
    assert_eq!(late.header("openvnet-pending-hosts"), Some("host1, host2, host3"));
    // What concerns none of them is not waited for.
    lab.client.post("networks", json!({"uuid": "nw-b", "ipv4_network": "10.1.0.0"})).await.expect_status(201);
    for (name, number) in &hosts {
        assert!(!waiting.is_finished(), "before {name} has it");
        lab.host(name, *number).await.realizes(bound);
    }
    let reply = waiting.await.expect("an answer").expect_status(200);
    assert_eq!(reply.body["status"]["host"], "host3");
    assert_eq!(reply.body["realized"], json!({"revision": bound.0, "pending": []}));
}

#[tokio::test]
async fn what_does_not_become_active_in_time_says_how_it_is() {
    let lab = Lab::start().await;
    let waiting = waits_for_interface(&lab).await;
    let late = lab.client.get("interfaces/if-3?wait=active&timeout=0").await.expect_status(202);
    assert_eq!(late.body["status"]["state"], "unbound");
    assert_eq!(late.body.get("realized"), None);
    lab.client.put("interfaces/if-1", json!({"admin_state": "down"})).await.expect_status(200);
    let down = lab.client.get("interfaces/if-1?wait=active&timeout=0").await.expect_status(202);
    assert_eq!(down.body["status"]["state"], "down");
    // Of other kinds what is there is active, once the hosts have it.
    let network = lab.client.get("networks/nw-a?wait=active&timeout=0").await.expect_status(202);
    assert_eq!(network.body["realized"]["pending"], json!(["host1", "host2"]));
    // So is an interface that has no port.
    let leg = json!({"uuid": "if-leg", "mode": "simulated", "network_uuid": "nw-a", "mac_address": "10:54:ff:00:00:04"});
    lab.client.post("interfaces", leg).await.expect_status(201);
    let leg = lab.client.get("interfaces/if-leg?wait=active&timeout=0").await.expect_status(202);
    assert_eq!(leg.body["realized"]["pending"], json!(["host1", "host2"]));
    lab.client.delete("interfaces/if-3").await.expect_status(200);
    waiting.await.expect("an answer").expect_error(404, "UnknownUUIDResource", "100", Some("uuid"));
}

#[tokio::test]
async fn a_manager_that_stops_lets_nobody_wait() {
    let lab = Lab::start().await;
    two_of_three(&lab).await;
    let (client, before) = (lab.client.clone(), lab.revision());
    let waiting =
        tokio::spawn(async move { client.put("interfaces/if-1?wait=realized&timeout=300", change()).await });
    until("the change is committed", async || lab.revision() > before).await;
    lab.manager.stop().await.expect("it stops");
    waiting.await.expect("an answer").expect_status(202);
}
