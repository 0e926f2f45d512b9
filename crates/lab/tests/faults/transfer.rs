//! A TCP connection that is used all the time: bytes go to an echo server and come back.
//!
//! It is paced, so that what is seen is the network and not a machine at its limit.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use lab::{Result, Station, wait_until};

/// Bytes that are under way at a time: some packets of every size.
const CHUNK: usize = 16 * 1024;

/// Time between two chunks.
const PACE: Duration = Duration::from_millis(5);

/// The port of the server.
const PORT: u16 = 7;

/// Time that a chunk may take: far beyond what a connection without a loss needs.
const ECHO_LIMIT: Duration = Duration::from_secs(30);

/// A transfer that goes on.
#[derive(Debug)]
pub(crate) struct Transfer {
    stop: Sender<()>,
    chunks: Arc<AtomicU64>,
    client: JoinHandle<Duration>,
    server: JoinHandle<()>,
}

impl Transfer {
    /// Begins to send.
    pub(crate) fn start(from: &Station, to: &Station, address: IpAddr) -> Result<Self> {
        let address = SocketAddr::new(address, PORT);
        let listener = to.tcp_listen(address)?;
        let client = from.connect(address, ECHO_LIMIT)?;
        let server = thread::spawn(move || {
            let (stream, _) = listener.accept().expect("a connection that was made");
            echo(&stream);
        });
        let (stop, stopped) = mpsc::channel();
        let chunks = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&chunks);
        let client = thread::spawn(move || {
            let mut slowest = Duration::ZERO;
            while stopped.recv_timeout(PACE) == Err(RecvTimeoutError::Timeout) {
                let number = count.fetch_add(1, Ordering::Relaxed);
                slowest = slowest.max(exchange(&client, number));
            }
            slowest
        });
        Ok(Self { stop, chunks, client, server })
    }

    /// Waits until `count` more chunks have been sent.
    pub(crate) fn wait_for_more(&self, count: u64, limit: Duration) -> Result<()> {
        let goal = self.chunks.load(Ordering::Relaxed) + count;
        wait_until(format!("{goal} chunks"), limit, || match self.chunks.load(Ordering::Relaxed) {
            chunks if chunks >= goal => Ok(()),
            chunks => Err(format!("{chunks} were sent")),
        })
    }

    /// Ends it, and gives the longest time that a chunk took to come back.
    ///
    /// # Panics
    /// If the connection broke, or something else came back than was sent.
    pub(crate) fn finish(self) -> Duration {
        drop(self.stop);
        let slowest = self.client.join().expect("a connection that stands");
        self.server.join().expect("a connection that stands");
        slowest
    }
}

/// Sends what it receives, up to the end.
fn echo(mut stream: &TcpStream) {
    let mut chunk = vec![0; CHUNK];
    while stream.read_exact(&mut chunk).is_ok() {
        stream.write_all(&chunk).expect("a client that listens");
    }
}

fn exchange(mut stream: &TcpStream, number: u64) -> Duration {
    let sent: Vec<u8> = number.to_be_bytes().into_iter().cycle().take(CHUNK).collect();
    let mut received = vec![0; CHUNK];
    let started = Instant::now();
    stream.set_read_timeout(Some(ECHO_LIMIT)).expect("a limit that is not zero");
    stream.write_all(&sent).expect("a connection that stands");
    stream.read_exact(&mut received).expect("an echo");
    assert!(sent == received, "chunk {number} has come back as something else");
    started.elapsed()
}
