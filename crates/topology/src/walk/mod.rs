//! Walks: where a packet goes, said from the objects alone, and which object decides each step.
//!
//! # What it is for
//! A user asks why a packet does not arrive; a test asks whether the flows do what the objects mean. Both need somebody
//! who knows the meaning and not the flows. So what is here is written from what the objects' documents promise,
//! and shares nothing with the compiler of flows but the objects.
//!
//! # How it is asked
//! `walk(topology: &Topology, from: &InterfaceId, packet: &Packet, connections: &Connections) -> Walk`, where `from` is a guest's
//! interface, or an uplink or edge for what comes from its wire. The answer's `connections` are what the walk of a reply takes.
//!
//! # What it assumes
//! Every agent has realized the topology, every gateway and edge is alive, no limit of rates is reached, and trackers know
//! what [`Connections`] says. Where a switch is free to choose among equals, [`Outcome::Undecided`] names all of them.

pub mod connection;
pub mod outcome;
pub mod packet;

pub use connection::{Connection, Connections, Tracker, Tuple, Way};
pub use outcome::{Answer, Decision, Outcome, Reason, Step, Walk};
pub use packet::{Arp, Content, Fragment, Icmp, IpPacket, Neighbour, Packet, Payload, TcpFlags};
