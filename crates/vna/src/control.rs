//! Asks `ovs-vswitchd` to let its datapath catch up with its tables.
//!
//! A barrier says that the tables have a change. Packets follow the datapath's cache, which is brought in line a moment
//! later; `revalidator/wait` (ovs-vswitchd(8)) returns when it has been.

use std::path::Path;
use std::time::Duration;

use ovsdb::{Client, Config, Endpoint};
use tokio::time::timeout;

/// How long the cache may take. It is revalidated at least every half second.
const LIMIT: Duration = Duration::from_secs(5);

/// Why it is not known whether the datapath has caught up.
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
    /// It takes too long.
    #[error("no answer within {LIMIT:?}")]
    TimedOut,
}

/// Returns once packets meet what the tables said when it was called.
pub async fn wait_for_datapath(rundir: &Path) -> Result<(), ControlError> {
    timeout(LIMIT, ask(rundir)).await.map_err(|_| ControlError::TimedOut)?
}

async fn ask(rundir: &Path) -> Result<(), ControlError> {
    let process = tokio::fs::read_to_string(rundir.join("ovs-vswitchd.pid")).await?;
    let socket = rundir.join(format!("ovs-vswitchd.{}.ctl", process.trim()));
    // The control socket speaks the JSON-RPC of the database's (ovs-appctl(8)), without its keep-alive.
    let client = Client::connect(&Endpoint::Unix(socket), &Config::default()).await?;
    client.call("revalidator/wait", serde_json::json!([])).await?;
    Ok(())
}
