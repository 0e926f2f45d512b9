//! Paths: what traceroute(8) and tracepath(8) show of two routers in a row, and that whatever guests send gets through tunnels
//! that take less than their NICs.

mod common;

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use common::routers::{BEYOND, BEYOND_V6, add_routes, guests, ip, ip6, topology};
use common::tcp::transfer;
use common::{PATIENCE, apply};
use lab::{Guest, Lab, Result, wait_until};

/// What tunnels take: 62 bytes of 1,500 are Geneve's.
const TUNNEL_MTU: usize = 1438;

/// What is on the way from network 1 to network 3, in both families.
const WAY: [&str; 3] = ["10.0.1.254", "10.0.2.253", "10.0.3.1"];
const WAY_V6: [&str; 3] = ["fd00:1::fe", "fd00:2::fd", "fd00:3::1"];

/// Time for a datagram to be repeated.
const REPEAT: Duration = Duration::from_millis(200);

/// A lab whose guests reach each other.
fn start() -> Result<(Lab, Vec<Guest>)> {
    let lab = common::start(Lab::builder().hosts(3))?;
    let guests = guests(&lab)?;
    apply(&lab, &topology())?;
    add_routes(&lab, BEYOND.iter().chain(&BEYOND_V6))?;
    Ok((lab, guests))
}

/// That traceroute(8) with some flags names who is on the way to the last of them.
#[track_caller]
fn check_way(guest: &Guest, flags: &str, way: &[&str]) -> Result<()> {
    let to = way.last().expect("a destination");
    let words = ["traceroute", "-n", "-q", "1", "-w", "5", "-m", "6"].into_iter();
    let output = guest.exec(words.chain(flags.split_whitespace()).chain([*to]))?;
    // "traceroute to 10.0.3.1 (10.0.3.1), 6 hops max, 60 byte packets", then " 1  10.0.1.254  0.421 ms"
    let named = |line: &str| line.split_whitespace().nth(1).map(str::to_owned);
    let seen: Vec<_> = output.lines().skip(1).filter_map(named).collect();
    assert_eq!(seen, way, "traceroute {flags}: {output}");
    Ok(())
}

/// That tracepath(8) finds what the way takes, and how long it is.
#[track_caller]
fn check_path(guest: &Guest, way: &[&str]) -> Result<()> {
    let to = way.last().expect("a destination");
    let output = guest.exec(["tracepath", "-n", "-m", "6", to])?;
    let expected = format!("Resume: pmtu {TUNNEL_MTU} hops {} back {}", way.len(), way.len());
    assert!(output.contains(&expected), "{expected}? {output}");
    assert!(way.iter().all(|address| output.contains(address)), "{output}");
    Ok(())
}

#[test]
fn tools_show_each_leg_on_the_way_and_what_it_takes() -> Result<()> {
    let (_lab, guests) = start()?;
    let (guest, far) = (&guests[0], &guests[4]);
    assert_eq!((guest.name(), far.name()), ("g11", "g31"));
    let _web = far.tcp_listen("[::]:80".parse().expect("an address"))?;
    for way in [WAY, WAY_V6] {
        // UDP to ports where nobody listens, ICMP, TCP to a port where somebody does and to one where nobody does.
        for flags in ["", "-I", "-T -p 80", "-T -p 81", "-U -p 53"] {
            check_way(guest, flags, &way)?;
        }
        check_path(guest, &way)?;
    }
    // One's own network is a hop away, whoever's host it is on; a leg is, too.
    check_way(guest, "", &["10.0.1.2"])?;
    check_way(guest, "-I", &["fd00:1::fe"])?;
    check_way(guest, "-I", &["10.0.1.254"])
}

#[test]
fn tcp_and_large_datagrams_arrive_in_a_network_and_behind_routers() -> Result<()> {
    let (_lab, guests) = start()?;
    let guest = &guests[0];
    for (far, network, n) in [(&guests[1], 1, 2), (&guests[4], 3, 1)] {
        assert_ne!(guest.host_name(), far.host_name());
        for (to, headers) in [(ip(network, n), 28), (ip6(network, n), 48)] {
            // As long as the NIC takes, which goes whole and is refused first; and longer, in fragments.
            for length in [1500 - headers, 3000, 20_000] {
                check_datagram(guest, far, to, length)?;
                forget_paths(guest)?;
                forget_paths(far)?;
            }
            transfer(guest, far, to)?;
            transfer(far, guest, guest.addresses()[usize::from(to.is_ipv6())].addr())?;
        }
    }
    Ok(())
}

/// That a datagram arrives whole, and its answer, which is as long. Those that do not fit are lost until the sender knows what
/// does, and are repeated, as by any program that uses datagrams.
#[track_caller]
fn check_datagram(from: &Guest, to: &Guest, address: IpAddr, length: usize) -> Result<()> {
    let unspecified = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let unspecified: SocketAddr = unspecified.parse().expect("an address");
    let (client, server) = (from.udp_bind(unspecified)?, to.udp_bind(unspecified)?);
    let port = server.local_addr().expect("it is bound").port();
    for socket in [&client, &server] {
        socket.set_read_timeout(Some(REPEAT)).expect("a limit that is not zero");
    }
    let message: Vec<u8> = (0..length).map(|n| (n % 251) as u8).collect();
    wait_until(format!("{length} bytes from {} to {address} and back", from.name()), PATIENCE, || {
        exchange(&client, &server, (address, port).into(), &message).map_err(|error| error.to_string())
    })
}

/// Sends a message, and back what has come of it. Where it does not fit, the kernel may say so at the next call (EMSGSIZE,
/// ip(7)).
fn exchange(client: &UdpSocket, server: &UdpSocket, to: SocketAddr, message: &[u8]) -> io::Result<()> {
    let mut buffer = vec![0; message.len() + 1];
    client.send_to(message, to)?;
    let (length, peer) = server.recv_from(&mut buffer)?;
    server.send_to(&buffer[..length], peer)?;
    let length = client.recv(&mut buffer)?;
    assert!(buffer[..length] == *message, "it is another one");
    Ok(())
}

/// Makes a guest forget what its ways take.
fn forget_paths(guest: &Guest) -> Result<()> {
    guest.exec(["ip", "route", "flush", "cache"])?;
    guest.exec(["ip", "-6", "route", "flush", "cache"]).map(drop)
}
