//! The control socket of `ovs-vswitchd`: it tells when packets meet what the tables say, and runs commands.
//!
//! An answer says that the tables have a change. Packets follow the datapath's cache, which `ovs-vswitchd` revalidates a
//! moment later; `revalidator/wait` on its control socket returns when a pass over the cache ends.
//!
//! # Two passes
//! The pass that ends first may have begun before the change. The one after it has begun later. Neither is
//! waited for idly: a change of the tables begins a pass at once, so each round makes one that no packet can
//! meet. Without it a pass begins every half second.
//!
//! That change and the question for the pass come by two sockets, in no order. When the change overtakes, its pass may be
//! over before anybody waits for it. So it is made again, at growing intervals, until a pass has been seen.

use std::path::{Path, PathBuf};
use std::time::Duration;

use openflow::{Connection, RequestError};
use ovsdb::{Client, Config, Endpoint};
use tokio::time::{sleep, timeout};

use crate::switch::nudge;

/// Passes to wait for.
const PASSES: u8 = 2;

/// Time that a pass over a small cache takes at most, after which it is begun again: `ovs-vswitchd` begins one every 5 ms at
/// most. It doubles each time, so that a large cache is not passed over in vain more often than it is waited for.
const FIRST_PAUSE: Duration = Duration::from_millis(12);

/// How long the passes may take together.
const LIMIT: Duration = Duration::from_secs(10);

/// Silence in which nothing is asked of `ovs-vswitchd`: a local socket says by itself that the other end has gone.
const PROBE_INTERVAL: Duration = Duration::from_secs(24 * 60 * 60);

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
    /// The tables cannot be changed.
    #[error("no change of the tables")]
    Switch(#[from] RequestError),
    /// It takes too long.
    #[error("no answer within {LIMIT:?}")]
    TimedOut,
}

/// The datapath of a switch.
#[derive(Debug)]
pub struct Datapath {
    rundir: PathBuf,
    /// Kept from one change to the next: to accept a connection costs the switch more than to answer a question.
    client: Option<Client>,
}

impl Datapath {
    /// The datapath of the `ovs-vswitchd` that has its sockets in `rundir`.
    pub fn new(rundir: PathBuf) -> Self {
        Self { rundir, client: None }
    }

    /// Returns once packets meet what the tables said when it was called.
    ///
    /// # Errors
    /// It cannot be known.
    pub async fn follows(&mut self, switch: &Connection) -> Result<(), ControlError> {
        timeout(LIMIT, self.passes(switch)).await.map_err(|_| ControlError::TimedOut)?
    }

    async fn passes(&mut self, switch: &Connection) -> Result<(), ControlError> {
        for _ in 0..PASSES {
            tokio::select! {
                pass = self.pass() => pass?,
                error = begin_passes(switch) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Waits for the end of a pass.
    async fn pass(&mut self) -> Result<(), ControlError> {
        if let Some(client) = self.client.take()
            && wait(&client).await.is_ok()
        {
            self.client = Some(client);
            return Ok(());
        }
        // The one that was kept may have been to a process that is no more.
        let client = connect(&self.rundir).await?;
        wait(&client).await?;
        self.client = Some(client);
        Ok(())
    }
}

async fn wait(client: &Client) -> Result<(), ControlError> {
    client.call("revalidator/wait", serde_json::json!([])).await?;
    Ok(())
}

/// Runs a command of `ovs-appctl(8)`, and gives back what it prints. The caller limits the time.
///
/// # Errors
/// The process is not there, or refuses.
pub async fn run(rundir: &Path, command: &str, arguments: &[&str]) -> Result<String, ControlError> {
    let printed = connect(rundir).await?.call(command, serde_json::json!(arguments)).await?;
    Ok(printed.as_str().unwrap_or_default().to_owned())
}

async fn connect(rundir: &Path) -> Result<Client, ControlError> {
    let process = tokio::fs::read_to_string(rundir.join("ovs-vswitchd.pid")).await?;
    let socket = rundir.join(format!("ovs-vswitchd.{}.ctl", process.trim()));
    // The control socket speaks the JSON-RPC of the database's (ovs-appctl(8)), without its keep-alive.
    let config = Config { probe_interval: PROBE_INTERVAL, ..Config::default() };
    Ok(Client::connect(&Endpoint::Unix(socket), &config).await?)
}

/// Begins a pass, again and again. Returns only if that is no longer possible.
async fn begin_passes(switch: &Connection) -> RequestError {
    let mut pause = FIRST_PAUSE;
    loop {
        if let Err(error) = nudge(switch).await {
            return error;
        }
        sleep(pause).await;
        pause *= 2;
    }
}
