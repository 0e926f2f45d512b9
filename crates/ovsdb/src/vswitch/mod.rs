//! The `Open_vSwitch` database, as an agent of a switch sees it: `ovs-vswitchd.conf.db(5)`.
//!
//! - One file a table: [`OpenVswitch`], [`Bridge`], [`Port`], [`Interface`]. A row that does not read is an error value, so
//!   that one odd row spoils no other.
//! - [`ensure_bridge`], [`ensure_port`] and their like compare what is there with what is wanted and give the operations
//!   that make it so: pure functions, `None` when there is nothing to do.
//! - [`apply`] does operations and waits until `ovs-vswitchd` has put them into effect.

mod applied;
mod bridge;
mod columns;
mod ensure_bridge;
mod ensure_port;
mod interface;
mod open_vswitch;
mod port;
mod wanted;

pub use applied::{ApplyError, ConfigSequence, apply, with_next_cfg};
pub use bridge::{Bridge, DatapathId, FailMode};
pub use columns::RowError;
pub use ensure_bridge::{BridgeSpec, ensure_bridge, remove_bridge};
pub use ensure_port::{PortSpec, ensure_port, remove_port};
pub use interface::{Interface, LinkState, OfPort};
pub use open_vswitch::OpenVswitch;
pub use port::Port;
pub use wanted::EnsureError;

use crate::monitor::MonitorRequest;
use crate::snapshot::Snapshot;
use crate::value::Uuid;
use columns::Columns;

/// Name of the database.
pub const DATABASE: &str = "Open_vSwitch";

/// A row of one table, read into a type.
pub trait TypedRow: Sized {
    /// Name of the table.
    const TABLE: &'static str;

    /// The columns read.
    const COLUMNS: &'static [&'static str];

    /// Reads a row.
    ///
    /// # Errors
    /// A column is missing or does not have the type or a value that the schema gives it.
    fn read(columns: &Columns<'_>) -> Result<Self, RowError>;
}

/// The rows and columns that this module reads. [`Interface::statistics`] stays empty with it: the switch writes that column
/// every few seconds, for every interface. [`monitor_request_with_statistics`] has it.
#[must_use]
pub fn monitor_request() -> MonitorRequest {
    MonitorRequest::new()
        .table(OpenVswitch::TABLE, OpenVswitch::COLUMNS)
        .table(Bridge::TABLE, Bridge::COLUMNS)
        .table(Port::TABLE, Port::COLUMNS)
        .table(Interface::TABLE, Interface::COLUMNS)
}

/// As [`monitor_request`], with [`Interface::statistics`].
#[must_use]
pub fn monitor_request_with_statistics() -> MonitorRequest {
    let columns = [Interface::COLUMNS, &["statistics"]].concat();
    monitor_request().table(Interface::TABLE, &columns)
}

/// The rows of a table, in the order of their UUIDs.
pub fn rows<T: TypedRow>(snapshot: &Snapshot) -> impl Iterator<Item = Result<T, RowError>> + '_ {
    snapshot.rows(T::TABLE).map(|(uuid, row)| T::read(&Columns { table: T::TABLE, uuid, row }))
}

/// One row, if it is there.
///
/// # Errors
/// The row does not read.
pub fn row<T: TypedRow>(snapshot: &Snapshot, uuid: Uuid) -> Result<Option<T>, RowError> {
    snapshot.row(T::TABLE, uuid).map(|row| T::read(&Columns { table: T::TABLE, uuid, row })).transpose()
}

/// The row with this name.
fn row_named<T: TypedRow>(snapshot: &Snapshot, name: &str) -> Result<Option<T>, RowError> {
    let named = snapshot.row_named(T::TABLE, name);
    named.map(|(uuid, row)| T::read(&Columns { table: T::TABLE, uuid, row })).transpose()
}
