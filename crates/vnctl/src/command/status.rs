//! Status: whether all is well, in one screen and one exit code.

use serde::Serialize;
use serde_json::{Value, json};

use super::Session;
use super::hosts::HOSTS;
use crate::error::Error;
use crate::output::Format;
use crate::resource::{Column, INTERFACES};

/// How problems are listed for people.
const PROBLEMS: &[Column] = &[
    Column::new("SUBJECT", &["/subject"]),
    Column::new("PROBLEM", &["/problem"]),
    Column::new("WHAT TO DO", &["/advice"]),
];

/// What is told of hosts and interfaces that are not well.
#[derive(Debug, Default, PartialEq, Eq)]
struct Health {
    hosts: usize,
    disconnected: Vec<String>,
    behind: Vec<String>,
    interfaces: usize,
    failed: Vec<String>,
    problems: Vec<Problem>,
}

/// Something that is wrong, and what to do about it.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Problem {
    subject: String,
    problem: String,
    advice: String,
}

impl Health {
    fn of(hosts: &[Value], interfaces: &[Value]) -> Self {
        let is_connected = |host: &&Value| host.get("connected") == Some(&Value::Bool(true));
        let is_behind = |host: &&Value| host.get("lag").and_then(Value::as_u64).is_some_and(|lag| lag > 0);
        let failed = |of: &&Value| of.pointer("/status/state").and_then(Value::as_str) == Some("error");
        let of_interfaces = interfaces.iter().filter(failed).map(of_interface);
        Self {
            hosts: hosts.len(),
            disconnected: names(hosts.iter().filter(|host| !is_connected(host)), "node_id"),
            behind: names(hosts.iter().filter(is_connected).filter(is_behind), "node_id"),
            interfaces: interfaces.len(),
            failed: names(interfaces.iter().filter(failed), "uuid"),
            problems: hosts.iter().flat_map(of_host).chain(of_interfaces).collect(),
        }
    }

    fn verdict(self, revision: String) -> Result<(), Error> {
        match self.problems.as_slice() {
            [] if self.behind.is_empty() => Ok(()),
            [] => Err(Error::Pending { revision, hosts: self.behind }),
            [one] => Err(Error::Unwell(format!("{}: {}", one.subject, one.problem))),
            [first, rest @ ..] => {
                Err(Error::Unwell(format!("{}: {}; and {} more", first.subject, first.problem, rest.len())))
            }
        }
    }
}

/// What the manager says is wrong with a host.
fn of_host(host: &Value) -> Vec<Problem> {
    let problems = host.get("problems").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let problem = |problem: &Value| Problem {
        subject: text(host, "node_id"),
        problem: text(problem, "what"),
        advice: text(problem, "advice"),
    };
    let mut problems: Vec<_> = problems.iter().map(problem).collect();
    // A manager that is older than this program does not say.
    if problems.is_empty() && host.get("connected") == Some(&Value::Bool(false)) {
        let (subject, problem) = (text(host, "node_id"), "its agent is not connected".to_owned());
        problems.push(Problem { subject, problem, advice: "see on the host whether vna runs".to_owned() });
    }
    problems
}

/// An interface that is in error.
fn of_interface(interface: &Value) -> Problem {
    let uuid = text(interface, "uuid");
    let advice =
        format!("`vnctl interfaces show {uuid}` shows its record; correct it, or the port on the host");
    let reason = interface.pointer("/status/reason").and_then(Value::as_str);
    Problem { subject: uuid, problem: reason.unwrap_or("in error").to_owned(), advice }
}

fn text(of: &Value, attribute: &str) -> String {
    of.get(attribute).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn names<'a>(of: impl Iterator<Item = &'a Value>, attribute: &str) -> Vec<String> {
    of.filter_map(|value| value.get(attribute).and_then(Value::as_str)).map(str::to_owned).collect()
}

impl Session<'_> {
    /// Says whether all is well.
    pub(super) fn status(&mut self) -> Result<(), Error> {
        let revision = self.client.get(&["revision"])?.get("revision").cloned().unwrap_or_default();
        let hosts = self.client.list(&[HOSTS], &[], 0, None)?;
        let interfaces = self.client.list(&[INTERFACES.name], &[], 0, None)?;
        let health = Health::of(&hosts, &interfaces);
        let problems = json!(health.problems);
        let mut report = json!({
            "manager": self.client.address().url,
            "revision": revision,
            "hosts": health.hosts,
            "hosts_disconnected": health.disconnected,
            "hosts_behind": health.behind,
            "interfaces": health.interfaces,
            "interfaces_in_error": health.failed,
        });
        if self.format == Format::Table {
            self.format.object(self.out, &report)?;
            let problems = problems.as_array().map(Vec::as_slice).unwrap_or_default();
            if !problems.is_empty() {
                writeln!(self.out)?;
                self.format.list(self.out, problems, PROBLEMS)?;
            }
        } else {
            report["problems"] = problems;
            self.format.object(self.out, &report)?;
        }
        health.verdict(revision.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Exit;

    #[test]
    fn the_exit_code_is_that_of_the_worst_that_was_found() {
        let host = |connected: bool, lag: u64| {
            let problem = json!({ "what": "its agent is away", "advice": "start it" });
            let problems = if connected { vec![] } else { vec![problem] };
            json!({ "node_id": "h", "connected": connected, "lag": lag, "problems": problems })
        };
        let interface = |state: &str| json!({ "uuid": "if-a", "status": { "state": state } });
        let check = |hosts: &[Value], interfaces: &[Value], expected: Option<Exit>| {
            let verdict = Health::of(hosts, interfaces).verdict("1".to_owned());
            assert_eq!(verdict.err().map(|error| error.exit()), expected, "{hosts:?} {interfaces:?}");
        };
        check(&[], &[], None);
        check(&[host(true, 0)], &[interface("active"), interface("down"), interface("unbound")], None);
        check(&[host(true, 2)], &[], Some(Exit::Pending));
        check(&[host(false, 0)], &[], Some(Exit::Refused));
        check(&[host(true, 2)], &[interface("error")], Some(Exit::Refused));
    }
}
