//! Which way packets go between hosts: how they are wrapped, and over which wire.

mod common;

use std::time::Duration;

use common::traced::live;
use common::wires::{SECOND, describe};
use common::{NETWORK, PATIENCE, apply_network, attempt_vnctl, await_answer, guest, ip, start, vnctl};
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
    are_shown(lab, &encapsulation.to_string())?;
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

/// The same of what goes as it is over the wire outside, between the first two guests.
fn used_as_it_is(lab: &Lab) -> Result<()> {
    are_shown(lab, "mac2mac")?;
    for (from, to) in [(1, 2), (2, 1)] {
        // Both MAC addresses are names of interfaces.
        let filter = format!("ether[0] == 0x0e and ether[6] == 0x0e and src {} and dst {}", ip(from), ip(to));
        lab.host(usize::from(to - 1)).capture_on("outside", &filter)?.wait_for(20, PATIENCE)?;
    }
    Ok(())
}

/// Waits until the manager has both hosts send so.
fn are_shown(lab: &Lab, wanted: &str) -> Result<()> {
    wait_until(format!("tunnels of {wanted}"), PATIENCE, || {
        let text = vnctl(lab, "tunnels show --output json").map_err(|error| error.to_string())?;
        let shown: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        let modes: Vec<_> =
            shown.as_array().into_iter().flatten().map(|tunnel| tunnel["mode"].clone()).collect();
        if modes.len() == 2 && modes.iter().all(|mode| *mode == wanted) { Ok(()) } else { Err(text) }
    })
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

#[test]
fn hosts_on_one_wire_send_each_other_frames_as_they_are() -> Result<()> {
    let lab = start(Lab::builder().hosts(2))?;
    let (one, two) = (lab.host(0).add_guest(guest(1))?, lab.host(1).add_guest(guest(2))?);
    apply_network(&lab, [1, 2])?;
    let add = "datapaths peers add dp-host1 dp-host2 --encapsulation";
    let refused = attempt_vnctl(&lab, &format!("{add} mac2mac"))?;
    assert!(refused.stderr.contains("in one physical network"), "{refused}");

    vnctl(&lab, "networks add --uuid nw-wire --mode physical --ipv4-network 203.0.113.0")?;
    for host in lab.hosts() {
        host.ovs_vsctl(["add-port", "br-int", "outside"])?;
        let name = host.name();
        let owner = format!("--owner-datapath-uuid dp-{name} --port-name outside");
        vnctl(
            &lab,
            &format!("interfaces add --uuid if-{name} --mode host --network-uuid nw-wire {owner} --wait"),
        )?;
    }
    let stream = one.start_ping(ip(2), INTERVAL)?;
    stream.wait_for_more(20, PATIENCE)?;
    let changes = ["mac2mac", "geneve", "mac2mac"];
    for mode in changes {
        vnctl(&lab, &format!("{add} {mode}"))?;
        match mode.parse() {
            Ok(encapsulation) => used(&lab, encapsulation)?,
            Err(_) => used_as_it_is(&lab)?,
        }
        stream.wait_for_more(100, PATIENCE)?;
    }
    // Nothing of it needs the underlay.
    lab.host(0).cut_underlay()?;
    stream.wait_for_more(100, PATIENCE)?;
    assert!(two.ping(ip(1))?.is_perfect());
    let traced = live(&lab, &format!("if-inst1 --to {} --reply --icmp", ip(2)))?;
    assert_eq!([&traced["agrees"], &traced["reply"]["agrees"]], [true, true], "{traced:#}");
    lab.host(0).restore_underlay()?;
    let report = stream.finish()?;
    assert!(report.lost.len() <= changes.len(), "{report:?}");
    assert!(report.longest_gap <= INTERVAL * 2, "{report:?}");

    // Without an uplink it is as if nobody had asked for it.
    lab.host(1).ovs_vsctl(["del-port", "br-int", "outside"])?;
    are_shown(&lab, "geneve")?;
    await_answer(&one, ip(2))
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
