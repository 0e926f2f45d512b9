//! Which way packets go between hosts: how they are wrapped, and over which wire.

mod common;

use std::time::Duration;

use common::wires::{SECOND, describe};
use common::{NETWORK, PATIENCE, apply_network, guest, ip, start, vnctl};
use lab::{Lab, Result, wait_until};
use serde_json::Value;
use topology::datapath::Encapsulation;

/// Time between two echo requests of a stream: two hundred a second.
const INTERVAL: Duration = Duration::from_millis(5);

/// What a packet of a tunnel looks like, outside (pcap-filter(7)).
fn tunnel_filter(encapsulation: Encapsulation) -> &'static str {
    match encapsulation {
        Encapsulation::Geneve => "udp dst port 6081",
        Encapsulation::Vxlan => "udp dst port 4789",
        Encapsulation::Gre => "ip proto 47",
    }
}

/// Waits until the manager has both hosts send with an encapsulation, and until packets of both have it on the wire.
fn used(lab: &Lab, encapsulation: Encapsulation) -> Result<()> {
    wait_until(format!("tunnels of {encapsulation}"), PATIENCE, || {
        let text = vnctl(lab, "tunnels show --output json").map_err(|error| error.to_string())?;
        let shown: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        let modes: Vec<_> =
            shown.as_array().into_iter().flatten().map(|tunnel| tunnel["mode"].clone()).collect();
        let wanted = encapsulation.to_string();
        if modes.len() == 2 && modes.iter().all(|mode| *mode == wanted) { Ok(()) } else { Err(text) }
    })?;
    for (from, to) in [(0, 1), (1, 0)] {
        let [from, to] = [from, to].map(|host| lab.host(host));
        let filter = format!(
            "src {} and dst {} and {}",
            from.underlay_ip(),
            to.underlay_ip(),
            tunnel_filter(encapsulation)
        );
        to.capture_on("uplink", &filter)?.wait_for(20, PATIENCE)?;
    }
    Ok(())
}

#[test]
fn hosts_change_how_they_wrap_packets_while_guests_talk() -> Result<()> {
    let lab = start(Lab::builder().hosts(2))?;
    let (one, two) = (lab.host(0).add_guest(guest(1))?, lab.host(1).add_guest(guest(2))?);
    apply_network(&lab, [1, 2])?;
    assert!(one.ping(ip(2))?.is_perfect());
    let stream = one.start_ping(ip(2), INTERVAL)?;
    let peers = "datapaths peers";
    let changes = [Encapsulation::Vxlan, Encapsulation::Gre, Encapsulation::Geneve, Encapsulation::Vxlan];
    for encapsulation in changes {
        vnctl(&lab, &format!("{peers} add dp-host1 dp-host2 --encapsulation {encapsulation}"))?;
        used(&lab, encapsulation)?;
        stream.wait_for_more(100, PATIENCE)?;
    }
    // Under either host it is the same record.
    vnctl(&lab, &format!("{peers} del dp-host2 dp-host1"))?;
    used(&lab, Encapsulation::Geneve)?;
    stream.wait_for_more(200, PATIENCE)?;
    let report = stream.finish()?;
    // What is under way at the moment of a change may be lost, and nothing beside it. The last change is that the record goes.
    assert!(report.lost.len() <= changes.len() + 1, "{report:?}");
    assert!(report.longest_gap <= INTERVAL * 2, "{report:?}");
    assert!(two.ping(ip(1))?.is_perfect());
    // Nothing is left of it: the ports of encapsulations that nobody uses are gone.
    wait_until("the last port of the record is gone", PATIENCE, || {
        let ports = lab.host(0).ovs_vsctl(["list-ports", "br-int"]).map_err(|error| error.to_string())?;
        if ports.contains("vn-vxlan") || ports.contains("vn-gre") { Err(ports) } else { Ok(()) }
    })
}

/// Has a host carry the guests' network by its interface on the second wire.
fn place_on_second(lab: &Lab, number: u8) -> Result<()> {
    let by = format!("--interface-uuid if-second{number} --wait");
    vnctl(lab, &format!("datapaths networks add dp-host{number} {NETWORK} {by}")).map(drop)
}

#[test]
fn a_network_goes_over_the_wire_it_is_placed_on() -> Result<()> {
    let lab = start(Lab::builder().hosts(2).underlays(2))?;
    let (one, two) = (lab.host(0).add_guest(guest(1))?, lab.host(1).add_guest(guest(2))?);
    apply_network(&lab, [1, 2])?;
    let tunnelled = tunnel_filter(Encapsulation::Geneve);
    let [first, second] = ["uplink", "second"].map(|wire| lab.host(1).capture_on(wire, tunnelled));
    assert!(one.ping(ip(2))?.is_perfect());
    first?.wait_for(6, PATIENCE)?;
    assert_eq!(second?.finish()?, Vec::<String>::new(), "nothing says that it goes there");

    // Hosts hear each other at all addresses they have.
    let stream = one.start_ping(ip(2), INTERVAL)?;
    stream.wait_for_more(20, PATIENCE)?;
    describe(&lab, &SECOND)?;
    place_on_second(&lab, 1)?;
    place_on_second(&lab, 2)?;
    stream.wait_for_more(100, PATIENCE)?;
    let [first, second] = ["uplink", "second"].map(|wire| lab.host(1).capture_on(wire, tunnelled));
    second?.wait_for(100, PATIENCE)?;
    assert_eq!(first?.finish()?, Vec::<String>::new(), "all goes over the other wire");

    lab.host(0).cut_underlay()?;
    stream.wait_for_more(100, PATIENCE)?;
    assert!(two.ping(ip(1))?.is_perfect());
    lab.host(0).restore_underlay()?;
    let report = stream.finish()?;
    // While only one end is placed, it sends between addresses of two wires. The userspace datapath of a host asks who has such an
    // address, and drops the packet that it asks for.
    assert!(report.lost.len() <= lab.hosts().len(), "{report:?}");

    // Without the record it goes as it did.
    vnctl(&lab, &format!("datapaths networks del dp-host1 {NETWORK} --wait"))?;
    vnctl(&lab, &format!("datapaths networks del dp-host2 {NETWORK} --wait"))?;
    let second = lab.host(1).capture_on("second", tunnelled)?;
    assert!(one.ping(ip(2))?.is_perfect());
    assert_eq!(second.finish()?, Vec::<String>::new(), "no record says that it goes there");
    Ok(())
}
