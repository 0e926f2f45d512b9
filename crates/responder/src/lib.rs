//! Answers to packets that flows cannot give: packet in, packet out.
//!
//! - [`icmp_error()`]: the ICMP error that a router sends about a packet it does not pass on.
//! - [`too_big()`]: the one for a packet that does not fit the way it has to take, where no router is.
//! - [`tcp_reset()`]: the reset that a filter sends which rejects.
//! - [`summary()`]: what a packet is, for the log.
//! - [`dhcpv4()`]: the answer to a DHCPv4 client.
//! - [`dhcpv6()`]: the answer to a DHCPv6 client.
//! - [`router_advertisement()`]: the answer to a router solicitation; [`unsolicited()`] is the same, unasked.
//! - [`dns()`]: the answer to a DNS query.
//! - [`tcp`]: the end of a TCP connection, for what is asked over one.
//! - [`resolution`]: questions for the addresses of others, and what the answers tell.
//! - [`neighbour_advertisement()`]: the answer to a solicitation that no rewriting makes an advertisement.
//!
//! # Silence is an answer
//! What comes in was written by a guest, and may be anything. No function answers what is malformed or must not be
//! answered, nor ever its own answers; those that give a reason for it do so for the log.
//!
//! # Where an answer goes
//! Back to the port that the question came from, within the same VLAN: its Ethernet header is the question's with
//! the addresses exchanged. This crate owns no socket; the agent sends the frame.

mod dhcp;
pub mod dhcpv4;
pub mod dhcpv6;
pub mod dns;
mod ethernet;
pub mod icmp_error;
mod ip;
mod name;
mod ndp;
pub mod neighbour;
pub mod resolution;
pub mod router_advertisement;
pub mod summary;
pub mod tcp;
pub mod tcp_reset;
pub mod too_big;
mod udp;

pub use dhcpv4::dhcpv4;
pub use dhcpv6::dhcpv6;
pub use dns::dns;
pub use hickory_proto::rr::Name;
pub use icmp_error::{Problem, Sender, icmp_error};
pub use neighbour::{Neighbour, neighbour_advertisement};
pub use router_advertisement::{router_advertisement, unsolicited};
pub use summary::{destination, is_tcp, summary};
pub use tcp_reset::tcp_reset;
pub use too_big::too_big;
