//! What the switches would do with a packet, host after host, held against what the topology says becomes of it.
//!
//! A walk ([`topology::walk`]) says from the objects where a packet goes. A trace says from the flows that are there where a
//! switch would send it. [`follow`] asks the first host for a trace, then the hosts to which it would send the packet, and
//! so on, and [`compare`] finds the first host whose switch does something else than the walk says, and the flow with which
//! it begins to. That is a flow that somebody has removed or changed, or an agent that is behind: a fault of the
//! host, where the walk alone would find one of the topology.
//!
//! # Answers
//! An answer is of a connection that no switch knows, since nothing has been sent. So each host is told what its trackers would
//! know: the connections that the walk of the first packet has made there, translated ones among them.
//!
//! # What is not seen
//! Nothing is sent: meters and what connection trackers really know do not count. Whoever answers by the agent has answered.

use std::collections::{BTreeSet, VecDeque};
use std::net::IpAddr;

use sync::AskError;
use sync::question::{TraceOutput, TraceQuery, TraceStart, TraceStep, Traced};
use topology::walk::{Connections, Decision, Outcome, Packet, Step, Tracker, Walk};
use topology::{DatapathId, InterfaceId, Topology};

/// Most hosts that one packet is followed through: beyond that it is a flood, and the first ones tell what is wrong.
pub const MAX_HOSTS: usize = 16;

/// What a host was heard to do with the packet.
#[derive(Debug)]
pub struct Heard {
    /// The host.
    pub host: DatapathId,
    /// Where it would send the packet, and by which flows; or why that is not known.
    pub traced: Result<Traced, Silence>,
}

/// Why it is not known what a host would do.
#[derive(Debug, thiserror::Error)]
pub enum Silence {
    /// Its agent is not connected to this manager.
    #[error("its agent is not connected to this manager")]
    Away,
    /// Its agent does not answer.
    #[error(transparent)]
    Ask(#[from] AskError),
}

/// Where a switch and the topology part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The host.
    pub host: DatapathId,
    /// The step of its trace with which it begins; none if the packet met no flow at all.
    pub step: Option<usize>,
    /// What the switch does, and what it should do.
    pub what: String,
}

/// A packet that somebody sends, and what the topology says of it.
#[derive(Clone, Copy, Debug)]
pub struct Sent<'a> {
    /// Who sends it.
    pub from: &'a InterfaceId,
    /// The packet.
    pub packet: &'a Packet,
    /// Where it goes.
    pub walk: &'a Walk,
    /// What trackers know when it is sent.
    pub known: &'a Connections,
}

/// Follows a packet through the switches. `ask` asks one host.
pub async fn follow<Answer: Future<Output = Result<Traced, Silence>>>(
    topology: &Topology,
    sent: Sent<'_>,
    ask: impl Fn(DatapathId, TraceQuery) -> Answer,
) -> Vec<Heard> {
    let Some(first) = topology.host_of_interface(sent.from) else { return Vec::new() };
    let start = TraceStart::Interface { interface: sent.from.clone(), frame: sent.packet.clone() };
    let mut heard: Vec<Heard> = Vec::new();
    let mut next = VecDeque::from([(first.clone(), start)]);
    while let Some((host, start)) = next.pop_front() {
        // A packet does not go from tunnel to tunnel, so a host that is met again says the same again.
        if heard.len() >= MAX_HOSTS || heard.iter().any(|before| before.host == host) {
            continue;
        }
        let known = known_at(topology, sent.known, &host);
        let traced = ask(host.clone(), TraceQuery { start, known }).await;
        for output in traced.iter().flat_map(|traced| &traced.outputs) {
            if let TraceOutput::Tunnel { host: Some(peer), fields, .. } = output {
                let start = TraceStart::Tunnel { from: host.clone(), fields: fields.clone() };
                next.push_back((peer.clone(), start));
            }
        }
        heard.push(Heard { host, traced });
    }
    heard
}

