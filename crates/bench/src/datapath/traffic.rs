//! What guests do while they are measured.
//!
//! # Ports
//! In a measurement no client uses a port a second time. Linux does so as soon as the server has closed the connection, and a
//! connection tracker then sees one begin that it still waits for the end of: the `ovs-vswitchd` of Open vSwitch 3.1 aborts
//! where that one has met a `nat` action (`conn_update_state`), as those of OVN have.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use nix::sys::socket::sockopt::{ReceiveTimeout, ReuseAddr, SendTimeout};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, bind, setsockopt, socket};
use nix::sys::time::TimeVal;

use super::stand::Ends;
use crate::figures::Times;

/// Where `iperf3` listens, unless told.
pub(crate) const IPERF_PORT: u16 = 5201;

/// Where guests listen for everything else. A fixed port disturbs nobody: the namespace is the guest's own.
pub(crate) const PORT: u16 = 7000;

/// Longest wait for the other end.
const LIMIT: TimeVal = TimeVal::new(10, 0);

/// The first port of clients, above those of servers.
const FIRST_CLIENT_PORT: u16 = 10_000;

/// Ports of clients: several times what one measurement opens, and below those that the kernel gives to `iperf3` (ip(7),
/// `ip_local_port_range`), which may have one still.
const CLIENT_PORTS: u16 = 22_000;

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Traffic {
    /// One TCP connection carries what it can.
    Throughput,
    /// One byte there and one byte back, over one TCP connection.
    RoundTrip,
    /// TCP connections are opened and closed, one after the other.
    Connections,
}

/// How much of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Amount {
    pub(crate) seconds: u64,
    pub(crate) round_trips: usize,
    pub(crate) connections: usize,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Done {
    /// Units a second: bits, round trips (by their median time), connections.
    pub(crate) rate: f64,
    /// Units that were done.
    pub(crate) units: f64,
}

impl Traffic {
    pub(crate) const ALL: [Self; 3] = [Self::Throughput, Self::RoundTrip, Self::Connections];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Throughput => "throughput",
            Self::RoundTrip => "round_trip",
            Self::Connections => "connections",
        }
    }

    /// Does it.
    pub(crate) fn run(self, ends: Ends<'_>, amount: Amount) -> anyhow::Result<Done> {
        match self {
            Self::Throughput => {
                let (address, time) = (ends.address.into(), Duration::from_secs(amount.seconds));
                let rate = ends.client.throughput_to(ends.server, address, time)?;
                Ok(Done { rate, units: rate * time.as_secs_f64() })
            }
            Self::RoundTrip => {
                let times = round_trips(ends, amount.round_trips)?;
                Ok(Done { rate: 1.0 / times.percentile(50), units: amount.round_trips as f64 })
            }
            Self::Connections => {
                let took = connections(ends, amount.connections)?;
                let units = amount.connections as f64;
                Ok(Done { rate: units / took.as_secs_f64(), units })
            }
        }
    }
}

/// The times of round trips over one connection.
pub(crate) fn round_trips(ends: Ends<'_>, count: usize) -> anyhow::Result<Times> {
    let ask = |to: SocketAddrV4| -> io::Result<Times> {
        let mut stream = connect(to)?;
        (0..count)
            .map(|_| {
                let started = Instant::now();
                stream.write_all(&[7])?;
                stream.read_exact(&mut [0])?;
                Ok(started.elapsed())
            })
            .collect()
    };
    between(ends, ask, |listener| {
        let mut stream = accept(listener)?;
        for _ in 0..count {
            stream.read_exact(&mut [0])?;
            stream.write_all(&[7])?;
        }
        Ok(())
    })
}

/// How long it takes to open and close that many connections.
pub(crate) fn connections(ends: Ends<'_>, count: usize) -> anyhow::Result<Duration> {
    let open = |to: SocketAddrV4| -> io::Result<Duration> {
        let started = Instant::now();
        for _ in 0..count {
            // The server closes at once. Who hears of it has seen the whole of the connection's life.
            connect(to)?.read_to_end(&mut Vec::new())?;
        }
        Ok(started.elapsed())
    };
    between(ends, open, |listener| (0..count).try_for_each(|_| accept(listener).map(drop)))
}

/// Has a client and a server do their parts at the same time.
fn between<T: Send>(
    ends: Ends<'_>,
    client: impl FnOnce(SocketAddrV4) -> io::Result<T> + Send,
    server: impl FnOnce(&TcpListener) -> io::Result<()> + Send,
) -> anyhow::Result<T> {
    let listener = ends.server.tcp_listen((Ipv4Addr::UNSPECIFIED, PORT).into())?;
    // socket(7): of a socket that listens, this limits accept(2).
    setsockopt(&listener, ReceiveTimeout, &LIMIT)?;
    thread::scope(|scope| {
        let serving = scope.spawn(|| server(&listener));
        let asked = ends.client.within(|| client(SocketAddrV4::new(ends.address, PORT)))?;
        let served = serving.join().expect("the server does not panic");
        // Of two that wait for each other, the client says more.
        let asked = asked.context("the client")?;
        served.context("the server")?;
        Ok(asked)
    })
}

/// Connects from a port of its own.
fn connect(to: SocketAddrV4) -> io::Result<TcpStream> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let port = FIRST_CLIENT_PORT + NEXT.fetch_add(1, Ordering::Relaxed) % CLIENT_PORTS;
    let client = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    // One of a measurement before may be there still (TIME_WAIT).
    setsockopt(&client, ReuseAddr, &true)?;
    bind(client.as_raw_fd(), &SockaddrIn::from(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port)))?;
    // socket(7): before there is a connection, this limits connect(2).
    setsockopt(&client, SendTimeout, &LIMIT)?;
    nix::sys::socket::connect(client.as_raw_fd(), &SockaddrIn::from(to))?;
    prepare(client.into())
}

fn accept(listener: &TcpListener) -> io::Result<TcpStream> {
    prepare(listener.accept()?.0)
}

fn prepare(stream: TcpStream) -> io::Result<TcpStream> {
    stream.set_nodelay(true)?;
    setsockopt(&stream, ReceiveTimeout, &LIMIT)?;
    Ok(stream)
}
