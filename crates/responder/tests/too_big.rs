//! Senders learn of what does not fit, in the words of their protocol, and of nothing else.

mod support;

use etherparse::icmpv4::DestUnreachableHeader;
use etherparse::{Icmpv4Type, Icmpv6Type, IpFragOffset, Ipv4Header, NetSlice, PacketBuilder, TransportSlice};
use responder::too_big;
use support::*;

/// Largest answers: 576 and 1280 bytes of packet in an Ethernet frame.
const LARGEST: usize = 14 + 576;
const LARGEST_IPV6: usize = 14 + 1280;

/// A datagram of 36 bytes, and what tells its sender that 30 would fit.
const DATAGRAM: &str = "020000000002 020000000001 0800
    45000024 00074000 401126c0 0a000001 0a000002 03e807d0 001021ad 746f6f20 6c6f6e67";
const ERROR: &str = "020000000001 020000000002 0800
    45000040 00004000 400126bb 0a000002 0a000001 03041102 0000001e
    45000024 00074000 401126c0 0a000001 0a000002 03e807d0 001021ad 746f6f20 6c6f6e67";

/// The same for 56 bytes of IPv6 and 50 that would fit.
const DATAGRAM_IPV6: &str = "020000000002 020000000001 86dd
    60000000 00101140 fd000000 00000000 00000000 00000001 fd000000 00000000 00000000 00000002
    03e807d0 00103bab 746f6f20 6c6f6e67";
const ERROR_IPV6: &str = "020000000001 020000000002 86dd
    60000000 00403a40 fd000000 00000000 00000000 00000002 fd000000 00000000 00000000 00000001
    0200921f 00000032
    60000000 00101140 fd000000 00000000 00000000 00000001 fd000000 00000000 00000000 00000002
    03e807d0 00103bab 746f6f20 6c6f6e67";

fn check(frame: &[u8], mtu: u16, expected: Option<&[u8]>) {
    let answer = too_big(frame, mtu);
    assert_eq!(answer.as_deref(), expected, "{frame:02x?}");
    let Some(answer) = answer else { return };
    read(&answer);
    // Never answers an answer, whatever fits.
    assert_eq!(too_big(&answer, 0), None);
}

/// Frames that get no answer, however little fits.
fn check_silent(frames: impl IntoIterator<Item = Vec<u8>>) {
    frames.into_iter().for_each(|frame| check(&frame, 20, None));
}

/// A frame with an IPv4 packet that differs from an ordinary one, and has a correct header checksum.
fn ipv4(differs: impl FnOnce(&mut Ipv4Header)) -> Vec<u8> {
    let mut header = Ipv4Header::new(0, 64, etherparse::IpNumber::UDP, [10, 0, 0, 1], [10, 0, 0, 2])
        .expect("an empty payload");
    differs(&mut header);
    let packet = etherparse::IpHeaders::Ipv4(header, Default::default());
    let mut frame = Vec::new();
    let frame_of = PacketBuilder::ethernet2(ASKER, OTHER).ip(packet);
    frame_of.udp(1000, 2000).write(&mut frame, &[0; 100]).expect("it fits");
    frame
}

fn ipv4_icmp(message: Icmpv4Type) -> Vec<u8> {
    let mut frame = Vec::new();
    let packet = PacketBuilder::ethernet2(ASKER, OTHER).ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64);
    packet.icmpv4(message).write(&mut frame, &[0; 100]).expect("it fits");
    frame
}

fn ipv6_icmp(message: Icmpv6Type) -> Vec<u8> {
    icmpv6(ASKER_IPV6, OTHER_IPV6, 64, message, &[0; 100])
}

/// The IPv6 datagram behind an extension header.
fn extended(kind: u8, header: [u8; 8]) -> Vec<u8> {
    let datagram = bytes(DATAGRAM_IPV6);
    let frame = [&datagram[..54], &header, &datagram[54..]].concat();
    with(frame, 18, &[0, 24, kind])
}

