//! Packets through translating legs.
//!
//! Inside is `nw-a` (10.0.1.0/24), outside `nw-b` (10.0.2.0/24), and one router joins them. Its leg in `nw-b` has the addresses
//! from 10.0.2.100 on besides its own. Guests `if-a1` and `if-a2` are on the first and the second host, `if-b1` on the
//! last.

use std::net::Ipv4Addr;

use dataplane::Purpose;
use dataplane::layout::Question;
use etherparse::PacketBuilder;
use serde_json::{Value, json};
use topology::datapath::Encapsulation::{self, Geneve, Gre, Vxlan};

use crate::physical;
use crate::plan::Plan;
use crate::routing::{LEG_A, LEG_B, Way, echo4, guest, leg, on_link, own, udp6, v4, v6, way};
use crate::world::World;

/// External addresses of the leg.
const EXTERNALS: std::ops::Range<u8> = 100..104;

pub(crate) fn plan(encapsulations: &[Encapsulation]) -> Plan {
    plan_with(encapsulations, json!({"enable_route_translation": true}))
}

fn plan_with(encapsulations: &[Encapsulation], of_leg: Value) -> Plan {
    let plan =
        [(1, "nw-a"), (2, "nw-b")].into_iter().fold(Plan::hosts(encapsulations), |plan, (number, id)| {
            plan.with(
                "networks",
                json!({"uuid": id, "ipv4_network": v4(number, 0), "ipv6_network": v6(number, 0)}),
            )
        });
    let plan = leg(plan, "if-lega", 1, 254, LEG_A);
    let mut outer = json!({"uuid": "if-legb", "mode": "simulated", "enable_routing": true, "network_uuid": "nw-b",
        "mac_address": topology::MacAddr(crate::frames::mac(LEG_B)).to_string(), "ipv4_address": v4(2, 254)});
    outer.as_object_mut().expect("an object").extend(of_leg.as_object().expect("an object").clone());
    let plan = EXTERNALS.fold(plan.with("interfaces", outer), |plan, last| {
        let lease = json!({"interface_uuid": "if-legb", "network_uuid": "nw-b", "ipv4_address": v4(2, last)});
        plan.with("ip_leases", lease)
    });
    let plan = plan.with("route_links", json!({"uuid": "rl-1"}));
    let plan = on_link(plan, "if-lega", 1, "rl-1");
    let outside = json!({"interface_uuid": "if-legb", "network_uuid": "nw-b", "route_link_uuid": "rl-1",
        "ipv4_network": "0.0.0.0", "ipv4_prefix": 0});
    let plan = plan.with("routes", outside);
    let last = *plan.all_hosts().last().expect("a host");
    let plan = plan.with_interface(0, guest(1, 1)).with_interface(last.min(1), guest(1, 2));
    plan.with_interface(last, guest(2, 1)).with_interface(0, guest(2, 2))
}

pub(crate) fn translated(plan: Plan, entries: Value) -> Plan {
    plan.with(
        "translations",
        json!({"uuid": "tr-1", "interface_uuid": "if-legb", "mode": "static_address", "static_addresses": entries}),
    )
}

pub(crate) fn address(external: u8, internal: u8) -> Value {
    json!({"ingress_ipv4_address": v4(2, external), "egress_ipv4_address": v4(1, internal)})
}

/// A datagram between an address and port and another.
fn udp(way: Way, from: (Ipv4Addr, u16), to: (Ipv4Addr, u16)) -> Vec<u8> {
    let mut frame = Vec::new();
    let packet = PacketBuilder::ethernet2(way.from, way.to).ipv4(from.0.octets(), to.0.octets(), way.ttl);
    packet.udp(from.1, to.1).write(&mut frame, &[7; 16]).expect("it fits");
    frame
}

