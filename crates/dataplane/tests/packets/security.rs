//! What an interface may send and get besides its leases.

use dataplane::Purpose;
use serde_json::{Value, json};
use topology::MacAddr;
use topology::datapath::Encapsulation::Geneve;

use crate::frames::*;
use crate::network::guest;
use crate::plan::Plan;
use crate::world::World;

/// Somebody behind guest 1: a container, or a router that it shares with others.
const NESTED: u8 = 0x51;

fn with(mut guest: Value, attributes: Value) -> Value {
    guest.as_object_mut().expect("an object").extend(attributes.as_object().expect("an object").clone());
    guest
}

fn mac_text(number: u8) -> String {
    MacAddr(mac(number)).to_string()
}

/// Guest 1 with these attributes and guest 2 on one host, guest 3 on another.
fn network(attributes: Value) -> World {
    let plan = Plan::hosts(&[Geneve, Geneve]).with_network("nw-a");
    let plan = plan.with_interface(0, with(guest("if-1", "nw-a", 1), attributes));
    let plan = plan.with_interface(0, guest("if-2", "nw-a", 2));
    World::new(plan.with_interface(1, guest("if-3", "nw-a", 3)))
}

/// A datagram of guest 1 with source addresses that are not its own.
fn from_nested(source: u8, to: u8) -> Vec<u8> {
    udp_of(18, (mac(source), ipv4(NESTED)), (mac(to), ipv4(to)))
}

#[test]
fn an_allowed_address_is_admitted_and_found_from_everywhere() {
    let mut world = network(json!({"allowed_addresses": [ipv4(NESTED).to_string()]}));
    for (to, id) in [(2, "if-2"), (3, "if-3")] {
        let frame = from_nested(1, to);
        world.check("if-1", &frame, &[(id, &frame)]);
        world.check(id, &who_has(to, ipv4(to), ipv4(NESTED)), &[(id, &is_at_of(1, NESTED, to))]);
    }
    world.check_dropped("if-1", &from_nested(NESTED, 2), Purpose::UnknownSource);
    // Its own question is left alone, so that it does not find itself to be a duplicate.
    world.check_dropped("if-1", &who_has(1, ipv4(NESTED), ipv4(NESTED)), Purpose::Unresolved);
    // Others still may not.
    let lie = udp_of(18, (mac(2), ipv4(NESTED)), (mac(1), ipv4(1)));
    world.check_dropped("if-2", &lie, Purpose::SourceAddress);
}

#[test]
fn an_allowed_mac_address_is_admitted_with_its_addresses_and_found() {
    let allowed = format!("{}={}", mac_text(NESTED), ipv4(NESTED));
    let mut world = network(json!({"allowed_addresses": [allowed]}));
    let frame = from_nested(NESTED, 3);
    world.check("if-1", &frame, &[("if-3", &frame)]);
    world.check_dropped("if-1", &from_nested(1, 3), Purpose::SourceAddress);
    let answer = udp_of(18, (mac(3), ipv4(3)), (mac(NESTED), ipv4(NESTED)));
    world.check("if-3", &answer, &[("if-1", &answer)]);
    world.check("if-3", &who_has(3, ipv4(3), ipv4(NESTED)), &[("if-3", &is_at_of(NESTED, NESTED, 3))]);
}

#[test]
fn a_prefix_may_be_sent_from() {
    let mut world = network(json!({"allowed_addresses": ["10.9.0.0/16"]}));
    let from = |address| udp_of(18, (mac(1), address), (mac(2), ipv4(2)));
    let inside = from([10, 9, 1, 2].into());
    world.check("if-1", &inside, &[("if-2", &inside)]);
    world.check_dropped("if-1", &from([10, 8, 1, 2].into()), Purpose::SourceAddress);
}

#[test]
fn without_port_security_anything_may_be_sent_but_tags() {
    let mut world = network(json!({"port_security": false}));
    for frame in [from_nested(NESTED, 2), from_nested(1, 2)] {
        world.check("if-1", &frame, &[("if-2", &frame)]);
    }
    world.check_dropped("if-1", &tagged(&udp(1, 2)), Purpose::Tagged);
}

/// The MAC address of a virtual router, which two guests of a segment may have: what is for it goes to both.
#[test]
fn a_shared_mac_address_of_a_segment_is_found_wherever_it_is() {
    let member = |id: &str, number: u8, attributes: Value| {
        let member = json!({"uuid": id, "segment_uuid": "seg-a", "mac_address": mac_text(number)});
        with(member, attributes)
    };
    let shared = json!({"allowed_addresses": [format!("{}={}", mac_text(NESTED), ipv4(NESTED))]});
    let plan = Plan::hosts(&[Geneve, Geneve]).with_segment("seg-a");
    let plan = plan.with_interface(0, member("if-1", 1, shared.clone()));
    let plan = plan.with_interface(0, member("if-2", 2, json!({})));
    let mut world = World::new(plan.with_interface(1, member("if-3", 3, shared)));
    let to_router = udp_of(18, (mac(2), ipv4(2)), (mac(NESTED), ipv4(9)));
    world.check("if-2", &to_router, &[("if-1", &to_router), ("if-3", &to_router)]);
    for (id, others) in [("if-1", ["if-2", "if-3"]), ("if-3", ["if-1", "if-2"])] {
        let announced = who_has(NESTED, ipv4(NESTED), ipv4(NESTED));
        world.check(id, &announced, &others.map(|other| (other, &announced[..])));
    }
    let lie = who_has(NESTED, ipv4(NESTED), ipv4(NESTED));
    world.check_dropped("if-2", &lie, Purpose::UnknownSource);
}

/// The answer that an address is at a MAC address of another number.
fn is_at_of(owner: u8, address: u8, asker: u8) -> Vec<u8> {
    let told = (mac(owner), ipv4(address));
    arp((mac(owner), mac(asker)), 2, told, (mac(asker), ipv4(asker)))
}
