//! Routers tell hosts of their link what to send where, when asked and unasked.

mod support;

use std::net::Ipv6Addr;
use std::time::Duration;

use etherparse::{Icmpv6Type, NetSlice, TransportSlice};
use proptest::prelude::*;
use responder::router_advertisement::{Preference, Prefix, Route, Router};
use responder::{Name, router_advertisement, unsolicited};
use support::*;

/// What Linux 6 asks when a link comes up, and the answer, from which it took address, routes and MTU.
const LINUX: &str = "333300000002 020000000001 86dd
    60000000 00103aff fe800000 00000000 000000ff fe000001 ff020000 00000000 00000000 00000002
    85007b2c 00000000 0101 020000000001";
const LINUX_ANSWER: &str = "020000000001 020000000002 86dd
    60000000 00903aff fe800000 00000000 00000000 00000002 fe800000 00000000 000000ff fe000001
    86000970 40c00708 00000000 00000000
    0101 020000000002
    0501 0000 00000578
    0304 40c0 00000e10 00000708 00000000 fd000001 00000000 00000000 00000000
    1903 0000 00000384 fd000000 00000000 00000000 00000053
    1f05 0000 00000384 0161076578616d706c65036f726700 076578616d706c65036f726700 00000000
    1802 3008 00000384 fd000007 00000000";

const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

fn router() -> Router {
    Router {
        mac: OTHER,
        address: "fe80::2".parse().expect("an address"),
        lifetime: Duration::from_secs(1800),
        hop_limit: 64,
        is_managed: true,
        has_other: true,
        mtu: Some(1400),
        prefixes: vec![Prefix {
            prefix: "fd00:1::/64".parse().expect("a prefix"),
            is_on_link: true,
            is_autonomous: true,
            valid: Duration::from_secs(3600),
            preferred: Duration::from_secs(1800),
        }],
        routes: vec![Route {
            prefix: "fd00:7::/48".parse().expect("a prefix"),
            preference: Preference::High,
            lifetime: Duration::from_secs(900),
        }],
        dns: vec!["fd00::53".parse().expect("an address")],
        search: vec![name("a.example.org"), name("example.org")],
        dns_lifetime: Duration::from_secs(900),
    }
}

fn solicitation(from: Ipv6Addr, hops: u8, options: &[u8]) -> Vec<u8> {
    let all_routers = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);
    icmpv6(from, all_routers, hops, Icmpv6Type::RouterSolicitation, options)
}

fn check(frame: &[u8], expected: Option<&[u8]>) {
    let answer = router_advertisement(frame, &router());
    assert_eq!(answer.as_deref(), expected, "{frame:02x?}");
    let Some(answer) = answer else { return };
    read(&answer);
    assert_eq!(router_advertisement(&answer, &router()), None);
}

/// The flags, and the options by their types, of the advertisement to all.
fn told(router: &Router) -> (u8, Vec<(u8, Vec<u8>)>) {
    let frame = unsolicited(router).expect("an advertisement");
    let packet = read(&frame);
    let Some(NetSlice::Ipv6(ip)) = &packet.net else { panic!("not IPv6") };
    assert_eq!((ip.header().hop_limit(), ip.header().destination_addr()), (255, ALL_NODES));
    assert_eq!(frame[..12], [[0x33, 0x33, 0, 0, 0, 1], OTHER].concat());
    assert!(ip.header().payload_length() <= 1240, "larger than the smallest MTU");
    let Some(TransportSlice::Icmpv6(icmp)) = packet.transport else { panic!("not ICMPv6") };
    let (mut rest, mut options) = (&icmp.slice()[16..], Vec::new());
    while let [kind, units, ..] = *rest {
        let (option, after) = rest.split_at(usize::from(units) * 8);
        options.push((kind, option[2..].to_vec()));
        rest = after;
    }
    (icmp.slice()[5], options)
}

/// The options of one type.
fn options(router: &Router, kind: u8) -> Vec<Vec<u8>> {
    let all = told(router).1.into_iter();
    all.filter_map(|(other, data)| (other == kind).then_some(data)).collect()
}

#[test]
fn linux_is_told_all_that_a_router_knows() {
    check(&bytes(LINUX), Some(&bytes(LINUX_ANSWER)));
}

#[test]
fn who_has_no_address_yet_is_answered_with_all() {
    let answer = router_advertisement(&solicitation(Ipv6Addr::UNSPECIFIED, 255, &[]), &router());
    assert_eq!(answer, unsolicited(&router()));
}

#[test]
fn the_answer_stays_in_its_vlan() {
    check(&tagged(&bytes(LINUX), &[7]), Some(&tagged(&bytes(LINUX_ANSWER), &[7])));
}

