//! Gives every decoder of what others send made-up inputs, in an optimized build: see the `fuzz` crate.

use crate::run::{cargo, run};

/// What to fuzz. What is not said is as `fuzz --help` says.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Which decoder [default: one after the other]
    target: Option<String>,
    /// How many inputs each
    #[arg(long)]
    inputs: Option<u64>,
    /// What inputs are made of
    #[arg(long)]
    seed: Option<u64>,
    /// The number of the first input
    #[arg(long)]
    first: Option<u64>,
}

/// Fuzzes, until something breaks.
pub(crate) fn fuzz(options: &Options) -> anyhow::Result<()> {
    let mut fuzz = cargo(["run", "--release", "--package", "fuzz", "--"]);
    fuzz.args(&options.target);
    let numbers = [("--inputs", options.inputs), ("--seed", options.seed), ("--first", options.first)];
    for (name, value) in numbers {
        if let Some(value) = value {
            fuzz.args([name, &value.to_string()]);
        }
    }
    run(fuzz)
}
