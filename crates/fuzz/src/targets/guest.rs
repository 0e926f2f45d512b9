//! What a guest sends: Ethernet frames that the responder answers, or not.

use std::net::Ipv6Addr;

use etherparse::{IcmpEchoHeader, Icmpv6Type, PacketBuilder};
use responder::{Neighbour, neighbour_advertisement, too_big};

use crate::memory::Limit;
use crate::target::Target;

/// Longest frame of a guest: what a virtual NIC with segmentation offload hands over at once.
const MAX_FRAME: usize = 65_535;

/// Largest answer: an IPv6 packet of the smallest MTU (RFC 4443, section 2.4 (c)) behind a header with two VLAN tags.
const MAX_ANSWER: usize = 14 + 2 * 4 + 1280;

const ASKER: [u8; 6] = [2, 0, 0, 0, 0, 1];
const OTHER: [u8; 6] = [2, 0, 0, 0, 0, 2];
const ASKER_IPV6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1);
const OTHER_IPV6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 2);

/// Where the first byte after the Ethernet header is, without tags.
const PACKET_AT: usize = 14;

pub(super) const PACKET: Target = Target {
    name: "guest-packet",
    from: "a guest",
    seeds: packets,
    dictionary: &[
        &[0x81, 0, 0, 1],
        &[0x88, 0xa8, 0, 1],
        &[0x86, 0xdd, 0x60, 0, 0, 0],
        &[8, 0, 0x45, 0],
        &[1, 1, 2, 0, 0, 0, 0, 1],
        &[44, 0, 0, 0],
        &[0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0, 0, 2],
    ],
    repair: |frame| repair(frame),
    run,
    memory: Limit { base: 16 << 10, per_byte: 4 },
    max_bytes: MAX_FRAME,
    brief: 20_000,
};

/// Packets that are answered, and one that is none.
pub(super) fn packets() -> Vec<Vec<u8>> {
    let ipv4 = |size: usize| {
        let mut frame = Vec::new();
        let packet = PacketBuilder::ethernet2(ASKER, OTHER).ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64).udp(1, 2);
        packet.write(&mut frame, &vec![1; size]).expect("it fits");
        frame
    };
    let icmpv6 = |hops: u8, message: Icmpv6Type, rest: &[u8]| {
        let mut frame = Vec::new();
        let packet =
            PacketBuilder::ethernet2(ASKER, OTHER).ipv6(ASKER_IPV6.octets(), OTHER_IPV6.octets(), hops);
        packet.icmpv6(message).write(&mut frame, rest).expect("it fits");
        frame
    };
    let solicitation = |options: &[u8]| {
        icmpv6(255, Icmpv6Type::NeighborSolicitation, &[&OTHER_IPV6.octets()[..], options].concat())
    };
    let echo = Icmpv6Type::EchoRequest(IcmpEchoHeader { id: 1, seq: 1 });
    let tagged = [&ipv4(1200)[..12], &[0x81, 0, 0, 5], &ipv4(1200)[12..]].concat();
    vec![
        ipv4(1400),
        solicitation(&[]),
        icmpv6(64, echo, &[1; 1400]),
        solicitation(&[1, 1, 2, 0, 0, 0, 0, 1]),
        tagged,
        Vec::new(),
    ]
}

/// What guests ask servers and routers: DHCP, DHCPv6, DNS and for routers.
pub(super) fn questions() -> Vec<Vec<u8>> {
    let mut frames = [const { Vec::new() }; 4];
    let [dhcp, dhcpv6, dns, routers] = &mut frames;
    let bootp =
        [&[1, 1, 6, 0, 1, 2, 3, 4][..], &[0; 20], &ASKER, &[0; 202], &[99, 130, 83, 99, 53, 1, 1, 255]]
            .concat();
    let packet = PacketBuilder::ethernet2(ASKER, [0xff; 6]).ipv4([0; 4], [255; 4], 64);
    packet.udp(68, 67).write(dhcp, &bootp).expect("it fits");
    let servers = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2];
    let solicit = [1, 1, 2, 3, 0, 1, 0, 4, 0, 3, 0, 1, 0, 3, 0, 12, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
    let packet =
        PacketBuilder::ethernet2(ASKER, [0x33, 0x33, 0, 1, 0, 2]).ipv6(ASKER_IPV6.octets(), servers, 1);
    packet.udp(546, 547).write(dhcpv6, &solicit).expect("it fits");
    let query = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03www\x07example\x00\x00\x01\x00\x01";
    let packet = PacketBuilder::ethernet2(ASKER, OTHER).ipv4([10, 0, 0, 1], [10, 0, 0, 254], 64);
    packet.udp(1000, 53).write(dns, query).expect("it fits");
    let all = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];
    let packet =
        PacketBuilder::ethernet2(ASKER, [0x33, 0x33, 0, 0, 0, 2]).ipv6(ASKER_IPV6.octets(), all, 255);
    packet.icmpv6(Icmpv6Type::RouterSolicitation).write(routers, &[]).expect("it fits");
    frames.into()
}

/// Makes the checksums of an untagged frame right: without, most of what is wrong deeper would not be looked at.
fn repair(frame: &mut [u8]) {
    let Some(packet) = frame.get_mut(PACKET_AT..) else { return };
    match packet.first().map(|first| first >> 4) {
        Some(4) => {
            let size = packet.first().map_or(0, |first| usize::from(first & 15) * 4);
            if let Some(header) = packet.get_mut(..size).filter(|header| header.len() >= 20) {
                correct(header, 10, 0);
            }
        }
        Some(6) => {
            let Some((header, icmp)) = packet.split_at_mut_checked(40) else { return };
            // RFC 8200, section 8.1: both addresses, the length and the protocol are covered, too.
            let addresses = sum(header.get(8..).unwrap_or_default());
            let length = icmp.len() as u32;
            if icmp.len() >= 4 {
                correct(icmp, 2, addresses + length + 58);
            }
        }
        _ => {}
    }
}

/// Puts RFC 1071's checksum of `bytes` and what else it covers where it belongs.
fn correct(bytes: &mut [u8], at: usize, beside: u32) {
    let Some(field) = bytes.get_mut(at..at + 2) else { return };
    field.fill(0);
    let mut total = sum(bytes) + beside;
    while total > 0xffff {
        total = (total & 0xffff) + (total >> 16);
    }
    let checksum = !u16::try_from(total).expect("16 bits are left");
    if let Some(field) = bytes.get_mut(at..at + 2) {
        field.copy_from_slice(&checksum.to_be_bytes());
    }
}

fn sum(bytes: &[u8]) -> u32 {
    bytes
        .chunks(2)
        .map(|pair| pair.iter().fold(0, |word, byte| word << 8 | u32::from(*byte)) << (8 * (2 - pair.len())))
        .sum()
}

fn run(frame: &[u8]) -> bool {
    let mut answered = false;
    for error in [1500, 1280, 576, 27, 0].into_iter().filter_map(|mtu| too_big(frame, mtu)) {
        answered = true;
        assert!(error.len() <= MAX_ANSWER, "an answer of {} bytes", error.len());
        assert_eq!(too_big(&error, 0), None, "an error about an error");
        assert_eq!(neighbour_advertisement(&error, OTHER), None, "an answer to an answer");
    }
    if let Some(answer) = neighbour_advertisement(frame, Neighbour { mac: OTHER, is_router: true }) {
        answered = true;
        assert!(answer.len() <= MAX_ANSWER, "an answer of {} bytes", answer.len());
        assert_eq!(neighbour_advertisement(&answer, OTHER), None, "an answer to an answer");
    }
    answered
}
