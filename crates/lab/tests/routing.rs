//! Routers: who reaches whom as the topology changes, and what is told of packets that do not arrive.

mod common;

use common::routers::{BEYOND, BEYOND_V6, add_routes, guests, topology};
use common::{apply, attempt_vnctl, check_told, vnctl};
use lab::{Family, Guest, Lab, Matrix, Result, answers};

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

#[test]
fn guests_reach_each_other_through_routers_as_declared_before_and_after_each_change() -> Result<()> {
    let lab = common::start(Lab::builder().hosts(3))?;
    let guests = guests(&lab)?;
    apply(&lab, &topology())?;
    let near = |from: u8, to: u8| from == to || (from != 3 && to != 3);
    check(&guests, near)?;

    // A route to what is behind another router, both ways.
    add_routes(&lab, BEYOND.iter().chain(&BEYOND_V6))?;
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
    add_routes(&lab, BEYOND.iter().chain(&BEYOND_V6))?;
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
