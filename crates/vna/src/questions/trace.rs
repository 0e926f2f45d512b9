//! What the switch would do with a packet, asked by `ofproto/trace` (ovs-vswitchd(8)).
//!
//! # Nothing changes by it
//! The switch is given fields and never a packet: with a packet it would send packet-ins and learn. So it cannot know what
//! only a packet has. Of the two ways behind `check_pkt_larger`, which the switch shows one after the other, the size of the frame says
//! here which one counts; nothing that goes out by a tunnel is too big for it at the other end.
//!
//! # Trackers
//! A trace asks no connection tracker either. So it is ended where one would be asked, and begun anew in the table where the packet
//! goes on, with what [`tracker`] says: that the packet begins a connection, or is of one that whoever asks has named, and is then
//! translated as that is. A translation of its own chooses the first address and port that it may.
//!
//! [`report`] reads what the switch prints.

mod frame;
mod packet;
mod report;
mod tracker;

use std::collections::VecDeque;

use openflow::OfPort;
use ovsdb::RpcError;
use sync::question::{Refusal, TraceQuery, TraceStart, Traced};

use super::names::Names;
use crate::control::{self, ControlError};
use crate::settings::Settings;
use packet::Packet;
use tracker::{Resumed, parted};

/// Longest description of a packet, in bytes: all fields there are take half of it.
const MAX_FIELDS: usize = 4096;

/// Most times that trackers are asked about one packet and its copies: a packet meets two of interfaces and two of translations at
/// most, so what meets more is a flood.
const MAX_LOOKUPS: usize = 64;

/// Asks, and reads the answer.
pub(super) async fn answer(
    settings: &Settings,
    names: &Names<'_>,
    query: &TraceQuery,
) -> Result<Traced, Refusal> {
    let (port, fields) = start(names, &query.start)?;
    checked(&fields)?;
    let mut printed = print(settings, "ofproto/trace", &[&format!("in_port={port},{fields}")]).await?;
    let (mut told, mut lookups) = (String::new(), 0);
    let mut resumed = VecDeque::new();
    loop {
        let (own, asked) = parted(&printed);
        told.push_str(own);
        told.push('\n');
        lookups += asked.len();
        if lookups > MAX_LOOKUPS {
            let reason = format!("the packet and its copies meet more than {MAX_LOOKUPS} trackers");
            return Err(Refusal::Invalid(reason));
        }
        resumed.extend(asked.iter().map(|lookup| lookup.resume(names, &query.known)));
        let Some(Resumed { table, fields }) = resumed.pop_front() else { break };
        let on = format!("resubmit(,{table})");
        printed = print(settings, "ofproto/trace-packet-out", &[&fields, &on]).await?;
    }
    let bytes = match &query.start {
        TraceStart::Interface { frame, .. } => frame::bytes(frame),
        TraceStart::Tunnel { .. } => 0,
    };
    Ok(report::read(names, (&settings.bridge, port, bytes), &told))
}

/// Has the switch trace a packet.
async fn print(settings: &Settings, command: &str, packet: &[&str]) -> Result<String, Refusal> {
    let arguments: Vec<_> = [settings.bridge.as_str()].into_iter().chain(packet.iter().copied()).collect();
    let printed = control::run(&settings.ovs_rundir, command, &arguments).await;
    printed.map_err(|error| match error {
        ControlError::Command(RpcError::Refused(reason)) => {
            Refusal::Invalid(format!("the switch does not understand the packet: {reason}"))
        }
        other => Refusal::Unavailable(format!("ovs-vswitchd cannot be asked: {other}; is it running?")),
    })
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
            let is_wrapped = Packet::of_flow(fields).names().is_none();
            let way = names.topology.way(from, names.datapath, None).filter(|_| is_wrapped);
            let tunnel = way.and_then(|way| names.tunnel_of(way.encapsulation));
            let uplinks = names.topology.shared_uplinks(names.datapath, from);
            let uplink = uplinks.first().filter(|_| !is_wrapped).and_then(|of| names.number_of(of));
            let port = tunnel.or(uplink);
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
