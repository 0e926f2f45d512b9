//! What a transaction answers: RFC 7047, section 4.1.3.

use serde_json::Value;

use crate::connection::{RpcError, ServerError};
use crate::value::{Datum, DecodeError, Row, Uuid};

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

/// Reads the answer to a transaction of these operations, by their names (RFC 7047, section 4.1.3).
///
/// # Errors
/// An operation or the whole failed, or the answer is none to these.
pub fn decode_results(
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
    use serde_json::json;

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
