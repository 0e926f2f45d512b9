//! Packets at the edge of a segment.
//!
//! Segment `seg-a` with the guests `if-1` on host 0 and `if-2` on host 1, and the edges `if-edge1` and `if-edge2` on hosts 1
//! and 2. Machine 9 is outside.

use std::net::Ipv4Addr;

use dataplane::Purpose;
use serde_json::{Value, json};
use topology::MacAddr;
use topology::datapath::Encapsulation::{self, Geneve, Vxlan};

use crate::frames::{NOBODY, arp, ipv4, is_at, mac, tagged, udp, udp_of, udp_to_all, who_has};
use crate::plan::Plan;
use crate::world::World;

/// The number of a simulated interface in the segment.
const LEG: u8 = 0xfe;

fn guest(number: u8) -> Value {
    json!({"uuid": format!("if-{number}"), "segment_uuid": "seg-a", "mac_address": MacAddr(mac(number)).to_string()})
}

fn edge(host: u8, priority: u16, vlan: Option<u16>) -> Value {
    json!({"uuid": format!("if-edge{host}"), "mode": "promiscuous", "segment_uuid": "seg-a", "vlan_id": vlan,
        "owner_datapath_uuid": format!("dp-host{host}"), "port_name": "nic", "gateway_priority": priority})
}

fn world(encapsulation: Encapsulation, vlan: Option<u16>) -> World {
    let plan = Plan::hosts(&[encapsulation; 3]).with_segment("seg-a");
    let subnet = json!({"uuid": "nw-s", "segment_uuid": "seg-a", "ipv4_network": "10.0.0.0"});
    let leg = json!({"mode": "simulated", "network_uuid": "nw-s", "ipv4_address": ipv4(LEG),
        "mac_address": MacAddr(mac(LEG)).to_string()});
    let plan = plan.with("networks", subnet).with("interfaces", leg);
    let plan = plan.with_interface(0, guest(1)).with_interface(1, guest(2));
    World::new(plan.with_interface(1, edge(1, 200, vlan)).with_interface(2, edge(2, 100, vlan)))
}

#[test]
fn what_the_segment_does_not_know_is_outside_and_what_comes_from_there_finds_guests() {
    for encapsulation in [Geneve, Vxlan] {
        let mut world = world(encapsulation, None);
        for (guest, port) in [(1, "if-1"), (2, "if-2")] {
            world.check(port, &udp(guest, 9), &[("if-edge1", &udp(guest, 9))]);
            world.check("if-edge1", &udp(9, guest), &[(port, &udp(9, guest))]);
        }
        // Those whom the segment knows stay inside.
        world.check("if-1", &udp(1, 2), &[("if-2", &udp(1, 2))]);
    }
}

#[test]
fn what_is_sent_to_all_passes_the_edge_once_and_never_comes_back() {
    let mut world = world(Geneve, None);
    let inside = udp_to_all(1);
    world.check("if-1", &inside, &[("if-2", &inside), ("if-edge1", &inside)]);
    let outside = udp_to_all(9);
    world.check("if-edge1", &outside, &[("if-1", &outside), ("if-2", &outside)]);
    // So machines and guests find each other.
    let asked = who_has(1, ipv4(1), ipv4(9));
    world.check("if-1", &asked, &[("if-2", &asked), ("if-edge1", &asked)]);
    world.check("if-edge1", &is_at(9, ipv4(9), 1, ipv4(1)), &[("if-1", &is_at(9, ipv4(9), 1, ipv4(1)))]);
}

#[test]
fn of_two_edges_one_forwards() {
    let mut world = world(Geneve, None);
    for frame in [udp_to_all(9), udp(9, 1), udp(9, 8)] {
        world.check_dropped("if-edge2", &frame, Purpose::NotGateway);
    }
}

#[test]
fn nobody_outside_speaks_as_somebody_inside_and_between_machines_nothing_passes() {
    let mut world = world(Geneve, None);
    world.check_dropped("if-edge1", &udp(1, 2), Purpose::Pretender);
    let lie = arp((mac(9), mac(2)), 2, (mac(1), ipv4(1)), (NOBODY, Ipv4Addr::BROADCAST));
    world.check_dropped("if-edge1", &lie, Purpose::Pretender);
    world.check_dropped("if-edge1", &udp(9, 8), Purpose::UnknownDestination);
    world.check_dropped("if-edge1", &tagged(&udp(9, 1)), Purpose::TaggedOutside);
}

#[test]
fn a_vlan_of_the_port_is_the_segment_and_others_are_not() {
    let mut world = world(Geneve, Some(5));
    world.check("if-1", &udp(1, 9), &[("if-edge1", &tagged(&udp(1, 9)))]);
    world.check("if-edge1", &tagged(&udp(9, 1)), &[("if-1", &udp(9, 1))]);
    let inside = udp_to_all(2);
    world.check("if-2", &inside, &[("if-1", &inside), ("if-edge1", &tagged(&inside))]);
    world.check_dropped("if-edge1", &udp(9, 1), Purpose::UnknownSource);
    world.check_dropped("if-edge1", &tagged(&tagged(&udp(9, 1))), Purpose::TaggedOutside);
    // What is simulated answers in the VLAN.
    let asked = tagged(&who_has(9, ipv4(9), ipv4(LEG)));
    world.check("if-edge1", &asked, &[("if-edge1", &tagged(&is_at(LEG, ipv4(LEG), 9, ipv4(9))))]);
    let large = udp_of(1000, (mac(1), ipv4(1)), (mac(9), ipv4(9)));
    world.check("if-1", &large, &[("if-edge1", &tagged(&large))]);
}
