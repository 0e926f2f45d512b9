//! How far one manager goes: up to a thousand agents and a hundred thousand interfaces.
//!
//! The manager is a process as users run it, on a store on a disk. The agents are real as far as they matter to it: each has
//! joined, has a stream of its own with mutual TLS, compiles flows and installs them in a switch, which is a map in memory
//! here. They share the machine with the manager, and how much of a processor each side took is told.
//!
//! - [`cloud`]: the work. [`agent`]: an agent and its switch. [`fleet`]: agents in processes.
//! - [`wire`]: bytes by agent, as the kernel counts them. [`floor`]: the same bytes with nobody who decides.
//!
//! # What is measured, in this order
//! 1. `load`: tenants are made, one pair of hosts a commit, and every agent follows.
//! 2. `change`: single changes, each from the call until every host concerned has it; between two of them nothing happens.
//! 3. `reconnect`: the manager is killed and started again, when all agents have everything, and `behind`, when a change was
//!    made at that moment of which most agents have not heard.
//! 4. `cold`: all agents start at once with nothing known.

mod agent;
mod cloud;
mod fleet;
mod floor;
mod wire;

use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, bail, ensure};
use lab::wait_until;
use serde_json::{Value, json};

use self::agent::State;
use self::cloud::{Change, Cloud, MAX_HOSTS, MAX_INTERFACES, MIN_HOSTS, MIN_INTERFACES, host_name, rules};
use self::fleet::Fleet;
use crate::figures::Times;
use crate::machine::Used;
use crate::manager::Manager;
use crate::report::{self, Figures};
use crate::web::{REALIZED, Web};

pub(crate) use self::fleet::serve;

/// What to measure.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Agents, an even number; several numbers are measured in turn
    #[arg(long, value_delimiter = ',', default_values_t = [10, 100, 1_000], value_parser = agents)]
    agents: Vec<usize>,
    /// Interfaces of each agent's host, a multiple of four
    #[arg(long, default_value_t = 100, value_parser = interfaces)]
    interfaces_per_agent: usize,
    /// Single changes after the topology is there
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u8).range(3..=60))]
    changes: u8,
    /// Write what was measured, as JSON
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Time that all agents get for anything that is waited for.
const PATIENCE: Duration = Duration::from_secs(600);

/// Time between two looks at the agents. What is measured are times that they tell themselves.
const LOOK_PAUSE: Duration = Duration::from_millis(100);

/// Pairs of hosts whose tenants are made by one commit.
const PAIRS_AT_ONCE: usize = 1;

fn agents(text: &str) -> Result<usize, String> {
    let number = text.parse::<usize>().map_err(|error| error.to_string())?;
    let fits = (MIN_HOSTS..=MAX_HOSTS).contains(&number) && number.is_multiple_of(2);
    if fits { Ok(number) } else { Err(format!("an even number from {MIN_HOSTS} to {MAX_HOSTS}")) }
}

fn interfaces(text: &str) -> Result<usize, String> {
    let number = text.parse::<usize>().map_err(|error| error.to_string())?;
    let fits = (MIN_INTERFACES..=MAX_INTERFACES).contains(&number) && number.is_multiple_of(4);
    if fits {
        Ok(number)
    } else {
        Err(format!("a multiple of four from {MIN_INTERFACES} to {MAX_INTERFACES}"))
    }
}

/// Measures every size, and shows it.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let mut all = Vec::new();
    for hosts in &options.agents {
        let cloud = Cloud {
            hosts: *hosts,
            interfaces_per_host: options.interfaces_per_agent,
            changes: options.changes.into(),
        };
        eprintln!("{hosts} agents, {} interfaces", cloud.interfaces());
        all.push((*hosts, measure_size(&cloud)?));
        print(&all);
    }
    let mut cells = Figures::default();
    for (hosts, figures) in &all {
        figures.iter().for_each(|(name, figure)| cells.set(&format!("{name}_at_{hosts}"), figure));
    }
    if let Some(file) = &options.output {
        let sizes: Vec<_> = all.iter().map(|(hosts, of)| json!({"agents": hosts, "figures": of})).collect();
        report::write(file, "scale", json!({"cells": cells, "sizes": sizes}))?;
    }
    Ok(())
}

fn print(all: &[(usize, Figures)]) {
    let heads: Vec<_> = all.iter().map(|(hosts, _)| format!("{hosts} agents")).collect();
    let columns: Vec<_> =
        heads.iter().map(String::as_str).zip(all.iter().map(|(_, figures)| figures)).collect();
    let names: std::collections::BTreeSet<_> =
        all.iter().flat_map(|(_, figures)| figures.iter().map(|(name, _)| name)).collect();
    report::print_table("Scale", &names.into_iter().collect::<Vec<_>>(), &columns);
}

