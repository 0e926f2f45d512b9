//! Filters and security groups, with what trackers know.

use serde_json::json;
use topology::datapath::Encapsulation;
use topology::walk::TcpFlags;

use crate::world::*;

fn pair(encapsulation: Encapsulation) -> World {
    let world = World::with_hosts(encapsulation)
        .with("networks", json!({"uuid": "nw-a", "ipv4_network": "10.0.0.0"}));
    world.guest(0, "nw-a", 1).guest(1, "nw-a", 2)
}

fn filtered(rules: serde_json::Value) -> World {
    let mut world = pair(Encapsulation::Geneve);
    world.update("interfaces", "if-2", json!({"enable_filtering": true}));
    world
        .with("filters", json!({"uuid": "fil-2", "interface_uuid": "if-2", "mode": "static", "rules": rules}))
}

#[test]
fn without_a_filter_nothing_passes() {
    let mut world = pair(Encapsulation::Geneve);
    world.update("interfaces", "if-2", json!({"enable_filtering": true}));
    let packet = udp((mac(1), mac(2)), ("10.0.0.1", "10.0.0.2"), (1, 2));
    world.check("if-1", &packet, "dropped filtered_in");
    world.check("if-2", &answer(&packet), "dropped filtered_out");
    world.check("if-1", &who_has(1, "10.0.0.1", "10.0.0.2"), "dropped filtered_in");
}

#[test]
fn a_rule_with_connections_lets_answers_out() {
    let rule = json!({"protocol": "tcp", "action": "conn", "direction": "ingress", "dst_port": 80});
    let mut world = filtered(json!([rule]));
    let macs = (mac(1), mac(2));
    let opens = tcp(macs, ("10.0.0.1", "10.0.0.2"), (1000, 80), TcpFlags::SYN);
    world.check("if-2", &answer(&opens), "dropped filtered_out");
    world.check("if-1", &opens, "delivered if-2");
    world.check("if-2", &answer(&opens), "delivered if-1");
    world.check("if-2", &error_about(&opens, (mac(2), mac(1)), "10.0.0.2"), "delivered if-1");
    let other = tcp(macs, ("10.0.0.1", "10.0.0.2"), (1000, 81), TcpFlags::SYN);
    world.check("if-1", &other, "dropped filtered_in");
    // A rule that goes away ends its connections both ways.
    world.update("filters", "fil-2", json!({"rules": []}));
    world.check("if-2", &answer(&opens), "dropped filtered_out");
}

#[test]
fn the_first_rule_that_fits_counts() {
    let mut world = filtered(json!([
        {"protocol": "ip", "action": "pass"},
        {"protocol": "udp", "action": "drop", "src_address": "10.0.0.1"},
        {"protocol": "udp", "action": "reject", "priority": 1, "dst_port": "8000-8080"}
    ]));
    let to = |port| udp((mac(1), mac(2)), ("10.0.0.1", "10.0.0.2"), (1, port));
    world.check("if-1", &to(53), "dropped filtered_in");
    world.check("if-1", &to(8001), "answered rejected");
    world.check("if-1", &ping((mac(1), mac(2)), ("10.0.0.1", "10.0.0.2")), "delivered if-2");
}

fn grouped(encapsulation: Encapsulation) -> World {
    let mut world = pair(encapsulation).with("security_groups", json!({"uuid": "sg-db"})).with(
        "security_groups",
        json!({"uuid": "sg-web", "rules":
            [{"direction": "egress", "protocol": "tcp", "port": 5432, "remote_group_uuid": "sg-db"}]}),
    );
    let into =
        json!([{"direction": "ingress", "protocol": "tcp", "port": 5432, "remote_group_uuid": "sg-web"}]);
    world.update("security_groups", "sg-db", json!({"rules": into}));
    world.update("interfaces", "if-1", json!({"security_groups": ["sg-web"]}));
    world.update("interfaces", "if-2", json!({"security_groups": ["sg-db"]}));
    world
}

#[test]
fn members_of_groups_talk_as_both_groups_say() {
    let mut world = grouped(Encapsulation::Geneve);
    let opens = |port| tcp((mac(1), mac(2)), ("10.0.0.1", "10.0.0.2"), (1000, port), TcpFlags::SYN);
    world.check("if-2", &answer(&opens(5432)), "dropped not_allowed_out");
    world.check("if-1", &opens(5432), "delivered if-2");
    world.check("if-2", &answer(&opens(5432)), "delivered if-1");
    world.check("if-1", &opens(80), "dropped not_allowed_out");
    world.update("interfaces", "if-2", json!({"security_groups": []}));
    world.check("if-1", &opens(5433), "dropped not_allowed_out");
    world.check("if-1", &who_has(1, "10.0.0.1", "10.0.0.2"), "answered arp_reply");
}

#[test]
fn tunnels_without_identities_let_no_group_in() {
    let mut world = grouped(Encapsulation::Vxlan);
    let opens = tcp((mac(1), mac(2)), ("10.0.0.1", "10.0.0.2"), (1000, 5432), TcpFlags::SYN);
    world.check("if-1", &opens, "dropped not_allowed_in");
}
