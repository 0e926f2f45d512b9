//! Reads packets, also such as nobody should send.

use std::net::IpAddr;

use super::{ARP, DONT_FRAGMENT, FRAGMENT_HEADER, IPV4, IPV6, MORE_FRAGMENTS};
use crate::address::MacAddr;
use crate::walk::packet::{
    Arp, Content, Fragment, Icmp, IpPacket, Neighbour, Packet, Payload, TcpFlags, protocol,
};

/// EtherTypes of tags (IEEE 802.1Q, section 9.6).
const TAGS: [u16; 2] = [0x8100, 0x88a8];

/// Where a fragment of IPv4 begins, in units of 8 bytes (RFC 791, section 3.1).
const OFFSET: u16 = 0x1fff;

/// ICMP and ICMPv6 types of errors (RFC 792; RFC 4443, section 3).
const ERRORS: [u8; 3] = [3, 11, 12];
const ERRORS_V6: [u8; 4] = [1, 2, 3, 4];

/// Deepest error about an error about an error: nobody sends these (RFC 1122, section 3.2.2).
const MAX_DEPTH: u8 = 2;

impl Packet {
    /// Reads a frame. `None` if it ends too soon or contradicts itself.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut rest = Reader(bytes);
        let (destination, source) = (rest.mac()?, rest.mac()?);
        let mut vlans = Vec::new();
        let mut ether_type = rest.u16()?;
        while TAGS.contains(&ether_type) {
            vlans.push(rest.u16()? & 0x0fff);
            ether_type = rest.u16()?;
        }
        let content = match ether_type {
            ARP => Content::Arp(read_arp(&mut rest)?),
            IPV4 => Content::Ip(read_ipv4(&mut rest, 0)?),
            IPV6 => Content::Ip(read_ipv6(&mut rest, 0)?),
            ether_type => Content::Other { ether_type },
        };
        Some(Self { source, destination, vlans, content })
    }
}

/// What is left to read.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    fn mac(&mut self) -> Option<MacAddr> {
        self.array().map(MacAddr)
    }

    fn left(&self) -> u16 {
        u16::try_from(self.0.len()).unwrap_or(u16::MAX)
    }
}

fn read_arp(rest: &mut Reader<'_>) -> Option<Arp> {
    // Of Ethernet, for IPv4.
    if rest.array()? != [0, 1, 8, 0, 6, 4] {
        return None;
    }
    Some(Arp {
        operation: rest.u16()?,
        sender_mac: rest.mac()?,
        sender_ip: rest.array::<4>()?.into(),
        target_mac: rest.mac()?,
        target_ip: rest.array::<4>()?.into(),
    })
}

fn read_ipv4(rest: &mut Reader<'_>, depth: u8) -> Option<IpPacket> {
    let version = rest.u8()?;
    let dscp = rest.u8()? >> 2;
    let length = usize::from(rest.u16()?);
    let _identifier = rest.u16()?;
    let place = rest.u16()?;
    let (hops, number) = (rest.u8()?, rest.u8()?);
    let _checksum = rest.u16()?;
    let (source, destination) = (rest.array::<4>()?, rest.array::<4>()?);
    let options = usize::from(version & 0xf).checked_mul(4)?.checked_sub(20)?;
    rest.take(options)?;
    let fragment = match (place & OFFSET, place & MORE_FRAGMENTS) {
        (0, 0) => Fragment::Whole,
        (0, _) => Fragment::First,
        _ => Fragment::Later,
    };
    // Frames may be longer than what they carry (IEEE 802.3, 3.2.8), and errors quote less than there was.
    let carried = length.checked_sub(20 + options)?;
    let mut carried = Reader(rest.0.get(..carried).unwrap_or(rest.0));
    let (payload, data_bytes) = read_payload(&mut carried, number, true, fragment, depth)?;
    Some(IpPacket {
        source: IpAddr::from(source),
        destination: IpAddr::from(destination),
        hops,
        dscp,
        dont_fragment: place & DONT_FRAGMENT != 0,
        fragment,
        payload,
        data_bytes,
    })
}

