//! A topology is re-arranged while guests use it, and once `vnctl --wait` has returned, every packet follows.

mod common;

use std::net::IpAddr;

use common::{
    NETWORK, answers_once, apply_network, attempt_vnctl, guest, ip, ip6, is_silent, mac, prefix, settle,
    show, start, vnctl,
};
use lab::{Guest, GuestSpec, Host, Lab, Result};

/// Changes the topology, and returns when it is changed: what is checked next is not tried twice.
fn change(lab: &Lab, command: &str) -> Result<()> {
    vnctl(lab, &format!("{command} --wait")).map(drop)
}

#[track_caller]
fn expect(from: &Guest, to: IpAddr, reached: bool, after: &str) -> Result<()> {
    let as_expected = if reached { answers_once(from, to)? } else { is_silent(from, to)? };
    assert!(as_expected, "{} to {to} after {after}: reached {}", from.name(), !reached);
    Ok(())
}

#[test]
fn traffic_follows_a_change_when_it_is_said_to_be_realized() -> Result<()> {
    let lab = start(Lab::builder().hosts(2))?;
    let (one, two) = (lab.host(0).add_guest(guest(1))?, lab.host(1).add_guest(guest(2))?);
    apply_network(&lab, [1, 2])?;
    expect(&one, ip(2), true, "the start")?;
    addresses(&lab, &one, &two)?;
    leases(&lab, &one, &two)?;
    admin_state(&lab, &one, &two)?;
    networks(&lab, &one, &two)?;
    segments(&lab, &one, &two)
}

/// Guest 2 gets another IP address, and another MAC address.
fn addresses(lab: &Lab, one: &Guest, two: &Guest) -> Result<()> {
    two.set_addresses(&[prefix(ip(2), 24), prefix(ip(22), 24), prefix(ip6(2), 64), prefix(ip6(22), 64)])?;
    expect(one, ip(22), false, "an address that is not leased")?;
    for (address, is_now, was, flag) in
        [(ip(22), ip(22), ip(2), "ipv4"), (ip6(22), ip6(22), ip6(2), "ipv6"), (ip(2), ip(2), ip(22), "ipv4")]
    {
        change(lab, &format!("interfaces modify if-inst2 --{flag}-address {address}"))?;
        expect(one, is_now, true, "a new address")?;
        expect(one, was, false, "an address is gone")?;
    }
    change(lab, &format!("interfaces modify if-inst2 --ipv6-address {}", ip6(2)))?;

    two.set_addresses(&[prefix(ip(2), 24), prefix(ip(22), 24), prefix(ip6(2), 64)])?;
    two.set_mac(mac(22))?;
    change(lab, &format!("interfaces modify if-inst2 --mac-address {}", mac(22)))?;
    expect(one, ip(2), true, "a new MAC address")?;
    two.set_mac(mac(2))?;
    expect(two, ip(1), false, "a MAC address that is not leased")?;
    change(lab, &format!("interfaces modify if-inst2 --mac-address {}", mac(2)))?;
    // Who remembers the address of before asks again only after a while, as in any network.
    one.forget_neighbours()?;
    expect(two, ip(1), true, "the first MAC address is back")
}

/// A second address is leased, released, given back, and deleted.
fn leases(lab: &Lab, one: &Guest, two: &Guest) -> Result<()> {
    let address = ip(22);
    let (flags, holder) = ("--uuid il-more --network-uuid", "--interface-uuid if-inst2");
    for (command, reached) in [
        (format!("ip-leases add {flags} {NETWORK} --ipv4-address {address} {holder}"), true),
        ("ip-leases release il-more".to_owned(), false),
        (format!("ip-leases attach il-more {holder}"), true),
        ("ip-leases del il-more".to_owned(), false),
    ] {
        change(lab, &command)?;
        expect(one, address, reached, &command)?;
        expect(two, ip(1), true, &command)?;
    }
    Ok(())
}

fn admin_state(lab: &Lab, one: &Guest, two: &Guest) -> Result<()> {
    for (state, reached) in [("down", false), ("up", true)] {
        change(lab, &format!("interfaces modify if-inst2 --admin-state {state}"))?;
        for (from, to) in [(one, ip(2)), (two, ip(1)), (one, ip6(2)), (two, ip6(1))] {
            expect(from, to, reached, &format!("admin_state {state}"))?;
        }
        let shown = show(lab, "interfaces", "if-inst2")?["status"]["state"].clone();
        assert_eq!(shown, if reached { "active" } else { "down" });
    }
    Ok(())
}