/// Measures one cloud on a manager of its own.
fn measure_size(cloud: &Cloud) -> anyhow::Result<Figures> {
    let state = tempfile::Builder::new().prefix("openvnet-bench-").tempdir_in(crate::manager::DISK)?;
    let manager = Manager::start_for_agents()?;
    let fleet = Fleet::start(cloud, manager.sync_port()?, state.path())?;
    let web = Web::new(&manager.url()?);
    let mut stage = Stage { cloud, manager, web, fleet, figures: Figures::default(), revision: 0 };
    stage.figures.set("interfaces", cloud.interfaces() as f64);
    stage.join()?;
    stage.load()?;
    stage.check(0)?;
    stage.changes()?;
    let quiet = stage.reconnect("reconnect")?;
    stage.miss_a_change()?;
    stage.reconnect("behind")?;
    let cold = stage.cold()?;
    stage.check(cloud.changes)?;
    let mut figures = stage.figures;
    drop((stage.fleet, stage.manager));
    for (name, received) in [("reconnect", quiet), ("cold", cold)] {
        let floor = floor::measure(&received)?;
        figures.set(&format!("{name}_floor_seconds"), floor.took.as_secs_f64());
        figures.set(&format!("{name}_floor_cpu_seconds"), floor.cpu_seconds);
        for what in ["seconds", "cpu_seconds"] {
            let (ours, floor) =
                (figures.get(&format!("{name}_{what}")), figures.get(&format!("{name}_floor_{what}")));
            figures.set_ratio(&format!("{name}_{what}_vs_floor"), ours, floor);
        }
    }
    Ok(figures)
}

/// A cloud that is being measured.
struct Stage<'a> {
    cloud: &'a Cloud,
    manager: Manager,
    web: Web,
    fleet: Fleet,
    figures: Figures,
    /// The newest revision.
    revision: u64,
}

