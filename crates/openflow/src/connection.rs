//! A connection to a switch: the thin layer between a socket and [`session`](crate::session).
//!
//! A task reads, lets the session decide, and writes. [`Connection`] hands it requests and can be cloned freely; the task
//! ends with its last clone. [`Events`] receives what the switch says without being asked; what happens when nobody takes
//! that stands in `event_queue`.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

use crate::event_queue::{EventLimits, EventQueue};
use crate::session::{
    Answer, CloseReason, Covered, Event, Outcome, Output, RequestError, Session, Timing, next_frame,
};
use crate::{AsyncConfig, DecodeError, Frame, Hello, Message, SwitchConfig, Xid};

/// Requests that wait to be written. One is at most a chunk of a bundle.
const SUBMISSIONS: usize = 16;
/// Bytes that may wait to be written before no further request is taken.
const HIGH_WATER: usize = 1 << 20;
/// Bytes of answers to the switch's own questions that may wait to be written. A switch that asks on and does not read
/// loses the connection; one that is well sends an echo request of 8 bytes every few seconds.
const MAX_OWED: usize = 1 << 20;
/// Bytes read at a time.
const READ_BYTES: usize = 1 << 16;
/// Form of packet-ins that carries user data (`NXPIF_NXT_PACKET_IN2`).
const PACKET_IN2: u32 = 2;

/// Where a switch is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// A socket of the local Open vSwitch, such as `/run/openvswitch/br-int.mgmt`.
    Unix(PathBuf),
    /// A switch that listens (`ptcp:` in ovs-vswitchd.conf.db(5)).
    Tcp(SocketAddr),
}

/// Times and limits of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// For the socket and the handshake together.
    pub connect_timeout: Duration,
    /// For the whole answer to a request.
    pub request_timeout: Duration,
    /// Silence after which the switch is asked whether it is there.
    pub probe_interval: Duration,
    /// Silence after that until the connection is given up.
    pub probe_timeout: Duration,
    /// How many events may wait.
    pub events: EventLimits,
    /// Which events to ask for; `None` asks for none, as far as the switch has a choice.
    pub subscribe: Option<AsyncConfig>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(30),
            probe_interval: Duration::from_secs(5),
            probe_timeout: Duration::from_secs(5),
            events: EventLimits::default(),
            subscribe: Some(AsyncConfig {
                packet_in: Some(0x3f),
                port_status: Some(0x7),
                flow_removed: Some(0xf),
                role_status: None,
            }),
        }
    }
}

