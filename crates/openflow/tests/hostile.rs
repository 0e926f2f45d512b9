//! A switch that means ill costs a bounded amount.

use std::time::Duration;

use openflow::{CloseReason, Config, Connection, Endpoint, Hello, Message, Xid};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixListener;

/// How long anything may take: a test that needs as much has failed.
const DEADLINE: Duration = Duration::from_secs(20);

/// What the switch sends at most until the connection must be over: far more than sockets and limits hold.
const MAX_SENT: usize = 64 << 20;

#[tokio::test]
async fn a_switch_that_asks_for_ever_and_never_reads_loses_its_connection() {
    let directory = tempfile::tempdir().expect("a folder");
    let path = directory.path().join("switch");
    let listener = UnixListener::bind(&path).expect("a socket");
    let switch = async {
        let (mut stream, _) = listener.accept().await.expect("a controller");
        let hello = Message::Hello(Hello::OURS).encode(Xid(0)).expect("it fits");
        stream.read_exact(&mut vec![0; hello.len()]).await.expect("a hello");
        stream.write_all(&hello).await.expect("written");
        let question = Message::EchoRequest(vec![0; 60_000]).encode(Xid(1)).expect("it fits");
        let mut sent = 0;
        while sent < MAX_SENT && stream.write_all(&question).await.is_ok() {
            sent += question.len();
        }
        sent
    };
    let controller = async {
        let config = Config { subscribe: None, ..Config::default() };
        let (connection, _events) =
            Connection::connect(&Endpoint::Unix(path.clone()), config).await.expect("a connection");
        connection.closed().await
    };
    let both = async { tokio::join!(switch, controller) };
    let (sent, reason) = tokio::time::timeout(DEADLINE, both).await.expect("in time");
    assert!(sent < MAX_SENT, "{sent} bytes");
    assert_eq!(reason, CloseReason::NotReading);
}
