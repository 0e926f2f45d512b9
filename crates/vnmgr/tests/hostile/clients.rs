//! Clients of the Web API that are slow, silent or many. The clock runs ahead while everybody waits.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::routing::{get, post};
use reqwest::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use vnmgr::api::input::{BODY_TIME, Input};
use web::patience::ANSWER_TIME;
use web::server::{HEADER_TIME, MAX_BUFFER, MAX_HEADERS, serve_at_most};

use crate::support::Lab;

/// Connections at once in these tests.
const CONNECTIONS: usize = 3;

/// An answer that no socket takes at once, in bytes.
const LONG: usize = 64 << 20;

/// How often those who are slow do something.
const TRICKLE: Duration = Duration::from_secs(7);

/// How much later than its limit a connection may end: a client notices when it does something.
const SLACK: Duration = Duration::from_secs(20);

/// The server of the Web API, with two things to ask for.
async fn served() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let router = Router::new()
        .route("/long", get(async || vec![b'x'; LONG]))
        .route("/write", post(async |_: Input| "written"));
    tokio::spawn(serve_at_most(CONNECTIONS, listener, router, CancellationToken::new()));
    address
}

async fn connect(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.expect("connected")
}

/// Asks for something small, and gives back the status.
async fn ask(address: SocketAddr, headers: &str) -> Option<u16> {
    let mut stream = connect(address).await;
    let request = format!("POST /write HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n{headers}\r\n");
    // The manager may hang up before all of it is sent.
    let _ = stream.write_all(request.as_bytes()).await;
    status(&mut stream).await
}

async fn status(stream: &mut TcpStream) -> Option<u16> {
    let mut start = [0; 12];
    stream.read_exact(&mut start).await.ok()?;
    str::from_utf8(&start).ok()?.rsplit(' ').next()?.parse().ok()
}

/// Sends a byte now and then until the connection ends, and says how long that took.
async fn trickle(stream: &mut TcpStream) -> Duration {
    let started = Instant::now();
    loop {
        let mut byte = [0];
        match timeout(TRICKLE, stream.read(&mut byte)).await {
            Ok(Ok(0) | Err(_)) => return started.elapsed(),
            Ok(Ok(_)) => {}
            Err(_) if stream.write_all(b"x").await.is_err() => return started.elapsed(),
            Err(_) => {}
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_never_ends_its_headers_loses_its_connection() {
    let address = served().await;
    for start in ["", "GET /long HTTP/1.1\r\nx: "] {
        let mut stream = connect(address).await;
        stream.write_all(start.as_bytes()).await.expect("written");
        assert!(trickle(&mut stream).await <= HEADER_TIME + SLACK, "{start}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_never_ends_its_body_is_answered_and_loses_its_connection() {
    let mut stream = connect(served().await).await;
    stream
        .write_all(b"POST /write HTTP/1.1\r\nhost: a\r\ncontent-length: 1000\r\n\r\n")
        .await
        .expect("written");
    let started = Instant::now();
    assert_eq!(status(&mut stream).await, Some(408));
    assert!(started.elapsed() <= BODY_TIME + SLACK);
    assert!(trickle(&mut stream).await <= HEADER_TIME + SLACK);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_its_answer_slowly_or_not_at_all_loses_its_connection() {
    let address = served().await;
    for step in [0, 1000] {
        let mut stream = connect(address).await;
        stream.write_all(b"GET /long HTTP/1.1\r\nhost: a\r\n\r\n").await.expect("written");
        let started = Instant::now();
        let mut taken = vec![0; step];
        while started.elapsed() <= ANSWER_TIME + SLACK {
            let _ = stream.read(&mut taken).await;
            sleep(TRICKLE).await;
        }
        // What has left the manager by then can still be read, and then the connection is over.
        let mut rest = Vec::new();
        let ended = timeout(HEADER_TIME, stream.read_to_end(&mut rest)).await;
        assert!(ended.is_ok() && rest.len() < LONG, "{} bytes", rest.len());
    }
}

#[tokio::test(start_paused = true)]
async fn headers_are_bounded_in_number_and_size() {
    let address = served().await;
    assert_eq!(ask(address, "").await, Some(200));
    let many: String = (0..=MAX_HEADERS).map(|number| format!("x-{number}: y\r\n")).collect();
    let large = format!("x: {}\r\n", "y".repeat(2 * MAX_BUFFER));
    for headers in [many, large] {
        let status = ask(address, &headers).await;
        assert!(matches!(status, None | Some(431)), "{status:?}");
    }
}

#[tokio::test]
async fn a_body_of_more_values_than_any_request_has_is_refused_before_it_is_read() {
    let lab = Lab::start().await;
    let many = |count| vec![r#"{"":0}"#; count].join(",");
    let batch = |count| {
        let attributes = format!(r#"{{"labels":[{}]}}"#, many(count));
        format!(r#"{{"operations":[{{"op":"create","resource":"networks","attributes":{attributes}}}]}}"#)
    };
    for (path, body) in [("networks", format!(r#"{{"labels":[{}]}}"#, many(1000))), ("batch", batch(300_000))]
    {
        let request = lab.client.request(Method::POST, path).header("content-type", "application/json");
        lab.client.send(request.body(body)).await.expect_error(413, "RequestTooLarge", "116", None);
    }
}

#[tokio::test(start_paused = true)]
async fn silent_clients_in_any_number_keep_others_out_for_a_bounded_time() {
    let address = served().await;
    let mut silent = Vec::new();
    for _ in 0..10 * CONNECTIONS {
        silent.push(connect(address).await);
    }
    let started = Instant::now();
    assert_eq!(ask(address, "").await, Some(200));
    assert!(started.elapsed() <= 10 * HEADER_TIME + SLACK, "{:?}", started.elapsed());
}
