//! Tables in memory, as of one transaction.
//!
//! A snapshot is a persistent map: a copy shares everything with the original, so that readers keep theirs as long as they
//! like while the next one is made.
//!
//! # Differences
//! An update carries the new value of a column that holds at most one element, and otherwise the difference to the old
//! (`ovsdb-server(7)`, section 4.1.14). `apply_difference` is that rule.

use std::collections::btree_map::Entry;
use std::sync::Arc;

use imbl::OrdMap;

use crate::monitor::{RowUpdate, TableUpdates};
use crate::schema::DatabaseSchema;
use crate::value::{Atom, Datum, Row, Uuid};

/// The monitored rows of a database, as of one transaction. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Snapshot {
    schema: Arc<DatabaseSchema>,
    tables: OrdMap<Arc<str>, Table>,
    transaction: Option<Uuid>,
}

#[derive(Debug, Clone, Default)]
struct Table {
    rows: OrdMap<Uuid, Arc<Row>>,
    /// The rows that have a `name`, by it. The tables of `Open_vSwitch` that have such a column have an index on it.
    named: OrdMap<Arc<str>, Uuid>,
}

impl Table {
    fn put(&mut self, uuid: Uuid, row: Arc<Row>) {
        let name = name(&row).cloned();
        let before = self.rows.insert(uuid, row);
        if before.as_ref().and_then(|row| self::name(row)) != name.as_ref() {
            self.forget_name(uuid, before.as_deref());
            self.named.extend(name.map(|name| (name, uuid)));
        }
    }

    /// Takes a row away, if it is there.
    fn remove(&mut self, uuid: Uuid) -> Option<Arc<Row>> {
        let row = self.rows.remove(&uuid)?;
        self.forget_name(uuid, Some(&row));
        Some(row)
    }

    /// Another row of the same transaction may have taken the name already.
    fn forget_name(&mut self, uuid: Uuid, row: Option<&Row>) {
        if let Some(name) = row.and_then(name)
            && self.named.get(name) == Some(&uuid)
        {
            self.named.remove(name);
        }
    }
}

fn name(row: &Row) -> Option<&Arc<str>> {
    match row.get("name")?.scalar()? {
        Atom::String(name) => Some(name),
        _ => None,
    }
}

/// An update does not fit the rows it is about: the replica has missed something.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InconsistentError {
    /// A row changed or went away that was not there.
    #[error("update of row {uuid} of {table}, which is not there")]
    UnknownRow {
        /// Table.
        table: Arc<str>,
        /// Row.
        uuid: Uuid,
    },
    /// A difference does not fit the column's value.
    #[error("column {column} of {table} cannot change in this way")]
    Difference {
        /// Table.
        table: Arc<str>,
        /// Column.
        column: Arc<str>,
    },
}

impl Snapshot {
    /// No rows.
    #[must_use]
    pub fn empty(schema: Arc<DatabaseSchema>) -> Self {
        Self { schema, tables: OrdMap::new(), transaction: None }
    }

    /// The schema the rows follow.
    #[must_use]
    pub fn schema(&self) -> &Arc<DatabaseSchema> {
        &self.schema
    }

    /// The last transaction taken in, where the server names them.
    #[must_use]
    pub fn transaction(&self) -> Option<Uuid> {
        self.transaction
    }

    /// The rows of a table, by UUID. None for a table that is not monitored.
    pub fn rows(&self, table: &str) -> impl Iterator<Item = (Uuid, &Arc<Row>)> {
        let rows = self.tables.get(table).into_iter().flat_map(|table| &table.rows);
        rows.map(|(uuid, row)| (*uuid, row))
    }

    /// One row.
    #[must_use]
    pub fn row(&self, table: &str, uuid: Uuid) -> Option<&Arc<Row>> {
        self.tables.get(table)?.rows.get(&uuid)
    }

    /// The row whose column `name` is this.
    #[must_use]
    pub fn row_named(&self, table: &str, name: &str) -> Option<(Uuid, &Arc<Row>)> {
        let table = self.tables.get(table)?;
        table.rows.get_key_value(table.named.get(name)?).map(|(uuid, row)| (*uuid, row))
    }

    /// The rows that a column of one row refers to. None where there is no such row or column.
    pub fn references(&self, table: &str, uuid: Uuid, column: &str) -> impl Iterator<Item = Uuid> {
        let elements = match self.row(table, uuid).and_then(|row| row.get(column)) {
            Some(Datum::Set(elements)) => Some(elements),
            _ => None,
        };
        elements.into_iter().flatten().filter_map(|element| match element {
            Atom::Uuid(uuid) => Some(*uuid),
            _ => None,
        })
    }

