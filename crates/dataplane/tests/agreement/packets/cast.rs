//! Who packets that are aimed at a flow may be from, and where they may go.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use dataplane::layout::*;
use openflow::{Field, Match};
use topology::{DomainId, DomainKey, HostKey, InterfaceId, InterfaceKey, Topology};

use super::aimed::Aim;
use super::parties::{Party, parties};
use crate::fleet::{PORTS, port_name, port_number};
use crate::scene::{host_of, number_of};
use crate::switch::host_of_number;

/// Who a packet may be from, and where it may go.
pub(super) struct Cast {
    pub(super) parties: Vec<Party>,
    /// The key of the domain, if there is only one.
    pub(super) domain: Option<DomainKey>,
    /// The interface, if there is only one.
    pub(super) sender: Option<InterfaceId>,
    /// The host that a tunnelled packet comes from.
    pub(super) from_host: Option<u8>,
    /// The address that it has to be from.
    pub(super) source: Option<IpAddr>,
    /// The identity that its sender has to have.
    pub(super) identity: Option<u32>,
    /// Whom it is to reach, if that matters.
    pub(super) receivers: Vec<Party>,
}

impl Cast {
    pub(super) fn of(topology: &Topology, aim: &Aim) -> Self {
        let matching = &aim.matching;
        let value = |field| matching.get(field).map(|term| term.value);
        let by_port = value(Field::InPort)
            .and_then(|value| (0..PORTS).find(|port| u128::from(port_number(*port).0) == value));
        let by_port = by_port.and_then(|port| port_name(aim.host, port).parse().ok());
        let by_key = register(matching, SOURCE_INTERFACE)
            .and_then(|key| topology.interface_of_key(InterfaceKey(key)).map(|of| of.uuid.clone()));
        let domain = value(Field::Metadata).and_then(|value| u32::try_from(value).ok()).map(DomainKey);
        let tunnel = value(Field::TunSrc).or(value(Field::TunIpv6Src));
        let from_host = tunnel.and_then(|address| host_of_number(u8::try_from(address & 0xff).ok()?));
        let v4 = |value: u128| u32::try_from(value).ok().map(|of| IpAddr::from(Ipv4Addr::from(of)));
        let source = value(Field::Ipv4Src).or(value(Field::CtNwSrc)).and_then(v4);
        let v6 = || value(Field::Ipv6Src).or(value(Field::CtIpv6Src));
        let source = source.or_else(|| v6().map(|of| Ipv6Addr::from(of).into()));
        let identity = matching.get(Field::Reg(FLAGS)).map(|term| term.value & u128::from(IDENTITY));
        let identity = identity.and_then(|of| u32::try_from(of >> IDENTITY_BIT).ok()).filter(|of| *of != 0);
        let (parties, sender) = (parties(topology), by_key.or(by_port));
        let receivers = receivers(topology, &parties, aim);
        Self { parties, domain, sender, from_host, source, identity, receivers }
    }

    /// Whether somebody in a domain may be whom it is from.
    pub(super) fn may_be(&self, topology: &Topology, interface: &InterfaceId, domain: &DomainId) -> bool {
        self.sender.as_ref().is_none_or(|sender| sender == interface)
            && self.domain.is_none_or(|key| topology.key_of_domain(domain) == Some(key))
            && self.from_host.is_none_or(|host| host_of(interface) == Some(host))
    }
}

/// Who has to get what is to meet a flow: whom it names, and, where it matters whose members they are, members.
fn receivers(topology: &Topology, parties: &[Party], aim: &Aim) -> Vec<Party> {
    let key = register(&aim.matching, DESTINATION_INTERFACE).map(InterfaceKey);
    let key = key.and_then(|key| topology.interface_of_key(key)).map(|of| of.uuid.clone());
    let is_of_group = [GROUP_IN, TUNNEL_IN].contains(&aim.table) || (TRACK_OUT..=LOG).contains(&aim.table);
    let to = register(&aim.matching, DESTINATION_IDENTITY).filter(|_| is_of_group);
    let is_here = |party: &Party| host_of(&party.interface) == Some(aim.host);
    let is_member = |party: &Party| identity(topology, party).is_some();
    let host = register(&aim.matching, DESTINATION_HOST).filter(|_| aim.table == PEER).map(HostKey);
    let host = host.and_then(|key| topology.datapaths().values().find(|of| of.key == key));
    let host = host.and_then(|host| number_of(&host.uuid));
    let is_there = |party: &Party| host.is_none_or(|host| host_of(&party.interface) == Some(host));
    let all = parties.iter().filter(|party| match (&key, aim.table) {
        (Some(key), _) => party.interface == *key,
        (None, GROUP_IN) => is_here(party) && to.is_none_or(|to| identity(topology, party) == Some(to)),
        (None, TUNNEL_IN) => {
            is_here(party) && is_member(party) && to.is_none_or(|to| identity(topology, party) == Some(to))
        }
        (None, PEER | TUNNEL_OUT) => !is_here(party) && is_there(party),
        (None, table) if (TRACK_OUT..=LOG).contains(&table) && to.is_some() => {
            identity(topology, party) == to
        }
        (None, TRACK_IN) if aim.is_control() => is_here(party) && is_filtered(topology, party),
        (None, table) if (TRACK_IN..=OUTPUT).contains(&table) => {
            is_here(party) && is_protected(topology, party)
        }
        // Nothing but its sender's protection may refuse it.
        (None, table) if (TRACK_OUT..=LOG).contains(&table) => !is_protected(topology, party),
        _ => false,
    });
    all.cloned().collect()
}

/// Whether anything judges what somebody sends and receives.
pub(super) fn is_protected(topology: &Topology, party: &Party) -> bool {
    let of = topology.interfaces().get(&party.interface);
    of.is_some_and(|of| of.enable_filtering || !of.security_groups.is_empty())
}

/// Whether a filter judges what somebody sends and receives.
pub(super) fn is_filtered(topology: &Topology, party: &Party) -> bool {
    topology.interfaces().get(&party.interface).is_some_and(|of| of.enable_filtering)
}

/// The set of groups that somebody is a member of.
pub(super) fn identity(topology: &Topology, party: &Party) -> Option<u32> {
    topology.interfaces().get(&party.interface)?.identity.map(|key| key.0)
}

/// What a register has to be, all of it.
pub(super) fn register(matching: &Match, register: u8) -> Option<u32> {
    let term = matching.get(Field::Reg(register)).filter(|term| term.is_exact())?;
    u32::try_from(term.value).ok()
}
