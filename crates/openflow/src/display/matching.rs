//! Matches and flows.

use std::fmt;

use super::Separated;
use super::values::Masked;
use crate::matching::{ETH_TYPE_ARP, ETH_TYPE_IPV4, ETH_TYPE_IPV6, VLAN_PRESENT};
use crate::{Action, Field, Flow, FlowFlags, Instructions, Match, Term};

/// Names of the bits of `ct_state`, from bit 0 (ovs-fields(7), "Connection Tracking Fields").
const CT_STATES: [&str; 8] = ["new", "est", "rel", "rpl", "inv", "trk", "snat", "dnat"];
/// Bits of `vlan_vid`, with the "present" bit.
const VLAN_VID_ONES: u128 = 0x1fff;

impl fmt::Display for Match {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let protocol = self.protocol();
        let hidden = |field| match field {
            Field::EthType => protocol.is_some(),
            Field::IpProto => protocol.is_some_and(|name| !matches!(name, "ip" | "ipv6" | "arp")),
            _ => false,
        };
        let mut parts: Vec<String> = protocol.iter().map(|name| (*name).to_owned()).collect();
        parts.extend(self.terms().iter().filter(|term| !hidden(term.field)).map(ToString::to_string));
        parts.extend(self.opaque().iter().map(|term| format!("opaque={:?}", term.header)));
        write!(f, "{}", Separated(&parts, ","))
    }
}

impl Match {
    /// The protocol's short name, which stands for `eth_type` and perhaps `nw_proto`.
    fn protocol(&self) -> Option<&'static str> {
        let exact = |field| self.get(field).map(|term| term.value);
        let eth_type = u16::try_from(exact(Field::EthType)?).ok()?;
        match (eth_type, exact(Field::IpProto)) {
            (ETH_TYPE_ARP, None) => Some("arp"),
            (ETH_TYPE_IPV4, Some(6)) => Some("tcp"),
            (ETH_TYPE_IPV4, Some(17)) => Some("udp"),
            (ETH_TYPE_IPV4, Some(132)) => Some("sctp"),
            (ETH_TYPE_IPV4, Some(1)) => Some("icmp"),
            (ETH_TYPE_IPV4, _) => Some("ip"),
            (ETH_TYPE_IPV6, Some(6)) => Some("tcp6"),
            (ETH_TYPE_IPV6, Some(17)) => Some("udp6"),
            (ETH_TYPE_IPV6, Some(132)) => Some("sctp6"),
            (ETH_TYPE_IPV6, Some(58)) => Some("icmp6"),
            (ETH_TYPE_IPV6, _) => Some("ipv6"),
            _ => None,
        }
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { field, value, mask } = *self;
        match field {
            Field::InPort => write!(f, "in_port={}", Masked { field, value, mask }),
            Field::CtState => write_flags(f, "ct_state", &CT_STATES, value, mask),
            Field::TunFlags => write_flags(f, "tun_flags", &["oam"], value, mask),
            Field::IpFrag => write_fragment(f, value, mask),
            Field::TcpFlags => write!(f, "tcp_flags={value:#x}/{mask:#x}"),
            Field::VlanPcp => write!(f, "dl_vlan_pcp={value}"),
            Field::VlanVid => write_vlan(f, value, mask),
            // Text in two halves, as packet types are a namespace and a number (ovs-fields(7), "packet_type").
            Field::PacketType => write!(f, "packet_type=({},{:#x})", value >> 16, value & 0xffff),
            _ => write!(f, "{field}={}", Masked { field, value, mask }),
        }
    }
}

fn write_flags(
    f: &mut fmt::Formatter<'_>,
    name: &str,
    bits: &[&str],
    value: u128,
    mask: u128,
) -> fmt::Result {
    write!(f, "{name}=")?;
    bits.iter().enumerate().filter(|(bit, _)| mask >> bit & 1 == 1).try_for_each(|(bit, flag)| {
        let sign = if value >> bit & 1 == 1 { '+' } else { '-' };
        write!(f, "{sign}{flag}")
    })
}

/// Bit 0 says "a fragment", bit 1 "not the first" (ovs-fields(7), "IPv4/v6 Fragment Field").
fn write_fragment(f: &mut fmt::Formatter<'_>, value: u128, mask: u128) -> fmt::Result {
    let name = match (value, mask) {
        (0, 3) => "no",
        (1, 1) => "yes",
        (1, 3) => "first",
        (3, 3) => "later",
        (0, 2) => "not_later",
        _ => return write!(f, "ip_frag={value:#x}/{mask:#x}"),
    };
    write!(f, "nw_frag={name}")
}

fn write_vlan(f: &mut fmt::Formatter<'_>, value: u128, mask: u128) -> fmt::Result {
    let present = u128::from(VLAN_PRESENT);
    if mask == VLAN_VID_ONES && value & present != 0 {
        write!(f, "dl_vlan={}", value & !present)
    } else {
        write!(f, "vlan_tci={value:#06x}/{mask:#06x}")
    }
}

impl fmt::Display for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cookie={},table={},", self.cookie, self.table)?;
        let timeouts = [("idle_timeout", self.idle_timeout), ("hard_timeout", self.hard_timeout)];
        let numbers = timeouts.into_iter().chain([("importance", self.importance)]);
        numbers
            .filter(|(_, number)| *number != 0)
            .try_for_each(|(name, number)| write!(f, "{name}={number},"))?;
        write!(f, "{}priority={}", self.flags, self.priority)?;
        if !self.matching.is_empty() {
            write!(f, ",{}", self.matching)?;
        }
        write!(f, " actions={}", self.instructions)
    }
}

impl fmt::Display for FlowFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = [
            (Self::SEND_FLOW_REMOVED, "send_flow_rem"),
            (Self::CHECK_OVERLAP, "check_overlap"),
            (Self::RESET_COUNTS, "reset_counts"),
            (Self::NO_PACKET_COUNTS, "no_packet_counts"),
            (Self::NO_BYTE_COUNTS, "no_byte_counts"),
        ];
        names
            .into_iter()
            .filter(|(flag, _)| self.contains(*flag))
            .try_for_each(|(_, name)| write!(f, "{name},"))
    }
}

impl fmt::Display for Instructions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts: Vec<String> = self.apply.iter().map(Action::to_string).collect();
        if self.clear {
            parts.push("clear_actions".to_owned());
        }
        if !self.write.is_empty() {
            parts.push(format!("write_actions({})", Separated(&self.write, ",")));
        }
        match self.write_metadata {
            Some((value, u64::MAX)) => parts.push(format!("write_metadata:{value:#x}")),
            Some((value, mask)) => parts.push(format!("write_metadata:{value:#x}/{mask:#x}")),
            None => {}
        }
        parts.extend(self.goto_table.map(|table| format!("goto_table:{table}")));
        if parts.is_empty() { f.write_str("drop") } else { write!(f, "{}", Separated(&parts, ",")) }
    }
}
