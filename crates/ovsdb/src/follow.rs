//! A replica that outlives its connections.
//!
//! A task connects, monitors, takes updates into a [`Snapshot`], and begins again when the connection ends. Readers get the
//! latest [`View`] through a `watch` channel: a snapshot that nobody changes, and the client of the connection it came by.
//!
//! # Resuming
//! A new connection asks for what happened since the last transaction taken in. If the server no longer knows it, or is
//! one that keeps no history (a standalone server), it sends everything, and everything replaces what was there. Readers
//! keep the old rows until the new ones are complete: a restart of the server never looks like an empty database.
//!
//! # States
//! ```text
//!   Disconnected ──connected, monitor answered──> Following ──update──> Following
//!        ^                                            │
//!        └──after a pause with jitter──── connection ended, or an update that does not fit
//! ```

use std::sync::Arc;
use std::time::Duration;

use rand::Rng;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use crate::client::{Client, Config, ConnectError, Monitor, QueryError};
use crate::endpoint::Endpoint;
use crate::monitor::MonitorRequest;
use crate::snapshot::{InconsistentError, Snapshot};
use crate::value::Uuid;

/// The first pause before connecting again.
const MIN_PAUSE: Duration = Duration::from_millis(50);

/// The longest pause before connecting again. The server is on this machine or near; a restarted switch is wanted
/// back within two seconds.
const MAX_PAUSE: Duration = Duration::from_secs(1);

/// A connection that lasted this long was a good one: the next pause is the shortest again. Shorter ones may have failed
/// because of what the server sends, and each costs it a dump.
const GOOD_CONNECTION: Duration = Duration::from_secs(5);

/// Longest time from a connection to its monitor's answer. A dump of 50 MB takes a few seconds.
const START_LIMIT: Duration = Duration::from_secs(60);

/// What a reader sees of a replica at one moment. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct View {
    /// The rows, once there were any. While disconnected, those of the last connection.
    pub snapshot: Option<Snapshot>,
    /// The connection, while there is one.
    pub client: Option<Client>,
    /// How many connections there have been.
    pub connections: u64,
}

/// A live copy of the monitored part of a database. Ends when dropped.
#[derive(Debug)]
pub struct Replica {
    database: String,
    view: watch::Receiver<View>,
    _task: AbortOnDropHandle<()>,
}

/// Why a connection stopped feeding the replica.
#[derive(Debug, thiserror::Error)]
enum FollowError {
    #[error("not connected")]
    Connect(#[from] ConnectError),
    #[error("not monitored")]
    Query(#[from] QueryError),
    #[error("monitor did not start in time")]
    StartTimedOut,
    #[error("replica has missed an update")]
    Inconsistent(#[from] InconsistentError),
}

impl Replica {
    /// Follows the part of `database` that `request` describes, on a task of the current runtime. Tables and columns that
    /// the server does not have are left out.
    #[must_use]
    pub fn follow(endpoint: Endpoint, config: Config, database: &str, request: MonitorRequest) -> Self {
        let (sender, view) = watch::channel(View::default());
        let follower = Follower {
            endpoint,
            config,
            database: database.to_owned(),
            request,
            view: sender,
            pause: MIN_PAUSE,
        };
        let task = tokio::spawn(follower.run());
        Self { database: database.to_owned(), view, _task: AbortOnDropHandle::new(task) }
    }

    /// The database followed.
    #[must_use]
    pub fn database(&self) -> &str {
        &self.database
    }

    /// The present view.
    #[must_use]
    pub fn view(&self) -> View {
        self.view.borrow().clone()
    }

    /// A receiver that is told of every new view; of several in quick succession it may see the last alone.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<View> {
        self.view.clone()
    }

    /// Waits for a connection and the rows it brought. Without a limit: for the caller to set.
    pub async fn connected(&self) -> (Client, Snapshot) {
        let mut view = self.watch();
        loop {
            if let View { snapshot: Some(snapshot), client: Some(client), .. } =
                view.borrow_and_update().clone()
            {
                return (client, snapshot);
            }
            changed(&mut view).await;
        }
    }

    /// Waits for rows of which `predicate` is true. Without a limit: for the caller to set.
    pub async fn wait_for(&self, mut predicate: impl FnMut(&Snapshot) -> bool) -> Snapshot {
        let mut view = self.watch();
        loop {
            let snapshot = view.borrow_and_update().snapshot.clone();
            match snapshot {
                Some(snapshot) if predicate(&snapshot) => return snapshot,
                _ => changed(&mut view).await,
            }
        }
    }
}

/// Waits for a change. The sender lives as long as the replica; with the runtime gone there is nothing to wait for.
async fn changed(view: &mut watch::Receiver<View>) {
    if view.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// The task's state.
struct Follower {
    endpoint: Endpoint,
    config: Config,
    database: String,
    request: MonitorRequest,
    view: watch::Sender<View>,
    pause: Duration,
}

impl Follower {
    async fn run(mut self) {
        loop {
            let begun = Instant::now();
            let Err(error) = self.follow_once().await;
            if begun.elapsed() > GOOD_CONNECTION {
                self.pause = MIN_PAUSE;
            }
            tracing::info!(endpoint = %self.endpoint, reason = %describe(&error), "replica disconnected");
            self.view.send_modify(|view| {
                view.client = None;
                // Rows that an update did not fit are nothing to continue from.
                if matches!(error, FollowError::Inconsistent(_))
                    && let Some(snapshot) = &mut view.snapshot
                {
                    snapshot.forget_transaction();
                }
            });
            let pause = rand::rng().random_range(self.pause / 2..=self.pause);
            self.pause = (self.pause * 2).min(MAX_PAUSE);
            tokio::time::sleep(pause).await;
        }
    }

    /// One connection, from its beginning to its end.
    async fn follow_once(&mut self) -> Result<std::convert::Infallible, FollowError> {
        let client = Client::connect(&self.endpoint, &self.config).await?;
        let start = tokio::time::timeout(START_LIMIT, self.start(&client));
        let (mut monitor, mut snapshot) = start.await.map_err(|_| FollowError::StartTimedOut)??;
        self.view.send_modify(|view| {
            view.snapshot = Some(snapshot.clone());
            view.client = Some(client);
            view.connections += 1;
        });
        loop {
            snapshot.apply(monitor.next().await?)?;
            self.view.send_modify(|view| view.snapshot = Some(snapshot.clone()));
        }
    }

    /// Starts the monitor, from the last transaction if there is one to continue from.
    async fn start(&self, client: &Client) -> Result<(Monitor, Snapshot), FollowError> {
        let schema = Arc::new(client.get_schema(&self.database).await?);
        let request = self.request.restricted_to(&schema);
        let last = self.view.borrow().snapshot.clone().filter(|last| *last.schema() == schema);
        let since: Option<Uuid> = last.as_ref().and_then(Snapshot::transaction);
        let mut monitor = client.monitor(&schema, request, since).await?;
        let initial = monitor.take_initial();
        let mut snapshot = match last {
            Some(last) if initial.resumed => last,
            _ => Snapshot::empty(schema),
        };
        snapshot.apply(initial.updates)?;
        Ok((monitor, snapshot))
    }
}

/// An error and its causes in one line.
fn describe(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |line, cause| format!("{line}: {cause}"))
}
