//! Packets between guests and machines on a physical network.
//!
//! Network `nw-a` (10.0.1.0/24, fd00:1::/64) with the guest `if-a1` on host 1; the router `rl-1` joins it to the physical
//! network `nw-b` (10.0.2.0/24, fd00:2::/64), which hosts 0 and 2 reach by the uplinks `if-up0` and `if-up2`. Machine 7 is
//! there, and 9, by which the router reaches everything else.

use std::net::Ipv4Addr;

use dataplane::Purpose;
use dataplane::layout::Question;
use openflow::PacketIn;
use serde_json::json;
use topology::datapath::Encapsulation::{Geneve, Vxlan};

use crate::frames::{self, BROADCAST, NOBODY, arp, mac, solicitation, source_option, who_has};
use crate::plan::Plan;
use crate::routing::{echo4, guest, leg, on_link, own, route, udp4, udp6, v4, v6, way};
use crate::world::World;

/// MAC addresses of the legs, of a machine on the wire, and of a router there.
const LEG_A: u8 = 0xa1;
const LEG_B: u8 = 0xb1;
pub(crate) const MACHINE: u8 = 0x77;
pub(crate) const ROUTER: u8 = 0x99;

/// An address that only the physical router knows a way to.
pub(crate) const FAR: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 33);

pub(crate) fn plan(plan: Plan) -> Plan {
    let plan =
        plan.with("networks", json!({"uuid": "nw-a", "ipv4_network": v4(1, 0), "ipv6_network": v6(1, 0)}));
    let physical =
        json!({"uuid": "nw-b", "mode": "physical", "ipv4_network": v4(2, 0), "ipv6_network": v6(2, 0)});
    let plan = leg(leg(plan.with("networks", physical), "if-lega", 1, 254, LEG_A), "if-legb", 2, 254, LEG_B);
    let plan = plan.with("route_links", json!({"uuid": "rl-1"}));
    let plan = on_link(on_link(plan, "if-lega", 1, "rl-1"), "if-legb", 2, "rl-1");
    let default = json!({"ipv4_network": "0.0.0.0", "ipv4_prefix": 0, "next_hops": [v4(2, 9)]});
    route(plan, "if-legb", 2, "rl-1", default).with_interface(1, guest(1, 1))
}

fn with_uplink(plan: Plan, host: u8, priority: u16) -> Plan {
    plan.with_interface(host, json!({"uuid": format!("if-up{host}"), "mode": "host", "network_uuid": "nw-b",
        "owner_datapath_uuid": format!("dp-host{host}"), "port_name": format!("nic{host}"), "gateway_priority": priority}))
}

/// Both gateways know the machines.
pub(crate) fn world(plan: Plan) -> World {
    let plan = with_uplink(with_uplink(plan, 0, 200), 2, 100);
    let plan = plan.with_neighbour("nw-b", v4(2, 7).into(), mac(MACHINE));
    let plan = plan.with_neighbour("nw-b", v6(2, 7).into(), mac(MACHINE));
    World::new(plan.with_neighbour("nw-b", v4(2, 9).into(), mac(ROUTER)))
}

fn three() -> World {
    world(plan(Plan::hosts(&[Geneve, Geneve, Geneve])))
}

/// Three hosts, of which the first and the last have an uplink.
pub(crate) fn three_plan() -> Plan {
    with_uplink(with_uplink(plan(Plan::hosts(&[Geneve; 3])), 0, 200), 2, 100)
}

fn check_both_ways(world: &mut World) {
    let (sent, got) = (way(own(1, 1), LEG_A, 64), way(LEG_B, MACHINE, 63));
    world.check("if-a1", &udp4(sent, v4(1, 1), v4(2, 7)), &[("if-up0", &udp4(got, v4(1, 1), v4(2, 7)))]);
    world.check("if-a1", &udp6(sent, v6(1, 1), v6(2, 7)), &[("if-up0", &udp6(got, v6(1, 1), v6(2, 7)))]);
    let (sent, got) = (way(MACHINE, LEG_B, 64), way(LEG_A, own(1, 1), 63));
    world.check("if-up0", &udp4(sent, v4(2, 7), v4(1, 1)), &[("if-a1", &udp4(got, v4(2, 7), v4(1, 1)))]);
    world.check("if-up0", &udp6(sent, v6(2, 7), v6(1, 1)), &[("if-a1", &udp6(got, v6(2, 7), v6(1, 1)))]);
}

