//! Between hosts: what goes into a tunnel, and what comes out.

use std::net::{Ipv4Addr, Ipv6Addr};

use dataplane::Purpose;
use dataplane::layout::{OPTION_CLASS, OPTION_TYPE, PEER, Question, TUNNEL_MTU};
use openflow::{Action, Field};
use topology::datapath::Encapsulation::{self, Geneve, Gre, Vxlan};
use topology::mtu;

use crate::frames::*;
use crate::network::guest;
use crate::plan::{Plan, UNDERLAY_MTU};
use crate::segment::member;
use crate::switch::{underlay_ipv4, underlay_ipv6, underlay_mac};
use crate::world::World;

/// Parts of a Geneve packet in an Ethernet frame with an IPv4 header of 20 bytes (RFC 8926, section 3).
const IP: std::ops::Range<usize> = 14..34;
const IP_CHECKSUM: std::ops::Range<usize> = 24..26;
const SOURCE: std::ops::Range<usize> = 26..30;
const DESTINATION: std::ops::Range<usize> = 30..34;
const FLAGS: usize = 43;
const VNI: std::ops::Range<usize> = 46..49;
const OPTION_HEADER: std::ops::Range<usize> = 50..54;
const SOURCE_INTERFACE: std::ops::Range<usize> = 54..57;
const DESTINATION_INTERFACE: std::ops::Range<usize> = 57..60;
const IDENTITY: std::ops::Range<usize> = 60..62;
const INNER: usize = 62;

/// What says that an option is critical (RFC 8926, section 3.4).
const CRITICAL: u8 = 0x40;

/// UDP and IPv4 headers, in bytes, and those of UDP and IPv6.
const HEADERS: usize = 28;
const HEADERS_IPV6: usize = 48;

/// A VLAN tag, in bytes.
const TAG: usize = 4;

/// A network with guest 1 on the first host, 2 and 3 on the second, 4 on the third, if there is one.
fn spread(encapsulations: &[Encapsulation]) -> World {
    spread_over(Plan::hosts(encapsulations))
}

fn spread_over(hosts: Plan) -> World {
    let mut plan = hosts.with_network("nw-a").with_network("nw-b");
    for (number, host) in [(1, 0), (2, 1), (3, 1), (4, 2)] {
        if plan.all_hosts().contains(&host) {
            plan = plan.with_interface(host, guest(&format!("if-{number}"), "nw-a", number));
        }
    }
    // Guests on the same hosts, with the same addresses, in another network.
    let plan = plan.with_interface(0, guest("if-b1", "nw-b", 1));
    World::new(plan.with_interface(1, guest("if-b2", "nw-b", 2)))
}

/// What goes over the wire when a guest sends a frame.
fn crossing(world: &mut World, from: &str, frame: &[u8]) -> Vec<u8> {
    let [crossing] = &world.send(from, frame).wire[..] else { panic!("one frame") };
    crossing.clone()
}

fn key(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |key, byte| key << 8 | u32::from(*byte))
}

/// The frame with other bytes, and its IP checksum put right (RFC 1071).
fn forged(frame: &[u8], at: std::ops::Range<usize>, bytes: &[u8]) -> Vec<u8> {
    let mut frame = frame.to_vec();
    frame[at].copy_from_slice(bytes);
    frame[IP_CHECKSUM].fill(0);
    let words = frame[IP].chunks(2).map(key);
    let sum = words.fold(0, |sum, word| (sum + word) % 0xffff);
    let checksum = u16::try_from(0xffff - sum).expect("16 bits");
    frame[IP_CHECKSUM].copy_from_slice(&checksum.to_be_bytes());
    frame
}

#[test]
fn a_packet_crosses_once_and_says_all_that_the_other_host_needs() {
    let mut world = spread(&[Geneve, Geneve]);
    let frame = udp(1, 2);
    let wire = world.check("if-1", &frame, &[("if-2", &frame)]);
    let [crossing] = &wire[..] else { panic!("one frame, not {}", wire.len()) };
    assert_eq!(crossing[SOURCE], underlay_ipv4(0).octets());
    assert_eq!(crossing[DESTINATION], underlay_ipv4(1).octets());
    let plan = world.plan();
    assert_eq!(key(&crossing[VNI]), plan.domain_key("nw-a").0);
    let [class_high, class_low] = OPTION_CLASS.to_be_bytes();
    assert_eq!(crossing[OPTION_HEADER], [class_high, class_low, OPTION_TYPE, 2]);
    assert_eq!(crossing[FLAGS] & CRITICAL, CRITICAL);
    assert_eq!(key(&crossing[SOURCE_INTERFACE]), plan.interface_key("if-1").0);
    assert_eq!(key(&crossing[DESTINATION_INTERFACE]), plan.interface_key("if-2").0);
    assert_eq!(crossing[IDENTITY], [0, 0]);
    assert_eq!(crossing[INNER..], frame);
}

