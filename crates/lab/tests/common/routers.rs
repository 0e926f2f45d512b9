//! Three networks on three hosts behind two routers.
//!
//! Router `rl-1` joins the networks 1 and 2, `rl-2` joins 2 and 3. Guests send what is not for their own network to the leg
//! that ends in 254; `rl-2` has 253 in network 2. No route leads further than to a router's own networks, until [`BEYOND`]
//! and [`BEYOND_V6`] are added.

use std::net::IpAddr;

use lab::{Guest, Lab, Result};

use super::{mac_in, named_guest, prefix, vnctl};

/// The networks.
pub const NETWORKS: std::ops::RangeInclusive<u8> = 1..=3;

pub fn ip(network: u8, last: u8) -> IpAddr {
    IpAddr::from([10, 0, network, last])
}

pub fn ip6(network: u8, last: u8) -> IpAddr {
    IpAddr::from([0xfd00, u16::from(network), 0, 0, 0, 0, 0, u16::from(last)])
}

pub fn name(network: u8, n: u8) -> String {
    format!("g{network}{n}")
}

/// Two guests in each network, no two of a network on one host. Their NICs take more than any tunnel does.
pub fn guests(lab: &Lab) -> Result<Vec<Guest>> {
    let guest = |(network, n): (u8, u8)| {
        let name = name(network, n);
        let spec = named_guest(&name, mac_in(network, n)).mtu(1500);
        let spec = spec.address(prefix(ip(network, n), 24)).address(prefix(ip6(network, n), 64));
        let spec = spec.gateway(ip(network, 254)).gateway(ip6(network, 254));
        lab.host(usize::from(network + n) % 3).add_guest(spec)
    };
    NETWORKS.flat_map(|network| [(network, 1), (network, 2)]).map(guest).collect()
}

/// The attributes of an interface that has one address of each family.
pub fn leased(network: u8, last: u8) -> String {
    let (mac, ip, ip6) = (mac_in(network, last), ip(network, last), ip6(network, last));
    format!("network_uuid: nw-{network}, mac_address: '{mac}', ipv4_address: {ip}, ipv6_address: '{ip6}'")
}

/// A line for each of the routes, IPv4 and IPv6, by which a leg joins its network to a router.
pub fn attached(leg: &str, network: u8, router: u8) -> String {
    let of = format!("interface_uuid: if-{leg}, network_uuid: nw-{network}, route_link_uuid: rl-{router}");
    let v4 = format!("  - {{uuid: r-{leg}, {of}, ipv4_network: {}}}\n", ip(network, 0));
    v4 + &format!("  - {{uuid: r-{leg}-v6, {of}, ipv6_network: '{}'}}\n", ip6(network, 0))
}

/// Networks, guests, legs and routers.
pub fn topology() -> String {
    let mut text = String::from("networks:\n");
    for n in NETWORKS {
        text += &format!("  - {{uuid: nw-{n}, ipv4_network: {}, ipv6_network: '{}'}}\n", ip(n, 0), ip6(n, 0));
    }
    text += "interfaces:\n";
    for (network, n) in NETWORKS.flat_map(|network| [(network, 1), (network, 2)]) {
        text += &format!("  - {{uuid: if-{}, {}}}\n", name(network, n), leased(network, n));
    }
    let legs = [("leg1", 1, 254, 1), ("leg2", 2, 254, 1), ("other2", 2, 253, 2), ("leg3", 3, 254, 2)];
    for (leg, network, last, _) in legs {
        let leased = leased(network, last);
        text += &format!("  - {{uuid: if-{leg}, mode: simulated, enable_routing: true, {leased}}}\n");
    }
    text += "route_links:\n  - {uuid: rl-1}\n  - {uuid: rl-2}\nroutes:\n";
    text + &legs.map(|(leg, network, _, router)| attached(leg, network, router)).concat()
}

/// Routes by which each router knows the network behind the other.
pub const BEYOND: [(&str, &str); 2] = [
    (
        "r-far3",
        "--interface-uuid if-leg2 --network-uuid nw-2 --route-link-uuid rl-1 --ipv4-network 10.0.3.0 --next-hops 10.0.2.253",
    ),
    (
        "r-far1",
        "--interface-uuid if-other2 --network-uuid nw-2 --route-link-uuid rl-2 --ipv4-network 10.0.1.0 --next-hops 10.0.2.254",
    ),
];
pub const BEYOND_V6: [(&str, &str); 2] = [
    (
        "r-far3-v6",
        "--interface-uuid if-leg2 --network-uuid nw-2 --route-link-uuid rl-1 --ipv6-network fd00:3:: --next-hops fd00:2::fd",
    ),
    (
        "r-far1-v6",
        "--interface-uuid if-other2 --network-uuid nw-2 --route-link-uuid rl-2 --ipv6-network fd00:1:: --next-hops fd00:2::fe",
    ),
];

/// Adds routes one after the other, and waits for each.
pub fn add_routes<'a>(lab: &Lab, routes: impl IntoIterator<Item = &'a (&'a str, &'a str)>) -> Result<()> {
    routes
        .into_iter()
        .try_for_each(|(id, route)| vnctl(lab, &format!("routes add --uuid {id} {route} --wait")).map(drop))
}
