//! Guests that are given nothing but a wire find out their addresses and routes by themselves.

mod common;

use std::net::IpAddr;

use common::{PATIENCE, apply, mac_in, named_guest, prefix, vnctl};
use lab::{Guest, Lab, Result, wait_until};

/// Two networks behind a router, a DHCP server in the first, and three guests: one of the first network has any lease, one
/// the address that it makes itself, and one of the second was configured by hand.
const TOPOLOGY: &str = "
networks:
  - {uuid: nw-1, ipv4_network: 10.0.1.0, ipv6_network: 'fd00:1::'}
  - {uuid: nw-2, ipv4_network: 10.0.2.0, ipv6_network: 'fd00:2::'}
interfaces:
  - {uuid: if-any, network_uuid: nw-1, mac_address: '02:00:00:00:01:01', ipv4_address: 10.0.1.1, ipv6_address: 'fd00:1::1'}
  - {uuid: if-own, network_uuid: nw-1, mac_address: '02:00:00:00:01:02', ipv6_address: 'fd00:1::ff:fe00:102'}
  - {uuid: if-far, network_uuid: nw-2, mac_address: '02:00:00:00:02:01', ipv4_address: 10.0.2.1, ipv6_address: 'fd00:2::1'}
  - {uuid: if-dhcp, mode: simulated, network_uuid: nw-1, mac_address: '02:00:00:00:01:64', ipv4_address: 10.0.1.100,
     ipv6_address: 'fd00:1::64'}
  - {uuid: if-leg1, mode: simulated, enable_routing: true, network_uuid: nw-1, mac_address: '02:00:00:00:01:fe',
     ipv4_address: 10.0.1.254, ipv6_address: 'fd00:1::fe'}
  - {uuid: if-leg2, mode: simulated, enable_routing: true, network_uuid: nw-2, mac_address: '02:00:00:00:02:fe',
     ipv4_address: 10.0.2.254, ipv6_address: 'fd00:2::fe'}
network_services:
  - {uuid: ns-dhcp, mode: dhcp, interface_uuid: if-dhcp, lease_time: 3600, dns_servers: [10.0.1.53, 'fd00:1::53']}
route_links:
  - {uuid: rl-1}
routes:
  - {uuid: r-1, interface_uuid: if-leg1, network_uuid: nw-1, route_link_uuid: rl-1, ipv4_network: 10.0.1.0}
  - {uuid: r-2, interface_uuid: if-leg2, network_uuid: nw-2, route_link_uuid: rl-1, ipv4_network: 10.0.2.0}
  - {uuid: r-1-v6, interface_uuid: if-leg1, network_uuid: nw-1, route_link_uuid: rl-1, ipv6_network: 'fd00:1::'}
  - {uuid: r-2-v6, interface_uuid: if-leg2, network_uuid: nw-2, route_link_uuid: rl-1, ipv6_network: 'fd00:2::'}
";

/// Plugs the NIC in again, as a guest that boots: it asks for routers.
fn boot(guest: &Guest) -> Result<()> {
    guest.exec(["ip", "link", "set", "eth0", "down"])?;
    guest.exec(["ip", "link", "set", "eth0", "up"]).map(drop)
}

/// Waits until a guest's kernel shows this.
fn await_shown(guest: &Guest, command: &str, expected: &str) -> Result<()> {
    wait_until(format!("`{command}` to show {expected}"), PATIENCE, || {
        let shown = guest.exec(command.split(' ')).map_err(|error| error.to_string())?;
        if shown.contains(expected) { Ok(()) } else { Err(shown) }
    })
}

#[test]
fn guests_learn_addresses_routers_and_servers_and_reach_other_networks() -> Result<()> {
    let lab = common::start(Lab::builder().hosts(2))?;
    let plain = |name, n| lab.host(0).add_guest(named_guest(name, mac_in(1, n)));
    let (any, own) = (plain("any", 1)?, plain("own", 2)?);
    let ip = |text: &str| text.parse::<IpAddr>().expect("an address");
    let spec = named_guest("far", mac_in(2, 1));
    let spec = spec.address(prefix(ip("10.0.2.1"), 24)).address(prefix(ip("fd00:2::1"), 64));
    let far = lab.host(1).add_guest(spec.gateway(ip("10.0.2.254")).gateway(ip("fd00:2::fe")))?;
    apply(&lab, TOPOLOGY)?;

    // IPv6: the router's word for the prefix and the way out, and an address by DHCPv6 or by the guest itself.
    boot(&any)?;
    boot(&own)?;
    for guest in [&any, &own] {
        await_shown(guest, "ip -6 route show default", "default via fe80::ff:fe00:1fe dev eth0 proto ra")?;
        await_shown(guest, "ip -6 route show", "fd00:1::/64 dev eth0 proto kernel")?;
    }
    let lease = any.dhcp_v6()?;
    assert_eq!(lease.get("ip6_address").map(String::as_str), Some("fd00:1::1"), "{lease:?}");
    assert_eq!(lease.get("dhcp6_name_servers").map(String::as_str), Some("fd00:1::53"), "{lease:?}");
    await_shown(&own, "ip -6 address show dev eth0", "fd00:1::ff:fe00:102/64 scope global dynamic")?;
    let shown = any.exec(["ip", "-6", "address", "show", "dev", "eth0", "scope", "global"])?;
    assert!(!shown.contains("fd00:1::ff:fe00:101"), "an address that is not leased was made: {shown}");
    for guest in [&any, &own] {
        assert!(guest.reaches(ip("fd00:2::1"))?, "{} goes by the router", guest.name());
    }
    assert!(far.reaches(ip("fd00:1::1"))? && any.reaches(ip("fd00:1::ff:fe00:102"))?);

    // IPv4: an address and a route by DHCP.
    let lease = any.dhcp()?;
    assert_eq!(lease.get("ip_address").map(String::as_str), Some("10.0.1.1"), "{lease:?}");
    assert_eq!(lease.get("domain_name_servers").map(String::as_str), Some("10.0.1.53"), "{lease:?}");
    await_shown(&any, "ip route show", "10.0.2.0/24 via 10.0.1.254 dev eth0")?;
    assert!(any.reaches(ip("10.0.2.1"))?);
    Ok(())
}

#[test]
fn running_guests_are_told_at_once_when_their_router_changes() -> Result<()> {
    let lab = common::start(Lab::builder().hosts(1))?;
    let own = lab.host(0).add_guest(named_guest("own", mac_in(1, 2)))?;
    let (networks, routes) = TOPOLOGY.split_once("routes:").expect("routes come last");
    apply(&lab, networks)?;
    apply(&lab, &format!("routes:{routes}"))?;
    await_shown(&own, "ip -6 route show default", "default via fe80::ff:fe00:1fe dev eth0 proto ra")?;
    await_shown(&own, "ip -6 address show dev eth0", "fd00:1::ff:fe00:102/64 scope global dynamic")?;

    // The prefix goes with the router that leads out of it.
    vnctl(&lab, "routes delete r-1-v6 --wait")?;
    wait_until("the default route to go", PATIENCE, || {
        let shown =
            own.exec(["ip", "-6", "route", "show", "proto", "ra"]).map_err(|error| error.to_string())?;
        if shown.trim().is_empty() { Ok(()) } else { Err(shown) }
    })?;
    await_shown(&own, "ip -6 address show dev eth0", "fd00:1::ff:fe00:102/64 scope global deprecated")
}
