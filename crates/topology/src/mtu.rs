//! MTUs: how large a guest's packets may be, given what the underlay takes.

use crate::datapath::{Encapsulation, Underlay};
use crate::graph::Topology;
use crate::underlay::UnderlayAddress;

/// MTU of an Ethernet link when no host says otherwise (RFC 894).
pub const ETHERNET_MTU: u16 = 1500;

/// The largest packet that every host can send to every other, in bytes: what guests should use.
pub fn of_overlay(topology: &Topology) -> u16 {
    let hosts: Vec<_> = topology.datapaths().values().filter_map(|of| Some((of, of.underlay?))).collect();
    let is_ipv4 = |underlay: &Underlay| underlay.address.is_ipv4();
    // Hosts whose first addresses are of one family need no others.
    let alike = hosts.windows(2).all(|two| match two {
        [(_, one), (_, other)] => is_ipv4(one) == is_ipv4(other),
        _ => true,
    });
    let used: Vec<_> = hosts
        .iter()
        .flat_map(|(host, underlay)| {
            let placed = topology.placed_addresses(&host.uuid).into_iter();
            let placed = placed.filter_map(|address| host.endpoint(address));
            let addresses = host.addresses().take(if alike { 1 } else { usize::MAX });
            addresses.chain(placed).map(|at| (underlay.encapsulation, at)).collect::<Vec<_>>()
        })
        .collect();
    let overhead = used.iter().map(|(of, UnderlayAddress { address, .. })| of.overhead(*address)).max();
    let of_pairs = topology.host_pairs().values().filter_map(|pair| pair.used?.encapsulation());
    let of_pairs = of_pairs.flat_map(|used_by| used.iter().map(move |(_, at)| used_by.overhead(at.address)));
    let overhead = overhead.max(of_pairs.max());
    let default = || Encapsulation::default().overhead(std::net::Ipv4Addr::UNSPECIFIED.into());
    let mtu = used.iter().map(|(_, at)| at.mtu).min().unwrap_or(ETHERNET_MTU);
    mtu.saturating_sub(overhead.unwrap_or_else(default))
}
