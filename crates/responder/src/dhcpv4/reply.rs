//! What a DHCPv4 client is told, and where that goes.
//!
//! # Which options
//! - Those that an answer must have (RFC 2131, table 3): its kind, the server, and with an address the lease time.
//! - The subnet mask with an address, asked for or not: a client without it would guess one from the address's class.
//! - The client's identifier, if it sent one (RFC 6842, section 3).
//! - What the client asks for and the lease has, in the client's order, as long as there is room. A client without a list
//!   is told what RFC 1122 wants a host to know.

use std::net::Ipv4Addr;
use std::time::Duration;

use dhcproto::Encodable;
use dhcproto::v4::{
    CLIENT_PORT, DhcpOption, DhcpOptions, HType, MIN_PACKET_SIZE, Message, MessageType, Opcode, OptionCode,
    SERVER_PORT,
};
use etherparse::{Ipv4Header, UdpHeader};
use hickory_proto::rr::Name;
use ipnet::Ipv4Net;

use super::Lease;
use super::request::Request;
use crate::ethernet::{BROADCAST, Frame};
use crate::ip::Addresses;
use crate::udp::{self, Ports};

/// The largest answer, as an IP packet, on a link of unknown MTU, in bytes: what Ethernet takes.
const ETHERNET_MTU: u16 = 1500;

/// The smallest MTU there may be, in bytes (RFC 2132, section 5.1; RFC 791, section 3.2).
const LEAST_MTU: u16 = 68;

/// The header of a message and the cookie before its options, in bytes (RFC 2131, section 2).
const MESSAGE_HEADER: usize = 240;

/// The option that ends the options, in bytes.
const END: usize = 1;

/// What a client without a list of options is told.
const UNASKED: [OptionCode; 5] = [
    OptionCode::Router,
    OptionCode::DomainNameServer,
    OptionCode::DomainName,
    OptionCode::BroadcastAddr,
    OptionCode::InterfaceMtu,
];

/// An answer in the making.
pub(super) struct Reply<'a> {
    pub(super) request: &'a Request,
    pub(super) frame: &'a Frame<'a>,
    pub(super) lease: &'a Lease,
}

impl Reply<'_> {
    /// An offer or the acknowledgment of an address.
    pub(super) fn lease(&self, kind: MessageType) -> Option<Vec<u8>> {
        let Lease { address, subnet, lease_time, .. } = *self.lease;
        let mut message = self.message(kind);
        message.set_yiaddr(address);
        // RFC 2131, table 3.
        let current = self.request.current().filter(|_| kind == MessageType::Ack);
        message.set_ciaddr(current.unwrap_or(Ipv4Addr::UNSPECIFIED));
        message.opts_mut().insert(DhcpOption::AddressLeaseTime(seconds(lease_time)));
        message.opts_mut().insert(DhcpOption::SubnetMask(subnet.netmask()));
        self.add_wanted(message.opts_mut());
        // RFC 2131, section 4.1: where the client is reached.
        match current {
            Some(current) => self.to(self.lease.client, current, &message),
            None if self.request.wants_broadcast => self.to(BROADCAST, Ipv4Addr::BROADCAST, &message),
            None => self.to(self.lease.client, address, &message),
        }
    }

    /// RFC 2131, section 4.3.5: no address, and no lease time.
    pub(super) fn information(&self, current: Ipv4Addr) -> Option<Vec<u8>> {
        let mut message = self.message(MessageType::Ack);
        message.set_ciaddr(current);
        self.add_wanted(message.opts_mut());
        self.to(self.lease.client, current, &message)
    }

    /// RFC 2131, section 4.1: goes to all, as the client may use an address that is not its own.
    pub(super) fn refusal(&self) -> Option<Vec<u8>> {
        self.to(BROADCAST, Ipv4Addr::BROADCAST, &self.message(MessageType::Nak))
    }

    /// A message with what each has.
    fn message(&self, kind: MessageType) -> Message {
        let nobody = Ipv4Addr::UNSPECIFIED;
        let Request { xid, client, flags, .. } = *self.request;
        let mut message = Message::new_with_id(xid, nobody, nobody, nobody, nobody, &client);
        message.set_opcode(Opcode::BootReply).set_htype(HType::Eth).set_flags(flags);
        message.opts_mut().insert(DhcpOption::MessageType(kind));
        message.opts_mut().insert(DhcpOption::ServerIdentifier(self.lease.server));
        if let Some(id) = &self.request.client_id {
            message.opts_mut().insert(DhcpOption::ClientIdentifier(id.clone()));
        }
        message
    }

    /// Adds what the client wants to know.
    fn add_wanted(&self, options: &mut DhcpOptions) {
        let wanted = self.request.wanted.as_deref().unwrap_or(&UNASKED);
        let Some(mut room) = self.room().checked_sub(size(options.iter().map(|(_, option)| option))) else {
            return;
        };
        // RFC 3442: a client that knows classless routes has to be told them instead of routers.
        let (routes, rest): (Vec<_>, Vec<_>) =
            wanted.iter().partition(|code| **code == OptionCode::ClasslessStaticRoute);
        for code in routes.into_iter().chain(rest) {
            let is_replaced =
                code == OptionCode::Router && options.contains(OptionCode::ClasslessStaticRoute);
            if options.contains(code) || is_replaced {
                continue;
            }
            let Some(option) = option(code, self.lease) else { continue };
            if let Some(left) = room.checked_sub(size([&option])) {
                room = left;
                options.insert(option);
            }
        }
    }

    /// What there is for options, in bytes.
    fn room(&self) -> usize {
        let packet = self.request.room.min(self.lease.mtu.unwrap_or(ETHERNET_MTU));
        let headers = Ipv4Header::MIN_LEN + UdpHeader::LEN + MESSAGE_HEADER + END;
        usize::from(packet).saturating_sub(headers)
    }

    /// The frame with a message.
    fn to(&self, mac: [u8; 6], destination: Ipv4Addr, message: &Message) -> Option<Vec<u8>> {
        let mut bytes = message.to_vec().ok()?;
        // RFC 951, section 3: some clients take nothing shorter.
        bytes.resize(bytes.len().max(MIN_PACKET_SIZE), 0);
        let addresses = Addresses::V4 { source: self.lease.server, destination };
        let ports = Ports { source: SERVER_PORT, destination: CLIENT_PORT };
        let packet = udp::packet(addresses, ports, &bytes)?;
        Some(self.frame.answer(self.lease.server_mac, mac, &packet))
    }
}

