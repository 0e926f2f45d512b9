//! Traces and matrices: how long the manager thinks about a packet, and about who reaches whom.
//!
//! Both are pure functions of the topology in memory, and are called here as the Web API calls them, without its transport. A trace
//! is one packet, made and walked, from the middle of [`terrain`]: within a network, through filters and groups, by a router, out
//! by a shared address and in by one of a guest's own. What is judged is how much longer it takes in the whole topology than in that of
//! one tenant: it should cost what the packet meets, and not what there is.
//!
//! Matrices are those of a thousand guests, everything they can send: of all of one tenant, and of some of each network of all tenants. No
//! pair of classes is passed over, so their time is told beside that of a walk for each pair and family, too.

mod terrain;

use std::collections::BTreeSet;
use std::hint::black_box;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde_json::json;
use topology::reach::{Arrival, Matrix, Prepared, Probe, ProbeKind, Target, TrafficSet, matrix};
use topology::walk::{Connections, walk};
use topology::{InterfaceId, Topology};

use crate::figures::Times;
use crate::report::{self, Figures};
use terrain::{MAX_GUESTS, TENANT_SIZE};

/// What to measure.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Interfaces of the topology
    #[arg(long, default_value_t = 10_000, value_parser = guests)]
    interfaces: usize,
    /// Traces of each kind
    #[arg(long, default_value_t = 1000)]
    traces: usize,
    /// Matrices
    #[arg(long, default_value_t = 3)]
    matrices: usize,
    /// Write what was measured, as JSON
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

fn guests(text: &str) -> Result<usize, String> {
    let number = text.parse::<usize>().map_err(|error| error.to_string())?;
    let fits = (TENANT_SIZE..=MAX_GUESTS).contains(&number) && number.is_multiple_of(TENANT_SIZE);
    if fits { Ok(number) } else { Err(format!("a multiple of {TENANT_SIZE}, up to {MAX_GUESTS}")) }
}

/// A packet to trace.
struct Traced {
    name: &'static str,
    from: InterfaceId,
    to: Target,
    probe: Probe,
}

/// Measures, and shows it.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let sizes = [TENANT_SIZE, options.interfaces];
    let [tenant, all] = sizes.map(terrain::topology);
    let topologies = [tenant?, all?];
    let [small, large] = traces(options, sizes, &topologies)?;
    let one_walk = large.get("routed_p50_seconds");
    let own = reach(options, &topologies[1], (0..TENANT_SIZE).collect(), one_walk)?;
    let spread = reach(options, &topologies[1], spread(options.interfaces), one_walk)?;
    let mut cells = Figures::default();
    for (name, figure) in large.iter() {
        cells.set(name, figure);
    }
    for (whose, figures) in [("tenant", &own), ("spread", &spread)] {
        figures.iter().for_each(|(name, figure)| cells.set(&format!("{whose}_{name}"), figure));
    }
    cells.set_ratio("trace_growth", large.get("slowest_p50_seconds"), small.get("slowest_p50_seconds"));
    let heads = sizes.map(|size| format!("{size}"));
    let names: Vec<_> = large.iter().map(|(name, _)| name).collect();
    report::print_table("a trace, by interfaces", &names, &[(&heads[0], &small), (&heads[1], &large)]);
    let names: Vec<_> = own.iter().map(|(name, _)| name).collect();
    let heads = [("of one tenant", &own), ("of all", &spread)];
    report::print_table(&format!("reachability of {TENANT_SIZE} interfaces"), &names, &heads);
    println!("\ntrace_growth {:.2}", cells.get("trace_growth").unwrap_or(f64::NAN));
    if let Some(file) = &options.output {
        report::write(file, "trace", json!({"cells": cells, "small": small}))?;
    }
    Ok(())
}

