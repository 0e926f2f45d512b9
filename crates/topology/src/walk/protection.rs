//! Filters and security groups: what an interface may send and receive, and the connections that they know.
//!
//! # Connections
//! Once a filter says `conn`, or an interface is in a group, its connections are tracked, and every packet of one is judged as
//! its first was, by today's rules. What is related to a connection may do what the connection may. What could begin no
//! connection, and is of none, is dropped. Address resolution and multicast listeners have no connections, and are judged by
//! themselves.

use std::collections::BTreeSet;

use super::bytes;
use super::connection::{Connection, Ends, Tracker, Tuple, Way};
use super::course::Checkpoint;
use super::packet::{Content, Fragment, IpPacket, Payload, protocol};
use super::rule::{Pattern, Said};
use super::{Answer, Decision, Journey, Reason, Walker, service};
use crate::filter::{Filter, FilterAction};
use crate::id::SecurityGroupId;
use crate::interface::Interface;
use crate::object::ObjectRef;
use crate::traffic::Direction;

/// ICMPv6 types without connections: multicast listeners and neighbour discovery (RFC 2710, section 3; RFC 3810, section 5;
/// RFC 4861, section 4).
const UNTRACKED: [u8; 9] = [130, 131, 132, 133, 134, 135, 136, 137, 143];

/// What trackers make of a packet.
#[derive(Clone, Debug)]
enum State {
    /// It has no connection, or nobody tracks any.
    Untracked,
    /// It may begin one.
    New(Tuple),
    /// It is of a known one, or about one.
    Known(Connection, Way),
    /// It could be of none.
    Invalid,
    /// A fragment, which waits for the others.
    Fragment,
}

/// By what a packet is judged: what is said, and which way it goes.
struct Judged {
    said: Said,
    direction: Direction,
}

/// Whether an interface's protection lets a packet pass. If not, the outcome has been written down.
pub(super) fn passes(
    walker: &mut Walker<'_>,
    at: &mut Journey,
    interface: &Interface,
    direction: Direction,
) -> bool {
    if let Some(checks) = &mut walker.checks {
        checks.note(at, Checkpoint::Of(interface.uuid.clone(), direction));
        return true;
    }
    let filter = filter_of(walker, interface);
    let has_groups = !interface.security_groups.is_empty();
    if !interface.enable_filtering && !has_groups {
        return true;
    }
    let tracks = has_groups || filter.is_some_and(Filter::is_stateful);
    let state = if tracks { state_of(walker, at, interface) } else { State::Untracked };
    if let State::Fragment = state {
        let remedy = "send the packet's other fragments: connections are tracked of whole packets";
        walker.drop(at, interface.uuid.clone(), Reason::Incomplete, remedy);
        return false;
    }
    let judged = judged(at, &state, direction);
    let mut keep = false;
    if interface.enable_filtering {
        match by_filter(walker, at, (interface, filter), (&state, judged.as_ref(), direction)) {
            Some(keeps) => keep |= keeps,
            None => return false,
        }
    }
    if has_groups {
        match by_groups(walker, at, interface, (&state, judged.as_ref(), direction)) {
            Some(keeps) => keep |= keeps,
            None => return false,
        }
    }
    // What waits for its receiver is kept, if at all, once that is known.
    if tracks && !at.pending {
        track(walker, at, interface, &state, direction, keep);
    }
    true
}

/// Whether a packet that waits for its receiver is allowed, now that this is known.
pub(super) fn passes_to(walker: &mut Walker<'_>, at: &mut Journey, receiver: Option<&Interface>) -> bool {
    if let Some(checks) = &mut walker.checks {
        checks.note(at, Checkpoint::To(receiver.map(|receiver| receiver.uuid.clone())));
        return true;
    }
    if !std::mem::take(&mut at.pending) {
        return true;
    }
    let Some(sender) = walker.interface(&at.source.clone()) else { return false };
    let nobody = BTreeSet::new();
    let groups = receiver.map_or(&nobody, |receiver| &receiver.security_groups);
    let state = if at.translated { State::Untracked } else { state_of(walker, at, sender) };
    let judged = judged(at, &state, Direction::Egress);
    match allowing(walker, sender, &state, judged.as_ref(), Direction::Egress, groups) {
        Some((group, rule)) => {
            let direction = Direction::Egress;
            walker.step(at, group, Decision::GroupAllows { rule: Some(rule), direction });
            track(walker, at, sender, &state, direction, true);
            true
        }
        None => {
            refuse_by_groups(walker, at, sender, Direction::Egress);
            false
        }
    }
}

pub(super) fn filter_of<'a>(walker: &Walker<'a>, interface: &Interface) -> Option<&'a Filter> {
    let id = walker.topology.filters_of_interface(&interface.uuid).into_iter().next()?;
    walker.topology.filters().get(&id).map(AsRef::as_ref)
}

