//! Attributes as users give them: a JSON object, or names and texts from a query string or a form.
//!
//! # Leniency
//! The original took every parameter as text. So a number or a truth value may come as text here too, in the forms
//! it knew (`1 true t yes y`). What cannot be read is an error that names the attribute; an attribute that the
//! resource does not have is one as well, since dropping it would hide a typing mistake.

use serde::de::{self, DeserializeOwned, Deserializer, IntoDeserializer, Visitor};
use serde::{Deserialize, forward_to_deserialize_any};
use serde_json::{Map, Value};

use crate::error::{Error, ErrorKind};

/// Attribute names and values of a request.
pub type Attributes = Map<String, Value>;

/// Reads attributes into the type that a resource takes.
pub(crate) fn read<T: DeserializeOwned>(attributes: Attributes) -> Result<T, Error> {
    serde_path_to_error::deserialize(Lenient(Value::Object(attributes))).map_err(|error| {
        let path = error.path().to_string();
        let message = error.into_inner().to_string();
        let unknown = message.strip_prefix("unknown field `").and_then(|rest| rest.split('`').next());
        match unknown {
            Some(field) => Error::new(ErrorKind::Argument, field, message.clone()),
            None => Error::argument(path, message),
        }
    })
}

/// For attributes that can be cleared: absent is `None`, `null` or an empty text is `Some(None)`.
pub(crate) fn clearable<'de, T, D>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    Option::<T>::deserialize(deserializer).map(Some)
}

struct Lenient(Value);

type JsonError = serde_json::Error;

macro_rules! numbers {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, JsonError> {
            let number = self.0.as_str().and_then(|text| text.trim().parse::<serde_json::Number>().ok());
            number.map_or(self.0, Value::Number).$method(visitor)
        }
    )*};
}

impl<'de> Deserializer<'de> for Lenient {
    type Error = JsonError;

    numbers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, JsonError> {
        let truth = match &self.0 {
            Value::String(text) => truth(text),
            Value::Number(number) => truth(&number.to_string()),
            _ => None,
        };
        truth.map_or(self.0, Value::Bool).deserialize_bool(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, JsonError> {
        match &self.0 {
            Value::Null => visitor.visit_none(),
            Value::String(text) if text.is_empty() => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, JsonError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, JsonError> {
        match self.0 {
            Value::Object(map) => {
                let entries = map.into_iter().map(|(name, value)| (name, Lenient(value)));
                visitor.visit_map(de::value::MapDeserializer::new(entries))
            }
            Value::Array(items) => {
                visitor.visit_seq(de::value::SeqDeserializer::new(items.into_iter().map(Lenient)))
            }
            value => value.deserialize_any(visitor),
        }
    }

    /// Lists in a query string: `10.0.0.1,10.0.0.2`.
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, JsonError> {
        match &self.0 {
            Value::String(text) => {
                let items = text.split(',').map(|item| Value::from(item.trim())).collect();
                Lenient(Value::Array(items)).deserialize_any(visitor)
            }
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, JsonError> {
        match &self.0 {
            Value::String(text) => Lenient(pairs(text)?).deserialize_any(visitor),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, JsonError> {
        self.0.deserialize_enum(name, variants, visitor)
    }

    forward_to_deserialize_any! {
        i128 u128 f32 f64 char str string bytes byte_buf unit unit_struct tuple tuple_struct struct
        identifier ignored_any
    }
}

impl<'de> IntoDeserializer<'de, JsonError> for Lenient {
    type Deserializer = Self;
    fn into_deserializer(self) -> Self {
        self
    }
}

fn truth(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "true" | "t" | "yes" | "y" => Some(true),
        "0" | "false" | "f" | "no" | "n" => Some(false),
        _ => None,
    }
}

/// Labels in a query string: `tier=web,stage=test`.
fn pairs(text: &str) -> Result<Value, JsonError> {
    let pair = |pair: &str| {
        let (name, value) =
            pair.split_once('=').ok_or_else(|| de::Error::custom("must be `name=value,…`"))?;
        Ok((name.trim().to_owned(), Value::from(value.trim())))
    };
    text.split(',').map(pair).collect::<Result<Map<_, _>, _>>().map(Value::Object)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        prefix: Option<u8>,
        flag: Option<bool>,
        #[serde(default, deserialize_with = "clearable")]
        name: Option<Option<String>>,
        labels: Option<BTreeMap<String, String>>,
    }

    fn check(given: Value, expected: Result<Value, &str>) {
        let Value::Object(given) = given else { panic!("attributes are an object") };
        let read = read::<Sample>(given);
        match expected {
            Ok(Value::Object(expected)) => assert_eq!(read, super::read(expected)),
            Ok(other) => panic!("attributes are an object: {other}"),
            Err(field) => assert_eq!(read.expect_err("an error").field.as_deref(), Some(field)),
        }
    }

    #[test]
    fn texts_are_taken_for_numbers_and_truth_values() {
        check(json!({"prefix": "24", "flag": "yes"}), Ok(json!({"prefix": 24, "flag": true})));
        check(json!({"flag": 0}), Ok(json!({"flag": false})));
        check(json!({"labels": "a=b,c=d"}), Ok(json!({"labels": {"a": "b", "c": "d"}})));
        check(json!({"name": ""}), Ok(json!({"name": null})));
    }

    #[test]
    fn what_cannot_be_read_is_an_error_that_names_the_attribute() {
        check(json!({"prefix": "many"}), Err("prefix"));
        check(json!({"prefix": 1000}), Err("prefix"));
        check(json!({"prefix": -1}), Err("prefix"));
        check(json!({"flag": "perhaps"}), Err("flag"));
        check(json!({"name": 1}), Err("name"));
        check(json!({"naem": "x"}), Err("naem"));
    }

    #[test]
    fn an_absent_attribute_and_a_cleared_one_differ() {
        let cleared: Sample =
            read(json!({"name": null}).as_object().cloned().expect("an object")).expect("valid");
        let absent: Sample = read(Attributes::new()).expect("valid");
        assert_eq!((cleared.name, absent.name), (Some(None), None));
    }
}
