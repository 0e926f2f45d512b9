//! From topology to flows: what each host's switch shall hold.
//!
//! - [`layout`]: tables, registers, the tunnel option.
//! - `base`, `interface` and `simulated`, `peer`, `domain`, `edge` and `physical`, `router`, `route`, `translation`, `filter`,
//!   `identity`: the flows of each kind of unit.
//! - [`limit`]: what a guest may cost its host.
//! - [`compiler`]: keeps a [`Program`] equal to a topology, incrementally.
//! - [`cookie`]: whose a flow is, and why it drops what it drops.
//!
//! # A packet's way
//! ```text
//! port ─> CLASSIFY ─> SOURCE ──────┬─> *_OUT ─┬─> ANSWER ──> DESTINATION ─┬─> DELIVER ─> *_IN ─> port
//!            │   └──> SEGMENT_SOURCE ┘        │     │              ▲      ├─> PEER ─> TUNNEL_OUT ─> tunnel
//!            │                                └─────┼──────────────┤      └─> groups: of each, once
//! tunnel ────┴──────> TUNNEL_IN ────────────────────┼──────────────┴─────────> DELIVER
//!                                                   ├─ router: see its module, back to DESTINATION
//!                                                   └─ RESOLVE ─> ARP_REPLY, ND_REPLY ─> back to the port
//! ```
//! `*_OUT` and `*_IN` are filters and security groups: see `filter`. Translation is the router's (`translation`), and so is what
//! leads to the wires of physical networks (`physical`). What hosts on one wire send each other as it is, goes another way than
//! by tunnel: see `wire`.
//!
//! The compiler never sees a socket, a clock or the switch itself.

mod base;
pub mod compiler;
pub mod cookie;
mod domain;
mod edge;
mod filter;
mod identity;
mod interface;
pub mod layout;
pub mod limit;
mod peer;
mod physical;
pub mod program;
mod route;
mod router;
mod rule;
mod security;
mod simulated;
mod translation;
mod view;
mod wire;

pub use compiler::{Compiler, Twin};
pub use cookie::{Owner, Purpose};
pub use domain::MAX_BUCKETS;
pub use physical::neighbour;
pub use program::{Delta, FlowKey, Program};
pub use rule::began;
pub use view::{Local, View};
