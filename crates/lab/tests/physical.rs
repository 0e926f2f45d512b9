//! Physical networks: guests on three hosts, and machines on a wire that only the first host has an uplink to.

mod common;

use common::outside::{FAR, Scene, check_reaches, guest_spec, ip, ip6};
use common::stream::{A_WHILE, expect_no_loss};
use common::{PATIENCE, apply, check_told, prefix, vnctl};
use lab::{Lab, MacAddr, Result};

#[test]
fn guests_and_machines_on_the_wire_reach_each_other_and_what_is_behind_them() -> Result<()> {
    let Scene { lab, guests, server, door } = Scene::start(1)?;
    for guest in &guests {
        check_reaches(guest, ip(2, 7))?;
        check_reaches(guest, ip6(2, 7))?;
        check_reaches(guest, FAR.parse().expect("an address"))?;
    }
    // The wire speaks first, too, and to the router itself.
    server.forget_neighbours()?;
    for last in [1, 2, 3] {
        check_reaches(&server, ip(1, last))?;
        check_reaches(&door, ip6(1, last))?;
    }
    check_reaches(&server, ip(2, 254))?;
    check_reaches(&server, ip6(2, 254))?;
    drop(lab);
    Ok(())
}

#[test]
fn both_sides_are_told_why_a_packet_does_not_arrive() -> Result<()> {
    let Scene { lab, guests, server, .. } = Scene::start(1)?;
    // Nobody on the wire answers for the next hop: a guest of another host hears of it, and one of the gateway's.
    for guest in [&guests[0], &guests[1]] {
        check_told(guest, "10.0.2.77", "From 10.0.2.254 icmp_seq=1 Destination Host Unreachable")?;
        let told = "From fd00:2::fe icmp_seq=1 Destination unreachable: Address unreachable";
        check_told(guest, "fd00:2::77", told)?;
    }
    check_told(&server, "10.0.1.77", "From 10.0.2.254 icmp_seq=1 Destination Host Unreachable")?;
    check_told(&server, "-t 1 10.0.1.2", "From 10.0.2.254 icmp_seq=1 Time to live exceeded")?;
    // The tunnel to the guest takes less than the wire: 62 bytes of 1,500 are Geneve's.
    let told = "From 10.0.2.254 icmp_seq=1 Frag needed and DF set (mtu = 1438)";
    check_told(&server, "-M do -s 1450 10.0.1.2", told)?;
    check_told(&server, "-M do -s 1450 fd00:1::2", "Packet too big: mtu=1438")?;
    drop(lab);
    Ok(())
}

#[test]
fn agents_that_restart_lose_no_packet_of_a_connection_to_the_wire() -> Result<()> {
    let Scene { lab, guests, .. } = Scene::start(1)?;
    check_reaches(&guests[1], ip(2, 7))?;
    expect_no_loss(&guests[1], ip(2, 7), "agents", |stream| {
        lab.hosts().iter().for_each(|host| host.vna().kill());
        stream.wait_for_more(A_WHILE, PATIENCE)?;
        lab.hosts().iter().try_for_each(|host| host.vna().start(&lab.manager().sync_url()))?;
        // They read the switch, and put right what is not as it should be.
        vnctl(&lab, "networks modify nw-2 --display-name after --wait").map(drop)
    })
}

#[test]
fn a_bare_metal_server_behind_a_nic_of_the_bridge_is_a_guest_like_any_other() -> Result<()> {
    let lab = common::start(Lab::builder().hosts(2))?;
    let inst = lab.host(0).add_guest(guest_spec(1))?;
    let metal = lab.add_server("metal", &[prefix(ip(1, 2), 24), prefix(ip6(1, 2), 64)])?;
    lab.host(1).ovs_vsctl(["add-port", "br-int", "outside"])?;
    let interface = |n: u8, mac: MacAddr, port: &str| {
        let (ip, ip6) = (ip(1, n), ip6(1, n));
        format!(
            "  - {{uuid: if-inst{n}, network_uuid: nw-1, mac_address: '{mac}', ipv4_address: {ip}, ipv6_address: '{ip6}'{port}}}\n"
        )
    };
    let owner = format!(", owner_datapath_uuid: dp-{}, port_name: outside", lab.host(1).name());
    let network =
        "networks:\n  - {uuid: nw-1, ipv4_network: 10.0.1.0, ipv6_network: 'fd00:1::'}\ninterfaces:\n";
    let guests = interface(1, inst.mac(), "") + &interface(2, metal.mac(), &owner);
    apply(&lab, &(network.to_owned() + &guests))?;
    for (from, last) in [(&*inst, 2), (&metal, 1)] {
        check_reaches(from, ip(1, last))?;
        check_reaches(from, ip6(1, last))?;
    }
    // Like any other, it has its own addresses and no more.
    metal.set_addresses(&[prefix(ip(1, 3), 24)])?;
    assert!(!metal.reaches(ip(1, 1))?);
    Ok(())
}