impl Stage<'_> {
    /// Every host joins, and its agent tells which ports it has.
    fn join(&mut self) -> anyhow::Result<()> {
        let tokens = (0..self.cloud.hosts).map(|host| {
            let token = self.web.post("hosts/tokens", &json!({"node_id": host_name(host)}))?;
            anyhow::Ok(token["token"].as_str().context("a token")?.to_owned())
        });
        let tokens = tokens.collect::<anyhow::Result<Vec<_>>>()?;
        let started = Instant::now();
        self.fleet.join(&tokens)?;
        self.figures.set("join_seconds", started.elapsed().as_secs_f64());
        let started = now();
        self.fleet.go()?;
        let states = self.agents("to connect", |of| of.connected_at.is_some() && of.revision > 0)?;
        self.figures
            .set("connect_seconds", since(started, states.iter().filter_map(|of| of.connected_at).max()));
        let wanted: usize = self.cloud.ports().iter().map(Vec::len).sum();
        let web = &self.web;
        wait_until("the manager to know every switch port", PATIENCE, || {
            let seen = sum(&hosts(web).map_err(|error| error.to_string())?, "ports_seen");
            if seen == wanted { Ok(()) } else { Err(format!("{seen} of {wanted}")) }
        })?;
        self.tell_memory("idle_")
    }

    /// Makes all tenants.
    fn load(&mut self) -> anyhow::Result<()> {
        let pairs = 0..self.cloud.hosts / 2;
        let batches: Vec<_> = pairs
            .clone()
            .step_by(PAIRS_AT_ONCE)
            .map(|first| self.cloud.batch(first..(first + PAIRS_AT_ONCE).min(pairs.end)))
            .collect();
        let (before, started) = (self.spent()?, now());
        for batch in &batches {
            self.revision = revision(&self.web.post("batch", batch)?)?;
        }
        let committed = now();
        let wanted = self.revision;
        let states = self.agents("to have the topology", |of| of.revision >= wanted)?;
        self.tell_spent("load", before)?;
        self.figures.set("load_seconds", since(started, Some(committed)));
        self.figures.set("sync_seconds", since(committed, states.iter().map(|of| of.changed_at).max()));
        let flows: usize = states.iter().map(|of| of.flows).sum();
        self.figures.set("flows_per_host", flows as f64 / states.len() as f64);
        let told: usize = states.iter().map(|of| of.objects_told).sum();
        self.figures.set("load_objects_per_host", told as f64 / states.len() as f64);
        let sent = self.received()?;
        self.figures.set("load_sent_per_host_bytes", mean(&sent));
        self.tell_memory("")
    }

    /// Holds what there is against what ought to be, after so many of the changes.
    fn check(&mut self, changes: usize) -> anyhow::Result<()> {
        let known = self.cloud.known(changes);
        let states = self.fleet.report()?;
        for (host, (state, known)) in states.iter().zip(known).enumerate() {
            let found = state.interfaces;
            ensure!(found == known, "{} knows {found} interfaces instead of {known}", host_name(host));
        }
        let wrong = self.fleet.wrong()?;
        ensure!(wrong == 0, "{wrong} switches are not as they should be");
        let added = self.cloud.changes().take(changes).filter(|of| matches!(of, Change::Add(_))).count();
        let wanted = self.cloud.interfaces() + added;
        let (web, newest) = (&self.web, self.revision);
        Ok(wait_until("the manager to know that every host has everything", PATIENCE, || {
            let hosts = hosts(web).map_err(|error| error.to_string())?;
            let behind = hosts.iter().filter(|of| of["realized_revision"].as_u64() < Some(newest)).count();
            match (behind, sum(&hosts, "interfaces_active")) {
                (0, bound) if bound == wanted => Ok(()),
                (behind, bound) => {
                    Err(format!("{behind} hosts behind, {bound} of {wanted} interfaces bound"))
                }
            }
        })?)
    }

    /// Makes single changes, and sees who is told of them.
    fn changes(&mut self) -> anyhow::Result<()> {
        let before = self.spent()?;
        let (mut times, mut strangers, mut to_concerned, mut to_others) =
            (Vec::new(), 0, Vec::new(), Vec::new());
        for change in self.cloud.changes() {
            let (told, received) = (self.quiet()?, self.received()?);
            let started = Instant::now();
            self.revision = revision(&self.make(change)?)?;
            times.push(started.elapsed());
            let now_told = self.quiet()?;
            let now_received = self.received()?;
            let is_told: Vec<_> = told
                .iter()
                .zip(&now_told)
                .map(|(before, after)| before.objects_told != after.objects_told)
                .collect();
            let concerned = is_told.iter().filter(|told| **told).count();
            strangers += concerned.abs_diff(self.cloud.concerned(change));
            for ((before, after), told) in received.iter().zip(&now_received).zip(&is_told) {
                let all = if *told { &mut to_concerned } else { &mut to_others };
                all.push(after.saturating_sub(*before));
            }
        }
        self.tell_spent("changes", before)?;
        let times: Times = times.into_iter().collect();
        self.figures.set("change_p50_seconds", times.percentile(50));
        self.figures.set("change_p99_seconds", times.percentile(99));
        self.figures.set("change_hosts_told_wrongly", strangers as f64);
        self.figures.set("change_sent_per_concerned_bytes", mean(&to_concerned));
        self.figures.set("change_sent_per_other_bytes", mean(&to_others));
        Ok(())
    }

    fn make(&self, change: Change) -> anyhow::Result<Value> {
        match change {
            Change::Add(guest) => self.web.post(&format!("interfaces?{REALIZED}"), &guest.attributes()),
            Change::Rule(tenant, port) => {
                let path = format!("security_groups/{}?{REALIZED}", tenant.group());
                self.web.put(&path, &json!({"rules": rules(port)}))
            }
            Change::Move(guest) => {
                let to = json!({"requested_host": host_name(self.cloud.after_move(guest))});
                self.web.put(&format!("interfaces/{}?{REALIZED}", guest.name()), &to)
            }
        }
    }

    /// Makes one more change, and waits for nobody.
    fn miss_a_change(&mut self) -> anyhow::Result<()> {
        self.quiet()?;
        let tenant = self.cloud.tenants().next().context("a tenant")?;
        let path = format!("security_groups/{}", tenant.group());
        self.revision = revision(&self.web.put(&path, &json!({"rules": rules(443)}))?)?;
        Ok(())
    }

    /// Kills the manager, starts it again, and waits until all agents are back and have everything. Tells what each was
    /// sent.
    fn reconnect(&mut self, name: &str) -> anyhow::Result<Vec<u64>> {
        let agents_before = self.fleet.used()?;
        let killed = now();
        self.manager.restart()?;
        let listening = now();
        let newest = self.revision;
        let states = self.agents("to be back", |of| {
            of.connected_at.is_some_and(|at| at > killed && of.updated_at >= at) && of.revision >= newest
        })?;
        let updated = states.iter().map(|of| of.updated_at).max();
        self.figures.set(&format!("{name}_outage_seconds"), since(killed, Some(listening)));
        self.figures.set(&format!("{name}_seconds"), since(listening, updated));
        let (manager, agents) = (self.manager.used()?, self.fleet.used()? - agents_before);
        self.figures.set(&format!("{name}_manager_cpu_seconds"), manager.cpu_seconds);
        self.figures.set(&format!("{name}_cpu_seconds"), manager.cpu_seconds + agents.cpu_seconds);
        self.figures.set(&format!("{name}_manager_memory_bytes"), manager.peak_bytes);
        let received = self.received()?;
        self.figures.set(&format!("{name}_sent_per_host_bytes"), mean(&received));
        Ok(received)
    }

    /// All agents start with nothing known. Tells what each was sent.
    fn cold(&mut self) -> anyhow::Result<Vec<u64>> {
        self.fleet.forget()?;
        let (before, started) = (self.spent()?, now());
        self.fleet.go()?;
        let newest = self.revision;
        let states = self.agents("to have everything", |of| of.revision >= newest)?;
        self.tell_spent("cold", before)?;
        self.figures.set("cold_seconds", since(started, states.iter().map(|of| of.changed_at).max()));
        let received = self.received()?;
        self.figures.set("cold_sent_per_host_bytes", mean(&received));
        let told: usize = states.iter().map(|of| of.objects_told).sum();
        self.figures.set("cold_objects_per_host", told as f64 / states.len() as f64);
        Ok(received)
    }

    /// Waits until every agent has heard of the newest revision.
    fn quiet(&mut self) -> anyhow::Result<Vec<State>> {
        let newest = self.revision;
        self.agents("to hear of the newest revision", |of| of.revision >= newest)
    }

    /// Waits until all agents are as they should be.
    fn agents(&mut self, what: &str, is_so: impl Fn(&State) -> bool) -> anyhow::Result<Vec<State>> {
        let started = Instant::now();
        loop {
            let states = self.fleet.report()?;
            let missing = states.iter().filter(|state| !is_so(state)).count();
            if missing == 0 {
                return Ok(states);
            }
            if started.elapsed() > PATIENCE {
                bail!("waited for the agents {what}: {missing} of {} do not", states.len());
            }
            thread::sleep(LOOK_PAUSE);
        }
    }

    /// What every agent was sent on its connection.
    fn received(&self) -> anyhow::Result<Vec<u64>> {
        let counts = wire::received(self.cloud.hosts, self.manager.sync_port()?)?;
        counts
            .into_iter()
            .enumerate()
            .map(|(host, of)| of.with_context(|| format!("{host} is not connected")))
            .collect()
    }

    fn spent(&self) -> anyhow::Result<(Used, Used)> {
        Ok((self.manager.used()?, self.fleet.used()?))
    }

    fn tell_spent(&mut self, name: &str, before: (Used, Used)) -> anyhow::Result<()> {
        let (manager, agents) = self.spent()?;
        let (manager, agents) = ((manager - before.0).cpu_seconds, (agents - before.1).cpu_seconds);
        self.figures.set(&format!("{name}_manager_cpu_seconds"), manager);
        self.figures.set(&format!("{name}_cpu_seconds"), manager + agents);
        Ok(())
    }

    fn tell_memory(&mut self, name: &str) -> anyhow::Result<()> {
        let (manager, agents) = self.spent()?;
        self.figures.set(&format!("{name}manager_memory_bytes"), manager.peak_bytes);
        self.figures.set(&format!("{name}agent_memory_bytes"), agents.peak_bytes / self.cloud.hosts as f64);
        Ok(())
    }
}

/// All hosts, as the manager shows them.
fn hosts(web: &Web) -> anyhow::Result<Vec<Value>> {
    let mut hosts = web.get("hosts?limit=10000")?;
    match hosts["items"].take() {
        Value::Array(hosts) => Ok(hosts),
        _ => bail!("no list of hosts"),
    }
}

fn sum(hosts: &[Value], count: &str) -> usize {
    hosts.iter().filter_map(|host| usize::try_from(host[count].as_u64()?).ok()).sum()
}

/// The revision that an answer tells of.
fn revision(answer: &Value) -> anyhow::Result<u64> {
    answer["revision"].as_u64().context("an answer names its revision")
}

/// The time since the epoch: what several processes tell of can be compared.
fn now() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

/// Seconds from one time to another; none if that was before.
fn since(start: Duration, end: Option<Duration>) -> f64 {
    end.unwrap_or_default().saturating_sub(start).as_secs_f64()
}

fn mean(counts: &[u64]) -> f64 {
    counts.iter().sum::<u64>() as f64 / counts.len() as f64
}
