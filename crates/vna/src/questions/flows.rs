//! Which flows the switch has, with their counters.
//!
//! A page is made of one reading of the tables, in an order of its own. What changes between two pages may be missed or
//! told twice; who watches counters compares by table, priority and match anyway.

use std::cmp::Reverse;

use dataplane::layout::TABLES;
use openflow::{Connection, FlowEntry, FlowSelection, TableId};
use sync::question::{FlowPage, FlowQuery, FlowRow, MAX_ITEMS, Refusal};

use super::names::Names;
use super::{unanswered, words};
use crate::switch::UNREACHED;

/// Reads, selects and explains.
pub(super) async fn answer(
    switch: &Connection,
    names: &Names<'_>,
    query: &FlowQuery,
) -> Result<FlowPage, Refusal> {
    let table = query.table.as_deref().map(table).transpose()?.unwrap_or(TableId::ALL);
    let selection = FlowSelection { table, ..FlowSelection::default() };
    let entries = switch.flows(selection).await.map_err(|error| unanswered(&error))?;
    Ok(page(names, query, entries))
}

/// A table by its name or number.
fn table(text: &str) -> Result<TableId, Refusal> {
    let of_name = TABLES.iter().find(|(_, name)| *name == text).map(|(table, _)| *table);
    let of_number = || text.parse().ok().map(TableId).filter(|table| *table != TableId::ALL);
    of_name.or_else(of_number).ok_or_else(|| {
        let names: Vec<_> = TABLES.iter().map(|(_, name)| *name).collect();
        Refusal::Invalid(format!("there is no table {text}; there are {}", names.join(", ")))
    })
}

fn page(names: &Names<'_>, query: &FlowQuery, entries: Vec<FlowEntry>) -> FlowPage {
    let is_wanted = |entry: &FlowEntry| {
        // What the agent notes for itself in a table that no packet gets to.
        entry.flow.table != UNREACHED
            && query.owner.as_ref().is_none_or(|owner| {
                names.owner(entry.flow.cookie).objects.iter().any(|object| object == owner)
            })
    };
    let mut entries: Vec<_> = entries.into_iter().filter(is_wanted).collect();
    entries.sort_by(|one, other| order(one).cmp(&order(other)));
    let total = entries.len();
    let on_page = entries.iter().skip(query.offset).take(query.limit.min(MAX_ITEMS));
    FlowPage { total, flows: on_page.map(|entry| row(names, entry)).collect() }
}

/// As a packet can meet them: by table, and the higher priority first.
fn order(entry: &FlowEntry) -> impl Ord + '_ {
    let flow = &entry.flow;
    let place = TABLES.iter().position(|(table, _)| *table == flow.table);
    (place.unwrap_or(usize::MAX), flow.table, Reverse(flow.priority), &flow.matching)
}

fn row(names: &Names<'_>, FlowEntry { flow, counters }: &FlowEntry) -> FlowRow {
    FlowRow {
        table: Names::table(flow.table),
        table_number: flow.table.0,
        priority: flow.priority,
        owner: names.owner(flow.cookie),
        applies_to: words::applies_to(names, &flow.matching),
        does: words::does(names, &flow.instructions),
        packets: counters.packets,
        bytes: counters.bytes,
        age_s: counters.duration.map(|age| age.as_secs()),
        flow: flow.to_string(),
    }
}
