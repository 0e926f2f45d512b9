//! Guests move from host to host, and where two hosts show one interface, it lives on one of them.

mod common;

use std::time::Duration;

use common::{
    PATIENCE, answers_once, apply_network, await_status, guest, ip, ip6, is_silent, mac, revision, settle,
    show, start, vnctl,
};
use lab::{Guest, GuestSpec, Lab, Result, wait_until};
use serde_json::{Value, json};

/// The longest time without an answer while a guest moves.
const MOVE_LIMIT: Duration = Duration::from_secs(1);

/// Time between echo requests of a stream.
const INTERVAL: Duration = Duration::from_millis(10);

/// Three hosts, guest 1 on the first and guest 2 on the second.
fn two_guests() -> Result<(Lab, Guest, Guest)> {
    let lab = start(Lab::builder().hosts(3))?;
    let (one, two) = (lab.host(0).add_guest(guest(1))?, lab.host(1).add_guest(guest(2))?);
    apply_network(&lab, [1, 2])?;
    Ok((lab, one, two))
}

#[test]
fn a_guest_that_moves_is_away_for_less_than_a_second() -> Result<()> {
    let (lab, still, moving) = two_guests()?;
    // To a third host, to the one that pings it, and back to where it came from.
    for (to, address) in [(2, ip(2)), (0, ip6(2)), (1, ip(2))] {
        let stream = still.start_ping(address, INTERVAL)?;
        stream.wait_for_more(20, PATIENCE)?;
        moving.plug(lab.host(to))?;
        stream.wait_for_more(50, PATIENCE)?;
        let report = stream.finish()?;
        assert!(report.longest_gap < MOVE_LIMIT, "to {}: {report:?}", lab.host(to).name());
        await_status(&lab, "if-inst2", "host", &lab.host(to).name().into())?;
        settle(&lab)?;
        assert!(answers_once(&moving, ip(1))? && answers_once(&moving, ip6(1))?);
    }
    Ok(())
}

#[test]
fn of_two_hosts_that_show_an_interface_the_newest_has_it_until_it_goes_away() -> Result<()> {
    let (lab, asker, elder) = two_guests()?;
    // Another machine with the same port, as while a VM moves: only one of them may be heard.
    let younger = lab.host(2).add_guest(twin("twin"))?;
    let both = json!(["host2", "host3"]);
    let shown = await_status(&lab, "if-inst2", "claims", &both)?;
    assert_eq!(shown["status"]["host"], "host3");
    settle(&lab)?;
    expect_echo(&asker, &younger, &elder)?;

    // Agents that say again what they have said take nothing back, and so write nothing.
    let before = revision(&lab)?;
    for host in lab.hosts() {
        let ports = show(&lab, "hosts", host.name())?["ports_seen"].clone();
        host.vna().kill();
        host.vna().start(&lab.manager().sync_url())?;
        // A port that is nobody's: once it is known, so is all that the agent has to say.
        let marker = ["add-port", "br-int", "marker", "--", "set", "interface", "marker", "type=internal"];
        host.ovs_vsctl(marker)?;
        wait_until(format!("the new port of {}", host.name()), PATIENCE, || {
            let now = show(&lab, "hosts", host.name()).map_err(|error| error.to_string())?;
            let known = now["connected"] == true && now["ports_seen"].as_u64() > ports.as_u64();
            if known { Ok(()) } else { Err(now.to_string()) }
        })?;
    }
    assert_eq!(revision(&lab)?, before, "hosts fight over the interface");
    let status = &show(&lab, "interfaces", "if-inst2")?["status"];
    assert_eq!((&status["host"], &status["claims"]), (&json!("host3"), &both));
    settle(&lab)?;
    expect_echo(&asker, &younger, &elder)?;

    younger.unplug()?;
    let shown = await_status(&lab, "if-inst2", "host", &json!("host2"))?;
    assert_eq!(shown["status"]["claims"], json!(["host2"]));
    settle(&lab)?;
    expect_echo(&asker, &elder, &younger)
}

#[test]
fn an_interface_lives_only_where_it_is_wanted() -> Result<()> {
    let (lab, asker, elder) = two_guests()?;
    let younger = lab.host(2).add_guest(twin("twin"))?;
    await_status(&lab, "if-inst2", "host", &json!("host3"))?;
    // A hypervisor that moves a VM has the port on both hosts, and says which one counts.
    for (wanted, here, away) in [("host2", &elder, &younger), ("host3", &younger, &elder)] {
        vnctl(&lab, &format!("interfaces modify if-inst2 --requested-host {wanted} --wait"))?;
        assert_eq!(show(&lab, "interfaces", "if-inst2")?["status"]["host"], wanted);
        expect_echo(&asker, here, away)?;
    }
    vnctl(&lab, "interfaces modify if-inst2 --requested-host elsewhere --wait")?;
    expect_refused(&lab, "requested_host")?;
    assert!(is_silent(&asker, ip(2))?);

    let datapath = |host| Ok(show(&lab, "hosts", host)?["datapath_uuid"].as_str().map(str::to_owned));
    let of_host: Result<Vec<_>> = ["host1", "host2"].into_iter().map(datapath).collect();
    let [first, second] = &of_host?[..] else { panic!("two hosts") };
    let owner = |datapath: &Option<String>| {
        let datapath = datapath.as_deref().unwrap_or_default();
        let flags = format!("--requested-host= --owner-datapath-uuid {datapath}");
        vnctl(&lab, &format!("interfaces modify if-inst2 {flags} --wait"))
    };
    owner(first)?;
    expect_refused(&lab, "its ports belong elsewhere")?;
    assert!(is_silent(&asker, ip(2))?);
    owner(second)?;
    assert_eq!(show(&lab, "interfaces", "if-inst2")?["status"]["host"], "host2");
    expect_echo(&asker, &elder, &younger)
}

/// A machine that is guest 2, too.
fn twin(name: &str) -> GuestSpec {
    GuestSpec::new(name).mac(mac(2)).iface_id("if-inst2").address("10.0.0.2/24".parse().expect("a prefix"))
}

/// Pings guest 2 once, and sees who is asked.
fn expect_echo(asker: &Guest, here: &Guest, away: &Guest) -> Result<()> {
    let filter = "icmp[icmptype] = icmp-echo";
    let (asked, spared) = (here.capture(filter)?, away.capture(filter)?);
    assert!(answers_once(asker, ip(2))?, "{} does not answer", here.name());
    asked.wait_for(1, PATIENCE)?;
    // Both would have been asked by the same flood.
    assert_eq!(spared.finish()?, Vec::<String>::new(), "{} is asked as well", away.name());
    Ok(())
}

/// The interface lives nowhere, and its status and those of the hosts say why.
fn expect_refused(lab: &Lab, why: &str) -> Result<()> {
    let status = show(lab, "interfaces", "if-inst2")?["status"].clone();
    assert_eq!(status["state"], "error", "{status}");
    assert!(status["reason"].as_str().is_some_and(|reason| reason.contains(why)), "{status}");
    for host in ["host2", "host3"] {
        let refusals = show(lab, "hosts", host)?["refusals"].clone();
        let said = |refusal: &Value| {
            refusal["interface_uuid"] == "if-inst2" && refusal["reason"].to_string().contains(why)
        };
        assert!(refusals.as_array().is_some_and(|all| all.iter().any(said)), "{host}: {refusals}");
    }
    Ok(())
}
