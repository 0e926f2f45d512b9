//! What the switch would do with a packet, asked by `ofproto/trace` (ovs-vswitchd(8)).
//!
//! # Nothing changes by it
//! The switch is given fields and never a packet: with a packet it would send packet-ins and learn. So it cannot know what
//! only a packet has. Of the two ways behind `check_pkt_larger`, which the switch shows one after the other, the size of the frame says
//! here which one counts; nothing that goes out by a tunnel is too big for it at the other end. What connection trackers say is told to
//! the switch beforehand: that the packet is the first of its connection, or that it goes back in one whose first packet is named.
//! Translation chooses the first address and port that it may.
//!
//! [`report`] reads what the switch prints.

mod frame;
mod packet;
mod report;

use openflow::OfPort;
use ovsdb::RpcError;
use sync::question::{Refusal, TraceQuery, TraceStart, Traced};

use super::names::Names;
use crate::control::{self, ControlError};
use crate::settings::Settings;
use packet::Packet;

/// Longest description of a packet, in bytes: all fields there are take half of it.
const MAX_FIELDS: usize = 4096;

/// What trackers say of an answer (ovs-vswitchd(8), `--ct-next`): said to as many as a packet meets at most, one for each end's protection and
/// one for a translation between them, twice where both ends are on one host.
const KNOWN: [&str; 2] = ["--ct-next", "trk,est,rpl"];
const MAX_TRACKERS: usize = 6;

/// Asks, and reads the answer.
pub(super) async fn answer(
    settings: &Settings,
    names: &Names<'_>,
    query: &TraceQuery,
) -> Result<Traced, Refusal> {
    let (port, mut fields) = start(names, &query.start)?;
    checked(&fields)?;
    if let Some(original) = &query.answers {
        fields.extend([",", &packet::answer_in(original)]);
    } else if query.tracked {
        fields.extend(Packet::of_flow(&fields).first_of_connection().iter().flat_map(|of| [",", of]));
    }
    let flow = format!("in_port={port},{fields}");
    let mut arguments = vec![settings.bridge.as_str(), &flow];
    if query.answers.is_some() {
        arguments.extend(KNOWN.repeat(MAX_TRACKERS));
    }
    let printed = control::run(&settings.ovs_rundir, "ofproto/trace", &arguments).await;
    let printed = printed.map_err(|error| match error {
        ControlError::Command(RpcError::Refused(reason)) => {
            Refusal::Invalid(format!("the switch does not understand the packet: {reason}"))
        }
        other => Refusal::Unavailable(format!("ovs-vswitchd cannot be asked: {other}; is it running?")),
    })?;
    let bytes = match &query.start {
        TraceStart::Interface { frame, .. } => frame::bytes(frame),
        TraceStart::Tunnel { .. } => 0,
    };
    Ok(report::read(names, (&settings.bridge, port, bytes), &printed))
}

/// The port by which the packet comes, and the packet.
fn start(names: &Names<'_>, start: &TraceStart) -> Result<(OfPort, String), Refusal> {
    match start {
        TraceStart::Interface { interface, frame } => {
            let port = names.number_of(interface);
            let port = port.ok_or_else(|| {
                Refusal::Invalid(format!("{interface} has no port on this host (any more)"))
            })?;
            Ok((port, frame::fields(frame)?))
        }
        TraceStart::Tunnel { from, fields } => {
            let underlay = names.topology.datapaths().get(from).and_then(|of| of.underlay);
            let port = underlay.and_then(|underlay| names.tunnel_of(underlay.encapsulation));
            let port =
                port.ok_or_else(|| Refusal::Invalid(format!("this host has no tunnel from {from}")))?;
            Ok((port, fields.clone()))
        }
    }
}

/// What goes to the switch is what a flow is written with: no further arguments, and no other port.
fn checked(text: &str) -> Result<(), Refusal> {
    let is_known = |byte: u8| byte.is_ascii_alphanumeric() || b"_=:./,+|-()".contains(&byte);
    match text {
        _ if text.len() > MAX_FIELDS => Err(Refusal::Invalid("the packet has too many fields".to_owned())),
        _ if text.starts_with('-') || !text.bytes().all(is_known) => {
            Err(Refusal::Invalid("the packet is not written as ovs-fields(7) says".to_owned()))
        }
        _ if text.contains("in_port") => {
            Err(Refusal::Invalid("where the packet comes in is told apart from it".to_owned()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_fields_gets_to_the_switch() {
        let check = |text: &str, expected: bool| assert_eq!(checked(text).is_ok(), expected, "{text}");
        check("icmp,nw_src=10.0.0.1,dl_src=02:00:00:00:00:01", true);
        check("tcp6,ipv6_src=fd00::1,tun_metadata0=0x10,ct_state=+trk-new", true);
        check("", true);
        check("-generate", false);
        check("icmp -generate", false);
        check("icmp,in_port=3", false);
        check("icmp\n", false);
        check(&"x".repeat(MAX_FIELDS + 1), false);
    }
}
