//! Real agents, over the network: joining, following, reporting, and surviving a manager that restarts.

use std::sync::Arc;

use serde_json::json;
use sync::agent::{Agent, Inputs, join};
use sync::pki::Identity;
use tempfile::TempDir;
use tokio::sync::watch;
use topology::Dpid;
use topology::binding::SeenPort;
use topology::datapath::{Encapsulation, Registration, Underlay};
use vnmgr::manager::{Manager, Options};

use crate::support::{Client, options, until};

/// A host whose switch has at once whatever its replica says.
struct Host {
    agent: Agent,
    ports: watch::Sender<Option<Vec<Arc<SeenPort>>>>,
    _registration: watch::Sender<Registration>,
    realizing: tokio::task::JoinHandle<()>,
}

impl Host {
    fn start(manager: &Manager, identity: Identity) -> Self {
        let underlay =
            Underlay { encapsulation: Encapsulation::Geneve, address: [192, 0, 2, 1].into(), mtu: 1500 };
        let registration = Registration::new(identity.node().clone(), Dpid(0xaa01), underlay);
        let (registration_sender, registration) = watch::channel(registration);
        let (ports_sender, ports) = watch::channel(Some(Vec::new()));
        let (realized_sender, realized) = watch::channel(None);
        let questions = tokio::sync::mpsc::channel(1).0;
        let inputs = Inputs { registration, ports, realized, questions };
        let agent = Agent::start(vec![uri(manager)], identity, None, inputs);
        let mut replica = agent.replica();
        let realizing = tokio::spawn(async move {
            while replica.changed().await.is_ok() {
                realized_sender.send_replace(replica.borrow_and_update().clone());
            }
        });
        Self { agent, ports: ports_sender, _registration: registration_sender, realizing }
    }

    async fn stop(self) {
        self.agent.stop().await;
        self.realizing.abort();
    }
}

fn uri(manager: &Manager) -> tonic::transport::Uri {
    format!("https://{}", manager.addresses().sync).parse().expect("a URI")
}

#[tokio::test]
async fn a_host_joins_follows_reports_and_is_waited_for_also_after_a_restart() {
    let (state, host_state) = (TempDir::new().expect("a directory"), TempDir::new().expect("a directory"));
    let manager = Manager::start(&options(&state)).await.expect("it starts");
    let client = Client::new(&manager);

    let token = client.post("hosts/tokens", json!({})).await.expect_status(201);
    let token = token.body["token"].as_str().expect("a token").to_owned();
    let node = "host1".parse().expect("a node id");
    let identity = join(uri(&manager), &token, &node, host_state.path()).await.expect("it joins");
    assert!(join(uri(&manager), &token, &node, host_state.path()).await.is_err(), "the token is used up");

    let host = Host::start(&manager, identity);
    let tap0 = SeenPort {
        name: "tap0".to_owned(),
        instance: "1".to_owned(),
        iface_id: None,
        error: None,
        asks: false,
    };
    host.ports.send_replace(Some(vec![tap0.into()]));
    until("the host shows its port", async || client.get("hosts/host1").await.body["ports_seen"] == 1).await;

    client.post("networks", json!({"uuid": "nw-a", "ipv4_network": "10.0.0.0"})).await.expect_status(201);
    let interface = json!({"uuid": "if-a", "network_uuid": "nw-a", "port_name": "tap0",
        "mac_address": "10:54:ff:00:00:01", "ipv4_address": "10.0.0.1"});
    let made = client.post("interfaces?wait=realized", interface).await.expect_status(201);
    assert_eq!(made.body["status"]["host"], "host1");
    let replica = host.agent.replica();
    let has_interface = |replica: &Option<Arc<sync::Replica>>| {
        replica.as_ref().is_some_and(|replica| replica.topology.interfaces().len() == 1)
    };
    assert!(has_interface(&replica.borrow()));

    // A restarted manager hears all of it again; it must be where it was.
    let Options { state_dir, .. } = options(&state);
    let (api_listen, sync_listen) = (manager.addresses().api, manager.addresses().sync);
    manager.stop().await.expect("it stops");
    let again = Options { state_dir, api_listen, sync_listen };
    let manager = Manager::start(&again).await.expect("it starts again");
    let client = Client::new(&manager);
    until("the host is back and has everything", async || {
        let host = client.get("hosts/host1").await.expect_status(200).body;
        host["connected"] == true && host["lag"] == 0 && host["ports_seen"] == 1
    })
    .await;
    client.get("interfaces/if-a").await.expect_status(200);
    client.delete("interfaces/if-a?wait=realized").await.expect_status(200);
    until("the replica follows", async || !has_interface(&replica.borrow())).await;
    host.stop().await;
    manager.stop().await.expect("it stops");
}