#[test]
fn packets_go_both_ways_between_a_guest_and_a_machine_by_the_first_gateway() {
    check_both_ways(&mut three());
    // Those whose tunnels name no interfaces do it too.
    check_both_ways(&mut world(plan(Plan::hosts(&[Vxlan, Vxlan, Geneve]))));
}

#[test]
fn what_is_further_off_goes_to_the_router_on_the_wire() {
    let mut world = three();
    let (sent, got) = (way(own(1, 1), LEG_A, 64), way(LEG_B, ROUTER, 63));
    world.check("if-a1", &udp4(sent, v4(1, 1), FAR), &[("if-up0", &udp4(got, v4(1, 1), FAR))]);
    let (sent, got) = (way(ROUTER, LEG_B, 60), way(LEG_A, own(1, 1), 59));
    world.check("if-up0", &udp4(sent, FAR, v4(1, 1)), &[("if-a1", &udp4(got, FAR, v4(1, 1)))]);
}

#[test]
fn a_guest_of_the_second_gateway_goes_by_the_first() {
    let plan = plan(Plan::hosts(&[Geneve, Geneve, Geneve])).with_interface(2, guest(1, 2));
    let mut world = world(plan);
    let (sent, got) = (way(own(1, 2), LEG_A, 64), way(LEG_B, MACHINE, 63));
    world.check("if-a2", &udp4(sent, v4(1, 2), v4(2, 7)), &[("if-up0", &udp4(got, v4(1, 2), v4(2, 7)))]);
}

#[test]
fn the_gateway_answers_the_wire_for_legs_and_nobody_else_does() {
    let mut world = three();
    let asked = who_has(MACHINE, v4(2, 7), v4(2, 254));
    world.check("if-up0", &asked, &[("if-up0", &frames::is_at(LEG_B, v4(2, 254), MACHINE, v4(2, 7)))]);
    let asked_6 = solicitation(MACHINE, v6(2, 7), v6(2, 254), &source_option(mac(MACHINE)));
    let told = frames::router_is_at(LEG_B, MACHINE, v6(2, 254), v6(2, 7));
    world.check("if-up0", &asked_6, &[("if-up0", &told)]);
    let (asks, answers) = (way(MACHINE, LEG_B, 64), way(LEG_B, MACHINE, 64));
    let echo = echo4(asks, v4(2, 7), v4(2, 254), false);
    world.check("if-up0", &echo, &[("if-up0", &echo4(answers, v4(2, 254), v4(2, 7), true))]);
    for frame in [asked, asked_6, echo, udp4(way(MACHINE, LEG_B, 64), v4(2, 7), v4(1, 1))] {
        world.check_dropped("if-up2", &frame, Purpose::NotGateway);
    }
}

#[test]
fn a_gateway_that_yields_leaves_its_own_guests_and_the_wire_to_the_next() {
    let plan = plan(Plan::hosts(&[Geneve; 3])).with_yielding(0).with_interface(0, guest(1, 2));
    let mut world = world(plan);
    let (sent, got) = (way(own(1, 2), LEG_A, 64), way(LEG_B, MACHINE, 63));
    world.check("if-a2", &udp4(sent, v4(1, 2), v4(2, 7)), &[("if-up2", &udp4(got, v4(1, 2), v4(2, 7)))]);
    for frame in [who_has(MACHINE, v4(2, 7), v4(2, 254)), udp4(way(MACHINE, LEG_B, 64), v4(2, 7), v4(1, 1))] {
        world.check_dropped("if-up0", &frame, Purpose::NotGateway);
    }
}

#[test]
fn a_gateway_that_yields_and_is_the_only_one_goes_on() {
    let plan = with_uplink(plan(Plan::hosts(&[Geneve; 3])), 0, 200).with_yielding(0);
    let mut world = World::new(plan.with_neighbour("nw-b", v4(2, 7).into(), mac(MACHINE)));
    let (sent, got) = (way(own(1, 1), LEG_A, 64), way(LEG_B, MACHINE, 63));
    world.check("if-a1", &udp4(sent, v4(1, 1), v4(2, 7)), &[("if-up0", &udp4(got, v4(1, 1), v4(2, 7)))]);
    let (sent, got) = (way(MACHINE, LEG_B, 64), way(LEG_A, own(1, 1), 63));
    world.check("if-up0", &udp4(sent, v4(2, 7), v4(1, 1)), &[("if-a1", &udp4(got, v4(2, 7), v4(1, 1)))]);
}

