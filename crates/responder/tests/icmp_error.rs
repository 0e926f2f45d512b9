//! Routers tell senders why a packet went no further, in the words of its protocol, and never more than they may.

mod support;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use etherparse::{Icmpv4Type, Icmpv6Type, NetSlice, PacketBuilder, TransportSlice};
use responder::{Problem, Sender, icmp_error};
use support::*;

const ROUTER: [u8; 6] = [2, 0, 0, 0, 0, 9];
const ROUTER_IPV4: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 254));
const ROUTER_IPV6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0xfe));

const PROBLEMS: [Problem; 6] = [
    Problem::NoRoute,
    Problem::HostUnreachable,
    Problem::Prohibited,
    Problem::PortUnreachable,
    Problem::TimeExceeded,
    Problem::TooBig { mtu: 1400 },
];

fn ipv4(to: [u8; 4], size: usize) -> Vec<u8> {
    let packet = PacketBuilder::ethernet2(ASKER, OTHER).ipv4([10, 0, 0, 1], to, 1).udp(1000, 2000);
    let mut frame = Vec::new();
    packet.write(&mut frame, &vec![7; size]).expect("it fits");
    frame
}

fn ipv6(to: &str, size: usize) -> Vec<u8> {
    let to: Ipv6Addr = to.parse().expect("an address");
    icmpv6(ASKER_IPV6, to, 1, Icmpv6Type::EchoRequest(ECHO), &vec![7; size])
}

fn answer(frame: &[u8], problem: Problem, address: IpAddr) -> Option<Vec<u8>> {
    let answer = icmp_error(frame, problem, Sender { mac: ROUTER, address }, ASKER)?;
    read(&answer);
    assert_eq!(answer[..12], [ASKER, ROUTER].concat());
    for problem in PROBLEMS {
        assert_eq!(icmp_error(&answer, problem, Sender { mac: ROUTER, address }, ASKER), None);
    }
    Some(answer)
}

/// The type, code and word of the error about a packet, which is checked to quote it.
fn told(frame: &[u8], problem: Problem, from: IpAddr) -> [u8; 6] {
    let answer = answer(frame, problem, from).expect("an answer");
    let packet = read(&answer);
    let (addresses, message) = match (&packet.net, &packet.transport) {
        (Some(NetSlice::Ipv4(ip)), Some(TransportSlice::Icmpv4(icmp))) => {
            let header = ip.header();
            ((header.source_addr().into(), header.destination_addr().into()), icmp.slice())
        }
        (Some(NetSlice::Ipv6(ip)), Some(TransportSlice::Icmpv6(icmp))) => {
            let header = ip.header();
            ((header.source_addr().into(), header.destination_addr().into()), icmp.slice())
        }
        other => panic!("not an error: {other:?}"),
    };
    let sender = if from.is_ipv4() { IpAddr::from([10, 0, 0, 1]) } else { ASKER_IPV6.into() };
    assert_eq!(addresses, (from, sender));
    assert!(frame[14..].starts_with(&message[8..]));
    [message[0], message[1], message[4], message[5], message[6], message[7]]
}

/// What a sender is told of a problem, by IPv4 and by IPv6.
fn check(problem: Problem, expected: [u8; 6], expected_ipv6: [u8; 6]) {
    assert_eq!(told(&ipv4([192, 0, 2, 1], 30), problem, ROUTER_IPV4), expected, "{problem:?}");
    assert_eq!(told(&ipv6("2001:db8::1", 30), problem, ROUTER_IPV6), expected_ipv6, "{problem:?}");
}

fn check_silent(frame: &[u8], from: IpAddr) {
    for problem in PROBLEMS {
        assert_eq!(answer(frame, problem, from), None, "{problem:?}");
    }
}

#[test]
fn each_problem_has_its_type_and_code() {
    check(Problem::NoRoute, [3, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0]);
    check(Problem::HostUnreachable, [3, 1, 0, 0, 0, 0], [1, 3, 0, 0, 0, 0]);
    check(Problem::Prohibited, [3, 13, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0]);
    check(Problem::PortUnreachable, [3, 3, 0, 0, 0, 0], [1, 4, 0, 0, 0, 0]);
    check(Problem::TimeExceeded, [11, 0, 0, 0, 0, 0], [3, 0, 0, 0, 0, 0]);
    check(Problem::TooBig { mtu: 1400 }, [3, 4, 0, 0, 5, 120], [2, 0, 0, 0, 5, 120]);
}

#[test]
fn as_much_is_quoted_as_an_error_may_hold() {
    let frames =
        [(ipv4([192, 0, 2, 1], 1400), ROUTER_IPV4, 576), (ipv6("2001:db8::1", 1400), ROUTER_IPV6, 1280)];
    for (frame, from, largest) in frames {
        let answer = answer(&frame, Problem::TimeExceeded, from).expect("an answer");
        assert_eq!(answer.len(), 14 + largest);
    }
}

