//! The packet of a trace, as far as another host would see it. Pure.
//!
//! A trace says of most actions what they write and of the others what is there then, so nothing has to be worked out but
//! `dec_ttl`. Registers stay on the host and are left out.

use std::collections::BTreeMap;
use std::net::IpAddr;

use topology::walk::Tuple;
use topology::walk::connection::Ends;
use topology::walk::packet::protocol;
use topology::wire::WireName;

/// Number of SCTP (RFC 9260, section 3).
const SCTP: u8 = 132;

/// Fields by their names in flows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Packet {
    /// The protocol's short name (ovs-ofctl(8), "Flow Syntax").
    protocol: Option<String>,
    fields: BTreeMap<&'static str, String>,
}

/// What another host sees: the name in flows, and the other names that actions have for it (ovs-fields(7)).
const FIELDS: [(&str, &[&str]); 33] = [
    ("dl_src", &["eth_src", "NXM_OF_ETH_SRC"]),
    ("dl_dst", &["eth_dst", "NXM_OF_ETH_DST"]),
    ("dl_type", &[]),
    ("dl_vlan", &[]),
    ("dl_vlan_pcp", &[]),
    ("nw_src", &["ip_src", "NXM_OF_IP_SRC"]),
    ("nw_dst", &["ip_dst", "NXM_OF_IP_DST"]),
    ("ipv6_src", &["NXM_NX_IPV6_SRC"]),
    ("ipv6_dst", &["NXM_NX_IPV6_DST"]),
    ("ipv6_label", &[]),
    ("nw_proto", &[]),
    ("nw_tos", &["NXM_OF_IP_TOS"]),
    ("nw_ecn", &[]),
    ("nw_ttl", &["NXM_NX_IP_TTL"]),
    ("nw_frag", &[]),
    ("tp_src", &["tcp_src", "udp_src", "sctp_src", "NXM_OF_TCP_SRC", "NXM_OF_UDP_SRC"]),
    ("tp_dst", &["tcp_dst", "udp_dst", "sctp_dst", "NXM_OF_TCP_DST", "NXM_OF_UDP_DST"]),
    ("icmp_type", &["icmpv6_type", "NXM_OF_ICMP_TYPE", "NXM_NX_ICMPV6_TYPE"]),
    ("icmp_code", &["icmpv6_code", "NXM_OF_ICMP_CODE", "NXM_NX_ICMPV6_CODE"]),
    ("arp_spa", &["NXM_OF_ARP_SPA"]),
    ("arp_tpa", &["NXM_OF_ARP_TPA"]),
    ("arp_op", &["NXM_OF_ARP_OP"]),
    ("arp_sha", &["NXM_NX_ARP_SHA"]),
    ("arp_tha", &["NXM_NX_ARP_THA"]),
    ("nd_target", &["NXM_NX_ND_TARGET"]),
    ("nd_sll", &["NXM_NX_ND_SLL"]),
    ("nd_tll", &["NXM_NX_ND_TLL"]),
    ("tun_id", &["NXM_NX_TUN_ID"]),
    ("tun_src", &["NXM_NX_TUN_IPV4_SRC"]),
    ("tun_dst", &["NXM_NX_TUN_IPV4_DST"]),
    ("tun_ipv6_src", &["NXM_NX_TUN_IPV6_SRC"]),
    ("tun_ipv6_dst", &["NXM_NX_TUN_IPV6_DST"]),
    ("tun_metadata0", &["NXM_NX_TUN_METADATA0"]),
];

/// Protocols that stand for `dl_type` and perhaps `nw_proto`.
const PROTOCOLS: [&str; 11] =
    ["ip", "ipv6", "arp", "icmp", "icmp6", "tcp", "tcp6", "udp", "udp6", "sctp", "sctp6"];

/// The name in flows.
fn name(of: &str) -> Option<&'static str> {
    FIELDS.iter().find(|(name, others)| *name == of || others.contains(&of)).map(|(name, _)| *name)
}

