//! What a walk says, held against what switches did: who has got which frame, and what agents were asked.

mod drops;
mod frames;

use std::net::IpAddr;
use std::ops::RangeInclusive;

use dataplane::layout::Question;
use topology::datapath::Encapsulation;
use topology::walk::{Answer, Content, Decision, IpPacket, Outcome, Packet, Payload, Reason};
use topology::{DatapathId, DomainId, InterfaceId, MacAddr, ObjectRef, Topology};

pub(crate) use drops::{counted, is_counted};
use frames::{is_malformed, same};

use crate::forms::Form;
use crate::scene::{Sent, Story, number_of};

/// Steps of a walk that are shown.
const MAX_STEPS: usize = 20;

/// Something that is to be seen.
#[derive(Clone, Debug)]
enum Expected {
    /// A frame at a port, perhaps with another source port.
    Frame { port: String, packet: Packet, source_ports: Option<RangeInclusive<u16>> },
    /// A question to a host's agent.
    Question { host: Option<u8>, questions: Vec<Question> },
    /// A question that an agent may be asked, and does not answer.
    Perhaps { questions: Vec<Question> },
}

/// Which port a tracker has taken in place of the one that the walk assumes.
pub(crate) type Settled = ((IpAddr, u16), u16);

/// What the walk leaves open, and what the switches have made of it.
pub(crate) struct Chosen {
    /// Ports that trackers have taken.
    pub(crate) ports: Vec<Settled>,
    /// Who has got the packet, if it could have been somebody else: only their trackers have heard of it.
    pub(crate) receivers: Option<Vec<InterfaceId>>,
}

/// Compares, and says what the switches have chosen.
pub(crate) fn compare(story: &Story, sent: &Sent) -> Result<Chosen, String> {
    if story.observed.is_endless {
        return Err(format!("sent by {}: {:?}\ngoes round between hosts", sent.from, sent.packet));
    }
    if let Some(astray) = story.observed.crossings.iter().find(|of| !of.is_as_said(&story.topology)) {
        return Err(format!(
            "sent by {}: {:?}\nand crosses the underlay as nobody says: {astray:?}",
            sent.from, sent.packet
        ));
    }
    if !tells_sizes(story) || !tells_hops(story) {
        return Err(format!(
            "sent by {}: {:?}\nthe walk says: {:?}\nand an agent is told otherwise",
            sent.from, sent.packet, story.walk.outcomes
        ));
    }
    if !tells_answerer(story) {
        return Err(format!(
            "sent by {}: {:?}\nthe walk says: {:?}\nand an agent is told to answer as {:?}",
            sent.from, sent.packet, story.walk.outcomes, story.observed.answerers
        ));
    }
    if !tells_whose(story, sent) || !tells_origin(story, sent) {
        return Err(format!("sent by {}: {:?}\nand an agent is told somebody else", sent.from, sent.packet));
    }
    let lost = is_spoiled(story, sent) || names_no_port(&sent.packet);
    let lost = lost.then(Vec::new);
    let ways: Vec<_> = ways(&story.walk.outcomes).into_iter().chain(lost).collect();
    let fitting = ways.iter().find_map(|outcomes| {
        let expected: Vec<_> = outcomes.iter().map(|outcome| expected(story, sent, outcome)).collect();
        let ports = fits(story, sent.form, &expected)?;
        let receivers = outcomes.iter().filter_map(|outcome| match outcome {
            Outcome::Delivered { interface, .. } => Some(interface.clone()),
            _ => None,
        });
        let is_open = story.walk.outcomes.iter().any(|of| matches!(of, Outcome::Undecided { .. }));
        Some(Chosen { ports, receivers: is_open.then(|| receivers.collect()) })
    });
    fitting.ok_or_else(|| {
        let frames = story.observed.frames.iter().map(|(port, frame)| match Packet::from_bytes(frame) {
            Some(packet) => format!("  {port}: {packet:?}"),
            None => format!("  {port}: {frame:02x?}"),
        });
        let frames: Vec<_> = frames.collect();
        let steps =
            story.walk.steps.iter().take(MAX_STEPS).map(|step| format!("  {} {:?}", step.object, step.what));
        format!(
            "sent by {}, {:?}: {:?}\nthe walk says: {:?}\nby\n{}\nthe switches: questions {:?}, frames\n{}",
            sent.from,
            sent.form,
            sent.packet,
            story.walk.outcomes,
            steps.collect::<Vec<_>>().join("\n"),
            story.observed.questions,
            frames.join("\n")
        )
    })
}