/// Every way from host to host.
const ENCAPSULATIONS: [&[Encapsulation]; 5] =
    [&[Geneve], &[Geneve; 2], &[Geneve; 3], &[Vxlan, Geneve, Gre], &[Gre, Vxlan, Vxlan]];

#[test]
fn a_static_address_stands_for_a_guest_both_ways_wherever_it_is() {
    for encapsulations in ENCAPSULATIONS {
        let mut world =
            World::new(translated(plan(encapsulations), json!([address(101, 1), address(102, 2)])));
        let outside = own(2, 1);
        for (guest, number, external) in [("if-a1", 1, 101), ("if-a2", 2, 102)] {
            let (inner, outer) = (v4(1, number), v4(2, external));
            let (out, left) = (way(own(1, number), LEG_A, 64), way(LEG_B, outside, 63));
            let (back, come) = (way(outside, LEG_B, 64), way(LEG_A, own(1, number), 63));
            let sent = udp(out, (inner, 1000), (v4(2, 1), 53));
            world.check(guest, &sent, &[("if-b1", &udp(left, (outer, 1000), (v4(2, 1), 53)))]);
            let answer = udp(back, (v4(2, 1), 53), (outer, 1000));
            world.check("if-b1", &answer, &[(guest, &udp(come, (v4(2, 1), 53), (inner, 1000)))]);
            let asked = udp(back, (v4(2, 1), 2000), (outer, 80));
            world.check("if-b1", &asked, &[(guest, &udp(come, (v4(2, 1), 2000), (inner, 80)))]);
            let answer = udp(out, (inner, 80), (v4(2, 1), 2000));
            world.check(guest, &answer, &[("if-b1", &udp(left, (outer, 80), (v4(2, 1), 2000)))]);
            let (echo, reply) = (echo4(back, v4(2, 1), outer, false), echo4(out, inner, v4(2, 1), true));
            world.check("if-b1", &echo, &[(guest, &echo4(come, v4(2, 1), inner, false))]);
            world.check(guest, &reply, &[("if-b1", &echo4(left, outer, v4(2, 1), true))]);
        }
    }
}

#[test]
fn what_no_translation_takes_is_dropped_unless_one_lets_it_pass() {
    let entries = json!([address(101, 1)]);
    let mut world = World::new(translated(plan(&[Geneve; 2]), entries.clone()));
    let (out, back) = (way(own(1, 2), LEG_A, 64), way(own(2, 2), LEG_B, 64));
    let sent = udp(out, (v4(1, 2), 1000), (v4(2, 1), 53));
    world.check_dropped("if-a2", &sent, Purpose::Untranslated);
    let direct = udp(back, (v4(2, 2), 53), (v4(1, 1), 1000));
    world.check_dropped("if-b2", &direct, Purpose::Untranslated);
    let passing = plan(&[Geneve; 2]).with(
        "translations",
        json!({"uuid": "tr-1", "interface_uuid": "if-legb", "mode": "static_address", "passthrough": true,
            "static_addresses": entries}),
    );
    let mut world = World::new(passing);
    let left = udp(way(LEG_B, own(2, 1), 63), (v4(1, 2), 1000), (v4(2, 1), 53));
    world.check("if-a2", &sent, &[("if-b1", &left)]);
    let come = udp(way(LEG_A, own(1, 1), 63), (v4(2, 2), 53), (v4(1, 1), 1000));
    world.check("if-b2", &direct, &[("if-a1", &come)]);
}

fn port(external: (u8, u16), internal: (u8, u16), protocol: Value) -> Value {
    json!({"ingress_ipv4_address": v4(2, external.0), "ingress_port_number": external.1, "protocol": protocol,
        "egress_ipv4_address": v4(1, internal.0), "egress_port_number": internal.1})
}

pub(crate) fn shared(plan: Plan) -> Plan {
    plan.with(
        "translations",
        json!({"uuid": "tr-2", "interface_uuid": "if-legb", "mode": "source", "source_network_uuid": "nw-a",
            "external_addresses": [v4(2, 103)]}),
    )
}

