//! The base: flows that are there whatever the topology is.
//!
//! # Address resolution in networks
//! In a network every address is leased, so every ARP request and neighbour solicitation is answered at once by the
//! source's own switch, and none is ever delivered. A guest cannot answer for another, since nobody hears it.
//! A guest's question for its own address finds a flow that leaves it unanswered, so duplicate address detection
//! (RFC 5227, section 2.1; RFC 4862, section 5.4) never meets an echo of itself.

use openflow::{Action, Field, Flow, Instructions, Match, SubField, TableId};
use topology::MacAddr;
use topology::datapath::Encapsulation;

use crate::cookie::{Owner, Purpose};
use crate::filter;
use crate::layout::*;
use crate::limit::{self, limited};
use crate::view::{Local, flagged};
use crate::{physical, router, translation, wire};

/// ARP operations (RFC 826).
pub(crate) const REQUEST: u16 = 1;
pub(crate) const REPLY: u16 = 2;

/// ICMPv6 types (RFC 4861, section 4; RFC 3810, section 5).
pub(crate) const ROUTER_SOLICITATION: u8 = 133;
const ROUTER_ADVERTISEMENT: u8 = 134;
pub(crate) const SOLICITATION: u8 = 135;
pub(crate) const ADVERTISEMENT: u8 = 136;
const REDIRECT: u8 = 137;
const MLD2_REPORT: u8 = 143;

/// Neighbour discovery is between neighbours: its packets have passed no router (RFC 4861, section 7.1).
pub(crate) const FROM_NEIGHBOUR: u8 = 255;

/// Flags solicited and override of an advertisement (RFC 4861, section 4.4).
const SOLICITED_OVERRIDE: u32 = 0x6000_0000;

/// Flag router of an advertisement (RFC 4861, section 4.4).
const FROM_ROUTER: u32 = 0x8000_0000;

/// Target link-layer address (RFC 4861, section 4.6.1).
const TARGET_OPTION: u8 = 2;

/// DHCP ports (RFC 2131, section 4.1).
pub(crate) const DHCP_SERVER: u16 = 67;
pub(crate) const DHCP_CLIENT: u16 = 68;

/// DHCPv6 ports (RFC 8415, section 7.2).
pub(crate) const DHCPV6_SERVER: u16 = 547;
pub(crate) const DHCPV6_CLIENT: u16 = 546;

/// Types of VLAN tags (IEEE 802.1Q, section 9.6). A switch reads one tag (`vlan-limit` in ovs-vswitchd.conf.db(5)) and
/// shows the type of what follows. Guests read on behind tags of VLAN 0, to ARP that nobody has looked at.
pub(crate) const TAGS: [u16; 2] = [0x8100, 0x88a8];

const NO_MAC: [u8; 6] = MacAddr([0; 6]).0;

/// All flows of the base.
pub(crate) fn flows(local: &Local) -> Vec<Flow> {
    let mut flows = misses();
    flows.extend(tunnels(local));
    flows.extend(source());
    flows.extend(segment_source());
    flows.extend(answer());
    flows.extend([arp_reply()]);
    flows.extend(nd_reply());
    flows.extend(tunnel_out());
    flows.extend(router::base());
    flows.extend(limit::base());
    flows.extend(translation::base());
    flows.extend(filter::base());
    flows.extend(physical::base());
    flows.extend(wire::base());
    flows
}

pub(crate) fn flow(table: TableId, priority: u16, matching: Match, does: Instructions) -> Flow {
    Flow::new(table, priority, matching, does).with_cookie(Owner::Base(Purpose::Pipeline).cookie())
}

pub(crate) fn drop(table: TableId, priority: u16, matching: Match, purpose: Purpose) -> Flow {
    Flow::new(table, priority, matching, Instructions::drop()).with_cookie(Owner::Base(purpose).cookie())
}

/// What is in a VLAN.
pub(crate) fn tagged() -> Match {
    Match::new().with_masked(Field::VlanTci, 0x1000_u16, 0x1000_u16)
}

/// Turns a question into its answer, and sends it back. What is not resolved ends there.
pub(crate) fn answered(question: Vec<Action>, reply: TableId) -> Instructions {
    Instructions::apply(limited().into_iter().chain(then_through(question, [RESOLVE, reply])))
}

/// The end of every table, so that what is dropped is counted under a reason.
fn misses() -> Vec<Flow> {
    let ends = [
        (CLASSIFY, Purpose::UnknownSource),
        (SOURCE, Purpose::SourceAddress),
        (ARP_REPLY, Purpose::Unresolved),
        (ND_REPLY, Purpose::Unresolved),
        (DESTINATION, Purpose::UnknownDestination),
        (NAMED_SOURCE, Purpose::NotNamed),
        (NAMED_DESTINATION, Purpose::NotNamed),
        (PEER, Purpose::UnknownHost),
        (DELIVER, Purpose::NotHere),
        (SIMULATED, Purpose::NotRouted),
        (OWN, Purpose::NotServed),
        (TRANSLATE_OUT, Purpose::Untranslated),
        (TRANSLATE_IN, Purpose::Untranslated),
        (TRANSLATED_OUT, Purpose::UnknownConnection),
        (TRANSLATED_IN, Purpose::UnknownConnection),
    ];
    ends.map(|(table, purpose)| drop(table, 0, Match::new(), purpose)).into()
}

