//! What a walk says, held against what switches did.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use dataplane::Purpose;
use dataplane::layout::Question;
use topology::datapath::Encapsulation;
use topology::walk::{Answer, Content, Decision, Outcome, Packet, Payload, Reason, Walk};
use topology::{DatapathId, InterfaceId, MacAddr, ObjectRef, Topology};

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
    if !tells_whose(story, sent) {
        return Err(format!("sent by {}: {:?}\nand an agent is told somebody else", sent.from, sent.packet));
    }
    let lost = is_spoiled(story, sent).then(Vec::new);
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
        && story.scene().hosts.iter().all(|host| *host == Encapsulation::Geneve);
    let key = story.topology.interfaces().get(&sent.from).map(|of| u128::from(of.key.0));
    !is_plain || story.observed.askers.iter().all(|asker| Some(*asker) == key)
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

/// Of what each host is to count a drop, as the walk says: by reasons any of which will do.
pub(crate) fn counted(topology: &Topology, walk: &Walk, sent: &Sent) -> Vec<(u8, &'static [Purpose])> {
    let drops = walk.outcomes.iter().filter_map(|outcome| match outcome {
        // Who is behind another leg is dropped by the network's own flows, before any says that no route takes him.
        Outcome::Dropped { by, reason: Reason::NotRouted, .. } if is_outside(topology, by) => None,
        // Who speaks as somebody behind another leg is the route's to drop.
        Outcome::Dropped {
            host: Some(host), by: ObjectRef::Interface(_), reason: Reason::Pretender, ..
        } => Some((number_of(host)?, &[Purpose::Pretender][..])),
        Outcome::Dropped { host: Some(host), reason: Reason::Unresolved, .. }
            if !may_ask_for_itself(topology, sent) =>
        {
            Some((number_of(host)?, &[Purpose::Unresolved][..]))
        }
        Outcome::Dropped { host: Some(host), reason, .. } => Some((number_of(host)?, purposes(*reason))),
        // Its sender is told, and it is dropped all the same.
        Outcome::Answered { host, answer: Answer::Rejected, .. } => {
            Some((number_of(host)?, &[Purpose::FilteredOut, Purpose::FilteredIn][..]))
        }
        _ => None,
    });
    let mut drops: Vec<_> = drops.filter(|(_, purposes)| !purposes.is_empty()).collect();
    drops.sort_unstable();
    drops.dedup();
    drops
}

/// Whether a question for an address may be for one of its sender's own.
fn may_ask_for_itself(topology: &Topology, sent: &Sent) -> bool {
    let asked = match &sent.packet.content {
        Content::Arp(arp) => IpAddr::from(arp.target_ip),
        Content::Ip(_) | Content::Other { .. } => return true,
    };
    let Some(sender) = topology.interfaces().get(&sent.from) else { return true };
    let mut leases = topology.mac_leases_of_interface(&sent.from).into_iter();
    let is_own = leases.any(|lease| {
        let own = topology.ip_leases_of_mac_lease(&lease);
        own.iter().any(|id| topology.ip_leases().get(id).is_some_and(|of| of.address.ip() == asked))
    });
    is_own || !sender.allowed_addresses.is_empty()
}

/// Whether an interface is on the wire of a physical network.
fn is_outside(topology: &Topology, by: &ObjectRef) -> bool {
    let ObjectRef::Interface(id) = by else { return false };
    topology.domains_of_interface(id).iter().any(|domain| topology.physical_network(domain).is_some())
}

/// Whether the drops were counted.
pub(crate) fn is_counted(
    story: &Story,
    sent: &Sent,
    counted: &[(u8, &'static [Purpose])],
    (before, after): (&[u64], &[u64]),
) -> Result<(), String> {
    let counts = counted.iter().zip(before.iter().zip(after));
    let mut lacking = counts.filter(|(_, (before, after))| before == after);
    // Some packets that nobody may be told about are an agent's to drop.
    // Those of filters are not.
    let is_agents = story.observed.questions.iter().any(|(_, question)| *question != Question::Rejected);
    // Where a spoiled one is lost, is Open vSwitch's to say.
    match lacking.next().filter(|_| !is_agents && !is_spoiled(story, sent)) {
        None => Ok(()),
        Some(((host, purposes), _)) => Err(format!(
            "sent by {}, {:?}: {:?}\nthe walk says: {:?}\nand host {host} counts no {purposes:?}",
            sent.from, sent.form, sent.packet, story.walk.outcomes
        )),
    }
}

/// As what drops are counted. Not all of them are: some flows that drop are an object's own, and some drops are no flow's.
fn purposes(reason: Reason) -> &'static [Purpose] {
    match reason {
        Reason::SourceMac => &[Purpose::UnknownSource],
        Reason::SourceAddress => &[Purpose::SourceAddress],
        // A port that is an edge for one VLAN knows no sender in another.
        Reason::Tagged => &[Purpose::Tagged, Purpose::TaggedOutside, Purpose::UnknownSource],
        Reason::SeveralTags => &[Purpose::Hidden],
        Reason::FalseSender => &[Purpose::SenderHardware],
        Reason::Unasked => &[Purpose::Unasked],
        Reason::NotRouter => &[Purpose::NotRouter],
        // A filter may refuse its own interface's question before it is seen to be for itself.
        Reason::Unresolved => &[Purpose::Unresolved, Purpose::FilteredIn],
        Reason::UnknownDestination => &[Purpose::UnknownDestination],
        Reason::UnknownHost => &[Purpose::UnknownHost],
        // What is no IP packet, a leg that translates cannot translate.
        Reason::NotRouted => &[Purpose::NotRouted, Purpose::Untranslated],
        Reason::NotForwarded => &[Purpose::NotForwarded],
        // Cut off before its type, ICMP has type 0, that of an echo reply, and may be of a translated connection.
        Reason::NotServed => &[Purpose::NotServed, Purpose::UnknownConnection],
        // An address that stands for nobody is taken, and by no connection.
        Reason::Untranslated => &[Purpose::Untranslated, Purpose::UnknownConnection],
        Reason::UnknownConnection => &[Purpose::UnknownConnection],
        Reason::FilteredOut => &[Purpose::FilteredOut],
        Reason::FilteredIn => &[Purpose::FilteredIn],
        Reason::NotAllowedOut => &[Purpose::NotAllowedOut],
        Reason::NotAllowedIn => &[Purpose::NotAllowedIn],
        Reason::NotGateway => &[Purpose::NotGateway],
        Reason::Silent
        | Reason::ToItself
        | Reason::Incomplete
        | Reason::Absent
        | Reason::TooBig
        | Reason::Expired
        | Reason::Unreachable
        | Reason::Pretender => &[],
    }
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
        Outcome::Dropped { reason, .. } => Expected::Perhaps { questions: not_answered(*reason).to_vec() },
        Outcome::Undecided { .. } => unreachable!("ways() has none"),
    }
}

