//! What hosts on one wire send each other as it is.
//!
//! Guests and routers are those of [`crate::routing`], with 1 and 2 as hosts' numbers; both hosts have an uplink in the physical network `nw-p`, and a user
//! wants `mac2mac` of them.

use dataplane::Purpose;
use dataplane::layout::Question;
use serde_json::json;
use topology::HostKey;
use topology::datapath::Encapsulation::{Geneve, Vxlan};
use topology::wire::WireName;

use crate::frames::{self, BROADCAST, mac, tagged};
use crate::plan::Plan;
use crate::routing::{self, LEG_A, LEG_B, own, udp4, udp6, v4, v6, way};
use crate::segment::member;
use crate::world::World;

/// With an uplink on each host.
fn with_uplinks(plan: Plan) -> Plan {
    let physical = json!({"uuid": "nw-p", "mode": "physical", "ipv4_network": v4(9, 0)});
    let uplink = |host| {
        json!({"uuid": format!("if-up{host}"), "mode": "host", "network_uuid": "nw-p",
            "owner_datapath_uuid": format!("dp-host{host}"), "port_name": format!("nic{host}")})
    };
    let hosts = plan.all_hosts();
    let plan = plan.with("networks", physical);
    hosts.into_iter().fold(plan, |plan, host| plan.with_interface(host, uplink(host)))
}

fn plan(plan: Plan) -> Plan {
    with_uplinks(plan).with_peers(0, 1, "mac2mac")
}

fn two() -> Plan {
    plan(routing::plan(Plan::hosts(&[Geneve; 2])))
}

/// The MAC address that stands for an interface on a host.
fn name(plan: &Plan, host: u8, interface: &str) -> [u8; 6] {
    let host: topology::DatapathId = format!("dp-host{host}").parse().expect("an id");
    let HostKey(key) = plan.topology().datapaths()[&host].key;
    WireName { host: HostKey(key), interface: plan.interface_key(interface) }.address().0
}

/// The frame with other MAC addresses.
fn renamed(frame: &[u8], from: [u8; 6], to: [u8; 6]) -> Vec<u8> {
    [&to[..], &from[..], &frame[12..]].concat()
}

/// Checks that a guest's frame goes onto the wire with the names of two interfaces, and what who gets it there makes of it.
#[track_caller]
fn check_crosses(
    world: &mut World,
    (from, sent): (&str, &[u8]),
    (sender, receiver): (&str, &str),
    got: &[u8],
) {
    let (here, there) = (world.plan().host_of(from), world.plan().host_of(receiver));
    let [sender, named] = [(here, sender), (there, receiver)].map(|(host, of)| name(world.plan(), host, of));
    let crossing = renamed(got, sender, named);
    let uplink = |host| format!("if-up{host}");
    assert_eq!(world.check(from, sent, &[(&uplink(here), &crossing)]), Vec::<Vec<u8>>::new());
    world.check(&uplink(there), &crossing, &[(receiver, got)]);
}

/// Checks that a guest's frame goes by tunnel.
#[track_caller]
fn check_tunnelled(world: &mut World, (from, sent): (&str, &[u8]), (to, got): (&str, &[u8])) {
    assert_eq!(world.check(from, sent, &[(to, got)]).len(), 1);
}

#[test]
fn neighbours_and_those_behind_a_router_reach_each_other_as_they_are() {
    for hosts in [[Geneve, Geneve], [Vxlan, Geneve]] {
        let mut world = World::new(plan(routing::plan(Plan::hosts(&hosts))));
        let between = way(own(2, 1), own(2, 2), 64);
        for frame in [udp4(between, v4(2, 1), v4(2, 2)), udp6(between, v6(2, 1), v6(2, 2))] {
            check_crosses(&mut world, ("if-b1", &frame), ("if-b1", "if-b2"), &frame);
        }
        let between = way(own(2, 2), own(2, 1), 64);
        let frame = udp4(between, v4(2, 2), v4(2, 1));
        check_crosses(&mut world, ("if-b2", &frame), ("if-b2", "if-b1"), &frame);
        // From the leg by which the router has sent it on.
        let (sent, got) = (way(own(1, 1), LEG_A, 64), way(LEG_B, own(2, 2), 63));
        let (sent, got) = (udp4(sent, v4(1, 1), v4(2, 2)), udp4(got, v4(1, 1), v4(2, 2)));
        check_crosses(&mut world, ("if-a1", &sent), ("if-legb", "if-b2"), &got);
    }
}

#[test]
fn what_two_addresses_cannot_say_goes_by_tunnel() {
    let plan = plan(Plan::hosts(&[Geneve; 2]).with_segment("seg-a"));
    let plan =
        plan.with_interface(0, member("if-1", "seg-a", 1)).with_interface(1, member("if-2", "seg-a", 2));
    let two = json!({"interface_uuid": "if-2", "segment_uuid": "seg-a", "mac_address": "02:00:00:00:00:09"});
    let mut world = World::new(plan);
    let frame = frames::udp(1, 2);
    check_crosses(&mut world, ("if-1", &frame), ("if-1", "if-2"), &frame);
    check_tunnelled(&mut world, ("if-1", &tagged(&frame)), ("if-2", &tagged(&frame)));
    let to_all = renamed(&frame, mac(1), BROADCAST);
    check_tunnelled(&mut world, ("if-1", &to_all), ("if-2", &to_all));
    // Which of its addresses is meant, a name does not say.
    world.create("mac_leases", two);
    check_tunnelled(&mut world, ("if-1", &frame), ("if-2", &frame));
}

