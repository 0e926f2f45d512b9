//! A guest in a network sends as itself or not at all, and what is dropped is counted under its reason.

use std::net::{Ipv4Addr, Ipv6Addr};

use dataplane::Purpose;
use serde_json::json;

use crate::frames::*;
use crate::network::guest;
use crate::plan::Plan;
use crate::world::World;

/// ICMPv6 types.
const ROUTER_ADVERTISEMENT: u8 = 134;
const REDIRECT: u8 = 137;
const MLD2_REPORT: u8 = 143;

/// Guests 1 and 2 on one host, the latter a router.
fn pair() -> World {
    let mut router = guest("if-2", "nw-a", 2);
    router["enable_routing"] = true.into();
    let plan = Plan::host().with_network("nw-a");
    World::new(plan.with_interface(0, guest("if-1", "nw-a", 1)).with_interface(0, router))
}

#[test]
fn a_false_mac_address_is_dropped() {
    let mut world = pair();
    for frame in [udp(2, 1), udp(9, 2), dhcp(9), who_has(9, ipv4(1), ipv4(2))] {
        world.check_dropped("if-1", &frame, Purpose::UnknownSource);
    }
}

#[test]
fn a_false_ip_address_is_dropped() {
    let mut world = pair();
    for source in [ipv4(2), ipv4(9), Ipv4Addr::UNSPECIFIED] {
        let frame = udp_of(8, (mac(1), source), (mac(2), ipv4(2)));
        world.check_dropped("if-1", &frame, Purpose::SourceAddress);
    }
    for source in [ipv6(2), ipv6(9), link_local(2), Ipv6Addr::UNSPECIFIED] {
        let frame = udp6_of(8, (mac(1), source), (mac(2), ipv6(2)));
        world.check_dropped("if-1", &frame, Purpose::SourceAddress);
    }
    let lie = solicitation(1, ipv6(9), ipv6(2), &source_option(mac(1)));
    world.check_dropped("if-1", &lie, Purpose::SourceAddress);
}

#[test]
fn a_link_local_address_may_be_used() {
    let mut world = pair();
    let frame = udp6_of(8, (mac(1), link_local(1)), (mac(2), link_local(2)));
    world.check("if-1", &frame, &[("if-2", &frame)]);
}

#[test]
fn groups_may_be_joined_before_there_is_an_address() {
    let mut world = pair();
    let kind = etherparse::Icmpv6Type::Unknown { type_u8: MLD2_REPORT, code_u8: 0, bytes5to8: [0; 4] };
    let routers = (mac(1), [0x33, 0x33, 0, 0, 0, 0x16]);
    let group = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x16);
    let frame = icmpv6(routers, (Ipv6Addr::UNSPECIFIED, group), kind, &[]);
    world.check("if-1", &frame, &[("if-2", &frame)]);
}

#[test]
fn what_is_tagged_or_neither_ip_nor_arp_is_dropped() {
    let mut world = pair();
    for frame in [udp(1, 2), dhcp(1), who_has(1, ipv4(1), ipv4(2))] {
        world.check_dropped("if-1", &tagged(&frame), Purpose::Tagged);
    }
    let mut other = udp(1, 2);
    // An EtherType for experiments (IEEE 802).
    other[12..14].copy_from_slice(&[0x88, 0xb5]);
    world.check_dropped("if-1", &other, Purpose::SourceAddress);
}

#[test]
fn only_a_router_speaks_as_one() {
    let mut world = pair();
    for kind in [ROUTER_ADVERTISEMENT, REDIRECT] {
        world.check_dropped("if-1", &to_all_nodes(1, kind, &[0; 32]), Purpose::NotRouter);
        let frame = to_all_nodes(2, kind, &[0; 32]);
        world.check("if-2", &frame, &[("if-1", &frame)]);
    }
}

#[test]
fn a_router_advertisement_hides_behind_no_header() {
    let mut world = pair();
    let plain = to_all_nodes(1, ROUTER_ADVERTISEMENT, &[0; 32]);
    // Destination options, and the header of a first fragment (RFC 7113, section 2).
    for (kind, header) in [(60, [58, 0, 1, 4, 0, 0, 0, 0]), (44, [58, 0, 0, 1, 0, 0, 0, 1])] {
        let mut hidden = [&plain[..IPV6_END], &header, &plain[IPV6_END..]].concat();
        hidden[IPV6_LENGTH] += 8;
        hidden[IPV6_NEXT] = kind;
        world.check_dropped("if-1", &hidden, Purpose::NotRouter);
    }
}

#[test]
fn each_of_two_addresses_may_be_used_and_is_found() {
    let plan = Plan::host().with_network("nw-a").with_interface(0, guest("if-1", "nw-a", 1));
    let plan = plan.with_interface(0, guest("if-2", "nw-a", 2));
    let lease = json!({"interface_uuid": "if-1", "network_uuid": "nw-a", "ipv4_address": ipv4(5)});
    let mut world = World::new(plan.with("ip_leases", lease));
    for source in [ipv4(1), ipv4(5)] {
        let frame = udp_of(8, (mac(1), source), (mac(2), ipv4(2)));
        world.check("if-1", &frame, &[("if-2", &frame)]);
    }
    world.check("if-2", &who_has(2, ipv4(2), ipv4(5)), &[("if-2", &is_at(1, ipv4(5), 2, ipv4(2)))]);
}
