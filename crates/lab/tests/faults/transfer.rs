//! A TCP connection that is used all the time: bytes go to an echo server and come back.
//!
//! It is paced, so that what is seen is the network and not a machine at its limit.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use lab::{Result, Station};

/// Bytes that are under way at a time: some packets of every size.
const CHUNK: usize = 16 * 1024;

/// Time between two chunks.
const PACE: Duration = Duration::from_millis(5);

/// The port of the server.
const PORT: u16 = 7;

/// Time that a chunk may take: far beyond what a connection without a loss needs.
const ECHO_LIMIT: Duration = Duration::from_secs(30);

/// What became of a transfer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Transferred {
    /// Chunks that have come back as they were.
    pub(crate) chunks: u64,
    /// The longest time that one took.
    pub(crate) slowest: Duration,
}

/// A transfer that goes on.
#[derive(Debug)]
pub(crate) struct Transfer {
    stop: Sender<()>,
    client: JoinHandle<Transferred>,
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
        let client = thread::spawn(move || {
            let mut so_far = Transferred { chunks: 0, slowest: Duration::ZERO };
            while stopped.recv_timeout(PACE) == Err(RecvTimeoutError::Timeout) {
                so_far.slowest = so_far.slowest.max(exchange(&client, so_far.chunks));
                so_far.chunks += 1;
            }
            so_far
        });
        Ok(Self { stop, client, server })
    }

    /// Ends it.
    ///
    /// # Panics
    /// If the connection broke, or something else came back than was sent.
    pub(crate) fn finish(self) -> Transferred {
        drop(self.stop);
        let transferred = self.client.join().expect("a connection that stands");
        self.server.join().expect("a connection that stands");
        transferred
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
