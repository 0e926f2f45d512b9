//! Plans: from what is wanted and what exists to what is to be done. Pure.
//!
//! # Order
//! First those deletions that make room: interfaces and leases give their addresses and ports back. Then what is made
//! or changed, what is referred to coming first. Last the deletions of what others were in: a network goes when its
//! interfaces have moved, since deleting it takes their leases along.
//!
//! # Guards
//! A change of an object carries the revision at which it was read. A lease whose interface or MAC lease changes in
//! the same plan goes without: the earlier step moves it, and with it its revision.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::{Value, json};

use super::document::Wanted;
use super::title;
use crate::operation::{Attributes, Operation};
use crate::resource::{INTERFACES, IP_LEASES, Kind, MAC_LEASES, RESOURCES, Resource, Rows};

/// What may be deleted when no file describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Prune {
    /// Only objects that have all of these labels; not empty.
    pub(crate) labels: BTreeMap<String, String>,
}

impl Prune {
    /// The labels as filters of lists.
    pub(crate) fn filters(&self) -> Vec<(String, String)> {
        self.labels.iter().map(|(name, value)| ("label".to_owned(), format!("{name}={value}"))).collect()
    }

    fn covers(&self, object: &Value) -> bool {
        let label = |name| object.get("labels").and_then(|labels| labels.get(name)).and_then(Value::as_str);
        self.labels.iter().all(|(name, value)| label(name) == Some(value))
    }
}

/// Objects by collection and id.
#[derive(Debug, Default)]
pub(crate) struct Existing(BTreeMap<(&'static str, String), Value>);

impl Existing {
    /// Takes in objects that were read.
    pub(crate) fn add(&mut self, resource: &'static Resource, objects: Vec<Value>) {
        let named =
            objects.into_iter().filter_map(|object| Some((text(&object, "uuid")?.to_owned(), object)));
        self.0.extend(named.map(|(uuid, object)| ((resource.name, uuid), object)));
    }

    fn get(&self, resource: &Resource, uuid: &str) -> Option<&Value> {
        self.0.get(&(resource.name, uuid.to_owned()))
    }
}

/// What is to be done, in order.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    changes: Vec<Step>,
    unchanged: Vec<Step>,
}

/// One object of a plan.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Step {
    operation: Operation,
    uuid: String,
    differences: Vec<Difference>,
    /// The file that describes the object; none for one that is pruned.
    file: Option<String>,
}

/// An attribute that is not as it is wanted.
#[derive(Clone, Debug, PartialEq)]
struct Difference {
    attribute: String,
    from: Value,
    to: Value,
}

impl Plan {
    /// Compares what is wanted with what exists.
    pub(crate) fn new(wanted: &[Wanted], existing: &Existing, prune: Option<&Prune>) -> Self {
        let mut ordered: Vec<_> = wanted.iter().collect();
        ordered.sort_by_key(|wanted| wanted.resource.rank());
        let steps =
            ordered.into_iter().map(|wanted| Step::new(wanted, existing.get(wanted.resource, &wanted.uuid)));
        let (mut changed, unchanged): (Vec<_>, Vec<_>) = steps.partition(Step::changes_something);
        unguard_moved_leases(&mut changed, existing);
        let (first, last) = prune.map(|prune| deletions(wanted, existing, prune)).unwrap_or_default();
        Self { changes: first.into_iter().chain(changed).chain(last).collect(), unchanged }
    }

    /// What changes, in order.
    pub(crate) fn changes(&self) -> impl Iterator<Item = &Step> {
        self.changes.iter()
    }

    /// How many objects are as they are wanted.
    pub(crate) fn unchanged(&self) -> usize {
        self.unchanged.len()
    }

    /// What changes, as members of a batch.
    pub(crate) fn operations(&self) -> Vec<Operation> {
        self.changes.iter().map(|step| step.operation.clone()).collect()
    }

    /// What does not change, as members of a batch that changes nothing.
    pub(crate) fn repetitions(&self) -> Vec<Operation> {
        self.unchanged.iter().map(|step| step.operation.clone()).collect()
    }

    /// The object of a member of the batch, as errors call it.
    pub(crate) fn step(&self, index: usize) -> Option<String> {
        let step = self.changes.get(index)?;
        let object = title(step.operation.resource(), &step.uuid);
        Some(step.file.as_ref().map_or(object.clone(), |file| format!("{file}: {object}")))
    }
}

impl Step {
    fn new(wanted: &Wanted, existing: Option<&Value>) -> Self {
        let Wanted { file, resource, uuid, attributes } = wanted;
        let differences = existing.map(|object| differences(wanted, object)).unwrap_or_default();
        let operation = match existing {
            None => {
                let mut attributes = attributes.clone();
                attributes.insert("uuid".to_owned(), Value::from(uuid.as_str()));
                Operation::Create { resource, attributes }
            }
            Some(object) => Operation::Update {
                resource,
                uuid: uuid.clone(),
                attributes: differences
                    .iter()
                    .map(|of| (of.attribute.clone(), of.to.clone()))
                    .collect::<Attributes>(),
                label_changes: BTreeMap::new(),
                if_match: object.get("revision").and_then(Value::as_u64),
            },
        };
        Self { operation, uuid: uuid.clone(), differences, file: Some(file.clone()) }
    }

    fn deletion(resource: &'static Resource, object: &Value) -> Option<Self> {
        let uuid = text(object, "uuid")?.to_owned();
        let if_match = object.get("revision").and_then(Value::as_u64);
        let operation = Operation::Delete { resource, uuid: uuid.clone(), if_match };
        Some(Self { operation, uuid, differences: Vec::new(), file: None })
    }

