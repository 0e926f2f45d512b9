//! The manager as a whole: its parts, and the order in which they start and stop.
//!
//! Stopping goes from the outside in: no new requests and streams, those that run are answered and closed, the writer
//! does what still waits, and the store is closed last.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use store::{FileError, SqliteStore, Store};
use sync::manager::ServeError;
use sync::pki::{Authority, PkiError};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::agents::Agents;
use crate::api::{self, Api, batch::BATCHES_AT_ONCE, question::QUESTIONS_AT_ONCE, watch::Watching};
use crate::expiry;
use crate::hosts::Hosts;
use crate::load::{LoadError, load};
use crate::metrics::Metrics;
use crate::pairs;
use crate::questions::Lines;
use crate::state::fresh;
use crate::writer::Writer;

/// The store's file in the state directory.
const STORE_FILE: &str = "openvnet.db";

/// The authority's directory in the state directory.
const PKI_DIR: &str = "pki";

/// The file in the state directory that says where a running manager listens.
const ADDRESSES_FILE: &str = "addresses.json";

/// How to run a manager.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the store, the keys and the addresses are kept.
    pub state_dir: PathBuf,
    /// Where the Web API listens; port 0 takes a free one.
    pub api_listen: SocketAddr,
    /// Where agents connect; port 0 takes a free one.
    pub sync_listen: SocketAddr,
}

/// Where a manager listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Addresses {
    /// The Web API.
    pub api: SocketAddr,
    /// For agents.
    pub sync: SocketAddr,
}

