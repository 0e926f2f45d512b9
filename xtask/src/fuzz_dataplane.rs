//! Compares what random topologies mean with what their flows do, in real switches: the test `agreement` of `dataplane`, for as
//! long as one wants.

use crate::run::{cargo, run};

/// What to compare.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// How many pairs of a topology and a packet
    #[arg(long, default_value_t = 20_000)]
    pairs: u64,
    /// What they are made of
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Compares. The last line says how many pairs there were, and how many did not agree.
pub(crate) fn fuzz(options: &Options) -> anyhow::Result<()> {
    let test = ["--test", "agreement", "--", "--exact", "walks_and_flows_agree", "--nocapture"];
    let mut fuzz = cargo(["test", "--package", "dataplane"]);
    fuzz.args(test);
    fuzz.env("AGREEMENT_PAIRS", options.pairs.to_string());
    fuzz.env("AGREEMENT_SEED", options.seed.to_string());
    run(fuzz)
}