#[test]
fn a_port_stands_for_a_port_of_another_guest_each() {
    for encapsulations in ENCAPSULATIONS {
        let entries =
            json!([port((101, 53), (1, 5353), Value::Null), port((101, 54), (2, 5353), json!("udp"))]);
        let mut world = World::new(translated(plan(encapsulations), entries));
        let (back, outside) = (way(own(2, 1), LEG_B, 64), own(2, 1));
        for (guest, number, external) in [("if-a1", 1, 53), ("if-a2", 2, 54)] {
            let asked = udp(back, (v4(2, 1), 2000), (v4(2, 101), external));
            let come = udp(way(LEG_A, own(1, number), 63), (v4(2, 1), 2000), (v4(1, number), 5353));
            world.check("if-b1", &asked, &[(guest, &come)]);
            let answer = udp(way(own(1, number), LEG_A, 64), (v4(1, number), 5353), (v4(2, 1), 2000));
            let left = udp(way(LEG_B, outside, 63), (v4(2, 101), external), (v4(2, 1), 2000));
            world.check(guest, &answer, &[("if-b1", &left)]);
        }
        // The address itself answers for the leg.
        let echo = echo4(back, v4(2, 1), v4(2, 101), false);
        let reply = echo4(way(LEG_B, outside, 64), v4(2, 101), v4(2, 1), true);
        world.check("if-b1", &echo, &[("if-b1", &reply)]);
    }
}

/// Where an Ethernet frame with IPv4 and UDP has the source port.
const SOURCE_PORT: std::ops::Range<usize> = 34..36;

#[test]
fn guests_of_every_host_share_an_address_by_ports_of_their_own() {
    for encapsulations in ENCAPSULATIONS {
        let mut world = World::new(shared(plan(encapsulations)));
        let (outside, server) = (own(2, 1), (v4(2, 1), 53));
        let mut ports = Vec::new();
        for (guest, number) in [("if-a1", 1), ("if-a2", 2)] {
            let client = (v4(1, number), 1000);
            let outcome = world.send(guest, &udp(way(own(1, number), LEG_A, 64), client, server));
            let [(port, frame)] = &outcome.received[..] else { panic!("{} frames", outcome.received.len()) };
            let seen = u16::from_be_bytes([frame[SOURCE_PORT.start], frame[SOURCE_PORT.start + 1]]);
            assert_eq!((port.as_str(), &frame[26..30]), ("if-b1", &v4(2, 103).octets()[..]));
            let answer = udp(way(outside, LEG_B, 64), server, (v4(2, 103), seen));
            let come = udp(way(LEG_A, own(1, number), 63), server, client);
            world.check("if-b1", &answer, &[(guest, &come)]);
            // Another one's answer is nobody's.
            let foreign = udp(way(own(2, 2), LEG_B, 64), (v4(2, 2), 53), (v4(2, 103), seen));
            world.check("if-b2", &foreign, &[]);
            ports.push(seen);
        }
        let block = |port: u16| port >> 10;
        let hosts = encapsulations.len().min(2);
        assert_eq!(block(ports[0]) == block(ports[1]), hosts == 1, "{ports:?}");
        assert!(ports.iter().all(|port| *port >= 1024) && ports[0] != ports[1]);
    }
}

#[test]
fn an_answer_to_a_ping_finds_the_host_that_asked() {
    for encapsulations in ENCAPSULATIONS {
        let mut world = World::new(shared(plan(encapsulations)));
        let (outside, shared) = (own(2, 1), v4(2, 103));
        for (guest, number) in [("if-a1", 1), ("if-a2", 2)] {
            let (out, left) = (way(own(1, number), LEG_A, 64), way(LEG_B, outside, 63));
            let (back, come) = (way(outside, LEG_B, 64), way(LEG_A, own(1, number), 63));
            let echo = echo_of(out, v4(1, number), v4(2, 1), number, false);
            world.check(guest, &echo, &[("if-b1", &echo_of(left, shared, v4(2, 1), number, false))]);
            let reply = echo_of(back, v4(2, 1), shared, number, true);
            world.check("if-b1", &reply, &[(guest, &echo_of(come, v4(2, 1), v4(1, number), number, true))]);
        }
        let nobodys = echo_of(way(outside, LEG_B, 64), v4(2, 1), shared, 9, true);
        world.check("if-b1", &nobodys, &[]);
    }
}

