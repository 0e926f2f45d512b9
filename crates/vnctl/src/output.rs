//! Printing: tables for people, JSON and YAML for programs.
//!
//! A list is a table with the columns of its resource. One object is a table of its attributes, with a line for each
//! thing it holds. JSON and YAML print what the manager said.

use std::io::{self, Write};
use std::str::FromStr;

use clap::ValueEnum;
use serde_json::Value;
use tabled::builder::Builder;
use tabled::settings::{Padding, Style};

use crate::error::Error;
use crate::resource::Column;

/// What stands where there is no value.
const NOTHING: &str = "-";
/// Spaces between columns.
const GAP: usize = 2;
/// Attributes that would drown what is peculiar to a thing held by another: they are the holder's as well, or short-lived.
const COMMON: [&str; 6] = ["uuid", "project", "labels", "created_at", "updated_at", "revision"];

/// How to print results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Table,
    Json,
    #[value(alias = "yml")]
    Yaml,
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        ValueEnum::from_str(text, true).map_err(|_| format!("must be table, json or yaml, not {text}"))
    }
}

impl Format {
    /// Prints a list.
    pub(crate) fn list(self, out: &mut dyn Write, items: &[Value], columns: &[Column]) -> Result<(), Error> {
        match self {
            Self::Table => Ok(out.write_all(table(items, columns).as_bytes())?),
            _ => self.document(out, &Value::from(items)),
        }
    }

    /// Prints one object in full.
    pub(crate) fn object(self, out: &mut dyn Write, object: &Value) -> Result<(), Error> {
        match self {
            Self::Table => Ok(out.write_all(details(object).as_bytes())?),
            _ => self.document(out, object),
        }
    }

    /// Prints a sentence to people, and what it is about to programs.
    pub(crate) fn outcome(self, out: &mut dyn Write, sentence: &str, document: &Value) -> Result<(), Error> {
        match self {
            Self::Table => Ok(writeln!(out, "{sentence}")?),
            _ => self.document(out, document),
        }
    }

    fn document(self, out: &mut dyn Write, document: &Value) -> Result<(), Error> {
        let text = match self {
            Self::Yaml => serde_norway::to_string(document).map_err(io::Error::other)?,
            _ => format!("{document:#}\n"),
        };
        Ok(out.write_all(text.as_bytes())?)
    }
}

/// A list as a table.
fn table(items: &[Value], columns: &[Column]) -> String {
    let filled =
        |column: &&Column| !column.optional || items.iter().any(|item| cell(item, column) != NOTHING);
    let columns: Vec<_> = columns.iter().filter(filled).collect();
    let heading = columns.iter().map(|column| column.title.to_owned()).collect();
    let row = |item: &Value| columns.iter().map(|column| cell(item, column)).collect();
    aligned(std::iter::once(heading).chain(items.iter().map(row)))
}

fn cell(item: &Value, column: &Column) -> String {
    let parts = column.paths.iter().map(|path| item.pointer(path).map_or_else(String::new, plain));
    let parts: Vec<_> = parts.filter(|part| !part.is_empty()).collect();
    if parts.is_empty() { NOTHING.to_owned() } else { parts.join("/") }
}

/// An object as a table of two columns.
fn details(object: &Value) -> String {
    let Value::Object(attributes) = object else { return format!("{}\n", plain(object)) };
    let id = object.get("uuid");
    let (mut first, mut rest) = (Vec::new(), Vec::new());
    for (name, value) in attributes {
        // The id leads, whatever order the manager writes in.
        let lines = if name == "uuid" { &mut first } else { &mut rest };
        lines.extend(lines_of(name, value, id));
    }
    aligned(first.into_iter().chain(rest))
}

fn lines_of(name: &str, value: &Value, holder: Option<&Value>) -> Vec<Vec<String>> {
    let line = |text: String| vec![name.to_owned(), if text.is_empty() { NOTHING.to_owned() } else { text }];
    match value {
        Value::Array(things) if things.iter().any(Value::is_object) => {
            things.iter().map(|thing| line(in_one_line(thing, holder))).collect()
        }
        Value::Object(inner) if name != "labels" => {
            inner.iter().flat_map(|(key, value)| lines_of(&format!("{name}.{key}"), value, holder)).collect()
        }
        other => vec![line(plain(other))],
    }
}

