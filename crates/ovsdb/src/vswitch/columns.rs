//! Reading columns into types.

use std::collections::{BTreeMap, BTreeSet};

use crate::value::{Atom, Datum, Row, Uuid};

/// A row does not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("column {column} of row {uuid} of {table} is not {expected}")]
pub struct RowError {
    /// Table.
    pub table: &'static str,
    /// Row.
    pub uuid: Uuid,
    /// Column.
    pub column: &'static str,
    /// What the column should have been.
    pub expected: &'static str,
}

/// A row about to be read. A set, map or optional value that is missing reads as empty: an older server does not have the
/// column.
#[derive(Debug, Clone, Copy)]
pub struct Columns<'a> {
    pub(super) table: &'static str,
    pub(super) uuid: Uuid,
    pub(super) row: &'a Row,
}

impl<'a> Columns<'a> {
    pub(super) fn error(&self, column: &'static str, expected: &'static str) -> RowError {
        RowError { table: self.table, uuid: self.uuid, column, expected }
    }

    /// The atom of an optional value.
    fn optional(&self, column: &'static str) -> Result<Option<&'a Atom>, RowError> {
        match self.row.get(column) {
            None => Ok(None),
            Some(datum) if datum.is_empty() => Ok(None),
            Some(datum) => datum.scalar().map(Some).ok_or_else(|| self.error(column, "at most one value")),
        }
    }

    pub(super) fn optional_string(&self, column: &'static str) -> Result<Option<String>, RowError> {
        match self.optional(column)? {
            None => Ok(None),
            Some(Atom::String(text)) => Ok(Some(text.to_string())),
            Some(_) => Err(self.error(column, "a string")),
        }
    }

    pub(super) fn string(&self, column: &'static str) -> Result<String, RowError> {
        self.optional_string(column)?.ok_or_else(|| self.error(column, "a string"))
    }

    pub(super) fn optional_integer(&self, column: &'static str) -> Result<Option<i64>, RowError> {
        match self.optional(column)? {
            None => Ok(None),
            Some(Atom::Integer(number)) => Ok(Some(*number)),
            Some(_) => Err(self.error(column, "an integer")),
        }
    }

    pub(super) fn integer(&self, column: &'static str) -> Result<i64, RowError> {
        self.optional_integer(column)?.ok_or_else(|| self.error(column, "an integer"))
    }

    /// The elements of a set, each through `read`.
    fn set<T: Ord>(
        &self,
        column: &'static str,
        expected: &'static str,
        read: impl Fn(&Atom) -> Option<T>,
    ) -> Result<BTreeSet<T>, RowError> {
        match self.row.get(column) {
            None => Ok(BTreeSet::new()),
            Some(Datum::Set(elements)) => {
                elements.iter().map(read).collect::<Option<_>>().ok_or_else(|| self.error(column, expected))
            }
            Some(Datum::Map(_)) => Err(self.error(column, expected)),
        }
    }

    pub(super) fn strings(&self, column: &'static str) -> Result<BTreeSet<String>, RowError> {
        self.set(column, "a set of strings", string)
    }

    pub(super) fn uuids(&self, column: &'static str) -> Result<BTreeSet<Uuid>, RowError> {
        self.set(column, "a set of rows", |atom| match atom {
            Atom::Uuid(uuid) => Some(*uuid),
            _ => None,
        })
    }

    /// The pairs of a map from strings, each value through `read`.
    fn map<T>(
        &self,
        column: &'static str,
        expected: &'static str,
        read: impl Fn(&Atom) -> Option<T>,
    ) -> Result<BTreeMap<String, T>, RowError> {
        match self.row.get(column) {
            None => Ok(BTreeMap::new()),
            Some(Datum::Map(pairs)) => {
                let pairs = pairs.iter().map(|(key, value)| Some((string(key)?, read(value)?)));
                pairs.collect::<Option<_>>().ok_or_else(|| self.error(column, expected))
            }
            Some(Datum::Set(_)) => Err(self.error(column, expected)),
        }
    }

    pub(super) fn string_map(&self, column: &'static str) -> Result<BTreeMap<String, String>, RowError> {
        self.map(column, "a map of strings", string)
    }

    pub(super) fn integer_map(&self, column: &'static str) -> Result<BTreeMap<String, i64>, RowError> {
        self.map(column, "a map of integers", |atom| match atom {
            Atom::Integer(number) => Some(*number),
            _ => None,
        })
    }
}

fn string(atom: &Atom) -> Option<String> {
    match atom {
        Atom::String(text) => Some(text.to_string()),
        _ => None,
    }
}
