//! ICMP errors for packets that do not fit the way they have to take.
//!
//! # Who tells
//! Within a network or segment no router owns an address to speak from. The error comes from where the packet was to
//! go, which a sender believes as it would a router.
//!
//! # Whether it may be fragmented
//! RFC 1191 wants the error only if the packet must not be fragmented; else a router fragments it. Here is none, so
//! the sender is told in either case, and learns the size to send or to fragment to.
//!
//! # What is never answered
//! Errors, what goes to or comes from many, and fragments other than the first (RFC 1122, section 3.2.2; RFC 4443,
//! section 2.4 (e)). The exception for multicast in the latter would need a multicast address as the source.

use std::net::{Ipv4Addr, Ipv6Addr};

use etherparse::icmpv4::DestUnreachableHeader;
use etherparse::{
    EtherType, Icmpv4Type, Icmpv6Type, IpNumber, IpPayloadSlice, Ipv4HeaderSlice, Ipv4Slice,
    Ipv6ExtensionSlice, Ipv6Header, Ipv6Slice, LenSource, PacketBuilder,
};

use crate::ethernet::{Frame, is_group};

/// Largest ICMP error, in bytes (RFC 1812, section 4.3.2.3).
const ERROR: usize = 576;

/// Largest ICMPv6 error, in bytes: the smallest MTU there may be (RFC 4443, section 2.4 (c)).
const ERROR_IPV6: usize = 1280;

/// The IPv4 header of an error, in bytes.
const IPV4_HEADER: usize = 20;

/// The part of an ICMP or ICMPv6 error before the quote, in bytes.
const ICMP_HEADER: usize = 8;

/// Hops that an error may make: the usual default, though no router is in its way.
const HOPS: u8 = 64;

/// The error for an Ethernet frame whose IP packet does not fit, back to its sender.
///
/// `mtu` is the largest IP packet that an untagged frame may carry, in bytes; the error tells the largest that may go
/// with the frame's VLAN tags. For IPv4 it is RFC 792's destination unreachable with RFC 1191's next-hop MTU, for
/// IPv6 RFC 4443's packet too big.
///
/// `None` if the packet fits, is malformed, or must not be answered with an error.
pub fn too_big(frame: &[u8], mtu: u16) -> Option<Vec<u8>> {
    let frame = Frame::parse(frame)?;
    if is_group(frame.destination) || is_group(frame.source) {
        return None;
    }
    let mtu = mtu.checked_sub(frame.tag_bytes)?;
    let error = match frame.ether_type {
        EtherType::IPV4 => for_ipv4(frame.packet, mtu),
        EtherType::IPV6 => for_ipv6(frame.packet, mtu),
        _ => None,
    }?;
    Some(frame.answer(frame.destination, frame.source, &error))
}

fn for_ipv4(packet: &[u8], mtu: u16) -> Option<Vec<u8>> {
    let slice = Ipv4Slice::from_slice(packet).ok()?;
    let header = slice.header();
    if header.total_len() <= mtu || !is_intact(header) || header.fragments_offset().value() != 0 {
        return None;
    }
    let (source, destination) = (header.source_addr(), header.destination_addr());
    if !is_ipv4_host(source) || !is_ipv4_host(destination) {
        return None;
    }
    if is_error(slice.payload(), IpNumber::ICMP, is_icmp_query)? {
        return None;
    }
    let quote = quote(packet, header.total_len().into(), ERROR - IPV4_HEADER - ICMP_HEADER)?;
    let kind = DestUnreachableHeader::FragmentationNeeded { next_hop_mtu: mtu };
    let error = PacketBuilder::ipv4(destination.octets(), source.octets(), HOPS)
        .icmpv4(Icmpv4Type::DestinationUnreachable(kind));
    let mut bytes = Vec::with_capacity(error.size(quote.len()));
    error.write(&mut bytes, quote).ok()?;
    Some(bytes)
}

fn for_ipv6(packet: &[u8], mtu: u16) -> Option<Vec<u8>> {
    let slice = Ipv6Slice::from_slice(packet).ok()?;
    let header = slice.header();
    // A length of 0 is that of a jumbogram (RFC 2675), which no tunnel takes and no guest has reason to send.
    if slice.payload().len_source != LenSource::Ipv6HeaderPayloadLen {
        return None;
    }
    let size = Ipv6Header::LEN.checked_add(header.payload_length().into())?;
    if size <= usize::from(mtu) || is_later_fragment(&slice) {
        return None;
    }
    let (source, destination) = (header.source_addr(), header.destination_addr());
    if !is_ipv6_host(source) || !is_ipv6_host(destination) {
        return None;
    }
    if is_error(slice.payload(), IpNumber::IPV6_ICMP, is_icmpv6_query)? {
        return None;
    }
    let quote = quote(packet, size, ERROR_IPV6 - Ipv6Header::LEN - ICMP_HEADER)?;
    let error = PacketBuilder::ipv6(destination.octets(), source.octets(), HOPS)
        .icmpv6(Icmpv6Type::PacketTooBig { mtu: mtu.into() });
    let mut bytes = Vec::with_capacity(error.size(quote.len()));
    error.write(&mut bytes, quote).ok()?;
    Some(bytes)
}

/// The start of a packet, without what pads its frame.
fn quote(packet: &[u8], size: usize, most: usize) -> Option<&[u8]> {
    packet.get(..size.min(most))
}

/// RFC 1812, section 5.2.2: what fails its checksum is discarded silently.
fn is_intact(header: Ipv4HeaderSlice<'_>) -> bool {
    header.to_header().calc_header_checksum() == header.header_checksum()
}

fn is_later_fragment(slice: &Ipv6Slice<'_>) -> bool {
    slice.extensions().clone().into_iter().any(|extension| {
        matches!(extension, Ipv6ExtensionSlice::Fragment(fragment) if fragment.fragment_offset().value() != 0)
    })
}

/// RFC 1122, section 3.2.2: not a zero, loopback, multicast, broadcast or class E address.
fn is_ipv4_host(address: Ipv4Addr) -> bool {
    let [first, ..] = address.octets();
    !matches!(first, 0 | 127 | 224..)
}

/// RFC 4443, section 2.4 (e.6): an address of one node; and not of none that another could reach.
fn is_ipv6_host(address: Ipv6Addr) -> bool {
    !address.is_unspecified() && !address.is_multicast() && !address.is_loopback()
}

/// Whether a payload is an ICMP message that is not known to be a query. `None` if it is missing (RFC 7112 wants all
/// headers in the first fragment), so that nobody can tell.
fn is_error(payload: &IpPayloadSlice<'_>, icmp: IpNumber, is_query: fn(u8) -> bool) -> Option<bool> {
    let kind = payload.payload.first()?;
    Some(payload.ip_number == icmp && !is_query(*kind))
}

/// ICMP queries and their replies (RFC 1122, section 3.2.2; RFC 1256; RFC 8335). An unknown type may be an error.
fn is_icmp_query(kind: u8) -> bool {
    matches!(kind, 0 | 8 | 9 | 10 | 13..=18 | 42 | 43)
}

/// RFC 4443, section 2.1: the high bit tells errors from the rest. Section 2.4 (e.2): redirects count as errors.
fn is_icmpv6_query(kind: u8) -> bool {
    kind >= 128 && kind != 137
}
