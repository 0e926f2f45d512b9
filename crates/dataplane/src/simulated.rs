//! Flows of a simulated interface: it lives in the switch, which answers for it and takes packets to its router.
//!
//! It is on every host, so what is sent to it never leaves the sender's: unless it has an owner, whose host alone it is on.

use std::collections::BTreeSet;
use std::net::IpAddr;

use openflow::{Field, Flow, Instructions, Match};
use topology::interface::Interface;
use topology::network_service::NetworkServiceMode;
use topology::{DomainId, DomainKey};

use crate::base::{FROM_NEIGHBOUR, REQUEST, SOLICITATION, answered};
use crate::interface::{deliver, destination, resolve};
use crate::layout::*;
use crate::view::{Attachment, View, flagged, in_domain, to_address};

/// The port of name servers (RFC 1035, section 4.2).
const DNS: u16 = 53;

/// All flows of a simulated interface that is on this host.
pub(crate) fn flows(view: View<'_>, interface: &Interface, attachments: &[Attachment]) -> Vec<Flow> {
    let key = interface.key;
    let mut flows: Vec<_> = attachments.iter().flat_map(|of| of_attachment(interface, of)).collect();
    let addresses: BTreeSet<_> = attachments.iter().flat_map(|of| of.addresses.iter().copied()).collect();
    // These are for others.
    let externals: BTreeSet<_> = view.translations(interface).iter().flat_map(|of| of.externals()).collect();
    flows.extend(addresses.difference(&externals).map(|address| {
        let matching = to_address(Match::new().reg(DESTINATION_INTERFACE, key.0), *address);
        Flow::new(SIMULATED, 400, matching, Instructions::goto(OWN))
    }));
    if tells_names(view, interface) {
        for asked in [Match::new().ip(), Match::new().ipv6()] {
            let asked = || asked.clone().reg(DESTINATION_INTERFACE, key.0);
            let ask =
                |matching, question| Flow::new(OWN, 100, matching, Instructions::apply(to_agent(question)));
            flows.push(ask(asked().udp().udp_dst(DNS), Question::Dns));
            flows.push(ask(asked().tcp().tcp_dst(DNS), Question::DnsStream));
        }
    }
    if interface.owner().is_some() {
        let domains: BTreeSet<_> = attachments.iter().map(|of| of.key).collect();
        let deliver = |domain| deliver(interface, domain, Instructions::goto(SIMULATED));
        flows.extend(domains.into_iter().map(deliver));
    }
    flows
}

/// Whether it is a name server.
fn tells_names(view: View<'_>, interface: &Interface) -> bool {
    view.topology.services_of_interface(&interface.uuid).iter().any(|service| {
        let service = view.topology.network_services().get(service);
        service.is_some_and(|service| service.mode == NetworkServiceMode::Dns)
    })
}

fn of_attachment(interface: &Interface, of: &Attachment) -> Vec<Flow> {
    let found = Instructions::apply([set(DESTINATION_INTERFACE, interface.key.0)]).then_goto(SIMULATED);
    let mut destination = destination(of, found);
    // What is tagged is in a VLAN of the guests' own, in which nobody has put an interface.
    destination.matching = destination.matching.untagged();
    if interface.owner().is_none() {
        // Nobody sends a tunnelled packet to what is on every host.
        destination.matching = flagged(destination.matching, 0, FROM_TUNNEL);
    }
    let mut flows = vec![destination];
    for address in &of.addresses {
        flows.push(resolve(interface, of, *address));
        // A network's questions are answered before they get here; a segment's would go to everybody.
        flows.extend(matches!(of.domain, DomainId::Segment(_)).then(|| answer(of.key, *address)));
    }
    flows
}

/// Answers the question for an address of ours in a segment.
pub(crate) fn answer(domain: DomainKey, address: IpAddr) -> Flow {
    // What is tagged is in a VLAN of the guests' own.
    let asked = flagged(in_domain(domain).untagged(), 0, FROM_TUNNEL);
    let (matching, answer) = match address {
        IpAddr::V4(address) => {
            (asked.arp().arp_op(REQUEST).arp_tpa(address), answered(ask_ipv4(Field::ArpTpa), ARP_REPLY))
        }
        IpAddr::V6(address) => {
            let asked = asked.icmpv6(SOLICITATION).icmpv6_code(0).ip_ttl(FROM_NEIGHBOUR);
            (asked.nd_target(address), answered(ask_ipv6(Field::NdTarget), ND_REPLY))
        }
    };
    Flow::new(DESTINATION, 150, matching, answer)
}
