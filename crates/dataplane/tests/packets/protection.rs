//! Filters and security groups: what is let out, what is let in, and what is judged again.
//!
//! Guests `if-1` … `if-4` of one network, with addresses 10.0.0.1 … 10.0.0.4; odd ones are on the first host.

use dataplane::Purpose;
use dataplane::layout::Question;
use etherparse::PacketBuilder;
use serde_json::{Value, json};
use topology::datapath::Encapsulation::Geneve;

use crate::frames::{ipv4, ipv6, mac, who_has};
use crate::network::guest;
use crate::plan::Plan;
use crate::world::World;

const SYN: u8 = 1;
const ACK: u8 = 2;

/// A TCP segment from one guest's port to another's.
fn tcp((from, from_port): (u8, u16), (to, to_port): (u8, u16), flags: u8) -> Vec<u8> {
    let mut frame = Vec::new();
    let packet = PacketBuilder::ethernet2(mac(from), mac(to));
    let packet = packet.ipv4(ipv4(from).octets(), ipv4(to).octets(), 64).tcp(from_port, to_port, 1000, 64000);
    let packet = if flags & SYN != 0 { packet.syn() } else { packet };
    let packet = if flags & ACK != 0 { packet.ack(1001) } else { packet };
    packet.write(&mut frame, &[]).expect("it fits");
    frame
}

fn udp((from, from_port): (u8, u16), (to, to_port): (u8, u16)) -> Vec<u8> {
    let mut frame = Vec::new();
    let packet = PacketBuilder::ethernet2(mac(from), mac(to));
    let packet = packet.ipv4(ipv4(from).octets(), ipv4(to).octets(), 64).udp(from_port, to_port);
    packet.write(&mut frame, &[7; 8]).expect("it fits");
    frame
}

fn udp6((from, from_port): (u8, u16), (to, to_port): (u8, u16)) -> Vec<u8> {
    let mut frame = Vec::new();
    let packet = PacketBuilder::ethernet2(mac(from), mac(to));
    let packet = packet.ipv6(ipv6(from).octets(), ipv6(to).octets(), 64).udp(from_port, to_port);
    packet.write(&mut frame, &[7; 8]).expect("it fits");
    frame
}

fn echo(from: u8, to: u8, is_reply: bool) -> Vec<u8> {
    let mut frame = Vec::new();
    let packet =
        PacketBuilder::ethernet2(mac(from), mac(to)).ipv4(ipv4(from).octets(), ipv4(to).octets(), 64);
    let packet = if is_reply { packet.icmpv4_echo_reply(1, 2) } else { packet.icmpv4_echo_request(1, 2) };
    packet.write(&mut frame, &[7; 8]).expect("it fits");
    frame
}

/// An interface's name, by its number.
fn name(number: u8) -> String {
    format!("if-{number}")
}

/// The guests, each with further attributes, on one host or two.
fn guests(hosts: usize, resources: &[(&str, Value)], of: impl Fn(u8) -> Value) -> World {
    World::new(plan(hosts, resources, of))
}

fn plan(hosts: usize, resources: &[(&str, Value)], of: impl Fn(u8) -> Value) -> Plan {
    let plan = Plan::hosts(&vec![Geneve; hosts]).with_network("nw-a");
    let plan = resources.iter().filter(|(kind, _)| *kind == "security_groups").cloned().fold(plan, with);
    let plan = (1..=4).fold(plan, |plan, number| {
        let host = if hosts > 1 { (number + 1) % 2 } else { 0 };
        let mut attributes = guest(&name(number), "nw-a", number);
        attributes
            .as_object_mut()
            .expect("an object")
            .extend(of(number).as_object().expect("an object").clone());
        plan.with_interface(host, attributes)
    });
    resources.iter().filter(|(kind, _)| *kind != "security_groups").cloned().fold(plan, with)
}

fn with(plan: Plan, (resource, attributes): (&str, Value)) -> Plan {
    plan.with(resource, attributes)
}

