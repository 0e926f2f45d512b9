//! TCP connections with a client that is a whole stack.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use proptest::prelude::*;
use responder::tcp::{Connection, Phase, Segment};
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::tcp::{Socket, SocketBuffer, State};
use smoltcp::time::Instant;
use smoltcp::wire::{HardwareAddress, IpCidr};

const CLIENT_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
const SERVER_MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];

/// How far the clock goes from one exchange of frames to the next.
const STEP: Duration = Duration::from_millis(10);

/// The guest's device.
#[derive(Default)]
struct Wire {
    come_in: VecDeque<Vec<u8>>,
    sent: Vec<Vec<u8>>,
}

struct Incoming(Vec<u8>);

struct Outgoing<'a>(&'a mut Vec<Vec<u8>>);

impl Device for Wire {
    type RxToken<'a> = Incoming;
    type TxToken<'a> = Outgoing<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Incoming, Outgoing<'_>)> {
        Some((Incoming(self.come_in.pop_front()?), Outgoing(&mut self.sent)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Outgoing<'_>> {
        Some(Outgoing(&mut self.sent))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = 1500;
        capabilities
    }
}

impl RxToken for Incoming {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        read(&self.0)
    }
}

impl TxToken for Outgoing<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, size: usize, write: F) -> R {
        let mut packet = vec![0; size];
        let result = write(&mut packet);
        self.0.push(packet);
        result
    }
}

/// A guest with one socket, and the connection it opens.
struct World {
    wire: Wire,
    interface: Interface,
    sockets: SocketSet<'static>,
    socket: SocketHandle,
    now: Duration,
    connection: Option<Connection>,
    ether_type: [u8; 2],
}

impl World {
    fn new(client: SocketAddr, server: SocketAddr) -> Self {
        let mut wire = Wire::default();
        let mut interface = Interface::new(Config::new(HardwareAddress::Ip), &mut wire, Instant::ZERO);
        interface.update_ip_addrs(|addresses| addresses.extend([IpCidr::new(client.ip().into(), 0)]));
        let buffer = || SocketBuffer::new(vec![0; 8192]);
        let mut socket = Socket::new(buffer(), buffer());
        socket.connect(interface.context(), server, client).expect("a way to the server");
        let mut sockets = SocketSet::new(Vec::new());
        let socket = sockets.add(socket);
        let ether_type = if server.is_ipv4() { [8, 0] } else { [0x86, 0xdd] };
        Self { wire, interface, sockets, socket, now: Duration::ZERO, connection: None, ether_type }
    }

    fn ipv4() -> Self {
        Self::new(([10, 0, 0, 1], 1000).into(), ([10, 0, 0, 2], 53).into())
    }

    fn guest(&mut self) -> &mut Socket<'static> {
        self.sockets.get_mut(self.socket)
    }

    fn server(&mut self) -> &mut Connection {
        self.connection.as_mut().expect("a connection")
    }

    /// Frames of the guest.
    fn sent(&mut self) -> Vec<Vec<u8>> {
        self.poll();
        let header = [&SERVER_MAC[..], &CLIENT_MAC, &self.ether_type].concat();
        self.wire.sent.drain(..).map(|packet| [&header[..], &packet].concat()).collect()
    }

    /// Gives the guest a frame.
    fn give(&mut self, frame: &[u8]) {
        assert_eq!(frame[..12], [CLIENT_MAC, SERVER_MAC].concat()[..], "goes back to where it is from");
        self.wire.come_in.push_back(frame[14..].to_vec());
        self.poll();
    }

    fn poll(&mut self) {
        let now = Instant::from_micros(self.now.as_micros() as i64);
        self.interface.poll(now, &mut self.wire, &mut self.sockets);
    }

    /// Lets frames go both ways, but for those that are lost.
    fn step(&mut self, mut lost: impl FnMut() -> bool) {
        for frame in self.sent() {
            if lost() {
                continue;
            }
            let segment = Segment::parse(&frame).expect("a segment");
            match &mut self.connection {
                Some(connection) => connection.on_segment(&segment, self.now),
                None => self.connection = Connection::open(&segment, 7, self.now),
            }
        }
        let now = self.now;
        let frames = self.connection.as_mut().map(|connection| connection.frames(now)).unwrap_or_default();
        for frame in frames {
            if !lost() {
                self.give(&frame);
            }
        }
        self.now += STEP;
    }

    /// Goes on until something is so.
    fn until(&mut self, what: &str, mut is_so: impl FnMut(&mut Self) -> bool) {
        for _ in 0..10_000 {
            if is_so(self) {
                return;
            }
            self.step(|| false);
        }
        panic!("never: {what}");
    }
}

fn check_echo(mut world: World) {
    world.until("open", |world| world.guest().state() == State::Established);
    world.guest().send_slice(b"a question").expect("open");
    let mut heard = Vec::new();
    world.until("heard", |world| {
        heard.extend(world.server().receive(4));
        heard == b"a question"
    });
    assert_eq!(world.server().send(b"an answer"), 9);
    let mut told = [0; 9];
    world.until("told", |world| world.guest().recv_slice(&mut told).is_ok_and(|size| size == 9));
    assert_eq!(&told, b"an answer");
}

