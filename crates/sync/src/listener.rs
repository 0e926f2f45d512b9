//! The listener of the server: connections, how many there may be, and for how long.
//!
//! Anyone may connect, since a host that is to join has no certificate yet. So that those who have none do not take the
//! room of those who have:
//!
//! - A connection on which no host has opened its stream is closed after [`STRANGER`], and one whose host has closed its
//!   stream after [`PARTING`]: a host that keeps connections costs no more than one that has one.
//! - One address has at most [`MAX_STRANGERS`] such connections; further ones are closed at once. Agents that come all
//!   together from behind one address are let in as fast as they prove who they are, and come again by themselves.

use std::collections::HashMap;
use std::io::{self, IoSlice};
use std::net::{IpAddr, Ipv6Addr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::timeout;
use tokio_stream::Stream;
use tonic::transport::server::Connected;

/// Most connections at once, joined hosts or not; further ones wait to be accepted.
const MAX_CONNECTIONS: usize = 20_000;

/// How long a connection may last that is not known to be a host's: enough to join.
const STRANGER: Duration = Duration::from_secs(60);

/// How long a connection may last that a host has no use for any more: enough to tell it why its stream has ended.
const PARTING: Duration = Duration::from_secs(5);

/// Most connections of one address that are not known to be a host's.
const MAX_STRANGERS: usize = 1024;

/// How long to wait before accepting again after a failure.
const PAUSE: Duration = Duration::from_millis(100);

/// A connection. It counts until it is dropped.
pub(crate) struct Bounded {
    stream: TcpStream,
    admission: Admission,
    /// Resolves when the connection is to be closed.
    life: Pin<Box<dyn Future<Output = ()> + Send>>,
    _permit: OwnedSemaphorePermit,
}

/// How many streams of hosts a connection has.
#[derive(Clone, Debug, Default)]
pub(crate) struct Admission(watch::Sender<usize>);

/// A host's stream is open.
pub(crate) struct Stay(watch::Sender<usize>);

impl Admission {
    /// A host has opened its stream.
    pub(crate) fn admit(&self) -> Stay {
        self.0.send_modify(|streams| *streams += 1);
        Stay(self.0.clone())
    }
}

impl Drop for Stay {
    fn drop(&mut self) {
        self.0.send_modify(|streams| *streams -= 1);
    }
}

/// Lasts as long as a connection may.
async fn life(mut streams: watch::Receiver<usize>, stranger: Stranger) {
    let (mut stranger, mut patience) = (Some(stranger), STRANGER);
    loop {
        // The connection itself holds the sender: it is there as long as someone waits.
        let opened = timeout(patience, streams.wait_for(|streams| *streams > 0)).await.is_ok();
        if !opened {
            return;
        }
        drop(stranger.take());
        let closed = streams.wait_for(|streams| *streams == 0).await.is_ok();
        if !closed {
            return;
        }
        patience = PARTING;
    }
}

/// How many connections that are not known to be hosts' there are, by address.
#[derive(Clone, Debug, Default)]
struct Strangers(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// One of them.
struct Stranger {
    strangers: Strangers,
    address: IpAddr,
}

impl Strangers {
    /// One more from this address, unless there are [`MAX_STRANGERS`].
    fn enter(&self, address: IpAddr) -> Option<Stranger> {
        let address = site(address);
        let mut counts = self.lock();
        let count = counts.entry(address).or_default();
        if *count >= MAX_STRANGERS {
            return None;
        }
        *count += 1;
        Some(Stranger { strangers: self.clone(), address })
    }

    /// No step below leaves a count half changed, so a poisoned lock is as good as any.
    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let mut counts = self.strangers.lock();
        if let Some(count) = counts.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.address);
            }
        }
    }
}

/// What one peer has at will counts as one address: RFC 6177 gives every site at least an IPv6 prefix of 64 bits.
fn site(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(address) => address.into(),
            None => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        },
    }
}

