//! Making a port with one interface as wanted: a tunnel, a guest's device, an uplink.

use std::collections::BTreeMap;

use super::wanted::{Changes, EnsureError, require_none, require_row, some};
use super::{Bridge, Interface, OfPort, Port, TypedRow};
use crate::operation::{Condition, Mutation, Mutator, Operation};
use crate::snapshot::Snapshot;
use crate::value::{Atom, Datum, Row};

/// A port with one interface, as wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortSpec {
    /// Name of the bridge that has it.
    pub bridge: String,
    /// Name of the port and of its interface.
    pub name: String,
    /// The interface's column `type`, as "geneve". Empty is a network device of the system.
    pub kind: String,
    /// Options of the type, as `remote_ip`. Exactly these: another option makes another tunnel.
    pub options: BTreeMap<String, String>,
    /// OpenFlow port number. `None` leaves the column as it is.
    pub ofport_request: Option<OfPort>,
    /// Keys of its forwarding detection wanted, as `enable`. Other keys stay as they are.
    pub bfd: BTreeMap<String, String>,
    /// Keys of the interface wanted, as `iface-id`. Other keys stay as they are.
    pub external_ids: BTreeMap<String, String>,
}

/// The operations that make the port as wanted, taking it from another bridge if need be. `None` if it is.
///
/// # Errors
/// The bridge is not there, the name is that of a bond, of a bond's member or of another bridge's local port, or a row does
/// not read.
pub fn ensure_port(snapshot: &Snapshot, wanted: &PortSpec) -> Result<Option<Vec<Operation>>, EnsureError> {
    let bridge = Bridge::named(snapshot, &wanted.bridge)?
        .ok_or_else(|| EnsureError::NoBridge(wanted.bridge.clone()))?;
    let interface = Interface::named(snapshot, &wanted.name)?;
    match (Port::named(snapshot, &wanted.name)?, interface) {
        (None, None) => Ok(Some(create(&bridge, wanted))),
        (Some(port), Some(interface)) if port.interfaces.iter().eq([&interface.uuid]) => {
            let mut operations = attach(snapshot, &bridge, &port)?;
            operations.extend(changes(&interface, wanted).into_operations());
            Ok(some(operations))
        }
        _ => Err(EnsureError::Taken(wanted.name.clone())),
    }
}

/// The operations that take the port from the bridge. `None` if the bridge does not have it.
///
/// # Errors
/// A row does not read.
pub fn remove_port(
    snapshot: &Snapshot,
    bridge: &str,
    name: &str,
) -> Result<Option<Vec<Operation>>, EnsureError> {
    let Some(bridge) = Bridge::named(snapshot, bridge)? else { return Ok(None) };
    let port = Port::named(snapshot, name)?.filter(|port| bridge.ports.contains(&port.uuid));
    // The port's row, and its interface's, go away with the last reference to them (RFC 7047, section 3.2).
    Ok(port.map(|port| detach(&bridge, &port)))
}

fn create(bridge: &Bridge, wanted: &PortSpec) -> Vec<Operation> {
    let mut interface = Row::new()
        .with("name", wanted.name.as_str())
        .with("type", wanted.kind.as_str())
        .with("options", &wanted.options)
        .with("bfd", &wanted.bfd)
        .with("external_ids", &wanted.external_ids);
    if let Some(number) = wanted.ofport_request {
        interface = interface.with("ofport_request", i64::from(number.0));
    }
    let port = Row::new().with("name", wanted.name.as_str()).with("interfaces", Atom::named("interface"));
    let mut addition = Changes::of(Bridge::TABLE, bridge.uuid, &bridge.name);
    addition.element("ports", Atom::named("port"));
    let mut operations = vec![
        require_none(Port::TABLE, &wanted.name),
        Operation::insert_named(Interface::TABLE, "interface", interface),
        Operation::insert_named(Port::TABLE, "port", port),
    ];
    operations.extend(addition.into_operations());
    operations
}

fn changes(interface: &Interface, wanted: &PortSpec) -> Changes {
    let mut changes = Changes::of(Interface::TABLE, interface.uuid, &interface.name);
    changes.column("type", &interface.kind.as_str().into(), wanted.kind.as_str().into());
    changes.column("options", &Datum::from(&interface.options), Datum::from(&wanted.options));
    if let Some(wanted) = wanted.ofport_request {
        let is = interface.ofport_request.map(|is| i64::from(is.0));
        changes.column("ofport_request", &is.into(), i64::from(wanted.0).into());
    }
    changes.keys("bfd", &interface.bfd, &wanted.bfd);
    changes.keys("external_ids", &interface.external_ids, &wanted.external_ids);
    changes
}

/// Moves a port that exists to `bridge`. A bridge's local port stays where it is.
fn attach(snapshot: &Snapshot, bridge: &Bridge, port: &Port) -> Result<Vec<Operation>, EnsureError> {
    if bridge.ports.contains(&port.uuid) {
        return Ok(Vec::new());
    }
    let mut operations = match port.bridge(snapshot)? {
        Some(holder) if holder.name == port.name => return Err(EnsureError::Taken(port.name.clone())),
        Some(holder) => detach(&holder, port),
        None => Vec::new(),
    };
    let mut addition = Changes::of(Bridge::TABLE, bridge.uuid, &bridge.name);
    addition.element("ports", port.uuid);
    operations.extend(addition.into_operations());
    Ok(operations)
}

fn detach(bridge: &Bridge, port: &Port) -> Vec<Operation> {
    let removal = Mutation::new("ports", Mutator::Delete, port.uuid);
    vec![
        require_row(Port::TABLE, port.uuid, &port.name),
        Operation::mutate(Bridge::TABLE, vec![Condition::row(bridge.uuid)], vec![removal]),
    ]
}
