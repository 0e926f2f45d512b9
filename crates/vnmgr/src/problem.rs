//! What is wrong with a host, in words, and what to do about it. Pure.
//!
//! A host that is behind has no problem by that alone: every host is, for a moment after each change.

use serde::Serialize;
use topology::Topology;
use topology::binding::Refusal;
use topology::datapath::Datapath;

use crate::hosts::Live;

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Problem {
    /// What.
    pub what: String,
    /// What to do about it.
    pub advice: String,
}

impl Problem {
    fn new(what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { what: what.into(), advice: advice.into() }
    }
}

/// What is wrong with a host, the worst first.
pub fn problems(topology: &Topology, datapath: &Datapath, live: &Live, refusals: &[Refusal]) -> Vec<Problem> {
    let refused = refusals.iter().map(|refusal| {
        let what = format!("{} is refused: {}", refusal.interface, refusal.reason);
        Problem::new(what, format!("correct the record of {}, or the port on the host", refusal.interface))
    });
    away(datapath, live).into_iter().chain(underlay(topology, datapath)).chain(refused).collect()
}

/// Its agent is not heard.
fn away(datapath: &Datapath, live: &Live) -> Option<Problem> {
    let node = &datapath.node_id;
    if live.connection.is_some() {
        return None;
    }
    if datapath.underlay.is_none() {
        let advice =
            format!("let the host join: `vnctl hosts token --node-id {node}`, then `vna join` on the host");
        return Some(Problem::new("its agent has never registered", advice));
    }
    let since = match live.last_seen {
        Some(last_seen) => format!("its agent was last heard at {last_seen:.0}"),
        None => "its agent was not heard since this manager started".to_owned(),
    };
    let advice = "see on the host whether vna runs (`journalctl -u vna`) and reaches the manager; its guests go on \
                  with what the host knows";
    Some(Problem::new(since, advice))
}

/// Other hosts cannot be reached from it.
fn underlay(topology: &Topology, datapath: &Datapath) -> Option<Problem> {
    let twin = datapath.addresses().find_map(|of| {
        let at = topology.datapaths_at(&of.address).into_iter();
        at.filter(|other| *other != datapath.uuid).map(|other| (of.address, other)).next()
    });
    if let Some((address, twin)) = twin {
        let what = format!("its underlay address {address} is that of {twin}, too");
        return Some(Problem::new(
            what,
            format!("if {twin} is gone, delete it; else give each host its own address"),
        ));
    }
    let own = datapath.underlay?.address;
    let registered = topology.datapaths().values().filter(|of| of.underlay.is_some());
    let others = registered.filter(|of| of.uuid != datapath.uuid);
    let strangers = others.filter(|of| !topology.reaches(&datapath.uuid, &of.uuid)).count();
    (strangers > 0).then(|| {
        let family = |is_ipv4| if is_ipv4 { "IPv4" } else { "IPv6" };
        let what = format!(
            "its underlay address is {}, and {strangers} of the other hosts have only {}: they do not reach each other",
            family(own.is_ipv4()),
            family(!own.is_ipv4()),
        );
        Problem::new(what, "give all hosts an address of one family (`--underlay-address` of vna, given twice for both)")
    })
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::json;
    use topology::datapath::{Encapsulation, Registration, Underlay};
    use topology::{Dpid, Edit, Request};

    use super::*;
    use crate::hosts::Connection;

    /// Hosts with these addresses; one without has never registered.
    fn hosts(addresses: &[Option<&str>]) -> Topology {
        let mut topology = Topology::default();
        for (number, address) in (1..).zip(addresses) {
            let node = format!("host{number}");
            let mut edit = Edit::new(&topology, Timestamp::UNIX_EPOCH, number);
            match address {
                Some(address) => {
                    let underlay = Underlay {
                        encapsulation: Encapsulation::Geneve,
                        address: address.parse().expect("an address"),
                        mtu: 1500,
                    };
                    let node_id = node.parse().expect("a node id");
                    let registration = Registration::new(node_id, Dpid(number), underlay);
                    Datapath::register(&mut edit, registration).expect("a host");
                }
                None => {
                    let attributes =
                        json!({"dpid": format!("{number:x}"), "node_id": node, "uuid": format!("dp-{node}")});
                    let request = json!({"op": "create", "resource": "datapaths", "attributes": attributes});
                    let request: Request = serde_json::from_value(request).expect("a request");
                    request.execute(&mut edit).expect("a datapath");
                }
            }
            topology.commit(topology.revision().next(), &edit.into_changes());
        }
        topology
    }

    fn check(addresses: &[Option<&str>], connected: bool, expected: &[&str]) {
        let topology = hosts(addresses);
        let first = topology.datapath_of_node(&"host1".parse().expect("a node id")).expect("it is there");
        let connection = connected.then_some(Connection { session: 1, since: Timestamp::UNIX_EPOCH });
        let live = Live { connection, last_seen: Some(Timestamp::UNIX_EPOCH), ..Live::default() };
        let found = problems(&topology, first, &live, &[]);
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for (problem, part) in found.iter().zip(expected) {
            assert!(problem.what.contains(part) && !problem.advice.is_empty(), "{problem:?}");
        }
    }

    #[test]
    fn a_host_that_is_not_well_says_why() {
        let (one, other, ipv6) = (Some("192.0.2.1"), Some("192.0.2.2"), Some("2001:db8::1"));
        check(&[one, other], true, &[]);
        check(&[one, other], false, &["last heard at 1970-01-01T00:00:00Z"]);
        check(&[None, other], false, &["never registered"]);
        check(&[one, ipv6, other], true, &["1 of the other hosts have only IPv6"]);
    }
}
