//! Faults: what happens, and what it may cost guests.

use std::time::Duration;

use lab::{Host, Result, Service, wait_until};

use crate::common::PATIENCE;
use crate::scene::{Flow, Scene};

/// What a fault may cost.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Cost {
    /// Not a packet.
    Nothing,
    /// Packets from and to the host that it happens to, for so long in a row. Others lose nothing.
    OfHost(Duration),
}

/// A fault.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fault {
    /// As `docs/faults.md` names it.
    pub(crate) name: &'static str,
    pub(crate) cost: Cost,
    /// Makes it happen to a host, and mends what does not mend itself.
    pub(crate) strike: fn(&Scene, usize, &[Flow]) -> Result<()>,
}

/// A daemon of the switch is back at once; the agent puts everything back in two seconds, and machines are busy.
const RETURN: Cost = Cost::OfHost(Duration::from_secs(6));

/// What is found by reading the tables, which is done every ten seconds.
const HEALING: Cost = Cost::OfHost(Duration::from_secs(15));

/// Every fault that there is.
pub(crate) const FAULTS: &[Fault] = &[
    Fault {
        name: "agent-killed",
        cost: Cost::Nothing,
        strike: |scene, host, flows| {
            agent(scene, host).kill();
            scene.pass_time(host, flows)?;
            start_agent(scene, host)
        },
    },
    Fault {
        name: "manager-killed",
        cost: Cost::Nothing,
        strike: |scene, host, flows| {
            scene.lab.manager().kill();
            scene.pass_time(host, flows)?;
            scene.lab.manager().start()
        },
    },
    Fault {
        name: "agents-and-manager-killed",
        cost: Cost::Nothing,
        strike: |scene, host, flows| {
            scene.lab.manager().kill();
            (0..scene.lab.hosts().len()).for_each(|host| agent(scene, host).kill());
            scene.pass_time(host, flows)?;
            (0..scene.lab.hosts().len()).try_for_each(|host| start_agent(scene, host))?;
            scene.lab.manager().start()
        },
    },
    Fault {
        name: "agent-hangs",
        cost: Cost::Nothing,
        strike: |scene, host, flows| hang(agent(scene, host), || scene.pass_time(host, flows)),
    },
    Fault {
        name: "manager-hangs",
        cost: Cost::Nothing,
        strike: |scene, host, flows| hang(scene.lab.manager(), || scene.pass_time(host, flows)),
    },
    Fault {
        name: "replica-damaged",
        cost: Cost::Nothing,
        strike: |scene, host, _| {
            agent(scene, host).kill();
            let vna = scene.lab.host(host).vna();
            scene.lab.host(host).write(vna.state_dir().join("replica"), "openvnet-replica 1 damaged\n")?;
            start_agent(scene, host)
        },
    },
    Fault {
        name: "management-of-a-host-cut",
        cost: Cost::Nothing,
        strike: |scene, host, flows| {
            scene.lab.host(host).cut_management()?;
            scene.pass_time(host, flows)?;
            scene.lab.host(host).restore_management()
        },
    },
    Fault {
        name: "management-of-all-hosts-cut",
        cost: Cost::Nothing,
        strike: |scene, host, flows| {
            scene.lab.manager().cut_management()?;
            scene.pass_time(host, flows)?;
            scene.lab.manager().restore_management()
        },
    },
    Fault { name: "store-full", cost: Cost::Nothing, strike: fill_store },
    Fault { name: "store-restored", cost: Cost::Nothing, strike: |scene, _, _| restore_older(scene) },
    Fault {
        name: "underlay-of-a-host-cut",
        cost: RETURN,
        strike: |scene, host, flows| {
            scene.lab.host(host).cut_underlay()?;
            scene.pass_time(host, flows)?;
            scene.lab.host(host).restore_underlay()
        },
    },
    Fault {
        name: "vswitchd-killed",
        cost: RETURN,
        strike: |scene, host, _| scene.lab.host(host).switch().restart_vswitchd(),
    },
    Fault {
        name: "vswitchd-hangs",
        cost: RETURN,
        strike: |scene, host, flows| {
            hang(scene.lab.host(host).switch().vswitchd(), || scene.pass_time(host, flows))
        },
    },
    Fault {
        name: "ovsdb-server-killed",
        cost: RETURN,
        strike: |scene, host, _| {
            scene.lab.host(host).switch().database().kill();
            scene.lab.host(host).switch().start_database()
        },
    },
    Fault {
        name: "flows-deleted",
        cost: HEALING,
        strike: |scene, host, _| tamper(scene, host, &["del-flows"]),
    },
    Fault {
        name: "groups-deleted",
        cost: HEALING,
        strike: |scene, host, _| tamper(scene, host, &["del-groups"]),
    },
    Fault {
        name: "foreign-flow-added",
        cost: HEALING,
        strike: |scene, host, _| tamper(scene, host, &["add-flow", "priority=65535,actions=drop"]),
    },
    Fault {
        name: "tunnel-port-removed",
        cost: HEALING,
        strike: |scene, host, _| configure(scene.lab.host(host), &["del-port", "br-int", "vn-geneve"]),
    },
    Fault {
        name: "tunnel-options-changed",
        cost: HEALING,
        strike: |scene, host, _| {
            configure(scene.lab.host(host), &["set", "interface", "vn-geneve", "options:key=7"])
        },
    },
];

fn agent(scene: &Scene, host: usize) -> &Service {
    scene.lab.host(host).vna()
}

fn start_agent(scene: &Scene, host: usize) -> Result<()> {
    scene.lab.host(host).vna().start(&scene.lab.manager().sync_url())
}

fn hang(service: &Service, meanwhile: impl FnOnce() -> Result<()>) -> Result<()> {
    service.pause();
    let done = meanwhile();
    service.resume();
    done
}

/// `ovs-ofctl COMMAND br-int ARGUMENTS`.
fn tamper(scene: &Scene, host: usize, command: &[&str]) -> Result<()> {
    let (name, arguments) = command.split_first().expect("a command");
    let words = [*name, "br-int"].into_iter().chain(arguments.iter().copied());
    scene.lab.host(host).ovs_ofctl(words).map(drop)
}

fn configure(host: &Host, command: &[&str]) -> Result<()> {
    host.ovs_vsctl(command).map(drop)
}

/// No change is possible for a while. None that was answered is lost.
fn fill_store(scene: &Scene, host: usize, flows: &[Flow]) -> Result<()> {
    let manager = scene.lab.manager();
    manager.fill_disk()?;
    let refused = wait_until("a change to be refused", PATIENCE, || {
        if scene.writer.book().is_stuck() { Ok(()) } else { Err("changes go on") }
    });
    scene.pass_time(host, flows)?;
    manager.free_disk()?;
    refused
}

/// The store is lost and comes back as it was some changes ago: another store, with revisions that go back.
fn restore_older(scene: &Scene) -> Result<()> {
    let (manager, copy) = (scene.lab.manager(), scene.lab.manager().namespace().dir().join("copy.db"));
    let (first, written) = ("rm -f", copy.display().to_string());
    manager.namespace().exec(first.split(' ').chain([written.as_str()]))?;
    let older = {
        let book = scene.writer.book();
        manager.stop()?;
        manager.backup(&copy)?;
        manager.start()?;
        book.clone()
    };
    scene.writer.wait_for_more(10)?;
    let mut book = scene.writer.book();
    manager.stop()?;
    manager.restore(&copy)?;
    book.go_back_to(older);
    manager.start()
}
