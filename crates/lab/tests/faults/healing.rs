//! What somebody else has done to a switch is put right, and what a restarted switch has lost.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use lab::{Guest, Host, Lab, Result, wait_until};

use crate::api::Api;
use crate::common::{PATIENCE, answers_once, apply_network, guest, ip, program, settle, start};
use crate::compiled::await_compiled;

/// Time to put right what is found by looking: flows and groups are read every ten seconds.
const HEALING_LIMIT: Duration = Duration::from_secs(15);

/// Time until a restarted daemon has everything back. Two seconds are the promise; machines are busy.
const RETURN_LIMIT: Duration = Duration::from_secs(5);

/// A tunnel port of the agent.
const TUNNEL: &str = "vn-geneve";

/// Hosts with a guest each, `inst1` on the first.
fn hosts(count: u8) -> Result<(Lab, Vec<Guest>)> {
    let lab = start(Lab::builder().hosts(count))?;
    let guests =
        lab.hosts().iter().zip(1..).map(|(host, n)| host.add_guest(guest(n))).collect::<Result<_>>()?;
    apply_network(&lab, 1..=count)?;
    settle(&lab)?;
    Ok((lab, guests))
}

/// That every guest reaches the next one.
fn check_traffic(guests: &[Guest], what: &str) -> Result<()> {
    for (from, to) in guests.iter().zip((2..).chain([1])) {
        let to = ip(if usize::from(to) > guests.len() { 1 } else { to });
        assert!(answers_once(from, to)?, "{what}: {} to {to}", from.name());
    }
    Ok(())
}

/// Something that somebody does to a switch.
struct Tampering {
    what: &'static str,
    with: fn(&Host) -> Result<String>,
}

/// What shows only when the tables are read.
const TABLES: [Tampering; 5] = [
    Tampering {
        what: "flows deleted",
        with: |host| {
            let flow = flow_of_guest(host)?;
            let cookie = flow.split(',').next().unwrap_or_default();
            host.ovs_ofctl(["del-flows", "br-int", &format!("{cookie}/-1")])
        },
    },
    Tampering {
        what: "a flow changed",
        with: |host| {
            host.ovs_ofctl(["add-flow", "br-int", &format!("{},actions=drop", flow_of_guest(host)?)])
        },
    },
    Tampering {
        what: "a foreign flow",
        with: |host| {
            host.ovs_ofctl(["add-flow", "br-int", "cookie=0xbad,table=0,priority=65535,actions=drop"])
        },
    },
    Tampering {
        what: "a group changed",
        with: |host| {
            host.ovs_ofctl(["mod-group", "br-int", &format!("group_id={},type=all", first_group(host)?)])
        },
    },
    // And with them the flows that use them.
    Tampering { what: "meters deleted", with: |host| host.ovs_ofctl(["del-meters", "br-int"]) },
];

/// The cookie, priority and match of a flow of an interface: the high byte of its cookie says so.
fn flow_of_guest(host: &Host) -> Result<String> {
    let flows = program(host)?;
    let of_interface = |flow: &&String| flow.starts_with("cookie=0x200");
    let flow = flows.iter().find(of_interface).and_then(|flow| flow.split_once(" actions="));
    Ok(flow.expect("flows of an interface").0.to_owned())
}

fn first_group(host: &Host) -> Result<String> {
    let groups = program(host)?;
    let id = groups.iter().find_map(|group| group.strip_prefix("group_id=")?.split(',').next());
    Ok(id.expect("a group").to_owned())
}

#[test]
fn tables_that_somebody_has_changed_are_put_right() -> Result<()> {
    let (lab, guests) = hosts(5)?;
    let before: Vec<_> = lab.hosts().iter().map(program).collect::<Result<_>>()?;
    // While the agents stand still, it is sure that there is something to be put right.
    lab.hosts().iter().for_each(|host| host.vna().pause());
    for ((host, before), tampering) in lab.hosts().iter().zip(&before).zip(&TABLES) {
        (tampering.with)(host)?;
        assert_ne!(program(host)?, *before, "{}", tampering.what);
    }
    let started = Instant::now();
    lab.hosts().iter().for_each(|host| host.vna().resume());
    for ((host, before), tampering) in lab.hosts().iter().zip(&before).zip(&TABLES) {
        await_program(host, before, tampering.what, HEALING_LIMIT)?;
        println!("{}: right again after {:?}", tampering.what, started.elapsed());
    }
    check_traffic(&guests, "tables put right")
}