/// Whether a frame is no IP packet although it says so. Switches take it for one without a hop left; an agent cannot read it, and drops it.
fn is_malformed(packet: &Packet) -> bool {
    matches!(packet.content, Content::Other { ether_type: 0x0800 | 0x86dd })
}

/// Whether nothing but the code point differs, which switches write also into what only says that it is an IP packet.
fn is_marked(frame: &[u8], expected: &[u8]) -> bool {
    /// Where an untagged frame has it, over IPv4 and over IPv6, and where the checksum of an IPv4 header.
    const MARKS: [usize; 4] = [14, 15, 24, 25];
    let rest = |of: &[u8]| -> Vec<_> {
        of.iter().copied().enumerate().filter(|(place, _)| !MARKS.contains(place)).collect()
    };
    rest(frame) == rest(expected)
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
        // An agent hears what answers a question of its own, also while another host is the gateway.
        Reason::Unasked | Reason::NotGateway => &[Question::NeighbourFound],
        _ => &[],
    }
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
    translated || is_for_all || story.walk.outcomes.iter().any(unknown)
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

/// Whether a frame is a packet, and which source port it got, if that was left open.
fn same(
    form: Form,
    packet: &Packet,
    frame: &[u8],
    ports: Option<&RangeInclusive<u16>>,
) -> Option<Option<Settled>> {
    let expected = form.of(packet.to_bytes());
    if ports.is_none() && (frame == expected || is_malformed(packet) && is_marked(frame, &expected)) {
        return Some(None);
    }
    let mut seen = Packet::from_bytes(frame)?;
    mend_quotation(&mut seen, packet);
    let Some(ports) = ports else {
        // A switch that translates an error does not sum up anew what the error quotes.
        let quotes =
            matches!(packet.ip().map(|ip| &ip.payload), Some(Payload::Icmp(icmp)) if icmp.about.is_some());
        let is_part = packet.ip().is_some_and(|ip| ip.fragment != topology::walk::Fragment::Whole);
        let same = seen == *packet && (quotes || is_part);
        return same.then_some(None);
    };
    let (address, assumed) = packet.ip().and_then(|ip| Some((ip.source, ip.ports()?.0)))?;
    let with = |port| {
        let mut other = packet.clone();
        match &mut other.ip_mut()?.payload {
            Payload::Tcp { source_port, .. } | Payload::Udp { source_port, .. } => *source_port = port,
            _ => return None,
        }
        Some(form.of(other.to_bytes()))
    };
    // What an extension header hides has to be tried.
    let mut taken = match seen.ip()?.ports() {
        Some((port, _)) if ports.contains(&port) => port..=port,
        Some(_) => return None,
        None => ports.clone(),
    };
    let taken = taken.find(|port| with(*port).is_some_and(|expected| expected == frame))?;
    Some(Some(((address, assumed), taken)))
}

/// Open vSwitch 3.1 writes a checksum over the source of what a translated ICMPv6 error quotes (`nat_inner_packet` in its
/// userspace connection tracker takes the quoted header for one of IPv4). Nothing that flows could mend.
fn mend_quotation(seen: &mut Packet, expected: &Packet) {
    let quoted = |packet: &Packet| match &packet.ip()?.payload {
        Payload::Icmp(icmp) => icmp.about.as_ref().map(|about| about.source),
        _ => None,
    };
    let (Some(IpAddr::V6(wrong)), Some(IpAddr::V6(right))) = (quoted(seen), quoted(expected)) else { return };
    let Some(Payload::Icmp(icmp)) = seen.ip_mut().map(|ip| &mut ip.payload) else { return };
    if wrong.segments()[1..] == right.segments()[1..]
        && let Some(about) = &mut icmp.about
    {
        about.source = right.into();
    }
}