/// Whether agents are told whose packet it is. What was translated or answered is another's, and only Geneve carries it.
fn tells_whose(story: &Story, sent: &Sent) -> bool {
    let is_own = |what: &Decision| !matches!(what, Decision::Translated { .. } | Decision::Replies);
    // What goes to all is tunnelled as nobody's.
    let is_plain = !sent.packet.destination.is_multicast()
        && story.walk.steps.iter().all(|step| is_own(&step.what))
        && tells_senders(&story.topology);
    let key = story.topology.interfaces().get(&sent.from).map(|of| u128::from(of.key.0));
    !is_plain || story.observed.askers.iter().all(|asker| Some(*asker) == key)
}

/// Whether tunnels say between all hosts who sends.
fn tells_senders(topology: &Topology) -> bool {
    let hosts = || topology.datapaths().keys();
    let mut ways = hosts().flat_map(|from| hosts().filter_map(|to| topology.way(from, to, None)));
    ways.all(|way| way.encapsulation == Encapsulation::Geneve)
}

/// Whether agents are told who sent a routed packet into the first router. On another host that is who sent it there, and of
/// an answer that is routed back, who answers.
fn tells_origin(story: &Story, sent: &Sent) -> bool {
    let is_kept = |what: &Decision| {
        !matches!(what, Decision::Translated { .. } | Decision::Crosses { .. } | Decision::Replies)
    };
    let is_plain = story.walk.steps.iter().all(|step| is_kept(&step.what));
    let [a, b, c, d, e, f] = sent.packet.source.0;
    let sender = u128::from(u64::from_be_bytes([0, 0, a, b, c, d, e, f]));
    !is_plain || story.observed.origins.iter().all(|origin| *origin == sender)
}

/// Whether agents are told who answers, where an interface does.
fn tells_answerer(story: &Story) -> bool {
    let answering = story.walk.outcomes.iter().filter_map(|outcome| match outcome {
        Outcome::Answered { by, packet: None, .. } => Some(by),
        _ => None,
    });
    let key = |by: &ObjectRef| match by {
        ObjectRef::Interface(id) => story.topology.interfaces().get(id).map(|of| u128::from(of.key.0)),
        _ => None,
    };
    let keys: Option<Vec<_>> = answering.map(key).collect();
    let keys = keys.filter(|keys| !keys.is_empty());
    keys.is_none_or(|keys| story.observed.answerers.iter().all(|answerer| keys.contains(answerer)))
}

/// Whether agents are told what fits, where somebody is to hear of it.
fn tells_sizes(story: &Story) -> bool {
    let sizes = story.walk.outcomes.iter().filter_map(|outcome| match outcome {
        Outcome::Answered { answer: Answer::TooBig { mtu }, .. } => Some(u128::from(*mtu)),
        _ => None,
    });
    let sizes: Vec<_> = sizes.collect();
    sizes.is_empty() || story.observed.mtus.iter().all(|mtu| sizes.contains(mtu))
}

/// Whether the agents of gateways are told whom to ask for.
fn tells_hops(story: &Story) -> bool {
    let outcomes = ways(&story.walk.outcomes).concat();
    let hops = outcomes.iter().filter_map(|outcome| match outcome {
        Outcome::OnWire { next_hop, .. } => *next_hop,
        _ => None,
    });
    let hops: Vec<_> = hops.collect();
    story.observed.hops.iter().all(|hop| hops.contains(hop))
}

/// All that may become of a packet, each without anything undecided in it.
fn ways(outcomes: &[Outcome]) -> Vec<Vec<Outcome>> {
    outcomes.iter().fold(vec![Vec::new()], |ways, outcome| {
        let more = match outcome {
            Outcome::Undecided { among } => among.iter().flat_map(|among| self::ways(among)).collect(),
            other => vec![vec![other.clone()]],
        };
        ways.iter().flat_map(|way| more.iter().map(|more| [&way[..], more].concat())).collect()
    })
}

