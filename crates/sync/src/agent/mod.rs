//! The agent's end: a host joins once, and is then kept up to date.
//!
//! An [`Agent`] runs until it is stopped. It takes what the host knows of itself from [`Inputs`], always the newest
//! values, and gives out the newest [`Replica`] and whether it is connected. All that it does not manage to do now it
//! does when it is connected again.

mod backoff;
mod join;
mod link;
mod pace;
mod questions;

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::transport::Uri;
use topology::binding::SeenPort;
use topology::datapath::Registration;

pub use join::{JoinError, join};
pub use questions::Asked;

use crate::pki::Identity;
use crate::replica::Replica;
use link::Link;

/// What the host knows, newest values, and who answers for it.
#[derive(Clone, Debug)]
pub struct Inputs {
    /// Who it is. The node id must be the certificate's.
    pub registration: watch::Receiver<Registration>,
    /// All its ports by name, once they are known.
    pub ports: watch::Receiver<Option<Vec<Arc<SeenPort>>>>,
    /// The replica that its switch has realized.
    pub realized: watch::Receiver<Option<Arc<Replica>>>,
    /// Takes what a manager asks.
    pub questions: mpsc::Sender<Asked>,
}

/// Whether a manager hears the agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Connection {
    /// A manager has taken its registration.
    Connected {
        /// Since when.
        since: Timestamp,
    },
    /// None has.
    Disconnected {
        /// Since when.
        since: Timestamp,
        /// Why the last attempt failed, for the operator.
        reason: String,
    },
}

/// A host's connection to its managers. Dropping it ends it.
#[derive(Debug)]
pub struct Agent {
    replica: watch::Receiver<Option<Arc<Replica>>>,
    connection: watch::Receiver<Connection>,
    running: JoinHandle<()>,
    stop: DropGuard,
}

impl Agent {
    /// Starts to follow the managers at these addresses (host and port), one at a time. `saved` is the replica of an
    /// earlier run.
    ///
    /// # Panics
    /// Outside of a Tokio runtime.
    pub fn start(managers: Vec<Uri>, identity: Identity, saved: Option<Replica>, inputs: Inputs) -> Self {
        let reason = "not connected yet".to_owned();
        let (replica_sender, replica) = watch::channel(saved.map(Arc::new));
        let (connection_sender, connection) =
            watch::channel(Connection::Disconnected { since: Timestamp::now(), reason });
        let stop = CancellationToken::new();
        let link = Link::new(identity, inputs, replica_sender, connection_sender);
        let run = stop.clone().run_until_cancelled_owned(link.run(managers));
        let running = tokio::spawn(async { run.await.unwrap_or_default() });
        Self { replica, connection, running, stop: stop.drop_guard() }
    }

    /// The newest replica: the saved one at first.
    pub fn replica(&self) -> watch::Receiver<Option<Arc<Replica>>> {
        self.replica.clone()
    }

    /// Whether a manager hears the agent.
    pub fn connection(&self) -> watch::Receiver<Connection> {
        self.connection.clone()
    }

    /// Ends the connection.
    pub async fn stop(self) {
        drop(self.stop);
        // It has no way to fail, and nothing is lost if it does.
        let _ = self.running.await;
    }
}
