//! Questions that a guest may ask of its host, as frames.

use std::net::{Ipv4Addr, Ipv6Addr};

use anyhow::Context;
use etherparse::{Icmpv6Type, PacketBuilder};
use lab::MacAddr;

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asker {
    pub(crate) mac: MacAddr,
    pub(crate) ipv4: Ipv4Addr,
    pub(crate) ipv6: Ipv6Addr,
}

/// Who is asked: a router, which serves DHCP and DNS.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub(crate) mac: MacAddr,
    pub(crate) ipv4: Ipv4Addr,
    pub(crate) ipv6: Ipv6Addr,
    /// An address in a network behind it.
    pub(crate) beyond: Ipv4Addr,
}

const BROADCAST: MacAddr = MacAddr([0xff; 6]);

/// Hops of neighbour discovery (RFC 4861, section 7.1).
const FROM_NEIGHBOUR: u8 = 255;

/// Hops of whatever else is sent.
const HOPS: u8 = 64;

/// Who has its address (RFC 826)?
pub(crate) fn arp(from: Asker, to: Asked) -> anyhow::Result<Vec<u8>> {
    let header = [&BROADCAST.0[..], &from.mac.0, &[8, 6, 0, 1, 8, 0, 6, 4, 0, 1]].concat();
    Ok([&header[..], &from.mac.0, &from.ipv4.octets(), &[0; 6], &to.ipv4.octets()].concat())
}

/// The same in IPv6 (RFC 4861, section 4.3).
pub(crate) fn solicitation(from: Asker, to: Asked) -> anyhow::Result<Vec<u8>> {
    let body = [&to.ipv6.octets()[..], &[1, 1], &from.mac.0].concat();
    let mut frame = Vec::new();
    PacketBuilder::ethernet2(from.mac.0, to.mac.0)
        .ipv6(from.ipv6.octets(), to.ipv6.octets(), FROM_NEIGHBOUR)
        .icmpv6(Icmpv6Type::NeighborSolicitation)
        .write(&mut frame, &body)
        .context("a solicitation")?;
    Ok(frame)
}

/// An echo request to the router itself, or with one hop to somebody behind it.
pub(crate) fn echo(from: Asker, to: Asked, number: u16) -> anyhow::Result<Vec<u8>> {
    echo_with(from, to.mac, to.ipv4, HOPS, number)
}

/// A packet that the router would have to pass on and cannot.
pub(crate) fn without_hops(from: Asker, to: Asked) -> anyhow::Result<Vec<u8>> {
    echo_with(from, to.mac, to.beyond, 1, 0)
}

fn echo_with(from: Asker, mac: MacAddr, to: Ipv4Addr, ttl: u8, number: u16) -> anyhow::Result<Vec<u8>> {
    let mut frame = Vec::new();
    PacketBuilder::ethernet2(from.mac.0, mac.0)
        .ipv4(from.ipv4.octets(), to.octets(), ttl)
        .icmpv4_echo_request(ID, number)
        .write(&mut frame, &[7; 56])
        .context("an echo request")?;
    Ok(frame)
}

/// Identifier of the echo requests made here.
const ID: u16 = 0x4f56;

/// An echo request to another guest.
pub(crate) fn echo_to(from: Asker, to: (MacAddr, Ipv4Addr), number: u16) -> anyhow::Result<Vec<u8>> {
    echo_with(from, to.0, to.1, HOPS, number)
}

/// Is there an address for me (RFC 2131, section 3.1)?
pub(crate) fn dhcp(from: Asker, transaction: u32) -> anyhow::Result<Vec<u8>> {
    // BOOTREQUEST over Ethernet, answers by broadcast (RFC 2131, section 2); then the cookie and the option DISCOVER.
    let addresses = [0; 16];
    let head = [&[1, 1, 6, 0][..], &transaction.to_be_bytes(), &[0, 0, 0x80, 0], &addresses].concat();
    let mac = [&from.mac.0[..], &[0; 10]].concat();
    let body = [&head[..], &mac, &[0; 192], &[99, 130, 83, 99, 53, 1, 1, 255]].concat();
    udp(from.mac, BROADCAST, (Ipv4Addr::UNSPECIFIED, 68), (Ipv4Addr::BROADCAST, 67), &body)
}

/// Which address has a name (RFC 1035, section 4.1)?
pub(crate) fn dns(from: Asker, to: Asked) -> anyhow::Result<Vec<u8>> {
    let header = [0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    let query = [&header[..], b"\x05guest\x08internal\x00", &[0, 1, 0, 1]].concat();
    udp(from.mac, to.mac, (from.ipv4, 5353), (to.ipv4, 53), &query)
}

fn udp(
    from_mac: MacAddr,
    to_mac: MacAddr,
    from: (Ipv4Addr, u16),
    to: (Ipv4Addr, u16),
    body: &[u8],
) -> anyhow::Result<Vec<u8>> {
    let mut frame = Vec::new();
    PacketBuilder::ethernet2(from_mac.0, to_mac.0)
        .ipv4(from.0.octets(), to.0.octets(), HOPS)
        .udp(from.1, to.1)
        .write(&mut frame, body)
        .context("a datagram")?;
    Ok(frame)
}
