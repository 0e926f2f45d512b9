//! Packets through routers.
//!
//! Networks `nw-a` (10.0.1.0/24, fd00:1::/64), `nw-b` (10.0.2.0/24, fd00:2::/64) and `nw-c` (10.0.3.0/24): one router joins a
//! and b, another b and c.

use std::net::{Ipv4Addr, Ipv6Addr};

use dataplane::Purpose;
use dataplane::layout::Question;
use etherparse::PacketBuilder;
use serde_json::{Value, json};
use topology::MacAddr;
use topology::datapath::Encapsulation::{Geneve, Vxlan};

use crate::frames::{Mac, mac, solicitation, who_has};
use crate::plan::Plan;
use crate::world::World;

/// MAC addresses of the legs: in a, b and c of the one router and the other.
pub(crate) const LEG_A: u8 = 0xa1;
pub(crate) const LEG_B: u8 = 0xb1;
const OTHER_B: u8 = 0xb2;
const OTHER_C: u8 = 0xc2;

pub(crate) fn v4(network: u8, number: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, network, number)
}

pub(crate) fn v6(network: u8, number: u8) -> Ipv6Addr {
    Ipv6Addr::new(0xfd00, u16::from(network), 0, 0, 0, 0, 0, u16::from(number))
}

pub(crate) fn network(number: u8) -> String {
    format!("nw-{}", char::from(b'a' + number - 1))
}

pub(crate) fn guest(network_number: u8, number: u8) -> Value {
    let network = network(network_number);
    json!({"uuid": format!("if-{}{number}", &network[3..]), "network_uuid": network,
        "mac_address": MacAddr(mac(16 * network_number + number)).to_string(),
        "ipv4_address": v4(network_number, number), "ipv6_address": v6(network_number, number)})
}

pub(crate) fn leg(plan: Plan, id: &str, network_number: u8, last: u8, mac_number: u8) -> Plan {
    plan.with(
        "interfaces",
        json!({"uuid": id, "mode": "simulated", "enable_routing": true,
        "network_uuid": network(network_number), "mac_address": MacAddr(mac(mac_number)).to_string(),
        "ipv4_address": v4(network_number, last), "ipv6_address": v6(network_number, last)}),
    )
}

pub(crate) fn route(plan: Plan, leg: &str, leg_network: u8, link: &str, prefix: Value) -> Plan {
    let mut attributes =
        json!({"interface_uuid": leg, "network_uuid": network(leg_network), "route_link_uuid": link});
    attributes.as_object_mut().expect("an object").extend(prefix.as_object().expect("an object").clone());
    plan.with("routes", attributes)
}

pub(crate) fn on_link(plan: Plan, id: &str, network_number: u8, link: &str) -> Plan {
    let plan = route(plan, id, network_number, link, json!({"ipv4_network": v4(network_number, 0)}));
    route(plan, id, network_number, link, json!({"ipv6_network": v6(network_number, 0)}))
}

/// Guests `if-a1`, `if-b1`, `if-b2` and `if-c1`, with the last of them on host 1 if there is one.
pub(crate) fn plan(plan: Plan) -> Plan {
    let last = *plan.all_hosts().last().expect("a host");
    let networks = [1, 2, 3].into_iter().fold(plan, |plan, number| {
        plan.with(
            "networks",
            json!({"uuid": network(number), "ipv4_network": v4(number, 0), "ipv6_network": v6(number, 0)}),
        )
    });
    let plan = leg(leg(networks, "if-lega", 1, 254, LEG_A), "if-legb", 2, 254, LEG_B);
    let plan = leg(leg(plan, "if-otherb", 2, 253, OTHER_B), "if-otherc", 3, 254, OTHER_C);
    let plan = plan.with("route_links", json!({"uuid": "rl-1"})).with("route_links", json!({"uuid": "rl-2"}));
    let plan = on_link(on_link(plan, "if-lega", 1, "rl-1"), "if-legb", 2, "rl-1");
    let plan = on_link(on_link(plan, "if-otherb", 2, "rl-2"), "if-otherc", 3, "rl-2");
    let guests =
        [guest(1, 1), guest(2, 1)].into_iter().fold(plan, |plan, guest| plan.with_interface(0, guest));
    [guest(2, 2), guest(3, 1)].into_iter().fold(guests, |plan, guest| plan.with_interface(last, guest))
}