/// Why there is no connection.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// The socket cannot be opened, or failed during the handshake.
    #[error("cannot connect")]
    Io(#[from] io::Error),
    /// It took too long.
    #[error("no connection in time")]
    Timeout,
    /// The switch does not speak OpenFlow 1.5.
    #[error("the switch does not speak OpenFlow 1.5")]
    Version,
    /// The switch sent something else than a hello.
    #[error("the switch does not say hello")]
    Handshake(#[source] DecodeError),
    /// The switch refused what every connection begins with.
    #[error("the switch refuses to be set up")]
    Setup(#[from] RequestError),
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// Bytes on their way to the task.
struct Submission {
    bytes: Vec<u8>,
    request: Option<Request>,
}

/// What answers what a submission asks, and who waits for it.
struct Request {
    xid: Xid,
    covered: Covered,
    deadline: Instant,
    reply: oneshot::Sender<Outcome>,
}

/// A connection to a switch. Clones share it.
#[derive(Debug, Clone)]
pub struct Connection {
    submissions: mpsc::Sender<Submission>,
    next_xid: Arc<AtomicU32>,
    closed: watch::Receiver<Option<CloseReason>>,
    request_timeout: Duration,
}

/// What a switch says without being asked.
#[derive(Debug)]
pub struct Events {
    queue: Arc<EventQueue>,
}

impl Events {
    /// The next event, `None` when the connection has ended and all are taken.
    pub async fn next(&mut self) -> Option<Event> {
        self.queue.next().await
    }

    /// Packet-ins that were dropped, as nobody took them.
    pub fn dropped_packet_ins(&self) -> u64 {
        self.queue.dropped_packet_ins()
    }
}

impl Connection {
    /// Connects, agrees on OpenFlow 1.5, and asks for the events of the configuration.
    ///
    /// # Errors
    /// If that does not work out within the time of the configuration.
    pub async fn connect(endpoint: &Endpoint, config: Config) -> Result<(Self, Events), ConnectError> {
        let limit = config.connect_timeout;
        let (stream, early) =
            timeout(limit, handshake(endpoint)).await.map_err(|_| ConnectError::Timeout)??;
        let (submissions, requests) = mpsc::channel(SUBMISSIONS);
        let (closing, closed) = watch::channel(None);
        let queue = Arc::new(EventQueue::new(config.events));
        let timing = Timing { probe: config.probe_interval, patience: config.probe_timeout };
        let task = Task {
            stream,
            session: Session::new(timing, Instant::now()),
            requests,
            unwritten: Vec::new(),
            written: 0,
            owed: 0,
            queue: Arc::clone(&queue),
        };
        tokio::spawn(task.run(early, closing));
        let next_xid = Arc::new(AtomicU32::new(1));
        let connection = Self { submissions, next_xid, closed, request_timeout: config.request_timeout };
        if let Some(events) = config.subscribe {
            connection.subscribe(events).await?;
        }
        Ok((connection, Events { queue }))
    }

    /// Asks for events. A service connection of Open vSwitch sends none before it is told how long packets may be.
    async fn subscribe(&self, events: AsyncConfig) -> Result<(), RequestError> {
        let setup = [
            Message::SetPacketInFormat(PACKET_IN2),
            Message::SetConfig(SwitchConfig { flags: 0, miss_send_length: u16::MAX }),
            Message::SetAsync(events),
        ];
        let errors = self.send_all(&setup).await?;
        errors.into_iter().next().map_or(Ok(()), |(_, error)| Err(RequestError::Refused(error)))
    }

    /// Why the connection ended, `None` while it has not.
    pub fn close_reason(&self) -> Option<CloseReason> {
        self.closed.borrow().clone()
    }

    /// Waits until the connection has ended.
    pub async fn closed(&self) -> CloseReason {
        let mut closed = self.closed.clone();
        let reason = closed.wait_for(Option::is_some).await;
        reason.ok().and_then(|reason| reason.clone()).unwrap_or(CloseReason::Local)
    }

    /// Sends a message and waits for what answers it: one message, or all parts of a multipart one.
    ///
    /// # Errors
    /// If the switch refuses it or does not answer in time, or the connection ends.
    pub async fn request(&self, message: &Message) -> Result<Vec<Message>, RequestError> {
        let xid = self.reserve(1);
        let answer = self.submit(message.encode(xid)?, xid, Covered::default()).await;
        answer.map(|answer| answer.messages).map_err(|(error, _)| error)
    }

    /// Sends messages that have no reply, waits until the switch is through with them, and returns the errors of those
    /// that failed, each with its number in the slice.
    ///
    /// # Errors
    /// If the switch does not come to an end in time, or the connection ends.
    pub async fn send_all(
        &self,
        messages: &[Message],
    ) -> Result<Vec<(usize, crate::ErrorMessage)>, RequestError> {
        let count = u32::try_from(messages.len()).map_err(|_| RequestError::TooLong)?;
        let covered = Covered { first: self.reserve(count.saturating_add(1)).0, count };
        let bytes = Message::encode_all(messages.iter(), Xid(covered.first)).map_err(|(_, error)| error)?;
        self.fence(bytes, covered).await
    }

    /// Sends messages that have no reply, after all that was sent before, and does not wait. What the switch refuses comes as
    /// [`Event::Error`].
    ///
    /// # Errors
    /// If one of them cannot be sent, or the connection has ended.
    pub async fn post(&self, messages: &[Message]) -> Result<(), RequestError> {
        if messages.is_empty() {
            return Ok(());
        }
        let count = u32::try_from(messages.len()).map_err(|_| RequestError::TooLong)?;
        let bytes = Message::encode_all(messages.iter(), self.reserve(count)).map_err(|(_, error)| error)?;
        match self.submissions.send(Submission { bytes, request: None }).await {
            Ok(()) => Ok(()),
            Err(_) => Err(RequestError::Closed(self.closed().await)),
        }
    }

    /// Sends messages and a barrier after them, and returns the errors of those that failed, as [`Connection::send_all`].
    pub(crate) async fn fence(
        &self,
        mut messages: Vec<u8>,
        covered: Covered,
    ) -> Result<Vec<(usize, crate::ErrorMessage)>, RequestError> {
        let barrier = self.reserve(1);
        messages.extend(Message::BarrierRequest.encode(barrier)?);
        let answer = self.submit(messages, barrier, covered).await;
        match answer.map_err(|(error, _)| error)? {
            Answer { messages, errors } if messages == [Message::BarrierReply] => Ok(errors),
            _ => Err(RequestError::Unexpected),
        }
    }

    /// Takes `count` transactions in a row. Number 0 is the session's own.
    pub(crate) fn reserve(&self, count: u32) -> Xid {
        let next = |first: u32| Some(first.checked_add(count).unwrap_or_else(|| count.saturating_add(1)));
        let first = self.next_xid.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).unwrap_or(1);
        Xid(if first.checked_add(count).is_some() { first } else { 1 })
    }

    /// Hands bytes to the task, and waits for the answer to the transaction.
    pub(crate) async fn submit(&self, bytes: Vec<u8>, xid: Xid, covered: Covered) -> Outcome {
        let (reply, answer) = oneshot::channel();
        let deadline = Instant::now() + self.request_timeout;
        let request = Some(Request { xid, covered, deadline, reply });
        let submission = Submission { bytes, request };
        // A submission that was not taken comes back with its reply's sender, which must not be waited for.
        let taken = self.submissions.send(submission).await.is_ok();
        match if taken { answer.await.ok() } else { None } {
            Some(outcome) => outcome,
            None => Err((RequestError::Closed(self.closed().await), Vec::new())),
        }
    }
}

/// Opens the socket and exchanges hellos. Returns what came after the switch's.
async fn handshake(endpoint: &Endpoint) -> Result<(Box<dyn Stream>, Vec<u8>), ConnectError> {
    let mut stream: Box<dyn Stream> = match endpoint {
        Endpoint::Unix(path) => Box::new(UnixStream::connect(path).await?),
        Endpoint::Tcp(address) => {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            Box::new(stream)
        }
    };
    let hello = Message::Hello(Hello::OURS).encode(Xid(0)).map_err(RequestError::Encode)?;
    stream.write_all(&hello).await?;
    let mut input = Vec::new();
    loop {
        if let Some(length) = next_frame(&input).map_err(protocol)? {
            let rest = input.split_off(length);
            return match Frame::decode(&input).map_err(ConnectError::Handshake)?.message {
                Message::Hello(hello) if hello.accepts_ours() => Ok((stream, rest)),
                Message::Hello(_) | Message::Error(_) => Err(ConnectError::Version),
                _ => Err(ConnectError::Handshake(DecodeError::Value { what: "first message", value: 0 })),
            };
        }
        if stream.read_buf(&mut input).await? == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
    }
}

fn protocol(reason: CloseReason) -> ConnectError {
    match reason {
        CloseReason::Protocol(error) => ConnectError::Handshake(error),
        _ => ConnectError::Version,
    }
}

/// The task of a connection.
struct Task {
    stream: Box<dyn Stream>,
    session: Session<oneshot::Sender<Outcome>>,
    requests: mpsc::Receiver<Submission>,
    unwritten: Vec<u8>,
    /// How much of `unwritten` is written.
    written: usize,
    /// How much was added to it since it was last empty that the switch asked for.
    owed: usize,
    queue: Arc<EventQueue>,
}

impl Task {
    async fn run(mut self, early: Vec<u8>, closing: watch::Sender<Option<CloseReason>>) {
        let reason = match self.serve(&early).await {
            Ok(never) => match never {},
            Err(reason) => reason,
        };
        closing.send_replace(Some(reason.clone()));
        let mut outputs = Vec::new();
        self.session.on_close(&reason, &mut outputs);
        // What else the outputs could hold, no one is there to receive.
        self.perform(outputs).unwrap_or_default();
        self.queue.close();
    }

    async fn serve(&mut self, early: &[u8]) -> Result<std::convert::Infallible, CloseReason> {
        self.on_bytes(early)?;
        let mut buffer = vec![0; READ_BYTES];
        loop {
            let deadline = tokio::time::Instant::from_std(self.session.deadline());
            let (mut reader, mut writer) = tokio::io::split(&mut self.stream);
            let waiting = self.unwritten.get(self.written..).unwrap_or_default();
            let step = tokio::select! {
                read = reader.read(&mut buffer) => Step::Read(read),
                written = writer.write(waiting), if !waiting.is_empty() => Step::Written(written),
                request = self.requests.recv(), if waiting.len() < HIGH_WATER => Step::Request(request),
                () = tokio::time::sleep_until(deadline) => Step::Time,
            };
            match step {
                Step::Read(read) => {
                    let length = read.map_err(|error| CloseReason::Io(error.to_string()))?;
                    if length == 0 {
                        return Err(CloseReason::Remote);
                    }
                    self.on_bytes(buffer.get(..length).unwrap_or_default())?;
                }
                Step::Written(written) => self.on_written(written)?,
                Step::Request(None) => return Err(CloseReason::Local),
                Step::Request(Some(request)) => self.on_requests(request),
                Step::Time => {
                    let mut outputs = Vec::new();
                    let result = self.session.on_time(Instant::now(), &mut outputs);
                    self.perform(outputs)?;
                    result?;
                }
            }
        }
    }

    fn on_bytes(&mut self, bytes: &[u8]) -> Result<(), CloseReason> {
        let mut outputs = Vec::new();
        let result = self.session.on_bytes(bytes, Instant::now(), &mut outputs);
        self.perform(outputs)?;
        result
    }

    fn on_written(&mut self, written: io::Result<usize>) -> Result<(), CloseReason> {
        self.written += written.map_err(|error| CloseReason::Io(error.to_string()))?;
        if self.written >= self.unwritten.len() {
            self.unwritten.clear();
            self.written = 0;
            self.owed = 0;
        } else if self.written >= HIGH_WATER {
            // It may never be empty while requests follow each other.
            self.unwritten.drain(..self.written);
            self.written = 0;
        }
        Ok(())
    }

    /// Takes a request and what waits behind it: a switch that reads them at once wakes up once.
    fn on_requests(&mut self, first: Submission) {
        self.on_request(first);
        while self.unwritten.len().saturating_sub(self.written) < HIGH_WATER
            && let Ok(next) = self.requests.try_recv()
        {
            self.on_request(next);
        }
    }

    fn on_request(&mut self, Submission { bytes, request }: Submission) {
        if let Some(Request { xid, covered, deadline, reply }) = request {
            self.session.expect(xid, covered, deadline, reply);
        }
        if self.unwritten.is_empty() {
            self.unwritten = bytes;
        } else {
            self.unwritten.extend(bytes);
        }
    }

    fn perform(&mut self, outputs: Vec<Output<oneshot::Sender<Outcome>>>) -> Result<(), CloseReason> {
        for output in outputs {
            match output {
                Output::Write(bytes) => {
                    self.owed += bytes.len();
                    if self.owed > MAX_OWED {
                        return Err(CloseReason::NotReading);
                    }
                    self.unwritten.extend(bytes);
                }
                // Who asked may have lost interest.
                Output::Done(reply, outcome) => drop(reply.send(outcome)),
                Output::Event(event) => self.queue.push(event).map_err(|_| CloseReason::EventsNotTaken)?,
            }
        }
        Ok(())
    }
}

/// What the task woke up for.
enum Step {
    Read(io::Result<usize>),
    Written(io::Result<usize>),
    Request(Option<Submission>),
    Time,
}
