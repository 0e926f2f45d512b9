//! Agents that reconnect for ever, read nothing, or say what is not so.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sync::{Agent, Connection, Inputs, Replica};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tonic::Code;
use topology::{Id, InterfaceId};

use crate::log;
use crate::raw::{Joined, port};
use crate::support::{Lab, until};

/// How long anything may take: a test that needs as much has failed.
const DEADLINE: Duration = Duration::from_secs(30);

/// Agents that do nothing but connect.
const RECONNECTING: u8 = 10;

/// Changes whose way to the good agent is measured.
const CHANGES: usize = 40;

/// Interfaces that the one that reads nothing would have to read of: far more than fits into what a connection sends
/// ahead.
const UNREAD: u8 = 60;

/// By how much hostile agents may slow down a change. They share the processors with the test: each connection costs both
/// ends a handshake. Without limits the change would not arrive at all, or after time-outs of many seconds.
const FACTOR: u32 = 40;

/// An agent as it should be, on host `good`, where the interface `if-good` lives.
struct Good {
    agent: Agent,
}

impl Good {
    async fn start(lab: &Lab) -> Self {
        let joined = Joined::new(lab, "good", 1).await;
        let (_, registration) = watch::channel(joined.registration.clone());
        let (_, ports) = watch::channel(Some(vec![port("tap0", None).into()]));
        let (_, realized) = watch::channel(None);
        let managers = vec![joined.manager.parse().expect("an address")];
        let questions = tokio::sync::mpsc::channel(1).0;
        let inputs = Inputs { registration, ports, realized, questions };
        let agent = Agent::start(managers, joined.identity, None, inputs);
        Self { agent }
    }

    async fn sees(&self, is_right: impl Fn(&Replica) -> bool) {
        let mut replica = self.agent.replica();
        let found =
            replica.wait_for(|replica: &Option<Arc<Replica>>| replica.as_deref().is_some_and(&is_right));
        tokio::time::timeout(DEADLINE, found).await.expect("in time").expect("open");
    }

    /// The median time from a request to the replica that has its change.
    async fn time_to_see(&self, lab: &Lab, run: &str) -> Duration {
        let interface: InterfaceId = "if-good".parse().expect("an id");
        let mut times = Vec::new();
        for change in 0..CHANGES {
            let name = format!("{run}-{change}");
            let started = Instant::now();
            lab.client.put("interfaces/if-good", json!({"display_name": name})).await.expect_status(200);
            self.sees(|replica| {
                replica.topology.interfaces().get(&interface).is_some_and(|of| of.display_name == name)
            })
            .await;
            times.push(started.elapsed());
        }
        times.sort();
        times[CHANGES / 2]
    }
}

fn interface(name: &str, number: u8, more: Value) -> Value {
    let mut attributes = json!({"uuid": format!("if-{name}"), "network_uuid": "nw-a",
        "mac_address": format!("02:00:00:00:00:{number:02x}"), "ipv4_address": format!("10.0.0.{number}")});
    let more = more.as_object().cloned().unwrap_or_default();
    attributes.as_object_mut().expect("attributes").extend(more);
    attributes
}

async fn lab() -> Lab {
    log::keep();
    let lab = Lab::start().await;
    let network = json!({"uuid": "nw-a", "ipv4_network": "10.0.0.0", "ipv4_prefix": 24});
    lab.client.post("networks", network).await.expect_status(201);
    let good = interface("good", 1, json!({"port_name": "tap0", "requested_host": "good"}));
    lab.client.post("interfaces", good).await.expect_status(201);
    lab
}