/// By what way, and with how many hops left, a datagram goes.
#[derive(Clone, Copy)]
pub(crate) struct Way {
    pub(crate) from: Mac,
    pub(crate) to: Mac,
    pub(crate) ttl: u8,
}

pub(crate) const fn way(from: u8, to: u8, ttl: u8) -> Way {
    Way { from: mac(from), to: mac(to), ttl }
}

pub(crate) fn udp4(way: Way, from: Ipv4Addr, to: Ipv4Addr) -> Vec<u8> {
    let mut frame = Vec::new();
    let packet = PacketBuilder::ethernet2(way.from, way.to).ipv4(from.octets(), to.octets(), way.ttl);
    packet.udp(1000, 2000).write(&mut frame, &[7; 16]).expect("it fits");
    frame
}

pub(crate) fn udp6(way: Way, from: Ipv6Addr, to: Ipv6Addr) -> Vec<u8> {
    let mut frame = Vec::new();
    let packet = PacketBuilder::ethernet2(way.from, way.to).ipv6(from.octets(), to.octets(), way.ttl);
    packet.udp(1000, 2000).write(&mut frame, &[7; 16]).expect("it fits");
    frame
}

pub(crate) fn echo4(way: Way, from: Ipv4Addr, to: Ipv4Addr, is_reply: bool) -> Vec<u8> {
    let mut frame = Vec::new();
    let packet = PacketBuilder::ethernet2(way.from, way.to).ipv4(from.octets(), to.octets(), way.ttl);
    let packet = if is_reply { packet.icmpv4_echo_reply(1, 2) } else { packet.icmpv4_echo_request(1, 2) };
    packet.write(&mut frame, &[7; 16]).expect("it fits");
    frame
}

pub(crate) fn echo6(way: Way, from: Ipv6Addr, to: Ipv6Addr, is_reply: bool) -> Vec<u8> {
    let mut frame = Vec::new();
    let packet = PacketBuilder::ethernet2(way.from, way.to).ipv6(from.octets(), to.octets(), way.ttl);
    let packet = if is_reply { packet.icmpv6_echo_reply(1, 2) } else { packet.icmpv6_echo_request(1, 2) };
    packet.write(&mut frame, &[7; 16]).expect("it fits");
    frame
}

/// One guest's own MAC address.
pub(crate) const fn own(network: u8, number: u8) -> u8 {
    16 * network + number
}

fn check_neighbours(mut world: World) {
    let (sent, got) = (way(own(1, 1), LEG_A, 64), way(LEG_B, own(2, 2), 63));
    world.check("if-a1", &udp4(sent, v4(1, 1), v4(2, 2)), &[("if-b2", &udp4(got, v4(1, 1), v4(2, 2)))]);
    world.check("if-a1", &udp6(sent, v6(1, 1), v6(2, 2)), &[("if-b2", &udp6(got, v6(1, 1), v6(2, 2)))]);
    let (sent, got) = (way(own(2, 2), LEG_B, 64), way(LEG_A, own(1, 1), 63));
    world.check("if-b2", &udp4(sent, v4(2, 2), v4(1, 1)), &[("if-a1", &udp4(got, v4(2, 2), v4(1, 1)))]);
    world.check("if-b2", &udp6(sent, v6(2, 2), v6(1, 1)), &[("if-a1", &udp6(got, v6(2, 2), v6(1, 1)))]);
}

#[test]
fn a_router_takes_packets_from_network_to_network_one_hop_the_less() {
    check_neighbours(World::new(plan(Plan::host())));
}

