//! Operations: changes that users ask for, as one request each or as members of a batch.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::client::{Method, Request};
use crate::resource::{ASSOCIATIONS, INTERFACES, IP_LEASES, LEASE_POLICIES, Part, Relation, Resource};

/// Attribute names and values.
pub(crate) type Attributes = Map<String, Value>;

/// One change. Serialized, it is a member of the API's batch.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub(crate) enum Operation {
    Create {
        resource: &'static Resource,
        attributes: Attributes,
    },
    Update {
        resource: &'static Resource,
        uuid: String,
        attributes: Attributes,
        /// Labels to set, or to remove where empty. The API replaces labels as a whole: see
        /// [`Operation::merge_labels`].
        #[serde(skip)]
        label_changes: BTreeMap<String, String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        if_match: Option<u64>,
    },
    Delete {
        resource: &'static Resource,
        uuid: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        if_match: Option<u64>,
    },
    Act {
        action: Action,
        uuid: String,
        attributes: Attributes,
        #[serde(skip_serializing_if = "Option::is_none")]
        if_match: Option<u64>,
    },
}

/// What can be done to an object besides changing attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Action {
    AddPort,
    RemovePorts,
    AttachIpLease,
    ReleaseIpLease,
    AddStaticAddress,
    RemoveStaticAddresses,
    AddFilterRule,
    RemoveFilterRule,
    AddGroupRule,
    RemoveGroupRule,
    AddPolicyNetwork,
    RemovePolicyNetwork,
    AddPolicyInterface,
    RemovePolicyInterface,
    AddPolicyIpLeaseContainer,
    RemovePolicyIpLeaseContainer,
    AddPolicyIpRetentionContainer,
    RemovePolicyIpRetentionContainer,
    AllocateIpLease,
    AddPlacement,
    RemovePlacement,
    AddMember,
    RemoveMember,
    SetStatic,
    AddDatapathPeer,
    RemoveDatapathPeer,
}

impl Operation {
    /// What its result is one of, and how that is printed.
    pub(crate) fn resource(&self) -> &'static Resource {
        match self {
            Self::Create { resource, .. } | Self::Update { resource, .. } | Self::Delete { resource, .. } => {
                resource
            }
            Self::Act { action, attributes, .. } => {
                let part = Part::of_action(*action).map(|part| part.of);
                let relation = || Relation::of_action(*action, attributes).map(|of| of.shape);
                part.or_else(relation).or_else(|| action.association(attributes)).unwrap_or(&IP_LEASES)
            }
        }
    }

    /// Whose labels must be known before [`Operation::merge_labels`].
    pub(crate) fn needs_labels_of(&self) -> Option<(&'static Resource, &str)> {
        match self {
            Self::Update { resource, uuid, label_changes, .. } if !label_changes.is_empty() => {
                Some((resource, uuid))
            }
            _ => None,
        }
    }

    /// Turns changes of labels into the labels as a whole, guarded by the revision of the object they were read from.
    pub(crate) fn merge_labels(&mut self, object: &Value) {
        let Self::Update { attributes, label_changes, if_match, .. } = self else { return };
        let mut labels = object.get("labels").and_then(Value::as_object).cloned().unwrap_or_default();
        for (name, value) in std::mem::take(label_changes) {
            if value.is_empty() {
                labels.remove(&name);
            } else {
                labels.insert(name, Value::from(value));
            }
        }
        attributes.insert("labels".to_owned(), Value::Object(labels));
        *if_match = if_match.or(object.get("revision").and_then(Value::as_u64));
    }

    /// This change as a request of its own.
    pub(crate) fn request(&self) -> Request {
        match self {
            Self::Create { resource, attributes } => {
                Request::new(Method::Post, &[resource.name]).body(Value::Object(attributes.clone()))
            }
            Self::Update { resource, uuid, attributes, if_match, .. } => {
                let body = Value::Object(attributes.clone());
                Request::new(Method::Put, &[resource.name, uuid]).body(body).if_match(*if_match)
            }
            Self::Delete { resource, uuid, if_match } => {
                Request::new(Method::Delete, &[resource.name, uuid]).if_match(*if_match)
            }
            Self::Act { action, uuid, attributes, if_match } => {
                action.request(uuid, attributes).if_match(*if_match)
            }
        }
    }

    /// These changes as one request: all of them or none.
    pub(crate) fn batch(operations: &[Self]) -> Request {
        Request::new(Method::Post, &["batch"]).body(json!({ "operations": operations }))
    }
}

impl Action {
    fn request(self, uuid: &str, attributes: &Attributes) -> Request {
        if let Some(relation) = Relation::of_action(self, attributes) {
            return self.of_relation(relation, uuid, attributes);
        }
        if let Some(shape) = self.association(attributes) {
            let (other, rest) = without(attributes, shape.other());
            let path = [INTERFACES.name, uuid, shape.name, &other];
            return Request::new(Method::Put, &path).body(Value::Object(rest));
        }
        let body = Value::Object(attributes.clone());
        let lease = |verb| Request::new(Method::Put, &[IP_LEASES.name, uuid, verb]);
        match (self, Part::of_action(self)) {
            (Self::AllocateIpLease, _) => {
                Request::new(Method::Post, &[LEASE_POLICIES.name, uuid, IP_LEASES.name]).body(body)
            }
            (Self::AttachIpLease, _) => lease("attach").body(body),
            (_, None) => lease("release").body(body),
            (_, Some(part)) if part.add == self => {
                Request::new(Method::Post, &[part.of.name, uuid, part.shape.name]).body(body)
            }
            (_, Some(part)) => {
                let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                let query = attributes.iter().map(|(name, value)| (name.clone(), text(value)));
                // RFC 9110, section 9.3.5: the content of a DELETE has no meaning of its own.
                Request::new(Method::Delete, &[part.of.name, uuid, part.shape.name]).query(query)
            }
        }
    }

    /// What kind of association of interfaces it changes, if it does.
    fn association(self, attributes: &Attributes) -> Option<&'static Resource> {
        let mut shapes = ASSOCIATIONS.into_iter().filter(|_| self == Self::SetStatic);
        shapes.find(|shape| attributes.contains_key(shape.other()))
    }

    /// The other end is in the path, and everything else in the body.
    fn of_relation(self, relation: &Relation, uuid: &str, attributes: &Attributes) -> Request {
        let (other, attributes) = without(attributes, relation.other());
        let path = [relation.of.name, uuid, relation.shape.name, &other];
        if self == relation.add {
            Request::new(Method::Post, &path).body(Value::Object(attributes))
        } else {
            Request::new(Method::Delete, &path)
        }
    }
}

/// The id of the other end, and the attributes without it.
fn without(attributes: &Attributes, other: &str) -> (String, Attributes) {
    let mut rest = attributes.clone();
    let id = rest.remove(other);
    (id.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned(), rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::NETWORKS;

    #[test]
    fn labels_are_set_and_removed_among_those_that_are_there() {
        let label_changes =
            BTreeMap::from([("a".to_owned(), "2".to_owned()), ("b".to_owned(), String::new())]);
        let mut operation = Operation::Update {
            resource: &NETWORKS,
            uuid: "nw-a".to_owned(),
            attributes: Attributes::new(),
            label_changes,
            if_match: None,
        };
        operation.merge_labels(&json!({ "labels": { "a": "1", "b": "1", "c": "1" }, "revision": 7 }));
        let expected = json!({
            "op": "update", "resource": "networks", "uuid": "nw-a", "if_match": 7,
            "attributes": { "labels": { "a": "2", "c": "1" } },
        });
        assert_eq!(json!(operation), expected);
    }
}
