//! Tests on columns, and changes that the server computes.

use serde_json::{Value, json};

use crate::value::{Datum, Uuid};

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

    pub(super) fn to_json(&self) -> Value {
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
