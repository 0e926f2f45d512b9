//! Changes: one request, whatever their number.

use serde_json::Value;

use super::Session;
use crate::client::Client;
use crate::error::Error;
use crate::operation::Operation;
use crate::resource::{Nested, Part, Relation};

impl Session<'_> {
    /// Makes changes, all of them or none.
    pub(super) fn change(&mut self, mut operations: Vec<Operation>) -> Result<(), Error> {
        operations.iter_mut().try_for_each(|operation| merge_labels(&self.client, operation))?;
        let answer = match operations.as_slice() {
            [one] => self.client.change(one.request())?,
            many => self.client.change(Operation::batch(many))?,
        };
        match operations.as_slice() {
            [one] => self.print_result(one, &answer.body)?,
            many => self.print_deleted(many, &answer.body)?,
        }
        answer.realized()
    }

    /// Deletes objects that belong to another one, after a look whether they do.
    pub(super) fn delete_members(
        &mut self,
        nested: &Nested,
        owner: &str,
        members: Vec<String>,
    ) -> Result<(), Error> {
        for member in &members {
            self.client.get(&[nested.of.name, owner, nested.member.name, member])?;
        }
        let delete = |uuid| Operation::Delete { resource: nested.member, uuid, if_match: None };
        self.change(members.into_iter().map(delete).collect())
    }

    fn print_result(&mut self, operation: &Operation, body: &Value) -> Result<(), Error> {
        let columns = match operation {
            Operation::Act { action, attributes, .. }
                if Relation::of_action(*action, attributes).is_some_and(|of| of.remove == *action) =>
            {
                return self.print_deleted(std::slice::from_ref(operation), body);
            }
            Operation::Delete { .. } => return self.print_deleted(std::slice::from_ref(operation), body),
            Operation::Act { action, .. } if body.get("uuid").is_none() => {
                Part::of_action(*action).map_or(operation.resource(), |part| part.shape).columns
            }
            other => other.resource().columns,
        };
        match body {
            Value::Array(items) => self.format.list(self.out, items, columns),
            object if self.format == crate::output::Format::Table => {
                self.format.list(self.out, std::slice::from_ref(object), columns)
            }
            object => self.format.object(self.out, object),
        }
    }

    fn print_deleted(&mut self, operations: &[Operation], body: &Value) -> Result<(), Error> {
        let deleted = operations.iter().filter_map(|operation| match operation {
            Operation::Delete { uuid, .. } => Some(format!("deleted {uuid}")),
            Operation::Act { action, attributes, .. } => {
                let relation = Relation::of_action(*action, attributes).filter(|of| of.remove == *action)?;
                Some(format!("removed {}", attributes.get(relation.other())?.as_str()?))
            }
            _ => None,
        });
        self.format.outcome(self.out, &deleted.collect::<Vec<_>>().join("\n"), body)
    }
}

/// Reads the labels that an operation changes, where it changes some.
pub(super) fn merge_labels(client: &Client, operation: &mut Operation) -> Result<(), Error> {
    let Some((resource, uuid)) = operation.needs_labels_of() else { return Ok(()) };
    // What is not there yet may be made earlier in the same batch; else the manager will say so.
    let object = client.find(&[resource.name, uuid])?.unwrap_or(Value::Null);
    operation.merge_labels(&object);
    Ok(())
}
