//! Whatever a guest sends: no panic, no answer that is too large or malformed, and no answer to an answer.

mod support;

use etherparse::{Icmpv6Type, PacketBuilder};
use proptest::prelude::*;
use responder::{Problem, Sender, icmp_error, neighbour_advertisement, tcp_reset, too_big};
use support::*;

/// Largest answers: 576 and 1280 bytes of packet, 72 of advertisement, 60 of reset, in an Ethernet frame with two tags.
const HEADER: usize = 14 + 2 * 4;
const LARGEST: usize = HEADER + 1280;
const ADVERTISEMENT: usize = HEADER + 72;
const RESET: usize = HEADER + 60;

/// Frames that are answered, to start from.
fn sound() -> impl Strategy<Value = Vec<u8>> {
    let ipv4 = |size| {
        let mut frame = Vec::new();
        let packet = PacketBuilder::ethernet2(ASKER, OTHER).ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64).udp(1, 2);
        packet.write(&mut frame, &vec![1; size]).expect("it fits");
        frame
    };
    let ipv6 = |size| {
        let echo = Icmpv6Type::EchoRequest(ECHO);
        icmpv6(ASKER_IPV6, OTHER_IPV6, 64, echo, &vec![1; size])
    };
    let tcp = |size| {
        let mut frame = Vec::new();
        let packet = PacketBuilder::ethernet2(ASKER, OTHER).ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64);
        packet.tcp(1, 2, 3, 4).write(&mut frame, &vec![1; size]).expect("it fits");
        frame
    };
    let solicitation = |options: Vec<u8>| {
        let rest = [OTHER_IPV6.octets().as_slice(), &options].concat();
        icmpv6(ASKER_IPV6, OTHER_IPV6, 255, Icmpv6Type::NeighborSolicitation, &rest)
    };
    let frame = prop_oneof![
        (0..2000_usize).prop_map(ipv4),
        (0..2000_usize).prop_map(ipv6),
        (0..2000_usize).prop_map(tcp),
        proptest::collection::vec(0..16_u8, 0..24).prop_map(solicitation),
    ];
    (frame, proptest::collection::vec(1..9_u8, 0..3)).prop_map(|(frame, ids)| tagged(&frame, &ids))
}

/// Sound frames with some bytes changed, most of them in the headers, and perhaps cut short.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let change = (0..100_usize, any::<u8>());
    (sound(), proptest::collection::vec(change, 0..4), 0..8_usize, any::<prop::sample::Index>()).prop_map(
        |(mut frame, changes, cut, size)| {
            for (at, value) in changes {
                frame.get_mut(at).into_iter().for_each(|byte| *byte = value);
            }
            if cut == 0 {
                frame.truncate(size.index(frame.len()));
            }
            frame
        },
    )
}

fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![1 => proptest::collection::vec(any::<u8>(), 0..200), 4 => mutated()]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn answers_are_sound_bounded_and_final(frame in any_frame(), mtu: u16, narrow in 0..100_u16) {
        for mtu in [mtu, narrow] {
            let Some(answer) = too_big(&frame, mtu) else { continue };
            read(&answer);
            prop_assert!(answer.len() <= LARGEST);
            prop_assert_eq!(too_big(&answer, 0), None);
            prop_assert_eq!(neighbour_advertisement(&answer, OTHER), None);
        }
        for address in [[10, 0, 0, 254].into(), OTHER_IPV6.into()] {
            let from = Sender { mac: OTHER, address };
            for problem in [Problem::TimeExceeded, Problem::TooBig { mtu: 1280 }] {
                let Some(answer) = icmp_error(&frame, problem, from, ASKER) else { continue };
                read(&answer);
                prop_assert!(answer.len() <= LARGEST);
                prop_assert_eq!(icmp_error(&answer, problem, from, ASKER), None);
            }
        }
        if let Some(answer) = tcp_reset(&frame, OTHER, ASKER) {
            read(&answer);
            prop_assert!(answer.len() <= RESET);
            prop_assert_eq!(tcp_reset(&answer, ASKER, OTHER), None);
        }
        if let Some(answer) = neighbour_advertisement(&frame, OTHER) {
            read(&answer);
            prop_assert!(answer.len() <= ADVERTISEMENT);
            prop_assert_eq!(neighbour_advertisement(&answer, OTHER), None);
        }
    }

    #[test]
    fn sound_frames_that_do_not_fit_are_answered(frame in sound()) {
        prop_assert!(too_big(&frame, 27).is_some());
    }
}
