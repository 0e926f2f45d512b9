//! How long until every host has a topology, and then a change of it: OpenVNet, a peer, and the floor.
//!
//! The same work for each, in turn, each on switches of its own that nobody has touched. The clock starts with the first
//! call of the user, when every switch port is there, and stops when the system says that every host has it.
//!
//! - [`hosts`]: the switches. [`ours`], [`peer`]: the systems. [`floor`]: the same flows with nobody who decides.
//!
//! # Ratios
//! Of times, `…_vs_peer` says how many times faster than the peer; of costs (processor, memory, flows, bytes), how much of
//! the peer's. `converge_vs_floor` and `single_change_p50_vs_floor` are our times by the floor's.

mod floor;
mod hosts;
mod ours;
mod peer;
mod summary;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context;
use serde_json::json;

use self::floor::Floor;
use self::hosts::Site;
use self::ours::Ours;
use self::peer::Peer;
use crate::figures::Times;
use crate::machine::Used;
use crate::report::{self, Figures};
use crate::workload::{Change, MAX_PORTS, NETWORK_SIZE, Port, Workload};

/// What to measure.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Ports; several numbers draw a curve
    #[arg(long, value_delimiter = ',', default_value = "1000", value_parser = ports)]
    ports: Vec<usize>,
    /// Hypervisor hosts, two at least
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u8).range(2..=200))]
    hosts: u8,
    /// Single changes after the topology is there
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u8).range(3..=200))]
    changes: u8,
    /// Measure this system too
    #[arg(long)]
    peer: Option<PeerKind>,
    /// Seconds that the peer gets for a topology; larger ones are then left out
    #[arg(long, default_value_t = 600)]
    peer_limit: u64,
    /// Write what was measured, as JSON
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Draw the curves into this folder, as SVG
    #[arg(long, value_name = "DIR")]
    charts: Option<PathBuf>,
}

/// What there is to be compared with.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum PeerKind {
    /// OVN, as Debian packages it.
    Ovn,
}

fn ports(text: &str) -> Result<usize, String> {
    let number = text.parse::<usize>().map_err(|error| error.to_string())?;
    let allowed = NETWORK_SIZE..=MAX_PORTS;
    if allowed.contains(&number) { Ok(number) } else { Err(format!("from {NETWORK_SIZE} to {MAX_PORTS}")) }
}

/// A system that brings a topology to hosts.
trait System {
    /// Loads the topology. `None` if that takes longer than `limit`.
    fn load(&mut self, workload: &Workload, limit: Duration) -> anyhow::Result<Option<Loaded>>;

    /// Makes one change, and tells how long it took until every host concerned had it.
    fn change(&mut self, workload: &Workload, change: Change) -> anyhow::Result<Duration>;

    /// Makes known a port that no switch has yet.
    fn expect(&mut self, workload: &Workload, port: Port) -> anyhow::Result<()>;

    /// Returns once every host concerned has the port, which its switch has now.
    fn await_plugged(&mut self, port: Port) -> anyhow::Result<()>;

    /// What the central parts have used.
    fn centre(&self) -> anyhow::Result<Used>;

    /// What the agents have used.
    fn agents(&self) -> anyhow::Result<Used>;
}

/// A topology has been loaded.
struct Loaded {
    /// When every host had all of it.
    converged: Duration,
    /// When the system first said so.
    said: Duration,
}

/// What was measured of one size.
struct Measured {
    ports: usize,
    ours: Figures,
    /// Empty if the peer was not measured, or had no time left.
    peer: Figures,
    cells: Figures,
}

/// Measures every size, and shows it.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let mut sizes = options.ports.clone();
    sizes.sort_unstable();
    let limit = Duration::from_secs(options.peer_limit);
    let mut peer = options.peer;
    let mut all = Vec::new();
    for ports in sizes {
        let (hosts, changes) = (options.hosts.into(), options.changes.into());
        let measured = measure_size(&Workload { ports, hosts, changes }, peer, limit)?;
        summary::print(&measured, options.hosts);
        if measured.peer == Figures::default() {
            peer = None;
        }
        all.push(measured);
    }
    let cells = summary::cells(&all);
    report::print_list("The cells of this run", &cells);
    if let Some(folder) = &options.charts {
        summary::draw(&all, folder)?;
    }
    if let Some(file) = &options.output {
        let sizes = all
            .iter()
            .map(|of| json!({"ports": of.ports, "ours": of.ours, "peer": of.peer, "cells": of.cells}));
        let sizes: Vec<_> = sizes.collect();
        report::write(file, "converge", json!({"hosts": options.hosts, "cells": cells, "sizes": sizes}))?;
    }
    Ok(())
}

fn measure_size(workload: &Workload, peer: Option<PeerKind>, limit: Duration) -> anyhow::Result<Measured> {
    eprintln!("{} ports: OpenVNet", workload.ports);
    let ours = measure_ours(workload)?;
    let peer = match peer {
        Some(PeerKind::Ovn) => {
            eprintln!("{} ports: OVN", workload.ports);
            let site = Site::start(workload.hosts)?;
            let system = Peer::start(&site, workload)?;
            measure(&site, system, workload, limit, || Ok(()))?.unwrap_or_default()
        }
        None => Figures::default(),
    };
    let cells = summary::compare(&ours, &peer);
    Ok(Measured { ports: workload.ports, ours, peer, cells })
}