#[test]
fn packets_leave_with_the_hosts_own_address() {
    let plan = Plan::hosts(&[Geneve, Geneve]);
    let own = Action::set_field(Field::TunSrc, underlay_ipv4(0));
    let program = plan.program(0);
    let sends = |flow: &&openflow::Flow| flow.table == PEER && flow.instructions.apply.contains(&own);
    assert_eq!(program.flows.values().filter(sends).count(), 1);
}

#[test]
fn every_encapsulation_carries_both_families() {
    for kinds in [[Geneve, Geneve], [Vxlan, Vxlan], [Gre, Gre], [Geneve, Vxlan]] {
        let mut world = spread(&kinds);
        for frame in [udp(1, 2), udp6(1, 2)] {
            world.check("if-1", &frame, &[("if-2", &frame)]);
            world.check("if-b1", &frame, &[("if-b2", &frame)]);
        }
        for frame in [udp(2, 1), udp6(2, 1)] {
            world.check("if-2", &frame, &[("if-1", &frame)]);
        }
    }
}

#[test]
fn every_encapsulation_runs_over_ipv6() {
    for kind in Encapsulation::ALL {
        let mut world = spread_over(Plan::hosts_over_ipv6(&[kind; 2]));
        let mtu = usize::from(UNDERLAY_MTU - kind.overhead(Ipv6Addr::LOCALHOST.into()));
        let frame = udp_of(mtu - HEADERS, (mac(1), ipv4(1)), (mac(2), ipv4(2)));
        let wire = world.check("if-1", &frame, &[("if-2", &frame)]);
        assert_eq!(wire[0].len(), 14 + usize::from(UNDERLAY_MTU));
        let frame = udp_to_all(2);
        world.check("if-2", &frame, &[("if-1", &frame), ("if-3", &frame)]);
        let frame = udp_of(mtu + 1 - HEADERS, (mac(1), ipv4(1)), (mac(2), ipv4(2)));
        world.check_asked("if-1", &frame, Question::TooBig);
    }
}

#[test]
fn a_segment_spans_hosts_and_a_tag_takes_its_room() {
    for kind in Encapsulation::ALL {
        let plan = Plan::hosts(&[kind; 2]).with_segment("seg-a");
        let plan = plan.with_interface(0, member("if-1", "seg-a", 1));
        let mut world = World::new(plan.with_interface(1, member("if-2", "seg-a", 2)));
        for frame in [who_has(1, ipv4(1), ipv4(2)), tagged(&who_has(1, ipv4(1), ipv4(2))), udp(1, 2)] {
            world.check("if-1", &frame, &[("if-2", &frame)]);
        }
        let mtu = usize::from(UNDERLAY_MTU - kind.overhead(Ipv4Addr::LOCALHOST.into()));
        let tagged_of = |size| tagged(&udp_of(size - HEADERS, (mac(1), ipv4(1)), (mac(2), ipv4(2))));
        let fits = tagged_of(mtu - TAG);
        let wire = world.check("if-1", &fits, &[("if-2", &fits)]);
        assert_eq!(wire[0].len(), 14 + usize::from(UNDERLAY_MTU));
        world.check_asked("if-1", &tagged_of(mtu - TAG + 1), Question::TooBig);
    }
}

#[test]
fn a_broadcast_crosses_once_to_each_host_and_no_further() {
    for kind in Encapsulation::ALL {
        let mut world = spread(&[kind; 3]);
        let frame = udp_to_all(1);
        let wire = world.check("if-1", &frame, &["if-2", "if-3", "if-4"].map(|guest| (guest, &frame[..])));
        assert_eq!(wire.len(), 2);
        // The other network has no member on the third host.
        let wire = world.check("if-b1", &frame, &[("if-b2", &frame)]);
        assert_eq!(wire.len(), 1);
    }
}

#[test]
fn a_remote_address_is_resolved_at_the_source() {
    let mut world = spread(&[Geneve, Geneve]);
    let answer = is_at(2, ipv4(2), 1, ipv4(1));
    let wire = world.check("if-1", &who_has(1, ipv4(1), ipv4(2)), &[("if-1", &answer)]);
    assert!(wire.is_empty());
    let question = solicitation(1, ipv6(1), ipv6(2), &source_option(mac(1)));
    let answer = advertisement(2, 1, ipv6(2), ipv6(1), mac(2));
    assert!(world.check("if-1", &question, &[("if-1", &answer)]).is_empty());
}

#[test]
fn who_is_no_peer_sends_into_no_network() {
    for kinds in [[Geneve, Geneve], [Vxlan, Vxlan], [Gre, Gre]] {
        let mut world = spread(&kinds);
        let crossing = crossing(&mut world, "if-1", &udp(1, 2));
        let stranger = forged(&crossing, SOURCE, &underlay_ipv4(100).octets());
        world.check_wire_dropped(1, &stranger, Purpose::UnknownPeer);
    }
}

