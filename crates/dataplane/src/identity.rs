//! Flows of an identity, a distinct set of security groups: what its members may send and receive.
//!
//! They name identities rather than members, so that their number follows the rules and the identities there are. A packet
//! carries its sender's (in [`FLAGS`], and in the tunnel's option), and the flow that finds its receiver knows that one's.
//!
//! A rule about addresses is judged before a packet leaves; one about groups once its receiver is found ([`PENDING`]), and
//! again there. Only what conntrack knows the first packet of can be judged: see [`crate::filter`].

use std::collections::{BTreeMap, BTreeSet};

use openflow::{Action, Field, Flow, Instructions, Match, TableId, ct_state};
use topology::security_group::GroupRule;
use topology::traffic::Direction;
use topology::{IdentityKey, SecurityGroupId, Topology};

use crate::base::{DHCP_CLIENT, DHCP_SERVER, DHCPV6_CLIENT, DHCPV6_SERVER, ROUTER_SOLICITATION, drop, flow};
use crate::cookie::{Owner, Purpose};
use crate::filter::commit;
use crate::layout::*;
use crate::program::FlowKey;
use crate::rule::{By, IN, OUT, Pattern, Stage, from_identity, to_identity};
use crate::view::{View, flagged};

/// Router advertisement, solicitation and advertisement of neighbours, redirect (RFC 4861, section 4), and reports of
/// multicast listeners (RFC 2710, section 3; RFC 3810, section 5).
const ALWAYS: [u8; 8] = [131, 132, ROUTER_SOLICITATION, 134, 135, 136, 137, 143];

/// Flows that are there whatever groups there are.
pub(crate) fn base() -> Vec<Flow> {
    let nobody = Match::new().reg_masked(FLAGS, 0, IDENTITY);
    let to_nobody = Match::new().reg(DESTINATION_IDENTITY, 0);
    let mut flows = vec![
        flow(GROUP_OUT, 300, nobody, Instructions::goto(COMMIT_OUT)),
        flow(GROUP_IN, 300, to_nobody, Instructions::goto(COMMIT_IN)),
        drop(GROUP_OUT, 0, Match::new(), Purpose::NotAllowedOut),
        drop(GROUP_TO, 0, Match::new(), Purpose::NotAllowedOut),
        drop(GROUP_IN, 0, Match::new(), Purpose::NotAllowedIn),
    ];
    for stage in [OUT, IN] {
        let always = ALWAYS.map(|kind| Match::new().icmpv6(kind)).into_iter().chain([Match::new().arp()]);
        flows.extend(always.map(|what| flow(stage.group, 250, what, Instructions::goto(stage.commit))));
    }
    let asks = |client, server| Match::new().udp().udp_src(client).udp_dst(server);
    let dhcp = [
        asks(DHCP_CLIENT, DHCP_SERVER),
        Match::new().ipv6().with(Field::IpProto, 17_u8).udp_src(DHCPV6_CLIENT).udp_dst(DHCPV6_SERVER),
    ];
    flows.extend(dhcp.map(|what| flow(GROUP_OUT, 250, what, Instructions::goto(COMMIT_OUT))));
    flows.extend(pending());
    flows
}

/// Takes what waits for its receiver's identity to where it is judged, and on.
fn pending() -> Vec<Flow> {
    let waits = || flagged(Match::new(), PENDING, PENDING);
    let judge = || Instructions::apply([Action::resubmit(GROUP_TO)]);
    let on = |priority, matching, next| {
        let passed = Action::set_field_masked(Field::Reg(FLAGS), 0_u32, PENDING);
        flow(GROUP_PASSED, priority, matching, Instructions::apply([passed]).then_goto(next))
    };
    let mut flows = vec![
        flow(PEER, 300, waits(), judge()),
        flow(DELIVER, 300, waits(), judge()),
        on(10, Match::new().reg(DESTINATION_HOST, 0), DELIVER),
        on(0, Match::new(), PEER),
    ];
    flows.extend(commit(
        GROUP_PASSED,
        &flagged(Match::new(), COMMIT, COMMIT),
        Direction::Egress,
        GROUP_PASSED,
    ));
    flows
}

/// All flows of an identity that an interface on this host has.
pub(crate) fn flows(view: View<'_>, key: IdentityKey) -> Vec<Flow> {
    if !view.has_identity(key) {
        return Vec::new();
    }
    let Some(member) = view.topology.interface_of_identity(key) else { return Vec::new() };
    let groups = member.security_groups.iter().filter_map(|group| view.topology.security_groups().get(group));
    let mut flows = Vec::new();
    for rule in groups.flat_map(|group| &group.rules) {
        match &rule.remote_group_uuid {
            None => flows.extend(with_addresses(key, rule)),
            Some(group) => {
                for remote in holders(view.topology, group) {
                    flows.extend(with_group(key, rule, remote));
                }
                flows.extend(waiting(key));
            }
        }
    }
    // Two rules may say the same of some packets, and to be allowed twice is to be allowed.
    let cookie = Owner::Identity(key).cookie();
    let once: BTreeMap<_, _> = flows.into_iter().map(|flow| (FlowKey::from(&flow), flow)).collect();
    once.into_values().map(|flow| flow.with_cookie(cookie)).collect()
}

/// The identities that are in a group, among others perhaps.
pub(crate) fn holders(topology: &Topology, group: &SecurityGroupId) -> BTreeSet<IdentityKey> {
    let holds = topology.identities().filter(|(_, groups)| groups.contains(group));
    holds.map(|(key, _)| key).collect()
}

/// A rule about addresses, or about anyone.
fn with_addresses(key: IdentityKey, rule: &GroupRule) -> Vec<Flow> {
    let out = allowed(&OUT, OUT.group, &from_identity(Match::new(), key), rule, OUT.commit);
    let into = allowed(&IN, IN.group, &to_identity(Match::new(), key), rule, IN.commit);
    [out, into].concat()
}

/// A rule about members of a group, for those of one identity.
fn with_group(key: IdentityKey, rule: &GroupRule, remote: IdentityKey) -> Vec<Flow> {
    let out = to_identity(from_identity(Match::new(), key), remote);
    let into = from_identity(to_identity(Match::new(), key), remote);
    let out = allowed(&OUT, GROUP_TO, &out, rule, GROUP_PASSED);
    [out, allowed(&IN, IN.group, &into, rule, IN.commit)].concat()
}

/// What a rule allows in one stage: to begin, or to answer what has begun the other way.
fn allowed(stage: &Stage, table: TableId, among: &Match, rule: &GroupRule, next: TableId) -> Vec<Flow> {
    let begins = Some(By::New).filter(|_| rule.direction == stage.direction);
    let ways = begins.into_iter().chain([By::Kept]);
    let fitting = ways.flat_map(|by| Pattern::from(rule).matches(among, rule.direction, by));
    let does = || Instructions::apply([flag(COMMIT)]).then_goto(next);
    fitting.map(|matching| Flow::new(table, 100, matching, does())).collect()
}

/// What no rule about addresses allows may be for a member of the right group. Its connection is kept, if at all, once
/// that is known.
fn waiting(key: IdentityKey) -> Vec<Flow> {
    let waits = from_identity(Match::new(), key).ct_state(ct_state::TRK, ct_state::TRK | ct_state::INV);
    let waits = [waits.clone().ip(), waits.ipv6()];
    let wait = Action::set_field_masked(Field::Reg(FLAGS), PENDING, PENDING | COMMIT);
    let does = || Instructions::apply([wait.clone()]).then_goto(OUT.commit);
    waits.map(|matching| Flow::new(OUT.group, 50, matching, does())).into()
}
