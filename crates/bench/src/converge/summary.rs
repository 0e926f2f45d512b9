//! What the measurements come to: ratios by name, a table, and growth curves.

use std::fs;
use std::path::Path;

use super::Measured;
use crate::chart::{Chart, Line};
use crate::report::{self, Figures};

/// Ports of the size that is judged, if it was measured.
const JUDGED: usize = 1000;

/// Figures in the order of the table.
const ROWS: [&str; 28] = [
    "converge_seconds",
    "said_seconds",
    "floor_seconds",
    "single_change_p50_seconds",
    "single_change_p99_seconds",
    "change_floor_p50_seconds",
    "add_p50_seconds",
    "add_p99_seconds",
    "rule_p50_seconds",
    "rule_p99_seconds",
    "move_p50_seconds",
    "move_p99_seconds",
    "cpu_seconds",
    "centre_cpu_seconds",
    "agents_cpu_seconds",
    "switches_cpu_seconds",
    "changes_cpu_seconds",
    "changes_switches_cpu_seconds",
    "memory_bytes",
    "centre_memory_bytes",
    "agent_memory_bytes",
    "flows_per_host",
    "wire_bytes",
    "changes_wire_bytes",
    "changes_centre_cpu_seconds",
    "plug_p50_seconds",
    "plug_cpu_seconds",
    "plug_wire_bytes",
];

/// Ratios of times: how many times faster than the peer.
const FASTER: [(&str, &str); 7] = [
    ("converge_vs_peer", "converge_seconds"),
    ("single_change_p50_vs_peer", "single_change_p50_seconds"),
    ("single_change_p99_vs_peer", "single_change_p99_seconds"),
    ("add_p50_vs_peer", "add_p50_seconds"),
    ("rule_p50_vs_peer", "rule_p50_seconds"),
    ("move_p50_vs_peer", "move_p50_seconds"),
    ("plug_p50_vs_peer", "plug_p50_seconds"),
];

/// Ratios of our times to what the switches take alone.
const FLOORS: [(&str, &str, &str); 2] = [
    ("converge_vs_floor", "converge_seconds", "floor_seconds"),
    ("single_change_p50_vs_floor", "single_change_p50_seconds", "change_floor_p50_seconds"),
];

/// Ratios of costs: how much of the peer's.
const SHARE: [(&str, &str); 7] = [
    ("cpu_vs_peer", "cpu_seconds"),
    ("changes_cpu_vs_peer", "changes_cpu_seconds"),
    ("plug_cpu_vs_peer", "plug_cpu_seconds"),
    ("memory_vs_peer", "memory_bytes"),
    ("flows_vs_peer", "flows_per_host"),
    ("wire_vs_peer", "wire_bytes"),
    ("changes_wire_vs_peer", "changes_wire_bytes"),
];

/// How what a port costs grows with their number.
const PORT_GROWTHS: [(&str, &str); 3] = [
    ("cost_per_port_growth", "converge_seconds"),
    ("floor_per_port_growth", "floor_seconds"),
    ("cpu_per_port_growth", "cpu_seconds"),
];

/// How what a change costs grows with the number of ports.
const CHANGE_GROWTHS: [(&str, &str); 3] = [
    ("single_change_p50_growth", "single_change_p50_seconds"),
    ("change_floor_p50_growth", "change_floor_p50_seconds"),
    ("plug_cpu_growth", "plug_cpu_seconds"),
];

/// What is drawn: the file, the title, the figure and its unit.
const CHARTS: [(&str, &str, &str, &str); 5] = [
    ("converge", "Until every host has the topology", "converge_seconds", "seconds"),
    ("change", "Until every host has a single change, median", "single_change_p50_seconds", "seconds"),
    ("cpu", "Processor time of centre and agents", "cpu_seconds", "seconds"),
    ("memory", "Peak memory of centre and agents", "memory_bytes", "bytes"),
    ("flows", "Flows of a host", "flows_per_host", "flows"),
];

/// The ratios of one size.
pub(crate) fn compare(ours: &Figures, peer: &Figures) -> Figures {
    let mut cells = Figures::default();
    for (cell, figure) in FASTER {
        cells.set_ratio(cell, peer.get(figure), ours.get(figure));
    }
    for (cell, figure) in SHARE {
        cells.set_ratio(cell, ours.get(figure), peer.get(figure));
    }
    cells.set_ratio("converge_vs_peer_said", peer.get("said_seconds"), ours.get("converge_seconds"));
    for (cell, figure, floor) in FLOORS {
        cells.set_ratio(cell, ours.get(figure), ours.get(floor));
    }
    cells
}

