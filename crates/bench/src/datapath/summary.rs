//! What the measurements come to: ratios by name, and tables.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::cell::Cell;
use super::system::Kind;
use super::traffic::Traffic;
use crate::figures::median;
use crate::report::{self, Column, Figures};

/// What was measured how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) traffic: Traffic,
    pub(crate) cell: Cell,
    pub(crate) system: Kind,
}

/// What was measured, and counted.
#[derive(Default)]
pub(crate) struct Results {
    /// Units a second, round by round.
    rates: BTreeMap<Key, Vec<f64>>,
    /// Processor seconds of the switches for each unit, round by round.
    costs: BTreeMap<Key, Vec<f64>>,
    pub(crate) counted: BTreeMap<(Cell, Kind), Figures>,
}

/// Whom ours is compared with, as cells are named.
const OTHERS: [(Kind, &str); 2] = [(Kind::Ovn, "vs_peer"), (Kind::Normal, "vs_normal")];

/// What is counted, in the order of the tables.
const COUNTS: [&str; 7] = [
    "tables_per_packet",
    "recirculations_per_packet",
    "megaflows",
    "recirculations_per_opening_packet",
    "tables_per_connection",
    "upcalls_per_connection",
    "megaflows_per_connection",
];

/// Counts of which ours may be no more than the peer's.
const BOUNDED: [&str; 2] = ["recirculations_per_packet", "recirculations_per_opening_packet"];

impl Results {
    /// Adds what one round has given.
    pub(crate) fn add(&mut self, key: Key, rate: f64, cost: f64) {
        self.rates.entry(key).or_default().push(rate);
        self.costs.entry(key).or_default().push(cost);
    }

    /// The ratios, by name.
    pub(crate) fn cells(&self) -> Figures {
        let mut cells = Figures::default();
        for key in self.rates.keys().filter(|key| key.system == Kind::Ours) {
            let name = format!("{}_{}", key.traffic.name(), key.cell);
            for (other, versus) in OTHERS {
                cells.set(&format!("{name}_{versus}"), ratio(&self.rates, *key, other));
                cells.set(&format!("switch_{name}_{versus}"), ratio(&self.costs, *key, other));
            }
        }
        for count in BOUNDED {
            let more = self.counted.iter().filter(|((_, system), _)| *system == Kind::Ours);
            let more = more.filter_map(|((cell, _), ours)| {
                Some(ours.get(count)? - self.counted.get(&(*cell, Kind::Ovn))?.get(count)?)
            });
            let most = more.fold(f64::NAN, f64::max);
            cells.set(&format!("{count}_more_than_peer"), most);
        }
        cells
    }

    /// Everything, by system and cell.
    pub(crate) fn systems(&self) -> Value {
        let mut systems: BTreeMap<&str, BTreeMap<String, BTreeMap<String, Value>>> = BTreeMap::new();
        for ((cell, system), figures) in &self.counted {
            let of_cell = systems.entry(system.name()).or_default().entry(cell.to_string()).or_default();
            of_cell.extend(figures.iter().map(|(name, figure)| (name.to_owned(), json!(figure))));
        }
        for (what, measured) in [("per_second", &self.rates), ("switch_seconds_each", &self.costs)] {
            for (key, rounds) in measured {
                let of_system = systems.entry(key.system.name()).or_default();
                let of_cell = of_system.entry(key.cell.to_string()).or_default();
                of_cell.insert(format!("{}_{what}", key.traffic.name()), json!(rounds));
            }
        }
        json!(systems)
    }

