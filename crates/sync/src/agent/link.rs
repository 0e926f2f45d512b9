//! The agent's connection: made, kept, and made again.
//!
//! # Time limits
//! Connecting and the manager's first answers have limits; from then on HTTP/2 keep-alives tell within seconds that a
//! manager is gone. Nothing else is limited: silence is what a topology that does not change sounds like.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::Uri;
use tonic::{Status, Streaming};
use topology::Revision;
use topology::binding::PortReport;
use topology::datapath::Registration;

use super::backoff::{Backoff, Failure};
use super::pace::{Pace, reached};
use super::{Connection, Inputs, questions};
use crate::client::Client;
use crate::inbox::{Fault, Inbox};
use crate::line::MAX_QUESTIONS;
use crate::pki::Identity;
use crate::ports::{ToldPorts, parts};
use crate::question;
use crate::replica::Replica;
use crate::wire::{
    AgentMessage, Hello, ManagerMessage, PROTOCOL, Question, Realized, RenewRequest, Resume, Said, Told,
};

/// How long a manager may take to answer a stream, and then to welcome the host, which may need a commit.
const WELCOME: Duration = Duration::from_secs(40);

/// A connection that lasted this long from its welcome was a good one: the next failure is the first.
const STABLE: Duration = Duration::from_secs(10);

/// How long to wait after a renewal that failed. There are weeks left.
const RENEW_AGAIN: Duration = Duration::from_secs(60 * 60);

/// Longest time slept in one piece for a renewal, so that a clock that is set is noticed.
const RENEW_CHECK: Duration = Duration::from_secs(60 * 60);

/// Once so many objects wait, no more are received until they are published.
const MANY: usize = 20_000;

