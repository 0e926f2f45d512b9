//! A client of the Open vSwitch Database Management Protocol (RFC 7047) with the extensions of `ovsdb-server(7)`.
//!
//! The layers, from the wire up. Those without I/O take values and return values; [`client`] and [`follow`] own the
//! sockets and tasks and decide nothing else.
//!
//! | module | holds | I/O |
//! | --- | --- | --- |
//! | [`scan`] | where one JSON value of the stream ends | no |
//! | [`value`], [`schema`] | atoms, sets, maps, rows, and the column types that give them meaning | no |
//! | [`operation`] | what a transaction asks, and what it answers | no |
//! | [`monitor`], [`snapshot`] | row updates, and the tables they add up to | no |
//! | [`client`] | one connection: requests by id, notifications, keep-alive | yes |
//! | [`follow`] | a replica that outlives its connections | yes |
//! | [`vswitch`] | typed rows of the `Open_vSwitch` schema, and what an agent writes there | only `vswitch::apply` |
//!
//! # Nothing is lost silently
//! A notification either reaches its subscriber or ends the connection with a reason. A replica that cannot apply an
//! update is fetched again. What a server sends is decoded without panics, and every size, depth and queue is bounded.
//!
//! # Example
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use ovsdb::vswitch::{self, BridgeSpec};
//! use ovsdb::{Config, Replica};
//!
//! let endpoint = "unix:/var/run/openvswitch/db.sock".parse()?;
//! let replica = Replica::follow(endpoint, Config::default(), vswitch::DATABASE, vswitch::monitor_request());
//! let (_, mut snapshot) = replica.connected().await;
//! while let Some(operations) = vswitch::ensure_bridge(&snapshot, &BridgeSpec::secure("br0", "system"))? {
//!     snapshot = vswitch::apply(&replica, operations, std::time::Duration::from_secs(10)).await?;
//! }
//! # Ok(())
//! # }
//! ```

pub mod client;
mod connection;
pub mod endpoint;
pub mod follow;
pub mod monitor;
pub mod operation;
pub mod scan;
pub mod schema;
pub mod snapshot;
pub mod value;
pub mod vswitch;

pub use client::{
    Client, Config, ConnectError, Initial, Lock, LockEvent, Monitor, PendingTransaction, QueryError,
};
pub use connection::{CloseReason, RpcError, ServerError};
pub use endpoint::Endpoint;
pub use follow::{Replica, View};
pub use monitor::{MonitorRequest, TableUpdates};
pub use operation::{Condition, Function, Mutation, Mutator, Operation, OperationResult, TransactError};
pub use schema::DatabaseSchema;
pub use snapshot::Snapshot;
pub use value::{Atom, Datum, DecodeError, Row, Uuid};
