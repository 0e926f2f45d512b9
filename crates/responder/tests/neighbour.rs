//! Valid solicitations are answered, others are not.

mod support;

use std::net::Ipv6Addr;

use etherparse::Icmpv6Type;
use responder::{Neighbour, neighbour_advertisement};
use support::*;

/// Hops of neighbour discovery.
const HOPS: u8 = 255;

const UNICAST: &str = "3333ff000002 020000000001 86dd
    60000000 00183aff fd000000 00000000 00000000 00000001 ff020000 00000000 00000001 ff000002
    870080a1 00000000 fd000000 00000000 00000000 00000002";
const UNICAST_ANSWER: &str = "020000000001 020000000002 86dd
    60000000 00203aff fd000000 00000000 00000000 00000002 fd000000 00000000 00000000 00000001
    88001c9a 60000000 fd000000 00000000 00000000 00000002 0201 020000000002";

const DETECTION: &str = "3333ff000002 020000000001 86dd
    60000000 00183aff 00000000 00000000 00000000 00000000 ff020000 00000000 00000001 ff000002
    87007da3 00000000 fd000000 00000000 00000000 00000002";
const DETECTION_ANSWER: &str = "333300000001 020000000002 86dd
    60000000 00203aff fd000000 00000000 00000000 00000002 ff020000 00000000 00000000 00000001
    88005a98 20000000 fd000000 00000000 00000000 00000002 0201 020000000002";

fn check(frame: &[u8], expected: Option<&[u8]>) {
    let answer = neighbour_advertisement(frame, OTHER);
    assert_eq!(answer.as_deref(), expected, "{frame:02x?}");
    let Some(answer) = answer else { return };
    read(&answer);
    assert_eq!(neighbour_advertisement(&answer, OTHER), None);
}

fn address(text: &str) -> Ipv6Addr {
    text.parse().expect("an address")
}

/// A solicitation with correct checksum and length.
fn solicitation(from: &str, to: &str, hops: u8, target: &str, options: &[u8]) -> Vec<u8> {
    let rest = [&address(target).octets(), options].concat();
    icmpv6(address(from), address(to), hops, Icmpv6Type::NeighborSolicitation, &rest)
}

fn is_answered(from: &str, to: &str, hops: u8, target: &str, options: &[u8]) -> bool {
    neighbour_advertisement(&solicitation(from, to, hops, target, options), OTHER).is_some()
}

/// The node's solicited-node address.
const NODE: &str = "ff02::1:ff00:2";
const SOURCE_OPTION: [u8; 8] = [1, 1, 2, 0, 0, 0, 0, 1];
/// RFC 7527: a nonce, by which the sender of a probe knows its echo.
const NONCE: [u8; 8] = [14, 1, 1, 2, 3, 4, 5, 6];

#[test]
fn a_solicitation_without_option_is_answered_to_its_sender() {
    check(&bytes(UNICAST), Some(&bytes(UNICAST_ANSWER)));
}

#[test]
fn address_detection_is_answered_to_all_nodes() {
    check(&bytes(DETECTION), Some(&bytes(DETECTION_ANSWER)));
}

#[test]
fn a_router_says_that_it_is_one() {
    let answer = |is_router| {
        let neighbour = Neighbour { mac: OTHER, is_router };
        neighbour_advertisement(&bytes(UNICAST), neighbour).expect("an answer")
    };
    read(&answer(true));
    // The flags, and the checksum that covers them.
    assert_eq!(answer(true), with(answer(false), 56, &[0x9c, 0x99, 0xe0]));
}

#[test]
fn the_answer_stays_in_its_vlan() {
    check(&tagged(&bytes(UNICAST), &[7]), Some(&tagged(&bytes(UNICAST_ANSWER), &[7])));
}

#[test]
fn probes_to_one_node_and_options_are_answered() {
    assert!(is_answered("fd00::1", "fd00::2", HOPS, "fd00::2", &[]));
    assert!(is_answered("fe80::1", NODE, HOPS, "fe80::2", &SOURCE_OPTION));
    assert!(is_answered("::", NODE, HOPS, "fd00::2", &NONCE));
}

#[test]
fn each_rule_for_a_valid_solicitation_is_kept() {
    // One hop less says that a router passed it on.
    assert!(!is_answered("fd00::1", NODE, 254, "fd00::2", &[]));
    assert!(!is_answered("fd00::1", NODE, HOPS, "ff02::1", &[]));
    assert!(!is_answered("fd00::1", NODE, HOPS, "::", &[]));
    assert!(!is_answered("ff02::1", NODE, HOPS, "fd00::2", &[]));
    // From nobody: to the solicited node, and without option.
    assert!(!is_answered("::", "ff02::1", HOPS, "fd00::2", &[]));
    assert!(!is_answered("::", "fd00::2", HOPS, "fd00::2", &[]));
    assert!(!is_answered("::", NODE, HOPS, "fd00::2", &SOURCE_OPTION));
    assert!(!is_answered("::", NODE, HOPS, "fd00::2", &[NONCE, SOURCE_OPTION].concat()));
    // Options without length, and longer than the packet.
    assert!(!is_answered("fd00::1", NODE, HOPS, "fd00::2", &[14, 0, 0, 0, 0, 0, 0, 0]));
    assert!(!is_answered("fd00::1", NODE, HOPS, "fd00::2", &[14, 2, 0, 0, 0, 0, 0, 0]));
}

#[test]
fn codes_checksums_and_fragments_are_looked_at() {
    let frame = bytes(UNICAST);
    check(&with(frame.clone(), 56, &[0, 0]), None);
    // A code of 1, with its checksum.
    check(&with(frame.clone(), 55, &[1, 0x80, 0xa0]), None);
    let fragment = [&frame[..54], &[58, 0, 0, 0, 0, 0, 0, 1], &frame[54..]].concat();
    check(&with(fragment, 18, &[0, 32, 44]), None);
    check(&with(frame, 6, &[0x33]), None);
}

#[test]
fn what_is_cut_short_or_something_else_is_not_answered() {
    let frame = bytes(UNICAST);
    (0..frame.len()).for_each(|size| check(&frame[..size], None));
    let echo = Icmpv6Type::EchoRequest(ECHO);
    check(&icmpv6(ASKER_IPV6, OTHER_IPV6, HOPS, echo, &[0; 16]), None);
    // A message that ends within its target.
    check(&icmpv6(ASKER_IPV6, OTHER_IPV6, HOPS, Icmpv6Type::NeighborSolicitation, &[0; 15]), None);
}