#[test]
fn what_is_too_large_for_the_tunnel_is_told_to_its_sender() {
    let mut world = World::new(plan(
        Plan::hosts(&[Geneve; 2])
            .with_network("nw-a")
            .with_interface(0, crate::network::guest("if-1", "nw-a", 1))
            .with_interface(1, crate::network::guest("if-2", "nw-a", 2)),
    ));
    let sized = |bytes| frames::udp_of(bytes, (mac(1), frames::ipv4(1)), (mac(2), frames::ipv4(2)));
    // 62 bytes of 1,500 are Geneve's, and 28 the datagram's headers.
    let (fits, large) = (sized(1410), sized(1411));
    check_crosses(&mut world, ("if-1", &fits), ("if-1", "if-2"), &fits);
    world.check_asked("if-1", &large, Question::TooBig);
}

#[test]
fn a_members_groups_are_known_whatever_way_its_packets_go() {
    let rule = json!({"direction": "ingress", "remote_group_uuid": "sg-a"});
    let member = |groups| json!({"security_groups": groups});
    let plan = two().with("security_groups", json!({"uuid": "sg-a", "rules": [{"direction": "egress"}]}));
    let mut world = World::new(plan.with("security_groups", json!({"uuid": "sg-b", "rules": [rule]})));
    world.update("interfaces", "if-b2", member(["sg-b"]));
    let between = way(own(2, 1), own(2, 2), 64);
    let frame = udp4(between, v4(2, 1), v4(2, 2));
    let crossing = renamed(&frame, name(world.plan(), 0, "if-b1"), name(world.plan(), 1, "if-b2"));
    world.check("if-b1", &frame, &[("if-up0", &crossing)]);
    world.check_dropped("if-up1", &crossing, Purpose::NotAllowedIn);
    ["if-b1", "if-a1"].into_iter().for_each(|guest| world.update("interfaces", guest, member(["sg-a"])));
    check_crosses(&mut world, ("if-b1", &frame), ("if-b1", "if-b2"), &frame);
    // A routed frame is from the router's leg, and does not say whose it was.
    let (sent, got) = (way(own(1, 1), LEG_A, 64), way(LEG_B, own(2, 2), 63));
    let (sent, got) = (udp4(sent, v4(1, 1), v4(2, 2)), udp4(got, v4(1, 1), v4(2, 2)));
    check_tunnelled(&mut world, ("if-a1", &sent), ("if-b2", &got));
}

#[test]
fn who_is_not_to_send_so_is_not_heard() {
    let plan = with_uplinks(routing::plan(Plan::hosts(&[Geneve; 3])).with_peers(0, 2, "vxlan"));
    let frame = udp4(way(own(2, 1), own(2, 2), 64), v4(2, 1), v4(2, 2));
    let [sender, stranger, receiver] = [(0, "if-b1"), (1, "if-b1"), (2, "if-b2")];
    let from = |plan: &Plan, (host, interface): (u8, &str), (at, to): (u8, &str)| {
        renamed(&frame, name(plan, host, interface), name(plan, at, to))
    };
    let [fits, from_stranger, for_other, from_nobody] = [
        from(&plan, sender, receiver),
        from(&plan, stranger, receiver),
        from(&plan, sender, (1, "if-b2")),
        renamed(&frame, [0x0e, 0, 1, 0xff, 0xff, 0xff], name(&plan, 2, "if-b2")),
    ];
    let mut world = World::new(plan);
    // Where there is a record at all, it may have been otherwise a moment ago.
    world.check("if-up2", &fits, &[("if-b2", &frame)]);
    assert_eq!(world.check("if-b1", &frame, &[("if-b2", &frame)]).len(), 1, "by tunnel");
    world.check_dropped("if-up2", &from_stranger, Purpose::NotGateway);
    world.check_dropped("if-up2", &for_other, Purpose::NotNamed);
    world.check_dropped("if-up2", &from_nobody, Purpose::NotNamed);
    world.check_dropped("if-up2", &tagged(&fits), Purpose::TaggedOutside);
    world.check_dropped("if-up1", &fits, Purpose::NotGateway);
}

#[test]
fn without_a_wire_in_common_all_goes_by_tunnel() {
    let mut world = World::new(two());
    let frame = udp4(way(own(2, 1), own(2, 2), 64), v4(2, 1), v4(2, 2));
    check_crosses(&mut world, ("if-b1", &frame), ("if-b1", "if-b2"), &frame);
    world.update("interfaces", "if-up1", json!({"admin_state": "down"}));
    check_tunnelled(&mut world, ("if-b1", &frame), ("if-b2", &frame));
}
