//! What a host's switch should have, worked out from scratch: beside its agent, from the part of the topology that the
//! agent keeps on disk and from the switch's database.

use std::path::Path;
use std::time::Duration;

use dataplane::Compiler;
use lab::{Host, Result, wait_until};
use ovsdb::vswitch;
use tokio::time::timeout;
use topology::Revision;
use vna::reader::Reader;
use vna::switch::Switch;

use crate::api::Head;

/// Time that the switch and its database have for their answers.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// Waits until the host's agent has everything up to `head`, and its switch has exactly the flows and groups that
/// a new compiler makes of it.
pub(crate) fn await_compiled(host: &Host, head: &Head, limit: Duration) -> Result<()> {
    let what = format!("the flows of {} to be those of {head:?}", host.name());
    let (database, state) = (host.switch().database_socket(), host.vna().state_dir());
    wait_until(what, limit, || {
        let look = || {
            // On this thread alone: one that has entered a lab must not start others.
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let compared = compare(&database, &state, head);
            runtime
                .map_err(|error| error.to_string())?
                .block_on(async { timeout(ANSWER_LIMIT, compared).await })
                .unwrap_or_else(|_| Err("no answer".to_owned()))
        };
        host.within(look).map_err(|error| error.to_string())?
    })
}

async fn compare(database: &str, state: &Path, head: &Head) -> Result<(), String> {
    let replica = sync::Replica::load(&state.join("replica")).map_err(|error| error.to_string())?;
    let now = replica.topology.revision();
    if replica.store_id != head.store_id || now < Revision(head.revision) {
        return Err(format!("the replica is at {} of store {}", now.0, replica.store_id));
    }
    let database: ovsdb::Endpoint = database.parse().map_err(|_| "no address".to_owned())?;
    let ovsdb::Endpoint::Unix(socket) = &database else { return Err("no local database".to_owned()) };
    let bridge = openflow::Endpoint::Unix(socket.with_file_name("br-int.mgmt"));
    let rows = ovsdb::Replica::follow(
        database.clone(),
        ovsdb::Config::default(),
        vswitch::DATABASE,
        vswitch::monitor_request(),
    );
    let mut views = rows.watch();
    let view =
        views.wait_for(|view| view.snapshot.is_some()).await.map_err(|error| error.to_string())?.clone();
    let host =
        view.snapshot.map(|snapshot| Reader::default().read(&snapshot, "br-int").clone()).unwrap_or_default();
    let local = host.local(&replica.topology, replica.datapath);
    let compiler = Compiler::new(replica.topology, local);
    let switch = Switch::connect(&bridge).await.map_err(|error| error.to_string())?;
    let found = switch.read().await.map_err(|error| error.to_string())?.program;
    let difference = found.difference(compiler.program());
    if difference.is_empty() {
        Ok(())
    } else {
        Err(format!("{} of {} flows: {difference:?}", difference.len(), found.flows.len()))
    }
}