#[test]
fn packets_are_routed_where_they_start_and_cross_hosts_once() {
    check_neighbours(World::new(plan(Plan::hosts(&[Geneve, Geneve]))));
    check_neighbours(World::new(plan(Plan::hosts(&[Vxlan, Geneve]))));
    let mut world = World::new(plan(Plan::hosts(&[Geneve, Geneve])));
    let frame = udp4(way(own(1, 1), LEG_A, 64), v4(1, 1), v4(2, 2));
    assert_eq!(world.send("if-a1", &frame).wire.len(), 1);
}

#[test]
fn a_packet_passes_one_router_after_another() {
    let plan = plan(Plan::hosts(&[Geneve, Geneve]));
    let plan =
        route(plan, "if-legb", 2, "rl-1", json!({"ipv4_network": "10.0.3.0", "next_hops": ["10.0.2.253"]}));
    let plan =
        route(plan, "if-otherb", 2, "rl-2", json!({"ipv4_network": "10.0.1.0", "next_hops": [v4(2, 254)]}));
    let mut world = World::new(plan);
    let (sent, got) = (way(own(1, 1), LEG_A, 64), way(OTHER_C, own(3, 1), 62));
    world.check("if-a1", &udp4(sent, v4(1, 1), v4(3, 1)), &[("if-c1", &udp4(got, v4(1, 1), v4(3, 1)))]);
    // The far leg answers, and its answer comes back through both.
    let echo = echo4(way(own(1, 1), LEG_A, 64), v4(1, 1), v4(3, 254), false);
    let reply = echo4(way(LEG_A, own(1, 1), 63), v4(3, 254), v4(1, 1), true);
    world.check("if-a1", &echo, &[("if-a1", &reply)]);
}

#[test]
fn legs_answer_resolution_and_echo_whichever_leg_is_asked() {
    let mut world = World::new(plan(Plan::hosts(&[Geneve, Geneve])));
    let asked = who_has(own(1, 1), v4(1, 1), v4(1, 254));
    let told = crate::frames::is_at(LEG_A, v4(1, 254), own(1, 1), v4(1, 1));
    world.check("if-a1", &asked, &[("if-a1", &told)]);
    let options = crate::frames::source_option(mac(own(1, 1)));
    let told = crate::frames::router_is_at(LEG_A, own(1, 1), v6(1, 254), v6(1, 1));
    world.check("if-a1", &solicitation(own(1, 1), v6(1, 1), v6(1, 254), &options), &[("if-a1", &told)]);
    let (asks, answers) = (way(own(1, 1), LEG_A, 64), way(LEG_A, own(1, 1), 64));
    for leg in [1, 2] {
        let (echo, reply) =
            (echo4(asks, v4(1, 1), v4(leg, 254), false), echo4(answers, v4(leg, 254), v4(1, 1), true));
        world.check("if-a1", &echo, &[("if-a1", &reply)]);
        let (echo, reply) =
            (echo6(asks, v6(1, 1), v6(leg, 254), false), echo6(answers, v6(leg, 254), v6(1, 1), true));
        world.check("if-a1", &echo, &[("if-a1", &reply)]);
    }
    // The last hop is enough to reach the router itself.
    let last = way(own(1, 1), LEG_A, 1);
    let reply = echo4(answers, v4(2, 254), v4(1, 1), true);
    world.check("if-a1", &echo4(last, v4(1, 1), v4(2, 254), false), &[("if-a1", &reply)]);
}

#[test]
fn what_cannot_go_on_is_the_agents_to_tell() {
    let mut world = World::new(plan(Plan::host()));
    let from = |ttl| way(own(1, 1), LEG_A, ttl);
    let mut check = |ttl, to: Ipv4Addr, question| {
        let outcome = world.send("if-a1", &udp4(from(ttl), v4(1, 1), to));
        assert!(outcome.received.is_empty(), "{to}");
        let asked: Vec<_> =
            outcome.questions.iter().map(|asked| Question::of_userdata(&asked.userdata)).collect();
        assert_eq!(asked, [Some(question)], "{to}");
    };
    check(1, v4(2, 1), Question::TimeExceeded);
    check(64, v4(2, 77), Question::HostUnreachable);
    check(64, v4(9, 1), Question::NoRoute);
    check(64, v4(1, 254), Question::PortUnreachable);
    // A router passes nothing on that is for one wire only.
    for to in
        [Ipv4Addr::new(169, 254, 1, 1), Ipv4Addr::BROADCAST, Ipv4Addr::new(224, 0, 0, 5), Ipv4Addr::LOCALHOST]
    {
        world.check_dropped("if-a1", &udp4(from(64), v4(1, 1), to), Purpose::NotForwarded);
    }
}

