//! Physical networks: their wire, their gateways, and who may speak from outside.

use serde_json::json;

use crate::routers::{leg, route, routed};
use crate::world::*;

/// The router of [`routed`] with a leg in a physical network whose gateway is the second host.
pub(crate) fn outside() -> World {
    let uplink = |host: usize, priority: u16| {
        json!({"uuid": format!("if-up{host}"), "mode": "host", "network_uuid": "nw-out", "port_name": "eno2",
            "owner_datapath_uuid": format!("dp-host{host}"), "gateway_priority": priority})
    };
    let mut default = route(105, "nw-out", "0.0.0.0/0");
    default["next_hops"] = json!(["203.0.113.1"]);
    routed()
        .with("networks", json!({"uuid": "nw-out", "mode": "physical", "ipv4_network": "203.0.113.0"}))
        .plugged(0, uplink(0, 100))
        .plugged(1, uplink(1, 200))
        .with("interfaces", leg("nw-out", 105, "203.0.113.2"))
        .with("routes", route(105, "nw-out", "203.0.113.0/24"))
        .with("routes", default)
}

#[test]
fn packets_reach_the_wire_by_the_gateway() {
    let mut world = outside();
    world.check("if-1", &udp((mac(1), mac(101)), ("10.1.0.1", "203.0.113.9"), (1, 2)), "on wire if-up1");
    world.check("if-1", &udp((mac(1), mac(101)), ("10.1.0.1", "198.51.100.9"), (1, 2)), "on wire if-up1");
}

#[test]
fn from_the_wire_comes_what_is_for_the_legs() {
    let mut world = outside();
    let into = |from: &str, to: &str| udp((mac(77), mac(105)), (from, to), (1, 2));
    world.check("if-up1", &into("203.0.113.9", "10.1.0.1"), "delivered if-1");
    world.check("if-up0", &into("203.0.113.9", "10.1.0.1"), "dropped not_gateway");
    world.check("if-up1", &into("10.2.0.2", "10.1.0.1"), "dropped pretender");
    world.check("if-up1", &into("203.0.113.2", "10.1.0.1"), "dropped pretender");
    let mut to_all = into("203.0.113.9", "10.1.0.1");
    to_all.destination = EVERYBODY;
    world.check("if-up1", &to_all, "dropped unknown_destination");
    let mut asks = who_has(77, "203.0.113.9", "203.0.113.2");
    world.check("if-up1", &asks, "on wire if-up1");
    asks.vlans.push(7);
    world.check("if-up1", &asks, "dropped tagged");
}

#[test]
fn what_is_leased_to_an_uplink_is_its_hosts_and_found_on_the_wire() {
    let mut world = outside()
        .with(
            "mac_leases",
            json!({"uuid": "ml-up0", "interface_uuid": "if-up0", "mac_address": mac(90).to_string()}),
        )
        .with(
            "ip_leases",
            json!({"network_uuid": "nw-out", "mac_lease_uuid": "ml-up0", "ipv4_address": "203.0.113.90"}),
        );
    let to_host = udp((mac(1), mac(101)), ("10.1.0.1", "203.0.113.90"), (1, 2));
    world.check("if-1", &to_host, "on wire if-up1");
    let from_host = udp((mac(90), mac(105)), ("203.0.113.90", "10.1.0.1"), (1, 2));
    world.check("if-up1", &from_host, "delivered if-1");
    world.check("if-up1", &who_has(90, "203.0.113.90", "203.0.113.2"), "on wire if-up1");
}