/// What options take of a message, in bytes.
fn size<'a>(options: impl IntoIterator<Item = &'a DhcpOption>) -> usize {
    options.into_iter().filter_map(|option| option.to_vec().ok()).map(|bytes| bytes.len()).sum()
}

/// An option that the lease has something for.
fn option(code: OptionCode, lease: &Lease) -> Option<DhcpOption> {
    let list = |list: &Vec<Ipv4Addr>| (!list.is_empty()).then(|| list.clone());
    match code {
        OptionCode::SubnetMask => Some(DhcpOption::SubnetMask(lease.subnet.netmask())),
        OptionCode::Router => list(&lease.routers).map(DhcpOption::Router),
        OptionCode::DomainNameServer => list(&lease.dns).map(DhcpOption::DomainNameServer),
        OptionCode::NtpServers => list(&lease.ntp).map(DhcpOption::NtpServers),
        OptionCode::Hostname => lease.host_name.clone().map(DhcpOption::Hostname),
        OptionCode::DomainName => lease.domain_name.as_ref().map(|name| DhcpOption::DomainName(text(name))),
        OptionCode::DomainSearch => {
            (!lease.search.is_empty()).then(|| DhcpOption::DomainSearch(lease.search.clone()))
        }
        OptionCode::BroadcastAddr => broadcast(lease.subnet).map(DhcpOption::BroadcastAddr),
        OptionCode::InterfaceMtu => lease.mtu.filter(|mtu| *mtu >= LEAST_MTU).map(DhcpOption::InterfaceMtu),
        OptionCode::ClasslessStaticRoute => routes(lease).map(DhcpOption::ClasslessStaticRoute),
        OptionCode::Renewal => Some(DhcpOption::Renewal(seconds(renewal(lease.lease_time)))),
        OptionCode::Rebinding => Some(DhcpOption::Rebinding(seconds(rebinding(lease.lease_time)))),
        _ => None,
    }
}

/// Routes for a client that ignores routers once it has them (RFC 3442): so the default route is among them.
fn routes(lease: &Lease) -> Option<Vec<(Ipv4Net, Ipv4Addr)>> {
    if lease.routes.is_empty() {
        return None;
    }
    // Beyond its length a prefix is zero, or clients would route by what is not part of it.
    let mut routes: Vec<_> = lease.routes.iter().map(|(prefix, router)| (prefix.trunc(), *router)).collect();
    let has_default = routes.iter().any(|(prefix, _)| prefix.prefix_len() == 0);
    let default = lease.routers.first().filter(|_| !has_default);
    routes.extend(default.map(|router| (Ipv4Net::default(), *router)));
    Some(routes)
}

/// RFC 3021, section 2.1: a subnet of two addresses or one has none to spare for broadcasts.
fn broadcast(subnet: Ipv4Net) -> Option<Ipv4Addr> {
    (subnet.prefix_len() <= 30).then(|| subnet.broadcast())
}

/// RFC 2131, section 4.4.5: half of the lease time.
fn renewal(lease_time: Duration) -> Duration {
    lease_time / 2
}

/// RFC 2131, section 4.4.5: seven eighths of the lease time.
fn rebinding(lease_time: Duration) -> Duration {
    lease_time - lease_time / 8
}

fn seconds(time: Duration) -> u32 {
    u32::try_from(time.as_secs()).unwrap_or(u32::MAX)
}

/// A domain as people write it.
fn text(name: &Name) -> String {
    let text = name.to_ascii();
    text.strip_suffix('.').map_or(text.clone(), str::to_owned)
}
