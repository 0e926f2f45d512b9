//! The one form of the store and the wire: JSON without what says nothing. An attribute that is null or empty is so, too,
//! when it is not there, and most attributes of most objects are.

use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Takes the members of a JSON object away that are null or empty; those of its members stay.
pub(crate) fn without_nothing(object: &[u8]) -> serde_json::Result<Vec<u8>> {
    serde_json::Deserializer::from_slice(object).deserialize_map(Members { length: object.len() })
}

/// Writes down what an object has.
struct Members {
    length: usize,
}

impl<'de> Visitor<'de> for Members {
    type Value = Vec<u8>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Vec<u8>, A::Error> {
        let mut out = Vec::with_capacity(self.length);
        out.push(b'{');
        while let Some((name, value)) = members.next_entry::<&RawValue, &RawValue>()? {
            if matches!(value.get(), "null" | "\"\"" | "[]" | "{}") {
                continue;
            }
            if out.len() > 1 {
                out.push(b',');
            }
            out.extend_from_slice(name.get().as_bytes());
            out.push(b':');
            out.extend_from_slice(value.get().as_bytes());
        }
        out.push(b'}');
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_says_nothing_is_left_out() {
        let check = |object: &str, expected: &str| {
            let sparse = without_nothing(object.as_bytes()).expect("an object");
            assert_eq!(str::from_utf8(&sparse), Ok(expected), "{object}");
        };
        check("{}", "{}");
        check(r#"{"a":null,"b":"","c":[],"d":{}}"#, "{}");
        check(
            r#"{"a":null,"b":false,"c":0,"d":["",{}],"e":{"f":null},"g":"}","h":[]}"#,
            r#"{"b":false,"c":0,"d":["",{}],"e":{"f":null},"g":"}"}"#,
        );
        assert!(without_nothing(b"[]").is_err());
    }
}
