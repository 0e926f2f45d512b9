//! The underlay's MTU: that of the device which has the address.

use std::net::IpAddr;

use nix::ifaddrs::getifaddrs;
use topology::mtu::ETHERNET_MTU;
use tracing::warn;

/// MTU of the device with this address, in bytes; Ethernet's if it cannot be told.
pub fn mtu(address: IpAddr) -> u16 {
    let found = device(address).and_then(|device| {
        let text = std::fs::read_to_string(format!("/sys/class/net/{device}/mtu")).ok()?;
        let mtu: u32 = text.trim().parse().ok()?;
        // A loopback device's is larger than any packet.
        Some(u16::try_from(mtu).unwrap_or(u16::MAX))
    });
    found.unwrap_or_else(|| {
        warn!(%address, mtu = ETHERNET_MTU, "no device has the underlay address: assuming Ethernet's MTU");
        ETHERNET_MTU
    })
}

fn device(address: IpAddr) -> Option<String> {
    let of_device = |device: &nix::ifaddrs::InterfaceAddress| {
        let found = device.address.as_ref()?;
        let v4 = found.as_sockaddr_in().map(|found| IpAddr::V4(found.ip()));
        let v6 = found.as_sockaddr_in6().map(|found| IpAddr::V6(found.ip()));
        v4.or(v6)
    };
    let mut devices = getifaddrs().ok()?;
    devices.find(|device| of_device(device) == Some(address)).map(|device| device.interface_name)
}
