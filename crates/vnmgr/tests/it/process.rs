//! The program itself: its addresses, its death and its end.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

use futures::StreamExt;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::allocation::{guest, prepare};
use crate::support::{Client, until};
use crate::watching::Watcher;

/// A running program, ended with the test.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Program {
    async fn start(state: &Path) -> (Self, Client) {
        let child = Command::new(env!("CARGO_BIN_EXE_vnmgr"))
            .args(["run", "--api-listen", "127.0.0.1:0", "--sync-listen", "127.0.0.1:0", "--state-dir"])
            .arg(state)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts");
        let mut address = None;
        until("the program says where it listens", async || {
            let text = std::fs::read(state.join("addresses.json")).unwrap_or_default();
            let addresses: Option<Value> = serde_json::from_slice(&text).ok();
            address = addresses.and_then(|addresses| addresses["api"].as_str().map(ToOwned::to_owned));
            address.is_some()
        })
        .await;
        (Self(child), Client::at(&address.expect("an address")))
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.0.id()).expect("a process id"));
        kill(pid, signal).expect("a signal");
    }

    async fn ended(&mut self) -> ExitStatus {
        let mut status = None;
        until("the program ends", async || {
            status = self.0.try_wait().expect("its status");
            status.is_some()
        })
        .await;
        status.expect("a status")
    }
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_kill_and_a_stop_is_clean() {
    let state = TempDir::new().expect("a directory");
    let (mut program, client) = Program::start(state.path()).await;
    for number in 0..20 {
        let network = json!({"uuid": format!("nw-{number}"), "ipv4_network": "10.0.0.0"});
        client.post("networks", network).await.expect_status(201);
    }
    program.signal(Signal::SIGKILL);
    program.ended().await;
    // Whoever waits for the addresses waits for those of the new run.
    std::fs::remove_file(state.path().join("addresses.json")).expect("the addresses of the first run");
    let (mut program, client) = Program::start(state.path()).await;
    client.get("networks").await.expect(json!({"total_count": 20}));
    program.signal(Signal::SIGTERM);
    assert!(program.ended().await.success());
}

#[tokio::test]
async fn a_watcher_goes_on_after_a_kill_where_it_was() {
    let state = TempDir::new().expect("a directory");
    let (mut program, client) = Program::start(state.path()).await;
    let network = async |client: &Client, id: &str| {
        let network = json!({"uuid": id, "ipv4_network": "10.0.0.0"});
        client.post("networks", network).await.expect_status(201);
    };
    let mut watcher = Watcher::start(&client, "").await;
    network(&client, "nw-a").await;
    watcher.expect(&["created networks/nw-a"]).await;
    let last = watcher.last();
    // Of this one the watcher does not hear before the kill.
    network(&client, "nw-b").await;
    program.signal(Signal::SIGKILL);
    program.ended().await;
    std::fs::remove_file(state.path().join("addresses.json")).expect("the addresses of the first run");
    let (_program, client) = Program::start(state.path()).await;
    network(&client, "nw-c").await;
    let mut watcher = Watcher::resume(&client, last).await;
    watcher.expect(&["created networks/nw-b"]).await;
    watcher.expect(&["created networks/nw-c"]).await;
}

/// Most requests under way at once: beyond that, they would wait for each other and not for the manager.
const AT_ONCE: usize = 64;

/// Makes these guests, many at a time, and gives back the addresses of those that were acknowledged.
async fn make_guests(client: &Client, numbers: std::ops::Range<usize>) -> BTreeMap<String, Value> {
    let requests = futures::stream::iter(numbers.map(|number| {
        let id = format!("if-{number}");
        let request = client.request(reqwest::Method::POST, "interfaces").json(&guest(&id));
        async move {
            let response = request.send().await.ok().filter(|response| response.status() == 201)?;
            let made: Value = response.json().await.ok()?;
            Some((id, json!([made["mac_address"], made["ipv4_address"]])))
        }
    }));
    requests.buffer_unordered(AT_ONCE).filter_map(std::future::ready).collect().await
}

#[tokio::test]
async fn a_thousand_addresses_given_at_once_are_neither_lost_nor_given_twice_by_a_kill() {
    let state = TempDir::new().expect("a directory");
    let (mut program, client) = Program::start(state.path()).await;
    prepare(&client, "10.0.3.241").await;
    let killed = async {
        until("some are made", async || {
            client.get("ip_leases").await.body["total_count"].as_u64() > Some(100)
        })
        .await;
        program.signal(Signal::SIGKILL);
    };
    let (mut given, ()) = tokio::join!(make_guests(&client, 0..1000), killed);
    assert!((1..1000).contains(&given.len()), "{} were made before the kill", given.len());
    program.ended().await;
    std::fs::remove_file(state.path().join("addresses.json")).expect("the addresses of the first run");

    let (_program, client) = Program::start(state.path()).await;
    // Of some the client never heard that they were made: these are refused now.
    given.extend(make_guests(&client, 0..1000).await);
    let there = client.get("interfaces?limit=1000").await.expect(json!({"total_count": 1000}));
    let there: BTreeMap<_, _> = there.body["items"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|of| {
            (of["uuid"].as_str().expect("an id").to_owned(), json!([of["mac_address"], of["ipv4_address"]]))
        })
        .collect();
    assert!(
        given.iter().all(|(id, addresses)| there.get(id) == Some(addresses)),
        "one is not as acknowledged"
    );
    for place in [0, 1] {
        let distinct: BTreeSet<_> = there.values().map(|of| of[place].to_string()).collect();
        assert_eq!(distinct.len(), 1000);
    }
    // The range had exactly as many.
    let refused = client.post("interfaces", guest("if-x")).await;
    refused.expect_error(422, "Exhausted", "117", Some("ip_range_group_uuid"));
}

#[tokio::test]
async fn a_lease_that_is_over_while_no_manager_runs_is_released_by_the_next() {
    let state = TempDir::new().expect("a directory");
    let (mut program, client) = Program::start(state.path()).await;
    prepare(&client, "10.0.0.19").await;
    client
        .post("ip_retention_containers", json!({"uuid": "irc-a", "lease_time": 1}))
        .await
        .expect_status(201);
    client.post("lease_policies/lp-a/ip_retention_containers/irc-a", json!({})).await.expect_status(201);
    client.post("interfaces", guest("if-a")).await.expect_status(201);
    program.signal(Signal::SIGKILL);
    program.ended().await;
    std::fs::remove_file(state.path().join("addresses.json")).expect("the addresses of the first run");
    let (_program, client) = Program::start(state.path()).await;
    until("the lease is released", async || {
        client.get("interfaces/if-a").await.body["ipv4_address"].is_null()
    })
    .await;
}

#[test]
fn a_backup_can_be_restored_and_nothing_is_overwritten() {
    let (state, other) = (TempDir::new().expect("a directory"), TempDir::new().expect("a directory"));
    let copy = other.path().join("copy.db");
    let run = |command: &str, state: &Path| {
        let mut vnmgr = Command::new(env!("CARGO_BIN_EXE_vnmgr"));
        let output = vnmgr.arg(command).arg(&copy).arg("--state-dir").arg(state).output();
        output.expect("the program runs").status.success()
    };
    assert!(run("backup", state.path()));
    assert!(!run("backup", state.path()), "the copy is there already");
    assert!(!run("restore", state.path()), "the store is there already");
    assert!(run("restore", &other.path().join("new")));
}
