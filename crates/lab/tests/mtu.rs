//! MTU: guests need not know of tunnels. What does not fit one is answered with what does, and TCP goes on by itself.

mod common;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use common::tcp::transfer;
use common::{NETWORK, PATIENCE, apply_network, guest, ip, ip6, show, start};
use lab::{Encapsulation, Error, Family, Guest, Host, Lab, Ping, Result};

/// What a guest's NIC takes: more than any tunnel does.
const NIC_MTU: u16 = 1500;

/// IP and ICMP headers of an echo request, in bytes.
const HEADERS_V4: u16 = 20 + 8;
const HEADERS_V6: u16 = 40 + 8;

/// Two hosts, guests 1 and 3 on the first and guest 2 on the second.
fn check(encapsulation: Encapsulation, underlay: Family, mtu: u16) -> Result<()> {
    let lab = start(Lab::builder().hosts(2).encapsulation(encapsulation).underlay_family(underlay))?;
    let plug = |host: &Host, n| host.add_guest(guest(n).mtu(NIC_MTU));
    let (one, two, three) = (plug(lab.host(0), 1)?, plug(lab.host(1), 2)?, plug(lab.host(0), 3)?);
    apply_network(&lab, [1, 2, 3])?;

    assert_eq!(show(&lab, "networks", NETWORK)?["mtu"], mtu);
    for (to, headers) in [(ip(2), HEADERS_V4), (ip6(2), HEADERS_V6)] {
        transfer(&one, &two, to)?;
        assert_eq!(path_mtu(&one, to)?, mtu, "what TCP has learned on the way to {to}");
        one.exec(["ip", "route", "flush", "cache"])?;
        one.exec(["ip", "-6", "route", "flush", "cache"])?;
        let refused = one.ping_with(&full(to, NIC_MTU - headers))?;
        assert!(!refused.reached() && refused.errors > 0, "{to}: {refused:?}");
        assert_eq!(path_mtu(&one, to)?, mtu, "what ping has learned on the way to {to}");
        assert!(one.ping_with(&full(to, mtu - headers))?.is_perfect(), "{to}");
    }
    for back in [ip(1), ip6(1)] {
        transfer(&two, &one, back)?;
    }
    // A packet that may be fragmented is: by the guest, once it knows.
    two.exec(["ip", "route", "flush", "cache"])?;
    let large = Ping::to(ip(1)).payload_bytes(3000);
    assert!(two.ping_with(&large)?.errors > 0);
    let fragmented = two.ping_with(&large)?;
    assert!(fragmented.is_perfect(), "{fragmented:?}");

    for (to, headers) in [(ip(3), HEADERS_V4), (ip6(3), HEADERS_V6)] {
        let beside = one.ping_with(&full(to, NIC_MTU - headers))?;
        assert!(beside.is_perfect(), "on one host, {to}: {beside:?}");
    }
    expect_count_of_the_unanswerable(&lab, [&one, &two, &three])
}

#[test]
fn geneve_over_ipv4_leaves_1438_bytes() -> Result<()> {
    check(Encapsulation::Geneve, Family::V4, 1438)
}

#[test]
fn geneve_over_ipv6_leaves_1418_bytes() -> Result<()> {
    check(Encapsulation::Geneve, Family::V6, 1418)
}

#[test]
fn vxlan_leaves_1450_bytes() -> Result<()> {
    check(Encapsulation::Vxlan, Family::V4, 1450)
}

#[test]
fn gre_leaves_1458_bytes() -> Result<()> {
    check(Encapsulation::Gre, Family::V4, 1458)
}

/// What goes to all has no sender of an answer (RFC 1122, section 3.2.2): it is counted, and those it fits get it.
fn expect_count_of_the_unanswerable(lab: &Lab, [one, two, three]: [&Guest; 3]) -> Result<()> {
    let broadcast = SocketAddr::from((Ipv4Addr::new(10, 0, 0, 255), 9));
    let socket = one.udp_bind((Ipv4Addr::UNSPECIFIED, 0).into())?;
    let failed = |source| Error::Socket { step: "broadcast", source };
    socket.set_broadcast(true).map_err(failed)?;
    let (near, far) = (three.capture("udp port 9")?, two.capture("udp port 9")?);
    let before = too_big(lab.host(0))?;
    for length in [NIC_MTU - HEADERS_V4, 100] {
        socket.send_to(&vec![0; length.into()], broadcast).map_err(failed)?;
    }
    assert_eq!(near.wait_for(2, PATIENCE)?.len(), 2);
    // The short one was sent last: had the long one come, it would have come before.
    let frames = far.wait_for(1, PATIENCE)?;
    assert!(frames.len() == 1 && frames[0].contains("length 100"), "{frames:?}");
    assert_eq!(too_big(lab.host(0))?, before + 1);
    Ok(())
}

/// Packets that a host has dropped as larger than a tunnel takes.
fn too_big(host: &Host) -> Result<u64> {
    let meter = format!("meter={}", dataplane::layout::TOO_BIG_METER);
    let stats = host.ovs_ofctl(["meter-stats", "br-int", &meter])?;
    let count = stats
        .split_once("packet_in_count:")
        .and_then(|(_, rest)| rest.split_whitespace().next()?.parse().ok());
    Ok(count.expect("the agent has made the meter"))
}

/// Requests that must not be fragmented.
fn full(to: IpAddr, payload: u16) -> Ping {
    Ping::to(to).payload_bytes(payload).dont_fragment()
}

/// What a guest knows of the way to an address.
fn path_mtu(guest: &Guest, to: IpAddr) -> Result<u16> {
    let route = guest.exec(["ip", "route", "get", &to.to_string()])?;
    let mtu = |route: &str| route.split_once(" mtu ")?.1.split_whitespace().next()?.parse().ok();
    Ok(mtu(&route).unwrap_or(NIC_MTU))
}
