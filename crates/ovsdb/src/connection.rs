//! One connection: the task that owns the stream.
//!
//! It cuts the stream into messages and hands each to whom it is for: a reply to the request with its id, a
//! notification to the subscription it names, a server's `echo` back to the server. Requests, replies and notifications
//! of any number of callers are in flight at once; none waits for another.
//!
//! # Liveness
//! A peer that was silent for [`crate::Config::probe_interval`] is sent an `echo`; one that then stays silent for as long
//! again is gone (RFC 7047, section 4.1.11). Any byte counts as a sign of life, so that a long dump is not cut.
//!
//! # Limits
//! Messages are bounded by the scanner, requests by [`MAX_REQUEST_BYTES`], and what waits to be written and to be answered by
//! [`OUTBOUND_HIGH_WATER`] and [`MAX_IN_FLIGHT`]. A subscriber that does not keep up ends the connection rather than lose
//! a notification: a loss would be silent, and a new connection repairs it.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::scan::{FrameError, Scanner};

/// The longest request sent, in bytes. A transaction that is larger belongs in several.
pub(crate) const MAX_REQUEST_BYTES: usize = 32 << 20;

/// No request is taken up while more than this waits to be written, in bytes.
const OUTBOUND_HIGH_WATER: usize = 1 << 20;

/// Beyond this the peer asks for more echoes than it reads, in bytes. One request may stand before an echo's answer.
const MAX_OUTBOUND_BYTES: usize = MAX_REQUEST_BYTES + 2 * OUTBOUND_HIGH_WATER;

/// No request is taken up while this many wait for their reply.
const MAX_IN_FLIGHT: usize = 4096;

/// How much room a read gets, in bytes.
const READ_BYTES: usize = 64 << 10;

/// Id of the requests this task makes by itself and whose replies say nothing. Those of callers are numbers.
const OWN_ID: &str = "own";

/// Why a connection ended.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CloseReason {
    /// This side no longer needs it.
    #[error("closed by this side")]
    Finished,
    /// The server closed it.
    #[error("closed by the server")]
    EndOfStream,
    /// Reading or writing failed.
    #[error("connection failed")]
    Io(#[source] Arc<io::Error>),
    /// The server did not answer a keep-alive.
    #[error("server silent for {} ms", .0.as_millis())]
    Silent(Duration),
    /// The stream is not a sequence of messages.
    #[error("stream cannot be cut into messages")]
    Frame(#[from] FrameError),
    /// A message is not JSON.
    #[error("message is not JSON")]
    Json(#[source] Arc<serde_json::Error>),
    /// A message is neither request, reply nor notification, or came where it must not.
    #[error("protocol violation: {0}")]
    Protocol(&'static str),
    /// A subscriber did not keep up.
    #[error("subscriber of {0} does not keep up")]
    SlowSubscriber(String),
}

/// An error the server reports (RFC 7047, section 3.1: `<error>`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerError {
    /// A short string that names the kind of error, as "constraint violation".
    pub error: String,
    /// What exactly is wrong, for a person.
    pub details: Option<String>,
}

impl ServerError {
    /// The error that `value` has as member "error", if any.
    pub(crate) fn from_member(value: &Value) -> Option<Self> {
        value.get("error").map(|_| Self::from_json(value))
    }

    /// Reads an `<error>` object, or the bare string or other value that stands in a reply.
    fn from_json(value: &Value) -> Self {
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        Self { error: text(value.get("error").unwrap_or(value)), details: value.get("details").map(text) }
    }
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.details {
            Some(details) => write!(f, "{} ({details})", self.error),
            None => f.write_str(&self.error),
        }
    }
}

/// Why a request has no result.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RpcError {
    /// The connection ended before the reply came. Whether the server did what was asked is not known.
    #[error("connection closed")]
    Closed(#[source] CloseReason),
    /// The server refused.
    #[error("server refused: {0}")]
    Refused(ServerError),
    /// This client has the lock's [`crate::Lock`] already; the request was not sent.
    #[error("subscribed already")]
    AlreadySubscribed,
    /// The request is longer than a request may be, and was not sent.
    #[error("request of {0} bytes is too long")]
    TooLong(usize),
}

/// What a notification is about: the key of its subscription.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Topic {
    Monitor(String),
    Lock(String),
}

/// A notification: its method and parameters.
pub(crate) type Notification = (String, Vec<Value>);

pub(crate) type Reply = Result<Value, RpcError>;

