//! Gateways of a physical network: one is killed, the next one takes over, and the first takes back.

mod common;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use common::PATIENCE;
use common::outside::{FAR, Scene, check_reaches, ip, ip6};
use lab::{Host, Result, Station, wait_until};

/// Time between the packets of a stream.
const INTERVAL: Duration = Duration::from_millis(10);

/// Longest silence when a gateway fails: a second to see it, and what a busy machine takes.
const SILENCE: Duration = Duration::from_secs(3);

/// A connection over which everything comes back.
struct Connection(TcpStream);

impl Connection {
    fn open(from: &Station, server: &Station, last: u8) -> Result<Self> {
        let address = SocketAddr::new(ip(2, last), 7007);
        let listener = server.tcp_listen(address)?;
        let echo = thread::spawn(move || listener.accept().map(|(stream, _)| stream));
        let stream = from.connect(address, PATIENCE)?;
        let mut far = echo.join().expect("no panic").expect("a connection");
        thread::spawn(move || {
            let mut near = far.try_clone().expect("a socket");
            std::io::copy(&mut near, &mut far)
        });
        stream.set_read_timeout(Some(PATIENCE)).expect("a time");
        Ok(Self(stream))
    }

    /// That what is sent comes back.
    fn check(&mut self, word: &[u8; 4]) {
        self.0.write_all(word).expect("it is sent");
        let mut back = [0; 4];
        self.0.read_exact(&mut back).expect("it comes back");
        assert_eq!(&back, word);
    }
}

/// Waits until a host's switch sees its monitors as expected.
fn await_monitors(host: &Host, expected: &str) -> Result<()> {
    let columns = ["--bare", "--columns=bfd_status", "find", "interface", "bfd:enable=true"];
    wait_until(format!("monitors of {} to be {expected}", host.name()), PATIENCE, || {
        let found = host.ovs_vsctl(columns).map_err(|error| error.to_string())?;
        let lines: Vec<_> = found.lines().filter(|line| !line.is_empty()).collect();
        let all = !lines.is_empty() && lines.iter().all(|line| line.contains("remote_state=up state=up"));
        if all == (expected == "up") && !lines.is_empty() { Ok(()) } else { Err(found) }
    })
}

#[test]
fn the_next_gateway_takes_over_from_one_that_is_killed_and_gives_back() -> Result<()> {
    let Scene { lab, guests, server, .. } = Scene::start(2)?;
    let [first, second] = [lab.host(0), lab.host(1)];
    for host in lab.hosts() {
        await_monitors(host, "up")?;
    }
    let guest = &guests[2];
    for address in [ip(2, 7), ip6(2, 7), FAR.parse().expect("an address")] {
        check_reaches(guest, address)?;
    }
    let mut connection = Connection::open(guest, &server, 7)?;
    connection.check(b"here");
    let streams = [ip(2, 7), ip6(2, 7)].map(|to| guest.start_ping(to, INTERVAL));
    let streams = streams.into_iter().collect::<Result<Vec<_>>>()?;
    streams.iter().try_for_each(|stream| stream.wait_for_more(50, PATIENCE))?;

    // Its agent and its switch end at once, as if somebody had pulled the plug.
    first.vna().kill();
    first.switch().vswitchd().kill();
    for stream in streams {
        stream.wait_for_more(100, PATIENCE)?;
        let report = stream.finish()?;
        assert!(report.longest_gap < SILENCE, "{report:?}");
    }
    connection.check(b"over");
    check_reaches(guest, FAR.parse().expect("an address"))?;
    // The wire finds guests by the new gateway, the new gateway's own among them.
    server.forget_neighbours()?;
    check_reaches(&server, ip(1, 3))?;
    check_reaches(&server, ip6(1, 2))?;

    // The better one comes back, and is the gateway again: nothing is answered twice.
    first.switch().start_vswitchd()?;
    first.vna().start(&lab.manager().sync_url())?;
    for host in [second, lab.host(2)] {
        await_monitors(host, "up")?;
    }
    check_reaches(guest, ip(2, 7))?;
    check_reaches(&server, ip(1, 2))?;
    connection.check(b"back");
    let result = guest.ping(ip(2, 7))?;
    assert!(result.is_perfect(), "{result:?}");
    Ok(())
}
