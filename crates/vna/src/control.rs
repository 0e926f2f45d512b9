//! Commands of `ovs-vswitchd(8)`, by its control socket.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ovsdb::{Client, Config, Endpoint};

/// Silence in which nothing is asked of `ovs-vswitchd`: a local socket says by itself that the other end has gone.
const PROBE_INTERVAL: Duration = Duration::from_secs(24 * 60 * 60);

/// Why a command was not run.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The process cannot be found.
    #[error("no process id of ovs-vswitchd")]
    Process(#[from] std::io::Error),
    /// Its control socket cannot be reached.
    #[error("no connection to the control socket")]
    Connect(#[from] ovsdb::ConnectError),
    /// It refuses.
    #[error("the command failed")]
    Command(#[from] ovsdb::RpcError),
}

/// Runs a command of `ovs-appctl(8)`, and gives back what it prints. The caller limits the time.
///
/// # Errors
/// The process is not there, or refuses.
pub async fn run(rundir: &Path, command: &str, arguments: &[&str]) -> Result<String, ControlError> {
    // The control socket speaks the JSON-RPC of the database's (ovs-appctl(8)), without its keep-alive.
    let config = Config { probe_interval: PROBE_INTERVAL, ..Config::default() };
    let client = Client::connect(&Endpoint::Unix(socket(rundir).await?), &config).await?;
    let printed = client.call(command, serde_json::json!(arguments)).await?;
    Ok(printed.as_str().unwrap_or_default().to_owned())
}

/// The control socket of the `ovs-vswitchd` that has its sockets in `rundir`.
///
/// # Errors
/// It has not written its process id there.
pub(crate) async fn socket(rundir: &Path) -> std::io::Result<PathBuf> {
    let process = tokio::fs::read_to_string(rundir.join("ovs-vswitchd.pid")).await?;
    Ok(rundir.join(format!("ovs-vswitchd.{}.ctl", process.trim())))
}