#[test]
fn nobody_outside_speaks_as_a_leg_or_as_a_guest() {
    let mut world = three();
    let to_leg = way(MACHINE, LEG_B, 64);
    let as_leg = arp((mac(MACHINE), BROADCAST), 1, (mac(MACHINE), v4(2, 254)), (NOBODY, v4(2, 8)));
    world.check_dropped("if-up0", &as_leg, Purpose::Pretender);
    world.check_dropped("if-up0", &udp4(to_leg, v4(2, 254), v4(1, 1)), Purpose::Pretender);
    world.check_dropped("if-up0", &udp4(way(LEG_B, LEG_B, 64), v4(2, 8), v4(1, 1)), Purpose::Pretender);
    // A guest's address is behind the router's other leg.
    world.check("if-up0", &udp4(to_leg, v4(1, 9), v4(1, 1)), &[]);
    let fine = udp4(to_leg, v4(2, 7), v4(1, 1));
    world.check_dropped("if-up0", &frames::tagged(&fine), Purpose::TaggedOutside);
    // Between machines out there nothing passes through here.
    world.check_dropped(
        "if-up0",
        &udp4(way(MACHINE, ROUTER, 64), v4(2, 7), v4(2, 9)),
        Purpose::UnknownDestination,
    );
    world.check("if-up0", &frames::udp_to_all(MACHINE), &[]);
}

#[test]
fn machines_on_the_wire_reach_each_other_through_the_router_if_they_want() {
    let mut world = three();
    let (sent, got) = (way(MACHINE, LEG_B, 64), way(LEG_B, ROUTER, 63));
    world.check("if-up0", &udp4(sent, v4(2, 7), FAR), &[("if-up0", &udp4(got, v4(2, 7), FAR))]);
}

/// The one question that reaches an agent.
#[track_caller]
fn asked(world: &mut World, from: &str, frame: &[u8]) -> PacketIn {
    let outcome = world.send(from, frame);
    assert_eq!(outcome.received, []);
    let [asked] = &outcome.questions[..] else { panic!("one question: {:?}", outcome.questions) };
    asked.clone()
}

#[test]
fn who_is_not_known_on_the_wire_is_the_gateways_agent_to_find() {
    let mut world = three();
    let frame = udp4(way(own(1, 1), LEG_A, 64), v4(1, 1), v4(2, 8));
    let question = asked(&mut world, "if-a1", &frame);
    assert_eq!(Question::of_userdata(&question.userdata), Some(Question::NextHop));
    assert_eq!(question.packet[6..12], mac(LEG_B), "it is out of the leg already");
    // The answers are the agent's, wherever the question came from.
    for uplink in ["if-up0", "if-up2"] {
        let answer = frames::is_at(MACHINE, v4(2, 8), LEG_B, v4(2, 254));
        let heard = asked(&mut world, uplink, &answer);
        assert_eq!(Question::of_userdata(&heard.userdata), Some(Question::NeighbourFound));
    }
    // Others' answers are nobody's business.
    world.check("if-up0", &frames::is_at(MACHINE, v4(2, 8), ROUTER, v4(2, 9)), &[]);
}

#[test]
fn without_uplinks_nobody_is_there() {
    let mut world = World::new(plan(Plan::hosts(&[Geneve, Geneve])));
    let frame = udp4(way(own(1, 1), LEG_A, 64), v4(1, 1), v4(2, 7));
    let question = asked(&mut world, "if-a1", &frame);
    assert_eq!(Question::of_userdata(&question.userdata), Some(Question::HostUnreachable));
}

#[test]
fn what_is_leased_to_an_uplink_changes_no_flow() {
    let leased = three_plan()
        .with(
            "mac_leases",
            json!({"uuid": "ml-up0", "interface_uuid": "if-up0", "mac_address": "02:00:00:00:00:77"}),
        )
        .with(
            "ip_leases",
            json!({"network_uuid": "nw-b", "mac_lease_uuid": "ml-up0", "ipv4_address": v4(2, 7)}),
        )
        .with(
            "ip_leases",
            json!({"network_uuid": "nw-b", "mac_lease_uuid": "ml-up0", "ipv6_address": v6(2, 7)}),
        );
    for host in leased.all_hosts() {
        assert_eq!(leased.program(host), three_plan().program(host), "host {host}");
    }
}
