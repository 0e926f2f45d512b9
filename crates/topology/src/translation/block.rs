//! Blocks of ports: how hosts share external addresses without asking each other.
//!
//! Each host has a number, [`NatBlock`], and with it one block of the ports of one address. So a packet from outside
//! tells by its port which host knows its connection, to everybody, and a host that is not asked keeps no state.
//!
//! A block is the ports that agree in their upper bits, since that is what one flow can match. The first block of each
//! address is nobody's: ports below 1,024 are for services (RFC 6335, section 6), and static addresses may use them.

use std::net::IpAddr;

use crate::datapath::NatBlock;

/// Ports of a block.
pub const PORTS: u16 = 1 << SHIFT;

/// The bits in which the ports of a block agree.
pub const MASK: u16 = u16::MAX << SHIFT;

/// Blocks of an address.
pub const BLOCKS: u32 = (u16::MAX >> SHIFT) as u32;

const SHIFT: u32 = 10;

/// A host's ports of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PortBlock {
    /// The address.
    pub address: IpAddr,
    /// The first port.
    pub first: u16,
}

impl PortBlock {
    /// The block of a host, if there are addresses enough.
    pub fn of(NatBlock(number): NatBlock, addresses: impl IntoIterator<Item = IpAddr>) -> Option<Self> {
        let nth = usize::try_from(number / BLOCKS).ok()?;
        let first = u16::try_from((number % BLOCKS + 1) << SHIFT).ok()?;
        addresses.into_iter().nth(nth).map(|address| Self { address, first })
    }

    /// The last port.
    pub fn last(self) -> u16 {
        self.first | !MASK
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_host_has_ports_that_no_other_has_until_addresses_run_out() {
        let addresses = [IpAddr::from([198, 51, 100, 1]), IpAddr::from([198, 51, 100, 2])];
        let check = |number, expected: Option<(u8, u16, u16)>| {
            let block = PortBlock::of(NatBlock(number), addresses);
            let expected =
                expected.map(|(last, first, end)| (IpAddr::from([198, 51, 100, last]), first, end));
            assert_eq!(block.map(|block| (block.address, block.first, block.last())), expected, "{number}");
        };
        check(0, Some((1, 1024, 2047)));
        check(1, Some((1, 2048, 3071)));
        check(62, Some((1, 64512, 65535)));
        check(63, Some((2, 1024, 2047)));
        check(125, Some((2, 64512, 65535)));
        check(126, None);
        check(u32::MAX, None);
    }
}
