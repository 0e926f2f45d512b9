//! The client: RFC 7047's methods as functions.
//!
//! A [`Client`] is a handle to the task of one connection (`connection.rs`); clones share it. The connection ends with
//! the last of them, or with what [`Client::closed`] says. To live on over connections is for [`crate::follow`].

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
use crate::monitor::{MonitorRequest, TableUpdates, conditions_json};
use crate::operation::{Condition, Operation, OperationResult, TransactError, decode_results};
use crate::scan::MAX_FRAME_BYTES;
use crate::schema::DatabaseSchema;
use crate::value::{DecodeError, Uuid};

/// Requests that wait for the connection's task. Callers beyond wait their turn.
const COMMAND_QUEUE: usize = 64;

/// Notifications that wait for one subscriber; beyond, it counts as stuck. A busy switch commits some hundred
/// transactions a second, so this is many seconds of inattention.
const NOTIFICATION_QUEUE: usize = 4096;

/// Times and limits of a connection.
#[derive(Debug, Clone)]
pub struct Config {
    /// Longest time to establish a connection.
    pub connect_limit: Duration,
    /// Silence after which the server is probed; after twice that it is given up.
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
        let limits = Limits { probe_interval: config.probe_interval, frame_bytes: config.frame_bytes };
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

    /// Does all of `operations`, or nothing (RFC 7047, section 4.1.3).
    ///
    /// # Errors
    /// An operation or the commit failed, or no answer came. After [`RpcError::Closed`] the transaction may have happened.
    pub async fn transact(
        &self,
        database: &str,
        operations: &[Operation],
    ) -> Result<Vec<OperationResult>, TransactError> {
        self.start_transaction(database, operations).await?.outcome().await
    }

    /// Sends a transaction without waiting for its outcome: one that waits for rows can then be cancelled.
    ///
    /// # Errors
    /// The transaction was not sent.
    pub async fn start_transaction(
        &self,
        database: &str,
        operations: &[Operation],
    ) -> Result<PendingTransaction, RpcError> {
        let mut params = vec![json!(database)];
        params.extend(operations.iter().map(Operation::to_json));
        let (id, reply) = self.start("transact", &Value::from(params), None).await?;
        let operations = operations.iter().map(Operation::name).collect();
        Ok(PendingTransaction { client: self.clone(), id, reply, operations })
    }

    /// Tells the server that this client understands databases that come, go and change their schema: it then notifies
    /// monitors rather than drop the connection (`ovsdb-server(7)`, section 4.1.17).
    ///
    /// # Errors
    /// The server refused, as old ones do, or the connection ended.
    pub async fn set_db_change_aware(&self, aware: bool) -> Result<(), RpcError> {
        self.call("set_db_change_aware", json!([aware])).await.map(drop)
    }

    /// Starts monitoring with `monitor_cond_since` (`ovsdb-server(7)`, section 4.1.15), or `monitor_cond` if the server
    /// does not know it. `since` is the last transaction whose outcome the caller has.
    ///
    /// # Errors
    /// The server refused, or the answer does not fit `schema`.
    pub async fn monitor(
        &self,
        schema: &Arc<DatabaseSchema>,
        request: MonitorRequest,
        since: Option<Uuid>,
    ) -> Result<Monitor, QueryError> {
        let name = format!("monitor-{}", self.next_id.fetch_add(1, Ordering::Relaxed));
        let topic = Topic::Monitor(name.clone());
        let mut params = vec![json!(schema.name), json!(name), request.to_json()];
        params.push(json!(since.unwrap_or(Uuid::ZERO).to_string()));
        let (result, updates) = match self.subscribe("monitor_cond_since", &params, topic.clone()).await {
            Err(RpcError::Refused(error)) if error.error == "unknown method" => {
                params.pop();
                let (initial, updates) = self.subscribe("monitor_cond", &params, topic).await?;
                (json!([false, Uuid::ZERO.to_string(), initial]), updates)
            }
            answer => answer?,
        };
        let mut monitor = Monitor {
            client: self.clone(),
            name,
            schema: schema.clone(),
            request,
            updates,
            initial: Initial::default(),
        };
        monitor.initial = monitor.decode_initial(&result)?;
        Ok(monitor)
    }

