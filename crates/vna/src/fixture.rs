//! Topologies for tests, made by requests as users make them.

use serde_json::{Value, json};
use topology::{Edit, Request, Topology};

/// A request that creates an object.
pub(crate) fn create(resource: &str, attributes: Value) -> Value {
    json!({"op": "create", "resource": resource, "attributes": attributes})
}

/// A topology of what these requests create.
pub(crate) fn topology(requests: impl IntoIterator<Item = Value>) -> Topology {
    let mut topology = Topology::default();
    execute(&mut topology, requests);
    topology
}

/// Executes requests that are valid, in one commit.
pub(crate) fn execute(topology: &mut Topology, requests: impl IntoIterator<Item = Value>) {
    let requests = requests.into_iter().map(serde_json::from_value::<Request>);
    let requests = requests.collect::<Result<Vec<_>, _>>().expect("requests");
    edit(topology, |edit| drop(Request::execute_all(requests, edit).expect("valid requests")));
}

/// Commits what a manager does by itself.
pub(crate) fn edit(topology: &mut Topology, change: impl FnOnce(&mut Edit)) {
    let mut edit = Edit::new(topology, jiff::Timestamp::UNIX_EPOCH, topology.revision().0);
    change(&mut edit);
    topology.commit(topology.revision().next(), &edit.into_changes());
}
