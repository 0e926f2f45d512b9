//! The client: RFC 7047's methods as functions.
//!
//! A [`Client`] is a handle to the task of one connection (`connection.rs`); clones share it. The connection ends with
//! the last of them, or with what [`Client::closed`] says. To live on over connections is for [`crate::follow`].

mod locking;
mod monitoring;
mod transaction;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::{mpsc, oneshot, watch};

use crate::connection::{
    self, CloseReason, Command, Limits, MAX_REQUEST_BYTES, Notification, Reply, RpcError, Topic,
};
use crate::endpoint::Endpoint;
use crate::scan::MAX_FRAME_BYTES;
use crate::schema::DatabaseSchema;
use crate::value::DecodeError;
pub use locking::{Lock, LockEvent};
pub use monitoring::{Initial, Monitor};
pub use transaction::PendingTransaction;

/// Requests that wait for the connection's task. Callers beyond wait their turn.
const COMMAND_QUEUE: usize = 64;

/// Notifications that wait for one subscriber; beyond, it counts as stuck. A busy switch commits some hundred
/// transactions a second, so this is many seconds of inattention.
const NOTIFICATION_QUEUE: usize = 4096;

/// The longest probe interval. Nothing is gained by a longer one, and deadlines stay within what clocks can express.
const MAX_PROBE_INTERVAL: Duration = Duration::from_secs(24 * 60 * 60);

/// Times and limits of a connection.
#[derive(Debug, Clone)]
pub struct Config {
    /// Longest time to establish a connection.
    pub connect_limit: Duration,
    /// Silence after which the server is probed; after twice that it is given up. At most a day.
    pub probe_interval: Duration,
    /// Longest message accepted, in bytes.
    pub frame_bytes: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            connect_limit: Duration::from_secs(5),
            probe_interval: Duration::from_secs(5),
            frame_bytes: MAX_FRAME_BYTES,
        }
    }
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The socket could not be connected.
    #[error("cannot connect to {endpoint}")]
    Io {
        /// The server's address.
        endpoint: Endpoint,
        /// Why not.
        source: std::io::Error,
    },
    /// The server did not accept in time.
    #[error("{endpoint} did not accept within {} ms", limit.as_millis())]
    TimedOut {
        /// The server's address.
        endpoint: Endpoint,
        /// The limit.
        limit: Duration,
    },
}

