//! MTUs: how large a guest's packets may be, given what the underlay takes.

use crate::datapath::{Encapsulation, Underlay};
use crate::graph::Topology;

/// MTU of an Ethernet link when no host says otherwise (RFC 894).
pub const ETHERNET_MTU: u16 = 1500;

/// The largest inner IP packet from `from` to `to`, in bytes. The sender chooses the encapsulation.
pub fn between(from: &Underlay, to: &Underlay) -> u16 {
    from.mtu.min(to.mtu).saturating_sub(from.encapsulation.overhead(to.address))
}

/// The largest packet that every host can send to every other, in bytes: what guests should use.
pub fn of_overlay(topology: &Topology) -> u16 {
    let underlays: Vec<_> = topology.datapaths().values().filter_map(|datapath| datapath.underlay).collect();
    let overhead = underlays.iter().map(|of| of.encapsulation.overhead(of.address)).max();
    let default = || Encapsulation::default().overhead(std::net::Ipv4Addr::UNSPECIFIED.into());
    let mtu = underlays.iter().map(|of| of.mtu).min().unwrap_or(ETHERNET_MTU);
    mtu.saturating_sub(overhead.unwrap_or_else(default))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_overhead_is_what_the_encapsulation_and_the_underlays_family_add() {
        let check = |encapsulation, address: &str, expected| {
            let underlay =
                Underlay { encapsulation, address: address.parse().expect("an address"), mtu: 1500 };
            assert_eq!(between(&underlay, &underlay), expected, "{encapsulation} over {address}");
        };
        check(Encapsulation::Geneve, "192.0.2.1", 1438);
        check(Encapsulation::Geneve, "2001:db8::1", 1418);
        check(Encapsulation::Vxlan, "192.0.2.1", 1450);
        check(Encapsulation::Gre, "192.0.2.1", 1458);
    }
}
