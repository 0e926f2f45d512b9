//! Kinds of values: how a text becomes a value, and when two ways of writing one mean the same.

use std::net::{Ipv4Addr, Ipv6Addr};

use serde_json::Value;

/// What the values of an attribute are.
///
/// Only numbers and truth values are read here, since JSON tells them from texts. Everything else is the manager's to
/// judge, which may be newer than this program and know more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    /// A text that is never shown, neither by the manager nor here.
    Secret,
    Integer,
    Boolean,
    Mac,
    Ipv4,
    Ipv6,
    Dpid,
    /// The id of another resource, by its prefix.
    Uuid(&'static str),
    /// Several texts, with commas between them.
    List,
    /// The same, and their order means nothing.
    Set,
    /// One of a few names, offered in help and completion.
    OneOf(&'static [&'static str]),
}

impl Kind {
    /// The value that a text stands for. An empty one stays a text: it asks to clear the attribute.
    ///
    /// # Errors
    /// What the text should have been.
    pub(crate) fn read(self, text: &str) -> Result<Value, String> {
        match self {
            _ if text.is_empty() => Ok(Value::from("")),
            Self::Integer => {
                text.parse::<u64>().map(Value::from).map_err(|_| format!("must be a number, not {text}"))
            }
            Self::Boolean => {
                boolean(text).map(Value::from).ok_or_else(|| format!("must be true or false, not {text}"))
            }
            Self::List | Self::Set => Ok(text.split(',').map(|item| Value::from(item.trim())).collect()),
            _ => Ok(Value::from(text)),
        }
    }

    /// Whether a wanted value is the one that an object shows. Absent, null and empty are the same. Of a secret is shown
    /// whether there is one, so that only the manager can tell.
    pub(crate) fn same(self, wanted: &Value, shown: Option<&Value>) -> bool {
        if self == Self::Secret {
            return self.canonical(wanted).is_empty()
                && shown.is_none_or(|shown| *shown != Value::Bool(true));
        }
        self.canonical(wanted) == shown.map_or_else(String::new, |shown| self.canonical(shown))
    }

    /// A value as one text, however it is written.
    pub(crate) fn canonical(self, value: &Value) -> String {
        let text = match value {
            Value::Array(items) => {
                let mut items: Vec<_> = items.iter().map(|item| self.canonical(item)).collect();
                if self == Self::Set {
                    items.sort();
                }
                return items.join(",");
            }
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let written = match self {
            Self::Mac => Some(text.to_ascii_lowercase().replace('-', ":")),
            Self::Ipv4 => text.parse().ok().map(|address: Ipv4Addr| address.to_string()),
            Self::Ipv6 => text.parse().ok().map(|address: Ipv6Addr| address.to_string()),
            Self::Dpid => {
                let lower = text.to_ascii_lowercase();
                let digits = lower.strip_prefix("0x").unwrap_or(&lower);
                u64::from_str_radix(digits, 16).ok().map(|number| format!("{number:016x}"))
            }
            _ => None,
        };
        written.unwrap_or(text)
    }

    /// How help names a value.
    pub(crate) fn placeholder(self) -> &'static str {
        match self {
            Self::Text | Self::Secret => "TEXT",
            Self::Integer => "NUMBER",
            Self::List | Self::Set => "A,B,…",
            Self::Boolean => "true|false",
            Self::Mac => "MAC",
            Self::Ipv4 => "IPV4",
            Self::Ipv6 => "IPV6",
            Self::Dpid => "HEX",
            Self::Uuid(_) => "UUID",
            Self::OneOf(_) => "NAME",
        }
    }
}

/// A truth value in the forms that the original knew.
pub(crate) fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "true" | "t" | "yes" | "y" => Some(true),
        "0" | "false" | "f" | "no" | "n" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_the_same_however_they_are_written() {
        let check = |kind: Kind, wanted: Value, shown: Value, same: bool| {
            assert_eq!(kind.same(&wanted, Some(&shown)), same, "{wanted} {shown}");
        };
        check(Kind::Mac, json!("10-54-FF-00-00-01"), json!("10:54:ff:00:00:01"), true);
        check(Kind::Mac, json!("10:54:ff:00:00:02"), json!("10:54:ff:00:00:01"), false);
        check(Kind::Dpid, json!("0xaaaa"), json!("0x000000000000aaaa"), true);
        check(Kind::Ipv6, json!("fd00:0::0"), json!("fd00::"), true);
        check(Kind::Ipv4, json!("10.0.0.1"), json!("10.0.0.2"), false);
        check(Kind::Integer, json!(24), json!(24), true);
        check(Kind::Boolean, json!(true), json!(false), false);
        check(Kind::Text, json!(""), json!(null), true);
        check(Kind::Text, json!("a"), json!(null), false);
        assert!(Kind::Uuid("nw").same(&json!(null), None));
    }

    #[test]
    fn numbers_and_truth_values_are_read_and_all_else_is_left_to_the_manager() {
        let check = |kind: Kind, text: &str, expected: Option<Value>| {
            assert_eq!(kind.read(text).ok(), expected, "{text}");
        };
        check(Kind::Integer, "24", Some(json!(24)));
        check(Kind::Integer, "x", None);
        check(Kind::Integer, "-1", None);
        check(Kind::Boolean, "yes", Some(json!(true)));
        check(Kind::Boolean, "F", Some(json!(false)));
        check(Kind::Boolean, "maybe", None);
        check(Kind::Dpid, "0x0000aaaaaaaaaaaa", Some(json!("0x0000aaaaaaaaaaaa")));
        check(Kind::Integer, "", Some(json!("")));
    }
}