/// An echo request or reply with an identifier.
fn echo_of(way: Way, from: Ipv4Addr, to: Ipv4Addr, identifier: u8, is_reply: bool) -> Vec<u8> {
    let mut frame = Vec::new();
    let packet = PacketBuilder::ethernet2(way.from, way.to).ipv4(from.octets(), to.octets(), way.ttl);
    let id = u16::from(identifier);
    let packet = if is_reply { packet.icmpv4_echo_reply(id, 1) } else { packet.icmpv4_echo_request(id, 1) };
    packet.write(&mut frame, &[7; 16]).expect("it fits");
    frame
}

#[test]
fn guests_meet_by_their_addresses_outside() {
    for encapsulations in ENCAPSULATIONS {
        let mut world =
            World::new(shared(translated(plan(encapsulations), json!([address(101, 1), address(102, 2)]))));
        let sent = udp(way(own(1, 1), LEG_A, 64), (v4(1, 1), 1000), (v4(2, 102), 53));
        let got = udp(way(LEG_A, own(1, 2), 62), (v4(2, 101), 1000), (v4(1, 2), 53));
        world.check("if-a1", &sent, &[("if-a2", &got)]);
        let answer = udp(way(own(1, 2), LEG_A, 64), (v4(1, 2), 53), (v4(2, 101), 1000));
        let told = udp(way(LEG_A, own(1, 1), 62), (v4(2, 102), 53), (v4(1, 1), 1000));
        world.check("if-a2", &answer, &[("if-a1", &told)]);
    }
}

#[test]
fn ipv6_addresses_are_translated_too() {
    for encapsulations in [&[Geneve; 2][..], &[Vxlan; 3]] {
        let lease = json!({"interface_uuid": "if-legb", "network_uuid": "nw-b", "ipv6_address": v6(2, 101)});
        let route = json!({"interface_uuid": "if-legb", "network_uuid": "nw-b", "route_link_uuid": "rl-1",
            "ipv6_network": "::", "ipv6_prefix": 0});
        let entry = json!({"ingress_ipv6_address": v6(2, 101), "egress_ipv6_address": v6(1, 2)});
        let plan = plan(encapsulations).with("ip_leases", lease).with("routes", route);
        let mut world = World::new(translated(plan, json!([entry])));
        let asked = udp6(way(own(2, 1), LEG_B, 64), v6(2, 1), v6(2, 101));
        let come = udp6(way(LEG_A, own(1, 2), 63), v6(2, 1), v6(1, 2));
        world.check("if-b1", &asked, &[("if-a2", &come)]);
        let answer = udp6(way(own(1, 2), LEG_A, 64), v6(1, 2), v6(2, 1));
        let left = udp6(way(LEG_B, own(2, 1), 63), v6(2, 101), v6(2, 1));
        world.check("if-a2", &answer, &[("if-b1", &left)]);
    }
}

