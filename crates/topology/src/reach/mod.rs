//! Reachability: what one packet does, who can talk to whom, and whether that is as it should be.
//!
//! - [`probe`]: what somebody wants to send, made into the frame that a guest would send; [`answer`](mod@answer), what it is
//!   answered; [`arrival`], whether it gets there.
//! - [`matrix`](mod@matrix): who can send what to whom, by [`traffic`] and [`class`], for guests that a [`selection`] names.
//! - [`policy`]: statements held against that. [`assumed`] says of which topology policies speak.
//!
//! Where packets go, [`crate::walk`] says. Nothing here knows it in another way.

pub mod answer;
mod apart;
pub mod arrival;
pub mod assumed;
pub mod class;
mod guard;
pub mod matrix;
mod next_hop;
mod piece;
pub mod policy;
pub mod probe;
mod prober;
pub mod ranges;
pub mod selection;
mod shared;
mod source;
pub mod traffic;
mod way;

pub use answer::answer;
pub use arrival::Arrival;
pub use assumed::plugged_in;
pub use matrix::{Cell, Matrix, matrix, product};
pub use policy::{Judgement, Statement, Texts, Violation, Wrong};
pub use probe::{Prepared, Probe, ProbeKind, Target};
pub use selection::Selector;
pub use traffic::TrafficSet;
