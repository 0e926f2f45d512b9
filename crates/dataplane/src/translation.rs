//! Flows of translations: what leaves by a translating leg, and what comes to it.
//!
//! # A packet's way
//! ```text
//! out:  ROUTE ─> TRANSLATE_OUT ─ ct ─> TRANSLATED_OUT ─> NEXT_HOP
//! in:   SIMULATED ─> TRANSLATE_IN ─┬─ ct ─> TRANSLATED_IN ─> SIMULATED, or FORWARD: into the router
//!          DELIVER ──────^         └─> PEER ─> tunnel ─> DELIVER, at the host that translates
//! ```
//! # Where
//! Connections are tracked where the inner guest is: there they start, and there their answers start. A packet from outside
//! is sent to that host by the leg's key, and by nothing that the host where it came in would have to remember. It is
//! known by the external address, or by the block of ports that is a host's own (`topology::translation::block`).
//! What names no port, ICMP for an address that many share, goes to every host, and the one that knows the connection takes it.
//!
//! # Change
//! A packet carries through the connection tracker which entry has taken it, and is looked at again: what has not become what
//! the entry says is of a connection made by another one. So an entry that goes away stops its connections at once, both
//! ways, and no other's.
//!
//! # What is nobody's
//! An external address that does not stand for one internal address as a whole answers echo requests, and what has no
//! entry, as the leg's own. What could be an answer, and belongs to no connection, is dropped and counted.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;
use openflow::{
    Action, Bucket, BucketId, Ct, CtZone, Field, Flow, Group, GroupId, GroupType, Instructions, Match, Nat,
    NatAddresses, NatKind, SubField, ct_state,
};
use topology::interface::Interface;
use topology::translation::block::{MASK, PortBlock};
use topology::translation::entry::{Ports, StaticAddress, Transport};
use topology::translation::{Translation, TranslationMode};
use topology::{HostKey, NetworkId, TranslationId};

use crate::base::flow;
use crate::cookie::Owner;
use crate::domain::MAX_BUCKETS;
use crate::layout::*;
use crate::router::hairpin;
use crate::view::{Attachment, Place, View, flagged, from_prefix, in_domain, to_address, to_prefix};

/// Priorities of what takes a packet: the more it says, the sooner.
const EXPIRED: u16 = 500;
const ECHO: u16 = 510;
const PORT: u16 = 400;
const ADDRESS: u16 = 300;
const BLOCK: u16 = 250;
const ICMP: u16 = 240;
/// The length of a prefix comes on top.
const SOURCE: u16 = 100;
const OWN_ADDRESS: u16 = 50;
const PASS: u16 = 10;

/// Stands for no entry: an ICMP message that may belong to any connection of the leg.
const ANY: u32 = u32::MAX;

/// ICMP errors (RFC 792; RFC 4443, section 3). Not source quench and redirect: RFC 6633 and RFC 5508, section 7.
const ERRORS: [u8; 3] = [3, 11, 12];
const ERRORS_V6: [u8; 4] = [1, 2, 3, 4];

/// Echo requests and replies (RFC 792; RFC 4443, section 4).
const ECHO_REQUEST: u8 = 8;
const ECHO_REPLY: u8 = 0;
const ECHO_REQUEST_V6: u8 = 128;
const ECHO_REPLY_V6: u8 = 129;

/// In `ip_frag`: not the first fragment (ovs-fields(7)).
const LATER_FRAGMENT: u8 = 2;

/// Groups of legs; those of routes are below.
const GROUPS: u32 = 3 << 30;
/// Groups of one leg, in bits of their numbers: 32,000 hosts.
const GROUPS_OF_LEG: u32 = 5;

/// What is the same for all translations.
pub(crate) fn base() -> Vec<Flow> {
    // RFC 1812, section 5.3.1. Before the address changes, since the sender knows only this one.
    let expired =
        [0, 1].into_iter().flat_map(|ttl| [Match::new().ip().ip_ttl(ttl), Match::new().ipv6().ip_ttl(ttl)]);
    let expired = expired.map(|matching| {
        flow(TRANSLATE_IN, EXPIRED, matching, Instructions::apply(to_agent(Question::TimeExceeded)))
    });
    // What is about a connection goes the connection's way (RFC 5508, section 4).
    let related =
        || Match::new().reg(TRANSLATION, ANY).ct_state(ct_state::REL, ct_state::REL | ct_state::INV);
    let out = [Action::CtClear, Action::resubmit(NEXT_HOP)];
    expired
        .chain([
            flow(TRANSLATED_OUT, ICMP, related(), Instructions::apply(out)),
            flow(TRANSLATED_IN, ICMP, related(), Instructions::apply(let_in())),
        ])
        .collect()
}

