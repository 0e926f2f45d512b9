//! Loading: from a store's entries to a topology.

use store::{Snapshot, Store, StoreError};
use topology::object::DecodeError;
use topology::{Change, Object, ObjectRef, Revision, Topology};

/// Why a store holds no topology that this program can serve. It would be wrong to go on without the object: whatever
/// hangs on it would be taken from the hosts.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The store cannot be read.
    #[error("the store cannot be read")]
    Store(#[from] StoreError),
    /// An entry is no object.
    #[error("the store's entry {key} is damaged, or was written by a newer version")]
    Entry {
        /// The entry's key.
        key: String,
        /// What is wrong with it.
        #[source]
        cause: DecodeError,
    },
}

/// Reads the whole topology, at the store's head.
///
/// # Errors
/// See [`LoadError`].
pub async fn load(store: &dyn Store) -> Result<Topology, LoadError> {
    decode(&store.snapshot().await?)
}

fn decode(snapshot: &Snapshot) -> Result<Topology, LoadError> {
    let decode_entry = |key: &str, value: &[u8]| -> Result<Object, DecodeError> {
        Object::decode(&key.parse::<ObjectRef>()?, value)
    };
    let mut changes = Vec::with_capacity(snapshot.entries.len());
    for (key, value) in &snapshot.entries {
        let object = decode_entry(key.as_str(), value)
            .map_err(|cause| LoadError::Entry { key: key.as_str().to_owned(), cause })?;
        changes.push(Change::Put(object));
    }
    let mut topology = Topology::default();
    topology.commit(Revision(snapshot.revision.0), &changes);
    Ok(topology)
}
