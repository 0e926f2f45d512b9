//! Benchmarks: what is claimed of speed, measured on this machine.
//!
//! A benchmark is one file. It measures what it compares in one run, on a lab of its own, and judges by the ratio: what a
//! machine does in absolute figures says as much of the machine. Those beside a peer are a program of their own, the crate
//! `bench`: they contain parts of agents and managers, which whoever formats the sources need not build.

mod flood;
mod frames;
mod probe;

use std::env;
use std::ffi::OsString;

use anyhow::Context;

use crate::run::{cargo, command, run};
use crate::setup::{Needed, install, is_root, setup};

/// The programs that labs start, as arguments of cargo.
const PROGRAMS: [&str; 6] = ["--package", "vnmgr", "--package", "vna", "--package", "vnctl"];

/// What a comparison with OVN runs, and the Debian packages that have it.
const OVN: [Needed; 2] = [("ovn-northd", "ovn-central"), ("ovn-controller", "ovn-host")];

/// What to measure.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    benchmark: Benchmark,
}

#[derive(Debug, clap::Subcommand)]
enum Benchmark {
    /// What a neighbour notices of a guest that floods its host with questions
    Flood(flood::Options),
    /// How long until every host has a topology, and then a change of it; beside OVN and the floor
    #[command(disable_help_flag = true)]
    Converge(Beside),
    /// What guests notice of the flows: throughput, round trips and new connections; beside OVN and a plain switch
    #[command(disable_help_flag = true)]
    Datapath(Beside),
    /// How much the Web API does in a second, by so many clients over so many objects
    #[command(disable_help_flag = true)]
    Api(Beside),
    /// How many agents and interfaces one manager serves, and what each of them costs
    #[command(disable_help_flag = true)]
    Scale(Beside),
    /// How long the manager thinks about one packet, and about who reaches whom
    #[command(disable_help_flag = true)]
    Trace(Beside),
}

/// A benchmark of the crate `bench`, which knows its flags: `--help` shows them.
#[derive(Debug, clap::Args)]
struct Beside {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "FLAGS")]
    flags: Vec<OsString>,
}

/// Measures.
pub(crate) fn bench(options: &Options) -> anyhow::Result<()> {
    match &options.benchmark {
        Benchmark::Flood(_) if cfg!(debug_assertions) || !is_root() => {
            optimized("xtask", env::args_os().skip(1))
        }
        Benchmark::Flood(options) => flood::flood(options),
        Benchmark::Converge(beside) => beside.run("converge"),
        Benchmark::Datapath(beside) => beside.run("datapath"),
        Benchmark::Api(beside) => beside.run("api"),
        Benchmark::Scale(beside) => beside.run("scale"),
        Benchmark::Trace(beside) => beside.run("trace"),
    }
}

impl Beside {
    fn run(&self, benchmark: &str) -> anyhow::Result<()> {
        if self.flags.iter().any(|flag| flag.to_string_lossy().starts_with("--peer")) {
            install(&OVN)?;
        }
        optimized("bench", [OsString::from(benchmark)].into_iter().chain(self.flags.iter().cloned()))
    }
}

/// Builds a program of this workspace and those of labs, optimized, and starts it: labs take the programs beside it.
fn optimized(program: &str, arguments: impl Iterator<Item = OsString>) -> anyhow::Result<()> {
    setup()?;
    run(cargo(["build", "--release", "--package", program].into_iter().chain(PROGRAMS)))?;
    let built = env::current_exe()?;
    let target = built.parent().and_then(|folder| folder.parent()).context("a folder of cargo's")?;
    let program = target.join("release").join(program).into_os_string();
    let command_line = [program].into_iter().chain(arguments);
    match is_root() {
        true => run(command("env", command_line)),
        false => run(command("sudo", command_line)),
    }
}
