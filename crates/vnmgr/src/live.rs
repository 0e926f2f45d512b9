//! What the switches would do with a packet, host after host, held against what the topology says becomes of it.
//!
//! A walk ([`topology::walk`]) says from the objects where a packet goes. A trace says from the flows that are there where a
//! switch would send it. [`follow`] asks the first host for a trace, then the hosts to which it would send the packet, and
//! so on, and [`compare`] finds the first host whose switch does something else than the walk says, and the flow with which
//! it begins to. That is a flow that somebody has removed or changed, or an agent that is behind: a fault of the
//! host, where the walk alone would find one of the topology.
//!
//! # What is not seen
//! Only the first packet of a connection is traced, with nothing sent: meters, the size of the packet, and what connection
//! trackers really know do not count. Whoever answers by the agent has answered.

use std::collections::{BTreeSet, VecDeque};

use sync::AskError;
use sync::question::{TraceOutput, TraceQuery, TraceStart, TraceStep, Traced};
use topology::walk::{Decision, Outcome, Packet, Walk};
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

/// Follows a packet through the switches. `ask` asks one host.
pub async fn follow<Answer: Future<Output = Result<Traced, Silence>>>(
    topology: &Topology,
    walk: &Walk,
    from: &InterfaceId,
    packet: &Packet,
    ask: impl Fn(DatapathId, TraceQuery) -> Answer,
) -> Vec<Heard> {
    let Some(first) = topology.host_of_interface(from) else { return Vec::new() };
    let start = TraceStart::Interface { interface: from.clone(), frame: packet.clone() };
    let mut heard: Vec<Heard> = Vec::new();
    let mut next = VecDeque::from([(first.clone(), start)]);
    while let Some((host, start)) = next.pop_front() {
        // A packet does not go from tunnel to tunnel, so a host that is met again says the same again.
        if heard.len() >= MAX_HOSTS || heard.iter().any(|before| before.host == host) {
            continue;
        }
        let traced = ask(host.clone(), TraceQuery { start, tracked: is_tracked(walk, &host) }).await;
        for output in traced.iter().flat_map(|traced| &traced.outputs) {
            if let TraceOutput::Tunnel { host: Some(peer), fields } = output {
                let start = TraceStart::Tunnel { from: host.clone(), fields: fields.clone() };
                next.push_back((peer.clone(), start));
            }
        }
        heard.push(Heard { host, traced });
    }
    heard
}

/// Whether a tracker of the host looks the packet up.
fn is_tracked(walk: &Walk, host: &DatapathId) -> bool {
    walk.steps.iter().any(|step| step.host == *host && matches!(step.what, Decision::Tracked { .. }))
}

/// The first difference between what switches do and what the topology says.
pub fn compare(walk: &Walk, from: &InterfaceId, heard: &[Heard]) -> Option<Difference> {
    heard.iter().find_map(|of| {
        let traced = of.traced.as_ref().ok()?;
        Expected::of(walk, from, &of.host).difference(&of.host, traced)
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
}

impl Expected {
    fn of(walk: &Walk, from: &InterfaceId, host: &DatapathId) -> Self {
        let mut expected = Self { asker: Some(from.clone()), ..Self::default() };
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
            if let TraceOutput::Tunnel { host: None, fields } = output {
                let to = value(fields, "tun_dst").or(value(fields, "tun_ipv6_dst")).unwrap_or("nowhere");
                return different(
                    step_that(steps, "->tun_"),
                    format!("sent to {to}, which is no host's address"),
                );
            }
        }
        let found: BTreeSet<_> = traced.outputs.iter().filter_map(|output| self.exit(output)).collect();
        let missing = self.surely.difference(&found).next();
        let allowed = |exit: &&Exit| !self.surely.contains(*exit) && !self.perhaps.contains(*exit);
        let unexpected = found.iter().find(allowed);
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
                    Exit::Host(_) => step_that(steps, "->tun_"),
                    _ => steps.len().checked_sub(1),
                };
                different(step, what)
            }
        }
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

/// The last step that does something of this kind.
fn step_that(steps: &[TraceStep], does: &str) -> Option<usize> {
    steps.iter().rposition(|step| step.did.iter().any(|did| did.contains(does)))
}

/// The value of a field in the text of a packet.
fn value<'a>(fields: &'a str, name: &str) -> Option<&'a str> {
    fields
        .split(',')
        .filter_map(|field| field.split_once('='))
        .find(|(of, _)| *of == name)
        .map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use topology::walk::{Reason, Step};

    use super::*;

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

    fn step(table: &str, did: &str) -> TraceStep {
        let (table, did) = (table.to_owned(), vec![did.to_owned()]);
        TraceStep { table, priority: Some(1), owner: None, applies_to: String::new(), did }
    }

    fn tunnel(to: Option<&str>) -> TraceOutput {
        TraceOutput::Tunnel { host: to.map(host), fields: "tun_id=0x5,tun_dst=192.0.2.99".to_owned() }
    }

    fn port(of: &str) -> TraceOutput {
        TraceOutput::Port { name: "tap0".to_owned(), interface: Some(interface(of)) }
    }

    fn heard(name: &str, outputs: Vec<TraceOutput>) -> Heard {
        let steps = vec![step("peer", "set_field:192.0.2.99->tun_dst"), step("tunnel_out", "output:9")];
        Heard { host: host(name), traced: Ok(Traced { steps, outputs }) }
    }

    #[track_caller]
    fn check(walk: &Walk, heard: &[Heard], expected: Option<(&str, usize, &str)>) {
        let found = compare(walk, &interface("a"), heard);
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
}
