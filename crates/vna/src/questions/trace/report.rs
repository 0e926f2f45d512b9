//! Reads what `ofproto/trace` prints. Pure.
//!
//! ```text
//! Flow: icmp,in_port=1,…                          the packet, again after each recirculation
//!  0. ip,in_port=1, priority 100, cookie 0x2…7    a flow that takes it: a step
//!     set_field:0x7->reg1                         what that does
//!     resubmit(,40)
//!     40. priority 0, cookie 0x1…                 deeper by four columns: looked up on the way
//!             drop
//!     goto_table:20
//! 20. No match.                                   nobody takes it
//! ```
//! What another bridge does with the packet is indented below the action that brings it there, and is passed over.
//!
//! Buckets of a group begin with the packet as the group had it, and leave it so. What is printed is meant for people and may
//! change with the switch's version: a line that is not understood is shown as it is, and leads to nothing else.

use std::net::IpAddr;

use openflow::{Cookie, OfPort, TableId};
use sync::question::{MAX_ITEMS, TraceOutput, TraceStep, Traced};
use topology::{DatapathId, InterfaceId, Topology};

use super::super::names::{Names, Port};
use super::packet::Packet;

/// Columns of one level.
const INDENT: usize = 4;

/// Reads a trace of a packet of so many bytes that came in by a port of a bridge.
pub(super) fn read(names: &Names<'_>, (bridge, port, bytes): (&str, OfPort, u32), printed: &str) -> Traced {
    let (now, groups, forks) = (State::default(), Vec::new(), Vec::new());
    let mut reading =
        Reading { names, bridge, port, bytes, now, elsewhere: None, groups, forks, not_taken: None };
    printed.lines().for_each(|line| reading.line(line));
    let State { steps, outputs, .. } = reading.now;
    Traced { steps, outputs }
}

struct Reading<'a> {
    names: &'a Names<'a>,
    bridge: &'a str,
    port: OfPort,
    bytes: u32,
    now: State,
    /// The packet is in another bridge, as the underlay's, until a line is less deep than this.
    elsewhere: Option<usize>,
    /// Groups that the packet is in, and the packet as they had it.
    groups: Vec<(usize, Packet)>,
    /// Where the switch goes both ways.
    forks: Vec<Fork>,
    /// The packet is too large for the way that is shown, which ends with a line that is less deep than this or empty.
    not_taken: Option<usize>,
}

/// What is known so far.
#[derive(Clone, Default)]
struct State {
    steps: Vec<TraceStep>,
    outputs: Vec<TraceOutput>,
    /// Which steps the next lines may belong to, outermost first, with their levels.
    open: Vec<(usize, usize)>,
    packet: Packet,
    /// The line before was an output, which may turn out to be none.
    just_sent: bool,
}

/// A place where the switch goes two ways, one after the other: the second begins with the line that the first began with.
struct Fork {
    level: usize,
    is_larger: bool,
    before: State,
    first: Option<String>,
}