#[test]
fn a_peer_sends_from_any_of_its_addresses() {
    let second = |host| Ipv4Addr::new(203, 0, 113, host);
    let mut world = spread_over(Plan::hosts_at(&[Geneve; 2], |host| {
        vec![underlay_ipv4(host).into(), Ipv4Addr::new(203, 0, 113, host).into()]
    }));
    let crossing = crossing(&mut world, "if-1", &udp(1, 2));
    assert_eq!(crossing[SOURCE], underlay_ipv4(0).octets());
    let by_second = forged(&crossing, SOURCE, &second(0).octets());
    let outcome = world.send_wire(1, &by_second);
    assert_eq!(outcome.received, [("if-2".to_owned(), udp(1, 2))]);
    let own = forged(&crossing, SOURCE, &second(1).octets());
    world.check_wire_dropped(1, &own, Purpose::UnknownPeer);
}

#[test]
fn hosts_talk_over_a_family_that_both_have() {
    let mut world = spread_over(Plan::hosts_at(&[Geneve; 3], |host| match host {
        0 => vec![underlay_ipv4(0).into(), underlay_ipv6(0).into()],
        1 => vec![underlay_ipv6(1).into()],
        _ => vec![underlay_ipv4(host).into()],
    }));
    const ETHERTYPE: std::ops::Range<usize> = 12..14;
    for (from, to, ethertype) in [(1, 2, [0x86, 0xdd]), (2, 1, [0x86, 0xdd]), (1, 4, [0x08, 0x00])] {
        let wire = world.check(
            &format!("if-{from}"),
            &udp(from, to),
            &[(format!("if-{to}").as_str(), &udp(from, to))],
        );
        assert_eq!(wire[0][ETHERTYPE], ethertype, "from {from} to {to}");
    }
    assert_eq!(world.send("if-2", &udp(2, 4)).wire.len(), 0, "there is no way from IPv6 to IPv4");
}

#[test]
fn a_peer_uses_its_own_encapsulation() {
    let mut world = spread(&[Geneve, Geneve, Vxlan]);
    let crossing = crossing(&mut world, "if-4", &udp(4, 2));
    let other = forged(&crossing, SOURCE, &underlay_ipv4(0).octets());
    world.check_wire_dropped(1, &other, Purpose::UnknownPeer);
}

#[test]
fn an_interface_is_reached_within_its_network_only() {
    let mut world = spread(&[Geneve, Geneve]);
    let crossing = crossing(&mut world, "if-1", &udp(1, 2));
    let bytes = |key: u32| key.to_be_bytes()[1..].to_vec();
    let (other, own) = (world.plan().interface_key("if-b2").0, world.plan().interface_key("if-1").0);
    let network = world.plan().domain_key("nw-b").0;
    for (at, key) in
        [(VNI, network), (VNI, 0xff_ffff), (DESTINATION_INTERFACE, other), (DESTINATION_INTERFACE, own)]
    {
        world.check_wire_dropped(1, &forged(&crossing, at, &bytes(key)), Purpose::NotHere);
    }
}

#[test]
fn what_came_from_a_tunnel_goes_into_none() {
    for kind in [Vxlan, Gre] {
        let mut world = spread(&[kind; 3]);
        // From the first host, for a guest of the third, but sent to the second.
        let crossing = crossing(&mut world, "if-1", &udp(1, 4));
        let astray = forged(&crossing, DESTINATION, &underlay_ipv4(1).octets());
        let astray = [&underlay_mac(1), &astray[6..]].concat();
        world.check_wire_dropped(1, &astray, Purpose::SplitHorizon);
    }
}

#[test]
fn what_does_not_fit_is_a_question_for_the_agent() {
    for kind in Encapsulation::ALL {
        let mut world = spread(&[kind; 2]);
        let mtu = usize::from(UNDERLAY_MTU - kind.overhead(Ipv4Addr::LOCALHOST.into()));
        let ipv4_of = |size| udp_of(size - HEADERS, (mac(1), ipv4(1)), (mac(2), ipv4(2)));
        let ipv6_of = |size| udp6_of(size - HEADERS_IPV6, (mac(1), ipv6(1)), (mac(2), ipv6(2)));
        for frame in [ipv4_of(mtu), ipv6_of(mtu)] {
            let wire = world.check("if-1", &frame, &[("if-2", &frame)]);
            assert_eq!(wire[0].len(), 14 + usize::from(UNDERLAY_MTU));
        }
        for frame in [ipv4_of(mtu + 1), ipv6_of(mtu + 1)] {
            let asked = world.check_asked("if-1", &frame, Question::TooBig);
            assert_eq!(asked.metadata.get(Field::Reg(TUNNEL_MTU)).map(|term| term.value), Some(mtu as u128));
        }
        let to_all = udp_of(mtu + 1 - HEADERS, (mac(1), ipv4(1)), (BROADCAST, Ipv4Addr::BROADCAST));
        world.check_dropped("if-1", &to_all, Purpose::TooBig);
    }
}

#[test]
fn the_mtu_told_is_that_of_both_hosts() {
    let world = Plan::hosts(&[Geneve, Vxlan]);
    assert_eq!(mtu::of_overlay(world.topology()), 1438);
}
