//! A door into a lab: what connects to a port of the caller's loopback reaches a TCP server inside.

use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::error::{Error, Result};
use crate::namespace::Namespace;

/// Connections through one door at a time: a test has a handful, and each costs two threads.
const MAX_CONNECTIONS: usize = 128;
/// Time that the server inside gets to accept.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// Forwards connections for as long as it lives; dropping it closes them.
#[derive(Debug)]
pub(crate) struct Forwarder {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    namespace: Namespace,
    target: SocketAddr,
    closing: AtomicBool,
    /// Those whose threads hold no second handle have ended.
    connections: Mutex<Vec<Arc<Connection>>>,
}

impl Forwarder {
    /// Opens a free port of 127.0.0.1 that leads to `target` as seen from `namespace`.
    pub(crate) fn open(namespace: Namespace, target: SocketAddr) -> Result<Self> {
        let failed = |step| move |source| Error::Socket { step, source };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed("listen on loopback"))?;
        let address = listener.local_addr().map_err(failed("learn the port"))?;
        let (closing, connections) = (AtomicBool::new(false), Mutex::default());
        let shared = Arc::new(Shared { namespace, target, closing, connections });
        let acceptor = thread::spawn({
            let shared = Arc::clone(&shared);
            move || shared.accept(&listener)
        });
        Ok(Self { address, shared, acceptor: Some(acceptor) })
    }

    /// Where the caller connects.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        self.shared.closing.store(true, Ordering::Release);
        // Wakes the acceptor up; if this fails it is gone already.
        let _ = TcpStream::connect(self.address);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
        // A socket keeps its network namespace, and all devices in it.
        self.shared.connections().drain(..).for_each(|connection| connection.close());
    }
}

impl Shared {
    fn accept(&self, listener: &TcpListener) {
        for outside in listener.incoming() {
            if self.closing.load(Ordering::Acquire) {
                return;
            }
            let mut connections = self.connections();
            connections.retain(|connection| Arc::strong_count(connection) > 1);
            if connections.len() >= MAX_CONNECTIONS {
                continue;
            }
            let Ok(outside) = outside else { continue };
            // Nothing is kept back on the way out either.
            let _ = outside.set_nodelay(true);
            // A server that is down is shown as a real one: the connection closes.
            let Ok(inside) = self.namespace.connect(self.target, CONNECT_LIMIT) else { continue };
            let connection = Arc::new(Connection { outside, inside });
            connections.push(Arc::clone(&connection));
            thread::spawn(move || connection.forward());
        }
    }

    fn connections(&self) -> MutexGuard<'_, Vec<Arc<Connection>>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection through the door.
#[derive(Debug)]
struct Connection {
    outside: TcpStream,
    inside: TcpStream,
}

impl Connection {
    /// Copies both ways until both directions have ended.
    fn forward(&self) {
        thread::scope(|scope| {
            scope.spawn(|| copy(&self.inside, &self.outside));
            copy(&self.outside, &self.inside);
        });
    }

    fn close(&self) {
        for stream in [&self.outside, &self.inside] {
            // It is closed already if this fails.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

/// Copies one direction and then ends it. An error is the end of a connection, which both sides see.
fn copy(mut from: &TcpStream, mut to: &TcpStream) {
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
}
