//! How two hosts wrap what they send each other, changed while both go on.

use serde_json::json;

use crate::support::{Host, Lab, until};

/// Two hosts with a guest each in one network.
async fn two_hosts(lab: &Lab) -> [Host<'_>; 2] {
    lab.client.post("networks", json!({"uuid": "nw-a", "ipv4_network": "10.0.0.0"})).await.expect_status(201);
    for number in 1..3 {
        let interface = json!({"uuid": format!("if-{number}"), "network_uuid": "nw-a", "port_name": format!("tap{number}")});
        lab.client.post("interfaces", interface).await.expect_status(201);
    }
    let hosts = [lab.host("host1", 1).await, lab.host("host2", 2).await];
    hosts[0].shows(&["tap1"]).await;
    hosts[1].shows(&["tap2"]).await;
    hosts
}

/// What the first of the two sends with.
async fn mode(lab: &Lab) -> String {
    let list = lab.client.get("tunnels?src_datapath_uuid=dp-host1").await.expect_status(200);
    list.body["items"][0]["mode"].as_str().expect("a tunnel").to_owned()
}

#[tokio::test]
async fn two_hosts_wrap_otherwise_once_both_are_ready() {
    let lab = Lab::start().await;
    let hosts = two_hosts(&lab).await;
    let (one, other) = ("datapaths/dp-host1/peers", "datapaths/dp-host2/peers");
    let vxlan = json!({"encapsulation": "vxlan"});
    let made = lab.client.post(&format!("{one}/dp-host2"), vxlan.clone()).await.expect_status(201);
    made.expect(json!({"peer_uuid": "dp-host2", "encapsulation": "vxlan", "in_use": false}));
    let at = lab.revision();
    hosts[0].realizes(at);
    lab.client.post("networks", json!({"uuid": "nw-b", "ipv4_network": "10.1.0.0"})).await.expect_status(201);
    assert_eq!(mode(&lab).await, "geneve", "the other would not take it");
    hosts[1].realizes(at);
    until("both are ready", async || mode(&lab).await == "vxlan").await;
    // The pair is found under either host.
    let listed = json!({"items": [{"uuid": "dp-host1", "peer_uuid": "dp-host1", "encapsulation": "vxlan", "in_use": true}]});
    lab.client.get(other).await.expect(listed);

    // What is taken away is out of sight at once, and still admitted until both send otherwise.
    lab.client.delete(&format!("{other}/dp-host1")).await.expect_status(200);
    assert_eq!(mode(&lab).await, "geneve");
    lab.client.get(one).await.expect(json!({"total_count": 0}));
    let pairs = || lab.manager.agents().head.borrow().topology.host_pairs().len();
    assert_eq!(pairs(), 1);
    hosts.iter().for_each(|host| host.realizes(lab.revision()));
    until("nobody sends otherwise", async || pairs() == 0).await;
    lab.client.delete(&format!("{one}/dp-host2")).await.expect_error(
        404,
        "UnknownUUIDResource",
        "100",
        Some("peer_uuid"),
    );
}

#[tokio::test]
async fn a_pair_that_cannot_be_is_refused() {
    let lab = Lab::start().await;
    two_hosts(&lab).await;
    let before = lab.revision();
    for (peer, attributes, status) in [
        ("dp-host1", json!({"encapsulation": "vxlan"}), 422),
        ("dp-none", json!({"encapsulation": "vxlan"}), 404),
        ("dp-host2", json!({}), 400),
        ("dp-host2", json!({"encapsulation": "carrier-pigeon"}), 422),
        ("dp-host2", json!({"encapsulation": "mac2mac"}), 422),
    ] {
        let path = format!("datapaths/dp-host1/peers/{peer}");
        lab.client.post(&path, attributes).await.expect_status(status);
    }
    assert_eq!(lab.revision(), before);
}

#[tokio::test]
async fn an_agent_that_knows_nothing_of_pairs_is_sent_nothing_new() {
    let lab = Lab::start().await;
    let hosts = two_hosts(&lab).await;
    let head = lab.manager.agents().head.borrow().topology.clone();
    let datapath = &head.datapaths()[&hosts[1].datapath];
    let underlay = datapath.underlay.expect("it has registered");
    let mut old = topology::datapath::Registration::new(datapath.node_id.clone(), datapath.dpid, underlay);
    old.heeds_pairs = false;
    sync::manager::Manager::register(lab.manager.agents(), old.clone()).await.expect("it can register");
    let gre = json!({"encapsulation": "gre"});
    lab.client.post("datapaths/dp-host1/peers/dp-host2", gre).await.expect_status(201);
    hosts.iter().for_each(|host| host.realizes(lab.revision()));
    lab.client.post("networks", json!({"uuid": "nw-b", "ipv4_network": "10.1.0.0"})).await.expect_status(201);
    hosts.iter().for_each(|host| host.realizes(lab.revision()));
    assert_eq!(mode(&lab).await, "geneve");
    // Once it is upgraded, it is.
    old.heeds_pairs = true;
    sync::manager::Manager::register(lab.manager.agents(), old).await.expect("it can register");
    until("both are ready", async || mode(&lab).await == "gre").await;
}
