//! The table of resources: what users can make, with which attributes, and what lists show of it.
//!
//! Parsing, help, completion, filters, declarative files and tables follow from it. One file per noun, one line here.

mod datapath;
mod dns_record;
mod dns_service;
mod filter;
mod interface;
mod ip_lease;
mod kind;
mod mac_lease;
mod network;
mod network_service;
mod route;
mod route_link;
mod security_group;
mod segment;
mod translation;

pub(crate) use datapath::DATAPATHS;
pub(crate) use dns_record::DNS_RECORDS;
pub(crate) use dns_service::DNS_SERVICES;
pub(crate) use filter::{FILTER_RULES, FILTERS};
pub(crate) use interface::{INTERFACES, PORTS};
pub(crate) use ip_lease::IP_LEASES;
pub(crate) use kind::Kind;
pub(crate) use mac_lease::MAC_LEASES;
pub(crate) use network::NETWORKS;
pub(crate) use network_service::NETWORK_SERVICES;
pub(crate) use route::ROUTES;
pub(crate) use route_link::ROUTE_LINKS;
pub(crate) use security_group::{GROUP_RULES, SECURITY_GROUPS};
pub(crate) use segment::SEGMENTS;
pub(crate) use translation::{STATIC_ADDRESSES, TRANSLATIONS};

use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::operation::Action;

/// Every resource, in an order in which objects can be made: what is referred to comes first.
pub(crate) static RESOURCES: [&Resource; 14] = [
    &DATAPATHS,
    &SEGMENTS,
    &NETWORKS,
    &SECURITY_GROUPS,
    &INTERFACES,
    &MAC_LEASES,
    &IP_LEASES,
    &ROUTE_LINKS,
    &ROUTES,
    &NETWORK_SERVICES,
    &DNS_SERVICES,
    &DNS_RECORDS,
    &TRANSLATIONS,
    &FILTERS,
];

/// A kind of object that users make, change and delete.
#[derive(Debug)]
pub(crate) struct Resource {
    /// Its name in paths.
    pub(crate) name: &'static str,
    /// One of it, for sentences, with its article.
    pub(crate) noun: &'static str,
    /// What it is, for help.
    pub(crate) about: &'static str,
    /// What its ids begin with.
    pub(crate) prefix: &'static str,
    /// Its own attributes; id, project and labels are everyone's.
    pub(crate) attributes: &'static [Attribute],
    /// What lists show.
    pub(crate) columns: &'static [Column],
}

/// What objects of a resource have several of, and that has no id of its own.
#[derive(Debug)]
pub(crate) struct Part {
    /// Of which resource.
    pub(crate) of: &'static Resource,
    /// What it is: its name, its attributes, what lists show.
    pub(crate) shape: &'static Resource,
    /// Adds one.
    pub(crate) add: Action,
    /// Removes those that have all the values given.
    pub(crate) remove: Action,
    /// The attribute by which objects show them, and take them all at once; none if they do not.
    pub(crate) attribute: Option<&'static str>,
}

/// Every kind of part.
pub(crate) static PARTS: [Part; 4] = [
    Part {
        of: &INTERFACES,
        shape: &PORTS,
        add: Action::AddPort,
        remove: Action::RemovePorts,
        attribute: None,
    },
    Part {
        of: &TRANSLATIONS,
        shape: &STATIC_ADDRESSES,
        add: Action::AddStaticAddress,
        remove: Action::RemoveStaticAddresses,
        attribute: Some("static_addresses"),
    },
    Part {
        of: &FILTERS,
        shape: &FILTER_RULES,
        add: Action::AddFilterRule,
        remove: Action::RemoveFilterRule,
        attribute: Some("rules"),
    },
    Part {
        of: &SECURITY_GROUPS,
        shape: &GROUP_RULES,
        add: Action::AddGroupRule,
        remove: Action::RemoveGroupRule,
        attribute: Some("rules"),
    },
];