/// Guest 1 with a filter, alone on its host or not.
fn filtered(hosts: usize, filter: Value) -> World {
    let mut attributes = json!({"uuid": "fil-1", "interface_uuid": "if-1", "mode": "static"});
    attributes.as_object_mut().expect("an object").extend(filter.as_object().expect("an object").clone());
    guests(hosts, &[("filters", attributes)], |number| json!({"enable_filtering": number == 1}))
}

fn passes(world: &mut World, from: u8, to: u8, frame: &[u8]) {
    world.check(&name(from), frame, &[(&name(to), frame)]);
}

/// Checks that a frame to or from guest 1 is dropped by its filter, and where.
fn is_filtered(world: &mut World, from: u8, frame: &[u8]) {
    is_dropped(world, from, frame, if from == 1 { Purpose::FilteredOut } else { Purpose::FilteredIn });
}

fn is_dropped(world: &mut World, from: u8, frame: &[u8], purpose: Purpose) {
    let before = world.all_drops();
    let outcome = world.send(&name(from), frame);
    assert!(outcome.received.is_empty(), "{:?}", outcome.received);
    let mut expected = before;
    *expected.entry(purpose).or_default() += 1;
    assert_eq!(world.all_drops(), expected);
}

#[test]
fn without_a_filter_nothing_passes_a_filtered_interface() {
    for hosts in [1, 2] {
        let mut world = guests(hosts, &[], |number| json!({"enable_filtering": number == 1}));
        is_filtered(&mut world, 1, &udp((1, 1000), (2, 2000)));
        is_filtered(&mut world, 2, &udp((2, 1000), (1, 2000)));
        is_filtered(&mut world, 1, &who_has(1, ipv4(1), ipv4(2)));
        passes(&mut world, 2, 4, &udp((2, 1000), (4, 2000)));
        passes(&mut world, 2, 3, &udp((2, 1000), (3, 2000)));
    }
}

#[test]
fn what_no_rule_fits_the_flags_decide() {
    let mut world = filtered(2, json!({"egress_passthrough": true}));
    passes(&mut world, 1, 2, &udp((1, 1000), (2, 2000)));
    is_filtered(&mut world, 2, &udp((2, 2000), (1, 1000)));
    let mut world = filtered(2, json!({"ingress_passthrough": true}));
    is_filtered(&mut world, 1, &udp((1, 1000), (2, 2000)));
    passes(&mut world, 2, 1, &udp((2, 2000), (1, 1000)));
}

#[test]
fn rules_are_about_what_comes_in_and_turned_round_for_what_goes_out() {
    let rule = json!({"protocol": "udp", "action": "pass", "src_address": ipv4(2), "src_port": "2000-2003", "dst_port": 1000});
    let mut world = filtered(2, json!({"rules": [rule]}));
    passes(&mut world, 2, 1, &udp((2, 2000), (1, 1000)));
    passes(&mut world, 2, 1, &udp((2, 2003), (1, 1000)));
    passes(&mut world, 1, 2, &udp((1, 1000), (2, 2001)));
    is_filtered(&mut world, 2, &udp((2, 2004), (1, 1000)));
    is_filtered(&mut world, 2, &udp((2, 1000), (1, 2000)));
    is_filtered(&mut world, 1, &udp((1, 2000), (2, 1000)));
    is_filtered(&mut world, 4, &udp((4, 2000), (1, 1000)));
    is_filtered(&mut world, 2, &tcp((2, 2000), (1, 1000), SYN));
}

#[test]
fn a_rule_may_be_for_one_way_and_one_family() {
    let rule =
        json!({"protocol": "udp", "action": "pass", "direction": "ingress", "src_address": "fd00::/64"});
    let mut world = filtered(1, json!({"rules": [rule]}));
    passes(&mut world, 2, 1, &udp6((2, 1), (1, 2)));
    is_filtered(&mut world, 1, &udp6((1, 1), (2, 2)));
    is_filtered(&mut world, 2, &udp((2, 1), (1, 2)));
}

