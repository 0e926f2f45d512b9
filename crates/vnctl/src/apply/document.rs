//! Reading declarative files: a map of collections to lists of objects, in YAML or JSON.
//!
//! # Values are texts
//! `0x0000aaaaaaaaaaaa` without quotes is a number to YAML, and a dpid to the user. So every value is taken as it is
//! written, and the table of resources says what it is, as for flags. That also makes errors the same.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::{Value, json};

use super::title;
use crate::error::Error;
use crate::operation::Attributes;
use crate::resource::{Kind, RESOURCES, ROWS, Resource, Rows};

/// An object as a file describes it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Wanted {
    /// The file.
    pub(crate) file: String,
    /// What it is.
    pub(crate) resource: &'static Resource,
    /// Which one it is.
    pub(crate) uuid: String,
    /// What is said of it, labels among it; not the id.
    pub(crate) attributes: Attributes,
}

type Labels = BTreeMap<String, String>;

/// A document of a file.
#[derive(Default)]
struct Document {
    /// Given to every object.
    labels: Labels,
    objects: Vec<(&'static Resource, Entry)>,
}

/// An object of a document.
#[derive(Default)]
struct Entry {
    labels: Labels,
    values: BTreeMap<String, Given>,
}

/// What is said of an attribute.
enum Given {
    Text(String),
    /// Records, each by its values.
    Rows(Vec<BTreeMap<String, String>>),
}

/// The objects that the files, names and texts, describe.
///
/// # Errors
/// A text cannot be understood, or two objects have the same id. They name file, object and attribute.
pub(crate) fn read_all(files: &[(String, String)]) -> Result<Vec<Wanted>, Error> {
    let objects = files.iter().map(|(file, text)| read(file, text)).collect::<Result<Vec<_>, _>>()?;
    let objects = objects.into_iter().flatten().collect::<Vec<_>>();
    let mut known = BTreeSet::new();
    match objects.iter().find(|object| !known.insert((object.resource.name, &object.uuid))) {
        Some(twice) => {
            let object = title(twice.resource, &twice.uuid);
            Err(Error::Usage(format!("{}: {object}: is described twice", twice.file)))
        }
        None => Ok(objects),
    }
}

fn read(file: &str, text: &str) -> Result<Vec<Wanted>, Error> {
    let wrong = |reason: String| Error::Usage(format!("{file}: {reason}"));
    let mut objects = Vec::new();
    for document in serde_norway::Deserializer::from_str(text) {
        let document = Option::<Document>::deserialize(document).map_err(|cause| wrong(cause.to_string()))?;
        let Document { labels, objects: entries } = document.unwrap_or_default();
        for (resource, entry) in entries {
            objects.push(wanted(file, resource, entry, &labels).map_err(wrong)?);
        }
    }
    Ok(objects)
}

fn wanted(file: &str, resource: &'static Resource, entry: Entry, common: &Labels) -> Result<Wanted, String> {
    let Entry { labels, mut values } = entry;
    let Some(Given::Text(uuid)) =
        values.remove("uuid").filter(|uuid| !matches!(uuid, Given::Text(text) if text.is_empty()))
    else {
        return Err(format!("{}: an object has no uuid, by which it is found again", resource.name));
    };
    let mut attributes = Attributes::new();
    for (name, given) in values {
        let value = value(resource, &name, given)
            .map_err(|reason| format!("{}: {reason}", title(resource, &uuid)))?;
        attributes.insert(name, value);
    }
    let mut all = common.clone();
    all.extend(labels);
    if !all.is_empty() {
        attributes.insert("labels".to_owned(), json!(all));
    }
    Ok(Wanted { file: file.to_owned(), resource, uuid, attributes })
}

fn value(resource: &'static Resource, name: &str, given: Given) -> Result<Value, String> {
    match (given, Rows::named(resource, name)) {
        (Given::Text(text), None) => attribute(resource, name, &text),
        (Given::Text(text), Some(_)) if text.is_empty() => Ok(json!([])),
        (Given::Rows(given), Some(rows)) => {
            let value = |(name, text): (String, String)| {
                let name = name.replace('-', "_");
                let value = attribute(rows.shape, &name, &text)?;
                Ok((name, value))
            };
            let row =
                |values: BTreeMap<_, _>| values.into_iter().map(value).collect::<Result<Attributes, _>>();
            let all = given.into_iter().map(row).collect::<Result<Vec<_>, String>>();
            all.map(|all| json!(all)).map_err(|reason| format!("{name}: {reason}"))
        }
        (Given::Text(_), Some(_)) => Err(format!("{name}: must be a list of objects")),
        (Given::Rows(_), None) => Err(format!("{name}: must not be a list of objects")),
    }
}

fn attribute(resource: &'static Resource, name: &str, text: &str) -> Result<Value, String> {
    let Some(attribute) = resource.attribute(name) else {
        let names: Vec<_> = resource.all_attributes().map(|attribute| attribute.name).collect();
        return Err(format!("{name} is no attribute: there are uuid, labels, {}", names.join(", ")));
    };
    attribute.kind.read(text).map_err(|reason| format!("{name}: {reason}"))
}

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collections;
        impl<'de> Visitor<'de> for Collections {
            type Value = Document;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of collections to lists of objects")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Document, A::Error> {
                let mut document = Document::default();
                while let Some(name) = map.next_key::<String>()? {
                    if name == "labels" {
                        document.labels = map.next_value::<Option<Labels>>()?.unwrap_or_default();
                        continue;
                    }
                    let resource = Resource::named(&name).ok_or_else(|| unknown_collection(&name))?;
                    let entries = map.next_value::<Option<Vec<Entry>>>()?.unwrap_or_default();
                    document.objects.extend(entries.into_iter().map(|entry| (resource, entry)));
                }
                Ok(document)
            }
        }
        deserializer.deserialize_map(Collections)
    }
}