/// Why a manager cannot start, or has ended.
#[derive(Debug, thiserror::Error)]
pub enum ManagerError {
    /// The store cannot be opened.
    #[error("the store cannot be opened")]
    Open(#[from] FileError),
    /// The store does not hold a topology.
    #[error("the topology cannot be loaded")]
    Load(#[from] LoadError),
    /// There are no keys for the agents.
    #[error("the manager has no keys")]
    Keys(#[from] PkiError),
    /// An address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// A file of the state directory cannot be written.
    #[error("cannot write {path}")]
    State {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// The server for agents has ended.
    #[error("agents cannot be served")]
    Agents(#[from] ServeError),
}

/// The path of the store's file in a state directory.
pub fn store_path(state_dir: &Path) -> PathBuf {
    state_dir.join(STORE_FILE)
}

/// A running manager.
pub struct Manager {
    addresses: Addresses,
    agents: Agents,
    stop: CancellationToken,
    stop_writer: CancellationToken,
    failed: CancellationToken,
    api: JoinHandle<()>,
    sync: JoinHandle<Result<(), ServeError>>,
    writer: JoinHandle<()>,
    expiry: JoinHandle<()>,
    pairs: JoinHandle<()>,
}

impl Manager {
    /// Starts a manager on the store in its state directory, which is made if it is not there.
    ///
    /// # Errors
    /// See [`ManagerError`].
    pub async fn start(options: &Options) -> Result<Self, ManagerError> {
        let state_dir = &options.state_dir;
        let cannot_write = |path: &Path| {
            let path = path.to_owned();
            move |cause| ManagerError::State { path, cause }
        };
        std::fs::create_dir_all(state_dir).map_err(cannot_write(state_dir))?;
        let store = SqliteStore::open(store_path(state_dir))?;
        // Those of an earlier run: whoever waits for the file waits for this one.
        let path = state_dir.join(ADDRESSES_FILE);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(cannot_write(&path)(error));
            }
            _ => {}
        }
        let manager = Self::start_on(Arc::new(store), options).await?;
        write_addresses(&path, manager.addresses).map_err(cannot_write(&path))?;
        Ok(manager)
    }

    /// Starts a manager on a store. Only the keys are in the state directory.
    ///
    /// # Errors
    /// See [`ManagerError`].
    pub async fn start_on(store: Arc<dyn Store>, options: &Options) -> Result<Self, ManagerError> {
        let authority = Authority::open(&options.state_dir.join(PKI_DIR))?;
        let topology = load(store.as_ref()).await?;
        let (api_listener, sync_listener) =
            (bind(options.api_listen).await?, bind(options.sync_listen).await?);
        let addresses = Addresses {
            api: local(&api_listener, options.api_listen)?,
            sync: local(&sync_listener, options.sync_listen)?,
        };
        let (stop, stop_writer) = (CancellationToken::new(), CancellationToken::new());
        let (hosts, metrics) = (Arc::<Hosts>::default(), Arc::<Metrics>::default());
        let (sender, head) = watch::channel(fresh(store.id().to_string(), topology));
        let log = store.clone();
        let (writer, store, writer_task) =
            Writer::start(store, sender, hosts.clone(), metrics.clone(), stop_writer.clone());
        let expiry = tokio::spawn(expiry::run(head.clone(), writer.clone(), stop.clone()));
        let pairs = tokio::spawn(pairs::run(head.clone(), hosts.clone(), writer.clone(), stop.clone()));
        let lines = Arc::<Lines>::default();
        let agents =
            Agents { head: head.clone(), writer: writer.clone(), hosts: hosts.clone(), lines: lines.clone() };
        let sync_stop = stop.clone().cancelled_owned();
        let served = sync::serve(sync_listener, authority.clone(), Arc::new(agents.clone()), sync_stop);
        let failed = CancellationToken::new();
        let unless_served = failed.clone().drop_guard();
        let sync = async move {
            let _unless_served = unless_served;
            served.await
        };
        let batches = Arc::new(Semaphore::new(BATCHES_AT_ONCE));
        let questions = Arc::new(Semaphore::new(QUESTIONS_AT_ONCE));
        let (watching, stopping) = (Watching::default(), stop.clone());
        let api = Api {
            head,
            writer,
            store,
            hosts,
            lines,
            authority,
            metrics,
            batches,
            questions,
            log,
            watching,
            stop: stopping,
        };
        Ok(Self {
            addresses,
            agents,
            api: tokio::spawn(web::serve(api_listener, api::service(api), stop.clone())),
            sync: tokio::spawn(sync),
            writer: writer_task,
            expiry,
            pairs,
            stop,
            stop_writer,
            failed,
        })
    }

    /// Where it listens.
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// The manager, as agents see it.
    pub fn agents(&self) -> &Agents {
        &self.agents
    }

    /// Returns when agents can no longer be served. The manager is then to be stopped.
    pub async fn failed(&self) {
        self.failed.cancelled().await;
    }

    /// Answers the requests that run, closes the streams and the store.
    ///
    /// # Errors
    /// [`ManagerError::Agents`], if agents could not be served any more.
    pub async fn stop(self) -> Result<(), ManagerError> {
        self.stop.cancel();
        let (api, sync, expiry, pairs) = tokio::join!(self.api, self.sync, self.expiry, self.pairs);
        self.stop_writer.cancel();
        let writer = self.writer.await;
        for ended in [api, writer, expiry, pairs] {
            if let Err(error) = ended {
                tracing::error!(%error, "a part of the manager has panicked");
            }
        }
        match sync {
            Ok(served) => Ok(served?),
            Err(error) => {
                tracing::error!(%error, "a part of the manager has panicked");
                Ok(())
            }
        }
    }
}

async fn bind(address: SocketAddr) -> Result<TcpListener, ManagerError> {
    TcpListener::bind(address).await.map_err(|cause| ManagerError::Listen { address, cause })
}

fn local(listener: &TcpListener, address: SocketAddr) -> Result<SocketAddr, ManagerError> {
    listener.local_addr().map_err(|cause| ManagerError::Listen { address, cause })
}

/// Replaces the file at once, so that whoever waits for it never reads half of it.
fn write_addresses(path: &Path, addresses: Addresses) -> std::io::Result<()> {
    let partial = path.with_extension("json.new");
    let text = serde_json::to_string(&addresses).expect("addresses are texts");
    std::fs::write(&partial, text + "\n")?;
    std::fs::rename(&partial, path)
}