#[test]
fn the_first_rule_in_order_counts() {
    let any = json!({"protocol": "ip", "action": "pass"});
    let subnet = json!({"protocol": "ip", "action": "drop", "src_address": "10.0.0.2/31"});
    let one = json!({"protocol": "udp", "action": "pass", "src_address": ipv4(2)});
    let mut world = filtered(1, json!({"rules": [any, one, subnet]}));
    passes(&mut world, 2, 1, &udp((2, 1), (1, 2)));
    is_filtered(&mut world, 2, &echo(2, 1, false));
    is_filtered(&mut world, 3, &udp((3, 1), (1, 2)));
    passes(&mut world, 4, 1, &udp((4, 1), (1, 2)));
    let urgent = json!({"protocol": "ip", "action": "drop", "priority": 1});
    let mut world = filtered(1, json!({"rules": [any, one, urgent]}));
    is_filtered(&mut world, 2, &udp((2, 1), (1, 2)));
}

#[test]
fn a_connection_that_may_begin_is_answered_and_no_other() {
    for hosts in [1, 2] {
        let rule = json!({"protocol": "tcp", "action": "conn", "direction": "ingress", "dst_port": 80});
        let mut world = filtered(hosts, json!({"rules": [rule]}));
        is_filtered(&mut world, 1, &tcp((1, 80), (2, 5000), SYN | ACK));
        passes(&mut world, 2, 1, &tcp((2, 5000), (1, 80), SYN));
        passes(&mut world, 1, 2, &tcp((1, 80), (2, 5000), SYN | ACK));
        passes(&mut world, 2, 1, &tcp((2, 5000), (1, 80), ACK));
        is_filtered(&mut world, 1, &tcp((1, 80), (2, 5001), ACK));
        is_filtered(&mut world, 1, &tcp((1, 5000), (2, 80), SYN));
        is_filtered(&mut world, 2, &tcp((2, 5000), (1, 81), SYN));
    }
}

#[test]
fn a_guests_own_questions_are_answered() {
    let out = |protocol| json!({"protocol": protocol, "action": "conn", "direction": "egress"});
    let arp = json!({"protocol": "arp", "action": "pass"});
    let mut world = filtered(2, json!({"rules": [out("icmp"), out("udp"), arp]}));
    is_filtered(&mut world, 2, &echo(2, 1, true));
    passes(&mut world, 1, 2, &echo(1, 2, false));
    passes(&mut world, 2, 1, &echo(2, 1, true));
    is_filtered(&mut world, 2, &echo(2, 1, false));
    passes(&mut world, 1, 4, &udp((1, 5353), (4, 53)));
    passes(&mut world, 4, 1, &udp((4, 53), (1, 5353)));
    is_filtered(&mut world, 2, &udp((2, 53), (1, 5353)));
    let outcome = world.send("if-1", &who_has(1, ipv4(1), ipv4(2)));
    assert_eq!(outcome.received.len(), 1);
}

#[test]
fn a_rule_that_goes_away_ends_its_connections_both_ways() {
    let rule = |port| json!({"protocol": "udp", "action": "conn", "direction": "ingress", "dst_port": port});
    for (rules, flags) in [
        (json!([rule(54)]), json!(false)),
        // What may go out freely still does not answer what may not come in.
        (json!([rule(54)]), json!(true)),
        (
            json!([rule(53), rule(54), {"protocol": "udp", "action": "drop", "dst_port": 53, "priority": 1}]),
            json!(false),
        ),
    ] {
        let mut world = filtered(2, json!({"rules": [rule(53), rule(54)], "egress_passthrough": flags}));
        for port in [53, 54] {
            passes(&mut world, 2, 1, &udp((2, 5000), (1, port)));
            passes(&mut world, 1, 2, &udp((1, port), (2, 5000)));
        }
        world.update("filters", "fil-1", json!({"rules": rules}));
        is_filtered(&mut world, 1, &udp((1, 53), (2, 5000)));
        is_filtered(&mut world, 2, &udp((2, 5000), (1, 53)));
        passes(&mut world, 1, 2, &udp((1, 54), (2, 5000)));
        passes(&mut world, 2, 1, &udp((2, 5000), (1, 54)));
    }
}