#[test]
fn each_rule_for_a_valid_solicitation_is_kept() {
    let source_option = [1, 1, 2, 0, 0, 0, 0, 1];
    check(&solicitation(ASKER_IPV6, 254, &[]), None);
    check(&solicitation(ALL_NODES, 255, &[]), None);
    check(&solicitation(Ipv6Addr::UNSPECIFIED, 255, &source_option), None);
    check(&solicitation(ASKER_IPV6, 255, &[14, 0, 0, 0, 0, 0, 0, 0]), None);
    let frame = bytes(LINUX);
    // Checksum; code; source of the frame.
    check(&with(frame.clone(), 56, &[0, 0]), None);
    check(&with(frame.clone(), 55, &[1, 0x7b, 0x2b]), None);
    check(&with(frame.clone(), 6, &[0x33]), None);
    (0..frame.len()).for_each(|size| check(&frame[..size], None));
    check(&icmpv6(ASKER_IPV6, OTHER_IPV6, 255, Icmpv6Type::EchoRequest(ECHO), &[]), None);
}

#[test]
fn flags_say_what_dhcp_gives() {
    for (is_managed, has_other, expected) in [(false, false, 0), (false, true, 0x40), (true, false, 0x80)] {
        assert_eq!(told(&Router { is_managed, has_other, ..router() }).0, expected);
    }
}

#[test]
fn flags_of_a_prefix_say_who_may_use_it_how() {
    let [prefix] = router().prefixes[..] else { panic!("one prefix") };
    for (is_on_link, is_autonomous, expected) in [(false, false, 0), (false, true, 0x40), (true, false, 0x80)]
    {
        let router = Router { prefixes: vec![Prefix { is_on_link, is_autonomous, ..prefix }], ..router() };
        assert_eq!(options(&router, 3)[0][..2], [64, expected]);
    }
}

#[test]
fn a_prefix_is_not_preferred_longer_than_it_is_valid_and_may_last_for_ever() {
    let [prefix] = router().prefixes[..] else { panic!("one prefix") };
    let ever = Prefix { valid: Duration::MAX, preferred: Duration::MAX, ..prefix };
    let longer = Prefix { valid: Duration::from_secs(5), preferred: Duration::from_secs(6), ..prefix };
    let told = options(&Router { prefixes: vec![ever, longer], ..router() }, 3);
    assert_eq!((&told[0][2..10], &told[1][2..10]), (&[0xff; 8][..], &[0, 0, 0, 5, 0, 0, 0, 5][..]));
}

#[test]
fn a_route_takes_as_much_room_as_its_length_needs() {
    let preferences = [(Preference::Low, 0x18), (Preference::Medium, 0), (Preference::High, 8)];
    for (prefix, size) in [("::/0", 6), ("fd00::/64", 14), ("fd00::/65", 22), ("fd00::1/128", 22)] {
        for (preference, bits) in preferences {
            let prefix = prefix.parse().expect("a prefix");
            let route = Route { prefix, preference, lifetime: Duration::ZERO };
            let [told] = &options(&Router { routes: vec![route], ..router() }, 24)[..] else { panic!("one") };
            assert_eq!((told.len(), &told[..2]), (size, &[prefix.prefix_len(), bits][..]));
        }
    }
}

#[test]
fn what_a_router_does_not_know_it_does_not_tell() {
    let router =
        Router { mtu: None, prefixes: vec![], routes: vec![], dns: vec![], search: vec![], ..router() };
    let kinds: Vec<_> = told(&router).1.into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds, [1]);
}

#[test]
fn what_does_not_fit_is_left_out_the_least_needed_first() {
    let Router { dns, prefixes, routes, .. } = router();
    let router = Router { dns: dns.repeat(100), routes: routes.repeat(100), ..router() };
    assert_eq!(options(&router, 25), [[&[0, 0, 0, 0, 3, 0x84][..], &dns[0].octets().repeat(8)].concat()]);
    assert!(!options(&router, 24).is_empty());
    let router = Router { prefixes: prefixes.repeat(100), ..router };
    assert_eq!(options(&router, 3).len(), 37);
    assert!(options(&router, 25).is_empty());
}

proptest! {
    #[test]
    fn whatever_asks_an_answer_is_sound_and_bounded(
        options in proptest::collection::vec(0..6_u8, 0..40),
        at in 14..70_usize,
        value: u8,
    ) {
        let frame = solicitation(ASKER_IPV6, 255, &options);
        for frame in [with(frame.clone(), at.min(frame.len() - 1), &[value]), frame] {
            if let Some(answer) = router_advertisement(&frame, &router()) {
                read(&answer);
                prop_assert!(answer.len() <= 14 + 1280);
                prop_assert_eq!(router_advertisement(&answer, &router()), None);
            }
        }
    }
}
