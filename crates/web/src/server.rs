//! The HTTP server: connections, and what each of them may cost.
//!
//! A connection carries one request at a time (HTTP/1.1), so bounds on connections are bounds on requests. A client
//! that is slow to send loses its connection by the time limits on headers and bodies, one that does not read by the
//! kernel's on data not taken, and one that is slow to read by [`crate::patience`].

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use nix::sys::socket::{setsockopt, sockopt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower::{Service, ServiceExt};

use crate::patience::Patient;

/// Most connections at once. The next one waits in the kernel's backlog.
pub const MAX_CONNECTIONS: usize = 1024;

/// How long a client may take to send a request's headers, and an idle connection may stay open.
pub const HEADER_TIME: Duration = Duration::from_secs(60);

/// Most header lines of a request.
pub const MAX_HEADERS: usize = 100;

/// What a connection buffers at most, in bytes: so long may the headers be, too, and the query string among them.
pub const MAX_BUFFER: usize = 64 * 1024;

/// How long sent data may stay unread, in milliseconds.
const UNREAD_TIME_MS: u32 = 60_000;

/// How long running requests have, when the program stops, to be answered.
const STOP_TIME: Duration = Duration::from_secs(10);

/// How long to wait after a failed accept: the usual cause, too many open files, takes a while to go.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves `service` until `stop`, then answers the requests that run and returns.
pub async fn serve<S>(listener: TcpListener, service: S, stop: CancellationToken)
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    serve_at_most(MAX_CONNECTIONS, listener, service, stop).await;
}

/// As [`serve`], with another number of connections.
pub async fn serve_at_most<S>(connections: usize, listener: TcpListener, service: S, stop: CancellationToken)
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    let places = Arc::new(Semaphore::new(connections));
    let connections = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = accept(&listener, &places) => accepted,
        };
        let Some((stream, place)) = accepted else { continue };
        let connection = connections.watch(connection(stream, service.clone()));
        tokio::spawn(async move {
            // A connection that breaks is its client's affair.
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection broke");
            }
            drop(place);
        });
    }
    drop(listener);
    if tokio::time::timeout(STOP_TIME, connections.shutdown()).await.is_err() {
        tracing::warn!("some requests were not answered in time before the stop");
    }
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> Option<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let place = places.clone().acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => Some((stream, place)),
        Err(error) => {
            tracing::warn!(%error, "cannot accept a connection");
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

fn connection<S>(
    stream: TcpStream,
    service: S,
) -> impl hyper_util::server::graceful::GracefulConnection<Error = hyper::Error> + Send
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    // tcp(7): closes the connection when data that was sent, or waits for the peer's window to open, is not
    // acknowledged. Without it a client that never reads would keep its place for ever.
    let _ = setsockopt(&stream, sockopt::TcpUserTimeout, &UNREAD_TIME_MS);
    let _ = stream.set_nodelay(true);
    let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
        service.clone().oneshot(request.map(Body::new))
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_BUFFER)
        .serve_connection(TokioIo::new(Patient::new(stream)), service)
}
