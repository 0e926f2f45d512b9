//! A map to sets that is cheap to clone, for indexes. Most sets have one member, which costs no set.

use std::hash::Hash;

use imbl::{HashMap, OrdSet};

#[derive(Clone)]
enum Members<V> {
    One(V),
    Many(OrdSet<V>),
}

/// A persistent map from a key to an ordered set of values.
#[derive(Clone)]
pub(crate) struct MultiMap<K, V> {
    entries: HashMap<K, Members<V>>,
}

impl<K, V> Default for MultiMap<K, V> {
    fn default() -> Self {
        Self { entries: HashMap::new() }
    }
}

impl<K: Clone + Eq + Hash, V: Clone + Ord> MultiMap<K, V> {
    pub(crate) fn insert(&mut self, key: K, value: V) {
        let members = match self.entries.remove(&key) {
            None => Members::One(value),
            Some(Members::One(one)) if one == value => Members::One(one),
            Some(Members::One(one)) => Members::Many(OrdSet::from_iter([one, value])),
            Some(Members::Many(mut many)) => {
                many.insert(value);
                Members::Many(many)
            }
        };
        self.entries.insert(key, members);
    }

    pub(crate) fn remove(&mut self, key: &K, value: &V) {
        match self.entries.get_mut(key) {
            Some(Members::Many(many)) => {
                many.remove(value);
                if many.is_empty() {
                    self.entries.remove(key);
                }
            }
            Some(Members::One(one)) if one == value => {
                self.entries.remove(key);
            }
            _ => {}
        }
    }

    pub(crate) fn iter(&self, key: &K) -> impl Iterator<Item = &V> {
        let members = self.entries.get(key);
        let one = members.and_then(|members| if let Members::One(one) = members { Some(one) } else { None });
        let many =
            members.and_then(|members| if let Members::Many(many) = members { Some(many) } else { None });
        one.into_iter().chain(many.into_iter().flat_map(OrdSet::iter))
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &K> {
        self.entries.keys()
    }

    pub(crate) fn collect(&self, key: &K) -> Vec<V> {
        self.iter(key).cloned().collect()
    }

    pub(crate) fn first(&self, key: &K) -> Option<&V> {
        self.iter(key).next()
    }

    pub(crate) fn contains(&self, key: &K, value: &V) -> bool {
        match self.entries.get(key) {
            None => false,
            Some(Members::One(one)) => one == value,
            Some(Members::Many(many)) => many.contains(value),
        }
    }
}