/// Messages that wait to be sent.
const ROOM: usize = 2;

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("cannot connect: {}", causes(.0))]
    Connect(tonic::transport::Error),
    #[error("{}", .0.message())]
    Status(#[from] Status),
    #[error(transparent)]
    Fault(#[from] Fault),
    #[error("the manager does not answer")]
    Silent,
    #[error("the manager closed the stream")]
    Closed,
}

impl Ended {
    fn failure(&self) -> Failure {
        let Self::Connect(error) = self else { return Failure::Other };
        let causes = std::iter::successors(error.source(), |error| (**error).source());
        let mut kinds = causes.filter_map(|cause| cause.downcast_ref::<io::Error>()).map(io::Error::kind);
        // connect(2): "no-one listening on the remote address".
        if kinds.any(|kind| kind == io::ErrorKind::ConnectionRefused) {
            Failure::Unheard
        } else {
            Failure::Other
        }
    }
}

/// An agent's connection, whether or not there is one.
pub(super) struct Link {
    identity: Identity,
    inputs: Inputs,
    replica: watch::Sender<Option<Arc<Replica>>>,
    connection: watch::Sender<Connection>,
    /// The last stream broke on something that resuming would lead to again.
    anew: bool,
}

impl Link {
    pub(super) fn new(
        identity: Identity,
        inputs: Inputs,
        replica: watch::Sender<Option<Arc<Replica>>>,
        connection: watch::Sender<Connection>,
    ) -> Self {
        Self { identity, inputs, replica, connection, anew: false }
    }

    /// Connects to one manager after the other, for ever.
    pub(super) async fn run(mut self, managers: Vec<Uri>) {
        let mut backoff = Backoff::default();
        for manager in managers.into_iter().cycle() {
            let (ended, welcomed) = match self.open(manager.clone()).await {
                Ok(open) => {
                    let welcomed = Instant::now();
                    (self.converse(open).await, Some(welcomed))
                }
                Err(ended) => (ended, None),
            };
            tracing::debug!(%manager, reason = %ended, "not connected");
            self.anew = matches!(ended, Ended::Fault(_));
            self.disconnected(ended.to_string());
            if welcomed.is_some_and(|welcomed| welcomed.elapsed() >= STABLE) {
                backoff.reset();
            }
            sleep(backoff.next(ended.failure(), rand::random())).await;
        }
    }

    fn disconnected(&self, reason: String) {
        self.connection.send_modify(|connection| {
            let since = match connection {
                Connection::Disconnected { since, .. } => *since,
                Connection::Connected { .. } => Timestamp::now(),
            };
            *connection = Connection::Disconnected { since, reason };
        });
    }

    /// Carries one connection to its end.
    async fn converse(&mut self, open: Open) -> Ended {
        let Open { client, outbound, inbound, mut inbox, ports } = open;
        let since = Timestamp::now();
        self.connection.send_replace(Connection::Connected { since });
        let current = CancellationToken::new();
        let (asked, questions) = mpsc::channel(MAX_QUESTIONS);
        let publish = |newest: Arc<Replica>| {
            self.replica.send_replace(Some(newest));
            current.cancel();
        };
        let realized = self.inputs.realized.clone();
        let ended = tokio::select! {
            ended = receive(inbound, &mut inbox, publish, realized, &asked) => ended,
            () = questions::answer(questions, self.inputs.questions.clone(), &outbound) => Ended::Closed,
            ended = speak(self.inputs.clone(), ports, self.replica.subscribe(), &outbound, &current) => ended,
            () = renew(&mut self.identity, client) => Ended::Closed,
        };
        // It may be long before a manager says it again.
        inbox.newest().into_iter().for_each(publish);
        ended
    }

    /// Connects, says hello and is welcomed.
    async fn open(&mut self, manager: Uri) -> Result<Open, Ended> {
        let mut client = Client::connect(manager, self.identity.tls()).await.map_err(Ended::Connect)?;
        let replica = self.replica.borrow().clone().filter(|_| !self.anew);
        let (outbound, messages) = mpsc::channel(ROOM);
        let registration = self.inputs.registration.borrow_and_update().clone();
        send(&outbound, hello(&registration, replica.as_deref())).await?;
        let mut inbox = Inbox::new(replica);
        let welcome = async {
            let mut inbound = client.stream(ReceiverStream::new(messages)).await?;
            let first = inbound.message().await?.ok_or(Ended::Closed)?;
            let ports = match &first.told {
                Some(Told::Welcome(welcome)) => ToldPorts::new(welcome),
                _ => ToldPorts::default(),
            };
            inbox.on_message(first.told)?;
            Ok::<_, Ended>((inbound, ports))
        };
        let (inbound, ports) = timeout(WELCOME, welcome).await.map_err(|_| Ended::Silent)??;
        Ok(Open { client, outbound, inbound, inbox, ports })
    }
}

/// A stream on which the agent is welcome.
struct Open {
    client: Client,
    outbound: mpsc::Sender<AgentMessage>,
    inbound: Streaming<ManagerMessage>,
    inbox: Inbox,
    /// What has been said of ports.
    ports: ToldPorts,
}

/// Takes what the manager sends. While the switch is being changed, news wait for each other: to install what all of them
/// lead to costs less than to install each.
async fn receive(
    mut inbound: Streaming<ManagerMessage>,
    inbox: &mut Inbox,
    publish: impl Fn(Arc<Replica>),
    mut realized: watch::Receiver<Option<Arc<Replica>>>,
    asked: &mpsc::Sender<Question>,
) -> Ended {
    let (mut pace, mut since) = (Pace::default(), Instant::now());
    loop {
        let news = inbox.news();
        let due = pace.due(since, inbox.is_awaited());
        let message = tokio::select! {
            biased;
            message = inbound.message(), if news.is_none_or(|objects| objects < MANY) => message,
            () = pace.installed(&mut realized), if pace.is_waited_for() => {
                pace.rest();
                continue;
            }
            () = reached(due), if news.is_some() => {
                if let Some(newest) = inbox.newest() {
                    pace.begin(newest.clone(), news.unwrap_or_default());
                    publish(newest);
                }
                continue;
            }
        };
        let message = match message {
            Ok(Some(message)) => message,
            Ok(None) => return Ended::Closed,
            Err(status) => return status.into(),
        };
        if let Some(Told::Question(question)) = &message.told
            && asked.try_send(question.clone()).is_err()
        {
            tracing::debug!(id = question.id, "more questions than a manager should ask at once");
        }
        if news.is_none() {
            since = Instant::now();
        }
        if let Err(fault) = inbox.take_in(message.told) {
            return fault.into();
        }
    }
}

/// Says what the host knows: all of it once, then what changes.
async fn speak(
    mut inputs: Inputs,
    mut told: ToldPorts,
    replica: watch::Receiver<Option<Arc<Replica>>>,
    outbound: &mpsc::Sender<AgentMessage>,
    current: &CancellationToken,
) -> Ended {
    inputs.ports.mark_changed();
    inputs.realized.mark_changed();
    loop {
        let sent = tokio::select! {
            registration = newest(&mut inputs.registration) => send(outbound, hello(&registration, None)).await,
            ports = newest(&mut inputs.ports) => {
                send_ports(outbound, ports.and_then(|ports| told.report(ports))).await
            }
            revision = realized(&mut inputs.realized, &replica, current) => {
                send(outbound, Said::Realized(Realized { revision: revision.0 })).await
            }
        };
        if let Err(ended) = sent {
            return ended;
        }
    }
}

/// The next revision that the switch has realized of the manager's store. Once `current`, the replica is of that; the
/// switch may still stand for another store's, whose revisions mean something else.
async fn realized(
    input: &mut watch::Receiver<Option<Arc<Replica>>>,
    replica: &watch::Receiver<Option<Arc<Replica>>>,
    current: &CancellationToken,
) -> Revision {
    current.cancelled().await;
    loop {
        let realized = newest(input).await;
        let realized = realized.as_deref().zip(replica.borrow().as_deref()).and_then(|(switch, newest)| {
            (switch.store_id == newest.store_id).then(|| switch.topology.revision())
        });
        if let Some(revision) = realized {
            return revision;
        }
    }
}

/// The next value, or none ever if its source is gone.
async fn newest<T: Clone>(input: &mut watch::Receiver<T>) -> T {
    if input.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
    input.borrow_and_update().clone()
}

async fn send_ports(outbound: &mpsc::Sender<AgentMessage>, report: Option<PortReport>) -> Result<(), Ended> {
    for part in report.into_iter().flat_map(parts) {
        send(outbound, Said::Ports(part)).await?;
    }
    Ok(())
}

async fn send(outbound: &mpsc::Sender<AgentMessage>, said: Said) -> Result<(), Ended> {
    outbound.send(said.into()).await.map_err(|_| Ended::Closed)
}

fn hello(registration: &Registration, replica: Option<&Replica>) -> Said {
    let resume = replica.map(|replica| Resume {
        store_id: replica.store_id.clone(),
        datapath: replica.datapath.to_string(),
        revision: replica.topology.revision().0,
    });
    let registration = serde_json::to_vec(registration).expect("a registration has only texts and numbers");
    let answers = question::KINDS.map(str::to_owned).into();
    Said::Hello(Hello { protocol: PROTOCOL, registration, resume, answers })
}

/// Renews the certificate whenever it is time. The connection goes on with the old one.
async fn renew(identity: &mut Identity, mut client: Client) {
    loop {
        let wait = identity.renew_at().duration_since(SystemTime::now()).unwrap_or_default();
        if !wait.is_zero() {
            sleep(wait.min(RENEW_CHECK)).await;
            continue;
        }
        match renewed(identity, &mut client).await {
            Ok(new) => *identity = new,
            Err(error) => {
                tracing::warn!(error = causes(&*error), "the certificate cannot be renewed now");
                sleep(RENEW_AGAIN).await;
            }
        }
    }
}

async fn renewed(identity: &Identity, client: &mut Client) -> Result<Identity, Box<dyn Error + Send + Sync>> {
    let answer = client.renew(RenewRequest { request: identity.request()? }).await?;
    let new = identity.renewed(&answer.certificate)?;
    new.save()?;
    Ok(new)
}

/// An error and what caused it.
fn causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;
    use tonic::transport::ClientTlsConfig;

    use super::*;

    #[tokio::test]
    async fn where_nobody_listens_is_told_from_where_somebody_does_not_answer_as_a_manager() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let attempt = || async {
            let uri = format!("https://{address}").parse().expect("an address");
            Client::connect(uri, ClientTlsConfig::new())
                .await
                .map_err(Ended::Connect)
                .expect_err("no manager")
        };
        let (ended, accepted) = tokio::join!(attempt(), async { listener.accept().await.map(drop) });
        accepted.expect("connected");
        assert_eq!(ended.failure(), Failure::Other);
        drop(listener);
        assert_eq!(attempt().await.failure(), Failure::Unheard);
    }
}
