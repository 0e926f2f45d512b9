//! Port security: what an interface may send from, and is found at, besides its leases. All of it in the domain of its
//! first MAC lease.
//!
//! | flows | here | elsewhere |
//! | --- | --- | --- |
//! | for each allowed MAC address | classify; in a network destination, on a segment ARP, solicitation, advertisement | in a network destination |
//! | for each allowed prefix in a network | source | |
//! | for each allowed address in a network | resolve, own question | resolve |
//! | without port security | classify, source | |
//!
//! On a segment several interfaces may share a MAC address, which wanders between them (RFC 9568, section 7.3, the
//! virtual router's). Who has it now nobody says, so what is for it goes to all ([`shared_macs`]).

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use openflow::{Flow, Instructions, Match, OfPort};
use topology::interface::Interface;
use topology::{DomainId, MacAddr};

use crate::interface::{asks_for_itself, classify, destination, found, resolve, says_its_mac};
use crate::layout::*;
use crate::view::{Attachment, Place, View, from_interface, from_prefix, in_domain};

/// Priority of what is allowed besides leases among the flows of [`SOURCE`], which must not be that of routes.
const ALLOWED: u16 = 85;

/// Priority of whatever anybody may send in [`SOURCE`]: below all that is told apart.
const ANYBODY: u16 = 70;

/// The same in [`SEGMENT_SOURCE`]: above the checks of who speaks, below that of hidden tags.
const ANYTHING: u16 = 105;

/// Flows of an interface that has a place.
pub(crate) fn flows(interface: &Interface, place: Place, attachments: &[Attachment]) -> Vec<Flow> {
    let Some(of) = attachments.first() else { return Vec::new() };
    let mut flows = Vec::new();
    if let Place::Here(port) = place {
        flows.extend(admitted(interface, port, of, attachments));
    }
    if let DomainId::Network(_) = of.domain {
        flows.extend(known(interface, place, of, attachments));
    }
    flows
}

/// MAC addresses of a segment that are allowed and not leased.
pub(crate) fn shared_macs(view: View<'_>, domain: &DomainId) -> BTreeSet<MacAddr> {
    let DomainId::Segment(_) = domain else { return BTreeSet::new() };
    let interfaces = view.topology.interfaces_in_domain(domain);
    let is_here = |id: &&topology::InterfaceId| view.topology.domain_of_allowed(id).as_ref() == Some(domain);
    let interfaces = interfaces.iter().filter(is_here).filter_map(|id| view.topology.interfaces().get(id));
    let macs = interfaces.flat_map(|interface| interface.allowed_addresses.iter().filter_map(|of| of.mac));
    macs.filter(|mac| view.topology.mac_leases_of_address(domain, *mac).is_empty()).collect()
}

/// Allowed MAC addresses that are no leased ones of the interface.
fn macs(interface: &Interface, attachments: &[Attachment]) -> BTreeSet<MacAddr> {
    let allowed = interface.allowed_addresses.iter().filter_map(|allowed| allowed.mac);
    allowed.filter(|mac| attachments.iter().all(|of| of.mac != *mac)).collect()
}

/// What may be sent.
fn admitted(interface: &Interface, port: OfPort, of: &Attachment, attachments: &[Attachment]) -> Vec<Flow> {
    let from = || from_interface(in_domain(of.key), interface.key);
    let macs = macs(interface, attachments);
    let mut flows: Vec<_> = macs
        .iter()
        .flat_map(|mac| classify(interface, port, of, (Match::new().in_port(port).eth_src(mac.0), 100)))
        .collect();
    let (table, priority) = match of.domain {
        DomainId::Network(_) => (SOURCE, ANYBODY),
        DomainId::Segment(_) => (SEGMENT_SOURCE, ANYTHING),
    };
    if !interface.port_security {
        flows.extend(classify(interface, port, of, (Match::new().in_port(port), 50)));
        flows.push(Flow::new(table, priority, from(), Instructions::goto(TRACK_OUT)));
    }
    match of.domain {
        DomainId::Network(_) => flows.extend(interface.allowed_addresses.iter().map(|allowed| {
            let matching = from_prefix(from(), allowed.prefix);
            let matching = match allowed.mac {
                Some(mac) => matching.eth_src(mac.0),
                None => matching,
            };
            Flow::new(SOURCE, ALLOWED, matching, Instructions::goto(TRACK_OUT))
        })),
        DomainId::Segment(_) => {
            flows.extend(macs.iter().flat_map(|mac| says_its_mac(interface.key, of, *mac)));
        }
    }
    flows
}

/// Allowed addresses, each for itself, that are not leased to the interface, and behind which MAC address they are. Of two the first
/// answers.
pub(crate) fn allowed_addresses(
    interface: &Interface,
    of: &Attachment,
    attachments: &[Attachment],
) -> BTreeMap<IpAddr, MacAddr> {
    let mut addresses = BTreeMap::new();
    for allowed in &interface.allowed_addresses {
        let leased = |address: &_| attachments.iter().any(|of| of.addresses.contains(address));
        if let Some(address) = allowed.single().filter(|address| !leased(address)) {
            addresses.entry(address).or_insert(allowed.mac.unwrap_or(of.mac));
        }
    }
    addresses
}

/// How a network finds it.
fn known(interface: &Interface, place: Place, of: &Attachment, attachments: &[Attachment]) -> Vec<Flow> {
    let next = match place {
        Place::Here(_) => found(interface, None),
        Place::At(host) => found(interface, Some(host)),
        Place::Simulated => return Vec::new(),
    };
    let behind = |mac: MacAddr| Attachment { mac, ..of.clone() };
    let macs = macs(interface, attachments);
    let mut flows: Vec<_> = macs.iter().map(|mac| destination(&behind(*mac), next.clone())).collect();
    for (address, mac) in allowed_addresses(interface, of, attachments) {
        flows.push(resolve(interface, &behind(mac), address));
        if let Place::Here(_) = place {
            flows.push(asks_for_itself(interface.key, of, address));
        }
    }
    flows
}
