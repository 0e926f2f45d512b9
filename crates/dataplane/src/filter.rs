//! Flows of what protects an interface: its filter, and the tracking of its connections.
//!
//! # A packet's way
//! ```text
//! SOURCE ──> TRACK_OUT ─> FILTER_OUT ─> GROUP_OUT ─> COMMIT_OUT ─> ANSWER …      at its sender's host
//! DELIVER ─> TRACK_IN ──> FILTER_IN ──> GROUP_IN ──> COMMIT_IN ──> OUTPUT        at its receiver's
//! ```
//! Who is not protected passes each of the first by the table's last flow, and never meets the second.
//!
//! # Connections
//! An interface's connections are tracked in a zone of its own, and every packet, of either direction, is judged by the
//! connection's first one, which conntrack keeps (`ct_nw_src` and so on, ovs-fields(7)). So what conntrack remembers permits
//! nothing by itself: a rule that goes away stops running connections both ways. What is related to a connection (RFC 5508;
//! the data connections of FTP) is judged as that is.

use std::net::IpAddr;

use ipnet::IpNet;
use openflow::{Action, Controller, Ct, CtZone, Field, Flow, Instructions, Match, OfPort, PacketInReason};
use openflow::{SubField, TableId, ct_state};
use topology::filter::{Filter, FilterAction, FilterRule};
use topology::interface::Interface;
use topology::traffic::{Direction, Protocol};
use topology::{DomainId, IdentityKey, InterfaceId};

use crate::base::{REQUEST, drop, flow, resolve_ipv4};
use crate::cookie::{Owner, Purpose};
use crate::layout::*;
use crate::rule::{By, IN, OUT, Pattern, Stage, UNKNOWN, began, go, reverse};
use crate::security::allowed_addresses;
use crate::view::{Place, View, flagged, from_interface, in_domain};
use crate::{identity, limit};

/// Lowest priority of a rule's flows.
const RULES: u16 = 10;

/// Lowest priority of flows that judge questions for an interface's address: above those that answer any.
const QUESTIONS: u16 = 200;

/// Zones are numbers of ports; those from here on are for other things.
const ZONES: u16 = 0x7fff;

/// The port of FTP's control connections, whose data connections only a helper can tell (RFC 959).
const FTP: u16 = 21;

/// Protocol number of TCP.
const TCP: u8 = 6;

/// Neighbour discovery and multicast listener discovery, which conntrack has no connections for (RFC 4861, section 4; RFC
/// 2710, section 3; RFC 3810, section 5).
const UNTRACKED: [u8; 9] = [130, 131, 132, 133, 134, 135, 136, 137, 143];

/// Flows that are there whatever is protected.
pub(crate) fn base() -> Vec<Flow> {
    let on = |table, next| flow(table, 0, Match::new(), Instructions::goto(next));
    let in_segment = flagged(Match::new(), SEGMENT, SEGMENT);
    let mut flows = vec![
        on(TRACK_OUT, FILTER_OUT),
        on(FILTER_OUT, GROUP_OUT),
        on(COMMIT_OUT, ANSWER),
        flow(COMMIT_OUT, 10, in_segment, Instructions::goto(DESTINATION)),
        on(TRACK_IN, FILTER_IN),
        on(FILTER_IN, GROUP_IN),
        on(COMMIT_IN, OUTPUT),
        drop(REFUSED_OUT, 0, Match::new(), Purpose::FilteredOut),
        drop(REFUSED_IN, 0, Match::new(), Purpose::FilteredIn),
        log(),
    ];
    let permitted = |flags, mask| flagged(Match::new(), flags | COMMIT, mask | COMMIT);
    flows.extend(commit(COMMIT_IN, &permitted(0, 0), Direction::Ingress, OUTPUT));
    flows.extend(commit(COMMIT_OUT, &permitted(0, SEGMENT), Direction::Egress, ANSWER));
    flows.extend(commit(COMMIT_OUT, &permitted(SEGMENT, SEGMENT), Direction::Egress, DESTINATION));
    for stage in [OUT, IN] {
        let untracked = UNTRACKED.map(|kind| Match::new().icmpv6(kind));
        let on = |matching| flow(stage.track, 110, matching, Instructions::goto(stage.filter));
        flows.extend(untracked.map(on));
    }
    flows.extend(identity::base());
    flows
}

/// Shows the agent what is to be written down, within a limit.
fn log() -> Flow {
    let show = Controller {
        reason: PacketInReason::ApplyAction,
        userdata: Question::Logged.userdata(),
        ..Controller::default()
    };
    let show = Instructions::apply([Action::Meter(LOG_METER), Action::Controller(show)]);
    // Not 0: what such a flow shows is a table miss (OpenFlow 1.5.1, section 5.4), which agents do not ask for.
    flow(LOG, 1, Match::new(), show)
}