impl Packet {
    /// From a line of a trace that begins with `Flow:`.
    pub(super) fn of_flow(text: &str) -> Self {
        let mut packet = Self::default();
        for part in text.split(',') {
            match part.split_once('=') {
                Some((field, value)) => packet.set(field, value),
                None if PROTOCOLS.contains(&part) => packet.protocol = Some(part.to_owned()),
                None => {}
            }
        }
        packet
    }

    fn set(&mut self, field: &str, value: &str) {
        if let Some(name) = name(field) {
            self.fields.insert(name, value.to_owned());
        }
    }

    /// Does what an action does.
    pub(super) fn act(&mut self, action: &str) {
        if let Some((value, field)) = action.strip_prefix("set_field:").and_then(|set| set.split_once("->")) {
            match value.split_once('/') {
                None => self.set(field, value),
                Some((value, mask)) => self.set_bits(field, value, mask),
            }
        } else if action == "dec_ttl"
            && let Some(ttl) = self.fields.get_mut("nw_ttl")
            && let Ok(hops) = ttl.parse::<u8>()
        {
            *ttl = hops.saturating_sub(1).to_string();
        }
    }

    fn set_bits(&mut self, field: &str, value: &str, mask: &str) {
        if let (Some(value), Some(mask), Some(name)) = (number(value), number(mask), name(field)) {
            let before = self.fields.get(name).and_then(|before| number(before)).unwrap_or_default();
            self.fields.insert(name, format!("{:#x}", before & !mask | value & mask));
        }
    }

    /// Takes what the switch says of a field: `NXM_NX_TUN_METADATA0[40..63] is now 0x7`.
    pub(super) fn note(&mut self, text: &str) {
        let Some((part, value)) = text.split_once(" is now ") else { return };
        let Some((field, bits)) = part.trim_end_matches(']').split_once('[') else { return };
        match bits.split_once("..") {
            None if bits.is_empty() => self.set(field, value),
            None => {}
            Some((first, last)) => {
                let (Ok(first), Ok(last), Some(value)) =
                    (first.parse::<u32>(), last.parse::<u32>(), number(value))
                else {
                    return;
                };
                let width = last.saturating_sub(first).saturating_add(1);
                let ones = u64::MAX.checked_shr(u64::BITS.saturating_sub(width)).unwrap_or_default();
                let at = |bits: u64| bits.checked_shl(first).unwrap_or_default();
                self.set_bits(field, &format!("{:#x}", at(value)), &format!("{:#x}", at(ones)));
            }
        }
    }

    /// The address of the other end of the tunnel.
    pub(super) fn tunnel_to(&self) -> Option<IpAddr> {
        let given = |name| self.fields.get(name).and_then(|text| text.parse::<IpAddr>().ok());
        let known = ["tun_dst", "tun_ipv6_dst"].into_iter().filter_map(given);
        known.into_iter().find(|address| !address.is_unspecified())
    }

    /// Whom it is from and for, as hosts on one wire name interfaces to each other.
    pub(super) fn names(&self) -> Option<(WireName, WireName)> {
        let name = |field| WireName::of_address(self.fields.get(field)?.parse().ok()?);
        Some((name("dl_src")?, name("dl_dst")?))
    }

    /// What tells its connection apart; of an echo, not which one. None if it is nothing that connections are made of.
    pub(super) fn tuple(&self) -> Option<Tuple> {
        let address =
            |names: [&str; 2]| names.iter().find_map(|name| self.fields.get(name)?.parse::<IpAddr>().ok());
        let (source, destination) = (address(["nw_src", "ipv6_src"])?, address(["nw_dst", "ipv6_dst"])?);
        let pair = |one, other| Some((self.number_of(one)?, self.number_of(other)?));
        let protocol = self.protocol_number()?;
        let ends = match protocol {
            protocol::TCP | protocol::UDP => {
                let (source, destination) = pair("tp_src", "tp_dst")?;
                Ends::Ports { source, destination }
            }
            protocol::ICMP | protocol::ICMPV6 => {
                let (kind, code) = pair("icmp_type", "icmp_code")?;
                Ends::Echo { kind: kind.try_into().ok()?, code: code.try_into().ok()?, identifier: 0 }
            }
            _ => Ends::None,
        };
        Some(Tuple { protocol, source, destination, ends })
    }

