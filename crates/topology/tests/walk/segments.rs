//! Segments and their edges.

use serde_json::{Value, json};

use crate::world::*;

fn member(n: u8) -> Value {
    json!({"uuid": format!("if-{n}"), "segment_uuid": "seg-a", "mac_address": mac(n)})
}

fn segment() -> World {
    let world = World::new().with("segments", json!({"uuid": "seg-a", "mode": "virtual"}));
    world.plugged(0, member(1)).plugged(0, member(2)).plugged(1, member(3))
}

#[test]
fn any_address_may_live_behind_a_leased_mac_address() {
    let mut world = segment();
    let mut packet = udp((mac(1), mac(3)), ("10.7.0.1", "10.8.0.1"), (1, 2));
    world.check("if-1", &packet, "delivered if-3");
    packet.vlans.push(5);
    world.check("if-1", &packet, "delivered if-3");
    packet.vlans.push(6);
    world.check("if-1", &packet, "dropped several_tags");
    world.check("if-1", &who_has(1, "10.7.0.1", "10.7.0.2"), "delivered if-2, delivered if-3");
    let mut lie = who_has(3, "10.7.0.1", "10.7.0.2");
    lie.source = mac(1);
    world.check("if-1", &lie, "dropped false_sender");
}

#[test]
fn a_mac_address_that_several_are_allowed_is_everybodys() {
    let mut world = segment();
    let shared = "02:00:00:00:00:09=10.0.0.9";
    world.update("interfaces", "if-2", json!({"allowed_addresses": [shared]}));
    world.update("interfaces", "if-3", json!({"allowed_addresses": [shared]}));
    let packet = udp((mac(1), mac(9)), ("10.0.0.1", "10.0.0.9"), (1, 2));
    world.check("if-1", &packet, "delivered if-2, delivered if-3");
    let back = udp((mac(9), mac(1)), ("10.0.0.9", "10.0.0.1"), (1, 2));
    world.check("if-3", &back, "delivered if-1");
}

#[test]
fn what_the_segment_does_not_know_is_behind_its_edge() {
    let edge = json!({"uuid": "if-edge", "mode": "promiscuous", "segment_uuid": "seg-a", "owner_datapath_uuid": "dp-host1",
        "port_name": "eno3", "vlan_id": 100});
    let mut world = segment().plugged(1, edge);
    let out = udp((mac(1), mac(77)), ("10.0.0.1", "10.0.0.9"), (1, 2));
    world.check("if-1", &out, "on wire if-edge");
    let to_all = who_has(1, "10.0.0.1", "10.0.0.2");
    world.check("if-1", &to_all, "delivered if-2, delivered if-3, on wire if-edge");
    let mut into = udp((mac(77), mac(1)), ("10.0.0.9", "10.0.0.1"), (1, 2));
    world.check("if-edge", &into, "dropped tagged");
    into.vlans.push(100);
    world.check("if-edge", &into, "delivered if-1");
    into.destination = EVERYBODY;
    world.check("if-edge", &into, "delivered if-1, delivered if-2, delivered if-3");
    into.source = mac(2);
    world.check("if-edge", &into, "dropped pretender");
}
