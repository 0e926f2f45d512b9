//! Both ends, over real TLS on the loopback.

mod connections;
mod hostile;
mod joining;
mod journal;
mod machines;
mod manager;
mod questions;
mod updates;