/// What the interface's tracker makes of a packet.
fn state_of(walker: &Walker<'_>, at: &Journey, interface: &Interface) -> State {
    let ip = match &at.packet.content {
        Content::Ip(ip) => ip,
        // No tracker can read it.
        Content::Other { ether_type: bytes::IPV4 | bytes::IPV6 } => return State::Invalid,
        Content::Arp(_) | Content::Other { .. } => return State::Untracked,
    };
    if !ip.is_ipv4() && ip.icmp().is_some_and(|(kind, _)| UNTRACKED.contains(&kind)) {
        return State::Untracked;
    }
    if ip.fragment != Fragment::Whole {
        return State::Fragment;
    }
    let tracker = Tracker::Interface(interface.uuid.clone());
    let known = |tuple| {
        let found = walker.walk.connections.find(&tracker, tuple);
        found.map(|(connection, way)| State::Known(connection.clone(), way))
    };
    let about = match &ip.payload {
        Payload::Icmp(icmp) => icmp.about.as_ref(),
        _ => None,
    };
    if let Some(about) = about {
        // RFC 5508, section 4: an error is of the connection that it is about.
        return Tuple::of(about).and_then(known).unwrap_or(State::Invalid);
    }
    let Some(tuple) = Tuple::of(ip) else { return State::Invalid };
    known(tuple).unwrap_or_else(|| if may_begin(ip, tuple) { State::New(tuple) } else { State::Invalid })
}

/// Whether a packet can be the first of a connection that a tracker sees: not an answer.
pub(super) fn may_begin(ip: &IpPacket, tuple: Tuple) -> bool {
    match (&ip.payload, tuple.ends) {
        // RFC 9293, section 3.5: what takes a connection up is the second packet of it. Others may be of one that is older
        // than the tracker.
        (Payload::Tcp { flags, .. }, _) => !(flags.syn && flags.ack),
        (_, Ends::Echo { kind, .. }) => kind == if ip.protocol() == protocol::ICMP { 8 } else { 128 },
        _ => true,
    }
}

fn judged(at: &Journey, state: &State, direction: Direction) -> Option<Judged> {
    match state {
        State::Known(connection, _) => {
            Some(Judged { said: connection.original.into(), direction: connection.began })
        }
        State::New(_) | State::Untracked => {
            let said = match &at.packet.content {
                Content::Ip(ip) => ip.into(),
                Content::Arp(arp) => arp.into(),
                Content::Other { ether_type } => Said::of_malformed(*ether_type)?,
            };
            Some(Judged { said, direction })
        }
        State::Invalid | State::Fragment => None,
    }
}

/// Whether the filter lets a packet pass, and then whether it wants the connection kept.
fn by_filter(
    walker: &mut Walker<'_>,
    at: &Journey,
    (interface, filter): (&Interface, Option<&Filter>),
    (state, judged, direction): (&State, Option<&Judged>, Direction),
) -> Option<bool> {
    let Some(filter) = filter else {
        let remedy = format!("create a filter for {}, or turn enable_filtering off", interface.uuid);
        refuse_by_filter(walker, at, interface.uuid.clone().into(), direction, remedy);
        return None;
    };
    if let State::Invalid = state {
        let remedy =
            format!("begin the connection anew: {} knows none that this packet is of", interface.uuid);
        refuse_by_filter(walker, at, filter.uuid.clone().into(), direction, remedy);
        return None;
    }
    let began = judged.map_or(direction, |judged| judged.direction);
    let rule = judged.and_then(|judged| {
        let mut rules = filter.rules.iter().enumerate();
        rules.find(|(_, rule)| {
            rule.is_for(judged.direction)
                && Pattern::from(*rule).fits(&judged.said, judged.direction, &walker.looked)
        })
    });
    let passes = match (rule, began) {
        (Some((_, rule)), _) => matches!(rule.action, FilterAction::Pass | FilterAction::Conn),
        (None, Direction::Ingress) => filter.ingress_passthrough,
        (None, Direction::Egress) => filter.egress_passthrough,
    };
    let number = rule.map(|(number, _)| number);
    if passes {
        walker.step(at, filter.uuid.clone(), Decision::FilterPasses { rule: number, direction });
        return Some(rule.is_some_and(|(_, rule)| rule.action == FilterAction::Conn));
    }
    if rule.is_some_and(|(_, rule)| rule.action == FilterAction::Reject) {
        walker.answer(at, filter.uuid.clone(), Answer::Rejected, None);
        return None;
    }
    let way = match began {
        Direction::Ingress => "ingress",
        Direction::Egress => "egress",
    };
    let remedy = match number {
        Some(number) => format!("remove rule {number} of {}, or add one that counts before it", filter.uuid),
        None => format!("add a rule that passes it to {}, or set its {way}_passthrough", filter.uuid),
    };
    refuse_by_filter(walker, at, filter.uuid.clone().into(), direction, remedy);
    None
}

