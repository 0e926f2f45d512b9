//! Showing objects and lists of them.

use serde_json::Value;

use super::{Query, Session};
use crate::error::Error;
use crate::output::Format;
use crate::resource::{Part, Resource};

impl Session<'_> {
    /// Shows objects in full.
    pub(super) fn show(&mut self, resource: &Resource, uuids: &[String]) -> Result<(), Error> {
        self.show_all(resource.name, uuids)
    }

    /// Shows what `collection` has under these ids.
    pub(super) fn show_all(&mut self, collection: &str, ids: &[String]) -> Result<(), Error> {
        let objects: Vec<Value> =
            ids.iter().map(|id| self.client.get(&[collection, id])).collect::<Result<_, _>>()?;
        match (objects.as_slice(), self.format) {
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

    /// Lists the parts of an object.
    pub(super) fn parts(&mut self, part: &Part, uuid: &str) -> Result<(), Error> {
        let items = self.client.list(&[part.of.name, uuid, part.shape.name], &[], 0, None)?;
        self.format.list(self.out, &items, part.shape.columns)
    }
}
