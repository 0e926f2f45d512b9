//! Peers that mean ill cost a manager a bounded amount. The clock runs ahead while everybody waits.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures::{Stream, StreamExt, stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use topology::datapath::Datapath;

use super::manager::{Heard, Memory, Served, node, registration};
use crate::history::History;
use crate::manager::{Manager, SessionId};
use crate::pki::Peer;
use crate::session::{BURST, Outbound, PACE, ROOM, STALL, Session};
use crate::wire::{AgentMessage, Hello, PROTOCOL, Ports, Said};

/// How long an agent talks.
const WHILE: Duration = Duration::from_secs(60);

/// More than any limit of time here.
const LONG: Duration = Duration::from_secs(300);

/// A manager in memory, and the session of its one agent.
struct One {
    memory: Arc<Memory>,
    history: Arc<History>,
}

impl One {
    fn new() -> Self {
        let memory = Arc::new(Memory::new("store-1"));
        let history = Arc::new(History::new(&memory.head().borrow()));
        Self { memory, history }
    }

    /// Carries the stream of an agent that says hello and then these.
    fn run(&self, said: impl Stream<Item = Said> + Unpin, outbound: Outbound) -> impl Future<Output = ()> {
        let session = Session {
            id: SessionId(1),
            peer: Peer { node: node("host1"), until: SystemTime::now() + LONG },
            manager: self.memory.clone(),
            history: self.history.clone(),
            sessions: Arc::default(),
        };
        let registration = serde_json::to_vec(&registration("host1")).expect("JSON");
        let hello =
            Said::Hello(Hello { protocol: PROTOCOL, registration, resume: None, answers: Vec::new() });
        let said = stream::iter([hello]).chain(said).map(|said| Ok(AgentMessage::from(said)));
        session.run(said, outbound, CancellationToken::new())
    }

    /// Takes what is committed into the history, for ever.
    async fn follow(&self) {
        let mut heads = self.memory.head();
        // The agent may have registered already.
        heads.mark_changed();
        while heads.changed().await.is_ok() {
            let head = heads.borrow_and_update().clone();
            self.history.push(&head);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_talks_without_end_is_heard_at_a_bounded_pace() {
    let one = One::new();
    let (outbound, mut messages) = mpsc::channel(ROOM);
    let ports = Said::Ports(Ports { last: true, ..Ports::default() });
    let talking = timeout(WHILE, one.run(stream::repeat(ports), outbound));
    let reading = async { while messages.recv().await.is_some() {} };
    tokio::select! {
        ended = talking => assert!(ended.is_err(), "{ended:?}: it may be an agent that has much to say"),
        ((), ()) = async { tokio::join!(one.follow(), reading) } => {}
    }
    let heard = one.memory.all_heard();
    let reports = heard.iter().filter(|heard| matches!(heard, Heard::Ports(..))).count();
    let bound = (WHILE + BURST).as_millis() / PACE.as_millis();
    assert!(reports > 1 && reports as u128 <= bound + 1, "{reports} reports of ports, of {bound}");
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_reads_nothing_is_let_go_in_time() {
    let one = One::new();
    let (outbound, messages) = mpsc::channel(ROOM);
    let silent = Box::pin(stream::pending());
    let changing = async {
        // What concerns an agent comes as long as it is there.
        let address = |number: u8| [192, 0, 2, number].into();
        for number in (1..=250).cycle() {
            let mut registration = registration("host1");
            registration.underlay.address = address(number);
            one.memory.edit(|edit, _| Datapath::register(edit, registration)).expect("registered");
            tokio::time::sleep(PACE).await;
        }
    };
    let started = Instant::now();
    tokio::select! {
        ended = timeout(LONG, one.run(silent, outbound)) => assert!(ended.is_ok(), "it is still there"),
        ((), ()) = async { tokio::join!(one.follow(), changing) } => {}
    }
    assert!(started.elapsed() <= STALL + WHILE / 2, "{:?}", started.elapsed());
    assert_eq!(one.memory.presence().len(), 2, "it came and went");
    drop(messages);
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_never_ends_is_closed_in_time() {
    let served = Served::start().await;
    let address = served.address.authority().expect("an address").as_str();
    // Nothing, the beginning of a client's greeting (RFC 8446, section 5.1), and a record that says it is long.
    for start in [&b""[..], &[22, 3, 1, 0, 200, 1, 0, 0, 196], &[22, 3, 1, 0x3f, 0xff, 1]] {
        let mut stream = TcpStream::connect(address).await.expect("connected");
        stream.write_all(start).await.expect("written");
        let started = Instant::now();
        let ended = timeout(LONG, stream.read_to_end(&mut Vec::new())).await;
        assert!(ended.is_ok(), "{start:?} still there after {:?}", started.elapsed());
    }
}
