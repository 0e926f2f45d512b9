//! A wire with machines on it, and guests behind a router.
//!
//! Network `nw-1` (10.0.1.0/24, fd00:1::/64) is virtual, `nw-2` (10.0.2.0/24, fd00:2::/64) is the wire. The router between
//! them has 254 in both. On the wire are `server` (7) and `door` (9), which has another network behind it, [`FAR`].

use std::net::IpAddr;

use lab::{Guest, GuestSpec, Lab, MacAddr, Result, Station, wait_until};

use super::{PATIENCE, apply, mac_in, named_guest, prefix};

pub fn ip(network: u8, last: u8) -> IpAddr {
    IpAddr::from([10, 0, network, last])
}

pub fn ip6(network: u8, last: u8) -> IpAddr {
    IpAddr::from([0xfd00, u16::from(network), 0, 0, 0, 0, 0, u16::from(last)])
}

/// An address behind the door.
pub const FAR: &str = "172.16.0.1";

pub struct Scene {
    pub lab: Lab,
    pub guests: Vec<Guest>,
    pub server: Station,
    pub door: Station,
}

impl Scene {
    /// With uplinks of the first hosts, of falling priority.
    pub fn start(uplinks: usize) -> Result<Self> {
        let lab = super::start(Lab::builder().hosts(3))?;
        let guests = (1..=3).map(|n| guest(&lab, n)).collect::<Result<_>>()?;
        let server = machine(&lab, "server", 7)?;
        let door = machine(&lab, "door", 9)?;
        door.exec(["ip", "address", "add", &format!("{FAR}/32"), "dev", "lo"])?;
        for host in lab.hosts().iter().take(uplinks) {
            host.ovs_vsctl(["add-port", "br-int", "outside"])?;
        }
        apply(&lab, &topology(&lab, uplinks))?;
        Ok(Self { lab, guests, server, door })
    }
}

pub fn guest(lab: &Lab, n: u8) -> Result<Guest> {
    lab.host(usize::from(n - 1)).add_guest(guest_spec(n))
}

pub fn guest_spec(n: u8) -> GuestSpec {
    let spec = named_guest(&format!("inst{n}"), mac_in(1, n)).mtu(1400);
    let spec = spec.address(prefix(ip(1, n), 24)).address(prefix(ip6(1, n), 64));
    spec.gateway(ip(1, 254)).gateway(ip6(1, 254))
}

/// A machine on the wire that knows the way to guests.
pub fn machine(lab: &Lab, name: &str, last: u8) -> Result<Station> {
    let machine = lab.add_server(name, &[prefix(ip(2, last), 24), prefix(ip6(2, last), 64)])?;
    machine.exec(["ip", "route", "add", "10.0.1.0/24", "via", &ip(2, 254).to_string()])?;
    machine.exec(["ip", "route", "add", "fd00:1::/64", "via", &ip6(2, 254).to_string()])?;
    Ok(machine)
}

pub fn topology(lab: &Lab, uplinks: usize) -> String {
    let mut text = "networks:\n".to_owned();
    text += "  - {uuid: nw-1, ipv4_network: 10.0.1.0, ipv6_network: 'fd00:1::'}\n";
    text +=
        "  - {uuid: nw-2, mode: physical, ipv4_network: 10.0.2.0, ipv6_network: 'fd00:2::'}\ninterfaces:\n";
    let leased = |network, mac: MacAddr, last| {
        let (ip, ip6) = (ip(network, last), ip6(network, last));
        format!(
            "network_uuid: nw-{network}, mac_address: '{mac}', ipv4_address: {ip}, ipv6_address: '{ip6}'}}\n"
        )
    };
    for n in 1..=3 {
        text += &format!("  - {{uuid: if-inst{n}, {}", leased(1, mac_in(1, n), n));
    }
    for network in [1, 2] {
        let leased = leased(network, mac_in(network, 254), 254);
        text += &format!("  - {{uuid: if-leg{network}, mode: simulated, enable_routing: true, {leased}");
    }
    for (host, priority) in lab.hosts().iter().take(uplinks).zip([200, 100]) {
        let name = host.name();
        let owner =
            format!("owner_datapath_uuid: dp-{name}, port_name: outside, gateway_priority: {priority}");
        text += &format!("  - {{uuid: if-up-{name}, mode: host, network_uuid: nw-2, {owner}}}\n");
    }
    text += "route_links:\n  - {uuid: rl-1}\nroutes:\n";
    for network in [1, 2] {
        let of =
            format!("interface_uuid: if-leg{network}, network_uuid: nw-{network}, route_link_uuid: rl-1");
        text += &format!("  - {{uuid: r-{network}, {of}, ipv4_network: {}}}\n", ip(network, 0));
        text += &format!("  - {{uuid: r-{network}-v6, {of}, ipv6_network: '{}'}}\n", ip6(network, 0));
    }
    text + "  - {uuid: r-far, interface_uuid: if-leg2, network_uuid: nw-2, route_link_uuid: rl-1, \
            ipv4_network: 0.0.0.0, ipv4_prefix: 0, next_hops: [10.0.2.9]}\n"
}

/// That an address answers to one echo request after another.
pub fn check_reaches(from: &Station, to: IpAddr) -> Result<()> {
    wait_until(format!("{to} to answer {}", from.name()), PATIENCE, || {
        let output = from.attempt(["ping", "-n", "-c", "3", "-i", "0.2", "-W", "1", &to.to_string()]);
        let output = output.map_err(|error| error.to_string())?;
        if output.stdout.contains("3 received") { Ok(()) } else { Err(output.stdout) }
    })
}
