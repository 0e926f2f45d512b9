//! The packet and metadata fields of ovs-fields(7): names, widths and wire headers.
//!
//! # One field for one thing
//! NXM and OXM often have two headers for the same field (`NXM_OF_ETH_SRC`, `OXM_OF_ETH_SRC`). [`Field`] has one
//! variant; [`Field::header`] gives the header Open vSwitch itself prefers in OpenFlow 1.5, and
//! [`Field::from_header`] takes either. Where two fields differ in width or layout (`vlan_tci` and `vlan_vid`,
//! `nw_tos` and `ip_dscp`) they stay two fields, and [`Match`](crate::Match) settles which of them it holds.

use std::fmt;

/// Class of the Nicira fields that came with OpenFlow 1.0.
const NXM_OF: u16 = 0x0000;
/// Class of the other Nicira fields.
const NXM_NX: u16 = 0x0001;
/// Class of the standard fields.
const OXM_OF: u16 = 0x8000;
/// Class of the standard packet registers, `xreg0` and on.
const OXM_REG: u16 = 0x8001;
/// Class of the ERICOXM fields.
const ERICOXM: u16 = 0x1000;
/// Class of fields that are followed by an experimenter id.
pub(crate) const OXM_EXPERIMENTER: u16 = 0xffff;
/// Experimenter id of the Open Networking Foundation.
const ONF: u32 = 0x4f4e_4600;

/// `NXM_NX_TUN_METADATA0`; the other 63 follow.
const TUN_METADATA0: u8 = 40;
/// Number of 32-bit registers.
pub const REGISTERS: u8 = 16;
/// Number of tunnel option fields.
pub const TUNNEL_OPTIONS: u8 = 64;
/// Longest value of a tunnel option field, in bytes (RFC 8926, section 3.5).
pub const TUNNEL_OPTION_BYTES: u8 = 124;

/// What identifies a field on the wire: the parts of a NXM/OXM header that are not its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OxmHeader {
    /// `oxm_class`.
    pub class: u16,
    /// `oxm_field`, 7 bits.
    pub number: u8,
    /// Experimenter id, where the class is `0xffff`, else 0.
    pub experimenter: u32,
}

impl OxmHeader {
    const fn new(class: u16, number: u8) -> Self {
        Self { class, number, experimenter: 0 }
    }

    const fn experimenter(experimenter: u32, number: u8) -> Self {
        Self { class: OXM_EXPERIMENTER, number, experimenter }
    }
}

/// How ovs-ofctl(8) writes a field's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Decimal number.
    Decimal,
    /// Hexadecimal number.
    Hexadecimal,
    /// Six bytes separated by colons.
    Ethernet,
    /// Dotted quad.
    Ipv4,
    /// RFC 5952 text.
    Ipv6,
    /// Port number or the name of a reserved port.
    Port,
    /// `no`, `first`, `later`, …
    Fragment,
}

struct Info {
    name: &'static str,
    bits: u16,
    header: OxmHeader,
    format: Format,
    maskable: bool,
}

macro_rules! fields {
    ($($variant:ident $name:literal $bits:literal $header:expr, $format:ident, $mask:ident, [$($alias:expr),*];)*) => {
        /// A field that flows can match, and most of which actions can write: see ovs-fields(7).
        ///
        /// The order is one in which every field follows the fields it requires (`eth_type`, `nw_proto`).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Field {
            /// `reg0` … `reg15`, 32 bits each.
            Reg(u8),
            /// `xreg0` … `xreg7`, 64 bits: two registers, the even one in the upper half.
            Xreg(u8),
            /// `xxreg0` … `xxreg3`, 128 bits: four registers.
            Xxreg(u8),
            /// `tun_metadata0` … `tun_metadata63`: a Geneve option, `bytes` long as the TLV table maps it.
            TunMetadata {
                /// Number of the field.
                index: u8,
                /// Length of the option's value.
                bytes: u8,
            },
            $(#[doc = concat!("`", $name, "`, ", stringify!($bits), " bits.")] $variant,)*
        }

        impl Field {
            /// Every field that has no number; registers and tunnel options come on top.
            pub const PLAIN: &'static [Self] = &[$(Self::$variant),*];

            fn info(self) -> Info {
                match self {
                    $(Self::$variant => Info {
                        name: $name, bits: $bits, header: $header, format: Format::$format, maskable: fields!(@$mask),
                    },)*
                    Self::Reg(n) => Info::register("reg", 32, OxmHeader::new(NXM_NX, n)),
                    Self::Xreg(n) => Info::register("xreg", 64, OxmHeader::new(OXM_REG, n)),
                    Self::Xxreg(n) => Info::register("xxreg", 128, OxmHeader::new(NXM_NX, 111 + n)),
                    Self::TunMetadata { index, bytes } => Info::register(
                        "tun_metadata", u16::from(bytes) * 8, OxmHeader::new(NXM_NX, TUN_METADATA0 + index),
                    ),
                }
            }

            /// The field of a wire header whose value is `bytes` long, `None` if this library does not know it.
            pub fn from_header(header: OxmHeader, bytes: u8) -> Option<Self> {
                let field = match header {
                    $(h if h == $header $(|| h == $alias)* => Self::$variant,)*
                    OxmHeader { class: NXM_NX, number, .. } if number < REGISTERS => Self::Reg(number),
                    OxmHeader { class: NXM_NX, number: number @ 111..=114, .. } => Self::Xxreg(number - 111),
                    OxmHeader { class: NXM_NX, number: number @ TUN_METADATA0..=103, .. }
                        if bytes <= TUNNEL_OPTION_BYTES =>
                    {
                        Self::TunMetadata { index: number - TUN_METADATA0, bytes }
                    }
                    OxmHeader { class: OXM_REG, number: number @ 0..=7, .. } => Self::Xreg(number),
                    _ => return None,
                };
                Some(field)
            }
        }
    };
    (@mask) => { true };
    (@exact) => { false };
}

