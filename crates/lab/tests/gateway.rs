//! Gateways of a physical network: one is killed, loses its carrier or begins anew, the next one takes over, and the first
//! takes back.

mod common;

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use common::PATIENCE;
use common::outside::{FAR, Scene, check_reaches, ip, ip6};
use common::tcp::Connection;
use lab::{Host, PingStream, Result, Station, wait_until};

/// Time between the packets of a stream.
const INTERVAL: Duration = Duration::from_millis(10);

/// Longest silence when a gateway fails: a second to see it, and what a busy machine takes.
const SILENCE: Duration = Duration::from_secs(3);

/// What a transfer sends at once, in bytes, and the time between: some 13 Mbit/s.
const CHUNK: usize = 8 * 1024;
const PACE: Duration = Duration::from_millis(5);

/// How long an attempt to connect may take: those who have lost a packet ask again after a second (RFC 6298, section 2).
const ATTEMPT: Duration = Duration::from_millis(300);

/// A transfer in one direction that never rests, and the time between what arrives.
struct Transfer {
    stop: Sender<()>,
    sender: JoinHandle<()>,
    receiver: JoinHandle<Duration>,
    arrived: Arc<AtomicU64>,
}

impl Transfer {
    /// Sends over a connection from one who has an address to another, at a pace that a busy machine keeps.
    fn start(from: &Station, to: &Station, address: SocketAddr) -> Result<Self> {
        let listener = to.tcp_listen(address)?;
        let mut near = from.connect(address, PATIENCE)?;
        let (mut far, _) = listener.accept().expect("a connection");
        far.set_read_timeout(Some(PATIENCE)).expect("a time");
        let (stop, stopped) = mpsc::channel();
        let arrived = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&arrived);
        let sender = thread::spawn(move || {
            while stopped.recv_timeout(PACE) == Err(RecvTimeoutError::Timeout) {
                near.write_all(&[7; CHUNK]).expect("a connection that stands");
            }
        });
        let receiver = thread::spawn(move || {
            let (mut longest, mut last, mut chunk) = (Duration::ZERO, Instant::now(), [0; CHUNK]);
            while far.read(&mut chunk).expect("a connection that stands") > 0 {
                longest = longest.max(last.elapsed());
                last = Instant::now();
                count.fetch_add(1, Ordering::Relaxed);
            }
            longest
        });
        Ok(Self { stop, sender, receiver, arrived })
    }

    fn wait_for_more(&self, count: u64) -> Result<()> {
        let goal = self.arrived.load(Ordering::Relaxed) + count;
        wait_until(format!("{goal} pieces to arrive"), PATIENCE, || {
            match self.arrived.load(Ordering::Relaxed) {
                arrived if arrived >= goal => Ok(()),
                arrived => Err(format!("{arrived} have")),
            }
        })
    }

    /// Ends it, and gives the longest time in which nothing has arrived.
    fn finish(self) -> Duration {
        drop(self.stop);
        self.sender.join().expect("a connection that stands");
        self.receiver.join().expect("a connection that stands")
    }
}

/// Opens connections until one stands, and gives the time that took.
fn time_to_connect(from: &Station, server: &Station, last: u8) -> Result<Duration> {
    let address = SocketAddr::new(ip(2, last), 7008);
    let _listener = server.tcp_listen(address)?;
    let started = Instant::now();
    wait_until("a new connection", PATIENCE, || match from.connect(address, ATTEMPT) {
        Ok(_) => Ok(started.elapsed()),
        Err(error) => Err(error.to_string()),
    })
}

/// Waits until a host's switch takes all that it watches for alive.
fn await_monitors(host: &Host) -> Result<()> {
    await_bfd(host, "bfd_status", "forwarding=true")
}

/// Waits until a column of all monitors of a host holds these words.
fn await_bfd(host: &Host, column: &str, words: &str) -> Result<()> {
    let columns = format!("--columns={column}");
    let find = ["--bare", &columns, "find", "interface", "bfd:enable=true"];
    wait_until(format!("monitors of {} to have {words}", host.name()), PATIENCE, || {
        let found = host.ovs_vsctl(find).map_err(|error| error.to_string())?;
        let lines: Vec<_> = found.lines().filter(|line| !line.is_empty()).collect();
        let all = !lines.is_empty() && lines.iter().all(|line| line.contains(words));
        if all { Ok(()) } else { Err(found) }
    })
}

/// Streams from a guest to both addresses of the server.
fn start_streams(guest: &Station) -> Result<Vec<PingStream>> {
    let streams: Vec<_> =
        [ip(2, 7), ip6(2, 7)].map(|to| guest.start_ping(to, INTERVAL)).into_iter().collect::<Result<_>>()?;
    streams.iter().try_for_each(|stream| stream.wait_for_more(50, PATIENCE))?;
    Ok(streams)
}

/// That streams go on, and were never silent for longer.
fn check_streams(streams: Vec<PingStream>, silence: Duration) -> Result<()> {
    for stream in streams {
        stream.wait_for_more(100, PATIENCE)?;
        let report = stream.finish()?;
        assert!(report.longest_gap < silence, "{report:?}");
    }
    Ok(())
}