fn expected(story: &Story, sent: &Sent, outcome: &Outcome) -> Expected {
    let question = |host: &DatapathId, questions: &[Question]| Expected::Question {
        host: number_of(host),
        questions: questions.to_vec(),
    };
    match outcome {
        Outcome::Delivered { interface, packet, source_ports, .. } => Expected::Frame {
            port: interface.to_string(),
            packet: packet.clone(),
            source_ports: source_ports.clone(),
        },
        Outcome::OnWire { uplink, packet, next_hop: None, source_ports, .. } => {
            let (packet, source_ports) = (packet.clone(), source_ports.clone());
            Expected::Frame { port: uplink.to_string(), packet, source_ports }
        }
        Outcome::OnWire { uplink, host, packet, next_hop: Some(hop), source_ports } => {
            match neighbour(story, uplink, *hop) {
                Some(mac) => {
                    let packet = Packet { destination: mac, ..packet.clone() };
                    let (port, source_ports) = (uplink.to_string(), source_ports.clone());
                    Expected::Frame { port, packet, source_ports }
                }
                None => question(host, &[Question::NextHop]),
            }
        }
        Outcome::Answered { packet: Some(packet), .. } => {
            Expected::Frame { port: sent.from.to_string(), packet: packet.clone(), source_ports: None }
        }
        Outcome::Answered { host, answer, packet: None, .. } => question(host, questions(*answer)),
        Outcome::Dropped { .. } if is_malformed(&sent.packet) => {
            Expected::Perhaps { questions: vec![Question::TimeExceeded] }
        }
        Outcome::Dropped { host: Some(host), reason: Reason::Unasked | Reason::NotGateway, .. }
            if answers_a_leg(story, sent) =>
        {
            question(host, &[Question::NeighbourFound])
        }
        Outcome::Dropped { reason, .. } => Expected::Perhaps { questions: not_answered(*reason).to_vec() },
        Outcome::Undecided { .. } => unreachable!("ways() has none"),
    }
}

fn neighbour(story: &Story, uplink: &topology::InterfaceId, hop: IpAddr) -> Option<MacAddr> {
    let network = story.topology.interfaces().get(uplink)?.network_uuid.as_ref()?;
    story.scene().neighbour(&network.to_string(), hop)
}

/// As what an agent is asked to write an answer.
fn questions(answer: Answer) -> &'static [Question] {
    match answer {
        Answer::ArpReply | Answer::EchoReply => &[],
        Answer::NeighbourAdvertisement => &[Question::Solicitation],
        Answer::RouterAdvertisement => &[Question::RouterSolicitation],
        Answer::Dhcp => &[Question::Dhcp],
        Answer::Dhcpv6 => &[Question::Dhcpv6],
        Answer::Dns => &[Question::Dns, Question::DnsStream],
        Answer::Metadata => &[Question::Metadata],
        Answer::TimeExceeded => &[Question::TimeExceeded],
        Answer::NoRoute => &[Question::NoRoute],
        Answer::HostUnreachable => &[Question::HostUnreachable],
        Answer::PortUnreachable => &[Question::PortUnreachable],
        Answer::TooBig { .. } => &[Question::TooBig],
        Answer::Rejected => &[Question::Rejected],
    }
}

/// What agents are asked about packets of which nobody may be told: they look at the packet, and drop it.
fn not_answered(reason: Reason) -> &'static [Question] {
    match reason {
        Reason::TooBig => &[Question::TooBig],
        Reason::Expired => &[Question::TimeExceeded],
        Reason::Unreachable => &[Question::NoRoute, Question::HostUnreachable],
        Reason::NotServed => &[Question::PortUnreachable],
        _ => &[],
    }
}

/// Whether somebody on the wire of a physical network answers a leg of a router. Agents ask as legs, and hear that, also while another host
/// is the gateway.
fn answers_a_leg(story: &Story, sent: &Sent) -> bool {
    let is_answer = match &sent.packet.content {
        Content::Arp(arp) => arp.operation == 2,
        Content::Ip(ip) => {
            matches!(&ip.payload, Payload::Neighbour(of) if of.is_advertisement) && ip.hops == 255
        }
        Content::Other { .. } => false,
    };
    let topology = &story.topology;
    let uplink = topology.interfaces().get(&sent.from).filter(|of| of.mode.is_uplink());
    let Some(network) = uplink.and_then(|uplink| uplink.network_uuid.clone()) else { return false };
    let leases = topology.mac_leases_of_address(&DomainId::Network(network), sent.packet.destination);
    let mut holders = leases.iter().filter_map(|id| topology.mac_leases().get(id));
    is_answer && holders.any(|lease| lease.interface_uuid != sent.from)
}