#[test]
fn a_leg_on_one_host_alone_sends_on_what_another_translates() {
    let of_leg = json!({"enable_route_translation": true, "owner_datapath_uuid": "dp-host2"});
    for encapsulations in [[Geneve; 3], [Gre, Vxlan, Geneve]] {
        let plan = plan_with(&encapsulations, of_leg.clone());
        let mut world = World::new(shared(translated(plan, json!([address(102, 2)]))));
        let asked = udp(way(own(2, 2), LEG_B, 64), (v4(2, 2), 2000), (v4(2, 102), 80));
        let come = udp(way(LEG_A, own(1, 2), 63), (v4(2, 2), 2000), (v4(1, 2), 80));
        let wire = world.check("if-b2", &asked, &[("if-a2", &come)]);
        assert_eq!(wire.len(), 2, "to the leg, and on");
        let answer = udp(way(own(1, 2), LEG_A, 64), (v4(1, 2), 80), (v4(2, 2), 2000));
        let left = udp(way(LEG_B, own(2, 2), 63), (v4(2, 102), 80), (v4(2, 2), 2000));
        world.check("if-a2", &answer, &[("if-b2", &left)]);
        let echo = echo_of(way(own(1, 1), LEG_A, 64), v4(1, 1), v4(2, 1), 1, false);
        let left = echo_of(way(LEG_B, own(2, 1), 63), v4(2, 103), v4(2, 1), 1, false);
        world.check("if-a1", &echo, &[("if-b1", &left)]);
        let reply = echo_of(way(own(2, 1), LEG_B, 64), v4(2, 1), v4(2, 103), 1, true);
        let come = echo_of(way(LEG_A, own(1, 1), 63), v4(2, 1), v4(1, 1), 1, true);
        world.check("if-b1", &reply, &[("if-a1", &come)]);
    }
}

#[test]
fn what_is_about_to_expire_is_told_before_its_address_changes() {
    let mut world = World::new(translated(plan(&[Geneve; 2]), json!([address(102, 2)])));
    let last = udp(way(own(2, 2), LEG_B, 1), (v4(2, 2), 2000), (v4(2, 102), 80));
    world.check_asked("if-b2", &last, Question::TimeExceeded);
}

/// The router's leg on a wire, which the first host has the first uplink to, translates; the guest is on the second host.
fn on_a_wire(encapsulations: &[Encapsulation; 3]) -> Plan {
    let mut plan = physical::plan(Plan::hosts(encapsulations)).with_interface(0, guest(1, 2));
    plan.update("interfaces", "if-legb", json!({"enable_route_translation": true}));
    EXTERNALS.fold(plan, |plan, last| {
        let lease = json!({"interface_uuid": "if-legb", "network_uuid": "nw-b", "ipv4_address": v4(2, last)});
        plan.with("ip_leases", lease)
    })
}

#[test]
fn a_gateway_keeps_nothing_of_what_its_leg_translates() {
    for encapsulations in [[Geneve; 3], [Vxlan, Vxlan, Geneve], [Geneve, Gre, Geneve]] {
        let plan = shared(translated(on_a_wire(&encapsulations), json!([address(101, 1)])));
        let mut world = physical::world(plan);
        let far = (physical::FAR, 53);
        let (out, left) = (way(own(1, 1), LEG_A, 64), way(LEG_B, physical::ROUTER, 63));
        let (back, come) = (way(physical::ROUTER, LEG_B, 60), way(LEG_A, own(1, 1), 59));
        let sent = udp(out, (v4(1, 1), 1000), far);
        world.check("if-a1", &sent, &[("if-up0", &udp(left, (v4(2, 101), 1000), far))]);
        let answer = udp(back, far, (v4(2, 101), 1000));
        world.check("if-up0", &answer, &[("if-a1", &udp(come, far, (v4(1, 1), 1000)))]);
        let asked = udp(back, (physical::FAR, 2000), (v4(2, 101), 80));
        world.check("if-up0", &asked, &[("if-a1", &udp(come, (physical::FAR, 2000), (v4(1, 1), 80)))]);
        // A guest of the gateway itself, by the shared address.
        let echo = echo_of(way(own(1, 2), LEG_A, 64), v4(1, 2), physical::FAR, 5, false);
        world.check("if-a2", &echo, &[("if-up0", &echo_of(left, v4(2, 103), physical::FAR, 5, false))]);
        let reply = echo_of(back, physical::FAR, v4(2, 103), 5, true);
        let come = way(LEG_A, own(1, 2), 59);
        world.check("if-up0", &reply, &[("if-a2", &echo_of(come, physical::FAR, v4(1, 2), 5, true))]);
        // Nobody out there speaks as a guest.
        let false_one = udp(back, (v4(1, 9), 53), (v4(2, 101), 1000));
        world.check("if-up0", &false_one, &[]);
    }
}

