//! Programs: what a switch shall hold, and the difference between two of them.

use std::collections::BTreeMap;

use openflow::{Flow, Group, GroupId, Match, TableId};

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

/// Flows and groups by what makes them the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Program {
    /// The flows.
    pub flows: BTreeMap<FlowKey, Flow>,
    /// The groups.
    pub groups: BTreeMap<GroupId, Group>,
}

/// What turns one program into another. In a switch: groups in, then flows in and out, then groups out, so that no
/// flow names a group that is not there.
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
}

impl Delta {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// How many flows and groups it touches.
    pub fn len(&self) -> usize {
        self.put_flows.len()
            + self.delete_flows.len()
            + self.add_groups.len()
            + self.modify_groups.len()
            + self.delete_groups.len()
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
        delta.delete_flows.extend(self.flows.keys().filter(|key| !wanted.flows.contains_key(key)).cloned());
        for (id, group) in &wanted.groups {
            match self.groups.get(id) {
                None => delta.add_groups.push(group.clone()),
                Some(old) if old != group => delta.modify_groups.push(group.clone()),
                Some(_) => {}
            }
        }
        delta.delete_groups.extend(self.groups.keys().filter(|id| !wanted.groups.contains_key(id)).copied());
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
    }
}