    fn changes_something(&self) -> bool {
        !matches!(self.operation, Operation::Update { .. }) || !self.differences.is_empty()
    }

    /// What is done, as a participle.
    pub(crate) fn verb(&self) -> &'static str {
        match self.operation {
            Operation::Create { .. } => "created",
            Operation::Delete { .. } => "deleted",
            Operation::Update { .. } | Operation::Act { .. } => "changed",
        }
    }

    /// The step for programs.
    pub(crate) fn document(&self) -> Value {
        let difference = |of: &Difference| json!({ "attribute": of.attribute, "from": of.from, "to": of.to });
        let differences: Vec<_> = self.differences.iter().map(difference).collect();
        json!({
            "change": self.verb(), "resource": self.operation.resource(), "uuid": self.uuid,
            "differences": differences,
        })
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match self.operation {
            Operation::Create { .. } => '+',
            Operation::Delete { .. } => '-',
            Operation::Update { .. } | Operation::Act { .. } => '~',
        };
        write!(f, "{sign} {}", title(self.operation.resource(), &self.uuid))?;
        for (index, Difference { attribute, from, to }) in self.differences.iter().enumerate() {
            let separator = if index == 0 { ':' } else { ',' };
            match self.operation.resource().attribute(attribute) {
                Some(of) if of.kind == Kind::Secret => write!(f, "{separator} {attribute}")?,
                _ => write!(f, "{separator} {attribute} {from} → {to}")?,
            }
        }
        Ok(())
    }
}

/// The attributes of an object that are not as they are wanted. Those that are not spoken of may be as they like.
fn differences(wanted: &Wanted, object: &Value) -> Vec<Difference> {
    let difference = |(name, to): (&String, &Value)| {
        let attribute = wanted.resource.attribute(name);
        let shown = object.get(attribute.map_or(name.as_str(), |attribute| attribute.shown_as));
        let same = match (attribute, Rows::named(wanted.resource, name)) {
            (_, Some(rows)) => rows.same(to, shown),
            (Some(attribute), None) => attribute.same(to, shown),
            // Labels: all of them, or they would never go away.
            (None, None) => shown == Some(to),
        };
        let from = shown.cloned().unwrap_or_default();
        (!same).then(|| Difference { attribute: name.clone(), from, to: to.clone() })
    };
    wanted.attributes.iter().filter_map(difference).collect()
}

fn unguard_moved_leases(steps: &mut [Step], existing: &Existing) {
    let moving: BTreeSet<String> = steps.iter().map(|step| step.uuid.clone()).collect();
    for step in steps {
        let Operation::Update { resource, uuid, if_match, .. } = &mut step.operation else { continue };
        let object = existing.get(resource, uuid).unwrap_or(&Value::Null);
        let holders = ["interface_uuid", "mac_lease_uuid"].into_iter().filter_map(|name| text(object, name));
        if holders.into_iter().any(|holder| moving.contains(holder)) {
            *if_match = None;
        }
    }
}

/// What is pruned: what makes room first, and what others were in last.
fn deletions(wanted: &[Wanted], existing: &Existing, prune: &Prune) -> (Vec<Step>, Vec<Step>) {
    let kept: BTreeMap<_, _> =
        wanted.iter().map(|wanted| ((wanted.resource.name, wanted.uuid.as_str()), wanted)).collect();
    let doomed = |resource: &Resource, object: &Value| {
        let uuid = text(object, "uuid").unwrap_or_default();
        prune.covers(object) && !kept.contains_key(&(resource.name, uuid))
    };
    let with_interface = |resource: &Resource, lease: &Value| {
        let Some(interface) = text(lease, "interface_uuid") else { return false };
        match kept.get(&(INTERFACES.name, interface)) {
            // The interface's own attribute stands for it.
            Some(wanted) => stands_for(wanted, existing, resource, lease),
            // It goes along with its interface.
            None => existing.get(&INTERFACES, interface).is_some_and(|object| doomed(&INTERFACES, object)),
        }
    };
    let of = |resource: &'static Resource| {
        let objects =
            existing.0.iter().filter(|((name, _), _)| *name == resource.name).map(|(_, object)| object);
        let objects = objects.filter(|object| doomed(resource, object) && !with_interface(resource, object));
        objects.filter_map(|object| Step::deletion(resource, object)).collect::<Vec<_>>()
    };
    let makes_room = |resource: &&'static Resource| [&INTERFACES, &MAC_LEASES, &IP_LEASES].contains(resource);
    let (first, last): (Vec<&'static Resource>, Vec<_>) = RESOURCES.into_iter().rev().partition(makes_room);
    (first.into_iter().flat_map(of).collect(), last.into_iter().flat_map(of).collect())
}

/// Whether the interface, as it is wanted, speaks of this lease by an attribute of its own.
fn stands_for(wanted: &Wanted, existing: &Existing, resource: &Resource, lease: &Value) -> bool {
    let attributes: &[&str] =
        if *resource == MAC_LEASES { &["mac_address"] } else { &["ipv4_address", "ipv6_address"] };
    let Some(interface) = existing.get(&INTERFACES, &wanted.uuid) else { return false };
    attributes.iter().any(|name| {
        let leased = text(lease, name);
        wanted.attributes.contains_key(*name) && leased.is_some() && leased == text(interface, name)
    })
}

fn text<'a>(object: &'a Value, attribute: &str) -> Option<&'a str> {
    object.get(attribute).and_then(Value::as_str)
}

#[cfg(test)]
mod tests;