#[test]
fn who_is_refused_by_reject_is_told_by_the_agent() {
    let mut world = filtered(1, json!({"rules": [{"protocol": "tcp", "action": "reject"}]}));
    for (from, frame) in [(2, tcp((2, 1), (1, 80), SYN)), (1, tcp((1, 1), (2, 80), SYN))] {
        let outcome = world.send(&name(from), &frame);
        assert!(outcome.received.is_empty());
        let questions: Vec<_> =
            outcome.questions.iter().map(|of| Question::of_userdata(&of.userdata)).collect();
        assert_eq!(questions, [Some(Question::Rejected)]);
    }
    is_filtered(&mut world, 2, &udp((2, 1), (1, 2)));
}

/// A web server, its application and its database, and somebody in no group: guests 1 to 4.
fn tiers(hosts: usize) -> World {
    World::new(tiers_plan(hosts))
}

pub(crate) fn tiers_plan(hosts: usize) -> Plan {
    let rule = |port: u16, from: &str| json!({"direction": "ingress", "protocol": "tcp", "port": port, "remote_group_uuid": from});
    let to = |port: u16, group: &str| json!({"direction": "egress", "protocol": "tcp", "port": port, "remote_group_uuid": group});
    let anyone = json!({"direction": "ingress", "protocol": "tcp", "port": 80});
    let group =
        |name: &str, rules: Value| ("security_groups", json!({"uuid": format!("sg-{name}"), "rules": rules}));
    // Named before its rules can name those after it.
    let groups =
        [group("db", json!([])), group("app", json!([])), group("web", json!([anyone, to(8080, "sg-app")]))];
    let mut plan = plan(hosts, &groups, |number| match number {
        1 => json!({"security_groups": ["sg-web"]}),
        2 => json!({"security_groups": ["sg-app"]}),
        3 => json!({"security_groups": ["sg-db"]}),
        _ => json!({}),
    });
    plan.update("security_groups", "sg-app", json!({"rules": [rule(8080, "sg-web"), to(5432, "sg-db")]}));
    plan.update("security_groups", "sg-db", json!({"rules": [rule(5432, "sg-app")]}));
    plan
}

#[test]
fn groups_talk_as_their_rules_say() {
    for hosts in [1, 2] {
        let mut world = tiers(hosts);
        let mut connect = |from: u8, to: u8, port: u16| {
            passes(&mut world, from, to, &tcp((from, 5000), (to, port), SYN));
            passes(&mut world, to, from, &tcp((to, port), (from, 5000), SYN | ACK));
            passes(&mut world, from, to, &tcp((from, 5000), (to, port), ACK));
        };
        connect(4, 1, 80);
        connect(1, 2, 8080);
        connect(2, 3, 5432);
        use Purpose::{NotAllowedIn, NotAllowedOut};
        for (from, to, port, purpose) in [
            (4, 2, 8080, NotAllowedIn),
            (4, 1, 22, NotAllowedIn),
            (4, 3, 5432, NotAllowedIn),
            (1, 3, 5432, NotAllowedOut),
            (1, 2, 22, NotAllowedOut),
            (3, 4, 80, NotAllowedOut),
            (3, 2, 8080, NotAllowedOut),
        ] {
            is_dropped(&mut world, from, &tcp((from, 6000), (to, port), SYN), purpose);
        }
    }
}

#[test]
fn who_leaves_a_group_is_out_at_once_and_others_are_not() {
    let mut world = tiers(2);
    for (from, to, port) in [(1, 2, 8080), (2, 3, 5432)] {
        passes(&mut world, from, to, &tcp((from, 5000), (to, port), SYN));
        passes(&mut world, to, from, &tcp((to, port), (from, 5000), SYN | ACK));
    }
    world.update("interfaces", "if-1", json!({"security_groups": []}));
    is_dropped(&mut world, 1, &tcp((1, 5000), (2, 8080), ACK), Purpose::NotAllowedIn);
    is_dropped(&mut world, 2, &tcp((2, 8080), (1, 5000), ACK), Purpose::NotAllowedOut);
    passes(&mut world, 3, 2, &tcp((3, 5432), (2, 5000), ACK));
    world.update("interfaces", "if-1", json!({"security_groups": ["sg-web", "sg-db"]}));
    passes(&mut world, 1, 2, &tcp((1, 5000), (2, 8080), ACK));
}

