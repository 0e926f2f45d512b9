//! What who got a packet answers.

use topology::walk::{Fragment, Icmp, Packet, Payload, TcpFlags};

use super::ip;

/// What who got a packet answers; `None` if nobody would.
pub(super) fn answer(got: &Packet) -> Option<Packet> {
    let mut answer = got.clone();
    (answer.source, answer.destination) = (got.destination, got.source);
    let ip = answer.ip_mut()?;
    if ip.destination.is_multicast() || got.destination.is_multicast() || ip.fragment != Fragment::Whole {
        return None;
    }
    (ip.source, ip.destination) = (ip.destination, ip.source);
    ip.hops = 64;
    match &mut ip.payload {
        Payload::Tcp { source_port, destination_port, flags } => {
            std::mem::swap(source_port, destination_port);
            *flags = if *flags == TcpFlags::SYN { TcpFlags::SYN_ACK } else { TcpFlags::ACK };
        }
        Payload::Udp { source_port, destination_port } => std::mem::swap(source_port, destination_port),
        Payload::Icmp(icmp @ Icmp { kind: 8, .. }) => icmp.kind = 0,
        Payload::Icmp(icmp @ Icmp { kind: 128, .. }) => icmp.kind = 129,
        Payload::Other { .. } => {}
        Payload::Icmp(_) | Payload::Neighbour(_) => return None,
    }
    Some(answer)
}

/// The error that who got a packet sends about it: "communication administratively prohibited".
pub(super) fn error_about(got: &Packet) -> Option<Packet> {
    let about = got.ip()?;
    let is_one = !about.destination.is_multicast() && !got.destination.is_multicast();
    let speaks = !matches!(&about.payload, Payload::Icmp(_) | Payload::Neighbour(_) | Payload::Other { .. });
    if !is_one || !speaks || about.fragment != Fragment::Whole || about.data_bytes > 500 {
        return None;
    }
    let (kind, code) = if about.is_ipv4() { (3, 13) } else { (1, 1) };
    let about = Some(Box::new(about.clone()));
    let ips = about.as_ref().map(|of| (of.destination, of.source))?;
    let mut error =
        ip((got.destination, got.source), ips, Payload::Icmp(Icmp { kind, code, identifier: 0, about }));
    error.ip_mut()?.data_bytes = 0;
    Some(error)
}