fn refuse_by_filter(
    walker: &mut Walker<'_>,
    at: &Journey,
    by: ObjectRef,
    direction: Direction,
    remedy: String,
) {
    let reason = match direction {
        Direction::Ingress => Reason::FilteredIn,
        Direction::Egress => Reason::FilteredOut,
    };
    walker.drop(at, by, reason, remedy);
}

/// Whether the interface's groups allow a packet, and then whether they want the connection kept.
fn by_groups(
    walker: &mut Walker<'_>,
    at: &mut Journey,
    interface: &Interface,
    (state, judged, direction): (&State, Option<&Judged>, Direction),
) -> Option<bool> {
    if is_always_allowed(walker, at, direction) {
        let object = interface.uuid.clone();
        walker.step(at, object, Decision::GroupAllows { rule: None, direction });
        return Some(false);
    }
    let others = match direction {
        Direction::Ingress => at.groups.clone(),
        // Who receives it is not known yet.
        Direction::Egress => BTreeSet::new(),
    };
    if let Some((group, rule)) = allowing(walker, interface, state, judged, direction, &others) {
        walker.step(at, group, Decision::GroupAllows { rule: Some(rule), direction });
        return Some(true);
    }
    let may_be_for_member = direction == Direction::Egress
        && matches!(state, State::New(_) | State::Known(..))
        && rules_of(walker, interface).any(|(_, _, rule)| rule.remote_group_uuid.is_some());
    if may_be_for_member {
        at.pending = true;
        return Some(false);
    }
    refuse_by_groups(walker, at, interface, direction);
    None
}

/// The rule that allows a packet, if the other end is in these groups.
fn allowing(
    walker: &Walker<'_>,
    interface: &Interface,
    state: &State,
    judged: Option<&Judged>,
    direction: Direction,
    others: &BTreeSet<SecurityGroupId>,
) -> Option<(SecurityGroupId, usize)> {
    let judged = judged.filter(|_| matches!(state, State::New(_) | State::Known(..)))?;
    let is_new = matches!(state, State::New(_));
    let allows = |rule: &crate::security_group::GroupRule| {
        // What has begun one way is answered the other way by the same rule.
        (if is_new { rule.direction == direction } else { rule.direction == judged.direction })
            && rule.remote_group_uuid.as_ref().is_none_or(|group| others.contains(group))
            && Pattern::from(rule).fits(&judged.said, rule.direction, &walker.looked)
    };
    let mut rules = rules_of(walker, interface);
    rules.find(|(_, _, rule)| allows(rule)).map(|(group, number, _)| (group, number))
}

fn rules_of<'a>(
    walker: &Walker<'a>,
    interface: &Interface,
) -> impl Iterator<Item = (SecurityGroupId, usize, &'a crate::security_group::GroupRule)> {
    let groups = interface.security_groups.iter();
    let groups = groups.filter_map(|id| walker.topology.security_groups().get(id)).collect::<Vec<_>>();
    groups.into_iter().flat_map(|group| {
        group.rules.iter().enumerate().map(|(number, rule)| (group.uuid.clone(), number, rule))
    })
}

/// What no group can forbid: address resolution, and asking for an address.
fn is_always_allowed(walker: &Walker<'_>, at: &Journey, direction: Direction) -> bool {
    match &at.packet.content {
        Content::Arp(_) | Content::Other { ether_type: bytes::ARP } => true,
        Content::Ip(ip) => {
            let asks = direction == Direction::Egress && service::asks_for_address(walker, ip).is_some();
            // Queries are a router's word about groups, not a neighbour's about itself.
            let resolves = |(kind, _)| !ip.is_ipv4() && kind != 130 && UNTRACKED.contains(&kind);
            asks || ip.icmp().is_some_and(resolves)
        }
        Content::Other { .. } => false,
    }
}

fn refuse_by_groups(walker: &mut Walker<'_>, at: &Journey, interface: &Interface, direction: Direction) {
    let (reason, way) = match direction {
        Direction::Ingress => (Reason::NotAllowedIn, "ingress"),
        Direction::Egress => (Reason::NotAllowedOut, "egress"),
    };
    let remedy = format!("add an {way} rule to a security group of {}", interface.uuid);
    walker.drop(at, interface.uuid.clone(), reason, remedy);
}

fn track(
    walker: &mut Walker<'_>,
    at: &Journey,
    interface: &Interface,
    state: &State,
    direction: Direction,
    keep: bool,
) {
    let known = match state {
        State::Known(_, way) => Some(*way),
        State::New(tuple) if keep => {
            let Some(reply) = tuple.turned() else { return };
            let tracker = Tracker::Interface(interface.uuid.clone());
            walker.walk.connections.insert(Connection {
                tracker,
                began: direction,
                original: *tuple,
                reply,
                assumes_port: false,
            });
            None
        }
        State::New(_) | State::Untracked | State::Invalid | State::Fragment => return,
    };
    walker.step(at, interface.uuid.clone(), Decision::Tracked { known });
}