/// Accepts connections while there are fewer than [`MAX_CONNECTIONS`].
pub(crate) fn accept(listener: TcpListener) -> impl Stream<Item = io::Result<Bounded>> {
    let state = (listener, Arc::new(Semaphore::new(MAX_CONNECTIONS)), Strangers::default());
    futures::stream::unfold(state, async |(listener, permits, strangers)| {
        let permit = permits.clone().acquire_owned().await.ok()?;
        let (stream, stranger) = accept_one(&listener, &strangers).await;
        let admission = Admission::default();
        let life = Box::pin(life(admission.0.subscribe(), stranger));
        Some((Ok(Bounded { stream, admission, life, _permit: permit }), (listener, permits, strangers)))
    })
}

async fn accept_one(listener: &TcpListener, strangers: &Strangers) -> (TcpStream, Stranger) {
    loop {
        // Updates are small and are to arrive at once.
        let accepted = listener.accept().await;
        match accepted.and_then(|(stream, from)| stream.set_nodelay(true).map(|()| (stream, from.ip()))) {
            Ok((stream, address)) => match strangers.enter(address) {
                Some(stranger) => return (stream, stranger),
                None => tracing::debug!(%address, "closed a connection: it has too many that are no host's"),
            },
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
        if self.life.as_mut().poll(context).is_ready() {
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

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
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

    /// Accepts one connection after the other.
    fn listening() -> (std::net::SocketAddr, Pin<Box<impl Stream<Item = io::Result<Bounded>>>>) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("a socket");
        let address = listener.local_addr().expect("an address");
        (address, Box::pin(accept(TcpListener::from_std(listener).expect("within a runtime"))))
    }

    async fn is_closed(connection: &mut Bounded) -> bool {
        // The clock runs ahead while nothing else happens.
        let read = timeout(2 * STRANGER, connection.read_u8()).await;
        read.is_ok_and(|read| read.is_err_and(|error| error.kind() == io::ErrorKind::TimedOut))
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_no_host_uses_is_closed_in_time() {
        let (address, mut connections) = listening();
        let [_stranger, mut host] =
            [(); 2].map(|()| std::net::TcpStream::connect(address).expect("connected"));
        let mut of_stranger = connections.next().await.expect("open").expect("accepted");
        let mut of_host = connections.next().await.expect("open").expect("accepted");
        let stay = of_host.connect_info().admit();
        assert!(is_closed(&mut of_stranger).await);
        assert!(!is_closed(&mut of_host).await);
        std::io::Write::write_all(&mut host, b"x").expect("written");
        assert_eq!(of_host.read_u8().await.expect("open"), b'x');
        drop(stay);
        assert!(is_closed(&mut of_host).await, "its stream has ended");
    }

    #[tokio::test(start_paused = true)]
    async fn one_address_has_a_bounded_number_of_connections_that_are_no_hosts() {
        let (address, mut connections) = listening();
        let strangers = Strangers::default();
        let mut all: Vec<_> = (0..MAX_STRANGERS).map(|_| strangers.enter(address.ip())).collect();
        assert!(all.iter().all(Option::is_some) && strangers.enter(address.ip()).is_none());
        assert!(strangers.enter([192, 0, 2, 1].into()).is_some(), "of another address");
        let _client = std::net::TcpStream::connect(address).expect("connected");
        let connection = connections.next().await.expect("open").expect("accepted");
        all.pop();
        let life = life(connection.admission.0.subscribe(), strangers.enter(address.ip()).expect("one left"));
        let mut life = std::pin::pin!(life);
        assert!(futures::poll!(&mut life).is_pending() && strangers.enter(address.ip()).is_none());
        let _stay = connection.connect_info().admit();
        assert!(futures::poll!(&mut life).is_pending() && strangers.enter(address.ip()).is_some());
        all.clear();
        assert!(strangers.lock().is_empty(), "what has gone costs nothing");
    }

    #[test]
    fn what_a_site_has_at_will_is_one_address() {
        let check = |address: &str, expected: &str| {
            let [address, expected] = [address, expected].map(|text| text.parse().expect("an address"));
            assert_eq!(site(address), expected);
        };
        check("192.0.2.7", "192.0.2.7");
        check("::ffff:192.0.2.7", "192.0.2.7");
        check("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::");
    }
}
