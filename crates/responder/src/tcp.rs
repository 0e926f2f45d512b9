//! The end of a TCP connection (RFC 9293) with a guest, without a socket: frames in, frames out, bytes in between.
//!
//! Each connection has a network stack of its own, which knows one address and one port: whatever a guest does to one, no
//! other meets it, and addresses that stand for different hosts in different networks never do so here. The caller finds the
//! connection of a segment by its [`Segment::ends`] and the network it came from, bounds how many there are, and
//! tells the time.

use std::net::SocketAddr;
use std::time::Duration;

use etherparse::{EtherType, IpNumber, Ipv6Header, TcpSlice};
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::tcp::{Socket, SocketBuffer, State};
use smoltcp::time::Instant;
use smoltcp::wire::{HardwareAddress, IpCidr};

use crate::ethernet::{Frame, is_group};
use crate::ip::{Packet, Piece};

/// What is kept of what a guest has sent and nobody has read, in bytes: two full segments and some.
const RECEIVE_BUFFER: usize = 4096;

/// What is kept of what a guest has not acknowledged, in bytes.
const SEND_BUFFER: usize = 16 << 10;

/// How long a guest may keep silent: one that is there answers when it is looked after.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long until a silent guest is looked after (RFC 9293, section 3.8.4).
const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// The largest IP packet sent, in bytes: what passes everywhere, so that nobody has to find out (RFC 8200, section 5).
const MTU: usize = 1280;

/// Most frames that wait to be taken. A stack that has more to send keeps it, until it is asked again.
const MOST_FRAMES: usize = 32;

/// Both ends of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ends {
    /// Who opens it.
    pub client: SocketAddr,
    /// Whom it is opened to.
    pub server: SocketAddr,
}

/// A TCP segment in an Ethernet frame from one node to another.
#[derive(Clone, Copy, Debug)]
pub struct Segment<'a> {
    /// From whom to whom.
    pub ends: Ends,
    /// Whether it asks for a new connection: a SYN, and nothing else.
    pub opens: bool,
    frame: Frame<'a>,
    packet: &'a [u8],
}

impl<'a> Segment<'a> {
    /// Reads a frame. `None` if it holds no whole segment, or one to or from many.
    pub fn parse(frame: &'a [u8]) -> Option<Self> {
        let frame = Frame::parse(frame)?;
        let packet = Packet::parse(frame.ether_type, frame.packet)?;
        let is_of_one =
            !is_group(frame.destination) && !is_group(frame.source) && packet.addresses.are_hosts();
        if !is_of_one || packet.piece != Piece::Whole || packet.protocol != IpNumber::TCP {
            return None;
        }
        // No extension header has anything to say to an end of a connection.
        if frame.ether_type == EtherType::IPV6 && packet.payload.len() + Ipv6Header::LEN != packet.bytes.len()
        {
            return None;
        }
        let segment = TcpSlice::from_slice(packet.payload).ok()?;
        // RFC 6335, section 6: port 0 is nobody's.
        let (client, server) = (segment.source_port(), segment.destination_port());
        if client == 0 || server == 0 {
            return None;
        }
        let opens = segment.syn() && !segment.ack() && !segment.rst() && !segment.fin();
        let ends = Ends {
            client: SocketAddr::new(packet.addresses.source(), client),
            server: SocketAddr::new(packet.addresses.destination(), server),
        };
        Some(Self { ends, opens, frame, packet: packet.bytes })
    }
}

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The guest may still send.
    Open,
    /// The guest has sent all it will, and all of it was read.
    HeardAll,
    /// Nothing more is sent or heard.
    Over,
}

/// The server's end of a connection.
pub struct Connection {
    ends: Ends,
    /// What goes before an answering packet.
    header: Vec<u8>,
    wire: Wire,
    interface: Interface,
    sockets: SocketSet<'static>,
    socket: SocketHandle,
}

impl Connection {
    /// Takes what a segment opens. `seed` is what a guest must not guess (RFC 9293, section 3.4.1); `now` counts from
    /// any time, as for all others.
    ///
    /// `None` if it opens nothing.
    pub fn open(segment: &Segment<'_>, seed: u64, now: Duration) -> Option<Self> {
        if !segment.opens {
            return None;
        }
        let ends = segment.ends;
        let mut wire = Wire::default();
        let mut config = Config::new(HardwareAddress::Ip);
        config.random_seed = seed;
        let mut interface = Interface::new(config, &mut wire, instant(now));
        // A prefix of no bits, as everybody is on the wire.
        let everybody = IpCidr::new(ends.server.ip().into(), 0);
        interface.update_ip_addrs(|addresses| addresses.extend([everybody]));
        let buffer = |size| SocketBuffer::new(vec![0; size]);
        let mut socket = Socket::new(buffer(RECEIVE_BUFFER), buffer(SEND_BUFFER));
        socket.listen(ends.server).ok()?;
        socket.set_timeout(Some(duration(PATIENCE)));
        socket.set_keep_alive(Some(duration(KEEP_ALIVE)));
        // Answers are written at once, and whole.
        socket.set_nagle_enabled(false);
        let mut sockets = SocketSet::new(Vec::with_capacity(1));
        let socket = sockets.add(socket);
        let header = segment.frame.answer(segment.frame.destination, segment.frame.source, &[]);
        let mut connection = Self { ends, header, wire, interface, sockets, socket };
        connection.on_segment(segment, now);
        (connection.socket().state() == State::SynReceived).then_some(connection)
    }

