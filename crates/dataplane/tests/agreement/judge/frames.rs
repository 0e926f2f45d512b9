//! Frames that were seen, held against those that were expected.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use topology::walk::{Content, Packet, Payload};

use super::Settled;
use crate::forms::Form;

/// Whether a frame is no IP packet although it says so. Switches take it for one without a hop left; an agent cannot read it, and drops it.
pub(super) fn is_malformed(packet: &Packet) -> bool {
    matches!(packet.content, Content::Other { ether_type: 0x0800 | 0x86dd })
}

/// Whether nothing but the code point differs, which switches write also into what only says that it is an IP packet.
fn is_marked(frame: &[u8], expected: &[u8], tags: usize) -> bool {
    /// Where an untagged frame has it, over IPv4 and over IPv6, and where the checksum of an IPv4 header; and bytes of a tag.
    const MARKS: [usize; 4] = [14, 15, 24, 25];
    const TAG: usize = 4;
    let is_mark = |place: usize| MARKS.iter().any(|mark| mark + TAG * tags == place);
    let rest = |of: &[u8]| -> Vec<_> {
        of.iter().copied().enumerate().filter(|(place, _)| !is_mark(*place)).collect()
    };
    rest(frame) == rest(expected)
}

/// Whether a frame is a packet, and which source port it got, if that was left open.
pub(super) fn same(
    form: Form,
    packet: &Packet,
    frame: &[u8],
    ports: Option<&RangeInclusive<u16>>,
) -> Option<Option<Settled>> {
    let expected = form.of(packet.to_bytes());
    if ports.is_none()
        && (frame == expected || is_malformed(packet) && is_marked(frame, &expected, packet.vlans.len()))
    {
        return Some(None);
    }
    let mut seen = Packet::from_bytes(frame)?;
    mend_quotation(&mut seen, packet);
    let Some(ports) = ports else {
        // A switch that translates an error does not sum up anew what the error quotes.
        let quotes =
            matches!(packet.ip().map(|ip| &ip.payload), Some(Payload::Icmp(icmp)) if icmp.about.is_some());
        let is_part = packet.ip().is_some_and(|ip| ip.fragment != topology::walk::Fragment::Whole);
        let same = seen == *packet && (quotes || is_part);
        return same.then_some(None);
    };
    let (address, assumed) = packet.ip().and_then(|ip| Some((ip.source, ip.ports()?.0)))?;
    let with = |port| {
        let mut other = packet.clone();
        match &mut other.ip_mut()?.payload {
            Payload::Tcp { source_port, .. } | Payload::Udp { source_port, .. } => *source_port = port,
            _ => return None,
        }
        Some(form.of(other.to_bytes()))
    };
    // What an extension header hides has to be tried.
    let mut taken = match seen.ip()?.ports() {
        Some((port, _)) if ports.contains(&port) => port..=port,
        Some(_) => return None,
        None => ports.clone(),
    };
    let taken = taken.find(|port| with(*port).is_some_and(|expected| expected == frame))?;
    Some(Some(((address, assumed), taken)))
}

/// Open vSwitch 3.1 writes a checksum over the source of what a translated ICMPv6 error quotes (`nat_inner_packet` in its
/// userspace connection tracker takes the quoted header for one of IPv4). Nothing that flows could mend.
fn mend_quotation(seen: &mut Packet, expected: &Packet) {
    let quoted = |packet: &Packet| match &packet.ip()?.payload {
        Payload::Icmp(icmp) => icmp.about.as_ref().map(|about| about.source),
        _ => None,
    };
    let (Some(IpAddr::V6(wrong)), Some(IpAddr::V6(right))) = (quoted(seen), quoted(expected)) else { return };
    let Some(Payload::Icmp(icmp)) = seen.ip_mut().map(|ip| &mut ip.payload) else { return };
    if wrong.segments()[1..] == right.segments()[1..]
        && let Some(about) = &mut icmp.about
    {
        about.source = right.into();
    }
}
