//! Atoms: the elements of sets and maps.

use std::cmp::Ordering;
use std::sync::Arc;

use serde_json::{Number, Value, json};

use super::{DecodeError, Uuid, tagged};

/// One element of a set or map (RFC 7047, section 5.1: `<atom>`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Atom {
    /// A signed 64-bit integer.
    Integer(i64),
    /// A finite floating-point number.
    Real(Real),
    /// True or false.
    Boolean(bool),
    /// Text.
    String(Arc<str>),
    /// The name of an existing row.
    Uuid(Uuid),
    /// The `uuid-name` of a row inserted in the same transaction. Only in what a client sends.
    NamedUuid(Arc<str>),
}

/// A finite real, ordered so that it can be an element of a set.
#[derive(Debug, Clone, Copy)]
pub struct Real(f64);

impl Real {
    /// `None` unless `value` is finite: JSON has no other numbers.
    #[must_use]
    pub fn new(value: f64) -> Option<Self> {
        // Minus zero equals zero, but sorts apart from it: keep one of them.
        value.is_finite().then_some(Self(if value == 0.0 { 0.0 } else { value }))
    }

    /// The number.
    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }
}

impl Ord for Real {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl PartialOrd for Real {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Real {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Real {}

impl Atom {
    /// A reference to the row that an insert of the same transaction calls `name`.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self::NamedUuid(name.into())
    }

    /// Reads the JSON form. A number with a fraction or exponent is a real, any other an integer.
    ///
    /// # Errors
    /// `value` is not the JSON form of an atom.
    pub fn from_json(value: &Value) -> Result<Self, DecodeError> {
        match value {
            Value::Bool(flag) => Some(Self::Boolean(*flag)),
            Value::String(text) => Some(Self::String(text.as_str().into())),
            Value::Number(number) => number_atom(number),
            _ => match tagged(value) {
                Some(("uuid", Value::String(text))) => text.parse().ok().map(Self::Uuid),
                Some(("named-uuid", Value::String(name))) => Some(Self::named(name)),
                _ => None,
            },
        }
        .ok_or_else(|| DecodeError::new("an atom", value))
    }

    /// The JSON form.
    #[must_use]
    pub fn to_json(&self) -> Value {
        match self {
            Self::Integer(number) => json!(number),
            Self::Real(number) => json!(number.get()),
            Self::Boolean(flag) => json!(flag),
            Self::String(text) => json!(&**text),
            Self::Uuid(uuid) => json!(["uuid", uuid.to_string()]),
            Self::NamedUuid(name) => json!(["named-uuid", &**name]),
        }
    }
}

fn number_atom(number: &Number) -> Option<Atom> {
    match number.as_i64() {
        Some(integer) => Some(Atom::Integer(integer)),
        None => number.as_f64().and_then(Real::new).map(Atom::Real),
    }
}

impl From<i64> for Atom {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

impl From<bool> for Atom {
    fn from(value: bool) -> Self {
        Self::Boolean(value)
    }
}

impl From<&str> for Atom {
    fn from(value: &str) -> Self {
        Self::String(value.into())
    }
}

impl From<String> for Atom {
    fn from(value: String) -> Self {
        Self::String(value.into())
    }
}

impl From<&String> for Atom {
    fn from(value: &String) -> Self {
        Self::String(value.as_str().into())
    }
}

impl From<Uuid> for Atom {
    fn from(value: Uuid) -> Self {
        Self::Uuid(value)
    }
}
