//! The head: the newest topology, as everyone but the writer sees it.
//!
//! Readers take the head and keep it for as long as they work. They never wait for the writer, and what they answer is
//! true of one revision. Several commits that became durable together are published as one.

use std::sync::Arc;

use sync::Head;
use tokio::sync::watch;
use topology::Topology;

/// Publishes heads. Only the writer holds it.
pub type HeadSender = watch::Sender<Arc<Head>>;

/// Sees heads.
pub type HeadReceiver = watch::Receiver<Arc<Head>>;

/// A head that nobody has seen come: at the start, and after the store was read anew. Whoever has written it may wait.
pub fn fresh(store_id: String, topology: Topology) -> Arc<Head> {
    let (before, awaited) = (topology.clone(), topology.revision());
    Arc::new(Head { store_id, topology, before, changes: Arc::default(), awaited })
}