#[test]
fn the_longest_prefix_counts() {
    let plan = plan(Plan::host());
    let plan = route(
        plan,
        "if-legb",
        2,
        "rl-1",
        json!({"ipv4_network": "0.0.0.0", "ipv4_prefix": 0, "next_hops": [v4(2, 1)]}),
    );
    let plan = route(
        plan,
        "if-legb",
        2,
        "rl-1",
        json!({"ipv4_network": "172.16.0.0", "ipv4_prefix": 12, "next_hops": [v4(2, 2)]}),
    );
    let mut world = World::new(plan);
    let mut check = |to: Ipv4Addr, hop: u8| {
        let (sent, got) = (way(own(1, 1), LEG_A, 64), way(LEG_B, own(2, hop), 63));
        let port = format!("if-b{hop}");
        world.check("if-a1", &udp4(sent, v4(1, 1), to), &[(&port, &udp4(got, v4(1, 1), to))]);
    };
    check(Ipv4Addr::new(192, 0, 2, 1), 1);
    check(Ipv4Addr::new(172, 31, 255, 255), 2);
    check(Ipv4Addr::new(172, 32, 0, 0), 1);
}

#[test]
fn several_next_hops_share_connections_and_keep_to_them() {
    let plan = plan(Plan::hosts(&[Geneve, Geneve]));
    let hops = json!({"ipv4_network": "172.16.0.0", "ipv4_prefix": 12, "next_hops": [v4(2, 1), v4(2, 2)]});
    let mut world = World::new(route(plan, "if-legb", 2, "rl-1", hops));
    let mut taken = std::collections::BTreeSet::new();
    for number in 0..32 {
        let to = Ipv4Addr::new(172, 16, 7, number);
        let mut ways = [0; 2].map(|_| {
            let outcome = world.send("if-a1", &udp4(way(own(1, 1), LEG_A, 64), v4(1, 1), to));
            let [(port, _)] = &outcome.received[..] else {
                panic!("{to}: {} copies", outcome.received.len())
            };
            port.clone()
        });
        ways.sort();
        assert_eq!(ways[0], ways[1], "{to}");
        taken.extend(ways);
    }
    assert_eq!(taken.into_iter().collect::<Vec<_>>(), ["if-b1", "if-b2"]);
}

#[test]
fn a_guest_that_routes_speaks_for_those_behind_it_and_nobody_else_does() {
    let plan = plan(Plan::host()).with_interface(0, {
        let mut router = guest(2, 3);
        router["enable_routing"] = true.into();
        router
    });
    let behind = json!({"ipv4_network": "172.16.0.0", "ipv4_prefix": 12, "next_hops": [v4(2, 3)]});
    let mut world = World::new(route(plan, "if-legb", 2, "rl-1", behind));
    let far = Ipv4Addr::new(172, 16, 0, 9);
    let (sent, got) = (way(own(2, 3), LEG_B, 60), way(LEG_A, own(1, 1), 59));
    world.check("if-b3", &udp4(sent, far, v4(1, 1)), &[("if-a1", &udp4(got, far, v4(1, 1)))]);
    world.check_dropped("if-b3", &udp4(sent, Ipv4Addr::new(172, 32, 0, 9), v4(1, 1)), Purpose::SourceAddress);
    world.check_dropped("if-b1", &udp4(way(own(2, 1), LEG_B, 60), far, v4(1, 1)), Purpose::SourceAddress);
}

