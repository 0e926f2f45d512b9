//! Nothing of the data plane depends on a running agent or manager, and all that restarts finds its way back.

mod common;

use std::time::Duration;

use common::ages::{ages, expect_older};
use common::stream::{A_WHILE, expect_no_loss};
use common::{
    NETWORK, PATIENCE, answers_once, apply_network, await_status, guest, ip, ip6, is_silent, program, settle,
    show, start, vnctl,
};
use lab::{Guest, Lab, Result, wait_until};

/// Two hosts, guests 1 and 3 on the first and guest 2 on the second.
fn three_guests() -> Result<(Lab, [Guest; 3])> {
    let lab = start(Lab::builder().hosts(2))?;
    let [one, two] = [lab.host(0), lab.host(1)];
    let guests = [one.add_guest(guest(1))?, two.add_guest(guest(2))?, one.add_guest(guest(3))?];
    apply_network(&lab, [1, 2, 3])?;
    settle(&lab)?;
    Ok((lab, guests))
}

#[test]
fn agents_and_managers_that_restart_lose_no_packet_and_no_count() -> Result<()> {
    let (lab, [one, two, three]) = three_guests()?;
    let manager = lab.manager();
    for (what, with_agents, with_manager) in
        [("agents", true, false), ("the manager", false, true), ("agents and the manager", true, true)]
    {
        // Agents that end right after a change have not written all that they know.
        for state in ["down", "up"] {
            vnctl(&lab, &format!("interfaces modify if-inst2 --admin-state {state} --wait"))?;
        }
        let before = ages(lab.host(0))?;
        expect_no_loss(&one, ip(2), what, |stream| {
            if with_manager {
                manager.kill();
            }
            let agents = || lab.hosts().iter().map(|host| host.vna()).filter(|_| with_agents);
            agents().for_each(|agent| agent.kill());
            stream.wait_for_more(A_WHILE, PATIENCE)?;
            agents().try_for_each(|agent| agent.start(&manager.sync_url()))?;
            if with_manager {
                stream.wait_for_more(A_WHILE, PATIENCE)?;
                manager.start()?;
            }
            settle(&lab)
        })?;
        expect_older(&before, &ages(lab.host(0))?);
    }

    // Without its database, the userspace datapath stands still: its ports are polled by the thread that waits for it.
    let before = ages(lab.host(0))?;
    lab.host(0).switch().database().kill();
    lab.host(0).switch().start_database()?;
    wait_until("the switch to go on", PATIENCE, || match answers_once(&one, ip(2)) {
        Ok(true) => Ok(()),
        other => Err(format!("{other:?}")),
    })?;
    expect_older(&before, &ages(lab.host(0))?);

    // What comes after the restarts is seen again, through databases and managers alike.
    three.plug(lab.host(1))?;
    vnctl(&lab, "interfaces show if-inst3 --wait")?;
    assert!(answers_once(&three, ip(1))? && answers_once(&two, ip6(3))?);
    Ok(())
}

#[test]
fn an_agent_that_has_ended_for_good_leaves_a_working_switch() -> Result<()> {
    let (lab, [one, two, three]) = three_guests()?;
    expect_no_loss(&one, ip(2), "an agent ends", |_| lab.host(0).vna().stop())?;
    lab.manager().stop()?;
    // Also for those who have never talked to each other: who has an address is known without the agent.
    [&one, &two, &three].into_iter().try_for_each(|guest| guest.forget_neighbours())?;
    for (from, to) in [(&one, 2), (&two, 1), (&three, 2), (&two, 3), (&one, 3)] {
        assert!(answers_once(from, ip(to))? && answers_once(from, ip6(to))?, "{} to {to}", from.name());
    }
    Ok(())
}

#[test]
fn a_switch_that_restarts_has_everything_back() -> Result<()> {
    let (lab, [one, two, three]) = three_guests()?;
    for host in lab.hosts() {
        let before = program(host)?;
        let stream = one.start_ping(ip(2), Duration::from_millis(10))?;
        stream.wait_for_more(10, PATIENCE)?;
        host.switch().vswitchd().kill();
        host.switch().start_vswitchd()?;
        stream.wait_for_more(50, PATIENCE)?;
        let gap = stream.finish()?.longest_gap;
        // The switch itself, its devices and its underlay's addresses are in this, too.
        assert!(gap < Duration::from_secs(5), "{}: away for {gap:?}", host.name());
        assert_eq!(program(host)?, before, "{}", host.name());
        for (from, to) in [(&one, 2), (&two, 1), (&three, 2), (&two, 3), (&one, 3)] {
            assert!(answers_once(from, ip(to))? && answers_once(from, ip6(to))?, "{} to {to}", from.name());
        }
    }
    Ok(())
}

#[test]
fn a_host_reboots_without_its_manager_and_serves_what_it_knows() -> Result<()> {
    let (lab, [one, two, three]) = three_guests()?;
    // Something that happened just before.
    vnctl(&lab, "interfaces modify if-inst3 --admin-state down --wait")?;
    lab.manager().kill();
    let host = lab.host(0);
    let switch = host.switch();
    host.vna().stop()?;
    for daemon in [switch.vswitchd(), switch.database()] {
        daemon.stop()?;
    }
    switch.start_database()?;
    switch.start_vswitchd()?;
    // The hypervisor makes its taps anew: other ports, by the names that they had.
    for guest in [&one, &three] {
        guest.plug(host)?;
    }
    assert!(is_silent(&one, ip(2))?, "a switch without an agent cannot know anybody");
    host.vna().start(&lab.manager().sync_url())?;
    wait_until("the host to serve its guest", PATIENCE, || match answers_once(&one, ip(2)) {
        Ok(true) => Ok(()),
        other => Err(format!("{other:?}")),
    })?;
    assert!(answers_once(&two, ip6(1))?);
    assert!(is_silent(&three, ip(2))?, "what was switched off before the reboot is on again");

    // Once the manager is back, it hears of the ports, and nothing is different.
    lab.manager().start()?;
    await_status(&lab, "if-inst1", "reason", &serde_json::Value::Null)?;
    vnctl(&lab, "interfaces modify if-inst3 --admin-state up --wait")?;
    assert!(answers_once(&three, ip(2))? && answers_once(&one, ip(2))?);
    assert_eq!(show(&lab, "networks", NETWORK)?["uuid"], NETWORK);
    Ok(())
}
