//! Wires: physical networks over which two hosts send each other frames of guests without wrapping them (`mac2mac`).
//!
//! Both hosts have an uplink there, and a user wants it of the pair. In place of a wrapping, the two MAC addresses of a frame say
//! what there is to say: each names an interface, and the host that it is on ([`WireName`]). Whoever receives it knows by the one what the
//! sender's MAC address is and in which domain, and by the other whom in that domain it is for.
//!
//! So only interfaces with one MAC lease, of one domain, have names. What is from or for others goes by the tunnel that the two hosts
//! would use anyway: what is for many, what is tagged, what goes on to a gateway, and what a router has sent for a member of
//! security groups, since the frame is the router's then and does not say whose it was.

use std::collections::BTreeSet;

use crate::address::{HostKey, InterfaceKey, MacAddr};
use crate::datapath::Datapath;
use crate::edit::Edit;
use crate::error::Error;
use crate::graph::{DomainId, Topology};
use crate::id::{DatapathId, InterfaceId, NetworkId};
use crate::underlay::TunnelMode;

/// First byte of the MAC addresses that name interfaces: locally administered, and no group's (IEEE 802, section 8.4).
const PREFIX: u8 = 0x0e;

/// What names an interface on a wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WireName {
    /// The host that it is on; of a simulated one, the host that has sent the frame.
    pub host: HostKey,
    /// The interface.
    pub interface: InterfaceKey,
}

impl WireName {
    /// Which bits of an address name the host.
    pub const HOST: MacAddr = MacAddr([0xff, 0xff, 0xff, 0, 0, 0]);
    /// Which bits of an address name the interface.
    pub const INTERFACE: MacAddr = MacAddr([0xff, 0, 0, 0xff, 0xff, 0xff]);

    /// As a MAC address. Two bytes are the host's: of one with a larger key, as after many thousands have come and gone, nothing is sent so.
    pub fn address(self) -> MacAddr {
        let ([_, _, a, b], [_, c, d, e]) = (self.host.0.to_be_bytes(), self.interface.0.to_be_bytes());
        MacAddr([PREFIX, a, b, c, d, e])
    }

    /// From a MAC address, if it names an interface.
    pub fn of_address(MacAddr([prefix, a, b, c, d, e]): MacAddr) -> Option<Self> {
        let [host, interface] = [[0, 0, a, b], [0, c, d, e]].map(u32::from_be_bytes);
        (prefix == PREFIX).then_some(Self { host: HostKey(host), interface: InterfaceKey(interface) })
    }
}

/// Whether a host can be named.
fn has_name(host: &Datapath) -> bool {
    host.key.0 <= u32::from(u16::MAX)
}

/// Whether two hosts have uplinks to one wire, plugged in or not.
pub(crate) fn may_be_shared(edit: &Edit, one: &Datapath, other: &Datapath) -> Result<(), Error> {
    let topology = edit.topology();
    let is_shared = |network: &NetworkId| {
        let uplinks: Vec<_> = topology.uplinks(&DomainId::Network(network.clone())).collect();
        [one, other].iter().all(|host| uplinks.iter().any(|uplink| uplink.owner() == Some(&host.uuid)))
    };
    if topology.networks().keys().any(is_shared) {
        return Ok(());
    }
    let (one, other) = (&one.uuid, &other.uuid);
    let reason = format!(
        "mac2mac needs an interface of mode host or patch of {one}, and one of {other}, in one physical network"
    );
    Err(Error::unfit("encapsulation", reason))
}

impl Topology {
    /// This host's uplinks to the wires that it shares with another, the one that both send by first.
    pub fn shared_uplinks(&self, own: &DatapathId, other: &DatapathId) -> Vec<InterfaceId> {
        let hosts = self.datapaths().get(own).zip(self.datapaths().get(other));
        if !hosts.is_some_and(|(own, other)| has_name(own) && has_name(other)) {
            return Vec::new();
        }
        let wires: BTreeSet<DomainId> = self.domains_on(own).into_iter().collect();
        let wires = wires.into_iter().filter(|domain| self.physical_network(domain).is_some());
        let uplink = |domain| {
            let gateways = self.gateways(&domain);
            gateways.iter().find(|of| of.datapath == *other)?;
            gateways.into_iter().find(|of| of.datapath == *own).map(|of| of.uplink)
        };
        wires.filter_map(uplink).collect()
    }

    /// The uplink by which a host sends to another what goes as it is, if anything does.
    pub fn wire(&self, from: &DatapathId, to: &DatapathId) -> Option<InterfaceId> {
        let hosts = self.datapaths().get(from).zip(self.datapaths().get(to))?;
        let used = self.host_pair(hosts.0, hosts.1).and_then(|pair| pair.used);
        used.filter(|used| *used == TunnelMode::Mac2mac)?;
        self.shared_uplinks(from, to).into_iter().next()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_mac_address_of_nobody_else() {
        let name = WireName { host: HostKey(0x0102), interface: InterfaceKey(0x03_0405) };
        let address = name.address();
        assert_eq!(address.to_string(), "0e:01:02:03:04:05");
        assert_eq!(WireName::of_address(address), Some(name));
        assert_eq!(WireName::of_address(MacAddr([0x02, 1, 2, 3, 4, 5])), None);
        assert!(!address.is_multicast());
    }
}