/// Guest 2 moves to a network of the same prefix, where another one has the address of guest 1, and back.
fn networks(lab: &Lab, one: &Guest, two: &Guest) -> Result<()> {
    let other = GuestSpec::new("other").mac(mac(11)).iface_id("if-other");
    let other = lab.host(0).add_guest(other.address(prefix(ip(1), 24)).address(prefix(ip6(1), 64)))?;
    change(lab, "networks add --uuid nw-other --ipv4-network 10.0.0.0 --ipv6-network fd00::")?;
    change(
        lab,
        &format!(
            "interfaces add --uuid if-other --network-uuid nw-other --mac-address {} --ipv4-address {} \
             --ipv6-address {}",
            mac(11),
            ip(1),
            ip6(1)
        ),
    )?;
    for (network, inside, outside) in [("nw-other", &other, one), (NETWORK, one, &other)] {
        change(lab, &format!("interfaces modify if-inst2 --network-uuid {network}"))?;
        two.forget_neighbours()?;
        for address in [ip(2), ip6(2)] {
            expect(inside, address, true, network)?;
            expect(outside, address, false, network)?;
        }
    }
    Ok(())
}

/// The network moves onto a segment and back. On the segment, guests use any address they like.
fn segments(lab: &Lab, one: &Guest, two: &Guest) -> Result<()> {
    change(lab, "segments add --uuid seg-1 --mode virtual")?;
    for (segment, any_address) in [("seg-1", true), ("", false)] {
        let moved = format!("networks modify {NETWORK} --segment-uuid={segment}");
        change(lab, &moved)?;
        for (from, to) in [(one, ip(2)), (two, ip(1)), (one, ip6(2)), (two, ip6(1))] {
            expect(from, to, true, &moved)?;
        }
        expect(one, ip(22), any_address, &moved)?;
    }
    Ok(())
}

#[test]
fn waiting_for_a_dead_host_ends_and_names_it() -> Result<()> {
    let lab = start(Lab::builder().hosts(2))?;
    let (one, _two) = (lab.host(0).add_guest(guest(1))?, lab.host(1).add_guest(guest(2))?);
    apply_network(&lab, [1, 2])?;
    settle(&lab)?;
    lab.host(1).vna().kill();
    let command = format!("interfaces modify if-inst1 --ipv4-address {} --wait --timeout 1", ip(11));
    let waited = attempt_vnctl(&lab, &command)?;
    assert_eq!(waited.code, Some(3), "{waited}");
    assert!(waited.stderr.contains("host2") && !waited.stderr.contains("host1"), "{waited}");
    assert_eq!(show(&lab, "interfaces", "if-inst1")?["ipv4_address"], ip(11).to_string());

    // Whoever asks again waits for the same hosts, and the change takes effect as soon as the host is back.
    assert_eq!(attempt_vnctl(&lab, &command)?.code, Some(3));
    lab.host(1).vna().start(&lab.manager().sync_url())?;
    change(&lab, &format!("interfaces modify if-inst1 --ipv4-address {}", ip(11)))?;
    one.set_addresses(&[prefix(ip(11), 24)])?;
    expect(&one, ip(2), true, "the host is back")
}

#[test]
fn a_host_is_a_guest_by_its_bridges_own_port() -> Result<()> {
    let lab = start(Lab::builder().hosts(2))?;
    let (host, two) = (lab.host(0), lab.host(1).add_guest(guest(2))?);
    apply_network(&lab, [2])?;
    let mac = host.ovs_vsctl(["get", "interface", "br-int", "mac_in_use"])?;
    let datapath = show(&lab, "hosts", host.name())?["datapath_uuid"].clone();
    let datapath = datapath.as_str().unwrap_or_default();
    let port = format!(
        "--mode internal --owner-datapath-uuid {datapath} --mac-address {}",
        mac.trim().trim_matches('"')
    );
    let addresses = format!("--ipv4-address {} --ipv6-address {}", ip(1), ip6(1));
    change(&lab, &format!("interfaces add --uuid if-host --network-uuid {NETWORK} {port} {addresses}"))?;
    configure(host)?;
    for address in [ip(1), ip6(1)] {
        expect(&two, address, true, "the host has become a guest")?;
    }
    host.exec(["ping", "-c", "1", "-W", "1", &ip(2).to_string()])?;
    Ok(())
}

/// Gives the host's own port the addresses of guest 1.
fn configure(host: &Host) -> Result<()> {
    host.exec(["ethtool", "-K", "br-int", "tx", "off"])?;
    host.exec(["ip", "address", "add", &prefix(ip(1), 24).to_string(), "dev", "br-int"])?;
    host.exec(["ip", "address", "add", &prefix(ip6(1), 64).to_string(), "dev", "br-int", "nodad"])?;
    host.exec(["ip", "link", "set", "dev", "br-int", "up"]).map(drop)
}
