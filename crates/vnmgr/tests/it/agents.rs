//! Agents: what hosts show decides where interfaces live.

use std::sync::Arc;

use serde_json::{Value, json};
use sync::manager::{Manager as _, SessionId};
use topology::binding::{PortReport, SeenPort};

use crate::support::{Lab, tutorial};

/// What is shown of an interface's status.
#[track_caller]
fn check(shown: &Value, state: &str, host: Option<&str>, claims: &[&str]) {
    let status = &shown["status"];
    let found = (status["state"].as_str(), status["host"].as_str(), status["claims"].clone());
    assert_eq!(found, (Some(state), host, json!(claims)), "{status}");
}

/// What a host says whose ports are new or gone.
fn since(new: &[&str], gone: &[&str]) -> PortReport {
    let port = |name: &&str| {
        let (name, instance) = ((*name).to_owned(), format!("row-{name}"));
        Arc::new(SeenPort { name, instance, ..SeenPort::default() })
    };
    let gone = gone.iter().map(|name| (*name).to_owned()).collect();
    PortReport::Since { ports: new.iter().map(port).collect(), gone }
}

impl Lab {
    async fn interface(&self, id: &str) -> Value {
        self.client.get(&format!("interfaces/{id}")).await.expect_status(200).body
    }

    async fn networks_with(&self, interface: Value) {
        self.client
            .post("networks", json!({"uuid": "nw-a", "ipv4_network": "10.0.0.0"}))
            .await
            .expect_status(201);
        self.client.post("interfaces", interface).await.expect_status(201);
    }
}

#[tokio::test]
async fn a_port_that_appears_after_its_record_binds_it() {
    let lab = Lab::start().await;
    lab.networks_with(json!({"uuid": "if-a", "network_uuid": "nw-a", "port_name": "tap0"})).await;
    check(&lab.interface("if-a").await, "unbound", None, &[]);
    let host = lab.host("host1", 1).await;
    host.shows(&["tap0", "eth0"]).await;
    check(&lab.interface("if-a").await, "active", Some("host1"), &["host1"]);
    lab.client.get("hosts/host1").await.expect(json!({
        "datapath_uuid": "dp-host1", "connected": true, "interfaces_active": 1, "ports_seen": 2,
        "ports_unclaimed": 1, "refusals": []}));
    host.shows(&["eth0"]).await;
    check(&lab.interface("if-a").await, "unbound", None, &[]);
}

#[tokio::test]
async fn a_record_that_appears_after_its_port_is_bound_by_the_same_commit() {
    let lab = Lab::start().await;
    let host = lab.host("host1", 1).await;
    host.shows(&["tap0", "tap1=if-b"]).await;
    lab.client.post("networks", json!({"uuid": "nw-a", "ipv4_network": "10.0.0.0"})).await.expect_status(201);
    for (uuid, port) in [("if-a", Some("tap0")), ("if-b", None)] {
        let before = lab.revision();
        let interface = json!({"uuid": uuid, "network_uuid": "nw-a", "port_name": port});
        let made = lab.client.post("interfaces", interface).await.expect_status(201);
        check(&made.body, "active", Some("host1"), &["host1"]);
        assert_eq!(lab.revision(), before.next());
    }
}

#[tokio::test]
async fn the_newest_claim_counts_and_hosts_do_not_fight_over_an_interface() {
    let lab = Lab::start().await;
    lab.networks_with(json!({"uuid": "if-a", "network_uuid": "nw-a", "port_name": "tap0"})).await;
    let (old, new) = (lab.host("host1", 1).await, lab.host("host2", 2).await);
    old.shows(&["tap0"]).await;
    new.shows(&["tap0"]).await;
    check(&lab.interface("if-a").await, "active", Some("host2"), &["host1", "host2"]);
    let revision = lab.revision();
    for _ in 0..10 {
        old.shows(&["tap0"]).await;
        new.shows(&["tap0"]).await;
    }
    assert_eq!(lab.revision(), revision, "what is said again changes nothing");
    new.shows(&[]).await;
    check(&lab.interface("if-a").await, "active", Some("host1"), &["host1"]);
}

#[tokio::test]
async fn an_interface_of_a_host_that_is_not_heard_stays_there_and_says_so() {
    let lab = Lab::start().await;
    lab.networks_with(json!({"uuid": "if-a", "network_uuid": "nw-a", "port_name": "tap0"})).await;
    let host = lab.host("host1", 1).await;
    host.shows(&["tap0"]).await;
    assert_eq!(lab.interface("if-a").await["status"]["reason"], Value::Null);
    host.disconnects();
    let shown = lab.interface("if-a").await;
    check(&shown, "active", Some("host1"), &["host1"]);
    assert!(shown["status"]["reason"].as_str().is_some_and(|reason| reason.contains("host1")));
    lab.client.get("hosts/dp-host1").await.expect(json!({"connected": false, "connected_since": null}));
    lab.client.get("datapaths/dp-host1").await.expect(json!({"connected": false}));
}

