//! What all translations of a leg have in common: how packets come to be translated, what has no port, and what is
//! nobody's.

use std::collections::BTreeSet;
use std::net::IpAddr;

use openflow::{Action, Bucket, BucketId, Flow, Group, GroupId, GroupType, Instructions, Match};
use topology::HostKey;
use topology::interface::Interface;
use topology::translation::Translation;

use super::entry::internal;
use super::{ANY, ECHO, EXPIRED, ICMP, Leg, OWN_ADDRESS, PASS, to_host};
use crate::domain::MAX_BUCKETS;
use crate::layout::*;
use crate::view::{Attachment, Place, View, flagged, in_domain};

/// ICMP errors (RFC 792; RFC 4443, section 3). Not source quench and redirect: RFC 6633 and RFC 5508, section 7.
const ERRORS: [u8; 3] = [3, 11, 12];
const ERRORS_V6: [u8; 4] = [1, 2, 3, 4];

/// Echo requests and replies (RFC 792; RFC 4443, section 4).
const ECHO_REQUEST: u8 = 8;
const ECHO_REPLY: u8 = 0;
const ECHO_REQUEST_V6: u8 = 128;
const ECHO_REPLY_V6: u8 = 129;

/// Groups of legs; those of routes are below.
const GROUPS: u32 = 3 << 30;
/// Groups of one leg, in bits of their numbers: 32,000 hosts.
const GROUPS_OF_LEG: u32 = 5;

/// Flows and groups of an interface as a leg at which addresses are translated.
pub(crate) fn flows(
    view: View<'_>,
    interface: &Interface,
    place: Place,
    attachments: &[Attachment],
) -> (Vec<Flow>, Vec<Group>) {
    if !view.translates(interface) {
        return (Vec::new(), Vec::new());
    }
    let mut flows: Vec<_> = attachments.iter().flat_map(|of| entrance(view, interface, place, of)).collect();
    let translations = view.translations(interface);
    if translations.iter().any(|translation| translation.passthrough) {
        let out = Match::new().reg(TRANSLATION, interface.key.0);
        let into = Match::new().reg(DESTINATION_INTERFACE, interface.key.0);
        flows.push(Flow::new(TRANSLATE_OUT, PASS, out, Instructions::apply([Action::resubmit(NEXT_HOP)])));
        // No tracker of the leg has looked at it: what that of its sender knows may still be asked for.
        let pass = [flag(TRANSLATED), Action::resubmit(SIMULATED)];
        flows.push(Flow::new(TRANSLATE_IN, PASS, into, Instructions::apply(pass)));
        flows.extend(attachments.iter().map(pass_errors));
    }
    let Some(leg) = translations.first().and_then(|translation| Leg::of(view, translation)) else {
        return (flows, Vec::new());
    };
    let shared = shared(&translations);
    let groups = if shared.is_empty() { Vec::new() } else { hosts(&leg, &translations) };
    flows.extend(errors_out(&leg));
    flows.extend(shared.into_iter().flat_map(|external| of_shared(&leg, external, &groups)));
    (flows, groups)
}

/// Errors about what has passed as it is: they are of no connection that is tracked.
fn pass_errors(of: &Attachment) -> Flow {
    let matching = in_domain(of.key).eth_src(of.mac.0).reg(TRANSLATION, ANY);
    let on = [Action::CtClear, Action::resubmit(NEXT_HOP)];
    Flow::new(TRANSLATED_OUT, PASS, matching, Instructions::apply(on))
}

/// How packets come to be translated: from here, or sent here for it.
fn entrance(view: View<'_>, interface: &Interface, place: Place, of: &Attachment) -> Vec<Flow> {
    let at_leg = || in_domain(of.key).reg(DESTINATION_INTERFACE, interface.key.0);
    let translate = || Instructions::goto(TRANSLATE_IN);
    let mut flows = Vec::new();
    if place == Place::Simulated {
        flows.push(Flow::new(SIMULATED, 300, flagged(at_leg(), 0, TRANSLATED), translate()));
    }
    if interface.owner() != Some(&view.local.datapath) {
        flows.push(Flow::new(DELIVER, 100, at_leg(), translate()));
        // VXLAN and GRE name no interface.
        let named = flagged(in_domain(of.key).eth_dst(of.mac.0), FROM_TUNNEL, FROM_TUNNEL);
        let found = Instructions::apply([set(DESTINATION_INTERFACE, interface.key.0)]);
        flows.push(Flow::new(DESTINATION, 110, named, found.then_goto(TRANSLATE_IN)));
    }
    flows
}

