//! The table `Interface`.

use std::collections::BTreeMap;
use std::fmt;

use super::TypedRow;
use super::columns::{Columns, RowError};
use crate::snapshot::Snapshot;
use crate::value::Uuid;

/// An interface of a port: `ovs-vswitchd.conf.db(5)`, "Interface TABLE".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// The row.
    pub uuid: Uuid,
    /// Name, also of the network device where it has one.
    pub name: String,
    /// The column `type`, as "internal" or "geneve". Empty is a network device of the system.
    pub kind: String,
    /// Options of the type, as `remote_ip`.
    pub options: BTreeMap<String, String>,
    /// OpenFlow port number in use. Absent until `ovs-vswitchd` has made the interface, and if it could not: then `error`
    /// says why.
    pub ofport: Option<OfPort>,
    /// OpenFlow port number wanted.
    pub ofport_request: Option<OfPort>,
    /// Keys of other systems, as `iface-id`.
    pub external_ids: BTreeMap<String, String>,
    /// Whether the device is set up.
    pub admin_state: Option<LinkState>,
    /// Whether there is carrier.
    pub link_state: Option<LinkState>,
    /// Ethernet address, as "aa:bb:cc:dd:ee:ff".
    pub mac_in_use: Option<String>,
    /// Largest packet without Ethernet header, in bytes.
    pub mtu: Option<u32>,
    /// Why `ovs-vswitchd` could not make the interface.
    pub error: Option<String>,
    /// Configuration of bidirectional forwarding detection, as `enable`.
    pub bfd: BTreeMap<String, String>,
    /// What that has found, as `forwarding`.
    pub bfd_status: BTreeMap<String, String>,
    /// Counters by name, as `rx_packets`. Empty unless monitored.
    pub statistics: BTreeMap<String, i64>,
}

/// An OpenFlow port number. `ovs-vswitchd` gives 1 to 65279 to ports, and 65534 to a bridge's local port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OfPort(pub u16);

impl fmt::Display for OfPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// State of a device or its carrier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkState {
    /// Up.
    Up,
    /// Down.
    Down,
}

impl Interface {
    /// The interface with this name.
    ///
    /// # Errors
    /// The row does not read.
    pub fn named(snapshot: &Snapshot, name: &str) -> Result<Option<Self>, RowError> {
        super::row_named(snapshot, name)
    }
}

impl TypedRow for Interface {
    const TABLE: &'static str = "Interface";
    const COLUMNS: &'static [&'static str] = &[
        "name",
        "type",
        "options",
        "ofport",
        "ofport_request",
        "external_ids",
        "admin_state",
        "link_state",
        "mac_in_use",
        "mtu",
        "error",
        "bfd",
        "bfd_status",
    ];

    fn read(columns: &Columns<'_>) -> Result<Self, RowError> {
        let mtu = columns.optional_integer("mtu")?.map(u32::try_from).transpose();
        Ok(Self {
            uuid: columns.uuid,
            name: columns.string("name")?,
            kind: columns.string("type")?,
            options: columns.string_map("options")?,
            ofport: of_port(columns, "ofport")?,
            ofport_request: of_port(columns, "ofport_request")?,
            external_ids: columns.string_map("external_ids")?,
            admin_state: link_state(columns, "admin_state")?,
            link_state: link_state(columns, "link_state")?,
            mac_in_use: columns.optional_string("mac_in_use")?,
            mtu: mtu.map_err(|_| columns.error("mtu", "a size"))?,
            error: columns.optional_string("error")?,
            bfd: columns.string_map("bfd")?,
            bfd_status: columns.string_map("bfd_status")?,
            statistics: columns.integer_map("statistics")?,
        })
    }
}

fn of_port(columns: &Columns<'_>, column: &'static str) -> Result<Option<OfPort>, RowError> {
    match columns.optional_integer(column)? {
        // "-1 if the interface could not be added": `ovs-vswitchd.conf.db(5)`, column ofport.
        None | Some(-1) => Ok(None),
        Some(number) => match u16::try_from(number) {
            Ok(number) => Ok(Some(OfPort(number))),
            Err(_) => Err(columns.error(column, "a port number")),
        },
    }
}

fn link_state(columns: &Columns<'_>, column: &'static str) -> Result<Option<LinkState>, RowError> {
    match columns.optional_string(column)?.as_deref() {
        None => Ok(None),
        Some("up") => Ok(Some(LinkState::Up)),
        Some("down") => Ok(Some(LinkState::Down)),
        Some(_) => Err(columns.error(column, "up or down")),
    }
}
