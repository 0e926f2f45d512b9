//! What the `ensure` functions share: comparing columns with what is wanted of them.
//!
//! # Whose columns
//! `other_config` and `external_ids` are shared with administrators and other systems: the keys named are set, the others
//! left alone. Any other column that is named is set as a whole.
//!
//! # Races
//! A replica is always a little behind. Operations that rest on a row being there, or not, are preceded by a `wait` that
//! fails the transaction where that is no longer so; the caller then decides anew on a newer snapshot.

use std::collections::BTreeMap;

use super::columns::RowError;
use crate::operation::{Condition, Mutation, Mutator, Operation};
use crate::value::{Datum, Row, Uuid};

/// Why the switch cannot be made as wanted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnsureError {
    /// The database has no root row: `ovs-vsctl init` was never run.
    #[error("database has no Open_vSwitch row")]
    NotInitialized,
    /// The bridge is not there.
    #[error("no bridge {0}")]
    NoBridge(String),
    /// The port or interface of this name is part of something else, as a bond or another bridge's local port.
    #[error("{0} belongs to something else")]
    Taken(String),
    /// A row that matters does not read.
    #[error("row does not read")]
    Row(#[from] RowError),
}

/// The changes that make one existing row as wanted.
pub(super) struct Changes {
    table: &'static str,
    uuid: Uuid,
    name: String,
    update: Row,
    mutations: Vec<Mutation>,
}

impl Changes {
    pub(super) fn of(table: &'static str, uuid: Uuid, name: &str) -> Self {
        Self { table, uuid, name: name.to_owned(), update: Row::new(), mutations: Vec::new() }
    }

    /// The whole column is `wanted`.
    pub(super) fn column(&mut self, column: &str, is: &Datum, wanted: Datum) {
        if *is != wanted {
            self.update.set(column.into(), wanted);
        }
    }

    /// The column has these pairs; others stay.
    pub(super) fn keys(
        &mut self,
        column: &str,
        is: &BTreeMap<String, String>,
        wanted: &BTreeMap<String, String>,
    ) {
        let differing: BTreeMap<_, _> =
            wanted.iter().filter(|(key, value)| is.get(*key) != Some(value)).collect();
        if differing.is_empty() {
            return;
        }
        // An insert leaves keys that exist as they are (RFC 7047, section 5.1), so they go first.
        self.mutations.push(Mutation::new(column, Mutator::Delete, Datum::set(differing.keys().copied())));
        self.mutations.push(Mutation::new(column, Mutator::Insert, Datum::map(differing)));
    }

    /// The set has this element; others stay.
    pub(super) fn element(&mut self, column: &str, element: impl Into<Datum>) {
        self.mutations.push(Mutation::new(column, Mutator::Insert, element));
    }

    /// The operations, none if there is nothing to change.
    pub(super) fn into_operations(self) -> Vec<Operation> {
        if self.update.is_empty() && self.mutations.is_empty() {
            return Vec::new();
        }
        let this_row = || vec![Condition::row(self.uuid)];
        let mut operations = vec![require_row(self.table, self.uuid, &self.name)];
        if !self.update.is_empty() {
            operations.push(Operation::update(self.table, this_row(), self.update));
        }
        if !self.mutations.is_empty() {
            operations.push(Operation::mutate(self.table, this_row(), self.mutations));
        }
        operations
    }
}

/// Fails the transaction unless the row is still there under this name.
pub(super) fn require_row(table: &str, uuid: Uuid, name: &str) -> Operation {
    Operation::require(table, vec![Condition::row(uuid)], &["name"], vec![Row::new().with("name", name)])
}

/// Fails the transaction if the table has a row of this name.
pub(super) fn require_none(table: &str, name: &str) -> Operation {
    Operation::require(table, vec![Condition::equal("name", name)], &["name"], Vec::new())
}

/// The operations, or `None` if there are none.
pub(super) fn some(operations: Vec<Operation>) -> Option<Vec<Operation>> {
    (!operations.is_empty()).then_some(operations)
}