#[test]
fn a_router_takes_packets_only_from_its_legs_prefixes() {
    let plan = [1, 2].into_iter().fold(Plan::host(), |plan, number| {
        plan.with(
            "networks",
            json!({"uuid": network(number), "ipv4_network": v4(number, 0), "ipv6_network": v6(number, 0)}),
        )
    });
    let plan = leg(leg(plan, "if-lega", 1, 254, LEG_A), "if-legb", 2, 254, LEG_B)
        .with("route_links", json!({"uuid": "rl-1"}));
    // Out to a, and not in from it.
    let plan = route(plan, "if-lega", 1, "rl-1", json!({"ipv4_network": v4(1, 0), "ingress": false}));
    let plan = route(plan, "if-legb", 2, "rl-1", json!({"ipv4_network": v4(2, 0)}));
    let mut world = World::new(plan.with_interface(0, guest(1, 1)).with_interface(0, guest(2, 1)));
    let (sent, got) = (way(own(2, 1), LEG_B, 64), way(LEG_A, own(1, 1), 63));
    world.check("if-b1", &udp4(sent, v4(2, 1), v4(1, 1)), &[("if-a1", &udp4(got, v4(2, 1), v4(1, 1)))]);
    world.check_dropped("if-a1", &udp4(way(own(1, 1), LEG_A, 64), v4(1, 1), v4(2, 1)), Purpose::NotRouted);
}

#[test]
fn a_leg_with_an_owner_is_on_its_host_alone_and_serves_all() {
    let plan = plan(Plan::hosts(&[Geneve, Geneve]));
    let plan = plan.with(
        "interfaces",
        json!({"uuid": "if-own", "mode": "simulated", "owner_datapath_uuid": "dp-host1",
        "network_uuid": "nw-a", "mac_address": MacAddr(mac(0xa9)).to_string(), "ipv4_address": v4(1, 9)}),
    );
    let mut world = World::new(plan);
    let (asks, answers) = (way(own(1, 1), 0xa9, 64), way(0xa9, own(1, 1), 64));
    let echo = echo4(asks, v4(1, 1), v4(1, 9), false);
    let wire = world.check("if-a1", &echo, &[("if-a1", &echo4(answers, v4(1, 9), v4(1, 1), true))]);
    assert_eq!(wire.len(), 2, "there and back");
}

#[test]
fn a_segments_router_answers_for_itself_and_routes() {
    let plan = Plan::hosts(&[Geneve, Geneve]).with_segment("seg-a");
    let plan = plan.with(
        "networks",
        json!({"uuid": "nw-a", "ipv4_network": v4(1, 0), "ipv6_network": v6(1, 0), "segment_uuid": "seg-a"}),
    );
    let plan =
        plan.with("networks", json!({"uuid": "nw-b", "ipv4_network": v4(2, 0), "ipv6_network": v6(2, 0)}));
    let plan = leg(leg(plan, "if-lega", 1, 254, LEG_A), "if-legb", 2, 254, LEG_B)
        .with("route_links", json!({"uuid": "rl-1"}));
    let plan = on_link(on_link(plan, "if-lega", 1, "rl-1"), "if-legb", 2, "rl-1");
    let plan = plan.with_interface(0, guest(1, 1)).with_interface(0, guest(2, 1));
    let mut world = World::new(plan.with_interface(1, guest(1, 2)).with_interface(1, guest(2, 2)));
    let asked = who_has(own(1, 1), v4(1, 1), v4(1, 254));
    let told = crate::frames::is_at(LEG_A, v4(1, 254), own(1, 1), v4(1, 1));
    let wire = world.check("if-a1", &asked, &[("if-a1", &told)]);
    assert!(wire.is_empty(), "nobody else hears it");
    let options = crate::frames::source_option(mac(own(1, 1)));
    let told = crate::frames::router_is_at(LEG_A, own(1, 1), v6(1, 254), v6(1, 1));
    world.check("if-a1", &solicitation(own(1, 1), v6(1, 1), v6(1, 254), &options), &[("if-a1", &told)]);
    check_neighbours(world);
}
