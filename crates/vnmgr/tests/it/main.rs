//! The manager, tested from the outside: over HTTP, and as agents see it.

mod active;
mod agents;
mod allocation;
mod batches;
mod health;
mod hosts;
mod input;
mod lists;
mod metrics;
mod openapi;
mod pairs;
mod placement;
mod process;
mod protection;
mod questions;
mod realized;
mod resources;
mod restart;
mod robustness;
mod rows;
mod samples;
mod support;
mod translations;
mod watching;
