//! Database schemas: RFC 7047, section 3.2.
//!
//! Two things need the types of columns: a number is an integer or a real depending on its column, and an update leaves
//! out what equals a column's default or sends a difference in place of a value, depending on the column's limits.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use crate::value::{Atom, Datum, DecodeError, Real, Row, Uuid};

/// A database's tables and their columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseSchema {
    /// Name of the database.
    pub name: String,
    /// Version of the schema, as `x.y.z`.
    pub version: String,
    tables: BTreeMap<Arc<str>, TableSchema>,
}

/// The columns of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableSchema {
    columns: BTreeMap<Arc<str>, ColumnType>,
}

/// The type of a column (RFC 7047, section 3.2: `<type>`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ColumnType {
    key: AtomType,
    value: Option<AtomType>,
    at_least_one: bool,
    many: bool,
}

/// The type of an element (RFC 7047, section 3.2: `<atomic-type>`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtomType {
    /// Signed 64-bit integers.
    Integer,
    /// Finite floating-point numbers.
    Real,
    /// True and false.
    Boolean,
    /// Text.
    String,
    /// Names of rows.
    Uuid,
}

impl DatabaseSchema {
    /// Reads the answer to `get_schema`.
    ///
    /// # Errors
    /// `value` is not a schema. What a schema holds beyond names and types (constraints, indexes) is not looked at.
    pub fn from_json(value: &Value) -> Result<Self, DecodeError> {
        let text = |member: &str| value.get(member).and_then(Value::as_str).map(str::to_owned);
        let wrong = || DecodeError::new("a database schema", value);
        let tables = value.get("tables").and_then(Value::as_object).ok_or_else(wrong)?;
        let tables =
            tables.iter().map(|(name, table)| Ok((name.as_str().into(), TableSchema::from_json(table)?)));
        Ok(Self {
            name: text("name").ok_or_else(wrong)?,
            version: text("version").unwrap_or_default(),
            tables: tables.collect::<Result<_, DecodeError>>()?,
        })
    }

    /// A table's columns, with the schema's own copy of the table's name.
    #[must_use]
    pub fn table(&self, name: &str) -> Option<(&Arc<str>, &TableSchema)> {
        self.tables.get_key_value(name)
    }
}

impl TableSchema {
    fn from_json(value: &Value) -> Result<Self, DecodeError> {
        let wrong = || DecodeError::new("a table schema", value);
        let columns = value.get("columns").and_then(Value::as_object).ok_or_else(wrong)?;
        let columns = columns.iter().map(|(name, column)| {
            let kind = column.get("type").ok_or_else(|| DecodeError::new("a column schema", column))?;
            Ok((name.as_str().into(), ColumnType::from_json(kind)?))
        });
        columns.collect::<Result<_, DecodeError>>().map(|columns| Self { columns })
    }

    /// A column's type, with the schema's own copy of the column's name.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<(&Arc<str>, ColumnType)> {
        self.columns.get_key_value(name).map(|(name, kind)| (name, *kind))
    }

    /// All columns and their types.
    pub fn columns(&self) -> impl Iterator<Item = (&Arc<str>, ColumnType)> {
        self.columns.iter().map(|(name, kind)| (name, *kind))
    }

    /// Reads a row whose columns are all in this table.
    ///
    /// # Errors
    /// `value` is not a row, has a column this table has not, or a value of another type.
    pub fn decode_row(&self, value: &Value) -> Result<Row, DecodeError> {
        let columns = value.as_object().ok_or_else(|| DecodeError::new("a row", value))?;
        let mut row = Row::new();
        for (name, datum) in columns {
            let (name, kind) =
                self.column(name).ok_or_else(|| DecodeError::new("columns of the table", value))?;
            row.set(name.clone(), kind.decode(datum)?);
        }
        Ok(row)
    }
}

impl ColumnType {
    fn from_json(value: &Value) -> Result<Self, DecodeError> {
        if value.is_string() {
            return Ok(Self {
                key: AtomType::from_json(value)?,
                value: None,
                at_least_one: true,
                many: false,
            });
        }
        let key = value.get("key").ok_or_else(|| DecodeError::new("a column type", value))?;
        Ok(Self {
            key: AtomType::from_json(key)?,
            value: value.get("value").map(AtomType::from_json).transpose()?,
            // "min" and "max" default to 1; "max" may be "unlimited".
            at_least_one: value.get("min").is_none_or(|min| min.as_u64() != Some(0)),
            many: value.get("max").is_some_and(|max| max.as_u64() != Some(1)),
        })
    }

