//! The table of resources: what users can make, with which attributes, and what lists show of it.
//!
//! Parsing, help, completion, filters, declarative files and tables follow from it. One file per noun, one line here.

mod datapath;
mod dns_record;
mod dns_service;
mod filter;
mod interface;
mod ip_lease;
mod ip_lease_container;
mod ip_range;
mod ip_range_group;
mod ip_retention_container;
mod kind;
mod lease_policy;
mod mac_lease;
mod mac_range;
mod mac_range_group;
mod network;
mod network_service;
mod route;
mod route_link;
mod rows;
mod security_group;
mod segment;
mod state;
mod topology;
mod translation;

pub(crate) use datapath::{DATAPATH_PEERS, DATAPATHS};
pub(crate) use dns_record::DNS_RECORDS;
pub(crate) use dns_service::DNS_SERVICES;
pub(crate) use filter::{FILTER_RULES, FILTERS};
pub(crate) use interface::{INTERFACES, PORTS};
pub(crate) use ip_lease::IP_LEASES;
pub(crate) use ip_lease_container::IP_LEASE_CONTAINERS;
pub(crate) use ip_range::IP_RANGES;
pub(crate) use ip_range_group::IP_RANGE_GROUPS;
pub(crate) use ip_retention_container::{IP_RETENTION_CONTAINERS, RETENTIONS};
pub(crate) use kind::Kind;
pub(crate) use lease_policy::{
    LEASE_POLICIES, POLICY_INTERFACES, POLICY_IP_LEASE_CONTAINERS, POLICY_IP_LEASES,
    POLICY_IP_RETENTION_CONTAINERS, POLICY_NETWORKS,
};
pub(crate) use mac_lease::MAC_LEASES;
pub(crate) use mac_range::MAC_RANGES;
pub(crate) use mac_range_group::MAC_RANGE_GROUPS;
pub(crate) use network::NETWORKS;
pub(crate) use network_service::NETWORK_SERVICES;
pub(crate) use route::ROUTES;
pub(crate) use route_link::ROUTE_LINKS;
pub(crate) use rows::{ROWS, Rows};
pub(crate) use security_group::{GROUP_RULES, SECURITY_GROUPS};
pub(crate) use segment::SEGMENTS;
pub(crate) use state::STATES;
pub(crate) use topology::{ASSOCIATIONS, TOPOLOGIES};
pub(crate) use translation::{STATIC_ADDRESSES, TRANSLATIONS};

use topology::{
    IN_TOPOLOGY, MEMBER_DATAPATHS, MEMBER_MAC_RANGE_GROUPS, MEMBER_NETWORKS, MEMBER_ROUTE_LINKS,
    MEMBER_SEGMENTS, MEMBER_UNDERLAYS, PLACED_NETWORKS, PLACED_ROUTE_LINKS, PLACED_SEGMENTS,
};

use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::operation::{Action, Attributes};

/// Every resource, in an order in which objects can be made: what is referred to comes first.
pub(crate) static RESOURCES: [&Resource; 22] = [
    &TOPOLOGIES,
    &DATAPATHS,
    &SEGMENTS,
    &NETWORKS,
    &MAC_RANGE_GROUPS,
    &MAC_RANGES,
    &IP_RANGE_GROUPS,
    &IP_RANGES,
    &IP_LEASE_CONTAINERS,
    &IP_RETENTION_CONTAINERS,
    &LEASE_POLICIES,
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
}

/// What joins an object to others, each named by its id.
#[derive(Debug)]
pub(crate) struct Relation {
    /// Of which resource.
    pub(crate) of: &'static Resource,
    /// What it is: its name, its attributes, the id of the other end first, what lists show.
    pub(crate) shape: &'static Resource,
    /// Makes one.
    pub(crate) add: Action,
    /// Takes one away.
    pub(crate) remove: Action,
}

/// Every kind of relation.
pub(crate) static RELATIONS: [Relation; 14] = [
    Relation {
        of: &LEASE_POLICIES,
        shape: &POLICY_NETWORKS,
        add: Action::AddPolicyNetwork,
        remove: Action::RemovePolicyNetwork,
    },
    Relation {
        of: &LEASE_POLICIES,
        shape: &POLICY_INTERFACES,
        add: Action::AddPolicyInterface,
        remove: Action::RemovePolicyInterface,
    },
    Relation {
        of: &LEASE_POLICIES,
        shape: &POLICY_IP_LEASE_CONTAINERS,
        add: Action::AddPolicyIpLeaseContainer,
        remove: Action::RemovePolicyIpLeaseContainer,
    },
    Relation {
        of: &LEASE_POLICIES,
        shape: &POLICY_IP_RETENTION_CONTAINERS,
        add: Action::AddPolicyIpRetentionContainer,
        remove: Action::RemovePolicyIpRetentionContainer,
    },
    Relation::placed(&PLACED_NETWORKS),
    Relation::placed(&PLACED_SEGMENTS),
    Relation::placed(&PLACED_ROUTE_LINKS),
    Relation::member(&MEMBER_DATAPATHS),
    Relation::member(&MEMBER_NETWORKS),
    Relation::member(&MEMBER_SEGMENTS),
    Relation::member(&MEMBER_ROUTE_LINKS),
    Relation::member(&MEMBER_MAC_RANGE_GROUPS),
    Relation::member(&MEMBER_UNDERLAYS),
    Relation {
        of: &DATAPATHS,
        shape: &DATAPATH_PEERS,
        add: Action::AddDatapathPeer,
        remove: Action::RemoveDatapathPeer,
    },
];

