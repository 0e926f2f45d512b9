//! The table `Port`.

use std::collections::{BTreeMap, BTreeSet};

use super::columns::{Columns, RowError};
use super::{Bridge, TypedRow};
use crate::snapshot::Snapshot;
use crate::value::Uuid;

/// A port of a bridge: `ovs-vswitchd.conf.db(5)`, "Port TABLE".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// The row.
    pub uuid: Uuid,
    /// Name; that of its interface, unless it is a bond.
    pub name: String,
    /// The interfaces: one, or several for a bond.
    pub interfaces: BTreeSet<Uuid>,
    /// VLAN of an access port, 0 to 4095.
    pub tag: Option<u16>,
    /// Keys of other systems.
    pub external_ids: BTreeMap<String, String>,
}

impl Port {
    /// The port with this name.
    ///
    /// # Errors
    /// The row does not read.
    pub fn named(snapshot: &Snapshot, name: &str) -> Result<Option<Self>, RowError> {
        super::row_named(snapshot, name)
    }

    /// The bridge that has this port.
    ///
    /// # Errors
    /// A row does not read.
    pub fn bridge(&self, snapshot: &Snapshot) -> Result<Option<Bridge>, RowError> {
        let mut holders = super::rows::<Bridge>(snapshot)
            .filter(|bridge| bridge.as_ref().map_or(true, |bridge| bridge.ports.contains(&self.uuid)));
        holders.next().transpose()
    }
}

impl TypedRow for Port {
    const TABLE: &'static str = "Port";
    const COLUMNS: &'static [&'static str] = &["name", "interfaces", "tag", "external_ids"];

    fn read(columns: &Columns<'_>) -> Result<Self, RowError> {
        let tag = columns.optional_integer("tag")?.map(u16::try_from).transpose();
        Ok(Self {
            uuid: columns.uuid,
            name: columns.string("name")?,
            interfaces: columns.uuids("interfaces")?,
            tag: tag.map_err(|_| columns.error("tag", "a VLAN"))?,
            external_ids: columns.string_map("external_ids")?,
        })
    }
}