/// What the trackers of a host know.
fn known_at(topology: &Topology, known: &Connections, at: &DatapathId) -> Connections {
    let mut here = Connections::default();
    let is_here = |tracker: &Tracker| match tracker {
        Tracker::Interface(interface) => topology.host_of_interface(interface) == Some(at),
        Tracker::Leg { host, .. } => host == at,
    };
    known.iter().filter(|of| is_here(&of.tracker)).for_each(|of| here.insert(of.clone()));
    here
}

/// The first difference between what switches do and what the topology says.
pub fn compare(sent: Sent<'_>, heard: &[Heard]) -> Option<Difference> {
    heard.iter().find_map(|of| {
        let traced = of.traced.as_ref().ok()?;
        Expected::of(sent, &of.host).difference(&of.host, traced)
    })
}

/// Where a packet may leave a host.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Exit {
    Interface(InterfaceId),
    Host(DatapathId),
    /// Handed to the agent, or sent back to who asks.
    Answer,
}

/// What the walk says of one host.
#[derive(Debug, Default)]
struct Expected {
    /// Where the packet leaves it.
    surely: BTreeSet<Exit>,
    /// Where it may leave, if nobody can say which of several ways is taken.
    perhaps: BTreeSet<Exit>,
    /// Who gets an answer.
    asker: Option<InterfaceId>,
    /// It names no port, and is for an address that guests share: all hosts are sent it, and the one that knows its connection takes it.
    asks_all: bool,
}

impl Expected {
    fn of(Sent { from, packet, walk, .. }: Sent<'_>, host: &DatapathId) -> Self {
        let has_ports = packet.ip().is_some_and(|ip| ip.ports().is_some());
        let is_translated = |step: &Step| matches!(step.what, Decision::Translated { .. });
        let asks_all = !has_ports && walk.steps.iter().any(is_translated);
        let mut expected = Self { asker: Some(from.clone()), asks_all, ..Self::default() };
        expected.outcomes(&walk.outcomes, host, false);
        let undecided = walk.outcomes.iter().any(|outcome| matches!(outcome, Outcome::Undecided { .. }));
        for step in walk.steps.iter().filter(|step| step.host == *host) {
            if let Decision::Crosses { to, .. } = &step.what {
                let exits = if undecided { &mut expected.perhaps } else { &mut expected.surely };
                exits.insert(Exit::Host(to.clone()));
            }
        }
        expected
    }

    fn outcomes(&mut self, outcomes: &[Outcome], on: &DatapathId, undecided: bool) {
        for outcome in outcomes {
            let exit = match outcome {
                Outcome::Delivered { interface, host, .. } if host == on => {
                    Exit::Interface(interface.clone())
                }
                Outcome::OnWire { uplink, host, .. } if host == on => Exit::Interface(uplink.clone()),
                Outcome::Answered { host, .. } if host == on => Exit::Answer,
                Outcome::Undecided { among } => {
                    among.iter().for_each(|outcomes| self.outcomes(outcomes, on, true));
                    continue;
                }
                _ => continue,
            };
            let exits = if undecided { &mut self.perhaps } else { &mut self.surely };
            exits.insert(exit);
        }
    }

    fn difference(&self, host: &DatapathId, traced: &Traced) -> Option<Difference> {
        let different = |step, what| Some(Difference { host: host.clone(), step, what });
        let steps = &traced.steps;
        for output in &traced.outputs {
            if let TraceOutput::Tunnel { host: None, address, .. } = output {
                let to = address.map_or_else(|| "an address".to_owned(), |address| address.to_string());
                let step = into_tunnel(steps, *address);
                return different(step, format!("sent to {to}, which is no host's address"));
            }
        }
        let found: BTreeSet<_> = traced.outputs.iter().filter_map(|output| self.exit(output)).collect();
        let missing = self.surely.difference(&found).next();
        let unexpected = found.iter().find(|exit| !self.allows(exit));
        match (missing, unexpected) {
            (None, None) => None,
            (Some(missing), None) => {
                different(steps.len().checked_sub(1), format!("not sent {}", to(missing)))
            }
            (None, Some(found)) => {
                different(steps.len().checked_sub(1), format!("sent {}, where it should not go", to(found)))
            }
            (Some(missing), Some(found)) => {
                let what = format!("sent {}, and not {}", to(found), to(missing));
                let step = match found {
                    Exit::Host(host) => into_tunnel(steps, address_of(&traced.outputs, host)),
                    _ => steps.len().checked_sub(1),
                };
                different(step, what)
            }
        }
    }

