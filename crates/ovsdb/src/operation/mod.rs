//! What a transaction asks and what it answers: RFC 7047, sections 4.1.3 and 5.2.

mod condition;
mod outcome;

pub use condition::{Condition, Function, Mutation, Mutator};
pub use outcome::decode_results;
pub use outcome::{OperationResult, TransactError};

use serde_json::{Value, json};

use crate::value::Row;

/// One step of a transaction (RFC 7047, section 5.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// Adds a row.
    Insert {
        /// Table.
        table: String,
        /// Columns that differ from their defaults.
        row: Row,
        /// What [`crate::Atom::NamedUuid`] calls the row in this transaction.
        uuid_name: Option<String>,
    },
    /// Reads rows.
    Select {
        /// Table.
        table: String,
        /// All must hold.
        conditions: Vec<Condition>,
        /// Columns to read. `None` is all.
        columns: Option<Vec<String>>,
    },
    /// Sets columns of rows.
    Update {
        /// Table.
        table: String,
        /// All must hold.
        conditions: Vec<Condition>,
        /// The columns to set.
        row: Row,
    },
    /// Changes columns of rows by computation.
    Mutate {
        /// Table.
        table: String,
        /// All must hold.
        conditions: Vec<Condition>,
        /// Done one after another.
        mutations: Vec<Mutation>,
    },
    /// Removes rows.
    Delete {
        /// Table.
        table: String,
        /// All must hold.
        conditions: Vec<Condition>,
    },
    /// Holds the transaction until rows are, or are not, as given.
    Wait {
        /// Longest wait in milliseconds. Zero fails at once; `None` waits without end.
        timeout_ms: Option<u64>,
        /// Table.
        table: String,
        /// All must hold.
        conditions: Vec<Condition>,
        /// The columns compared.
        columns: Vec<String>,
        /// Whether the selected rows must equal `rows`, or differ.
        until: Until,
        /// The rows compared with.
        rows: Vec<Row>,
    },
    /// Asks for durability.
    Commit {
        /// Whether to answer only once the transaction is on disk.
        durable: bool,
    },
    /// Fails the transaction.
    Abort,
    /// Text for the server's log.
    Comment {
        /// The text.
        comment: String,
    },
    /// Fails the transaction unless this client holds the lock.
    Assert {
        /// Name of the lock.
        lock: String,
    },
}

/// What a [`Operation::Wait`] waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// The rows equal the given ones.
    Equal,
    /// The rows differ from the given ones.
    NotEqual,
}

impl Operation {
    /// Adds a row with these columns.
    #[must_use]
    pub fn insert(table: &str, row: Row) -> Self {
        Self::Insert { table: table.to_owned(), row, uuid_name: None }
    }

    /// Adds a row that [`crate::Atom::named`] can refer to within the transaction. `name` is an `<id>`: letters, digits and
    /// underscores, not starting with a digit.
    #[must_use]
    pub fn insert_named(table: &str, name: &str, row: Row) -> Self {
        Self::Insert { table: table.to_owned(), row, uuid_name: Some(name.to_owned()) }
    }

    /// Reads all columns of the rows that meet all conditions.
    #[must_use]
    pub fn select(table: &str, conditions: Vec<Condition>) -> Self {
        Self::Select { table: table.to_owned(), conditions, columns: None }
    }

    /// Reads these columns of the rows that meet all conditions.
    #[must_use]
    pub fn select_columns(table: &str, conditions: Vec<Condition>, columns: &[&str]) -> Self {
        let columns = columns.iter().map(|&column| column.to_owned()).collect();
        Self::Select { table: table.to_owned(), conditions, columns: Some(columns) }
    }

    /// Sets columns of the rows that meet all conditions.
    #[must_use]
    pub fn update(table: &str, conditions: Vec<Condition>, row: Row) -> Self {
        Self::Update { table: table.to_owned(), conditions, row }
    }

    /// Mutates the rows that meet all conditions.
    #[must_use]
    pub fn mutate(table: &str, conditions: Vec<Condition>, mutations: Vec<Mutation>) -> Self {
        Self::Mutate { table: table.to_owned(), conditions, mutations }
    }

    /// Removes the rows that meet all conditions.
    #[must_use]
    pub fn delete(table: &str, conditions: Vec<Condition>) -> Self {
        Self::Delete { table: table.to_owned(), conditions }
    }

    /// Fails the transaction unless exactly these rows meet the conditions, compared on `columns`: a guard against
    /// deciding on a replica that is behind.
    #[must_use]
    pub fn require(table: &str, conditions: Vec<Condition>, columns: &[&str], rows: Vec<Row>) -> Self {
        let columns = columns.iter().map(|&column| column.to_owned()).collect();
        Self::Wait {
            timeout_ms: Some(0),
            table: table.to_owned(),
            conditions,
            columns,
            until: Until::Equal,
            rows,
        }
    }

    /// Text for the server's log.
    #[must_use]
    pub fn comment(comment: &str) -> Self {
        Self::Comment { comment: comment.to_owned() }
    }

    /// Name of the operation on the wire.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Insert { .. } => "insert",
            Self::Select { .. } => "select",
            Self::Update { .. } => "update",
            Self::Mutate { .. } => "mutate",
            Self::Delete { .. } => "delete",
            Self::Wait { .. } => "wait",
            Self::Commit { .. } => "commit",
            Self::Abort => "abort",
            Self::Comment { .. } => "comment",
            Self::Assert { .. } => "assert",
        }
    }

    /// The JSON form (RFC 7047, section 5.2).
    #[must_use]
    pub fn to_json(&self) -> Value {
        let all = |conditions: &[Condition]| Value::from_iter(conditions.iter().map(Condition::to_json));
        let mut object = match self {
            Self::Insert { table, row, uuid_name: None } => json!({"table": table, "row": row.to_json()}),
            Self::Insert { table, row, uuid_name: Some(name) } => {
                json!({"table": table, "row": row.to_json(), "uuid-name": name})
            }
            Self::Select { table, conditions, columns: None } => {
                json!({"table": table, "where": all(conditions)})
            }
            Self::Select { table, conditions, columns: Some(columns) } => {
                json!({"table": table, "where": all(conditions), "columns": columns})
            }
            Self::Update { table, conditions, row } => {
                json!({"table": table, "where": all(conditions), "row": row.to_json()})
            }
            Self::Mutate { table, conditions, mutations } => {
                let mutations: Vec<_> = mutations.iter().map(Mutation::to_json).collect();
                json!({"table": table, "where": all(conditions), "mutations": mutations})
            }
            Self::Delete { table, conditions } => json!({"table": table, "where": all(conditions)}),
            Self::Wait { timeout_ms, table, conditions, columns, until, rows } => {
                let until = if *until == Until::Equal { "==" } else { "!=" };
                let rows: Vec<_> = rows.iter().map(Row::to_json).collect();
                let mut wait = json!({"table": table, "where": all(conditions), "columns": columns, "until": until, "rows": rows});
                if let Some(timeout_ms) = timeout_ms {
                    wait["timeout"] = json!(timeout_ms);
                }
                wait
            }
            Self::Commit { durable } => json!({"durable": durable}),
            Self::Abort => json!({}),
            Self::Comment { comment } => json!({"comment": comment}),
            Self::Assert { lock } => json!({"lock": lock}),
        };
        object["op"] = json!(self.name());
        object
    }
}
