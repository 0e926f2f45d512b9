//! What a guest may ask of its host, counted while the switch's clock stands still: a meter lets through what may come
//! at once, and not one more.

use std::net::Ipv4Addr;

use dataplane::Purpose;
use dataplane::layout::PORT_QUESTIONS_AT_ONCE;
use etherparse::PacketBuilder;
use serde_json::json;
use topology::MacAddr;

use crate::frames::*;
use crate::network::guest;
use crate::plan::Plan;
use crate::world::World;

/// As many questions as may come at once.
const LIMIT: usize = PORT_QUESTIONS_AT_ONCE as usize;

/// How many more are asked.
const EXCESS: usize = 50;

/// Numbers of the leg of a router, and of the two by which it reaches another.
const LEG: u8 = 0xf0;
const BEYOND: [u8; 2] = [0xf1, 0xf2];

/// An address of the other router, in a network behind it.
const FAR: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 1);

/// Guests 1 and 2 in a network with a DHCP server and a router; two legs of it lead to another.
fn world() -> World {
    let leg = |id: &str, network: &str, number: u8, address: Ipv4Addr| {
        json!({"uuid": id, "mode": "simulated", "enable_routing": true, "network_uuid": network,
            "mac_address": MacAddr(mac(number)).to_string(), "ipv4_address": address})
    };
    let route = |leg: &str, network: &str, link: &str, prefix: &str| json!({"interface_uuid": leg, "network_uuid": network, "route_link_uuid": link, "ipv4_network": prefix});
    let mut beyond = route("if-leg", "nw-a", "rl-1", "10.9.0.0");
    beyond["next_hops"] = json!(BEYOND.map(ipv4));
    let mut from_half = route("if-near2", "nw-a", "rl-2", "10.0.0.0");
    from_half["ipv4_prefix"] = json!(25);
    let plan = Plan::host()
        .with_network("nw-a")
        .with("networks", json!({"uuid": "nw-b", "ipv4_network": "10.9.0.0"}))
        .with("interfaces", leg("if-leg", "nw-a", LEG, ipv4(LEG)))
        .with("interfaces", leg("if-near1", "nw-a", BEYOND[0], ipv4(BEYOND[0])))
        .with("interfaces", leg("if-near2", "nw-a", BEYOND[1], ipv4(BEYOND[1])))
        .with("interfaces", leg("if-far", "nw-b", BEYOND[1] + 1, FAR))
        .with("network_services", json!({"mode": "dhcp", "interface_uuid": "if-leg"}))
        .with("route_links", json!({"uuid": "rl-1"}))
        .with("route_links", json!({"uuid": "rl-2"}))
        .with("routes", route("if-leg", "nw-a", "rl-1", "10.0.0.0"))
        .with("routes", beyond)
        .with("routes", route("if-near1", "nw-a", "rl-2", "10.0.0.0"))
        .with("routes", from_half)
        .with("routes", route("if-far", "nw-b", "rl-2", "10.9.0.0"));
    let guests = [("if-1", 1), ("if-2", 2)].into_iter();
    World::new(guests.fold(plan, |plan, (id, number)| plan.with_interface(0, guest(id, "nw-a", number))))
}

fn echo(from: u8, ttl: u8, to: Ipv4Addr) -> Vec<u8> {
    let mut frame = Vec::new();
    let packet = PacketBuilder::ethernet2(mac(from), mac(LEG)).ipv4(ipv4(from).octets(), to.octets(), ttl);
    packet.icmpv4_echo_request(1, 2).write(&mut frame, &[7; 16]).expect("it fits");
    frame
}

/// Checks that of too many questions exactly those are answered that may come at once, and that this costs a neighbour
/// nothing.
#[track_caller]
fn check(question: impl Fn(u8) -> Vec<u8>) {
    let mut world = world();
    world.stop_clock("if-1");
    let questions: Vec<_> = (0..LIMIT + EXCESS).map(|_| question(1)).collect();
    assert_eq!(world.flood("if-1", &questions).answers(), LIMIT);
    assert_eq!(world.send("if-2", &question(2)).answers(), 1);
}

#[test]
fn arp_is_answered_within_the_limit() {
    check(|from| who_has(from, ipv4(from), ipv4(LEG)));
}