/// Keeps connections that rules let begin. Whatever was known of the connection is no field of the packet afterwards
/// (`flow_clear_conntrack` in Open vSwitch), so nobody may ask for it.
pub(crate) fn commit(table: TableId, among: &Match, direction: Direction, next: TableId) -> Vec<Flow> {
    let mark = Action::set_field(Field::CtMark, began(direction));
    let kept = Action::set_field_masked(Field::Reg(FLAGS), 0_u32, COMMIT);
    let keep = |alg, exec| {
        let zone = CtZone::Field(SubField::whole(Field::CtZone));
        let commit = Action::Ct(Box::new(Ct { commit: true, zone, alg, exec, ..Ct::default() }));
        Instructions::apply([commit, kept.clone(), Action::resubmit(next)])
    };
    let new = |related| {
        let new = ct_state::TRK | ct_state::NEW;
        let among = among.clone().ct_state(new | related, new | ct_state::REL);
        [among.clone().ip(), among.ipv6()]
    };
    // What its sender's rules have let begin is known already where a router brings it back to its sender: it stays his.
    let begins = || new(0).map(|matching| matching.ct_mark(UNKNOWN)).into_iter();
    let first = begins().map(|matching| flow(table, 100, matching, keep(0, vec![mark.clone()])));
    let related = new(ct_state::REL).map(|matching| flow(table, 100, matching, keep(0, Vec::new())));
    let ftp = begins().map(|matching| {
        let control = matching.with(Field::IpProto, TCP).tcp_dst(FTP);
        flow(table, 110, control, keep(FTP, vec![mark.clone()]))
    });
    first.chain(related).chain(ftp).collect()
}

/// All flows of what protects an interface.
pub(crate) fn flows(view: View<'_>, id: &InterfaceId) -> Vec<Flow> {
    let Some(interface) = view.topology.interfaces().get(id).filter(|of| is_protected(of)) else {
        return Vec::new();
    };
    let Some(place) = view.place(interface) else { return Vec::new() };
    let filter = filter_of(view, interface);
    let mut flows = questions(view, interface, filter);
    if let Place::Here(port) = place {
        flows.extend(here(interface, port, filter));
    }
    let cookie = Owner::Filter(interface.key).cookie();
    flows.into_iter().map(|flow| flow.with_cookie(cookie)).collect()
}

/// Who may ask for the interface's addresses in networks: the asker's own switch answers ARP, so it judges it.
fn questions(view: View<'_>, interface: &Interface, filter: Option<&Filter>) -> Vec<Flow> {
    let rules = filter.map_or(&[][..], |filter| &filter.rules).iter();
    let rules: Vec<_> =
        rules.filter(|rule| rule.protocol == Protocol::Arp && rule.is_for(Direction::Ingress)).collect();
    let passes = filter.is_some_and(|filter| filter.ingress_passthrough);
    if !interface.enable_filtering || passes && rules.is_empty() {
        return Vec::new();
    }
    let answered =
        |passes| if passes { resolve_ipv4() } else { Instructions::apply([Action::resubmit(REFUSED_IN)]) };
    let mut flows = Vec::new();
    let mut attachments = view.attachments(&interface.uuid);
    let allowed = attachments.first().map(|of| allowed_addresses(interface, of, &attachments));
    if let Some(of) = attachments.first_mut() {
        of.addresses.extend(allowed.unwrap_or_default().into_keys());
    }
    for of in attachments.iter().filter(|of| matches!(of.domain, DomainId::Network(_))) {
        for address in of.addresses.iter().filter_map(|address| match address {
            IpAddr::V4(address) => Some(*address),
            IpAddr::V6(_) => None,
        }) {
            let asked = || in_domain(of.key).arp().arp_op(REQUEST).arp_tpa(address);
            let about =
                |rule: &FilterRule| rule.dst_address.is_none_or(|net| net.contains(&IpAddr::V4(address)));
            let about = rules.iter().rev().filter(|rule| about(rule));
            for (priority, rule) in (QUESTIONS + 1..).zip(about) {
                let asked = match rule.src_address {
                    Some(IpNet::V4(net)) => asked().with_masked(Field::ArpSpa, net.network(), net.netmask()),
                    _ => asked(),
                };
                let passes = rule.action == FilterAction::Pass;
                flows.push(Flow::new(ANSWER, priority, asked, answered(passes)));
            }
            flows.push(Flow::new(ANSWER, QUESTIONS, asked(), answered(passes)));
        }
    }
    flows
}

/// Flows of a protected interface that is on this host.
fn here(interface: &Interface, port: OfPort, filter: Option<&Filter>) -> Vec<Flow> {
    let stateful = interface.identity.is_some() || filter.is_some_and(Filter::is_stateful);
    let to = Match::new().reg(DESTINATION_INTERFACE, interface.key.0);
    let output = Instructions::apply([limit::output(interface, port)]);
    let mut flows = vec![Flow::new(OUTPUT, 100, to, output)];
    for stage in [OUT, IN] {
        if stateful {
            flows.extend(track(interface, port, &stage));
        }
        if interface.enable_filtering {
            flows.extend(judge(interface, filter, stateful, &stage));
        }
    }
    flows
}

