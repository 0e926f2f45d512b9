//! Records that are deleted while guests talk, and made again with the same ids: what they allowed stops, and comes back with
//! them. Nobody does anything to guests, ports or agents.

mod common;

use std::time::Duration;

use common::{NETWORK, PATIENCE, apply_network, await_answer, guest, ip, ip6, is_silent, mac, show, vnctl};
use lab::{Guest, Lab, Result, wait_until};

/// Waits until an address no longer answers.
fn await_silence(from: &Guest, to: std::net::IpAddr, after: &str) -> Result<()> {
    wait_until(format!("silence after {after}"), PATIENCE, || match is_silent(from, to) {
        Ok(true) => Ok(()),
        Ok(false) => Err("it answers".to_owned()),
        Err(error) => Err(error.to_string()),
    })
}

#[test]
fn what_a_record_allows_stops_when_it_is_deleted_and_returns_with_it() -> Result<()> {
    let lab = common::start(Lab::builder().hosts(2))?;
    let (one, two) = (lab.host(0).add_guest(guest(1))?, lab.host(1).add_guest(guest(2))?);
    apply_network(&lab, [1, 2])?;
    await_answer(&one, ip(2))?;
    // They talk all the time.
    let talk = one.start_ping(ip(2), Duration::from_millis(50))?;
    talk.wait_for_more(3, PATIENCE)?;

    let shown = show(&lab, "interfaces", "if-inst2")?;
    let mut leases = shown["ip_leases"].as_array().into_iter().flatten();
    let lease = leases.find(|lease| lease["ipv4_address"] == ip(2).to_string()).expect("a lease");
    let lease = lease["uuid"].as_str().expect("an id");
    let interface = format!(
        "interfaces add --uuid if-inst2 --network-uuid {NETWORK} --mac-address {} --ipv4-address {} --ipv6-address {}",
        mac(2),
        ip(2),
        ip6(2)
    );
    for (deleted, made) in [
        (
            format!("ip-leases del {lease}"),
            format!(
                "ip-leases add --uuid {lease} --network-uuid {NETWORK} --interface-uuid if-inst2 --ipv4-address {}",
                ip(2)
            ),
        ),
        ("interfaces del if-inst2".to_owned(), interface),
    ] {
        vnctl(&lab, &deleted)?;
        await_silence(&one, ip(2), &deleted)?;
        vnctl(&lab, &made)?;
        await_answer(&one, ip(2))?;
        await_answer(&two, ip(1))?;
        talk.wait_for_more(3, PATIENCE)?;
    }

    // A host that is there says so again, and gets its record back by itself.
    let before = show(&lab, "datapaths", "dp-host2")?["created_at"].clone();
    vnctl(&lab, "datapaths del dp-host2")?;
    wait_until("the host's record to be made again".to_owned(), PATIENCE, || {
        let shown = show(&lab, "datapaths", "dp-host2").map_err(|error| error.to_string())?;
        if shown["created_at"] == before { Err(shown.to_string()) } else { Ok(()) }
    })?;
    await_answer(&one, ip(2))?;
    talk.wait_for_more(3, PATIENCE)?;

    // One that is not is forgotten until it is.
    let agent = lab.host(1).vna();
    agent.kill();
    vnctl(&lab, "datapaths del dp-host2")?;
    await_silence(&one, ip(2), "the host is deleted")?;
    agent.start(&lab.manager().sync_url())?;
    await_answer(&one, ip(2))?;
    await_answer(&two, ip(1))?;
    talk.wait_for_more(3, PATIENCE)?;
    drop(talk);
    Ok(())
}