    /// Whether a value may have more than one element: only then does an update carry differences.
    #[must_use]
    pub fn holds_many(self) -> bool {
        self.many
    }

    /// What a column holds that an insert does not name (RFC 7047, section 5.2.1).
    #[must_use]
    pub fn default_value(self) -> Datum {
        let key = self.at_least_one.then(|| self.key.default_value());
        match self.value {
            None => Datum::Set(key.into_iter().collect()),
            Some(value) => Datum::Map(key.map(|key| (key, value.default_value())).into_iter().collect()),
        }
    }

    /// Reads a value of this type. The number of elements is not checked: a difference may have any.
    ///
    /// # Errors
    /// `value` is not a datum, or has elements of another type.
    pub fn decode(self, value: &Value) -> Result<Datum, DecodeError> {
        let wrong = || DecodeError::new("a value of the column's type", value);
        match (Datum::from_json(value)?, self.value) {
            (Datum::Set(elements), None) => {
                let elements = elements.into_iter().map(|atom| self.key.accept(atom));
                elements.collect::<Option<BTreeSet<_>>>().map(Datum::Set).ok_or_else(wrong)
            }
            (Datum::Map(pairs), Some(kind)) => {
                let pairs =
                    pairs.into_iter().map(|(key, value)| Some((self.key.accept(key)?, kind.accept(value)?)));
                pairs.collect::<Option<BTreeMap<_, _>>>().map(Datum::Map).ok_or_else(wrong)
            }
            _ => Err(wrong()),
        }
    }
}

impl AtomType {
    /// Reads a `<base-type>`: a name, or an object whose member "type" is one.
    fn from_json(value: &Value) -> Result<Self, DecodeError> {
        match value.get("type").unwrap_or(value).as_str() {
            Some("integer") => Ok(Self::Integer),
            Some("real") => Ok(Self::Real),
            Some("boolean") => Ok(Self::Boolean),
            Some("string") => Ok(Self::String),
            Some("uuid") => Ok(Self::Uuid),
            _ => Err(DecodeError::new("an atomic type", value)),
        }
    }

    fn default_value(self) -> Atom {
        match self {
            Self::Integer => Atom::from(0),
            Self::Real => Real::new(0.0).map(Atom::Real).expect("zero is finite"),
            Self::Boolean => Atom::from(false),
            Self::String => Atom::from(""),
            Self::Uuid => Atom::from(Uuid::ZERO),
        }
    }

    /// The atom, if it is of this type.
    fn accept(self, atom: Atom) -> Option<Atom> {
        match (self, atom) {
            // A whole real arrives without a fraction. Beyond 2^53 the nearest real is what the server holds.
            (Self::Real, Atom::Integer(integer)) => Real::new(nearest_real(integer)).map(Atom::Real),
            (Self::Integer, atom @ Atom::Integer(_))
            | (Self::Real, atom @ Atom::Real(_))
            | (Self::Boolean, atom @ Atom::Boolean(_))
            | (Self::String, atom @ Atom::String(_))
            | (Self::Uuid, atom @ Atom::Uuid(_)) => Some(atom),
            _ => None,
        }
    }
}

fn nearest_real(integer: i64) -> f64 {
    integer as f64
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(kind: Value, value: Value, expected: Option<Datum>) {
        let kind = ColumnType::from_json(&kind).expect("the test's own type");
        assert_eq!(kind.decode(&value).ok(), expected, "{value} as {kind:?}");
    }

    #[test]
    fn a_whole_number_in_a_real_column_is_a_real() {
        check(json!("real"), json!(1), Real::new(1.0).map(|real| Datum::from(Atom::Real(real))));
    }

    #[test]
    fn elements_of_another_type_are_refused() {
        check(json!("string"), json!(1), None);
        check(json!({"key": "string", "min": 0, "max": 1}), json!(["map", []]), None);
        check(json!({"key": "string", "value": "integer"}), json!(["map", [["a", "b"]]]), None);
    }

    #[test]
    fn defaults_follow_the_minimum() {
        let default = |kind: Value| ColumnType::from_json(&kind).map(ColumnType::default_value);
        assert_eq!(default(json!("integer")), Ok(Datum::from(0)));
        assert_eq!(default(json!({"key": "uuid", "min": 0, "max": 1})), Ok(Datum::empty()));
        assert_eq!(
            default(json!({"key": "string", "value": "string", "min": 0})),
            Ok(Datum::Map(BTreeMap::new()))
        );
    }
}