#[test]
fn a_host_that_has_not_heard_of_a_new_member_lets_nothing_wrong_through() {
    let mut world = tiers(2);
    // Only the host of guest 4 hears that it is of another kind now.
    world.update_at(1, "interfaces", "if-4", json!({"security_groups": ["sg-db", "sg-app"]}));
    is_dropped(&mut world, 4, &tcp((4, 5000), (3, 22), SYN), Purpose::NotAllowedOut);
    is_dropped(&mut world, 4, &tcp((4, 5000), (3, 5432), SYN), Purpose::NotAllowedIn);
    world.catch_up();
    passes(&mut world, 4, 3, &tcp((4, 5001), (3, 5432), SYN));
}

#[test]
fn a_filter_and_groups_must_both_agree() {
    let group = json!({"uuid": "sg-a", "rules": [{"direction": "egress", "protocol": "udp"}]});
    let filter = json!({"uuid": "fil-1", "interface_uuid": "if-1", "mode": "static",
        "rules": [{"protocol": "udp", "action": "conn", "direction": "egress", "src_port": 53}]});
    let resources = [("security_groups", group), ("filters", filter)];
    let of = |number| match number {
        1 => json!({"security_groups": ["sg-a"], "enable_filtering": true}),
        3 => json!({"security_groups": ["sg-a"]}),
        _ => json!({}),
    };
    let mut world = guests(2, &resources, of);
    passes(&mut world, 1, 2, &udp((1, 5000), (2, 53)));
    passes(&mut world, 2, 1, &udp((2, 53), (1, 5000)));
    is_dropped(&mut world, 1, &udp((1, 5000), (2, 54)), Purpose::FilteredOut);
    passes(&mut world, 3, 2, &udp((3, 5000), (2, 54)));
    is_dropped(&mut world, 3, &echo(3, 2, false), Purpose::NotAllowedOut);
    is_dropped(&mut world, 2, &udp((2, 9), (3, 5001)), Purpose::NotAllowedIn);
}

#[test]
fn who_may_not_ask_for_an_address_is_not_answered() {
    let pass = |from: &str| json!({"protocol": "arp", "action": "pass", "src_address": from, "direction": "ingress"});
    let mut world = filtered(2, json!({"rules": [pass("10.0.0.2/32")]}));
    assert_eq!(world.send("if-2", &who_has(2, ipv4(2), ipv4(1))).received.len(), 1);
    is_dropped(&mut world, 3, &who_has(3, ipv4(3), ipv4(1)), Purpose::FilteredIn);
    is_dropped(&mut world, 4, &who_has(4, ipv4(4), ipv4(1)), Purpose::FilteredIn);
    assert_eq!(world.send("if-3", &who_has(3, ipv4(3), ipv4(4))).received.len(), 1);
}

#[test]
fn what_is_to_be_written_down_still_goes_where_it_goes() {
    let questions = |action: &str, frame: &[u8]| {
        let rule = json!({"protocol": "ip", "action": action, "log": true, "direction": "ingress"});
        let outcome = filtered(1, json!({"rules": [rule]})).send("if-2", frame);
        let questions = outcome.questions.iter().filter_map(|of| Question::of_userdata(&of.userdata));
        (outcome.received.len(), questions.collect::<Vec<_>>())
    };
    for frame in [udp((2, 1), (1, 2)), tcp((2, 1), (1, 80), SYN)] {
        assert_eq!(questions("pass", &frame), (1, vec![Question::Logged]));
        assert_eq!(questions("drop", &frame), (0, vec![Question::Logged]));
        assert_eq!(questions("reject", &frame), (0, vec![Question::Logged, Question::Rejected]));
    }
}