#[test]
fn the_answer_stays_in_its_vlan() {
    let from = Sender { mac: ROUTER, address: ROUTER_IPV4 };
    let frame = ipv4([192, 0, 2, 1], 30);
    let plain = icmp_error(&frame, Problem::NoRoute, from, ASKER).expect("an answer");
    let answer = icmp_error(&tagged(&frame, &[5]), Problem::NoRoute, from, ASKER);
    assert_eq!(answer, Some(tagged(&plain, &[5])));
}

#[test]
fn what_goes_to_many_is_not_answered() {
    for to in [[255; 4], [224, 0, 0, 5], [239, 1, 1, 1]] {
        check_silent(&ipv4(to, 30), ROUTER_IPV4);
    }
    let group = [0x33, 0x33, 0, 0, 0, 1];
    check_silent(&with(ipv4([192, 0, 2, 1], 30), 0, &[0xff; 6]), ROUTER_IPV4);
    check_silent(&with(ipv4([192, 0, 2, 1], 30), 6, &group), ROUTER_IPV4);
    check_silent(&with(ipv6("ff0e::1", 30), 6, &group), ROUTER_IPV6);
    // Groups of the link and of the node are not routed.
    for to in ["ff01::1", "ff02::1"] {
        check_silent(&ipv6(to, 30), ROUTER_IPV6);
    }
}

#[test]
fn an_ipv6_sender_to_a_group_learns_the_mtu_and_nothing_else() {
    let frame = with(ipv6("ff0e::1", 30), 0, &[0x33, 0x33, 0, 0, 0, 1]);
    for problem in PROBLEMS {
        let is_told = matches!(problem, Problem::TooBig { .. });
        assert_eq!(answer(&frame, problem, ROUTER_IPV6).is_some(), is_told, "{problem:?}");
    }
}

#[test]
fn nobody_is_answered_who_is_nobody_or_many() {
    for source in [[0; 4], [127, 0, 0, 1], [224, 0, 0, 1], [255; 4]] {
        let packet = PacketBuilder::ethernet2(ASKER, OTHER).ipv4(source, [192, 0, 2, 1], 1).udp(1, 2);
        let mut frame = Vec::new();
        packet.write(&mut frame, &[7; 30]).expect("it fits");
        check_silent(&frame, ROUTER_IPV4);
    }
    for source in ["::", "::1", "ff02::1"] {
        let source: Ipv6Addr = source.parse().expect("an address");
        check_silent(&with(ipv6("2001:db8::1", 30), 22, &source.octets()), ROUTER_IPV6);
    }
}

#[test]
fn errors_and_later_fragments_are_not_answered() {
    let kinds =
        [3, 4, 5, 11, 12].map(|type_u8| Icmpv4Type::Unknown { type_u8, code_u8: 0, bytes5to8: [0; 4] });
    for kind in kinds {
        let packet =
            PacketBuilder::ethernet2(ASKER, OTHER).ipv4([10, 0, 0, 1], [192, 0, 2, 1], 1).icmpv4(kind);
        let mut frame = Vec::new();
        packet.write(&mut frame, &[7; 30]).expect("it fits");
        check_silent(&frame, ROUTER_IPV4);
    }
    let error = icmpv6(ASKER_IPV6, OTHER_IPV6, 1, Icmpv6Type::PacketTooBig { mtu: 1280 }, &[7; 60]);
    check_silent(&error, ROUTER_IPV6);
    let frame = ipv6("2001:db8::1", 30);
    let later = [&frame[..54], &[58, 0, 0, 8, 0, 0, 0, 1], &frame[54..]].concat();
    check_silent(&with(later, 18, &[0, 46, 44]), ROUTER_IPV6);
}

#[test]
fn a_sender_of_another_version_or_without_an_address_tells_nothing() {
    check_silent(&ipv4([192, 0, 2, 1], 30), ROUTER_IPV6);
    check_silent(&ipv6("2001:db8::1", 30), ROUTER_IPV4);
    check_silent(&ipv4([192, 0, 2, 1], 30), Ipv4Addr::UNSPECIFIED.into());
    check_silent(&ipv6("2001:db8::1", 30), Ipv6Addr::UNSPECIFIED.into());
}

#[test]
fn what_is_cut_short_is_not_answered() {
    let frames = [(ipv4([192, 0, 2, 1], 30), ROUTER_IPV4), (ipv6("2001:db8::1", 30), ROUTER_IPV6)];
    for (frame, from) in frames {
        (0..frame.len()).for_each(|size| check_silent(&frame[..size], from));
    }
}
