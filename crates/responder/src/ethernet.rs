//! Ethernet frames, with VLAN tags or without.

use etherparse::{EtherType, Ethernet2Slice, SingleVlanSlice};

/// Most VLAN tags of a frame that is read: one of the guest and one of its provider (IEEE 802.1ad).
const MAX_TAGS: u16 = 2;

/// Size of a VLAN tag, in bytes.
const TAG: u16 = 4;

/// Size of both addresses, in bytes.
const ADDRESSES: usize = 12;

/// To all (IEEE 802, section 8.2).
pub(crate) const BROADCAST: [u8; 6] = [0xff; 6];

/// A frame, its tags taken apart from its packet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame<'a> {
    pub(crate) destination: [u8; 6],
    pub(crate) source: [u8; 6],
    /// What the packet is.
    pub(crate) ether_type: EtherType,
    /// The packet, and whatever pads it.
    pub(crate) packet: &'a [u8],
    /// What VLAN tags take of the frame, in bytes.
    pub(crate) tag_bytes: u16,
    /// From after the addresses to the packet.
    tags_and_type: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Reads a frame without checksum.
    pub(crate) fn parse(frame: &'a [u8]) -> Option<Self> {
        let ethernet = Ethernet2Slice::from_slice_without_fcs(frame).ok()?;
        let (mut ether_type, mut packet) = (ethernet.ether_type(), ethernet.payload_slice());
        let mut tags = 0;
        while is_tag(ether_type) && tags < MAX_TAGS {
            let tag = SingleVlanSlice::from_slice(packet).ok()?;
            (ether_type, packet) = (tag.ether_type(), tag.payload_slice());
            tags += 1;
        }
        let header = frame.len().checked_sub(packet.len())?;
        Some(Self {
            destination: ethernet.destination(),
            source: ethernet.source(),
            ether_type,
            packet,
            tag_bytes: tags * TAG,
            tags_and_type: frame.get(ADDRESSES..header)?,
        })
    }

    /// A frame in the same VLAN, with a packet of the same type.
    pub(crate) fn answer(&self, from: [u8; 6], to: [u8; 6], packet: &[u8]) -> Vec<u8> {
        [&to, &from, self.tags_and_type, packet].concat()
    }
}

/// Whether an address stands for many (IEEE 802, section 8.2: the individual/group bit).
pub(crate) fn is_group([first, ..]: [u8; 6]) -> bool {
    first & 1 != 0
}

fn is_tag(ether_type: EtherType) -> bool {
    matches!(ether_type, EtherType::VLAN_TAGGED_FRAME | EtherType::PROVIDER_BRIDGING)
}
