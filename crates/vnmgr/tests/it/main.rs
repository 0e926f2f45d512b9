//! The manager, tested from the outside: over HTTP, and as agents see it.

mod agents;
mod batches;
mod input;
mod lists;
mod openapi;
mod realized;
mod resources;
mod restart;
mod robustness;
mod support;
