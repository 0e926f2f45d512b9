//! TCP connections between stations.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use lab::{Error, Result, Station};

use super::{PATIENCE, answers_once};

/// Time in which what is not stopped arrives many times over.
pub const SILENCE: Duration = Duration::from_secs(1);

/// A connection, by its two ends.
pub struct Connection {
    pub client: TcpStream,
    pub server: TcpStream,
    /// Who the client is to the server.
    pub peer: IpAddr,
}

impl Connection {
    /// From one station to an address of another.
    pub fn open(from: &Station, to: &Station, address: SocketAddr) -> Result<Self> {
        Self::make(from, address, &to.tcp_listen(address)?)
    }

    /// From one station to an address that stands for another, which listens at a port of its own.
    pub fn translated(from: &Station, address: SocketAddr, to: &Station, port: u16) -> Result<Self> {
        Self::make(from, address, &to.tcp_listen((Ipv4Addr::UNSPECIFIED, port).into())?)
    }

    fn make(from: &Station, address: SocketAddr, listener: &TcpListener) -> Result<Self> {
        let client = from.connect(address, PATIENCE)?;
        let (server, peer) = listener.accept().expect("a connection that was made");
        for end in [&client, &server] {
            end.set_read_timeout(Some(SILENCE)).expect("a limit that is not zero");
            end.set_nodelay(true).expect("small packets");
        }
        Ok(Self { client, server, peer: peer.ip() })
    }

    /// Whether a byte passes each way, the server's first.
    pub fn passes(&self) -> (bool, bool) {
        (arrives(&self.server, &self.client), arrives(&self.client, &self.server))
    }
}

fn arrives(mut from: &TcpStream, mut to: &TcpStream) -> bool {
    from.write_all(&[7]).is_ok() && to.read_exact(&mut [0]).is_ok()
}

/// What is sent over TCP, in bytes: hundreds of segments.
const TRANSFER: usize = 1 << 20;

/// Sends over TCP, and sees that all of it arrives.
pub fn transfer(from: &Station, to: &Station, address: IpAddr) -> Result<()> {
    let failed = |step| move |source| Error::Socket { step, source };
    let any = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let listener = to.tcp_listen(any.parse().expect("an address"))?;
    let port = listener.local_addr().map_err(failed("listen"))?.port();
    let receiver = thread::spawn(move || {
        let (mut stream, _) = listener.accept()?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut received = Vec::new();
        stream.read_to_end(&mut received).map(|_| received.len())
    });
    let mut stream = from.connect((address, port).into(), Duration::from_secs(3))?;
    stream.set_write_timeout(Some(PATIENCE)).map_err(failed("prepare"))?;
    stream.write_all(&vec![7; TRANSFER]).map_err(failed("send"))?;
    drop(stream);
    let received = receiver.join().expect("no panic").map_err(failed("receive"))?;
    assert_eq!(received, TRANSFER, "{} to {address}", from.name());
    // On the way back there was something to say, too.
    assert!(answers_once(from, address)?);
    Ok(())
}