    /// Takes a segment of this connection; one of another changes nothing.
    pub fn on_segment(&mut self, segment: &Segment<'_>, now: Duration) {
        if segment.ends == self.ends {
            self.wire.incoming = Some(segment.packet.to_vec());
            self.poll(now);
        }
    }

    /// The frames that are to be sent now.
    pub fn frames(&mut self, now: Duration) -> Vec<Vec<u8>> {
        self.poll(now);
        let packets = std::mem::take(&mut self.wire.outgoing);
        packets.into_iter().map(|packet| [&self.header[..], &packet].concat()).collect()
    }

    /// How long from now there will be nothing to do, unless something happens. `None`: for ever.
    pub fn idle(&mut self, now: Duration) -> Option<Duration> {
        self.interface.poll_delay(instant(now), &self.sockets).map(Into::into)
    }

    /// What the guest has sent, at most so many bytes of it.
    pub fn receive(&mut self, most: usize) -> Vec<u8> {
        let socket = self.socket();
        let mut bytes = vec![0; most.min(socket.recv_queue())];
        let size = socket.recv_slice(&mut bytes).unwrap_or(0);
        bytes.truncate(size);
        bytes
    }

    /// How much can be sent, in bytes.
    pub fn room(&mut self) -> usize {
        let socket = self.socket();
        if socket.may_send() { socket.send_capacity().saturating_sub(socket.send_queue()) } else { 0 }
    }

    /// Sends as much of this as there is room for, and tells how much that was.
    pub fn send(&mut self, bytes: &[u8]) -> usize {
        self.socket().send_slice(bytes).unwrap_or(0)
    }

    /// Sends nothing more, once all that was to be sent is.
    pub fn finish(&mut self) {
        self.socket().close();
    }

    /// Ends it at once, whatever was to be sent.
    pub fn abort(&mut self) {
        self.socket().abort();
    }

    /// How far it is.
    pub fn phase(&mut self) -> Phase {
        let socket = self.socket();
        match socket.state() {
            // Who waits for stray segments here waits for those of one connection (RFC 9293, section 3.6.1), which no other
            // can be taken for: the next one between the same ends is numbered at random.
            State::Closed | State::TimeWait => Phase::Over,
            State::Listen | State::SynSent | State::SynReceived => Phase::Open,
            _ if socket.may_recv() || socket.can_recv() => Phase::Open,
            _ => Phase::HeardAll,
        }
    }

    fn socket(&mut self) -> &mut Socket<'static> {
        self.sockets.get_mut(self.socket)
    }

    fn poll(&mut self, now: Duration) {
        self.interface.poll(instant(now), &mut self.wire, &mut self.sockets);
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("ends", &self.ends).finish_non_exhaustive()
    }
}

fn instant(now: Duration) -> Instant {
    Instant::from_micros(i64::try_from(now.as_micros()).unwrap_or(i64::MAX))
}

fn duration(of: Duration) -> smoltcp::time::Duration {
    smoltcp::time::Duration::from_micros(of.as_micros().try_into().unwrap_or(u64::MAX))
}

/// What the stack believes to be a device: the packet that has come in, and those that are to go out.
#[derive(Debug, Default)]
struct Wire {
    incoming: Option<Vec<u8>>,
    outgoing: Vec<Vec<u8>>,
}

struct Incoming(Vec<u8>);

struct Outgoing<'a>(&'a mut Vec<Vec<u8>>);

impl Device for Wire {
    type RxToken<'a> = Incoming;
    type TxToken<'a> = Outgoing<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Incoming, Outgoing<'_>)> {
        let packet = self.incoming.take()?;
        Some((Incoming(packet), Outgoing(&mut self.outgoing)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Outgoing<'_>> {
        (self.outgoing.len() < MOST_FRAMES).then_some(Outgoing(&mut self.outgoing))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = MTU;
        capabilities
    }
}

impl RxToken for Incoming {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}

impl TxToken for Outgoing<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut packet = vec![0; len];
        let result = f(&mut packet);
        self.0.push(packet);
        result
    }
}