fn await_program(host: &Host, expected: &BTreeSet<String>, what: &str, limit: Duration) -> Result<()> {
    wait_until(format!("{what}: the flows of {}", host.name()), limit, || match program(host) {
        Ok(found) if found == *expected => Ok(()),
        Ok(found) => Err(format!("{:?}", found.symmetric_difference(expected).collect::<Vec<_>>())),
        Err(error) => Err(error.to_string()),
    })
}

/// What the database shows at once.
const SETTINGS: [Tampering; 5] = [
    Tampering {
        what: "the tunnel port removed",
        with: |host| host.ovs_vsctl(["del-port", "br-int", TUNNEL]),
    },
    Tampering {
        what: "the tunnel's options changed",
        with: |host| {
            host.ovs_vsctl(["set", "interface", TUNNEL, "options:key=7", "options:remote_ip=192.0.2.99"])
        },
    },
    Tampering {
        what: "fail-mode standalone",
        with: |host| host.ovs_vsctl(["set-fail-mode", "br-int", "standalone"]),
    },
    Tampering {
        what: "in-band control allowed",
        with: |host| host.ovs_vsctl(["set", "bridge", "br-int", "other_config:disable-in-band=false"]),
    },
    Tampering {
        what: "in-band control not forbidden",
        with: |host| host.ovs_vsctl(["remove", "bridge", "br-int", "other_config", "disable-in-band"]),
    },
];

/// The settings of the bridge and its tunnel port.
fn settings(host: &Host) -> Result<String> {
    let bridge = host.ovs_vsctl([
        "--columns=name,fail_mode,other_config,protocols,datapath_type",
        "list",
        "bridge",
        "br-int",
    ])?;
    let tunnel = host.ovs_vsctl(["--columns=name,type,options,external_ids", "list", "interface", TUNNEL])?;
    Ok(bridge + &tunnel)
}

#[test]
fn settings_that_somebody_has_changed_are_put_right() -> Result<()> {
    let (lab, guests) = hosts(2)?;
    let host = lab.host(0);
    let before = settings(host)?;
    for tampering in &SETTINGS {
        host.vna().pause();
        (tampering.with)(host)?;
        assert_ne!(settings(host).ok(), Some(before.clone()), "{}", tampering.what);
        let started = Instant::now();
        host.vna().resume();
        wait_until(tampering.what, HEALING_LIMIT, || match settings(host) {
            Ok(now) if now == before => Ok(()),
            other => Err(format!("{other:?}")),
        })?;
        // A new tunnel port has a new number.
        await_compiled(host, &Api::new(lab.manager()).head()?, HEALING_LIMIT)?;
        println!("{}: right again after {:?}", tampering.what, started.elapsed());
        check_traffic(&guests, tampering.what)?;
    }
    Ok(())
}

#[test]
fn a_bridge_that_somebody_has_deleted_is_made_anew() -> Result<()> {
    let (lab, guests) = hosts(2)?;
    let host = lab.host(0);
    let before = settings(host)?;
    host.ovs_vsctl(["del-br", "br-int"])?;
    wait_until("the bridge", HEALING_LIMIT, || match settings(host) {
        Ok(now) if now == before => Ok(()),
        other => Err(format!("{other:?}")),
    })?;
    // Ports were the hypervisor's, and it plugs its guests in again.
    guests[0].plug(host)?;
    settle(&lab)?;
    await_compiled(host, &Api::new(lab.manager()).head()?, HEALING_LIMIT)?;
    check_traffic(&guests, "a new bridge")
}

#[test]
fn daemons_of_a_switch_that_restart_have_everything_back_at_once() -> Result<()> {
    let (lab, guests) = hosts(2)?;
    let (host, switch) = (lab.host(0), lab.host(0).switch());
    let before = program(host)?;
    for (what, restart) in [
        ("ovs-vswitchd", (|switch| switch.restart_vswitchd()) as fn(&lab::Switch) -> Result<()>),
        ("ovsdb-server", |switch| {
            switch.database().kill();
            switch.start_database()
        }),
    ] {
        restart(switch)?;
        let started = Instant::now();
        await_program(host, &before, what, PATIENCE)?;
        wait_until(format!("traffic after {what}"), PATIENCE, || match answers_once(&guests[0], ip(2)) {
            Ok(true) => Ok(()),
            other => Err(format!("{other:?}")),
        })?;
        let took = started.elapsed();
        println!("{what} restarted: everything back after {took:?}");
        assert!(took < RETURN_LIMIT, "{what}: {took:?}");
        check_traffic(&guests, what)?;
    }
    Ok(())
}
