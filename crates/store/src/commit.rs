//! Commits: what changes the store, all of it or nothing.
//!
//! # Bounds
//! A commit is held in memory by whoever writes or watches it, so its size is bounded here, once, for every backend.
//! The bounds on single values come from the strictest of them: a value and its key must fit into one etcd request.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;

use crate::{AppendError, Key, Revision};

/// The largest value, in bytes. With its key it fits into one etcd request (1.5 MiB).
pub const MAX_VALUE_BYTES: usize = 1 << 20;

/// The most mutations in a commit: a topology of 20,000 objects can be made or deleted at once, with room to spare.
pub const MAX_COMMIT_MUTATIONS: usize = 100_000;

/// The most bytes of keys and values in one append, over all its commits.
pub const MAX_APPEND_BYTES: usize = 64 << 20;

/// The most commits in one append: more than the requests a manager can have waiting at once.
pub const MAX_APPEND_COMMITS: usize = 1024;

/// A change of one entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mutation {
    /// Makes the entry, or replaces its value.
    Put {
        /// The name of the entry.
        key: Key,
        /// Its value from now on: at most [`MAX_VALUE_BYTES`].
        value: Bytes,
    },
    /// Removes the entry. To delete what does not exist changes nothing and is no error.
    Delete {
        /// The name of the entry.
        key: Key,
    },
}

impl Mutation {
    /// The entry that changes.
    #[must_use]
    pub fn key(&self) -> &Key {
        match self {
            Mutation::Put { key, .. } | Mutation::Delete { key } => key,
        }
    }

    /// The value the entry has afterwards, if it still exists.
    #[must_use]
    pub fn value(&self) -> Option<&Bytes> {
        match self {
            Mutation::Put { value, .. } => Some(value),
            Mutation::Delete { .. } => None,
        }
    }

    fn bytes(&self) -> usize {
        self.key().as_str().len() + self.value().map_or(0, Bytes::len)
    }
}

/// A set of mutations that becomes real as a whole, with one revision.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Commit {
    /// The mutations, at least one and at most one for a key. Readers see them in this order.
    pub mutations: Vec<Mutation>,
}

/// Why a commit cannot be appended to any store.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCommit {
    /// It would use up a revision for nothing.
    #[error("a commit needs at least one mutation")]
    Empty,
    /// It has more than [`MAX_COMMIT_MUTATIONS`].
    #[error("{mutations} mutations are more than {MAX_COMMIT_MUTATIONS}")]
    TooManyMutations {
        /// How many it has.
        mutations: usize,
    },
    /// The result would depend on the order of its mutations.
    #[error("{key} is changed more than once")]
    RepeatedKey {
        /// The key that stands in two mutations.
        key: Key,
    },
    /// A value is larger than [`MAX_VALUE_BYTES`].
    #[error("the value of {key} has {bytes} bytes, more than {MAX_VALUE_BYTES}")]
    ValueTooLarge {
        /// The key of the value.
        key: Key,
        /// The length of the value.
        bytes: usize,
    },
    /// Its keys and values take more than [`MAX_APPEND_BYTES`].
    #[error("{bytes} bytes of keys and values are more than {MAX_APPEND_BYTES}")]
    TooLarge {
        /// What they take.
        bytes: usize,
    },
}

impl Commit {
    /// Says whether a store can take this commit. Every append checks; a caller that groups commits of several users
    /// can check each of them before.
    ///
    /// # Errors
    /// [`InvalidCommit`], if it cannot.
    pub fn validate(&self) -> Result<(), InvalidCommit> {
        if self.mutations.is_empty() {
            return Err(InvalidCommit::Empty);
        }
        if self.mutations.len() > MAX_COMMIT_MUTATIONS {
            return Err(InvalidCommit::TooManyMutations { mutations: self.mutations.len() });
        }
        let mut seen = HashSet::with_capacity(self.mutations.len());
        for mutation in &self.mutations {
            let (key, bytes) = (mutation.key(), mutation.value().map_or(0, Bytes::len));
            if bytes > MAX_VALUE_BYTES {
                return Err(InvalidCommit::ValueTooLarge { key: key.clone(), bytes });
            }
            if !seen.insert(key) {
                return Err(InvalidCommit::RepeatedKey { key: key.clone() });
            }
        }
        match self.bytes() {
            bytes if bytes > MAX_APPEND_BYTES => Err(InvalidCommit::TooLarge { bytes }),
            _ => Ok(()),
        }
    }

    /// What its keys and values take.
    pub(crate) fn bytes(&self) -> usize {
        self.mutations.iter().map(Mutation::bytes).sum()
    }
}

/// A commit and the revision it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The store's revision from this commit on, until the next.
    pub revision: Revision,
    /// What changed. Shared by all who watch.
    pub commit: Arc<Commit>,
}

/// Checks what every backend must refuse before it writes anything.
pub(crate) fn check_append(commits: &[Commit]) -> Result<(), AppendError> {
    for (index, commit) in commits.iter().enumerate() {
        commit.validate().map_err(|source| AppendError::Invalid { index, source })?;
    }
    let bytes = commits.iter().map(Commit::bytes).sum();
    if commits.is_empty() || commits.len() > MAX_APPEND_COMMITS || bytes > MAX_APPEND_BYTES {
        return Err(AppendError::GroupSize { commits: commits.len(), bytes });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Key {
        Key::new(name).expect("a valid key")
    }

    fn put(name: &str, bytes: usize) -> Mutation {
        Mutation::Put { key: key(name), value: Bytes::from(vec![0; bytes]) }
    }

    fn check(mutations: Vec<Mutation>, expected: Result<(), InvalidCommit>) {
        assert_eq!(Commit { mutations }.validate(), expected);
    }

    #[test]
    fn a_commit_changes_each_of_its_keys_once_and_within_bounds() {
        let many = |count: usize| (0..count).map(|n| put(&n.to_string(), 0)).collect::<Vec<_>>();
        check(vec![put("a", 1), Mutation::Delete { key: key("b") }], Ok(()));
        check(vec![put("a", MAX_VALUE_BYTES)], Ok(()));
        check(many(MAX_COMMIT_MUTATIONS), Ok(()));
        check(vec![], Err(InvalidCommit::Empty));
        check(
            many(MAX_COMMIT_MUTATIONS + 1),
            Err(InvalidCommit::TooManyMutations { mutations: MAX_COMMIT_MUTATIONS + 1 }),
        );
        check(vec![put("a", 1), put("a", 2)], Err(InvalidCommit::RepeatedKey { key: key("a") }));
        check(
            vec![put("a", MAX_VALUE_BYTES + 1)],
            Err(InvalidCommit::ValueTooLarge { key: key("a"), bytes: MAX_VALUE_BYTES + 1 }),
        );
    }

    #[test]
    fn a_commit_of_too_many_bytes_is_refused() {
        let value = Bytes::from(vec![0; MAX_VALUE_BYTES]);
        let put = |n: usize| Mutation::Put { key: key(&n.to_string()), value: value.clone() };
        let values = MAX_APPEND_BYTES / MAX_VALUE_BYTES;
        let commit = Commit { mutations: (0..values).map(put).collect() };
        assert!(matches!(commit.validate(), Err(InvalidCommit::TooLarge { .. })));
    }
}