/// Measures OpenVNet, and then the floor, on its switches.
fn measure_ours(workload: &Workload) -> anyhow::Result<Figures> {
    let site = Site::start(workload.hosts)?;
    let mut floor = None;
    let system = Ours::start(&site, workload)?;
    let prepare = || {
        floor = Some(Floor::prepare(&site.lab)?);
        Ok(())
    };
    let figures = measure(&site, system, workload, Duration::MAX, prepare)?;
    let mut figures = figures.context("it has all the time it wants")?;
    site.lab.hosts().iter().for_each(|host| host.vna().kill());
    let (filled, changes) =
        floor.context("the switches were read")?.measure(&site.lab, workload.changes().count())?;
    figures.set("floor_seconds", filled.as_secs_f64());
    figures.set("change_floor_p50_seconds", changes.percentile(50));
    Ok(figures)
}

/// Measures a system, with something to be done between the topology and the changes.
fn measure(
    site: &Site,
    mut system: impl System,
    workload: &Workload,
    limit: Duration,
    between: impl FnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<Option<Figures>> {
    let mut figures = Figures::default();
    let before = Spent::so_far(site, &system)?;
    let Some(loaded) = system.load(workload, limit)? else { return Ok(None) };
    let after = Spent::so_far(site, &system)?;
    figures.set("converge_seconds", loaded.converged.as_secs_f64());
    figures.set("said_seconds", loaded.said.as_secs_f64());
    after.since(before).tell("", &mut figures);
    let flows = site.flows()?;
    figures.set("flows_per_host", flows.iter().sum::<f64>() / flows.len() as f64);
    between()?;

    let before = Spent::so_far(site, &system)?;
    let made = workload.changes().map(|change| Ok((change, system.change(workload, change)?)));
    let made: Vec<_> = made.collect::<anyhow::Result<_>>()?;
    let after = Spent::so_far(site, &system)?;
    after.since(before).tell("changes_", &mut figures);
    tell_changes(&made, &mut figures);
    plug(site, &mut system, workload, &mut figures)?;
    let after = Spent::so_far(site, &system)?;
    figures.set("memory_bytes", after.centre.peak_bytes + after.agents.peak_bytes);
    figures.set("centre_memory_bytes", after.centre.peak_bytes);
    figures.set("agent_memory_bytes", after.agents.peak_bytes / workload.hosts as f64);
    Ok(Some(figures))
}

/// Plugs ports in, and tells how long each takes from the command that does, `ovs-vsctl`, until every host concerned has it,
/// and what it costs.
fn plug(
    site: &Site,
    system: &mut impl System,
    workload: &Workload,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    for port in workload.plugged() {
        system.expect(workload, port)?;
    }
    let before = Spent::so_far(site, system)?;
    let one = |port: Port| {
        let started = Instant::now();
        site.plug(port)?;
        system.await_plugged(port)?;
        Ok(started.elapsed())
    };
    let times: Vec<_> = workload.plugged().map(one).collect::<anyhow::Result<_>>()?;
    let spent = Spent::so_far(site, system)?.since(before);
    let each = |all: f64| all / times.len() as f64;
    figures.set("plug_cpu_seconds", each(spent.centre.cpu_seconds + spent.agents.cpu_seconds));
    figures.set("plug_wire_bytes", each(spent.wire_bytes));
    figures.set("plug_p50_seconds", times.iter().copied().collect::<Times>().percentile(50));
    Ok(())
}

/// What a system has cost.
#[derive(Clone, Copy)]
struct Spent {
    centre: Used,
    agents: Used,
    /// Of `ovs-vswitchd`.
    switches: Used,
    wire_bytes: f64,
}

impl Spent {
    fn so_far(site: &Site, system: &impl System) -> anyhow::Result<Self> {
        let switches = site.lab.hosts().iter().filter_map(|host| host.switch().vswitchd().pid());
        Ok(Self {
            centre: system.centre()?,
            agents: system.agents()?,
            switches: Used::of_all(switches)?,
            wire_bytes: site.wire_bytes()?,
        })
    }

    fn since(self, earlier: Self) -> Self {
        Self {
            centre: self.centre - earlier.centre,
            agents: self.agents - earlier.agents,
            switches: self.switches - earlier.switches,
            wire_bytes: self.wire_bytes - earlier.wire_bytes,
        }
    }

    fn tell(&self, prefix: &str, figures: &mut Figures) {
        let (centre, agents) = (self.centre.cpu_seconds, self.agents.cpu_seconds);
        figures.set(&format!("{prefix}cpu_seconds"), centre + agents);
        figures.set(&format!("{prefix}centre_cpu_seconds"), centre);
        figures.set(&format!("{prefix}agents_cpu_seconds"), agents);
        figures.set(&format!("{prefix}switches_cpu_seconds"), self.switches.cpu_seconds);
        figures.set(&format!("{prefix}wire_bytes"), self.wire_bytes);
    }
}

/// The times of all changes, and of each kind.
fn tell_changes(made: &[(Change, Duration)], figures: &mut Figures) {
    type IsOf = fn(&Change) -> bool;
    let kinds: [(&str, IsOf); 4] = [
        ("single_change", |_| true),
        ("add", |change| matches!(change, Change::Add(_))),
        ("rule", |change| matches!(change, Change::Rule(_))),
        ("move", |change| matches!(change, Change::Move(_))),
    ];
    for (name, is_of) in kinds {
        let times: Times = made.iter().filter(|(change, _)| is_of(change)).map(|(_, took)| *took).collect();
        figures.set(&format!("{name}_p50_seconds"), times.percentile(50));
        figures.set(&format!("{name}_p99_seconds"), times.percentile(99));
    }
}
