//! The table `Open_vSwitch`: the root, one row.

use std::collections::{BTreeMap, BTreeSet};

use super::columns::{Columns, RowError};
use super::{ConfigSequence, TypedRow};
use crate::snapshot::Snapshot;
use crate::value::Uuid;

/// The switch as a whole: `ovs-vswitchd.conf.db(5)`, "Open_vSwitch TABLE".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenVswitch {
    /// The row.
    pub uuid: Uuid,
    /// Version of Open vSwitch, as "3.1.0". Written by the script that starts the switch, not by `ovs-vswitchd`.
    pub ovs_version: Option<String>,
    /// Keys of other systems, as `system-id`.
    pub external_ids: BTreeMap<String, String>,
    /// Configuration of rarely used features.
    pub other_config: BTreeMap<String, String>,
    /// The configuration asked for by clients.
    pub next_cfg: ConfigSequence,
    /// The configuration that `ovs-vswitchd` has put into effect.
    pub cur_cfg: ConfigSequence,
    /// What [`super::Bridge::datapath_type`] may be.
    pub datapath_types: BTreeSet<String>,
    /// What [`super::Interface::kind`] may be.
    pub iface_types: BTreeSet<String>,
    /// The bridges.
    pub bridges: BTreeSet<Uuid>,
}

impl OpenVswitch {
    /// The root row. `None` in a database that nobody has initialized.
    ///
    /// # Errors
    /// The row does not read.
    pub fn root(snapshot: &Snapshot) -> Result<Option<Self>, RowError> {
        super::rows(snapshot).next().transpose()
    }
}

impl TypedRow for OpenVswitch {
    const TABLE: &'static str = "Open_vSwitch";
    const COLUMNS: &'static [&'static str] = &[
        "ovs_version",
        "external_ids",
        "other_config",
        "next_cfg",
        "cur_cfg",
        "datapath_types",
        "iface_types",
        "bridges",
    ];

    fn read(columns: &Columns<'_>) -> Result<Self, RowError> {
        Ok(Self {
            uuid: columns.uuid,
            ovs_version: columns.optional_string("ovs_version")?,
            external_ids: columns.string_map("external_ids")?,
            other_config: columns.string_map("other_config")?,
            next_cfg: ConfigSequence(columns.integer("next_cfg")?),
            cur_cfg: ConfigSequence(columns.integer("cur_cfg")?),
            datapath_types: columns.strings("datapath_types")?,
            iface_types: columns.strings("iface_types")?,
            bridges: columns.uuids("bridges")?,
        })
    }
}