#[test]
fn the_next_gateway_takes_over_from_one_that_is_killed_and_gives_back() -> Result<()> {
    let Scene { lab, guests, server, .. } = Scene::start(2)?;
    let first = lab.host(0);
    lab.hosts().iter().try_for_each(await_monitors)?;
    let guest = &guests[2];
    for address in [ip(2, 7), ip6(2, 7), FAR.parse().expect("an address")] {
        check_reaches(guest, address)?;
    }
    let connection = Connection::open(guest, &server, SocketAddr::new(ip(2, 7), 7007))?;
    assert_eq!(connection.passes(), (true, true));
    let streams = start_streams(guest)?;
    let transfers = [
        Transfer::start(guest, &server, SocketAddr::new(ip(2, 7), 7009))?,
        Transfer::start(&server, guest, SocketAddr::new(ip(1, 3), 7009))?,
    ];
    transfers.iter().try_for_each(|transfer| transfer.wait_for_more(100))?;

    // Its agent and its switch end at once, as if somebody had pulled the plug.
    first.vna().kill();
    first.switch().vswitchd().kill();
    let took = time_to_connect(guest, &server, 7)?;
    assert!(took < SILENCE, "a new connection takes {took:?}");
    check_streams(streams, SILENCE)?;
    for transfer in transfers {
        transfer.wait_for_more(100)?;
        let longest = transfer.finish();
        assert!(longest < SILENCE, "nothing arrived for {longest:?}");
    }
    assert_eq!(connection.passes(), (true, true));
    check_reaches(guest, FAR.parse().expect("an address"))?;
    // The wire finds guests by the new gateway, the new gateway's own among them.
    server.forget_neighbours()?;
    check_reaches(&server, ip(1, 3))?;
    check_reaches(&server, ip6(1, 2))?;

    // The better one comes back, and is the gateway again: nothing is answered twice.
    first.switch().start_vswitchd()?;
    first.vna().start(&lab.manager().sync_url())?;
    lab.hosts().iter().skip(1).try_for_each(await_monitors)?;
    check_reaches(guest, ip(2, 7))?;
    check_reaches(&server, ip(1, 2))?;
    assert_eq!(connection.passes(), (true, true));
    let result = guest.ping(ip(2, 7))?;
    assert!(result.is_perfect(), "{result:?}");
    Ok(())
}

#[test]
fn the_next_gateway_takes_over_from_one_whose_nic_has_no_carrier_and_gives_back() -> Result<()> {
    let Scene { lab, guests, server, .. } = Scene::start(2)?;
    let first = lab.host(0);
    lab.hosts().iter().try_for_each(await_monitors)?;
    // Guests of the gateway itself, of the next one, and of a host that is none.
    let streams: Vec<_> = guests.iter().map(|guest| start_streams(guest)).collect::<Result<_>>()?;

    first.pull_outside()?;
    await_bfd(first, "bfd", "cpath_down=true")?;
    streams.into_iter().try_for_each(|streams| check_streams(streams, SILENCE))?;
    server.forget_neighbours()?;
    for last in [1, 2, 3] {
        check_reaches(&server, ip(1, last))?;
        check_reaches(&server, ip6(1, last))?;
    }

    let streams: Vec<_> = guests.iter().map(|guest| start_streams(guest)).collect::<Result<_>>()?;
    first.restore_outside()?;
    lab.hosts().iter().try_for_each(await_monitors)?;
    streams.into_iter().try_for_each(|streams| check_streams(streams, SILENCE))?;
    for guest in &guests {
        check_reaches(guest, ip(2, 7))?;
        let result = guest.ping(ip(2, 7))?;
        assert!(result.is_perfect(), "{result:?}");
    }
    Ok(())
}

#[test]
fn a_gateway_whose_switch_begins_anew_is_left_out_until_its_flows_are_back() -> Result<()> {
    let Scene { lab, guests, .. } = Scene::start(2)?;
    let [first, guest] = [lab.host(0), lab.host(2)];
    lab.hosts().iter().try_for_each(await_monitors)?;
    check_reaches(&guests[2], ip(2, 7))?;
    first.switch().vswitchd().kill();
    await_bfd(first, "bfd", "cpath_down=true")?;
    check_reaches(&guests[2], ip(2, 7))?;

    // A switch that is there, and has no flows.
    let streams = start_streams(&guests[2])?;
    first.vna().pause();
    first.switch().start_vswitchd()?;
    await_bfd(guest, "bfd_status", "remote_state=up")?;
    streams.iter().try_for_each(|stream| stream.wait_for_more(100, PATIENCE))?;
    first.vna().resume();
    lab.hosts().iter().try_for_each(await_monitors)?;
    check_streams(streams, SILENCE)?;
    let result = guests[2].ping(ip(2, 7))?;
    assert!(result.is_perfect(), "{result:?}");
    Ok(())
}
