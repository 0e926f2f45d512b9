//! Hostile peers of a manager: what they can open is bounded, and the others notice nothing.

mod agents;
mod clients;
mod log;
mod raw;
#[path = "../it/support.rs"]
#[allow(dead_code, reason = "written for another test program")]
mod support;
