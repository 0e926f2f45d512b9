//! ICMP errors that a router sends about a packet it does not pass on.
//!
//! # What is never answered
//! Errors, what goes to or comes from many, and fragments other than the first (RFC 1122, section 3.2.2; RFC 1812,
//! section 4.3.2.7; RFC 4443, section 2.4 (e)). An exception is IPv6's packet too big: a sender to many has to learn the
//! MTU, too. The broadcast address of a subnet is not known here: the caller must not ask about a packet to it.
//!
//! # How many
//! Limiting their rate (RFC 4443, section 2.4 (f)) takes a clock, and is the caller's.

use std::net::{IpAddr, Ipv6Addr};

use etherparse::icmpv4::{DestUnreachableHeader, TimeExceededCode};
use etherparse::icmpv6::{DestUnreachableCode, TimeExceededCode as Icmpv6TimeExceededCode};
use etherparse::{Icmpv4Type, Icmpv6Type, IpNumber, Ipv4Header, Ipv6Header};

use crate::ethernet::{Frame, is_group};
use crate::ip::{Addresses, Packet, Piece, is_host};

/// Largest ICMP error, in bytes (RFC 1812, section 4.3.2.3).
const LARGEST_IPV4: usize = 576;

/// Largest ICMPv6 error, in bytes: the smallest MTU there may be (RFC 4443, section 2.4 (c)).
const LARGEST_IPV6: usize = 1280;

/// The part of an ICMP or ICMPv6 error before the quote, in bytes.
const ICMP_HEADER: usize = 8;

/// Why a packet is not passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// No route leads to its destination (RFC 792, code 0; RFC 4443, section 3.1, code 0).
    NoRoute,
    /// Nobody at the end of the route has its destination (code 1; for IPv6 code 3).
    HostUnreachable,
    /// A filter forbids it (RFC 1812, section 5.2.7.1, code 13; for IPv6 code 1).
    Prohibited,
    /// It is for the router itself, which has nothing that listens there (code 3; for IPv6 code 4).
    PortUnreachable,
    /// It made all the hops it may make (RFC 792; RFC 4443, section 3.3).
    TimeExceeded,
    /// It is larger than what the next link takes (RFC 1191; RFC 4443, section 3.2).
    TooBig {
        /// The largest IP packet that would fit, in bytes.
        mtu: u16,
    },
}

/// Who sends an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sender {
    /// Its MAC address.
    pub mac: [u8; 6],
    /// Its IP address, of the same version as the packet's.
    pub address: IpAddr,
}

/// The error about an Ethernet frame's IP packet, as a frame of the same VLAN from `from` to the MAC address `to`.
///
/// The frame's own MAC addresses may have been rewritten: they only tell whether it went to or came from many.
///
/// `None` if the packet is malformed, of another IP version than `from`, or must not be answered with an error.
pub fn icmp_error(frame: &[u8], problem: Problem, from: Sender, to: [u8; 6]) -> Option<Vec<u8>> {
    let frame = Frame::parse(frame)?;
    let packet = Packet::parse(frame.ether_type, frame.packet)?;
    let error = error(&frame, &packet, problem, from.address)?;
    Some(frame.answer(from.mac, to, &error))
}

/// The IP packet with the error about another.
pub(crate) fn error(
    frame: &Frame<'_>,
    packet: &Packet<'_>,
    problem: Problem,
    from: IpAddr,
) -> Option<Vec<u8>> {
    let addresses = Addresses::new(from, packet.addresses.source())?;
    if !addresses.are_hosts() || packet.piece == Piece::Later || is_error(packet)? {
        return None;
    }
    if is_group(frame.source) || concerns_many(frame, packet) && !is_told_to_many(packet, problem) {
        return None;
    }
    let mut bytes = Vec::new();
    match addresses {
        Addresses::V4 { .. } => {
            let quote = quote(packet, LARGEST_IPV4 - Ipv4Header::MIN_LEN - ICMP_HEADER);
            addresses.packet().icmpv4(icmpv4(problem)).write(&mut bytes, quote).ok()?;
        }
        Addresses::V6 { .. } => {
            let quote = quote(packet, LARGEST_IPV6 - Ipv6Header::LEN - ICMP_HEADER);
            addresses.packet().icmpv6(icmpv6(problem)).write(&mut bytes, quote).ok()?;
        }
    }
    Some(bytes)
}

