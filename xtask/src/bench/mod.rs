//! Benchmarks: what is claimed of speed, measured on this machine.
//!
//! A benchmark is one file. It measures what it compares in one run, on a lab of its own, and judges by the ratio: what a
//! machine does in absolute figures says as much of the machine.

mod flood;
mod frames;
mod probe;

use std::env;

use crate::run::{cargo, command, run};
use crate::setup::{is_root, setup};

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
}

/// Measures.
pub(crate) fn bench(options: &Options) -> anyhow::Result<()> {
    setup()?;
    // What is measured is optimized; this program itself only waits.
    run(cargo(["build", "--release", "--package", "vnmgr", "--package", "vna", "--package", "vnctl"]))?;
    if !is_root() {
        let program = env::current_exe()?.into_os_string();
        return run(command("sudo", [program].into_iter().chain(env::args_os().skip(1))));
    }
    match &options.benchmark {
        Benchmark::Flood(options) => flood::flood(options),
    }
}
