//! Source translation: many internal addresses share few external ones, each host by ports of its own.
//!
//! | flows | here | elsewhere |
//! | --- | --- | --- |
//! | for each host and family | in, of each protocol | in, of each protocol, to that host |
//! | for each family | after the tracker | |
//! | for each prefix | out, and back in | |

use std::collections::BTreeSet;

use ipnet::IpNet;
use openflow::{Field, Flow, Instructions, Match, NatKind, ct_state};
use topology::DatapathId;
use topology::translation::Translation;
use topology::translation::block::{MASK, PortBlock};

use super::{ANY, BLOCK, Leg, PORT, SOURCE, let_in, nat, number, to_host};
use crate::layout::*;
use crate::view::{from_prefix, to_prefix};

/// In `ip_frag`: not the first fragment (ovs-fields(7)).
const LATER_FRAGMENT: u8 = 2;

/// All flows of a source translation.
pub(super) fn flows(leg: &Leg<'_>, translation: &Translation) -> Vec<Flow> {
    let topology = leg.view.topology;
    let mut hosts = translation.hosts(topology);
    hosts.insert(leg.view.local.datapath.clone());
    let sources = translation.sources(topology);
    let families = [true, false].into_iter();
    let of_host = |(host, is_ipv4): (&DatapathId, bool)| {
        let Some(block) = block(leg, translation, host, is_ipv4) else { return Vec::new() };
        if *host == leg.view.local.datapath {
            let sources = sources.iter().filter(|prefix| prefix.addr().is_ipv4() == is_ipv4);
            return here(leg, number(translation, 0), block, &sources.copied().collect());
        }
        let Some(peer) = leg.view.peer(host) else { return Vec::new() };
        of_block(leg, block).iter().flat_map(|of| leg.send_on(BLOCK, of, &to_host(peer.key))).collect()
    };
    families.flat_map(|is_ipv4| hosts.iter().map(move |host| (host, is_ipv4))).flat_map(of_host).collect()
}

/// The ports of a host, if it has any.
fn block(leg: &Leg<'_>, translation: &Translation, host: &DatapathId, is_ipv4: bool) -> Option<PortBlock> {
    let addresses = translation.external_addresses.iter().copied();
    let block = leg.view.topology.datapaths().get(host)?.nat_block?;
    PortBlock::of(block, addresses.filter(|address| address.is_ipv4() == is_ipv4))
}

/// Both ways, by this host's own ports.
fn here(leg: &Leg<'_>, number: u32, block: PortBlock, sources: &BTreeSet<IpNet>) -> Vec<Flow> {
    let track = || Instructions::apply(leg.track(number, None, TRANSLATED_IN));
    let inward = of_block(leg, block).into_iter().map(|of| Flow::new(TRANSLATE_IN, BLOCK, of, track()));
    let outward = sources.iter().flat_map(|prefix| from_source(leg, number, *prefix, block));
    inward.chain(outward).chain(left(leg, number, block)).collect()
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
