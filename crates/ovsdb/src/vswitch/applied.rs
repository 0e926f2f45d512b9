//! Waiting until the switch has done what the database says.
//!
//! A transaction changes the database and nothing else. A client that wants to know when the switch follows adds one to
//! `next_cfg`; `ovs-vswitchd` copies it to `cur_cfg` once it has put that configuration into effect
//! (`ovs-vswitchd.conf.db(5)`, "Open_vSwitch TABLE", "Status").

use std::time::Duration;

use super::{OpenVswitch, TypedRow};
use crate::follow::{Replica, View};
use crate::operation::{Mutation, Mutator, Operation, OperationResult, TransactError};
use crate::snapshot::Snapshot;
use crate::value::Atom;

/// A number that grows with every configuration that a client waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConfigSequence(pub i64);

/// Why operations are not known to be in effect.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// There is no connection to the database.
    #[error("not connected to the database")]
    NotConnected,
    /// The transaction did not happen, or is not known to have.
    #[error("database not changed")]
    Transact(#[from] TransactError),
    /// The database has no root row, or more than one.
    #[error("database has not one Open_vSwitch row")]
    NotInitialized,
    /// The database is changed, and `ovs-vswitchd` has not followed in time.
    #[error("switch has not reached configuration {} in time", .0.0)]
    TimedOut(ConfigSequence),
}

/// The operations, and those that ask `ovs-vswitchd` to say when they are in effect. The last result is the one row with
/// the sequence number to wait for.
#[must_use]
pub fn with_next_cfg(mut operations: Vec<Operation>) -> Vec<Operation> {
    // Without a condition: there is one row.
    let increment = Mutation::new("next_cfg", Mutator::Add, 1);
    operations.push(Operation::mutate(OpenVswitch::TABLE, Vec::new(), vec![increment]));
    operations.push(Operation::select_columns(OpenVswitch::TABLE, Vec::new(), &["next_cfg"]));
    operations
}

/// Does `operations` in one transaction and waits until `ovs-vswitchd` has put them into effect. Returns a snapshot of
/// `replica`, which follows this database, in which they and what came of them can be seen.
///
/// # Errors
/// The transaction failed, or the switch did not follow within `limit`. Whether each interface could be made is not an
/// error here: [`super::Interface::error`] says so.
pub async fn apply(
    replica: &Replica,
    operations: Vec<Operation>,
    limit: Duration,
) -> Result<Snapshot, ApplyError> {
    let View { client: Some(client), .. } = replica.view() else { return Err(ApplyError::NotConnected) };
    let results = client.transact(replica.database(), &with_next_cfg(operations)).await?;
    let wanted = sequence(&results).ok_or(ApplyError::NotInitialized)?;
    let reached =
        |snapshot: &Snapshot| matches!(OpenVswitch::root(snapshot), Ok(Some(root)) if root.cur_cfg >= wanted);
    tokio::time::timeout(limit, replica.wait_for(reached)).await.map_err(|_| ApplyError::TimedOut(wanted))
}

fn sequence(results: &[OperationResult]) -> Option<ConfigSequence> {
    let Some(OperationResult::Rows(rows)) = results.last() else { return None };
    let [row] = rows.as_slice() else { return None };
    match row.get("next_cfg")?.scalar()? {
        Atom::Integer(number) => Some(ConfigSequence(*number)),
        _ => None,
    }
}
