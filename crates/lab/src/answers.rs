//! Who answers whom: as [`crate::reachability`], where addresses alone do not tell stations apart.
//!
//! Every station answers datagrams with its name, and every station asks at the address of every other one. So
//! networks with the same addresses can be told to be two, and not one by mistake.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::Result;
use crate::matrix::{Family, Matrix, address};
use crate::station::Station;

/// Times that a station asks. Together they take longer than a second: where nobody had the address a moment ago, the
/// kernel asks for it again only after that (`retrans_time_ms`, arp(7)).
const TRIES: u32 = 5;
/// Time that an answer may take before who asked asks again.
const ANSWER_LIMIT: Duration = Duration::from_millis(300);
/// How often a station that answers looks whether that is still wanted.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);
/// Longest name of a station, in bytes.
const MAX_NAME: usize = 64;

/// Who is asked, where, and what the answer is.
struct Target<'a> {
    door: SocketAddr,
    name: &'a str,
}

/// Has every station ask at the first address of that family of every other one who is there. One reaches another if
/// that very one answers. Silence takes a second and a half, whoever is silent.
///
/// # Errors
/// As [`crate::reachability`], or [`crate::Error::Socket`].
pub fn answers<'a>(stations: impl IntoIterator<Item = &'a Station>, family: Family) -> Result<Matrix> {
    let stations: Vec<_> = stations.into_iter().collect();
    let addresses: Vec<_> = stations.iter().map(|it| address(it, family)).collect::<Result<_>>()?;
    let bind = || stations.iter().map(|it| it.udp_bind(any(family))).collect::<Result<Vec<_>>>();
    let (doors, askers) = (bind()?, bind()?);
    let port = |door: &UdpSocket| door.local_addr().map_or(0, |address| address.port());
    let doors_of = addresses.into_iter().zip(&doors).map(|(address, door)| (address, port(door)).into());
    let targets: Vec<_> =
        stations.iter().zip(doors_of).map(|(it, door)| Target { door, name: it.name() }).collect();
    let done = AtomicBool::new(false);
    let reached = thread::scope(|scope| {
        for (target, door) in targets.iter().zip(&doors) {
            scope.spawn(|| answer(door, target.name, &done));
        }
        let ask = |(from, socket)| {
            scope.spawn({
                let targets = &targets;
                move || ask(socket, from, targets)
            })
        };
        let asking: Vec<_> = askers.iter().enumerate().map(ask).collect();
        let reached = asking.into_iter().map(|it| it.join().unwrap_or_else(|panic| resume_unwind(panic)));
        let reached = reached.collect();
        done.store(true, Ordering::Relaxed);
        reached
    });
    Ok(Matrix::new(stations.iter().map(|it| it.name().to_owned()).collect(), reached))
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

/// Asks all but itself until all have answered or it has asked often enough; says who has answered.
fn ask(socket: &UdpSocket, itself: usize, targets: &[Target<'_>]) -> Vec<bool> {
    let mut reached: Vec<bool> = (0..targets.len()).map(|to| to == itself).collect();
    for _ in 0..TRIES {
        for (target, _) in targets.iter().zip(&reached).filter(|(_, reached)| !**reached) {
            // Without a route it stays unreached.
            socket.send_to(b"who is there?", target.door).ok();
        }
        let end = Instant::now() + ANSWER_LIMIT;
        while reached.contains(&false) && Instant::now() < end {
            let Some((door, name)) = hear(socket, end) else { continue };
            let is_it = |target: &Target<'_>| target.door == door && target.name.as_bytes() == name;
            reached.iter_mut().zip(targets).for_each(|(reached, target)| *reached |= is_it(target));
        }
    }
    reached
}

/// The next answer before `end`, and where it comes from.
fn hear(socket: &UdpSocket, end: Instant) -> Option<(SocketAddr, Vec<u8>)> {
    let left = end.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
    socket.set_read_timeout(Some(left)).ok()?;
    let mut name = vec![0; MAX_NAME];
    let (length, door) = socket.recv_from(&mut name).ok()?;
    name.truncate(length);
    Some((door, name))
}