fn read_ipv6(rest: &mut Reader<'_>, depth: u8) -> Option<IpPacket> {
    let word = rest.u32()?;
    let dscp = u8::try_from((word >> 22) & 0x3f).ok()?;
    let length = usize::from(rest.u16()?);
    let (mut number, hops) = (rest.u8()?, rest.u8()?);
    let (source, destination) = (rest.array::<16>()?, rest.array::<16>()?);
    let mut carried = Reader(rest.0.get(..length).unwrap_or(rest.0));
    let mut fragment = Fragment::Whole;
    if number == FRAGMENT_HEADER {
        number = carried.u8()?;
        carried.u8()?;
        let place = carried.u16()?;
        carried.u32()?;
        fragment = match (place >> 3, place & 1) {
            (0, 0) => Fragment::Whole,
            (0, _) => Fragment::First,
            _ => Fragment::Later,
        };
    }
    let (payload, data_bytes) = read_payload(&mut carried, number, false, fragment, depth)?;
    Some(IpPacket {
        source: IpAddr::from(source),
        destination: IpAddr::from(destination),
        hops,
        dscp,
        dont_fragment: false,
        fragment,
        payload,
        data_bytes,
    })
}

fn read_payload(
    rest: &mut Reader<'_>,
    number: u8,
    is_ipv4: bool,
    fragment: Fragment,
    depth: u8,
) -> Option<(Payload, u16)> {
    let is_icmp = number == if is_ipv4 { protocol::ICMP } else { protocol::ICMPV6 };
    let payload = match number {
        _ if fragment == Fragment::Later => Payload::Other { protocol: number },
        protocol::TCP => read_tcp(rest)?,
        protocol::UDP => {
            let (source_port, destination_port) = (rest.u16()?, rest.u16()?);
            rest.u32()?;
            Payload::Udp { source_port, destination_port }
        }
        _ if is_icmp => read_icmp(rest, is_ipv4, depth)?,
        protocol => Payload::Other { protocol },
    };
    Some((payload, rest.left()))
}

fn read_tcp(rest: &mut Reader<'_>) -> Option<Payload> {
    let (source_port, destination_port) = (rest.u16()?, rest.u16()?);
    rest.take(8)?;
    let (offset, bits) = (rest.u8()? >> 4, rest.u8()?);
    rest.take(6)?;
    rest.take(usize::from(offset).checked_mul(4)?.checked_sub(20)?)?;
    let flag = |bit: u8| bits & 1 << bit != 0;
    let flags = TcpFlags { fin: flag(0), syn: flag(1), rst: flag(2), ack: flag(4) };
    Some(Payload::Tcp { source_port, destination_port, flags })
}

fn read_icmp(rest: &mut Reader<'_>, is_ipv4: bool, depth: u8) -> Option<Payload> {
    let (kind, code) = (rest.u8()?, rest.u8()?);
    rest.u16()?;
    if !is_ipv4 && code == 0 && (kind == 135 || kind == 136) {
        return read_neighbour(rest, kind == 136).map(Payload::Neighbour);
    }
    let identifier = rest.u16()?;
    rest.u16()?;
    let errors: &[u8] = if is_ipv4 { &ERRORS } else { &ERRORS_V6 };
    let mut about = None;
    if errors.contains(&kind) && depth < MAX_DEPTH {
        let mut quoted = Reader(rest.0);
        let read =
            if is_ipv4 { read_ipv4(&mut quoted, depth + 1) } else { read_ipv6(&mut quoted, depth + 1) };
        if let Some(read) = read {
            rest.take(usize::try_from(read.total_bytes()).ok()?.min(rest.0.len()))?;
            about = Some(Box::new(read));
        }
    }
    Some(Payload::Icmp(Icmp { kind, code, identifier, about }))
}

fn read_neighbour(rest: &mut Reader<'_>, is_advertisement: bool) -> Option<Neighbour> {
    let [flags, ..] = rest.array::<4>()?;
    let target = rest.array::<16>()?.into();
    let wanted = if is_advertisement { 2 } else { 1 };
    let mut link_layer = None;
    // RFC 4861, section 4.6: the length counts 8 bytes, and none is wrong.
    while !rest.0.is_empty() {
        let (kind, length) = (rest.u8()?, rest.u8()?);
        let mut option = Reader(rest.take(usize::from(length).checked_mul(8)?.checked_sub(2)?)?);
        if kind == wanted {
            link_layer = option.mac();
        }
    }
    Some(Neighbour { is_advertisement, flags, target, link_layer })
}