#[tokio::test]
async fn a_port_that_is_refused_is_an_error_with_its_reason() {
    let lab = Lab::start().await;
    let interface =
        json!({"uuid": "if-a", "network_uuid": "nw-a", "port_name": "tap0", "requested_host": "host2"});
    lab.networks_with(interface).await;
    let host = lab.host("host1", 1).await;
    host.shows(&["tap0"]).await;
    let shown = lab.interface("if-a").await;
    check(&shown, "error", None, &[]);
    assert!(shown["status"]["reason"].as_str().is_some_and(|reason| reason.contains("requested_host")));
    let host = lab.client.get("hosts/host1").await;
    assert_eq!(host.body["refusals"][0]["interface_uuid"], "if-a");

    lab.client.put("interfaces/if-a", json!({"requested_host": ""})).await.expect_status(200);
    check(&lab.interface("if-a").await, "active", Some("host1"), &["host1"]);
    lab.client.put("interfaces/if-a", json!({"admin_state": "down"})).await.expect_status(200);
    check(&lab.interface("if-a").await, "down", Some("host1"), &["host1"]);
}

#[tokio::test]
async fn a_port_that_the_switch_cannot_open_is_an_error_with_the_switchs_words() {
    let lab = Lab::start().await;
    lab.networks_with(json!({"uuid": "if-a", "network_uuid": "nw-a", "port_name": "tap0"})).await;
    let host = lab.host("host1", 1).await;
    let error = Some("could not open network device tap0 (No such device)".to_owned());
    let port =
        SeenPort { name: "tap0".to_owned(), instance: "1".to_owned(), iface_id: None, error, asks: false };
    host.shows_ports(vec![port]).await;
    let shown = lab.interface("if-a").await;
    check(&shown, "error", None, &[]);
    assert!(shown["status"]["reason"].as_str().is_some_and(|reason| reason.contains("No such device")));
}

#[tokio::test]
async fn an_agent_takes_the_place_of_the_datapath_that_a_user_made_for_it() {
    let lab = Lab::start().await;
    let made = json!({"uuid": "dp-mine", "dpid": "0xaa01", "node_id": "anything"});
    lab.client.post("datapaths", made).await.expect_status(201);
    let host = lab.host("host1", 1).await;
    assert_eq!(host.datapath.to_string(), "dp-mine");
    lab.client.get("hosts/host1").await.expect(json!({"datapath_uuid": "dp-mine", "connected": true}));
    let underlay = json!({"encapsulation": "geneve", "address": "192.0.2.1", "mtu": 1500});
    lab.client.get("datapaths/dp-mine").await.expect(json!({"underlay": underlay, "node_id": "host1"}));
}

#[tokio::test]
async fn a_deleted_datapath_claims_nothing_and_is_forgotten() {
    let lab = Lab::start().await;
    lab.networks_with(json!({"uuid": "if-a", "network_uuid": "nw-a", "port_name": "tap0"})).await;
    let host = lab.host("host1", 1).await;
    host.shows(&["tap0"]).await;
    lab.client.delete("datapaths/dp-host1").await.expect_status(200);
    check(&lab.interface("if-a").await, "unbound", None, &[]);
    lab.client.get("hosts/host1").await.expect_error(404, "UnknownUUIDResource", "100", Some("host"));
    host.disconnects();
    let host = lab.host("host1", 1).await;
    lab.client.get("hosts/host1").await.expect(json!({"ports_seen": 0, "connected": true}));
    host.shows(&["tap0"]).await;
    check(&lab.interface("if-a").await, "active", Some("host1"), &["host1"]);
}

/// Interfaces with ports `tap0` and `tap1`.
async fn two_interfaces(lab: &Lab) {
    lab.networks_with(json!({"uuid": "if-a", "network_uuid": "nw-a", "port_name": "tap0"})).await;
    let other = json!({"uuid": "if-b", "network_uuid": "nw-a", "port_name": "tap1"});
    lab.client.post("interfaces", other).await.expect_status(201);
}

