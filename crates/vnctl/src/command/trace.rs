//! Traces: the way of a packet, printed.

use serde_json::Value;

use super::Session;
use super::ask::{list, text};
use crate::error::Error;
use crate::output::Format;
use crate::resource::Column;

const STEPS: &[Column] = &[
    Column::new("HOST", &["/node_id"]),
    Column::new("OBJECT", &["/object"]),
    Column::new("DOES", &["/does"]),
    Column::new("PACKET", &["/packet"]),
];

impl Session<'_> {
    /// Prints the way of a packet, and of its answer if there is one. Fails if one of them does not arrive.
    pub(super) fn print_trace(&mut self, trace: &Value) -> Result<(), Error> {
        let reply = trace.get("reply").filter(|reply| !reply.is_null());
        if self.format == Format::Table {
            self.print_way(trace)?;
            if let Some(reply) = reply {
                writeln!(self.out, "\nthe answer:")?;
                self.print_way(reply)?;
            }
            if let Some(live) = trace.get("live") {
                self.print_live(live)?;
            }
        } else {
            self.format.object(self.out, trace)?;
        }
        trace.get("live").map_or(Ok(()), super::live::verdict)?;
        let arrives = |way: &Value| text(way, "/arrives") == "always";
        if arrives(trace) && reply.is_none_or(arrives) { Ok(()) } else { Err(Error::No) }
    }

    /// Prints one way.
    pub(super) fn print_way(&mut self, way: &Value) -> Result<(), Error> {
        if let Some(sent) = way.get("sends").and_then(Value::as_str) {
            writeln!(self.out, "{} sends {sent}\n", text(way, "/from"))?;
        }
        let steps = list(way, "/steps");
        if !steps.is_empty() {
            self.format.list(self.out, steps, STEPS)?;
            writeln!(self.out)?;
        }
        writeln!(self.out, "{}", text(way, "/verdict"))?;
        match way.get("remedy").and_then(Value::as_str) {
            Some(remedy) => Ok(writeln!(self.out, "to let it pass: {remedy}")?),
            None => Ok(()),
        }
    }
}
