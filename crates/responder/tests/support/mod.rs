//! Frames that tests share, and how answers are read back.

#![allow(dead_code, reason = "every test program uses some of it")]

use std::net::Ipv6Addr;

use etherparse::{IcmpEchoHeader, Icmpv6Type, NetSlice, PacketBuilder, SlicedPacket, TransportSlice};

/// Who asks.
pub(crate) const ASKER: [u8; 6] = [2, 0, 0, 0, 0, 1];
/// Who is asked, or for whom the packet is.
pub(crate) const OTHER: [u8; 6] = [2, 0, 0, 0, 0, 2];
pub(crate) const ASKER_IPV6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1);
pub(crate) const OTHER_IPV6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 2);

/// Of an echo that nobody matches with another.
pub(crate) const ECHO: IcmpEchoHeader = IcmpEchoHeader { id: 1, seq: 1 };

/// Bytes from hexadecimal text with blanks.
pub(crate) fn bytes(text: &str) -> Vec<u8> {
    let digits: Vec<_> = text.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits.chunks(2).map(|pair| u8::try_from(pair[0] << 4 | pair[1]).expect("two digits")).collect()
}

/// A frame of the asker's with an ICMPv6 message.
pub(crate) fn icmpv6(from: Ipv6Addr, to: Ipv6Addr, hops: u8, message: Icmpv6Type, rest: &[u8]) -> Vec<u8> {
    let packet = PacketBuilder::ethernet2(ASKER, OTHER).ipv6(from.octets(), to.octets(), hops);
    let mut frame = Vec::new();
    packet.icmpv6(message).write(&mut frame, rest).expect("it fits");
    frame
}

/// The same frame with other bytes from a position on.
pub(crate) fn with(mut frame: Vec<u8>, at: usize, other: &[u8]) -> Vec<u8> {
    frame[at..at + other.len()].copy_from_slice(other);
    frame
}

/// The same frame in VLANs.
pub(crate) fn tagged(frame: &[u8], ids: &[u8]) -> Vec<u8> {
    let tags: Vec<_> = ids.iter().flat_map(|id| [0x81, 0x00, 0x00, *id]).collect();
    [&frame[..12], &tags, &frame[12..]].concat()
}

/// The checksum of RFC 1071: 0 over what holds a correct one.
pub(crate) fn checksum(parts: &[&[u8]]) -> u16 {
    let all = parts.concat();
    let words = all.chunks(2).map(|word| u64::from(word[0]) << 8 | word.get(1).map_or(0, |&low| low.into()));
    let sum = words.fold(0, |sum, word| (sum + word) % 0xffff);
    u16::try_from(0xffff - sum).expect("16 bits") % 0xffff
}

/// Reads an answer, and every checksum in it.
pub(crate) fn read(frame: &[u8]) -> SlicedPacket<'_> {
    let packet = SlicedPacket::from_ethernet(frame).expect("a well-formed frame");
    let (from, to) = match &packet.net {
        Some(NetSlice::Ipv4(ip)) => {
            assert_eq!(checksum(&[ip.header().slice()]), 0);
            (ip.header().source().to_vec(), ip.header().destination().to_vec())
        }
        Some(NetSlice::Ipv6(ip)) => (ip.header().source().to_vec(), ip.header().destination().to_vec()),
        other => panic!("not an answer: {other:?}"),
    };
    let (kind, transport) = match &packet.transport {
        Some(TransportSlice::Icmpv4(icmp)) => {
            assert_eq!(checksum(&[icmp.slice()]), 0);
            return packet;
        }
        Some(TransportSlice::Icmpv6(icmp)) => (58, icmp.slice()),
        Some(TransportSlice::Tcp(tcp)) => (6, tcp.slice()),
        Some(TransportSlice::Udp(udp)) => (17, udp.slice()),
        other => panic!("not an answer: {other:?}"),
    };
    let size = u32::try_from(transport.len()).expect("a packet's size");
    // RFC 8200, section 8.1, and in effect RFC 9293, section 3.1: the pseudo header.
    assert_eq!(checksum(&[&from, &to, &size.to_be_bytes(), &[0, 0, 0, kind], transport]), 0);
    packet
}
