//! A segment that is rejected is answered with the reset that its sender believes.

mod support;

use etherparse::{PacketBuilder, TcpHeader, TransportSlice};
use responder::tcp_reset;
use support::*;

/// Between port 1000 of 10.0.0.1 or fd00::1, and port 80 of 10.0.0.2 or fd00::2.
fn segment(is_ipv6: bool, payload: usize, differs: impl FnOnce(&mut TcpHeader)) -> Vec<u8> {
    let mut header = TcpHeader::new(1000, 80, 5000, 1024);
    differs(&mut header);
    let frame = PacketBuilder::ethernet2(ASKER, OTHER);
    let packet = if is_ipv6 {
        frame.ipv6(ASKER_IPV6.octets(), OTHER_IPV6.octets(), 64)
    } else {
        frame.ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64)
    };
    let mut bytes = Vec::new();
    packet.tcp_header(header).write(&mut bytes, &vec![7; payload]).expect("it fits");
    bytes
}

/// Sequence number, and acknowledgment if there is one.
fn check(payload: usize, differs: impl Fn(&mut TcpHeader), expected: Option<(u32, Option<u32>)>) {
    for is_ipv6 in [false, true] {
        let answer = tcp_reset(&segment(is_ipv6, payload, &differs), OTHER, ASKER);
        let told = answer.as_deref().map(|answer| {
            assert_eq!(answer[..12], [ASKER, OTHER].concat());
            assert_eq!(tcp_reset(answer, ASKER, OTHER), None, "a reset for a reset");
            let Some(TransportSlice::Tcp(tcp)) = read(answer).transport else { panic!("not TCP") };
            assert_eq!((tcp.source_port(), tcp.destination_port()), (80, 1000));
            assert!(tcp.rst() && !tcp.syn() && !tcp.fin() && tcp.payload().is_empty());
            (tcp.sequence_number(), tcp.ack().then(|| tcp.acknowledgment_number()))
        });
        assert_eq!(told, expected);
    }
}

#[test]
fn what_opens_a_connection_is_acknowledged() {
    check(0, |header| header.syn = true, Some((0, Some(5001))));
    check(7, |header| header.syn = true, Some((0, Some(5008))));
}

#[test]
fn what_acknowledges_is_answered_where_it_expects_it() {
    let acknowledges = |header: &mut TcpHeader| {
        header.ack = true;
        header.acknowledgment_number = 900;
    };
    check(40, acknowledges, Some((900, None)));
}

#[test]
fn all_that_takes_sequence_numbers_is_counted() {
    check(10, |header| header.fin = true, Some((0, Some(5011))));
    let at_the_end = |header: &mut TcpHeader| {
        header.syn = true;
        header.sequence_number = u32::MAX;
    };
    check(0, at_the_end, Some((0, Some(0))));
}

#[test]
fn a_reset_is_not_answered() {
    check(0, |header| header.rst = true, None);
}

#[test]
fn the_answer_stays_in_its_vlan() {
    let frame = segment(false, 0, |header| header.syn = true);
    let plain = tcp_reset(&frame, OTHER, ASKER).expect("an answer");
    assert_eq!(tcp_reset(&tagged(&frame, &[5, 6]), OTHER, ASKER), Some(tagged(&plain, &[5, 6])));
}

#[test]
fn what_is_for_many_cut_short_broken_or_something_else_is_not_answered() {
    for is_ipv6 in [false, true] {
        let frame = segment(is_ipv6, 4, |header| header.syn = true);
        let silent = |frame: &[u8]| assert_eq!(tcp_reset(frame, OTHER, ASKER), None);
        (0..frame.len()).for_each(|size| silent(&frame[..size]));
        silent(&with(frame.clone(), 0, &[0xff; 6]));
        // A payload that its checksum does not cover.
        silent(&with(frame.clone(), frame.len() - 1, &[8]));
    }
    let echo = icmpv6(ASKER_IPV6, OTHER_IPV6, 64, etherparse::Icmpv6Type::EchoRequest(ECHO), &[0; 20]);
    assert_eq!(tcp_reset(&echo, OTHER, ASKER), None);
    let frame = segment(true, 4, |header| header.syn = true);
    let first = [&frame[..54], &[6, 0, 0, 1, 0, 0, 0, 1], &frame[54..]].concat();
    assert_eq!(tcp_reset(&with(first, 18, &[0, 32, 44]), OTHER, ASKER), None);
}
