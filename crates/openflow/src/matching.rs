//! Flow matches in canonical form: what is sent compares equal with what the switch reports.
//!
//! # Canonical form
//! - Terms are ordered by [`Field`], each field at most once; `value & mask == value`; a term without mask bits is none.
//! - Registers are held as `reg0` … `reg15`: `xreg` and `xxreg` are other names for the same bits (ovs-fields(7),
//!   "Register Fields"), and Open vSwitch reports whichever its OpenFlow version prefers.
//! - A tag control word is held as `vlan_vid` (with the "present" bit `0x1000`) and `vlan_pcp`, as OpenFlow 1.5 has it.
//! - `nw_tos` is held as `ip_dscp`, the 16-bit `in_port` as the 32-bit one.
//! - Fields that this library does not know stay as opaque bytes, so that a foreign flow is never mistaken for another.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::field::OxmHeader;
use crate::{Field, OfPort, Shared, Value};

/// Ethertype of IPv4.
pub const ETH_TYPE_IPV4: u16 = 0x0800;
/// Ethertype of ARP (RFC 826).
pub const ETH_TYPE_ARP: u16 = 0x0806;
/// Ethertype of IPv6.
pub const ETH_TYPE_IPV6: u16 = 0x86dd;
/// The bit of `vlan_vid` that says that there is a tag (`OFPVID_PRESENT`).
pub const VLAN_PRESENT: u16 = 0x1000;

/// One field's condition: `packet & mask == value`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Term {
    /// The field.
    pub field: Field,
    /// The value it must have, 0 where the mask is.
    pub value: u128,
    /// The bits that count.
    pub mask: u128,
}

impl Term {
    /// Whether every bit of the field counts.
    pub fn is_exact(&self) -> bool {
        self.mask == self.field.ones()
    }
}

/// A field that this library does not know, or whose value is wider than 128 bits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OpaqueTerm {
    /// What the wire calls it.
    pub header: OxmHeader,
    /// Value bytes.
    pub value: Vec<u8>,
    /// As many mask bytes, where there is a mask.
    pub mask: Option<Vec<u8>>,
}

/// What packets a flow applies to. The empty match is every packet.
///
/// Fields that another field requires (`eth_type` for addresses, `nw_proto` for ports) are the caller's to set; sugar
/// such as [`Match::tcp`] does so.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Match(Shared<Terms>);

/// What a match consists of.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Terms {
    known: Vec<Term>,
    opaque: Vec<OpaqueTerm>,
}

