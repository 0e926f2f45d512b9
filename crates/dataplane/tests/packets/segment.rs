//! In segments any IP address may live behind a leased MAC address, and address resolution is the guests' own.

use std::net::Ipv6Addr;

use dataplane::Purpose;
use serde_json::{Value, json};

use crate::frames::*;
use crate::plan::Plan;
use crate::world::World;

/// An interface in a segment with the MAC address of a guest.
pub(crate) fn member(id: &str, segment: &str, number: u8) -> Value {
    let mac = topology::MacAddr(mac(number)).to_string();
    json!({"uuid": id, "segment_uuid": segment, "mac_address": mac})
}

/// A segment with guests 1, 2 and 3, and another with 2.
fn segments() -> World {
    let plan = Plan::host().with_segment("seg-a").with_segment("seg-b");
    let plan = plan.with_interface(0, member("if-1", "seg-a", 1));
    let plan = plan.with_interface(0, member("if-2", "seg-a", 2));
    let plan = plan.with_interface(0, member("if-3", "seg-a", 3));
    World::new(plan.with_interface(0, member("if-other", "seg-b", 2)))
}

#[test]
fn any_ip_address_may_be_behind_a_leased_mac_address() {
    let mut world = segments();
    let frames = [
        udp_of(8, (mac(1), ipv4(77)), (mac(2), ipv4(88))),
        udp6_of(8, (mac(1), ipv6(77)), (mac(2), ipv6(88))),
    ];
    for frame in frames {
        world.check("if-1", &frame, &[("if-2", &frame)]);
        world.check("if-1", &tagged(&frame), &[("if-2", &tagged(&frame))]);
    }
    world.check_dropped("if-1", &udp(2, 3), Purpose::UnknownSource);
    world.check_dropped("if-1", &udp(1, 9), Purpose::UnknownDestination);
}

#[test]
fn true_address_resolution_reaches_the_segment() {
    let mut world = segments();
    let to_all = [
        who_has(1, ipv4(77), ipv4(88)),
        solicitation(1, ipv6(77), ipv6(88), &source_option(mac(1))),
        solicitation(1, Ipv6Addr::UNSPECIFIED, ipv6(77), &[]),
        to_all_nodes(1, 136, &ipv6(77).octets()),
    ];
    for frame in to_all {
        world.check("if-1", &frame, &[("if-2", &frame), ("if-3", &frame)]);
    }
    let to_one = [is_at(1, ipv4(77), 2, ipv4(88)), advertisement(1, 2, ipv6(77), ipv6(88), mac(1))];
    for frame in to_one {
        world.check("if-1", &frame, &[("if-2", &frame)]);
    }
}

#[test]
fn address_resolution_with_a_false_mac_address_is_dropped() {
    let mut world = segments();
    let lies = [
        arp((mac(1), BROADCAST), 1, (mac(3), ipv4(77)), (NOBODY, ipv4(88))),
        arp((mac(1), mac(2)), 2, (mac(3), ipv4(77)), (mac(2), ipv4(88))),
        solicitation(1, ipv6(77), ipv6(88), &source_option(mac(3))),
        advertisement(1, 2, ipv6(77), ipv6(88), mac(3)),
    ];
    for frame in lies {
        world.check_dropped("if-1", &frame, Purpose::SenderHardware);
        world.check_dropped("if-1", &tagged(&frame), Purpose::SenderHardware);
    }
}

#[test]
fn a_false_mac_address_hides_neither_beside_a_true_one_nor_behind_tags() {
    let mut world = segments();
    let advertisement = advertisement(1, 2, ipv6(77), ipv6(88), mac(3));
    let option = |mac: Mac| [&[2, 1][..], &mac].concat();
    for macs in [[mac(3), mac(1)], [mac(1), mac(3)], [mac(3), mac(3)]] {
        let twice = [&ipv6(77).octets()[..], &option(macs[0]), &option(macs[1])].concat();
        world.check_dropped("if-1", &to_all_nodes(1, 136, &twice), Purpose::SenderHardware);
    }
    for frame in [is_at(3, ipv4(77), 2, ipv4(88)), advertisement] {
        let mut frame = tagged(&tagged(&frame));
        frame[6..12].copy_from_slice(&mac(1));
        world.check_dropped("if-1", &frame, Purpose::Hidden);
        // As provider bridges tag (IEEE 802.1ad).
        frame[16..18].copy_from_slice(&[0x88, 0xa8]);
        world.check_dropped("if-1", &frame, Purpose::Hidden);
    }
}
