//! What guests notice of the flows: the same guests through OpenVNet's, a peer's, and a plain switch.
//!
//! All systems stand at the same time, each with hosts of its own, and one at a time is measured, in an order that rotates from
//! round to round. Ratios are of measurements that follow each other; the median over the rounds is judged.
//!
//! - [`cell`]: what is measured. [`stand`], [`system`]: where. [`traffic`]: by what. [`counters`]: what noise has no part in.
//!
//! # Ratios
//! Of rates, how much of the other's: more than 1 is faster. Of the switches' processor time, too: less than 1 is cheaper.

mod cell;
mod counters;
mod stand;
mod summary;
mod system;
mod traffic;

use std::path::PathBuf;

use anyhow::Context;
use serde_json::json;

use self::cell::Cell;
use self::summary::{Key, Results};
use self::system::{Kind, System};
use self::traffic::{Amount, Traffic};
use crate::report;

/// What to measure.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Rounds; every ratio is of one round
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u8).range(1..=100))]
    rounds: u8,
    /// Seconds for which a connection carries what it can
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=60))]
    seconds: u8,
    /// Round trips of a measurement
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u16).range(1..))]
    round_trips: u16,
    /// Connections that a measurement opens
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    connections: u16,
    /// Measure this system too
    #[arg(long)]
    peer: Option<PeerKind>,
    /// Measure only cells with this in their names, such as `one_host` or `l2_plain`
    #[arg(long, value_name = "TEXT", default_value = "")]
    cells: String,
    /// Write what was measured, as JSON
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// What there is to be compared with, besides a plain switch.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum PeerKind {
    /// OVN, as Debian packages it.
    Ovn,
}

/// Measures, and shows it.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let peer = options.peer.map(|PeerKind::Ovn| Kind::Ovn);
    let kinds = [Some(Kind::Ours), peer, Some(Kind::Normal)].into_iter().flatten();
    let mut systems = kinds
        .map(|kind| {
            eprintln!("{} starts", kind.name());
            System::start(kind)
        })
        .collect::<anyhow::Result<Vec<_>>>()?;
    let cells: Vec<_> = Cell::all().filter(|cell| cell.to_string().contains(&options.cells)).collect();
    let mut results = Results::default();
    let outcome = measure_all(&mut systems, &cells, options, &mut results);
    // Also what there is of a run that did not come to its end.
    results.print();
    outcome?;
    if let Some(file) = &options.output {
        let measured =
            json!({"rounds": options.rounds, "cells": results.cells(), "systems": results.systems()});
        report::write(file, "datapath", measured)?;
    }
    Ok(())
}

impl Options {
    fn amount(&self) -> Amount {
        Amount {
            seconds: self.seconds.into(),
            round_trips: self.round_trips.into(),
            connections: self.connections.into(),
        }
    }
}

/// Counts once what does not change, and measures the rest in rounds.
fn measure_all(
    systems: &mut [System],
    cells: &[Cell],
    options: &Options,
    results: &mut Results,
) -> anyhow::Result<()> {
    for system in &*systems {
        for cell in cells.iter().filter(|cell| system.kind.has(cell.protection)) {
            let counted = counters::count(&system.stand, system.stand.ends(*cell)?)?;
            results.counted.insert((*cell, system.kind), counted);
        }
    }
    for round in 1..=options.rounds {
        eprintln!("round {round} of {}", options.rounds);
        cells.iter().try_for_each(|cell| measure(systems, *cell, options.amount(), results))?;
        systems.rotate_left(1);
    }
    Ok(())
}

/// Measures a cell in every system, by one kind of traffic after the other.
fn measure(systems: &[System], cell: Cell, amount: Amount, results: &mut Results) -> anyhow::Result<()> {
    for traffic in Traffic::ALL {
        for system in systems.iter().filter(|system| system.kind.has(cell.protection)) {
            system.stand.forget_connections()?;
            let before = system.stand.switch_seconds()?;
            let what = || format!("{} of {cell} by {}", traffic.name(), system.kind.name());
            let done = traffic.run(system.stand.ends(cell)?, amount).with_context(what)?;
            let spent = system.stand.switch_seconds()? - before;
            let key = Key { traffic, cell, system: system.kind };
            results.add(key, done.rate, spent / done.units);
        }
    }
    Ok(())
}