#[test]
fn an_ipv4_sender_learns_the_next_hop_mtu() {
    check(&bytes(DATAGRAM), 30, Some(&bytes(ERROR)));
}

#[test]
fn an_ipv6_sender_learns_the_mtu() {
    check(&bytes(DATAGRAM_IPV6), 50, Some(&bytes(ERROR_IPV6)));
}

#[test]
fn what_pads_the_frame_is_not_quoted() {
    let padded = [bytes(DATAGRAM), vec![0xaa; 30]].concat();
    check(&padded, 30, Some(&bytes(ERROR)));
}

#[test]
fn a_sender_that_allows_fragments_learns_it_too() {
    let answer = too_big(&ipv4(|header| header.dont_fragment = false), 30);
    assert!(answer.is_some());
}

#[test]
fn a_first_fragment_is_answered() {
    assert!(too_big(&ipv4(|header| header.more_fragments = true), 30).is_some());
    assert!(too_big(&extended(44, [17, 0, 0, 1, 0, 0, 0, 1]), 50).is_some());
}

#[test]
fn tags_stay_and_take_their_room() {
    for ids in [&[5][..], &[5, 6]] {
        let room = 4 * u16::try_from(ids.len()).expect("few");
        check(&tagged(&bytes(DATAGRAM), ids), 30 + room, Some(&tagged(&bytes(ERROR), ids)));
        check(&tagged(&bytes(DATAGRAM_IPV6), ids), 50 + room, Some(&tagged(&bytes(ERROR_IPV6), ids)));
        check(&tagged(&bytes(DATAGRAM), ids), 36 + room, None);
    }
}

#[test]
fn queries_are_answered() {
    for message in [Icmpv4Type::EchoRequest(ECHO), Icmpv4Type::EchoReply(ECHO)] {
        assert!(too_big(&ipv4_icmp(message), 60).is_some());
    }
    for message in [Icmpv6Type::EchoRequest(ECHO), Icmpv6Type::EchoReply(ECHO)] {
        assert!(too_big(&ipv6_icmp(message), 60).is_some());
    }
}

#[test]
fn a_long_packet_is_quoted_as_far_as_an_error_may_go() {
    let mut long = Vec::new();
    let packet = PacketBuilder::ethernet2(ASKER, OTHER).ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64).udp(1, 2);
    packet.write(&mut long, &[7; 1472]).expect("it fits");
    let answer = too_big(&long, 1438).expect("an answer");
    assert_eq!(answer.len(), LARGEST);
    let Some(TransportSlice::Icmpv4(icmp)) = read(&answer).transport else { panic!("ICMP") };
    let told = DestUnreachableHeader::FragmentationNeeded { next_hop_mtu: 1438 };
    assert_eq!(icmp.icmp_type(), Icmpv4Type::DestinationUnreachable(told));
    assert_eq!(icmp.payload(), &long[14..14 + 548]);

    let long = icmpv6(ASKER_IPV6, OTHER_IPV6, 64, Icmpv6Type::EchoRequest(ECHO), &[7; 1452]);
    let answer = too_big(&long, 1418).expect("an answer");
    assert_eq!(answer.len(), LARGEST_IPV6);
    let packet = read(&answer);
    let Some(NetSlice::Ipv6(ip)) = packet.net else { panic!("IPv6") };
    assert_eq!((ip.header().source_addr(), ip.header().destination_addr()), (OTHER_IPV6, ASKER_IPV6));
    let Some(TransportSlice::Icmpv6(icmp)) = packet.transport else { panic!("ICMPv6") };
    assert_eq!(icmp.icmp_type(), Icmpv6Type::PacketTooBig { mtu: 1418 });
    assert_eq!(icmp.payload(), &long[14..14 + 1232]);
}

#[test]
fn what_fits_is_not_answered() {
    check(&bytes(DATAGRAM), 36, None);
    check(&bytes(DATAGRAM_IPV6), 56, None);
}

