//! Gives decoders made-up inputs until one breaks something, or the number is reached: `cargo xtask fuzz`.

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use fuzz::campaign::{Broken, Cost};
use fuzz::{TARGETS, Target, campaign, crash, hex};

/// Gives decoders made-up inputs until one breaks something.
#[derive(Debug, Parser)]
struct Options {
    /// Which decoder [default: one after the other]
    target: Option<String>,
    /// How many inputs each
    #[arg(long, default_value_t = 1_000_000)]
    inputs: u64,
    /// What inputs are made of; each has others
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The number of the first input: where a process ended that could not say so, its range is cut in two
    #[arg(long, default_value_t = 0)]
    first: u64,
}

fn main() -> anyhow::Result<ExitCode> {
    let options = Options::parse();
    let targets = chosen(options.target.as_deref())?;
    let mut code = ExitCode::SUCCESS;
    for target in targets {
        let started = Instant::now();
        let numbers = options.first..options.first.saturating_add(options.inputs);
        let done = campaign::run(target, options.seed, numbers, |cost| {
            eprint!("\r{:<20} {:>9} inputs", target.name, cost.inputs)
        });
        match done {
            Ok(cost) => println!("\r{}", line(target, &cost, started)),
            Err(broken) => {
                code = ExitCode::FAILURE;
                tell(&broken)?;
            }
        }
    }
    Ok(code)
}

fn chosen(name: Option<&str>) -> anyhow::Result<Vec<&'static Target>> {
    let chosen: Vec<_> =
        TARGETS.iter().filter(|target| name.is_none_or(|name| name == target.name)).collect();
    if chosen.is_empty() {
        let known: Vec<_> =
            TARGETS.iter().map(|target| format!("  {:<20} {}", target.name, target.from)).collect();
        anyhow::bail!(
            "there is no such target. These are, and who sends what they decode:\n{}",
            known.join("\n")
        );
    }
    Ok(chosen)
}

fn line(target: &Target, cost: &Cost, started: Instant) -> String {
    let seconds = started.elapsed().as_secs_f64().max(1e-9);
    format!(
        "{:<20} {:>9} inputs, {:>2} % understood, {:>7.0} a second; at most {:>6} KiB and {:.1?} for one",
        target.name,
        cost.inputs,
        cost.understood * 100 / cost.inputs.max(1),
        cost.inputs as f64 / seconds,
        cost.peak.div_ceil(1024),
        cost.slowest
    )
}

fn tell(broken: &Broken) -> anyhow::Result<()> {
    let path = crash::save(broken.target, &broken.input)?;
    println!("\r{broken}\n{}\nkept in {}", hex::encode(&broken.input), path.display());
    Ok(())
}
