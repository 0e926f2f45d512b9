//! The table `Bridge`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use super::TypedRow;
use super::columns::{Columns, RowError};
use crate::snapshot::Snapshot;
use crate::value::Uuid;

/// A bridge: `ovs-vswitchd.conf.db(5)`, "Bridge TABLE".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bridge {
    /// The row.
    pub uuid: Uuid,
    /// Name, also of the local port.
    pub name: String,
    /// OpenFlow datapath id in use. Absent until `ovs-vswitchd` has made the bridge.
    pub datapath_id: Option<DatapathId>,
    /// `system`, `netdev`, or empty for the default, `system`.
    pub datapath_type: String,
    /// What the bridge does without a controller. Absent means [`FailMode::Standalone`].
    pub fail_mode: Option<FailMode>,
    /// OpenFlow versions allowed, as "OpenFlow15". Empty means the default ones.
    pub protocols: BTreeSet<String>,
    /// The ports.
    pub ports: BTreeSet<Uuid>,
    /// The controllers that the bridge connects to.
    pub controller: BTreeSet<Uuid>,
    /// Configuration of rarely used features, as `datapath-id`.
    pub other_config: BTreeMap<String, String>,
    /// Keys of other systems.
    pub external_ids: BTreeMap<String, String>,
}

/// What a bridge does when it cannot reach its controller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailMode {
    /// It becomes a learning switch.
    Standalone,
    /// It sets up no flows on its own.
    Secure,
}

impl FailMode {
    /// The value of the column.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Standalone => "standalone",
            Self::Secure => "secure",
        }
    }
}

/// An OpenFlow datapath id, written as 16 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DatapathId(pub u64);

/// The text is not 16 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a datapath id of 16 hexadecimal digits")]
pub struct ParseDatapathIdError;

impl FromStr for DatapathId {
    type Err = ParseDatapathIdError;

    fn from_str(text: &str) -> Result<Self, ParseDatapathIdError> {
        let is_hexadecimal = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        u64::from_str_radix(text, 16).ok().filter(|_| is_hexadecimal).map(Self).ok_or(ParseDatapathIdError)
    }
}

impl fmt::Display for DatapathId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl Bridge {
    /// The bridge with this name.
    ///
    /// # Errors
    /// The row does not read.
    pub fn named(snapshot: &Snapshot, name: &str) -> Result<Option<Self>, RowError> {
        super::row_named(snapshot, name)
    }
}

impl TypedRow for Bridge {
    const TABLE: &'static str = "Bridge";
    const COLUMNS: &'static [&'static str] = &[
        "name",
        "datapath_id",
        "datapath_type",
        "fail_mode",
        "protocols",
        "ports",
        "controller",
        "other_config",
        "external_ids",
    ];

    fn read(columns: &Columns<'_>) -> Result<Self, RowError> {
        let datapath_id = columns.optional_string("datapath_id")?.map(|text| text.parse()).transpose();
        let fail_mode = match columns.optional_string("fail_mode")?.as_deref() {
            None => None,
            Some("standalone") => Some(FailMode::Standalone),
            Some("secure") => Some(FailMode::Secure),
            Some(_) => return Err(columns.error("fail_mode", "standalone or secure")),
        };
        Ok(Self {
            uuid: columns.uuid,
            name: columns.string("name")?,
            datapath_id: datapath_id.map_err(|_| columns.error("datapath_id", "a datapath id"))?,
            datapath_type: columns.string("datapath_type")?,
            fail_mode,
            protocols: columns.strings("protocols")?,
            ports: columns.uuids("ports")?,
            controller: columns.uuids("controller")?,
            other_config: columns.string_map("other_config")?,
            external_ids: columns.string_map("external_ids")?,
        })
    }
}
