//! What a filter says to whom it refuses, and what it wants written down.

use std::sync::Arc;

use dataplane::layout::{DESTINATION, DESTINATION_INTERFACE, FLAGS, IDENTITY_BIT, SOURCE_INTERFACE};
use openflow::{Action, Field, OfPort, PacketIn, PacketOut};
use responder::{Problem, Sender};
use topology::interface::Interface;
use topology::{InterfaceKey, Topology};

use super::{back, register, value};

/// The interface whose filter a packet has met: that of its receiver, once that is found.
fn protected<'a>(packet_in: &PacketIn, topology: &'a Topology) -> Option<(&'a Arc<Interface>, bool)> {
    let receiver = register(packet_in, DESTINATION_INTERFACE);
    let key = if receiver == 0 { register(packet_in, SOURCE_INTERFACE) } else { receiver };
    Some((topology.interface_of_key(InterfaceKey(key))?, receiver != 0))
}

/// The reset or error, as if the packet's destination said it.
pub(super) fn answer(packet_in: &PacketIn, topology: &Topology) -> Option<PacketOut> {
    let frame = &packet_in.packet;
    let (to, from) = (frame.get(6..12)?.try_into().ok()?, frame.get(..6)?.try_into().ok()?);
    let reset = responder::tcp_reset(frame, from, to);
    let error = || {
        let sender = Sender { mac: from, address: responder::destination(frame)? };
        responder::icmp_error(frame, Problem::Prohibited, sender, to)
    };
    let is_tcp = responder::is_tcp(frame);
    let answer = if is_tcp { reset } else { error() }?;
    let (interface, is_receiver) = protected(packet_in, topology)?;
    if !is_receiver {
        return back(packet_in, answer);
    }
    // The sender may be anywhere: the answer takes the way that one of the receiver's would take.
    let domain = value(&packet_in.metadata, Field::Metadata).and_then(|key| u64::try_from(key).ok())?;
    let identity = interface.identity.map_or(0, |key| key.0) << IDENTITY_BIT;
    let actions = vec![
        Action::set_field(Field::Metadata, domain),
        Action::set_field(Field::Reg(SOURCE_INTERFACE), interface.key.0),
        Action::set_field(Field::Reg(FLAGS), identity),
        Action::resubmit(DESTINATION),
    ];
    Some(PacketOut::new(OfPort::CONTROLLER, actions, answer))
}

/// Writes down what a filter's rule wants written down.
pub(super) fn log(packet_in: &PacketIn, topology: &Topology) {
    let Some((interface, is_receiver)) = protected(packet_in, topology) else { return };
    let direction = if is_receiver { "ingress" } else { "egress" };
    let packet = responder::summary(&packet_in.packet);
    tracing::info!(interface = %interface.uuid, direction, packet, "a filter's rule fits");
}
