//! Compares what random topologies mean with what their flows do, in real switches: the test `agreement` of `dataplane`, for as
//! long as one wants.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use anyhow::{Context as _, bail};

use crate::run::cargo;

/// What to compare.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// How many pairs of a topology and a packet
    #[arg(long, default_value_t = 20_000)]
    pairs: u64,
    /// What they are made of
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The number of the first topology: another one to look at it alone
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// Instead, how many flows to make wrong, one at a time, to see whether that is noticed
    #[arg(long)]
    mutants: Option<u64>,
}

/// Compares. The last line says how many pairs there were, and how many did not agree.
pub(crate) fn fuzz(options: &Options) -> anyhow::Result<()> {
    let test = if options.mutants.is_some() { "a_wrong_flow_is_noticed" } else { "walks_and_flows_agree" };
    let test = ["--test", "agreement", "--", "--exact", test, "--nocapture"];
    let mut fuzz = cargo(["test", "--package", "dataplane"]);
    fuzz.args(test).stdout(Stdio::piped());
    fuzz.env("AGREEMENT_PAIRS", options.pairs.to_string());
    fuzz.env("AGREEMENT_SEED", options.seed.to_string());
    fuzz.env("AGREEMENT_FIRST", options.first.to_string());
    if let Some(mutants) = options.mutants {
        fuzz.env("AGREEMENT_MUTANTS", mutants.to_string());
    }
    let mut running = fuzz.spawn().context("cannot start cargo")?;
    let output = running.stdout.take().context("it has no output")?;
    let mut verdict = None;
    for line in BufReader::new(output).lines() {
        let line = line?;
        if line.ends_with(" disagreements") || line.ends_with(" mutants caught") {
            verdict = Some(line);
        } else {
            println!("{line}");
        }
    }
    let status = running.wait()?;
    println!("{}", verdict.context("the comparison did not come to its end")?);
    if !status.success() {
        bail!("what topologies mean and what flows do differs");
    }
    Ok(())
}
