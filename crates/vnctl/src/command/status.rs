//! Status: whether all is well, in one screen and one exit code.

use serde_json::{Value, json};

use super::Session;
use super::hosts::HOSTS;
use crate::error::Error;
use crate::resource::INTERFACES;

/// What is told of hosts and interfaces that are not well.
#[derive(Debug, Default, PartialEq, Eq)]
struct Health {
    hosts: usize,
    disconnected: Vec<String>,
    behind: Vec<String>,
    interfaces: usize,
    failed: Vec<String>,
}

impl Health {
    fn of(hosts: &[Value], interfaces: &[Value]) -> Self {
        let is_connected = |host: &&Value| host.get("connected") == Some(&Value::Bool(true));
        let is_behind = |host: &&Value| host.get("lag").and_then(Value::as_u64).is_some_and(|lag| lag > 0);
        let has_failed = |of: &&Value| of.pointer("/status/state").and_then(Value::as_str) == Some("error");
        Self {
            hosts: hosts.len(),
            disconnected: names(hosts.iter().filter(|host| !is_connected(host)), "node_id"),
            behind: names(hosts.iter().filter(is_connected).filter(is_behind), "node_id"),
            interfaces: interfaces.len(),
            failed: names(interfaces.iter().filter(has_failed), "uuid"),
        }
    }

    fn verdict(self, revision: String) -> Result<(), Error> {
        let told = |problem: &str, names: &[String]| {
            (!names.is_empty()).then(|| format!("{problem}: {}", names.join(", ")))
        };
        let problems = [told("not connected", &self.disconnected), told("in error", &self.failed)];
        let problems: Vec<_> = problems.into_iter().flatten().collect();
        if !problems.is_empty() {
            return Err(Error::Unwell(problems.join("; ")));
        }
        if !self.behind.is_empty() {
            return Err(Error::Pending { revision, hosts: self.behind });
        }
        Ok(())
    }
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
        let report = json!({
            "manager": self.client.address().url,
            "revision": revision,
            "hosts": health.hosts,
            "hosts_disconnected": health.disconnected,
            "hosts_behind": health.behind,
            "interfaces": health.interfaces,
            "interfaces_in_error": health.failed,
        });
        self.format.object(self.out, &report)?;
        health.verdict(revision.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Exit;

    #[test]
    fn the_exit_code_is_that_of_the_worst_that_was_found() {
        let host = |connected: bool, lag: u64| json!({ "node_id": "h", "connected": connected, "lag": lag });
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
