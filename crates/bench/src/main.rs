//! Benchmarks beside a peer: what is claimed of speed and size, measured on this machine.
//!
//! `cargo xtask bench` builds everything optimized and starts this. What is compared is measured in one run, in turn, by
//! the same means; what is judged is the ratio.
//!
//! - [`converge`]: how long until every host has a topology, and then a change of it.
//! - [`datapath`]: what guests notice of the flows: throughput, round trips, new connections.
//! - [`api`]: how much the Web API does in a second.
//! - [`scale`]: how many agents and interfaces one manager serves.
//! - [`trace`]: how long the manager thinks about a packet, and about who reaches whom.
//! - [`ovn`]: the peer. [`workload`] is what both systems are asked for, [`machine`] what the kernel says of their processes,
//!   [`figures`] how many measurements become one figure, [`report`] and [`chart`] how figures are shown.

mod api;
mod chart;
mod converge;
mod datapath;
mod figures;
mod machine;
mod manager;
mod ovn;
mod report;
mod scale;
mod trace;
mod web;
mod workload;

use clap::{Parser, Subcommand};

/// The bridge that guests are plugged into, by whichever system.
const BRIDGE: &str = "br-int";

/// Benchmarks beside a peer.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench", bin_name = "cargo xtask bench")]
struct Cli {
    #[command(subcommand)]
    benchmark: Benchmark,
}

#[derive(Debug, Subcommand)]
enum Benchmark {
    /// How long until every host has a topology, and then a change of it
    Converge(converge::Options),
    /// What guests notice of the flows: throughput, round trips and new connections, beside OVN and a plain switch
    Datapath(datapath::Options),
    /// How much the Web API does in a second, by so many clients over so many objects
    Api(api::Options),
    /// How many agents and interfaces one manager serves, and what each of them costs
    Scale(scale::Options),
    /// The agents of such a measurement
    #[command(hide = true)]
    ScaleAgents,
    /// How long the manager thinks about one packet, and about who reaches whom
    Trace(trace::Options),
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().benchmark {
        Benchmark::Converge(options) => converge::run(&options),
        Benchmark::Datapath(options) => datapath::run(&options),
        Benchmark::Api(options) => api::run(&options),
        Benchmark::Scale(options) => scale::run(&options),
        Benchmark::ScaleAgents => scale::serve(),
        Benchmark::Trace(options) => trace::run(&options),
    }
}