impl Info {
    fn register(name: &'static str, bits: u16, header: OxmHeader) -> Self {
        Self { name, bits, header, format: Format::Hexadecimal, maskable: true }
    }
}

const fn of(number: u8) -> OxmHeader {
    OxmHeader::new(OXM_OF, number)
}
const fn nx(number: u8) -> OxmHeader {
    OxmHeader::new(NXM_NX, number)
}
const fn nxm0(number: u8) -> OxmHeader {
    OxmHeader::new(NXM_OF, number)
}
const fn onf(number: u8) -> OxmHeader {
    OxmHeader::experimenter(ONF, number)
}

fields! {
    // Metadata of the packet and of its way through the tables.
    InPort "in_port_oxm" 32 of(0), Port, exact, [];
    InPortNxm "in_port" 16 nxm0(0), Port, exact, [];
    ActsetOutput "actset_output" 32 of(43), Port, exact, [onf(43)];
    PacketType "packet_type" 32 of(44), Hexadecimal, exact, [];
    ConjId "conj_id" 32 nx(37), Decimal, exact, [];
    RecircId "recirc_id" 32 nx(36), Hexadecimal, exact, [];
    DpHash "dp_hash" 32 nx(35), Hexadecimal, mask, [];
    PktMark "pkt_mark" 32 nx(33), Hexadecimal, mask, [];
    Metadata "metadata" 64 of(2), Hexadecimal, mask, [];
    // Tunnels.
    TunId "tun_id" 64 of(38), Hexadecimal, mask, [nx(16)];
    TunSrc "tun_src" 32 nx(31), Ipv4, mask, [];
    TunDst "tun_dst" 32 nx(32), Ipv4, mask, [];
    TunIpv6Src "tun_ipv6_src" 128 nx(109), Ipv6, mask, [];
    TunIpv6Dst "tun_ipv6_dst" 128 nx(110), Ipv6, mask, [];
    TunGbpId "tun_gbp_id" 16 nx(38), Decimal, mask, [];
    TunGbpFlags "tun_gbp_flags" 8 nx(39), Hexadecimal, mask, [];
    TunFlags "tun_flags" 1 nx(104), Hexadecimal, mask, [];
    // Connection tracking.
    CtState "ct_state" 32 nx(105), Hexadecimal, mask, [];
    CtZone "ct_zone" 16 nx(106), Hexadecimal, exact, [];
    CtMark "ct_mark" 32 nx(107), Hexadecimal, mask, [];
    CtLabel "ct_label" 128 nx(108), Hexadecimal, mask, [];
    // Ethernet and VLAN.
    EthDst "eth_dst" 48 of(3), Ethernet, mask, [nxm0(1)];
    EthSrc "eth_src" 48 of(4), Ethernet, mask, [nxm0(2)];
    EthType "eth_type" 16 of(5), Hexadecimal, exact, [nxm0(3)];
    VlanTci "vlan_tci" 16 nxm0(4), Hexadecimal, mask, [];
    VlanVid "vlan_vid" 13 of(6), Decimal, mask, [];
    VlanPcp "vlan_pcp" 3 of(7), Decimal, exact, [];
    MplsLabel "mpls_label" 20 of(34), Decimal, exact, [];
    MplsTc "mpls_tc" 3 of(35), Decimal, exact, [];
    MplsBos "mpls_bos" 1 of(36), Decimal, exact, [];
    MplsTtl "mpls_ttl" 8 nx(30), Decimal, exact, [];
    // IP.
    Ipv4Src "ip_src" 32 of(11), Ipv4, mask, [nxm0(7)];
    Ipv4Dst "ip_dst" 32 of(12), Ipv4, mask, [nxm0(8)];
    Ipv6Src "ipv6_src" 128 of(26), Ipv6, mask, [nx(19)];
    Ipv6Dst "ipv6_dst" 128 of(27), Ipv6, mask, [nx(20)];
    Ipv6Label "ipv6_label" 20 of(28), Hexadecimal, mask, [nx(27)];
    IpProto "nw_proto" 8 of(10), Decimal, exact, [nxm0(6)];
    IpTtl "nw_ttl" 8 nx(29), Decimal, exact, [];
    IpFrag "ip_frag" 2 nx(26), Fragment, mask, [];
    IpTos "nw_tos" 8 nxm0(5), Decimal, exact, [];
    IpDscp "ip_dscp" 6 of(8), Decimal, exact, [];
    IpEcn "nw_ecn" 2 of(9), Decimal, exact, [nx(28)];
    // The original direction of a tracked connection. They require eth_type, so they follow it.
    CtNwSrc "ct_nw_src" 32 nx(120), Ipv4, mask, [];
    CtNwDst "ct_nw_dst" 32 nx(121), Ipv4, mask, [];
    CtIpv6Src "ct_ipv6_src" 128 nx(122), Ipv6, mask, [];
    CtIpv6Dst "ct_ipv6_dst" 128 nx(123), Ipv6, mask, [];
    CtNwProto "ct_nw_proto" 8 nx(119), Decimal, exact, [];
    CtTpSrc "ct_tp_src" 16 nx(124), Decimal, mask, [];
    CtTpDst "ct_tp_dst" 16 nx(125), Decimal, mask, [];
    // ARP.
    ArpOp "arp_op" 16 of(21), Decimal, exact, [nxm0(15)];
    ArpSpa "arp_spa" 32 of(22), Ipv4, mask, [nxm0(16)];
    ArpTpa "arp_tpa" 32 of(23), Ipv4, mask, [nxm0(17)];
    ArpSha "arp_sha" 48 of(24), Ethernet, mask, [nx(17)];
    ArpTha "arp_tha" 48 of(25), Ethernet, mask, [nx(18)];
    // Transport.
    TcpSrc "tcp_src" 16 of(13), Decimal, mask, [nxm0(9)];
    TcpDst "tcp_dst" 16 of(14), Decimal, mask, [nxm0(10)];
    TcpFlags "tcp_flags" 12 of(42), Hexadecimal, mask, [nx(34), onf(42)];
    UdpSrc "udp_src" 16 of(15), Decimal, mask, [nxm0(11)];
    UdpDst "udp_dst" 16 of(16), Decimal, mask, [nxm0(12)];
    SctpSrc "sctp_src" 16 of(17), Decimal, mask, [];
    SctpDst "sctp_dst" 16 of(18), Decimal, mask, [];
    IcmpType "icmp_type" 8 of(19), Decimal, exact, [nxm0(13)];
    IcmpCode "icmp_code" 8 of(20), Decimal, exact, [nxm0(14)];
    Icmpv6Type "icmpv6_type" 8 of(29), Decimal, exact, [nx(21)];
    Icmpv6Code "icmpv6_code" 8 of(30), Decimal, exact, [nx(22)];
    NdTarget "nd_target" 128 of(31), Ipv6, mask, [nx(23)];
    NdSll "nd_sll" 48 of(32), Ethernet, mask, [nx(24)];
    NdTll "nd_tll" 48 of(33), Ethernet, mask, [nx(25)];
    NdReserved "nd_reserved" 32 OxmHeader::new(ERICOXM, 1), Decimal, exact, [];
    NdOptionsType "nd_options_type" 8 OxmHeader::new(ERICOXM, 2), Decimal, exact, [];
}