/// A leg at which addresses are translated, seen from this host.
struct Leg<'a> {
    view: View<'a>,
    interface: &'a Interface,
    attachments: Vec<Attachment>,
    zone: CtZone,
}

impl<'a> Leg<'a> {
    fn of(view: View<'a>, translation: &Translation) -> Option<Self> {
        let interface = view.topology.interfaces().get(&translation.interface_uuid)?;
        view.place(interface).filter(|_| view.translates(interface))?;
        let zone =
            u16::try_from(translation.zone.0).ok().map(|zone| CtZone::Number(TRANSLATION_ZONES | zone))?;
        Some(Self { view, interface, attachments: view.attachments(&interface.uuid), zone })
    }

    /// The leg lives on this host alone, where everything comes in.
    fn is_owned(&self) -> bool {
        self.interface.owner() == Some(&self.view.local.datapath)
    }

    /// What leaves by the leg.
    fn out(&self) -> Match {
        Match::new().reg(TRANSLATION, self.interface.key.0)
    }

    /// What comes to the leg for an external address, in the domain where it is leased.
    fn to(&self, external: IpAddr) -> Option<Match> {
        let at = self.attachments.iter().find(|of| of.addresses.contains(&external))?;
        Some(to_address(in_domain(at.key).reg(DESTINATION_INTERFACE, self.interface.key.0), external))
    }

    /// Sends what comes on to other hosts: what has come by a tunnel only if the leg is here alone. Who does not look at what
    /// has come before would send packets round for as long as two hosts do not agree where a guest is.
    fn send_on(&self, priority: u16, matching: &Match, actions: &[Action]) -> Vec<Flow> {
        let fresh = flagged(matching.clone(), 0, FROM_TUNNEL);
        let mut flows = vec![Flow::new(TRANSLATE_IN, priority, fresh, Instructions::apply(actions.to_vec()))];
        if self.is_owned() {
            let tunnelled = flagged(matching.clone(), FROM_TUNNEL, FROM_TUNNEL);
            // Perhaps by the tunnel that it has come by.
            let again = [Action::set_field_masked(Field::Reg(FLAGS), 0_u32, FROM_TUNNEL), hairpin()];
            let again = again.into_iter().chain(actions.to_vec());
            flows.push(Flow::new(TRANSLATE_IN, priority, tunnelled, Instructions::apply(again)));
        }
        flows
    }

    /// Through the connection tracker, as taken by an entry.
    fn track(&self, entry: u32, nat: Option<Nat>, table: openflow::TableId) -> Vec<Action> {
        let ct = Ct {
            commit: nat.is_some(),
            zone: self.zone,
            table: Some(table),
            nat: Some(nat.unwrap_or_default()),
            ..Ct::default()
        };
        vec![set(TRANSLATION, entry), Action::Ct(Box::new(ct))]
    }

    /// What has left the connection tracker goes on as the leg's own: who is told when it cannot go on is the leg,
    /// and behind it, by the same translation, the guest.
    fn let_out(&self) -> Instructions {
        Instructions::apply([
            Action::CtClear,
            set(SOURCE_INTERFACE, self.interface.key.0),
            copy_bits(SubField::whole(Field::EthSrc), SubField::new(Field::Xreg(ORIGIN), 0, 48)),
            Action::resubmit(NEXT_HOP),
        ])
    }
}

/// To the host that translates.
fn to_host(host: HostKey) -> [Action; 2] {
    [set(DESTINATION_HOST, host.0), Action::resubmit(PEER)]
}

/// What has come in enters the router that the leg's routes say.
fn let_in() -> Vec<Action> {
    vec![Action::CtClear, flag(TRANSLATED), Action::resubmit(SIMULATED)]
}

