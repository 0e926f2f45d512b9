//! Peers that mean ill cost a manager a bounded amount. The clock runs ahead while everybody waits.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures::{StreamExt, stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::manager::{Heard, Memory, Served, node, registration};
use crate::history::History;
use crate::manager::{Manager, SessionId};
use crate::pki::Peer;
use crate::session::{BURST, PACE, ROOM, Session};
use crate::wire::{AgentMessage, Hello, PROTOCOL, Ports, Said};

/// How long an agent talks.
const WHILE: Duration = Duration::from_secs(60);

/// More than any limit of time here.
const LONG: Duration = Duration::from_secs(300);

#[tokio::test(start_paused = true)]
async fn an_agent_that_talks_without_end_is_heard_at_a_bounded_pace() {
    let memory = Arc::new(Memory::new("store-1"));
    let history = Arc::new(History::new(&memory.head().borrow()));
    let (outbound, mut messages) = mpsc::channel(ROOM);
    let session = Session {
        id: SessionId(1),
        peer: Peer { node: node("host1"), until: SystemTime::now() + LONG },
        manager: memory.clone(),
        history: history.clone(),
        sessions: Arc::default(),
    };
    let registration = serde_json::to_vec(&registration("host1")).expect("JSON");
    let hello = Said::Hello(Hello { protocol: PROTOCOL, registration, resume: None });
    let ports = Said::Ports(Ports { ports: Vec::new(), last: true });
    let said = stream::once(async { hello }).chain(stream::repeat(ports));
    let said = Box::pin(said.map(|said| Ok(AgentMessage::from(said))));
    let talking = timeout(WHILE, session.run(said, outbound, CancellationToken::new()));
    let following = async {
        let mut heads = memory.head();
        while heads.changed().await.is_ok() {
            let head = heads.borrow_and_update().clone();
            history.push(&head);
        }
    };
    let reading = async { while messages.recv().await.is_some() {} };
    tokio::select! {
        ended = talking => assert!(ended.is_err(), "it is not thrown out: it may be an agent that has much to say"),
        ((), ()) = async { tokio::join!(following, reading) } => {}
    }
    let heard = memory.all_heard();
    let lists = heard.iter().filter(|heard| matches!(heard, Heard::Ports(..))).count();
    let bound = (WHILE + BURST).as_millis() / PACE.as_millis();
    assert!(lists > 1 && lists as u128 <= bound + 1, "{lists} lists of ports, of {bound}");
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
