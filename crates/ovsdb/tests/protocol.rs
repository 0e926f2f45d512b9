//! The connection against a server that does what real ones do rarely, or must not.

mod support;

use std::sync::Arc;
use std::time::Duration;

use ovsdb::scan::{MAX_NESTING, Scanner};
use ovsdb::{
    Client, CloseReason, Config, ConnectError, DatabaseSchema, Endpoint, MonitorRequest, OperationResult,
    RpcError, Snapshot,
};
use serde_json::{Value, json};
use support::within;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::TcpListener;

/// Capacity of the pipe, in bytes: small, so that messages arrive in pieces.
const PIPE: usize = 61;

/// The server's end of a connection.
struct FakeServer {
    stream: DuplexStream,
    scanner: Scanner,
}

impl FakeServer {
    fn with_client(config: &Config) -> (Self, Client) {
        let (near, far) = tokio::io::duplex(PIPE);
        (Self { stream: far, scanner: Scanner::default() }, Client::over(near, config))
    }

    async fn receive(&mut self) -> Value {
        loop {
            if let Some(frame) = self.scanner.next_frame().expect("messages") {
                return serde_json::from_slice(&frame).expect("JSON");
            }
            let count = within(self.stream.read_buf(self.scanner.inbound())).await.expect("bytes");
            assert_ne!(count, 0, "the client closed");
        }
    }

    async fn send(&mut self, message: Value) {
        within(self.stream.write_all(message.to_string().as_bytes())).await.expect("written");
    }

    async fn answer(&mut self, request: &Value, result: Value) {
        self.send(json!({"id": request["id"], "result": result, "error": null})).await;
    }
}

fn schema() -> Arc<DatabaseSchema> {
    let schema =
        json!({"name": "d", "version": "1", "tables": {"t": {"columns": {"c": {"type": "integer"}}}}});
    Arc::new(DatabaseSchema::from_json(&schema).expect("a schema"))
}

fn request() -> MonitorRequest {
    MonitorRequest::new().table("t", &["c"])
}

/// `<table-updates2>` that insert a row.
fn insert(row: u32, value: u32) -> Value {
    json!({"t": {(format!("00000000-0000-0000-0000-{row:012}")): {"insert": {"c": value}}}})
}

#[tokio::test]
async fn the_servers_keep_alive_is_answered_while_a_request_waits() {
    let (mut server, client) = FakeServer::with_client(&Config::default());
    let call = tokio::spawn(async move { client.list_dbs().await });
    let request = server.receive().await;
    for id in [json!("echo"), json!(0), json!({"any": ["thing"]})] {
        server.send(json!({"method": "echo", "id": id, "params": [1, "x"]})).await;
        assert_eq!(server.receive().await, json!({"id": id, "result": [1, "x"], "error": null}));
    }
    server.answer(&request, json!(["d"])).await;
    assert_eq!(within(call).await.expect("no panic").expect("names"), ["d"]);
}

#[tokio::test(start_paused = true)]
async fn a_silent_server_is_probed_and_then_given_up() {
    let config = Config { probe_interval: Duration::from_secs(3), ..Config::default() };
    let (mut server, client) = FakeServer::with_client(&config);
    let probe = server.receive().await;
    assert_eq!(probe["method"], "echo");
    server.answer(&probe, json!([])).await;
    assert_eq!(server.receive().await["method"], "echo");
    let reason = within(client.closed()).await;
    assert!(matches!(reason, CloseReason::Silent(limit) if limit == Duration::from_secs(6)), "{reason:?}");
}

#[tokio::test]
async fn replies_find_their_requests_in_any_order() {
    let (mut server, client) = FakeServer::with_client(&Config::default());
    let call = |method: &'static str| {
        tokio::spawn({
            let client = client.clone();
            async move { client.call(method, json!([])).await }
        })
    };
    let calls = [call("a"), call("b"), call("c")];
    let mut requests = [server.receive().await, server.receive().await, server.receive().await];
    requests.reverse();
    for request in &requests {
        server.answer(request, request["method"].clone()).await;
    }
    for (call, expected) in calls.into_iter().zip(["a", "b", "c"]) {
        assert_eq!(within(call).await.expect("no panic").expect("a result"), expected);
    }
}

#[tokio::test]
async fn updates_that_come_before_a_reply_or_at_once_after_it_are_not_lost() {
    let (mut server, client) = FakeServer::with_client(&Config::default());
    let started = tokio::spawn({
        let client = client.clone();
        async move { client.monitor(&schema(), request(), None).await }
    });
    let start = server.receive().await;
    assert_eq!(start["method"], "monitor_cond_since");
    let name = start["params"][1].clone();
    let transaction = |number: u32| format!("10000000-0000-0000-0000-{number:012}");
    server.answer(&start, json!([false, transaction(0), insert(0, 7)])).await;
    server
        .send(json!({"method": "update3", "id": null, "params": [name, transaction(1), insert(1, 0)]}))
        .await;
    let mut monitor = within(started).await.expect("no panic").expect("monitored");

    let call = tokio::spawn(async move { client.transact("d", &[ovsdb::Operation::comment("x")]).await });
    let transact = server.receive().await;
    for row in 2..10 {
        server.send(json!({"method": "update3", "params": [name, transaction(row), insert(row, row)]})).await;
    }
    server.answer(&transact, json!([{}])).await;
    assert_eq!(within(call).await.expect("no panic").expect("done"), [OperationResult::Done]);

    let mut snapshot = Snapshot::empty(schema());
    snapshot.apply(monitor.take_initial().updates).expect("fits");
    for _ in 1..10 {
        snapshot.apply(within(monitor.next()).await.expect("an update")).expect("fits");
    }
    assert_eq!(snapshot.count("t"), 10);
    assert_eq!(snapshot.transaction().map(|uuid| uuid.to_string()), Some(transaction(9)));
}