    /// How many rows a table has.
    #[must_use]
    pub fn count(&self, table: &str) -> usize {
        self.tables.get(table).map_or(0, |table| table.rows.len())
    }

    /// Takes an update in.
    ///
    /// # Errors
    /// The update does not fit. The snapshot is then of no transaction, and must be fetched again.
    pub fn apply(&mut self, update: TableUpdates) -> Result<(), InconsistentError> {
        for (table, uuid, row_update) in update.rows {
            self.apply_row(table, uuid, row_update)?;
        }
        self.transaction = update.transaction.or(self.transaction);
        Ok(())
    }

    /// Makes this a snapshot that nothing continues from.
    pub(crate) fn forget_transaction(&mut self) {
        self.transaction = None;
    }

    fn apply_row(&mut self, table: Arc<str>, uuid: Uuid, update: RowUpdate) -> Result<(), InconsistentError> {
        let rows = self.tables.entry(table.clone()).or_default();
        match update {
            RowUpdate::Present(row) => rows.put(uuid, Arc::new(row)),
            RowUpdate::Gone => {
                rows.remove(uuid).ok_or(InconsistentError::UnknownRow { table, uuid })?;
            }
            RowUpdate::Changed(changes) => {
                let Some(row) = rows.rows.get(&uuid) else {
                    return Err(InconsistentError::UnknownRow { table, uuid });
                };
                let mut row = Row::clone(row);
                change_row(&mut row, &changes, &table, &self.schema)?;
                rows.put(uuid, Arc::new(row));
            }
        }
        Ok(())
    }
}

fn change_row(
    row: &mut Row,
    changes: &Row,
    table: &Arc<str>,
    schema: &DatabaseSchema,
) -> Result<(), InconsistentError> {
    for (column, change) in changes.iter() {
        let wrong = || InconsistentError::Difference { table: table.clone(), column: column.clone() };
        let kind = schema.table(table).and_then(|(_, table)| table.column(column)).ok_or_else(wrong)?.1;
        let value = row.get_mut(column).ok_or_else(wrong)?;
        if kind.holds_many() {
            apply_difference(value, change).ok_or_else(wrong)?;
        } else {
            *value = change.clone();
        }
    }
    Ok(())
}

