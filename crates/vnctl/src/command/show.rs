//! Showing objects and lists of them.

use serde_json::Value;

use super::{Query, Session};
use crate::client::Answer;
use crate::error::Error;
use crate::output::Format;
use crate::resource::{Column, Nested, Resource};

impl Session<'_> {
    /// Shows objects in full, once they are active if the user wishes to wait.
    pub(super) fn show(&mut self, resource: &Resource, uuids: &[String]) -> Result<(), Error> {
        let look = |uuid: &String| self.client.look(&[resource.name, uuid]);
        let answers = uuids.iter().map(look).collect::<Result<Vec<_>, _>>()?;
        let objects: Vec<_> = answers.iter().map(|answer| answer.body.clone()).collect();
        self.show_objects(&objects)?;
        answers.iter().try_for_each(Answer::active)
    }

    /// Shows what `collection` has under these ids.
    pub(super) fn show_all(&mut self, collection: &str, ids: &[String]) -> Result<(), Error> {
        let objects: Vec<Value> =
            ids.iter().map(|id| self.client.get(&[collection, id])).collect::<Result<_, _>>()?;
        self.show_objects(&objects)
    }

    fn show_objects(&mut self, objects: &[Value]) -> Result<(), Error> {
        match (objects, self.format) {
            ([one], format) => format.object(self.out, one),
            (several, Format::Table) => self.show_tables(several),
            (several, format) => format.list(self.out, several, &[]),
        }
    }

    fn show_tables(&mut self, objects: &[Value]) -> Result<(), Error> {
        for (index, object) in objects.iter().enumerate() {
            if index > 0 {
                writeln!(self.out)?;
            }
            self.format.object(self.out, object)?;
        }
        Ok(())
    }

    /// Lists objects.
    pub(super) fn list(&mut self, resource: &Resource, query: &Query) -> Result<(), Error> {
        let items = self.client.list(&[resource.name], &query.filters, query.offset, query.limit)?;
        self.format.list(self.out, &items, resource.columns)
    }

    /// Lists what is under the path of an object: its parts, relations or members.
    pub(super) fn list_under(
        &mut self,
        [collection, name]: [&str; 2],
        uuid: &str,
        query: &Query,
        columns: &[Column],
    ) -> Result<(), Error> {
        let path = [collection, uuid, name];
        let items = self.client.list(&path, &query.filters, query.offset, query.limit)?;
        self.format.list(self.out, &items, columns)
    }

    /// Shows some of those that belong to an object in full.
    pub(super) fn show_members(
        &mut self,
        nested: &Nested,
        uuid: &str,
        members: &[String],
    ) -> Result<(), Error> {
        let path = |member| [nested.of.name, uuid, nested.member.name, member];
        let objects: Vec<Value> =
            members.iter().map(|member| self.client.get(&path(member))).collect::<Result<_, _>>()?;
        self.show_objects(&objects)
    }
}
