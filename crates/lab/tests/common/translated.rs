//! Guests inside, `a` and `b` on two hosts, and the world outside, on a third, with a router between them that translates.

use std::net::IpAddr;

use lab::{Guest, GuestSpec, Lab, Result};

use super::{apply, mac_in, named_guest, prefix, vnctl};

/// Inside are guests 1 and 2, and a router's leg.
pub const INSIDE: &str = "
networks:
  - {uuid: nw-in, ipv4_network: 10.0.1.0}
interfaces:
  - {uuid: if-a, network_uuid: nw-in, mac_address: '02:00:00:00:01:01', ipv4_address: 10.0.1.1}
  - {uuid: if-b, network_uuid: nw-in, mac_address: '02:00:00:00:01:02', ipv4_address: 10.0.1.2}
  - {uuid: if-legin, mode: simulated, enable_routing: true, network_uuid: nw-in, mac_address: '02:00:00:00:01:fe',
     ipv4_address: 10.0.1.254}
route_links:
  - {uuid: rl-1}
routes:
  - {uuid: r-in, interface_uuid: if-legin, network_uuid: nw-in, route_link_uuid: rl-1, ipv4_network: 10.0.1.0}
";

/// Outside is guest 1. The leg outside has its own address, one for each guest inside, and one that they share.
const OUTSIDE: &str = "
networks:
  - {uuid: nw-out, ipv4_network: 198.51.100.0}
interfaces:
  - {uuid: if-out, network_uuid: nw-out, mac_address: '02:00:00:00:02:01', ipv4_address: 198.51.100.1}
  - {uuid: if-legout, mode: simulated, enable_routing: true, enable_route_translation: true, network_uuid: nw-out,
     mac_address: '02:00:00:00:02:fe', ipv4_address: 198.51.100.254}
ip_leases:
  - {uuid: il-5, network_uuid: nw-out, interface_uuid: if-legout, ipv4_address: 198.51.100.5, enable_routing: true}
  - {uuid: il-6, network_uuid: nw-out, interface_uuid: if-legout, ipv4_address: 198.51.100.6, enable_routing: true}
  - {uuid: il-9, network_uuid: nw-out, interface_uuid: if-legout, ipv4_address: 198.51.100.9, enable_routing: true}
routes:
  - {uuid: r-out, interface_uuid: if-legout, network_uuid: nw-out, route_link_uuid: rl-1, ipv4_network: 0.0.0.0,
     ipv4_prefix: 0}
translations:
  - {uuid: tr-static, interface_uuid: if-legout, mode: static_address}
  - {uuid: tr-port, interface_uuid: if-legout, mode: static_address}
";

/// Everybody inside shares an address.
pub const SOURCE: &str = "
translations:
  - {uuid: tr-source, interface_uuid: if-legout, mode: source, source_network_uuid: nw-in,
     external_addresses: [198.51.100.9]}
";

pub fn inside(n: u8) -> IpAddr {
    IpAddr::from([10, 0, 1, n])
}

pub fn outside(n: u8) -> IpAddr {
    IpAddr::from([198, 51, 100, n])
}

/// A guest inside.
pub fn guest(name: &str, n: u8) -> GuestSpec {
    named_guest(name, mac_in(1, n)).mtu(1500).address(prefix(inside(n), 24)).gateway(inside(254))
}

pub struct World {
    pub lab: Lab,
    pub a: Guest,
    pub b: Guest,
    pub out: Guest,
}

impl World {
    pub fn start() -> Result<Self> {
        let lab = super::start(Lab::builder().hosts(3))?;
        let (a, b) = (lab.host(0).add_guest(guest("a", 1))?, lab.host(1).add_guest(guest("b", 2))?);
        // The world knows nothing of what is inside: it has no route there.
        let out = named_guest("out", mac_in(2, 1)).mtu(1500).address(prefix(outside(1), 24));
        let out = lab.host(2).add_guest(out)?;
        apply(&lab, INSIDE)?;
        apply(&lab, OUTSIDE)?;
        Ok(Self { lab, a, b, out })
    }

    pub fn with_entries() -> Result<Self> {
        let world = Self::start()?;
        world.add("tr-static --ingress-ipv4-address 198.51.100.5 --egress-ipv4-address 10.0.1.1")?;
        world.add("tr-static --ingress-ipv4-address 198.51.100.6 --egress-ipv4-address 10.0.1.2")?;
        Ok(world)
    }

    pub fn add(&self, entry: &str) -> Result<()> {
        vnctl(&self.lab, &format!("translations static-address add {entry} --wait")).map(drop)
    }

    pub fn remove(&self, entry: &str) -> Result<()> {
        vnctl(&self.lab, &format!("translations static-address del {entry} --wait")).map(drop)
    }
}
