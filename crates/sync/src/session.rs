//! One agent's stream, at the manager's end: takes what it says, and sends what `feed` decides.
//!
//! # Identity
//! The certificate says who the agent is. What it says is taken to be about its own datapath, the one its
//! registration gave it; it cannot name another.
//!
//! # Slow and silent agents
//! An update is worked out when there is room to send it, so a slow reader costs one update and [`ROOM`] messages. One
//! that reads nothing for [`STALL`] is dropped. Dead connections are found by HTTP/2 keep-alives: see `service`.
//!
//! # Agents that talk without end
//! A registration and a report of ports may each cost a commit. An agent may say them in a burst of [`BURST`] and from then
//! on once a [`PACE`]; what comes faster waits in the connection, and an agent that means well says only the newest.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use futures::{Stream, StreamExt};
use tokio::sync::mpsc;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tonic::Status;
use topology::datapath::Registration;
use topology::{DatapathId, Revision};

use crate::feed::{Feed, Next, Update};
use crate::history::{Entry, History};
use crate::line::{Ask, Line, Waiting};
use crate::manager::{Manager, RegisterError, SessionId};
use crate::pki::Peer;
use crate::ports::HeardPorts;
use crate::sessions::{Seat, Sessions};
use crate::values::Values;
use crate::wire::{AgentMessage, Hello, ManagerMessage, PROTOCOL, Resume, Said, Told, Welcome};

/// Messages that wait to be sent to one agent.
pub(crate) const ROOM: usize = 2;

/// How often an agent hears of revisions that do not concern it.
pub(crate) const CATCH_UP: Duration = Duration::from_secs(1);

/// How long an agent may take to say hello.
const HELLO: Duration = Duration::from_secs(10);

/// How long a registration may take to become part of the topology.
const REGISTERED: Duration = Duration::from_secs(30);

/// How long an agent may read nothing while there is something to read.
pub(crate) const STALL: Duration = Duration::from_secs(60);

/// How often an agent may say what may cost a commit, for ever.
pub(crate) const PACE: Duration = Duration::from_millis(100);

/// How much of it an agent may say at once, as the time in which it might have: thirty times.
pub(crate) const BURST: Duration = Duration::from_secs(3);

/// How long an agent is given to take the reason for which its stream ends.
const FAREWELL: Duration = Duration::from_secs(1);

/// Messages on their way to one agent.
pub(crate) type Outbound = mpsc::Sender<Result<ManagerMessage, Status>>;

/// One agent's stream.
pub(crate) struct Session {
    pub(crate) id: SessionId,
    pub(crate) peer: Peer,
    pub(crate) manager: Arc<dyn Manager>,
    pub(crate) history: Arc<History>,
    pub(crate) sessions: Arc<Sessions>,
}

impl Session {
    /// Carries the stream until either end closes it, its certificate expires or `stop` is cancelled.
    pub(crate) async fn run<S>(self, inbound: S, outbound: Outbound, stop: CancellationToken)
    where
        S: Stream<Item = Result<AgentMessage, Status>> + Unpin,
    {
        let valid = self.peer.until.duration_since(SystemTime::now()).unwrap_or_default();
        let ended = tokio::select! {
            ended = self.converse(inbound, &outbound) => ended,
            () = stop.cancelled() => Err(Status::unavailable("the manager stops")),
            () = tokio::time::sleep(valid) => Err(Status::unauthenticated("the certificate has expired")),
            () = outbound.closed() => Ok(()),
        };
        let Err(status) = ended else { return };
        tracing::info!(node = %self.peer.node, reason = status.message(), "an agent's stream ends");
        let _ = timeout(FAREWELL, outbound.send(Err(status))).await;
    }

    async fn converse<S>(&self, mut inbound: S, outbound: &Outbound) -> Result<(), Status>
    where
        S: Stream<Item = Result<AgentMessage, Status>> + Unpin,
    {
        let first = timeout(HELLO, inbound.next()).await;
        let first = first.map_err(|_| Status::deadline_exceeded("no hello"))?;
        let Some(first) = first.transpose()? else { return Ok(()) };
        let Some(Said::Hello(hello)) = first.said else {
            return Err(Status::failed_precondition("a stream begins with a hello"));
        };
        let datapath = self.register(&hello).await?;
        let (line, asks) = Line::open(&hello.answers);
        let seat = self.sessions.enter(&self.manager, datapath, self.id, line).await;
        let (told, waiting) = (AtomicU64::new(0), Waiting::default());
        tokio::select! {
            ended = self.listen(inbound, &seat, &told, &waiting) => ended,
            ended = async {
                let feed = self.welcome(outbound, seat.datapath(), hello.resume).await?;
                tokio::select! {
                    ended = tell(self.history.watch(), feed, outbound, &told) => ended,
                    ended = ask(asks, outbound, &waiting) => ended,
                }
            } => ended,
            () = seat.taken() => Err(Status::aborted("a newer connection of this host has taken over")),
        }
    }

    async fn register(&self, hello: &Hello) -> Result<DatapathId, Status> {
        if hello.protocol != PROTOCOL {
            let reason = format!("the manager speaks protocol {PROTOCOL}, not {}", hello.protocol);
            return Err(Status::failed_precondition(reason));
        }
        let registration: Registration = serde_json::from_slice(&hello.registration)
            .map_err(|error| Status::invalid_argument(format!("the registration is malformed: {error}")))?;
        if registration.node_id != self.peer.node {
            let (node, claimed) = (&self.peer.node, &registration.node_id);
            tracing::warn!(%node, %claimed, "a host says that it is another one: refused");
            let reason = format!("{node} cannot register {claimed}");
            return Err(Status::permission_denied(reason));
        }
        self.manager.register(registration).await.map_err(|error| match error {
            RegisterError::Refused(_) => Status::failed_precondition(error.to_string()),
            RegisterError::Unavailable(_) => Status::unavailable(error.to_string()),
        })
    }

