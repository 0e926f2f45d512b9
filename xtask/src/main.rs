//! What is done with the repository, by people and by CI alike: `cargo xtask <task>`.
//!
//! A task is one file. Each says what it runs, so that a step can be repeated by hand.

mod bench;
mod check;
mod demo;
mod fuzz;
mod fuzz_dataplane;
mod licences;
mod run;
mod setup;
mod suite;
mod test;

use clap::{Parser, Subcommand};

/// What is done with the repository.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Install the Debian packages that labs need (with sudo, when not root)
    Setup,
    /// Format, clippy, documentation, licences: everything that is checked without running
    Check,
    /// Build the programs, then run the tests
    Test(test::Options),
    /// Give every decoder of what others send made-up inputs
    Fuzz(fuzz::Options),
    /// Compare what topologies mean with what their flows do, in real switches
    FuzzDataplane(fuzz_dataplane::Options),
    /// Measure what is claimed of speed
    Bench(bench::Options),
    /// Show a network hypervisor on this machine: hosts, guests, networks, failures
    Demo(demo::Options),
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().task {
        Task::Setup => setup::setup(),
        Task::Check => check::check(),
        Task::Test(options) => test::test(&options),
        Task::Fuzz(options) => fuzz::fuzz(&options),
        Task::FuzzDataplane(options) => fuzz_dataplane::fuzz(&options),
        Task::Bench(options) => bench::bench(&options),
        Task::Demo(options) => demo::demo(&options),
    }
}
