//! Objects as they travel, encoded once for all agents that are sent them.

use std::collections::HashMap;
use std::sync::OnceLock;

use bytes::Bytes;
use topology::{Change, Object, ObjectRef};

use crate::wire::Put;

/// The values of one commit. It keeps these and no others, so it is never larger than what was committed.
#[derive(Debug, Default)]
pub struct Values {
    puts: HashMap<ObjectRef, OnceLock<Put>>,
}

impl Values {
    /// Those of what a commit puts.
    pub(crate) fn of(changes: &[Change]) -> Self {
        let puts = changes.iter().filter(|change| matches!(change, Change::Put(_)));
        Self { puts: puts.map(|change| (change.reference(), OnceLock::new())).collect() }
    }

    /// An object of the topology that the commit led to.
    pub(crate) fn put(&self, object: &Object) -> Put {
        let reference = object.reference();
        let encode = || Put { reference: reference.to_string(), value: Bytes::from(object.encode()) };
        self.puts.get(&reference).map_or_else(encode, |put| put.get_or_init(encode).clone())
    }
}
