//! A manager of its own for one measurement: a process on free ports of loopback, with its state on a disk.

use std::env;
use std::fs::{self, File};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::Context;
use lab::wait_until;
use serde_json::Value;
use tempfile::TempDir;

use crate::machine::Used;

/// Time that it gets to start.
const START_LIMIT: Duration = Duration::from_secs(30);

/// Where state is kept. Not the temporary folder, which may be memory: what is measured is durable.
pub(crate) const DISK: &str = "/var/tmp";

/// A running manager. Dropping it ends it and removes its state.
pub(crate) struct Manager {
    // Fields drop in order: nobody uses the folder any more when it goes.
    child: Guarded,
    state: TempDir,
    addresses: Value,
}

/// A process that ends with whoever started it.
struct Guarded(Child);

impl Drop for Guarded {
    fn drop(&mut self) {
        // It has ended already if this fails.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Manager {
    /// Starts the one that was built beside this program, and waits until it answers.
    pub(crate) fn start() -> anyhow::Result<Self> {
        let state = tempfile::Builder::new().prefix("openvnet-bench-").tempdir_in(DISK)?;
        let program = env::current_exe()?.with_file_name("vnmgr");
        let log = File::create(state.path().join("log"))?;
        let any = "127.0.0.1:0";
        let mut command = Command::new(&program);
        command.args(["run", "--api-listen", any, "--sync-listen", any, "--state-dir"]).arg(state.path());
        command.env("RUST_LOG", "warn").stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = Guarded(command.spawn().with_context(|| format!("cannot start {}", program.display()))?);
        let addresses = wait_until("the manager to listen", START_LIMIT, || {
            let text =
                fs::read_to_string(state.path().join("addresses.json")).map_err(|error| error.to_string())?;
            serde_json::from_str::<Value>(&text).map_err(|error| error.to_string())
        })?;
        Ok(Self { child, state, addresses })
    }

    /// Where users connect.
    pub(crate) fn url(&self) -> anyhow::Result<String> {
        Ok(format!("http://{}", self.addresses["api"].as_str().context("an address")?))
    }

    /// What it has used.
    pub(crate) fn used(&self) -> anyhow::Result<Used> {
        Used::of(self.child.0.id())
    }

    /// The size of its store, the log of what is not in its place yet included.
    pub(crate) fn store_bytes(&self) -> anyhow::Result<f64> {
        let files = fs::read_dir(self.state.path())?.collect::<Result<Vec<_>, _>>()?;
        let of_store =
            files.iter().filter(|file| file.file_name().to_string_lossy().starts_with("openvnet.db"));
        let sizes =
            of_store.map(|file| Ok(file.metadata()?.len() as f64)).collect::<anyhow::Result<Vec<_>>>()?;
        Ok(sizes.iter().sum())
    }
}
