//! OVN, as Debian packages it: the topology and its changes, as a user of `ovn-nbctl` in its daemon mode would ask for them, as
//! ovn-nbctl(8) advises for large databases.
//!
//! # When a host has a change
//! `--wait=hv` returns once every chassis has the change that the command made (ovn-nbctl(8)). A chassis that claims a port
//! tells the southbound database on its way there, and the others hear of the claim later. So the command is asked a second
//! time: what it then waits for comes after the claim. Both times are measured.

use std::time::{Duration, Instant};

use anyhow::ensure;

use super::hosts::Site;
use super::{Loaded, System};
use crate::machine::Used;
use crate::ovn::{self, Ovn, joined, words};
use crate::workload::{self, Change, NETWORK_SIZE, Port, Workload};

/// The port group of the first network's ports.
const GROUP: &str = "pg_bench";

/// OVN on a site.
pub(crate) struct Peer {
    ovn: Ovn,
    /// What the group's last rule lets in.
    allowed: u16,
}

impl Peer {
    /// Starts it, and waits until every chassis is known.
    pub(crate) fn start(site: &Site, workload: &Workload) -> anyhow::Result<Self> {
        ovn::add_bridges(&site.lab)?;
        site.add_ports(workload)?;
        Ok(Self { ovn: Ovn::start(&site.lab, &site.disk())?, allowed: 80 })
    }
}

impl System for Peer {
    fn load(&mut self, workload: &Workload, limit: Duration) -> anyhow::Result<Option<Loaded>> {
        let batches: Vec<_> = workload.networks().map(|network| batch(workload, network)).collect();
        let started = Instant::now();
        for batch in &batches {
            self.ovn.nbctl(batch)?;
        }
        if !self.ovn.sync(limit.saturating_sub(started.elapsed()))? {
            return Ok(None);
        }
        let said = started.elapsed();
        if !self.ovn.sync(limit.saturating_sub(said))? {
            return Ok(None);
        }
        let converged = started.elapsed();
        let unclaimed = self.ovn.unclaimed()?;
        ensure!(unclaimed.is_empty(), "nobody has claimed {unclaimed}");
        Ok(Some(Loaded { converged, said }))
    }

    fn change(&mut self, workload: &Workload, change: Change) -> anyhow::Result<Duration> {
        let command = match change {
            Change::Add(port) => joined([logical_port(port)]),
            Change::Rule(port) => {
                let (old, new) = (rule(self.allowed), rule(port));
                self.allowed = port;
                joined([
                    acl("acl-del", "to-lport", &old, ""),
                    acl("acl-add", "to-lport", &new, "allow-related"),
                ])
            }
            Change::Move(port) => joined([requested(port, workload.after_move(port))]),
        };
        let started = Instant::now();
        self.ovn.nbctl(&[vec!["--wait=hv".to_owned()], command].concat())?;
        // A rule is no chassis's to claim.
        if !matches!(change, Change::Rule(_)) {
            self.ovn.nbctl(&["--wait=hv", "sync"].map(str::to_owned))?;
        }
        Ok(started.elapsed())
    }

    fn expect(&mut self, _workload: &Workload, port: Port) -> anyhow::Result<()> {
        self.ovn.nbctl(&[vec!["--wait=hv".to_owned()], joined([logical_port(port)])].concat())
    }

    fn await_plugged(&mut self, port: Port) -> anyhow::Result<()> {
        let name = port.name();
        self.ovn.nbctl(&["wait-until", "logical_switch_port", &name, "up=true"].map(str::to_owned))?;
        self.ovn.nbctl(&["--wait=hv", "sync"].map(str::to_owned))
    }

    fn centre(&self) -> anyhow::Result<Used> {
        Used::of_all(self.ovn.centre())
    }

    fn agents(&self) -> anyhow::Result<Used> {
        Used::of_all(self.ovn.agents())
    }
}

/// A network with its ports, and a way to all others.
fn batch(workload: &Workload, network: usize) -> Vec<String> {
    let (mac, address) = (workload::router_mac(network), workload::router_address(network));
    let shared = (network == 0).then(|| words("lr-add router"));
    let own = [
        format!("ls-add ls{network}"),
        format!("lrp-add router lrp{network} {mac} {address}/24"),
        format!("lsp-add ls{network} r{network}"),
        format!("lsp-set-type r{network} router"),
        format!("lsp-set-addresses r{network} router"),
        format!("lsp-set-options r{network} router-port=lrp{network}"),
    ];
    let ports = workload.ports_of(network).flat_map(|port| {
        let placed = workload.is_moved(port).then(|| requested(port, port.host));
        [logical_port(port)].into_iter().chain(placed)
    });
    let group = (network == 0).then(|| group(workload)).into_iter().flatten();
    joined(shared.into_iter().chain(own.iter().map(|line| words(line))).chain(ports).chain(group))
}

fn logical_port(port: Port) -> Vec<String> {
    let address = format!("{} {}", port.mac(), port.address());
    ovn::logical_port(&format!("ls{}", port.network), &port.name(), &address)
}

/// Only the chassis of `host` may claim a port.
fn requested(port: Port, host: usize) -> Vec<String> {
    words(&format!("lsp-set-options {} requested-chassis=host{}", port.name(), host + 1))
}

/// Members send what they like, and receive connections to one TCP port.
fn group(workload: &Workload) -> Vec<Vec<String>> {
    let members = workload.ports_of(0).filter(|port| port.number < NETWORK_SIZE).map(Port::name);
    let add = ["pg-add".to_owned(), GROUP.to_owned()].into_iter().chain(members).collect();
    let send = format!("inport == @{GROUP} && ip");
    let receive = format!("outport == @{GROUP} && ip");
    let drop = ["acl-add", GROUP, "to-lport", "900", &receive, "drop"].map(str::to_owned).to_vec();
    let allow = |way, what: &str| acl("acl-add", way, what, "allow-related");
    vec![add, allow("from-lport", &send), allow("to-lport", &rule(80)), drop]
}

fn rule(port: u16) -> String {
    format!("outport == @{GROUP} && tcp.dst == {port}")
}

fn acl(command: &str, way: &str, what: &str, verdict: &str) -> Vec<String> {
    let words = [command, GROUP, way, "1000", what, verdict].map(str::to_owned);
    words.into_iter().filter(|word| !word.is_empty()).collect()
}