/// As much of a packet as there is room for, in bytes.
fn quote<'a>(packet: &Packet<'a>, room: usize) -> &'a [u8] {
    packet.bytes.get(..room).unwrap_or(packet.bytes)
}

fn icmpv4(problem: Problem) -> Icmpv4Type {
    let code = match problem {
        Problem::TimeExceeded => return Icmpv4Type::TimeExceeded(TimeExceededCode::TtlExceededInTransit),
        Problem::NoRoute => DestUnreachableHeader::Network,
        Problem::HostUnreachable => DestUnreachableHeader::Host,
        Problem::Prohibited => DestUnreachableHeader::FilterProhibited,
        Problem::PortUnreachable => DestUnreachableHeader::Port,
        Problem::TooBig { mtu } => DestUnreachableHeader::FragmentationNeeded { next_hop_mtu: mtu },
    };
    Icmpv4Type::DestinationUnreachable(code)
}

fn icmpv6(problem: Problem) -> Icmpv6Type {
    let code = match problem {
        Problem::TimeExceeded => {
            return Icmpv6Type::TimeExceeded(Icmpv6TimeExceededCode::HopLimitExceeded);
        }
        Problem::TooBig { mtu } => return Icmpv6Type::PacketTooBig { mtu: mtu.into() },
        Problem::NoRoute => DestUnreachableCode::NoRoute,
        Problem::HostUnreachable => DestUnreachableCode::Address,
        Problem::Prohibited => DestUnreachableCode::Prohibited,
        Problem::PortUnreachable => DestUnreachableCode::Port,
    };
    Icmpv6Type::DestinationUnreachable(code)
}

fn concerns_many(frame: &Frame<'_>, packet: &Packet<'_>) -> bool {
    is_group(frame.destination) || !is_host(packet.addresses.destination())
}

/// RFC 4443, section 2.4 (e.3) and (e.4).
fn is_told_to_many(packet: &Packet<'_>, problem: Problem) -> bool {
    let is_group =
        matches!(packet.addresses.destination(), IpAddr::V6(address) if is_reachable_group(address));
    is_group && matches!(problem, Problem::TooBig { .. })
}

/// A group that routers pass packets to: wider than the link (RFC 4291, section 2.7).
fn is_reachable_group(address: Ipv6Addr) -> bool {
    let [first, second, ..] = address.octets();
    first == 0xff && second & 0xf > 2
}

/// Whether a packet holds an ICMP message that is not known to be a query. `None` if the message is missing (RFC 7112
/// wants all headers in the first fragment), so that nobody can tell.
fn is_error(packet: &Packet<'_>) -> Option<bool> {
    let kind = *packet.payload.first()?;
    Some(match packet.addresses {
        Addresses::V4 { .. } => packet.protocol == IpNumber::ICMP && !is_icmp_query(kind),
        Addresses::V6 { .. } => packet.protocol == IpNumber::IPV6_ICMP && !is_icmpv6_query(kind),
    })
}

/// ICMP queries and their replies (RFC 1122, section 3.2.2; RFC 1256; RFC 8335). An unknown type may be an error.
fn is_icmp_query(kind: u8) -> bool {
    matches!(kind, 0 | 8 | 9 | 10 | 13..=18 | 42 | 43)
}

/// RFC 4443, section 2.1: the high bit tells errors from the rest. Section 2.4 (e.2): redirects count as errors.
fn is_icmpv6_query(kind: u8) -> bool {
    kind >= 128 && kind != 137
}
