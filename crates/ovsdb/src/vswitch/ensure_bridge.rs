//! Making a bridge as wanted, local port included.

use std::collections::{BTreeMap, BTreeSet};

use super::wanted::{Changes, EnsureError, require_none, require_row, some};
use super::{Bridge, FailMode, Interface, OpenVswitch, Port, TypedRow};
use crate::operation::{Condition, Mutation, Mutator, Operation};
use crate::snapshot::Snapshot;
use crate::value::{Atom, Datum, Row};

/// A bridge as wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BridgeSpec {
    /// Name, also of the local port.
    pub name: String,
    /// `system` or `netdev`.
    pub datapath_type: String,
    /// What the bridge does without a controller.
    pub fail_mode: FailMode,
    /// OpenFlow versions allowed, as "OpenFlow15". Exactly these; empty means the default ones.
    pub protocols: BTreeSet<String>,
    /// Keys wanted, as `datapath-id`, `hwaddr` or `disable-in-band`. Other keys stay as they are.
    pub other_config: BTreeMap<String, String>,
    /// Keys wanted. Other keys stay as they are.
    pub external_ids: BTreeMap<String, String>,
}

impl BridgeSpec {
    /// A bridge that sets up no flows on its own, with the default protocols.
    #[must_use]
    pub fn secure(name: &str, datapath_type: &str) -> Self {
        Self {
            name: name.to_owned(),
            datapath_type: datapath_type.to_owned(),
            fail_mode: FailMode::Secure,
            protocols: BTreeSet::new(),
            other_config: BTreeMap::new(),
            external_ids: BTreeMap::new(),
        }
    }
}

/// The operations that make the bridge as wanted. `None` if it is.
///
/// # Errors
/// The database is not initialized, the name is that of another port, or a row does not read.
pub fn ensure_bridge(
    snapshot: &Snapshot,
    wanted: &BridgeSpec,
) -> Result<Option<Vec<Operation>>, EnsureError> {
    let root = OpenVswitch::root(snapshot)?.ok_or(EnsureError::NotInitialized)?;
    let bridge = Bridge::named(snapshot, &wanted.name)?;
    let local_port = Port::named(snapshot, &wanted.name)?;
    match (bridge, local_port) {
        (Some(bridge), Some(port)) if bridge.ports.contains(&port.uuid) => {
            let mut operations = changes(&bridge, wanted).into_operations();
            operations.extend(repair_local_interface(snapshot, &port)?);
            Ok(some(operations))
        }
        (_, Some(_)) => Err(EnsureError::Taken(wanted.name.clone())),
        (Some(bridge), None) => {
            let mut changes = changes(&bridge, wanted);
            changes.element("ports", Atom::named("port"));
            Ok(some([insert_local_port(&wanted.name), changes.into_operations()].concat()))
        }
        (None, None) => Ok(Some(create(&root, wanted))),
    }
}

/// The operations that remove the bridge with its ports. `None` if it is not there.
///
/// # Errors
/// The database is not initialized, or a row does not read.
pub fn remove_bridge(snapshot: &Snapshot, name: &str) -> Result<Option<Vec<Operation>>, EnsureError> {
    let root = OpenVswitch::root(snapshot)?.ok_or(EnsureError::NotInitialized)?;
    // The bridge's row, and its ports' and interfaces', go away with the last reference to them (RFC 7047, section 3.2).
    Ok(Bridge::named(snapshot, name)?.map(|bridge| {
        let removal = Mutation::new("bridges", Mutator::Delete, bridge.uuid);
        let root = vec![Condition::row(root.uuid)];
        vec![
            require_row(Bridge::TABLE, bridge.uuid, name),
            Operation::mutate(OpenVswitch::TABLE, root, vec![removal]),
        ]
    }))
}

fn changes(bridge: &Bridge, wanted: &BridgeSpec) -> Changes {
    let mut changes = Changes::of(Bridge::TABLE, bridge.uuid, &bridge.name);
    let (datapath_type, fail_mode) = (bridge.datapath_type.as_str(), bridge.fail_mode.map(FailMode::as_str));
    changes.column("datapath_type", &datapath_type.into(), wanted.datapath_type.as_str().into());
    changes.column("fail_mode", &fail_mode.into(), wanted.fail_mode.as_str().into());
    changes.column("protocols", &Datum::from(&bridge.protocols), Datum::from(&wanted.protocols));
    changes.keys("other_config", &bridge.other_config, &wanted.other_config);
    changes.keys("external_ids", &bridge.external_ids, &wanted.external_ids);
    changes
}

fn create(root: &OpenVswitch, wanted: &BridgeSpec) -> Vec<Operation> {
    let bridge = Row::new()
        .with("name", wanted.name.as_str())
        .with("datapath_type", wanted.datapath_type.as_str())
        .with("fail_mode", wanted.fail_mode.as_str())
        .with("protocols", &wanted.protocols)
        .with("other_config", &wanted.other_config)
        .with("external_ids", &wanted.external_ids)
        .with("ports", Atom::named("port"));
    let addition = Mutation::new("bridges", Mutator::Insert, Atom::named("bridge"));
    let mut operations = vec![require_none(Bridge::TABLE, &wanted.name)];
    operations.extend(insert_local_port(&wanted.name));
    operations.push(Operation::insert_named(Bridge::TABLE, "bridge", bridge));
    operations.push(Operation::mutate(OpenVswitch::TABLE, vec![Condition::row(root.uuid)], vec![addition]));
    operations
}

/// Inserts the local port, as "port". A bridge always has a port and an internal interface of its own name, and
/// `ovs-vsctl(8)` counts on them.
fn insert_local_port(name: &str) -> Vec<Operation> {
    let interface = Row::new().with("name", name).with("type", "internal");
    let port = Row::new().with("name", name).with("interfaces", Atom::named("interface"));
    vec![
        require_none(Port::TABLE, name),
        Operation::insert_named(Interface::TABLE, "interface", interface),
        Operation::insert_named(Port::TABLE, "port", port),
    ]
}

fn repair_local_interface(snapshot: &Snapshot, port: &Port) -> Result<Vec<Operation>, EnsureError> {
    let interface =
        Interface::named(snapshot, &port.name)?.filter(|found| port.interfaces.contains(&found.uuid));
    let interface = interface.ok_or_else(|| EnsureError::Taken(port.name.clone()))?;
    let mut changes = Changes::of(Interface::TABLE, interface.uuid, &interface.name);
    changes.column("type", &interface.kind.into(), "internal".into());
    Ok(changes.into_operations())
}