fn tunnels(local: &Local) -> Vec<Flow> {
    let strangers = local.tunnels.values();
    let strangers =
        strangers.map(|port| drop(CLASSIFY, 10, Match::new().in_port(*port), Purpose::UnknownPeer));
    let mut flows: Vec<_> = strangers.collect();
    if local.tunnels.contains_key(&Encapsulation::Geneve) {
        let destination = option_destination();
        let mask = ((1_u128 << destination.bits) - 1) << destination.offset;
        let to_all = Match::new().with_masked(OPTION, 0_u128, mask);
        let register = |register| SubField::new(Field::Reg(register), 0, 24);
        let whose = || copy_bits(option_identity(), identity());
        let read = [
            copy_bits(option_source(), register(SOURCE_INTERFACE)),
            copy_bits(destination, register(DESTINATION_INTERFACE)),
            whose(),
        ];
        flows.push(flow(TUNNEL_IN, 100, to_all, Instructions::apply([whose()]).then_goto(DESTINATION)));
        flows.push(flow(TUNNEL_IN, 0, Match::new(), Instructions::apply(read).then_goto(DELIVER)));
    }
    flows
}

fn source() -> Vec<Flow> {
    let dhcp = Match::new().udp().udp_src(DHCP_CLIENT).udp_dst(DHCP_SERVER);
    let dhcp = dhcp.ipv4_src([0, 0, 0, 0].into()).ipv4_dst([255; 4].into());
    let unspecified = |kind| Match::new().icmpv6(kind).ipv6_src(std::net::Ipv6Addr::UNSPECIFIED);
    let go = |matching| flow(SOURCE, 90, matching, Instructions::goto(TRACK_OUT));
    vec![
        drop(SOURCE, 300, tagged(), Purpose::Tagged),
        flow(SOURCE, 200, Match::new().arp(), Instructions::goto(TRACK_OUT)),
        // Who has no address yet may ask for one (RFC 2131, section 4.1), look whether one is free (RFC 4862,
        // section 5.4.2) and join the groups that takes (RFC 3590).
        go(dhcp),
        go(unspecified(SOLICITATION)),
        go(unspecified(MLD2_REPORT)),
    ]
}

fn segment_source() -> Vec<Flow> {
    let solicitation = Match::new().icmpv6(SOLICITATION).icmpv6_code(0);
    let advertisement = Match::new().icmpv6(ADVERTISEMENT).icmpv6_code(0);
    let without_option = [solicitation.clone().nd_sll(NO_MAC), advertisement.clone().nd_tll(NO_MAC)];
    let pass =
        without_option.map(|matching| flow(SEGMENT_SOURCE, 90, matching, Instructions::goto(TRACK_OUT)));
    // Where an option is there twice, the switch shows neither target nor options, and guests believe the first.
    let unclear = [&solicitation, &advertisement].map(|matching| {
        let matching = matching.clone().nd_target(std::net::Ipv6Addr::UNSPECIFIED);
        drop(SEGMENT_SOURCE, 95, matching, Purpose::SenderHardware)
    });
    let lies = [Match::new().arp(), solicitation, advertisement];
    let lies = lies.map(|matching| drop(SEGMENT_SOURCE, 80, matching, Purpose::SenderHardware));
    let hidden = TAGS.map(|tag| drop(SEGMENT_SOURCE, 110, Match::new().eth_type(tag), Purpose::Hidden));
    let rest = flow(SEGMENT_SOURCE, 0, Match::new(), Instructions::goto(TRACK_OUT));
    pass.into_iter().chain(unclear).chain(lies).chain(hidden).chain([rest]).collect()
}

/// Answers an ARP request.
pub(crate) fn resolve_ipv4() -> Instructions {
    resolve(ask_ipv4(Field::ArpTpa), ARP_REPLY)
}

fn resolve(question: Vec<Action>, reply: TableId) -> Instructions {
    let actions = limited().into_iter().chain(then_through(question, [RESOLVE]));
    Instructions::apply(actions).then_goto(reply)
}