fn unknown_collection<E: serde::de::Error>(name: &str) -> E {
    let names = RESOURCES.map(|resource| resource.name).join(", ");
    E::custom(format!("{name} is no collection: there are {names}"))
}

/// Whether attributes of this name hold several values: they do so in every resource that has one.
fn holds_list(name: &str) -> bool {
    RESOURCES.iter().any(|of| {
        of.attribute(name).is_some_and(|attribute| matches!(attribute.kind, Kind::List | Kind::Set))
    })
}

/// Whether attributes of this name are lists of records: they are so in every resource that has one.
fn holds_rows(name: &str) -> bool {
    ROWS.iter().any(|rows| rows.name == name)
}

/// Several values, as a list or as a text with commas.
#[derive(serde::Deserialize)]
#[serde(untagged)]
enum List {
    Items(Vec<String>),
    Text(String),
}

impl List {
    fn text(self) -> String {
        match self {
            Self::Items(items) => items.join(","),
            Self::Text(text) => text,
        }
    }
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Entry;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object: a map of attributes to values")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entry, A::Error> {
                let mut entry = Entry::default();
                while let Some(name) = map.next_key::<String>()? {
                    if name == "labels" {
                        entry.labels = map.next_value::<Option<Labels>>()?.unwrap_or_default();
                        continue;
                    }
                    let attribute = name.replace('-', "_");
                    let given = if holds_rows(&attribute) {
                        map.next_value::<Option<_>>()?.map(Given::Rows)
                    } else if holds_list(&attribute) {
                        map.next_value::<Option<List>>()?.map(|list| Given::Text(list.text()))
                    } else {
                        map.next_value::<Option<String>>()?.map(Given::Text)
                    };
                    let given = given.unwrap_or_else(|| Given::Text(String::new()));
                    if entry.values.insert(attribute, given).is_some() {
                        return Err(A::Error::custom(format!("{name} is given twice")));
                    }
                }
                Ok(entry)
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &Value) {
        let objects = read("f.yaml", text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let found: Vec<_> = objects
            .iter()
            .map(|object| json!([object.resource.name, object.uuid, object.attributes]))
            .collect();
        assert_eq!(Value::from(found), *expected, "{text}");
    }

    fn check_error(text: &str, parts: &[&str]) {
        let error = read("f.yaml", text).expect_err(text).to_string();
        assert!(error.starts_with("f.yaml: ") && parts.iter().all(|part| error.contains(part)), "{error}");
    }

    #[test]
    fn values_are_what_their_attributes_are_whatever_yaml_takes_them_for() {
        let text = "datapaths: [{uuid: dp-a, dpid: 0x0000aaaaaaaaaaaa, node_id: 007}]\n\
                    networks:\n- {uuid: nw-a, ipv4_prefix: 24, display-name: true, segment_uuid: null}\n\
                    interfaces:\n- {uuid: if-a, enable_routing: yes, mac_address: 02:00:00:00:00:01}\n";
        let expected = json!([
            ["datapaths", "dp-a", { "dpid": "0x0000aaaaaaaaaaaa", "node_id": "007" }],
            ["networks", "nw-a", { "display_name": "true", "ipv4_prefix": 24, "segment_uuid": "" }],
            ["interfaces", "if-a", { "enable_routing": true, "mac_address": "02:00:00:00:00:01" }],
        ]);
        check(text, &expected);
    }

    #[test]
    fn several_values_are_a_list_or_a_text() {
        let expected = json!([["routes", "r-a", { "next_hops": ["10.0.0.1", "10.0.0.2"] }]]);
        check("routes: [{uuid: r-a, next_hops: [10.0.0.1, 10.0.0.2]}]", &expected);
        check("routes: [{uuid: r-a, next-hops: '10.0.0.1, 10.0.0.2'}]", &expected);
    }

    #[test]
    fn parts_are_lists_of_objects() {
        let rule = json!({ "direction": "ingress", "protocol": "tcp", "port": "80" });
        let expected =
            json!([["security_groups", "sg-a", { "rules": [rule] }], ["filters", "fil-a", { "rules": [] }]]);
        let text = "security-groups: [{uuid: sg-a, rules: [{direction: ingress, protocol: tcp, port: 80}]}]\n\
                    filters: [{uuid: fil-a, rules: []}]";
        check(text, &expected);
        check_error(
            "filters: [{uuid: fil-a, rules: [{prot: tcp}]}]",
            &["filters fil-a", "rules", "prot", "protocol"],
        );
        check_error("filters: [{uuid: fil-a, mode: [{a: b}]}]", &["mode"]);
    }

    #[test]
    fn json_several_documents_and_empty_ones_are_read() {
        check(r#"{"mac-leases": [{"uuid": "ml-a"}]}"#, &json!([["mac_leases", "ml-a", {}]]));
        check(
            "segments: [{uuid: seg-a}]\n---\n# nothing\n---\nsegments: [{uuid: seg-b}]\nnetworks:\n",
            &json!([["segments", "seg-a", {}], ["segments", "seg-b", {}]]),
        );
        check("", &json!([]));
    }

    #[test]
    fn labels_of_the_file_go_to_every_object_and_yield_to_its_own() {
        check(
            "labels: {app: x, tier: 1}\nsegments: [{uuid: seg-a, labels: {tier: web}}, {uuid: seg-b}]",
            &json!([
                ["segments", "seg-a", { "labels": { "app": "x", "tier": "web" } }],
                ["segments", "seg-b", { "labels": { "app": "x", "tier": "1" } }],
            ]),
        );
    }

    #[test]
    fn errors_name_file_object_and_attribute() {
        check_error("networks: [{uuid: nw-a, ipv4_prefix: x}]", &["networks nw-a", "ipv4_prefix"]);
        check_error("networks: [{uuid: nw-a, ipv5: x}]", &["networks nw-a", "ipv5", "ipv4_network"]);
        check_error("networks: [{display_name: a}]", &["networks", "uuid"]);
        check_error("netwrks: []", &["netwrks", "networks"]);
        check_error("networks: [{uuid: nw-a, uuid: nw-b}]", &["uuid", "twice"]);
        check_error("networks: [{uuid: nw-a, mode: {a: b}}]", &["networks", "mode"]);
        check_error("networks: nw-a", &["networks"]);
        check_error("- a", &["collections"]);
        check_error("a: [", &["f.yaml"]);
    }

    #[test]
    fn one_object_is_described_once() {
        let file = |name: &str| (name.to_owned(), "segments: [{uuid: seg-a}]".to_owned());
        assert!(read_all(&[file("a")]).is_ok());
        assert!(read_all(&[file("a"), file("b")]).is_err());
    }
}
