//! Networks, their address resolution and their services.

use serde_json::json;
use topology::walk::{Answer, Content, Outcome};

use crate::world::*;

fn network() -> World {
    let world = World::new()
        .with("networks", json!({"uuid": "nw-a", "ipv4_network": "10.0.0.0", "ipv6_network": "fd00::"}));
    world.guest(0, "nw-a", 1).guest(0, "nw-a", 2).guest(1, "nw-a", 3)
}

#[test]
fn a_packet_reaches_whom_it_is_for_on_any_host() {
    let mut world = network();
    world.check("if-1", &udp((mac(1), mac(2)), ("10.0.0.1", "10.0.0.2"), (1, 2)), "delivered if-2");
    world.check("if-1", &udp((mac(1), mac(3)), ("10.0.0.1", "10.0.0.3"), (1, 2)), "delivered if-3");
    world.check("if-3", &udp((mac(3), mac(1)), ("fd00::3", "fd00::1"), (1, 2)), "delivered if-1");
    world.check(
        "if-1",
        &udp((mac(1), mac(9)), ("10.0.0.1", "10.0.0.9"), (1, 2)),
        "dropped unknown_destination",
    );
}

#[test]
fn who_speaks_as_another_is_not_heard() {
    let mut world = network();
    world.check("if-1", &udp((mac(2), mac(3)), ("10.0.0.2", "10.0.0.3"), (1, 2)), "dropped source_mac");
    world.check("if-1", &udp((mac(1), mac(3)), ("10.0.0.2", "10.0.0.3"), (1, 2)), "dropped source_address");
    let mut tagged = udp((mac(1), mac(2)), ("10.0.0.1", "10.0.0.2"), (1, 2));
    tagged.vlans.push(5);
    world.check("if-1", &tagged, "dropped tagged");
    world.update("interfaces", "if-1", json!({"allowed_addresses": ["10.9.0.0/16"]}));
    world.check("if-1", &udp((mac(1), mac(3)), ("10.9.0.2", "10.0.0.3"), (1, 2)), "delivered if-3");
    world.update("interfaces", "if-1", json!({"port_security": false}));
    world.check("if-1", &udp((mac(2), mac(3)), ("10.0.0.2", "10.0.0.3"), (1, 2)), "delivered if-3");
    world.update("interfaces", "if-1", json!({"admin_state": "down"}));
    world.check("if-1", &udp((mac(1), mac(3)), ("10.0.0.1", "10.0.0.3"), (1, 2)), "dropped silent");
}

#[test]
fn questions_for_addresses_are_answered_from_the_leases() {
    let mut world = network();
    let walk = world.check("if-1", &who_has(1, "10.0.0.1", "10.0.0.3"), "answered arp_reply");
    let [Outcome::Answered { packet: Some(packet), .. }] = &walk.outcomes[..] else { panic!("an answer") };
    assert!(
        matches!(packet.content, Content::Arp(arp) if arp.sender_mac == mac(3) && arp.target_mac == mac(1))
    );
    world.check("if-1", &who_has(1, "10.0.0.1", "10.0.0.9"), "dropped unresolved");
    world.check("if-1", &who_has(1, "10.0.0.1", "10.0.0.1"), "dropped unresolved");
    world.check("if-1", &solicitation(1, "fd00::1", "fd00::2"), "answered neighbour_advertisement");
    let link_local = mac(3).link_local().to_string();
    world.check("if-1", &solicitation(1, "fd00::1", &link_local), "answered neighbour_advertisement");
}

#[test]
fn what_is_for_all_reaches_every_member_once() {
    let mut world = network();
    let to_all = udp((mac(1), EVERYBODY), ("10.0.0.1", "255.255.255.255"), (1, 2));
    world.check("if-1", &to_all, "delivered if-2, delivered if-3");
}

#[test]
fn what_does_not_fit_the_tunnel_is_answered_or_dropped() {
    let mut world = network();
    let large = |to: u8, bytes: u16| {
        let mut packet = udp((mac(1), mac(to)), ("10.0.0.1", &format!("10.0.0.{to}")), (1, 2));
        packet.ip_mut().expect("an IP packet").data_bytes = bytes;
        packet
    };
    world.check("if-1", &large(3, 1438 - 28), "delivered if-3");
    let walk = world.check("if-1", &large(3, 1438 - 27), "answered too_big");
    assert!(matches!(walk.outcomes[0], Outcome::Answered { answer: Answer::TooBig { mtu: 1438 }, .. }));
    world.check("if-1", &large(2, 1438 - 27), "delivered if-2");
    let mut to_all = large(3, 1438 - 27);
    to_all.destination = EVERYBODY;
    world.check("if-1", &to_all, "delivered if-2, dropped too_big");
}

#[test]
fn services_answer_on_the_guests_own_host() {
    let mut world = network()
        .with(
            "interfaces",
            json!({"uuid": "if-s", "mode": "simulated", "network_uuid": "nw-a",
            "mac_address": mac(100), "ipv4_address": "10.0.0.100"}),
        )
        .with("network_services", json!({"uuid": "ns-dhcp", "interface_uuid": "if-s", "mode": "dhcp"}))
        .with("network_services", json!({"uuid": "ns-dns", "interface_uuid": "if-s", "mode": "dns"}));
    world.check("if-1", &udp((mac(1), EVERYBODY), ("0.0.0.0", "255.255.255.255"), (68, 67)), "answered dhcp");
    let to_server = |port| udp((mac(1), mac(100)), ("10.0.0.1", "10.0.0.100"), (1000, port));
    world.check("if-1", &to_server(53), "answered dns");
    world.check("if-1", &to_server(54), "answered port_unreachable");
    world.check("if-3", &ping((mac(3), mac(100)), ("10.0.0.3", "10.0.0.100")), "answered echo_reply");
    let elsewhere = udp((mac(1), mac(100)), ("10.0.0.1", "10.7.0.1"), (1, 2));
    world.check("if-1", &elsewhere, "dropped not_routed");
}

#[test]
fn a_walk_costs_what_a_packet_meets() {
    let mut world = network();
    for n in 0..200_u32 {
        let [_, _, c, d] = (n + 300).to_be_bytes();
        let attributes = json!({"uuid": format!("if-x{n}"), "network_uuid": "nw-a",
            "mac_address": format!("02:00:00:01:{c:02x}:{d:02x}")});
        world = world.with("interfaces", attributes);
    }
    let packet = udp((mac(1), mac(3)), ("10.0.0.1", "10.0.0.3"), (1, 2));
    assert_eq!(world.walk("if-1", &packet).steps.len(), 3);
}
