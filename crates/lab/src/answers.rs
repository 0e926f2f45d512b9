//! Who answers whom: as [`crate::reachability`], where addresses alone do not tell stations apart.
//!
//! Every station answers datagrams with its name, and every station asks at the address of every other one. So
//! networks with the same addresses can be told to be two, and not one by mistake.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::error::Result;
use crate::matrix::{Family, Matrix, address};
use crate::parallel::in_parallel;
use crate::station::Station;

/// Times that a station asks. Together they take longer than a second: where nobody had the address a moment ago, the
/// kernel asks for it again only after that (`retrans_time_ms`, arp(7)).
const TRIES: u32 = 5;
/// Time that an answer may take.
const ANSWER_LIMIT: Duration = Duration::from_millis(300);
/// How often a station that answers looks whether that is still wanted.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);
/// Longest name of a station, in bytes.
const MAX_NAME: usize = 64;

/// Has every station ask at the first address of that family of every other one who is there. One reaches another if
/// that very one answers.
///
/// # Errors
/// As [`crate::reachability`], or [`crate::Error::Socket`].
pub fn answers<'a>(stations: impl IntoIterator<Item = &'a Station>, family: Family) -> Result<Matrix> {
    let stations: Vec<_> = stations.into_iter().collect();
    let addresses: Vec<_> = stations.iter().map(|it| address(it, family)).collect::<Result<_>>()?;
    let doors: Vec<_> = stations.iter().map(|it| it.udp_bind(any(family))).collect::<Result<_>>()?;
    let size = stations.len();
    let done = AtomicBool::new(false);
    let reached = thread::scope(|scope| {
        for (station, door) in stations.iter().zip(&doors) {
            scope.spawn(|| answer(door, station.name(), &done));
        }
        let pairs = (0..size * size).map(|pair| (pair / size, pair % size));
        let reached = in_parallel(pairs, |(from, to)| {
            let port = doors[to].local_addr().map(|door| door.port());
            from == to || port.is_ok_and(|port| ask(stations[from], addresses[to], port, stations[to].name()))
        });
        done.store(true, Ordering::Relaxed);
        reached
    });
    let names = stations.iter().map(|it| it.name().to_owned()).collect();
    Ok(Matrix::new(names, reached.chunks(size.max(1)).map(<[bool]>::to_vec).collect()))
}

fn any(family: Family) -> SocketAddr {
    match family {
        Family::V4 => (Ipv4Addr::UNSPECIFIED, 0).into(),
        Family::V6 => (Ipv6Addr::UNSPECIFIED, 0).into(),
    }
}

/// Answers with `name` until it is `done`.
fn answer(door: &UdpSocket, name: &str, done: &AtomicBool) {
    if door.set_read_timeout(Some(LOOK_INTERVAL)).is_err() {
        return;
    }
    while !done.load(Ordering::Relaxed) {
        if let Ok((_, from)) = door.recv_from(&mut [0; MAX_NAME]) {
            // Who asked may be out of reach: then there is no answer, which is one.
            door.send_to(name.as_bytes(), from).ok();
        }
    }
}

fn ask(station: &Station, address: IpAddr, port: u16, name: &str) -> bool {
    let family = if address.is_ipv4() { Family::V4 } else { Family::V6 };
    let Ok(socket) = station.udp_bind(any(family)) else { return false };
    let once = || -> io::Result<bool> {
        socket.connect((address, port))?;
        socket.set_read_timeout(Some(ANSWER_LIMIT))?;
        socket.send(b"who is there?")?;
        let mut answer = [0; MAX_NAME];
        let length = socket.recv(&mut answer)?;
        Ok(answer.get(..length) == Some(name.as_bytes()))
    };
    (0..TRIES).any(|_| once().unwrap_or(false))
}
