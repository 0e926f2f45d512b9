//! Rows: attributes that are lists of records, such as the rules of a filter. Files describe them as they are shown.

use serde_json::Value;

use super::{
    Attribute, FILTER_RULES, FILTERS, GROUP_RULES, LEASE_POLICIES, POLICY_IP_LEASE_CONTAINERS,
    POLICY_NETWORKS, Resource, SECURITY_GROUPS, STATIC_ADDRESSES, TRANSLATIONS,
};

/// An attribute that is a list of records.
#[derive(Debug)]
pub(crate) struct Rows {
    /// Of which resource.
    pub(crate) of: &'static Resource,
    /// Its name.
    pub(crate) name: &'static str,
    /// What a record has.
    pub(crate) shape: &'static Resource,
    /// Their order means something.
    pub(crate) ordered: bool,
}

/// Every such attribute.
pub(crate) static ROWS: [Rows; 5] = [
    Rows::set(&TRANSLATIONS, "static_addresses", &STATIC_ADDRESSES),
    Rows::set(&FILTERS, "rules", &FILTER_RULES),
    Rows::set(&SECURITY_GROUPS, "rules", &GROUP_RULES),
    Rows { of: &LEASE_POLICIES, name: "networks", shape: &POLICY_NETWORKS, ordered: true },
    Rows::set(&LEASE_POLICIES, "ip_lease_containers", &POLICY_IP_LEASE_CONTAINERS),
];

impl Rows {
    const fn set(of: &'static Resource, name: &'static str, shape: &'static Resource) -> Self {
        Self { of, name, shape, ordered: false }
    }

    /// The attribute of a resource with this name, if it is one.
    pub(crate) fn named(resource: &Resource, name: &str) -> Option<&'static Self> {
        ROWS.iter().find(|rows| rows.of == resource && rows.name == name)
    }

    /// Whether the records that are wanted are those that an object shows.
    pub(crate) fn same(&self, wanted: &Value, shown: Option<&Value>) -> bool {
        let lines = |rows: Option<&Value>| {
            let rows = rows.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            let mut lines: Vec<_> = rows.iter().map(|row| self.line(row)).collect();
            if !self.ordered {
                lines.sort();
            }
            lines
        };
        lines(Some(wanted)) == lines(shown)
    }

    fn line(&self, row: &Value) -> Vec<String> {
        let value = |of: &Attribute| {
            let given = row.get(of.name).map_or_else(String::new, |value| of.kind.canonical(value));
            if given.is_empty() { of.absent.to_owned() } else { given }
        };
        self.shape.attributes.iter().map(value).collect()
    }
}
