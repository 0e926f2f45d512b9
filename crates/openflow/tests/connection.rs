//! A connection to a switch that behaves badly: limits of time, foreign versions, closed sockets.

use std::time::Duration;

use openflow::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

/// Limits so short that a test can wait for them.
fn config() -> Config {
    let short = Duration::from_millis(200);
    Config {
        connect_timeout: short,
        request_timeout: short,
        probe_interval: short,
        probe_timeout: short,
        subscribe: None,
        ..Config::default()
    }
}

/// Connects to a switch that does what `behave` does.
async fn connect<F: Future<Output = ()> + Send + 'static>(
    behave: impl FnOnce(UnixStream) -> F,
) -> Result<(Connection, Events), ConnectError> {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("switch");
    let listener = UnixListener::bind(&path).expect("a socket");
    let endpoint = Endpoint::Unix(path);
    let (connected, ()) = tokio::join!(Connection::connect(&endpoint, config()), async {
        let (stream, _) = listener.accept().await.expect("a connection");
        tokio::spawn(behave(stream));
    });
    connected
}

async fn greet(stream: &mut UnixStream) {
    let hello = Message::Hello(Hello::OURS).encode(Xid(1)).expect("it fits");
    stream.write_all(&hello).await.expect("sent");
}

#[tokio::test]
async fn a_switch_that_says_nothing_is_given_up() {
    let result = connect(|stream| async move {
        let held = stream;
        std::future::pending::<()>().await;
        drop(held);
    });
    assert!(matches!(result.await, Err(ConnectError::Timeout)));
}

#[tokio::test]
async fn a_switch_of_another_version_is_refused() {
    let result = connect(|mut stream| async move {
        stream.write_all(&[1, 0, 0, 8, 0, 0, 0, 1]).await.expect("sent");
        std::future::pending::<()>().await;
    });
    assert!(matches!(result.await, Err(ConnectError::Version)));
}

#[tokio::test]
async fn a_switch_with_a_header_shorter_than_itself_is_refused() {
    let result = connect(|mut stream| async move {
        stream.write_all(&[6, 0, 0, 0, 0, 0, 0, 1]).await.expect("sent");
        std::future::pending::<()>().await;
    });
    assert!(matches!(result.await, Err(ConnectError::Handshake(_))));
}

#[tokio::test]
async fn a_switch_that_falls_silent_ends_requests_and_then_the_connection() {
    let connected = connect(|mut stream| async move {
        greet(&mut stream).await;
        std::future::pending::<()>().await;
        drop(stream);
    });
    let (connection, mut events) = connected.await.expect("a connection");
    let result = connection.features().await;
    assert!(matches!(result, Err(RequestError::Timeout | RequestError::Closed(_))), "{result:?}");
    assert!(matches!(connection.closed().await, CloseReason::Silent(_)));
    assert_eq!(events.next().await, None);
}

#[tokio::test]
async fn an_echo_request_is_answered_while_nothing_else_happens() {
    let (answer, answered) = tokio::sync::oneshot::channel();
    let connected = connect(|mut stream| async move {
        greet(&mut stream).await;
        let echo = Message::EchoRequest(vec![7]).encode(Xid(3)).expect("it fits");
        stream.write_all(&echo).await.expect("sent");
        let mut bytes = vec![0; 16 + 9];
        stream.read_exact(&mut bytes).await.expect("a hello and a reply");
        answer.send(bytes).expect("somebody waits");
        std::future::pending::<()>().await;
    });
    let (_connection, _events) = connected.await.expect("a connection");
    let bytes = answered.await.expect("a reply");
    let reply = Frame::decode(&bytes[16..]).expect("a message");
    assert_eq!(reply, Frame { xid: Xid(3), message: Message::EchoReply(vec![7]) });
}

#[tokio::test]
async fn the_last_clone_ends_the_connection() {
    let (ended, end) = tokio::sync::oneshot::channel();
    let connected = connect(|mut stream| async move {
        greet(&mut stream).await;
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.expect("the end");
        ended.send(()).expect("somebody waits");
    });
    let (connection, mut events) = connected.await.expect("a connection");
    drop(connection.clone());
    assert_eq!(connection.close_reason(), None);
    drop(connection);
    end.await.expect("the switch sees the end");
    assert_eq!(events.next().await, None);
}