#[tokio::test]
async fn a_port_that_comes_or_goes_is_said_and_bound_without_the_others() {
    let lab = Lab::start().await;
    two_interfaces(&lab).await;
    let host = lab.host("host1", 1).await;
    host.says(since(&["tap0"], &[])).await;
    check(&lab.interface("if-a").await, "unbound", None, &[]);
    host.shows(&["eth0", "tap1"]).await;
    host.says(since(&["tap0"], &["eth0"])).await;
    check(&lab.interface("if-a").await, "active", Some("host1"), &["host1"]);
    check(&lab.interface("if-b").await, "active", Some("host1"), &["host1"]);
    lab.client.get("hosts/host1").await.expect(json!({"interfaces_active": 2, "ports_seen": 2}));
    host.says(since(&[], &["tap1"])).await;
    check(&lab.interface("if-a").await, "active", Some("host1"), &["host1"]);
    check(&lab.interface("if-b").await, "unbound", None, &[]);
}

#[tokio::test]
async fn a_datapath_that_is_deleted_and_made_again_keeps_the_ports_of_the_agent_that_stays_connected() {
    let lab = Lab::start().await;
    two_interfaces(&lab).await;
    let host = lab.host("host1", 1).await;
    host.shows(&["tap0"]).await;
    lab.client.delete("datapaths/dp-host1").await.expect_status(200);
    check(&lab.interface("if-a").await, "unbound", None, &[]);
    host.says(since(&["tap1"], &[])).await;
    let made = json!({"uuid": "dp-host1", "dpid": "0xaa01", "node_id": "host1"});
    lab.client.post("datapaths", made).await.expect_status(201);
    check(&lab.interface("if-a").await, "active", Some("host1"), &["host1"]);
    check(&lab.interface("if-b").await, "active", Some("host1"), &["host1"]);
    lab.client.delete("datapaths/dp-host1").await.expect_status(200);
    host.disconnects();
    let seen = lab.manager.agents().hosts.read().seen();
    assert_eq!(seen.hosts().count(), 0, "nobody says anything of it any more");
}

#[tokio::test]
async fn a_token_lets_one_host_in_once() {
    let lab = Lab::start().await;
    let agents = lab.manager.agents();
    let digest = |text: &str| text.parse::<sync::pki::Token>().expect("a token").digest();
    let node = |name: &str| name.parse().expect("a node id");
    let made = lab.client.post("hosts/tokens", json!({"node_id": "host1", "lifetime_seconds": 60})).await;
    let token = digest(made.expect_status(201).body["token"].as_str().expect("a text"));
    assert!(agents.redeem(token.clone(), node("host2")).await.is_err(), "another host");
    assert!(agents.redeem(token.clone(), node("host1")).await.is_ok());
    assert!(agents.redeem(token, node("host1")).await.is_err(), "used up");
    let refused = async |body, field| {
        lab.client.post("hosts/tokens", body).await.expect_error(400, "ArgumentError", "110", Some(field));
    };
    refused(json!({"lifetime_seconds": 0}), "lifetime_seconds").await;
    refused(json!({"lifetime_seconds": 1e9}), "lifetime_seconds").await;
    refused(json!({"node_id": "a b"}), "node_id").await;
    refused(json!({"colour": "red"}), "colour").await;
    lab.client.post("hosts/tokens", json!({})).await.expect_status(201);
}

#[tokio::test]
async fn hosts_are_listed_with_how_far_they_are() {
    let lab = Lab::start().await;
    for (path, body) in tutorial() {
        lab.client.post(path, body).await.expect_status(201);
    }
    let host = lab.host("host1", 1).await;
    host.realizes(topology::Revision(3));
    let head = lab.revision().0;
    lab.client.get("hosts/host1").await.expect(json!({"realized_revision": 3, "lag": head - 3}));
    host.realizes(topology::Revision(1000));
    lab.client.get("hosts/host1").await.expect(json!({"realized_revision": 3}));
    lab.client.get("hosts").await.expect(json!({"total_count": 2}));
    lab.client.get("hosts?connected=true").await.expect(json!({"total_count": 1}));
}

#[tokio::test]
async fn an_underlay_address_is_taken_over_from_a_host_that_is_gone_and_from_no_other() {
    let lab = Lab::start().await;
    let host = lab.host("host1", 1).await;
    let address = [192, 0, 2, 1].into();
    let anew = topology::datapath::Registration::new(
        "anew".parse().expect("a node id"),
        topology::Dpid(0xbb01),
        topology::datapath::Underlay {
            encapsulation: topology::datapath::Encapsulation::Geneve,
            address,
            mtu: 1500,
        },
    );
    let agents = lab.manager.agents();
    agents.register(anew.clone()).await.expect_err("the other is connected");
    let mut beside = anew.clone().with_addresses(vec![anew.underlay.endpoint()]);
    beside.underlay.address = [192, 0, 2, 2].into();
    agents.register(beside).await.expect_err("no host has it as a second address, either");
    agents.disconnected(host.datapath.clone(), SessionId(1));
    agents.register(anew).await.expect("the other is gone");
    lab.client.get("datapaths/dp-host1").await.expect(json!({"underlay": null}));
}
