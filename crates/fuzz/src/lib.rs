//! Hostile input: everything here that decodes what others sent, and an engine that makes up what they might send.
//!
//! - [`targets`]: one list of decoders, each with real inputs to start from and what must hold of any other.
//! - [`mutation`]: makes an input of real ones. Pure: the same numbers give the same bytes, on every machine.
//! - [`campaign`]: gives a target many inputs, and holds each to the target's limits of memory and time.
//! - [`crash`]: inputs that broke something once. They are kept, and a test replays them for ever.
//!
//! # What counts as broken
//! A panic (targets assert what must hold), more memory than the target's limit for the size of the input, or more time
//! than [`campaign::MAX_TIME`]. An error value is the right answer to nonsense.

pub mod campaign;
pub mod crash;
pub mod hex;
pub mod memory;
pub mod mutation;
pub mod target;
pub mod targets;

pub use target::Target;
pub use targets::TARGETS;
