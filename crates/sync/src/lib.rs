//! The manager-agent protocol: how each host's agent gets the part of the topology it needs, and what it says back.
//!
//! One gRPC stream with mutual TLS per agent. The manager sends a snapshot at a revision, then deltas; the agent says
//! who it is, which ports its host has and which revision it has realized. There are no events to lose, only state to
//! catch up with: whatever either side missed, the next message holds the difference.
//!
//! - Both ends: [`pki`] holds the keys they prove themselves with, `wire` the messages; `ports` is how a host's ports are said,
//!   all of them once and then what changes.
//! - The manager's end: [`manager`] is what a manager provides and [`manager::serve`] the server. Behind it `history`
//!   remembers heads, `feed` decides what an agent is sent next, `session` carries one agent's stream.
//! - The agent's end: [`agent`] keeps a [`Replica`] up to date. `inbox` puts it together from what the
//!   manager sends; [`journal`] keeps it on disk.
//! - [`question`] is what a manager may ask of a host's switch: through a [`Line`], which lasts as long as the stream.
//! - [`machines`]: what decides in both, without sockets, tasks and clocks.
//!
//! # Who may say what
//! A host proves who it is by its certificate, and all that it says is taken to be about itself. A host without one
//! may do one thing: ask for it, with a token's secret.
//!
//! Nothing here decides about topology: what a registration or a port means is the manager's business.

pub mod agent;
mod client;
mod feed;
mod file;
mod history;
mod inbox;
pub mod journal;
pub mod line;
mod listener;
pub mod machines;
pub mod manager;
pub mod pki;
mod ports;
pub mod question;
pub mod replica;
mod service;
mod session;
mod sessions;
#[cfg(test)]
mod tests;
mod values;
mod wire;

pub use agent::{Agent, Asked, Connection, Inputs};
pub use journal::Journal;
pub use line::{AskError, Line};
pub use manager::{Head, Manager, serve};
pub use replica::Replica;
