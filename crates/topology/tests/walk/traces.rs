//! Traces: what somebody wants to send, what becomes of it, and what becomes of the answer.

use serde_json::{Value, json};
use topology::InterfaceId;
use topology::reach::{Arrival, Prepared, Probe, answer};
use topology::walk::{Connections, Outcome, Walk, walk};

use crate::physical::outside;
use crate::routers::routed;
use crate::translations::translated;
use crate::world::*;

/// Checks what becomes of what is sent, and of its answer; of that nothing if nobody gets anything that is answered.
#[track_caller]
fn check(world: &World, (from, to): (&str, &str), probe: Value, [there, back]: [&str; 2]) {
    let from: InterfaceId = from.parse().expect("an id");
    let wanted: Probe = serde_json::from_value(probe).expect("a probe");
    let prepared = wanted.prepare(&world.topology, &from, &to.parse().expect("a target"));
    let (said, walked) = tell(world, &from, prepared.expect("something to send"), &Connections::default());
    assert_eq!(said, there, "{from} to {to}: {walked:#?}");
    let walked = walked.unwrap_or_default();
    let got = walked.outcomes.iter().find_map(|outcome| match outcome {
        Outcome::Delivered { interface, packet, .. } => Some((interface, packet)),
        _ => None,
    });
    let answers = got.and_then(|(receiver, packet)| {
        let answer = answer(&world.topology, receiver, packet).expect("an address to answer from");
        Some((receiver, answer?))
    });
    let back_said = answers.map(|(receiver, answer)| {
        let (said, walked) = tell(world, receiver, answer, &walked.connections);
        // Who has asked is whom the answer has to reach.
        let arrives = walked.map(|walked| Arrival::of(&walked, Some(&from)));
        let asker = format!("delivered {from}");
        assert_eq!(arrives == Some(Arrival::Always), said == asker || said == format!("on wire {from}"));
        said
    });
    assert_eq!(back_said.unwrap_or_default(), back, "the answer to {from}");
}

/// What becomes of what is prepared, in a few words.
fn tell(
    world: &World,
    from: &InterfaceId,
    prepared: Prepared,
    known: &Connections,
) -> (String, Option<Walk>) {
    match prepared {
        Prepared::Packet(packet) => {
            let walked = walk(&world.topology, from, &packet, known);
            (verdicts(&walked.outcomes), Some(walked))
        }
        Prepared::Question(packet, address) => {
            let walked = walk(&world.topology, from, &packet, known);
            (format!("asks for {address}: {}", verdicts(&walked.outcomes)), None)
        }
        Prepared::Unsent { .. } => ("not sent".to_owned(), None),
    }
}

fn tcp(port: u16) -> Value {
    json!({"kind": "tcp", "port": port})
}

#[test]
fn an_answer_goes_back_by_the_router() {
    let world = routed();
    check(&world, ("if-1", "if-2"), json!({}), ["delivered if-2", "delivered if-1"]);
    check(&world, ("if-1", "if-2"), tcp(80), ["delivered if-2", "delivered if-1"]);
    check(&world, ("if-1", "if-2"), json!({"icmp_type": 0}), ["delivered if-2", ""]);
    check(&world, ("if-1", "if-2"), json!({"ttl": 1}), ["answered time_exceeded", ""]);
    check(&world, ("if-1", "if-leg102"), json!({}), ["answered echo_reply", ""]);
    check(&world, ("if-1", "10.1.0.9"), json!({}), ["asks for 10.1.0.9: dropped unresolved", ""]);
}

#[test]
fn an_answer_is_let_through_for_the_connection_that_it_belongs_to() {
    let mut world = routed().with(
        "filters",
        json!({"uuid": "fil-2", "interface_uuid": "if-2", "mode": "static", "rules": [
            {"protocol": "arp", "action": "pass"},
            {"protocol": "tcp", "action": "conn", "direction": "ingress", "dst_port": 80},
            {"protocol": "tcp", "action": "pass", "direction": "ingress", "dst_port": 81}]}),
    );
    world.update("interfaces", "if-2", json!({"enable_filtering": true}));
    check(&world, ("if-1", "if-2"), tcp(80), ["delivered if-2", "delivered if-1"]);
    check(&world, ("if-1", "if-2"), tcp(81), ["delivered if-2", "dropped filtered_out"]);
    check(&world, ("if-1", "if-2"), tcp(82), ["dropped filtered_in", ""]);
    check(&world, ("if-2", "if-1"), tcp(80), ["dropped filtered_out", ""]);
}

#[test]
fn who_shares_an_address_is_answered_and_not_asked() {
    let world = translated();
    check(&world, ("if-3", "if-2"), tcp(80), ["delivered if-2", "delivered if-3"]);
    check(&world, ("if-3", "if-2"), json!({}), ["delivered if-2", "delivered if-3"]);
    let to_block = json!({"kind": "udp", "port": 1024});
    check(&world, ("if-2", "10.2.0.101"), to_block, ["dropped unknown_connection", ""]);
}

#[test]
fn who_asks_at_an_address_or_port_that_stands_for_another_is_answered_from_there() {
    let world = translated();
    check(&world, ("if-2", "10.2.0.100"), tcp(22), ["delivered if-1", "delivered if-2"]);
    check(&world, ("if-2", "10.2.0.101"), tcp(80), ["delivered if-3", "delivered if-2"]);
    check(&world, ("if-2", "10.2.0.101"), tcp(81), ["dropped not_served", ""]);
    // Both ends are translated: the sender shares, and the receiver is stood for.
    check(&world, ("if-3", "10.2.0.100"), tcp(22), ["delivered if-1", "delivered if-3"]);
}

#[test]
fn somebody_on_a_wire_is_heard_at_the_gateway_and_answered_there() {
    let world = outside();
    let from_wire = |mac_of_leg: u8, source: &str| {
        json!({"kind": "tcp", "port": 80, "source_address": source, "source_mac": mac(77),
            "destination_mac": mac(mac_of_leg)})
    };
    let to_guest = |from, probe, expected| check(&world, (from, "10.1.0.1"), probe, expected);
    to_guest("if-up1", from_wire(105, "203.0.113.9"), ["delivered if-1", "on wire if-up1"]);
    to_guest("if-up1", from_wire(105, "198.51.100.9"), ["delivered if-1", "on wire if-up1"]);
    to_guest("if-up0", from_wire(105, "203.0.113.9"), ["dropped not_gateway", ""]);
    to_guest("if-up1", from_wire(105, "10.2.0.2"), ["dropped pretender", ""]);
    to_guest("if-up1", from_wire(106, "203.0.113.9"), ["dropped unknown_destination", ""]);
    check(&world, ("if-1", "198.51.100.9"), tcp(80), ["on wire if-up1", ""]);
}
