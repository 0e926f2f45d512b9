//! Ways: how packets get from one guest to an address that is another one's, or stands for it.

use crate::translation::entry::{StaticAddress, Transport};
use crate::walk::{Icmp, Packet, Payload, TcpFlags};

use super::traffic::{Kind, OTHER_PROTOCOL};

/// A way to an address of the receiver.
pub(super) struct Way {
    /// The frame, whatever it carries.
    pub(super) frame: Packet,
    /// The static address that is used, if one is.
    pub(super) by: Option<StaticAddress>,
}

impl Way {
    /// The port inside that it stands for, if only one.
    fn port(&self, kind: Kind) -> Option<Option<u16>> {
        let Some(ports) = self.by.as_ref().and_then(|entry| entry.ports) else { return Some(None) };
        let carried = match kind {
            Kind::Tcp => Transport::Tcp,
            Kind::Udp => Transport::Udp,
            Kind::Icmp | Kind::Icmpv6 | Kind::Other => return None,
        };
        ports.protocol.is_none_or(|of| of == carried).then_some(Some(ports.internal))
    }

    /// Where the ports begin and end that it stands for.
    pub(super) fn cuts(&self, kind: Kind) -> Vec<u16> {
        let port = self.port(kind).flatten();
        port.into_iter().flat_map(|port| [Some(port), port.checked_add(1)]).flatten().collect()
    }

    /// The port that a packet is to, to be of a value of a kind; `None` if what is used does not stand for that.
    pub(super) fn destination_port(&self, kind: Kind, value: u16) -> Option<u16> {
        match self.port(kind)? {
            None => Some(value),
            Some(internal) if internal == value => Some(self.by.as_ref()?.ports?.external),
            Some(_) => None,
        }
    }

    /// The packet of a piece; `None` if what is used does not stand for its port.
    pub(super) fn packet(&self, kind: Kind, value: u16, source_port: u16) -> Option<Packet> {
        let mut packet = self.frame.clone();
        packet.ip_mut()?.payload = payload(kind, self.destination_port(kind, value)?, source_port);
        Some(packet)
    }
}

/// What a packet of a kind carries: `value` is the port it is to, or type and code.
pub(super) fn payload(kind: Kind, value: u16, source_port: u16) -> Payload {
    let destination_port = value;
    match kind {
        Kind::Tcp => Payload::Tcp { source_port, destination_port, flags: TcpFlags::SYN },
        Kind::Udp => Payload::Udp { source_port, destination_port },
        Kind::Icmp | Kind::Icmpv6 => {
            let [kind, code] = value.to_be_bytes();
            Payload::Icmp(Icmp { kind, code, identifier: 1, about: None })
        }
        Kind::Other => Payload::Other { protocol: OTHER_PROTOCOL },
    }
}