#[test]
fn what_either_side_says_the_other_hears() {
    check_echo(World::ipv4());
    let ipv6 = |last| Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, last);
    check_echo(World::new((ipv6(1), 1000).into(), (ipv6(2), 53).into()));
    let link_local = |last| Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0xa9fe, last);
    check_echo(World::new((link_local(1), 1000).into(), (link_local(0xa9fe), 80).into()));
    let metadata = Ipv4Addr::new(169, 254, 169, 254);
    check_echo(World::new(([10, 0, 0, 1], 1000).into(), (metadata, 80).into()));
}

#[test]
fn who_ends_first_is_heard_out() {
    let mut world = World::ipv4();
    world.until("open", |world| world.guest().state() == State::Established);
    world.guest().send_slice(b"last words").expect("open");
    world.guest().close();
    world.until("come in", |world| world.guest().state() == State::FinWait2);
    assert_eq!(world.server().phase(), Phase::Open, "there is something to read");
    assert_eq!(world.server().receive(100), b"last words");
    assert_eq!(world.server().phase(), Phase::HeardAll);
    world.server().send(b"an answer");
    world.server().finish();
    world.until("over", |world| world.server().phase() == Phase::Over);
    let mut told = [0; 9];
    assert_eq!(world.guest().recv_slice(&mut told), Ok(9));
}

#[test]
fn a_guest_that_opens_and_is_gone_is_given_up() {
    let mut world = World::ipv4();
    let syn = world.sent().remove(0);
    let segment = Segment::parse(&syn).expect("a segment");
    let mut connection = Connection::open(&segment, 7, Duration::ZERO).expect("a connection");
    let mut now = Duration::ZERO;
    let mut frames = 0;
    loop {
        frames += connection.frames(now).len();
        if connection.phase() == Phase::Over {
            break;
        }
        now += connection.idle(now).expect("it waits for something").max(Duration::from_micros(1));
        assert!(now < Duration::from_secs(60), "it waits for ever");
    }
    assert!(frames < 10, "{frames} frames to nobody");
}

#[test]
fn only_a_syn_opens_a_connection() {
    let mut world = World::ipv4();
    let syn = world.sent().remove(0);
    let flags = |flags: u8| {
        let mut frame = syn.clone();
        frame[14 + 20 + 13] = flags;
        let segment = Segment::parse(&frame).expect("a segment");
        segment.opens
    };
    assert!(flags(0x02));
    for other in [0x00, 0x01, 0x04, 0x10, 0x12, 0x03, 0x06] {
        assert!(!flags(other), "{other:#x}");
    }
}

#[test]
fn what_goes_to_many_or_is_no_whole_segment_is_none() {
    let mut world = World::ipv4();
    let syn = world.sent().remove(0);
    let is_one = |change: fn(&mut Vec<u8>)| {
        let mut frame = syn.clone();
        change(&mut frame);
        Segment::parse(&frame).is_some()
    };
    assert!(is_one(|_| ()));
    assert!(!is_one(|frame| frame[0] |= 1), "to a group");
    assert!(!is_one(|frame| frame[6] |= 1), "from a group");
    assert!(!is_one(|frame| frame.truncate(14 + 20 + 10)), "cut short");
    assert!(!is_one(|frame| frame[14 + 10] ^= 1), "a wrong checksum");
    assert!(!is_one(|frame| frame[14 + 20..14 + 22].fill(0)), "from port 0");
}

proptest! {
    /// Losing frames costs time and nothing else, as long as most come through.
    #[test]
    fn a_stream_comes_whole_through_losses(lost in proptest::collection::vec(0..5_u8, 0..400)) {
        let mut world = World::ipv4();
        let mut lost = lost.into_iter().map(|one| one == 0);
        let mut since = 0;
        let mut lost = move || {
            since = if lost.next().unwrap_or(false) && since > 2 { 0 } else { since + 1 };
            since == 0
        };
        let said: Vec<u8> = (0..20_000_u32).map(|n| (n % 251) as u8).collect();
        let (mut sent, mut heard) = (0, Vec::new());
        for _ in 0..20_000 {
            world.step(&mut lost);
            if world.guest().may_send() {
                sent += world.guest().send_slice(&said[sent..]).expect("open");
            }
            if let Some(connection) = &mut world.connection {
                heard.extend(connection.receive(1000));
            }
            if heard.len() == said.len() {
                break;
            }
        }
        prop_assert_eq!(heard, said);
    }

    /// Whatever follows a SYN, nothing panics, and what is answered is bounded.
    #[test]
    fn no_segment_breaks_it(frames in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..60), 0..20)) {
        let mut world = World::ipv4();
        let syn = world.sent().remove(0);
        let mut connection =
            Connection::open(&Segment::parse(&syn).expect("a segment"), 7, Duration::ZERO).expect("a connection");
        for bytes in frames {
            let frame = [&syn[..14 + 20 + 4], &bytes].concat();
            if let Some(segment) = Segment::parse(&frame) {
                connection.on_segment(&segment, Duration::ZERO);
            }
            prop_assert!(connection.frames(Duration::ZERO).len() <= 32);
        }
    }
}
