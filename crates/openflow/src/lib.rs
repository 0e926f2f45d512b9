//! OpenFlow 1.5 with the Open vSwitch extensions.
//!
//! - Types: [`Match`], [`Action`], [`Flow`], [`Group`], [`Meter`] are values in canonical form: what is sent compares equal
//!   with what the switch reports, so that a controller can tell what a switch lacks by comparing sets.
//! - Codec: [`Frame::decode`] and [`Frame::encode`] are pure, bounded, and refuse what is malformed.
//! - Connection: [`Connection`] keeps many requests in flight, matched by transaction, and never loses what the switch
//!   says in between ([`Events`]).

mod action;
mod codec;
mod command;
mod connection;
mod conntrack;
pub mod ct_state;
mod display;
mod error_message;
mod event_queue;
mod field;
mod flow;
mod group;
mod hashing;
mod ids;
mod learn;
mod matching;
mod message;
mod meter;
mod monitor;
mod multipart;
mod nicira;
mod packet;
mod port;
mod request;
mod session;
mod shape;
mod shared;
mod value;

pub use action::*;
pub use codec::{DecodeError, EncodeError};
pub use command::*;
pub use connection::{Config, ConnectError, Connection, Endpoint, Events};
pub use conntrack::*;
pub use error_message::ErrorMessage;
pub use event_queue::EventLimits;
pub use field::{Field, Format, OxmHeader, REGISTERS, TUNNEL_OPTION_BYTES, TUNNEL_OPTIONS};
pub use flow::*;
pub use group::*;
pub use hashing::*;
pub use ids::{BundleId, Cookie, Dpid, GroupId, MeterId, OfPort, TableId, Xid};
pub use learn::*;
pub use matching::*;
pub use message::*;
pub use meter::*;
pub use monitor::*;
pub use multipart::*;
pub use nicira::*;
pub use packet::*;
pub use port::*;
pub use request::{BundleError, BundleItem};
pub use session::{CloseReason, Event, RequestError};
pub use shape::Shape;
pub use shared::Shared;
pub use value::Value;