    /// Prints a table for each kind of traffic, and for each count.
    pub(crate) fn print(&self) {
        for traffic in Traffic::ALL {
            let title = match traffic {
                Traffic::Throughput => "throughput, Mbit/s",
                Traffic::RoundTrip => "round trips a second",
                Traffic::Connections => "connections a second",
            };
            let unit = if traffic == Traffic::Throughput { 1e6 } else { 1.0 };
            self.print_measured(title, traffic, unit);
        }
        for count in COUNTS {
            let mut columns: BTreeMap<Kind, Figures> = BTreeMap::new();
            for ((cell, system), figures) in &self.counted {
                columns.entry(*system).or_default().set_ratio(
                    &cell.to_string(),
                    figures.get(count),
                    Some(1.0),
                );
            }
            let columns: Vec<_> = columns.iter().map(|(system, figures)| (system.name(), figures)).collect();
            print_cells(count, &columns);
        }
        report::print_list("The cells of this run", &self.cells());
    }

    fn print_measured(&self, title: &str, traffic: Traffic, unit: f64) {
        let mut columns: BTreeMap<Kind, Figures> = BTreeMap::new();
        let [mut faster, mut cheaper] = OTHERS.map(|_| [Figures::default(), Figures::default()]);
        for (key, rounds) in self.rates.iter().filter(|(key, _)| key.traffic == traffic) {
            let name = key.cell.to_string();
            columns.entry(key.system).or_default().set(&name, median(rounds.iter().copied()) / unit);
            for (index, (other, _)) in OTHERS.into_iter().enumerate().filter(|_| key.system == Kind::Ours) {
                faster[index].set(&name, ratio(&self.rates, *key, other));
                cheaper[index].set(&name, ratio(&self.costs, *key, other));
            }
        }
        let ratios = [
            ("vs OVN", &faster[0]),
            ("vs NORMAL", &faster[1]),
            ("CPU vs OVN", &cheaper[0]),
            ("CPU vs NORMAL", &cheaper[1]),
        ];
        let columns = columns.iter().map(|(system, figures)| (system.name(), figures)).chain(ratios);
        print_cells(title, &columns.collect::<Vec<_>>());
    }
}

fn print_cells(title: &str, columns: &[Column<'_>]) {
    let cells: Vec<_> = Cell::all().map(|cell| cell.to_string()).collect();
    report::print_table(title, &cells.iter().map(String::as_str).collect::<Vec<_>>(), columns);
}

/// The median over the rounds of ours by the other's. Not a number if the other was not measured.
fn ratio(measured: &BTreeMap<Key, Vec<f64>>, ours: Key, other: Kind) -> f64 {
    let rounds = |key: Key| measured.get(&key).map_or(&[][..], Vec::as_slice);
    let others = rounds(Key { system: other, ..ours });
    median(rounds(ours).iter().zip(others).map(|(ours, other)| ours / other))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(system: Kind) -> Key {
        let cell = Cell::all().next().expect("there are cells");
        Key { traffic: Traffic::Throughput, cell, system }
    }

    #[test]
    fn the_median_is_of_ratios_and_not_of_rates() {
        let mut results = Results::default();
        for (ours, other) in [(1.0, 1.0), (20.0, 10.0), (300.0, 100.0)] {
            results.add(key(Kind::Ours), ours, 1.0);
            results.add(key(Kind::Ovn), other, 2.0);
        }
        let cells = results.cells();
        assert_eq!(cells.get("throughput_one_host_l2_plain_vs_peer"), Some(2.0));
        assert_eq!(cells.get("switch_throughput_one_host_l2_plain_vs_peer"), Some(0.5));
        assert_eq!(cells.get("throughput_one_host_l2_plain_vs_normal"), None);
    }

    #[test]
    fn the_cell_that_recirculates_most_beyond_the_peer_is_told() {
        let mut results = Results::default();
        for (cell, (ours, other)) in Cell::all().zip([(1.0, 1.0), (2.0, 3.0), (3.0, 1.0)]) {
            for (system, count) in [(Kind::Ours, ours), (Kind::Ovn, other)] {
                let mut figures = Figures::default();
                figures.set("recirculations_per_packet", count);
                results.counted.insert((cell, system), figures);
            }
        }
        assert_eq!(results.cells().get("recirculations_per_packet_more_than_peer"), Some(2.0));
    }
}
