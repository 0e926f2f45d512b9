//! Benchmarks: what is claimed of speed, measured on this machine.
//!
//! A benchmark is one file. It measures what it compares in one run, on a lab of its own, and judges by the ratio: what a
//! machine does in absolute figures says as much of the machine.

mod flood;
mod frames;
mod probe;

use std::env;

use anyhow::Context;

use crate::run::{cargo, command, run};
use crate::setup::{is_root, setup};

/// The programs that labs start, as arguments of cargo.
const PROGRAMS: [&str; 6] = ["--package", "vnmgr", "--package", "vna", "--package", "vnctl"];

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
    if cfg!(debug_assertions) || !is_root() {
        return optimized();
    }
    match &options.benchmark {
        Benchmark::Flood(options) => flood::flood(options),
    }
}

/// Builds everything optimized, this program too, and starts that in its place: labs take the programs beside it.
fn optimized() -> anyhow::Result<()> {
    setup()?;
    run(cargo(["build", "--release", "--package", "xtask"].into_iter().chain(PROGRAMS)))?;
    let built = env::current_exe()?;
    let target = built.parent().and_then(|folder| folder.parent()).context("a folder of cargo's")?;
    let program = target.join("release").join("xtask").into_os_string();
    let command_line = [program].into_iter().chain(env::args_os().skip(1));
    match is_root() {
        true => run(command("env", command_line)),
        false => run(command("sudo", command_line)),
    }
}
