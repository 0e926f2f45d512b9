//! Agents and manager go away, for a while and under change, and not a packet of an existing topology is lost.

use std::time::Duration;

use lab::{Host, Lab, Result, wait_until};

use crate::common::ages::{ages, expect_older};
use crate::common::{
    NETWORK, PATIENCE, answers_once, apply_network, guest, ip, ip6, prefix, settle, start, vnctl,
};
use crate::form::Form;
use crate::transfer::Transfer;

/// Time between the packets of the stream: 1,000 a second.
const INTERVAL: Duration = Duration::from_millis(1);

/// Time that the chunks of an outage may take: several times of what they do.
const OUTAGE_LIMIT: Duration = Duration::from_secs(300);

/// Time until hosts that were long without a manager have everything: they try again every 30 seconds at least.
const RETURN_LIMIT: Duration = Duration::from_secs(60);

/// The longest that a chunk of the transfer may take. Without a loss it takes milliseconds; the rest is for the machine.
const SLOWEST: Duration = Duration::from_secs(2);

/// Something that is away for a while.
struct Outage {
    what: &'static str,
    begins: fn(&Lab) -> Result<()>,
    ends: fn(&Lab) -> Result<()>,
}

const OUTAGES: [Outage; 4] = [
    Outage { what: "the agents", begins: kill_agents, ends: start_agents },
    Outage { what: "the manager", begins: kill_manager, ends: |lab| lab.manager().start() },
    Outage {
        what: "agents and the manager",
        begins: |lab| kill_manager(lab).and_then(|()| kill_agents(lab)),
        ends: |lab| start_agents(lab).and_then(|()| lab.manager().start()),
    },
    Outage {
        what: "the management network",
        begins: |lab| lab.manager().cut_management(),
        ends: |lab| lab.manager().restore_management(),
    },
];

fn kill_manager(lab: &Lab) -> Result<()> {
    lab.manager().kill();
    Ok(())
}

fn kill_agents(lab: &Lab) -> Result<()> {
    lab.hosts().iter().for_each(|host| host.vna().kill());
    Ok(())
}

fn start_agents(lab: &Lab) -> Result<()> {
    lab.hosts().iter().try_for_each(|host| host.vna().start(&lab.manager().sync_url()))
}

/// An address that guest 2 gets when everything is there but `n`.
fn late_address(n: usize) -> std::net::IpAddr {
    ip(20 + u8::try_from(n).expect("a handful of outages"))
}

/// Leases guest 2 one more address. The answer says that this is durable, not that hosts have it.
fn lease(lab: &Lab, n: usize) -> Result<()> {
    let address = late_address(n);
    let lease = format!("--uuid il-late{n} --network-uuid {NETWORK} --interface-uuid if-inst2");
    vnctl(lab, &format!("ip-leases add {lease} --ipv4-address {address}")).map(drop)
}

/// What a host's datapath has counted as dropped, by reason.
fn drops(host: &Host) -> Result<Vec<String>> {
    let counters = host.ovs_appctl(["coverage/show"])?;
    Ok(counters.lines().filter(|line| line.contains("drop")).map(str::to_owned).collect())
}

#[test]
fn no_packet_is_lost_while_agents_manager_or_management_are_away() -> Result<()> {
    // Chunks of the transfer, about six milliseconds each, that an outage lasts: in the long form a minute.
    let form = Form::of_environment();
    let outage = form.pick(250, 10_000);
    let lab = start(Lab::builder().hosts(2))?;
    let [one, two] = [lab.host(0).add_guest(guest(1))?, lab.host(1).add_guest(guest(2))?];
    let addresses = (0..OUTAGES.len()).map(late_address).chain([ip(2)]).map(|address| prefix(address, 24));
    two.set_addresses(&addresses.chain([prefix(ip6(2), 64)]).collect::<Vec<_>>())?;
    apply_network(&lab, [1, 2])?;
    settle(&lab)?;
    assert!(answers_once(&one, ip(2))? && answers_once(&one, ip6(2))?);

    let before = [ages(lab.host(0))?, ages(lab.host(1))?];
    let stream = one.start_ping(ip(2), INTERVAL)?;
    let transfer = Transfer::start(&one, &two, ip6(2))?;
    for (n, away) in OUTAGES.iter().enumerate() {
        transfer.wait_for_more(outage / 10, PATIENCE)?;
        // Those that the manager does not live to spread, and those that agents do not hear of.
        let manager_stays = !away.what.contains("manager");
        if !manager_stays {
            lease(&lab, n)?;
        }
        (away.begins)(&lab)?;
        if manager_stays {
            lease(&lab, n)?;
        }
        transfer.wait_for_more(outage, OUTAGE_LIMIT)?;
        (away.ends)(&lab)?;
        wait_until(format!("changes after {} were away", away.what), RETURN_LIMIT, || settle(&lab))?;
        assert!(answers_once(&one, late_address(n))?, "after {} were away", away.what);
    }
    transfer.wait_for_more(outage / 10, PATIENCE)?;
    let (slowest, report) = (transfer.finish(), stream.finish()?);
    println!("{} echo requests, lost {:?}; the slowest chunk took {slowest:?}", report.sent, report.lost);
    let dropped = lab.hosts().iter().map(drops).collect::<Result<Vec<_>>>()?;
    assert!(report.lost.is_empty(), "{report:?}, of which the datapath knows {dropped:?}");
    assert!(slowest < SLOWEST, "{slowest:?}");
    for (host, before) in lab.hosts().iter().zip(&before) {
        expect_older(before, &ages(host)?);
    }
    Ok(())
}
