//! What both versions of DHCP have in common: what became of a client's message.

use std::net::IpAddr;

/// What a client's message led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What happened, for the log.
    pub event: Event,
    /// The frame for the client, if it gets one.
    pub reply: Option<Vec<u8>>,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The client was offered an address.
    Offered(IpAddr),
    /// The client was given an address, or may keep it.
    Leased(IpAddr),
    /// The client was told that what it asked for is not for it.
    Refused,
    /// The client was told that its addresses belong to the link it is on.
    Confirmed,
    /// The client, which has an address, was told the rest.
    Informed,
    /// The client no longer uses an address.
    Released(IpAddr),
    /// The client found that somebody else uses an address.
    Declined(IpAddr),
}

/// Why a frame gets no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Ignored {
    /// The frame does not hold an intact datagram to a DHCP server.
    #[error("no datagram to a DHCP server")]
    NotDhcp,
    /// The message breaks a rule of its format, or lacks what its kind must have.
    #[error("a malformed DHCP message")]
    Malformed,
    /// The message is none that clients send.
    #[error("a DHCP message that is not a client's")]
    NotAClients,
    /// The message was passed on by a relay, to which there is no way.
    #[error("a DHCP message from a relay")]
    Relayed,
    /// The message is not that of the lease's holder.
    #[error("a DHCP message of another client")]
    OtherClient,
    /// The message is for another server.
    #[error("a DHCP message to another server")]
    OtherServer,
}
