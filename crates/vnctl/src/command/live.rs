//! What the switches do with a packet that was traced: host after host, flow after flow, and where they differ from the topology.

use serde_json::{Value, json};

use super::Session;
use super::ask::{list, text};
use super::flows::owner;
use crate::client::{Method, Request};
use crate::error::Error;
use crate::resource::Column;

const STEPS: &[Column] = &[
    Column::new("", &["/mark"]),
    Column::new("TABLE", &["/table"]),
    Column::new("WHOSE", &["/whose"]),
    Column::new("APPLIES TO", &["/applies_to"]),
    Column::new("DOES", &["/did"]),
];

impl Session<'_> {
    /// Has the switches asked about a packet that was traced.
    pub(super) fn live(&self, trace: &Value) -> Result<Value, Error> {
        let packet = trace.get("packet").filter(|packet| !packet.is_null());
        let unsent = || {
            Error::Usage(format!("nothing is sent, so no switch can be asked: {}", text(trace, "/verdict")))
        };
        let reply = trace.get("reply").is_some_and(Value::is_object);
        let body =
            json!({ "from": text(trace, "/from"), "packet": packet.ok_or_else(unsent)?, "reply": reply });
        self.client.send(&Request::new(Method::Post, &["trace", "live"]).body(body)).map(|answer| answer.body)
    }

    /// Prints what they say.
    pub(super) fn print_live(&mut self, live: &Value) -> Result<(), Error> {
        for host in list(live, "/hosts") {
            writeln!(self.out, "\nthe switch of {}:", text(host, "/node_id"))?;
            match host.get("silence").and_then(Value::as_str) {
                Some(silence) => writeln!(self.out, "{silence}")?,
                None => {
                    let steps: Vec<_> = list(host, "/steps").iter().map(row).collect();
                    self.format.list(self.out, &steps, STEPS)?;
                }
            }
        }
        writeln!(self.out, "\n{}", text(live, "/verdict"))?;
        let Some(reply) = live.get("reply") else { return Ok(()) };
        writeln!(self.out, "\nthe answer, by the switches:")?;
        self.print_live(reply)
    }
}

/// A step as a row of the table.
fn row(step: &Value) -> Value {
    let whose =
        if step.get("owner").is_some_and(Value::is_object) { owner(step) } else { "no flow".to_owned() };
    // Notes of the switch on what it did would drown what it did.
    let did = list(step, "/did").iter().filter_map(Value::as_str).filter(|did| !did.starts_with("->"));
    json!({
        "mark": if step.get("differs") == Some(&Value::Bool(true)) { "=>" } else { "" },
        "table": text(step, "/table"),
        "whose": whose,
        "applies_to": text(step, "/applies_to"),
        "did": did.collect::<Vec<_>>().join(", "),
    })
}

/// Fails if the switches do something else than the topology says, or if that is not known.
pub(super) fn verdict(live: &Value) -> Result<(), Error> {
    match live.get("agrees") {
        Some(Value::Bool(true)) => live.get("reply").map_or(Ok(()), verdict),
        _ => Err(Error::Unwell(text(live, "/verdict").to_owned())),
    }
}
