//! The one form of the store and the wire: JSON without what says nothing. An attribute that is null, empty or as usual is so,
//! too, when it is not there, and most attributes of most objects are.

use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Takes the members of a JSON object away that are null or empty, or have their usual value; those of its members stay.
pub(crate) fn said(object: &[u8], usual: &[(&str, &str)]) -> serde_json::Result<Vec<u8>> {
    serde_json::Deserializer::from_slice(object).deserialize_map(Members { length: object.len(), usual })
}

/// Writes down what an object has.
struct Members<'a> {
    length: usize,
    usual: &'a [(&'a str, &'a str)],
}

impl<'de> Visitor<'de> for Members<'_> {
    type Value = Vec<u8>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Vec<u8>, A::Error> {
        let mut out = Vec::with_capacity(self.length);
        out.push(b'{');
        while let Some((name, value)) = members.next_entry::<&RawValue, &RawValue>()? {
            let is_usual =
                |(usual, of): &(&str, &str)| name.get().trim_matches('"') == *usual && value.get() == *of;
            if matches!(value.get(), "null" | "\"\"" | "[]" | "{}") || self.usual.iter().any(is_usual) {
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
            let sparse = said(object.as_bytes(), &[("i", "true")]).expect("an object");
            assert_eq!(str::from_utf8(&sparse), Ok(expected), "{object}");
        };
        check("{}", "{}");
        check(r#"{"h":true,"i":true}"#, r#"{"h":true}"#);
        check(r#"{"i":false}"#, r#"{"i":false}"#);
        check(r#"{"a":null,"b":"","c":[],"d":{}}"#, "{}");
        check(
            r#"{"a":null,"b":false,"c":0,"d":["",{}],"e":{"f":null},"g":"}","h":[]}"#,
            r#"{"b":false,"c":0,"d":["",{}],"e":{"f":null},"g":"}"}"#,
        );
        assert!(said(b"[]", &[]).is_err());
    }
}