impl Part {
    /// The part that an action adds or removes, if it does.
    pub(crate) fn of_action(action: Action) -> Option<&'static Self> {
        PARTS.iter().find(|part| part.add == action || part.remove == action)
    }

    /// The part that an attribute of a resource shows.
    pub(crate) fn of_attribute(resource: &Resource, name: &str) -> Option<&'static Self> {
        PARTS.iter().find(|part| part.of == resource && part.attribute == Some(name))
    }

    /// Whether the parts that are wanted are those that an object shows, in whatever order.
    pub(crate) fn same(&self, wanted: &Value, shown: Option<&Value>) -> bool {
        let lines = |parts: Option<&Value>| {
            let parts = parts.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            let mut lines: Vec<_> = parts.iter().map(|part| self.line(part)).collect();
            lines.sort();
            lines
        };
        lines(Some(wanted)) == lines(shown)
    }

    fn line(&self, part: &Value) -> Vec<String> {
        let value = |of: &Attribute| {
            let given = part.get(of.name).map_or_else(String::new, |value| of.kind.canonical(value));
            if given.is_empty() { of.absent.to_owned() } else { given }
        };
        self.shape.attributes.iter().map(value).collect()
    }
}

/// What every resource has besides its id and its labels.
pub(crate) const PROJECT: Attribute = Attribute::new("project", Kind::Text, "Who it belongs to");

impl Resource {
    /// The resource with this name in paths, dashes and underscores being the same.
    pub(crate) fn named(name: &str) -> Option<&'static Self> {
        let name = name.replace('-', "_");
        RESOURCES.into_iter().find(|resource| resource.name == name)
    }

    /// Its name as a command.
    pub(crate) fn command(&self) -> String {
        self.name.replace('_', "-")
    }

    /// Its own attributes and everyone's.
    pub(crate) fn all_attributes(&self) -> impl Iterator<Item = &'static Attribute> {
        self.attributes.iter().chain(std::iter::once(&PROJECT))
    }

    /// The attribute of this name.
    pub(crate) fn attribute(&self, name: &str) -> Option<&'static Attribute> {
        self.all_attributes().find(|attribute| attribute.name == name)
    }

    /// Its place in the order in which objects are made.
    pub(crate) fn rank(&self) -> usize {
        RESOURCES.iter().position(|resource| resource.name == self.name).unwrap_or(RESOURCES.len())
    }
}

impl PartialEq for Resource {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Resource {}

impl Serialize for Resource {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name)
    }
}

/// Something users say of an object.
#[derive(Debug)]
pub(crate) struct Attribute {
    /// Its name in the API; the flag has dashes.
    pub(crate) name: &'static str,
    /// What its values are.
    pub(crate) kind: Kind,
    /// `add` cannot do without it.
    pub(crate) required: bool,
    /// What it means, for help.
    pub(crate) help: &'static str,
    /// The attribute under which objects show it, if that is another one.
    pub(crate) shown_as: &'static str,
    /// What it is if nothing is said, as it is shown.
    pub(crate) absent: &'static str,
}

impl Attribute {
    pub(crate) const fn new(name: &'static str, kind: Kind, help: &'static str) -> Self {
        Self { name, kind, required: false, help, shown_as: name, absent: "" }
    }

    pub(crate) const fn required(self) -> Self {
        Self { required: true, ..self }
    }

    pub(crate) const fn shown_as(self, shown_as: &'static str) -> Self {
        Self { shown_as, ..self }
    }

    pub(crate) const fn absent(self, absent: &'static str) -> Self {
        Self { absent, ..self }
    }

    /// Its name as a flag, without the leading dashes.
    pub(crate) fn flag(&self) -> String {
        self.name.replace('_', "-")
    }
}

/// A column of a list.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    /// Its heading.
    pub(crate) title: &'static str,
    /// JSON pointers (RFC 6901) to what it shows, joined by slashes.
    pub(crate) paths: &'static [&'static str],
    /// Left out when no row fills it.
    pub(crate) optional: bool,
}

impl Column {
    pub(crate) const fn new(title: &'static str, paths: &'static [&'static str]) -> Self {
        Self { title, paths, optional: false }
    }

    pub(crate) const fn optional(title: &'static str, paths: &'static [&'static str]) -> Self {
        Self { title, paths, optional: true }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_resource_is_found_by_either_spelling_of_its_name() {
        for resource in RESOURCES {
            assert_eq!(Resource::named(resource.name), Some(resource));
            assert_eq!(Resource::named(&resource.command()), Some(resource));
        }
        assert_eq!(Resource::named("tunnels"), None);
    }

    #[test]
    fn what_is_referred_to_comes_before_what_refers() {
        for resource in RESOURCES {
            for attribute in resource.attributes {
                let Kind::Uuid(prefix) = attribute.kind else { continue };
                let target = RESOURCES.iter().find(|target| target.prefix == prefix);
                let target = target.unwrap_or_else(|| panic!("{prefix} of {}", attribute.name));
                assert!(target.rank() < resource.rank(), "{} of {}", attribute.name, resource.name);
            }
        }
    }
}