fn answer() -> Vec<Flow> {
    let request = Match::new().arp().arp_op(REQUEST);
    let solicitation = Match::new().icmpv6(SOLICITATION).icmpv6_code(0).ip_ttl(FROM_NEIGHBOUR);
    let router = |kind| flagged(Match::new().icmpv6(kind), ROUTER, ROUTER);
    let unasked = [Match::new().arp(), Match::new().icmpv6(SOLICITATION), Match::new().icmpv6(ADVERTISEMENT)];
    let routers = [ROUTER_ADVERTISEMENT, REDIRECT];
    let mut flows = vec![
        flow(ANSWER, 100, request, resolve_ipv4()),
        flow(ANSWER, 100, solicitation, resolve(ask_ipv6(Field::NdTarget), ND_REPLY)),
        flow(ANSWER, 0, Match::new(), Instructions::goto(DESTINATION)),
    ];
    flows.extend(unasked.map(|matching| drop(ANSWER, 90, matching, Purpose::Unasked)));
    flows.extend(routers.map(|kind| flow(ANSWER, 100, router(kind), Instructions::goto(DESTINATION))));
    flows.extend(routers.map(|kind| drop(ANSWER, 90, Match::new().icmpv6(kind), Purpose::NotRouter)));
    flows
}

fn arp_reply() -> Flow {
    let mac = || resolved_mac();
    let scratch = Field::Reg(SCRATCH);
    let rewrite = [
        copy(Field::EthSrc, Field::EthDst),
        copy_bits(mac(), SubField::whole(Field::EthSrc)),
        Action::set_field(Field::ArpOp, REPLY),
        copy(Field::ArpSha, Field::ArpTha),
        copy_bits(mac(), SubField::whole(Field::ArpSha)),
        copy(Field::ArpSpa, scratch),
        copy(Field::ArpTpa, Field::ArpSpa),
        copy(scratch, Field::ArpTpa),
        Action::resubmit(BACK),
    ];
    flow(ARP_REPLY, 100, flagged(Match::new().arp(), RESOLVED, RESOLVED), Instructions::apply(rewrite))
}

fn nd_reply() -> Vec<Flow> {
    let solicitation = flagged(Match::new().icmpv6(SOLICITATION).icmpv6_code(0), RESOLVED, RESOLVED);
    let detection = solicitation.clone().ipv6_src(std::net::Ipv6Addr::UNSPECIFIED);
    let without_option = solicitation.clone().nd_sll(NO_MAC);
    let agent = || Instructions::apply(to_agent(Question::Solicitation));
    let rewrite = [
        copy(Field::EthSrc, Field::EthDst),
        copy_bits(resolved_mac(), SubField::whole(Field::EthSrc)),
        copy(Field::Ipv6Src, Field::Ipv6Dst),
        copy(Field::NdTarget, Field::Ipv6Src),
        Action::set_field(Field::Icmpv6Type, ADVERTISEMENT),
        Action::resubmit(ND_REPLY_OPTIONS),
    ];
    let options = |flags: u32| {
        Instructions::apply([
            Action::set_field(Field::NdOptionsType, TARGET_OPTION),
            Action::set_field(Field::NdReserved, flags),
            copy_bits(resolved_mac(), SubField::whole(Field::NdTll)),
            Action::resubmit(BACK),
        ])
    };
    let advertisement = Match::new().icmpv6(ADVERTISEMENT).icmpv6_code(0);
    let of_router = flagged(advertisement.clone(), RESOLVED_ROUTER, RESOLVED_ROUTER);
    vec![
        // There is no option to turn into the answer's, and an answer to all nodes needs one (RFC 4861, section
        // 7.2.4): the agent writes these.
        flow(ND_REPLY, 200, detection, agent()),
        flow(ND_REPLY, 150, without_option, agent()),
        flow(ND_REPLY, 100, solicitation, Instructions::apply(rewrite)),
        // RFC 4861, section 7.2.5: without the flag, a router would lose those that use it.
        flow(ND_REPLY_OPTIONS, 110, of_router, options(FROM_ROUTER | SOLICITED_OVERRIDE)),
        flow(ND_REPLY_OPTIONS, 100, advertisement, options(SOLICITED_OVERRIDE)),
    ]
}

fn tunnel_out() -> Vec<Flow> {
    let too_big = |matching| flagged(matching, TOO_BIG, TOO_BIG);
    let group: [u8; 6] = [1, 0, 0, 0, 0, 0];
    let tell =
        |matching| flow(TUNNEL_OUT, 100, too_big(matching), Instructions::apply(to_agent(Question::TooBig)));
    let count = |priority, matching| {
        let counted = Instructions::apply([Action::Meter(TOO_BIG_METER)]);
        let cookie = Owner::Base(Purpose::TooBig).cookie();
        Flow::new(TUNNEL_OUT, priority, too_big(matching), counted).with_cookie(cookie)
    };
    let port = SubField::whole(Field::Reg(TUNNEL_PORT));
    let output = Instructions::apply([Action::OutputReg { source: port, max_len: 0 }]);
    vec![
        // RFC 1122, section 3.2.2, and RFC 4443, section 2.4 (e): no errors for what goes to many.
        count(110, Match::new().eth_dst_masked(group, group)),
        tell(Match::new().ip()),
        tell(Match::new().ipv6()),
        count(90, Match::new()),
        flow(TUNNEL_OUT, 0, Match::new(), output),
        drop(PEER, 200, flagged(Match::new(), FROM_TUNNEL, FROM_TUNNEL), Purpose::SplitHorizon),
    ]
}
