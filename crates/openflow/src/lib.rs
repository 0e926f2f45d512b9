//! OpenFlow 1.5 with the Open vSwitch extensions.
mod action;
pub mod ct_state;
mod display;
mod field;
mod flow;
mod group;
mod ids;
mod learn;
mod matching;
mod meter;
mod value;

pub use action::*;
pub use field::{Field, Format, OxmHeader, REGISTERS, TUNNEL_OPTION_BYTES, TUNNEL_OPTIONS};
pub use flow::*;
pub use group::*;
pub use ids::{BundleId, Cookie, Dpid, GroupId, MeterId, OfPort, TableId, Xid};
pub use learn::*;
pub use matching::*;
pub use meter::*;
pub use value::Value;