impl Reading<'_> {
    fn line(&mut self, line: &str) {
        let text = line.trim_start();
        let level = (line.len() - text.len()) / INDENT;
        let text = text.trim_end();
        if let Some(bridge) = text.strip_prefix("bridge(\"").and_then(|rest| rest.strip_suffix("\")")) {
            self.elsewhere = (bridge != self.bridge).then_some(level);
        }
        self.elsewhere = self.elsewhere.filter(|deep| level >= *deep && !text.is_empty());
        if self.elsewhere.is_some() {
            return;
        }
        self.not_taken = self.not_taken.filter(|deep| level >= *deep && !text.is_empty());
        if self.not_taken.is_some() {
            return;
        }
        self.leave_groups(level, text);
        self.fork(level, text);
        if self.not_taken.is_some() {
            return;
        }
        if let Some(packet) = text.strip_prefix("Flow: ") {
            self.now.packet = Packet::of_flow(packet);
            self.now.open.clear();
        } else if let Some((table, found)) = table_line(text) {
            self.step(level, table, found);
        } else if level > 0 {
            self.did(level, text);
        }
    }

    fn leave_groups(&mut self, level: usize, text: &str) {
        while let Some((of, packet)) = self.groups.last()
            && *of >= level
        {
            self.now.packet = packet.clone();
            if *of == level && text.starts_with("bucket ") {
                return;
            }
            self.groups.pop();
        }
    }

    /// Goes back to where the ways parted, if the second way begins here.
    fn fork(&mut self, level: usize, text: &str) {
        let Some(fork) = self.forks.last_mut().filter(|fork| fork.level == level) else { return };
        match &fork.first {
            None => fork.first = Some(text.to_owned()),
            Some(first) if first == text => {
                if let Some(fork) = self.forks.pop() {
                    if fork.is_larger {
                        // The table that the second way goes to stands as deep as the one that it comes from.
                        self.not_taken = Some(level.saturating_sub(1));
                    } else {
                        self.now = fork.before;
                    }
                }
            }
            Some(_) => {}
        }
    }

    fn step(&mut self, level: usize, table: TableId, found: &str) {
        self.now.open.retain(|(of, _)| *of < level);
        self.now.just_sent = false;
        if self.now.steps.len() + self.now.outputs.len() >= MAX_ITEMS {
            return;
        }
        let (applies_to, rest) = found.split_once("priority ").unwrap_or((found, ""));
        let (priority, cookie) = rest.split_once(", cookie 0x").unwrap_or((rest, "0"));
        let priority = priority.parse().ok();
        let cookie = u64::from_str_radix(cookie, 16).map(Cookie);
        let owner = priority.and(cookie.ok()).map(|cookie| self.names.owner(cookie));
        let applies_to = applies_to.trim_end_matches([',', ' ', '.']).to_owned();
        self.now.open.push((level, self.now.steps.len()));
        let table = Names::table(table);
        self.now.steps.push(TraceStep {
            table,
            priority,
            owner,
            applies_to,
            did: Vec::new(),
            tunnel_to: None,
        });
    }

    fn did(&mut self, level: usize, text: &str) {
        let before = self.now.packet.tunnel_to();
        self.take(level, text);
        let after = self.now.packet.tunnel_to();
        if after != before
            && let Some(step) = self.now.open.last().and_then(|(_, step)| self.now.steps.get_mut(*step))
        {
            step.tunnel_to = after;
        }
    }

    fn take(&mut self, level: usize, text: &str) {
        self.now.open.retain(|(of, _)| *of < level);
        if let Some(step) = self.now.open.last().and_then(|(_, step)| self.now.steps.get_mut(*step)) {
            step.did.push(text.to_owned());
        }
        if let Some(now) = text.strip_prefix("-> ") {
            return self.note(now);
        }
        if text.starts_with(">>") {
            // What the switch could not do after all.
            if std::mem::take(&mut self.now.just_sent) {
                self.now.outputs.pop();
            }
            return;
        }
        self.now.just_sent = false;
        if text.starts_with("group:") {
            self.groups.push((level, self.now.packet.clone()));
        } else if let Some(limit) = text.strip_prefix("check_pkt_larger(") {
            let limit = limit.split_once(')').and_then(|(limit, _)| limit.parse().ok());
            let is_larger = limit.is_some_and(|limit| self.bytes > limit);
            self.forks.push(Fork { level, is_larger, before: self.now.clone(), first: None });
        } else if text.starts_with("controller(") || text.starts_with("CONTROLLER") {
            self.now.outputs.push(TraceOutput::Agent);
        } else if text == "IN_PORT" || text == "output:IN_PORT" {
            self.send(self.port);
        } else if text == "LOCAL" || text == "output:LOCAL" {
            self.send(OfPort::LOCAL);
        } else if let Some(port) = text.strip_prefix("output:").and_then(|port| port.parse().ok()) {
            self.send(OfPort(port));
        } else {
            self.now.packet.act(text);
        }
    }

    /// What the switch tells of an action whose outcome is not written in it.
    fn note(&mut self, text: &str) {
        match text.strip_prefix("output port is ").map(str::parse) {
            Some(Ok(port)) => self.send(OfPort(port)),
            Some(Err(_)) => {}
            None => self.now.packet.note(text),
        }
    }

    fn send(&mut self, port: OfPort) {
        if self.now.steps.len() + self.now.outputs.len() >= MAX_ITEMS {
            return;
        }
        let output = match self.names.port_of(port) {
            Some(Port::Guest(_, Some(uplink))) if let Some(host) = self.named_by(uplink) => {
                TraceOutput::Tunnel { host: Some(host), fields: self.now.packet.unwrapped(), address: None }
            }
            Some(Port::Guest(name, interface)) => {
                TraceOutput::Port { name: name.clone(), interface: interface.clone() }
            }
            Some(Port::Tunnel(_)) => TraceOutput::Tunnel {
                host: self.now.packet.tunnel_to().and_then(|to| host_at(self.names.topology, to)),
                fields: self.now.packet.fields(),
                address: self.now.packet.tunnel_to(),
            },
            Some(Port::Monitor(_)) | None => {
                TraceOutput::Port { name: self.names.port(port), interface: None }
            }
        };
        self.now.outputs.push(output);
        self.now.just_sent = true;
    }

    /// The host that the packet names, if it goes there by an uplink as it is.
    fn named_by(&self, uplink: &InterfaceId) -> Option<DatapathId> {
        let host = self.names.topology.datapath_of_key(self.now.packet.names()?.1.host)?;
        let wire = self.names.topology.wire(self.names.datapath, &host.uuid);
        (wire.as_ref() == Some(uplink)).then(|| host.uuid.clone())
    }
}

fn host_at(topology: &Topology, address: IpAddr) -> Option<DatapathId> {
    topology.datapaths_at(&address).into_iter().next()
}

/// `60. reg3=2, priority 100, cookie 0x…`: the number of the table, and what was found there.
fn table_line(text: &str) -> Option<(TableId, &str)> {
    let (number, found) = text.split_once(". ")?;
    Some((TableId(number.parse().ok()?), found))
}

#[cfg(test)]
mod tests {
    use dataplane::Owner;
    use topology::datapath::Encapsulation;
    use topology::{DatapathId, HostKey, InterfaceKey};

