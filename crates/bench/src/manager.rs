//! A manager of its own for one measurement: a process on free ports of loopback, with its state on a disk.

use std::env;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::Path;
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

/// The file that says where it listens.
const ADDRESSES: &str = "addresses.json";

/// A running manager. Dropping it ends it and removes its state.
pub(crate) struct Manager {
    // Fields drop in order: nobody uses the folder any more when it goes.
    child: Guarded,
    state: TempDir,
    addresses: Value,
}

/// A process that ends with whoever started it.
struct Guarded(Child);

impl Guarded {
    fn end(&mut self) {
        // It has ended already if this fails.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        self.end();
    }
}

impl Manager {
    /// Starts the one that was built beside this program, and waits until it answers.
    pub(crate) fn start() -> anyhow::Result<Self> {
        Self::start_on("127.0.0.1:0", "127.0.0.1:0")
    }

    /// The same, and agents can connect by any address of this machine.
    pub(crate) fn start_for_agents() -> anyhow::Result<Self> {
        Self::start_on("127.0.0.1:0", "0.0.0.0:0")
    }

    fn start_on(api: &str, sync: &str) -> anyhow::Result<Self> {
        let state = tempfile::Builder::new().prefix("openvnet-bench-").tempdir_in(DISK)?;
        let (child, addresses) = launch(state.path(), api, sync)?;
        Ok(Self { child, state, addresses })
    }

    /// Kills it, and starts another one on the same store and the same addresses. What it has used begins anew.
    pub(crate) fn restart(&mut self) -> anyhow::Result<()> {
        self.child.end();
        // So that the next one's is waited for.
        fs::remove_file(self.state.path().join(ADDRESSES))?;
        let (api, sync) = (self.address("api")?.to_owned(), self.address("sync")?.to_owned());
        (self.child, self.addresses) = launch(self.state.path(), &api, &sync)?;
        Ok(())
    }

    /// Where users connect.
    pub(crate) fn url(&self) -> anyhow::Result<String> {
        Ok(format!("http://{}", self.address("api")?))
    }

    /// Where agents connect.
    pub(crate) fn sync_port(&self) -> anyhow::Result<u16> {
        Ok(self.address("sync")?.parse::<SocketAddr>()?.port())
    }

    fn address(&self, of: &str) -> anyhow::Result<&str> {
        self.addresses[of].as_str().context("an address")
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

/// Starts a manager with its state in a folder, and waits until it says where it listens.
fn launch(state: &Path, api: &str, sync: &str) -> anyhow::Result<(Guarded, Value)> {
    let program = env::current_exe()?.with_file_name("vnmgr");
    let log = File::options().create(true).append(true).open(state.join("log"))?;
    let mut command = Command::new(&program);
    command.args(["run", "--api-listen", api, "--sync-listen", sync, "--state-dir"]).arg(state);
    command.env("RUST_LOG", "warn").stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    let child = Guarded(command.spawn().with_context(|| format!("cannot start {}", program.display()))?);
    let addresses = wait_until("the manager to listen", START_LIMIT, || {
        let text = fs::read_to_string(state.join(ADDRESSES)).map_err(|error| error.to_string())?;
        serde_json::from_str::<Value>(&text).map_err(|error| error.to_string())
    })?;
    Ok((child, addresses))
}