    fn allows(&self, exit: &Exit) -> bool {
        let is_asked = self.asks_all && matches!(exit, Exit::Host(_));
        is_asked || self.surely.contains(exit) || self.perhaps.contains(exit)
    }

    fn exit(&self, output: &TraceOutput) -> Option<Exit> {
        Some(match output {
            TraceOutput::Agent => Exit::Answer,
            TraceOutput::Port { interface: Some(interface), .. } => {
                let answers = self.surely.contains(&Exit::Answer) || self.perhaps.contains(&Exit::Answer);
                match self.asker.as_ref() == Some(interface) && answers {
                    true => Exit::Answer,
                    false => Exit::Interface(interface.clone()),
                }
            }
            TraceOutput::Port { interface: None, .. } => return None,
            TraceOutput::Tunnel { host, .. } => Exit::Host(host.clone()?),
        })
    }
}

fn to(exit: &Exit) -> String {
    match exit {
        Exit::Interface(interface) => format!("to {interface}"),
        Exit::Host(host) => format!("to host {host}"),
        Exit::Answer => "to whoever answers".to_owned(),
    }
}

/// The step that chooses a tunnel to this address; the last one, if the agent does not tell which does.
fn into_tunnel(steps: &[TraceStep], address: Option<IpAddr>) -> Option<usize> {
    let chooses = |step: &TraceStep| step.tunnel_to.is_some() && step.tunnel_to == address;
    steps.iter().rposition(chooses).or_else(|| steps.len().checked_sub(1))
}