/// What is traced in a topology of so many interfaces. All of it arrives.
fn packets(guests: usize) -> Vec<Traced> {
    let tcp = |port| Probe { kind: ProbeKind::Tcp, port: Some(port), ..Probe::default() };
    let traced = |name, from, to, port| Traced { name, from: terrain::id(from), to, probe: tcp(port) };
    let guest = |number| Target::Interface(terrain::id(number));
    let last_network = guests / terrain::NETWORK_SIZE - 1;
    vec![
        traced("in_network", 0, guest(5), 8080),
        traced("by_filter", 0, guest(3), 22),
        traced("routed", 1, guest(TENANT_SIZE - 2), 5432),
        traced("outward", 5, Target::Address(terrain::elsewhere()), 80),
        traced("inward", 5, Target::Address(terrain::outside(last_network)), 80),
    ]
}

/// Traces every packet in both topologies in turn.
fn traces(options: &Options, sizes: [usize; 2], topologies: &[Topology; 2]) -> anyhow::Result<[Figures; 2]> {
    let mut figures = [Figures::default(), Figures::default()];
    for nth in 0..packets(TENANT_SIZE).len() {
        let mut times = [Vec::new(), Vec::new()];
        for _ in 0..options.traces {
            for ((topology, size), times) in topologies.iter().zip(sizes).zip(&mut times) {
                let traced = packets(size).swap_remove(nth);
                times.push(trace(topology, &traced)?);
            }
        }
        for (figures, times) in figures.iter_mut().zip(times) {
            let p50 = times.into_iter().collect::<Times>().percentile(50);
            figures.set(&format!("{}_p50_seconds", packets(TENANT_SIZE).swap_remove(nth).name), p50);
            let slowest = figures.get("slowest_p50_seconds").map_or(p50, |slowest| slowest.max(p50));
            figures.set("slowest_p50_seconds", slowest);
        }
    }
    Ok(figures)
}

/// How long it takes to make a packet and to say what becomes of it.
fn trace(topology: &Topology, traced: &Traced) -> anyhow::Result<Duration> {
    let started = Instant::now();
    let prepared = traced.probe.prepare(topology, &traced.from, &traced.to)?;
    let Prepared::Packet(packet) = prepared else { anyhow::bail!("{}: no packet is sent", traced.name) };
    let walked = walk(topology, &traced.from, &packet, &Connections::default());
    let took = started.elapsed();
    let walked = black_box(walked);
    ensure!(Arrival::of(&walked, None) == Arrival::Always, "{}: {:?}", traced.name, walked.outcomes);
    Ok(took)
}

/// As many guests as a tenant has, the first ones of each network.
fn spread(interfaces: usize) -> Vec<usize> {
    let networks = interfaces / terrain::NETWORK_SIZE;
    let of_each = TENANT_SIZE.div_ceil(networks).min(terrain::NETWORK_SIZE);
    let guests =
        (0..networks).flat_map(|network| (0..of_each).map(move |of| network * terrain::NETWORK_SIZE + of));
    guests.take(TENANT_SIZE).collect()
}

/// Who reaches whom of some guests, by whatever they can send.
fn reach(
    options: &Options,
    topology: &Topology,
    guests: Vec<usize>,
    one_walk: Option<f64>,
) -> anyhow::Result<Figures> {
    let guests: BTreeSet<_> = guests.into_iter().map(terrain::id).collect();
    let mut times = Vec::new();
    let mut last = None;
    for _ in 0..options.matrices.max(1) {
        let started = Instant::now();
        let found = matrix(topology, &guests, &guests, &TrafficSet::all()).map_err(anyhow::Error::msg)?;
        times.push(started.elapsed());
        last = Some(found);
    }
    let Matrix { from, cells, walks, .. } = last.context("one matrix at least")?;
    let mut figures = Figures::default();
    let pairs = 2.0 * cells.len() as f64;
    figures.set("reach_p50_seconds", times.into_iter().collect::<Times>().percentile(50));
    figures.set("reach_classes", from.len() as f64);
    figures.set("reach_walks", walks as f64);
    figures.set("reach_walks_per_pair", walks as f64 / pairs);
    let floor = one_walk.map(|seconds| seconds * pairs);
    figures.set_ratio("reach_vs_floor", figures.get("reach_p50_seconds"), floor);
    Ok(figures)
}