    /// Asks for a lock, to be granted when its owner gives it up (RFC 7047, section 4.1.8).
    ///
    /// # Errors
    /// The server refused, or the connection ended.
    pub async fn lock(&self, name: &str) -> Result<Lock, QueryError> {
        self.lock_by("lock", name).await
    }

    /// Takes a lock from whoever has it (RFC 7047, section 4.1.8).
    ///
    /// # Errors
    /// The server refused, or the connection ended.
    pub async fn steal(&self, name: &str) -> Result<Lock, QueryError> {
        self.lock_by("steal", name).await
    }

    async fn lock_by(&self, method: &str, name: &str) -> Result<Lock, QueryError> {
        let topic = Topic::Lock(name.to_owned());
        let (result, events) = self.subscribe(method, &[json!(name)], topic).await?;
        match result.get("locked").and_then(Value::as_bool) {
            Some(held) => Ok(Lock { client: self.clone(), name: name.to_owned(), held, events }),
            None => Err(DecodeError::new("whether the lock is held", &result).into()),
        }
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
        if reply.is_err() {
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

/// A transaction on its way.
#[derive(Debug)]
pub struct PendingTransaction {
    client: Client,
    id: u64,
    reply: oneshot::Receiver<Reply>,
    operations: Vec<&'static str>,
}

impl PendingTransaction {
    /// Waits for the outcome.
    ///
    /// # Errors
    /// As [`Client::transact`].
    pub async fn outcome(self) -> Result<Vec<OperationResult>, TransactError> {
        decode_results(&self.operations, &self.client.reply(self.reply).await?)
    }

    /// Has the server give the transaction up (RFC 7047, section 4.1.4). `None` if it did; the results if it was too late.
    ///
    /// # Errors
    /// As [`Client::transact`].
    pub async fn cancel(mut self) -> Result<Option<Vec<OperationResult>>, TransactError> {
        let message = encode(&json!({"method": "cancel", "params": [self.id], "id": null}))?;
        self.client.send(Command::Notify { message }).await?;
        // The reply to a cancelled request should be the error "canceled". `ovsdb-server` 3.1 sends none, but takes requests
        // in order: once it has answered another, there is nothing more to come for this one.
        self.client.call("echo", json!([])).await?;
        match self.reply.try_recv() {
            Ok(Err(RpcError::Refused(error))) if error.error == "canceled" => Ok(None),
            Ok(reply) => decode_results(&self.operations, &reply?).map(Some),
            Err(_) => {
                self.client.send(Command::Forget { id: self.id }).await?;
                Ok(None)
            }
        }
    }
}

/// A monitor of one connection.
#[derive(Debug)]
pub struct Monitor {
    client: Client,
    name: String,
    schema: Arc<DatabaseSchema>,
    request: MonitorRequest,
    updates: mpsc::Receiver<Notification>,
    initial: Initial,
}

/// What a monitor starts with.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Initial {
    /// Whether `updates` continue from the transaction asked for. If not, they are everything there is.
    pub resumed: bool,
    /// The rows, or what became of them since.
    pub updates: TableUpdates,
}

impl Monitor {
    /// What the monitor started with. Leaves nothing behind.
    pub fn take_initial(&mut self) -> Initial {
        std::mem::take(&mut self.initial)
    }

    /// The next update.
    ///
    /// # Errors
    /// The connection ended, the server gave the monitor up (refused as "monitor canceled"), or the update does not fit
    /// the schema.
    pub async fn next(&mut self) -> Result<TableUpdates, QueryError> {
        match self.updates.recv().await {
            Some((method, params)) => self.decode_update(&method, &params),
            None => Err(RpcError::Closed(self.client.closed().await).into()),
        }
    }

    /// Changes which rows of `table` are monitored: those that meet any of the conditions, or all rows for `None`. The
    /// rows that come in or go out by it arrive as updates (`ovsdb-server(7)`, section 4.1.13).
    ///
    /// # Errors
    /// The server refused, or the connection ended.
    pub async fn change_conditions(
        &mut self,
        table: &str,
        any_of: Option<Vec<Condition>>,
    ) -> Result<(), RpcError> {
        let change = json!({ table: [{"where": conditions_json(any_of.as_deref())}] });
        self.client.call("monitor_cond_change", json!([self.name, self.name, change])).await?;
        self.request = std::mem::take(&mut self.request).rows(table, any_of);
        Ok(())
    }

    /// Ends the monitor and leaves the connection open (RFC 7047, section 4.1.7).
    ///
    /// # Errors
    /// The server refused, or the connection ended.
    pub async fn cancel(self) -> Result<(), RpcError> {
        self.client.send(Command::Unsubscribe { topic: Topic::Monitor(self.name.clone()) }).await?;
        self.client.call("monitor_cancel", json!([self.name])).await.map(drop)
    }

    /// Reads `[found, last-txn-id, table-updates2]`.
    fn decode_initial(&self, result: &Value) -> Result<Initial, DecodeError> {
        match result.as_array().map(Vec::as_slice) {
            Some([Value::Bool(resumed), Value::String(transaction), updates]) => {
                Ok(Initial { resumed: *resumed, updates: self.decode(updates, transaction)? })
            }
            _ => Err(DecodeError::new("the start of a monitor", result)),
        }
    }

    fn decode_update(&self, method: &str, params: &[Value]) -> Result<TableUpdates, QueryError> {
        match (method, params) {
            ("update2", [_, updates]) => Ok(self.decode(updates, "")?),
            ("update3", [_, Value::String(transaction), updates]) => Ok(self.decode(updates, transaction)?),
            ("monitor_canceled", _) => {
                let error = connection::ServerError { error: "monitor canceled".to_owned(), details: None };
                Err(RpcError::Refused(error).into())
            }
            _ => Err(DecodeError::new("an update", &json!(params)).into()),
        }
    }

    fn decode(&self, updates: &Value, transaction: &str) -> Result<TableUpdates, DecodeError> {
        // A server without transaction history sends zeros.
        let transaction = transaction.parse().ok().filter(|uuid| *uuid != Uuid::ZERO);
        TableUpdates::from_json(updates, transaction, &self.request, &self.schema)
    }
}

/// A lock asked for, and perhaps held.
#[derive(Debug)]
pub struct Lock {
    client: Client,
    name: String,
    held: bool,
    events: mpsc::Receiver<Notification>,
}

/// What became of a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockEvent {
    /// It is ours now (RFC 7047, section 4.1.9).
    Locked,
    /// Another client took it from us (RFC 7047, section 4.1.10).
    Stolen,
}

impl Lock {
    /// Whether the lock was held as of the last event taken.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.held
    }

    /// The next thing that becomes of the lock.
    ///
    /// # Errors
    /// The connection ended, and any lock with it.
    pub async fn next(&mut self) -> Result<LockEvent, RpcError> {
        match self.events.recv().await {
            Some((method, _)) => {
                self.held = method == "locked";
                Ok(if self.held { LockEvent::Locked } else { LockEvent::Stolen })
            }
            None => Err(RpcError::Closed(self.client.closed().await)),
        }
    }

    /// Gives the lock up, or the wait for it (RFC 7047, section 4.1.8).
    ///
    /// # Errors
    /// The server refused, or the connection ended.
    pub async fn unlock(self) -> Result<(), RpcError> {
        self.client.send(Command::Unsubscribe { topic: Topic::Lock(self.name.clone()) }).await?;
        self.client.call("unlock", json!([self.name])).await.map(drop)
    }
}
