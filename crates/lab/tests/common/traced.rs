//! Traces of packets, what switches say of them, and switches that are made to do something else.

use lab::{Host, Lab, Result, wait_until};
use serde_json::Value;

use super::{PATIENCE, attempt_vnctl, vnctl};

/// The flows of a host, as `vnctl` gives them to programs.
pub fn flows(lab: &Lab, arguments: &str) -> Result<Vec<Value>> {
    let answer = vnctl(lab, &format!("flows {arguments} --output json"))?;
    Ok(serde_json::from_str::<Vec<Value>>(&answer).expect("a list"))
}

/// A text of a flow.
pub fn text<'a>(flow: &'a Value, name: &str) -> &'a str {
    flow[name].as_str().expect("a text")
}

/// What `vnctl trace` says to programs, whatever its exit code is.
pub fn trace(lab: &Lab, line: &str) -> Result<Value> {
    let output = attempt_vnctl(lab, &format!("trace {line} --output json"))?;
    Ok(serde_json::from_str(&output.stdout).unwrap_or_else(|_| panic!("trace {line}: {output}")))
}

/// What the switches say of a packet.
pub fn live(lab: &Lab, line: &str) -> Result<Value> {
    Ok(trace(lab, &format!("{line} --live"))?["live"].clone())
}

/// A packet, and where in what is said of it a fault should be found: in the way of the packet itself, or of its answer.
pub struct Watched<'a> {
    pub lab: &'a Lab,
    pub line: &'a str,
    pub part: &'a str,
}

impl Watched<'_> {
    fn said(&self) -> std::result::Result<Value, String> {
        let live = live(self.lab, self.line).map_err(|error| error.to_string())?;
        Ok(live.pointer(self.part).cloned().unwrap_or_default())
    }

    /// Breaks something until it is found, with these words, at this host and table. An agent that looks after its switch
    /// puts it right within seconds, perhaps before the switch is asked.
    pub fn finds(
        &self,
        (host, table, words): (&Host, &str, &str),
        breaks: impl Fn() -> Result<()>,
    ) -> Result<()> {
        wait_until(format!("{words} to be found"), PATIENCE, || {
            breaks().map_err(|error| error.to_string())?;
            let found = self.said()?;
            let verdict = found["verdict"].as_str().unwrap_or_default();
            let marked = found["hosts"].as_array().into_iter().flatten().flat_map(|host| {
                let steps = host["steps"].as_array().into_iter().flatten();
                steps
                    .filter(|step| step["differs"] == true)
                    .map(move |step| (&host["node_id"], &step["table"]))
            });
            let is_right = verdict.contains(words)
                && found["agrees"] == false
                && marked.eq([(&Value::from(host.name()), &Value::from(table))]);
            if is_right { Ok(()) } else { Err(format!("{found:#}")) }
        })
    }

    /// Waits until the switches do what the topology says: agents put right what they find wrong.
    pub fn agrees(&self) -> Result<()> {
        wait_until(format!("the switches to do with {} what they should", self.line), PATIENCE, || {
            let found = self.said()?;
            if found["agrees"] == true { Ok(()) } else { Err(format!("{found:#}")) }
        })
    }
}

/// The flows of an object in a table that do this, as `ovs-ofctl(8)` writes them.
fn of_owner(lab: &Lab, host: &Host, owner: &str, table: &str, does: &str) -> Result<Vec<String>> {
    let flows = flows(lab, &format!("{} --owner {owner} --table {table}", host.name()))?;
    let wanted = flows.iter().filter(|flow| text(flow, "does").contains(does));
    Ok(wanted.map(|flow| text(flow, "flow").to_owned()).collect())
}

/// Deletes the flows of an object in a table that do this.
pub fn delete(lab: &Lab, host: &Host, owner: &str, table: &str, does: &str) -> Result<()> {
    for flow in of_owner(lab, host, owner, table, does)? {
        let selected = flow.split(" actions=").next().expect("a match");
        let selected = selected.replacen(",table", "/-1,table", 1);
        host.ovs_ofctl(["--strict", "del-flows", "br-int", &selected])?;
    }
    Ok(())
}

/// Writes the flows of an object in a table otherwise.
pub fn rewrite(lab: &Lab, host: &Host, (owner, table): (&str, &str), (from, to): (&str, &str)) -> Result<()> {
    for flow in of_owner(lab, host, owner, table, "")? {
        let (selected, does) = flow.split_once(" actions=").expect("a match and actions");
        let otherwise = does.replace(from, to);
        if otherwise != does {
            host.ovs_ofctl(["add-flow", "br-int", &format!("{selected} actions={otherwise}")])?;
        }
    }
    Ok(())
}

/// The id of a host's datapath.
pub fn datapath(lab: &Lab, host: &Host) -> Result<String> {
    let shown = vnctl(lab, &format!("hosts show {} --output json", host.name()))?;
    let shown: Value = serde_json::from_str(&shown).expect("an object");
    Ok(text(&shown, "datapath_uuid").to_owned())
}
