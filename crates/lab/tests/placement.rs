//! Who carries a network, as records of placement come, change and go while guests talk.

mod common;

use std::time::Duration;

use common::wires::{SECOND, UPLINK, describe};
use common::{
    PATIENCE, answers_once, apply_network, await_status, guest, ip, is_silent, settle, show, start, vnctl,
};
use lab::{Guest, Lab, Result, wait_until};
use serde_json::{Value, json};

/// Time between echo requests of a stream.
const INTERVAL: Duration = Duration::from_millis(10);

/// The longest time without an answer that says nothing but that the machine is busy.
const SILENCE: Duration = Duration::from_millis(500);

/// A guest on each host, all in one network.
fn guests(lab: &Lab, numbers: std::ops::RangeInclusive<u8>) -> Result<Vec<Guest>> {
    let guests: Vec<_> = numbers.clone().zip(lab.hosts()).map(|(n, host)| host.add_guest(guest(n))).collect();
    apply_network(lab, numbers)?;
    guests.into_iter().collect()
}

/// Describes the wire by which hosts reach each other, and an underlay.
fn underlay(lab: &Lab) -> Result<()> {
    describe(lab, &UPLINK)?;
    vnctl(lab, "topologies add --uuid topo-under --mode simple_underlay").map(drop)
}

/// Makes a host, counted from one, a member of the underlay, or takes it away.
fn member(lab: &Lab, verb: &str, host: usize) -> Result<()> {
    let by = if verb == "add" { format!("--interface-uuid if-uplink{host}") } else { String::new() };
    vnctl(lab, &format!("topologies datapaths {verb} topo-under dp-host{host} {by} --wait")).map(drop)
}

/// That these guests, and no others, are heard by the first one.
#[track_caller]
fn heard(guests: &[Guest], expected: [bool; 2]) -> Result<()> {
    let Some((asker, others)) = guests.split_first() else { return Ok(()) };
    for ((number, guest), expected) in (2..).zip(others).zip(expected) {
        let found = if expected { answers_once(asker, ip(number))? } else { !is_silent(asker, ip(number))? };
        assert_eq!(found, expected, "{}", guest.name());
    }
    Ok(())
}

#[test]
fn hosts_that_a_topology_leaves_out_bind_no_guest_of_its_networks_until_they_are_in_it() -> Result<()> {
    let lab = start(Lab::builder().hosts(3))?;
    let guests = guests(&lab, 1..=3)?;
    heard(&guests, [true, true])?;
    underlay(&lab)?;
    for host in [1, 2] {
        member(&lab, "add", host)?;
    }
    // Those who stay notice nothing of those who go and come.
    let stream = guests[0].start_ping(ip(2), INTERVAL)?;
    stream.wait_for_more(20, PATIENCE)?;
    vnctl(&lab, "topologies networks add topo-under nw-net --wait")?;
    heard(&guests, [true, false])?;
    let left_out = await_status(&lab, "if-inst3", "state", &json!("error"))?;
    let says = |reason: &Value| {
        reason.as_str().is_some_and(|reason| reason.contains("topo-under leaves out of nw-net"))
    };
    assert!(says(&left_out["status"]["reason"]), "{left_out}");
    let ports = vnctl(&lab, "active-ports show --iface-id if-inst3 --output json")?;
    let ports: Value = serde_json::from_str(&ports).unwrap_or_default();
    assert!(says(&ports[0]["reason"]), "{ports}");

    member(&lab, "add", 3)?;
    heard(&guests, [true, true])?;
    member(&lab, "del", 3)?;
    heard(&guests, [true, false])?;
    // What is said of the host itself goes before.
    vnctl(&lab, "datapaths networks add dp-host3 nw-net --interface-uuid if-uplink3 --wait")?;
    heard(&guests, [true, true])?;
    stream.wait_for_more(20, PATIENCE)?;
    let report = stream.finish()?;
    assert!(report.longest_gap < SILENCE, "{report:?}");

    // Who was a member and is none is left out, also when it is not the last to come.
    member(&lab, "del", 2)?;
    heard(&guests, [false, true])?;
    vnctl(&lab, "interfaces del if-uplink3 --wait")?;
    heard(&guests, [false, false])?;
    vnctl(&lab, "topologies del topo-under --wait")?;
    heard(&guests, [true, true])
}

