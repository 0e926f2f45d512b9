//! The edge of a segment: guests and a machine on a wire are one L2 network, by one host at a time.

mod common;

use std::net::IpAddr;
use std::time::Duration;

use common::outside::check_reaches;
use common::{PATIENCE, apply, ip, ip6, mac, named_guest, prefix};
use lab::{Guest, Lab, Result};

/// The machine's number.
const MACHINE: u8 = 9;

/// Longest silence when the host whose edge forwards fails.
const SILENCE: Duration = Duration::from_secs(3);

fn guest(lab: &Lab, n: u8) -> Result<Guest> {
    let spec = named_guest(&format!("inst{n}"), mac(n)).mtu(1400);
    let spec = spec.address(prefix(ip(n), 24)).address(prefix(ip6(n), 64));
    lab.host(usize::from(n - 1)).add_guest(spec)
}

fn topology(lab: &Lab, edges: usize) -> String {
    let mut text = String::from("segments:\n  - {uuid: seg-a, mode: virtual}\ninterfaces:\n");
    for n in 1..=3 {
        text += &format!("  - {{uuid: if-inst{n}, segment_uuid: seg-a, mac_address: '{}'}}\n", mac(n));
    }
    for (host, priority) in lab.hosts().iter().take(edges).zip([200, 100]) {
        let name = host.name();
        let port =
            format!("owner_datapath_uuid: dp-{name}, port_name: outside, gateway_priority: {priority}");
        text += &format!("  - {{uuid: if-edge-{name}, mode: promiscuous, segment_uuid: seg-a, {port}}}\n");
    }
    text
}

fn start(edges: usize) -> Result<(Lab, Vec<Guest>)> {
    let lab = common::start(Lab::builder().hosts(3))?;
    let guests = (1..=3).map(|n| guest(&lab, n)).collect::<Result<_>>()?;
    for host in lab.hosts().iter().take(edges) {
        host.ovs_vsctl(["add-port", "br-int", "outside"])?;
    }
    apply(&lab, &topology(&lab, edges))?;
    Ok((lab, guests))
}

fn addresses() -> [IpAddr; 2] {
    [ip(MACHINE), ip6(MACHINE)]
}

#[test]
fn guests_and_a_machine_are_neighbours_through_one_of_two_edges_and_through_the_other_when_it_fails()
-> Result<()> {
    let (lab, guests) = start(2)?;
    let machine = lab.add_server(
        "machine",
        &addresses().map(|address| prefix(address, if address.is_ipv4() { 24 } else { 64 })),
    )?;
    for guest in &guests {
        for address in addresses() {
            check_reaches(guest, address)?;
        }
    }
    machine.forget_neighbours()?;
    for n in 1..=3 {
        check_reaches(&machine, ip(n))?;
    }
    // Two edges of one wire are no loop: nothing arrives twice.
    let result = guests[2].ping(ip(MACHINE))?;
    assert!(result.is_perfect(), "{result:?}");

    let stream = guests[2].start_ping(ip(MACHINE), Duration::from_millis(10))?;
    stream.wait_for_more(50, PATIENCE)?;
    lab.host(0).vna().kill();
    lab.host(0).switch().vswitchd().kill();
    stream.wait_for_more(100, PATIENCE)?;
    let report = stream.finish()?;
    assert!(report.longest_gap < SILENCE, "{report:?}");
    check_reaches(&machine, ip(2))
}