/// What is looked at only behind the meter may vary: the host does no more for it.
#[test]
fn a_scan_for_unknown_addresses_is_looked_at_within_the_limit() {
    let mut world = world();
    world.stop_clock("if-1");
    let targets =
        (0..LIMIT + EXCESS).map(|number| Ipv4Addr::from(u32::from(ipv4(0)) + 0x100 + number as u32));
    let questions: Vec<_> = targets.map(|target| who_has(1, ipv4(1), target)).collect();
    assert_eq!(world.flood("if-1", &questions).answers(), 0);
    assert_eq!(world.drops(0)[&Purpose::Unresolved], u64::from(PORT_QUESTIONS_AT_ONCE));
}

#[test]
fn neighbour_discovery_is_answered_within_the_limit() {
    check(|from| solicitation(from, ipv6(from), ipv6(3 - from), &source_option(mac(from))));
}

#[test]
fn echo_to_a_router_is_answered_within_the_limit() {
    check(|from| echo(from, 64, ipv4(LEG)));
}

/// A group of next hops has the packet looked up again, too.
#[test]
fn echo_to_a_router_behind_a_shared_route_is_answered_within_the_limit() {
    check(|from| echo(from, 64, FAR));
}

#[test]
fn dhcp_is_answered_within_the_limit() {
    check(dhcp);
}

#[test]
fn a_packet_without_hops_is_answered_for_within_the_limit() {
    check(|from| echo(from, 1, ipv4(9)));
}

/// A rate in kilobits per second. With no time passing, only a burst gets through: 1,000 kbit.
const RATE: u32 = 10_000;

/// Bytes of a datagram that makes a frame of 10 kbit, and how many frames are a burst.
const SIZE: usize = 1_250 - 42;
const BURST: usize = 100;

/// Guest 1 sends more than it may, or guest 2 gets more than it may; a third one is in the same network.
fn rated(sender: serde_json::Value, receiver: serde_json::Value) -> World {
    let limited = |id: &str, number: u8, limits: serde_json::Value| {
        let mut guest = guest(id, "nw-a", number);
        guest.as_object_mut().expect("an object").extend(limits.as_object().expect("an object").clone());
        guest
    };
    let plan = Plan::host().with_network("nw-a").with_interface(0, limited("if-1", 1, sender));
    let plan = plan.with_interface(0, limited("if-2", 2, receiver));
    let world = World::new(plan.with_interface(0, guest("if-3", "nw-a", 3)));
    world.stop_clock("if-1");
    world
}

/// The frames that each guest gets of many to one of them or to all.
fn received(world: &mut World, to: Mac, count: usize) -> [usize; 3] {
    let address = if to == BROADCAST { Ipv4Addr::BROADCAST } else { ipv4(2) };
    let frame = udp_of(SIZE, (mac(1), ipv4(1)), (to, address));
    let received = world.flood("if-1", &vec![frame; count]).received;
    ["if-1", "if-2", "if-3"].map(|id| received.iter().filter(|(port, _)| port == id).count())
}

#[test]
fn an_interface_sends_no_more_than_it_may() {
    let mut world = rated(json!({"max_egress_kbps": RATE}), json!({}));
    assert_eq!(received(&mut world, mac(2), BURST + EXCESS), [0, BURST, 0]);
}

/// What one may not get, others of the network do.
#[test]
fn an_interface_receives_no_more_than_it_may() {
    let mut world = rated(json!({}), json!({"max_ingress_kbps": RATE}));
    let [_, limited, other] = received(&mut world, BROADCAST, BURST + EXCESS);
    assert_eq!((limited, other), (BURST, BURST + EXCESS));
    assert_eq!(received(&mut world, mac(2), 1), [0, 0, 0]);
}

#[test]
fn all_ip_packets_of_an_interface_carry_its_code_point() {
    let mut world = rated(json!({"dscp": 46}), json!({}));
    let (four, six) = (udp(1, 2), udp6(1, 2));
    let (mut marked_four, mut marked_six) = (four.clone(), six.clone());
    // The 6 high bits of the second byte; the header's checksum follows (RFC 1624).
    marked_four[15] = 46 << 2;
    let sum = u16::from_be_bytes([four[24], four[25]]);
    marked_four[24..26].copy_from_slice(&sum.wrapping_sub(46 << 2).to_be_bytes());
    // 8 bits across the first two bytes, of which 2 are for congestion.
    marked_six[14..16].copy_from_slice(&(0x6000_u16 | 46 << 6).to_be_bytes());
    world.check("if-1", &four, &[("if-2", &marked_four)]);
    world.check("if-1", &six, &[("if-2", &marked_six)]);
    let plain = udp(3, 2);
    world.check("if-3", &plain, &[("if-2", &plain)]);
}
