//! Reachability: who can send what to whom, as a table.

use serde_json::{Value, json};

use super::Session;
use super::ask::{list, text};
use crate::error::Error;
use crate::output::Format;
use crate::resource::Column;

const PAIRS: &[Column] = &[
    Column::new("FROM", &["/from"]),
    Column::optional("GROUPS", &["/from_groups"]),
    Column::new("TO", &["/to"]),
    Column::optional("GROUPS", &["/to_groups"]),
    Column::new("REACHES BY", &["/text"]),
];

impl Session<'_> {
    /// Prints who can send what to whom.
    pub(super) fn print_reach(&mut self, found: &Value) -> Result<(), Error> {
        if self.format != Format::Table {
            return self.format.object(self.out, found);
        }
        let rows: Vec<_> = list(found, "/cells").iter().map(|cell| row(found, cell)).collect();
        if rows.is_empty() {
            return Ok(writeln!(self.out, "nobody reaches anybody")?);
        }
        self.format.list(self.out, &rows, PAIRS)
    }
}

/// A line: two classes with their names.
fn row(found: &Value, cell: &Value) -> Value {
    let class = |side: &str| {
        let place = cell.get(side).and_then(Value::as_u64).and_then(|place| usize::try_from(place).ok());
        place.and_then(|place| found.get(side)?.get(place)).cloned().unwrap_or_default()
    };
    let (from, to) = (class("from"), class("to"));
    let groups = |class: &Value| class.get("security_groups").cloned().unwrap_or_default();
    json!({
        "from": text(&from, "/name"), "from_groups": groups(&from),
        "to": text(&to, "/name"), "to_groups": groups(&to), "text": text(cell, "/text"),
    })
}