/// Connects, is welcomed, and is gone again: for ever.
async fn reconnect(joined: Joined) {
    loop {
        if let Ok(mut raw) = joined.hello(&joined.registration).await {
            let _ = raw.told().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_good_agent_hears_of_changes_whatever_hostile_ones_do() {
    let lab = lab().await;
    let good = Good::start(&lab).await;
    good.sees(|replica| !replica.topology.interfaces().is_empty()).await;
    let connected = good.agent.connection().borrow().clone();
    assert!(matches!(connected, Connection::Connected { .. }));
    let before = good.time_to_see(&lab, "before").await;

    let mut hostile = JoinSet::new();
    for number in 0..RECONNECTING {
        hostile.spawn(reconnect(Joined::new(&lab, &format!("restless{number}"), 100 + number).await));
    }
    let deaf = Joined::new(&lab, "deaf", 50).await;
    let mut deaf = deaf.hello(&deaf.registration).await.expect("a stream");
    deaf.ports(&[port("deaf0", None)]).await;
    for number in 0..UNREAD {
        let more = json!({"port_name": format!("deaf{number}"), "labels": {"filler": "x".repeat(200)}});
        let interface = interface(&format!("deaf{number}"), 100 + number, more);
        lab.client.post("interfaces", interface).await.expect_status(201);
    }
    let during = good.time_to_see(&lab, "during").await;
    assert!(hostile.try_join_next().is_none(), "those that reconnect still do");
    hostile.shutdown().await;
    let after = good.time_to_see(&lab, "after").await;

    let undisturbed = before.max(after);
    assert!(during <= undisturbed * FACTOR, "{during:?}, and {undisturbed:?} without hostile agents");
    assert_eq!(*good.agent.connection().borrow(), connected, "it was connected all the time");
    drop(deaf);
}

#[tokio::test]
async fn a_host_that_says_it_is_another_is_refused_and_logged() {
    let lab = lab().await;
    let (good, liar) = (Good::start(&lab).await, Joined::new(&lab, "liar-of-name", 2).await);
    good.sees(|replica| !replica.topology.interfaces().is_empty()).await;
    let revision = lab.revision();
    let mut claimed = liar.registration.clone();
    claimed.node_id = "good".parse().expect("a node id");
    let mut raw = liar.hello(&claimed).await.expect("a stream");
    assert_eq!(raw.end().await.code(), Code::PermissionDenied);
    // One that is known by now may no more.
    let mut raw = liar.hello(&liar.registration).await.expect("a stream");
    raw.told().await.expect("welcome");
    let registration = serde_json::to_vec(&claimed).expect("JSON");
    let hello = sync::machines::Hello { protocol: 1, registration, ..Default::default() };
    raw.say(sync::machines::Said::Hello(hello)).await;
    assert_eq!(raw.end().await.code(), Code::PermissionDenied);
    // A switch that is another host's is another way to say it.
    let mut stolen = liar.registration.clone();
    stolen.dpid = crate::raw::registration("good", 1).dpid;
    let mut raw = liar.hello(&stolen).await.expect("a stream");
    assert_eq!(raw.end().await.code(), Code::FailedPrecondition);
    assert!(log::says(&["WARN", "liar-of-name", "good", "refused"]));
    assert!(log::says(&["liar-of-name", "belongs to"]));
    assert_eq!(lab.revision().0, revision.0 + 1, "nothing but its own datapath is new");
    assert!(matches!(*good.agent.connection().borrow(), Connection::Connected { .. }));
}

#[tokio::test]
async fn a_host_that_shows_the_port_of_anothers_interface_is_refused_and_logged() {
    let lab = lab().await;
    let (good, liar) = (Good::start(&lab).await, Joined::new(&lab, "liar-of-ports", 2).await);
    let host = async || lab.client.get("interfaces/if-good").await.body["status"]["host"].clone();
    until("it lives where its port is", async || host().await == "good").await;
    let mut raw = liar.hello(&liar.registration).await.expect("a stream");
    raw.told().await.expect("welcome");
    raw.ports(&[port("tap0", None), port("tap1", Some("if-good"))]).await;
    let refusals = async || lab.client.get("hosts/liar-of-ports").await.body["refusals"].clone();
    until("the refusal is shown", async || refusals().await[0]["interface_uuid"] == "if-good").await;
    assert_eq!(host().await, "good");
    assert!(log::says(&["WARN", "dp-liar-of-ports", InterfaceId::PREFIX, "if-good", "refused"]));
    drop(good);
}
