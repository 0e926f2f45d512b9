//! Packets through translating legs.
//!
//! Inside is `nw-a` (10.0.1.0/24), outside `nw-b` (10.0.2.0/24), and one router joins them. Its leg in `nw-b` has the addresses
//! from 10.0.2.100 on besides its own. Guests `if-a1` and `if-a2` are on the first and the second host, `if-b1` on the
//! last.

use std::net::Ipv4Addr;

use dataplane::Purpose;
use etherparse::PacketBuilder;
use serde_json::{Value, json};
use topology::datapath::Encapsulation::{self, Geneve, Gre, Vxlan};

use crate::plan::Plan;
use crate::routing::{LEG_A, LEG_B, Way, echo4, guest, leg, on_link, own, v4, way};
use crate::world::World;

/// External addresses of the leg.
const EXTERNALS: std::ops::Range<u8> = 100..104;

fn plan(encapsulations: &[Encapsulation]) -> Plan {
    plan_with(encapsulations, json!({"enable_route_translation": true}))
}

fn plan_with(encapsulations: &[Encapsulation], of_leg: Value) -> Plan {
    let plan = [(1, "nw-a"), (2, "nw-b")].into_iter().fold(Plan::hosts(encapsulations), |plan, (number, id)| {
        plan.with("networks", json!({"uuid": id, "ipv4_network": v4(number, 0), "ipv6_network": crate::routing::v6(number, 0)}))
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

fn translated(plan: Plan, entries: Value) -> Plan {
    plan.with(
        "translations",
        json!({"uuid": "tr-1", "interface_uuid": "if-legb", "mode": "static_address", "static_addresses": entries}),
    )
}

fn address(external: u8, internal: u8) -> Value {
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
