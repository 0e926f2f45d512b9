//! The listener of the server: connections, how many there may be, and for how long.
//!
//! Anyone may connect, since a host that is to join has no certificate yet. So that those who have none do not take the
//! room of those who have, a connection on which no host has opened its stream is closed after [`STRANGER`].

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Sleep, sleep};
use tokio_stream::Stream;
use tonic::transport::server::Connected;

/// Most connections at once, joined hosts or not; further ones wait to be accepted.
const MAX_CONNECTIONS: usize = 20_000;

/// How long a connection may last that is not known to be a host's: enough to join.
const STRANGER: Duration = Duration::from_secs(60);

/// How long to wait before accepting again after a failure.
const PAUSE: Duration = Duration::from_millis(100);

/// A connection. It counts until it is dropped.
pub(crate) struct Bounded {
    stream: TcpStream,
    admission: Admission,
    deadline: Pin<Box<Sleep>>,
    _permit: OwnedSemaphorePermit,
}

/// Whether a connection is known to be a host's.
#[derive(Clone, Debug, Default)]
pub(crate) struct Admission(Arc<AtomicBool>);

impl Admission {
    /// It is.
    pub(crate) fn admit(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_admitted(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Accepts connections while there are fewer than [`MAX_CONNECTIONS`].
pub(crate) fn accept(listener: TcpListener) -> impl Stream<Item = io::Result<Bounded>> {
    let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    futures::stream::unfold((listener, permits), async |(listener, permits)| {
        let permit = permits.clone().acquire_owned().await.ok()?;
        let stream = accept_one(&listener).await;
        let (admission, deadline) = (Admission::default(), Box::pin(sleep(STRANGER)));
        Some((Ok(Bounded { stream, admission, deadline, _permit: permit }), (listener, permits)))
    })
}

async fn accept_one(listener: &TcpListener) -> TcpStream {
    loop {
        // Updates are small and are to arrive at once.
        match listener.accept().await.and_then(|(stream, _)| stream.set_nodelay(true).map(|()| stream)) {
            Ok(stream) => return stream,
            // accept(2): errors of one connection, or too many open files. None is a reason to stop.
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

impl Connected for Bounded {
    type ConnectInfo = Admission;

    fn connect_info(&self) -> Admission {
        self.admission.clone()
    }
}

impl AsyncRead for Bounded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.admission.is_admitted() && self.deadline.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Bounded {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt;
    use tokio::io::AsyncReadExt;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_no_host_uses_is_closed_in_time() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let mut connections = std::pin::pin!(accept(listener));
        let [_stranger, mut host] =
            [(); 2].map(|()| std::net::TcpStream::connect(address).expect("connected"));
        let mut of_stranger = connections.next().await.expect("open").expect("accepted");
        let mut of_host = connections.next().await.expect("open").expect("accepted");
        of_host.connect_info().admit();
        // The clock runs ahead while nothing else happens.
        let read = of_stranger.read_u8().await;
        assert_eq!(read.expect_err("closed").kind(), io::ErrorKind::TimedOut);
        std::io::Write::write_all(&mut host, b"x").expect("written");
        assert_eq!(of_host.read_u8().await.expect("open"), b'x');
    }
}