#[test]
fn a_guest_that_moves_is_bound_where_its_network_is_carried_and_nowhere_else() -> Result<()> {
    let lab = start(Lab::builder().hosts(3))?;
    let guests = guests(&lab, 1..=2)?;
    underlay(&lab)?;
    vnctl(&lab, "topologies add --uuid topo-over --mode simple_overlay")?;
    vnctl(&lab, "topologies underlays add topo-over topo-under")?;
    for host in [1, 2] {
        member(&lab, "add", host)?;
    }
    vnctl(&lab, "topologies networks add topo-over nw-net --wait")?;
    let [still, moving] = &guests[..] else { panic!("two guests") };
    assert!(answers_once(still, ip(2))?);
    moving.plug(lab.host(2))?;
    wait_until("nobody to have the guest", PATIENCE, || {
        let shown = show(&lab, "interfaces", "if-inst2").map_err(|error| error.to_string())?;
        if shown["status"]["host"].is_null() { Ok(()) } else { Err(shown["status"].to_string()) }
    })?;
    settle(&lab)?;
    assert!(is_silent(still, ip(2))?);
    member(&lab, "add", 3)?;
    await_status(&lab, "if-inst2", "host", &json!("host3"))?;
    settle(&lab)?;
    assert!(answers_once(still, ip(2))?);
    Ok(())
}

/// The wire on which packets of the two guests go, while one pings the other.
#[track_caller]
fn on_wire(lab: &Lab, guests: &[Guest], wire: &str) -> Result<()> {
    let geneve = "udp port 6081";
    let other = if wire == "uplink" { "second" } else { "uplink" };
    let (busy, idle) = (lab.host(0).capture_on(wire, geneve)?, lab.host(0).capture_on(other, geneve)?);
    assert!(answers_once(&guests[0], ip(2))? && answers_once(&guests[1], ip(1))?);
    busy.wait_for(4, PATIENCE)?;
    assert_eq!(idle.finish()?, Vec::<String>::new(), "on {other}");
    Ok(())
}

/// Puts both hosts into an underlay that is the second wire.
fn second_underlay(lab: &Lab) -> Result<()> {
    describe(lab, &SECOND)?;
    vnctl(lab, "topologies add --uuid topo-second --mode simple_underlay")?;
    [1, 2].into_iter().try_for_each(|number| {
        let by = format!("--interface-uuid if-second{number}");
        vnctl(lab, &format!("topologies datapaths add topo-second dp-host{number} {by}")).map(drop)
    })
}

#[test]
fn a_network_goes_over_the_wire_that_records_say_and_follows_them() -> Result<()> {
    let lab = start(Lab::builder().hosts(2).underlays(2))?;
    let guests = guests(&lab, 1..=2)?;
    on_wire(&lab, &guests, "uplink")?;
    underlay(&lab)?;
    second_underlay(&lab)?;
    for host in [1, 2] {
        member(&lab, "add", host)?;
    }
    on_wire(&lab, &guests, "uplink")?;
    let stream = guests[0].start_ping(ip(2), INTERVAL)?;
    stream.wait_for_more(20, PATIENCE)?;

    // By an overlay on the second underlay, then by word of the hosts themselves, and back.
    vnctl(&lab, "topologies add --uuid topo-over --mode simple_overlay")?;
    vnctl(&lab, "topologies underlays add topo-over topo-second")?;
    vnctl(&lab, "topologies networks add topo-over nw-net --wait")?;
    let both = |line: &dyn Fn(usize) -> String| -> Result<()> {
        [1, 2].into_iter().try_for_each(|host| vnctl(&lab, &line(host)).map(drop))
    };
    stream.wait_for_more(20, PATIENCE)?;
    let report = stream.finish()?;
    assert!(report.longest_gap < SILENCE, "{report:?}");
    on_wire(&lab, &guests, "second")?;
    both(&|host| {
        format!("datapaths networks add dp-host{host} nw-net --interface-uuid if-uplink{host} --wait")
    })?;
    on_wire(&lab, &guests, "uplink")?;
    both(&|host| format!("datapaths networks del dp-host{host} nw-net --wait"))?;
    on_wire(&lab, &guests, "second")?;

    // Over both: by the underlay whose id is first, and what a host interface no longer has counts no more.
    vnctl(&lab, "topologies underlays add topo-over topo-under --wait")?;
    on_wire(&lab, &guests, "second")?;
    both(&|host| format!("interfaces del if-second{host} --wait"))?;
    on_wire(&lab, &guests, "uplink")?;
    vnctl(&lab, "topologies del topo-over --wait")?;
    on_wire(&lab, &guests, "uplink")
}
