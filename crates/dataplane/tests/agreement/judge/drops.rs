//! What is dropped: on which host it has to be counted, and as what.

use std::net::IpAddr;

use dataplane::Purpose;
use dataplane::layout::Question;
use topology::walk::{Answer, Content, Outcome, Reason, Walk};
use topology::{ObjectRef, Topology};

use super::frames::is_malformed;
use super::{is_spoiled, names_no_port};
use crate::scene::{Sent, Story, number_of};

/// Of what each host is to count a drop, as the walk says: by reasons any of which will do.
pub(crate) fn counted(topology: &Topology, walk: &Walk, sent: &Sent) -> Vec<(u8, &'static [Purpose])> {
    let drops = walk.outcomes.iter().filter_map(|outcome| match outcome {
        // Who is behind another leg is dropped by the network's own flows, before any says that no route takes him.
        Outcome::Dropped { by, reason: Reason::NotRouted, .. }
            if is_outside(topology, by) && (sent.packet.ip().is_some() || is_malformed(&sent.packet)) =>
        {
            None
        }
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
    let is_lost = is_spoiled(story, sent) || names_no_port(&sent.packet);
    match lacking.next().filter(|_| !is_agents && !is_lost) {
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