    async fn register_again(&self, hello: &Hello, seat: &Seat) -> Result<(), Status> {
        match self.register(hello).await? {
            datapath if datapath == *seat.datapath() => Ok(()),
            _ => Err(Status::aborted("the host is registered as another datapath now")),
        }
    }

    /// Takes what the agent says.
    async fn listen<S>(
        &self,
        mut inbound: S,
        seat: &Seat,
        told: &AtomicU64,
        waiting: &Waiting,
    ) -> Result<(), Status>
    where
        S: Stream<Item = Result<AgentMessage, Status>> + Unpin,
    {
        let (mut ports, mut pace) = (HeardPorts::default(), Instant::now());
        while let Some(message) = inbound.next().await.transpose()? {
            match message.said {
                Some(Said::Hello(hello)) => {
                    turn(&mut pace).await;
                    self.register_again(&hello, seat).await?;
                }
                Some(Said::Ports(part)) => {
                    if let Some(report) = ports.take(part)? {
                        turn(&mut pace).await;
                        self.manager.ports(seat.datapath().clone(), report).await;
                    }
                }
                // What the agent was not told it cannot have: it would be another store's.
                Some(Said::Realized(realized)) if realized.revision <= told.load(Ordering::Relaxed) => {
                    self.manager.realized(seat.datapath().clone(), Revision(realized.revision));
                }
                Some(Said::Realized(_)) => {}
                Some(Said::Answer(part)) => waiting.take(part),
                // A newer agent may say more than this version knows.
                None => {}
            }
        }
        Ok(())
    }

    /// Welcomes the agent, and knows what it needs from then on.
    async fn welcome(
        &self,
        outbound: &Outbound,
        datapath: &DatapathId,
        resume: Option<Resume>,
    ) -> Result<Feed, Status> {
        let mut heads = self.history.watch();
        let store_id = registered(&mut heads, datapath).await?;
        let resumed = resume
            .filter(|resume| resume.datapath == datapath.to_string())
            .and_then(|resume| self.history.at(&resume.store_id, Revision(resume.revision)));
        let feed = Feed::new(datapath.clone(), store_id.clone(), resumed);
        let welcome = Welcome { store_id, datapath: datapath.to_string(), takes_port_changes: true };
        send(outbound, Told::Welcome(welcome)).await?;
        Ok(feed)
    }
}

/// Waits until the datapath is part of the topology, and names the store.
async fn registered(
    heads: &mut watch::Receiver<Arc<Entry>>,
    datapath: &DatapathId,
) -> Result<String, Status> {
    let known = heads.wait_for(|head| head.topology.datapaths().contains_key(datapath));
    match timeout(REGISTERED, known).await {
        Ok(Ok(head)) => Ok(head.store_id.clone()),
        _ => Err(Status::unavailable("the registration has not become part of the topology")),
    }
}

/// Sends what the feed decides as heads come, each update when there is room for it.
pub(crate) async fn tell(
    mut heads: watch::Receiver<Arc<Entry>>,
    mut feed: Feed,
    outbound: &Outbound,
    told: &AtomicU64,
) -> Result<(), Status> {
    let mut catch_up: Option<Instant> = None;
    loop {
        room(outbound).await?;
        let head = heads.borrow_and_update().clone();
        match feed.next(&head) {
            Next::Send(update) => {
                catch_up = None;
                send_update(outbound, update, &head.values, told).await?;
            }
            Next::Behind => {
                catch_up.get_or_insert_with(|| Instant::now() + CATCH_UP);
            }
            Next::Current => catch_up = None,
            Next::Over => return Err(Status::aborted("the datapath is no longer registered")),
        }
        let due = async {
            match catch_up {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = heads.changed() => {
                changed.map_err(|_| Status::unavailable("the manager stops"))?;
            }
            () = due => {
                catch_up = None;
                if let Some(update) = feed.catch_up() {
                    send_update(outbound, update, &head.values, told).await?;
                }
            }
        }
    }
}

/// Sends what is asked, as long as anyone could ask.
async fn ask(mut asks: mpsc::Receiver<Ask>, outbound: &Outbound, waiting: &Waiting) -> Result<(), Status> {
    while let Some(asked) = asks.recv().await {
        if let Some(question) = waiting.open(asked) {
            send(outbound, Told::Question(question)).await?;
        }
    }
    // Nobody can any more: the agent is served all the same.
    std::future::pending().await
}

async fn send_update(
    outbound: &Outbound,
    update: Update,
    values: &Values,
    told: &AtomicU64,
) -> Result<(), Status> {
    // Before it is sent: the agent may realize it before this end goes on.
    told.store(update.revision.0, Ordering::Relaxed);
    for part in update.into_parts(values) {
        send(outbound, Told::Part(part)).await?;
    }
    Ok(())
}

/// Waits until it is an agent's turn to cost something again. `pace` is when it would be if it had never had a burst.
async fn turn(pace: &mut Instant) {
    *pace = Instant::now().max(*pace) + PACE;
    sleep_until(*pace - BURST).await;
}

async fn room(outbound: &Outbound) -> Result<(), Status> {
    timeout(STALL, outbound.reserve()).await.map_err(|_| stalled())?.map(drop).map_err(|_| gone())
}

async fn send(outbound: &Outbound, told: Told) -> Result<(), Status> {
    let sent = timeout(STALL, outbound.send(Ok(told.into()))).await;
    sent.map_err(|_| stalled())?.map_err(|_| gone())
}

fn stalled() -> Status {
    Status::deadline_exceeded("the agent does not read")
}

fn gone() -> Status {
    Status::cancelled("the agent is gone")
}