/// Why a question has no usable answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum QueryError {
    /// The request was not answered with a result.
    #[error("request not answered")]
    Rpc(#[from] RpcError),
    /// The result does not have the shape the protocol gives it.
    #[error("malformed result")]
    Malformed(#[from] DecodeError),
}

/// A handle to one connection with a database server.
#[derive(Debug, Clone)]
pub struct Client {
    commands: mpsc::Sender<Command>,
    next_id: Arc<AtomicU64>,
    closed: watch::Receiver<Option<CloseReason>>,
}

impl Client {
    /// Connects to a server and starts the connection's task on the current runtime.
    ///
    /// # Errors
    /// The server cannot be reached within the limit of `config`.
    pub async fn connect(endpoint: &Endpoint, config: &Config) -> Result<Self, ConnectError> {
        let connecting = async {
            Ok(match endpoint {
                Endpoint::Unix(path) => Self::over(UnixStream::connect(path).await?, config),
                Endpoint::Tcp { host, port } => {
                    let stream = TcpStream::connect((host.as_str(), *port)).await?;
                    // Requests are small and each is waited for.
                    stream.set_nodelay(true)?;
                    Self::over(stream, config)
                }
            })
        };
        match tokio::time::timeout(config.connect_limit, connecting).await {
            Ok(outcome) => outcome.map_err(|source| ConnectError::Io { endpoint: endpoint.clone(), source }),
            Err(_) => Err(ConnectError::TimedOut { endpoint: endpoint.clone(), limit: config.connect_limit }),
        }
    }

    /// A client over a stream that is already there, as TLS or a pipe.
    pub fn over<S>(stream: S, config: &Config) -> Self
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        let (commands, receiver) = mpsc::channel(COMMAND_QUEUE);
        let (ended, closed) = watch::channel(None);
        let limits = Limits {
            probe_interval: config.probe_interval.min(MAX_PROBE_INTERVAL),
            frame_bytes: config.frame_bytes,
        };
        tokio::spawn(async move {
            let reason = connection::run(stream, receiver, limits).await;
            tracing::debug!(%reason, "connection ended");
            ended.send_replace(Some(reason));
        });
        Self { commands, next_id: Arc::new(AtomicU64::new(0)), closed }
    }

    /// Waits until the connection has ended and says why.
    pub async fn closed(&self) -> CloseReason {
        let mut closed = self.closed.clone();
        match closed.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone().unwrap_or(CloseReason::Finished),
            // The runtime ended, and the task with it.
            Err(_) => CloseReason::Finished,
        }
    }

    /// Sends a request and waits for its result: for methods that have no function here.
    ///
    /// # Errors
    /// The server refused, or the connection ended first.
    pub async fn call(&self, method: &str, params: Value) -> Result<Value, RpcError> {
        let (_, reply) = self.start(method, &params, None).await?;
        self.reply(reply).await
    }

    /// The databases the server has (RFC 7047, section 4.1.1).
    ///
    /// # Errors
    /// No answer, or none that is a list of names.
    pub async fn list_dbs(&self) -> Result<Vec<String>, QueryError> {
        let result = self.call("list_dbs", json!([])).await?;
        let names = result.as_array().into_iter().flatten().map(|name| name.as_str().map(str::to_owned));
        match names.collect::<Option<Vec<_>>>() {
            Some(names) if result.is_array() => Ok(names),
            _ => Err(DecodeError::new("names of databases", &result).into()),
        }
    }

    /// A database's schema (RFC 7047, section 4.1.2).
    ///
    /// # Errors
    /// No answer, or none that is a schema.
    pub async fn get_schema(&self, database: &str) -> Result<DatabaseSchema, QueryError> {
        let result = self.call("get_schema", json!([database])).await?;
        Ok(DatabaseSchema::from_json(&result)?)
    }

    /// Tells the server that this client understands databases that come, go and change their schema: it then notifies
    /// monitors rather than drop the connection (`ovsdb-server(7)`, section 4.1.17).
    ///
    /// # Errors
    /// The server refused, as old ones do, or the connection ended.
    pub async fn set_db_change_aware(&self, aware: bool) -> Result<(), RpcError> {
        self.call("set_db_change_aware", json!([aware])).await.map(drop)
    }

    async fn subscribe(
        &self,
        method: &str,
        params: &[Value],
        topic: Topic,
    ) -> Result<(Value, mpsc::Receiver<Notification>), RpcError> {
        let (sender, notifications) = mpsc::channel(NOTIFICATION_QUEUE);
        // Subscribed with the request, not with its reply: notifications may follow the reply at once.
        let (_, reply) = self.start(method, &json!(params), Some((topic.clone(), sender))).await?;
        let reply = self.reply(reply).await;
        if reply.as_ref().is_err_and(|error| !matches!(error, RpcError::AlreadySubscribed)) {
            let _ = self.send(Command::Unsubscribe { topic }).await;
        }
        Ok((reply?, notifications))
    }

    async fn start(
        &self,
        method: &str,
        params: &Value,
        subscription: Option<(Topic, mpsc::Sender<Notification>)>,
    ) -> Result<(u64, oneshot::Receiver<Reply>), RpcError> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let message = encode(&json!({"method": method, "params": params, "id": id}))?;
        let (reply, receiver) = oneshot::channel();
        self.send(Command::Request { id, message, reply, subscription }).await?;
        Ok((id, receiver))
    }

    async fn reply(&self, reply: oneshot::Receiver<Reply>) -> Reply {
        match reply.await {
            Ok(reply) => reply,
            Err(_) => Err(RpcError::Closed(self.closed().await)),
        }
    }

    async fn send(&self, command: Command) -> Result<(), RpcError> {
        match self.commands.send(command).await {
            Ok(()) => Ok(()),
            Err(_) => Err(RpcError::Closed(self.closed().await)),
        }
    }
}

fn encode(message: &Value) -> Result<Bytes, RpcError> {
    let bytes = message.to_string().into_bytes();
    if bytes.len() > MAX_REQUEST_BYTES { Err(RpcError::TooLong(bytes.len())) } else { Ok(bytes.into()) }
}