    fn protocol_number(&self) -> Option<u8> {
        match self.protocol.as_deref() {
            Some("icmp") => Some(protocol::ICMP),
            Some("icmp6") => Some(protocol::ICMPV6),
            Some("tcp" | "tcp6") => Some(protocol::TCP),
            Some("udp" | "udp6") => Some(protocol::UDP),
            Some("sctp" | "sctp6") => Some(SCTP),
            _ => self.number_of("nw_proto")?.try_into().ok(),
        }
    }

    /// Gives a message of ICMP the type and code that it had before, if it has none: where trackers translate ports, a trace takes
    /// these for some.
    pub(super) fn keep_type(&mut self, before: &Self) {
        let has_ports = |name: &str| self.number_of(name).is_some_and(|value| value > u8::MAX.into());
        for name in ["icmp_type", "icmp_code"].into_iter().filter(|name| has_ports(name)).collect::<Vec<_>>()
        {
            self.fields.extend(before.fields.get(name).map(|value| (name, value.clone())));
        }
    }

    fn number_of(&self, field: &str) -> Option<u16> {
        self.fields.get(field)?.parse().ok()
    }

    /// Gives it the addresses and ports of a tuple, as a translation does.
    pub(super) fn rewrite(&mut self, tuple: &Tuple) {
        let Tuple { source, destination, ends, .. } = tuple;
        let addresses = if source.is_ipv4() { ["nw_src", "nw_dst"] } else { ["ipv6_src", "ipv6_dst"] };
        for (name, address) in addresses.into_iter().zip([source, destination]) {
            self.fields.insert(name, address.to_string());
        }
        if let Ends::Ports { source, destination } = ends {
            self.fields.extend([("tp_src", source.to_string()), ("tp_dst", destination.to_string())]);
        }
    }

    /// The same without what says by which tunnel it might have gone.
    pub(super) fn unwrapped(&self) -> String {
        let mut packet = self.clone();
        packet.fields.retain(|name, _| !name.starts_with("tun_"));
        packet.fields()
    }

    /// As `ovs-ofctl(8)` writes it, for another switch.
    pub(super) fn fields(&self) -> String {
        let protocol = self.protocol.iter().cloned();
        let fields = self.fields.iter().filter(|(_, value)| *value != "::" && *value != "0.0.0.0");
        // Traces call types and codes of both the same, and flows do not.
        let is_icmpv6 = self.protocol_number() == Some(protocol::ICMPV6);
        let spelled = |name: &'static str| match name {
            "icmp_type" if is_icmpv6 => "icmpv6_type",
            "icmp_code" if is_icmpv6 => "icmpv6_code",
            other => other,
        };
        let fields = fields.map(|(name, value)| format!("{}={value}", spelled(name)));
        protocol.chain(fields).collect::<Vec<_>>().join(",")
    }
}

/// A number as traces write it.
fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_is_what_actions_have_made_of_it() {
        let mut packet = Packet::of_flow(
            "recirc_id=0x2,eth,icmp,reg1=0x7,in_port=1,vlan_tci=0x0000,dl_src=02:00:00:00:00:01,nw_src=10.0.0.1,nw_ttl=64",
        );
        for action in [
            "set_field:02:00:00:00:00:fe->eth_src",
            "dec_ttl",
            "set_field:7->reg3",
            "set_field:10.9.0.2->tun_dst",
        ] {
            packet.act(action);
        }
        for note in [
            "NXM_NX_TUN_ID[] is now 0x5",
            "NXM_NX_TUN_METADATA0[40..63] is now 0x7",
            "NXM_NX_TUN_METADATA0[16..39] is now 0x8",
            "NXM_NX_REG4[] is now 0x8",
            "output to native tunnel",
        ] {
            packet.note(note);
        }
        assert_eq!(packet.tunnel_to(), "10.9.0.2".parse().ok());
        let expected = "icmp,dl_src=02:00:00:00:00:fe,nw_src=10.0.0.1,nw_ttl=63,tun_dst=10.9.0.2,tun_id=0x5,tun_metadata0=0x70000080000";
        assert_eq!(packet.fields(), expected);
    }
}
