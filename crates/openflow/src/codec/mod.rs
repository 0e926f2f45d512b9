//! The wire format: pure functions between bytes and typed messages.
//!
//! # Rules
//! - Nothing here reads beyond what a length says, and every length is checked before it is used.
//! - Bytes that remain, padding that is not zero where the protocol says it is, and values outside an enumeration are
//!   errors. What the protocol leaves open (experimenters, unknown fields, actions and properties) is kept as bytes.
//! - What is written has the length it declares; what does not fit 16 bits is an [`EncodeError`].

mod action;
mod conntrack;
mod extension;
mod flow_mod;
mod group;
mod hashing;
mod instruction;
mod learn;
pub(crate) mod message;
mod meter;
mod monitor;
mod multipart;
mod nicira;
mod oxm;
mod packet;
mod port;
mod reader;
mod stats;
mod writer;

pub use reader::DecodeError;
pub(crate) use reader::Reader;
pub use writer::EncodeError;
pub(crate) use writer::Writer;

/// Every structure of variable length is padded to this many bytes.
pub(crate) const ALIGNMENT: usize = 8;
/// Experimenter id of the extensions that Open vSwitch implements (Nicira).
pub(crate) const NICIRA: u32 = 0x0000_2320;