#[test]
fn a_connection_ends_with_the_entry_that_made_it() {
    let entry = |internal: u8| json!({"static_addresses": [port((101, 53), (internal, 5353), json!("udp"))]});
    let mut world = World::new(shared(translated(plan(&[Geneve; 3]), entry(1)["static_addresses"].clone())));
    let asked = |from: u16| udp(way(own(2, 1), LEG_B, 64), (v4(2, 1), from), (v4(2, 101), 53));
    let come = |from: u16, to: u8| udp(way(LEG_A, own(1, to), 63), (v4(2, 1), from), (v4(1, to), 5353));
    let answer = udp(way(own(1, 1), LEG_A, 64), (v4(1, 1), 5353), (v4(2, 1), 2000));
    let left = udp(way(LEG_B, own(2, 1), 63), (v4(2, 101), 53), (v4(2, 1), 2000));
    world.check("if-b1", &asked(2000), &[("if-a1", &come(2000, 1))]);
    world.check("if-a1", &answer, &[("if-b1", &left)]);
    // Another guest's port now: also for those who knew the first.
    world.update("translations", "tr-1", entry(2));
    world.check("if-b1", &asked(2000), &[("if-a2", &come(2000, 2))]);
    world.check("if-b1", &asked(2001), &[("if-a2", &come(2001, 2))]);
    world.check("if-a1", &answer, &[]);
    // And back, to where its tracker still knows the connection.
    world.update("translations", "tr-1", entry(1));
    world.check("if-b1", &asked(2000), &[("if-a1", &come(2000, 1))]);
    world.check("if-a1", &answer, &[("if-b1", &left)]);
}

#[test]
fn on_one_host_too_a_port_that_stands_for_another_guest_is_nobody_elses() {
    let entry = |internal: u8| json!({"static_addresses": [port((101, 53), (internal, 5353), json!("udp"))]});
    let mut world = World::new(translated(plan(&[Geneve]), entry(1)["static_addresses"].clone()));
    let asked = |from: u16| udp(way(own(2, 1), LEG_B, 64), (v4(2, 1), from), (v4(2, 101), 53));
    let come = |from: u16, to: u8| udp(way(LEG_A, own(1, to), 63), (v4(2, 1), from), (v4(1, to), 5353));
    world.check("if-b1", &asked(2000), &[("if-a1", &come(2000, 1))]);
    world.update("translations", "tr-1", entry(2));
    // The tracker remembers the first guest, and nobody gets what it says.
    world.check_dropped("if-b1", &asked(2000), Purpose::UnknownConnection);
    world.check("if-b1", &asked(2001), &[("if-a2", &come(2001, 2))]);
}