/// Flows and groups of an interface as a leg at which addresses are translated.
pub(crate) fn leg(
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
        flows.push(Flow::new(TRANSLATE_IN, PASS, into, Instructions::apply(let_in())));
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
    let sharing = sharing.filter_map(|id| leg.view.peer(&id)).map(|(datapath, _)| datapath.key);
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

/// All flows of a translation.
pub(crate) fn flows(view: View<'_>, id: &TranslationId) -> Vec<Flow> {
    let Some(translation) = view.topology.translations().get(id) else { return Vec::new() };
    let Some(leg) = Leg::of(view, translation) else { return Vec::new() };
    let flows = match translation.mode {
        TranslationMode::StaticAddress => {
            translation.static_addresses.iter().flat_map(|entry| of_entry(&leg, translation, entry)).collect()
        }
        TranslationMode::Source => of_source(&leg, translation),
    };
    let cookie = Owner::Translation(translation.key).cookie();
    flows.into_iter().map(|flow| flow.with_cookie(cookie)).collect()
}

/// What stands for an entry while the connection tracker has the packet.
fn number(translation: &Translation, entry: u16) -> u32 {
    translation.key.0 << 16 | u32::from(entry)
}

fn of_entry(leg: &Leg<'_>, translation: &Translation, entry: &StaticAddress) -> Vec<Flow> {
    let Some(place) = internal(leg, entry) else { return Vec::new() };
    let number = number(translation, entry.number);
    let protocols = match entry.ports {
        None => vec![None],
        Some(Ports { protocol: Some(one), .. }) => vec![Some(one)],
        Some(Ports { protocol: None, .. }) => vec![Some(Transport::Tcp), Some(Transport::Udp)],
    };
    let mut flows = Vec::new();
    for protocol in protocols {
        let Some(inward) = leg.to(entry.external) else { continue };
        let priority = if protocol.is_some() { PORT } else { ADDRESS };
        let from = |matching: Match, address: IpAddr| from_prefix(matching, address.into());
        let ports = entry.ports;
        let inward = port_to(inward, protocol, ports.map(|ports| ports.external));
        if let Place::At(host) = place {
            flows.extend(leg.send_on(priority, &inward, &to_host(host)));
            continue;
        }
        let outward = port_from(from(leg.out(), entry.internal), protocol, ports.map(|ports| ports.internal));
        let outside = nat(NatKind::Source, entry.external, ports.map(|ports| (ports.external, None)));
        let inside = nat(NatKind::Destination, entry.internal, ports.map(|ports| (ports.internal, None)));
        let taken = || Match::new().reg(TRANSLATION, number);
        let left = port_from(from(taken(), entry.external), protocol, ports.map(|ports| ports.external));
        let come = port_to(to_address(taken(), entry.internal), protocol, ports.map(|ports| ports.internal));
        let track = |nat, table| Instructions::apply(leg.track(number, Some(nat), table));
        flows.extend([
            Flow::new(TRANSLATE_OUT, priority, outward, track(outside, TRANSLATED_OUT)),
            Flow::new(TRANSLATED_OUT, priority, left, leg.let_out()),
            Flow::new(TRANSLATE_IN, priority, inward, track(inside, TRANSLATED_IN)),
            Flow::new(TRANSLATED_IN, priority, come, enter(leg.view, entry)),
        ]);
    }
    flows
}

/// Into the router that the entry names, else as the leg's routes say.
fn enter(view: View<'_>, entry: &StaticAddress) -> Instructions {
    let link = entry.route_link_uuid.as_ref().and_then(|id| view.topology.route_links().get(id));
    Instructions::apply(match link {
        Some(link) => vec![Action::CtClear, set(ROUTE_LINK, link.key.0), Action::resubmit(FORWARD)],
        None => let_in(),
    })
}

/// Where the guest with an entry's internal address is, if it is anywhere.
fn internal(leg: &Leg<'_>, entry: &StaticAddress) -> Option<Place> {
    let topology = leg.view.topology;
    let network = entry.egress_network_uuid.clone().or_else(|| network_behind(leg, entry))?;
    let lease = topology.ip_leases_of_address(&network, entry.internal).into_iter().next()?;
    let holder = topology.ip_leases().get(&lease)?.holder.as_ref()?;
    let place = leg.view.place(topology.interfaces().get(&holder.interface_uuid)?)?;
    (place != Place::Simulated).then_some(place)
}

/// The network in which the leg's router, or the one that the entry names, looks for the internal address.
fn network_behind(leg: &Leg<'_>, entry: &StaticAddress) -> Option<NetworkId> {
    let topology = leg.view.topology;
    let links: BTreeSet<_> = match &entry.route_link_uuid {
        Some(link) => BTreeSet::from([link.clone()]),
        None => {
            let routes = topology.routes_of_interface(&leg.interface.uuid);
            let routes = routes.iter().filter_map(|route| topology.routes().get(route));
            routes.map(|route| route.route_link_uuid.clone()).collect()
        }
    };
    let routes = links.iter().flat_map(|link| topology.routes_of_route_link(link));
    let routes = routes.filter_map(|route| topology.routes().get(&route));
    let fits = routes.filter(|route| route.egress && route.prefix.0.contains(&entry.internal));
    fits.max_by_key(|route| route.prefix.0.prefix_len()).map(|route| route.network_uuid.clone())
}

fn of_source(leg: &Leg<'_>, translation: &Translation) -> Vec<Flow> {
    let number = number(translation, 0);
    let (sources, hosts) = (translation.sources(leg.view.topology), translation.hosts(leg.view.topology));
    let mut flows = Vec::new();
    for is_ipv4 in [true, false] {
        let externals =
            || translation.external_addresses.iter().copied().filter(|address| address.is_ipv4() == is_ipv4);
        for (id, datapath) in leg.view.topology.datapaths() {
            let is_here = *id == leg.view.local.datapath;
            let block = datapath.nat_block.and_then(|block| PortBlock::of(block, externals()));
            let Some(block) = block.filter(|_| is_here || hosts.contains(id) && leg.view.peer(id).is_some())
            else {
                continue;
            };
            flows.extend(of_block(leg, block).iter().flat_map(|matching| match is_here {
                true => {
                    let track = Instructions::apply(leg.track(number, None, TRANSLATED_IN));
                    vec![Flow::new(TRANSLATE_IN, BLOCK, matching.clone(), track)]
                }
                false => leg.send_on(BLOCK, matching, &to_host(datapath.key)),
            }));
            if is_here {
                let sources = sources.iter().filter(|prefix| prefix.addr().is_ipv4() == is_ipv4);
                flows.extend(sources.flat_map(|prefix| from_source(leg, number, *prefix, block)));
                flows.extend(left(leg, number, block));
            }
        }
    }
    flows
}

/// What has left as one that shares an address: it has begun the connection, and has a port that is shared.
fn left(leg: &Leg<'_>, number: u32, block: PortBlock) -> Vec<Flow> {
    let taken = || from_prefix(Match::new().reg(TRANSLATION, number), block.address.into());
    let begun = taken().ct_state(ct_state::TRK, ct_state::TRK | ct_state::RPL | ct_state::INV);
    // Later fragments show no port (ovs-fields(7), `ip_frag`).
    let whole = || taken().with_masked(Field::IpFrag, 0_u8, LATER_FRAGMENT);
    let foreign = [
        whole().tcp().with_masked(Field::TcpSrc, 0_u16, MASK),
        whole().udp().with_masked(Field::UdpSrc, 0_u16, MASK),
    ];
    let foreign = foreign.map(|matching| Flow::new(TRANSLATED_OUT, PORT, matching, Instructions::drop()));
    [Flow::new(TRANSLATED_OUT, SOURCE, begun, leg.let_out())].into_iter().chain(foreign).collect()
}

/// What comes for a host's ports.
fn of_block(leg: &Leg<'_>, block: PortBlock) -> Vec<Match> {
    let Some(to) = leg.to(block.address) else { return Vec::new() };
    vec![
        to.clone().tcp().with_masked(Field::TcpDst, block.first, MASK),
        to.udp().with_masked(Field::UdpDst, block.first, MASK),
    ]
}

/// Out from a prefix by this host's ports, and back to it.
fn from_source(leg: &Leg<'_>, number: u32, prefix: IpNet, block: PortBlock) -> Vec<Flow> {
    let priority = SOURCE + u16::from(prefix.prefix_len());
    let share = nat(NatKind::Source, block.address, Some((block.first, Some(block.last()))));
    let out = Instructions::apply(leg.track(number, Some(share), TRANSLATED_OUT));
    let out = Flow::new(TRANSLATE_OUT, priority, from_prefix(leg.out(), prefix), out);
    let known = [ct_state::TRK, ct_state::TRK | ct_state::NEW | ct_state::INV];
    let back = |taken| {
        let matching = Match::new().reg(TRANSLATION, taken).reg(DESTINATION_INTERFACE, leg.interface.key.0);
        let matching = to_prefix(matching, prefix).ct_state(known[0], known[1]);
        Flow::new(TRANSLATED_IN, priority, matching, Instructions::apply(let_in()))
    };
    vec![out, back(number), back(ANY)]
}

fn nat(kind: NatKind, address: IpAddr, ports: Option<(u16, Option<u16>)>) -> Nat {
    let addresses = Some(match address {
        IpAddr::V4(address) => NatAddresses::V4(address, None),
        IpAddr::V6(address) => NatAddresses::V6(address, None),
    });
    Nat { kind: Some(kind), addresses, ports, ..Nat::default() }
}

fn port_to(matching: Match, protocol: Option<Transport>, port: Option<u16>) -> Match {
    match (protocol, port) {
        (Some(Transport::Tcp), Some(port)) => matching.tcp().tcp_dst(port),
        (Some(Transport::Udp), Some(port)) => matching.udp().udp_dst(port),
        _ => matching,
    }
}

fn port_from(matching: Match, protocol: Option<Transport>, port: Option<u16>) -> Match {
    match (protocol, port) {
        (Some(Transport::Tcp), Some(port)) => matching.tcp().tcp_src(port),
        (Some(Transport::Udp), Some(port)) => matching.udp().udp_src(port),
        _ => matching,
    }
}
