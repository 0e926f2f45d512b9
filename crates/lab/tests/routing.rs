//! Routers: three networks on three hosts behind two routers, and who reaches whom as the topology changes.
//!
//! Router `rl-1` joins the networks 1 and 2, `rl-2` joins 2 and 3. Guests send what is not for their own network to the leg
//! that ends in 254; `rl-2` has 253 in network 2.

mod common;

use std::net::IpAddr;

use common::{PATIENCE, apply, attempt_vnctl, prefix, vnctl};
use lab::{Family, Guest, GuestSpec, Lab, MacAddr, Matrix, Result, answers, wait_until};

/// The networks.
const NETWORKS: std::ops::RangeInclusive<u8> = 1..=3;

fn ip(network: u8, last: u8) -> IpAddr {
    IpAddr::from([10, 0, network, last])
}

fn ip6(network: u8, last: u8) -> IpAddr {
    IpAddr::from([0xfd00, u16::from(network), 0, 0, 0, 0, 0, u16::from(last)])
}

fn mac(network: u8, last: u8) -> MacAddr {
    MacAddr([2, 0, 0, 0, network, last])
}

fn name(network: u8, n: u8) -> String {
    format!("g{network}{n}")
}

/// Two guests in each network, no two of a network on one host.
fn guests(lab: &Lab) -> Result<Vec<Guest>> {
    let guest = |(network, n): (u8, u8)| {
        let name = name(network, n);
        let spec = GuestSpec::new(&name).mac(mac(network, n)).mtu(1500).iface_id(&format!("if-{name}"));
        let spec = spec.address(prefix(ip(network, n), 24)).address(prefix(ip6(network, n), 64));
        let spec = spec.gateway(ip(network, 254)).gateway(ip6(network, 254));
        lab.host(usize::from(network + n) % 3).add_guest(spec)
    };
    NETWORKS.flat_map(|network| [(network, 1), (network, 2)]).map(guest).collect()
}

/// Networks, guests, legs and routers; no route leads further than to a router's own networks.
fn topology() -> String {
    let mut text = String::from("networks:\n");
    for n in NETWORKS {
        text += &format!("  - {{uuid: nw-{n}, ipv4_network: {}, ipv6_network: '{}'}}\n", ip(n, 0), ip6(n, 0));
    }
    text += "interfaces:\n";
    let leased = |network, last| {
        let (mac, ip, ip6) = (mac(network, last), ip(network, last), ip6(network, last));
        format!(
            "network_uuid: nw-{network}, mac_address: '{mac}', ipv4_address: {ip}, ipv6_address: '{ip6}'}}\n"
        )
    };
    for (network, n) in NETWORKS.flat_map(|network| [(network, 1), (network, 2)]) {
        text += &format!("  - {{uuid: if-{}, {}", name(network, n), leased(network, n));
    }
    let legs =
        [("if-leg1", 1, 254, 1), ("if-leg2", 2, 254, 1), ("if-other2", 2, 253, 2), ("if-leg3", 3, 254, 2)];
    for (id, network, last, _) in legs {
        text +=
            &format!("  - {{uuid: {id}, mode: simulated, enable_routing: true, {}", leased(network, last));
    }
    text += "route_links:\n  - {uuid: rl-1}\n  - {uuid: rl-2}\nroutes:\n";
    for (leg, network, _, router) in legs {
        let of = format!("interface_uuid: {leg}, network_uuid: nw-{network}, route_link_uuid: rl-{router}");
        text += &format!("  - {{uuid: r-{}, {of}, ipv4_network: {}}}\n", &leg[3..], ip(network, 0));
        text += &format!("  - {{uuid: r-{}-v6, {of}, ipv6_network: '{}'}}\n", &leg[3..], ip6(network, 0));
    }
    text
}

/// Who reaches whom is told by the numbers of their networks.
#[track_caller]
fn check(guests: &[Guest], expected: impl Fn(u8, u8) -> bool) -> Result<()> {
    for family in [Family::V4, Family::V6] {
        let found: Matrix = answers(guests.iter().map(|guest| &**guest), family)?;
        let network = |name: &str| name.as_bytes()[1] - b'0';
        let wrong: Vec<_> = guests
            .iter()
            .flat_map(|from| guests.iter().map(move |to| (from.name(), to.name())))
            .filter(|(from, to)| {
                found.reached(from, to) != (from == to || expected(network(from), network(to)))
            })
            .collect();
        assert!(wrong.is_empty(), "{family:?}: {wrong:?} in\n{found}");
    }
    Ok(())
}

/// What a guest is told about a packet that does not arrive.
#[track_caller]
fn check_told(guest: &Guest, line: &str, expected: &str) -> Result<()> {
    wait_until(format!("`ping {line}` to say {expected}"), PATIENCE, || {
        let words = ["ping", "-n", "-c", "1", "-W", "2"].into_iter().chain(line.split_whitespace());
        let output = guest.attempt(words).map_err(|error| error.to_string())?;
        if output.stdout.contains(expected) { Ok(()) } else { Err(format!("{output:?}")) }
    })
}

