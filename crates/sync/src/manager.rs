//! What a manager provides for its agents, and the server that serves them.

use std::sync::Arc;

use futures::future::BoxFuture;
use tokio::net::TcpListener;
use tokio::sync::watch;
use topology::binding::PortReport;
use topology::datapath::Registration;
use topology::{Change, DatapathId, NodeId, Revision, Topology};

use crate::line::Line;
use crate::pki::{Authority, PkiError};
use crate::service;

/// The newest state of the topology, and the commit that led to it.
#[derive(Clone, Debug)]
pub struct Head {
    /// Which store it is the state of. It changes when a store begins anew, as after a restore from backup.
    pub store_id: String,
    /// The state.
    pub topology: Topology,
    /// The state before the last commit.
    pub before: Topology,
    /// What the last commit changed: `before` with these is `topology`.
    pub changes: Arc<Vec<Change>>,
    /// The last revision of which somebody waits to hear that hosts have it.
    pub awaited: Revision,
}

/// One connection of an agent; ids rise in the order of connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

/// Why a host may not join.
#[derive(Clone, Debug, thiserror::Error)]
pub enum JoinError {
    /// The token does not let this node in.
    #[error(transparent)]
    Refused(#[from] topology::Error),
    /// It cannot be told now: the reason, for the operator.
    #[error("the manager cannot take hosts now: {0}")]
    Unavailable(String),
}

/// Why a registration is not taken.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RegisterError {
    /// It contradicts the topology.
    #[error(transparent)]
    Refused(#[from] topology::Error),
    /// It cannot be stored now: the reason, for the operator.
    #[error("the manager cannot take registrations now: {0}")]
    Unavailable(String),
}

/// What the server needs of a manager.
///
/// For one datapath the calls come in order: `connected`, then any number of `ports` and `realized`, then
/// `disconnected`. A new connection of the same datapath ends the old one first, so two never overlap.
pub trait Manager: Send + Sync + 'static {
    /// The newest head. Heads may be skipped: what a skipped commit changed is found by comparing topologies.
    fn head(&self) -> watch::Receiver<Arc<Head>>;

    /// Uses up the token with this digest for `node`.
    fn redeem(&self, digest: String, node: NodeId) -> BoxFuture<'_, Result<(), JoinError>>;

    /// Commits what a host says of itself, if it is news, and names the host's datapath. The node id is proven.
    fn register(&self, registration: Registration) -> BoxFuture<'_, Result<DatapathId, RegisterError>>;

    /// The datapath's agent is connected, and can be asked by `line`.
    fn connected(&self, datapath: DatapathId, session: SessionId, line: Line);

    /// The connection has ended.
    fn disconnected(&self, datapath: DatapathId, session: SessionId);

    /// Takes what the host says of its ports: once it is connected all of them, and from then on what has changed.
    fn ports(&self, datapath: DatapathId, report: PortReport) -> BoxFuture<'_, ()>;

    /// The host's switch does what the topology says, up to this revision, which the agent has been sent.
    fn realized(&self, datapath: DatapathId, revision: Revision);
}

/// Why agents cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The server has no certificate to show.
    #[error("cannot make the server's certificate")]
    Certificate(#[from] PkiError),
    /// The listener or its TLS failed.
    #[error("the server for agents failed")]
    Transport(#[from] tonic::transport::Error),
}

/// Serves agents on `listener` until `shutdown` resolves, then closes every stream and returns.
///
/// # Errors
/// See [`ServeError`]. What an agent does wrong ends its own connection only.
pub async fn serve(
    listener: TcpListener,
    authority: Authority,
    manager: Arc<dyn Manager>,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), ServeError> {
    service::serve(listener, authority, manager, shutdown).await
}
