//! What to monitor, and the updates that come of it: `ovsdb-server(7)`, sections 4.1.12 to 4.1.15.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::operation::Condition;
use crate::schema::{DatabaseSchema, TableSchema};
use crate::value::{DecodeError, Row, Uuid};

/// Which rows and columns to monitor.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MonitorRequest {
    tables: BTreeMap<String, TableRequest>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct TableRequest {
    columns: Vec<String>,
    /// Rows that meet any of these. `None` is all rows.
    any_of: Option<Vec<Condition>>,
}

impl MonitorRequest {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Also these columns of all rows of a table.
    #[must_use]
    pub fn table(mut self, table: &str, columns: &[&str]) -> Self {
        let columns = columns.iter().map(|&column| column.to_owned()).collect();
        self.tables.insert(table.to_owned(), TableRequest { columns, any_of: None });
        self
    }

    /// Only those rows of `table`, which is in the request already, that meet any of the conditions; `None` is all rows.
    #[must_use]
    pub fn rows(mut self, table: &str, any_of: Option<Vec<Condition>>) -> Self {
        if let Some(table) = self.tables.get_mut(table) {
            table.any_of = any_of;
        }
        self
    }

    /// The tables and columns a server with this schema has. An older server lacks some, and would refuse the whole.
    #[must_use]
    pub fn restricted_to(&self, schema: &DatabaseSchema) -> Self {
        let mut restricted = self.clone();
        restricted.tables.retain(|name, _| schema.table(name).is_some());
        for (name, table) in &mut restricted.tables {
            table
                .columns
                .retain(|column| schema.table(name).is_some_and(|(_, table)| table.column(column).is_some()));
        }
        restricted
    }

    /// The columns monitored of a table.
    pub(crate) fn columns(&self, table: &str) -> impl Iterator<Item = &str> {
        self.tables.get(table).into_iter().flat_map(|table| table.columns.iter().map(String::as_str))
    }

    /// `<monitor-cond-requests>`
    pub(crate) fn to_json(&self) -> Value {
        let tables = self.tables.iter().map(|(name, table)| {
            (
                name.clone(),
                json!([{"columns": table.columns, "where": conditions_json(table.any_of.as_deref())}]),
            )
        });
        tables.collect::<serde_json::Map<_, _>>().into()
    }
}

/// `<condition>*` of a monitor, of which any must hold. No condition would mean no row, unlike in an operation.
pub(crate) fn conditions_json(any_of: Option<&[Condition]>) -> Value {
    match any_of {
        None => json!([true]),
        Some([]) => json!([false]),
        Some(conditions) => conditions.iter().map(Condition::to_json).collect(),
    }
}

/// What became of the monitored rows in one transaction.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TableUpdates {
    /// The transaction that brought it about, where the server says (`update3`): what to resume from.
    pub transaction: Option<Uuid>,
    /// Table, row, and what became of it.
    pub rows: Vec<(Arc<str>, Uuid, RowUpdate)>,
}

/// What became of a row (`ovsdb-server(7)`, section 4.1.14: `<row-update2>`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowUpdate {
    /// The row is there, with these columns. Columns at their default are filled in.
    Present(Row),
    /// These columns changed: to a new value, or by a difference where the column holds many.
    Changed(Row),
    /// The row is gone.
    Gone,
}

impl TableUpdates {
    /// Reads `<table-updates2>` of a monitor of `request`.
    ///
    /// # Errors
    /// The value is not such an update, or does not fit the schema.
    pub fn from_json(
        value: &Value,
        transaction: Option<Uuid>,
        request: &MonitorRequest,
        schema: &DatabaseSchema,
    ) -> Result<Self, DecodeError> {
        let wrong = || DecodeError::new("table updates", value);
        let mut rows = Vec::new();
        for (name, updates) in value.as_object().ok_or_else(wrong)? {
            let (name, table) = schema.table(name).ok_or_else(wrong)?;
            for (uuid, update) in updates.as_object().ok_or_else(wrong)? {
                let uuid = uuid.parse().map_err(|_| wrong())?;
                rows.push((name.clone(), uuid, decode_row_update(update, table, || request.columns(name))?));
            }
        }
        Ok(Self { transaction, rows })
    }
}

fn decode_row_update<'a, I: Iterator<Item = &'a str>>(
    update: &Value,
    table: &TableSchema,
    monitored: impl Fn() -> I,
) -> Result<RowUpdate, DecodeError> {
    if let Some(row) = update.get("initial").or_else(|| update.get("insert")) {
        let mut row = table.decode_row(row)?;
        // "insert ... columns with default values are left out": `ovsdb-server(7)`, section 4.1.14.
        for (name, kind) in monitored().filter_map(|column| table.column(column)) {
            if row.get(name).is_none() {
                row.set(name.clone(), kind.default_value());
            }
        }
        Ok(RowUpdate::Present(row))
    } else if let Some(row) = update.get("modify") {
        table.decode_row(row).map(RowUpdate::Changed)
    } else if update.get("delete").is_some() {
        Ok(RowUpdate::Gone)
    } else {
        Err(DecodeError::new("a row update", update))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::snapshot::Snapshot;

    /// Words that are values.
    const WORDS: &[&str] = &[
        "t",
        "c",
        "integer",
        "string",
        "set",
        "map",
        "uuid",
        "unlimited",
        "00000000-0000-0000-0000-000000000000",
    ];

    /// Words that are names of members only.
    const KEYS: &[&str] = &[
        "name", "version", "tables", "columns", "type", "key", "value", "min", "max", "initial", "insert",
        "modify",
    ];

    /// JSON made of the words of schemas and updates, so that it gets past the first checks.
    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            (-2_i64..3).prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            prop::sample::select(WORDS).prop_map(Value::from),
        ];
        leaf.prop_recursive(6, 48, 4, |inner| {
            let keys = prop::sample::select([KEYS, WORDS].concat()).prop_map(str::to_owned);
            let members = prop::collection::btree_map(keys, inner.clone(), 0..4);
            prop_oneof![
                prop::collection::vec(inner, 0..4).prop_map(Value::from),
                members.prop_map(|members| members.into_iter().collect::<serde_json::Map<_, _>>().into()),
            ]
        })
    }

    fn schema() -> Arc<DatabaseSchema> {
        let column = |kind: Value| json!({"columns": {"c": {"type": kind}}});
        let tables = json!({"t": column(json!({"key": "string", "min": 0, "max": "unlimited"})), "map": column(json!("real"))});
        let schema = json!({"name": "d", "version": "1.0.0", "tables": tables});
        Arc::new(DatabaseSchema::from_json(&schema).expect("the test's own schema"))
    }

    proptest! {
        #[test]
        fn arbitrary_schemas_never_panic(value in values(), tables in values()) {
            let _ = DatabaseSchema::from_json(&value);
            let _ = DatabaseSchema::from_json(&json!({"name": "d", "tables": tables}));
        }

        #[test]
        fn arbitrary_updates_never_panic(
            updates in values(),
            change in values(),
            kind in prop::sample::select(vec!["initial", "insert", "modify", "delete"]),
        ) {
            let request = MonitorRequest::new().table("t", &["c"]);
            let mut snapshot = Snapshot::empty(schema());
            for updates in [updates, json!({"t": {(Uuid::ZERO.to_string()): {kind: {"c": change}}}})] {
                if let Ok(updates) = TableUpdates::from_json(&updates, None, &request, &schema()) {
                    let _ = snapshot.apply(updates);
                }
            }
        }
    }
}