/// Routes by which each router knows the network behind the other.
const BEYOND: [(&str, &str); 2] = [
    (
        "r-far3",
        "--interface-uuid if-leg2 --network-uuid nw-2 --route-link-uuid rl-1 --ipv4-network 10.0.3.0 --next-hops 10.0.2.253",
    ),
    (
        "r-far1",
        "--interface-uuid if-other2 --network-uuid nw-2 --route-link-uuid rl-2 --ipv4-network 10.0.1.0 --next-hops 10.0.2.254",
    ),
];
const BEYOND_V6: [(&str, &str); 2] = [
    (
        "r-far3-v6",
        "--interface-uuid if-leg2 --network-uuid nw-2 --route-link-uuid rl-1 --ipv6-network fd00:3:: --next-hops fd00:2::fd",
    ),
    (
        "r-far1-v6",
        "--interface-uuid if-other2 --network-uuid nw-2 --route-link-uuid rl-2 --ipv6-network fd00:1:: --next-hops fd00:2::fe",
    ),
];

#[test]
fn guests_reach_each_other_through_routers_as_declared_before_and_after_each_change() -> Result<()> {
    let lab = common::start(Lab::builder().hosts(3))?;
    let guests = guests(&lab)?;
    apply(&lab, &topology())?;
    let near = |from: u8, to: u8| from == to || (from != 3 && to != 3);
    check(&guests, near)?;

    // A route to what is behind another router, both ways.
    for (id, route) in BEYOND.iter().chain(&BEYOND_V6) {
        vnctl(&lab, &format!("routes add --uuid {id} {route} --wait"))?;
    }
    check(&guests, |_, _| true)?;

    // What agents know is not needed to forward.
    for host in lab.hosts() {
        host.vna().kill();
    }
    check(&guests, |_, _| true)?;
    for host in lab.hosts() {
        host.vna().start(&lab.manager().sync_url())?;
    }

    // A leg that goes takes its routes along, and one that comes back brings none.
    vnctl(&lab, "interfaces modify if-leg1 --enable-routing false --wait")?;
    check(&guests, |from, to| from == to || (from != 1 && to != 1))?;
    vnctl(&lab, "interfaces modify if-leg1 --enable-routing true --wait")?;
    check(&guests, |_, _| true)?;
    vnctl(&lab, "interfaces del if-leg1 --wait")?;
    assert!(!attempt_vnctl(&lab, "routes show r-leg1")?.success());
    check(&guests, |from, to| from == to || (from != 1 && to != 1))
}

#[test]
fn guests_are_told_why_a_packet_does_not_arrive() -> Result<()> {
    let lab = common::start(Lab::builder().hosts(3))?;
    let guests = guests(&lab)?;
    apply(&lab, &topology())?;
    for (id, route) in BEYOND.iter().chain(&BEYOND_V6) {
        vnctl(&lab, &format!("routes add --uuid {id} {route} --wait"))?;
    }
    let guest = &guests[0];
    // The legs on the way, as traceroute(8) finds them.
    check_told(guest, "-t 1 10.0.3.1", "From 10.0.1.254 icmp_seq=1 Time to live exceeded")?;
    check_told(guest, "-t 2 10.0.3.1", "From 10.0.2.253 icmp_seq=1 Time to live exceeded")?;
    check_told(guest, "-t 3 10.0.3.1", " ttl=62 ")?;
    check_told(guest, "-t 1 fd00:3::1", "From fd00:1::fe icmp_seq=1 Time exceeded: Hop limit")?;
    check_told(guest, "-t 2 fd00:3::1", "From fd00:2::fd icmp_seq=1 Time exceeded: Hop limit")?;
    check_told(guest, "-t 3 fd00:3::1", " ttl=62 ")?;
    // Nobody there, and no way there.
    check_told(guest, "10.0.2.77", "From 10.0.1.254 icmp_seq=1 Destination Host Unreachable")?;
    check_told(guest, "10.9.9.9", "From 10.0.1.254 icmp_seq=1 Destination Net Unreachable")?;
    check_told(
        guest,
        "fd00:2::77",
        "From fd00:1::fe icmp_seq=1 Destination unreachable: Address unreachable",
    )?;
    check_told(guest, "fd00:9::1", "From fd00:1::fe icmp_seq=1 Destination unreachable: No route")?;
    // Every leg answers for itself, near and far.
    for leg in ["10.0.1.254", "10.0.2.254", "10.0.3.254", "fd00:1::fe", "fd00:2::fe", "fd00:3::fe"] {
        check_told(guest, leg, "1 received")?;
    }
    // What does not fit the tunnel behind the router: 62 bytes of 1,500 are Geneve's.
    let far = &guests[3];
    assert_ne!(guest.host_name(), far.host_name());
    let far = far.addresses();
    check_told(
        guest,
        &format!("-M do -s 1450 {}", far[0].addr()),
        "From 10.0.1.254 icmp_seq=1 Frag needed and DF set (mtu = 1438)",
    )?;
    check_told(
        guest,
        &format!("-M do -s 1450 {}", far[1].addr()),
        "From fd00:1::fe icmp_seq=1 Packet too big: mtu=1438",
    )
}