impl Field {
    /// Width in bits: what a mask may cover. `vlan_vid` counts its "present" bit.
    pub fn bits(self) -> u16 {
        self.info().bits
    }

    /// Length of the value on the wire, in bytes.
    pub fn bytes(self) -> u8 {
        match self {
            // Values of three bytes do not exist: the label's 20 bits stand in four (OpenFlow 1.5.1, table 12).
            Self::Ipv6Label | Self::MplsLabel => 4,
            // One bit, in 16 (ovs-fields(7), "Tunnel Fields").
            Self::TunFlags => 2,
            Self::TunMetadata { bytes, .. } => bytes,
            other => u8::try_from(other.bits().div_ceil(8)).unwrap_or(u8::MAX),
        }
    }

    /// The header that Open vSwitch uses for the field in OpenFlow 1.5.
    pub fn header(self) -> OxmHeader {
        self.info().header
    }

    /// How its values are written.
    pub fn format(self) -> Format {
        self.info().format
    }

    /// Whether a match on part of its bits is allowed.
    pub fn is_maskable(self) -> bool {
        self.info().maskable
    }

    /// The largest value: ones in all its bits. For a tunnel option of more than 16 bytes, of its last 16.
    pub fn ones(self) -> u128 {
        match self.bits() {
            bits @ 0..128 => (1 << bits) - 1,
            _ => u128::MAX,
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.info().name)?;
        match self {
            Self::Reg(n) | Self::Xreg(n) | Self::Xxreg(n) | Self::TunMetadata { index: n, .. } => {
                write!(f, "{n}")
            }
            _ => Ok(()),
        }
    }
}
