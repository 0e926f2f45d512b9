//! Keeps the bridge, its tunnel ports and its monitors as wanted, through the switch's database.

use std::sync::Arc;
use std::time::Duration;

use ovsdb::vswitch::{self, EnsureError, Interface, TypedRow};
use ovsdb::{Operation, Snapshot};
use tokio::sync::watch;
use topology::NodeId;
use tracing::{info, warn};

use crate::host::{self, HostView, Wanted};
use crate::monitors;
use crate::reader::Reader;
use crate::replace_if_new;
use crate::settings::Settings;

/// How long the switch may take for what the database asks of it.
const APPLY_LIMIT: Duration = Duration::from_secs(10);

/// Pause after a change that did not work, before it is tried again.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// Keeps the bridge as wanted and tells what it shows, for ever.
pub async fn keep(
    settings: Arc<Settings>,
    node: NodeId,
    database: ovsdb::Replica,
    mut ports: watch::Receiver<Wanted>,
    host: watch::Sender<Arc<HostView>>,
) {
    let mut views = database.watch();
    let mut reader = Reader::default();
    loop {
        let view = views.borrow_and_update().clone();
        let wanted = ports.borrow_and_update().clone();
        if let Some(snapshot) = &view.snapshot {
            let shown = reader.read(snapshot, &settings.bridge);
            replace_if_new(&host, Arc::new(shown.clone()));
            let repaired = match repair(snapshot, shown, &settings, &node, &wanted) {
                Ok(None) => Ok(()),
                Ok(Some(operations)) if view.client.is_some() => {
                    info!(bridge = settings.bridge, operations = operations.len(), "changing the bridge");
                    let applied = vswitch::apply(&database, operations, APPLY_LIMIT).await;
                    applied.map(drop).map_err(|error| error.to_string())
                }
                Ok(Some(_)) => Ok(()),
                Err(error) => Err(error.to_string()),
            };
            if let Err(error) = repaired {
                warn!(bridge = settings.bridge, error, "the bridge is not as wanted");
                tokio::time::sleep(RETRY_PAUSE).await;
                continue;
            }
        }
        tokio::select! {
            changed = views.changed() => if changed.is_err() { return },
            changed = ports.changed() => if changed.is_err() { return },
        }
    }
}

/// The next operations towards what is wanted, bridge first.
fn repair(
    snapshot: &Snapshot,
    shown: &HostView,
    settings: &Settings,
    node: &NodeId,
    wanted: &Wanted,
) -> Result<Option<Vec<Operation>>, EnsureError> {
    let bridge = vswitch::ensure_bridge(snapshot, &host::wanted_bridge(snapshot, settings, node))?;
    if bridge.is_some() {
        return Ok(bridge);
    }
    let tunnels = wanted.tunnels.needed().iter().map(|of| host::tunnel_port(&settings.bridge, *of));
    let monitor = |(of, path): (&_, &_)| monitors::port(&settings.bridge, *of, *path, wanted.passage);
    let mut changes = Vec::new();
    for port in tunnels.chain(wanted.monitors.iter().map(monitor)) {
        let is_new = snapshot.row_named(Interface::TABLE, &port.name).is_none();
        let port = vswitch::ensure_port(snapshot, &port)?;
        if is_new && port.is_some() {
            return Ok(port);
        }
        changes.extend(port.into_iter().flatten());
    }
    // What all monitors are to say, they say at once: each change is waited for.
    if !changes.is_empty() {
        return Ok(Some(changes));
    }
    for name in shown.stale_ports(wanted) {
        let port = vswitch::remove_port(snapshot, &settings.bridge, name)?;
        if port.is_some() {
            return Ok(port);
        }
    }
    Ok(None)
}