#[tokio::test]
async fn an_old_server_is_monitored_without_resuming() {
    let (mut server, client) = FakeServer::with_client(&Config::default());
    let started = tokio::spawn(async move { client.monitor(&schema(), request(), None).await });
    let newest = server.receive().await;
    server.send(json!({"id": newest["id"], "result": null, "error": "unknown method"})).await;
    let start = server.receive().await;
    assert_eq!(
        (&start["method"], start["params"].as_array().map(Vec::len)),
        (&json!("monitor_cond"), Some(3))
    );
    server.answer(&start, insert(0, 7)).await;
    let mut monitor = within(started).await.expect("no panic").expect("monitored");
    let initial = monitor.take_initial();
    assert!(!initial.resumed && initial.updates.transaction.is_none() && initial.updates.rows.len() == 1);
    server.send(json!({"method": "update2", "id": null, "params": [start["params"][1], insert(1, 8)]})).await;
    assert_eq!(within(monitor.next()).await.expect("an update").rows.len(), 1);
}

/// A server that sends `bytes` is given up, and a request in flight is told why.
async fn check_refused(bytes: &str, expected: fn(&CloseReason) -> bool) {
    let (mut server, client) = FakeServer::with_client(&Config { frame_bytes: 1000, ..Config::default() });
    let call = tokio::spawn(async move { client.list_dbs().await });
    server.receive().await;
    // The client may close before it has read all of it.
    let _ = server.stream.write_all(bytes.as_bytes()).await;
    drop(server);
    let outcome = within(call).await.expect("no panic");
    let Err(ovsdb::QueryError::Rpc(RpcError::Closed(reason))) = outcome else { panic!("{outcome:?}") };
    assert!(expected(&reason), "{bytes}: {reason:?}");
}

#[tokio::test]
async fn what_is_not_the_protocol_ends_the_connection() {
    check_refused("", |reason| matches!(reason, CloseReason::EndOfStream)).await;
    check_refused("{\"id\":", |reason| matches!(reason, CloseReason::EndOfStream)).await;
    check_refused("[]", |reason| matches!(reason, CloseReason::Frame(_))).await;
    check_refused(&"{\"x\":[".repeat(MAX_NESTING), |reason| matches!(reason, CloseReason::Frame(_))).await;
    check_refused(&format!("{{\"x\":\"{}", "x".repeat(2000)), |reason| {
        matches!(reason, CloseReason::Frame(_))
    })
    .await;
    check_refused("{\"id\":nil}", |reason| matches!(reason, CloseReason::Json(_))).await;
    check_refused("{}", |reason| matches!(reason, CloseReason::Protocol(_))).await;
    check_refused("{\"method\":\"echo\",\"id\":1,\"params\":1}", |reason| {
        matches!(reason, CloseReason::Protocol(_))
    })
    .await;
}

#[tokio::test]
async fn a_subscriber_that_does_not_keep_up_ends_the_connection() {
    let (mut server, client) = FakeServer::with_client(&Config::default());
    let started = tokio::spawn({
        let client = client.clone();
        async move { client.lock("l").await }
    });
    let start = server.receive().await;
    server.answer(&start, json!({"locked": true})).await;
    let _lock = within(started).await.expect("no panic").expect("asked");
    let flood = json!({"method": "stolen", "id": null, "params": ["l"]}).to_string();
    while server.stream.write_all(flood.as_bytes()).await.is_ok() {}
    let reason = within(client.closed()).await;
    assert!(matches!(reason, CloseReason::SlowSubscriber(_)), "{reason:?}");
}

#[tokio::test]
async fn the_connection_ends_with_its_last_handle() {
    let (mut server, client) = FakeServer::with_client(&Config::default());
    let clone = client.clone();
    drop(client);
    let call = tokio::spawn(async move { clone.list_dbs().await });
    let request = server.receive().await;
    server.answer(&request, json!([])).await;
    within(call).await.expect("no panic").expect("names");
    assert_eq!(within(server.stream.read(&mut [0])).await.expect("an end"), 0);
}

#[tokio::test]
async fn a_server_is_reached_over_tcp_and_one_that_is_not_there_is_an_error() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
    let port = listener.local_addr().expect("an address").port();
    let endpoint: Endpoint = format!("tcp:127.0.0.1:{port}").parse().expect("an endpoint");
    let client = within(Client::connect(&endpoint, &Config::default())).await.expect("connected");
    let (mut stream, _) = within(listener.accept()).await.expect("a connection");
    let call = tokio::spawn(async move { client.list_dbs().await });
    // A reply means something only after its request.
    within(stream.readable()).await.expect("a request");
    within(stream.write_all(br#"{"id":0,"result":["d"],"error":null}"#)).await.expect("written");
    let names = within(call).await.expect("no panic");
    assert!(names.is_ok_and(|names| names == ["d"]));

    drop((listener, stream));
    let nobody = within(Client::connect(&endpoint, &Config::default())).await;
    assert!(matches!(nobody, Err(ConnectError::Io { .. })), "{nobody:?}");
}