#[test]
fn a_filter_judges_a_guests_packets_by_its_addresses_inside() {
    for encapsulations in [&[Geneve][..], &[Geneve; 3], &[Vxlan; 3]] {
        let mut plan =
            shared(translated(plan(encapsulations), json!([port((101, 53), (1, 5353), Value::Null)])));
        plan.update("interfaces", "if-a1", json!({"enable_filtering": true}));
        let rules = json!([{"protocol": "udp", "action": "conn", "direction": "egress"},
            {"protocol": "udp", "action": "conn", "direction": "ingress", "dst_port": 5353, "src_address": v4(2, 1)}]);
        let filter = json!({"uuid": "fil-1", "interface_uuid": "if-a1", "mode": "static", "rules": rules});
        let mut world = World::new(plan.with("filters", filter));
        // What it asks is answered.
        let (client, server) = ((v4(1, 1), 1000), (v4(2, 1), 53));
        let outcome = world.send("if-a1", &udp(way(own(1, 1), LEG_A, 64), client, server));
        let [(_, frame)] = &outcome.received[..] else { panic!("{} frames", outcome.received.len()) };
        let seen = u16::from_be_bytes([frame[SOURCE_PORT.start], frame[SOURCE_PORT.start + 1]]);
        let answer = udp(way(own(2, 1), LEG_B, 64), server, (v4(2, 103), seen));
        let come = udp(way(LEG_A, own(1, 1), 63), server, client);
        world.check("if-b1", &answer, &[("if-a1", &come)]);
        // Its port stands for it outside, for those that its filter lets in.
        let asked = |from: u8| udp(way(own(2, from), LEG_B, 64), (v4(2, from), 2000), (v4(2, 101), 53));
        let come = udp(way(LEG_A, own(1, 1), 63), (v4(2, 1), 2000), (v4(1, 1), 5353));
        world.check("if-b1", &asked(1), &[("if-a1", &come)]);
        world.check("if-b2", &asked(2), &[]);
        let answer = udp(way(own(1, 1), LEG_A, 64), (v4(1, 1), 5353), (v4(2, 1), 2000));
        let left = udp(way(LEG_B, own(2, 1), 63), (v4(2, 101), 53), (v4(2, 1), 2000));
        world.check("if-a1", &answer, &[("if-b1", &left)]);
    }
}

/// Where an Ethernet frame with IPv6 and UDP has the source address and the source port.
const SOURCE_V6: std::ops::Range<usize> = 22..38;
const SOURCE_PORT_V6: std::ops::Range<usize> = 54..56;

#[test]
fn guests_share_an_ipv6_address_too() {
    for encapsulations in [&[Geneve; 2][..], &[Vxlan; 3]] {
        let lease = json!({"interface_uuid": "if-legb", "network_uuid": "nw-b", "ipv6_address": v6(2, 103)});
        let route = json!({"interface_uuid": "if-legb", "network_uuid": "nw-b", "route_link_uuid": "rl-1",
            "ipv6_network": "::", "ipv6_prefix": 0});
        let source = json!({"interface_uuid": "if-legb", "mode": "source", "source_prefixes": ["fd00:1::/64"],
            "external_addresses": [v6(2, 103)]});
        let plan = plan(encapsulations).with("ip_leases", lease).with("routes", route);
        let mut world = World::new(plan.with("translations", source));
        for (guest, number) in [("if-a1", 1), ("if-a2", 2)] {
            let sent = udp6(way(own(1, number), LEG_A, 64), v6(1, number), v6(2, 1));
            let outcome = world.send(guest, &sent);
            let [(port, frame)] = &outcome.received[..] else { panic!("{} frames", outcome.received.len()) };
            assert_eq!((port.as_str(), &frame[SOURCE_V6]), ("if-b1", &v6(2, 103).octets()[..]));
            let seen = u16::from_be_bytes([frame[SOURCE_PORT_V6.start], frame[SOURCE_PORT_V6.start + 1]]);
            let datagram = |way: Way, to: std::net::Ipv6Addr, port: u16| {
                let mut frame = Vec::new();
                let packet = PacketBuilder::ethernet2(way.from, way.to);
                let packet = packet.ipv6(v6(2, 1).octets(), to.octets(), way.ttl).udp(2000, port);
                packet.write(&mut frame, &[7; 16]).expect("it fits");
                frame
            };
            let answer = datagram(way(own(2, 1), LEG_B, 64), v6(2, 103), seen);
            let come = datagram(way(LEG_A, own(1, number), 63), v6(1, number), 1000);
            world.check("if-b1", &answer, &[(guest, &come)]);
        }
    }
}