/// Something that an object holds, in one line: its id and what is peculiar to it.
fn in_one_line(value: &Value, holder: Option<&Value>) -> String {
    let Value::Object(attributes) = value else { return plain(value) };
    let id = value.get("uuid").map(plain);
    let peculiar = attributes.iter().filter(|(name, value)| {
        let says_something = !value.is_null() && !value.is_array() && !value.is_object();
        says_something && !COMMON.contains(&name.as_str()) && Some(*value) != holder
    });
    let pairs = peculiar.map(|(name, value)| format!("{name}={}", plain(value)));
    id.into_iter().chain(pairs).collect::<Vec<_>>().join(" ")
}

/// A value as people write it.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            let separator = if items.iter().any(Value::is_object) { "; " } else { "," };
            items.iter().map(plain).collect::<Vec<_>>().join(separator)
        }
        Value::Object(pairs) => {
            pairs.iter().map(|(name, value)| format!("{name}={}", plain(value))).collect::<Vec<_>>().join(",")
        }
        other => other.to_string(),
    }
}

fn aligned(rows: impl Iterator<Item = Vec<String>>) -> String {
    let rows = rows.collect::<Vec<_>>();
    if rows.is_empty() {
        return String::new();
    }
    let mut table = Builder::from_iter(rows).build();
    let text = table.with(Style::empty()).with(Padding::new(0, GAP, 0, 0)).to_string();
    text.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::resource::{NETWORKS, STATIC_ADDRESSES};

    fn cells(text: &str) -> Vec<Vec<&str>> {
        text.lines()
            .map(|line| line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect())
            .collect()
    }

    #[test]
    fn columns_are_aligned_also_where_characters_are_wide() {
        let items = [
            json!({ "uuid": "nw-a", "display_name": "社内網" }),
            json!({ "uuid": "nw-long", "display_name": "b" }),
        ];
        let columns = [
            Column::new("UUID", &["/uuid"]),
            Column::new("NAME", &["/display_name"]),
            Column::new("MTU", &["/mtu"]),
        ];
        assert_eq!(table(&items, &columns), "UUID     NAME    MTU\nnw-a     社内網  -\nnw-long  b       -\n");
    }

    #[test]
    fn an_optional_column_appears_when_a_row_fills_it() {
        let check = |network: Value, expected: bool| {
            assert_eq!(cells(&table(&[network], NETWORKS.columns))[0].contains(&"IPV6"), expected);
        };
        check(json!({ "uuid": "nw-a", "ipv6_network": null }), false);
        check(json!({ "uuid": "nw-a", "ipv6_network": "fd00::", "ipv6_prefix": 64 }), true);
    }

    #[test]
    fn parts_of_a_column_are_joined() {
        let network = json!({ "uuid": "nw-a", "ipv4_network": "10.0.0.0", "ipv4_prefix": 24, "mtu": 1438 });
        let text = table(&[network], NETWORKS.columns);
        assert!(cells(&text)[1].contains(&"10.0.0.0/24"), "{text}");
        assert!(cells(&text)[1].contains(&"1438"), "{text}");
    }

    #[test]
    fn a_static_address_shows_addresses_of_either_family_and_ports_beside_them() {
        let entries = [
            json!({ "ingress_ipv4_address": "10.2.0.101", "ingress_port_number": 80, "ingress_ipv6_address": null,
                "egress_ipv4_address": "10.1.0.11", "egress_port_number": 8080, "egress_ipv6_address": null }),
            json!({ "ingress_ipv6_address": "fd00:2::100", "egress_ipv6_address": "fd00:1::10" }),
        ];
        let text = table(&entries, STATIC_ADDRESSES.columns);
        assert_eq!(
            cells(&text),
            [
                vec!["OUTSIDE", "OUTSIDE PORT", "INSIDE", "INSIDE PORT"],
                vec!["10.2.0.101", "80", "10.1.0.11", "8080"],
                vec!["fd00:2::100", "-", "fd00:1::10", "-"],
            ]
        );
    }

    #[test]
    fn an_object_shows_what_it_holds_line_by_line() {
        let object = json!({
            "ip_leases": [{ "uuid": "il-1", "ipv4_address": "10.0.0.1", "interface_uuid": "if-a" }, { "uuid": "il-2" }],
            "labels": { "a": "1", "b": "2" },
            "segment_uuid": null,
            "status": { "state": "active" },
            "uuid": "if-a",
        });
        let expected = vec![
            vec!["uuid", "if-a"],
            vec!["ip_leases", "il-1 ipv4_address=10.0.0.1"],
            vec!["ip_leases", "il-2"],
            vec!["labels", "a=1,b=2"],
            vec!["segment_uuid", "-"],
            vec!["status.state", "active"],
        ];
        assert_eq!(cells(&details(&object)), expected);
    }
}
