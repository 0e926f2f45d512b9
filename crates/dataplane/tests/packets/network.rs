//! Packets within networks on one host.

use dataplane::Purpose;
use serde_json::{Value, json};

use crate::frames::*;
use crate::plan::Plan;
use crate::world::World;

/// An interface in a network with the addresses of a guest.
pub(crate) fn guest(id: &str, network: &str, number: u8) -> Value {
    json!({"uuid": id, "network_uuid": network, "mac_address": topology::MacAddr(mac(number)).to_string(),
        "ipv4_address": ipv4(number), "ipv6_address": ipv6(number)})
}

/// Where an Ethernet frame has flags and fragment offset of an IPv4 packet.
const IPV4_FLAGS: std::ops::Range<usize> = 20..22;

/// A network with guests 1, 2 and 3, and another with 1 and 2.
fn two_networks() -> World {
    let plan = Plan::host().with_network("nw-a").with_network("nw-b");
    let plan = plan.with_interface(0, guest("if-a1", "nw-a", 1)).with_interface(0, guest("if-a2", "nw-a", 2));
    let plan = plan.with_interface(0, guest("if-a3", "nw-a", 3));
    let plan = plan.with_interface(0, guest("if-b1", "nw-b", 1)).with_interface(0, guest("if-b2", "nw-b", 2));
    World::new(plan)
}

#[test]
fn a_packet_reaches_who_has_the_address_and_nobody_else() {
    let mut world = two_networks();
    for frame in [udp(1, 2), udp6(1, 2)] {
        world.check("if-a1", &frame, &[("if-a2", &frame)]);
    }
    for frame in [udp(2, 1), udp6(2, 1)] {
        world.check("if-a2", &frame, &[("if-a1", &frame)]);
    }
}

#[test]
fn equal_addresses_in_two_networks_never_mix() {
    let mut world = two_networks();
    for frame in [udp(1, 2), udp6(1, 2)] {
        world.check("if-b1", &frame, &[("if-b2", &frame)]);
        world.check("if-a1", &frame, &[("if-a2", &frame)]);
    }
    // Nobody has guest 3's address in the other network.
    world.check_dropped("if-b1", &udp(1, 3), Purpose::UnknownDestination);
}

#[test]
fn a_broadcast_reaches_the_members_of_its_network() {
    let mut world = two_networks();
    let frame = udp_to_all(1);
    world.check("if-a1", &frame, &[("if-a2", &frame), ("if-a3", &frame)]);
    world.check("if-b1", &frame, &[("if-b2", &frame)]);
}

#[test]
fn a_dhcp_client_may_ask_before_it_has_an_address() {
    let mut world = two_networks();
    let frame = dhcp(2);
    world.check("if-b2", &frame, &[("if-b1", &frame)]);
}

#[test]
fn fragments_go_where_whole_packets_go() {
    let mut world = two_networks();
    // More fragments; and an offset of 8 bytes, the last one.
    for flags in [[0x20, 0], [0, 1]] {
        let mut frame = udp(1, 2);
        frame[IPV4_FLAGS].copy_from_slice(&flags);
        world.check("if-a1", &frame, &[("if-a2", &frame)]);
    }
    for flags in [[0, 1], [0, 8]] {
        let whole = udp6(1, 2);
        let header = [&[17, 0][..], &flags, &[0, 0, 0, 1]].concat();
        let mut frame = [&whole[..IPV6_END], &header, &whole[IPV6_END..]].concat();
        frame[IPV6_LENGTH] += 8;
        frame[IPV6_NEXT] = 44;
        world.check("if-a1", &frame, &[("if-a2", &frame)]);
    }
}
