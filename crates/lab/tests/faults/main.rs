//! Processes are killed, links are cut, disks run full and switches are tampered with: nothing that was acknowledged is
//! lost, packets flow where a fault may not cost any, and everything is as it should be again within a named time.
//!
//! - [`suite`]: faults by a seed, one after the other, under continuous change and traffic.
//! - [`outage`]: agents and manager away for a while, and not a packet lost.
//! - [`crash`]: the manager is killed while it writes.
//! - [`healing`]: what somebody else has done to a switch is put right.
//! - [`document`]: `docs/faults.md` names tests that exist.
//!
//! Each has a short form for every day and a long one for `cargo xtask test faults` (see [`form`]).

#[path = "../common/mod.rs"]
mod common;

mod api;
mod book;
mod compiled;
mod crash;
mod document;
mod fault;
mod form;
mod healing;
mod outage;
mod scene;
mod suite;
mod transfer;