macro_rules! exact {
    ($($(#[$doc:meta])* $name:ident($type:ty) => $field:ident;)*) => {$(
        $(#[$doc])*
        #[must_use]
        pub fn $name(self, value: $type) -> Self {
            self.with(Field::$field, value)
        }
    )*};
}

macro_rules! masked {
    ($($(#[$doc:meta])* $name:ident($type:ty) => $field:ident;)*) => {$(
        $(#[$doc])*
        #[must_use]
        pub fn $name(self, value: $type, mask: $type) -> Self {
            self.with_masked(Field::$field, value, mask)
        }
    )*};
}

impl Match {
    /// Every packet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The conditions on known fields, in the order of [`Field`].
    pub fn terms(&self) -> &[Term] {
        &self.0.known
    }

    /// The conditions on fields that this library does not know.
    pub fn opaque(&self) -> &[OpaqueTerm] {
        &self.0.opaque
    }

    /// The condition on a field, if there is one. Registers are found under [`Field::Reg`] only.
    pub fn get(&self, field: Field) -> Option<&Term> {
        self.0.position(field).ok().and_then(|at| self.0.known.get(at))
    }

    /// Whether every packet matches.
    pub fn is_empty(&self) -> bool {
        self.0.known.is_empty() && self.0.opaque.is_empty()
    }

    /// Requires a field to have a value.
    ///
    /// # Panics
    /// If the value does not fit the field: a mistake of the caller, never of a peer.
    #[must_use]
    pub fn with(self, field: Field, value: impl Into<Value>) -> Self {
        self.with_masked(field, value, field.ones())
    }

    /// Requires part of a field to have a value. Conditions on the same field add up; where they overlap the last wins.
    ///
    /// # Panics
    /// If value or mask do not fit the field, or the field takes no such mask.
    #[must_use]
    pub fn with_masked(mut self, field: Field, value: impl Into<Value>, mask: impl Into<Value>) -> Self {
        let (Value(value), Value(mask)) = (value.into(), mask.into());
        assert!((value | mask) & !field.ones() == 0, "{value:#x}/{mask:#x} does not fit {field}");
        assert!(field.is_maskable() || mask == 0 || mask == field.ones(), "{field} takes no mask");
        self.insert(field, value, mask);
        self
    }

    /// Adds a condition in canonical form.
    pub(crate) fn insert(&mut self, field: Field, value: u128, mask: u128) {
        match field {
            Field::Xreg(n) => self.insert_registers(n.saturating_mul(2), 2, value, mask),
            Field::Xxreg(n) => self.insert_registers(n.saturating_mul(4), 4, value, mask),
            Field::VlanTci => self.insert_tag(value, mask),
            Field::IpTos => self.insert_plain(Field::IpDscp, value >> 2, mask >> 2),
            Field::InPortNxm => {
                let port = u16::try_from(value & 0xffff).map_or(OfPort::ANY, OfPort::from_u16);
                self.insert_plain(Field::InPort, u128::from(port.0), Field::InPort.ones());
            }
            other => self.insert_plain(other, value, mask),
        }
    }

    pub(crate) fn insert_opaque(&mut self, term: OpaqueTerm) {
        let at = self.0.opaque.partition_point(|other| *other < term);
        self.0.opaque.insert(at, term);
    }

    fn insert_registers(&mut self, first: u8, count: u8, value: u128, mask: u128) {
        for (register, place) in (first..first.saturating_add(count)).zip((0..count).rev()) {
            let low_word = |word: u128| (word >> (u32::from(place) * 32)) & 0xffff_ffff;
            self.insert_plain(Field::Reg(register), low_word(value), low_word(mask));
        }
    }

    /// Splits a tag control word: 3 bits of priority, the "present" bit, 12 bits of VLAN.
    fn insert_tag(&mut self, value: u128, mask: u128) {
        self.insert_plain(Field::VlanVid, value & 0x1fff, mask & 0x1fff);
        self.insert_plain(Field::VlanPcp, (value >> 13) & 7, (mask >> 13) & 7);
    }

    fn insert_plain(&mut self, field: Field, value: u128, mask: u128) {
        if mask == 0 {
            return;
        }
        let value = value & mask;
        let terms = &mut *self.0;
        match terms.position(field) {
            Err(at) => {
                // A switch has thousands of matches, and nobody adds to them later.
                terms.known.reserve_exact(1);
                terms.known.insert(at, Term { field, value, mask });
            }
            Ok(at) => {
                if let Some(term) = terms.known.get_mut(at) {
                    term.value = term.value & !mask | value;
                    term.mask |= mask;
                }
            }
        }
    }
}

impl Terms {
    fn position(&self, field: Field) -> Result<usize, usize> {
        self.known.binary_search_by(|term| term.field.cmp(&field))
    }
}

/// Conditions by name.
impl Match {
    exact! {
        /// The packet came in by this port.
        in_port(OfPort) => InPort;
        /// OpenFlow metadata.
        metadata(u64) => Metadata;
        /// Conjunction id (ovs-fields(7), "Conjunctive Match Fields").
        conj_id(u32) => ConjId;
        /// Packet mark of the host.
        pkt_mark(u32) => PktMark;
        /// Tunnel key.
        tun_id(u64) => TunId;
        /// Outer source of the tunnel.
        tun_src(Ipv4Addr) => TunSrc;
        /// Outer destination of the tunnel.
        tun_dst(Ipv4Addr) => TunDst;
        /// Outer source of the tunnel, over IPv6.
        tun_ipv6_src(Ipv6Addr) => TunIpv6Src;
        /// Outer destination of the tunnel, over IPv6.
        tun_ipv6_dst(Ipv6Addr) => TunIpv6Dst;
        /// Source MAC address.
        eth_src([u8; 6]) => EthSrc;
        /// Destination MAC address.
        eth_dst([u8; 6]) => EthDst;
        /// Ethertype.
        eth_type(u16) => EthType;
        /// IPv4 source; requires [`Match::ip`].
        ipv4_src(Ipv4Addr) => Ipv4Src;
        /// IPv4 destination; requires [`Match::ip`].
        ipv4_dst(Ipv4Addr) => Ipv4Dst;
        /// IPv6 source; requires [`Match::ipv6`].
        ipv6_src(Ipv6Addr) => Ipv6Src;
        /// IPv6 destination; requires [`Match::ipv6`].
        ipv6_dst(Ipv6Addr) => Ipv6Dst;
        /// IP protocol; requires [`Match::ip`] or [`Match::ipv6`].
        ip_proto(u8) => IpProto;
        /// IPv4 time to live or IPv6 hop limit.
        ip_ttl(u8) => IpTtl;
        /// TCP source port; requires [`Match::tcp`].
        tcp_src(u16) => TcpSrc;
        /// TCP destination port; requires [`Match::tcp`].
        tcp_dst(u16) => TcpDst;
        /// UDP source port; requires [`Match::udp`].
        udp_src(u16) => UdpSrc;
        /// UDP destination port; requires [`Match::udp`].
        udp_dst(u16) => UdpDst;
        /// SCTP source port; requires [`Match::sctp`].
        sctp_src(u16) => SctpSrc;
        /// SCTP destination port; requires [`Match::sctp`].
        sctp_dst(u16) => SctpDst;
        /// ARP operation (RFC 826); requires [`Match::arp`].
        arp_op(u16) => ArpOp;
        /// ARP sender address; requires [`Match::arp`].
        arp_spa(Ipv4Addr) => ArpSpa;
        /// ARP target address; requires [`Match::arp`].
        arp_tpa(Ipv4Addr) => ArpTpa;
        /// ARP sender MAC address; requires [`Match::arp`].
        arp_sha([u8; 6]) => ArpSha;
        /// ARP target MAC address; requires [`Match::arp`].
        arp_tha([u8; 6]) => ArpTha;
        /// Neighbour discovery target (RFC 4861); requires `icmpv6(135)` or `icmpv6(136)` and code 0.
        nd_target(Ipv6Addr) => NdTarget;
        /// Source link-layer address option; requires `icmpv6(135)` and code 0.
        nd_sll([u8; 6]) => NdSll;
        /// Target link-layer address option; requires `icmpv6(136)` and code 0.
        nd_tll([u8; 6]) => NdTll;
        /// ICMP code; requires [`Match::icmp`].
        icmp_code(u8) => IcmpCode;
        /// ICMPv6 code; requires [`Match::icmpv6`].
        icmpv6_code(u8) => Icmpv6Code;
        /// Connection tracking zone.
        ct_zone(u16) => CtZone;
        /// Connection mark.
        ct_mark(u32) => CtMark;
        /// Connection label.
        ct_label(u128) => CtLabel;
        /// Source of the connection's first packet; requires [`Match::ip`] and a tracked state.
        ct_nw_src(Ipv4Addr) => CtNwSrc;
        /// Destination of the connection's first packet; requires [`Match::ip`] and a tracked state.
        ct_nw_dst(Ipv4Addr) => CtNwDst;
        /// Source of the connection's first packet; requires [`Match::ipv6`] and a tracked state.
        ct_ipv6_src(Ipv6Addr) => CtIpv6Src;
        /// Destination of the connection's first packet; requires [`Match::ipv6`] and a tracked state.
        ct_ipv6_dst(Ipv6Addr) => CtIpv6Dst;
        /// Protocol of the connection's first packet.
        ct_nw_proto(u8) => CtNwProto;
        /// Source port of the connection's first packet; requires [`Match::ct_nw_proto`].
        ct_tp_src(u16) => CtTpSrc;
        /// Destination port of the connection's first packet; requires [`Match::ct_nw_proto`].
        ct_tp_dst(u16) => CtTpDst;
    }

    masked! {
        /// Part of the OpenFlow metadata.
        metadata_masked(u64) => Metadata;
        /// Part of the tunnel key.
        tun_id_masked(u64) => TunId;
        /// Some tunnel flags.
        tun_flags_masked(u16) => TunFlags;
        /// Connection state bits ([`ct_state`](crate::ct_state)).
        ct_state(u32) => CtState;
        /// Part of the connection mark.
        ct_mark_masked(u32) => CtMark;
        /// Part of the connection label.
        ct_label_masked(u128) => CtLabel;
        /// Part of the source MAC address.
        eth_src_masked([u8; 6]) => EthSrc;
        /// Part of the destination MAC address.
        eth_dst_masked([u8; 6]) => EthDst;
        /// An IPv4 source prefix; requires [`Match::ip`].
        ipv4_src_masked(Ipv4Addr) => Ipv4Src;
        /// An IPv4 destination prefix; requires [`Match::ip`].
        ipv4_dst_masked(Ipv4Addr) => Ipv4Dst;
        /// An IPv6 source prefix; requires [`Match::ipv6`].
        ipv6_src_masked(Ipv6Addr) => Ipv6Src;
        /// An IPv6 destination prefix; requires [`Match::ipv6`].
        ipv6_dst_masked(Ipv6Addr) => Ipv6Dst;
        /// Some TCP flags; requires [`Match::tcp`].
        tcp_flags(u16) => TcpFlags;
    }

    /// A register's whole value.
    #[must_use]
    pub fn reg(self, register: u8, value: u32) -> Self {
        self.with(Field::Reg(register), value)
    }

    /// Part of a register.
    #[must_use]
    pub fn reg_masked(self, register: u8, value: u32, mask: u32) -> Self {
        self.with_masked(Field::Reg(register), value, mask)
    }

    /// A tagged packet of this VLAN.
    #[must_use]
    pub fn vlan(self, vid: u16) -> Self {
        self.with(Field::VlanVid, vid | VLAN_PRESENT)
    }

    /// A packet without a VLAN tag.
    #[must_use]
    pub fn untagged(self) -> Self {
        self.with(Field::VlanVid, 0u16)
    }

    /// An ARP packet.
    #[must_use]
    pub fn arp(self) -> Self {
        self.eth_type(ETH_TYPE_ARP)
    }

    /// An IPv4 packet.
    #[must_use]
    pub fn ip(self) -> Self {
        self.eth_type(ETH_TYPE_IPV4)
    }

    /// An IPv6 packet.
    #[must_use]
    pub fn ipv6(self) -> Self {
        self.eth_type(ETH_TYPE_IPV6)
    }

    /// A TCP segment over IPv4; after [`Match::ipv6`], over IPv6.
    #[must_use]
    pub fn tcp(self) -> Self {
        self.over_ip(6)
    }

    /// A UDP datagram over IPv4; after [`Match::ipv6`], over IPv6.
    #[must_use]
    pub fn udp(self) -> Self {
        self.over_ip(17)
    }

    /// An SCTP packet over IPv4; after [`Match::ipv6`], over IPv6.
    #[must_use]
    pub fn sctp(self) -> Self {
        self.over_ip(132)
    }

    /// An ICMP message (RFC 792) of this type.
    #[must_use]
    pub fn icmp(self, icmp_type: u8) -> Self {
        self.ip().ip_proto(1).with(Field::IcmpType, icmp_type)
    }

    /// An ICMPv6 message (RFC 4443) of this type.
    #[must_use]
    pub fn icmpv6(self, icmp_type: u8) -> Self {
        self.ipv6().ip_proto(58).with(Field::Icmpv6Type, icmp_type)
    }

    fn over_ip(self, protocol: u8) -> Self {
        let is_ip = self.get(Field::EthType).is_some();
        if is_ip { self.ip_proto(protocol) } else { self.ip().ip_proto(protocol) }
    }
}