/// What callers ask of the connection.
pub(crate) enum Command {
    /// Sends `message` and answers `reply` with what comes back for `id`.
    Request {
        id: u64,
        message: Bytes,
        reply: oneshot::Sender<Reply>,
        subscription: Option<(Topic, mpsc::Sender<Notification>)>,
    },
    /// Sends `message`, to which no reply comes.
    Notify { message: Bytes },
    /// No reply will come for `id`.
    Forget { id: u64 },
    /// Ends a subscription.
    Unsubscribe { topic: Topic },
}

/// Times of a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) probe_interval: Duration,
    pub(crate) frame_bytes: usize,
}

/// State of a connection. [`Connection::run`] is the adapter; `on_*` are its events.
struct Connection {
    scanner: Scanner,
    outbound: BytesMut,
    /// Whether the stream may hold back what was written, as TLS does.
    unflushed: bool,
    waiting: HashMap<u64, oneshot::Sender<Reply>>,
    subscriptions: HashMap<Topic, mpsc::Sender<Notification>>,
    last_heard: Instant,
    probed: bool,
    limits: Limits,
}

/// Runs a connection over `stream` until it ends, for one reason that every waiting request is told.
pub(crate) async fn run<S>(stream: S, commands: mpsc::Receiver<Command>, limits: Limits) -> CloseReason
where
    S: AsyncRead + AsyncWrite,
{
    let mut connection = Connection {
        scanner: Scanner::with_limit(limits.frame_bytes),
        outbound: BytesMut::new(),
        unflushed: false,
        waiting: HashMap::new(),
        subscriptions: HashMap::new(),
        last_heard: Instant::now(),
        probed: false,
        limits,
    };
    let mut commands = commands;
    let reason = connection.run(stream, &mut commands).await;
    commands.close();
    for reply in connection.waiting.into_values() {
        let _ = reply.send(Err(RpcError::Closed(reason.clone())));
    }
    while let Some(command) = commands.recv().await {
        if let Command::Request { reply, .. } = command {
            let _ = reply.send(Err(RpcError::Closed(reason.clone())));
        }
    }
    reason
}

impl Connection {
    async fn run<S: AsyncRead + AsyncWrite>(
        &mut self,
        stream: S,
        commands: &mut mpsc::Receiver<Command>,
    ) -> CloseReason {
        let (mut reader, mut writer) = tokio::io::split(Box::pin(stream));
        let mut finishing = false;
        loop {
            let writes = self.unflushed || !self.outbound.is_empty();
            if finishing && !writes {
                return CloseReason::Finished;
            }
            let deadline = self.deadline();
            let takes_requests = !finishing && self.takes_requests();
            self.scanner.inbound().reserve(READ_BYTES);
            let outcome = tokio::select! {
                read = reader.read_buf(self.scanner.inbound()) => self.on_read(read),
                written = write_or_flush(&mut writer, &self.outbound), if writes => self.on_written(written),
                command = commands.recv(), if takes_requests => {
                    finishing = command.is_none();
                    command.into_iter().for_each(|command| self.on_command(command));
                    Ok(())
                }
                () = tokio::time::sleep_until(deadline) => self.on_deadline(),
            };
            if let Err(reason) = outcome {
                return reason;
            }
        }
    }

    fn deadline(&self) -> Instant {
        self.last_heard + self.limits.probe_interval * if self.probed { 2 } else { 1 }
    }

    fn takes_requests(&self) -> bool {
        self.outbound.len() < OUTBOUND_HIGH_WATER && self.waiting.len() < MAX_IN_FLIGHT
    }

    fn on_deadline(&mut self) -> Result<(), CloseReason> {
        if self.probed {
            return Err(CloseReason::Silent(self.limits.probe_interval * 2));
        }
        self.probed = true;
        self.send(&json!({"method": "echo", "params": [], "id": OWN_ID}))
    }

    fn on_written(&mut self, written: io::Result<usize>) -> Result<(), CloseReason> {
        match written {
            Ok(0) if self.outbound.is_empty() => {
                self.unflushed = false;
                Ok(())
            }
            Ok(0) => Err(CloseReason::EndOfStream),
            Ok(count) => {
                self.outbound.advance(count);
                self.unflushed = true;
                Ok(())
            }
            Err(error) => Err(CloseReason::Io(Arc::new(error))),
        }
    }

    fn is_subscribed(&self, topic: &Topic) -> bool {
        self.subscriptions.get(topic).is_some_and(|subscriber| !subscriber.is_closed())
    }

    fn on_command(&mut self, command: Command) {
        match command {
            Command::Request { reply, subscription: Some((topic, _)), .. } if self.is_subscribed(&topic) => {
                let _ = reply.send(Err(RpcError::AlreadySubscribed));
            }
            Command::Request { id, message, reply, subscription } => {
                self.outbound.extend_from_slice(&message);
                self.waiting.insert(id, reply);
                self.subscriptions.extend(subscription);
            }
            Command::Notify { message } => self.outbound.extend_from_slice(&message),
            Command::Forget { id } => {
                self.waiting.remove(&id);
            }
            Command::Unsubscribe { topic } => {
                self.subscriptions.remove(&topic);
            }
        }
    }

