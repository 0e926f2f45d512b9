//! Rows: columns by name.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::{Datum, DecodeError};

/// Some columns of a row, by name (RFC 7047, section 5.1: `<row>`).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Row(BTreeMap<Arc<str>, Datum>);

impl Row {
    /// A row without columns: in an insert, every column gets its default.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// This row with one more column, or another value for it.
    #[must_use]
    pub fn with(mut self, column: &str, value: impl Into<Datum>) -> Self {
        self.set(column.into(), value.into());
        self
    }

    /// Sets a column.
    pub fn set(&mut self, column: Arc<str>, value: Datum) {
        self.0.insert(column, value);
    }

    /// A column's value, if the row has it.
    #[must_use]
    pub fn get(&self, column: &str) -> Option<&Datum> {
        self.0.get(column)
    }

    /// Whether there is no column.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The columns, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Datum)> {
        self.0.iter()
    }

    pub(crate) fn get_mut(&mut self, column: &str) -> Option<&mut Datum> {
        self.0.get_mut(column)
    }

    /// Reads the JSON form without knowing the columns' types.
    ///
    /// # Errors
    /// `value` is not an object of data.
    pub fn from_json(value: &Value) -> Result<Self, DecodeError> {
        let columns = value.as_object().ok_or_else(|| DecodeError::new("a row", value))?;
        let columns =
            columns.iter().map(|(name, datum)| Ok((name.as_str().into(), Datum::from_json(datum)?)));
        columns.collect::<Result<_, _>>().map(Self)
    }

    /// The JSON form.
    #[must_use]
    pub fn to_json(&self) -> Value {
        self.0
            .iter()
            .map(|(name, datum)| (name.to_string(), datum.to_json()))
            .collect::<serde_json::Map<_, _>>()
            .into()
    }
}