/// Changes `value` by `difference`, both of a column that holds many. `None` if one is a set and the other a map.
///
/// Of a set, each element of the difference enters if it was not there and leaves if it was. Of a map, each pair of the
/// difference leaves if it was there with that value, and else is there now.
fn apply_difference(value: &mut Datum, difference: &Datum) -> Option<()> {
    match (value, difference) {
        (Datum::Set(elements), Datum::Set(difference)) => {
            for element in difference {
                if !elements.remove(element) {
                    elements.insert(element.clone());
                }
            }
        }
        (Datum::Map(pairs), Datum::Map(difference)) => {
            for (key, new) in difference {
                match pairs.entry(key.clone()) {
                    Entry::Occupied(old) if old.get() == new => {
                        old.remove();
                    }
                    entry => {
                        entry.insert_entry(new.clone());
                    }
                }
            }
        }
        _ => return None,
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::monitor::MonitorRequest;

    const ROW: &str = "00000000-0000-0000-0000-000000000001";

    fn schema() -> Arc<DatabaseSchema> {
        let schema = json!({"name": "d", "version": "1.0.0", "tables": {"t": {"columns": {
            "one": {"type": {"key": "string", "min": 0, "max": 1}},
            "set": {"type": {"key": "integer", "min": 0, "max": "unlimited"}},
            "map": {"type": {"key": "string", "value": "integer", "min": 0, "max": "unlimited"}},
        }}}});
        Arc::new(DatabaseSchema::from_json(&schema).expect("the test's own schema"))
    }

    /// The row after these updates; `None` when it is gone, an error when one did not fit.
    fn check(updates: &[Value], expected: Result<Option<Row>, ()>) {
        let request = MonitorRequest::new().table("t", &["one", "set", "map"]);
        let mut snapshot = Snapshot::empty(schema());
        let outcome = updates.iter().try_for_each(|update| {
            let update = json!({"t": {ROW: update}});
            let update = TableUpdates::from_json(&update, None, &request, &schema()).map_err(|_| ())?;
            snapshot.apply(update).map_err(|_| ())
        });
        let row = || snapshot.row("t", Uuid::from_u128(1)).map(|row| Row::clone(row));
        assert_eq!(outcome.map(|()| row()), expected, "{updates:?}");
    }

    fn row(one: Option<&str>, set: &[i64], map: &[(&str, i64)]) -> Result<Option<Row>, ()> {
        let row = Row::new().with("one", Datum::from(one)).with("set", Datum::set(set.iter().copied()));
        Ok(Some(row.with("map", Datum::map(map.iter().copied()))))
    }

    #[test]
    fn columns_left_out_have_their_default() {
        check(&[json!({"initial": {}})], row(None, &[], &[]));
        check(&[json!({"insert": {"one": "x"}})], row(Some("x"), &[], &[]));
    }

    #[test]
    fn a_single_value_is_replaced() {
        check(&[json!({"initial": {"one": "x"}}), json!({"modify": {"one": "y"}})], row(Some("y"), &[], &[]));
        check(
            &[json!({"initial": {"one": "x"}}), json!({"modify": {"one": ["set", []]}})],
            row(None, &[], &[]),
        );
    }

    #[test]
    fn a_set_changes_by_the_elements_on_one_side_only() {
        let initial = json!({"initial": {"set": ["set", [1, 2]]}});
        check(&[initial.clone(), json!({"modify": {"set": ["set", [2, 3]]}})], row(None, &[1, 3], &[]));
        check(&[initial, json!({"modify": {"set": 1}})], row(None, &[2], &[]));
    }

    #[test]
    fn a_map_changes_by_pairs_removed_added_and_replaced() {
        check(
            &[
                json!({"initial": {"map": ["map", [["same", 0], ["gone", 1], ["new value", 2]]]}}),
                json!({"modify": {"map": ["map", [["gone", 1], ["new value", 3], ["added", 4]]]}}),
            ],
            row(None, &[], &[("same", 0), ("new value", 3), ("added", 4)]),
        );
    }

    #[test]
    fn rows_go_away() {
        check(&[json!({"initial": {}}), json!({"delete": null})], Ok(None));
    }

    #[test]
    fn a_row_is_found_by_its_name_whatever_the_order_within_a_transaction() {
        let schema = json!({"name": "d", "version": "1.0.0", "tables": {"t": {"columns": {
            "name": {"type": {"key": "string", "min": 0, "max": 1}},
        }}}});
        let schema = Arc::new(DatabaseSchema::from_json(&schema).expect("the test's own schema"));
        let mut snapshot = Snapshot::empty(schema.clone());
        let (named, gone) = (|name: &str| RowUpdate::Present(Row::new().with("name", name)), RowUpdate::Gone);
        let renamed = |name: &str| RowUpdate::Changed(Row::new().with("name", name));
        let mut check = |updates: &[(u128, RowUpdate)], expected: [Option<u128>; 2]| {
            let rows =
                updates.iter().map(|(row, update)| ("t".into(), Uuid::from_u128(*row), update.clone()));
            let update = TableUpdates { rows: rows.collect(), transaction: None };
            snapshot.apply(update).expect("an update that fits");
            let found = ["a", "b"].map(|name| snapshot.row_named("t", name).map(|(uuid, _)| uuid));
            assert_eq!(found, expected.map(|row| row.map(Uuid::from_u128)), "{updates:?}");
        };
        check(&[(1, named("a"))], [Some(1), None]);
        check(&[(2, named("a")), (1, gone.clone())], [Some(2), None]);
        check(&[(2, gone.clone()), (3, named("a"))], [Some(3), None]);
        check(&[(4, named("b"))], [Some(3), Some(4)]);
        check(&[(3, renamed("b")), (4, renamed("a"))], [Some(4), Some(3)]);
        check(&[(3, RowUpdate::Changed(Row::new()))], [Some(4), Some(3)]);
        check(&[(3, RowUpdate::Present(Row::new()))], [Some(4), None]);
        check(&[(4, gone)], [None, None]);
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        check(&[json!({"modify": {}})], Err(()));
        check(&[json!({"delete": null})], Err(()));
        check(&[json!({"initial": {}}), json!({"modify": {"set": ["map", []]}})], Err(()));
        check(&[json!({"initial": {"other": 1}})], Err(()));
        check(&[json!({})], Err(()));
    }
}
