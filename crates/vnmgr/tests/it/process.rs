//! The program itself: its addresses, its death and its end.

use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Client, until};

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
