//! IP packets of either version, as far as answers have to know them.
//!
//! A packet that is read is well-formed down to its last extension header, and ends where its header says: what pads
//! its frame is cut off.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use etherparse::{
    EtherType, IpHeaders, IpNumber, IpPayloadSlice, Ipv4HeaderSlice, Ipv4Slice, Ipv6ExtensionSlice,
    Ipv6Header, Ipv6Slice, LenSource, PacketBuilder, PacketBuilderStep,
};

/// Hops that an answer may make: the usual default (RFC 1700), far more than to the next port.
const HOPS: u8 = 64;

/// From whom to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Addresses {
    V4 { source: Ipv4Addr, destination: Ipv4Addr },
    V6 { source: Ipv6Addr, destination: Ipv6Addr },
}

/// Which part of a datagram a packet holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    Whole,
    First,
    Later,
}

/// A packet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Packet<'a> {
    pub(crate) addresses: Addresses,
    pub(crate) piece: Piece,
    /// What the payload is.
    pub(crate) protocol: IpNumber,
    /// What is behind the last extension header.
    pub(crate) payload: &'a [u8],
    /// The whole packet.
    pub(crate) bytes: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Reads what is behind an Ethernet header.
    pub(crate) fn parse(ether_type: EtherType, bytes: &'a [u8]) -> Option<Self> {
        match ether_type {
            EtherType::IPV4 => Self::ipv4(bytes),
            EtherType::IPV6 => Self::ipv6(bytes),
            _ => None,
        }
    }

    fn ipv4(bytes: &'a [u8]) -> Option<Self> {
        let slice = Ipv4Slice::from_slice(bytes).ok()?;
        let header = slice.header();
        if !is_intact(header) {
            return None;
        }
        let piece = match (header.fragments_offset().value(), header.more_fragments()) {
            (0, false) => Piece::Whole,
            (0, true) => Piece::First,
            _ => Piece::Later,
        };
        let addresses =
            Addresses::V4 { source: header.source_addr(), destination: header.destination_addr() };
        let bytes = bytes.get(..header.total_len().into())?;
        Some(Self::new(addresses, piece, slice.payload(), bytes))
    }

    fn ipv6(bytes: &'a [u8]) -> Option<Self> {
        let slice = Ipv6Slice::from_slice(bytes).ok()?;
        let header = slice.header();
        // A length of 0 is that of a jumbogram (RFC 2675), which no tunnel takes and no guest has reason to send.
        if slice.payload().len_source != LenSource::Ipv6HeaderPayloadLen {
            return None;
        }
        let fragment = slice.extensions().clone().into_iter().find_map(|extension| match extension {
            Ipv6ExtensionSlice::Fragment(fragment) => Some(fragment),
            _ => None,
        });
        let piece =
            match fragment.map(|fragment| (fragment.fragment_offset().value(), fragment.more_fragments())) {
                // RFC 6946: a fragment that is the first and the last is the whole.
                None | Some((0, false)) => Piece::Whole,
                Some((0, true)) => Piece::First,
                Some(_) => Piece::Later,
            };
        let addresses =
            Addresses::V6 { source: header.source_addr(), destination: header.destination_addr() };
        let size = Ipv6Header::LEN.checked_add(header.payload_length().into())?;
        Some(Self::new(addresses, piece, slice.payload(), bytes.get(..size)?))
    }

    fn new(addresses: Addresses, piece: Piece, payload: &IpPayloadSlice<'a>, bytes: &'a [u8]) -> Self {
        Self { addresses, piece, protocol: payload.ip_number, payload: payload.payload, bytes }
    }
}

impl Addresses {
    /// From one to the other. `None` if they are of different versions.
    pub(crate) fn new(source: IpAddr, destination: IpAddr) -> Option<Self> {
        match (source, destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => Some(Self::V4 { source, destination }),
            (IpAddr::V6(source), IpAddr::V6(destination)) => Some(Self::V6 { source, destination }),
            _ => None,
        }
    }

    /// Those of an answer.
    pub(crate) fn exchanged(self) -> Self {
        match self {
            Self::V4 { source, destination } => Self::V4 { source: destination, destination: source },
            Self::V6 { source, destination } => Self::V6 { source: destination, destination: source },
        }
    }

    pub(crate) fn source(self) -> IpAddr {
        match self {
            Self::V4 { source, .. } => source.into(),
            Self::V6 { source, .. } => source.into(),
        }
    }

    pub(crate) fn destination(self) -> IpAddr {
        match self {
            Self::V4 { destination, .. } => destination.into(),
            Self::V6 { destination, .. } => destination.into(),
        }
    }

    /// Whether both are addresses of one node each.
    pub(crate) fn are_hosts(self) -> bool {
        is_host(self.source()) && is_host(self.destination())
    }

    /// The start of a packet with these addresses.
    pub(crate) fn packet(self) -> PacketBuilderStep<IpHeaders> {
        match self {
            Self::V4 { source, destination } => {
                PacketBuilder::ipv4(source.octets(), destination.octets(), HOPS)
            }
            Self::V6 { source, destination } => {
                PacketBuilder::ipv6(source.octets(), destination.octets(), HOPS)
            }
        }
    }
}

/// Whether an address is that of one node, that others can reach.
///
/// RFC 1122, section 3.2.2: not a zero, loopback, multicast, broadcast or class E address. RFC 4443, section 2.4
/// (e.6) says it for IPv6. The broadcast address of a subnet looks like any other here.
pub(crate) fn is_host(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !matches!(address.octets(), [0 | 127 | 224.., ..]),
        IpAddr::V6(address) => !address.is_unspecified() && !address.is_multicast() && !address.is_loopback(),
    }
}

/// RFC 1812, section 5.2.2: what fails its checksum is discarded silently.
fn is_intact(header: Ipv4HeaderSlice<'_>) -> bool {
    header.to_header().calc_header_checksum() == header.header_checksum()
}
