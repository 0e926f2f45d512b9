//! Data: what one column of one row holds.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{Atom, DecodeError, Uuid, tagged};

/// The value of a column (RFC 7047, section 5.1: `<value>`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Datum {
    /// A set of atoms. A scalar is a set of one, an absent optional value the empty set.
    Set(BTreeSet<Atom>),
    /// A map from atoms to atoms.
    Map(BTreeMap<Atom, Atom>),
}

impl Datum {
    /// The empty set.
    #[must_use]
    pub fn empty() -> Self {
        Self::Set(BTreeSet::new())
    }

    /// A set of these elements.
    pub fn set<T: Into<Atom>>(elements: impl IntoIterator<Item = T>) -> Self {
        Self::Set(elements.into_iter().map(Into::into).collect())
    }

    /// A map of these pairs. Of two pairs with one key the later stays.
    pub fn map<K: Into<Atom>, V: Into<Atom>>(pairs: impl IntoIterator<Item = (K, V)>) -> Self {
        Self::Map(pairs.into_iter().map(|(key, value)| (key.into(), value.into())).collect())
    }

    /// The only element of a set of one.
    #[must_use]
    pub fn scalar(&self) -> Option<&Atom> {
        match self {
            Self::Set(elements) if elements.len() == 1 => elements.first(),
            _ => None,
        }
    }

    /// Number of elements or pairs.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Set(elements) => elements.len(),
            Self::Map(pairs) => pairs.len(),
        }
    }

    /// Whether there is no element and no pair.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The rows a set refers to, as a map's values or a set's elements.
    pub fn uuids(&self) -> impl Iterator<Item = Uuid> + '_ {
        let (elements, values) = match self {
            Self::Set(elements) => (Some(elements.iter()), None),
            Self::Map(pairs) => (None, Some(pairs.values())),
        };
        elements.into_iter().flatten().chain(values.into_iter().flatten()).filter_map(|atom| match atom {
            Atom::Uuid(uuid) => Some(*uuid),
            _ => None,
        })
    }

    /// Reads the JSON form: an atom, `["set", [...]]` or `["map", [[key, value], ...]]`.
    ///
    /// # Errors
    /// `value` is not the JSON form of a datum, or repeats an element or key.
    pub fn from_json(value: &Value) -> Result<Self, DecodeError> {
        match tagged(value) {
            Some(("set", Value::Array(elements))) => set_from_json(elements, value),
            Some(("map", Value::Array(pairs))) => map_from_json(pairs, value),
            _ => Atom::from_json(value).map(Self::from),
        }
    }

    /// The JSON form. A set of one is written as its element, as `ovsdb-server` does.
    #[must_use]
    pub fn to_json(&self) -> Value {
        match (self, self.scalar()) {
            (_, Some(atom)) => atom.to_json(),
            (Self::Set(elements), None) => {
                json!(["set", elements.iter().map(Atom::to_json).collect::<Vec<_>>()])
            }
            (Self::Map(pairs), _) => {
                let pairs: Vec<_> =
                    pairs.iter().map(|(key, value)| json!([key.to_json(), value.to_json()])).collect();
                json!(["map", pairs])
            }
        }
    }
}

fn set_from_json(elements: &[Value], whole: &Value) -> Result<Datum, DecodeError> {
    let set: BTreeSet<Atom> = elements.iter().map(Atom::from_json).collect::<Result<_, _>>()?;
    if set.len() != elements.len() {
        return Err(DecodeError::new("a set without repetition", whole));
    }
    Ok(Datum::Set(set))
}

fn map_from_json(pairs: &[Value], whole: &Value) -> Result<Datum, DecodeError> {
    let map: BTreeMap<Atom, Atom> = pairs.iter().map(pair_from_json).collect::<Result<_, _>>()?;
    if map.len() != pairs.len() {
        return Err(DecodeError::new("a map without repeated keys", whole));
    }
    Ok(Datum::Map(map))
}

fn pair_from_json(pair: &Value) -> Result<(Atom, Atom), DecodeError> {
    match pair.as_array().map(Vec::as_slice) {
        Some([key, value]) => Ok((Atom::from_json(key)?, Atom::from_json(value)?)),
        _ => Err(DecodeError::new("a pair of atoms", pair)),
    }
}

impl<T: Into<Atom>> From<T> for Datum {
    fn from(atom: T) -> Self {
        Self::Set(BTreeSet::from([atom.into()]))
    }
}

impl<T: Into<Atom>> From<Option<T>> for Datum {
    fn from(atom: Option<T>) -> Self {
        Self::set(atom)
    }
}

impl From<&BTreeMap<String, String>> for Datum {
    fn from(pairs: &BTreeMap<String, String>) -> Self {
        Self::map(pairs)
    }
}

impl From<&BTreeSet<String>> for Datum {
    fn from(elements: &BTreeSet<String>) -> Self {
        Self::set(elements)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::value::Real;

    fn check(text: &str, expected: Option<Datum>) {
        let value: Value = serde_json::from_str(text).expect("the test's own JSON");
        assert_eq!(Datum::from_json(&value).ok(), expected, "{text}");
    }

    #[test]
    fn data_are_read_as_the_rfc_writes_them() {
        check("5", Some(Datum::from(5)));
        check(r#"["set",[]]"#, Some(Datum::empty()));
        check(r#"["set",["a"]]"#, Some(Datum::from("a")));
        check(r#"["map",[["a",true]]]"#, Some(Datum::map([("a", true)])));
        check("0.5", Real::new(0.5).map(|real| Datum::from(Atom::Real(real))));
    }

    #[test]
    fn what_is_not_a_datum_is_an_error() {
        for text in [
            "null",
            "{}",
            "[]",
            r#"["set",1]"#,
            r#"["set",["a","a"]]"#,
            r#"["map",[["a"]]]"#,
            r#"["uuid","1"]"#,
        ] {
            check(text, None);
        }
    }

    fn atoms() -> impl Strategy<Value = Atom> {
        prop_oneof![
            any::<i64>().prop_map(Atom::from),
            any::<bool>().prop_map(Atom::from),
            ".{0,8}".prop_map(Atom::from),
            any::<u128>().prop_map(|value| Atom::from(Uuid::from_u128(value))),
            "[a-z]{1,4}".prop_map(|name| Atom::named(&name)),
        ]
    }

    fn data() -> impl Strategy<Value = Datum> {
        prop_oneof![
            prop::collection::btree_set(atoms(), 0..5).prop_map(Datum::Set),
            prop::collection::btree_map(atoms(), atoms(), 0..5).prop_map(Datum::Map),
        ]
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            prop_oneof![Just("set"), Just("map"), Just("uuid"), Just("é")].prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                ("[a-z]{0,2}", inner).prop_map(|(key, value)| json!({ key: value })),
            ]
        })
    }

    proptest! {
        #[test]
        fn json_gives_the_same_datum_back(datum in data()) {
            prop_assert_eq!(Datum::from_json(&datum.to_json()), Ok(datum));
        }

        #[test]
        fn arbitrary_json_never_panics(value in values()) {
            let _ = Datum::from_json(&value);
        }
    }
}