/// The external addresses that do not stand for one internal address as a whole.
fn shared(translations: &[&Translation]) -> BTreeSet<IpAddr> {
    let entries = translations.iter().flat_map(|of| &of.static_addresses);
    let by_port = entries.filter(|entry| entry.ports.is_some()).map(|entry| entry.external);
    by_port.chain(translations.iter().flat_map(|of| of.external_addresses.iter().copied())).collect()
}

/// What guests say of connections: whose it is, the connection tells.
fn errors_out(leg: &Leg<'_>) -> Vec<Flow> {
    let errors = ERRORS
        .map(|kind| leg.out().icmp(kind))
        .into_iter()
        .chain(ERRORS_V6.map(|kind| leg.out().icmpv6(kind)));
    let track = |matching| {
        Flow::new(TRANSLATE_OUT, EXPIRED, matching, Instructions::apply(leg.track(ANY, None, TRANSLATED_OUT)))
    };
    errors.map(track).collect()
}

/// What has no port, and what has no entry.
fn of_shared(leg: &Leg<'_>, external: IpAddr, groups: &[Group]) -> Vec<Flow> {
    let Some(to) = leg.to(external) else { return Vec::new() };
    let icmp = |kind| if external.is_ipv4() { to.clone().icmp(kind) } else { to.clone().icmpv6(kind) };
    let (request, reply, errors) = match external {
        IpAddr::V4(_) => (ECHO_REQUEST, ECHO_REPLY, &ERRORS[..]),
        IpAddr::V6(_) => (ECHO_REQUEST_V6, ECHO_REPLY_V6, &ERRORS_V6[..]),
    };
    let own = |priority, matching| {
        Flow::new(TRANSLATE_IN, priority, matching, Instructions::apply([Action::resubmit(OWN)]))
    };
    let here = leg.track(ANY, None, TRANSLATED_IN);
    let everywhere: Vec<_> = groups.iter().map(|group| Action::Group(group.id)).chain(here.clone()).collect();
    let mut flows = vec![own(ECHO, icmp(request)), own(OWN_ADDRESS, to.clone())];
    for kind in errors.iter().chain([&reply]) {
        flows.extend(leg.send_on(ICMP, &icmp(*kind), &everywhere));
        if !leg.is_owned() {
            let from_tunnel = flagged(icmp(*kind), FROM_TUNNEL, FROM_TUNNEL);
            flows.push(Flow::new(TRANSLATE_IN, ICMP, from_tunnel, Instructions::apply(here.clone())));
        }
    }
    flows
}

/// All other hosts that may know a connection of a shared address.
fn hosts(leg: &Leg<'_>, translations: &[&Translation]) -> Vec<Group> {
    let sharing = translations.iter().flat_map(|of| of.hosts(leg.view.topology));
    let sharing = sharing.filter_map(|id| leg.view.peer(&id)).map(|datapath| datapath.key);
    let entries = translations.iter().flat_map(|of| &of.static_addresses);
    let by_port =
        entries.filter(|entry| entry.ports.is_some()).filter_map(|entry| match internal(leg, entry) {
            Some(Place::At(host)) => Some(host),
            _ => None,
        });
    let keys: BTreeSet<_> = sharing.chain(by_port).collect();
    let keys: Vec<_> = keys.into_iter().collect();
    let bucket = |key: &HostKey| Bucket::new(BucketId(key.0), to_host(*key).into());
    let group = |(keys, number): (&[HostKey], u32)| Group {
        id: GroupId(GROUPS | leg.interface.key.0 << GROUPS_OF_LEG | number),
        kind: GroupType::All,
        selection: None,
        buckets: keys.iter().map(bucket).collect(),
    };
    keys.chunks(MAX_BUCKETS).zip(0..1 << GROUPS_OF_LEG).map(group).collect()
}
