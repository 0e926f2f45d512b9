//! Answers to DHCPv4 clients (RFC 2131) that each have one lease.
//!
//! # No state
//! Who has which address is decided elsewhere, and told with every call. A server that remembers nothing can be on
//! every host, and be restarted at will. The lease time only says how often a client asks again.
//!
//! # Who is answered
//! The client whose hardware address the lease names, on the link the frame came from. Relays are not answered: there is
//! none between a port and its host. What a client says to another server is no business of this one.
//!
//! - `request`: reads what a client sent, and trusts none of it.
//! - `reply`: what it is told, and where that goes.

mod reply;
mod request;

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use dhcproto::v4::MessageType;
use hickory_proto::rr::Name;
use ipnet::Ipv4Net;

pub use crate::dhcp::{Answer, Event, Ignored};
use crate::ip::Addresses;
use crate::udp::Datagram;
use reply::Reply;
use request::Request;

/// What a client is to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The client's MAC address.
    pub client: [u8; 6],
    /// The client's IP address.
    pub address: Ipv4Addr,
    /// The subnet it is in.
    pub subnet: Ipv4Net,
    /// The IP address that answers come from, and that names the server.
    pub server: Ipv4Addr,
    /// The MAC address that answers come from.
    pub server_mac: [u8; 6],
    /// How long the client may use the address without asking again, in full seconds. What is more than 32 bits
    /// hold is for ever (RFC 2131, section 3.3).
    pub lease_time: Duration,
    /// Routers of the subnet, the preferred one first.
    pub routers: Vec<Ipv4Addr>,
    /// Name servers, the preferred one first.
    pub dns: Vec<Ipv4Addr>,
    /// Time servers, the preferred one first.
    pub ntp: Vec<Ipv4Addr>,
    /// Routes beside the default route, each with its router.
    pub routes: Vec<(Ipv4Net, Ipv4Addr)>,
    /// The client's host name.
    pub host_name: Option<String>,
    /// The domain the client is in.
    pub domain_name: Option<Name>,
    /// Domains that short names are looked up in, in this order.
    pub search: Vec<Name>,
    /// The largest IP packet that the link takes, in bytes.
    pub mtu: Option<u16>,
}

/// The answer to an Ethernet frame with a client's message.
///
/// # Errors
/// Why there is none.
pub fn dhcpv4(frame: &[u8], lease: &Lease) -> Result<Answer, Ignored> {
    let datagram = Datagram::parse(frame).ok_or(Ignored::NotDhcp)?;
    let request = Request::read(&datagram)?;
    check_concerns(&request, &datagram, lease)?;
    let reply = Reply { request: &request, frame: &datagram.frame, lease };
    match request.kind {
        MessageType::Discover => on_discover(&reply),
        MessageType::Request => on_request(&reply),
        MessageType::Inform => on_inform(&reply),
        MessageType::Release => on_release(&request, lease),
        MessageType::Decline => on_decline(&request, lease),
        _ => Err(Ignored::NotAClients),
    }
}

/// Whether a frame is of a client on this link that asks for an address, or whether it may go on with one.
pub fn wants_address(frame: &[u8], client: [u8; 6]) -> bool {
    let request = Datagram::parse(frame).and_then(|datagram| Request::read(&datagram).ok());
    request.is_some_and(|request| {
        let asks = matches!(request.kind, MessageType::Discover | MessageType::Request);
        asks && request.client == client && request.relay.is_unspecified()
    })
}

fn check_concerns(request: &Request, datagram: &Datagram<'_>, lease: &Lease) -> Result<(), Ignored> {
    if !request.relay.is_unspecified() {
        return Err(Ignored::Relayed);
    }
    if request.client != lease.client {
        return Err(Ignored::OtherClient);
    }
    let Addresses::V4 { destination, .. } = datagram.addresses else { return Err(Ignored::NotDhcp) };
    if destination != Ipv4Addr::BROADCAST && destination != lease.server {
        return Err(Ignored::OtherServer);
    }
    // RFC 2131, section 4.3.2: a client that selects a server tells all the others so.
    if request.server.is_some_and(|server| server != lease.server) {
        return Err(Ignored::OtherServer);
    }
    Ok(())
}

fn on_discover(reply: &Reply<'_>) -> Result<Answer, Ignored> {
    answered(Event::Offered(reply.lease.address.into()), reply.lease(MessageType::Offer))
}

/// RFC 2131, section 4.3.2: which state a client is in shows in what it filled in.
fn on_request(reply: &Reply<'_>) -> Result<Answer, Ignored> {
    let request = reply.request;
    let asked = match (request.requested, request.current()) {
        // Selecting (with a server) and init-reboot (without) name the address as an option.
        (Some(requested), None) => requested,
        // Renewing and rebinding use it.
        (None, Some(current)) => current,
        _ => return Err(Ignored::Malformed),
    };
    if asked == reply.lease.address {
        answered(Event::Leased(asked.into()), reply.lease(MessageType::Ack))
    } else {
        answered(Event::Refused, reply.refusal())
    }
}

/// RFC 2131, section 4.3.5: the client has an address that it got otherwise.
fn on_inform(reply: &Reply<'_>) -> Result<Answer, Ignored> {
    let current = reply.request.current().ok_or(Ignored::Malformed)?;
    answered(Event::Informed, reply.information(current))
}

/// RFC 2131, section 4.3.4.
fn on_release(request: &Request, lease: &Lease) -> Result<Answer, Ignored> {
    noted(Event::Released(named(request, request.current(), lease)?))
}

/// RFC 2131, section 4.3.3.
fn on_decline(request: &Request, lease: &Lease) -> Result<Answer, Ignored> {
    noted(Event::Declined(named(request, request.requested, lease)?))
}

/// The address that a client gives back. RFC 2131, table 5: it must name the server, too.
fn named(request: &Request, address: Option<Ipv4Addr>, lease: &Lease) -> Result<IpAddr, Ignored> {
    let address = address.filter(|_| request.server == Some(lease.server));
    address.map(IpAddr::from).ok_or(Ignored::Malformed)
}

fn answered(event: Event, reply: Option<Vec<u8>>) -> Result<Answer, Ignored> {
    let reply = reply.ok_or(Ignored::Malformed)?;
    Ok(Answer { event, reply: Some(reply) })
}

fn noted(event: Event) -> Result<Answer, Ignored> {
    Ok(Answer { event, reply: None })
}