#[test]
fn errors_are_not_answered() {
    check_silent(
        [3, 4, 5, 11, 12, 40, 255]
            .map(|kind| ipv4_icmp(Icmpv4Type::Unknown { type_u8: kind, code_u8: 0, bytes5to8: [0; 4] })),
    );
    check_silent(
        [1, 2, 3, 4, 100, 127, 137]
            .map(|kind| ipv6_icmp(Icmpv6Type::Unknown { type_u8: kind, code_u8: 0, bytes5to8: [0; 4] })),
    );
}

#[test]
fn errors_in_pieces_or_behind_headers_are_not_answered() {
    let error = ipv4_icmp(Icmpv4Type::Unknown { type_u8: 3, code_u8: 4, bytes5to8: [0; 4] });
    // More fragments, and the checksum with it.
    let checked = with(error, 20, &[0x20, 0, 64, 1, 0, 0]);
    let sum = checksum(&[&checked[14..34]]).to_be_bytes();
    check_silent([with(checked, 24, &sum)]);
    let error = ipv6_icmp(Icmpv6Type::PacketTooBig { mtu: 1280 });
    for (kind, header) in [(44, [58, 0, 0, 1, 0, 0, 0, 1]), (60, [58, 0, 1, 4, 0, 0, 0, 0])] {
        let behind = [&error[..54], &header, &error[54..]].concat();
        check_silent([with(behind, 18, &[0, 116, kind])]);
    }
}

#[test]
fn what_concerns_many_is_not_answered() {
    let group = [0x33, 0x33, 0, 0, 0, 1];
    for datagram in [DATAGRAM, DATAGRAM_IPV6] {
        check_silent([0, 6].map(|at| with(bytes(datagram), at, &group)));
        check_silent([with(bytes(datagram), 0, &[0xff; 6])]);
    }
    for address in [[0; 4], [127, 0, 0, 1], [224, 0, 0, 1], [240, 0, 0, 1], [255; 4]] {
        check_silent([ipv4(|header| header.source = address), ipv4(|header| header.destination = address)]);
    }
    for address in ["::", "::1", "ff02::1"] {
        let address: std::net::Ipv6Addr = address.parse().expect("an address");
        check_silent([22, 38].map(|at| with(bytes(DATAGRAM_IPV6), at, &address.octets())));
    }
}

#[test]
fn later_fragments_are_not_answered() {
    let offset = IpFragOffset::try_new(100).expect("13 bits");
    check_silent([ipv4(|header| header.fragment_offset = offset)]);
    check_silent([extended(44, [17, 0, 0x03, 0x20, 0, 0, 0, 1])]);
}

#[test]
fn a_chain_that_ends_early_is_not_answered() {
    // A header that says that it is longer than the packet, and one with nothing behind it.
    check_silent([extended(60, [17, 200, 1, 4, 0, 0, 0, 0])]);
    let alone = extended(44, [17, 0, 0, 1, 0, 0, 0, 1]);
    check_silent([with(alone, 18, &[0, 8])]);
}

#[test]
fn malformed_packets_are_not_answered() {
    let whole = [bytes(DATAGRAM), bytes(DATAGRAM_IPV6)];
    for frame in &whole {
        check_silent((0..frame.len()).map(|size| frame[..size].to_vec()));
    }
    let [ipv4, ipv6] = whole;
    check_silent([
        with(ipv4.clone(), 24, &[0, 0]),
        with(ipv4.clone(), 14, &[0x65]),
        with(ipv4.clone(), 14, &[0x44]),
        with(ipv4.clone(), 12, &[0x86, 0xdd]),
        with(ipv4.clone(), 12, &[0x08, 0x06]),
        tagged(&ipv4, &[1, 2, 3]),
        // What a jumbogram says.
        with(ipv6.clone(), 18, &[0, 0]),
        with(ipv6, 14, &[0x40]),
    ]);
}
