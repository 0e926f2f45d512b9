//! Answers: what the receiver of a packet sends back, so that the way back can be walked as well.

use crate::error::Error;
use crate::graph::Topology;
use crate::id::InterfaceId;
use crate::walk::packet::{Icmp, IpPacket, Packet, Payload, TcpFlags};

use super::probe::{Prepared, Probe, ProbeKind, Target};

/// What `receiver` sends back to whom `packet`, as it was delivered, seems to come from. `None` if it is nothing that is
/// answered: an answer itself, a fragment, a message of ICMP that asks nothing.
///
/// # Errors
/// The receiver cannot send it: it has no lease of the family.
pub fn answer(
    topology: &Topology,
    receiver: &InterfaceId,
    packet: &Packet,
) -> Result<Option<Prepared>, Error> {
    let Some(received) = packet.ip() else { return Ok(None) };
    let Some(mut probe) = turned(received) else { return Ok(None) };
    probe.source_address = Some(received.destination);
    // Who was asked at a MAC address of its own answers from it, and in the VLAN in which it was asked.
    probe.source_mac = packet.destination.is_unicast().then_some(packet.destination);
    probe.vlan = packet.vlans.first().copied();
    probe.prepare(topology, receiver, &Target::Address(received.source)).map(Some)
}

/// The probe that answers a packet, without its addresses.
fn turned(packet: &IpPacket) -> Option<Probe> {
    let plain = Probe::default();
    Some(match &packet.payload {
        Payload::Tcp { source_port, destination_port, flags } if !flags.rst => Probe {
            kind: ProbeKind::Tcp,
            port: Some(*source_port),
            source_port: Some(*destination_port),
            tcp_flags: Some(if flags.syn { TcpFlags::SYN_ACK } else { TcpFlags::ACK }),
            ..plain
        },
        Payload::Udp { source_port, destination_port } => Probe {
            kind: ProbeKind::Udp,
            port: Some(*source_port),
            source_port: Some(*destination_port),
            ..plain
        },
        Payload::Icmp(Icmp { kind, identifier, about: None, .. }) => {
            // RFC 792, RFC 4443, section 4.2.
            let reply = match (packet.is_ipv4(), kind) {
                (true, 8) => 0,
                (false, 128) => 129,
                _ => return None,
            };
            Probe { icmp_type: Some(reply), icmp_code: Some(0), icmp_identifier: Some(*identifier), ..plain }
        }
        Payload::Other { protocol } => Probe { kind: ProbeKind::Other, protocol: Some(*protocol), ..plain },
        Payload::Tcp { .. } | Payload::Icmp(_) | Payload::Neighbour(_) => return None,
    })
}
