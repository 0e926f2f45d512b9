//! Flows of translations: what leaves by a translating leg, and what comes to it.
//!
//! # A packet's way
//! ```text
//! out:  ROUTE ─> TRANSLATE_OUT ─ ct ─> TRANSLATED_OUT ─> NEXT_HOP
//! in:   SIMULATED ─> TRANSLATE_IN ─┬─ ct ─> TRANSLATED_IN ─> SIMULATED, or FORWARD: into the router
//!          DELIVER ──────^         └─> PEER ─> tunnel ─> DELIVER, at the host that translates
//! ```
//! - `leg`: what all translations of a leg have in common.
//! - `entry`: what stands for one thing.
//! - `source`: what many share.
//!
//! # Where
//! Connections are tracked where the inner guest is: there they start, and there their answers start. A packet from
//! outside is sent to that host by the leg's key, and by nothing that the host where it came in would have to
//! remember. It is known by the external address, or by the block of ports that is a host's own
//! (`topology::translation::block`). What names no port, ICMP for an address that many share, goes to every host that may
//! know the connection, and the one that does takes it.
//!
//! # Change
//! A packet carries through the connection tracker which entry has taken it, and is looked at again: what has not
//! become what the entry says is of a connection made by another one. So an entry that goes away stops its connections
//! at once, both ways, and no other's.
//!
//! # What is nobody's
//! An external address that does not stand for one internal address as a whole answers echo requests, and what has no
//! entry, as the leg's own. What could be an answer, and belongs to no connection, is dropped and counted.

mod entry;
mod leg;
mod source;

use std::net::IpAddr;

use openflow::{
    Action, Ct, CtZone, Field, Flow, Instructions, Match, Nat, NatAddresses, NatKind, SubField, TableId,
    ct_state,
};
use topology::interface::Interface;
use topology::translation::{Translation, TranslationMode};
use topology::{HostKey, TranslationId};

use crate::base::flow;
use crate::cookie::Owner;
use crate::layout::*;
use crate::router::hairpin;
use crate::view::{Attachment, View, flagged, in_domain, to_address};

pub(crate) use leg::flows as of_leg;

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

/// All flows of a translation.
pub(crate) fn flows(view: View<'_>, id: &TranslationId) -> Vec<Flow> {
    let Some(translation) = view.topology.translations().get(id) else { return Vec::new() };
    let Some(leg) = Leg::of(view, translation) else { return Vec::new() };
    let flows = match translation.mode {
        TranslationMode::StaticAddress => translation
            .static_addresses
            .iter()
            .flat_map(|entry| entry::flows(&leg, translation, entry))
            .collect(),
        TranslationMode::Source => source::flows(&leg, translation),
    };
    let cookie = Owner::Translation(translation.key).cookie();
    flows.into_iter().map(|flow| flow.with_cookie(cookie)).collect()
}

/// What stands for an entry while the connection tracker has the packet.
fn number(translation: &Translation, entry: u16) -> u32 {
    translation.key.0 << 16 | u32::from(entry)
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

    /// Sends what comes on to other hosts: what has come by a tunnel only if the leg is here alone. Who does not look
    /// at what has come before would send packets round for as long as two hosts do not agree where a guest is.
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
    fn track(&self, entry: u32, nat: Option<Nat>, table: TableId) -> Vec<Action> {
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

fn nat(kind: NatKind, address: IpAddr, ports: Option<(u16, Option<u16>)>) -> Nat {
    let addresses = Some(match address {
        IpAddr::V4(address) => NatAddresses::V4(address, None),
        IpAddr::V6(address) => NatAddresses::V6(address, None),
    });
    Nat { kind: Some(kind), addresses, ports, ..Nat::default() }
}
