//! What crosses the underlay: between which addresses, how it is wrapped, and of which domain it says that it is.

use std::net::IpAddr;

use topology::datapath::Encapsulation;
use topology::{DatapathId, DomainId, DomainKey, Topology};

use crate::scene::host_id;
use crate::switch::{host_at, underlay_ends};

/// Where an Ethernet frame says what its IP packet holds, and where that begins.
const IPV4_PROTOCOL: usize = 23;
const IPV4_END: usize = 34;
const IPV6_PROTOCOL: usize = 20;
const IPV6_END: usize = 54;

/// Protocols, and ports of UDP (RFC 8926, section 3.3; RFC 7348, section 5; RFC 2784).
const UDP: u8 = 17;
const GRE: u8 = 47;
const GENEVE_PORT: [u8; 2] = 6081_u16.to_be_bytes();
const VXLAN_PORT: [u8; 2] = 4789_u16.to_be_bytes();

/// Where UDP names its destination port; where Geneve and VXLAN name their network behind it, and where GRE does (RFC 2890).
const UDP_DESTINATION: usize = 2;
const NETWORK: usize = 12;
const GRE_NETWORK: usize = 5;

/// A tunnelled frame.
#[derive(Debug)]
pub(crate) struct Crossing {
    from: IpAddr,
    to: IpAddr,
    encapsulation: Encapsulation,
    network: DomainKey,
}

impl Crossing {
    /// Reads a frame of the underlay; `None` if it is none of a tunnel.
    pub(crate) fn of(frame: &[u8]) -> Option<Self> {
        let [from, to] = underlay_ends(frame)?;
        let (protocol, end) =
            if to.is_ipv4() { (IPV4_PROTOCOL, IPV4_END) } else { (IPV6_PROTOCOL, IPV6_END) };
        let inside = frame.get(end..)?;
        let encapsulation = match *frame.get(protocol)? {
            UDP => match *inside.get(UDP_DESTINATION..)?.first_chunk()? {
                GENEVE_PORT => Encapsulation::Geneve,
                VXLAN_PORT => Encapsulation::Vxlan,
                _ => return None,
            },
            GRE => Encapsulation::Gre,
            _ => return None,
        };
        let network = if encapsulation == Encapsulation::Gre { GRE_NETWORK } else { NETWORK };
        let [high, middle, low] = *inside.get(network..)?.first_chunk()?;
        let network = DomainKey(u32::from_be_bytes([0, high, middle, low]));
        Some(Self { from, to, encapsulation, network })
    }

    /// The hosts between which it goes.
    pub(crate) fn hosts(&self) -> Option<[DatapathId; 2]> {
        Some([host_id(host_at(self.from)?), host_id(host_at(self.to)?)])
    }

    /// The domain of which it is.
    pub(crate) fn domain(&self, topology: &Topology) -> Option<DomainId> {
        topology.domain_of_key(self.network)
    }

    /// Whether it goes as packets of its domain are said to go between its hosts.
    pub(crate) fn is_as_said(&self, topology: &Topology) -> bool {
        let Some([from, to]) = self.hosts() else { return false };
        topology.way(&from, &to, self.domain(topology).as_ref()).is_some_and(|way| {
            (way.from, way.to, way.encapsulation) == (self.from, self.to, self.encapsulation)
        })
    }
}
