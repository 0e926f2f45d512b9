//! Values of a database: RFC 7047, section 5.1, "Notation".
//!
//! A column holds a set of atoms or a map between atoms; a scalar is a set of one. The JSON form leaves the element type
//! open (`1` may be an integer or a real), so values from the server are decoded with their column's type
//! ([`crate::schema::ColumnType::decode`]) where that is known.

mod atom;
mod datum;
mod row;
mod uuid;

pub use atom::{Atom, Real};
pub use datum::Datum;
pub use row::Row;
pub use uuid::{ParseUuidError, Uuid};

use serde_json::Value;

/// The most of an offending value that an error repeats, in bytes, so that errors stay readable.
const MAX_QUOTED_BYTES: usize = 120;

/// A JSON value does not have the shape the protocol gives it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}, found {found}")]
pub struct DecodeError {
    /// What should have been there.
    pub expected: &'static str,
    /// The beginning of what was there, as JSON.
    pub found: String,
}

impl DecodeError {
    pub(crate) fn new(expected: &'static str, found: &Value) -> Self {
        let mut found = found.to_string();
        if found.len() > MAX_QUOTED_BYTES {
            found.truncate(found.floor_char_boundary(MAX_QUOTED_BYTES));
            found.push('…');
        }
        Self { expected, found }
    }
}

/// The content of `["tag", content]`, if `value` is such a pair.
fn tagged(value: &Value) -> Option<(&str, &Value)> {
    match value.as_array()?.as_slice() {
        [Value::String(tag), content] => Some((tag, content)),
        _ => None,
    }
}
