//! Translations, both ways, with what trackers know.

use serde_json::json;
use topology::walk::Outcome;

use crate::routers::{leg, route, routed};
use crate::world::*;

/// The router's leg in `nw-b` translates: 10.2.0.100 is guest 1, port 80 of 10.2.0.101 is its port 8080, and the others of `nw-a` share 10.2.0.101.
pub(crate) fn translated() -> World {
    let mut world = routed();
    world.update("interfaces", "if-leg102", json!({"enable_route_translation": true}));
    let lease = |address: &str| json!({"network_uuid": "nw-b", "interface_uuid": "if-leg102", "ipv4_address": address, "enable_routing": true});
    world
        .guest(1, "nw-a", 3)
        .with("ip_leases", lease("10.2.0.100"))
        .with("ip_leases", lease("10.2.0.101"))
        .with(
            "translations",
            json!({"uuid": "tr-static", "interface_uuid": "if-leg102", "mode": "static_address", "static_addresses": [
            {"ingress_ipv4_address": "10.2.0.100", "egress_ipv4_address": "10.1.0.1"},
            {"ingress_ipv4_address": "10.2.0.101", "egress_ipv4_address": "10.1.0.3",
                "ingress_port_number": 80, "egress_port_number": 8080, "protocol": "tcp"}]}),
        )
        .with(
            "translations",
            json!({"uuid": "tr-source", "interface_uuid": "if-leg102", "mode": "source",
                "source_network_uuid": "nw-a", "external_addresses": ["10.2.0.101"]}),
        )
}

fn addresses(packet: &topology::walk::Packet) -> (String, String) {
    let ip = packet.ip().expect("an IP packet");
    (ip.source.to_string(), ip.destination.to_string())
}

#[test]
fn a_static_address_stands_for_another_whoever_begins() {
    let mut world = translated();
    let out = udp((mac(1), mac(101)), ("10.1.0.1", "10.2.0.2"), (1, 2));
    let walk = world.check("if-1", &out, "delivered if-2");
    let got = received(&walk, "if-2");
    assert_eq!(addresses(&got), ("10.2.0.100".into(), "10.2.0.2".into()));
    let walk = world.check("if-2", &answer(&got), "delivered if-1");
    assert_eq!(addresses(&received(&walk, "if-1")), ("10.2.0.2".into(), "10.1.0.1".into()));
    let begins = udp((mac(2), mac(102)), ("10.2.0.2", "10.2.0.100"), (5, 6));
    let walk = world.check("if-2", &begins, "delivered if-1");
    let got = received(&walk, "if-1");
    let walk = world.check("if-1", &answer(&got), "delivered if-2");
    assert_eq!(addresses(&received(&walk, "if-2")), ("10.2.0.100".into(), "10.2.0.2".into()));
}

#[test]
fn many_share_an_address_and_only_they_begin() {
    let mut world = translated();
    let out = udp((mac(3), mac(101)), ("10.1.0.3", "10.2.0.2"), (1, 2));
    let stranger = udp((mac(2), mac(102)), ("10.2.0.2", "10.2.0.101"), (5, 2050));
    world.check("if-2", &stranger, "dropped unknown_connection");
    let walk = world.check("if-3", &out, "delivered if-2");
    let got = received(&walk, "if-2");
    assert_eq!(addresses(&got), ("10.2.0.101".into(), "10.2.0.2".into()));
    let walk = world.check("if-2", &answer(&got), "delivered if-3");
    assert_eq!(addresses(&received(&walk, "if-3")), ("10.2.0.2".into(), "10.1.0.3".into()));
    let error = error_about(&got, (mac(2), mac(102)), "10.2.0.2");
    world.check("if-2", &error, "delivered if-3");
}

#[test]
fn a_port_that_a_tracker_chose_is_open_until_somebody_says_which() {
    let mut world = translated().guest(0, "nw-a", 4);
    let out = |port| udp((mac(4), mac(101)), ("10.1.0.4", "10.2.0.2"), (1, port));
    // The port that it leaves with, and the last of those that it may be, if it is assumed.
    let check = |world: &mut World, port, expected: (u16, Option<u16>)| {
        let walk = world.check("if-4", &out(port), "delivered if-2");
        let [Outcome::Delivered { packet, source_ports, .. }] = &walk.outcomes[..] else {
            panic!("{walk:?}")
        };
        let port = packet.ip().and_then(|ip| ip.ports()).map(|(source, _)| source);
        assert_eq!((port, source_ports.clone().map(|ports| *ports.end())), (Some(expected.0), expected.1));
    };
    let mut large = out(2);
    large.ip_mut().expect("an IP packet").data_bytes = 1438 - 27;
    world.check("if-4", &large, "answered too_big");
    let before = world.connections.clone();
    check(&mut world, 2, (1024, Some(2047)));
    check(&mut world, 3, (1025, Some(2047)));
    let shared = "10.2.0.101".parse().expect("an address");
    world.connections.settle(&before, (shared, 1024), 1306);
    check(&mut world, 2, (1306, None));
    check(&mut world, 3, (1025, Some(2047)));
}

#[test]
fn a_port_stands_for_another_and_the_rest_is_the_legs_own() {
    let mut world = translated();
    let to = |port| udp((mac(2), mac(102)), ("10.2.0.2", "10.2.0.101"), (5, port));
    world.check("if-2", &to(80), "answered port_unreachable");
    let opens = tcp((mac(2), mac(102)), ("10.2.0.2", "10.2.0.101"), (5, 80), topology::walk::TcpFlags::SYN);
    let walk = world.check("if-2", &opens, "delivered if-3");
    assert_eq!(received(&walk, "if-3").ip().and_then(|ip| ip.ports()), Some((5, 8080)));
    world.check("if-2", &ping((mac(2), mac(102)), ("10.2.0.2", "10.2.0.101")), "answered echo_reply");
}

#[test]
fn what_no_translation_takes_is_dropped_unless_one_lets_it_pass() {
    let mut world = routed()
        .with("interfaces", leg("nw-b", 103, "10.2.0.103"))
        .with("routes", route(103, "nw-b", "10.2.0.0/25"));
    world.update("interfaces", "if-leg103", json!({"enable_route_translation": true}));
    let out = udp((mac(1), mac(101)), ("10.1.0.1", "10.2.0.2"), (1, 2));
    world.check("if-1", &out, "dropped untranslated");
    let passes =
        json!({"uuid": "tr-1", "interface_uuid": "if-leg103", "mode": "static_address", "passthrough": true});
    let mut world = world.with("translations", passes);
    world.check("if-1", &out, "delivered if-2");
}

#[test]
fn guests_inside_reach_each_other_by_their_addresses_outside() {
    let mut world = translated();
    let out = udp((mac(3), mac(101)), ("10.1.0.3", "10.2.0.100"), (1, 2));
    let walk = world.check("if-3", &out, "delivered if-1");
    assert_eq!(addresses(&received(&walk, "if-1")), ("10.2.0.101".into(), "10.1.0.1".into()));
    world.check("if-1", &answer(&received(&walk, "if-1")), "delivered if-3");
}
