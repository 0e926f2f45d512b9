//! What a transaction asks and what it answers: RFC 7047, sections 4.1.3 and 5.2.

use serde_json::{Value, json};

use crate::connection::{RpcError, ServerError};
use crate::value::{Datum, DecodeError, Row, Uuid};

/// A test on a column (RFC 7047, section 5.1: `<condition>`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    column: String,
    function: Function,
    value: Datum,
}

/// How a condition compares (RFC 7047, section 5.1: `<function>`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Function {
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`, on integers and reals
    Less,
    /// `<=`, on integers and reals
    LessOrEqual,
    /// `>`, on integers and reals
    Greater,
    /// `>=`, on integers and reals
    GreaterOrEqual,
    /// Every element of the value is in the column.
    Includes,
    /// No element of the value is in the column.
    Excludes,
}

impl Condition {
    /// The rows whose `column` stands in this relation to `value`.
    #[must_use]
    pub fn new(column: &str, function: Function, value: impl Into<Datum>) -> Self {
        Self { column: column.to_owned(), function, value: value.into() }
    }

    /// The rows whose `column` equals `value`.
    #[must_use]
    pub fn equal(column: &str, value: impl Into<Datum>) -> Self {
        Self::new(column, Function::Equal, value)
    }

    /// The row with this name.
    #[must_use]
    pub fn row(uuid: Uuid) -> Self {
        Self::equal("_uuid", uuid)
    }

    pub(crate) fn to_json(&self) -> Value {
        let function = match self.function {
            Function::Equal => "==",
            Function::NotEqual => "!=",
            Function::Less => "<",
            Function::LessOrEqual => "<=",
            Function::Greater => ">",
            Function::GreaterOrEqual => ">=",
            Function::Includes => "includes",
            Function::Excludes => "excludes",
        };
        json!([self.column, function, self.value.to_json()])
    }
}

/// A change computed by the server (RFC 7047, section 5.1: `<mutation>`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mutation {
    column: String,
    mutator: Mutator,
    value: Datum,
}

/// How a mutation changes (RFC 7047, section 5.1: `<mutator>`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutator {
    /// `+=`
    Add,
    /// `-=`
    Subtract,
    /// `*=`
    Multiply,
    /// `/=`
    Divide,
    /// `%=`
    Remainder,
    /// Adds elements to a set, or pairs to a map. **Keys that exist keep their value.**
    Insert,
    /// Takes elements from a set, or pairs from a map: a set as value names keys, a map names pairs.
    Delete,
}

impl Mutation {
    /// Changes `column` by `value`.
    #[must_use]
    pub fn new(column: &str, mutator: Mutator, value: impl Into<Datum>) -> Self {
        Self { column: column.to_owned(), mutator, value: value.into() }
    }

    fn to_json(&self) -> Value {
        let mutator = match self.mutator {
            Mutator::Add => "+=",
            Mutator::Subtract => "-=",
            Mutator::Multiply => "*=",
            Mutator::Divide => "/=",
            Mutator::Remainder => "%=",
            Mutator::Insert => "insert",
            Mutator::Delete => "delete",
        };
        json!([self.column, mutator, self.value.to_json()])
    }
}

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

/// What one operation answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OperationResult {
    /// The name of the inserted row.
    Inserted(Uuid),
    /// The rows selected. Numbers without a fraction are integers, whatever the column's type.
    Rows(Vec<Row>),
    /// How many rows an update, mutate or delete touched.
    Count(u64),
    /// Nothing.
    Done,
}

/// Why a transaction did not happen. Nothing of it did, except for [`RpcError::Closed`]: then nobody knows.
#[derive(Debug, Clone, thiserror::Error)]
pub enum TransactError {
    /// The request was not answered with results.
    #[error("transaction not answered")]
    Rpc(#[from] RpcError),
    /// An operation failed.
    #[error("operation {index} ({operation}) failed: {error}")]
    Operation {
        /// Position in the transaction, from zero.
        index: usize,
        /// Name of the operation on the wire.
        operation: &'static str,
        /// What the server says.
        error: ServerError,
    },
    /// Every operation succeeded and the whole did not, as for a referential integrity violation.
    #[error("commit failed: {0}")]
    Commit(ServerError),
    /// The answer is not one to this request.
    #[error("malformed answer to a transaction")]
    Malformed(#[from] DecodeError),
}

/// Reads the answer to a transaction of these operations (RFC 7047, section 4.1.3).
pub(crate) fn decode_results(
    operations: &[&'static str],
    answer: &Value,
) -> Result<Vec<OperationResult>, TransactError> {
    let results = answer.as_array().ok_or_else(|| DecodeError::new("results of operations", answer))?;
    // "If all of the operations succeed, but the results cannot be committed, then 'result' will have one more element
    // than 'params', with the additional element being an <error>." A failed operation is followed by nulls.
    for (index, result) in results.iter().enumerate() {
        let Some(error) = ServerError::from_member(result) else { continue };
        return Err(match operations.get(index) {
            Some(operation) => TransactError::Operation { index, operation, error },
            None => TransactError::Commit(error),
        });
    }
    if results.len() != operations.len() {
        return Err(DecodeError::new("as many results as operations", answer).into());
    }
    operations.iter().zip(results).map(|(operation, result)| Ok(decode_result(operation, result)?)).collect()
}

fn decode_result(operation: &str, result: &Value) -> Result<OperationResult, DecodeError> {
    let wrong = || DecodeError::new("the result of the operation", result);
    match operation {
        "insert" => match Datum::from_json(result.get("uuid").ok_or_else(wrong)?)?.uuids().next() {
            Some(uuid) => Ok(OperationResult::Inserted(uuid)),
            None => Err(wrong()),
        },
        "select" => {
            let rows = result.get("rows").and_then(Value::as_array).ok_or_else(wrong)?;
            rows.iter().map(Row::from_json).collect::<Result<_, _>>().map(OperationResult::Rows)
        }
        "update" | "mutate" | "delete" => {
            result.get("count").and_then(Value::as_u64).map(OperationResult::Count).ok_or_else(wrong)
        }
        _ if result.is_object() => Ok(OperationResult::Done),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(operations: &[&'static str], answer: Value, expected: &str) {
        let outcome = match decode_results(operations, &answer) {
            Ok(results) => format!("{results:?}"),
            Err(TransactError::Operation { index, operation, error }) => {
                format!("{index} {operation} {}", error.error)
            }
            Err(TransactError::Commit(error)) => format!("commit {}", error.error),
            Err(TransactError::Malformed(_)) => "malformed".to_owned(),
            Err(TransactError::Rpc(_)) => "rpc".to_owned(),
        };
        assert_eq!(outcome, expected, "{answer}");
    }

    #[test]
    fn the_first_error_names_its_operation() {
        check(
            &["insert", "wait"],
            json!([{"uuid": ["uuid", Uuid::ZERO.to_string()]}, {"error": "timed out"}]),
            "1 wait timed out",
        );
        check(&["wait", "insert"], json!([{"error": "timed out", "details": "x"}, null]), "0 wait timed out");
    }

    #[test]
    fn one_element_more_is_an_error_of_the_commit() {
        check(
            &["delete"],
            json!([{"count": 1}, {"error": "referential integrity violation"}]),
            "commit referential integrity violation",
        );
    }

    #[test]
    fn answers_of_another_shape_are_malformed() {
        for answer in [json!(null), json!([]), json!([{}]), json!([{"count": -1}]), json!([{"count": 1}, {}])]
        {
            check(&["delete"], answer, "malformed");
        }
        check(&["insert"], json!([{"uuid": "x"}]), "malformed");
    }

    #[test]
    fn results_are_read_by_their_operation() {
        check(&["mutate", "comment"], json!([{"count": 2}, {}]), "[Count(2), Done]");
    }
}