/// Whether all that is expected was seen, and nothing else.
fn fits(story: &Story, form: Form, expected: &[Expected]) -> Option<Vec<Settled>> {
    let mut frames: Vec<_> = story.observed.frames.iter().collect();
    // What rules write down is a copy, within a limit.
    let asked = story.observed.questions.iter().filter(|(_, question)| *question != Question::Logged);
    let mut asked: Vec<_> = asked.collect();
    let mut settled = Vec::new();
    for expected in expected {
        match expected {
            Expected::Frame { port, packet, source_ports } => {
                let found = frames.iter().position(|(at, frame)| {
                    at == port && same(form, packet, frame, source_ports.as_ref()).is_some()
                })?;
                let (_, frame) = frames.swap_remove(found);
                settled.extend(same(form, packet, frame, source_ports.as_ref()).flatten());
            }
            Expected::Question { host, questions } => {
                let found = asked.iter().position(|(at, question)| {
                    host.is_none_or(|host| host == *at) && questions.contains(question)
                })?;
                asked.swap_remove(found);
            }
            Expected::Perhaps { questions } => {
                if let Some(found) = asked.iter().position(|(_, question)| questions.contains(question)) {
                    asked.swap_remove(found);
                }
            }
        }
    }
    let is_copy = |question: &Question| *question == Question::TooBig && is_offered_to_all(story);
    let is_all = asked.iter().all(|(_, question)| is_copy(question));
    (frames.is_empty() && is_all).then_some(settled)
}

/// What names no port, and is for an address that many hosts share, goes to all of them, and some copies may be too large for their
/// tunnels. The walk knows which host has the connection. And what is for all goes also to hosts that have no more than an edge which
/// does not forward now.
fn is_offered_to_all(story: &Story) -> bool {
    let by_leg = |object: &ObjectRef| matches!(object, ObjectRef::Interface(_));
    let unknown = |outcome: &Outcome| matches!(outcome, Outcome::Dropped { reason: Reason::UnknownConnection, by, .. } if by_leg(by));
    let translated = story
        .walk
        .steps
        .iter()
        .any(|step| matches!(step.what, Decision::Translated { entry: None }) && by_leg(&step.object));
    let is_for_all = story.walk.steps.iter().any(|step| step.what == Decision::ForAll);
    // Of what says itself that it is for many nobody is told.
    let is_for_one = story.scene().sent.last().is_some_and(|sent| !sent.packet.destination.is_multicast());
    translated || is_for_all && is_for_one || story.walk.outcomes.iter().any(unknown)
}

/// Whether a packet is from port 0 or to it, or about one that is. Who wants no answer may send datagrams from there (RFC 768); to the
/// userspace connection tracker of Open vSwitch they are of no connection (`extract_l4_udp` and `extract_l4_tcp`), so that whoever has it
/// asked loses them.
fn names_no_port(packet: &Packet) -> bool {
    let about = |ip: &IpPacket| match &ip.payload {
        Payload::Icmp(icmp) => icmp.about.as_ref().and_then(|about| about.ports()),
        _ => ip.ports(),
    };
    packet.ip().and_then(about).is_some_and(|(from, to)| from == 0 || to == 0)
}

/// Whether an ICMPv6 error has been translated, and is looked at by a tracker once more: to that the error is of no connection, because of
/// what [`mend_quotation`] tells.
fn is_spoiled(story: &Story, sent: &Sent) -> bool {
    let is_error = sent.packet.ip().is_some_and(|ip| {
        !ip.is_ipv4() && matches!(&ip.payload, Payload::Icmp(icmp) if icmp.about.is_some())
    });
    let steps = story.walk.steps.iter().map(|step| &step.what);
    let mut looks = steps.skip_while(|what| !matches!(what, Decision::Translated { .. })).skip(1);
    is_error && looks.any(|what| matches!(what, Decision::Translated { .. } | Decision::Tracked { .. }))
}