    use super::*;
    use crate::host::{HostPort, HostView};

    const TRACE: &str = include_str!("example.txt");

    fn host() -> HostView {
        let mut host = HostView::default();
        for (number, name) in [(1, "tap1"), (2, "tap2")] {
            let seen = topology::binding::SeenPort {
                name: name.to_owned(),
                instance: name.to_owned(),
                iface_id: None,
                error: None,
                asks: false,
            };
            host.ports.insert(name.to_owned(), HostPort { seen: seen.into(), number: Some(OfPort(number)) });
        }
        host.tunnels.insert(Encapsulation::Geneve, OfPort(9));
        host
    }

    #[test]
    fn a_trace_tells_which_flows_a_packet_meets_and_where_it_goes() {
        let steps = ["classify", "source", "filter_out", "resolve", "destination", "peer", "tunnel_out"];
        // The switch that printed it knows no way to the other host.
        check(TRACE, &steps, &["tap2"]);
        let tunnelled = TRACE.replace(">> native tunnel routing failed", "");
        let fields = "icmp,dl_dst=02:00:00:00:00:02,dl_src=02:00:00:00:00:fe,icmp_code=0,icmp_type=8,nw_dst=10.0.0.2,\
                      nw_ecn=0,nw_frag=no,nw_src=10.0.0.1,nw_tos=0,nw_ttl=63,tun_dst=10.9.0.2,tun_id=0x5,\
                      tun_metadata0=0x70000000000,tun_src=10.9.0.1";
        check(&tunnelled, &steps, &["tap2", fields]);
        // What becomes of it in the bridge of the underlay is the underlay's business.
        let underlay = "-> by br-phy\n\n            bridge(\"br-phy\")\n            ------\n             0. priority 0\n                NORMAL\n";
        check(&TRACE.replace(">> native tunnel routing failed\n", underlay), &steps, &["tap2", fields]);
        check("Flow: icmp\n\nbridge(\"br-int\")\n----\n 0. No match.\n    drop\n", &["classify"], &[]);
        check("something else\n    altogether. is here\n\u{2003}-> \n>>\n-> output port is -1", &[], &[]);
    }

    #[test]
    fn a_packet_too_large_for_a_tunnel_takes_the_other_way() {
        let (topology, host) = (Topology::default(), host());
        let datapath: DatapathId = "dp-a".parse().expect("an id");
        let names = Names::new(&topology, &datapath, &host);
        let check = |bytes: u32, goes_out: bool| {
            let printed = TRACE.replace(">> native tunnel routing failed", "");
            let outputs = read(&names, ("br-int", OfPort(1), bytes), &printed).outputs;
            let is_answered = outputs.contains(&TraceOutput::Agent);
            let is_sent = outputs.iter().any(|output| matches!(output, TraceOutput::Tunnel { .. }));
            assert_eq!((is_sent, is_answered), (goes_out, !goes_out), "{bytes}: {outputs:?}");
        };
        check(1452, true);
        check(1453, false);
    }

    #[test]
    fn every_step_says_whose_it_is_and_what_it_did() {
        let (topology, host) = (Topology::default(), host());
        let datapath: DatapathId = "dp-a".parse().expect("an id");
        let names = Names::new(&topology, &datapath, &host);
        let traced = read(&names, ("br-int", OfPort(1), 0), TRACE);
        let check = |table: &str, owner: Owner, did: &[&str]| {
            let step = traced.steps.iter().find(|step| step.table == table).expect("a step");
            assert_eq!(step.owner, Some(names.owner(owner.cookie())));
            assert_eq!(step.did.iter().map(String::as_str).collect::<Vec<_>>(), did);
        };
        let interface = Owner::Interface(InterfaceKey(7));
        check("classify", interface, &["set_field:0x7->reg1", "set_field:0x5->metadata", "goto_table:20"]);
        let peer = traced.steps.iter().find(|step| step.table == "peer").expect("a step");
        assert_eq!(peer.owner, Some(names.owner(Owner::Peer(HostKey(2)).cookie())));
        assert_eq!(peer.tunnel_to, "10.9.0.2".parse().ok());
        assert_eq!(peer.did.iter().filter(|did| did.starts_with("goto_table")).count(), 1, "{:?}", peer.did);
        assert_eq!(traced.steps.iter().find(|step| step.table == "resolve").expect("a step").did, ["drop"]);
    }

    fn check(printed: &str, tables: &[&str], outputs: &[&str]) {
        let (topology, host) = (Topology::default(), host());
        let datapath: DatapathId = "dp-a".parse().expect("an id");
        let names = Names::new(&topology, &datapath, &host);
        let traced = read(&names, ("br-int", OfPort(1), 0), printed);
        let found: Vec<_> = traced.steps.iter().map(|step| step.table.as_str()).collect();
        assert_eq!(found, tables, "{:#?}", traced.steps);
        let found: Vec<_> = traced.outputs.iter().map(|output| format!("{output:?}")).collect();
        assert_eq!(found.len(), outputs.len(), "{found:?}");
        for (found, expected) in found.iter().zip(outputs) {
            assert!(found.contains(expected), "{found}");
        }
    }
}
