//! Packets to services of simulated interfaces.
//!
//! Guest `if-1` (10.0.0.1, fd00::1), the server `if-9` and the leg `if-8` of a router.

use std::net::{IpAddr, Ipv6Addr};

use dataplane::Purpose;
use dataplane::layout::{METADATA, METADATA_V6, Question};
use etherparse::PacketBuilder;
use serde_json::{Value, json};
use topology::MacAddr;

use crate::frames::{
    advertisement, dhcp, dhcp_renewal, ipv4, ipv6, is_at, mac, solicitation, source_option, who_has,
};
use crate::plan::Plan;
use crate::world::World;

const GUEST: u8 = 1;
const LEG: u8 = 8;
const SERVER: u8 = 9;

fn interface(number: u8, more: Value) -> Value {
    let mut interface = json!({"uuid": format!("if-{number}"), "network_uuid": "nw-a",
        "mac_address": MacAddr(mac(number)).to_string(), "ipv4_address": ipv4(number), "ipv6_address": ipv6(number)});
    interface.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    interface
}

fn world(service: Value) -> World {
    let plan =
        Plan::host().with_network("nw-a").with("interfaces", interface(SERVER, json!({"mode": "simulated"})));
    let plan = plan.with("network_services", service).with("route_links", json!({"uuid": "rl-1"}));
    let leg = interface(LEG, json!({"mode": "simulated", "enable_routing": true}));
    let route = json!({"interface_uuid": "if-8", "network_uuid": "nw-a", "route_link_uuid": "rl-1"});
    let prefix = |name, value: &str| {
        let mut route = route.clone();
        route[name] = value.into();
        route
    };
    let plan = plan.with("interfaces", leg).with("routes", prefix("ipv4_network", "10.0.0.0"));
    let plan = plan.with("routes", prefix("ipv6_network", "fd00::"));
    World::new(plan.with_interface(0, interface(GUEST, json!({}))))
}

/// A SYN of the guest.
fn syn(to_mac: u8, to: impl Into<IpAddr>, port: u16) -> Vec<u8> {
    let mut frame = Vec::new();
    let packet = PacketBuilder::ethernet2(mac(GUEST), mac(to_mac));
    let packet = match to.into() {
        IpAddr::V4(to) => packet.ipv4(ipv4(GUEST).octets(), to.octets(), 64),
        IpAddr::V6(to) => packet.ipv6(ipv6(GUEST).octets(), to.octets(), 64),
    };
    packet.tcp(1000, port, 1, 4096).syn().write(&mut frame, &[]).expect("it fits");
    frame
}

fn metadata() -> Value {
    json!({"interface_uuid": "if-9", "mode": "metadata", "metadata_server": "192.0.2.1:80"})
}

#[test]
fn the_metadata_address_is_asked_by_whatever_way_a_guest_takes() {
    let mut world = world(metadata());
    for to_mac in [SERVER, LEG] {
        world.check_asked("if-1", &syn(to_mac, METADATA, 80), Question::Metadata);
        world.check_asked("if-1", &syn(to_mac, METADATA_V6, 80), Question::Metadata);
    }
    world.check_dropped("if-1", &syn(SERVER, METADATA, 81), Purpose::NotServed);
    world.check_dropped("if-1", &syn(SERVER, ipv4(SERVER), 80), Purpose::NotServed);
}

#[test]
fn the_metadata_address_is_resolved() {
    let mut world = world(metadata());
    let reply = is_at(SERVER, METADATA, GUEST, ipv4(GUEST));
    world.check("if-1", &who_has(GUEST, ipv4(GUEST), METADATA), &[("if-1", &reply)]);
    let asked = solicitation(GUEST, ipv6(GUEST), METADATA_V6, &source_option(mac(GUEST)));
    let told = advertisement(SERVER, GUEST, METADATA_V6, ipv6(GUEST), mac(SERVER));
    world.check("if-1", &asked, &[("if-1", &told)]);
}

#[test]
fn without_the_service_the_metadata_address_is_nobodys() {
    let mut world = world(json!({"interface_uuid": "if-9", "mode": "dns"}));
    world.check_dropped("if-1", &who_has(GUEST, ipv4(GUEST), METADATA), Purpose::Unresolved);
    world.check_dropped("if-1", &syn(LEG, METADATA, 80), Purpose::NotForwarded);
}

#[test]
fn names_are_asked_over_tcp() {
    let mut world = world(json!({"interface_uuid": "if-9", "mode": "dns"}));
    world.check_asked("if-1", &syn(SERVER, ipv4(SERVER), 53), Question::DnsStream);
    let to: Ipv6Addr = ipv6(SERVER);
    world.check_asked("if-1", &syn(SERVER, to, 53), Question::DnsStream);
    world.check_dropped("if-1", &syn(LEG, ipv4(LEG), 53), Purpose::NotServed);
}

#[test]
fn a_dhcp_client_is_heard_also_from_an_address_that_it_has_lost() {
    let mut world = world(json!({"interface_uuid": "if-9", "mode": "dhcp"}));
    world.check_asked("if-1", &dhcp(GUEST), Question::Dhcp);
    for source in [ipv4(GUEST), ipv4(7), [192, 0, 2, 1].into()] {
        for server in [SERVER, LEG] {
            world.check_asked("if-1", &dhcp_renewal(GUEST, source, server), Question::Dhcp);
        }
    }
}

#[test]
fn where_nobody_serves_a_dhcp_client_speaks_from_its_own_address() {
    let mut world = world(json!({"interface_uuid": "if-9", "mode": "dns"}));
    world.check_dropped("if-1", &dhcp_renewal(GUEST, ipv4(7), SERVER), Purpose::SourceAddress);
}
