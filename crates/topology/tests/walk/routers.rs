//! Routers: legs, routes, next hops, and what they refuse.

use serde_json::{Value, json};

use crate::world::*;

pub(crate) fn leg(network: &str, n: u8, address: &str) -> Value {
    json!({"uuid": format!("if-leg{n}"), "mode": "simulated", "enable_routing": true, "network_uuid": network,
        "mac_address": mac(n), "ipv4_address": address})
}

pub(crate) fn route(leg: u8, network: &str, prefix: &str) -> Value {
    let (address, length) = prefix.split_once('/').expect("a prefix");
    json!({"interface_uuid": format!("if-leg{leg}"), "network_uuid": network, "route_link_uuid": "rl-1",
        "ipv4_network": address, "ipv4_prefix": length.parse::<u8>().expect("a length")})
}

/// Guests 1 in 10.1.0.0/24 and 2 in 10.2.0.0/24 with a router between them, on two hosts.
pub(crate) fn routed() -> World {
    World::new()
        .with("networks", json!({"uuid": "nw-a", "ipv4_network": "10.1.0.0"}))
        .with("networks", json!({"uuid": "nw-b", "ipv4_network": "10.2.0.0"}))
        .guest(0, "nw-a", 1)
        .guest(1, "nw-b", 2)
        .with("interfaces", leg("nw-a", 101, "10.1.0.101"))
        .with("interfaces", leg("nw-b", 102, "10.2.0.102"))
        .with("route_links", json!({"uuid": "rl-1"}))
        .with("routes", route(101, "nw-a", "10.1.0.0/24"))
        .with("routes", route(102, "nw-b", "10.2.0.0/24"))
}

#[test]
fn a_router_takes_a_packet_to_the_other_network() {
    let mut world = routed();
    let packet = udp((mac(1), mac(101)), ("10.1.0.1", "10.2.0.2"), (1, 2));
    let walk = world.check("if-1", &packet, "delivered if-2");
    let got = received(&walk, "if-2");
    assert_eq!((got.source, got.destination, got.ip().map(|ip| ip.hops)), (mac(102), mac(2), Some(63)));
}

#[test]
fn a_router_says_why_it_does_not() {
    let mut world = routed();
    let to = |destination: &str| udp((mac(1), mac(101)), ("10.1.0.1", destination), (1, 2));
    world.check("if-1", &to("10.3.0.1"), "answered no_route");
    world.check("if-1", &to("10.2.0.9"), "answered host_unreachable");
    world.check("if-1", &to("169.254.0.1"), "dropped not_forwarded");
    let mut last = to("10.2.0.2");
    last.ip_mut().expect("an IP packet").hops = 1;
    world.check("if-1", &last, "answered time_exceeded");
    world.check("if-1", &ping((mac(1), mac(101)), ("10.1.0.1", "10.2.0.102")), "answered echo_reply");
    let error = error_about(&to("10.2.0.2"), (mac(1), mac(101)), "10.1.0.1");
    let mut error = error;
    error.ip_mut().expect("an IP packet").destination = "10.3.0.1".parse().expect("an address");
    world.check("if-1", &error, "dropped unreachable");
}

#[test]
fn the_longest_prefix_counts_and_several_next_hops_share() {
    let mut world = routed().guest_with(0, "nw-b", 3, json!({"enable_routing": true})).guest_with(
        1,
        "nw-b",
        4,
        json!({"enable_routing": true}),
    );
    let mut far = route(102, "nw-b", "10.9.0.0/16");
    far["next_hops"] = json!(["10.2.0.3", "10.2.0.4"]);
    world = world.with("routes", far);
    let packet = udp((mac(1), mac(101)), ("10.1.0.1", "10.9.0.1"), (1, 2));
    world.check("if-1", &packet, "one of (delivered if-3; delivered if-4)");
    let mut nearer = route(102, "nw-b", "10.9.0.0/24");
    nearer["next_hops"] = json!(["10.2.0.3"]);
    world = world.with("routes", nearer);
    world.check("if-1", &packet, "delivered if-3");
    // Who routes may speak for those behind it.
    let back = udp((mac(3), mac(102)), ("10.9.0.1", "10.1.0.1"), (1, 2));
    world.check("if-3", &back, "delivered if-1");
}
