//! Address resolution in networks is answered at the source, and meets nobody else.

use std::net::{Ipv4Addr, Ipv6Addr};

use dataplane::Purpose;
use dataplane::layout::{Question, RESOLVED_MAC};
use openflow::{Field, PacketIn};

use crate::frames::*;
use crate::network::guest;
use crate::plan::Plan;
use crate::world::World;

const ANYBODY: Ipv4Addr = Ipv4Addr::UNSPECIFIED;

/// Guests 1 and 2 on one host.
fn pair() -> World {
    let plan = Plan::host().with_network("nw-a");
    World::new(plan.with_interface(0, guest("if-1", "nw-a", 1)).with_interface(0, guest("if-2", "nw-a", 2)))
}

/// The MAC address that the agent shall tell: in a pair of registers, the first one high (ovs-fields(7), `xreg0`).
fn resolved(asked: &PacketIn) -> Mac {
    let pair = [2 * RESOLVED_MAC, 2 * RESOLVED_MAC + 1]
        .map(|register| asked.metadata.get(Field::Reg(register)).map_or(0, |term| term.value));
    let [.., a, b, c, d, e, f] = (pair[0] << 32 | pair[1]).to_be_bytes();
    [a, b, c, d, e, f]
}

#[test]
fn arp_is_answered_at_once() {
    let mut world = pair();
    let answer = is_at(2, ipv4(2), 1, ipv4(1));
    world.check("if-1", &who_has(1, ipv4(1), ipv4(2)), &[("if-1", &answer)]);
    // A question to one, as when an entry is confirmed.
    let confirm = arp((mac(1), mac(2)), 1, (mac(1), ipv4(1)), (NOBODY, ipv4(2)));
    world.check("if-1", &confirm, &[("if-1", &answer)]);
}

#[test]
fn arp_for_an_unknown_or_own_address_is_not_answered() {
    let mut world = pair();
    for target in [ipv4(9), ipv4(1)] {
        world.check_dropped("if-1", &who_has(1, ipv4(1), target), Purpose::Unresolved);
    }
}

#[test]
fn an_arp_probe_finds_a_neighbours_address_taken_and_its_own_free() {
    let mut world = pair();
    world.check("if-1", &who_has(1, ANYBODY, ipv4(2)), &[("if-1", &is_at(2, ipv4(2), 1, ANYBODY))]);
    world.check_dropped("if-1", &who_has(1, ANYBODY, ipv4(1)), Purpose::Unresolved);
}

#[test]
fn what_arp_says_of_its_sender_reaches_nobody() {
    let mut world = pair();
    // The answer to a false sender goes to the sender.
    let lie = arp((mac(1), BROADCAST), 1, (mac(1), ipv4(2)), (NOBODY, ipv4(2)));
    let answer = arp((mac(2), mac(1)), 2, (mac(2), ipv4(2)), (mac(1), ipv4(2)));
    world.check("if-1", &lie, &[("if-1", &answer)]);
    let lie = arp((mac(1), mac(2)), 2, (mac(1), ipv4(9)), (mac(2), ipv4(2)));
    world.check_dropped("if-1", &lie, Purpose::Unasked);
}

#[test]
fn a_solicitation_with_option_is_answered_at_once() {
    let mut world = pair();
    for (source, target) in [(ipv6(1), ipv6(2)), (link_local(1), link_local(2)), (ipv6(1), link_local(2))] {
        let question = solicitation(1, source, target, &source_option(mac(1)));
        let answer = advertisement(2, 1, target, source, mac(2));
        world.check("if-1", &question, &[("if-1", &answer)]);
    }
}

#[test]
fn a_router_is_told_to_be_one() {
    let mut router = guest("if-2", "nw-a", 2);
    router["enable_routing"] = true.into();
    let plan = Plan::host().with_network("nw-a");
    let mut world = World::new(plan.with_interface(0, guest("if-1", "nw-a", 1)).with_interface(0, router));
    let question = solicitation(1, link_local(1), link_local(2), &source_option(mac(1)));
    let answer = router_is_at(2, 1, link_local(2), link_local(1));
    world.check("if-1", &question, &[("if-1", &answer)]);
    // A router that asks does not make who answers one.
    let question = solicitation(2, link_local(2), link_local(1), &source_option(mac(2)));
    let answer = advertisement(1, 2, link_local(1), link_local(2), mac(1));
    world.check("if-2", &question, &[("if-2", &answer)]);
}

#[test]
fn a_solicitation_without_option_is_for_the_agent() {
    let mut world = pair();
    let asked = world.check_asked("if-1", &solicitation(1, ipv6(1), ipv6(2), &[]), Question::Solicitation);
    assert_eq!(resolved(&asked), mac(2));
}

#[test]
fn address_detection_is_for_the_agent_if_a_neighbour_has_the_address() {
    let mut world = pair();
    let probe = |target| solicitation(1, Ipv6Addr::UNSPECIFIED, target, &[]);
    let asked = world.check_asked("if-1", &probe(ipv6(2)), Question::Solicitation);
    assert_eq!(resolved(&asked), mac(2));
    for target in [ipv6(1), link_local(1), ipv6(9)] {
        world.check_dropped("if-1", &probe(target), Purpose::Unresolved);
    }
}

#[test]
fn a_solicitation_for_an_unknown_or_own_address_is_not_answered() {
    let mut world = pair();
    for target in [ipv6(9), ipv6(1)] {
        let question = solicitation(1, ipv6(1), target, &source_option(mac(1)));
        world.check_dropped("if-1", &question, Purpose::Unresolved);
    }
}

#[test]
fn a_solicitation_that_passed_a_router_or_an_unasked_advertisement_is_dropped() {
    let mut world = pair();
    let mut far = solicitation(1, ipv6(1), ipv6(2), &source_option(mac(1)));
    // The hop limit.
    far[21] = 254;
    world.check_dropped("if-1", &far, Purpose::Unasked);
    world.check_dropped("if-1", &advertisement(1, 2, ipv6(1), ipv6(2), mac(1)), Purpose::Unasked);
}