impl Relation {
    const fn placed(shape: &'static Resource) -> Self {
        Self { of: &DATAPATHS, shape, add: Action::AddPlacement, remove: Action::RemovePlacement }
    }

    const fn member(shape: &'static Resource) -> Self {
        Self { of: &TOPOLOGIES, shape, add: Action::AddMember, remove: Action::RemoveMember }
    }

    /// The relation that an action makes or takes away, if it does. Which of its kinds it is, the other end tells.
    pub(crate) fn of_action(action: Action, attributes: &Attributes) -> Option<&'static Self> {
        let mut alike = RELATIONS.iter().filter(|of| of.add == action || of.remove == action);
        alike.find(|of| attributes.contains_key(of.other()))
    }

    /// The attribute that names the other end.
    pub(crate) fn other(&self) -> &'static str {
        self.shape.other()
    }
}

/// Resources that are found under the path of the one they belong to, too.
#[derive(Debug)]
pub(crate) struct Nested {
    /// Whose they are.
    pub(crate) of: &'static Resource,
    /// What they are.
    pub(crate) member: &'static Resource,
    /// The attribute that names the owner.
    pub(crate) owner: &'static str,
}

/// Every kind of nested resource.
pub(crate) static NESTED: [Nested; 3] = [
    Nested { of: &DNS_SERVICES, member: &DNS_RECORDS, owner: "dns_service_uuid" },
    Nested { of: &MAC_RANGE_GROUPS, member: &MAC_RANGES, owner: "mac_range_group_uuid" },
    Nested { of: &IP_RANGE_GROUPS, member: &IP_RANGES, owner: "ip_range_group_uuid" },
];

/// Every kind of part.
pub(crate) static PARTS: [Part; 4] = [
    Part { of: &INTERFACES, shape: &PORTS, add: Action::AddPort, remove: Action::RemovePorts },
    Part {
        of: &TRANSLATIONS,
        shape: &STATIC_ADDRESSES,
        add: Action::AddStaticAddress,
        remove: Action::RemoveStaticAddresses,
    },
    Part { of: &FILTERS, shape: &FILTER_RULES, add: Action::AddFilterRule, remove: Action::RemoveFilterRule },
    Part {
        of: &SECURITY_GROUPS,
        shape: &GROUP_RULES,
        add: Action::AddGroupRule,
        remove: Action::RemoveGroupRule,
    },
];

impl Part {
    /// The part that an action adds or removes, if it does.
    pub(crate) fn of_action(action: Action) -> Option<&'static Self> {
        PARTS.iter().find(|part| part.add == action || part.remove == action)
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

    /// What can only be looked at, with this name.
    pub(crate) fn state_named(name: &str) -> Option<&'static Self> {
        let name = name.replace('-', "_");
        STATES.into_iter().find(|state| state.name == name)
    }

    /// Its name as a command.
    pub(crate) fn command(&self) -> String {
        self.name.replace('_', "-")
    }

    /// Its own attributes and everyone's.
    pub(crate) fn all_attributes(&self) -> impl Iterator<Item = &'static Attribute> {
        self.attributes.iter().chain(std::iter::once(&PROJECT))
    }

    /// The attribute that names the other end, of the shape of a relation.
    pub(crate) fn other(&self) -> &'static str {
        self.attributes.first().map_or("", |attribute| attribute.name)
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
    /// It asks for what is shown there, and asks for nothing once anything is.
    pub(crate) until_shown: bool,
    /// What it is if nothing is said, as it is shown.
    pub(crate) absent: &'static str,
}

impl Attribute {
    pub(crate) const fn new(name: &'static str, kind: Kind, help: &'static str) -> Self {
        Self { name, kind, required: false, help, shown_as: name, until_shown: false, absent: "" }
    }

    pub(crate) const fn required(self) -> Self {
        Self { required: true, ..self }
    }

    pub(crate) const fn shown_as(self, shown_as: &'static str) -> Self {
        Self { shown_as, ..self }
    }

    pub(crate) const fn until_shown(self, shown_as: &'static str) -> Self {
        Self { shown_as, until_shown: true, ..self }
    }

    /// Whether what an object shows is as it is wanted.
    pub(crate) fn same(&self, wanted: &Value, shown: Option<&Value>) -> bool {
        let is_there = self.until_shown && shown.is_some_and(|shown| !shown.is_null());
        is_there || self.kind.same(wanted, shown)
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
