//! Flows of a host: whose they are, what they do, and how many packets they have had. Asked of the switch itself.
//!
//! Watching asks again and again and prints what differs: flows that come and go, and counters that move. A flow that
//! changes what it does goes and comes.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::Session;
use crate::error::Error;
use crate::output::Format;
use crate::resource::Column;

/// How flows are listed for people, below whose they are.
const COLUMNS: &[Column] = &[
    Column::new("TABLE", &["/table"]),
    Column::new("PRIORITY", &["/priority"]),
    Column::new("PACKETS", &["/packets"]),
    Column::new("APPLIES TO", &["/applies_to"]),
    Column::new("DOES", &["/does"]),
];

/// Which flows to show.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FlowFilter {
    /// Of which host: a node id or the id of a datapath.
    pub(crate) host: String,
    /// Only those of this object.
    pub(crate) owner: Option<String>,
    /// Only those of this table.
    pub(crate) table: Option<String>,
}

/// What has become of a flow between two looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Added,
    Removed,
    /// It has had so many packets.
    Used(u64),
}

impl Session<'_> {
    /// Lists the flows of a host, by whose they are.
    pub(super) fn flows(&mut self, filter: &FlowFilter) -> Result<(), Error> {
        let flows = self.look(filter)?;
        if self.format != Format::Table {
            return self.format.list(self.out, &flows, COLUMNS);
        }
        if flows.is_empty() {
            return Ok(writeln!(self.out, "{} has no such flow", filter.host)?);
        }
        let mut groups = BTreeMap::<_, Vec<Value>>::new();
        for flow in flows {
            groups.entry(owner(&flow)).or_default().push(flow);
        }
        for (index, (owner, flows)) in groups.iter().enumerate() {
            let gap = if index > 0 { "\n" } else { "" };
            writeln!(self.out, "{gap}{owner}")?;
            self.format.list(self.out, flows, COLUMNS)?;
        }
        Ok(())
    }

    /// Prints what changes, until nobody reads it any more.
    pub(super) fn watch_flows(&mut self, filter: &FlowFilter, interval: Duration) -> Result<(), Error> {
        let mut before = self.look(filter)?;
        loop {
            std::thread::sleep(interval);
            let after = self.look(filter)?;
            for (change, flow) in changes(&before, &after) {
                self.print_change(change, flow)?;
            }
            // Also where the output is a pipe.
            self.out.flush()?;
            before = after;
        }
    }

    fn look(&self, filter: &FlowFilter) -> Result<Vec<Value>, Error> {
        let pair = |name: &str, value: &Option<String>| Some((name.to_owned(), value.clone()?));
        let filters = [pair("owner", &filter.owner), pair("table", &filter.table)];
        let filters: Vec<_> = filters.into_iter().flatten().collect();
        self.client.list(&["datapaths", &filter.host, "flows"], &filters, 0, None)
    }

    fn print_change(&mut self, change: Change, flow: &Value) -> Result<(), Error> {
        let (name, mark) = match change {
            Change::Added => ("added", "+".to_owned()),
            Change::Removed => ("removed", "-".to_owned()),
            Change::Used(packets) => ("used", format!("{packets} packets")),
        };
        if self.format == Format::Table {
            let text = |name: &str| flow.get(name).and_then(Value::as_str).unwrap_or_default();
            let (owner, table) = (owner(flow), text("table"));
            let (applies_to, does) = (text("applies_to"), text("does"));
            return Ok(writeln!(self.out, "{mark}  {owner}  {table}  {applies_to}  =>  {does}")?);
        }
        // One document a line, so that a program need not wait for the end.
        let mut document = json!({ "change": name, "flow": flow });
        if let Change::Used(packets) = change {
            document["packets"] = packets.into();
        }
        Ok(writeln!(self.out, "{document}")?)
    }
}

/// Whose a flow is, in words.
pub(super) fn owner(flow: &Value) -> String {
    let what = flow.pointer("/owner/what").and_then(Value::as_str).unwrap_or("?");
    let objects = flow.pointer("/owner/objects").and_then(Value::as_array);
    let objects: Vec<_> = objects.into_iter().flatten().filter_map(Value::as_str).collect();
    if objects.is_empty() { what.to_owned() } else { format!("{what} {}", objects.join("+")) }
}

/// What differs, in the order of the flows.
fn changes<'a>(before: &'a [Value], after: &'a [Value]) -> Vec<(Change, &'a Value)> {
    let by_text = |flows: &'a [Value]| -> BTreeMap<&str, &Value> {
        let text = |flow: &'a Value| flow.get("flow").and_then(Value::as_str);
        flows.iter().filter_map(|flow| Some((text(flow)?, flow))).collect()
    };
    let (old, new) = (by_text(before), by_text(after));
    let packets = |flow: &Value| flow.get("packets").and_then(Value::as_u64).unwrap_or_default();
    let gone = old.iter().filter(|(text, _)| !new.contains_key(*text));
    let gone = gone.map(|(_, flow)| (Change::Removed, *flow));
    let there = new.iter().filter_map(|(text, flow)| {
        let Some(old) = old.get(text) else { return Some((Change::Added, *flow)) };
        // One that was put back counts anew.
        let more = packets(flow).checked_sub(packets(old)).unwrap_or(packets(flow));
        (more > 0).then_some((Change::Used(more), *flow))
    });
    gone.chain(there).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(text: &str, packets: u64) -> Value {
        json!({ "flow": text, "packets": packets, "owner": { "objects": ["if-a"], "what": "interface" } })
    }

    #[test]
    fn only_what_differs_between_two_looks_is_a_change() {
        let check = |before: &[Value], after: &[Value], expected: &[(Change, &str)]| {
            let text = |flow: &Value| flow["flow"].as_str().expect("a text").to_owned();
            let found = changes(before, after);
            let found: Vec<_> = found.iter().map(|(change, flow)| (*change, text(flow))).collect();
            let expected: Vec<_> =
                expected.iter().map(|(change, flow)| (*change, (*flow).to_owned())).collect();
            assert_eq!(found, expected);
        };
        check(&[], &[], &[]);
        check(&[flow("a", 1)], &[flow("a", 1)], &[]);
        check(&[flow("a", 1)], &[flow("a", 5)], &[(Change::Used(4), "a")]);
        check(&[flow("a", 9)], &[flow("a", 2)], &[(Change::Used(2), "a")]);
        check(
            &[flow("a", 1), flow("b", 1)],
            &[flow("b", 1), flow("c", 0)],
            &[(Change::Removed, "a"), (Change::Added, "c")],
        );
    }

    #[test]
    fn a_flow_is_listed_below_whose_it_is() {
        assert_eq!(owner(&flow("a", 1)), "interface if-a");
        assert_eq!(
            owner(&json!({ "owner": { "objects": [], "what": "takes packets on" } })),
            "takes packets on"
        );
    }
}
