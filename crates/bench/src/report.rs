//! Figures by name, as a table for people and as JSON for whoever compares runs.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::Context;
use serde::Serialize;
use serde_json::{Value, json};

/// Figures by name. The name ends with the unit: `_seconds`, `_bytes`, or none for a count or a ratio.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub(crate) struct Figures(BTreeMap<String, f64>);

impl Figures {
    pub(crate) fn set(&mut self, name: &str, figure: f64) {
        // A ratio to nothing is no figure, and JSON has no word for it.
        if figure.is_finite() {
            self.0.insert(name.to_owned(), figure);
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<f64> {
        self.0.get(name).copied()
    }

    /// Sets `name` to `dividend / divisor` of two figures, if both are there.
    pub(crate) fn set_ratio(&mut self, name: &str, dividend: Option<f64>, divisor: Option<f64>) {
        if let (Some(dividend), Some(divisor)) = (dividend, divisor) {
            self.set(name, dividend / divisor);
        }
    }

    /// All figures, by name.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, f64)> {
        self.0.iter().map(|(name, figure)| (name.as_str(), *figure))
    }
}

/// A figure as people read it, by the unit that its name ends with.
pub(crate) fn show(name: &str, figure: f64) -> String {
    match name.rsplit('_').next() {
        Some("seconds") if figure < 1.0 => format!("{:.2} ms", figure * 1e3),
        Some("seconds") => format!("{figure:.2} s"),
        Some("bytes") if figure < 1e6 => format!("{:.1} kB", figure / 1e3),
        Some("bytes") => format!("{:.1} MB", figure / 1e6),
        _ if figure >= 100.0 => format!("{figure:.0}"),
        _ => format!("{figure:.2}"),
    }
}

/// A column of a table: its head, and its figures.
pub(crate) type Column<'a> = (&'a str, &'a Figures);

/// Prints the figures of some names side by side, in the names' order; those that nobody has are left out.
pub(crate) fn print_table(title: &str, names: &[&str], columns: &[Column<'_>]) {
    print!("\n{title:<34}");
    columns.iter().for_each(|(head, _)| print!(" {head:>14}"));
    println!();
    for name in names {
        if columns.iter().all(|(_, figures)| figures.get(name).is_none()) {
            continue;
        }
        print!("{name:<34}");
        for (_, figures) in columns {
            let shown = figures.get(name).map_or_else(|| "-".to_owned(), |figure| show(name, figure));
            print!(" {shown:>14}");
        }
        println!();
    }
}

/// Prints every figure on a line of its own.
pub(crate) fn print_list(title: &str, figures: &Figures) {
    let width = figures.iter().map(|(name, _)| name.len()).fold(34, usize::max);
    println!("\n{title}");
    figures.iter().for_each(|(name, figure)| println!("{name:<width$} {:>14}", show(name, figure)));
}

/// Writes what was measured, with what it was measured on.
///
/// # Errors
/// The file cannot be written.
pub(crate) fn write(file: &Path, benchmark: &str, measured: Value) -> anyhow::Result<()> {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    let processors = std::thread::available_parallelism().map_or(0, usize::from);
    let machine = json!({"processors": processors, "kernel": read("/proc/sys/kernel/osrelease"),
        "load_before": read("/proc/loadavg")});
    let whole = json!({"benchmark": benchmark, "machine": machine, "measured": measured});
    fs::write(file, format!("{whole:#}\n")).with_context(|| format!("cannot write {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_shown_in_the_unit_of_its_name() {
        let check = |name, figure, expected: &str| assert_eq!(show(name, figure), expected);
        check("converge_seconds", 0.0125, "12.50 ms");
        check("converge_seconds", 18.5, "18.50 s");
        check("memory_bytes", 43e6, "43.0 MB");
        check("wire_bytes", 1500.0, "1.5 kB");
        check("flows_per_host", 6286.0, "6286");
        check("converge_vs_peer", 15.0, "15.00");
    }

    #[test]
    fn a_ratio_needs_both_figures_and_is_never_infinite() {
        let mut figures = Figures::default();
        figures.set_ratio("a", Some(1.0), None);
        figures.set_ratio("b", Some(1.0), Some(0.0));
        figures.set_ratio("c", Some(3.0), Some(2.0));
        assert_eq!(figures.iter().collect::<Vec<_>>(), [("c", 1.5)]);
    }
}
