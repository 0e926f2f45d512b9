//! The wires between hosts, described to the manager: a physical network for each of them, and each host's NIC on it.

use std::net::IpAddr;

use lab::{Host, Lab, Result};

use super::{mac_in, vnctl};

/// A wire between hosts.
pub struct Wire {
    /// The NIC's name in a host. The network is `nw-<name>`, and a host's interface `if-<name><number>`, counted from one.
    pub name: &'static str,
    /// Told apart in MAC addresses.
    number: u8,
    network: &'static str,
    address: fn(&Host) -> IpAddr,
}

/// The wire that every lab has.
pub const UPLINK: Wire = Wire { name: "uplink", number: 2, network: "192.0.2.0", address: Host::underlay_ip };

/// The wire of labs with two underlays.
pub const SECOND: Wire =
    Wire { name: "second", number: 3, network: "203.0.113.0", address: Host::second_underlay_ip };

/// Describes a wire.
pub fn describe(lab: &Lab, wire: &Wire) -> Result<()> {
    let Wire { name, number: of_wire, network, address } = wire;
    vnctl(lab, &format!("networks add --uuid nw-{name} --mode physical --ipv4-network {network}"))?;
    (1..).zip(lab.hosts()).try_for_each(|(number, host)| {
        let of = format!(
            "--uuid if-{name}{number} --mode host --owner-datapath-uuid dp-host{number} --port-name {name}"
        );
        let (mac, ip) = (mac_in(*of_wire, number), address(host));
        let at = format!("--network-uuid nw-{name} --mac-address {mac} --ipv4-address {ip}");
        vnctl(lab, &format!("interfaces add {of} {at}")).map(drop)
    })
}
