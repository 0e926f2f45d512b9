//! OpenVNet: a manager, an agent for each host, and a user of the Web API.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use lab::wait_until;
use serde_json::{Value, json};

use super::hosts::Site;
use super::{Loaded, System};
use crate::machine::Used;
use crate::web::{REALIZED, Web};
use crate::workload::{self, Change, NETWORK_SIZE, Port, Workload};

/// Time that everything gets to be in place before the clock starts.
const PATIENCE: Duration = Duration::from_secs(60);

/// The group of the first network's ports.
const GROUP: &str = "sg-bench";

/// OpenVNet on a site.
pub(crate) struct Ours<'a> {
    site: &'a Site,
    web: Web,
}

impl<'a> Ours<'a> {
    /// Starts it, and waits until the manager knows every switch port.
    pub(crate) fn start(site: &'a Site, workload: &Workload) -> anyhow::Result<Self> {
        let manager = site.lab.manager();
        let state = manager.state_dir().display().to_string();
        manager.namespace().exec(["mount", "--bind", &site.disk(), &state])?;
        site.lab.start_control_plane()?;
        site.add_ports(workload)?;
        let ours = Self { site, web: Web::new(&manager.api_url()) };
        let wanted = workload.ports + workload.prepared().count();
        wait_until("the manager to know every switch port", PATIENCE, || match ours.sum("ports_seen") {
            Ok(seen) if seen >= wanted => Ok(()),
            Ok(seen) => Err(format!("{seen} of {wanted}")),
            Err(error) => Err(error.to_string()),
        })?;
        Ok(ours)
    }

    /// What hosts count, all together.
    fn sum(&self, count: &str) -> anyhow::Result<usize> {
        let hosts = self.web.get("hosts?limit=10000")?;
        let items = hosts["items"].as_array().context("a list of hosts")?;
        Ok(usize::try_from(items.iter().filter_map(|host| host[count].as_u64()).sum::<u64>())?)
    }
}

impl System for Ours<'_> {
    fn load(&mut self, workload: &Workload, _limit: Duration) -> anyhow::Result<Option<Loaded>> {
        let batches: Vec<_> = workload.networks().map(|network| batch(workload, network)).collect();
        let started = Instant::now();
        let (last, others) = batches.split_last().expect("a topology has networks");
        for batch in others {
            self.web.post("batch", batch)?;
        }
        self.web.post(&format!("batch?{REALIZED}"), last)?;
        let took = started.elapsed();
        let bound = self.sum("interfaces_active")?;
        ensure!(bound == workload.ports, "{bound} of {} ports are bound", workload.ports);
        Ok(Some(Loaded { converged: took, said: took }))
    }

    fn change(&mut self, workload: &Workload, change: Change) -> anyhow::Result<Duration> {
        let started = Instant::now();
        match change {
            Change::Add(port) => {
                self.web.post(&format!("interfaces?{REALIZED}"), &interface(workload, port))?
            }
            Change::Rule(port) => {
                let rules = json!({"rules": rules(port)});
                self.web.put(&format!("security_groups/{GROUP}?{REALIZED}"), &rules)?
            }
            Change::Move(port) => {
                let to = json!({"requested_host": host_name(workload.after_move(port))});
                self.web.put(&format!("interfaces/{}?{REALIZED}", port.name()), &to)?
            }
        };
        Ok(started.elapsed())
    }

    fn expect(&mut self, workload: &Workload, port: Port) -> anyhow::Result<()> {
        self.web.post(&format!("interfaces?{REALIZED}"), &interface(workload, port)).map(drop)
    }

    fn await_plugged(&mut self, port: Port) -> anyhow::Result<()> {
        let path = format!("interfaces/{}?wait=active&timeout={}", port.name(), PATIENCE.as_secs());
        self.web.get(&path).map(drop)
    }

    fn centre(&self) -> anyhow::Result<Used> {
        Used::of_all(self.site.lab.manager().pid())
    }

    fn agents(&self) -> anyhow::Result<Used> {
        Used::of_all(self.site.lab.hosts().iter().filter_map(|host| host.vna().pid()))
    }
}

/// A network with its ports, and a way to all others.
fn batch(workload: &Workload, network: usize) -> Value {
    let shared = (network == 0).then(|| {
        let group = json!({"uuid": GROUP, "rules": rules(80)});
        [create("route_links", json!({"uuid": "rl-bench"})), create("security_groups", group)]
    });
    let (id, leg) = (format!("nw-{network}"), format!("if-r{network}"));
    let first = workload::network_address(network);
    let own = [
        create("networks", json!({"uuid": id, "ipv4_network": first, "ipv4_prefix": 24})),
        create(
            "interfaces",
            json!({"uuid": leg, "mode": "simulated", "enable_routing": true, "network_uuid": id,
                "mac_address": workload::router_mac(network).to_string(),
                "ipv4_address": workload::router_address(network)}),
        ),
        create(
            "routes",
            json!({"uuid": format!("r-{network}"), "interface_uuid": leg, "network_uuid": id,
                "route_link_uuid": "rl-bench", "ipv4_network": first, "ipv4_prefix": 24}),
        ),
    ];
    let ports = workload.ports_of(network).map(|port| create("interfaces", interface(workload, port)));
    let operations: Vec<_> = shared.into_iter().flatten().chain(own).chain(ports).collect();
    json!({"operations": operations})
}

fn create(resource: &str, attributes: Value) -> Value {
    json!({"op": "create", "resource": resource, "attributes": attributes})
}

fn interface(workload: &Workload, port: Port) -> Value {
    let mut attributes = json!({"uuid": port.name(), "network_uuid": format!("nw-{}", port.network),
        "mac_address": port.mac().to_string(), "ipv4_address": port.address()});
    if port.number < NETWORK_SIZE {
        attributes["security_groups"] = json!([GROUP]);
    }
    if workload.is_moved(port) {
        attributes["requested_host"] = json!(host_name(port.host));
    }
    attributes
}

/// Members send what they like, and receive connections to one TCP port.
fn rules(port: u16) -> Value {
    json!([{"direction": "egress"}, {"direction": "ingress", "protocol": "tcp", "port": port.to_string()}])
}

/// The node id of a host of the lab.
fn host_name(host: usize) -> String {
    format!("host{}", host + 1)
}
