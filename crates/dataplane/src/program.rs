//! Programs: what a switch shall hold, and the difference between two of them.

use std::collections::BTreeMap;

use openflow::{
    BundleItem, Flow, FlowMod, FlowSelection, Group, GroupId, GroupMod, Match, Meter, MeterId, TableId,
};

/// What makes a flow the same flow (OpenFlow 1.5.1, section 6.4).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlowKey {
    /// Its table.
    pub table: TableId,
    /// Its priority.
    pub priority: u16,
    /// What it applies to.
    pub matching: Match,
}

impl From<&Flow> for FlowKey {
    fn from(flow: &Flow) -> Self {
        Self { table: flow.table, priority: flow.priority, matching: flow.matching.clone() }
    }
}

/// Flows, groups and meters by what makes them the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Program {
    /// The flows.
    pub flows: BTreeMap<FlowKey, Flow>,
    /// The groups.
    pub groups: BTreeMap<GroupId, Group>,
    /// The meters.
    pub meters: BTreeMap<MeterId, Meter>,
}

/// What turns one program into another. In a switch: meters and groups in, then flows in and out, then groups and meters
/// out, so that no flow names one that is not there, and none goes because one goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delta {
    /// Flows that are new, or do something else than before.
    pub put_flows: Vec<Flow>,
    /// Flows that are gone.
    pub delete_flows: Vec<FlowKey>,
    /// Groups that are new.
    pub add_groups: Vec<Group>,
    /// Groups with other buckets than before.
    pub modify_groups: Vec<Group>,
    /// Groups that are gone.
    pub delete_groups: Vec<GroupId>,
    /// Meters that are new.
    pub add_meters: Vec<Meter>,
    /// Meters with another rate than before.
    pub modify_meters: Vec<Meter>,
    /// Meters that are gone.
    pub delete_meters: Vec<MeterId>,
}

impl Delta {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Its flows and groups as a switch takes them, in one bundle. It takes meters by themselves only.
    pub fn items(&self) -> Vec<BundleItem> {
        let delete = |key: &FlowKey| FlowMod::DeleteStrict {
            selection: FlowSelection::within(key.table, key.matching.clone()),
            priority: key.priority,
        };
        let group = |change| BundleItem::Group(change);
        let add = self.add_groups.iter().cloned().map(GroupMod::Add).map(group);
        let modify = self.modify_groups.iter().cloned().map(GroupMod::Modify).map(group);
        let gone = self.delete_groups.iter().copied().map(GroupMod::Delete).map(group);
        let put = self.put_flows.iter().cloned().map(FlowMod::Add).map(BundleItem::Flow);
        let removed = self.delete_flows.iter().map(delete).map(BundleItem::Flow);
        add.chain(modify).chain(put).chain(removed).chain(gone).collect()
    }

    /// How many flows, groups and meters it touches.
    pub fn len(&self) -> usize {
        self.put_flows.len()
            + self.delete_flows.len()
            + self.add_groups.len()
            + self.modify_groups.len()
            + self.delete_groups.len()
            + self.add_meters.len()
            + self.modify_meters.len()
            + self.delete_meters.len()
    }
}

impl Program {
    /// What turns `self` into `wanted`.
    pub fn difference(&self, wanted: &Self) -> Delta {
        let mut delta = Delta::default();
        for (key, flow) in &wanted.flows {
            if self.flows.get(key) != Some(flow) {
                delta.put_flows.push(flow.clone());
            }
        }
        delta.delete_flows.extend(gone(&self.flows, &wanted.flows));
        (delta.add_groups, delta.modify_groups) = put(&self.groups, &wanted.groups);
        delta.delete_groups.extend(gone(&self.groups, &wanted.groups));
        (delta.add_meters, delta.modify_meters) = put(&self.meters, &wanted.meters);
        delta.delete_meters.extend(gone(&self.meters, &wanted.meters));
        delta
    }

    /// Makes the changes of a delta.
    pub fn apply(&mut self, delta: &Delta) {
        for key in &delta.delete_flows {
            self.flows.remove(key);
        }
        self.flows.extend(delta.put_flows.iter().map(|flow| (FlowKey::from(flow), flow.clone())));
        for id in &delta.delete_groups {
            self.groups.remove(id);
        }
        let groups = delta.add_groups.iter().chain(&delta.modify_groups);
        self.groups.extend(groups.map(|group| (group.id, group.clone())));
        for id in &delta.delete_meters {
            self.meters.remove(id);
        }
        let meters = delta.add_meters.iter().chain(&delta.modify_meters);
        self.meters.extend(meters.map(|meter| (meter.id, meter.clone())));
    }
}

/// What is new, and what has changed.
fn put<K: Ord, V: Clone + Eq>(held: &BTreeMap<K, V>, wanted: &BTreeMap<K, V>) -> (Vec<V>, Vec<V>) {
    let (mut new, mut changed) = (Vec::new(), Vec::new());
    for (key, value) in wanted {
        match held.get(key) {
            None => new.push(value.clone()),
            Some(old) if old != value => changed.push(value.clone()),
            Some(_) => {}
        }
    }
    (new, changed)
}

/// What is no longer wanted.
fn gone<K: Ord + Clone, V>(held: &BTreeMap<K, V>, wanted: &BTreeMap<K, V>) -> Vec<K> {
    held.keys().filter(|key| !wanted.contains_key(key)).cloned().collect()
}