/// The cells of a run: the ratios of the size that is judged, or else of the largest; and how costs grow from the size that
/// is judged, or else from the smallest, to the largest.
pub(crate) fn cells(all: &[Measured]) -> Figures {
    let judged = all.iter().find(|measured| measured.ports == JUDGED);
    let mut cells = judged.or(all.last()).map(|measured| measured.cells.clone()).unwrap_or_default();
    let Some((first, last)) = judged.or(all.first()).zip(all.last()) else { return cells };
    cells.set("judged_ports", judged.unwrap_or(last).ports as f64);
    if first.ports == last.ports {
        return cells;
    }
    let per_port = |measured: &Measured, figure| Some(measured.ours.get(figure)? / measured.ports as f64);
    for (cell, figure) in PORT_GROWTHS {
        cells.set_ratio(cell, per_port(last, figure), per_port(first, figure));
    }
    for (cell, figure) in CHANGE_GROWTHS {
        cells.set_ratio(cell, last.ours.get(figure), first.ours.get(figure));
    }
    cells
}

/// Prints what was measured of one size.
pub(crate) fn print(measured: &Measured, hosts: u8) {
    let title = format!("{} ports on {hosts} hosts", measured.ports);
    let columns = [("OpenVNet", &measured.ours), ("OVN", &measured.peer)];
    let shown = if measured.peer == Figures::default() { &columns[..1] } else { &columns[..] };
    report::print_table(&title, &ROWS, shown);
    report::print_list("ratios", &measured.cells);
}

/// Draws the curves into a folder.
///
/// # Errors
/// It cannot be written.
pub(crate) fn draw(all: &[Measured], folder: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(folder)?;
    for (file, title, figure, unit) in CHARTS {
        let line = |name, of: &dyn Fn(&Measured) -> Option<f64>| Line {
            name,
            points: all.iter().filter_map(|measured| Some((measured.ports as f64, of(measured)?))).collect(),
        };
        let mut lines = vec![
            line("OpenVNet", &|measured| measured.ours.get(figure)),
            line("OVN", &|measured| measured.peer.get(figure)),
        ];
        if let Some((.., floor)) = FLOORS.iter().find(|(_, of, _)| *of == figure) {
            lines.push(line("floor", &|measured| measured.ours.get(floor)));
        }
        let chart = Chart { title, size: "ports", unit, lines };
        fs::write(folder.join(format!("{file}.svg")), chart.svg())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(of: &[(&str, f64)]) -> Figures {
        let mut figures = Figures::default();
        of.iter().for_each(|(name, figure)| figures.set(name, *figure));
        figures
    }

    fn measured(ports: usize, seconds: f64) -> Measured {
        let ours = figures(&[("converge_seconds", seconds), ("floor_seconds", 0.5), ("cpu_seconds", 1.0)]);
        let peer = figures(&[("converge_seconds", 20.0), ("cpu_seconds", 10.0)]);
        let cells = compare(&ours, &peer);
        Measured { ports, ours, peer, cells }
    }

    #[test]
    fn times_are_compared_as_speeds_and_costs_as_shares() {
        let cells = measured(1000, 1.0).cells;
        let expected = [("converge_vs_peer", 20.0), ("cpu_vs_peer", 0.1), ("converge_vs_floor", 2.0)];
        expected.iter().for_each(|(name, ratio)| assert_eq!(cells.get(name), Some(*ratio), "{name}"));
    }

    #[test]
    fn growth_is_that_of_the_cost_of_a_port() {
        let cells = cells(&[measured(100, 1.0), measured(1000, 1.0), measured(10_000, 12.0)]);
        assert_eq!(cells.get("cost_per_port_growth"), Some(1.2));
        assert_eq!(cells.get("floor_per_port_growth"), Some(0.1));
        assert_eq!(cells.get("judged_ports"), Some(1000.0));
    }

    #[test]
    fn one_size_does_not_grow() {
        assert_eq!(cells(&[measured(300, 1.0)]).get("cost_per_port_growth"), None);
    }
}
