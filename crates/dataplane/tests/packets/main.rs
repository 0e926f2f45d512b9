//! Flows judged by what happens to packets, in real switches with dummy ports.

mod budget;
#[allow(dead_code, reason = "shared with the test of agreement")]
#[path = "../harness/control.rs"]
mod control;
#[path = "../harness/daemons.rs"]
mod daemons;
mod edge;
mod frames;
mod limit;
mod network;
mod physical;
mod plan;
mod protection;
mod report;
mod resolution;
mod routing;
mod security;
mod segment;
mod services;
mod source;
#[allow(dead_code, reason = "shared with the test of agreement")]
#[path = "../harness/switch.rs"]
mod switch;
mod translation;
mod tunnel;
mod wire;
mod world;
