//! Reading what a DHCPv4 client sent.
//!
//! `dhcproto` reads the header and finds the options. Only those that matter are looked into, and here: its readers of
//! options fail the message for one that is wrong, or assert that none is.

use std::iter;
use std::net::{IpAddr, Ipv4Addr};

use dhcproto::v4::borrowed::{DhcpOptionIterator, Message};
use dhcproto::v4::{HType, MAGIC, MessageType, Opcode, OptionCode, SERVER_PORT};

use crate::dhcp::Ignored;
use crate::ip::is_host;
use crate::udp::Datagram;

/// Size of an Ethernet address, in bytes.
const MAC_LENGTH: u8 = 6;

/// Where the fields are that options may overflow into, and where the cookie before the options is (RFC 2131, section 2).
const SERVER_NAME: std::ops::Range<usize> = 44..108;
const BOOT_FILE: std::ops::Range<usize> = 108..236;
const COOKIE: std::ops::Range<usize> = 236..240;

/// Longest client identifier that is taken, in bytes: what one option holds. It is part of every answer, which must
/// have room for it.
const CLIENT_ID: usize = 255;

/// The IP packet that every client takes, in bytes (RFC 2131, section 2).
const LEAST_ROOM: u16 = 576;

/// A client's message.
pub(super) struct Request {
    pub(super) kind: MessageType,
    /// Its number, by which the client knows the answer.
    pub(super) xid: u32,
    /// Whether the client can take nothing but broadcasts yet.
    pub(super) wants_broadcast: bool,
    /// What the flags field said.
    pub(super) flags: dhcproto::v4::Flags,
    /// Its hardware address.
    pub(super) client: [u8; 6],
    /// Who passed the message on. Unspecified if nobody did.
    pub(super) relay: Ipv4Addr,
    /// The address that the client asks for.
    pub(super) requested: Option<Ipv4Addr>,
    /// The server that the client speaks to.
    pub(super) server: Option<Ipv4Addr>,
    /// What the client calls itself.
    pub(super) client_id: Option<Vec<u8>>,
    /// The options that the client wants, the preferred ones first.
    pub(super) wanted: Option<Vec<OptionCode>>,
    /// The largest IP packet that the client takes, in bytes.
    pub(super) room: u16,
    /// The address that the client uses. Unspecified if it does not yet.
    current: Ipv4Addr,
}

impl Request {
    pub(super) fn read(datagram: &Datagram<'_>) -> Result<Self, Ignored> {
        if datagram.ports.destination != SERVER_PORT || datagram.addresses.source().is_ipv6() {
            return Err(Ignored::NotDhcp);
        }
        let message = Message::new(datagram.payload).map_err(|_| Ignored::Malformed)?;
        if datagram.payload.get(COOKIE) != Some(&MAGIC) {
            return Err(Ignored::Malformed);
        }
        if message.opcode() != Opcode::BootRequest {
            return Err(Ignored::NotAClients);
        }
        Self::of(&message, &Options::of(datagram.payload)).ok_or(Ignored::Malformed)
    }

    fn of(message: &Message<'_>, options: &Options<'_>) -> Option<Self> {
        // Asked before the address is: it would be read as far as it claims to be long.
        let is_ethernet = message.htype() == HType::Eth && message.hlen() == MAC_LENGTH;
        let client = is_ethernet.then(|| message.chaddr())?.try_into().ok()?;
        let [kind] = options.fixed(OptionCode::MessageType)??;
        let client_id = options.get(OptionCode::ClientIdentifier).filter(|id| !id.is_empty());
        if client_id.as_ref().is_some_and(|id| id.len() > CLIENT_ID) {
            return None;
        }
        let room = options.fixed(OptionCode::MaxMessageSize)?.map_or(0, u16::from_be_bytes);
        let wanted = options.get(OptionCode::ParameterRequestList);
        Some(Self {
            kind: kind.into(),
            xid: message.xid(),
            wants_broadcast: message.flags().broadcast(),
            flags: message.flags(),
            client,
            relay: message.giaddr(),
            requested: options.fixed::<4>(OptionCode::RequestedIpAddress)?.map(Ipv4Addr::from),
            server: options.fixed::<4>(OptionCode::ServerIdentifier)?.map(Ipv4Addr::from),
            client_id,
            wanted: wanted.map(|codes| codes.into_iter().map(OptionCode::from).collect()),
            // RFC 2132, section 9.10: what says less is not legal.
            room: room.max(LEAST_ROOM),
            current: message.ciaddr(),
        })
    }

    /// The address that the client uses, if that can be one.
    pub(super) fn current(&self) -> Option<Ipv4Addr> {
        is_host(IpAddr::V4(self.current)).then_some(self.current)
    }
}

/// The options of a message, wherever they are.
struct Options<'a> {
    /// RFC 3396, section 5: in this order, an option that comes several times is one.
    areas: [&'a [u8]; 3],
}

impl<'a> Options<'a> {
    fn of(message: &'a [u8]) -> Self {
        let area = |range| message.get(range).unwrap_or_default();
        let options = message.get(COOKIE.end..).unwrap_or_default();
        let alone = Self { areas: [options, &[], &[]] };
        // RFC 2132, section 9.3.
        match alone.get(OptionCode::OptionOverload).as_deref() {
            Some([1]) => Self { areas: [options, area(BOOT_FILE), &[]] },
            Some([2]) => Self { areas: [options, &[], area(SERVER_NAME)] },
            Some([3]) => Self { areas: [options, area(BOOT_FILE), area(SERVER_NAME)] },
            _ => alone,
        }
    }

    fn get(&self, code: OptionCode) -> Option<Vec<u8>> {
        let all = self.areas.into_iter().flat_map(DhcpOptionIterator::new);
        let mut parts = all.filter(|option| option.code() == code);
        let first = parts.next()?;
        Some(iter::once(first).chain(parts).flat_map(|part| part.data().to_vec()).collect())
    }

    /// An option of fixed size, if it is there. `None` if it has another size.
    fn fixed<const SIZE: usize>(&self, code: OptionCode) -> Option<Option<[u8; SIZE]>> {
        self.get(code).map(|data| data.try_into().ok()).map_or(Some(None), |data| data.map(Some))
    }
}