/// The address of a host's end of the tunnel, as the switch has it.
fn address_of(outputs: &[TraceOutput], of: &DatapathId) -> Option<IpAddr> {
    outputs.iter().find_map(|output| match output {
        TraceOutput::Tunnel { host: Some(host), address, .. } if host == of => *address,
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use topology::walk::Reason;

    use super::*;

    const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 99));

    fn host(name: &str) -> DatapathId {
        format!("dp-{name}").parse().expect("an id")
    }

    fn interface(name: &str) -> InterfaceId {
        format!("if-{name}").parse().expect("an id")
    }

    fn packet() -> Packet {
        let mac = topology::MacAddr([2, 0, 0, 0, 0, 1]);
        let content = topology::walk::Content::Other { ether_type: 0x88b5 };
        Packet { source: mac, destination: mac, vlans: Vec::new(), content }
    }

    /// From `if-a` on one host to `if-b` on another.
    fn across() -> Walk {
        let what = Decision::Crosses { to: host("b"), mtu: 1438 };
        let step = Step { host: host("a"), object: interface("b").into(), what, packet: packet() };
        Walk { steps: vec![step], outcomes: vec![delivered("b")], ..Walk::default() }
    }

    fn delivered(to: &str) -> Outcome {
        Outcome::Delivered { interface: interface(to), host: host(to), packet: packet(), source_ports: None }
    }

    fn dropped() -> Walk {
        let (by, remedy) = (interface("b").into(), String::new());
        let outcome = Outcome::Dropped { host: Some(host("a")), by, reason: Reason::FilteredOut, remedy };
        Walk { outcomes: vec![outcome], ..Walk::default() }
    }

    fn step(table: &str, tunnel_to: Option<IpAddr>) -> TraceStep {
        let (table, applies_to, did) = (table.to_owned(), String::new(), Vec::new());
        TraceStep { table, priority: Some(1), owner: None, applies_to, did, tunnel_to }
    }

    fn tunnel(to: Option<&str>) -> TraceOutput {
        TraceOutput::Tunnel { host: to.map(host), fields: "tun_id=0x5".to_owned(), address: Some(ADDRESS) }
    }

    fn port(of: &str) -> TraceOutput {
        TraceOutput::Port { name: "tap0".to_owned(), interface: Some(interface(of)) }
    }

    fn heard(name: &str, outputs: Vec<TraceOutput>) -> Heard {
        let steps = vec![step("peer", Some(ADDRESS)), step("tunnel_out", None)];
        Heard { host: host(name), traced: Ok(Traced { steps, outputs }) }
    }

    #[track_caller]
    fn check(walk: &Walk, heard: &[Heard], expected: Option<(&str, usize, &str)>) {
        let known = Connections::default();
        let sent = Sent { from: &interface("a"), packet: &packet(), walk, known: &known };
        let found = compare(sent, heard);
        match (found, expected) {
            (None, None) => {}
            (Some(found), Some((name, step, what))) => {
                assert_eq!((found.host, found.step), (host(name), Some(step)));
                assert!(found.what.contains(what), "{}", found.what);
            }
            (found, expected) => panic!("{found:?}, and not {expected:?}"),
        }
    }

    #[test]
    fn switches_that_do_what_the_walk_says_agree_with_it() {
        check(&across(), &[heard("a", vec![tunnel(Some("b"))]), heard("b", vec![port("b")])], None);
        check(&dropped(), &[heard("a", vec![])], None);
        // One of several ways is as good as another.
        let among = vec![vec![delivered("b")], vec![delivered("c")]];
        let walk = Walk { outcomes: vec![Outcome::Undecided { among }], ..across() };
        check(&walk, &[heard("a", vec![tunnel(Some("b"))]), heard("b", vec![port("b")])], None);
        // Who asks is answered by flows, or by the agent.
        let answer = topology::walk::Answer::EchoReply;
        let answered = Outcome::Answered { host: host("a"), by: interface("b").into(), answer, packet: None };
        let walk = Walk { outcomes: vec![answered], ..Walk::default() };
        check(&walk, &[heard("a", vec![port("a")])], None);
        check(&walk, &[heard("a", vec![TraceOutput::Agent])], None);
        // Of who is silent nothing is known.
        check(&across(), &[Heard { host: host("a"), traced: Err(Silence::Away) }], None);
    }

    #[test]
    fn the_first_switch_that_does_something_else_is_named_with_the_step() {
        let sent = || heard("a", vec![tunnel(Some("b"))]);
        check(&across(), &[heard("a", vec![])], Some(("a", 1, "not sent to host dp-b")));
        check(&across(), &[sent(), heard("b", vec![])], Some(("b", 1, "not sent to if-b")));
        check(&across(), &[heard("a", vec![tunnel(None)])], Some(("a", 0, "192.0.2.99, which is no host's")));
        check(
            &across(),
            &[heard("a", vec![tunnel(Some("c"))])],
            Some(("a", 0, "to host dp-c, and not to host dp-b")),
        );
        check(
            &across(),
            &[sent(), heard("b", vec![port("b"), port("c")])],
            Some(("b", 1, "to if-c, where it should not")),
        );
        check(&dropped(), &[heard("a", vec![port("c")])], Some(("a", 1, "where it should not go")));
    }

    #[test]
    fn of_an_agent_that_does_not_name_tunnels_the_last_step_is_marked() {
        let mut old = heard("a", vec![]);
        let outputs = vec![TraceOutput::Tunnel { host: None, fields: String::new(), address: None }];
        old.traced = Ok(Traced { steps: vec![step("peer", None), step("tunnel_out", None)], outputs });
        check(&across(), &[old], Some(("a", 1, "sent to an address, which is no host's")));
    }
}