    fn on_read(&mut self, read: io::Result<usize>) -> Result<(), CloseReason> {
        match read {
            Ok(0) => return Err(CloseReason::EndOfStream),
            Ok(_) => {}
            Err(error) => return Err(CloseReason::Io(Arc::new(error))),
        }
        self.last_heard = Instant::now();
        self.probed = false;
        while let Some(frame) = self.scanner.next_frame()? {
            let message =
                serde_json::from_slice(&frame).map_err(|error| CloseReason::Json(Arc::new(error)))?;
            self.on_message(message)?;
        }
        Ok(())
    }

    /// Takes one message. What it is follows from its members (JSON-RPC 1.0, sections 1.1 to 1.3).
    fn on_message(&mut self, mut message: Value) -> Result<(), CloseReason> {
        let mut member = |name: &str| message.get_mut(name).map(Value::take);
        match (member("method"), member("id").filter(|id| !id.is_null())) {
            (Some(Value::String(method)), id) => {
                let Some(Value::Array(params)) = member("params") else {
                    return Err(CloseReason::Protocol("parameters are not an array"));
                };
                match id {
                    Some(id) => self.on_request(&method, params, &id),
                    None => self.on_notification(method, params),
                }
            }
            (None, Some(id)) => {
                let error = member("error").filter(|error| !error.is_null());
                let result = member("result").unwrap_or_default();
                self.on_reply(&id, error.map_or(Ok(result), |error| Err(ServerError::from_json(&error))));
                Ok(())
            }
            _ => Err(CloseReason::Protocol("neither request, reply nor notification")),
        }
    }

    /// A server sends one request, `echo`; it wants its parameters back (RFC 7047, section 4.1.11).
    fn on_request(&mut self, method: &str, params: Vec<Value>, id: &Value) -> Result<(), CloseReason> {
        match method {
            "echo" => self.send(&json!({"result": params, "error": null, "id": id})),
            _ => self.send(&json!({"result": null, "error": "unknown method", "id": id})),
        }
    }

    fn on_reply(&mut self, id: &Value, result: Result<Value, ServerError>) {
        match id.as_u64().and_then(|id| self.waiting.remove(&id)) {
            // The caller may have given up waiting.
            Some(reply) => drop(reply.send(result.map_err(RpcError::Refused))),
            None if *id == json!(OWN_ID) => {}
            None => tracing::debug!(%id, "reply to no request"),
        }
    }

    fn on_notification(&mut self, method: String, params: Vec<Value>) -> Result<(), CloseReason> {
        let name = || params.first().and_then(Value::as_str).unwrap_or_default().to_owned();
        let topic = match method.as_str() {
            "update" | "update2" | "update3" | "monitor_canceled" => Topic::Monitor(name()),
            "locked" | "stolen" => Topic::Lock(name()),
            _ => {
                tracing::debug!(method, "unknown notification");
                return Ok(());
            }
        };
        let Some(subscriber) = self.subscriptions.get(&topic) else { return Ok(()) };
        match subscriber.try_send((method, params)) {
            Ok(()) => Ok(()),
            Err(mpsc::error::TrySendError::Closed(_)) => self.on_subscriber_gone(&topic),
            Err(mpsc::error::TrySendError::Full(_)) => Err(CloseReason::SlowSubscriber(format!("{topic:?}"))),
        }
    }

    /// Ends a monitor whose subscriber was dropped; a lock may still be of use to what asserts it.
    fn on_subscriber_gone(&mut self, topic: &Topic) -> Result<(), CloseReason> {
        self.subscriptions.remove(topic);
        match topic {
            Topic::Monitor(name) => {
                self.send(&json!({"method": "monitor_cancel", "params": [name], "id": OWN_ID}))
            }
            Topic::Lock(_) => Ok(()),
        }
    }

    fn send(&mut self, message: &Value) -> Result<(), CloseReason> {
        if self.outbound.len() > MAX_OUTBOUND_BYTES {
            return Err(CloseReason::Protocol("more echoes asked for than read"));
        }
        self.outbound.extend_from_slice(message.to_string().as_bytes());
        Ok(())
    }
}

/// Writes some of `outbound`; when nothing is left of it, what the stream holds back. May be cancelled.
async fn write_or_flush(writer: &mut (impl AsyncWrite + Unpin), outbound: &[u8]) -> io::Result<usize> {
    if outbound.is_empty() { writer.flush().await.map(|()| 0) } else { writer.write(outbound).await }
}