/// Whether there is anything to judge.
pub(crate) fn is_protected(interface: &Interface) -> bool {
    interface.enable_filtering || interface.identity.is_some()
}

fn filter_of<'a>(view: View<'a>, interface: &Interface) -> Option<&'a Filter> {
    let filter = view.topology.filters_of_interface(&interface.uuid).into_iter().next()?;
    view.topology.filters().get(&filter).map(AsRef::as_ref)
}

/// The interface's own packets, in a stage.
fn of_interface(interface: &Interface, stage: &Stage) -> Match {
    match stage.direction {
        Direction::Egress => from_interface(Match::new(), interface.key),
        Direction::Ingress => Match::new().reg(DESTINATION_INTERFACE, interface.key.0),
    }
}

/// Looks connections up, in the zone of the interface's port.
fn track(interface: &Interface, port: OfPort, stage: &Stage) -> Vec<Flow> {
    let own = || of_interface(interface, stage);
    let number = u16::try_from(port.0 & u32::from(ZONES)).unwrap_or(ZONES);
    let zone = CtZone::Number(number);
    let look = Action::Ct(Box::new(Ct { zone, table: Some(stage.filter), ..Ct::default() }));
    let look = Instructions::apply(match stage.direction {
        Direction::Egress => vec![look],
        // Whether its sender's rules wanted the connection kept is nothing to its receiver's.
        Direction::Ingress => vec![Action::set_field_masked(Field::Reg(FLAGS), 0_u32, COMMIT), look],
    });
    let tracked = [own().ip(), own().ipv6()];
    tracked.map(|matching| Flow::new(stage.track, 100, matching, look.clone())).into()
}

/// What the filter says in a stage, rule by rule.
fn judge(interface: &Interface, filter: Option<&Filter>, stateful: bool, stage: &Stage) -> Vec<Flow> {
    let own = of_interface(interface, stage);
    let rules = filter.map_or(&[][..], |filter| &filter.rules);
    let mut flows = Vec::new();
    for (priority, rule) in (RULES..).zip(rules.iter().rev()) {
        let pattern = Pattern::from(rule);
        for (direction, by) in ways(stage, stateful) {
            let fitting = Some(direction).filter(|direction| rule.is_for(*direction));
            let fitting = fitting.map(|direction| pattern.matches(&own, direction, by));
            let does = || verdict(rule, stage);
            flows.extend(
                fitting
                    .into_iter()
                    .flatten()
                    .map(|matching| Flow::new(stage.filter, priority, matching, does())),
            );
        }
    }
    flows.extend(rest(filter, &own, stateful, stage));
    flows
}

/// By what packets of a stage are judged: each is of one of these kinds.
fn ways(stage: &Stage, stateful: bool) -> Vec<(Direction, By)> {
    let own = stage.direction;
    if !stateful {
        return vec![(own, By::Header)];
    }
    vec![(own, By::New), (own, By::Kept), (reverse(own), By::Kept), (own, By::Untracked)]
}

/// What no rule fits.
fn rest(filter: Option<&Filter>, own: &Match, stateful: bool, stage: &Stage) -> Vec<Flow> {
    let passes = |direction| {
        filter.is_some_and(|filter| match direction {
            Direction::Ingress => filter.ingress_passthrough,
            Direction::Egress => filter.egress_passthrough,
        })
    };
    let next = |passes| if passes { stage.group } else { stage.refused };
    let mut flows = vec![go(stage.filter, 1, own.clone(), next(passes(stage.direction)))];
    if stateful {
        let tracked = own.clone().ct_state(ct_state::TRK, ct_state::TRK | ct_state::INV);
        let other = reverse(stage.direction);
        let of_other = next(passes(other));
        flows.push(go(stage.filter, 2, tracked.ct_mark(began(other)), of_other));
        // What conntrack can make nothing of belongs to nothing that was let in.
        let invalid = own.clone().ct_state(ct_state::TRK | ct_state::INV, ct_state::TRK | ct_state::INV);
        flows.push(go(stage.filter, 3, invalid, stage.refused));
    }
    flows
}

fn verdict(rule: &FilterRule, stage: &Stage) -> Instructions {
    let mut actions = Vec::new();
    if rule.log {
        // A copy: what is too much to write down still goes where it goes.
        actions.push(Action::Clone(vec![Action::resubmit(LOG)]));
    }
    let next = match rule.action {
        FilterAction::Pass => stage.group,
        FilterAction::Conn => {
            actions.push(flag(COMMIT));
            stage.group
        }
        FilterAction::Drop => stage.refused,
        FilterAction::Reject => {
            actions.extend(to_agent(Question::Rejected));
            stage.refused
        }
    };
    let told = Instructions::apply(actions.clone()).then_goto(next);
    if actions.is_empty() { Instructions::goto(next) } else { told }
}

/// Says whose member the sender is.
pub(crate) fn identified(identity: Option<IdentityKey>) -> Option<Action> {
    identity.map(|key| Action::set_field_masked(Field::Reg(FLAGS), key.0 << IDENTITY_BIT, IDENTITY))
}
