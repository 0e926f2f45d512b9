//! Answers to DHCPv6 clients (RFC 8415) that each have one lease.
//!
//! # No state
//! As with [`dhcpv4`](mod@crate::dhcpv4), who has which address is told with every call. A client has one address: of its
//! identity associations the one that names it gets it, or else the first one for non-temporary addresses. The others are
//! told that there is nothing for them.
//!
//! # Who is answered
//! The client whose MAC address the lease names, on the link the frame came from: by what it calls itself (its DUID) nobody
//! knows it. It has to speak to all servers: to one alone a client speaks only once that allowed it (RFC 8415, section
//! 21.12; RFC 9915 has it no more), which this one never does. Relays are not answered.
//!
//! - `request`: reads what a client sent, and trusts none of it.
//! - `reply`: what it is told.

mod reply;
mod request;

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use dhcproto::v6::{MessageType, Status};
use hickory_proto::rr::Name;
use ipnet::Ipv6Net;

pub use crate::dhcp::{Answer, Event, Ignored};
use crate::udp::Datagram;
use reply::Reply;
use request::{Association, Request};

/// All servers and relays of the link (RFC 8415, section 7.1).
const ALL_SERVERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2);

/// What a client is to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The client's MAC address.
    pub client: [u8; 6],
    /// The client's IP address, if it gets one from here.
    pub address: Option<Ipv6Addr>,
    /// The subnet of the link: addresses of it may be the client's.
    pub subnet: Ipv6Net,
    /// The link-local address that answers come from.
    pub server: Ipv6Addr,
    /// The MAC address that answers come from, and that names the server.
    pub server_mac: [u8; 6],
    /// How long the address is preferred, in full seconds: not longer than it is valid. A client asks again after half
    /// of it.
    pub preferred: Duration,
    /// How long the client may use the address without asking again, in full seconds. What is more than 32 bits hold is
    /// for ever (RFC 8415, section 7.7).
    pub valid: Duration,
    /// Name servers, the preferred one first.
    pub dns: Vec<Ipv6Addr>,
    /// Time servers, the preferred one first.
    pub ntp: Vec<Ipv6Addr>,
    /// Domains that short names are looked up in, in this order.
    pub search: Vec<Name>,
}

impl Lease {
    /// What the server calls itself: a DUID made of its link-layer address, which is Ethernet's (RFC 8415, section 11.4).
    fn duid(&self) -> Vec<u8> {
        [&[0, 3, 0, 1], &self.server_mac[..]].concat()
    }
}

/// The answer to an Ethernet frame with a client's message.
///
/// # Errors
/// Why there is none.
pub fn dhcpv6(frame: &[u8], lease: &Lease) -> Result<Answer, Ignored> {
    let datagram = Datagram::parse(frame).ok_or(Ignored::NotDhcp)?;
    let request = Request::read(&datagram)?;
    if datagram.frame.source != lease.client {
        return Err(Ignored::OtherClient);
    }
    // RFC 8415, section 16: what has to go to all servers is discarded if it does not.
    if datagram.addresses.destination() != ALL_SERVERS {
        return Err(Ignored::OtherServer);
    }
    check_names(&request, lease)?;
    let reply = Reply { request: &request, frame: &datagram.frame, lease };
    match request.kind {
        MessageType::Solicit => on_solicit(&reply),
        MessageType::Request | MessageType::Renew | MessageType::Rebind => on_request(&reply),
        MessageType::Confirm => on_confirm(&reply),
        MessageType::InformationRequest => answered(Event::Informed, reply.information()),
        MessageType::Release => on_return(&reply, |address| Event::Released(address.into())),
        MessageType::Decline => on_return(&reply, |address| Event::Declined(address.into())),
        _ => Err(Ignored::NotAClients),
    }
}

/// RFC 8415, sections 16.2 to 16.12: which kind of message must name the client and the server, and which must not.
fn check_names(request: &Request, lease: &Lease) -> Result<(), Ignored> {
    let is_named = match request.kind {
        MessageType::Solicit | MessageType::Confirm | MessageType::Rebind => {
            request.client.is_some() && request.server.is_none()
        }
        MessageType::Request | MessageType::Renew | MessageType::Release | MessageType::Decline => {
            request.client.is_some() && request.server.is_some()
        }
        // Section 16.12: and it asks for no address.
        MessageType::InformationRequest => request.associations.is_empty(),
        _ => return Err(Ignored::NotAClients),
    };
    match &request.server {
        _ if !is_named => Err(Ignored::Malformed),
        Some(server) if *server != lease.duid() => Err(Ignored::OtherServer),
        _ => Ok(()),
    }
}

/// RFC 8415, section 18.3.1: a client that wants to be given its address at once says so.
fn on_solicit(reply: &Reply<'_>) -> Result<Answer, Ignored> {
    if reply.request.wants_rapid_commit {
        return answered(outcome(reply, Event::Leased), reply.rapid_commit());
    }
    answered(outcome(reply, Event::Offered), reply.advertise())
}

/// RFC 8415, sections 18.3.2, 18.3.4 and 18.3.5.
fn on_request(reply: &Reply<'_>) -> Result<Answer, Ignored> {
    answered(outcome(reply, Event::Leased), reply.associations())
}

/// RFC 8415, section 18.3.3: whether all addresses are of this link. Without any there is no answer.
fn on_confirm(reply: &Reply<'_>) -> Result<Answer, Ignored> {
    let mut addresses = reply.request.addresses().peekable();
    addresses.peek().ok_or(Ignored::Malformed)?;
    if addresses.all(|address| reply.lease.subnet.contains(&address)) {
        answered(Event::Confirmed, reply.status(Status::Success))
    } else {
        answered(Event::Refused, reply.status(Status::NotOnLink))
    }
}

/// RFC 8415, sections 18.3.7 and 18.3.8: the address is given back, or found to be in use.
fn on_return(reply: &Reply<'_>, event: impl Fn(Ipv6Addr) -> Event) -> Result<Answer, Ignored> {
    let leased = |address: &Ipv6Addr| Some(*address) == reply.lease.address;
    let event = reply.request.addresses().find(leased).map_or(Event::Refused, event);
    answered(event, reply.returned())
}

/// What happened to a client that asked for addresses.
fn outcome(reply: &Reply<'_>, granted: fn(IpAddr) -> Event) -> Event {
    match reply.granted() {
        Some((_, address)) => granted(address.into()),
        None if reply.request.associations.is_empty() => Event::Informed,
        None => Event::Refused,
    }
}

fn answered(event: Event, reply: Option<Vec<u8>>) -> Result<Answer, Ignored> {
    let reply = reply.ok_or(Ignored::Malformed)?;
    Ok(Answer { event, reply: Some(reply) })
}
